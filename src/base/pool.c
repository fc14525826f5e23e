/*
 * The pool of threads. Helpers wait for the next job, and the caller for helpers that have begun, first by looking
 * again and again and then asleep (futex(2)). Looking pays on a machine with a free CPU, where waking a thread takes
 * longer than most jobs. On a busy machine it takes time from whoever has work, and the scheduler makes up for it at
 * our cost; so a thread that finds that it was off its CPU while it looked makes all of them look less for a while.
 */
#include "base/pool.h"
#include "echoquant/base.h"

#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In ms. Two looks are less than a microsecond apart unless the thread is taken off its CPU. */
static const double LOOK = 1, SHORT_LOOK = 0.02, AWAY = 0.2, DISTURBED = 100;
enum { LOOKS = 16 }; /* between two readings of the clock */

/* The gate of a job: how many helpers are inside, and whether others may enter. */
static const unsigned CLOSED = 1u << 31;

struct eq_pool {
    alignas(64) atomic_uint calls; /* one more for each job, and for the end */
    atomic_uint asleep;            /* helpers */
    alignas(64) atomic_uint gate;
    atomic_uint caller_asleep;
    alignas(64) atomic_uint news; /* of threads inside a job to each other */
    atomic_uint news_asleep;
    alignas(64) atomic_ullong disturbed_until; /* of the monotonic clock, in ms */
    /* Of the job that is open. */
    eq_pool_fn fn;
    void *ctx;
    int workers;
    bool over, crowded;
    int helpers;
    struct helper {
        struct eq_pool *pool;
        pthread_t thread;
        int worker;
    } helper[];
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool look_short(const struct eq_pool *p, double now)
{
    return p->crowded || now < (double)atomic_load_explicit(&p->disturbed_until, memory_order_relaxed);
}

/* Looks until *word is no longer `old`. false: long enough. */
static bool look(struct eq_pool *p, const atomic_uint *word, unsigned old)
{
    double start = eq_now_ms(), before = start;
    for (;;) {
        for (int i = 0; i < LOOKS; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != old)
                return true;
            relax();
        }
        double now = eq_now_ms();
        if (now - before > AWAY)
            atomic_store_explicit(&p->disturbed_until, (unsigned long long)(now + DISTURBED), memory_order_relaxed);
        if (now - start > (look_short(p, now) ? SHORT_LOOK : LOOK))
            return false;
        before = now;
    }
}

/* Waits until *word is no longer `old`. Whoever changes it calls wake_sleepers after that. */
static void wait_for_change(struct eq_pool *p, atomic_uint *word, unsigned old, atomic_uint *sleepers)
{
    if (look(p, word, old))
        return;
    atomic_fetch_add(sleepers, 1);
    while (atomic_load(word) == old)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(sleepers, 1);
}

static void wake_sleepers(atomic_uint *word, atomic_uint *sleepers)
{
    if (atomic_load(sleepers) > 0)
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

bool eq_pool_is_disturbed(const struct eq_pool *p)
{
    return look_short(p, eq_now_ms());
}

unsigned eq_pool_news(const struct eq_pool *p)
{
    return atomic_load(&p->news);
}

void eq_pool_tell(struct eq_pool *p)
{
    atomic_fetch_add(&p->news, 1);
    wake_sleepers(&p->news, &p->news_asleep);
}

void eq_pool_wait(struct eq_pool *p, unsigned news)
{
    wait_for_change(p, &p->news, news, &p->news_asleep);
}

static bool enter(struct eq_pool *p)
{
    unsigned gate = atomic_load_explicit(&p->gate, memory_order_relaxed);
    do
        if (gate & CLOSED)
            return false;
    while (!atomic_compare_exchange_weak(&p->gate, &gate, gate + 1));
    return true;
}

static void leave(struct eq_pool *p)
{
    if (atomic_fetch_sub(&p->gate, 1) - 1 == CLOSED)
        wake_sleepers(&p->gate, &p->caller_asleep);
}

static void *help(void *arg)
{
    struct helper *h = arg;
    struct eq_pool *p = h->pool;
    for (unsigned seen = 0;;) {
        wait_for_change(p, &p->calls, seen, &p->asleep);
        seen = atomic_load(&p->calls);
        if (!enter(p))
            continue;
        if (p->over) {
            leave(p);
            return NULL;
        }
        if (h->worker < p->workers)
            p->fn(p->ctx, h->worker);
        leave(p);
    }
}

static void open_gate(struct eq_pool *p)
{
    atomic_fetch_and(&p->gate, ~CLOSED);
    atomic_fetch_add(&p->calls, 1);
    wake_sleepers(&p->calls, &p->asleep);
}

void eq_pool_run(struct eq_pool *p, int workers, eq_pool_fn fn, void *ctx)
{
    assert(workers > 1 && workers <= p->helpers + 1);
    p->fn = fn;
    p->ctx = ctx;
    p->workers = workers;
    open_gate(p);
    fn(ctx, 0);
    unsigned gate = atomic_fetch_or(&p->gate, CLOSED) | CLOSED;
    while (gate != CLOSED) {
        wait_for_change(p, &p->gate, gate, &p->caller_asleep);
        gate = atomic_load(&p->gate);
    }
}

/* Signals stay with the threads of the program. */
static int start(struct helper *h)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&h->thread, NULL, help, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

struct eq_pool *eq_pool_new(int threads, bool crowded)
{
    assert(threads > 1);
    size_t helpers = (size_t)threads - 1;
    struct eq_pool *p = eq_alloc(1, sizeof *p + helpers * sizeof p->helper[0]);
    if (!p)
        return NULL;
    p->gate = CLOSED;
    p->crowded = crowded;
    for (; p->helpers < (int)helpers; p->helpers++) {
        struct helper *h = &p->helper[p->helpers];
        h->pool = p;
        h->worker = p->helpers + 1;
        if (start(h) != 0) {
            eq_pool_free(p);
            return NULL;
        }
    }
    return p;
}

void eq_pool_free(struct eq_pool *p)
{
    if (!p)
        return;
    p->over = true;
    open_gate(p);
    for (int i = 0; i < p->helpers; i++)
        pthread_join(p->helper[i].thread, NULL);
    eq_free(p);
}
