/* Fake quantization, its straight-through gradient and LSQ's, against the definitions in plain double. */
#include "model_support.h"

enum { N = 10007 }; /* more than two chunks, and a ragged end */
static float x[N], y[N], dy[N], dx[N];
static uint8_t mask[N];

static double unclamped(float v, const struct eq_qparams *p)
{
    return nearbyint((double)(v * (1.0f / p->scale))) + p->zero_point;
}

static void edge(const struct eq_qparams *p, bool relu, bool in_place)
{
    random_floats(x, N, -2, 2, 5);
    memcpy(y, x, sizeof y);
    memset(mask, 7, sizeof mask);
    eq_fake_quant_forward(in_place ? y : x, N, p, relu, y, mask);
    int outside = 0;
    for (int i = 0; i < N; i++) {
        double q = unclamped(x[i], p), clamped = fmin(fmax(q, p->qmin), p->qmax);
        bool passes = q >= p->qmin && q <= p->qmax && !(relu && x[i] <= 0);
        assert_true(y[i] == (float)((clamped - p->zero_point) * (double)p->scale));
        assert_int_equal(mask[i], passes);
        outside += !passes;
    }
    assert_int_in_range(outside, 100, N - 100); /* both kinds were there */
    random_floats(dy, N, -1, 1, 6);
    eq_fake_quant_backward(mask, dy, N, dx);
    for (int i = 0; i < N; i++)
        assert_true(dx[i] == (mask[i] ? dy[i] : 0));
}

static void edges(void **state)
{
    (void)state;
    const struct eq_qparams affine = {0.011f, 117, 0, 255}, relu = {0.005f, 0, 0, 255}, narrow = {0.1f, 3, 0, 15};
    for (int in_place = 0; in_place < 2; in_place++) {
        edge(&affine, false, in_place);
        edge(&affine, true, in_place);
        edge(&relu, true, in_place);
        edge(&narrow, false, in_place);
    }
}

/* Gradients of weights come back through mask and factor, and are added. */
static void weights(void **state)
{
    (void)state;
    enum { ROWS = 7, COLS = 45 };
    float w[ROWS * COLS], factor[ROWS], used[ROWS * COLS], grad[ROWS * COLS], diff[ROWS * COLS];
    struct eq_qparams p[ROWS];
    random_floats(w, ROWS * COLS, -1, 1, 1);
    random_floats(factor, ROWS, -2, 2, 2);
    random_floats(diff, ROWS * COLS, -1, 1, 3);
    for (int shared = 0; shared < 2; shared++) {
        for (int r = 0; r < ROWS; r++)
            p[r] = (struct eq_qparams){0.004f + 0.001f * (float)r, 0, -127, 127};
        eq_fake_quant_rows_forward(w, ROWS, COLS, factor, p, !shared, used, mask);
        for (int i = 0; i < ROWS * COLS; i++)
            grad[i] = 1;
        eq_fake_quant_rows_backward(mask, diff, ROWS, COLS, factor, grad);
        for (int i = 0; i < ROWS * COLS; i++) {
            const struct eq_qparams *q = &p[shared ? 0 : i / COLS];
            double v = unclamped(w[i] * factor[i / COLS], q);
            assert_true(used[i] == (float)fmin(fmax(v, -127), 127) * q->scale);
            assert_int_equal(mask[i], v >= -127 && v <= 127);
            assert_true(grad[i] == (mask[i] ? 1 + diff[i] * factor[i / COLS] : 1));
        }
    }
    eq_fake_quant_rows_forward(w, ROWS, COLS, factor, NULL, 0, used, NULL);
    for (int i = 0; i < ROWS * COLS; i++)
        assert_true(used[i] == w[i] * factor[i / COLS]);
}

/* Esser et al., equation 3, one value at a time. */
static void lsq(void **state)
{
    (void)state;
    const struct eq_qparams p = {0.01f, 100, 0, 255};
    random_floats(x, N, -2, 2, 7);
    random_floats(dy, N, -1, 1, 8);
    double want = 0;
    for (int i = 0; i < N; i++) {
        double v = (double)x[i] / p.scale, q = nearbyint(v) + p.zero_point;
        want += dy[i] * (q < p.qmin ? p.qmin - p.zero_point : q > p.qmax ? p.qmax - p.zero_point : nearbyint(v) - v);
    }
    want /= sqrt((double)N * p.qmax);
    double got = eq_lsq_scale_grad(x, dy, N, &p);
    assert_true(fabs(got - want) < 1e-5 * (1 + fabs(want)));
}

/* Rows with scales of their own, and all with one: each as if it were an edge of values w * factor. */
static void lsq_of_rows(void **state)
{
    (void)state;
    enum { ROWS = 5, COLS = 83 };
    float factor[ROWS], scaled[ROWS * COLS], diff_scale[ROWS];
    struct eq_qparams p[ROWS];
    random_floats(x, ROWS * COLS, -1, 1, 9);
    random_floats(dy, ROWS * COLS, -1, 1, 10);
    random_floats(factor, ROWS, -2, 2, 11);
    for (int r = 0; r < ROWS; r++) {
        p[r] = (struct eq_qparams){0.004f + 0.001f * (float)r, 0, -127, 127};
        diff_scale[r] = 1;
        for (int i = r * COLS; i < (r + 1) * COLS; i++)
            scaled[i] = x[i] * factor[r];
    }
    eq_lsq_rows_grad(x, dy, ROWS, COLS, factor, p, 1, diff_scale);
    for (int r = 0; r < ROWS; r++) {
        double want = 1 + eq_lsq_scale_grad(scaled + r * COLS, dy + r * COLS, COLS, &p[r]);
        assert_true(fabs(diff_scale[r] - want) < 1e-5 * (1 + fabs(want)));
    }
    double want = diff_scale[0] + eq_lsq_scale_grad(scaled, dy, ROWS * COLS, &p[0]);
    eq_lsq_rows_grad(x, dy, ROWS, COLS, factor, p, 0, diff_scale);
    assert_true(fabs(diff_scale[0] - want) < 1e-5 * (1 + fabs(want)));
}

/* The slope of the loss in the scale, as finite differences see it: outside the range x_hat is a multiple of the scale.
 */
static void lsq_of_clamped_values_is_a_true_gradient(void **state)
{
    (void)state;
    float big[64], hat[2][64], diff[64];
    random_floats(big, 64, 10, 20, 1);
    for (int i = 0; i < 64; i += 2)
        big[i] = -big[i];
    random_floats(diff, 64, -1, 1, 2);
    struct eq_qparams p = {0.01f, 100, 0, 255}, up = p, down = p;
    up.scale += 1e-3f;
    down.scale -= 1e-3f;
    eq_fake_quant_forward(big, 64, &up, false, hat[0], NULL);
    eq_fake_quant_forward(big, 64, &down, false, hat[1], NULL);
    double numeric = 0;
    for (int i = 0; i < 64; i++)
        numeric += diff[i] * ((double)hat[0][i] - hat[1][i]) / (up.scale - down.scale);
    double analytic = eq_lsq_scale_grad(big, diff, 64, &p) * sqrt(64.0 * p.qmax);
    assert_true(fabs(numeric - analytic) < 1e-3 * fabs(analytic));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(weights),
        cmocka_unit_test(lsq),
        cmocka_unit_test(lsq_of_rows),
        cmocka_unit_test(lsq_of_clamped_values_is_a_true_gradient),
    };
    return cmocka_run_group_tests(tests, two_threads, stop_threads);
}
