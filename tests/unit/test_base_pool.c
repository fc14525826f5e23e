/* The pool of threads: it waits for helpers that have begun, and for no others. A helper reads the clock while it waits
 * for a job; standing in front of the clock, the test keeps it from going on, as a busy machine does. */
#include "base/pool.h"
#include "unit/cmocka_all.h"
#include "echoquant/base.h"

#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 3, JOBS = 200 };

static _Thread_local bool is_caller;
static atomic_bool held;
static atomic_int held_up; /* helpers */

double __real_eq_now_ms(void);
double __wrap_eq_now_ms(void);
double __wrap_eq_now_ms(void)
{
    if (!is_caller && atomic_load(&held)) {
        atomic_fetch_add(&held_up, 1);
        while (atomic_load(&held))
            sched_yield();
        atomic_fetch_sub(&held_up, 1);
    }
    return __real_eq_now_ms();
}

struct work {
    atomic_int left;   /* pieces */
    atomic_int inside; /* calls that have begun and not returned */
    atomic_int by[THREADS];
    atomic_int wanted; /* the caller goes on when so many helpers have begun */
};

static void pull(void *ctx, int worker)
{
    struct work *w = ctx;
    atomic_fetch_add(&w->inside, 1);
    assert_true(worker >= 0 && worker < THREADS);
    atomic_fetch_sub(&w->wanted, worker != 0);
    while (worker == 0 && atomic_load(&w->wanted) > 0)
        sched_yield();
    while (atomic_fetch_sub(&w->left, 1) > 0) {
        atomic_fetch_add(&w->by[worker], 1);
        sched_yield();
    }
    atomic_fetch_sub(&w->inside, 1);
}

static struct eq_pool *new_pool(void)
{
    struct eq_pool *p = eq_pool_new(THREADS, false);
    assert_non_null(p);
    return p;
}

static void nobody_waits_for_a_helper_that_does_not_come(void **state)
{
    (void)state;
    static struct work w;
    struct eq_pool *p = new_pool();
    atomic_store(&held, true);
    w = (struct work){.left = 1};
    eq_pool_run(p, THREADS, pull, &w); /* wakes those that sleep */
    while (atomic_load(&held_up) < THREADS - 1)
        sched_yield();
    for (int job = 0; job < JOBS; job++) {
        w = (struct work){.left = 50};
        eq_pool_run(p, THREADS, pull, &w);
        assert_int_equal(w.by[0], 50);
    }
    atomic_store(&held, false);
    w = (struct work){.left = 50, .wanted = THREADS - 1}; /* would hang if they were lost */
    eq_pool_run(p, THREADS, pull, &w);
    assert_int_equal(w.by[0] + w.by[1] + w.by[2], 50);
    eq_pool_free(p);
}

static void every_helper_that_has_begun_is_waited_for(void **state)
{
    (void)state;
    static struct work w;
    struct eq_pool *p = new_pool();
    for (int job = 0; job < JOBS; job++) {
        int workers = 2 + job % 2;
        w = (struct work){.left = 20, .wanted = job % 5 == 0 ? workers - 1 : 0};
        eq_pool_run(p, workers, pull, &w);
        assert_int_equal(w.inside, 0);
        assert_int_equal(w.by[0] + w.by[1] + w.by[2], 20);
        assert_true(workers == THREADS || w.by[2] == 0);
    }
    eq_pool_free(p);
}

static void a_pool_without_a_job_ends(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        eq_pool_free(new_pool());
    eq_pool_free(NULL);
}

int main(void)
{
    is_caller = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits_for_a_helper_that_does_not_come),
        cmocka_unit_test(every_helper_that_has_begun_is_waited_for),
        cmocka_unit_test(a_pool_without_a_job_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
