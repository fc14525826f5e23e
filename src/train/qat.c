/* Quantization-aware training: fake-quant on the trained baseline, starting from the ranges of PTQ or of a
 * calibration. Batch-norm statistics and ranges freeze on schedule. The start and every epoch validate the integer
 * model that would be shipped; the best of them is. */
#include "train/finetune.h"
#include "echoquant/ptq.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

struct qat {
    const struct eq_config *cfg;
    const struct eq_dataset *ds;
    const char *model_path; /* of the baseline; NULL: that of the run */
    char start[64];         /* source of the first activation ranges */
    size_t clips;           /* that calibrated; 0: the ranges are those of PTQ's file */
};

/* epoch: after which the model is; 0: the start. *out: free with free(). */
static enum eq_status recipe(const struct qat *qat, int epoch, char **out, struct eq_err *err)
{
    const struct eq_config *cfg = qat->cfg;
    struct eq_str text = {0};
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "qat_method", eq_qat_method_names[cfg->qat.method]);
    cJSON_AddNumberToObject(o, "weight_bits", cfg->qat.weight_bits);
    if (cfg->qat.arithmetic != EQ_ARITHMETIC_DIRECT) /* recipes of earlier versions have none */
        cJSON_AddStringToObject(o, "arithmetic", eq_arithmetic_names[cfg->qat.arithmetic]);
    cJSON_AddNumberToObject(o, "epochs", cfg->qat.epochs);
    cJSON_AddNumberToObject(o, "kept_epoch", epoch);
    cJSON_AddNumberToObject(o, "distill", cfg->qat.distill);
    cJSON_AddStringToObject(o, "start", qat->start);
    if (qat->clips)
        cJSON_AddNumberToObject(o, "clips", (double)qat->clips);
    enum eq_status st = eq_json_print_line(&text, o, err);
    cJSON_Delete(o);
    *out = text.s;
    return st;
}

static enum eq_status lower(void *ctx, const struct eq_graph *g, int epoch, struct eq_qmodel **out, struct eq_err *err)
{
    enum eq_status st;
    const struct qat *qat = ctx;
    struct eq_graph *copy = NULL;
    char *made_by = NULL;
    EQ_TRY(recipe(qat, epoch, &made_by, err));
    EQ_TRY(eq_graph_clone(g, &copy, err));
    EQ_TRY(eq_update_weight_qparams(copy, err));
    EQ_TRY(eq_lower_int8(copy, "qat", out, err));
    snprintf((*out)->observer, sizeof(*out)->observer, "%s", eq_scale_rules[qat->cfg->qat.method]->observer);
    (*out)->recipe = made_by;
    made_by = NULL;
out:
    free(made_by);
    eq_graph_free(copy);
    return st;
}

/* The parts of the error: against the same weights without rounding, as for PTQ. */
static enum eq_status study(void *ctx, const struct eq_graph *g, struct eq_err *err)
{
    enum eq_status st;
    const struct qat *qat = ctx;
    struct eq_graph *copy = NULL, *folded = NULL;
    struct eq_calibration clips = {0};
    const char *name = eq_phase_model(EQ_PHASE_QAT)->name;
    char *path = eq_quantization_path(qat->cfg->run.dir, name);
    EQ_TRY(eq_graph_clone(g, &copy, err));
    EQ_TRY(eq_update_weight_qparams(copy, err));
    EQ_TRY(eq_fold_batchnorm(copy, &folded, err));
    EQ_TRY(eq_parts_open(qat->cfg, qat->ds, &clips, err));
    EQ_TRY(eq_parts_write(path, name, &clips, folded, folded, err));
out:
    eq_calibration_close(&clips);
    eq_graph_free(folded);
    eq_graph_free(copy);
    free(path);
    return st;
}

/* ---- the start ----------------------------------------------------------- */

static enum eq_status start_from(struct qat *qat, struct eq_graph *g, const char *path, struct eq_err *err)
{
    struct eq_qmodel *m = NULL;
    uint64_t hash;
    enum eq_status st;
    EQ_TRY(eq_qmodel_load(path, &m, err));
    if (strcmp(m->method, "ptq") != 0 || m->meta.frames != g->meta.frames || m->meta.size != g->meta.size)
        EQ_TRY(eq_fail(err, EQ_USAGE, "it was made by %s for %d frames of %d pixels; the baseline has %d of %d",
                       m->method, m->meta.frames, m->meta.size, g->meta.frames, g->meta.size));
    EQ_TRY(eq_check_zero_channels(g, qat->cfg->ptq.zero_channels, err));
    EQ_TRY(eq_start_from_qmodel(g, m, err));
    EQ_TRY(eq_hash64_file(path, &hash, err));
    snprintf(qat->start, sizeof qat->start, "ptq.safetensors, hash %016llx", (unsigned long long)hash);
    eq_info("activation ranges start from %s", path);
out:
    eq_qmodel_free(m);
    return st;
}

/* Of activations; folding keeps the indices. fq -1: there is none. */
static void take_qparams(struct eq_graph *g, const struct eq_graph *folded, int fq)
{
    for (int c = 0; fq >= 0 && c < g->fake_quants[fq].channels; c++) {
        g->fake_quants[fq].scale[c] = folded->fake_quants[fq].scale[c];
        g->fake_quants[fq].zero_point[c] = folded->fake_quants[fq].zero_point[c];
        g->fake_quants[fq].enabled = true;
    }
}

/* Calibrates the folded graph, as PTQ does, so that the ranges equal those of PTQ with the same settings to the bit. */
static enum eq_status calibrate(struct qat *qat, struct eq_graph *g, const struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *folded = NULL;
    struct eq_calibration clips = {0};
    EQ_TRY(eq_fold_batchnorm(g, &folded, err));
    EQ_TRY(eq_calibration_open(qat->cfg, ds, &clips, err));
    EQ_TRY(eq_calibrate_on(&clips, &qat->cfg->ptq, folded, &qat->clips, NULL, err));
    for (int i = 0; i < g->n_nodes; i++) {
        take_qparams(g, folded, g->nodes[i].edge_fq);
        take_qparams(g, folded, g->nodes[i].point_fq);
    }
    EQ_TRY(eq_update_weight_qparams(g, err));
    snprintf(qat->start, sizeof qat->start, "calibrated, %s", eq_observer_names[qat->cfg->ptq.observer]);
out:
    eq_calibration_close(&clips);
    eq_graph_free(folded);
    return st;
}

/* The ranges of PTQ save a calibration. The bits of the run are the same either way, unless ptq.search or other
 * settings made the file; therefore the recipe and the signature record the start. */
static enum eq_status find_start(struct qat *qat, struct eq_graph *g, const struct eq_dataset *ds, struct eq_err *err)
{
    const struct eq_config *cfg = qat->cfg;
    struct eq_err why = {0};
    char *path = eq_run_model_path(cfg->run.dir, eq_phase_model(EQ_PHASE_PTQ)->name, NULL);
    bool there;
    enum eq_status st;
    EQ_TRY(eq_path_look(path, &there, err));
    if (cfg->qat.start == EQ_QAT_START_PTQ && !there)
        EQ_TRY(eq_fail(err, EQ_IO, "%s is missing: run `echoquant ptq` first, or set qat.start = auto", path));
    if (there && cfg->qat.start != EQ_QAT_START_CALIBRATE) {
        st = start_from(qat, g, path, &why);
        if (st == EQ_OK)
            goto out;
        if (cfg->qat.start == EQ_QAT_START_PTQ || st == EQ_NOMEM || st == EQ_IO)
            EQ_TRY(eq_fail(err, st, "cannot start QAT from %s: %s", path, why.msg));
        eq_info("cannot start QAT from %s (%s): calibrating", path, why.msg);
    }
    EQ_TRY(calibrate(qat, g, ds, err));
out:
    free(path);
    return st;
}

/* Adds fake-quant to the graph of the baseline, and the rule that moves its scales. */
static enum eq_status make_start(struct qat *qat, struct eq_graph *g, void **scales, struct eq_err *err)
{
    const struct eq_config *cfg = qat->cfg;
    EQ_CHECK(eq_prepare_fake_quant_for(g, cfg->qat.weight_bits, cfg->qat.arithmetic, err));
    EQ_CHECK(find_start(qat, g, qat->ds, err));
    return eq_scale_rules[cfg->qat.method]->open(g, cfg->ptq.averaging, scales, err);
}

/* Makes the start again: by now the training has changed its graph. */
static enum eq_status study_start(void *ctx, struct eq_err *err)
{
    enum eq_status st;
    struct qat *qat = ctx;
    struct eq_graph *g = NULL;
    void *scales = NULL;
    EQ_TRY(eq_load_baseline(qat->cfg, qat->model_path, &g, err));
    EQ_TRY(eq_fuse(g, err));
    EQ_TRY(make_start(qat, g, &scales, err));
    EQ_TRY(study(qat, g, err));
out:
    eq_scale_rules[qat->cfg->qat.method]->close(scales);
    eq_graph_free(g);
    return st;
}

static enum eq_status prepare(void *ctx, struct eq_train_job *job, struct eq_str *signature, struct eq_err *err)
{
    struct qat *qat = ctx;
    EQ_CHECK(make_start(qat, job->graph, &job->scales, err));
    eq_str_add(signature, EQ_SIGNATURE_START "%s\n", qat->start);
    job->rule = eq_scale_rules[qat->cfg->qat.method];
    job->lower = lower;
    job->study = study;
    job->study_start = study_start;
    job->ctx = qat;
    return EQ_OK;
}

static const char *const shaping[] = {
    "data.frames",  "data.size",          "model.width",   "run.seed",        "train.flip",
    "train.shift",  "train.random_phase", "train.loss",    "train.grad_clip", "qat",
    "ptq.observer", "ptq.percentile",     "ptq.averaging", "ptq.clips",       NULL};

enum eq_status eq_run_qat(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err)
{
    struct qat qat = {.cfg = cfg, .ds = ds, .model_path = model_path};
    struct eq_finetune f = {.cfg = cfg,
                            .ds = ds,
                            .name = eq_phase_model(EQ_PHASE_QAT)->name,
                            .model_path = model_path,
                            .shaping = shaping,
                            .prepare = prepare,
                            .ctx = &qat};
    return eq_finetune(&f, err);
}
