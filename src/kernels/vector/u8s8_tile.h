/*
 * A tile of up to MAX_R rows x BLOCK output channels of a matrix product, and the requantization of its sums, shared by
 * the u8s8 templates. A 32-bit group of a row's channels, which one lane of vi_dot2 takes, is called a step: four u8
 * or, when widened, two s16.
 *
 * The including file has defined the vectors (x86/u8s8_vec.h, arm/u8s8_vec128.h): VL lanes of int32 (vi) or float
 * (vf); vi_load, vi_store, vi_set1, vi_bcast, vi_add, vi_sub, vi_max_u8, vi_load_u8, vi_store_u8; v_set1, v_load,
 * v_fma, v_max, v_min, v_of_i, vi_of_f; and vi_dot2(acc, x, w0, w1): acc[i] += the products inside each step of x and
 * w_i. Its switches:
 *
 *   EQ_MAX_R       rows of a tile: as many as registers hold sums for; 4, 6 or 8
 *   EQ_DOT         what vi_dot2 is made of, as text: the kernels' .instruction
 *   EQ_WIDE        0: vi_dot2 takes u8 x s8 and reads the source where it lies; sums of weights correct the zero-point.
 *                  1: s16 x s16: the source is first widened, minus the zero-point (1/64 of the products or less)
 *   EQ_SRC_OFFSET  0, or 128 where instructions multiply s8 x s8 only: the direct kernel (EQ_WIDE 0) copies the source
 *                  minus 128, and sums of weights correct that together with the zero-point
 *   EQ_UNROLL      4, or 16: steps at once in the direct kernel, whose packed steps are a multiple of it
 *   EQ_OWN_SUMS    the including file defines tile_sums after the inclusion, and needs no vi_dot2 but for the peak
 *   EQ_OWN_TILES   for matrix units: it defines direct_tiles, direct_end_piece and the kernel after the inclusion
 *   EQ_PEAK        the name of the peak (u8s8_peak_tmpl.h) without its level
 */
#ifndef KERNELS_VECTOR_U8S8_TILE_H
#define KERNELS_VECTOR_U8S8_TILE_H

#include "kernels/conv.h"
#include "kernels/level.h"

#include <string.h>

#if !defined(ALWAYS_INLINE)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#endif
#if !defined(EQ_SRC_OFFSET)
#define EQ_SRC_OFFSET 0
#endif
#if !defined(EQ_UNROLL)
#define EQ_UNROLL 4
#endif
#if !defined(EQ_PEAK)
#define EQ_PEAK eq_u8s8_peak
#endif

enum { BLOCK = 2 * VL }; /* output channels of a tile */

/* Where a tile's operands lie; strides in bytes. weights: [tap][step][BLOCK][4 bytes], taps of a kernel row together.
 * ahead: weights that are needed after these ones, as far as this tile should ask for them; see tile_ahead. */
struct tile_src {
    const uint8_t *rows;
    ptrdiff_t row_stride, ky_stride, kx_stride;
    const uint8_t *weights, *weights_low; /* weights_low: see u8s8_stem_tmpl.h */
    ptrdiff_t weights_ky_stride;
    int kys, kxs, steps;
    const uint8_t *ahead;
    ptrdiff_t ahead_tile, ahead_step; /* bytes of a tile's share, and of a step of its loop */
};

/* Spreads n bytes of weights, which come next, over a number of tiles. The rows of a product stream the same weights
 * one after the other, from L2 or L1. Without this, the first of them waits for memory and the others leave it idle. */
static inline void tile_ahead(struct tile_src *src, const uint8_t *next, size_t n, int tiles, int unroll)
{
    const int loops = src->kys * src->kxs * (src->steps / unroll);
    src->ahead = next;
    src->ahead_tile = (ptrdiff_t)(n / (size_t)tiles);
    src->ahead_step = src->ahead_tile / (loops ? loops : 1);
}

#if defined(EQ_OWN_SUMS)
ALWAYS_INLINE void tile_sums(const int R, const int U, const int lines, vi acc[MAX_R][2], const struct tile_src *src);
#elif !defined(EQ_OWN_TILES)
/* acc[R][2] += U steps. Rows are addressed as base + 0, 1, 2, 3 strides, so that a base serves four. */
ALWAYS_INLINE void tile_steps(const int R, const int U, vi acc[MAX_R][2], const uint8_t *const base[2],
                              ptrdiff_t stride, ptrdiff_t stride3, const uint8_t *w)
{
#pragma GCC unroll 16
    for (int u = 0; u < U; u++) {
        vi w0 = vi_load(w + u * BLOCK * 4), w1 = vi_load(w + u * BLOCK * 4 + VL * 4);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            vi x = vi_bcast(base[r / 4] + (r % 4 == 3 ? stride3 : r % 4 * stride) + 4 * u);
            vi_dot2(acc[r], x, w0, w1);
        }
    }
}

/* acc[R][2] += all taps; U divides src->steps. lines: of weights ahead to ask for in each U steps. */
ALWAYS_INLINE void tile_sums(const int R, const int U, const int lines, vi acc[MAX_R][2], const struct tile_src *src)
{
    const ptrdiff_t stride = src->row_stride, stride3 = 3 * stride;
    const uint8_t *ahead = src->ahead;
    for (int ky = 0; ky < src->kys; ky++) {
        const uint8_t *w = src->weights + ky * src->weights_ky_stride;
        for (int kx = 0; kx < src->kxs; kx++) {
            const uint8_t *a = src->rows + ky * src->ky_stride + kx * src->kx_stride;
            const uint8_t *base[2] = {a, a + 4 * stride};
            for (int n = src->steps / U; n > 0; n--, w += U * BLOCK * 4) {
                tile_steps(R, U, acc, base, stride, stride3, w);
                for (int i = 0; i < lines; i++)
                    __builtin_prefetch(ahead + 64 * i, 0, 2);
                ahead += src->ahead_step;
                base[0] += 4 * U;
                base[1] += 4 * U;
            }
        }
    }
}
#endif

/* The epilogue's parameters for one block of output channels, padded to a whole block. */
struct tile_epilogue {
    float m[BLOCK], b[BLOCK];
    int32_t start[BLOCK]; /* initial value of a sum: minus zero-point times the weights of the taps that are inside */
    const struct eq_u8s8_epilogue *epi;
};

static inline void tile_epilogue_init(struct tile_epilogue *e, const struct eq_u8s8_epilogue *epi, int oc, int channels)
{
    *e = (struct tile_epilogue){.epi = epi};
    memcpy(e->m, epi->m + oc, (size_t)channels * sizeof(float));
    memcpy(e->b, epi->b + oc, (size_t)channels * sizeof(float));
}

/* The epilogue's numbers in registers: stores of bytes might alias the structure that they come from. */
struct requant {
    vi residual_zp, dst_zp;
    vf residual_m, min, max;
};

ALWAYS_INLINE struct requant requant_of(const struct eq_u8s8_epilogue *epi)
{
    return (struct requant){vi_set1(epi->residual_zp), vi_set1(epi->dst_zp), v_set1(epi->residual_m),
                            v_set1((float)(epi->dst_min - epi->dst_zp)), v_set1((float)(epi->dst_max - epi->dst_zp))};
}

/* Clamping before rounding gives the same as clamping after it, since the limits are whole numbers. A value that no
 * int32 holds never reaches the conversion. */
ALWAYS_INLINE vi requantize(vi acc, vf m, vf b, struct requant q, const uint8_t *residual)
{
    vf r = v_fma(v_of_i(acc), m, b);
    if (residual)
        r = v_fma(v_of_i(vi_sub(vi_load_u8(residual), q.residual_zp)), q.residual_m, r);
    return vi_add(vi_of_f(v_min(v_max(r, q.min), q.max)), q.dst_zp);
}

ALWAYS_INLINE void tile_finish(const int R, vi acc[MAX_R][2], const struct tile_epilogue *e, const uint8_t *residual,
                               uint8_t *dst, ptrdiff_t dst_stride)
{
    const struct requant q = requant_of(e->epi);
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++) {
        vf m = v_load(e->m + c * VL), b = v_load(e->b + c * VL);
        if (residual) {
#pragma GCC unroll 8
            for (int r = 0; r < R; r++)
                vi_store_u8(dst + r * dst_stride + c * VL,
                            requantize(acc[r][c], m, b, q, residual + r * dst_stride + c * VL));
        } else {
#pragma GCC unroll 8
            for (int r = 0; r < R; r++)
                vi_store_u8(dst + r * dst_stride + c * VL, requantize(acc[r][c], m, b, q, NULL));
        }
    }
}

ALWAYS_INLINE void tile_fill(const int R, vi acc[MAX_R][2], const int32_t *start)
{
    vi start0 = vi_load(start), start1 = vi_load(start + VL);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        acc[r][0] = start0;
        acc[r][1] = start1;
    }
}

/* Whole tiles: a function for each number of rows, in a table of MAX_R + 1 of which the first is empty. */
typedef void (*tile_fn)(const struct tile_src *src, const struct tile_epilogue *e, const uint8_t *residual,
                        uint8_t *dst, ptrdiff_t dst_stride);
#define TILE_FN(name, R)                                                                                               \
    static void name##_##R(const struct tile_src *src, const struct tile_epilogue *e, const uint8_t *residual,         \
                           uint8_t *dst, ptrdiff_t dst_stride)                                                         \
    {                                                                                                                  \
        name(R, src, e, residual, dst, dst_stride);                                                                    \
    }
#define TILE_FNS_4(name) TILE_FN(name, 1) TILE_FN(name, 2) TILE_FN(name, 3) TILE_FN(name, 4)
#define TILE_FNS_6(name) TILE_FNS_4(name) TILE_FN(name, 5) TILE_FN(name, 6)
#define TILE_FNS_8(name) TILE_FNS_6(name) TILE_FN(name, 7) TILE_FN(name, 8)
#define TILE_NAMES_4(name) NULL, name##_1, name##_2, name##_3, name##_4
#define TILE_NAMES_6(name) TILE_NAMES_4(name), name##_5, name##_6
#define TILE_NAMES_8(name) TILE_NAMES_6(name), name##_7, name##_8
/* name(const int R, ...): the body that all of them share */
#if EQ_MAX_R == 8
#define TILE_FNS(name) TILE_FNS_8(name) static const tile_fn name##_fns[MAX_R + 1] = {TILE_NAMES_8(name)};
#elif EQ_MAX_R == 6
#define TILE_FNS(name) TILE_FNS_6(name) static const tile_fn name##_fns[MAX_R + 1] = {TILE_NAMES_6(name)};
#else
#define TILE_FNS(name) TILE_FNS_4(name) static const tile_fn name##_fns[MAX_R + 1] = {TILE_NAMES_4(name)};
#endif

/* As fn, for a last block of fewer than BLOCK channels: through a whole block in a local buffer. */
static inline void tile_ragged(tile_fn fn, int rows, int channels, const struct tile_src *src,
                               const struct tile_epilogue *e, const uint8_t *residual, uint8_t *dst,
                               ptrdiff_t dst_stride)
{
    uint8_t out[MAX_R * BLOCK], res[MAX_R * BLOCK] = {0};
    for (int r = 0; residual && r < rows; r++)
        memcpy(res + r * BLOCK, residual + r * dst_stride, (size_t)channels);
    fn(src, e, residual ? res : NULL, out, BLOCK);
    for (int r = 0; r < rows; r++)
        memcpy(dst + r * dst_stride, out + r * BLOCK, (size_t)channels);
}

/* Any number of rows, in tiles of nearly equal height. */
static inline void tile_rows(const tile_fn fns[MAX_R + 1], int rows, int channels, const struct tile_src *first,
                             const struct tile_epilogue *e, const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    struct tile_src src = *first;
    for (int left = rows, n = (rows + MAX_R - 1) / MAX_R; n > 0; n--) {
        int now = (left + n - 1) / n;
        if (channels == BLOCK)
            fns[now](&src, e, residual, dst, dst_stride);
        else
            tile_ragged(fns[now], now, channels, &src, e, residual, dst, dst_stride);
        src.rows += now * src.row_stride;
        src.ahead += src.ahead_tile;
        dst += now * dst_stride;
        residual = residual ? residual + now * dst_stride : NULL;
        left -= now;
    }
}

#endif
