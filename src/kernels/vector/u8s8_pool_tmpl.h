/* Template: max pooling and the final sum over u8 activations. The including file has included x86/u8s8_vec.h or
 * arm/u8s8_vec128.h for the vectors. */
#include "kernels/conv.h"
#include "kernels/fill.h"
#include "kernels/level.h"

#include <assert.h>

enum {
    BYTES = VL * 4,
    MAX_TAPS = 225, /* EQ_QMODEL_MAX_KERNEL squared */
    SUM_CHANNELS = 4 * VL
};

struct pool_job {
    const struct eq_pool_shape *p;
    const uint8_t *x;
    uint8_t *y;
};

/* y[i] = the greatest of n pixels' byte i. A window always holds a pixel, and 0 is the least value. */
static void max_of(const uint8_t *const *px, int n, size_t tc, uint8_t *y)
{
    size_t i = 0;
    for (; i + BYTES <= tc; i += BYTES) {
        vi best = vi_load(px[0] + i);
        for (int k = 1; k < n; k++)
            best = vi_max_u8(best, vi_load(px[k] + i));
        vi_store(y + i, best);
    }
    for (; i < tc; i++) {
        y[i] = px[0][i];
        for (int k = 1; k < n; k++)
            y[i] = px[k][i] > y[i] ? px[k][i] : y[i];
    }
}

static void pool_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    const struct eq_pool_shape *p = j->p;
    const int b = (int)(row / p->oh), oy = (int)(row % p->oh);
    struct eq_tap_range ry = eq_taps_inside(oy, p->stride, p->pad, p->k, p->h);
    for (int ox = 0; ox < p->ow; ox++) {
        struct eq_tap_range rx = eq_taps_inside(ox, p->stride, p->pad, p->k, p->w);
        const uint8_t *px[MAX_TAPS];
        int n = 0;
        for (int ky = ry.lo; ky < ry.hi; ky++)
            for (int kx = rx.lo; kx < rx.hi; kx++)
                px[n++] = j->x + eq_pool_src_at(p, b, oy, ky, ox, kx);
        max_of(px, n, (size_t)p->tc, j->y + (row * p->ow + ox) * p->tc);
    }
}

/* k is checked where a model is read (EQ_QMODEL_MAX_KERNEL). */
static void maxpool(const struct eq_pool_shape *p, const uint8_t *x, uint8_t *y)
{
    struct pool_job job = {p, x, y};
    assert(p->k * p->k <= MAX_TAPS && p->pad < p->k);
    eq_parallel_for((size_t)p->b * p->oh, pool_row, &job);
}

struct sum_job {
    const uint8_t *x;
    int rows, c, zp, groups;
    int32_t *sum;
};

/* Sums of SUM_CHANNELS neighboring channels over all rows. */
static void sum_group(const uint8_t *x, int rows, int c, int32_t start, int32_t *sum)
{
    vi acc[4] = {vi_set1(start), vi_set1(start), vi_set1(start), vi_set1(start)};
    for (; rows > 0; rows--, x += c)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            acc[i] = vi_add(acc[i], vi_load_u8(x + i * VL));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        vi_store(sum + i * VL, acc[i]);
}

static void sum_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct sum_job *j = ctx;
    const size_t clip = piece / j->groups;
    const int c0 = (int)(piece % j->groups) * SUM_CHANNELS;
    const uint8_t *x = j->x + clip * j->rows * j->c;
    int32_t *sum = j->sum + clip * j->c, start = -j->zp * j->rows;
    if (c0 + SUM_CHANNELS <= j->c) {
        sum_group(x + c0, j->rows, j->c, start, sum + c0);
        return;
    }
    for (int i = c0; i < j->c; i++) {
        sum[i] = start;
        for (int row = 0; row < j->rows; row++)
            sum[i] += x[(size_t)row * j->c + i];
    }
}

static void sum_pixels_frames(const uint8_t *x, int b, int hw, int t, int c, int zp, int32_t *sum)
{
    struct sum_job job = {x, hw * t, c, zp, (c + SUM_CHANNELS - 1) / SUM_CHANNELS, sum};
    eq_parallel_for((size_t)b * job.groups, sum_piece, &job);
}

void ISA_NAME(eq_u8s8_fill)(struct eq_u8s8_table *table)
{
    table->maxpool = maxpool;
    table->sum_pixels_frames = sum_pixels_frames;
}
