/*
 * The parallel-for. Each worker has its own run of neighboring pieces and, when that is done, helps the others with
 * theirs; so the caller can do the pieces of a thread that does not come. A worker thus meets the same part of the data
 * layer after layer, in the cache of its own core. With one counter for all, where every other piece was in the cache
 * of another core, INT8 inference took a twentieth longer on two threads.
 */
#include "echoquant/base.h"
#include "base/fpu.h"
#include "base/pool.h"

#include <assert.h>
#include <cblas.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

enum { MAX_THREADS = 1024 };

/* One call of eq_parallel_for. */
struct job {
    size_t workers;
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
static struct eq_pool *pool;
static int pool_threads = 1;
static _Thread_local int inside_worker = -1; /* -1: not inside a parallel-for */

/* OpenBLAS's own function (driver/others/openblas_env.c) for the value of OPENBLAS_NUM_THREADS. Its library calls it
 * while it is loaded and finds this one, since a program's symbols come before those of its libraries. Otherwise it
 * would start a thread for each further CPU, which is never used, takes 128 MiB of address space and, where there is no
 * room for them, keeps the process from ending. Weak: a static OpenBLAS brings its own. */
int openblas_num_threads_env(void);
__attribute__((weak)) int openblas_num_threads_env(void)
{
    return 1;
}

/* ---- how many threads can be had ----------------------------------------- */

struct probe {
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;
};

static void *stand_by(void *arg)
{
    struct probe *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->is_over)
        pthread_cond_wait(&p->over, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* How many further threads, at most `wanted`, can be alive at once; *code says why not more. */
static int count_startable(int wanted, int *code)
{
    static pthread_t threads[MAX_THREADS];
    struct probe p = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};
    int n = 0;
    *code = 0;
    while (n < wanted && (*code = pthread_create(&threads[n], NULL, stand_by, &p)) == 0)
        n++;
    pthread_mutex_lock(&p.lock);
    p.is_over = true;
    pthread_cond_broadcast(&p.over);
    pthread_mutex_unlock(&p.lock);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return n;
}

/* A number that was asked for is kept or refused. By default, what can be had is taken, and one thread is left for the
 * loader. */
static enum eq_status settle_threads(bool by_default, int *threads, struct eq_err *err)
{
    int code, wanted = *threads - 1 + by_default, n = *threads > 1 ? count_startable(wanted, &code) : wanted;
    if (n == wanted)
        return EQ_OK;
    if (!by_default)
        return eq_fail(err, EQ_NOMEM,
                       "cannot start %d threads: %s (limits such as ulimit -u, ulimit -v, or that of a container). Use "
                       "fewer: --threads %d",
                       *threads, strerror(code), n + 1);
    int fewer = n > 1 ? n : 1;
    eq_warn("cannot start %d threads: %s (limits such as ulimit -u, ulimit -v, or that of a container). Going on with "
            "%d; results do not depend on it",
            *threads, strerror(code), fewer);
    *threads = fewer;
    return EQ_OK;
}

/* ---- the pool ------------------------------------------------------------ */

enum eq_status eq_parallel_init(int threads, struct eq_err *err)
{
    assert(inside_worker < 0);
    if (threads < 0 || threads > MAX_THREADS)
        return eq_fail(err, EQ_USAGE, "%d threads: must be between 0 (all) and %d", threads, MAX_THREADS);
    bool by_default = threads == 0;
    if (by_default)
        threads = eq_cpu_count() < MAX_THREADS ? eq_cpu_count() : MAX_THREADS - 1;
    EQ_CHECK(settle_threads(by_default, &threads, err));
    openblas_set_num_threads(1); /* it runs inside our pieces; a pool of its own would compete with ours */
    struct eq_pool *fresh = NULL;
    if (threads > 1) {
        fresh = eq_pool_new(threads, threads > eq_cpu_count());
        if (!fresh)
            return eq_fail(err, EQ_NOMEM, "out of memory: cannot start %d threads", threads);
    }
    pthread_mutex_lock(&lock);
    struct eq_pool *old = pool;
    pool = fresh;
    pool_threads = threads;
    pthread_mutex_unlock(&lock);
    eq_pool_free(old);
    return EQ_OK;
}

void eq_parallel_shutdown(void)
{
    assert(inside_worker < 0);
    pthread_mutex_lock(&lock);
    eq_pool_free(pool);
    pool = NULL;
    pool_threads = 1;
    pthread_mutex_unlock(&lock);
}

int eq_parallel_threads(void)
{
    return __atomic_load_n(&pool_threads, __ATOMIC_RELAXED);
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

static void pull_pieces(void *ctx, int worker)
{
    struct job *job = ctx;
    uint64_t fpu = eq_fpu_flush_denormals();
    inside_worker = worker;
    for (size_t i = 0; i < job->workers; i++) {
        struct range *r = &ranges[((size_t)worker + i) % job->workers];
        for (;;) {
            size_t piece = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
            if (piece >= r->end)
                break;
            job->fn(job->ctx, piece, worker);
        }
    }
    inside_worker = -1;
    eq_fpu_restore(fpu);
}

void eq_parallel_for(size_t pieces, eq_piece_fn fn, void *ctx)
{
    if (inside_worker >= 0) { /* nested: in place, under our worker number */
        for (size_t piece = 0; piece < pieces; piece++)
            fn(ctx, piece, inside_worker);
        return;
    }
    if (pieces == 0)
        return;
    pthread_mutex_lock(&lock);
    size_t workers = pieces < (size_t)pool_threads ? pieces : (size_t)pool_threads;
    struct job job = {.workers = workers, .fn = fn, .ctx = ctx};
    split_pieces(pieces, workers);
    if (workers == 1)
        pull_pieces(&job, 0);
    else
        eq_pool_run(pool, (int)workers, pull_pieces, &job);
    pthread_mutex_unlock(&lock);
}

/* ---- one thread's work, and helpers -------------------------------------- */

struct beside {
    eq_worker_fn work, help;
    void *ctx;
};

static void work_or_help(void *ctx, int worker)
{
    const struct beside *b = ctx;
    inside_worker = worker;
    (worker == 0 ? b->work : b->help)(b->ctx, worker);
    inside_worker = -1;
}

int eq_parallel_helpers(void)
{
    if (inside_worker >= 0)
        return 0;
    pthread_mutex_lock(&lock);
    int helpers = pool && !eq_pool_is_disturbed(pool) ? pool_threads - 1 : 0;
    pthread_mutex_unlock(&lock);
    return helpers;
}

void eq_parallel_beside(int helpers, eq_worker_fn work, eq_worker_fn help, void *ctx)
{
    struct beside b = {work, help, ctx};
    if (helpers < 1 || inside_worker >= 0) {
        work(ctx, 0);
        return;
    }
    pthread_mutex_lock(&lock);
    int workers = helpers < pool_threads ? helpers + 1 : pool_threads;
    if (workers > 1)
        eq_pool_run(pool, workers, work_or_help, &b);
    else
        work_or_help(&b, 0);
    pthread_mutex_unlock(&lock);
}

unsigned eq_parallel_news(void)
{
    return pool ? eq_pool_news(pool) : 0;
}

void eq_parallel_tell(void)
{
    if (pool)
        eq_pool_tell(pool);
}

void eq_parallel_wait(unsigned news)
{
    assert(inside_worker >= 0 && pool);
    eq_pool_wait(pool, news);
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
