/*
 * The loader: a thread that reads clips into a ring of batches, and the caller's side that takes them out in order.
 *
 * A slot (pixels, error) belongs to the caller from the moment `filled` counts it, and to the thread again
 * once `released` has passed it. One mutex and one condition guard the two counters. No output depends on timing.
 */
#include "data/augment.h"
#include "data/clip_cache.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PREFETCH 64

struct slot {
    uint8_t *pixels;
    float *ef;
    uint32_t *index;
    int n;
    bool gray;
    enum eq_status st;
    struct eq_err err;
};

struct eq_loader {
    const struct eq_dataset *ds;
    struct eq_loader_opts opts;
    uint32_t *positions; /* [n] the samples as given */
    size_t n, clip_bytes;

    /* The current epoch. */
    uint32_t epoch;
    uint32_t *order; /* [n] into positions */
    size_t first, batches;

    struct slot *ring;
    size_t ring_size;
    bool holding; /* the caller has the slot at `released` */

    pthread_t thread;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t filled, released; /* batches since the epoch's start */
    bool quit;

    struct eq_clip_cache cache; /* used by the thread only */
};

/* ---- the thread's side --------------------------------------------------- */

/* Reads the clip at `position` into dst, augmented. */
static enum eq_status read_clip(struct eq_loader *l, size_t position, uint8_t *dst, bool *gray, struct eq_err *err)
{
    uint32_t sample = l->positions[position];
    const struct eq_loader_opts *o = &l->opts;
    size_t pixels = l->clip_bytes / 3;
    struct eq_augment_draw draw = eq_augment_draw(&o->augment, &o->sampling, o->seed, l->epoch, sample);
    bool keep = !o->augment.random_phase;
    if (!keep || !eq_clip_cache_get(&l->cache, position, dst, pixels, gray)) {
        struct eq_clip_info info;
        struct eq_sampling sampling = o->sampling;
        sampling.phase = draw.phase;
        enum eq_status st = eq_clip_read(l->ds->samples[sample].path, &sampling, dst, &info, err);
        if (st == EQ_OK && info.damaged && !o->use_damaged)
            st = eq_clip_refuse_damaged(l->ds->samples[sample].path, &info, err);
        if (st != EQ_OK)
            return st;
        *gray = info.gray;
        if (keep)
            eq_clip_cache_put(&l->cache, position, dst, pixels, info.gray);
    }
    eq_augment_apply(&draw, dst, eq_sampling_slots(&o->sampling), o->sampling.size);
    return EQ_OK;
}

static void fill_slot(struct eq_loader *l, struct slot *slot, size_t batch)
{
    size_t begin = batch * (size_t)l->opts.batch, end = begin + (size_t)l->opts.batch;
    slot->n = 0;
    slot->gray = true;
    slot->st = EQ_OK;
    for (size_t k = begin; k < end && k < l->n && slot->st == EQ_OK; k++) {
        size_t position = l->order[k];
        bool gray = false;
        slot->st = read_clip(l, position, slot->pixels + (size_t)slot->n * l->clip_bytes, &gray, &slot->err);
        slot->gray &= gray;
        slot->index[slot->n] = l->positions[position];
        slot->ef[slot->n++] = (float)l->ds->samples[l->positions[position]].ef;
    }
}

static void *produce(void *arg)
{
    struct eq_loader *l = arg;
    for (size_t batch = l->first; batch < l->batches; batch++) {
        pthread_mutex_lock(&l->mutex);
        while (!l->quit && l->filled - l->released == l->ring_size)
            pthread_cond_wait(&l->changed, &l->mutex);
        bool quit = l->quit;
        struct slot *slot = &l->ring[l->filled % l->ring_size];
        pthread_mutex_unlock(&l->mutex);
        if (quit)
            break;
        fill_slot(l, slot, batch);
        bool failed = slot->st != EQ_OK;
        pthread_mutex_lock(&l->mutex);
        l->filled++;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->mutex);
        if (failed)
            break;
    }
    return NULL;
}

static void stop_thread(struct eq_loader *l)
{
    if (!l->running)
        return;
    pthread_mutex_lock(&l->mutex);
    l->quit = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    pthread_join(l->thread, NULL);
    l->running = false;
}

/* The main thread alone handles signals. */
static int start_thread(struct eq_loader *l)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(&l->thread, NULL, produce, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    l->running = code == 0;
    return code;
}

/* ---- making and freeing -------------------------------------------------- */

static enum eq_status check_opts(const struct eq_dataset *ds, const uint32_t *indices, size_t n,
                                 const struct eq_loader_opts *o, struct eq_err *err)
{
    enum eq_status st = eq_sampling_check(&o->sampling, err);
    if (st != EQ_OK)
        return st;
    if (o->augment.random_phase && o->sampling.phases > 1)
        return eq_fail(err, EQ_USAGE, "clips are read at a random phase or at %d fixed ones, not both",
                       o->sampling.phases);
    if (o->batch < 1 || o->prefetch < 0 || o->prefetch > MAX_PREFETCH || o->augment.max_shift < 0)
        return eq_fail(err, EQ_USAGE,
                       "a loader needs a batch of at least 1, a prefetch of 0..%d and a shift of at least 0",
                       MAX_PREFETCH);
    for (size_t i = 0; i < n; i++)
        if (indices[i] >= ds->n)
            return eq_fail(err, EQ_USAGE, "clip number %u of a data set of %zu", indices[i], ds->n);
    return EQ_OK;
}

static bool allocate_ring(struct eq_loader *l)
{
    size_t batch = (size_t)l->opts.batch, bytes = 0;
    l->ring_size = (size_t)(l->opts.prefetch ? l->opts.prefetch : 2) + 1; /* + 1: the caller holds one */
    l->ring = calloc(l->ring_size, sizeof *l->ring);
    if (!l->ring || !eq_mul_size(batch, l->clip_bytes, &bytes))
        return false;
    for (size_t i = 0; i < l->ring_size; i++) {
        struct slot *slot = &l->ring[i];
        slot->pixels = eq_alloc(bytes, 1);
        slot->ef = eq_alloc(batch, sizeof *slot->ef);
        slot->index = eq_alloc(batch, sizeof *slot->index);
        if (!slot->pixels || !slot->ef || !slot->index)
            return false;
    }
    return true;
}

static bool allocate(struct eq_loader *l, const uint32_t *indices)
{
    size_t n = l->n ? l->n : 1;
    l->positions = eq_alloc(n, sizeof *l->positions);
    l->order = eq_alloc(n, sizeof *l->order);
    size_t cache_bytes = l->opts.augment.random_phase ? 0 : l->opts.cache_bytes;
    if (!l->positions || !l->order || !eq_clip_cache_init(&l->cache, n, cache_bytes))
        return false;
    if (l->n)
        memcpy(l->positions, indices, l->n * sizeof *l->positions);
    return allocate_ring(l);
}

enum eq_status eq_loader_new(const struct eq_dataset *ds, const uint32_t *indices, size_t n,
                             const struct eq_loader_opts *opts, struct eq_loader **out, struct eq_err *err)
{
    *out = NULL;
    enum eq_status st = check_opts(ds, indices, n, opts, err);
    if (st != EQ_OK)
        return st;
    struct eq_loader *l = calloc(1, sizeof *l);
    if (!l)
        return eq_fail(err, EQ_NOMEM, "out of memory for the loader");
    l->ds = ds;
    l->opts = *opts;
    l->n = n;
    l->clip_bytes = eq_sampling_bytes(&opts->sampling);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    if (!allocate(l, indices)) {
        eq_loader_free(l);
        return eq_fail(err, EQ_NOMEM, "out of memory for batches of %d clips of %zu bytes", opts->batch, l->clip_bytes);
    }
    *out = l; /* batches = 0: nothing comes before the first start */
    return EQ_OK;
}

void eq_loader_free(struct eq_loader *l)
{
    if (!l)
        return;
    stop_thread(l);
    for (size_t i = 0; l->ring && i < l->ring_size; i++) {
        eq_free(l->ring[i].pixels);
        eq_free(l->ring[i].ef);
        eq_free(l->ring[i].index);
    }
    free(l->ring);
    eq_clip_cache_clear(&l->cache);
    eq_free(l->positions);
    eq_free(l->order);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

/* ---- the caller's side --------------------------------------------------- */

const struct eq_sampling *eq_loader_sampling(const struct eq_loader *l)
{
    return &l->opts.sampling;
}

size_t eq_loader_batches(const struct eq_loader *l)
{
    size_t batch = (size_t)l->opts.batch;
    return l->n / batch + (!l->opts.drop_last && l->n % batch != 0);
}

enum eq_status eq_loader_start(struct eq_loader *l, uint32_t epoch, size_t first, struct eq_err *err)
{
    stop_thread(l);
    l->epoch = epoch;
    l->first = first;
    l->batches = eq_loader_batches(l);
    l->filled = l->released = 0;
    l->holding = l->quit = false;
    for (size_t i = 0; i < l->n; i++)
        l->order[i] = (uint32_t)i;
    if (l->opts.shuffle) {
        struct eq_rng rng;
        eq_rng_init(&rng, l->opts.seed, EQ_RNG_SHUFFLE, epoch, 0);
        eq_rng_shuffle(&rng, l->order, l->n);
    }
    if (first >= l->batches)
        return EQ_OK; /* no batches */
    int code = start_thread(l);
    return code == 0 ? EQ_OK : eq_fail(err, EQ_NOMEM, "the loader's thread cannot be started: %s", strerror(code));
}

/* The next filled slot, or NULL at the end of the epoch. With the mutex held. */
static const struct slot *wait_slot(struct eq_loader *l)
{
    if (l->first + l->released >= l->batches)
        return NULL;
    while (l->filled == l->released)
        pthread_cond_wait(&l->changed, &l->mutex);
    return &l->ring[l->released % l->ring_size];
}

enum eq_status eq_loader_next(struct eq_loader *l, struct eq_batch *batch, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *batch = (struct eq_batch){0};
    pthread_mutex_lock(&l->mutex);
    if (l->holding) {
        l->released++;
        l->holding = false;
        pthread_cond_broadcast(&l->changed);
    }
    const struct slot *slot = wait_slot(l);
    if (slot && slot->st != EQ_OK) { /* it stays: another call gets the same error */
        st = eq_fail(err, slot->st, "%s", slot->err.msg);
    } else if (slot) {
        l->holding = true;
        *batch = (struct eq_batch){.pixels = slot->pixels,
                                   .ef = slot->ef,
                                   .index = slot->index,
                                   .n = slot->n,
                                   .gray = slot->gray,
                                   .clip_bytes = l->clip_bytes,
                                   .phases = l->opts.sampling.phases > 1 ? l->opts.sampling.phases : 1};
    }
    pthread_mutex_unlock(&l->mutex);
    return st;
}
