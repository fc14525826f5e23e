/* Averages of weights: each value by the formula, over span boundaries, the same for any number of threads. */
#include "model_support.h"
#include "unit/cmocka_all.h"
#include "echoquant/nn.h"

#include <string.h>

enum { N = 40001 }; /* three spans, the last one short */

static float ema[N], x[N], start[N], first[N];

static void update_follows_the_formula(void **state)
{
    (void)state;
    random_floats(start, N, -2, 2, 1);
    random_floats(x, N, -2, 2, 2);
    for (int threads = 1; threads <= 2; threads++) {
        struct eq_err err;
        assert_int_equal(eq_parallel_init(threads, &err), EQ_OK);
        memcpy(ema, start, sizeof ema);
        eq_ema_update(ema, x, N, 0.125f);
        for (size_t i = 0; i < N; i++)
            assert_true(ema[i] == start[i] + 0.125f * (x[i] - start[i]));
        if (threads == 1)
            memcpy(first, ema, sizeof ema);
        assert_memory_equal(ema, first, sizeof ema);
    }
    memcpy(ema, start, sizeof ema);
    eq_ema_update(ema, x, 7, 1); /* no more than n values */
    assert_true(ema[6] == start[6] + (x[6] - start[6]));
    assert_memory_equal(ema + 7, start + 7, sizeof ema - 7 * sizeof *ema);
}

static void swap_exchanges_and_returns(void **state)
{
    (void)state;
    random_floats(ema, N, -2, 2, 3);
    random_floats(x, N, -2, 2, 4);
    memcpy(start, ema, sizeof ema);
    memcpy(first, x, sizeof x);
    eq_ema_swap(ema, x, N);
    assert_memory_equal(ema, first, sizeof ema);
    assert_memory_equal(x, start, sizeof x);
    eq_ema_swap(ema, x, N);
    assert_memory_equal(ema, start, sizeof ema);
    assert_memory_equal(x, first, sizeof x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(update_follows_the_formula),
        cmocka_unit_test(swap_exchanges_and_returns),
    };
    return cmocka_run_group_tests(tests, NULL, stop_threads);
}
