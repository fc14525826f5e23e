/* The clips of a phase and their order: loaders over a split, and calibration clips, which are a seeded choice from the
 * training split, without augmentation. */
#include "echoquant/infer.h"

#include <stdlib.h>
#include <string.h>

struct eq_loader_opts eq_run_loader_opts(const struct eq_config *cfg, int batch)
{
    return (struct eq_loader_opts){
        .sampling = {.frames = cfg->data.frames, .size = cfg->data.size, .phase = -1},
        .batch = batch,
        .seed = (uint64_t)cfg->run.seed,
        .cache_bytes = (size_t)cfg->data.cache_mb << 20,
        .on_error = EQ_ON_ERROR_FAIL,
    };
}

static enum eq_status open_loader(const struct eq_dataset *ds, enum eq_split split, const struct eq_loader_opts *opts,
                                  struct eq_loader **out, struct eq_err *err)
{
    uint32_t *indices = NULL;
    size_t n = eq_dataset_split(ds, split, &indices);
    *out = NULL;
    enum eq_status st = n ? eq_loader_new(ds, indices, n, opts, out, err)
                          : eq_fail(err, EQ_FORMAT, "%s: the %s split holds no clips", ds->dir, eq_split_name(split));
    free(indices);
    return st;
}

enum eq_status eq_run_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                             bool training, int batch, struct eq_loader **out, struct eq_err *err)
{
    struct eq_loader_opts opts = eq_run_loader_opts(cfg, batch);
    if (training) {
        opts.shuffle = opts.drop_last = true;
        opts.augment = (struct eq_augment){
            .flip = cfg->train.flip, .max_shift = cfg->train.shift, .random_phase = cfg->train.random_phase};
    }
    return open_loader(ds, split, &opts, out, err);
}

enum eq_status eq_run_eval_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                                  enum eq_on_error on_error, struct eq_loader **out, struct eq_err *err)
{
    struct eq_loader_opts opts = eq_run_loader_opts(cfg, 1);
    opts.sampling.phases = cfg->eval.phases;
    opts.on_error = on_error;
    return open_loader(ds, split, &opts, out, err);
}

static enum eq_status source_next(void *ctx, const uint8_t **pixels, int *n, struct eq_err *err)
{
    struct eq_calibration *c = ctx;
    enum eq_status st = eq_loader_next(c->loader, &c->batch, err);
    *pixels = c->batch.pixels;
    *n = st == EQ_OK ? c->batch.n : 0;
    return st;
}

static enum eq_status source_rewind(void *ctx, struct eq_err *err)
{
    return eq_loader_start(((struct eq_calibration *)ctx)->loader, 0, 0, err);
}

static const char *source_name(void *ctx, int i)
{
    const struct eq_calibration *c = ctx;
    return c->ds->samples[c->batch.index[i]].file_name;
}

enum eq_status eq_clips_open(const struct eq_config *cfg, const struct eq_dataset *ds, const uint32_t *indices,
                             size_t n, struct eq_calibration *out, struct eq_err *err)
{
    memset(out, 0, sizeof *out);
    struct eq_loader_opts opts = eq_run_loader_opts(cfg, 1);
    EQ_CHECK(eq_loader_new(ds, indices, n, &opts, &out->loader, err));
    out->n = n;
    out->ds = ds;
    out->source = (struct eq_clip_source){.next = source_next,
                                          .rewind = source_rewind,
                                          .name = source_name,
                                          .ctx = out,
                                          .max_clips = 1,
                                          .frames = cfg->data.frames,
                                          .size = cfg->data.size};
    enum eq_status st = eq_loader_start(out->loader, 0, 0, err);
    if (st != EQ_OK)
        eq_calibration_close(out);
    return st;
}

/* Opens every step-th of the chosen clips from `first` on, in the order of the choice. */
static enum eq_status open_chosen(const struct eq_config *cfg, const struct eq_dataset *ds, size_t first, size_t step,
                                  struct eq_calibration *out, struct eq_err *err)
{
    uint32_t *indices = NULL;
    struct eq_rng rng;
    size_t n = eq_dataset_split(ds, EQ_SPLIT_TRAIN, &indices), kept = 0;
    enum eq_status st;
    memset(out, 0, sizeof *out);
    if (n == 0)
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: the TRAIN split holds no clips to calibrate on", ds->dir));
    eq_rng_init(&rng, (uint64_t)cfg->run.seed, EQ_RNG_CALIBRATE, 0, 0);
    eq_rng_shuffle(&rng, indices, n);
    n = n < (size_t)cfg->ptq.clips ? n : (size_t)cfg->ptq.clips;
    if (n < step)
        EQ_TRY(eq_fail(err, EQ_USAGE,
                       "ptq.search fits on one half of the calibration clips and judges by the other: it needs at "
                       "least 2, there is 1 (ptq.clips, or the TRAIN split)"));
    for (size_t i = first; i < n; i += step)
        indices[kept++] = indices[i];
    EQ_TRY(eq_clips_open(cfg, ds, indices, kept, out, err));
out:
    free(indices);
    return st;
}

enum eq_status eq_calibration_open(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_calibration *out,
                                   struct eq_err *err)
{
    return open_chosen(cfg, ds, 0, 1, out, err);
}

enum eq_status eq_calibration_open_half(const struct eq_config *cfg, const struct eq_dataset *ds, int half,
                                        struct eq_calibration *out, struct eq_err *err)
{
    return open_chosen(cfg, ds, (size_t)half, 2, out, err);
}

void eq_calibration_close(struct eq_calibration *c)
{
    eq_loader_free(c->loader);
    memset(c, 0, sizeof *c);
}
