/* The loop that times several ways of running alternately. */
#include "unit/cmocka_all.h"
#include "echoquant/infer.h"

#include <string.h>

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
        turns[k] = (struct eq_latency_turn){note, (void *)(uintptr_t)&names[k], names[k] == 'C' ? 1 : 2};
    return eq_latency_turns(turns, n, 2, warmup, repeats, out, err);
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
                                       cmocka_unit_test(errors_end_the_loop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
