/* Every layer's backward against finite differences of its forward: for random directions v and dy, the derivative of
 * <dy, f(x + h v)> at h = 0 must be <backward(dy), v>. */
#include "model_support.h"

enum { MAX_N = 4096 };

/* A layer as a function of one of its operands; the others are fixed in ctx. */
struct layer {
    const char *name;
    size_t n_in, n_out;
    void (*forward)(void *ctx, const float *in, float *out);
    void (*backward)(void *ctx, const float *in, const float *diff_out, float *diff_in);
    void *ctx;
    double h, tolerance;
};

static double numeric_slope(const struct layer *l, const float *x, const float *v, const float *dy)
{
    static float moved[MAX_N], up[MAX_N], down[MAX_N];
    for (size_t i = 0; i < l->n_in; i++)
        moved[i] = x[i] + (float)l->h * v[i];
    l->forward(l->ctx, moved, up);
    for (size_t i = 0; i < l->n_in; i++)
        moved[i] = x[i] - (float)l->h * v[i];
    l->forward(l->ctx, moved, down);
    double sum = 0;
    for (size_t i = 0; i < l->n_out; i++)
        sum += (double)dy[i] * ((double)up[i] - down[i]);
    return sum / (2 * l->h);
}

static void check(const struct layer *l)
{
    static float x[MAX_N], v[MAX_N], y[MAX_N], dy[MAX_N], dx[MAX_N];
    assert_true(l->n_in <= MAX_N && l->n_out <= MAX_N);
    for (uint32_t trial = 0; trial < 5; trial++) {
        random_floats(x, l->n_in, -1, 1, 3 * trial);
        random_floats(v, l->n_in, -1, 1, 3 * trial + 1);
        random_floats(dy, l->n_out, -1, 1, 3 * trial + 2);
        memset(dx, 0, sizeof dx);
        l->forward(l->ctx, x, y);
        l->backward(l->ctx, x, dy, dx);
        double analytic = 0, size = 0, numeric = numeric_slope(l, x, v, dy);
        for (size_t i = 0; i < l->n_in; i++) {
            analytic += (double)dx[i] * v[i];
            size += (double)dx[i] * dx[i] * v[i] * v[i];
        }
        if (!(fabs(numeric - analytic) <= l->tolerance * (sqrt(size) + 1e-3)))
            fail_msg("%s, trial %u: backward gives the slope %.6g, finite differences %.6g", l->name, trial, analytic,
                     numeric);
    }
}

/* ---- convolution --------------------------------------------------------- */

struct conv_ctx {
    struct eq_conv2d l;
    float src[MAX_N], weights[MAX_N];
    void *packed[2], *scratch[EQ_CONV_PASSES];
};

static void conv_run(struct conv_ctx *c, const float *src, const float *weights, float *dst)
{
    struct eq_f32_epilogue none = {0};
    eq_conv2d_pack(&c->l, EQ_CONV_FORWARD, weights, c->packed[EQ_CONV_FORWARD]);
    eq_conv2d_forward(&c->l, src, c->packed[EQ_CONV_FORWARD], &none, dst, c->scratch[EQ_CONV_FORWARD]);
}
static void conv_of_src(void *ctx, const float *in, float *out)
{
    struct conv_ctx *c = ctx;
    conv_run(c, in, c->weights, out);
}
static void conv_back_src(void *ctx, const float *in, const float *dy, float *dx)
{
    (void)in;
    struct conv_ctx *c = ctx;
    const enum eq_conv_pass pass = EQ_CONV_BACKWARD_DATA;
    eq_conv2d_pack(&c->l, pass, c->weights, c->packed[pass]);
    eq_conv2d_backward_data(&c->l, dy, c->packed[pass], dx, false, c->scratch[pass]);
}
static void conv_of_weights(void *ctx, const float *in, float *out)
{
    struct conv_ctx *c = ctx;
    conv_run(c, c->src, in, out);
}
static void conv_back_weights(void *ctx, const float *in, const float *dy, float *dw)
{
    (void)in;
    struct conv_ctx *c = ctx;
    eq_conv2d_backward_weights(&c->l, c->src, dy, dw, c->scratch[EQ_CONV_BACKWARD_WEIGHTS]);
}
static void conv_of_bias(void *ctx, const float *in, float *out)
{
    struct conv_ctx *c = ctx;
    struct eq_f32_epilogue epi = {.bias = in};
    eq_conv2d_pack(&c->l, EQ_CONV_FORWARD, c->weights, c->packed[EQ_CONV_FORWARD]);
    eq_conv2d_forward(&c->l, c->src, c->packed[EQ_CONV_FORWARD], &epi, out, c->scratch[EQ_CONV_FORWARD]);
}
static void conv_back_bias(void *ctx, const float *in, const float *dy, float *db)
{
    (void)in;
    eq_conv2d_backward_bias(&((struct conv_ctx *)ctx)->l, dy, db);
}

static void conv_case(int k, int stride, int pad, int cin, int cout, enum eq_layout layout)
{
    static struct conv_ctx c;
    struct eq_conv_shape s;
    eq_conv_shape_init(&s, 2, 3, 7, 6, cin, cout, k, stride, pad, layout);
    eq_conv2d_init(&c.l, &s, EQ_PRECISION_FP32, false);
    for (int pass = 0; pass < EQ_CONV_PASSES; pass++) {
        c.scratch[pass] = eq_alloc(eq_conv2d_scratch_bytes(&c.l, (enum eq_conv_pass)pass) + 1, 1);
        if (pass != EQ_CONV_BACKWARD_WEIGHTS)
            c.packed[pass] = eq_alloc(eq_conv2d_packed_bytes(&c.l, (enum eq_conv_pass)pass) + 1, 1);
    }
    size_t n_src = (size_t)s.b * s.t * s.h * s.w * cin, n_w = (size_t)cout * cin * k * k;
    size_t n_dst = (size_t)s.b * s.t * s.oh * s.ow * cout;
    random_floats(c.src, n_src, -1, 1, 1);
    random_floats(c.weights, n_w, -1, 1, 2);
    char name[64];
    snprintf(name, sizeof name, "conv %dx%d/%d %d->%d", k, k, stride, cin, cout);
    if (layout == EQ_LAYOUT_PIXEL) /* the first convolution needs no gradient of its source */
        check(&(struct layer){name, n_src, n_dst, conv_of_src, conv_back_src, &c, 0.25, 2e-5});
    check(&(struct layer){name, n_w, n_dst, conv_of_weights, conv_back_weights, &c, 0.25, 2e-5});
    check(&(struct layer){name, (size_t)cout, n_dst, conv_of_bias, conv_back_bias, &c, 0.25, 2e-5});
    for (int pass = 0; pass < EQ_CONV_PASSES; pass++) {
        eq_free(c.scratch[pass]);
        if (pass != EQ_CONV_BACKWARD_WEIGHTS)
            eq_free(c.packed[pass]);
    }
}

static void conv2d(void **state)
{
    (void)state;
    conv_case(3, 1, 1, 5, 6, EQ_LAYOUT_PIXEL);
    conv_case(3, 2, 1, 4, 7, EQ_LAYOUT_PIXEL);
    conv_case(1, 2, 0, 6, 3, EQ_LAYOUT_PIXEL);
    conv_case(7, 2, 3, 3, 4, EQ_LAYOUT_CLIP);
}

/* ---- batch norm ---------------------------------------------------------- */

enum { BN_ROWS = 37, BN_C = 5, BN_N = BN_ROWS * BN_C };

struct bn_ctx {
    struct eq_batchnorm l;
    bool batch_stats, relu;
    float x[BN_N], residual[BN_N], y[BN_N];
    float gamma[BN_C], beta[BN_C], mean[BN_C], var[BN_C], factor[BN_C], save[2 * BN_C], work[4 * BN_C];
    float dx[BN_N], dgamma[BN_C], dbeta[BN_C], dresidual[BN_N];
};

/* The running statistics move with every forward pass; these functions are of the operand only. */
static void bn_run(struct bn_ctx *c, const float *x, const float *residual, float *y)
{
    float mean[BN_C], var[BN_C];
    memcpy(mean, c->mean, sizeof mean);
    memcpy(var, c->var, sizeof var);
    eq_batchnorm_forward(&c->l, x, BN_ROWS, c->batch_stats, residual, c->relu, y);
    memcpy(c->mean, mean, sizeof mean);
    memcpy(c->var, var, sizeof var);
}
static void bn_run_back(struct bn_ctx *c, const float *x, const float *residual, const float *dy)
{
    bn_run(c, x, residual, c->y);
    memset(c->dgamma, 0, sizeof c->dgamma);
    memset(c->dbeta, 0, sizeof c->dbeta);
    eq_batchnorm_backward(&c->l, x, c->relu ? c->y : NULL, false, dy, BN_ROWS, c->batch_stats, c->dx, c->dgamma,
                          c->dbeta, c->dresidual, false);
}
static void bn_of_x(void *ctx, const float *in, float *out)
{
    struct bn_ctx *c = ctx;
    bn_run(c, in, c->residual, out);
}
static void bn_back_x(void *ctx, const float *in, const float *dy, float *dx)
{
    struct bn_ctx *c = ctx;
    bn_run_back(c, in, c->residual, dy);
    memcpy(dx, c->dx, sizeof c->dx);
}
static void bn_of_residual(void *ctx, const float *in, float *out)
{
    struct bn_ctx *c = ctx;
    bn_run(c, c->x, in, out);
}
static void bn_back_residual(void *ctx, const float *in, const float *dy, float *dx)
{
    struct bn_ctx *c = ctx;
    bn_run_back(c, c->x, in, dy);
    memcpy(dx, c->dresidual, sizeof c->dresidual);
}
static void bn_of_gamma(void *ctx, const float *in, float *out)
{
    struct bn_ctx *c = ctx;
    c->l.gamma = in;
    bn_run(c, c->x, c->residual, out);
    c->l.gamma = c->gamma;
}
static void bn_back_gamma(void *ctx, const float *in, const float *dy, float *dx)
{
    struct bn_ctx *c = ctx;
    c->l.gamma = in;
    bn_run_back(c, c->x, c->residual, dy);
    c->l.gamma = c->gamma;
    memcpy(dx, c->dgamma, sizeof c->dgamma);
}
static void bn_of_beta(void *ctx, const float *in, float *out)
{
    struct bn_ctx *c = ctx;
    c->l.beta = in;
    bn_run(c, c->x, c->residual, out);
    c->l.beta = c->beta;
}
static void bn_back_beta(void *ctx, const float *in, const float *dy, float *dx)
{
    struct bn_ctx *c = ctx;
    c->l.beta = in;
    bn_run_back(c, c->x, c->residual, dy);
    c->l.beta = c->beta;
    memcpy(dx, c->dbeta, sizeof c->dbeta);
}

static void bn_init(struct bn_ctx *c, bool batch_stats, bool relu, bool factor)
{
    random_floats(c->x, BN_N, -2, 3, 11);
    random_floats(c->residual, BN_N, -1, 1, 12);
    random_floats(c->gamma, BN_C, 0.5, 2, 13);
    random_floats(c->beta, BN_C, -1, 1, 14);
    random_floats(c->mean, BN_C, -1, 1, 15);
    random_floats(c->var, BN_C, 0.5, 2, 16);
    eq_batchnorm_factor(c->gamma, c->var, 1e-5f, BN_C, c->factor);
    c->batch_stats = batch_stats;
    c->relu = relu;
    c->l = (struct eq_batchnorm){.c = BN_C,
                                 .eps = 1e-5f,
                                 .momentum = 0.1f,
                                 .gamma = c->gamma,
                                 .beta = c->beta,
                                 .running_mean = c->mean,
                                 .running_var = c->var,
                                 .factor = factor ? c->factor : NULL,
                                 .mean = c->save,
                                 .inv_std = c->save + BN_C,
                                 .work = c->work};
}

static void batchnorm(void **state)
{
    (void)state;
    static struct bn_ctx c;
    for (int form = 0; form < 8; form++) {
        bool batch_stats = form & 1, relu = form & 2, factor = form & 4;
        char name[64];
        snprintf(name, sizeof name, "batch norm, %s%s%s", batch_stats ? "batch statistics" : "frozen",
                 relu ? ", relu" : "", factor ? ", folded" : "");
        bn_init(&c, batch_stats, relu, factor);
        double h = relu ? 5e-4 : 5e-3, tolerance = relu ? 2e-2 : 2e-3;
        check(&(struct layer){name, BN_N, BN_N, bn_of_x, bn_back_x, &c, h, tolerance});
        check(&(struct layer){name, BN_N, BN_N, bn_of_residual, bn_back_residual, &c, h, tolerance});
        check(&(struct layer){name, BN_C, BN_N, bn_of_beta, bn_back_beta, &c, h, tolerance});
        /* Frozen and folded, the forward pass is x + b whose b holds the factor, a constant: no slope in gamma to see.
         */
        if (batch_stats || !factor)
            check(&(struct layer){name, BN_C, BN_N, bn_of_gamma, bn_back_gamma, &c, h, tolerance});
    }
}

/* With a factor, batch norm of factor * x must give what it gives of x, statistics and gradients of gamma included. */
static void batchnorm_undoes_the_factor(void **state)
{
    (void)state;
    static struct bn_ctx plain, folded;
    static float scaled[BN_N], y[2][BN_N], dy[BN_N];
    for (int batch_stats = 0; batch_stats < 2; batch_stats++) {
        bn_init(&plain, batch_stats, false, false);
        bn_init(&folded, batch_stats, false, true);
        random_floats(dy, BN_N, -1, 1, 17);
        for (int i = 0; i < BN_N; i++)
            scaled[i] = plain.x[i] * folded.factor[i % BN_C];
        bn_run_back(&plain, plain.x, NULL, dy);
        bn_run_back(&folded, scaled, NULL, dy);
        for (int i = 0; i < BN_C; i++) {
            assert_true(fabsf(plain.dgamma[i] - folded.dgamma[i]) < 1e-5f * (1 + fabsf(plain.dgamma[i])));
            assert_true(fabsf(plain.dbeta[i] - folded.dbeta[i]) < 1e-5f * (1 + fabsf(plain.dbeta[i])));
        }
        for (int i = 0; i < BN_N; i++) /* through x' = factor x, the gradient of x is factor times that of x' */
            assert_true(fabsf(plain.dx[i] - folded.dx[i] * folded.factor[i % BN_C]) < 1e-5f);
        eq_batchnorm_forward(&plain.l, plain.x, BN_ROWS, batch_stats, NULL, false, y[0]);
        eq_batchnorm_forward(&folded.l, scaled, BN_ROWS, batch_stats, NULL, false, y[1]);
        for (int i = 0; i < BN_N; i++)
            assert_true(fabsf(y[0][i] - y[1][i]) < 1e-5f);
        for (int i = 0; i < BN_C; i++) {
            assert_true(fabsf(plain.mean[i] - folded.mean[i]) < 1e-6f);
            assert_true(fabsf(plain.var[i] - folded.var[i]) < 2e-6f * plain.var[i]);
        }
    }
}

/* gamma 0: weights are all 0, so is x; nothing may become NaN, and the running statistics stay. */
static void batchnorm_of_a_dead_channel(void **state)
{
    (void)state;
    static struct bn_ctx c;
    static float dy[BN_N];
    bn_init(&c, true, false, true);
    random_floats(dy, BN_N, -1, 1, 18);
    c.gamma[2] = c.factor[2] = 0;
    for (int i = 0; i < BN_ROWS; i++)
        c.x[i * BN_C + 2] = 0;
    float mean = c.mean[2], var = c.var[2];
    eq_batchnorm_forward(&c.l, c.x, BN_ROWS, true, NULL, false, c.y);
    assert_true(c.mean[2] == mean && c.var[2] == var);
    bn_run_back(&c, c.x, NULL, dy);
    for (int i = 0; i < BN_N; i++)
        assert_true(isfinite(c.dx[i]) && isfinite(c.y[i]));
    for (int i = 0; i < BN_ROWS; i++)
        assert_true(c.y[i * BN_C + 2] == c.beta[2]);
}

/* ---- the rest ------------------------------------------------------------ */

enum { POOL_B = 2, POOL_H = 7, POOL_W = 6, POOL_TC = 5, POOL_OH = 4, POOL_OW = 3 };
static const struct eq_pool_shape pool = {POOL_B, POOL_H, POOL_W, POOL_TC, 3, 2, 1, POOL_OH, POOL_OW};
static uint8_t argmax[POOL_B * POOL_OH * POOL_OW * POOL_TC];

static void maxpool_of(void *ctx, const float *in, float *out)
{
    (void)ctx;
    eq_f32_kernels()->maxpool_forward(&pool, in, out, argmax);
}
static void maxpool_back(void *ctx, const float *in, const float *dy, float *dx)
{
    static float out[MAX_N];
    maxpool_of(ctx, in, out);
    eq_f32_kernels()->maxpool_backward(&pool, dy, argmax, dx);
}
static void global_avg_of(void *ctx, const float *in, float *out)
{
    (void)ctx;
    eq_f32_kernels()->global_avg_forward(in, POOL_B, POOL_H * POOL_W, POOL_TC, out);
}
static void global_avg_back(void *ctx, const float *in, const float *dy, float *dx)
{
    (void)ctx;
    (void)in;
    eq_f32_kernels()->global_avg_backward(dy, POOL_B, POOL_H * POOL_W, POOL_TC, dx);
}
static void relu_of(void *ctx, const float *in, float *out)
{
    (void)ctx;
    eq_f32_kernels()->relu_forward(in, 500, out);
}
static void relu_back(void *ctx, const float *in, const float *dy, float *dx)
{
    static float out[500];
    relu_of(ctx, in, out);
    eq_f32_kernels()->relu_backward(out, dy, 500, dx);
}
static void temporal_of(void *ctx, const float *in, float *out)
{
    (void)ctx;
    eq_temporal_mean_forward(in, 3, 5, 7, out);
}
static void temporal_back(void *ctx, const float *in, const float *dy, float *dx)
{
    (void)ctx;
    (void)in;
    eq_temporal_mean_backward(dy, 3, 5, 7, dx);
}

static void pools_and_relu(void **state)
{
    (void)state;
    size_t in = POOL_B * POOL_H * POOL_W * POOL_TC, out = POOL_B * POOL_OH * POOL_OW * POOL_TC;
    check(&(struct layer){"max pooling", in, out, maxpool_of, maxpool_back, NULL, 1e-4, 1e-2});
    check(&(struct layer){"global average", in, POOL_B * POOL_TC, global_avg_of, global_avg_back, NULL, 0.25, 1e-4});
    check(&(struct layer){"relu", 500, 500, relu_of, relu_back, NULL, 1e-4, 1e-2});
    check(&(struct layer){"temporal mean", 105, 21, temporal_of, temporal_back, NULL, 0.25, 1e-4});
}

enum { FC_B = 3, FC_IN = 11, FC_OUT = 2 };
static float fc_x[FC_B * FC_IN], fc_w[FC_OUT * FC_IN], fc_bias[FC_OUT];

static void linear_of_x(void *ctx, const float *in, float *out)
{
    (void)ctx;
    eq_linear_forward(in, fc_w, fc_bias, FC_B, FC_IN, FC_OUT, out);
}
static void linear_back_x(void *ctx, const float *in, const float *dy, float *dx)
{
    (void)ctx;
    eq_linear_backward(in, fc_w, dy, FC_B, FC_IN, FC_OUT, dx, NULL, NULL);
}
static void linear_of_w(void *ctx, const float *in, float *out)
{
    (void)ctx;
    eq_linear_forward(fc_x, in, fc_bias, FC_B, FC_IN, FC_OUT, out);
}
static void linear_back_w(void *ctx, const float *in, const float *dy, float *dw)
{
    (void)ctx;
    eq_linear_backward(fc_x, in, dy, FC_B, FC_IN, FC_OUT, NULL, dw, NULL);
}
static void linear_of_bias(void *ctx, const float *in, float *out)
{
    (void)ctx;
    eq_linear_forward(fc_x, fc_w, in, FC_B, FC_IN, FC_OUT, out);
}
static void linear_back_bias(void *ctx, const float *in, const float *dy, float *db)
{
    (void)ctx;
    (void)in;
    eq_linear_backward(fc_x, fc_w, dy, FC_B, FC_IN, FC_OUT, NULL, NULL, db);
}

static void linear(void **state)
{
    (void)state;
    random_floats(fc_x, FC_B * FC_IN, -1, 1, 1);
    random_floats(fc_w, FC_OUT * FC_IN, -1, 1, 2);
    random_floats(fc_bias, FC_OUT, -1, 1, 3);
    check(&(struct layer){"linear, x", FC_B * FC_IN, FC_B * FC_OUT, linear_of_x, linear_back_x, NULL, 0.25, 1e-5});
    check(&(struct layer){"linear, w", FC_OUT * FC_IN, FC_B * FC_OUT, linear_of_w, linear_back_w, NULL, 0.25, 1e-5});
    check(&(struct layer){"linear, bias", FC_OUT, FC_B * FC_OUT, linear_of_bias, linear_back_bias, NULL, 0.25, 1e-5});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv2d),
        cmocka_unit_test(batchnorm),
        cmocka_unit_test(batchnorm_undoes_the_factor),
        cmocka_unit_test(batchnorm_of_a_dead_channel),
        cmocka_unit_test(pools_and_relu),
        cmocka_unit_test(linear),
    };
    return cmocka_run_group_tests(tests, two_threads, stop_threads);
}
