/* One model's row of results.json: metrics on the test split, size on disk, latency. */
#include "run/calibration.h"
#include "run/results.h"
#include "run/skipped.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How many files the file-to-EF latency takes in turn. */
#define LATENCY_FILES 10

static void add_metrics(struct cJSON *row, const struct eq_metrics *m)
{
    eq_results_add_real(row, "mae", m->mae);
    eq_results_add_real(row, "rmse", m->rmse);
    eq_results_add_real(row, "r2", m->r2);
    cJSON_AddNumberToObject(row, "clips", (double)m->clips);
}

static void add_latency(struct cJSON *row, const char *key, const struct eq_latency *l)
{
    struct cJSON *object = cJSON_AddObjectToObject(row, key);
    eq_results_add_real(object, "min", l->min);
    eq_results_add_real(object, "median", l->median);
    eq_results_add_real(object, "p95", l->p95);
    cJSON_AddNumberToObject(object, "repeats", l->repeats);
}

static enum eq_status measure_latency(struct eq_predictor *p, const struct eq_dataset *ds, const struct eq_config *cfg,
                                      struct cJSON *row, struct eq_err *err)
{
    enum eq_status st;
    uint32_t *test = NULL;
    uint8_t *pixels = NULL;
    const char *paths[LATENCY_FILES];
    struct eq_latency latency;
    struct eq_sampling sampling = {.frames = p->meta.frames, .size = p->meta.size, .phase = -1};
    size_t n = eq_dataset_split(ds, EQ_SPLIT_TEST, &test), files = 0;
    pixels = eq_alloc((size_t)sampling.frames, (size_t)sampling.size * (size_t)sampling.size * 3);
    if (!pixels) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for a clip");
        goto out;
    }
    /* The split is not empty and all of it was just read: the evaluation before would have failed otherwise. */
    for (; files < n && files < LATENCY_FILES; files++)
        paths[files] = ds->samples[test[files]].path;
    EQ_TRY(eq_clip_read(paths[0], &sampling, pixels, NULL, err));
    EQ_TRY(eq_latency_model(p, pixels, cfg->bench.warmup, cfg->bench.repeats, &latency, err));
    add_latency(row, "latency_ms", &latency);
    EQ_TRY(eq_latency_file(p, paths, files, cfg->eval.phases, 1, cfg->bench.repeats, &latency, err));
    add_latency(row, "file_latency_ms", &latency);
out:
    eq_free(pixels);
    free(test);
    return st;
}

static enum eq_status put_median_row(const struct eq_config *cfg, const struct eq_dataset *ds,
                                     const struct eq_evaluation *e, struct eq_err *err)
{
    uint32_t *train = NULL;
    size_t n = eq_dataset_split(ds, EQ_SPLIT_TRAIN, &train);
    double *ef = eq_alloc(n + 2 * e->n + 1, sizeof *ef);
    if (!ef || n == 0) {
        free(train);
        eq_free(ef);
        return ef ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for the training EFs");
    }
    for (size_t i = 0; i < n; i++)
        ef[i] = ds->samples[train[i]].ef;
    double median = eq_median_of(ef, n), *pred = ef + n, *target = pred + e->n;
    for (size_t i = 0; i < e->n; i++) {
        pred[i] = median;
        target[i] = e->rows[i].ef;
    }
    struct eq_metrics m = eq_metrics_compute(pred, target, e->n);
    free(train);
    eq_free(ef);
    struct cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "model", "Median");
    cJSON_AddStringToObject(row, "precision", "-");
    eq_results_add_real(row, "prediction", median);
    add_metrics(row, &m);
    return eq_results_put_model(cfg->run.dir, row, err);
}

static const struct eq_prediction *find_prediction(const struct eq_evaluation *e, const char *file_name)
{
    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->rows[i].file_name, file_name) == 0)
            return &e->rows[i];
    return NULL;
}

/* How far the EF is from that of FP32, where the run has FP32's predictions of the same clips: root mean square, and
 * the variance of FP32's EF over its square in dB. */
static enum eq_status compare_with_fp32(const struct eq_config *cfg, const struct eq_evaluation *e, struct cJSON *row,
                                        struct eq_err *err)
{
    struct eq_evaluation fp32 = {0};
    double sum = 0, squares = 0, error = 0;
    size_t i = 0;
    char *dir = eq_path_join(cfg->run.dir, "predictions"), *path = eq_path_join(dir, "fp32.csv");
    enum eq_status st = eq_path_exists(path) ? eq_predictions_read(path, &fp32, err) : EQ_OK;
    for (; st == EQ_OK && fp32.n == e->n && i < e->n; i++) {
        const struct eq_prediction *p = find_prediction(&fp32, e->rows[i].file_name);
        if (!p)
            break;
        sum += p->prediction;
        squares += p->prediction * p->prediction;
        error += (e->rows[i].prediction - p->prediction) * (e->rows[i].prediction - p->prediction);
    }
    if (i == e->n) {
        double n = (double)e->n;
        eq_results_add_real(row, "rms_from_fp32", sqrt(error / n));
        eq_results_add_real(row, "sqnr_db", eq_sqnr_db(squares - sum * sum / n, error));
    }
    eq_evaluation_clear(&fp32);
    free(path);
    free(dir);
    return st;
}

static enum eq_status describe(const struct eq_predictor *p, const char *name, const char *path, int phases,
                               struct cJSON *row, struct eq_err *err)
{
    char row_name[EQ_ROW_NAME];
    uint64_t bytes;
    const struct eq_qmodel *m = eq_predictor_qmodel(p);
    eq_run_row_name(name, row_name);
    enum eq_status st = eq_file_size(path, &bytes, err);
    if (st != EQ_OK)
        return st;
    cJSON_AddStringToObject(row, "model", row_name);
    cJSON_AddStringToObject(row, "precision", p->precision);
    cJSON_AddNumberToObject(row, "size_mb", (double)bytes / 1e6);
    cJSON_AddStringToObject(row, "file", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    cJSON_AddNumberToObject(row, "frames", p->meta.frames);
    cJSON_AddNumberToObject(row, "size", p->meta.size);
    cJSON_AddNumberToObject(row, "phases", phases);
    if (m) {
        if (m->recipe)
            cJSON_AddItemToObject(row, "recipe", cJSON_Parse(m->recipe));
        cJSON_AddStringToObject(row, "method", m->method);
        cJSON_AddStringToObject(row, "observer", m->observer);
    }
    cJSON_AddStringToObject(row, "isa", eq_cpu_isa_in_use());
    cJSON_AddStringToObject(row, "cpu", eq_cpu_model_name());
    cJSON_AddNumberToObject(row, "threads", eq_parallel_threads());
    return EQ_OK;
}

/* A model says itself how its clips are sampled. */
static struct eq_config config_of_model(const struct eq_config *cfg, const struct eq_model_meta *meta)
{
    struct eq_config c = *cfg;
    c.data.frames = meta->frames;
    c.data.size = meta->size;
    return c;
}

enum eq_status eq_run_eval(const struct eq_config *cfg, const struct eq_dataset *ds, const char *name,
                           const char *model_path, struct eq_err *err)
{
    enum eq_status st;
    struct eq_predictor p = {0};
    struct eq_evaluation e = {0};
    struct cJSON *row = cJSON_CreateObject();
    struct eq_str path = {0}, csv = {0};
    bool bf16 = model_path ? cfg->run.precision == EQ_PRECISION_BF16 : strcmp(name, EQ_BF16_NAME) == 0;
    if (model_path)
        eq_str_add(&path, "%s", model_path);
    else
        eq_str_add(&path, "%s/%s.safetensors", cfg->run.dir, bf16 ? "fp32" : name);
    eq_str_add(&csv, "%s/predictions/%s.csv", cfg->run.dir, name);
    EQ_TRY(eq_run_make_dirs(cfg->run.dir, err));
    EQ_TRY(eq_predictor_open(&p, path.s, bf16 ? EQ_PRECISION_BF16 : EQ_PRECISION_FP32, 1, err));
    struct eq_config own = config_of_model(cfg, &p.meta);
    EQ_TRY(eq_evaluate(&p, ds, EQ_SPLIT_TEST, &own, &e, err));
    EQ_TRY(eq_predictions_write(csv.s, &e, err));
    EQ_TRY(describe(&p, name, path.s, own.eval.phases, row, err));
    add_metrics(row, &e.metrics);
    if (strcmp(name, "fp32") != 0)
        EQ_TRY(compare_with_fp32(cfg, &e, row, err));
    EQ_TRY(measure_latency(&p, ds, &own, row, err));
    struct cJSON *give = row;
    row = NULL;
    EQ_TRY(eq_results_put_model(cfg->run.dir, give, err));
    EQ_TRY(put_median_row(cfg, ds, &e, err));
    EQ_TRY(eq_skipped_record(cfg->run.dir, ds, err));
out:
    cJSON_Delete(row);
    eq_evaluation_clear(&e);
    eq_predictor_close(&p);
    eq_str_clear(&path);
    eq_str_clear(&csv);
    return st;
}
