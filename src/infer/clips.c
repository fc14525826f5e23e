/* Which clips a phase sees, and in which order: loaders over a split; calibration clips, a seeded choice from the
 * training split without augmentation; and a few clips spread over a split. */
#include "echoquant/infer.h"

#include <stdlib.h>
#include <string.h>

/* Decoding has to keep up with the threads that compute: on two of them one worker is idle most of the time. */
static int workers_of(const struct eq_config *cfg)
{
    int most = 8, by_threads = eq_parallel_threads() / 4;
    return cfg->data.workers ? cfg->data.workers : by_threads < 1 ? 1 : by_threads < most ? by_threads : most;
}

struct eq_loader_opts eq_run_loader_opts(const struct eq_config *cfg, int batch)
{
    return (struct eq_loader_opts){
        .sampling = {.frames = cfg->data.frames, .size = cfg->data.size, .phase = -1},
        .batch = batch,
        .seed = (uint64_t)cfg->run.seed,
        .cache_bytes = (size_t)cfg->data.cache_mb << 20,
        .cache_dir = cfg->data.cache_dir,
        .cache_dir_bytes = (uint64_t)(cfg->data.cache_gb * (1 << 30)),
        .workers = workers_of(cfg),
        .use_damaged = cfg->data.on_error == EQ_ON_ERROR_USE,
    };
}

/* This process's part of every `group` batches; 0: of all together. */
static struct eq_batch_share share_of(size_t group, size_t n, int batch)
{
    struct eq_batch_share share = {.comm = eq_comm_world()};
    share.group = group ? group : (n + (size_t)batch - 1) / (size_t)batch;
    share.first = eq_comm_share(share.comm->rank, share.comm->size, share.group, &share.n);
    return share;
}

static enum eq_status open_loader(const struct eq_dataset *ds, enum eq_split split, int accumulate,
                                  struct eq_loader_opts *opts, struct eq_loader **out, struct eq_err *err)
{
    uint32_t *indices = NULL;
    size_t n = eq_dataset_split(ds, split, &indices);
    enum eq_status st;
    *out = NULL;
    if (n == 0) {
        st = eq_fail(err, EQ_FORMAT, "%s: the %s split has no clips", ds->dir, eq_split_name(split));
        goto out;
    }
    opts->share = share_of((size_t)accumulate, n, opts->batch);
    EQ_TRY(eq_loader_new(ds, indices, n, opts, out, err));
out:
    free(indices);
    return st;
}

enum eq_status eq_run_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                             int accumulate, int batch, struct eq_loader **out, struct eq_err *err)
{
    struct eq_loader_opts opts = eq_run_loader_opts(cfg, batch);
    if (accumulate) {
        opts.shuffle = opts.drop_last = true;
        opts.augment = (struct eq_augment){
            .flip = cfg->train.flip, .max_shift = cfg->train.shift, .random_phase = cfg->train.random_phase};
    }
    return open_loader(ds, split, accumulate, &opts, out, err);
}

enum eq_status eq_run_eval_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                                  int batch, struct eq_loader **out, struct eq_err *err)
{
    struct eq_loader_opts opts = eq_run_loader_opts(cfg, batch);
    opts.sampling.phases = cfg->eval.phases;
    return open_loader(ds, split, 0, &opts, out, err);
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

/* Those of the same data set, read in the same way. Takes indices over, also on failure. */
static enum eq_status open_clips(const struct eq_calibration *like, uint32_t *indices, size_t n,
                                 struct eq_calibration *out, struct eq_err *err)
{
    *out = *like;
    out->indices = indices;
    out->n = n;
    out->loader = NULL;
    out->source = (struct eq_clip_source){.next = source_next,
                                          .rewind = source_rewind,
                                          .name = source_name,
                                          .ctx = out,
                                          .max_clips = 1,
                                          .frames = like->opts.sampling.frames,
                                          .size = like->opts.sampling.size};
    enum eq_status st = eq_loader_new(like->ds, indices, n, &like->opts, &out->loader, err);
    if (st == EQ_OK)
        st = eq_loader_start(out->loader, 0, 0, err);
    if (st != EQ_OK)
        eq_calibration_close(out);
    return st;
}

static struct eq_calibration no_clips(const struct eq_config *cfg, const struct eq_dataset *ds)
{
    return (struct eq_calibration){.ds = ds, .opts = eq_run_loader_opts(cfg, 1), .train_batch = cfg->train.batch};
}

enum eq_status eq_calibration_open(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_calibration *out,
                                   struct eq_err *err)
{
    const struct eq_calibration like = no_clips(cfg, ds);
    uint32_t *indices = NULL;
    size_t n = eq_dataset_split(ds, EQ_SPLIT_TRAIN, &indices);
    *out = (struct eq_calibration){0};
    if (n == 0) {
        free(indices);
        return eq_fail(err, EQ_FORMAT, "%s: the TRAIN split has no clips to calibrate on", ds->dir);
    }
    struct eq_rng rng;
    eq_rng_init(&rng, like.opts.seed, EQ_RNG_CALIBRATE, 0, 0);
    eq_rng_shuffle(&rng, indices, n);
    return open_clips(&like, indices, n < (size_t)cfg->ptq.clips ? n : (size_t)cfg->ptq.clips, out, err);
}

enum eq_status eq_spread_open(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                              struct eq_calibration *out, struct eq_err *err)
{
    const struct eq_calibration like = no_clips(cfg, ds);
    uint32_t *indices;
    size_t n;
    *out = (struct eq_calibration){0};
    enum eq_status st = eq_spread_clips(ds, split, cfg->sensitivity.clips, &indices, &n, err);
    return st == EQ_OK ? open_clips(&like, indices, n, out, err) : st;
}

enum eq_status eq_calibration_share(const struct eq_calibration *all, struct eq_calibration *out, struct eq_err *err)
{
    const struct eq_comm *c = eq_comm_world();
    struct eq_calibration like = *all;
    uint32_t *indices = malloc((all->n + 1) * sizeof *indices);
    *out = (struct eq_calibration){0};
    if (!indices)
        return eq_fail(err, EQ_NOMEM, "out of memory for the clips");
    memcpy(indices, all->indices, all->n * sizeof *indices);
    like.opts.share = (struct eq_batch_share){(size_t)c->size, (size_t)c->rank, 1, c};
    EQ_CHECK(open_clips(&like, indices, all->n, out, err));
    out->source.comm = c;
    return EQ_OK;
}

enum eq_status eq_calibration_half(const struct eq_calibration *all, int half, struct eq_calibration *out,
                                   struct eq_err *err)
{
    size_t n = 0;
    *out = (struct eq_calibration){0};
    if (all->n < 2)
        return eq_fail(err, EQ_USAGE,
                       "ptq.search needs at least 2 calibration clips, one to fit and one to judge, but there "
                       "is 1 (ptq.clips, or the TRAIN split)");
    uint32_t *indices = malloc(all->n * sizeof *indices);
    if (!indices)
        return eq_fail(err, EQ_NOMEM, "out of memory for the clips");
    for (size_t i = (size_t)half; i < all->n; i += 2)
        indices[n++] = all->indices[i];
    return open_clips(all, indices, n, out, err);
}

void eq_calibration_close(struct eq_calibration *c)
{
    eq_loader_free(c->loader);
    free(c->indices);
    *c = (struct eq_calibration){0};
}
