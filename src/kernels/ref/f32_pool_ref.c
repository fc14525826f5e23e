/* The meaning of the pooling kernels. A pixel is tc = t * c values; a piece is a row of pixels. */
#include "kernels/f32.h"
#include "kernels/f32_fill.h"

struct pool_job {
    const float *x, *dy;
    float *y, *dx;
    uint8_t *argmax;
    const uint8_t *argmax_in;
    int h, w, tc, k, stride, pad, oh, ow, hw;
    const float *mean, *inv_std, *gamma, *beta; /* [c] of a batch norm in front; NULL: none */
    int c;
};

/* ---- max pooling --------------------------------------------------------- */

/* A value of the input, behind batch norm and ReLU when they are in front: as bn_apply. */
static float value_at(const struct pool_job *j, size_t pixel, int i)
{
    float x = j->x[pixel * j->tc + i];
    if (!j->mean)
        return x;
    int c = i % j->c;
    float v = (x - j->mean[c]) * j->inv_std[c] * j->gamma[c] + j->beta[c];
    return v < 0 ? 0 : v;
}

/* One value of the output: the first of the greatest, or a NaN when there is one. */
static void max_at(const struct pool_job *j, int b, int oy, int ox, int i, float *best, int *tap)
{
    *tap = -1;
    for (int ky = 0; ky < j->k; ky++)
        for (int kx = 0; kx < j->k; kx++) {
            int y, x;
            if (!eq_conv_src_of(oy, ky, j->stride, j->pad, j->h, &y) ||
                !eq_conv_src_of(ox, kx, j->stride, j->pad, j->w, &x))
                continue;
            float v = value_at(j, ((size_t)b * j->h + y) * j->w + x, i);
            if (*tap < 0 || v > *best || v != v) {
                *best = v;
                *tap = ky * j->k + kx;
            }
        }
}

static void max_forward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    size_t at = row * j->ow * j->tc;
    for (int ox = 0; ox < j->ow; ox++)
        for (int i = 0; i < j->tc; i++, at++) {
            int tap;
            max_at(j, (int)(row / j->oh), (int)(row % j->oh), ox, i, j->y + at, &tap);
            if (j->argmax)
                j->argmax[at] = (uint8_t)tap;
        }
}

static struct pool_job max_job(const float *x, int h, int w, int tc, int k, int stride, int pad, int oh, int ow,
                               float *y, uint8_t *argmax)
{
    return (struct pool_job){.x = x,
                             .y = y,
                             .argmax = argmax,
                             .h = h,
                             .w = w,
                             .tc = tc,
                             .k = k,
                             .stride = stride,
                             .pad = pad,
                             .oh = oh,
                             .ow = ow};
}

static void maxpool_forward(const float *x, int b, int h, int w, int tc, int k, int stride, int pad, int oh, int ow,
                            float *y, uint8_t *argmax)
{
    struct pool_job job = max_job(x, h, w, tc, k, stride, pad, oh, ow, y, argmax);
    eq_parallel_for((size_t)b * oh, max_forward_row, &job);
}

static void bn_relu_maxpool_forward(const float *x, int b, int h, int w, int t, int c, const float *mean,
                                    const float *inv_std, const float *gamma, const float *beta, int k, int stride,
                                    int pad, int oh, int ow, float *y, uint8_t *argmax)
{
    struct pool_job job = max_job(x, h, w, t * c, k, stride, pad, oh, ow, y, argmax);
    job.mean = mean;
    job.inv_std = inv_std;
    job.gamma = gamma;
    job.beta = beta;
    job.c = c;
    eq_parallel_for((size_t)b * oh, max_forward_row, &job);
}

/* A source value gets the gradient of every window that it won, in the order of the taps. */
static float max_gradient_at(const struct pool_job *j, int b, int y, int x, int i)
{
    float sum = 0;
    for (int ky = 0; ky < j->k; ky++)
        for (int kx = 0; kx < j->k; kx++) {
            int oy, ox;
            if (!eq_conv_dst_of(y, ky, j->stride, j->pad, j->oh, &oy) ||
                !eq_conv_dst_of(x, kx, j->stride, j->pad, j->ow, &ox))
                continue;
            size_t at = (((size_t)b * j->oh + oy) * j->ow + ox) * j->tc + i;
            if (j->argmax_in[at] == ky * j->k + kx)
                sum += j->dy[at];
        }
    return sum;
}

static void max_backward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    float *dx = j->dx + row * j->w * j->tc;
    for (int x = 0; x < j->w; x++)
        for (int i = 0; i < j->tc; i++)
            *dx++ = max_gradient_at(j, (int)(row / j->h), (int)(row % j->h), x, i);
}

static void maxpool_backward(const float *dy, const uint8_t *argmax, int b, int h, int w, int tc, int k, int stride,
                             int pad, int oh, int ow, float *dx)
{
    struct pool_job job = {.dy = dy,
                           .argmax_in = argmax,
                           .dx = dx,
                           .h = h,
                           .w = w,
                           .tc = tc,
                           .k = k,
                           .stride = stride,
                           .pad = pad,
                           .oh = oh,
                           .ow = ow};
    eq_parallel_for((size_t)b * h, max_backward_row, &job);
}

/* ---- global average ------------------------------------------------------ */

static void avg_forward_clip(void *ctx, size_t b, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    const float *x = j->x + b * j->hw * j->tc;
    for (int i = 0; i < j->tc; i++) {
        double sum = 0;
        for (int p = 0; p < j->hw; p++)
            sum += x[(size_t)p * j->tc + i];
        j->y[b * j->tc + i] = (float)(sum / j->hw);
    }
}

static void global_avg_forward(const float *x, int b, int hw, int tc, float *y)
{
    struct pool_job job = {.x = x, .hw = hw, .tc = tc, .y = y};
    eq_parallel_for((size_t)b, avg_forward_clip, &job);
}

static void avg_backward_clip(void *ctx, size_t b, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    float *dx = j->dx + b * j->hw * j->tc;
    for (int p = 0; p < j->hw; p++)
        for (int i = 0; i < j->tc; i++)
            *dx++ = j->dy[b * j->tc + i] * (1.0f / (float)j->hw);
}

static void global_avg_backward(const float *dy, int b, int hw, int tc, float *dx)
{
    struct pool_job job = {.dy = dy, .hw = hw, .tc = tc, .dx = dx};
    eq_parallel_for((size_t)b, avg_backward_clip, &job);
}

void eq_f32_fill_pool_ref(struct eq_f32_table *table)
{
    table->maxpool_forward = maxpool_forward;
    table->bn_relu_maxpool_forward = bn_relu_maxpool_forward;
    table->maxpool_backward = maxpool_backward;
    table->global_avg_forward = global_avg_forward;
    table->global_avg_backward = global_avg_backward;
}
