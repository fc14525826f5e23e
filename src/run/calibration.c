/* Calibration clips: a seeded choice from the training split, seen without augmentation. */
#include "run/calibration.h"

#include <stdlib.h>
#include <string.h>

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
    enum eq_status st = eq_loader_new(ds, indices, n, &opts, &out->loader, err);
    if (st != EQ_OK)
        return st;
    out->n = n;
    out->ds = ds;
    out->source = (struct eq_clip_source){.next = source_next,
                                          .rewind = source_rewind,
                                          .name = source_name,
                                          .ctx = out,
                                          .max_clips = 1,
                                          .frames = cfg->data.frames,
                                          .size = cfg->data.size};
    st = eq_loader_start(out->loader, 0, 0, err);
    if (st != EQ_OK)
        eq_calibration_close(out);
    return st;
}

/* The indices of the clips, in the order of the choice. Caller frees. */
static enum eq_status choose(const struct eq_config *cfg, const struct eq_dataset *ds, uint32_t **indices, size_t *n,
                             struct eq_err *err)
{
    *n = eq_dataset_split(ds, EQ_SPLIT_TRAIN, indices);
    if (*n == 0)
        return eq_fail(err, EQ_FORMAT, "%s: the TRAIN split holds no clips to calibrate on", ds->dir);
    struct eq_rng rng;
    eq_rng_init(&rng, (uint64_t)cfg->run.seed, EQ_RNG_CALIBRATE, 0, 0);
    eq_rng_shuffle(&rng, *indices, *n);
    if (*n > (size_t)cfg->ptq.clips)
        *n = (size_t)cfg->ptq.clips;
    return EQ_OK;
}

enum eq_status eq_calibration_open(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_calibration *out,
                                   struct eq_err *err)
{
    uint32_t *indices = NULL;
    size_t n;
    memset(out, 0, sizeof *out);
    enum eq_status st = choose(cfg, ds, &indices, &n, err);
    if (st == EQ_OK)
        st = eq_clips_open(cfg, ds, indices, n, out, err);
    free(indices);
    return st;
}

enum eq_status eq_calibration_open_half(const struct eq_config *cfg, const struct eq_dataset *ds, int half,
                                        struct eq_calibration *out, struct eq_err *err)
{
    uint32_t *indices = NULL;
    size_t n, kept = 0;
    memset(out, 0, sizeof *out);
    enum eq_status st = choose(cfg, ds, &indices, &n, err);
    if (st == EQ_OK && n < 2)
        st = eq_fail(err, EQ_USAGE,
                     "ptq.search fits on one half of the calibration clips and judges by the other: it needs 2 at "
                     "least, there is 1 (ptq.clips, or the TRAIN split)");
    for (size_t i = (size_t)half; st == EQ_OK && i < n; i += 2)
        indices[kept++] = indices[i];
    if (st == EQ_OK)
        st = eq_clips_open(cfg, ds, indices, kept, out, err);
    free(indices);
    return st;
}

void eq_calibration_close(struct eq_calibration *c)
{
    eq_loader_free(c->loader);
    memset(c, 0, sizeof *c);
}

static const char *const zero_channels_hint =
    "the channel is exact in INT8 (its output is its bias), but training should not end so: look at the model, or go "
    "on with ptq.zero_channels = allow";

enum eq_status eq_check_zero_channels(const struct eq_graph *g, const struct eq_config *cfg, struct eq_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        char name[64];
        int first, n = eq_zero_channels(g, i, &first);
        if (n == 0)
            continue;
        eq_layer_name(g, i, name);
        if (cfg->ptq.zero_channels == EQ_ZERO_CHANNELS_REFUSE)
            return eq_fail(err, EQ_NUMERIC, "%s: all weights of %d of %d channels are 0 (the first is channel %d): %s",
                           name, n, g->nodes[i].cout, first, zero_channels_hint);
        eq_warn("%s: all weights of %d of %d channels are 0 (the first is channel %d)", name, n, g->nodes[i].cout,
                first);
    }
    return EQ_OK;
}

struct eq_observer_opts eq_observer_opts_of(const struct eq_config *cfg)
{
    return (struct eq_observer_opts){.kind = (enum eq_observer_kind)cfg->ptq.observer,
                                     .averaging = cfg->ptq.averaging,
                                     .percentile = cfg->ptq.percentile};
}

enum eq_status eq_calibrate_on(struct eq_calibration *clips, const struct eq_config *cfg, struct eq_graph *prepared,
                               struct eq_err *err)
{
    enum eq_status st;
    struct eq_progress progress = {0};
    size_t used = 0;
    struct eq_observer_opts opts = eq_observer_opts_of(cfg);
    EQ_TRY(eq_check_zero_channels(prepared, cfg, err));
    double start = eq_now_ms();
    eq_progress_begin(&progress, "calibrate", "clips", clips->n);
    EQ_TRY(eq_calibrate(prepared, &clips->source, clips->n, &opts, &progress, &used, err));
    eq_progress_end(&progress);
    eq_info("calibrated on %zu clips in %.1f s, observer %s", used, (eq_now_ms() - start) / 1000,
            eq_observer_names[opts.kind]);
out:
    eq_progress_end(&progress);
    return st;
}

enum eq_status eq_calibrate_graph(struct eq_graph *prepared, const struct eq_config *cfg, const struct eq_dataset *ds,
                                  struct eq_err *err)
{
    struct eq_calibration clips;
    enum eq_status st = eq_calibration_open(cfg, ds, &clips, err);
    if (st != EQ_OK)
        return st;
    st = eq_calibrate_on(&clips, cfg, prepared, err);
    eq_calibration_close(&clips);
    return st;
}
