/*
 * Sums for NEON without dot products. A product of two s8 has at most 128 * 127 = 16256, since no weight is -128: two
 * of them fit int16 (smull, smlal), and pairs of such sums are added to int32 (sadalp). Three instructions for 16
 * products, where widening to 16 bits first takes four.
 */
#ifndef KERNELS_ARM_U8S8_SMULL_H
#define KERNELS_ARM_U8S8_SMULL_H

#include "kernels/arm/u8s8_vec128.h"

#include "kernels/vector/u8s8_tile.h"

/* Two steps of one row for four channels; sums: [channels 0, 0, 1, 1], [2, 2, 3, 3]. */
ALWAYS_INLINE void add_two_steps(vi sums[2], int8x16_t x0, int8x16_t x1, int8x16_t w0, int8x16_t w1)
{
    int16x8_t lo = vmull_s8(vget_low_s8(w0), vget_low_s8(x0)), hi = vmull_high_s8(w0, x0);
    lo = vmlal_s8(lo, vget_low_s8(w1), vget_low_s8(x1));
    hi = vmlal_high_s8(hi, w1, x1);
    sums[0] = vpadalq_s16(sums[0], lo);
    sums[1] = vpadalq_s16(sums[1], hi);
}

ALWAYS_INLINE void add_step(vi sums[2], int8x16_t x, int8x16_t w)
{
    sums[0] = vpadalq_s16(sums[0], vmull_s8(vget_low_s8(w), vget_low_s8(x)));
    sums[1] = vpadalq_s16(sums[1], vmull_high_s8(w, x));
}

/* One or two steps of all rows. The empty asm keeps gcc from starting all rows at once, for which it would run out of
 * registers and keep sums in memory. */
ALWAYS_INLINE void add_steps(const int R, const int two, vi sums[MAX_R][4], const uint8_t *a, ptrdiff_t stride,
                             const uint8_t *w)
{
    int8x16_t w0 = vi_load_s8(w), w1 = vi_load_s8(w + 16);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        int8x16_t x0 = vi_bcast_s8(a + r * stride);
        if (two) {
            int8x16_t x1 = vi_bcast_s8(a + r * stride + 4);
            add_two_steps(sums[r], x0, x1, w0, vi_load_s8(w + 32));
            add_two_steps(sums[r] + 2, x0, x1, w1, vi_load_s8(w + 48));
        } else {
            add_step(sums[r], x0, w0);
            add_step(sums[r] + 2, x0, w1);
        }
        __asm__("" : "+w"(sums[r][0]), "+w"(sums[r][2]), "+w"(w0), "+w"(w1), "+r"(a));
    }
}

/* U: 4 or 1 */
ALWAYS_INLINE void tile_sums(const int R, const int U, const int lines, vi acc[MAX_R][2], const struct tile_src *src)
{
    vi sums[MAX_R][4];
    (void)lines;
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
        sums[r][0] = sums[r][1] = sums[r][2] = sums[r][3] = vi_set1(0);
    for (int ky = 0; ky < src->kys; ky++) {
        const uint8_t *w = src->weights + ky * src->weights_ky_stride;
        for (int kx = 0; kx < src->kxs; kx++) {
            const uint8_t *a = src->rows + ky * src->ky_stride + kx * src->kx_stride;
            const int two = U > 1, now = two ? 2 : 1;
            for (int n = src->steps / now; n > 0; n--, a += 4 * now, w += now * BLOCK * 4)
                add_steps(R, two, sums, a, src->row_stride, w);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        acc[r][0] = vi_add(acc[r][0], vpaddq_s32(sums[r][0], sums[r][1]));
        acc[r][1] = vi_add(acc[r][1], vpaddq_s32(sums[r][2], sums[r][3]));
    }
}

#endif
