/* The meaning of the pooling kernels. A pixel is tc = t * c values; a piece is a row of pixels. */
#include "kernels/conv.h"
#include "kernels/fill.h"

struct pool_job {
    const float *x, *dy;
    float *y, *dx;
    uint8_t *argmax;
    const uint8_t *argmax_in;
    struct eq_pool_shape p; /* the global average uses tc alone */
    int hw;
    const float *mean, *inv_std, *gamma, *beta; /* [c] of a batch norm in front; NULL: none */
    int c;
};

/* ---- max pooling --------------------------------------------------------- */

/* A value of the input, behind batch norm and ReLU when they are in front: as bn_apply. */
static float value_at(const struct pool_job *j, size_t pixel, int i)
{
    float x = j->x[pixel * j->p.tc + i];
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
    for (int ky = 0; ky < j->p.k; ky++)
        for (int kx = 0; kx < j->p.k; kx++) {
            int y, x;
            if (!eq_conv_src_of(oy, ky, j->p.stride, j->p.pad, j->p.h, &y) ||
                !eq_conv_src_of(ox, kx, j->p.stride, j->p.pad, j->p.w, &x))
                continue;
            float v = value_at(j, ((size_t)b * j->p.h + y) * j->p.w + x, i);
            if (*tap < 0 || v > *best || v != v) {
                *best = v;
                *tap = ky * j->p.k + kx;
            }
        }
}

static void max_forward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    size_t at = row * j->p.ow * j->p.tc;
    for (int ox = 0; ox < j->p.ow; ox++)
        for (int i = 0; i < j->p.tc; i++, at++) {
            int tap;
            max_at(j, (int)(row / j->p.oh), (int)(row % j->p.oh), ox, i, j->y + at, &tap);
            if (j->argmax)
                j->argmax[at] = (uint8_t)tap;
        }
}

static void maxpool_forward(const struct eq_pool_shape *p, const float *x, float *y, uint8_t *argmax)
{
    struct pool_job job = {.p = *p, .x = x, .y = y, .argmax = argmax};
    eq_parallel_for((size_t)p->b * p->oh, max_forward_row, &job);
}

static void bn_relu_maxpool_forward(const struct eq_pool_shape *p, const float *x, int c, const float *mean,
                                    const float *inv_std, const float *gamma, const float *beta, float *y,
                                    uint8_t *argmax)
{
    struct pool_job job = {.p = *p, .x = x, .y = y, .argmax = argmax, .mean = mean, inv_std, gamma, beta, .c = c};
    eq_parallel_for((size_t)p->b * p->oh, max_forward_row, &job);
}

/* A source value gets the gradient of every window that it won, in the order of the taps. */
static float max_gradient_at(const struct pool_job *j, int b, int y, int x, int i)
{
    float sum = 0;
    for (int ky = 0; ky < j->p.k; ky++)
        for (int kx = 0; kx < j->p.k; kx++) {
            int oy, ox;
            if (!eq_conv_dst_of(y, ky, j->p.stride, j->p.pad, j->p.oh, &oy) ||
                !eq_conv_dst_of(x, kx, j->p.stride, j->p.pad, j->p.ow, &ox))
                continue;
            size_t at = (((size_t)b * j->p.oh + oy) * j->p.ow + ox) * j->p.tc + i;
            if (j->argmax_in[at] == ky * j->p.k + kx)
                sum += j->dy[at];
        }
    return sum;
}

static void max_backward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    float *dx = j->dx + row * j->p.w * j->p.tc;
    for (int x = 0; x < j->p.w; x++)
        for (int i = 0; i < j->p.tc; i++)
            *dx++ = max_gradient_at(j, (int)(row / j->p.h), (int)(row % j->p.h), x, i);
}

static void maxpool_backward(const struct eq_pool_shape *p, const float *dy, const uint8_t *argmax, float *dx)
{
    struct pool_job job = {.p = *p, .dy = dy, .argmax_in = argmax, .dx = dx};
    eq_parallel_for((size_t)p->b * p->h, max_backward_row, &job);
}

/* ---- global average ------------------------------------------------------ */

static void avg_forward_clip(void *ctx, size_t b, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    const float *x = j->x + b * j->hw * j->p.tc;
    for (int i = 0; i < j->p.tc; i++) {
        double sum = 0;
        for (int p = 0; p < j->hw; p++)
            sum += x[(size_t)p * j->p.tc + i];
        j->y[b * j->p.tc + i] = (float)(sum / j->hw);
    }
}

static void global_avg_forward(const float *x, int b, int hw, int tc, float *y)
{
    struct pool_job job = {.x = x, .hw = hw, .p.tc = tc, .y = y};
    eq_parallel_for((size_t)b, avg_forward_clip, &job);
}

static void avg_backward_clip(void *ctx, size_t b, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    float *dx = j->dx + b * j->hw * j->p.tc;
    for (int p = 0; p < j->hw; p++)
        for (int i = 0; i < j->p.tc; i++)
            *dx++ = j->dy[b * j->p.tc + i] * (1.0f / (float)j->hw);
}

static void global_avg_backward(const float *dy, int b, int hw, int tc, float *dx)
{
    struct pool_job job = {.dy = dy, .hw = hw, .p.tc = tc, .dx = dx};
    eq_parallel_for((size_t)b, avg_backward_clip, &job);
}

void eq_f32_pool_fill__ref(struct eq_f32_table *table)
{
    table->maxpool_forward = maxpool_forward;
    table->bn_relu_maxpool_forward = bn_relu_maxpool_forward;
    table->maxpool_backward = maxpool_backward;
    table->global_avg_forward = global_avg_forward;
    table->global_avg_backward = global_avg_backward;
}
