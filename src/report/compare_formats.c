/* The table of all models of all runs, for other programs: CSV and JSON with full precision. */
#include "report/compare.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { REAL, TEXT };
/* clang-format off */
#define COLUMN(kind, key, member) {key, kind, offsetof(struct eq_result, member)}
static const struct column {
    const char *key;
    enum kind kind;
    size_t at;
} columns[] = {
    COLUMN(TEXT, "model", model), COLUMN(TEXT, "precision", precision), COLUMN(TEXT, "device", device),
    COLUMN(REAL, "frames", frames), COLUMN(REAL, "size", size), COLUMN(REAL, "phases", phases),
    COLUMN(REAL, "clips", clips), COLUMN(REAL, "mae", mae), COLUMN(REAL, "rmse", rmse), COLUMN(REAL, "r2", r2),
    COLUMN(REAL, "bias", bias), COLUMN(REAL, "val_mae", val_mae), COLUMN(REAL, "val_bias", val_bias),
    COLUMN(REAL, "val_clips", val_clips), COLUMN(REAL, "rms_from_fp32", rms_from_fp32),
    COLUMN(REAL, "sqnr_db", sqnr_db), COLUMN(REAL, "size_mb", size_mb),
    COLUMN(REAL, "latency_ms", latency.median), COLUMN(REAL, "latency_low_ms", latency.low),
    COLUMN(REAL, "latency_high_ms", latency.high), COLUMN(REAL, "latency_p95_ms", latency.p95),
    COLUMN(REAL, "file_latency_ms", file_latency.median), COLUMN(REAL, "seeds", over_seeds.n),
    COLUMN(REAL, "mae_sd_over_seeds", over_seeds.mae.of.sd), COLUMN(TEXT, "cpu", cpu), COLUMN(TEXT, "isa", isa),
    COLUMN(REAL, "threads", threads), COLUMN(TEXT, "file", file), COLUMN(TEXT, "file_sha256", file_sha256),
    COLUMN(TEXT, "data", data),
};
/* clang-format on */
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static const char *text_at(const struct eq_result *row, const struct column *c)
{
    return *(const char *const *)((const char *)row + c->at);
}

static double real_at(const struct eq_result *row, const struct column *c)
{
    return *(const double *)((const char *)row + c->at);
}

/* Of the first GPU of a row; there may be none. */
static const char *const gpu_columns[] = {"gpu", "gpu_latency_ms", "gpu_latency_low_ms", "gpu_latency_high_ms"};
enum { N_GPU_COLUMNS = sizeof gpu_columns / sizeof *gpu_columns };

/* Returns its name; "": none. values: those of the columns after that, NaN without one. */
static const char *gpu_of(const struct eq_result *row, double values[N_GPU_COLUMNS - 1])
{
    struct eq_result_device gpu;
    bool any = eq_result_gpu(row, &gpu);
    values[0] = any ? gpu.latency.median : NAN;
    values[1] = any ? gpu.latency.low : NAN;
    values[2] = any ? gpu.latency.high : NAN;
    return any ? gpu.name : "";
}

static const char *value_of(const struct eq_compared_key *key, const struct eq_comparison *c,
                            const struct eq_compared_run *run)
{
    size_t i = 0;
    EQ_EACH_TEXT(value, &key->values)
    {
        if (&c->runs[i++] == run)
            return value;
    }
    return "";
}

/* ---- CSV ----------------------------------------------------------------------- */

static void add_csv(struct eq_str *out, const char *text)
{
    if (out->len && out->s[out->len - 1] != '\n')
        eq_str_add(out, ",");
    eq_csv_add(out, text);
}

static void add_csv_real(struct eq_str *out, double value)
{
    struct eq_str text = {0};
    if (isfinite(value))
        eq_str_add_real(&text, value);
    add_csv(out, text.s ? text.s : "");
    eq_str_clear(&text);
}

void eq_comparison_csv(const struct eq_comparison *c, struct eq_str *out)
{
    add_csv(out, "run");
    for (int i = 0; i < N_COLUMNS; i++)
        add_csv(out, columns[i].key);
    for (int i = 0; i < N_GPU_COLUMNS; i++)
        add_csv(out, gpu_columns[i]);
    add_csv(out, "test_group");
    add_csv(out, "front_latency");
    add_csv(out, "front_size");
    for (size_t i = 0; i < c->n_keys; i++)
        add_csv(out, c->keys[i].key);
    eq_str_add(out, "\n");
    for (size_t k = 0; k < c->n_rows; k++) {
        const struct eq_compared_row *row = &c->rows[k];
        add_csv(out, row->run->name);
        for (int i = 0; i < N_COLUMNS; i++) {
            if (columns[i].kind == TEXT)
                add_csv(out, text_at(row->row, &columns[i]));
            else
                add_csv_real(out, real_at(row->row, &columns[i]));
        }
        double gpu[N_GPU_COLUMNS - 1];
        add_csv(out, gpu_of(row->row, gpu));
        for (int i = 0; i + 1 < N_GPU_COLUMNS; i++)
            add_csv_real(out, gpu[i]);
        add_csv_real(out, row->run->clips);
        add_csv(out, row->front_latency ? "true" : "false");
        add_csv(out, row->front_size ? "true" : "false");
        for (size_t i = 0; i < c->n_keys; i++)
            add_csv(out, value_of(&c->keys[i], c, row->run));
        eq_str_add(out, "\n");
    }
}

/* ---- JSON ---------------------------------------------------------------------- */

static void add_runs(const struct eq_comparison *c, struct cJSON *list)
{
    for (size_t k = 0; k < c->n; k++) {
        const struct eq_compared_run *run = &c->runs[k];
        struct cJSON *o = eq_json_add(list, NULL, cJSON_CreateObject());
        cJSON_AddStringToObject(o, "run", run->name);
        cJSON_AddStringToObject(o, "dir", run->dir);
        cJSON_AddBoolToObject(o, "results", run->results.n > 0);
        if (run->clips)
            cJSON_AddNumberToObject(o, "test_group", run->clips);
        struct cJSON *settings = eq_json_add(o, "settings", cJSON_CreateObject());
        for (size_t i = 0; i < c->n_keys; i++)
            eq_json_add(settings, c->keys[i].key, cJSON_CreateString(value_of(&c->keys[i], c, run)));
    }
}

static void add_rows(const struct eq_comparison *c, struct cJSON *list)
{
    for (size_t k = 0; k < c->n_rows; k++) {
        const struct eq_compared_row *row = &c->rows[k];
        struct cJSON *o = eq_json_add(list, NULL, cJSON_CreateObject());
        cJSON_AddStringToObject(o, "run", row->run->name);
        for (int i = 0; i < N_COLUMNS; i++) {
            if (columns[i].kind == TEXT && *text_at(row->row, &columns[i]))
                eq_json_add(o, columns[i].key, cJSON_CreateString(text_at(row->row, &columns[i])));
            else if (columns[i].kind == REAL && isfinite(real_at(row->row, &columns[i])))
                eq_json_add_real(o, columns[i].key, real_at(row->row, &columns[i]));
        }
        double gpu[N_GPU_COLUMNS - 1];
        const char *name = gpu_of(row->row, gpu);
        if (*name)
            eq_json_add(o, gpu_columns[0], cJSON_CreateString(name));
        for (int i = 0; i + 1 < N_GPU_COLUMNS; i++)
            if (isfinite(gpu[i]))
                eq_json_add_real(o, gpu_columns[i + 1], gpu[i]);
        cJSON_AddNumberToObject(o, "test_group", row->run->clips);
        cJSON_AddBoolToObject(o, "front_latency", row->front_latency);
        cJSON_AddBoolToObject(o, "front_size", row->front_size);
    }
}

static void add_pairs(const struct eq_comparison *c, struct cJSON *list)
{
    for (size_t i = 0; i < c->n_pairs; i++) {
        const struct eq_compared_pair *p = &c->pairs[i];
        struct cJSON *o = eq_json_add(list, NULL, cJSON_CreateObject());
        cJSON_AddStringToObject(o, "run", p->run->name);
        cJSON_AddStringToObject(o, "minus", p->base->name);
        cJSON_AddStringToObject(o, "model", p->model);
        cJSON_AddNumberToObject(o, "clips", (double)p->clips);
        eq_json_add_real(o, "mae", p->mae.value);
        eq_json_add(o, "low", eq_json_new_real(p->mae.low));
        eq_json_add(o, "high", eq_json_new_real(p->mae.high));
    }
}

enum eq_status eq_comparison_json(const struct eq_comparison *c, struct cJSON **out, struct eq_err *err)
{
    struct cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "format", EQ_COMPARISON_FORMAT);
    add_runs(c, cJSON_AddArrayToObject(json, "runs"));
    add_rows(c, cJSON_AddArrayToObject(json, "models"));
    add_pairs(c, cJSON_AddArrayToObject(json, "differences"));
    struct cJSON *notes = cJSON_AddArrayToObject(json, "notes");
    EQ_EACH_TEXT(note, &c->notes)
    {
        eq_json_add(notes, NULL, cJSON_CreateString(note));
    }
    *out = json;
    return eq_json_check(err);
}
