/*
 * The loader: threads ("workers") that read clips into a ring of batches, and the caller's side that takes these out in
 * order.
 *
 * Workers claim clips one by one in the order of the epoch, so a batch may have several of them at work. A slot belongs
 * to the caller once all of its clips are done, and to the workers again once `released` has passed it. One mutex
 * guards everything but the pixels. A clip that fails stops the claiming. All clips before it have been claimed by
 * then, so the first failure in order is the same for any number of workers. No output depends on timing.
 */
#include "data/fetch.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PREFETCH 64
#define MAX_WORKERS 64

struct slot {
    uint8_t *pixels;
    float *ef;
    uint32_t *index;
    int n, claimed, done; /* clips: of the batch, and how far they are */
    bool gray;
    int failed; /* the first clip that could not be read, so far; INT_MAX: none */
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
    uint32_t *order;     /* [own] into positions: the clips of the own batches from where the epoch started */
    size_t own, batches; /* clips, batches */

    struct slot *ring;
    size_t ring_size;
    bool holding; /* the caller has the slot at `released` */

    pthread_t *threads; /* [opts.workers] */
    int running;
    pthread_mutex_t mutex;
    pthread_cond_t room, ready; /* for workers; for the caller */
    size_t next;                /* into order: the first clip that is not claimed */
    size_t opened, released;    /* batches since the epoch's start */
    bool failed, quit;          /* nothing more is claimed */

    struct eq_fetch fetch;
};

/* ---- the workers' side --------------------------------------------------- */

static struct slot *slot_of(const struct eq_loader *l, size_t batch)
{
    return &l->ring[batch % l->ring_size];
}

static size_t clips_of(const struct eq_loader *l, size_t batch)
{
    size_t size = (size_t)l->opts.batch, left = l->own - batch * size;
    return left < size ? left : size;
}

static void open_slot(struct eq_loader *l, size_t batch)
{
    struct slot *slot = slot_of(l, batch);
    slot->n = (int)clips_of(l, batch);
    slot->claimed = slot->done = 0;
    slot->gray = true;
    slot->failed = INT_MAX;
    slot->st = EQ_OK;
    l->opened++;
}

/* Waits until the next clip has a place in the ring and claims it. False: there is nothing more to do. The mutex is
 * held. */
static bool claim(struct eq_loader *l, struct slot **slot, int *i, size_t *position)
{
    for (;;) {
        size_t batch = l->next / (size_t)l->opts.batch;
        if (l->quit || l->failed || batch >= l->batches)
            return false;
        if (batch < l->released + l->ring_size) {
            if (l->next % (size_t)l->opts.batch == 0)
                open_slot(l, batch);
            *slot = slot_of(l, batch);
            *i = (*slot)->claimed++;
            *position = l->order[l->next++];
            if (l->next == l->own) /* the last batch may be a part of one */
                l->next = l->batches * (size_t)l->opts.batch;
            return true;
        }
        pthread_cond_wait(&l->room, &l->mutex);
    }
}

static bool is_over(const struct eq_loader *l, const struct slot *slot)
{
    return slot->done == (l->failed ? slot->claimed : slot->n);
}

/* The mutex is held. */
static void note(struct eq_loader *l, struct slot *slot, int i, bool gray, enum eq_status st, const struct eq_err *err)
{
    slot->done++;
    slot->gray &= gray;
    if (st != EQ_OK) {
        l->failed = true;
        pthread_cond_broadcast(&l->room);
    }
    if (st != EQ_OK && i < slot->failed) {
        slot->failed = i;
        slot->st = st;
        slot->err = *err;
    }
    if (is_over(l, slot) && slot == slot_of(l, l->released))
        pthread_cond_signal(&l->ready);
}

static void *work(void *arg)
{
    struct eq_loader *l = arg;
    struct slot *slot;
    struct eq_err err;
    int i;
    size_t position;
    pthread_mutex_lock(&l->mutex);
    while (claim(l, &slot, &i, &position)) {
        pthread_mutex_unlock(&l->mutex);
        bool gray = false;
        uint32_t sample = l->positions[position];
        slot->index[i] = sample;
        slot->ef[i] = (float)l->ds->samples[sample].ef;
        enum eq_status st =
            eq_fetch_clip(&l->fetch, position, sample, l->epoch, slot->pixels + (size_t)i * l->clip_bytes, &gray, &err);
        pthread_mutex_lock(&l->mutex);
        note(l, slot, i, gray, st, &err);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

static void stop_threads(struct eq_loader *l)
{
    pthread_mutex_lock(&l->mutex);
    l->quit = true;
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->mutex);
    while (l->running > 0)
        pthread_join(l->threads[--l->running], NULL);
}

static void warn_of_few_threads(const struct eq_loader *l, int wanted, int code)
{
    static bool warned;
    if (!__atomic_exchange_n(&warned, true, __ATOMIC_RELAXED))
        eq_warn("data.workers: only %d of %d threads can be started (%s); the clips are read by these", l->running,
                wanted, strerror(code));
}

/* The main thread alone handles signals. */
static enum eq_status start_threads(struct eq_loader *l, struct eq_err *err)
{
    sigset_t all, before;
    int wanted = l->own < (size_t)l->opts.workers ? (int)l->own : l->opts.workers, code = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (l->running < wanted && code == 0) {
        code = pthread_create(&l->threads[l->running], NULL, work, l);
        l->running += code == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (l->running == 0)
        return eq_fail(err, EQ_NOMEM,
                       "the loader's thread cannot be started: %s (no memory, or a limit such as ulimit -u)",
                       strerror(code));
    if (code)
        warn_of_few_threads(l, wanted, code);
    return EQ_OK;
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
    if (o->batch < 1 || o->prefetch < 0 || o->prefetch > MAX_PREFETCH || o->workers < 0 || o->workers > MAX_WORKERS ||
        o->augment.max_shift < 0)
        return eq_fail(err, EQ_USAGE,
                       "a loader needs a batch of at least 1, a prefetch of 0..%d, workers of 0..%d and a shift of at "
                       "least 0",
                       MAX_PREFETCH, MAX_WORKERS);
    for (size_t i = 0; i < n; i++)
        if (indices[i] >= ds->n)
            return eq_fail(err, EQ_USAGE, "clip number %u of a data set of %zu", indices[i], ds->n);
    return EQ_OK;
}

/* Batches ahead: workers share the one that is due, and find work beyond it. */
static int prefetch_of(const struct eq_loader_opts *o)
{
    int busy = 1 + (o->workers + o->batch - 1) / o->batch;
    return o->prefetch ? o->prefetch : busy > 2 ? busy : 2;
}

static bool allocate_ring(struct eq_loader *l)
{
    size_t batch = (size_t)l->opts.batch, bytes = 0;
    l->ring_size = (size_t)prefetch_of(&l->opts) + 1; /* + 1: the caller holds one */
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
    l->threads = calloc((size_t)l->opts.workers, sizeof *l->threads);
    if (!l->positions || !l->order || !l->threads || !eq_fetch_init(&l->fetch, l->ds, &l->opts, n))
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
    l->opts.workers = opts->workers ? opts->workers : 1;
    l->n = n;
    if (opts->share.group == 0)
        l->opts.share = (struct eq_batch_share){n + 1, 0, n + 1, &eq_comm_self};
    l->clip_bytes = eq_sampling_bytes(&opts->sampling);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->room, NULL);
    pthread_cond_init(&l->ready, NULL);
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
    stop_threads(l);
    for (size_t i = 0; l->ring && i < l->ring_size; i++) {
        eq_free(l->ring[i].pixels);
        eq_free(l->ring[i].ef);
        eq_free(l->ring[i].index);
    }
    free(l->ring);
    eq_fetch_clear(&l->fetch);
    free(l->threads);
    eq_free(l->positions);
    eq_free(l->order);
    pthread_cond_destroy(&l->room);
    pthread_cond_destroy(&l->ready);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

/* ---- the caller's side --------------------------------------------------- */

const struct eq_sampling *eq_loader_sampling(const struct eq_loader *l)
{
    return &l->opts.sampling;
}

size_t eq_loader_clips(const struct eq_loader *l)
{
    size_t whole = eq_loader_batches(l) * (size_t)l->opts.batch;
    return whole < l->n ? whole : l->n;
}

int eq_loader_batch(const struct eq_loader *l, int *phases)
{
    if (phases)
        *phases = l->opts.sampling.phases > 1 ? l->opts.sampling.phases : 1;
    return l->opts.batch;
}

const struct eq_batch_share *eq_loader_share(const struct eq_loader *l)
{
    return &l->opts.share;
}

size_t eq_loader_batches(const struct eq_loader *l)
{
    size_t batch = (size_t)l->opts.batch;
    return l->n / batch + (!l->opts.drop_last && l->n % batch != 0);
}

/* Leaves in order the clips of the own batches from `first` on. */
static void keep_own(struct eq_loader *l, size_t first)
{
    const struct eq_batch_share *share = &l->opts.share;
    size_t size = (size_t)l->opts.batch, all = eq_loader_batches(l);
    l->own = l->batches = 0;
    for (size_t batch = first; batch < all; batch++) {
        if (batch % share->group - share->first >= share->n)
            continue;
        size_t left = l->n - batch * size, n = left < size ? left : size;
        memmove(l->order + l->own, l->order + batch * size, n * sizeof *l->order);
        l->own += n;
        l->batches++;
    }
}

enum eq_status eq_loader_start(struct eq_loader *l, uint32_t epoch, size_t first, struct eq_err *err)
{
    stop_threads(l);
    l->epoch = epoch;
    l->next = 0;
    l->opened = l->released = 0;
    l->holding = l->failed = l->quit = false;
    for (size_t i = 0; i < l->n; i++)
        l->order[i] = (uint32_t)i;
    if (l->opts.shuffle) {
        struct eq_rng rng;
        eq_rng_init(&rng, l->opts.seed, EQ_RNG_SHUFFLE, epoch, 0);
        eq_rng_shuffle(&rng, l->order, l->n);
    }
    keep_own(l, first);
    if (l->batches == 0)
        return EQ_OK;
    enum eq_status st = start_threads(l, err);
    if (st != EQ_OK)
        l->batches = 0; /* nobody would fill them */
    return st;
}

/* The next slot, its clips done, or NULL at the end of the epoch. With the mutex held. */
static const struct slot *wait_slot(struct eq_loader *l)
{
    if (l->released >= l->batches)
        return NULL;
    const struct slot *slot = slot_of(l, l->released);
    while (l->opened == l->released || !is_over(l, slot))
        pthread_cond_wait(&l->ready, &l->mutex);
    return slot;
}

enum eq_status eq_loader_next(struct eq_loader *l, struct eq_batch *batch, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *batch = (struct eq_batch){0};
    pthread_mutex_lock(&l->mutex);
    if (l->holding) {
        l->released++;
        l->holding = false;
        pthread_cond_broadcast(&l->room);
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
