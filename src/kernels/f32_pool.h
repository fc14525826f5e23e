/*
 * The pooling slots as jobs over pieces: what ref/ and the x86 template share. A pixel is tc = t * c neighboring
 * values. The including file defines the functions on a row of output pixels (max_forward_row, normed_max_row, which
 * normalizes first), a row of source pixels (max_backward_row), and n neighboring values of a pixel (average_of,
 * share_of).
 */
#ifndef KERNELS_F32_POOL_H
#define KERNELS_F32_POOL_H

#include "kernels/conv.h"
#include "kernels/fill.h"

#include <assert.h>

enum { AVG_BLOCK = 1024 };

struct pool_job {
    const float *in;
    float *out;
    const uint8_t *argmax_in;
    uint8_t *argmax;
    const struct eq_bn *bn; /* before the pooling, with a ReLU; NULL: none */
    struct eq_pool_shape p; /* the global average uses tc alone */
    int hw, blocks;
};

static void max_forward_row(void *ctx, size_t row, int worker);
static void normed_max_row(void *ctx, size_t row, int worker);
static void max_backward_row(void *ctx, size_t row, int worker);
static void average_of(const struct pool_job *j, const float *x, int n, float *y); /* over hw pixels, tc apart */
static void share_of(const struct pool_job *j, const float *dy, int n, float *dx); /* dx = dy / hw */

static void maxpool_forward(const struct eq_pool_shape *p, const float *x, float *y, uint8_t *argmax)
{
    assert(p->k * p->k <= EQ_POOL_TAPS && p->pad < p->k);
    struct pool_job job = {.p = *p, .in = x, .out = y, .argmax = argmax};
    eq_parallel_for((size_t)p->b * p->oh, max_forward_row, &job);
}

static void bn_relu_maxpool_forward(const struct eq_bn *bn, const struct eq_pool_shape *p, const float *x, float *y,
                                    uint8_t *argmax)
{
    assert(p->k * p->k <= EQ_POOL_TAPS && p->pad < p->k && bn->c % 16 == 0);
    struct pool_job job = {.p = *p, .in = x, .out = y, .argmax = argmax, .bn = bn};
    eq_parallel_for((size_t)p->b * p->oh, normed_max_row, &job);
}

static void maxpool_backward(const struct eq_pool_shape *p, const float *dy, const uint8_t *argmax, float *dx)
{
    assert(p->k * p->k <= EQ_POOL_TAPS);
    struct pool_job job = {.p = *p, .in = dy, .argmax_in = argmax, .out = dx};
    eq_parallel_for((size_t)p->b * p->h, max_backward_row, &job);
}

static void avg_forward_block(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    size_t b = piece / j->blocks, tc = (size_t)j->p.tc, i = piece % j->blocks * AVG_BLOCK;
    average_of(j, j->in + b * j->hw * tc + i, (int)(tc - i < AVG_BLOCK ? tc - i : AVG_BLOCK), j->out + b * tc + i);
}

static void global_avg_forward(const float *x, int b, int hw, int tc, float *y)
{
    struct pool_job job = {.in = x, .hw = hw, .p.tc = tc, .out = y, .blocks = (tc + AVG_BLOCK - 1) / AVG_BLOCK};
    eq_parallel_for((size_t)b * job.blocks, avg_forward_block, &job);
}

static void avg_backward_pixel(void *ctx, size_t pixel, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    share_of(j, j->in + pixel / j->hw * j->p.tc, j->p.tc, j->out + pixel * j->p.tc);
}

static void global_avg_backward(const float *dy, int b, int hw, int tc, float *dx)
{
    struct pool_job job = {.in = dy, .hw = hw, .p.tc = tc, .out = dx};
    eq_parallel_for((size_t)b * hw, avg_backward_pixel, &job);
}

static void fill_pool(struct eq_f32_table *table)
{
    table->maxpool_forward = maxpool_forward;
    table->bn_relu_maxpool_forward = bn_relu_maxpool_forward;
    table->maxpool_backward = maxpool_backward;
    table->global_avg_forward = global_avg_forward;
    table->global_avg_backward = global_avg_backward;
}

#endif
