/* Calibration clips: a seeded choice from the training split, seen without augmentation. */
#include "run/calibration.h"

#include <stdlib.h>
#include <string.h>

static enum eq_status source_next(void *ctx, const uint8_t **pixels, int *n, struct eq_err *err)
{
    struct eq_batch batch;
    enum eq_status st = eq_loader_next(ctx, &batch, err);
    *pixels = batch.pixels;
    *n = st == EQ_OK ? batch.n : 0;
    return st;
}

static enum eq_status source_rewind(void *ctx, struct eq_err *err)
{
    return eq_loader_start(ctx, 0, 0, err);
}

enum eq_status eq_calibration_open(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_calibration *out,
                                   struct eq_err *err)
{
    uint32_t *indices = NULL;
    size_t n = eq_dataset_split(ds, EQ_SPLIT_TRAIN, &indices);
    enum eq_status st;
    memset(out, 0, sizeof *out);
    if (n == 0) {
        st = eq_fail(err, EQ_FORMAT, "%s: the TRAIN split holds no clips to calibrate on", ds->dir);
        goto out;
    }
    struct eq_rng rng;
    eq_rng_init(&rng, (uint64_t)cfg->run.seed, EQ_RNG_CALIBRATE, 0, 0);
    eq_rng_shuffle(&rng, indices, n);
    if (n > (size_t)cfg->ptq.clips)
        n = (size_t)cfg->ptq.clips;
    struct eq_loader_opts opts = eq_run_loader_opts(cfg, 1);
    EQ_TRY(eq_loader_new(ds, indices, n, &opts, &out->loader, err));
    out->n = n;
    out->source = (struct eq_clip_source){.next = source_next,
                                          .rewind = source_rewind,
                                          .ctx = out->loader,
                                          .max_clips = 1,
                                          .frames = cfg->data.frames,
                                          .size = cfg->data.size};
    EQ_TRY(eq_loader_start(out->loader, 0, 0, err));
out:
    free(indices);
    if (st != EQ_OK)
        eq_calibration_close(out);
    return st;
}

void eq_calibration_close(struct eq_calibration *c)
{
    eq_loader_free(c->loader);
    memset(c, 0, sizeof *c);
}

enum eq_status eq_calibrate_graph(struct eq_graph *prepared, const struct eq_config *cfg, const struct eq_dataset *ds,
                                  struct eq_err *err)
{
    enum eq_status st;
    struct eq_calibration clips;
    struct eq_progress progress = {0};
    size_t used = 0;
    struct eq_observer_opts opts = {.kind = (enum eq_observer_kind)cfg->ptq.observer,
                                    .averaging = cfg->ptq.averaging,
                                    .percentile = cfg->ptq.percentile};
    EQ_TRY(eq_calibration_open(cfg, ds, &clips, err));
    eq_progress_begin(&progress, "calibrate", "clips", clips.n);
    EQ_TRY(eq_calibrate(prepared, &clips.source, clips.n, &opts, &progress, &used, err));
    eq_progress_end(&progress);
    eq_info("calibrated on %zu clips, observer %s", used, eq_observer_names[opts.kind]);
out:
    eq_progress_end(&progress);
    eq_calibration_close(&clips);
    return st;
}
