/* Quantization-aware training: fake-quant on the trained graph, started from the baseline and from calibrated ranges;
 * batch-norm statistics and observers freeze on schedule; every epoch validates the integer model that would be
 * shipped. */
#include "run/calibration.h"
#include "run/finetune.h"

#include <stdlib.h>

struct qat_job {
    const struct eq_config *cfg;
    struct eq_graph *graph;
    struct eq_qat_observers *observers;
};

static enum eq_status enter_epoch(void *ctx, struct eq_trainer *t, int epoch, struct eq_err *err)
{
    struct qat_job *job = ctx;
    (void)err;
    eq_finetune_freeze_bn(job->cfg, t->graph, epoch);
    eq_qat_observers_freeze(job->observers, eq_finetune_frozen(job->cfg->qat.freeze_observer_epoch, epoch));
    return EQ_OK;
}

/* The weights moved: their scales follow. */
static enum eq_status before_forward(void *ctx, struct eq_trainer *t, struct eq_err *err)
{
    (void)ctx;
    enum eq_status st = eq_update_weight_qparams(t->graph, err);
    eq_exec_weights_changed(t->exec);
    return st;
}

static enum eq_status lower(const struct eq_graph *g, struct eq_qmodel **out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *copy = NULL;
    EQ_TRY(eq_graph_clone(g, &copy, err));
    EQ_TRY(eq_update_weight_qparams(copy, err));
    EQ_TRY(eq_lower_int8(copy, "qat", out, err));
    snprintf((*out)->observer, sizeof(*out)->observer, "%s", eq_observer_names[EQ_OBSERVER_MOVING_AVERAGE]);
out:
    eq_graph_free(copy);
    return st;
}

static enum eq_status open_predictor(void *ctx, const struct eq_graph *g, struct eq_predictor *p, struct eq_err *err)
{
    (void)ctx;
    struct eq_qmodel *m;
    enum eq_status st = lower(g, &m, err);
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
    return eq_qat_observers_state_size(((struct qat_job *)ctx)->observers);
}

static void get_extra(void *ctx, float *extra)
{
    eq_qat_observers_get_state(((struct qat_job *)ctx)->observers, extra);
}

static void set_extra(void *ctx, const float *extra)
{
    eq_qat_observers_set_state(((struct qat_job *)ctx)->observers, extra);
}

static void add_signature(const struct qat_job *job, const struct eq_dataset *ds, struct eq_str *out)
{
    const struct eq_config *cfg = job->cfg;
    eq_finetune_signature(cfg, ds, job->graph, out);
    eq_str_add(out, "qat.freeze_observer_epoch=%d\n", cfg->qat.freeze_observer_epoch);
    eq_str_add(out, "ptq.observer=%d\nptq.percentile=%.17g\nptq.averaging=%.17g\nptq.clips=%d\n", cfg->ptq.observer,
               cfg->ptq.percentile, cfg->ptq.averaging, cfg->ptq.clips);
}

/* The baseline's graph with fake-quant whose ranges come from calibration, and observers that go on from there. */
static enum eq_status prepare(struct qat_job *job, const struct eq_dataset *ds, const char *model_path,
                              struct eq_err *err)
{
    enum eq_status st;
    struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = job->cfg->ptq.averaging};
    EQ_TRY(eq_load_baseline(job->cfg, model_path, &job->graph, err));
    EQ_TRY(eq_fuse(job->graph, err));
    EQ_TRY(eq_prepare_fake_quant(job->graph, 8, err));
    EQ_TRY(eq_calibrate_graph(job->graph, job->cfg, ds, err));
    EQ_TRY(eq_qat_observers_new(job->graph, &opts, &job->observers, err));
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
                            .graph = job.graph,
                            .ops = {.enter_epoch = enter_epoch,
                                    .before_forward = before_forward,
                                    .open_predictor = open_predictor,
                                    .save = save,
                                    .extra_size = extra_size,
                                    .get_extra = get_extra,
                                    .set_extra = set_extra,
                                    .ctx = &job},
                            .hook = eq_qat_observers_hook(job.observers),
                            .signature = signature.s};
    EQ_TRY(eq_finetune_run(&f, err));
out:
    eq_qat_observers_free(job.observers);
    eq_graph_free(job.graph);
    eq_str_clear(&signature);
    return st;
}
