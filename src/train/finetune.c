/* Further training of the baseline, and the control of QAT (the row FP32+): the same training without fake-quant. Only
 * the control separates the effect of QAT from that of more training. */
#include "train/finetune.h"

struct eq_train_job eq_finetune_job(const struct eq_config *cfg)
{
    return (struct eq_train_job){.cfg = cfg,
                                 .epochs = cfg->qat.epochs,
                                 .batch = cfg->qat.batch,
                                 .accumulate = cfg->qat.accumulate,
                                 .accumulate_key = "qat.accumulate",
                                 .optim = {.kind = EQ_OPTIM_ADAMW,
                                           .lr = cfg->qat.lr,
                                           .weight_decay = cfg->qat.weight_decay,
                                           .beta1 = 0.9,
                                           .beta2 = 0.999,
                                           .eps = 1e-8},
                                 .schedule = EQ_SCHEDULE_COSINE,
                                 .loss = cfg->train.loss,
                                 .grad_clip = cfg->train.grad_clip,
                                 .distill = cfg->qat.distill,
                                 .weigh_start = true,
                                 .freeze_bn_epoch = cfg->qat.freeze_bn_epoch,
                                 .freeze_scales_epoch = cfg->qat.freeze_observer_epoch,
                                 .scale_lr = cfg->qat.scale_lr};
}

/* The unchanged baseline as the teacher of qat.distill. */
static enum eq_status open_teacher(const struct eq_finetune *f, struct eq_predictor *teacher, struct eq_err *err)
{
    struct eq_graph *baseline;
    enum eq_status st = eq_load_baseline(f->cfg, f->model_path, &baseline, err);
    if (st == EQ_OK)
        st = eq_predictor_from_graph(teacher, baseline, EQ_PRECISION_FP32, f->cfg->qat.batch, err);
    eq_graph_free(baseline);
    return st;
}

static void add_baseline(const struct eq_graph *g, struct eq_str *signature)
{
    uint64_t hash = 0;
    for (int i = 0; i < g->n_params; i++)
        hash = hash * 31 + eq_hash64(eq_param_data(&g->params[i]), eq_tensor_bytes(&g->params[i].value));
    eq_str_add(signature, "baseline=%016llx\n", (unsigned long long)hash);
}

enum eq_status eq_finetune(const struct eq_finetune *f, struct eq_err *err)
{
    enum eq_status st;
    struct eq_train_job job = eq_finetune_job(f->cfg);
    struct eq_predictor teacher = {0};
    struct eq_str signature = {0};
    job.ds = f->ds;
    job.name = f->name;
    EQ_TRY(eq_micro_check(&job, err));
    st = eq_first_begin() ? eq_run_make_dirs(f->cfg->run.dir, err) : EQ_OK;
    EQ_TRY(eq_first_end(st, NULL, 0, err));
    EQ_TRY(eq_load_baseline(f->cfg, f->model_path, &job.graph, err));
    EQ_TRY(eq_fuse(job.graph, err));
    eq_signature_add(f->cfg, f->ds, f->shaping, &signature);
    add_baseline(job.graph, &signature);
    if (f->prepare)
        EQ_TRY(f->prepare(f->ctx, &job, &signature, err));
    if (job.distill > 0) {
        EQ_TRY(open_teacher(f, &teacher, err));
        job.teacher = &teacher;
    }
    job.signature = signature.s;
    EQ_TRY(eq_fit(&job, err));
out:
    if (job.rule)
        job.rule->close(job.scales);
    eq_predictor_close(&teacher);
    eq_graph_free(job.graph);
    eq_str_clear(&signature);
    return st;
}

/* Those of QAT without the settings of fake-quant. */
static const char *const shaping[] = {"data.frames",
                                      "data.size",
                                      "model.width",
                                      "run.seed",
                                      "train.flip",
                                      "train.shift",
                                      "train.random_phase",
                                      "train.loss",
                                      "train.grad_clip",
                                      "qat.epochs",
                                      "qat.batch",
                                      "qat.accumulate",
                                      "qat.lr",
                                      "qat.weight_decay",
                                      "qat.freeze_bn_epoch",
                                      "qat.distill",
                                      NULL};

enum eq_status eq_run_control(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                              struct eq_err *err)
{
    struct eq_finetune f = {.cfg = cfg,
                            .ds = ds,
                            .name = eq_phase_model(EQ_PHASE_CONTROL)->name,
                            .model_path = model_path,
                            .shaping = shaping};
    return eq_finetune(&f, err);
}
