/* The FP32 baseline: statistics of the training split, a fresh or pretrained ResNet-18, the training loop. */
#include "run/calibration.h"
#include "run/trainer.h"

#include <stdlib.h>
#include <string.h>

enum eq_status eq_fp32_predictor(void *ctx, const struct eq_graph *g, struct eq_predictor *p, struct eq_err *err)
{
    (void)ctx;
    return eq_predictor_from_graph(p, g, EQ_PRECISION_FP32, 1, err);
}

enum eq_status eq_fp32_save(void *ctx, const struct eq_graph *g, const struct eq_predictor *p, const char *path,
                            struct eq_err *err)
{
    (void)ctx, (void)p;
    return eq_model_save(path, g, err);
}

enum eq_status eq_run_make_dirs(const char *run_dir, struct eq_err *err)
{
    static const char *const names[] = {"state", "history", "predictions"};
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = eq_path_join(run_dir, names[i]);
        st = eq_make_dirs(path, err);
        free(path);
        if (st != EQ_OK)
            break;
    }
    return st;
}

static char *signature(const struct eq_config *cfg, const struct eq_dataset *ds)
{
    struct eq_str s = {0};
    eq_signature_data(cfg, &s);
    eq_str_add(&s, "model.init=%s\n", cfg->model.init);
    eq_str_add(&s, "train.epochs=%d\ntrain.batch=%d\ntrain.accumulate=%d\n", cfg->train.epochs, cfg->train.batch,
               cfg->train.accumulate);
    eq_str_add(&s, "train.optimizer=%d\ntrain.lr=%.17g\ntrain.weight_decay=%.17g\ntrain.momentum=%.17g\n",
               cfg->train.optimizer, cfg->train.lr, cfg->train.weight_decay, cfg->train.momentum);
    eq_str_add(&s, "train.precision=%d\n", cfg->train.precision);
    eq_str_add(&s, "train.schedule=%d\ntrain.warmup=%.17g\ntrain.loss=%d\n", cfg->train.schedule, cfg->train.warmup,
               cfg->train.loss);
    eq_str_add(&s, "train.grad_clip=%.17g\ntrain.ema=%.17g\ntrain.patience=%d\n", cfg->train.grad_clip, cfg->train.ema,
               cfg->train.patience);
    eq_signature_clips(ds, &s);
    return s.s;
}

/* What a pretrained file gave, in one line, and by name what it did not. */
static enum eq_status start_from(struct eq_graph *g, const char *path, struct eq_err *err)
{
    struct eq_init_report r = {0};
    enum eq_status st = eq_model_init_from(g, path, &r, err);
    if (st == EQ_OK)
        eq_info("%s: %zu parameters used, %zu missing, %zu of the wrong shape, %zu not wanted%s%s%s", path, r.used,
                r.missing, r.misshaped, r.unused, r.prefix.len ? " (names behind \"" : "",
                r.prefix.len ? r.prefix.s : "", r.prefix.len ? "\")" : "");
    if (st == EQ_OK && r.missing)
        eq_warn("%s: missing: %.400s", path, r.missing_names.s);
    if (st == EQ_OK && r.misshaped)
        eq_warn("%s: of the wrong shape: %.400s", path, r.misshaped_names.s);
    eq_init_report_clear(&r);
    return st;
}

/* A file that is of no use is refused before the pass over all training clips, which takes minutes on a real data set.
 */
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
    EQ_TRY(eq_run_loader(cfg, ds, EQ_SPLIT_TRAIN, false, 1, &plain, err));
    EQ_TRY(eq_data_stats(plain, &stats, err));
    eq_info("training split: %zu clips, pixels %d +- %.1f, EF %.1f +- %.1f %%", stats.clips, stats.pixel_mean,
            stats.pixel_std, stats.ef_mean, stats.ef_std);
    struct eq_model_meta meta = {.frames = cfg->data.frames,
                                 .size = cfg->data.size,
                                 .pixel_mean = stats.pixel_mean,
                                 .pixel_std = (float)stats.pixel_std,
                                 .target_mean = (float)stats.ef_mean,
                                 .target_std = (float)stats.ef_std};
    EQ_TRY(eq_resnet18_new(&meta, cfg->model.width, (uint64_t)cfg->run.seed, out, err));
    if (cfg->model.init[0])
        EQ_TRY(start_from(*out, cfg->model.init, err));
    EQ_TRY(eq_fuse(*out, err)); /* a pass over memory less for each ReLU and sum; the bits stay the same */
out:
    eq_loader_free(plain);
    return st;
}

enum eq_status eq_run_train(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st;
    struct eq_trainer t = {0};
    struct eq_loader *train = NULL, *val = NULL;
    struct eq_graph *graph = NULL;
    char *model_path = eq_path_join(cfg->run.dir, "fp32.safetensors"), *sig = signature(cfg, ds);
    EQ_TRY(eq_run_make_dirs(cfg->run.dir, err));
    EQ_TRY(eq_run_loader(cfg, ds, EQ_SPLIT_TRAIN, true, cfg->train.batch, &train, err));
    EQ_TRY(eq_run_loader(cfg, ds, EQ_SPLIT_VAL, false, 1, &val, err));
    EQ_TRY(new_graph(cfg, ds, &graph, err));
    struct eq_trainer_opts opts = {
        .name = "fp32",
        .dir = cfg->run.dir,
        .epochs = cfg->train.epochs,
        .batch = cfg->train.batch,
        .accumulate = cfg->train.accumulate,
        .optim = {.kind = (enum eq_optim_kind)cfg->train.optimizer,
                  .lr = cfg->train.lr,
                  .weight_decay = cfg->train.weight_decay,
                  .momentum = cfg->train.momentum,
                  .beta1 = 0.9,
                  .beta2 = 0.999,
                  .eps = 1e-8},
        .precision = (enum eq_precision)cfg->train.precision,
        .schedule = (enum eq_schedule)cfg->train.schedule,
        .warmup = cfg->train.warmup,
        .loss = (enum eq_loss)cfg->train.loss,
        .grad_clip = cfg->train.grad_clip,
        .ema = cfg->train.ema,
        .patience = cfg->train.patience,
        .signature = sig,
    };
    struct eq_trainer_ops ops = {.open_predictor = eq_fp32_predictor, .save = eq_fp32_save};
    struct eq_loader *give_train = train, *give_val = val;
    train = val = NULL;
    EQ_TRY(eq_trainer_init(&t, &opts, &ops, graph, ds, give_train, give_val, err));
    EQ_TRY(eq_trainer_run(&t, model_path, err));
out:
    eq_trainer_clear(&t);
    eq_loader_free(train);
    eq_loader_free(val);
    eq_graph_free(graph);
    free(model_path);
    free(sig);
    return st;
}
