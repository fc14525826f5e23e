/* qparams and observers against PyTorch's and ONNX Runtime's figures (quant_observers.py writes quant_observers.json).
 */
#include "unit/cmocka_all.h"
#include "echoquant/quant.h"
#include "quant/histogram.h"

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

static float *batch_of(const cJSON *c, int batch)
{
    size_t n = (size_t)number(c, "n");
    float *x = eq_alloc(n, sizeof *x);
    make_values((uint32_t)number(c, "seed") + (uint32_t)batch, n, item(c, "shape")->valuestring,
                (float)(number(c, "a") * (1 + 0.25 * batch)), (float)number(c, "b"), x);
    return x;
}

static struct eq_qparams observe(const cJSON *c, enum eq_observer_kind kind, int batches)
{
    struct eq_observer_opts opts = {.kind = kind, .averaging = 0.01};
    struct eq_observer *o;
    struct eq_qparams q;
    float min, max;
    assert_int_equal(eq_observer_new(&opts, &o, NULL), EQ_OK);
    for (int i = 0; i < batches; i++) {
        float *x = batch_of(c, i);
        assert_int_equal(eq_observer_add(o, x, (size_t)number(c, "n"), NULL), EQ_OK);
        eq_free(x);
    }
    assert_int_equal(eq_observer_range_by(o, NULL, &min, &max, NULL), EQ_OK);
    assert_int_equal(eq_qparams_affine(min, max, &q, NULL), EQ_OK);
    eq_observer_free(o);
    return q;
}

static void expect(const cJSON *c, const char *key, struct eq_qparams got, double tolerance, int zp_tolerance)
{
    double scale = number(item(c, key), "scale"), zp = number(item(c, key), "zero_point");
    if (fabs(got.scale - scale) > tolerance * scale || fabs(got.zero_point - zp) > zp_tolerance)
        fail_msg("case %g, %s: scale %.9g, zero-point %d; expected %.9g, %g", number(c, "seed"), key, (double)got.scale,
                 got.zero_point, scale, zp);
}

static void observers_match_torch(void **state)
{
    (void)state;
    const cJSON *c;
    cJSON_ArrayForEach(c, item(golden, "cases"))
    {
        int batches = (int)number(c, "batches");
        expect(c, "minmax", observe(c, EQ_OBSERVER_MINMAX, batches), 1e-6, 0);
        expect(c, "moving_average", observe(c, EQ_OBSERVER_MOVING_AVERAGE, batches), 1e-6, 0);
        expect(c, "hist_mse_one", observe(c, EQ_OBSERVER_HIST_MSE, 1), 1e-6, 0);
        /* Over batches that widen the range we merge whole bins where torch spreads them: a bin or so apart. */
        expect(c, "hist_mse", observe(c, EQ_OBSERVER_HIST_MSE, batches), 0.005, 1);
    }
}

static void same_range(const cJSON *c, const char *what, const cJSON *range, float min, float max)
{
    double lo = cJSON_GetArrayItem(range, 0)->valuedouble, hi = cJSON_GetArrayItem(range, 1)->valuedouble;
    if (fabs(min - lo) > 1e-6 * (hi - lo) || fabs(max - hi) > 1e-6 * (hi - lo))
        fail_msg("case %g, %s: [%.9g, %.9g], expected [%.9g, %.9g]", number(c, "seed"), what, (double)min, (double)max,
                 lo, hi);
}

static void ranges_match_onnxruntime(void **state)
{
    (void)state;
    const cJSON *c, *p;
    struct eq_hist *h = eq_alloc(1, sizeof *h);
    float min, max;
    cJSON_ArrayForEach(c, item(golden, "cases"))
    {
        float *x = batch_of(c, 0);
        memset(h, 0, sizeof *h);
        assert_int_equal(eq_hist_add(h, x, (size_t)number(c, "n"), NULL), EQ_OK);
        cJSON_ArrayForEach(p, item(c, "percentile"))
        {
            eq_hist_percentile(h, strtod(p->string, NULL), &min, &max);
            same_range(c, p->string, p, min, max);
        }
        memset(h, 0, sizeof *h);
        h->symmetric = true;
        assert_int_equal(eq_hist_add(h, x, (size_t)number(c, "n"), NULL), EQ_OK);
        eq_hist_entropy(h, 256, &min, &max);
        same_range(c, "entropy", item(c, "entropy"), min, max);
        eq_free(x);
    }
    eq_free(h);
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
        cmocka_unit_test(observers_match_torch), cmocka_unit_test(ranges_match_onnxruntime),
        cmocka_unit_test(weight_scales_match_torch), cmocka_unit_test(fake_quant_matches_torch)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cJSON_Delete(golden);
    return failed;
}
