/*
 * The parallel-for. pthreadpool (as packaged) does not say which thread runs an item, so as many items as threads are
 * submitted, and the number of the item is that of the worker. Each worker has its own run of neighboring pieces and,
 * when that is done, helps the others with theirs. A worker thus meets the same part of the data layer after layer, in
 * the cache of its own core. With one counter for all, where every other piece was in the cache of another core, INT8
 * inference took a twentieth longer on two threads.
 */
#include "echoquant/base.h"
#include "base/crew.h"
#include "base/fpu.h"

#include <assert.h>
#include <cblas.h>
#include <pthread.h>
#include <pthreadpool.h>
#include <stdalign.h>
#include <stdatomic.h>

enum { MAX_THREADS = 1024, TIMED_PIECES = 3 };

/* One call of eq_parallel_for. opened and closed order memory between the caller and the workers: pthreadpool does so
 * too, but a race detector cannot see into it. */
struct job {
    atomic_bool opened;
    atomic_size_t closed;
    size_t workers;
    double piece_ms; /* the shortest of worker 0's first pieces, taken as undisturbed; 0: it had none */
    eq_piece_fn fn;
    void *ctx;
};

/* The pieces of a worker; next: the first that is not taken. One cache line each, since workers count in them. */
struct range {
    alignas(64) atomic_size_t next;
    size_t end;
};
static struct range ranges[MAX_THREADS]; /* of the one job */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one job at a time, whoever calls */
static pthreadpool_t pool;
static int pool_threads = 1;
static uint32_t pool_flags;
static struct eq_crew crew; /* outlives the pool: the machine is busy, not the pool */
static bool crew_fixed;
static _Thread_local int inside_worker = -1; /* -1: not inside a parallel-for */

static void rest(void *context, size_t item)
{
    (void)context, (void)item;
}

enum eq_status eq_parallel_init(int threads, struct eq_err *err)
{
    assert(inside_worker < 0);
    if (threads < 0 || threads > MAX_THREADS)
        return eq_fail(err, EQ_USAGE, "%d threads: must be between 0 (all) and %d", threads, MAX_THREADS);
    if (threads == 0)
        threads = eq_cpu_count();
    openblas_set_num_threads(1); /* it runs inside our pieces; a pool of its own would compete with ours */
    pthreadpool_t fresh = NULL;
    if (threads > 1) {
        fresh = pthreadpool_create((size_t)threads);
        if (!fresh)
            return eq_fail(err, EQ_NOMEM, "cannot start %d threads", threads);
    }
    pthread_mutex_lock(&lock);
    pthreadpool_t old = pool;
    pool = fresh;
    pool_threads = threads;
    /* Workers spin for the next job. Where they outnumber the CPUs, spinning keeps those with work from running. */
    pool_flags = PTHREADPOOL_FLAG_DISABLE_DENORMALS | (threads > eq_cpu_count() ? PTHREADPOOL_FLAG_YIELD_WORKERS : 0);
    if (pool && crew.alone) /* new workers spin for their first job, which may come late */
        pthreadpool_parallelize_1d(pool, rest, NULL, (size_t)threads, PTHREADPOOL_FLAG_YIELD_WORKERS);
    pthread_mutex_unlock(&lock);
    if (old)
        pthreadpool_destroy(old);
    return EQ_OK;
}

void eq_parallel_shutdown(void)
{
    assert(inside_worker < 0);
    pthread_mutex_lock(&lock);
    if (pool)
        pthreadpool_destroy(pool);
    pool = NULL;
    pool_threads = 1;
    pthread_mutex_unlock(&lock);
}

int eq_parallel_threads(void)
{
    return __atomic_load_n(&pool_threads, __ATOMIC_RELAXED);
}

void eq_parallel_fix_crew(bool fixed)
{
    pthread_mutex_lock(&lock);
    crew_fixed = fixed;
    crew = (struct eq_crew){0};
    pthread_mutex_unlock(&lock);
}

static void split_pieces(size_t pieces, size_t workers)
{
    for (size_t w = 0; w < workers; w++) {
        size_t each = pieces / workers, longer = pieces % workers;
        size_t first = w * each + (w < longer ? w : longer);
        atomic_store_explicit(&ranges[w].next, first, memory_order_relaxed);
        ranges[w].end = first + each + (w < longer);
    }
}

static void pull_pieces(struct job *job, int worker)
{
    uint64_t fpu = eq_fpu_flush_denormals();
    inside_worker = worker;
    int timed = worker == 0 ? 0 : TIMED_PIECES;
    double start = timed < TIMED_PIECES ? eq_now_ms() : 0;
    for (size_t i = 0; i < job->workers; i++) {
        struct range *r = &ranges[((size_t)worker + i) % job->workers];
        for (;;) {
            size_t piece = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
            if (piece >= r->end)
                break;
            job->fn(job->ctx, piece, worker);
            if (timed < TIMED_PIECES) {
                double end = eq_now_ms();
                job->piece_ms = timed++ && job->piece_ms < end - start ? job->piece_ms : end - start;
                start = end;
            }
        }
    }
    inside_worker = -1;
    eq_fpu_restore(fpu);
}

static void run_worker(void *context, size_t item)
{
    struct job *job = context;
    if (!atomic_load_explicit(&job->opened, memory_order_acquire))
        return;
    pull_pieces(job, (int)item);
    atomic_fetch_add_explicit(&job->closed, 1, memory_order_release);
}

/* coarse: not measured, and never left to the caller alone. */
static void run_pieces(size_t pieces, eq_piece_fn fn, void *ctx, bool coarse)
{
    if (inside_worker >= 0) { /* nested: in place, under our worker number */
        for (size_t piece = 0; piece < pieces; piece++)
            fn(ctx, piece, inside_worker);
        return;
    }
    if (pieces == 0)
        return;
    pthread_mutex_lock(&lock);
    size_t most = pieces < (size_t)pool_threads ? pieces : (size_t)pool_threads;
    size_t workers = crew.alone && !crew_fixed && !coarse ? 1 : most;
    struct job job = {.workers = workers, .fn = fn, .ctx = ctx};
    double start = most > 1 ? eq_now_ms() : 0;
    split_pieces(pieces, workers);
    if (workers == 1) {
        pull_pieces(&job, 0);
    } else {
        atomic_store_explicit(&job.opened, true, memory_order_release);
        pthreadpool_parallelize_1d(pool, run_worker, &job, workers,
                                   pool_flags | (crew.slow ? PTHREADPOOL_FLAG_YIELD_WORKERS : 0));
        size_t closed = atomic_load_explicit(&job.closed, memory_order_acquire);
        assert(closed == workers);
        (void)closed;
    }
    if (most > 1 && job.piece_ms > 0 && !coarse)
        eq_crew_note(&crew, job.piece_ms * (double)pieces, eq_now_ms() - start);
    pthread_mutex_unlock(&lock);
}

void eq_parallel_for(size_t pieces, eq_piece_fn fn, void *ctx)
{
    run_pieces(pieces, fn, ctx, false);
}

void eq_parallel_for_coarse(size_t pieces, eq_piece_fn fn, void *ctx)
{
    run_pieces(pieces, fn, ctx, true);
}

struct span_job {
    eq_span_fn fn;
    const void *ctx;
    size_t n;
};

static void run_span(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct span_job *job = ctx;
    size_t lo = piece * EQ_SPAN, hi = lo + EQ_SPAN;
    job->fn(job->ctx, lo, hi < job->n ? hi : job->n);
}

void eq_for_spans(size_t n, eq_span_fn fn, const void *ctx)
{
    struct span_job job = {fn, ctx, n};
    eq_parallel_for((n + EQ_SPAN - 1) / EQ_SPAN, run_span, &job);
}
