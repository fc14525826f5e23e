/* One model's row of results.json: metrics on the test and the validation split, size on disk. */
#include "echoquant/dist.h"
#include "run/run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* m: on the test split; val: on the validation split, with 0 clips if there is none. digest: of the data, borrowed. */
static void set_metrics(struct eq_result *row, const char *digest, const struct eq_metrics *m,
                        const struct eq_metrics *val)
{
    row->data = digest;
    row->mae = m->mae;
    row->rmse = m->rmse;
    row->r2 = m->r2;
    row->bias = m->bias;
    row->clips = (double)m->clips;
    if (val->clips > 0) {
        row->val_mae = val->mae;
        row->val_bias = val->bias;
        row->val_clips = (double)val->clips;
    }
}

/* Of always predicting the same EF. split: the clips. NaN for none. */
static enum eq_status metrics_of_constant(const struct eq_dataset *ds, enum eq_split split, double ef,
                                          struct eq_metrics *out, struct eq_err *err)
{
    double *pred = eq_alloc(2 * ds->n + 1, sizeof *pred), *target = pred + ds->n;
    size_t n = 0;
    if (!pred)
        return eq_fail(err, EQ_NOMEM, "out of memory for the metrics of %zu clips", ds->n);
    for (size_t i = 0; i < ds->n; i++)
        if (ds->samples[i].split == split) {
            pred[n] = ef;
            target[n++] = ds->samples[i].ef;
        }
    *out = eq_metrics_compute(pred, target, n);
    eq_free(pred);
    return EQ_OK;
}

/* The row of always predicting the median EF of the training clips, on the same clips. */
static enum eq_status put_median_row(struct eq_results *results, const char *digest, const struct eq_dataset *ds,
                                     struct eq_err *err)
{
    size_t n = 0;
    double *ef = eq_alloc(ds->n + 1, sizeof *ef);
    struct eq_metrics test, val;
    struct eq_result row = eq_result_of(NULL);
    if (!ef)
        return eq_fail(err, EQ_NOMEM, "out of memory for the training EFs");
    for (size_t i = 0; i < ds->n; i++)
        if (ds->samples[i].split == EQ_SPLIT_TRAIN)
            ef[n++] = ds->samples[i].ef;
    row.prediction = eq_median_of(ef, n);
    eq_free(ef);
    if (n == 0)
        return EQ_OK;
    EQ_CHECK(metrics_of_constant(ds, EQ_SPLIT_TEST, row.prediction, &test, err));
    EQ_CHECK(metrics_of_constant(ds, EQ_SPLIT_VAL, row.prediction, &val, err));
    row.model = EQ_MEDIAN_ROW;
    row.precision = "-";
    set_metrics(&row, digest, &test, &val);
    eq_results_put(results, &row);
    return EQ_OK;
}

/* RMS difference of the EF from FP32's, and the variance of FP32's EF over its square in dB, if the run has predictions
 * of FP32 for the same clips. */
static enum eq_status compare_with_fp32(const struct eq_config *cfg, const struct eq_evaluation *e,
                                        struct eq_result *row, struct eq_err *err)
{
    struct eq_evaluation fp32 = {0};
    double sum = 0, squares = 0, error = 0;
    size_t i = 0;
    const struct eq_prediction **partners = NULL;
    char *path = eq_format("%s/predictions/%s.csv", cfg->run.dir, eq_phase_model(EQ_PHASE_TRAIN)->name);
    bool there;
    enum eq_status st = eq_path_look(path, &there, err);
    if (st == EQ_OK && there)
        st = eq_predictions_read(path, &fp32, err);
    if (st == EQ_OK)
        st = eq_evaluation_pair(e, &fp32, &partners, err);
    for (; st == EQ_OK && fp32.n == e->n && i < e->n && partners[i]; i++) {
        const struct eq_prediction *p = partners[i];
        sum += p->prediction;
        squares += p->prediction * p->prediction;
        error += (e->rows[i].prediction - p->prediction) * (e->rows[i].prediction - p->prediction);
    }
    if (i == e->n) {
        double n = (double)e->n;
        row->rms_from_fp32 = sqrt(error / n);
        row->sqnr_db = eq_sqnr_db(squares - sum * sum / n, error);
    }
    eq_free(partners);
    eq_evaluation_clear(&fp32);
    free(path);
    return st;
}

/* Borrows from p, path, sha256 (of that file) and name. */
static enum eq_status describe(const struct eq_predictor *p, const char *name, const char *path, const char *sha256,
                               int phases, struct eq_result *row, struct eq_err *err)
{
    uint64_t bytes;
    const struct eq_qmodel *m = eq_predictor_qmodel(p);
    EQ_CHECK(eq_file_size(path, &bytes, err));
    row->model = name;
    row->precision = p->precision;
    row->size_mb = (double)bytes / 1e6;
    row->file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    row->file_sha256 = sha256;
    row->frames = p->meta.frames;
    row->size = p->meta.size;
    row->phases = phases;
    row->method = m ? m->method : NULL;
    row->observer = m ? m->observer : NULL;
    row->isa = eq_cpu_isa_in_use();
    row->cpu = eq_cpu_model_name();
    row->threads = eq_parallel_threads();
    return EQ_OK;
}

/* The settings with the sampling of the model. */
static struct eq_config config_of_model(const struct eq_config *cfg, const struct eq_model_meta *meta)
{
    struct eq_config c = *cfg;
    c.data.frames = meta->frames;
    c.data.size = meta->size;
    return c;
}

/* The metrics on the validation split, by the arithmetic of the test split; 0 clips without one. */
static enum eq_status validate(struct eq_predictor *p, const struct eq_dataset *ds, const struct eq_config *cfg,
                               struct eq_metrics *out, struct eq_err *err)
{
    struct eq_evaluation e;
    bool any = false;
    *out = (struct eq_metrics){0};
    for (size_t i = 0; i < ds->n && !any; i++)
        any = ds->samples[i].split == EQ_SPLIT_VAL;
    if (!any)
        return EQ_OK;
    enum eq_status st = eq_evaluate(p, ds, EQ_SPLIT_VAL, cfg, &e, err);
    *out = e.metrics;
    eq_evaluation_clear(&e);
    return st;
}

/* The predictions of a device that was lost are kept beside those of an earlier evaluation. */
static void keep_partial(const char *path, const struct eq_evaluation *e, struct eq_err *err)
{
    struct eq_err why;
    char *lost = eq_strdup(err->msg);
    if (eq_predictions_write(path, e, &why) == EQ_OK)
        eq_fail(err, EQ_IO, "%s. The predictions of %zu clip%s so far are in %s", lost, e->n, eq_plural((double)e->n),
                path);
    else
        eq_fail(err, EQ_IO, "%s. Its predictions of %zu clip%s could not be kept: %s", lost, e->n,
                eq_plural((double)e->n), why.msg);
    free(lost);
}

/* On the device of the run, or the CPU. A device may be lost on the way. */
static enum eq_status evaluate(struct eq_predictor *p, const struct eq_dataset *ds, const struct eq_config *cfg,
                               const char *partial, struct eq_evaluation *e, struct eq_metrics *val, struct eq_err *err)
{
    enum eq_status st = eq_evaluate(p, ds, EQ_SPLIT_TEST, cfg, e, err);
    if (st == EQ_OK)
        st = validate(p, ds, cfg, val, err);
    if (st == EQ_IO && p->device && e->n > 0 && err)
        keep_partial(partial, e, err);
    return st;
}

/* Adds "devices" to a row that has been written. */
static enum eq_status add_devices(const struct eq_evaluated *m, const struct eq_dataset *ds,
                                  const struct eq_run_devices *devices, struct eq_err *err)
{
    struct eq_results results = {0};
    struct cJSON *found = cJSON_CreateObject();
    enum eq_status st;
    EQ_TRY(eq_compare_devices(m, ds, devices, found, err));
    EQ_TRY(eq_results_open(m->cfg->run.dir, &results, err));
    const struct eq_result *there = eq_results_find(&results, m->row);
    if (there) {
        struct eq_result row = *there;
        row.devices = found;
        eq_results_put(&results, &row);
        EQ_TRY(eq_results_write(m->cfg->run.dir, &results, err));
    }
out:
    eq_results_clear(&results);
    cJSON_Delete(found);
    return st;
}

/* What an evaluation made, for its row. */
struct made {
    const char *name, *path, *partial, *digest, *file_sha256; /* digest: of the data */
    enum eq_precision precision;
    const struct eq_config *own; /* with the sampling of the model */
    struct eq_predictor p;
    struct eq_evaluation e;
    struct eq_metrics val;
};

/* Writes the predictions and the row, then what the devices make of the same clips. */
static enum eq_status write_row(const struct eq_config *cfg, const struct eq_dataset *ds,
                                const struct eq_run_devices *devices, struct made *m, struct eq_err *err)
{
    enum eq_status st;
    struct eq_results results = {0};
    struct eq_result row = eq_result_of(NULL);
    struct cJSON *recipe = NULL;
    char row_name[EQ_ROW_NAME], csv_sha256[EQ_SHA256_TEXT];
    char *csv = eq_format("%s/predictions/%s.csv", cfg->run.dir, m->name);
    const struct eq_run_model *baseline = eq_phase_model(EQ_PHASE_TRAIN);
    eq_run_row_name(m->name, row_name);
    EQ_TRY(eq_predictions_write(csv, &m->e, err));
    unlink(m->partial);
    EQ_TRY(eq_sha256_file(csv, csv_sha256, err));
    EQ_TRY(describe(&m->p, row_name, m->path, m->file_sha256, m->own->eval.phases, &row, err));
    row.predictions_sha256 = csv_sha256;
    row.device = m->p.device ? m->p.device->id : "cpu";
    const struct eq_qmodel *made = eq_predictor_qmodel(&m->p);
    row.recipe = recipe = made && made->recipe ? cJSON_Parse(made->recipe) : NULL;
    set_metrics(&row, m->digest, &m->e.metrics, &m->val);
    if (m->p.meta.looks.clips > 0)
        row.unlike = (double)m->e.unlike.n;
    eq_unlike_warn(&m->e.unlike, "test clips", m->e.n);
    if (strcmp(m->name, baseline->name) != 0)
        EQ_TRY(compare_with_fp32(cfg, &m->e, &row, err));
    EQ_TRY(eq_results_open(cfg->run.dir, &results, err));
    eq_results_put(&results, &row);
    EQ_TRY(put_median_row(&results, m->digest, ds, err));
    eq_results_set_skipped(&results, ds);
    EQ_TRY(eq_results_write(cfg->run.dir, &results, err));
    const struct eq_evaluated done = {row_name, m->path, m->precision, m->own, &m->e, eq_device_bound(&m->p)};
    eq_predictor_close(&m->p);
    if (devices && devices->n > 0)
        EQ_TRY(add_devices(&done, ds, devices, err));
out:
    cJSON_Delete(recipe);
    eq_results_clear(&results);
    free(csv);
    return st;
}

/* Before the test split is read. */
static enum eq_status begin(const struct eq_config *cfg, struct eq_err *err)
{
    EQ_CHECK(eq_run_make_dirs(cfg->run.dir, err));
    return eq_results_state_margin(cfg->run.dir, cfg->report.margin, err);
}

enum eq_status eq_run_eval(const struct eq_config *cfg, const struct eq_dataset *ds, const char *name,
                           const char *model_path, const struct eq_run_devices *devices, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    char *path = eq_run_model_path(cfg->run.dir, name, model_path);
    char *partial = eq_format("%s/predictions/%s.partial.csv", cfg->run.dir, name);
    char digest[EQ_SHA256_TEXT], file_sha256[EQ_SHA256_TEXT];
    const struct eq_run_model *known = model_path ? NULL : eq_run_model_named(name);
    struct eq_config own;
    struct made m = {
        .name = name, .path = path, .partial = partial, .digest = digest, .file_sha256 = file_sha256, .own = &own};
    m.precision = known ? known->precision : model_path ? cfg->run.precision : EQ_PRECISION_FP32;
    eq_dataset_digest(ds, digest);
    EQ_TRY(eq_sha256_file(path, file_sha256, err));
    const struct eq_predictor_opts opts = {m.precision, devices ? devices->predicts : NULL, 0, cfg->eval.phases};
    EQ_TRY(eq_predictor_open(&m.p, path, &opts, err));
    own = config_of_model(cfg, &m.p.meta);
    st = eq_first_begin() ? begin(cfg, err) : EQ_OK;
    EQ_TRY(eq_first_end(st, NULL, 0, err));
    EQ_TRY(evaluate(&m.p, ds, &own, partial, &m.e, &m.val, err));
    st = eq_first_begin() ? write_row(cfg, ds, devices, &m, err) : EQ_OK;
    EQ_TRY(eq_first_end(st, NULL, 0, err));
out:
    eq_evaluation_clear(&m.e);
    eq_predictor_close(&m.p);
    free(path);
    free(partial);
    return st;
}

enum eq_status eq_run_record_context(const struct eq_config *cfg, const struct eq_dataset *ds,
                                     const struct eq_run_devices *devices, struct eq_err *err)
{
    struct eq_results r;
    double clips[EQ_SPLIT_COUNT] = {0};
    char digest[EQ_SHA256_TEXT];
    struct cJSON *environment = NULL;
    enum eq_status st;
    eq_dataset_digest(ds, digest);
    EQ_TRY(eq_results_open(cfg->run.dir, &r, err));
    for (size_t i = 0; i < ds->n; i++)
        clips[ds->samples[i].split]++;
    r.data.dir = ds->dir;
    r.data.digest = digest;
    EQ_TRY(eq_run_data_is_synthetic(ds->dir, &r.data.synthetic, err));
    r.data.train = clips[EQ_SPLIT_TRAIN];
    r.data.val = clips[EQ_SPLIT_VAL];
    r.data.test = clips[EQ_SPLIT_TEST];
    r.data.skipped = (double)ds->n_skipped;
    r.data.damaged = (double)ds->n_damaged;
    r.data.split_from_file = ds->split_from_file;
    r.data.patients = (double)ds->n_patients;
    r.data.patients_across_splits = (double)ds->patients_in_two_splits;
    r.data.copies_across_splits = (double)ds->copies_across_splits;
    r.data.file_list_sha256 = ds->list_sha256;
    eq_results_set_environment(&r, environment = eq_environment());
    r.environment.gpu = devices ? devices->gpu.s : NULL;
    EQ_TRY(eq_results_write(cfg->run.dir, &r, err));
out:
    cJSON_Delete(environment);
    eq_results_clear(&r);
    return st;
}
