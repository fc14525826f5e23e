/* Ranges to scale and zero-point: what must hold for any range, and what is refused. */
#include "unit/cmocka_all.h"
#include "echoquant/quant.h"

#include <float.h>
#include <math.h>

/* Zero is a quantized value exactly, both ends are within half a step, the zero-point is a u8. */
static void affine_holds_for_any_range(void **state)
{
    (void)state;
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (int i = 0; i < 20000; i++) {
        float a = (float)(eq_rng_normal(&rng) * pow(10, eq_rng_range(&rng, -4, 6)));
        float b = (float)(eq_rng_normal(&rng) * pow(10, eq_rng_range(&rng, -4, 6)));
        float min = fminf(a, b), max = fmaxf(a, b);
        struct eq_qparams q;
        assert_int_equal(eq_qparams_affine(min, max, &q, NULL), EQ_OK);
        assert_true(q.scale > 0 && q.zero_point >= 0 && q.zero_point <= 255 && q.qmin == 0 && q.qmax == 255);
        assert_true((float)(0 - q.zero_point) * q.scale <= fminf(min, 0) + 0.501f * q.scale);
        assert_true((float)(255 - q.zero_point) * q.scale >= fmaxf(max, 0) - 0.501f * q.scale);
    }
}

static void affine_edges(void **state)
{
    (void)state;
    struct eq_qparams q;
    assert_int_equal(eq_qparams_affine(3, 5, &q, NULL), EQ_OK); /* the range is widened to hold 0 */
    assert_true(q.scale == 5.0f / 255 && q.zero_point == 0);
    assert_int_equal(eq_qparams_affine(-5, -3, &q, NULL), EQ_OK);
    assert_true(q.scale == 5.0f / 255 && q.zero_point == 255);
    assert_int_equal(eq_qparams_affine(0, 0, &q, NULL), EQ_OK);
    assert_true(q.scale == FLT_EPSILON && q.zero_point == 0);
    /* A tie rounds to even: -min / scale = 127.5. */
    assert_int_equal(eq_qparams_affine(-127.5f, 127.5f, &q, NULL), EQ_OK);
    assert_int_equal(q.zero_point, 128);
}

static void symmetric_edges(void **state)
{
    (void)state;
    struct eq_qparams q;
    assert_int_equal(eq_qparams_symmetric(-2.54f, 1, 8, &q, NULL), EQ_OK);
    assert_true(q.scale == 2.54f / 127 && q.zero_point == 0 && q.qmin == -127 && q.qmax == 127);
    assert_int_equal(eq_qparams_symmetric(-1, 7, 4, &q, NULL), EQ_OK);
    assert_true(q.scale == 1 && q.qmin == -7 && q.qmax == 7);
    assert_int_equal(eq_qparams_symmetric(0, 0, 8, &q, NULL), EQ_OK);
    assert_true(q.scale == FLT_EPSILON);
}

static void bad_ranges_are_refused(void **state)
{
    (void)state;
    const float bad[][2] = {{NAN, 1}, {0, NAN}, {-INFINITY, 0}, {0, INFINITY}, {2, 1}, {-FLT_MAX, FLT_MAX}};
    struct eq_qparams q;
    struct eq_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(eq_qparams_affine(bad[i][0], bad[i][1], &q, &err), EQ_NUMERIC);
        assert_int_equal(eq_qparams_symmetric(bad[i][0], bad[i][1], 8, &q, &err), EQ_NUMERIC);
    }
    assert_int_equal(eq_qparams_symmetric(-1, 1, 1, &q, &err), EQ_USAGE);
    assert_int_equal(eq_qparams_symmetric(-1, 1, 9, &q, &err), EQ_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(affine_holds_for_any_range), cmocka_unit_test(affine_edges),
                                       cmocka_unit_test(symmetric_edges), cmocka_unit_test(bad_ranges_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
