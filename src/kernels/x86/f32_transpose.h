/* Transposing VL x VL floats in registers, and rows that are far apart in memory through it. */
#ifndef KERNELS_X86_F32_TRANSPOSE_H
#define KERNELS_X86_F32_TRANSPOSE_H

#include "kernels/x86/vec.h"

#define V_PAIRS(name, op)                                                                                              \
    ALWAYS_INLINE vf name(vf a, vf b)                                                                                  \
    {                                                                                                                  \
        return MM(castpd_ps)(MM(op)(MM(castps_pd)(a), MM(castps_pd)(b)));                                              \
    }
V_OF_2(v_low_ones, unpacklo_ps)
V_OF_2(v_high_ones, unpackhi_ps)
V_PAIRS(v_low_pairs, unpacklo_pd)
V_PAIRS(v_high_pairs, unpackhi_pd)

/* Pairs of rows, then pairs of pairs: r[4 q + k] holds column 4 l + k of rows 4 q .. 4 q + 3 in its 128-bit lane l. */
ALWAYS_INLINE void transpose_quads(vf r[VL])
{
    UNROLL for (int q = 0; q < VL; q += 4)
    {
        vf low_a = v_low_ones(r[q], r[q + 1]), high_a = v_high_ones(r[q], r[q + 1]);
        vf low_b = v_low_ones(r[q + 2], r[q + 3]), high_b = v_high_ones(r[q + 2], r[q + 3]);
        r[q] = v_low_pairs(low_a, low_b);
        r[q + 1] = v_high_pairs(low_a, low_b);
        r[q + 2] = v_low_pairs(high_a, high_b);
        r[q + 3] = v_high_pairs(high_a, high_b);
    }
}

#if defined(__AVX512F__)

ALWAYS_INLINE void v_transpose(vf r[VL])
{
    transpose_quads(r);
    UNROLL for (int k = 0; k < 4; k++)
    {
        /* lanes (0, 2) and (1, 3) of rows 0..7, of rows 8..15 */
        vf even_a = _mm512_shuffle_f32x4(r[k], r[4 + k], 0x88), odd_a = _mm512_shuffle_f32x4(r[k], r[4 + k], 0xdd);
        vf even_b = _mm512_shuffle_f32x4(r[8 + k], r[12 + k], 0x88);
        vf odd_b = _mm512_shuffle_f32x4(r[8 + k], r[12 + k], 0xdd);
        r[k] = _mm512_shuffle_f32x4(even_a, even_b, 0x88);
        r[4 + k] = _mm512_shuffle_f32x4(odd_a, odd_b, 0x88);
        r[8 + k] = _mm512_shuffle_f32x4(even_a, even_b, 0xdd);
        r[12 + k] = _mm512_shuffle_f32x4(odd_a, odd_b, 0xdd);
    }
}

#else

ALWAYS_INLINE void v_transpose(vf r[VL])
{
    transpose_quads(r);
    UNROLL for (int k = 0; k < 4; k++)
    {
        vf low = r[k], high = r[4 + k];
        r[k] = _mm256_permute2f128_ps(low, high, 0x20);
        r[4 + k] = _mm256_permute2f128_ps(low, high, 0x31);
    }
}

#endif

/* n <= VL floats of each of rows <= VL rows, ld apart, to columns: to[i][VL] holds float i of every row, zero where
 * there is no such row. */
ALWAYS_INLINE void transpose_in(const float *from, size_t ld, int rows, int n, float *to)
{
    vf r[VL];
    if (rows == VL && n == VL) {
        UNROLL for (int i = 0; i < VL; i++) r[i] = v_load(from + i * ld);
    } else {
        vmask m = v_mask(n);
        UNROLL for (int i = 0; i < VL; i++) r[i] = i < rows ? v_load_part(from + i * ld, m) : v_zero();
    }
    v_transpose(r);
    UNROLL for (int i = 0; i < VL; i++) if (i < n) v_store(to + i * VL, r[i]);
}

/* The way back, added: to[row * ld + i] += from[i][row] for n <= VL floats of rows <= VL rows. */
ALWAYS_INLINE void transpose_add(const float *from, float *to, size_t ld, int rows, int n)
{
    vf r[VL];
    UNROLL for (int i = 0; i < VL; i++) r[i] = i < n ? v_load(from + i * VL) : v_zero();
    v_transpose(r);
    if (rows == VL && n == VL) {
        UNROLL for (int i = 0; i < VL; i++) v_store(to + i * ld, v_add(v_load(to + i * ld), r[i]));
    } else {
        vmask m = v_mask(n);
        UNROLL for (int i = 0; i < VL; i++) if (i < rows)
            v_store_part(to + i * ld, m, v_add(v_load_part(to + i * ld, m), r[i]));
    }
}

#endif
