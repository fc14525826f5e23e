/* Quantization-aware training: fake-quant on the trained graph, started from the baseline and from PTQ's or calibrated
 * ranges; batch-norm statistics and ranges freeze on schedule; every epoch validates the integer model that would be
 * shipped. */
#include "run/calibration.h"
#include "run/finetune.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* What moves the scales while the weights train: observers and the weights themselves (STE), or gradients (LSQ). */
struct qat_job {
    const struct eq_config *cfg;
    struct eq_graph *graph;
    struct eq_qat_observers *observers; /* STE */
    struct eq_lsq *lsq;                 /* LSQ */
};

static bool is_lsq(const struct eq_config *cfg)
{
    return cfg->qat.method == EQ_QAT_LSQ;
}

static enum eq_status enter_epoch(void *ctx, struct eq_trainer *t, int epoch, struct eq_err *err)
{
    struct qat_job *job = ctx;
    (void)err;
    bool frozen = eq_finetune_frozen(job->cfg->qat.freeze_observer_epoch, epoch);
    eq_finetune_freeze_bn(job->cfg, t->graph, epoch);
    if (job->lsq)
        eq_lsq_hold_edges(job->lsq, frozen);
    else
        eq_qat_observers_freeze(job->observers, frozen);
    return EQ_OK;
}

/* The weights moved: their scales follow, unless they are learned. */
static enum eq_status before_forward(void *ctx, struct eq_trainer *t, struct eq_err *err)
{
    (void)ctx;
    enum eq_status st = eq_update_weight_qparams(t->graph, err);
    eq_exec_weights_changed(t->exec);
    return st;
}

static enum eq_status after_step(void *ctx, struct eq_trainer *t, double lr, struct eq_err *err)
{
    const struct qat_job *job = ctx;
    return job->lsq ? eq_lsq_step(job->lsq, t->exec, job->cfg->qat.scale_lr * lr / t->opts.optim.lr, err) : EQ_OK;
}

static char *recipe(const struct eq_config *cfg)
{
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "qat_method", is_lsq(cfg) ? "lsq" : "ste");
    cJSON_AddNumberToObject(o, "weight_bits", cfg->qat.weight_bits);
    cJSON_AddNumberToObject(o, "epochs", cfg->qat.epochs);
    cJSON_AddNumberToObject(o, "distill", cfg->qat.distill);
    char *text = cJSON_PrintUnformatted(o), *copy = text ? eq_strdup(text) : NULL;
    cJSON_free(text);
    cJSON_Delete(o);
    return copy;
}

static enum eq_status lower(const struct qat_job *job, const struct eq_graph *g, struct eq_qmodel **out,
                            struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *copy = NULL;
    EQ_TRY(eq_graph_clone(g, &copy, err));
    EQ_TRY(eq_update_weight_qparams(copy, err));
    EQ_TRY(eq_lower_int8(copy, "qat", out, err));
    snprintf((*out)->observer, sizeof(*out)->observer, "%s",
             job->lsq ? "lsq" : eq_observer_names[EQ_OBSERVER_MOVING_AVERAGE]);
    (*out)->recipe = recipe(job->cfg);
out:
    eq_graph_free(copy);
    return st;
}

static enum eq_status open_predictor(void *ctx, const struct eq_graph *g, struct eq_predictor *p, struct eq_err *err)
{
    struct eq_qmodel *m;
    enum eq_status st = lower(ctx, g, &m, err);
    return st == EQ_OK ? eq_predictor_from_qmodel(p, m, 1, err) : st;
}

/* What was validated is what is written: the predictor holds the lowered model. */
static enum eq_status save(void *ctx, const struct eq_graph *g, const struct eq_predictor *p, const char *path,
                           struct eq_err *err)
{
    (void)ctx, (void)g;
    return eq_qmodel_save(path, eq_predictor_qmodel(p), err);
}

static size_t extra_size(void *ctx)
{
    const struct qat_job *job = ctx;
    return job->lsq ? eq_lsq_state_size(job->lsq) : eq_qat_observers_state_size(job->observers);
}

static void get_extra(void *ctx, float *extra)
{
    const struct qat_job *job = ctx;
    if (job->lsq)
        eq_lsq_get_state(job->lsq, extra);
    else
        eq_qat_observers_get_state(job->observers, extra);
}

static void set_extra(void *ctx, const float *extra)
{
    const struct qat_job *job = ctx;
    if (job->lsq)
        eq_lsq_set_state(job->lsq, extra);
    else
        eq_qat_observers_set_state(job->observers, extra);
}

static void add_signature(const struct qat_job *job, const struct eq_dataset *ds, struct eq_str *out)
{
    const struct eq_config *cfg = job->cfg;
    eq_finetune_signature(cfg, ds, job->graph, out);
    eq_str_add(out, "qat.method=%d\nqat.weight_bits=%d\nqat.scale_lr=%.17g\nqat.start=%d\n", cfg->qat.method,
               cfg->qat.weight_bits, cfg->qat.scale_lr, cfg->qat.start);
    eq_str_add(out, "qat.freeze_observer_epoch=%d\n", cfg->qat.freeze_observer_epoch);
    eq_str_add(out, "ptq.observer=%d\nptq.percentile=%.17g\nptq.averaging=%.17g\nptq.clips=%d\n", cfg->ptq.observer,
               cfg->ptq.percentile, cfg->ptq.averaging, cfg->ptq.clips);
}

/* ---- the start ----------------------------------------------------------- */

static enum eq_status start_from(struct qat_job *job, const char *path, struct eq_err *err)
{
    struct eq_qmodel *m = NULL;
    enum eq_status st;
    EQ_TRY(eq_qmodel_load(path, &m, err));
    if (strcmp(m->method, "ptq") != 0 || m->meta.frames != job->graph->meta.frames ||
        m->meta.size != job->graph->meta.size) {
        st = eq_fail(err, EQ_USAGE, "a model by %s for %d frames of %d pixels; the baseline has %d of %d", m->method,
                     m->meta.frames, m->meta.size, job->graph->meta.frames, job->graph->meta.size);
        goto out;
    }
    EQ_TRY(eq_check_zero_channels(job->graph, job->cfg, err));
    EQ_TRY(eq_start_from_qmodel(job->graph, m, err));
    eq_info("activation ranges start from %s", path);
out:
    eq_qmodel_free(m);
    return st;
}

/* Calibrates what PTQ does, the folded graph, so that the ranges are PTQ's to the bit. */
static enum eq_status calibrate(struct qat_job *job, const struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *folded = NULL;
    EQ_TRY(eq_fold_batchnorm(job->graph, &folded, err));
    EQ_TRY(eq_calibrate_graph(folded, job->cfg, ds, err));
    for (int i = 0; i < job->graph->n_nodes; i++) {
        int edge = job->graph->nodes[i].edge_fq; /* folding keeps the indices */
        if (edge < 0)
            continue;
        job->graph->fake_quants[edge].scale[0] = folded->fake_quants[edge].scale[0];
        job->graph->fake_quants[edge].zero_point[0] = folded->fake_quants[edge].zero_point[0];
        job->graph->fake_quants[edge].enabled = true;
    }
    EQ_TRY(eq_update_weight_qparams(job->graph, err));
out:
    eq_graph_free(folded);
    return st;
}

/* Taking PTQ's ranges saves the calibration; the run has the same bits either way. */
static enum eq_status find_start(struct qat_job *job, const struct eq_dataset *ds, struct eq_err *err)
{
    const struct eq_config *cfg = job->cfg;
    struct eq_err why = {0};
    char *path = eq_path_join(cfg->run.dir, "ptq.safetensors");
    bool there = eq_path_exists(path);
    enum eq_status st = EQ_OK;
    if (cfg->qat.start == EQ_QAT_START_PTQ && !there) {
        st = eq_fail(err, EQ_IO, "%s is missing: run `echoquant ptq` first, or go on with qat.start = auto", path);
        goto out;
    }
    if (there && cfg->qat.start != EQ_QAT_START_CALIBRATE) {
        st = start_from(job, path, &why);
        if (st == EQ_OK)
            goto out;
        if (cfg->qat.start == EQ_QAT_START_PTQ || st == EQ_NOMEM) {
            st = eq_fail(err, st, "%s can't be the start of QAT: %s", path, why.msg);
            goto out;
        }
        eq_info("%s can't be the start of QAT (%s): calibrating", path, why.msg);
    }
    EQ_TRY(calibrate(job, ds, err));
out:
    free(path);
    return st;
}

/* The baseline's graph with fake-quant, and what moves its scales from here on. */
static enum eq_status prepare(struct qat_job *job, const struct eq_dataset *ds, const char *model_path,
                              struct eq_err *err)
{
    enum eq_status st;
    struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = job->cfg->ptq.averaging};
    EQ_TRY(eq_load_baseline(job->cfg, model_path, &job->graph, err));
    EQ_TRY(eq_fuse(job->graph, err));
    EQ_TRY(eq_prepare_fake_quant(job->graph, job->cfg->qat.weight_bits, err));
    EQ_TRY(find_start(job, ds, err));
    if (is_lsq(job->cfg)) {
        EQ_TRY(eq_prepare_lsq(job->graph, err));
        EQ_TRY(eq_lsq_new(job->graph, &job->lsq, err));
    } else {
        EQ_TRY(eq_qat_observers_new(job->graph, &opts, &job->observers, err));
    }
out:
    return st;
}

enum eq_status eq_run_qat(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err)
{
    enum eq_status st;
    struct qat_job job = {.cfg = cfg};
    struct eq_str signature = {0};
    EQ_TRY(eq_run_make_dirs(cfg->run.dir, err));
    EQ_TRY(prepare(&job, ds, model_path, err));
    add_signature(&job, ds, &signature);
    struct eq_finetune f = {.cfg = cfg,
                            .ds = ds,
                            .name = "qat",
                            .model_path = model_path,
                            .graph = job.graph,
                            .ops = {.enter_epoch = enter_epoch,
                                    .before_forward = before_forward,
                                    .after_step = after_step,
                                    .open_predictor = open_predictor,
                                    .save = save,
                                    .extra_size = extra_size,
                                    .get_extra = get_extra,
                                    .set_extra = set_extra,
                                    .ctx = &job},
                            .signature = signature.s};
    if (job.observers)
        f.hook = eq_qat_observers_hook(job.observers);
    EQ_TRY(eq_finetune_run(&f, err));
out:
    eq_qat_observers_free(job.observers);
    eq_lsq_free(job.lsq);
    eq_graph_free(job.graph);
    eq_str_clear(&signature);
    return st;
}
