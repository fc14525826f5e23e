#include "run/finetune.h"
#include "run/calibration.h"

#include <stdlib.h>

void eq_finetune_signature(const struct eq_config *cfg, const struct eq_dataset *ds, const struct eq_graph *baseline,
                           struct eq_str *out)
{
    uint64_t hash = 0;
    for (int i = 0; i < baseline->n_params; i++)
        hash = hash * 31 + eq_hash64(baseline->params[i].data, baseline->params[i].n * sizeof(float));
    eq_signature_data(cfg, out);
    eq_str_add(out, "baseline=%016llx\n", (unsigned long long)hash);
    eq_str_add(out, "qat.epochs=%d\nqat.batch=%d\nqat.lr=%.17g\nqat.weight_decay=%.17g\n", cfg->qat.epochs,
               cfg->qat.batch, cfg->qat.lr, cfg->qat.weight_decay);
    eq_str_add(out, "qat.freeze_bn_epoch=%d\n", cfg->qat.freeze_bn_epoch);
    eq_str_add(out, "qat.distill=%.17g\n", cfg->qat.distill);
    eq_str_add(out, "train.loss=%d\ntrain.grad_clip=%.17g\n", cfg->train.loss, cfg->train.grad_clip);
    eq_signature_clips(ds, out);
}

bool eq_finetune_frozen(int first_epoch, int epoch)
{
    return first_epoch > 0 && epoch + 1 >= first_epoch;
}

void eq_finetune_freeze_bn(const struct eq_config *cfg, struct eq_graph *g, int epoch)
{
    bool frozen = eq_finetune_frozen(cfg->qat.freeze_bn_epoch, epoch);
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EQ_OP_BATCHNORM)
            g->nodes[i].bn_frozen = frozen;
}

static struct eq_trainer_opts trainer_opts(const struct eq_finetune *f)
{
    const struct eq_config *cfg = f->cfg;
    return (struct eq_trainer_opts){
        .name = f->name,
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
        .signature = f->signature,
        .watched = f->hook.on_edge != NULL,
    };
}

/* The baseline as it was, which the training model is to stay near to (qat.distill). */
static enum eq_status open_teacher(const struct eq_finetune *f, struct eq_predictor *teacher, struct eq_err *err)
{
    struct eq_graph *baseline;
    enum eq_status st = eq_load_baseline(f->cfg, f->model_path, &baseline, err);
    if (st == EQ_OK)
        st = eq_predictor_from_graph(teacher, baseline, EQ_PRECISION_FP32, f->cfg->qat.batch, err);
    eq_graph_free(baseline);
    return st;
}

enum eq_status eq_finetune_run(const struct eq_finetune *f, struct eq_err *err)
{
    enum eq_status st;
    struct eq_trainer t = {0};
    struct eq_loader *train = NULL, *val = NULL;
    struct eq_trainer_opts opts = trainer_opts(f);
    struct eq_predictor teacher = {0};
    struct eq_str path = {0};
    eq_str_add(&path, "%s/%s.safetensors", f->cfg->run.dir, f->name);
    EQ_TRY(eq_run_loader(f->cfg, f->ds, EQ_SPLIT_TRAIN, true, opts.batch, &train, err));
    EQ_TRY(eq_run_loader(f->cfg, f->ds, EQ_SPLIT_VAL, false, 1, &val, err));
    if (f->cfg->qat.distill > 0) {
        EQ_TRY(open_teacher(f, &teacher, err));
        opts.teacher = &teacher;
        opts.distill = f->cfg->qat.distill;
    }
    struct eq_loader *give_train = train, *give_val = val;
    train = val = NULL;
    EQ_TRY(eq_trainer_init(&t, &opts, &f->ops, f->graph, f->ds, give_train, give_val, err));
    if (f->hook.on_edge)
        eq_exec_set_hook(t.exec, &f->hook);
    EQ_TRY(eq_trainer_run(&t, path.s, err));
    eq_info("wrote %s", path.s);
out:
    eq_trainer_clear(&t);
    eq_predictor_close(&teacher);
    eq_loader_free(train);
    eq_loader_free(val);
    eq_str_clear(&path);
    return st;
}
