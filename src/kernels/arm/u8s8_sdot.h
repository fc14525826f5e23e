/*
 * Sums with sdot, which wraps and never saturates. It takes one step of a row from a lane, so that a load of 16 bytes
 * serves four steps.
 */
#ifndef KERNELS_ARM_U8S8_SDOT_H
#define KERNELS_ARM_U8S8_SDOT_H

#include "kernels/arm/u8s8_vec128.h"

#include "kernels/vector/u8s8_tile.h"

/* A macro, since the lane must be a constant. */
#define ADD_LANE(R, acc, x, lane, w)                                                                                   \
    do {                                                                                                               \
        int8x16_t w0 = vi_load_s8((w) + (lane)*BLOCK * 4), w1 = vi_load_s8((w) + (lane)*BLOCK * 4 + 16);               \
        _Pragma("GCC unroll 8") for (int r = 0; r < (R); r++)                                                          \
        {                                                                                                              \
            (acc)[r][0] = vdotq_laneq_s32((acc)[r][0], w0, (x)[r], lane);                                              \
            (acc)[r][1] = vdotq_laneq_s32((acc)[r][1], w1, (x)[r], lane);                                              \
        }                                                                                                              \
    } while (0)

ALWAYS_INLINE void add_four_steps(const int R, vi acc[MAX_R][2], const uint8_t *a, ptrdiff_t stride, const uint8_t *w)
{
    int8x16_t x[MAX_R];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
        x[r] = vi_load_s8(a + r * stride);
    ADD_LANE(R, acc, x, 0, w);
    ADD_LANE(R, acc, x, 1, w);
    ADD_LANE(R, acc, x, 2, w);
    ADD_LANE(R, acc, x, 3, w);
}

ALWAYS_INLINE void add_step(const int R, vi acc[MAX_R][2], const uint8_t *a, ptrdiff_t stride, const uint8_t *w)
{
    int8x16_t w0 = vi_load_s8(w), w1 = vi_load_s8(w + 16);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        int8x16_t x = vi_bcast_s8(a + r * stride);
        acc[r][0] = vdotq_s32(acc[r][0], w0, x);
        acc[r][1] = vdotq_s32(acc[r][1], w1, x);
    }
}

/* U: 4 or 1 */
ALWAYS_INLINE void tile_sums(const int R, const int U, const int lines, vi acc[MAX_R][2], const struct tile_src *src)
{
    (void)lines;
    for (int ky = 0; ky < src->kys; ky++) {
        const uint8_t *w = src->weights + ky * src->weights_ky_stride;
        for (int kx = 0; kx < src->kxs; kx++) {
            const uint8_t *a = src->rows + ky * src->ky_stride + kx * src->kx_stride;
            for (int n = src->steps / U; n > 0; n--, a += 4 * U, w += U * BLOCK * 4)
                if (U == 4)
                    add_four_steps(R, acc, a, src->row_stride, w);
                else
                    add_step(R, acc, a, src->row_stride, w);
        }
    }
}

#endif
