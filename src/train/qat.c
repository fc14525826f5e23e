/* Quantization-aware training: fake-quant on the trained graph, started from the baseline and from PTQ's or calibrated
 * ranges; batch-norm statistics and ranges freeze on schedule; every epoch validates the integer model that would be
 * shipped. */
#include "train/finetune.h"
#include "echoquant/ptq.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* What moves the scales while the weights train: observers and the weights themselves (STE), or gradients (LSQ). */
struct qat_job {
    const struct eq_config *cfg;
    struct eq_graph *graph;
    struct eq_qat_observers *observers; /* STE */
    struct eq_lsq *lsq;                 /* LSQ */
    char start[64];                     /* where activation ranges started */
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
    return job->lsq ? eq_lsq_step(job->lsq, job->cfg->qat.scale_lr * lr / t->opts.optim.lr, err) : EQ_OK;
}

/* *out: free with free(). */
static enum eq_status recipe(const struct qat_job *job, char **out, struct eq_err *err)
{
    const struct eq_config *cfg = job->cfg;
    struct eq_str text = {0};
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "qat_method", is_lsq(cfg) ? "lsq" : "ste");
    cJSON_AddNumberToObject(o, "weight_bits", cfg->qat.weight_bits);
    cJSON_AddNumberToObject(o, "epochs", cfg->qat.epochs);
    cJSON_AddNumberToObject(o, "distill", cfg->qat.distill);
    cJSON_AddStringToObject(o, "start", job->start);
    enum eq_status st = eq_json_print_line(&text, o, err);
    cJSON_Delete(o);
    *out = text.s;
    return st;
}

static enum eq_status lower(const struct qat_job *job, const struct eq_graph *g, struct eq_qmodel **out,
                            struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *copy = NULL;
    char *made_by = NULL;
    EQ_TRY(recipe(job, &made_by, err));
    EQ_TRY(eq_graph_clone(g, &copy, err));
    EQ_TRY(eq_update_weight_qparams(copy, err));
    EQ_TRY(eq_lower_int8(copy, "qat", out, err));
    snprintf((*out)->observer, sizeof(*out)->observer, "%s",
             job->lsq ? "lsq" : eq_observer_names[EQ_OBSERVER_MOVING_AVERAGE]);
    (*out)->recipe = made_by;
    made_by = NULL;
out:
    free(made_by);
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
    return eq_qmodel_save(path, p->qmodel, err);
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

static const char *const shaping[] = {
    "data.frames",  "data.size",          "model.width",   "run.seed",        "train.flip",
    "train.shift",  "train.random_phase", "train.loss",    "train.grad_clip", "qat",
    "ptq.observer", "ptq.percentile",     "ptq.averaging", "ptq.clips",       NULL};

/* ---- the start ----------------------------------------------------------- */

static enum eq_status start_from(struct qat_job *job, const char *path, struct eq_err *err)
{
    struct eq_qmodel *m = NULL;
    void *file = NULL;
    size_t len;
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
    EQ_TRY(eq_read_file(path, SIZE_MAX, &file, &len, err));
    snprintf(job->start, sizeof job->start, "ptq.safetensors, hash %016llx", (unsigned long long)eq_hash64(file, len));
    eq_info("activation ranges start from %s", path);
out:
    eq_free(file);
    eq_qmodel_free(m);
    return st;
}

/* Calibrates what PTQ does, the folded graph, so that the ranges are to the bit those of PTQ by the same settings. */
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
    const struct eq_observer_opts used = eq_observer_opts_of(job->cfg);
    snprintf(job->start, sizeof job->start, "calibrated, %s", eq_observer_names[used.kind]);
out:
    eq_graph_free(folded);
    return st;
}

/* Taking PTQ's ranges saves the calibration. The run has the same bits either way, unless ptq.search or other settings
 * made the file: so the recipe and the state's signature note the start. */
static enum eq_status find_start(struct qat_job *job, const struct eq_dataset *ds, struct eq_err *err)
{
    const struct eq_config *cfg = job->cfg;
    struct eq_err why = {0};
    char *path = eq_path_join(cfg->run.dir, "ptq.safetensors");
    bool there;
    enum eq_status st;
    EQ_TRY(eq_path_look(path, &there, err));
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
    eq_finetune_signature(cfg, ds, job.graph, shaping, &signature);
    eq_str_add(&signature, EQ_SIGNATURE_START "%s\n", job.start);
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
