/* qparams and observers against the figures of PyTorch, ONNX Runtime and NVIDIA's calibrators, over batches of growing
 * and shrinking range (quant_observers.py writes quant_observers.json).
 *
 * The tools compute bins and edges in another order of float32 operations, and a value within rounding of an edge may
 * count in the bin beside it. No case here has one where it matters, so the tolerance is one of rounding. */
#include "unit/cmocka_all.h"
#include "echoquant/quant.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

static cJSON *golden;

static const cJSON *item(const cJSON *j, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, key);
    if (!v)
        fail_msg("quant_observers.json has no %s", key);
    return v;
}

static double number(const cJSON *j, const char *key)
{
    return item(j, key)->valuedouble;
}

/* As values() in quant_observers.py: every operation rounds to float32 there, too. */
static void make_values(uint32_t seed, size_t n, const char *shape, float a, float b, float *x)
{
    uint32_t s = seed;
    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        float u = (float)(s >> 8) * 0x1p-23f - 1.0f;
        float v = strcmp(shape, "uniform") == 0 ? u : u * u * u;
        v = v * a + b;
        x[i] = strcmp(shape, "relu") == 0 ? fmaxf(v, 0) : v;
    }
}

enum { ROUNDING_PER_MILLION = 2 };

static const struct eq_observer *observed_case(const cJSON *c, enum eq_observer_kind kind, struct eq_observer **o)
{
    struct eq_observer_opts opts = {.kind = kind, .averaging = 0.01, .percentile = 99};
    const cJSON *factor, *factors = item(c, "factors");
    size_t n = (size_t)number(c, "n");
    uint32_t seed = (uint32_t)number(c, "seed");
    float *x = eq_alloc(n, sizeof *x);
    assert_int_equal(eq_observer_new(&opts, o, NULL), EQ_OK);
    cJSON_ArrayForEach(factor, factors)
    {
        make_values(seed++, n, item(c, "shape")->valuestring, (float)(number(c, "a") * factor->valuedouble),
                    (float)number(c, "b"), x);
        assert_int_equal(eq_observer_add(*o, x, n, NULL), EQ_OK);
    }
    eq_free(x);
    return *o;
}

/* Scale and zero-point of the range over all batches. */
static void expect_qparams(const cJSON *c, const char *key, enum eq_observer_kind kind)
{
    struct eq_observer *o;
    struct eq_qparams got;
    float min, max;
    double scale = number(item(c, key), "scale"), zp = number(item(c, key), "zero_point");
    assert_int_equal(eq_observer_range_by(observed_case(c, kind, &o), NULL, &min, &max, NULL), EQ_OK);
    assert_int_equal(eq_qparams_affine(min, max, &got, NULL), EQ_OK);
    eq_observer_free(o);
    if (fabs(got.scale - scale) > 1e-6 * ROUNDING_PER_MILLION * scale || got.zero_point != (int)zp)
        fail_msg("case %g, %s: scale %.9g, zero-point %d; expected %.9g, %g", number(c, "seed"), key, (double)got.scale,
                 got.zero_point, scale, zp);
}

static void observers_match_torch(void **state)
{
    (void)state;
    const cJSON *c;
    cJSON_ArrayForEach(c, item(golden, "cases"))
    {
        expect_qparams(c, "minmax", EQ_OBSERVER_MINMAX);
        expect_qparams(c, "moving_average", EQ_OBSERVER_MOVING_AVERAGE);
        expect_qparams(c, "hist_mse", EQ_OBSERVER_HIST_MSE);
    }
}

static void same_range(const cJSON *c, const char *what, double lo, double hi, float min, float max)
{
    double tolerance = 1e-6 * ROUNDING_PER_MILLION * (hi - lo);
    if (fabs(min - lo) > tolerance || fabs(max - hi) > tolerance)
        fail_msg("case %g, %s: [%.9g, %.9g], expected [%.9g, %.9g]", number(c, "seed"), what, (double)min, (double)max,
                 lo, hi);
}

static void percentiles_match_onnxruntime(void **state)
{
    (void)state;
    const cJSON *c, *p;
    cJSON_ArrayForEach(c, item(golden, "cases"))
    {
        struct eq_observer *o;
        observed_case(c, EQ_OBSERVER_PERCENTILE, &o);
        cJSON_ArrayForEach(p, item(c, "percentile"))
        {
            float min, max;
            struct eq_observer_opts opts = {.kind = EQ_OBSERVER_PERCENTILE, .percentile = strtod(p->string, NULL)};
            assert_int_equal(eq_observer_range_by(o, &opts, &min, &max, NULL), EQ_OK);
            same_range(c, p->string, cJSON_GetArrayItem(p, 0)->valuedouble, cJSON_GetArrayItem(p, 1)->valuedouble, min,
                       max);
        }
        eq_observer_free(o);
    }
}

/* NVIDIA's calibrator gives the largest absolute value that stays; the range ends there or where the values do. null:
 * it fails on these values, and ours must not: they lie far from 0 and evenly, so that most of them stay. */
static void entropy_matches_nvidia(void **state)
{
    (void)state;
    const cJSON *c;
    cJSON_ArrayForEach(c, item(golden, "cases"))
    {
        struct eq_observer *o, *all;
        float min, max, least, greatest, kept = INFINITY;
        if (cJSON_IsNumber(item(c, "entropy")))
            kept = (float)number(c, "entropy");
        assert_int_equal(eq_observer_range_by(observed_case(c, EQ_OBSERVER_ENTROPY, &o), NULL, &min, &max, NULL),
                         EQ_OK);
        assert_int_equal(
            eq_observer_range_by(observed_case(c, EQ_OBSERVER_MINMAX, &all), NULL, &least, &greatest, NULL), EQ_OK);
        if (isfinite(kept))
            same_range(c, "entropy", fmaxf(least, -kept), fminf(greatest, kept), min, max);
        else
            assert_true(max - min > 0.5f * (greatest - least));
        eq_observer_free(o);
        eq_observer_free(all);
    }
}

static void weight_scales_match_torch(void **state)
{
    (void)state;
    const cJSON *c;
    cJSON_ArrayForEach(c, item(golden, "weights"))
    {
        size_t cout = (size_t)number(c, "cout"), per = (size_t)number(c, "per");
        float *w = eq_alloc(cout * per, sizeof *w);
        make_values((uint32_t)number(c, "seed"), cout * per, "cubic", (float)number(c, "a"), 0, w);
        memset(w, 0, per * sizeof *w);
        for (size_t i = 0; i < cout; i++) {
            float max = 0;
            struct eq_qparams q;
            for (size_t k = 0; k < per; k++)
                max = fmaxf(max, fabsf(w[i * per + k]));
            assert_int_equal(eq_qparams_symmetric(-max, max, 8, &q, NULL), EQ_OK);
            double expected = cJSON_GetArrayItem(item(c, "scale"), (int)i)->valuedouble;
            assert_true(fabs(q.scale - expected) <= 1e-6 * expected);
        }
        eq_free(w);
    }
}

static void fake_quant_matches_torch(void **state)
{
    (void)state;
    const cJSON *c;
    cJSON_ArrayForEach(c, item(golden, "fake_quant"))
    {
        size_t n = (size_t)number(c, "n");
        float *x = eq_alloc(n, sizeof *x), scale = (float)number(c, "scale");
        int zp = (int)number(c, "zero_point");
        make_values((uint32_t)number(c, "seed"), n, "uniform", (float)number(c, "a"), 0, x);
        eq_f32_kernels()->fake_quant(x, n, scale, zp, 0, 255, x, NULL);
        int64_t sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (int64_t)nearbyintf(x[i] / scale) + zp;
        assert_int_equal(sum, (int64_t)number(c, "sum_q"));
        eq_free(x);
    }
}

int main(void)
{
    struct eq_err err;
    eq_kernels_init();
    if (eq_json_read(TEST_DATA_DIR "/golden/quant_observers.json", &golden, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observers_match_torch), cmocka_unit_test(percentiles_match_onnxruntime),
        cmocka_unit_test(entropy_matches_nvidia), cmocka_unit_test(weight_scales_match_torch),
        cmocka_unit_test(fake_quant_matches_torch)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cJSON_Delete(golden);
    return failed;
}
