/* The FP32 baseline: statistics of the training split, a fresh or pretrained ResNet-18, the training loop. */
#include "train/trainer.h"

#include <stdlib.h>

static const char *const shaping[] = {"data.frames", "data.size", "model", "train", "run.seed", NULL};

/* Starts from a pretrained file; logs what it had in one line, and what it lacked by name. */
static enum eq_status start_from(struct eq_graph *g, const char *path, struct eq_err *err)
{
    struct eq_init_report r = {0};
    enum eq_status st = eq_model_init_from(g, path, &r, err);
    if (st == EQ_OK)
        eq_info("%s: %zu parameters used, %zu missing, %zu of the wrong shape, %zu left out%s%s%s", path, r.used,
                r.missing, r.misshaped, r.unused, r.prefix.len ? " (names after \"" : "",
                r.prefix.len ? r.prefix.s : "", r.prefix.len ? "\")" : "");
    if (st == EQ_OK && r.unused)
        eq_info("%s: left out: %.400s%s", path, r.unused_names.s, r.unused_names.len > 400 ? " ..." : "");
    if (st == EQ_OK && r.missing)
        eq_warn("%s: missing: %.400s", path, r.missing_names.s);
    if (st == EQ_OK && r.misshaped)
        eq_warn("%s: of the wrong shape: %.400s", path, r.misshaped_names.s);
    eq_init_report_clear(&r);
    return st;
}

/* Refuses an unusable file before the pass over all training clips, which takes minutes on a real data set. */
static enum eq_status check_start(const struct eq_config *cfg, struct eq_err *err)
{
    struct eq_model_meta meta = {.frames = cfg->data.frames, .size = cfg->data.size, .pixel_std = 1, .target_std = 1};
    struct eq_init_report r = {0};
    struct eq_graph *g = NULL;
    enum eq_status st = eq_resnet18_new(&meta, cfg->model.width, (uint64_t)cfg->run.seed, &g, err);
    if (st == EQ_OK)
        st = eq_model_init_from(g, cfg->model.init, &r, err);
    eq_init_report_clear(&r);
    eq_graph_free(g);
    return st;
}

static enum eq_status new_graph(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_graph **out,
                                struct eq_err *err)
{
    enum eq_status st;
    struct eq_data_stats stats;
    struct eq_loader *plain = NULL;
    *out = NULL;
    if (cfg->model.init[0])
        EQ_TRY(check_start(cfg, err));
    EQ_TRY(eq_run_loader(cfg, ds, EQ_SPLIT_TRAIN, 0, 1, &plain, err));
    EQ_TRY(eq_data_stats(plain, &stats, err));
    eq_info("training split: %zu clip%s, pixels %d +- %.1f, EF %.1f +- %.1f %%", stats.clips,
            eq_plural((double)stats.clips), stats.pixel_mean, stats.pixel_std, stats.ef_mean, stats.ef_std);
    struct eq_model_meta meta = {.frames = cfg->data.frames,
                                 .size = cfg->data.size,
                                 .pixel_mean = stats.pixel_mean,
                                 .pixel_std = (float)stats.pixel_std,
                                 .target_mean = (float)stats.ef_mean,
                                 .target_std = (float)stats.ef_std,
                                 .looks = stats.looks};
    EQ_TRY(eq_resnet18_new(&meta, cfg->model.width, (uint64_t)cfg->run.seed, out, err));
    if (cfg->model.init[0])
        EQ_TRY(start_from(*out, cfg->model.init, err));
    EQ_TRY(eq_fuse(*out, err)); /* saves a pass over memory for each ReLU and sum; the bits stay the same */
out:
    eq_loader_free(plain);
    return st;
}

struct eq_train_job eq_baseline_job(const struct eq_config *cfg)
{
    return (struct eq_train_job){.cfg = cfg,
                                 .name = eq_phase_model(EQ_PHASE_TRAIN)->name,
                                 .epochs = cfg->train.epochs,
                                 .batch = cfg->train.batch,
                                 .accumulate = cfg->train.accumulate,
                                 .accumulate_key = "train.accumulate",
                                 .optim = {.kind = cfg->train.optimizer,
                                           .lr = cfg->train.lr,
                                           .weight_decay = cfg->train.weight_decay,
                                           .momentum = cfg->train.momentum,
                                           .beta1 = 0.9,
                                           .beta2 = 0.999,
                                           .eps = 1e-8},
                                 .precision = cfg->train.precision,
                                 .schedule = cfg->train.schedule,
                                 .warmup = cfg->train.warmup,
                                 .loss = cfg->train.loss,
                                 .grad_clip = cfg->train.grad_clip,
                                 .ema = cfg->train.ema,
                                 .patience = cfg->train.patience};
}

enum eq_status eq_run_train(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st;
    struct eq_train_job job = eq_baseline_job(cfg);
    struct eq_loader *val = NULL;
    struct eq_str signature = {0};
    eq_signature_add(cfg, ds, shaping, &signature);
    EQ_TRY(eq_micro_check(&job, err));
    st = eq_first_begin() ? eq_run_make_dirs(cfg->run.dir, err) : EQ_OK;
    EQ_TRY(eq_first_end(st, NULL, 0, err));
    /* Refuses an empty split before the pass over the training clips. */
    EQ_TRY(eq_run_loader(cfg, ds, EQ_SPLIT_VAL, 0, 1, &val, err));
    EQ_TRY(new_graph(cfg, ds, &job.graph, err));
    job.ds = ds;
    job.signature = signature.s;
    EQ_TRY(eq_fit(&job, err));
out:
    eq_loader_free(val);
    eq_graph_free(job.graph);
    eq_str_clear(&signature);
    return st;
}
