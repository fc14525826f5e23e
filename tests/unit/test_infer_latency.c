/* The loop that times several ways of running alternately. */
#include "unit/cmocka_all.h"
#include "echoquant/infer.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* The calls in order, a letter each: lower case with one thread. */
static char calls[128];
static size_t n_calls, fails_at;

static enum eq_status note(void *ctx, struct eq_err *err)
{
    char c = *(const char *)ctx;
    assert_true(n_calls + 1 < sizeof calls);
    calls[n_calls++] = eq_parallel_threads() == 1 ? (char)(c - 'A' + 'a') : c;
    return n_calls == fails_at ? eq_fail(err, EQ_NUMERIC, "call %zu", n_calls) : EQ_OK;
}

static enum eq_status measure(const char *names, int n, int warmup, int repeats, struct eq_latency *out,
                              struct eq_err *err)
{
    struct eq_latency_turn turns[4];
    memset(calls, 0, sizeof calls);
    n_calls = 0;
    for (int k = 0; k < n; k++)
        turns[k] = (struct eq_latency_turn){note, (void *)(uintptr_t)&names[k], names[k] == 'C' ? 1 : 2, NULL};
    const struct eq_latency_opts opts = {2, warmup, repeats, 0};
    return eq_latency_turns(turns, n, &opts, out, err);
}

static void one_way_runs_through(void **state)
{
    (void)state;
    struct eq_latency l;
    assert_int_equal(measure("A", 1, 3, 5, &l, NULL), EQ_OK);
    assert_string_equal(calls, "AAAAAAAA");
    assert_int_equal(l.repeats, 5);
    assert_true(l.min >= 0 && l.min <= l.median && l.median <= l.p95);
}

/* Warm-up, then two calls of each, after one that settles and does not count. */
static void ways_alternate(void **state)
{
    (void)state;
    struct eq_latency l[3];
    assert_int_equal(measure("ABC", 3, 1, 3, l, NULL), EQ_OK);
    assert_string_equal(calls, "ABc"
                               "AAABBBccc"
                               "AABBcc");
    for (int k = 0; k < 3; k++)
        assert_int_equal(l[k].repeats, 3);
    assert_int_equal(eq_parallel_threads(), 2); /* the first one's */
}

static enum eq_status wait_a_little(void *ctx, struct eq_err *err)
{
    (void)err;
    ++*(int *)ctx;
    nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
    return EQ_OK;
}

/* The time that is allowed ends the turns, but not before each way has 30 calls; the samples are those that counted. */
static void time_ends_the_turns(void **state)
{
    enum { REPEATS = 100000 };
    static double ms[2][REPEATS];
    static const struct {
        int repeats;
        double seconds;
        int least, most;
    } cases[] = {{REPEATS, 1e-9, 30, 30}, {REPEATS, 0.05, 30, 2000}, {20, 1e-9, 20, 20}, {40, 0, 40, 40}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int made[2] = {0};
        struct eq_latency l[2];
        const struct eq_latency_opts opts = {5, 0, cases[c].repeats, cases[c].seconds};
        const struct eq_latency_turn turns[] = {{wait_a_little, &made[0], 2, ms[0]},
                                                {wait_a_little, &made[1], 2, ms[1]}};
        assert_int_equal(eq_latency_turns(turns, 2, &opts, l, NULL), EQ_OK);
        for (int k = 0; k < 2; k++) {
            int n = l[k].repeats;
            assert_true(n >= cases[c].least && n <= cases[c].most && made[k] >= n + (n + 4) / 5);
            assert_true(ms[k][0] == l[k].min && ms[k][n - 1] >= l[k].p99 && l[k].min >= 0.3);
            for (int i = 0; i < n; i++)
                assert_true(fabs(ms[k][i] * 1e4 - round(ms[k][i] * 1e4)) < 1e-6 &&
                            (i == 0 || ms[k][i - 1] <= ms[k][i]));
        }
    }
}

static void errors_end_the_loop(void **state)
{
    (void)state;
    struct eq_latency l[2];
    struct eq_err err;
    fails_at = 4;
    assert_int_equal(measure("AB", 2, 0, 3, l, &err), EQ_NUMERIC);
    assert_string_equal(err.msg, "call 4");
    assert_string_equal(calls, "AAAB");
    fails_at = 0;
    assert_int_equal(measure("A", 1, 0, 0, l, &err), EQ_USAGE);
    assert_int_equal(measure("A", 1, -1, 1, l, &err), EQ_USAGE);
    assert_int_equal(n_calls, 0);
}

int main(void)
{
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_way_runs_through), cmocka_unit_test(ways_alternate),
                                       cmocka_unit_test(time_ends_the_turns), cmocka_unit_test(errors_end_the_loop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
