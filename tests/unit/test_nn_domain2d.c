/* Convolutions in Winograd's domain, forward and backward: without rounding against the direct convolution, with
 * rounding against the same in double, matrix by matrix. */
#include "model_support.h"

#include <stdlib.h>

enum { P = EQ_DOMAIN_POINTS };

/* A layer's buffers; all values random. */
struct layer {
    struct eq_domain2d l;
    size_t in, out, weights;
    float *src, *dy, *w, *residual, *factor, *bias;
    float *u, *packed, *y, *du, *dw, *dx;
    uint8_t *mask;
    void *scratch;
    struct eq_f32_domain_rounding rounding;
    float scale[P * 80];
};

static float *floats(size_t n, unsigned seed, float lo, float hi)
{
    float *x = eq_alloc(n, sizeof *x);
    assert_non_null(x);
    random_floats(x, n, lo, hi, seed);
    return x;
}

static void layer_init(struct layer *a, const struct eq_conv_shape *s, bool ordered, unsigned seed)
{
    *a = (struct layer){0};
    eq_domain2d_init(&a->l, s, ordered);
    assert_true(s->cout <= 80 && eq_domain_supports(s));
    a->in = (size_t)s->b * s->h * s->w * s->t * s->cin;
    a->out = (size_t)s->b * s->oh * s->ow * s->t * s->cout;
    a->weights = (size_t)s->cout * s->cin * 9;
    a->src = floats(a->in, seed, -1, 2);
    a->dy = floats(a->out, seed + 1, -1, 1);
    a->residual = floats(a->out, seed + 2, -1, 1);
    a->w = floats(a->weights, seed + 3, -1, 1);
    a->factor = floats((size_t)s->cout, seed + 4, 0.5f, 2);
    a->bias = floats((size_t)s->cout, seed + 5, -1, 1);
    a->u = floats(eq_domain2d_weights(&a->l), seed, 0, 1);
    a->packed = floats(eq_domain2d_weights(&a->l), seed, 0, 1);
    a->y = floats(a->out, seed, 0, 1);
    a->du = floats(eq_domain2d_weights(&a->l), seed, 0, 1);
    a->dw = floats(a->weights, seed + 6, -1, 1);
    a->dx = floats(a->in, seed + 7, -1, 1);
    a->mask = eq_alloc(eq_domain2d_weights(&a->l), 1);
    size_t forward = eq_domain2d_scratch_bytes(&a->l, false), backward = eq_domain2d_scratch_bytes(&a->l, true);
    a->scratch = eq_alloc(forward > backward ? forward : backward, 1);
    assert_true(a->mask && a->scratch);
    for (int p = 0; p < P; p++) { /* some values of every point are clipped */
        a->rounding.scale[p] = 0.02f + 0.003f * (float)p;
        a->rounding.inv[p] = 1.0f / a->rounding.scale[p];
        a->rounding.zp[p] = (float)(90 + 2 * p);
        for (int c = 0; c < s->cout; c++)
            a->scale[p * s->cout + c] = 0.004f + 0.0001f * (float)p + 0.0002f * (float)c;
    }
}

static void layer_clear(struct layer *a)
{
    float *const all[] = {a->src, a->dy,     a->w, a->residual, a->factor, a->bias,
                          a->u,   a->packed, a->y, a->du,       a->dw,     a->dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        eq_free(all[i]);
    eq_free(a->mask);
    eq_free(a->scratch);
}

static void run_layer(struct layer *a, bool rounds, bool accumulate, float *range)
{
    const struct eq_f32_domain_rounding *r = rounds ? &a->rounding : NULL;
    const struct eq_domain2d_grid grid = {
        .scale = rounds ? a->scale : NULL, .scales = P * a->l.shape.cout, .qmin = -127, .qmax = 127};
    const struct eq_domain2d_epilogue epi = {.bias = a->bias, .residual = a->residual};
    eq_domain2d_use_weights(&a->l, a->w, a->factor, &grid, a->u, a->mask);
    if (a->l.ordered)
        eq_domain2d_pack(&a->l, a->u, a->packed);
    eq_domain2d_forward(&a->l, a->src, r, a->l.ordered ? a->packed : a->u, &epi, a->y, range, a->scratch);
    eq_domain2d_backward(&a->l, a->src, a->dy, r, a->u, a->du, a->dx, accumulate, a->scratch);
    eq_domain2d_weights_backward(&a->l, a->du, rounds ? a->mask : NULL, a->factor, a->dw);
}

static struct eq_conv_shape shape(int b, int t, int h, int w, int cin, int cout)
{
    struct eq_conv_shape s;
    eq_conv_shape_init(&s, b, t, h, w, cin, cout, 3, 1, 1, EQ_LAYOUT_PIXEL);
    return s;
}

/* The largest difference in units of the expected values' rms. */
static double distance(const float *x, const double *expected, size_t n)
{
    double most = 0, power = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x[i] - expected[i]));
        power += expected[i] * expected[i];
    }
    return most / sqrt(power / (double)n);
}

/* ---- the reference ------------------------------------------------------- */

struct reference {
    double *y, *dw, *dx;
    float least[P], most[P];
};

static double at_g(int i, int tap)
{
    static const double g[6][3] = {{.25, 0, 0},
                                   {-1. / 6, -1. / 6, -1. / 6},
                                   {-1. / 6, 1. / 6, -1. / 6},
                                   {1. / 24, 1. / 12, 1. / 6},
                                   {1. / 24, -1. / 12, 1. / 6},
                                   {0, 0, 1}};
    return g[i][tap];
}

static double rounded(double x, double scale, double zp, double lo, double hi, bool *inside)
{
    double q = nearbyint(x / scale) + zp;
    *inside = q >= lo && q <= hi;
    return (fmin(fmax(q, lo), hi) - zp) * scale;
}

/* U as used, and where its gradient passes. */
static double used_weight(const struct layer *a, int p, int oc, int ci, bool rounds, bool *inside)
{
    double u = 0;
    *inside = true;
    for (int tap = 0; tap < 9; tap++)
        u += at_g(p / 6, tap / 3) * at_g(p % 6, tap % 3) *
             (double)(a->w[((size_t)oc * a->l.shape.cin + ci) * 9 + tap] * a->factor[oc]);
    return rounds ? rounded(u, a->scale[p * a->l.shape.cout + oc], 0, -127, 127, inside) : u;
}

static size_t pixel_at(const struct eq_conv_shape *s, int b, int y, int x, int f, int c, int channels)
{
    return ((((size_t)b * s->h + y) * s->w + x) * s->t + f) * channels + c;
}

/* One tile of one frame of a clip. */
static void reference_tile(const struct layer *a, struct reference *r, int b, int f, struct eq_domain_tile ty,
                           struct eq_domain_tile tx, bool rounds)
{
    const struct eq_conv_shape *s = &a->l.shape;
    double *v = calloc((size_t)P * s->cin, sizeof *v), *dv = calloc((size_t)P * s->cin, sizeof *dv);
    bool *passes = calloc((size_t)P * s->cin, sizeof *passes);
    for (int p = 0; p < P; p++)
        for (int ci = 0; ci < s->cin; ci++) {
            double sum = 0;
            for (int i = 0; i < P; i++) {
                int y = ty.start - 1 + i / 6, x = tx.start - 1 + i % 6;
                if (y >= 0 && y < s->h && x >= 0 && x < s->w)
                    sum += eq_domain_bt[p / 6][i / 6] * eq_domain_bt[p % 6][i % 6] *
                           (double)a->src[pixel_at(s, b, y, x, f, ci, s->cin)];
            }
            passes[p * s->cin + ci] = true;
            bool there = (p / 6 < 5 || ty.outputs == 4) && (p % 6 < 5 || tx.outputs == 4);
            if (there) {
                r->least[p] = fminf(r->least[p], (float)sum);
                r->most[p] = fmaxf(r->most[p], (float)sum);
            }
            v[p * s->cin + ci] =
                rounds ? rounded(sum, a->rounding.scale[p], a->rounding.zp[p], 0, 255, &passes[p * s->cin + ci]) : sum;
        }
    for (int oc = 0; oc < s->cout; oc++)
        for (int p = 0; p < P; p++) {
            double m = 0, dm = 0;
            for (int o = 0; o < 16; o++) {
                int y = ty.start + o / 4, x = tx.start + o % 4;
                if (o / 4 < ty.outputs && o % 4 < tx.outputs && y < s->oh && x < s->ow)
                    dm += eq_domain_at[o / 4][p / 6] * eq_domain_at[o % 4][p % 6] *
                          (double)a->dy[pixel_at(s, b, y, x, f, oc, s->cout)];
            }
            for (int ci = 0; ci < s->cin; ci++) {
                bool inside;
                double u = used_weight(a, p, oc, ci, rounds, &inside);
                m += v[p * s->cin + ci] * u;
                dv[p * s->cin + ci] += passes[p * s->cin + ci] ? dm * u : 0;
                for (int tap = 0; tap < 9 && inside; tap++)
                    r->dw[((size_t)oc * s->cin + ci) * 9 + tap] +=
                        dm * v[p * s->cin + ci] * at_g(p / 6, tap / 3) * at_g(p % 6, tap % 3) * a->factor[oc];
            }
            for (int o = 0; o < 16; o++) {
                int y = ty.start + o / 4, x = tx.start + o % 4;
                if (o / 4 < ty.outputs && o % 4 < tx.outputs && y < s->oh && x < s->ow)
                    r->y[pixel_at(s, b, y, x, f, oc, s->cout)] +=
                        eq_domain_at[o / 4][p / 6] * eq_domain_at[o % 4][p % 6] * m;
            }
        }
    for (int i = 0; i < P; i++) {
        int y = ty.start - 1 + i / 6, x = tx.start - 1 + i % 6;
        for (int ci = 0; ci < s->cin && y >= 0 && y < s->h && x >= 0 && x < s->w; ci++)
            for (int p = 0; p < P; p++)
                r->dx[pixel_at(s, b, y, x, f, ci, s->cin)] +=
                    eq_domain_bt[p / 6][i / 6] * eq_domain_bt[p % 6][i % 6] * dv[p * s->cin + ci];
    }
    free(v);
    free(dv);
    free(passes);
}

static void reference_run(const struct layer *a, struct reference *r, bool rounds)
{
    const struct eq_conv_shape *s = &a->l.shape;
    *r = (struct reference){
        calloc(a->out, sizeof(double)), calloc(a->weights, sizeof(double)), calloc(a->in, sizeof(double)), {0}, {0}};
    for (int p = 0; p < P; p++) {
        r->least[p] = INFINITY;
        r->most[p] = -INFINITY;
    }
    for (size_t i = 0; i < a->out; i++)
        r->y[i] = (double)a->bias[i % (size_t)s->cout] + (double)a->residual[i];
    for (size_t i = 0; i < a->weights; i++)
        r->dw[i] = (double)a->dw[i];
    for (int b = 0; b < s->b; b++)
        for (int f = 0; f < s->t; f++)
            for (int y = 0; y < eq_domain_tiles(s->oh); y++)
                for (int x = 0; x < eq_domain_tiles(s->ow); x++)
                    reference_tile(a, r, b, f, eq_domain_tile(s->oh, y), eq_domain_tile(s->ow, x), rounds);
}

static void against_double(void **state)
{
    (void)state;
    static const int sides[][2] = {{1, 2}, {5, 3}, {7, 6}, {4, 8}, {10, 5}};
    for (unsigned i = 0; i < 5; i++)
        for (int rounds = 0; rounds < 2; rounds++)
            for (int ordered = 0; ordered < 2; ordered++) {
                struct layer a;
                struct reference r;
                float range[2 * P];
                struct eq_conv_shape s =
                    shape(1 + (int)i % 2, 1 + (int)i % 3, sides[i][0], sides[i][1], i % 2 ? 3 : 19, i % 2 ? 17 : 5);
                layer_init(&a, &s, ordered, 100 + i);
                reference_run(&a, &r, rounds);
                run_layer(&a, rounds, false, range);
                const double y = distance(a.y, r.y, a.out), dw = distance(a.dw, r.dw, a.weights),
                             dx = distance(a.dx, r.dx, a.in);
                if (y > 1e-5 || dw > 1e-5 || dx > 1e-5)
                    fail_msg("%d x %d, rounded %d, ordered %d: %g %g %g", s.h, s.w, rounds, ordered, y, dw, dx);
                for (int p = 0; p < P; p++) {
                    assert_true(isinf(r.least[p]) ? range[p] == r.least[p] : fabsf(range[p] - r.least[p]) < 1e-4f);
                    assert_true(isinf(r.most[p]) ? range[P + p] == r.most[p] : fabsf(range[P + p] - r.most[p]) < 1e-4f);
                }
                free(r.y);
                free(r.dw);
                free(r.dx);
                layer_clear(&a);
            }
}

/* Without rounding it is the convolution that the direct kernels compute, in several chunks as well. */
static void unrounded_is_direct(void **state)
{
    (void)state;
    const struct eq_conv_shape shapes[] = {shape(2, 4, 40, 37, 64, 64), shape(1, 3, 7, 7, 33, 70)};
    for (unsigned i = 0; i < 2; i++) {
        struct layer a;
        const struct eq_conv_shape *s = &shapes[i];
        const struct eq_conv_kernel *k[EQ_CONV_PASSES];
        layer_init(&a, s, false, 7 + i);
        assert_true(i == 1 || a.l.chunk < a.l.tiles);
        for (int c = 0; c < s->cout; c++)
            a.factor[c] = 1;
        float *y = floats(a.out, 1, 0, 1), *dw = floats(a.weights, 13 + i, -1, 1), *dx = floats(a.in, 1, 0, 1);
        memcpy(dw, a.dw, a.weights * sizeof *dw);
        memcpy(dx, a.dx, a.in * sizeof *dx);
        for (int pass = 0; pass < EQ_CONV_PASSES; pass++)
            assert_true(eq_f32_conv_candidates((enum eq_conv_pass)pass, s, &k[pass], 1) == 1);
        size_t scratch = 1, weights = 1;
        for (int pass = 0; pass < EQ_CONV_PASSES; pass++) {
            scratch += k[pass]->scratch_bytes(s, eq_parallel_threads());
            weights += k[pass]->packed_bytes(s);
        }
        void *packed = eq_alloc(weights, 1), *room = eq_alloc(scratch, 1);
        assert_true(packed && room);
        const struct eq_f32_epilogue epi = {.bias = a.bias, .residual = a.residual};
        k[EQ_CONV_FORWARD]->pack(s, a.w, packed);
        k[EQ_CONV_FORWARD]->run.forward(s, a.src, packed, &epi, y, room);
        k[EQ_CONV_BACKWARD_DATA]->pack(s, a.w, packed);
        k[EQ_CONV_BACKWARD_DATA]->run.backward_data(s, a.dy, packed, dx, true, room);
        k[EQ_CONV_BACKWARD_WEIGHTS]->run.backward_weights(s, a.src, a.dy, dw, room);
        run_layer(&a, false, true, NULL);
        const struct {
            const char *what;
            const float *ours, *direct;
            size_t n;
        } pairs[] = {{"y", a.y, y, a.out}, {"dw", a.dw, dw, a.weights}, {"dx", a.dx, dx, a.in}};
        for (int j = 0; j < 3; j++) {
            double *expected = calloc(pairs[j].n, sizeof *expected);
            for (size_t n = 0; n < pairs[j].n; n++)
                expected[n] = pairs[j].direct[n];
            double far = distance(pairs[j].ours, expected, pairs[j].n);
            print_message("%s: %.1e of its rms from the direct one\n", pairs[j].what, far);
            assert_true(far < 1e-4);
            free(expected);
        }
        eq_free(packed);
        eq_free(room);
        eq_free(y);
        eq_free(dw);
        eq_free(dx);
        layer_clear(&a);
    }
}

/* The same bits for any number of threads. */
static void threads_do_not_matter(void **state)
{
    (void)state;
    const struct eq_conv_shape s = shape(2, 4, 30, 30, 64, 48);
    float *kept[3] = {NULL};
    for (int threads = 1; threads < 5; threads++) {
        struct layer a;
        assert_int_equal(eq_parallel_init(threads, NULL), EQ_OK);
        layer_init(&a, &s, false, 3);
        assert_int_equal(eq_sgemm_prepare(NULL), EQ_OK);
        run_layer(&a, true, true, NULL);
        const float *made[3] = {a.y, a.dw, a.dx};
        const size_t n[3] = {a.out, a.weights, a.in};
        for (int i = 0; i < 3; i++) {
            if (!kept[i]) {
                kept[i] = calloc(n[i], sizeof(float));
                memcpy(kept[i], made[i], n[i] * sizeof(float));
            }
            assert_memory_equal(kept[i], made[i], n[i] * sizeof(float));
        }
        layer_clear(&a);
    }
    for (int i = 0; i < 3; i++)
        free(kept[i]);
    assert_int_equal(eq_parallel_init(2, NULL), EQ_OK);
}

/* Transformed weights are those of eq_domain_weights to the bit, on every level, and so is their greatest value. */
static void weights_are_as_specified(void **state)
{
    (void)state;
    static const char *const levels[] = {"ref", "avx2", "avx512"};
    const struct eq_conv_shape s = shape(1, 1, 4, 4, 37, 6);
    for (int i = 0; i < 3; i++) {
        struct layer a;
        if (eq_cpu_set_ceiling(levels[i], NULL) != EQ_OK)
            continue;
        float *absmax = floats((size_t)P * s.cout, 1, 0, 1);
        eq_kernels_init();
        layer_init(&a, &s, true, 3);
        eq_domain2d_use_weights(&a.l, a.w, a.factor, &(struct eq_domain2d_grid){0}, a.u, NULL);
        eq_domain2d_absmax(a.w, s.cout, s.cin, a.factor, absmax);
        for (int p = 0; p < P; p++)
            for (int oc = 0; oc < s.cout; oc++) {
                float most = 0;
                for (int ci = 0; ci < s.cin; ci++) {
                    float w[9];
                    double u[P];
                    for (int tap = 0; tap < 9; tap++)
                        w[tap] = a.w[((size_t)oc * s.cin + ci) * 9 + tap] * a.factor[oc];
                    eq_domain_weights(w, u);
                    assert_true(a.u[((size_t)p * s.cout + oc) * s.cin + ci] == (float)u[p]);
                    most = fmaxf(most, fabsf((float)u[p]));
                }
                assert_true(absmax[p * s.cout + oc] == most);
            }
        eq_free(absmax);
        layer_clear(&a);
    }
    assert_int_equal(eq_cpu_set_ceiling("auto", NULL), EQ_OK);
    eq_kernels_init();
}

/* Neither a source nor weights lose a NaN on the way to an observer. */
static void nans_are_seen(void **state)
{
    (void)state;
    const struct eq_conv_shape s = shape(1, 2, 6, 6, 20, 3);
    struct layer a;
    float range[2 * P], absmax[P * 3];
    layer_init(&a, &s, false, 9);
    a.src[40] = NAN;
    a.w[30] = NAN;
    eq_domain2d_absmax(a.w, s.cout, s.cin, NULL, absmax);
    run_layer(&a, true, false, range);
    assert_true(isnan(range[7]) && isnan(range[P + 7]) && isnan(absmax[7 * 3]) && !isnan(absmax[7 * 3 + 1]));
    layer_clear(&a);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK || eq_sgemm_prepare(NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_double),        cmocka_unit_test(unrounded_is_direct),
        cmocka_unit_test(threads_do_not_matter), cmocka_unit_test(weights_are_as_specified),
        cmocka_unit_test(nans_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
