/* The parallel-for: every piece once, worker numbers that can name scratch, the same result for any thread count. */
#include "unit/cmocka_all.h"
#include "echoquant/base.h"

#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { MAX_PIECES = 1000, MAX_WORKERS = 7 };

struct probe {
    atomic_int runs[MAX_PIECES];
    atomic_bool busy[MAX_WORKERS];
    atomic_int overlaps, bad_workers;
    int threads;
};

static void count_piece(void *ctx, size_t piece, int worker)
{
    struct probe *p = ctx;
    if (worker < 0 || worker >= p->threads) {
        atomic_fetch_add(&p->bad_workers, 1);
        return;
    }
    if (atomic_exchange(&p->busy[worker], true))
        atomic_fetch_add(&p->overlaps, 1);
    atomic_fetch_add(&p->runs[piece], 1);
    atomic_store(&p->busy[worker], false);
}

static const int thread_counts[] = {1, 2, 3, 7};

static void every_piece_once(void **state)
{
    (void)state;
    static struct probe p;
    static const size_t piece_counts[] = {0, 1, 2, 6, 7, 8, 999, 1000};
    for (size_t t = 0; t < 4; t++) {
        assert_int_equal(eq_parallel_init(thread_counts[t], NULL), EQ_OK);
        assert_int_equal(eq_parallel_threads(), thread_counts[t]);
        for (size_t c = 0; c < 2 * sizeof piece_counts / sizeof *piece_counts; c++) {
            size_t pieces = piece_counts[c / 2];
            p = (struct probe){.threads = thread_counts[t]};
            eq_parallel_for(pieces, count_piece, &p);
            for (size_t i = 0; i < MAX_PIECES; i++)
                assert_int_equal(p.runs[i], i < pieces);
            assert_int_equal(p.overlaps, 0);
            assert_int_equal(p.bad_workers, 0);
        }
    }
}

struct sums {
    float part[64];
};

static void sum_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    struct sums *s = ctx;
    struct eq_rng r;
    eq_rng_init(&r, 1, EQ_RNG_TEST, 0, (uint32_t)piece);
    float sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += (float)eq_rng_normal(&r);
    s->part[piece] = sum;
}

static void same_bits_for_any_thread_count(void **state)
{
    (void)state;
    struct sums first, other;
    for (size_t t = 0; t < 4; t++) {
        assert_int_equal(eq_parallel_init(thread_counts[t], NULL), EQ_OK);
        eq_parallel_for(64, sum_piece, t == 0 ? &first : &other);
        if (t > 0)
            assert_memory_equal(&first, &other, sizeof first);
    }
}

struct nested {
    atomic_int inner_runs, foreign;
    int outer_worker[MAX_PIECES];
};
struct nested_inner {
    struct nested *all;
    int worker;
    pthread_t thread;
};

static void inner_piece(void *ctx, size_t piece, int worker)
{
    (void)piece;
    struct nested_inner *inner = ctx;
    atomic_fetch_add(&inner->all->inner_runs, 1);
    if (worker != inner->worker || !pthread_equal(pthread_self(), inner->thread))
        atomic_fetch_add(&inner->all->foreign, 1);
}

static void outer_piece(void *ctx, size_t piece, int worker)
{
    (void)piece;
    struct nested_inner inner = {ctx, worker, pthread_self()};
    eq_parallel_for(10, inner_piece, &inner);
}

static void nested_runs_in_place(void **state)
{
    (void)state;
    static struct nested n;
    for (size_t t = 0; t < 4; t++) {
        n = (struct nested){0};
        assert_int_equal(eq_parallel_init(thread_counts[t], NULL), EQ_OK);
        eq_parallel_for(20, outer_piece, &n);
        assert_int_equal(n.inner_runs, 200);
        assert_int_equal(n.foreign, 0);
    }
}

static void halve_smallest(void *ctx, size_t piece, int worker)
{
    (void)worker;
    volatile float x = FLT_MIN;
    x *= 0.5f;
    ((float *)ctx)[piece] = x;
}

static void denormals_are_flushed_inside_only(void **state)
{
    (void)state;
#if defined(__x86_64__) || defined(__aarch64__)
    for (size_t t = 0; t < 4; t++) {
        assert_int_equal(eq_parallel_init(thread_counts[t], NULL), EQ_OK);
        float out[32];
        eq_parallel_for(32, halve_smallest, out);
        for (int i = 0; i < 32; i++)
            assert_true(out[i] == 0);
        volatile float x = FLT_MIN;
        x *= 0.5f;
        assert_true(x > 0);
    }
#else
    print_message("skipped: flushing denormals is done on x86-64 and aarch64 only\n");
    skip();
#endif
}

struct shares {
    atomic_int worker[60], begun, helped;
};

/* The first piece of each of three workers waits for the other two; then piece 0 waits for all others. */
static void share_piece(void *ctx, size_t piece, int worker)
{
    struct shares *s = ctx;
    atomic_store(&s->worker[piece], worker);
    if (piece % 20 == 0) {
        atomic_fetch_add(&s->begun, 1);
        while (atomic_load(&s->begun) < 3)
            sched_yield();
    }
    while (piece == 0 && atomic_load(&s->helped) < 59)
        sched_yield();
    atomic_fetch_add(&s->helped, piece != 0);
}

static void neighbors_stay_with_a_worker_unless_it_needs_help(void **state)
{
    (void)state;
    static struct shares s;
    assert_int_equal(eq_parallel_init(3, NULL), EQ_OK);
    for (int round = 0; round < 20; round++) {
        s = (struct shares){0};
        eq_parallel_for(60, share_piece, &s);
        for (int w = 0; w < 3; w++)
            assert_int_equal(s.worker[w * 20], w);
        for (int piece = 1; piece < 20; piece++)
            assert_int_not_equal(s.worker[piece], 0);
    }
}

struct caller {
    struct probe *probe;
    int rounds;
};

static void *call_from_thread(void *arg)
{
    struct caller *c = arg;
    for (int i = 0; i < c->rounds; i++)
        eq_parallel_for(100, count_piece, c->probe);
    return NULL;
}

/* A loader thread may call while the main thread does: worker numbers still never overlap. */
static void two_callers_take_turns(void **state)
{
    (void)state;
    static struct probe p;
    for (size_t t = 0; t < 4; t++) {
        assert_int_equal(eq_parallel_init(thread_counts[t], NULL), EQ_OK);
        p = (struct probe){.threads = thread_counts[t]};
        struct caller c = {&p, 50};
        pthread_t other;
        assert_int_equal(pthread_create(&other, NULL, call_from_thread, &c), 0);
        call_from_thread(&c);
        pthread_join(other, NULL);
        for (int i = 0; i < 100; i++)
            assert_int_equal(p.runs[i], 100);
        assert_int_equal(p.overlaps, 0);
        assert_int_equal(p.bad_workers, 0);
    }
}

static void init_checks_its_argument(void **state)
{
    (void)state;
    struct eq_err err;
    assert_int_equal(eq_parallel_init(-1, &err), EQ_USAGE);
    assert_int_equal(eq_parallel_init(5000, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "5000"));
    assert_int_equal(eq_parallel_init(0, &err), EQ_OK);
    assert_int_equal(eq_parallel_threads(), eq_cpu_count());
    eq_parallel_shutdown();
    assert_int_equal(eq_parallel_threads(), 1);
    static struct probe p;
    p = (struct probe){.threads = 1};
    eq_parallel_for(10, count_piece, &p); /* works without a pool */
    assert_int_equal(p.runs[9], 1);
}

static atomic_bool busy_over;

static void *stay_busy(void *arg)
{
    while (!atomic_load_explicit(&busy_over, memory_order_relaxed))
        ;
    return arg;
}

/* Two busy loops on each CPU beside: every job still comes to its end and to its bits. */
static void busy_neighbors_change_no_bit(void **state)
{
    (void)state;
    enum { MOST_LOOPS = 64, ROUNDS = 300 };
    pthread_t loops[MOST_LOOPS];
    struct sums quiet, busy;
    int n = 2 * eq_cpu_count() < MOST_LOOPS ? 2 * eq_cpu_count() : MOST_LOOPS;
    assert_int_equal(eq_parallel_init(2, NULL), EQ_OK);
    eq_parallel_for(64, sum_piece, &quiet);
    for (int i = 0; i < n; i++)
        assert_int_equal(pthread_create(&loops[i], NULL, stay_busy, NULL), 0);
    for (int round = 0; round < ROUNDS; round++) {
        memset(&busy, 0, sizeof busy);
        eq_parallel_for(64, sum_piece, &busy);
        assert_memory_equal(&busy, &quiet, sizeof busy);
    }
    atomic_store(&busy_over, true);
    for (int i = 0; i < n; i++)
        pthread_join(loops[i], NULL);
}

static int stop_pool(void **state)
{
    (void)state;
    eq_parallel_shutdown();
    return 0;
}

/* Pieces that one thread puts out and all take away. */
struct market {
    atomic_int offered, taken, by_helpers;
    atomic_bool over;
    int wait_for; /* pieces that the helpers have to take */
};

static bool take_one(struct market *m)
{
    int n = atomic_load(&m->offered);
    while (n > 0)
        if (atomic_compare_exchange_weak(&m->offered, &n, n - 1)) {
            atomic_fetch_add(&m->taken, 1);
            return true;
        }
    return false;
}

static void buy(void *ctx, int worker)
{
    struct market *m = ctx;
    assert_true(worker > 0);
    for (;;) {
        unsigned news = eq_parallel_news();
        if (take_one(m)) {
            atomic_fetch_add(&m->by_helpers, 1);
            eq_parallel_tell();
        } else if (atomic_load(&m->over)) {
            return;
        } else {
            eq_parallel_wait(news);
        }
    }
}

static void sell(void *ctx, int worker)
{
    struct market *m = ctx;
    assert_int_equal(worker, 0);
    for (int i = 0; i < 200; i++) {
        atomic_fetch_add(&m->offered, 1);
        eq_parallel_tell();
    }
    for (unsigned news = eq_parallel_news(); atomic_load(&m->by_helpers) < m->wait_for; news = eq_parallel_news())
        if (atomic_load(&m->by_helpers) < m->wait_for)
            eq_parallel_wait(news);
    while (take_one(m))
        ;
    atomic_store(&m->over, true);
    eq_parallel_tell();
}

static void sell_inside(void *ctx, size_t piece, int worker)
{
    struct market m = {.wait_for = 0};
    (void)worker;
    ((int *)ctx)[piece] = eq_parallel_helpers();
    eq_parallel_beside(2, sell, buy, &m);
    ((int *)ctx)[piece] += m.taken;
}

static void helpers_share_a_threads_work(void **state)
{
    (void)state;
    static struct market m;
    for (int threads = 1; threads <= 4; threads++) {
        assert_int_equal(eq_parallel_init(threads, NULL), EQ_OK);
        for (int helpers = 0; helpers <= 4; helpers++)
            for (int round = 0; round < 20; round++) {
                m = (struct market){.wait_for = helpers && threads > 1 ? 5 : 0};
                eq_parallel_beside(helpers, sell, buy, &m);
                assert_int_equal(m.taken, 200);
                assert_true(helpers || m.by_helpers == 0);
            }
        int taken[3] = {0};
        eq_parallel_for(3, sell_inside, taken);
        for (int i = 0; i < 3; i++)
            assert_int_equal(taken[i], 200);
    }
    assert_int_equal(eq_parallel_init(1, NULL), EQ_OK);
    assert_int_equal(eq_parallel_helpers(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_once),
        cmocka_unit_test(same_bits_for_any_thread_count),
        cmocka_unit_test(nested_runs_in_place),
        cmocka_unit_test(denormals_are_flushed_inside_only),
        cmocka_unit_test(two_callers_take_turns),
        cmocka_unit_test(init_checks_its_argument),
        cmocka_unit_test(neighbors_stay_with_a_worker_unless_it_needs_help),
        cmocka_unit_test(busy_neighbors_change_no_bit),
        cmocka_unit_test(helpers_share_a_threads_work),
    };
    return cmocka_run_group_tests(tests, NULL, stop_pool);
}
