/* The meaning of the pooling kernels. */
#include "kernels/f32_pool.h"
#include "kernels/ref/f32_unpool.h"

/* A value of the input, after batch norm and ReLU when they are in front: as bn_apply. */
static float value_at(const struct pool_job *j, size_t pixel, int i)
{
    float x = j->in[pixel * j->p.tc + i];
    if (!j->bn)
        return x;
    int c = i % j->bn->c;
    float v = (x - j->bn->mean[c]) * j->bn->inv_std[c] * j->bn->gamma[c] + j->bn->beta[c];
    return v < 0 ? 0 : v;
}

/* One value of the output: the first of the greatest, or a NaN when there is one. Returns its tap. */
static int max_at(const struct pool_job *j, int b, int oy, int ox, int i, float *best)
{
    int tap = -1;
    for (int ky = 0; ky < j->p.k; ky++)
        for (int kx = 0; kx < j->p.k; kx++) {
            int y, x;
            if (!eq_conv_src_of(oy, ky, j->p.stride, j->p.pad, j->p.h, &y) ||
                !eq_conv_src_of(ox, kx, j->p.stride, j->p.pad, j->p.w, &x))
                continue;
            float v = value_at(j, ((size_t)b * j->p.h + y) * j->p.w + x, i);
            if (tap < 0 || v > *best || v != v) {
                *best = v;
                tap = ky * j->p.k + kx;
            }
        }
    return tap;
}

static void max_forward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    size_t at = row * j->p.ow * j->p.tc;
    for (int ox = 0; ox < j->p.ow; ox++)
        for (int i = 0; i < j->p.tc; i++, at++) {
            int tap = max_at(j, (int)(row / j->p.oh), (int)(row % j->p.oh), ox, i, j->out + at);
            if (j->argmax)
                j->argmax[at] = (uint8_t)tap;
        }
}

static void normed_max_row(void *ctx, size_t row, int worker)
{
    max_forward_row(ctx, row, worker);
}

static void max_backward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    float *dx = j->out + row * j->p.w * j->p.tc;
    for (int x = 0; x < j->p.w; x++)
        for (int i = 0; i < j->p.tc; i++)
            *dx++ = max_gradient_at(&j->p, j->in, j->argmax_in, (int)(row / j->p.h), (int)(row % j->p.h), x, i);
}

static void average_of(const struct pool_job *j, const float *x, int n, float *y)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int p = 0; p < j->hw; p++)
            sum += x[(size_t)p * j->p.tc + i];
        y[i] = (float)(sum / j->hw);
    }
}

static void share_of(const struct pool_job *j, const float *dy, int n, float *dx)
{
    for (int i = 0; i < n; i++)
        dx[i] = dy[i] * (1.0f / (float)j->hw);
}

void eq_f32_pool_fill__ref(struct eq_f32_table *table)
{
    fill_pool(table);
}
