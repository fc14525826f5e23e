/*
 * The f32_train and image tables of every ISA level of this CPU against ref: values, canaries, hostile values, and
 * equal bits on 1, 2, 3 and 7 threads.
 */
#include "kernels/checker.h"

/* What a case wrote: each output between canaries, with a tolerance relative to the greatest value that ref gives
 * (or to least_scale, where the terms of a sum are greater than what is left of them). */
enum { MAX_OUTPUTS = 6 };
struct outputs {
    struct guarded buffers[MAX_OUTPUTS];
    bool is_float[MAX_OUTPUTS];
    double tolerance[MAX_OUTPUTS], least_scale[MAX_OUTPUTS];
    int n;
};

/* Floats are unaligned on purpose: kernels may not ask for more than a float's alignment. */
static float *new_floats(struct outputs *o, size_t n, double tolerance)
{
    assert_true(o->n < MAX_OUTPUTS);
    o->is_float[o->n] = true;
    o->tolerance[o->n] = tolerance;
    return guarded_init(&o->buffers[o->n++], n * sizeof(float), sizeof(float));
}

static float *new_floats_of_scale(struct outputs *o, size_t n, double tolerance, double least_scale)
{
    o->least_scale[o->n] = least_scale;
    return new_floats(o, n, tolerance);
}

static uint8_t *new_bytes(struct outputs *o, size_t n)
{
    assert_true(o->n < MAX_OUTPUTS);
    o->is_float[o->n] = false;
    return guarded_init(&o->buffers[o->n++], n, 1);
}

static void outputs_check(const struct outputs *o, const char *what)
{
    for (int i = 0; i < o->n; i++)
        guarded_check(&o->buffers[i], what);
}

static void outputs_clear(struct outputs *o)
{
    for (int i = 0; i < o->n; i++)
        guarded_clear(&o->buffers[i]);
    o->n = 0;
}

static const void *output_at(const struct outputs *o, int i)
{
    return o->buffers[i].block + GUARD + o->buffers[i].offset;
}

static uint64_t outputs_hash(const struct outputs *o)
{
    uint64_t hash = 0;
    for (int i = 0; i < o->n; i++)
        hash = hash * 31 + eq_hash64(output_at(o, i), o->buffers[i].n);
    return hash;
}

static float *random_floats(size_t n, enum data_kind kind, uint32_t sample)
{
    float *x = eq_alloc(n ? n : 1, sizeof *x);
    assert_non_null(x);
    fill_f32(x, n, kind, sample);
    return x;
}

static uint8_t *random_bytes(size_t n, enum data_kind kind, uint32_t sample)
{
    uint8_t *x = eq_alloc(n ? n : 1, 1);
    assert_non_null(x);
    fill_u8(x, n, kind, sample);
    return x;
}

/* ---- batch norm: n rows of a few channel counts -------------------------- */

static const int channel_counts[] = {1, 7, 16, 64, 70, 528};
enum { CHANNEL_COUNTS = sizeof channel_counts / sizeof *channel_counts };

/* Sums of up to some thousand rows in float, pieced together in double: a few units in the last place. */
static const double SUM_TOLERANCE = 2e-6;

static int channels_of(size_t n)
{
    return channel_counts[n % CHANNEL_COUNTS];
}

static void case_bn_stats(size_t n, enum data_kind kind, struct outputs *o)
{
    int c = channels_of(n);
    float *x = random_floats(n * (size_t)c, kind, 1);
    for (size_t i = 0; i < n * (size_t)c; i++)
        x[i] = kind == DATA_UNIFORM     ? x[i] + 30   /* a mean far from 0: the variance must not drown in it */
               : kind == DATA_NEAR_ZERO ? x[i] * 1000 /* squares that are normal numbers */
                                        : x[i];
    float *mean = new_floats(o, (size_t)c, SUM_TOLERANCE), *var = new_floats(o, (size_t)c, 2e-5);
    eq_f32_kernels()->bn_stats(x, n, c, mean, var);
    eq_free(x);
}

struct bn_inputs {
    struct eq_bn bn;
    float *x, *y, *dy, *residual, *mean, *inv_std, *gamma, *beta;
};

static void bn_inputs_init(struct bn_inputs *in, size_t n, int c, enum data_kind kind)
{
    size_t all = n * (size_t)c;
    in->x = random_floats(all, kind, 1);
    in->y = random_floats(all, DATA_UNIFORM, 2);
    in->dy = random_floats(all, DATA_UNIFORM, 3);
    in->residual = random_floats(all, kind, 4);
    in->mean = random_floats((size_t)c, kind, 5);
    in->inv_std = random_floats((size_t)c, DATA_UNIFORM, 6);
    in->gamma = random_floats((size_t)c, DATA_UNIFORM, 7);
    in->beta = random_floats((size_t)c, kind, 8);
    in->bn = (struct eq_bn){n, c, in->mean, in->inv_std, in->gamma, in->beta};
}

static void bn_inputs_clear(struct bn_inputs *in)
{
    float *all[] = {in->x, in->y, in->dy, in->residual, in->mean, in->inv_std, in->gamma, in->beta};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        eq_free(all[i]);
}

static void case_bn_apply(size_t n, enum data_kind kind, struct outputs *o)
{
    int c = channels_of(n);
    struct bn_inputs in;
    bn_inputs_init(&in, n, c, kind);
    const struct eq_f32_table *k = eq_f32_kernels();
    k->bn_apply(&in.bn, in.x, NULL, false, new_floats(o, n * (size_t)c, SUM_TOLERANCE));
    k->bn_apply(&in.bn, in.x, in.residual, true, new_floats(o, n * (size_t)c, SUM_TOLERANCE));
    float *in_place = new_floats(o, n * (size_t)c, SUM_TOLERANCE);
    memcpy(in_place, in.x, n * (size_t)c * sizeof *in_place);
    k->bn_apply(&in.bn, in_place, NULL, true, in_place);
    bn_inputs_clear(&in);
}

static void bn_backward_case(size_t n, enum data_kind kind, struct outputs *o, bool relu, bool batch_stats,
                             bool residual)
{
    int c = channels_of(n);
    size_t all = n * (size_t)c;
    struct bn_inputs in;
    bn_inputs_init(&in, n, c, kind);
    float *dx = new_floats_of_scale(o, all, 1e-5, 1), *dgamma = new_floats(o, (size_t)c, 1e-5);
    float *dbeta = new_floats(o, (size_t)c, SUM_TOLERANCE), *dresidual = NULL;
    memcpy(dx, in.dy, all * sizeof *dx); /* dx may be dy */
    fill_f32(dgamma, (size_t)c, kind, 9);
    fill_f32(dbeta, (size_t)c, kind, 10);
    if (residual) {
        dresidual = new_floats(o, all, 0);
        memcpy(dresidual, in.residual, all * sizeof *dresidual);
    }
    eq_f32_kernels()->bn_backward(&in.bn, in.x, relu ? in.y : NULL, false, dx, batch_stats, dx, dgamma, dbeta,
                                  dresidual, batch_stats);
    bn_inputs_clear(&in);
}

static void case_bn_backward(size_t n, enum data_kind kind, struct outputs *o)
{
    bn_backward_case(n, kind, o, true, true, false);
}

static void case_bn_backward_residual(size_t n, enum data_kind kind, struct outputs *o)
{
    bn_backward_case(n, kind, o, true, true, true);
}

static void case_bn_backward_fixed(size_t n, enum data_kind kind, struct outputs *o)
{
    bn_backward_case(n, kind, o, false, false, true);
}

/* ---- pooling: a pixel of n values ---------------------------------------- */

static void case_maxpool(size_t n, enum data_kind kind, struct outputs *o)
{
    int b = 2, h = 5, w = 4, tc = (int)(n % 1000) + 1, k = n % 2 ? 3 : 2, pad = k / 2, stride = 2;
    int oh = (h + 2 * pad - k) / stride + 1, ow = (w + 2 * pad - k) / stride + 1;
    size_t in = (size_t)b * h * w * tc, out = (size_t)b * oh * ow * tc;
    const struct eq_pool_shape p = {b, h, w, tc, k, stride, pad, oh, ow};
    float *x = random_floats(in, kind, 1), *dy = random_floats(out, kind, 2);
    for (size_t i = 0; i < in; i += 3)
        x[i] = 0; /* many ties: the first one wins */
    const struct eq_f32_table *t = eq_f32_kernels();
    uint8_t *argmax = new_bytes(o, out);
    t->maxpool_forward(&p, x, new_floats(o, out, 0), argmax);
    t->maxpool_forward(&p, x, new_floats(o, out, 0), NULL);
    t->maxpool_backward(&p, dy, argmax, new_floats(o, in, 0));
    eq_free(x);
    eq_free(dy);
}

static void case_global_avg(size_t n, enum data_kind kind, struct outputs *o)
{
    int b = 2, hw = (int)(n % 17) + 1, tc = (int)(n % 3000) + 1;
    float *x = random_floats((size_t)b * hw * tc, kind, 1), *dy = random_floats((size_t)b * tc, kind, 2);
    eq_f32_kernels()->global_avg_forward(x, b, hw, tc, new_floats(o, (size_t)b * tc, SUM_TOLERANCE));
    eq_f32_kernels()->global_avg_backward(dy, b, hw, tc, new_floats(o, (size_t)b * hw * tc, 0));
    eq_free(x);
    eq_free(dy);
}

/* ---- value by value: the same operations as in ref, so the same bits ----- */

static void case_relu_add(size_t n, enum data_kind kind, struct outputs *o)
{
    float *a = random_floats(n, kind, 1), *b = random_floats(n, kind, 2);
    a[n / 2] = NAN;
    const struct eq_f32_table *t = eq_f32_kernels();
    t->relu_forward(a, n, new_floats(o, n, 0));
    t->relu_backward(a, b, n, new_floats(o, n, 0));
    t->add(a, b, n, new_floats(o, n, 0));
    float *in_place = new_floats(o, n, 0);
    memcpy(in_place, b, n * sizeof *b);
    t->relu_backward(a, in_place, n, in_place);
    eq_free(a);
    eq_free(b);
}

static void case_optimizers(size_t n, enum data_kind kind, struct outputs *o)
{
    float *g = random_floats(n, kind, 1);
    float *w = new_floats(o, n, 0), *m = new_floats(o, n, 0), *v = new_floats(o, n, 0);
    float *w2 = new_floats(o, n, 0), *buf = new_floats(o, n, 0);
    fill_f32(w, n, DATA_UNIFORM, 2);
    fill_f32(m, n, kind, 3);
    fill_f32(v, n, kind, 4);
    for (size_t i = 0; i < n; i++)
        v[i] *= v[i];
    memcpy(w2, w, n * sizeof *w);
    memcpy(buf, m, n * sizeof *m);
    const struct eq_f32_table *t = eq_f32_kernels();
    t->adamw_step(w, g, m, v, n, 1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, 0.19f, 0.002f);
    t->sgd_step(w2, g, buf, n, 0.1f, 0.9f, 1e-4f);
    eq_free(g);
}

static void case_fake_quant(size_t n, enum data_kind kind, struct outputs *o)
{
    static const float scales[DATA_KINDS] = {0.0078125f, 1e-20f, 1e14f}; /* the first: ties at every odd half step */
    float *x = random_floats(n, kind, 1), *dy = random_floats(n, kind, 2);
    for (size_t i = 0; i < n; i += 5)
        x[i] = ((float)(i % 300) - 20.5f) * scales[kind];
    x[n - 1] = n % 2 ? NAN : INFINITY;
    const struct eq_f32_table *t = eq_f32_kernels();
    uint8_t *mask = new_bytes(o, n);
    t->fake_quant(x, n, scales[kind], 3, 0, 255, new_floats(o, n, 0), mask);
    t->fake_quant(x, n, scales[kind], 0, -127, 127, new_floats(o, n, 0), NULL);
    t->mask_backward(mask, dy, n, new_floats(o, n, 0));
    eq_free(x);
    eq_free(dy);
}

/* ---- a few numbers out of many ------------------------------------------- */

enum { MANY = 5000 }; /* bins that the vector kernels leave to the level below */

static void case_observe(size_t n, enum data_kind kind, struct outputs *o)
{
    static const float limits[DATA_KINDS] = {1, 1e-18f, 1e16f};
    float *x = random_floats(n, kind, 1), limit = limits[kind];
    uint64_t *hist = (uint64_t *)(void *)new_bytes(o, (2 * 2048 + MANY) * sizeof *hist), counts[2048];
    const struct eq_f32_table *t = eq_f32_kernels();
    float *range = new_floats(o, 11, 0);
    for (size_t i = 0; i < n; i++) /* as after a ReLU */
        if (i % 3 && i != n / 3)
            x[i] = i % 5 ? 0.0f : -0.0f;
    t->minmax(x, n, range, range + 1);
    range[4] = (float)t->sum_squares(x, n);
    memset(counts, 0, sizeof counts);
    t->histogram(x, n, range[0], range[1], counts, 2048, range + 5, range + 6); /* every value, both ends included */
    memcpy(hist, counts, sizeof counts);
    x[n / 2] = NAN;
    t->histogram(x, n, -0.5f * limit, 0.7f * limit, counts, 100, range + 7, range + 8); /* adds to what is there */
    t->histogram(x, n, 0.25f * limit, 0.25f * limit, counts, 7, range + 9, range + 10);
    memcpy((char *)hist + sizeof counts, counts, sizeof counts);
    static uint64_t many[MANY];
    float ignored[2];
    memset(many, 0, sizeof many);
    t->histogram(x, n, -limit, limit, many, MANY, ignored, ignored + 1);
    memcpy((char *)hist + 2 * sizeof counts, many, sizeof many);
    t->minmax(x, n, range + 2, range + 3);
    eq_free(x);
}

static void case_image(size_t n, enum data_kind kind, struct outputs *o)
{
    uint8_t *src = random_bytes(n, kind, 1);
    uint64_t sums[2], expected[2] = {0, 0};
    eq_image_kernels()->normalize(src, n, 33, 0.0173f, new_floats(o, n, 0));
    eq_image_kernels()->moments(src, n, &sums[0], &sums[1]);
    for (size_t i = 0; i < n; i++) {
        expected[0] += src[i];
        expected[1] += (uint64_t)src[i] * src[i];
    }
    assert_memory_equal(sums, expected, sizeof sums);
    eq_free(src);
}

/* ---- recomputed or fused: the same bits on every level ------------------- */

static const enum eq_isa all_levels[] = {EQ_ISA_REF, EQ_ISA_AVX2, EQ_ISA_AVX512};

static void assert_bits(const float *got, const float *expected, size_t n, const char *what, int c)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&got[i], &expected[i], sizeof *got) != 0)
            fail_msg("%s, %s, %d channels: [%zu] is %.9g, not %.9g", what, eq_cpu_isa_in_use(), c, i, got[i],
                     expected[i]);
}

/* bn_backward's mask from bn_apply's output, and from x and beta. */
static void check_mask_from_x(size_t n, int c, bool batch_stats)
{
    size_t all = n * (size_t)c;
    struct bn_inputs in;
    bn_inputs_init(&in, n, c, DATA_UNIFORM);
    in.x[all / 2] = NAN;
    for (size_t i = 0; i < all; i += 3) { /* values that the ReLU meets at or near 0 */
        in.x[i] =
            in.mean[i % (size_t)c] - in.beta[i % (size_t)c] / (in.inv_std[i % (size_t)c] * in.gamma[i % (size_t)c]);
    }
    const struct eq_f32_table *k = eq_f32_kernels();
    float *dx[2], *sums[2];
    k->bn_apply(&in.bn, in.x, NULL, true, in.y);
    for (int again = 0; again < 2; again++) {
        dx[again] = random_floats(all, DATA_UNIFORM, 9);
        sums[again] = random_floats(2 * (size_t)c, DATA_UNIFORM, 10);
        k->bn_backward(&in.bn, in.x, again ? NULL : in.y, again, in.dy, batch_stats, dx[again], sums[again],
                       sums[again] + c, NULL, false);
    }
    assert_bits(dx[1], dx[0], all, "dx", c);
    assert_bits(sums[1], sums[0], 2 * (size_t)c, "dgamma, dbeta", c);
    for (int again = 0; again < 2; again++) {
        eq_free(dx[again]);
        eq_free(sums[again]);
    }
    bn_inputs_clear(&in);
}

static void mask_from_x(void **state)
{
    (void)state;
    use_threads(2);
    for (size_t l = 0; l < sizeof all_levels / sizeof *all_levels; l++)
        for (size_t i = 0; i < CHANNEL_COUNTS && use_slot("f32_bn_backward_mask_from_x", all_levels[l]); i++)
            for (int batch_stats = 0; batch_stats < 2; batch_stats++)
                check_mask_from_x(i % 2 ? 77 : 300, channel_counts[i], batch_stats);
}

/* bn_relu_maxpool_forward against bn_apply and maxpool_forward. */
static void check_pooled_norm(int b, int h, int w, int t, int c)
{
    int oh = (h - 1) / 2 + 1, ow = (w - 1) / 2 + 1, tc = t * c;
    size_t rows = (size_t)b * h * w * t, n = (size_t)b * oh * ow * tc;
    const struct eq_pool_shape p = {b, h, w, tc, 3, 2, 1, oh, ow};
    struct bn_inputs in;
    bn_inputs_init(&in, rows, c, DATA_UNIFORM);
    in.x[rows * (size_t)c / 2] = NAN;
    const struct eq_f32_table *k = eq_f32_kernels();
    float *expected = random_floats(n, DATA_UNIFORM, 1);
    uint8_t *tap_expected = random_bytes(n, DATA_UNIFORM, 1);
    struct guarded values, taps;
    float *y = guarded_init(&values, n * sizeof *y, 0);
    uint8_t *argmax = guarded_init(&taps, n, 0);
    k->bn_apply(&in.bn, in.x, NULL, true, in.y);
    k->maxpool_forward(&p, in.y, expected, tap_expected);
    k->bn_relu_maxpool_forward(&in.bn, &p, in.x, y, argmax);
    guarded_check(&values, "bn_relu_maxpool_forward");
    guarded_check(&taps, "bn_relu_maxpool_forward");
    assert_bits(y, expected, n, "pooled", c);
    assert_memory_equal(argmax, tap_expected, n);
    guarded_clear(&values);
    guarded_clear(&taps);
    eq_free(expected);
    eq_free(tap_expected);
    bn_inputs_clear(&in);
}

/* bn_relu_maxpool_backward against maxpool_backward and bn_backward. */
static void check_pooled_norm_backward(int b, int h, int w, int t, int c, bool batch_stats)
{
    int oh = (h - 1) / 2 + 1, ow = (w - 1) / 2 + 1, tc = t * c;
    size_t rows = (size_t)b * h * w * t, all = rows * (size_t)c, n = (size_t)b * oh * ow * tc;
    const struct eq_pool_shape p = {b, h, w, tc, 3, 2, 1, oh, ow};
    struct bn_inputs in;
    bn_inputs_init(&in, rows, c, DATA_UNIFORM);
    const struct eq_f32_table *k = eq_f32_kernels();
    float *y = random_floats(n, DATA_UNIFORM, 1), *dy = random_floats(n, DATA_UNIFORM, 2);
    float *expected = random_floats(all, DATA_UNIFORM, 3);
    float *sums[2] = {random_floats(2 * (size_t)c, DATA_UNIFORM, 4), random_floats(2 * (size_t)c, DATA_UNIFORM, 4)};
    uint8_t *argmax = random_bytes(n, DATA_UNIFORM, 1);
    struct guarded values;
    float *dx = guarded_init(&values, all * sizeof *dx, 0);
    k->bn_relu_maxpool_forward(&in.bn, &p, in.x, y, argmax);
    k->maxpool_backward(&p, dy, argmax, expected);
    k->bn_backward(&in.bn, in.x, NULL, true, expected, batch_stats, expected, sums[0], sums[0] + c, NULL, false);
    k->bn_relu_maxpool_backward(&in.bn, &p, in.x, dy, argmax, batch_stats, dx, sums[1], sums[1] + c);
    guarded_check(&values, "bn_relu_maxpool_backward");
    assert_bits(dx, expected, all, "dx", c);
    assert_bits(sums[1], sums[0], 2 * (size_t)c, "dgamma, dbeta", c);
    guarded_clear(&values);
    float *floats[] = {y, dy, expected, sums[0], sums[1]};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        eq_free(floats[i]);
    eq_free(argmax);
    bn_inputs_clear(&in);
}

static void pooling_behind_batchnorm(void **state)
{
    (void)state;
    for (size_t l = 0; l < sizeof all_levels / sizeof *all_levels; l++)
        for (int i = 0; i < THREAD_COUNTS && use_slot("f32_bn_relu_maxpool", all_levels[l]); i++) {
            use_threads(thread_counts[i]);
            check_pooled_norm(2, 9, 8, 3, 64);
            check_pooled_norm(1, 5, 12, 16, 16);
            check_pooled_norm(3, 1, 1, 1, 528);
            check_pooled_norm_backward(2, 9, 8, 3, 64, true);
            check_pooled_norm_backward(2, 9, 8, 3, 64, false);
            check_pooled_norm_backward(1, 12, 12, 16, 64, true);
            check_pooled_norm_backward(1, 5, 12, 16, 16, true);
            check_pooled_norm_backward(3, 3, 1, 5, 528, true);
            if (l > 0 && thread_counts[i] == 3) /* more than stays in the caches */
                check_pooled_norm_backward(3, 56, 56, 16, 64, true);
        }
}

/* ---- driver -------------------------------------------------------------- */

typedef void (*case_fn)(size_t n, enum data_kind kind, struct outputs *o);

static const size_t sizes[] = {1, 3, 8, 15, 16, 17, 64, 129, 1001, 2050, 16390, 33021};
enum { SIZES = sizeof sizes / sizeof *sizes };
static const enum eq_isa levels[] = {EQ_ISA_AVX2, EQ_ISA_AVX512};
enum { LEVELS = sizeof levels / sizeof *levels };

/* Batch norm multiplies its size by the channels. */
static size_t size_for(case_fn fn, size_t n)
{
    bool rows = fn == case_bn_stats || fn == case_bn_apply || fn == case_bn_backward ||
                fn == case_bn_backward_residual || fn == case_bn_backward_fixed;
    return rows && n > 3000 ? n / 32 : n;
}

static bool same(float a, float b, double tolerance)
{
    if (a != a || b != b)
        return a != a && b != b;
    return a == b || fabs((double)a - b) <= tolerance;
}

static void compare(const struct outputs *got, const struct outputs *expected, const char *isa, size_t n,
                    const char *kind)
{
    assert_int_equal(got->n, expected->n);
    for (int i = 0; i < got->n; i++) {
        if (!got->is_float[i]) {
            if (memcmp(output_at(got, i), output_at(expected, i), got->buffers[i].n) != 0)
                fail_msg("%s, n %zu, %s: output %d differs from ref", isa, n, kind, i);
            continue;
        }
        size_t count = got->buffers[i].n / sizeof(float);
        double greatest = got->least_scale[i];
        for (size_t k = 0; k < count; k++) {
            float v = fabsf(((const float *)output_at(expected, i))[k]);
            greatest = v > greatest && isfinite(v) ? v : greatest;
        }
        for (size_t k = 0; k < count; k++) {
            float a = ((const float *)output_at(got, i))[k], b = ((const float *)output_at(expected, i))[k];
            if (!same(a, b, got->tolerance[i] * greatest))
                fail_msg("%s, n %zu, %s: output %d [%zu] is %.9g, ref says %.9g (greatest %.3g)", isa, n, kind, i, k, a,
                         b, greatest);
        }
    }
}

static void run_case(case_fn fn, enum eq_isa isa, size_t n, int kind, struct outputs *o)
{
    *o = (struct outputs){.n = 0};
    assert_true(use_isa(isa));
    assert_int_equal(eq_f32_kernels()->isa, isa);
    fn(size_for(fn, n), (enum data_kind)kind, o);
    outputs_check(o, eq_isa_name(isa));
}

static void check_case(case_fn fn, const char *slot)
{
    static uint64_t hashes[LEVELS][SIZES][DATA_KINDS];
    for (int t = 0; t < THREAD_COUNTS; t++) {
        use_threads(thread_counts[t]);
        for (int l = 0; l < LEVELS; l++)
            for (int i = 0; i < SIZES && use_slot(slot, levels[l]); i++)
                for (int kind = 0; kind < (t ? 1 : DATA_KINDS); kind++) {
                    struct outputs got, expected;
                    run_case(fn, levels[l], sizes[i], kind, &got);
                    if (t == 0) {
                        run_case(fn, EQ_ISA_REF, sizes[i], kind, &expected);
                        compare(&got, &expected, eq_isa_name(levels[l]), sizes[i], data_names[kind]);
                        outputs_clear(&expected);
                        hashes[l][i][kind] = outputs_hash(&got);
                    } else if (outputs_hash(&got) != hashes[l][i][kind]) {
                        fail_msg("%s, n %zu: other bits on %d threads than on 1", eq_isa_name(levels[l]), sizes[i],
                                 thread_counts[t]);
                    }
                    outputs_clear(&got);
                }
    }
}

#define CASE(name, family)                                                                                             \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        check_case(case_##name, family #name);                                                                         \
    }
CASE(bn_stats, "f32_")
CASE(bn_apply, "f32_")
CASE(bn_backward, "f32_")
CASE(bn_backward_residual, "f32_")
CASE(bn_backward_fixed, "f32_")
CASE(maxpool, "f32_")
CASE(global_avg, "f32_")
CASE(relu_add, "f32_")
CASE(optimizers, "f32_")
CASE(fake_quant, "f32_")
CASE(observe, "f32_")
CASE(image, "u8_")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bn_stats),          cmocka_unit_test(bn_apply),
        cmocka_unit_test(bn_backward),       cmocka_unit_test(bn_backward_residual),
        cmocka_unit_test(mask_from_x),       cmocka_unit_test(pooling_behind_batchnorm),
        cmocka_unit_test(bn_backward_fixed), cmocka_unit_test(maxpool),
        cmocka_unit_test(global_avg),        cmocka_unit_test(relu_add),
        cmocka_unit_test(optimizers),        cmocka_unit_test(fake_quant),
        cmocka_unit_test(observe),           cmocka_unit_test(image),
    };
    return kernels_report(NULL, cmocka_run_group_tests(tests, NULL, NULL));
}
