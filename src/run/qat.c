/* Quantization-aware training: fake-quant on the trained graph, started from the baseline and from calibrated ranges;
 * batch-norm statistics and observers freeze on schedule; every epoch validates the integer model that would be
 * shipped. */
#include "run/calibration.h"
#include "run/trainer.h"

#include <stdlib.h>
#include <string.h>

struct qat_job {
    const struct eq_config *cfg;
    struct eq_graph *graph;
    struct eq_qat_observers *observers;
};

static bool frozen_from(int first_epoch, int epoch)
{
    return first_epoch > 0 && epoch + 1 >= first_epoch;
}

static enum eq_status enter_epoch(void *ctx, struct eq_trainer *t, int epoch, struct eq_err *err)
{
    struct qat_job *job = ctx;
    (void)err;
    bool freeze_bn = frozen_from(job->cfg->qat.freeze_bn_epoch, epoch);
    for (int i = 0; i < t->graph->n_nodes; i++)
        if (t->graph->nodes[i].op == EQ_OP_BATCHNORM)
            t->graph->nodes[i].bn_frozen = freeze_bn;
    eq_qat_observers_freeze(job->observers, frozen_from(job->cfg->qat.freeze_observer_epoch, epoch));
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

static char *signature(const struct eq_config *cfg, const struct eq_dataset *ds, const struct eq_graph *baseline)
{
    struct eq_str s = {0};
    uint64_t hash = 0;
    for (int i = 0; i < baseline->n_params; i++)
        hash = hash * 31 + eq_hash64(baseline->params[i].data, baseline->params[i].n * sizeof(float));
    eq_signature_data(cfg, &s);
    eq_str_add(&s, "baseline=%016llx\n", (unsigned long long)hash);
    eq_str_add(&s, "qat.epochs=%d\nqat.batch=%d\nqat.lr=%.17g\nqat.weight_decay=%.17g\n", cfg->qat.epochs,
               cfg->qat.batch, cfg->qat.lr, cfg->qat.weight_decay);
    eq_str_add(&s, "qat.freeze_bn_epoch=%d\nqat.freeze_observer_epoch=%d\n", cfg->qat.freeze_bn_epoch,
               cfg->qat.freeze_observer_epoch);
    eq_str_add(&s, "ptq.observer=%d\nptq.percentile=%.17g\nptq.averaging=%.17g\nptq.clips=%d\n", cfg->ptq.observer,
               cfg->ptq.percentile, cfg->ptq.averaging, cfg->ptq.clips);
    eq_str_add(&s, "train.loss=%d\n", cfg->train.loss);
    eq_signature_clips(ds, &s);
    return s.s;
}

static struct eq_trainer_opts trainer_opts(const struct eq_config *cfg, char *sig)
{
    return (struct eq_trainer_opts){
        .name = "qat",
        .dir = cfg->run.dir,
        .epochs = cfg->qat.epochs,
        .batch = cfg->qat.batch,
        .accumulate = 1,
        .optim = {.kind = EQ_OPTIM_ADAMW,
                  .lr = cfg->qat.lr,
                  .weight_decay = cfg->qat.weight_decay,
                  .beta1 = 0.9,
                  .beta2 = 0.999,
                  .eps = 1e-8},
        .schedule = EQ_SCHEDULE_COSINE,
        .loss = (enum eq_loss)cfg->train.loss,
        .grad_clip = cfg->train.grad_clip,
        .signature = sig,
    };
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
    struct eq_trainer t = {0};
    struct eq_loader *train = NULL, *val = NULL;
    char *path = eq_path_join(cfg->run.dir, "qat.safetensors"), *sig = NULL;
    EQ_TRY(eq_run_make_dirs(cfg->run.dir, err));
    EQ_TRY(prepare(&job, ds, model_path, err));
    EQ_TRY(eq_run_loader(cfg, ds, EQ_SPLIT_TRAIN, true, cfg->qat.batch, &train, err));
    EQ_TRY(eq_run_loader(cfg, ds, EQ_SPLIT_VAL, false, 1, &val, err));
    sig = signature(cfg, ds, job.graph);
    struct eq_trainer_opts opts = trainer_opts(cfg, sig);
    struct eq_trainer_ops ops = {.enter_epoch = enter_epoch,
                                 .before_forward = before_forward,
                                 .open_predictor = open_predictor,
                                 .save = save,
                                 .extra_size = extra_size,
                                 .get_extra = get_extra,
                                 .set_extra = set_extra,
                                 .ctx = &job};
    struct eq_loader *give_train = train, *give_val = val;
    train = val = NULL;
    EQ_TRY(eq_trainer_init(&t, &opts, &ops, job.graph, ds, give_train, give_val, err));
    struct eq_walk_hook hook = eq_qat_observers_hook(job.observers);
    eq_exec_set_hook(t.exec, &hook);
    EQ_TRY(eq_trainer_run(&t, path, err));
    eq_info("wrote %s", path);
out:
    eq_trainer_clear(&t);
    eq_loader_free(train);
    eq_loader_free(val);
    eq_qat_observers_free(job.observers);
    eq_graph_free(job.graph);
    free(path);
    free(sig);
    return st;
}
