/* The meaning of the u8s8 kernels in plain C: every other slot is tested against this file, to the bit. */
#include "kernels/conv.h"
#include "kernels/fill.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* OIHW -> OHWI, so that the innermost sum runs over neighbors on both sides. */
static void pack(const struct eq_conv_shape *s, const int8_t *weights_oihw, int src_zp, void *packed)
{
    (void)src_zp;
    int8_t *out = packed;
    int taps = s->k * s->k;
    for (int oc = 0; oc < s->cout; oc++)
        for (int tap = 0; tap < taps; tap++)
            for (int ic = 0; ic < s->cin; ic++)
                *out++ = weights_oihw[((size_t)oc * s->cin + ic) * taps + tap];
}

static uint8_t requantize(int32_t acc, int oc, const struct eq_u8s8_epilogue *epi, size_t at)
{
    float r = fmaf((float)acc, epi->m[oc], epi->b[oc]);
    if (epi->residual)
        r = fmaf((float)(epi->residual[at] - epi->residual_zp), epi->residual_m, r);
    int64_t q = r >= 0x1p31f ? INT32_MAX : r > -0x1p31f ? (int64_t)nearbyintf(r) : INT32_MIN;
    q += epi->dst_zp;
    return (uint8_t)(q < epi->dst_min ? epi->dst_min : q > epi->dst_max ? epi->dst_max : q);
}

struct conv_job {
    const struct eq_conv_shape *s;
    const uint8_t *src;
    int src_zp;
    const int8_t *weights;
    const struct eq_u8s8_epilogue *epi;
    uint8_t *dst;
};

static int32_t dot(const uint8_t *x, int zp, const int8_t *w, int n)
{
    int32_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += (x[i] - zp) * w[i];
    return sum;
}

static int32_t conv_at(const struct conv_job *j, int b, int f, int oy, int ox, int oc)
{
    const struct eq_conv_shape *s = j->s;
    struct eq_tap_range ry = eq_taps_inside(oy, s->stride, s->pad, s->k, s->h);
    struct eq_tap_range rx = eq_taps_inside(ox, s->stride, s->pad, s->k, s->w);
    int32_t acc = 0;
    for (int ky = ry.lo; ky < ry.hi; ky++)
        for (int kx = rx.lo; kx < rx.hi; kx++) {
            size_t at = eq_conv_src_at(s, b, f, oy * s->stride - s->pad + ky, ox * s->stride - s->pad + kx);
            acc += dot(j->src + at, j->src_zp, j->weights + (((size_t)oc * s->k + ky) * s->k + kx) * s->cin, s->cin);
        }
    return acc;
}

/* One row of output pixels, all frames. */
static void conv_row(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct conv_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    int b = (int)(piece / s->oh), oy = (int)(piece % s->oh);
    size_t at = piece * s->ow * s->t * s->cout;
    for (int ox = 0; ox < s->ow; ox++)
        for (int f = 0; f < s->t; f++)
            for (int oc = 0; oc < s->cout; oc++, at++)
                j->dst[at] = requantize(conv_at(j, b, f, oy, ox, oc), oc, j->epi, at);
}

static void run(const struct eq_conv_shape *s, const uint8_t *src, int src_zp, const void *packed,
                const struct eq_u8s8_epilogue *epi, uint8_t *dst, void *scratch)
{
    (void)scratch;
    struct conv_job job = {s, src, src_zp, packed, epi, dst};
    eq_parallel_for((size_t)s->b * s->oh, conv_row, &job);
}

REF_KERNEL(u8s8_conv_direct, .supports = eq_conv_any, .packed_bytes = eq_conv_weights,
           .scratch_bytes = eq_conv_no_scratch, .pack_s8 = pack, .run.u8s8 = run)

/* Padding never wins: a window always holds at least one pixel, and 0 is the least value. */
static void maxpool(const struct eq_pool_shape *p, const uint8_t *x, uint8_t *y)
{
    for (int row = 0; row < p->b * p->oh; row++)
        for (int ox = 0; ox < p->ow; ox++, y += p->tc) {
            struct eq_tap_range ry = eq_taps_inside(row % p->oh, p->stride, p->pad, p->k, p->h);
            struct eq_tap_range rx = eq_taps_inside(ox, p->stride, p->pad, p->k, p->w);
            memset(y, 0, (size_t)p->tc);
            for (int ky = ry.lo; ky < ry.hi; ky++)
                for (int kx = rx.lo; kx < rx.hi; kx++) {
                    const uint8_t *in = x + eq_pool_src_at(p, row / p->oh, row % p->oh, ky, ox, kx);
                    for (int i = 0; i < p->tc; i++)
                        y[i] = in[i] > y[i] ? in[i] : y[i];
                }
        }
}

static void sum_pixels_frames(const uint8_t *x, int b, int hw, int t, int c, int zp, int32_t *sum)
{
    for (int clip = 0; clip < b; clip++, sum += c) {
        memset(sum, 0, (size_t)c * sizeof *sum);
        for (int row = 0; row < hw * t; row++, x += c)
            for (int i = 0; i < c; i++)
                sum[i] += x[i] - zp;
    }
}

void eq_u8s8_fill__ref(struct eq_u8s8_table *table)
{
    table->maxpool = maxpool;
    table->sum_pixels_frames = sum_pixels_frames;
}
