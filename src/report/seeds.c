/* results.json over several seeds, from the results.json of each. */
#include "report/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ------------------------------------------------------------- */

/* The results of the seeds that have some, in order, and the results over all of them. */
struct seeds {
    struct eq_results *results;
    size_t n;
    struct eq_results over;      /* over all; borrows from results and made */
    struct cJSON *made;          /* objects, arrays, texts */
    double values[EQ_MAX_SEEDS]; /* scratch */
    struct cJSON *rows[EQ_MAX_SEEDS];
};

static struct cJSON *made(struct seeds *s, struct cJSON *item)
{
    return eq_json_add(s->made, NULL, item);
}

static void clear_seeds(struct seeds *s)
{
    for (size_t i = 0; i < s->n; i++)
        eq_results_clear(&s->results[i]);
    eq_results_clear(&s->over);
    cJSON_Delete(s->made);
    free(s->results);
}

/* All rows must be of one ground truth. */
static enum eq_status check_data(const char *run_dir, const struct seeds *s, struct eq_err *err)
{
    const char *digest = "";
    double of = 0;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->results[i].n; k++) {
            const char *data = s->results[i].rows[k].data;
            if (*data && *digest && strcmp(data, digest) != 0)
                return eq_fail(
                    err, EQ_USAGE,
                    "%s: seed-%.0f and seed-%.0f have results of different data (%.40s, %.40s), which cannot "
                    "be averaged. Move one of the folders away",
                    run_dir, of, s->over.seeds[i].seed, digest, data);
            if (*data && !*digest) {
                digest = data;
                of = s->over.seeds[i].seed;
            }
        }
    return EQ_OK;
}

static enum eq_status read_seeds(const char *run_dir, int first, int n, struct seeds *s, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *s = (struct seeds){.made = cJSON_CreateArray()};
    eq_results_init(&s->over);
    for (int seed = first; seed < first + n && st == EQ_OK; seed++) {
        char *dir = eq_seed_dir(run_dir, seed), *name = strrchr(dir, '/') + 1;
        struct eq_results *over = &s->over;
        struct eq_results results;
        st = eq_results_open(dir, &results, err);
        if (st != EQ_OK || results.n == 0) { /* an interrupted evaluation leaves a file without rows */
            eq_results_clear(&results);
        } else {
            s->results = eq_list_grow(s->results, s->n, sizeof *s->results);
            s->results[s->n++] = results;
            over->seeds = eq_list_grow(over->seeds, over->n_seeds, sizeof *over->seeds);
            const struct cJSON *text = made(s, cJSON_CreateString(name));
            over->seeds[over->n_seeds++] = (struct eq_result_seed){NULL, seed, text ? text->valuestring : ""};
        }
        free(dir);
    }
    if (st == EQ_OK && s->n == 0)
        st = eq_fail(err, EQ_IO, "%s: the seeds %d to %d have no results yet: run `echoquant run-all` first", run_dir,
                     first, first + n - 1);
    if (st == EQ_OK)
        st = check_data(run_dir, s, err);
    if (st != EQ_OK)
        clear_seeds(s);
    return st;
}

/* ---- summing up ---------------------------------------------------------- */

static struct eq_result_spread spread_of_values(struct seeds *s, size_t n)
{
    struct cJSON *array = made(s, cJSON_CreateArray());
    for (size_t i = 0; i < n; i++)
        eq_json_add(array, NULL, eq_json_new_real(s->values[i]));
    return (struct eq_result_spread){eq_spread_of(s->values, n), array};
}

/* The number at offset `at` of the first n of s->rows. */
static struct eq_result_spread over(struct seeds *s, size_t n, size_t at)
{
    for (size_t i = 0; i < n; i++) {
        struct eq_result row = eq_result_of(s->rows[i]);
        s->values[i] = *(const double *)((const char *)&row + at);
    }
    return spread_of_values(s, n);
}

/* all: [n] objects at the same place in the rows of a model. Each number of `first` becomes their mean. */
static void average(struct seeds *s, struct cJSON *first, struct cJSON *const *all, size_t n)
{
    struct cJSON **inside = eq_list_grow(NULL, n, sizeof *inside);
    for (struct cJSON *item = first->child; item; item = item->next) {
        for (size_t i = 0; i < n; i++)
            inside[i] = cJSON_GetObjectItemCaseSensitive(all[i], item->string);
        if (cJSON_IsObject(item))
            average(s, item, inside, n);
        for (size_t i = 0; i < n; i++)
            s->values[i] = cJSON_IsNumber(inside[i]) ? inside[i]->valuedouble : NAN;
        double mean = eq_spread_of(s->values, n).mean;
        if (cJSON_IsNumber(item) && isfinite(mean))
            cJSON_SetNumberValue(item, mean);
    }
    free(inside);
}

/* The objects of a model's rows, in s->rows; returns how many seeds have it. */
static size_t rows_of(struct seeds *s, const char *model)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct eq_result *row = eq_results_find(&s->results[i], model);
        if (row)
            s->rows[n++] = row->json;
    }
    return n;
}

static void forget_samples_in(struct cJSON *object)
{
    static const char *const keys[] = {"latency_ms", "file_latency_ms"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, keys[i]), "samples");
}

/* The times of single calls are those of one seed; over all of them only their percentiles have means. */
static void forget_samples(struct cJSON *row)
{
    struct cJSON *device;
    forget_samples_in(row);
    cJSON_ArrayForEach(device, cJSON_GetObjectItemCaseSensitive(row, "devices")) forget_samples_in(device);
}

/* A row for each model that any seed has, in the order of the documents. */
static void add_models(struct seeds *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->results[i].n; k++) {
            const char *model = s->results[i].rows[k].model;
            if (eq_results_find(&s->over, model))
                continue;
            struct cJSON *mean = made(s, cJSON_Duplicate(s->results[i].rows[k].json, true));
            size_t n = rows_of(s, model);
            average(s, mean, s->rows, n);
            forget_samples(mean);
            struct eq_result row = eq_result_of(mean);
            row.file = row.file_sha256 = row.predictions_sha256 = NULL;
            row.over_seeds.mae = over(s, n, offsetof(struct eq_result, mae));
            row.over_seeds.rmse = over(s, n, offsetof(struct eq_result, rmse));
            row.over_seeds.r2 = over(s, n, offsetof(struct eq_result, r2));
            row.over_seeds.n = (double)n;
            eq_results_put(&s->over, &row);
        }
}

/* MAE of model minus that of base, over the seeds that have both. */
static void add_difference(struct seeds *s, const char *model, const char *base)
{
    struct eq_results *r = &s->over;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct eq_result *a = eq_results_find(&s->results[i], model);
        const struct eq_result *b = eq_results_find(&s->results[i], base);
        if (a && b)
            s->values[n++] = a->mae - b->mae;
    }
    if (n == 0)
        return;
    r->differences = eq_list_grow(r->differences, r->n_differences, sizeof *r->differences);
    r->differences[r->n_differences++] =
        (struct eq_result_difference){NULL, model, base, (double)n, spread_of_values(s, n)};
}

static void add_differences(struct seeds *s)
{
    const struct eq_result *fp32 = eq_results_find(&s->over, eq_phase_model(EQ_PHASE_TRAIN)->row);
    const struct eq_result *qat = eq_results_find(&s->over, eq_phase_model(EQ_PHASE_QAT)->row);
    const struct eq_result *control = eq_results_find(&s->over, eq_phase_model(EQ_PHASE_CONTROL)->row);
    s->over.differences = eq_list_grow(NULL, 0, sizeof *s->over.differences); /* present even if empty */
    for (size_t i = 0; i < s->over.n; i++)
        if (fp32 && &s->over.rows[i] != fp32 && strcmp(s->over.rows[i].model, EQ_MEDIAN_ROW) != 0)
            add_difference(s, s->over.rows[i].model, fp32->model);
    if (qat && control)
        add_difference(s, qat->model, control->model);
}

/* Fills s->over. Clear s unless it fails. */
static enum eq_status summarize(const char *run_dir, int first, int n, struct seeds *s, struct eq_err *err)
{
    enum eq_status st = read_seeds(run_dir, first, n, s, err);
    struct eq_results *r = &s->over, *one = s->results;
    if (st != EQ_OK)
        return st;
    r->seeds_wanted = n;
    add_models(s);
    add_differences(s);
    r->skipped = one->skipped; /* taken over */
    r->n_skipped = one->n_skipped;
    one->skipped = NULL;
    r->damaged = one->damaged;
    r->n_damaged = one->n_damaged;
    one->damaged = NULL;
    r->data = one->data;
    r->margin = one->margin;
    r->environment = one->environment;
    return EQ_OK;
}

enum eq_status eq_seeds_collect(const char *run_dir, int first, int n, struct eq_err *err)
{
    struct seeds s;
    EQ_CHECK(summarize(run_dir, first, n, &s, err));
    enum eq_status st = eq_results_write(run_dir, &s.over, err);
    clear_seeds(&s);
    return st;
}

enum eq_status eq_seeds_have_results(const char *run_dir, int first, int n, bool *any, struct eq_err *err)
{
    *any = false;
    for (int i = 0; i < n && !*any; i++) {
        char *dir = eq_seed_dir(run_dir, first + i);
        enum eq_status st = eq_run_look(dir, "results", ".json", any, err);
        free(dir);
        EQ_CHECK(st);
    }
    return EQ_OK;
}

enum eq_status eq_seeds_read(const char *run_dir, int first, int n, struct eq_results *out, struct eq_err *err)
{
    struct seeds s;
    EQ_CHECK(summarize(run_dir, first, n, &s, err));
    struct cJSON *json = eq_results_json(&s.over);
    clear_seeds(&s);
    return eq_results_take(json, run_dir, out, err);
}

bool eq_seeds_are_collected(const struct eq_config *cfg)
{
    struct eq_results there;
    struct seeds s;
    if (eq_results_read(cfg->run.dir, &there, NULL) != EQ_OK)
        return false;
    bool same = summarize(cfg->run.dir, cfg->run.seed, cfg->train.seeds, &s, NULL) == EQ_OK;
    if (same) {
        struct cJSON *now = eq_results_json(&s.over);
        cJSON_DeleteItemFromObjectCaseSensitive(there.json, EQ_SEAL_KEY);
        same = cJSON_Compare(now, there.json, true);
        cJSON_Delete(now);
        clear_seeds(&s);
    }
    eq_results_clear(&there);
    return same;
}
