/* Many clips through a model on a device: while it works on a batch, the threads read the next one. */
#include "infer/predict.h"

#include <stdlib.h>
#include <string.h>

/* A clip of a batch, before its EF is known. */
struct read_clip {
    struct eq_outcome outcome;
    enum eq_status st;
    struct eq_err err;
};
struct batch {
    uint8_t *pixels;         /* [clips][eq_sampling_bytes] */
    struct read_clip *clips; /* [clips] */
    size_t first, n;         /* clips of the list */
};
struct batches {
    struct eq_predict_job *job;
    size_t clips; /* of a batch, at most */
    struct batch two[2];
    float *ef; /* [clips][phases] */
};

struct reading {
    struct batches *all;
    struct batch *batch;
};

static void read_piece(void *ctx, size_t piece, int worker)
{
    const struct reading *r = ctx;
    const struct eq_predict_job *job = r->all->job;
    struct read_clip *clip = &r->batch->clips[piece];
    size_t bytes = eq_sampling_bytes(&job->sampling);
    uint8_t *pixels = r->batch->pixels + piece * bytes;
    (void)worker;
    clip->st = eq_interrupted() ? EQ_INTERRUPTED
                                : eq_predict_read(job, r->batch->first + piece, pixels, &clip->outcome, &clip->err);
    if (clip->st != EQ_OK)
        memset(pixels, 0, bytes); /* it has a place in the batch, and no EF */
}

static void read_batch(struct batches *all, struct batch *batch, size_t first)
{
    const size_t left = all->job->list->n - first;
    batch->first = first;
    batch->n = left < all->clips ? left : all->clips;
    eq_parallel_for(batch->n, read_piece, &(struct reading){all, batch});
}

/* Hands on the clips of a batch whose EFs are there, in their order. */
static void hand_on(struct batches *all, struct batch *batch)
{
    struct eq_predict_job *job = all->job;
    int phases = job->opts->phases;
    for (size_t i = 0; i < batch->n; i++) {
        struct read_clip *clip = &batch->clips[i];
        struct eq_phases sum = {0};
        if (clip->st == EQ_INTERRUPTED)
            break;
        for (int k = 0; k < phases; k++)
            eq_phases_add(&sum, all->ef[i * (size_t)phases + (size_t)k]);
        if (clip->st == EQ_OK) {
            clip->st = eq_phases_end(&sum, &clip->outcome.ef, &clip->outcome.spread, &clip->err);
            if (clip->st != EQ_OK)
                eq_err_context(&clip->err, "%s", job->list->paths[batch->first + i].path);
        }
        eq_predict_done(job, batch->first + i, &clip->outcome, clip->st, &clip->err);
    }
}

static void clear(struct batches *all)
{
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; all->two[k].clips && i < all->clips; i++) {
            free(all->two[k].clips[i].outcome.error);
            free(all->two[k].clips[i].outcome.note);
        }
        eq_free(all->two[k].pixels);
        eq_free(all->two[k].clips);
    }
    eq_free(all->ef);
}

/* Batches by turns in two places: the one is read while the device works on the other. */
static enum eq_status walk(struct batches *all, struct eq_err *err)
{
    struct eq_predict_job *job = all->job;
    struct eq_predictor *p = &job->predictors[0];
    struct batch *working = NULL;
    size_t first = 0, n = job->list->n;
    for (int k = 0; first < n || working; k = !k) {
        struct batch *next = &all->two[k];
        bool more = first < n && !atomic_load(&job->stopped) && !eq_interrupted();
        if (more)
            read_batch(all, next, first);
        if (working) {
            EQ_CHECK(eq_predictor_finish(p, all->ef, err));
            hand_on(all, working);
        }
        working = NULL;
        if (!more || atomic_load(&job->stopped) || eq_interrupted())
            break;
        EQ_CHECK(eq_predictor_start(p, next->pixels, (int)next->n * job->opts->phases, err));
        working = next;
        first += next->n;
    }
    return job->st;
}

enum eq_status eq_predict_batches(struct eq_predict_job *job, struct eq_err *err)
{
    struct batches all = {.job = job, .clips = (size_t)(job->predictors[0].clips / job->opts->phases)};
    enum eq_status st = EQ_OK;
    size_t bytes = eq_sampling_bytes(&job->sampling);
    all.ef = eq_alloc((size_t)job->predictors[0].clips, sizeof *all.ef);
    for (int k = 0; k < 2; k++) {
        all.two[k].pixels = eq_alloc(all.clips, bytes);
        all.two[k].clips = eq_alloc(all.clips, sizeof *all.two[k].clips);
    }
    if (!all.ef || !all.two[0].pixels || !all.two[1].pixels || !all.two[0].clips || !all.two[1].clips)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for two batches of %zu clips", all.clips));
    EQ_TRY(walk(&all, err));
out:
    if (st != EQ_OK && job->handed > 0 && job->st == EQ_OK) /* what is predicted has been handed on */
        eq_err_context(err, "after %zu of %zu clips", job->handed, job->list->n);
    clear(&all);
    return st;
}
