/* Output of commands on standard output. */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool json_lines;

void eq_print_json_lines(void)
{
    json_lines = true;
}

enum eq_status eq_print_json(const struct cJSON *json, struct eq_err *err)
{
    struct eq_str text = {0};
    enum eq_status st = json_lines ? eq_json_print_row(&text, json, err) : eq_json_print(&text, json, err);
    if (st == EQ_OK)
        eq_print_data(text.s);
    eq_str_clear(&text);
    return st;
}

void eq_print_line(int indent, const char *fmt, ...)
{
    struct eq_str text = {0}, line = {0}, out = {0};
    int width = eq_columns(STDOUT_FILENO);
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(&text, fmt, args);
    va_end(args);
    eq_str_add_shown(&line, text.s);
    if (width > 0 && line.len > (size_t)width) {
        int start = indent < width ? indent : 0;
        eq_str_add(&out, "%.*s", start, line.s);
        eq_str_add_wrapped(&out, line.s + start, start, width);
    } else {
        eq_str_add(&out, "%s\n", line.s);
    }
    eq_print_text(out.s);
    eq_str_clear(&text);
    eq_str_clear(&line);
    eq_str_clear(&out);
}

enum eq_status eq_print_results(const char *run_dir, bool json, struct eq_err *err)
{
    struct eq_str table = {0};
    struct eq_results results = {0};
    enum eq_status st;
    if (json) {
        EQ_TRY(eq_results_read(run_dir, &results, err));
        EQ_TRY(eq_print_json(results.json, err));
    } else {
        EQ_TRY(eq_run_table(run_dir, eq_columns(STDOUT_FILENO), &table, err));
        if (table.s) /* there are rows */
            eq_print_text(table.s);
    }
out:
    eq_results_clear(&results);
    eq_str_clear(&table);
    return st;
}

void eq_print_verdict_lines(const char *text)
{
    for (const char *line = text; line && *line; line += strcspn(line, "\n") + 1) {
        eq_print_text("\n");
        eq_print_line(0, "%.*s", (int)strcspn(line, "\n"), line);
    }
}

enum eq_status eq_print_verdict(const struct eq_config *cfg, struct eq_err *err)
{
    const struct eq_verdict_opts opts = {cfg->report.margin, cfg->report.replicates};
    struct eq_str text = {0};
    enum eq_status st = eq_run_verdict_lines(cfg->run.dir, &opts, &text, err);
    if (st == EQ_INTERRUPTED)
        st = eq_fail(err, st, "interrupted after all results were written. Run the same command to see the verdict.");
    if (st == EQ_OK)
        eq_print_verdict_lines(text.s);
    eq_str_clear(&text);
    return st;
}

enum eq_status eq_print_report(const struct eq_config *cfg, bool json, struct eq_err *err)
{
    EQ_CHECK(eq_print_results(cfg->run.dir, json, err));
    if (json)
        return EQ_OK;
    EQ_CHECK(eq_print_verdict(cfg, err));
    eq_print_text("\n");
    eq_print_row("%s/report.html", cfg->run.dir);
    return EQ_OK;
}

enum eq_status eq_print_model(const struct eq_session *s, enum eq_status st, struct eq_err *err)
{
    const struct eq_run_model *m = eq_phase_model(s->phase);
    struct cJSON *o = NULL;
    if (eq_comm_world()->rank > 0)
        return st;
    char *path = eq_format("%s/%s.safetensors", s->cfg->run.dir, m->file), kind[32];
    uint64_t bytes;
    EQ_TRY(st);
    if (!s->options.json) {
        eq_print_row("%s", path);
        goto out;
    }
    EQ_TRY(eq_model_kind(path, kind, err));
    EQ_TRY(eq_file_size(path, &bytes, err));
    o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "model", m->row);
    cJSON_AddStringToObject(o, "path", path);
    cJSON_AddStringToObject(o, "precision", strcmp(kind, EQ_FORMAT_INT8) == 0 ? "INT8" : "FP32");
    cJSON_AddNumberToObject(o, "bytes", (double)bytes);
    cJSON_AddBoolToObject(o, "made", !s->done);
    EQ_TRY(eq_print_json(o, err));
out:
    cJSON_Delete(o);
    free(path);
    return st;
}
