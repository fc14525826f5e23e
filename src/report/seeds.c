/* results.json over several seeds, from the results.json of each. */
#include "report/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "seed-"

/* ---- reading ------------------------------------------------------------- */

/* The documents of the seeds that have one, in order. */
struct seeds {
    int *seed;
    struct cJSON **results;
    double *values; /* scratch, one a seed */
    int n;
};

static void clear_seeds(struct seeds *s)
{
    for (int i = 0; i < s->n; i++)
        cJSON_Delete(s->results[i]);
    free(s->seed);
    free(s->results);
    free(s->values);
}

/* Means are over one ground truth. */
static enum eq_status check_data(const char *run_dir, const struct seeds *s, struct eq_err *err)
{
    const char *digest = NULL;
    const struct cJSON *row;
    int of = 0;
    for (int i = 0; i < s->n; i++) {
        cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(s->results[i], "models"))
        {
            const char *data = eq_results_data(row);
            if (data && digest && strcmp(data, digest) != 0)
                return eq_fail(err, EQ_USAGE,
                               "%s: rows of seed-%d and seed-%d are of different data (%.40s, %.40s), which no table "
                               "can hold: move one of the folders away",
                               run_dir, s->seed[of], s->seed[i], digest, data);
            if (data && !digest) {
                digest = data;
                of = i;
            }
        }
    }
    return EQ_OK;
}

static enum eq_status read_seeds(const char *run_dir, int first, int n, struct seeds *s, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *s = (struct seeds){.seed = calloc((size_t)n, sizeof *s->seed),
                        .results = calloc((size_t)n, sizeof *s->results),
                        .values = calloc((size_t)n, sizeof *s->values)};
    if (!s->seed || !s->results || !s->values)
        st = eq_fail(err, EQ_NOMEM, "out of memory for the results of %d seeds", n);
    for (int i = 0; i < n && st == EQ_OK; i++) {
        char *dir = eq_seed_dir(run_dir, first + i), *path = eq_path_join(dir, "results.json");
        bool there;
        st = eq_path_look(path, &there, err);
        if (st == EQ_OK && there) {
            st = eq_results_read(dir, &s->results[s->n], err);
            s->seed[s->n] = first + i;
            s->n += st == EQ_OK;
        }
        free(path);
        free(dir);
    }
    if (st == EQ_OK && s->n == 0)
        st = eq_fail(err, EQ_IO, "%s: none of the seeds %d to %d has results yet: `echoquant run-all` makes them",
                     run_dir, first, first + n - 1);
    if (st == EQ_OK)
        st = check_data(run_dir, s, err);
    if (st != EQ_OK)
        clear_seeds(s);
    return st;
}

/* ---- summing up ---------------------------------------------------------- */

static void add_values(struct cJSON *object, const double *v, size_t n)
{
    struct cJSON *array = cJSON_AddArrayToObject(object, "values");
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(array, isfinite(v[i]) ? cJSON_CreateNumber(v[i]) : cJSON_CreateNull());
}

static void add_spread(struct cJSON *object, const struct eq_spread *s)
{
    eq_results_add_real(object, "mean", s->mean);
    eq_results_add_real(object, "sd", s->sd);
    eq_results_add_real(object, "min", s->min);
    eq_results_add_real(object, "max", s->max);
}

/* A metric of a model over the seeds that have it, into s->values; returns how many those are. */
static size_t gather(struct seeds *s, const char *model, const char *key)
{
    size_t n = 0;
    for (int i = 0; i < s->n; i++) {
        const struct cJSON *row = eq_results_find_model(s->results[i], model);
        if (row)
            s->values[n++] = eq_report_number(row, key);
    }
    return n;
}

static void add_over_seeds(struct cJSON *row, struct seeds *s, const char *model)
{
    static const char *const metrics[] = {"mae", "rmse", "r2"};
    struct cJSON *over = cJSON_AddObjectToObject(row, "over_seeds");
    cJSON_AddNumberToObject(over, "n", (double)gather(s, model, "mae"));
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        size_t n = gather(s, model, metrics[i]);
        struct eq_spread spread = eq_spread_of(s->values, n);
        struct cJSON *metric = cJSON_AddObjectToObject(over, metrics[i]);
        add_spread(metric, &spread);
        add_values(metric, s->values, n);
    }
}

/* path: of object in a row ("" the row itself). Its numbers become their means over the seeds. */
static void average(struct cJSON *object, struct seeds *s, const char *model, const char *path)
{
    for (int i = 0; i < cJSON_GetArraySize(object); i++) {
        struct cJSON *item = cJSON_GetArrayItem(object, i);
        struct eq_str name = {0};
        eq_str_add(&name, "%s%s%s", path, path[0] ? "." : "", item->string);
        if (cJSON_IsObject(item)) {
            average(item, s, model, name.s);
        } else if (cJSON_IsNumber(item)) {
            size_t n = gather(s, model, name.s);
            double mean = eq_spread_of(s->values, n).mean;
            if (isfinite(mean))
                cJSON_SetNumberValue(item, mean);
        }
        eq_str_clear(&name);
    }
}

/* Appends a row for each model that any seed has and models[] lacks, in the order of the documents. */
static void add_models(struct cJSON *models, struct seeds *s)
{
    const struct cJSON *row;
    for (int i = 0; i < s->n; i++) {
        cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(s->results[i], "models"))
        {
            const char *model = eq_results_model_name(row);
            if (eq_results_list_find(models, model))
                continue;
            struct cJSON *mean = cJSON_Duplicate(row, true);
            if (!mean) /* eq_json_check tells whoever writes the document */
                return;
            cJSON_DeleteItemFromObjectCaseSensitive(mean, "file");
            average(mean, s, model, "");
            add_over_seeds(mean, s, model);
            eq_results_insert_row(models, mean);
        }
    }
}

/* MAE of model minus that of base, over the seeds that have both. */
static void add_difference(struct cJSON *differences, struct seeds *s, const char *model, const char *base)
{
    size_t n = 0;
    for (int i = 0; i < s->n; i++) {
        const struct cJSON *a = eq_results_find_model(s->results[i], model);
        const struct cJSON *b = eq_results_find_model(s->results[i], base);
        if (a && b)
            s->values[n++] = eq_report_number(a, "mae") - eq_report_number(b, "mae");
    }
    if (n == 0)
        return;
    struct eq_spread spread = eq_spread_of(s->values, n);
    struct cJSON *d = cJSON_CreateObject();
    cJSON_AddStringToObject(d, "model", model);
    cJSON_AddStringToObject(d, "minus", base);
    cJSON_AddNumberToObject(d, "n", (double)n);
    add_spread(d, &spread);
    eq_results_add_real(d, "low", spread.low);
    eq_results_add_real(d, "high", spread.high);
    add_values(d, s->values, n);
    cJSON_AddItemToArray(differences, d);
}

static void add_differences(struct cJSON *json, const struct cJSON *models, struct seeds *s)
{
    const char *fp32 = eq_phase_model(EQ_PHASE_TRAIN)->row;
    struct cJSON *differences = cJSON_AddArrayToObject(json, "differences");
    const struct cJSON *row;
    cJSON_ArrayForEach(row, models)
    {
        const char *model = eq_results_model_name(row);
        if (strcmp(model, fp32) != 0 && strcmp(model, EQ_MEDIAN_ROW) != 0)
            add_difference(differences, s, model, fp32);
    }
    add_difference(differences, s, eq_phase_model(EQ_PHASE_QAT)->row, eq_phase_model(EQ_PHASE_CONTROL)->row);
}

static enum eq_status summarize(const char *run_dir, int first, int n, struct cJSON **out, struct eq_err *err)
{
    static const char *const shared[] = {"skipped", "data", "environment"};
    struct seeds s;
    enum eq_status st = read_seeds(run_dir, first, n, &s, err);
    *out = NULL;
    if (st != EQ_OK)
        return st;
    struct cJSON *json = eq_results_new(), *list = cJSON_AddArrayToObject(json, "seeds");
    struct cJSON *models = cJSON_GetObjectItemCaseSensitive(json, "models");
    for (int i = 0; i < s.n; i++) {
        char name[32];
        struct cJSON *entry = cJSON_CreateObject();
        snprintf(name, sizeof name, PREFIX "%d", s.seed[i]);
        cJSON_AddNumberToObject(entry, "seed", s.seed[i]);
        cJSON_AddStringToObject(entry, "dir", name);
        cJSON_AddItemToArray(list, entry);
    }
    cJSON_AddNumberToObject(json, "seeds_wanted", n);
    add_models(models, &s);
    add_differences(json, models, &s);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(s.results[0], shared[i]);
        if (item)
            cJSON_AddItemToObject(json, shared[i], cJSON_Duplicate(item, true));
    }
    clear_seeds(&s);
    *out = json;
    return EQ_OK;
}

enum eq_status eq_seeds_collect(const char *run_dir, int first, int n, struct eq_err *err)
{
    struct cJSON *json = NULL;
    char *path = eq_path_join(run_dir, "results.json");
    enum eq_status st;
    EQ_TRY(summarize(run_dir, first, n, &json, err));
    EQ_TRY(eq_json_write(path, json, err));
out:
    cJSON_Delete(json);
    free(path);
    return st;
}

bool eq_seeds_are_collected(const struct eq_config *cfg)
{
    struct cJSON *now = NULL, *there = NULL;
    bool same = eq_results_read(cfg->run.dir, &there, NULL) == EQ_OK &&
                summarize(cfg->run.dir, cfg->run.seed, cfg->train.seeds, &now, NULL) == EQ_OK &&
                cJSON_Compare(now, there, true);
    cJSON_Delete(now);
    cJSON_Delete(there);
    return same;
}
