/*
 * Template: a tile of up to MAX_R rows x BLOCK output channels of a matrix product, and what becomes of its sums.
 * The including file has defined the vectors (u8s8_vec*.h) and v_dot2(acc, x, w0, w1): acc[i] += the products inside
 * each 32-bit group of x and w_i, four u8 x s8 ("VNNI") or two s16 x s16. Such a group of a row's channels is called a
 * step. Instead of v_dot2 it may define EQ_OWN_SUMS and, behind the inclusion, a tile_sums of its own, or with
 * EQ_OWN_TILES go without.
 */
#ifndef KERNELS_VECTOR_U8S8_TILE_H
#define KERNELS_VECTOR_U8S8_TILE_H

#include "kernels/u8s8.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
enum { BLOCK = 2 * VL }; /* output channels of a tile */

/* Where a tile's operands lie; strides in bytes. weights: [tap][step][BLOCK][4 bytes], taps of a kernel row together.
 */
struct tile_src {
    const uint8_t *rows;
    ptrdiff_t row_stride, ky_stride, kx_stride;
    const uint8_t *weights, *weights_low; /* weights_low: see u8s8_stem_tmpl.h */
    ptrdiff_t weights_ky_stride;
    int kys, kxs, steps;
};

#if defined(EQ_OWN_SUMS)
ALWAYS_INLINE void tile_sums(const int R, const int U, vi acc[MAX_R][2], const struct tile_src *src);
#elif !defined(EQ_OWN_TILES)
/* acc[R][2] += U steps. Rows are addressed as base + 0, 1, 2, 3 strides, so that a base serves four. */
ALWAYS_INLINE void tile_steps(const int R, const int U, vi acc[MAX_R][2], const uint8_t *const base[2],
                              ptrdiff_t stride, ptrdiff_t stride3, const uint8_t *w)
{
#pragma GCC unroll 16
    for (int u = 0; u < U; u++) {
        vi w0 = v_load(w + u * BLOCK * 4), w1 = v_load(w + u * BLOCK * 4 + VL * 4);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            vi x = v_bcast(base[r / 4] + (r % 4 == 3 ? stride3 : r % 4 * stride) + 4 * u);
            v_dot2(acc[r], x, w0, w1);
        }
    }
}

/* acc[R][2] += all taps; U divides src->steps. */
ALWAYS_INLINE void tile_sums(const int R, const int U, vi acc[MAX_R][2], const struct tile_src *src)
{
    const ptrdiff_t stride = src->row_stride, stride3 = 3 * stride;
    for (int ky = 0; ky < src->kys; ky++) {
        const uint8_t *w = src->weights + ky * src->weights_ky_stride;
        for (int kx = 0; kx < src->kxs; kx++) {
            const uint8_t *a = src->rows + ky * src->ky_stride + kx * src->kx_stride;
            const uint8_t *base[2] = {a, a + 4 * stride};
            for (int n = src->steps / U; n > 0; n--, w += U * BLOCK * 4) {
                tile_steps(R, U, acc, base, stride, stride3, w);
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
    int32_t start[BLOCK]; /* what a sum starts from: minus zero-point times the weights of the taps that are inside */
    const struct eq_u8s8_epilogue *epi;
};

static void tile_epilogue_init(struct tile_epilogue *e, const struct eq_u8s8_epilogue *epi, int oc, int channels)
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
    return (struct requant){v_set1(epi->residual_zp), v_set1(epi->dst_zp), v_set1f(epi->residual_m),
                            v_set1f((float)(epi->dst_min - epi->dst_zp)), v_set1f((float)(epi->dst_max - epi->dst_zp))};
}

/* Clamping before rounding gives what clamping after it does, since the limits are whole numbers; and a value that no
 * int32 holds never reaches the conversion. */
ALWAYS_INLINE vi requantize(vi acc, vf m, vf b, struct requant q, const uint8_t *residual)
{
    vf r = v_fma(v_to_f(acc), m, b);
    if (residual)
        r = v_fma(v_to_f(v_sub(v_load_u8(residual), q.residual_zp)), q.residual_m, r);
    return v_add(v_rne(v_minf(v_maxf(r, q.min), q.max)), q.dst_zp);
}

ALWAYS_INLINE void tile_finish(const int R, vi acc[MAX_R][2], const struct tile_epilogue *e, const uint8_t *residual,
                               uint8_t *dst, ptrdiff_t dst_stride)
{
    const struct requant q = requant_of(e->epi);
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++) {
        vf m = v_loadf(e->m + c * VL), b = v_loadf(e->b + c * VL);
        if (residual) {
#pragma GCC unroll 8
            for (int r = 0; r < R; r++)
                v_store_u8(dst + r * dst_stride + c * VL,
                           requantize(acc[r][c], m, b, q, residual + r * dst_stride + c * VL));
        } else {
#pragma GCC unroll 8
            for (int r = 0; r < R; r++)
                v_store_u8(dst + r * dst_stride + c * VL, requantize(acc[r][c], m, b, q, NULL));
        }
    }
}

ALWAYS_INLINE void tile_fill(const int R, vi acc[MAX_R][2], const int32_t *start)
{
    vi start0 = v_load(start), start1 = v_load(start + VL);
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
/* name(const int R, ...): what all of them do */
#if EQ_MAX_R == 8
#define TILE_FNS(name) TILE_FNS_8(name) static const tile_fn name##_fns[MAX_R + 1] = {TILE_NAMES_8(name)};
#elif EQ_MAX_R == 6
#define TILE_FNS(name) TILE_FNS_6(name) static const tile_fn name##_fns[MAX_R + 1] = {TILE_NAMES_6(name)};
#else
#define TILE_FNS(name) TILE_FNS_4(name) static const tile_fn name##_fns[MAX_R + 1] = {TILE_NAMES_4(name)};
#endif

/* As fn, for a last block of fewer than BLOCK channels: through a whole block on the side. */
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
        dst += now * dst_stride;
        residual = residual ? residual + now * dst_stride : NULL;
        left -= now;
    }
}

#endif
