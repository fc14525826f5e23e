/* What the run was: the command that repeats it, the program, the machine, and the bytes that went in. */
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

#define OWN_KEY "run.dir" /* a repetition has another */

void eq_report_add_word(struct eq_str *out, const char *word)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
    if (*word && word[strspn(word, safe)] == '\0') {
        eq_str_add(out, "%s", word);
        return;
    }
    eq_str_add(out, "'");
    for (; *word; word++)
        eq_str_add(out, *word == '\'' ? "'\\''" : "%c", *word);
    eq_str_add(out, "'");
}

static void add_item(struct eq_texts *lines, const char *what, const struct eq_str *value)
{
    if (value->len)
        eq_texts_add(lines, "%s: %s", what, value->s);
}

/* The settings that differ from the defaults, as words of a command and as rows of a table. */
static enum eq_status add_changes(const struct eq_settings *s, struct eq_str *command, struct eq_table *t)
{
    struct eq_settings initial = {0};
    struct eq_setting_info info;
    enum eq_status st = eq_settings_init(&initial, NULL);
    for (size_t i = 0; st == EQ_OK && eq_setting_describe(i, &info); i++) {
        struct eq_str is = {0}, was = {0}, word = {0};
        eq_setting_value(i, &s->config, &is);
        eq_setting_value(i, &initial.config, &was);
        const char *value = is.s ? is.s : "", *usual = was.s ? was.s : "";
        if (strcmp(value, usual) != 0 && strcmp(info.key, OWN_KEY) != 0) {
            eq_str_add(&word, "%s=%s", info.key, value);
            eq_str_add(command, " --set ");
            eq_report_add_word(command, word.s);
            eq_texts_add(&t->cells, "%s", info.key);
            eq_texts_add(&t->cells, "%s", *value ? value : "\"\"");
            eq_texts_add(&t->cells, "%s", *usual ? usual : "\"\"");
            eq_texts_add(&t->cells, "%s", s->origin[i]);
        }
        eq_str_clear(&is);
        eq_str_clear(&was);
        eq_str_clear(&word);
        free(info.takes);
    }
    if (st == EQ_OK)
        eq_settings_clear(&initial);
    return st;
}

/* Each device of the rows once. */
static void add_devices(struct eq_texts *lines, const struct eq_results *r)
{
    struct eq_texts known = {0};
    struct eq_result_device d;
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; eq_result_device_at(&r->rows[i], k, &d); k++) {
            bool listed = false;
            EQ_EACH_TEXT(id, &known)
            {
                listed |= strcmp(id, d.id) == 0;
            }
            if (listed)
                continue;
            eq_texts_add(&known, "%s", d.id);
            eq_texts_add(lines, "Device %s: %s (%s), %s, INT8 by %s", d.id, d.name, d.is_gpu ? "a GPU" : "no GPU",
                         d.driver, d.integer_path);
        }
    eq_str_clear(&known.s);
}

static void add_program(struct eq_texts *lines, const struct eq_results *r)
{
    struct eq_str text = {0}, machine = {0}, list = {0}, gpu = {0};
    if (*r->environment.version)
        eq_str_add(&text, "echoquant %s", r->environment.version);
    if (*r->environment.version && *r->environment.compiler)
        eq_str_add(&text, ", compiled by %s with %s", r->environment.compiler,
                   *r->environment.flags ? r->environment.flags : "no flags");
    if (*r->environment.cpu)
        eq_str_add(&machine, "%s, instruction set %s, %.0f thread%s%s%s", r->environment.cpu, r->environment.isa,
                   r->environment.threads, eq_plural(r->environment.threads), *r->environment.system ? ", " : "",
                   r->environment.system);
    const struct cJSON *library;
    cJSON_ArrayForEach(library, r->environment.libraries)
    {
        if (cJSON_IsString(library))
            eq_str_add(&list, "%s%s %s", list.len ? "; " : "", library->string, library->valuestring);
    }
    add_item(lines, "Program", &text);
    add_item(lines, "Machine", &machine);
    eq_str_add(&gpu, "%s", r->environment.gpu);
    add_item(lines, "GPU", &gpu);
    add_devices(lines, r);
    add_item(lines, "Libraries", &list);
    eq_str_clear(&text);
    eq_str_clear(&machine);
    eq_str_clear(&list);
    eq_str_clear(&gpu);
}

/* Takes over the table if it has a row. */
static void add_table(struct eq_section *out, struct eq_table *t)
{
    if ((int)t->cells.n > t->columns)
        *eq_section_table(out) = *t;
    else
        eq_str_clear(&t->cells.s);
}

static void add_file(struct eq_table *t, const char *name, const char *sha256)
{
    if (!*sha256)
        return;
    eq_texts_add(&t->cells, "%s", name);
    eq_texts_add(&t->cells, "%s", sha256);
}

/* SHA-256, as `sha256sum` prints it. BF16 runs FP32's file, which is listed once. */
static void add_files(struct eq_section *out, const struct eq_report *report)
{
    static const char *const header[] = {"file", "SHA-256", NULL};
    const struct eq_results *r = &report->results;
    struct eq_table t = {0};
    eq_table_begin(&t, header, 2);
    add_file(&t, "config.json", report->config_sha256);
    add_file(&t, "FileList.csv", r->data.file_list_sha256);
    add_file(&t, "data.csv", r->data.digest);
    for (size_t i = 0; i < r->n; i++) {
        bool listed = false;
        for (size_t k = 0; k < i; k++)
            listed |= strcmp(r->rows[k].file_sha256, r->rows[i].file_sha256) == 0 &&
                      strcmp(r->rows[k].file, r->rows[i].file) == 0;
        add_file(&t, r->rows[i].file, listed ? "" : r->rows[i].file_sha256);
    }
    add_table(out, &t);
}

static void add_commands(struct eq_texts *lines, const char *dir, const struct eq_str *changes)
{
    struct eq_str again = {0}, quoted = {0}, original = {0};
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    char *bare = eq_format("%.*s", (int)len, dir), *other = eq_format("%s-again", bare);
    eq_report_add_word(&quoted, other);
    eq_report_add_word(&original, bare);
    eq_str_add(&again, "echoquant run-all --run %s%s", quoted.s, changes->s ? changes->s : "");
    add_item(lines, "To repeat the run", &again);
    again.len = 0;
    eq_str_add(&again, "echoquant verify %s %s", original.s, quoted.s);
    add_item(lines, "To compare the two", &again);
    eq_str_clear(&again);
    eq_str_clear(&quoted);
    eq_str_clear(&original);
    free(bare);
    free(other);
}

void eq_section_provenance(const struct eq_report *report, struct eq_section *out)
{
    static const char *const changed[] = {"setting", "value", "default", "from", NULL};
    const struct eq_results *r = &report->results;
    struct eq_str changes = {0};
    struct eq_table settings = {0};
    bool given = report->config && report->settings.origin;
    out->line_style = EQ_LINE_ITEM;
    eq_str_add(&out->title, "What the run was");
    eq_table_begin(&settings, changed, 4);
    if (given)
        out->has_holes |= add_changes(&report->settings, &changes, &settings) != EQ_OK;
    if (given)
        add_commands(&out->lines, report->run_dir, &changes);
    add_program(&out->lines, r);
    if (*r->environment.version && strcmp(r->environment.version, ECHOQUANT_VERSION) != 0)
        eq_texts_add(&out->lines,
                     "echoquant %s made the results, and echoquant %s wrote this report. A repetition with this "
                     "version may give other results.",
                     r->environment.version, ECHOQUANT_VERSION);
    if (given && (int)settings.cells.n == settings.columns)
        eq_texts_add(&out->lines, "All settings have their default values.");
    add_files(out, report);
    add_table(out, &settings);
    eq_str_add(&out->note, "The same command on the same data gives the same bytes on a CPU with the same instruction "
                           "set, with any number of threads. Another instruction set rounds FP32 differently.");
    eq_str_clear(&changes);
}
