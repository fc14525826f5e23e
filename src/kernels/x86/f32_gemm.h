/*
 * The one inner loop of the f32 and bf16 convolutions: up to MR rows times NR = 2 vectors of columns, summed in
 * registers over segments (the taps of a convolution, or a single matrix). Rows of A are lda apart, B is packed in
 * panels of NR columns, a step of depths a column. Measured on Zen 4: 98 % of the FMA peak from K = 256 on, 92 % at
 * K = 64.
 */
#ifndef KERNELS_X86_F32_GEMM_H
#define KERNELS_X86_F32_GEMM_H

#include "kernels/x86/operand.h"

#include <string.h>

#if defined(__AVX512F__)
enum { MR = 8 };
#else
enum { MR = 6 };
#endif
enum { NV = 2, NR = NV * VL };

/* a[row * lda + k] * b[k * NR + column], k = 0..n_k-1, n_k in whole steps */
struct gemm_segment {
    const operand *a, *b;
    int n_k;
};

/* c = max(sum + bias + residual, 0); residual lies as c does and may be c itself (accumulation). */
struct gemm_epilogue {
    const float *bias, *residual;
    bool relu;
};

/* One vector of a row: n lanes are stored. */
ALWAYS_INLINE void gemm_store(vf x, float *c, int n, const float *bias, const float *residual, bool relu)
{
    if (n >= VL) {
        if (bias)
            x = v_add(x, v_load(bias));
        if (residual)
            x = v_add(x, v_load(residual));
        v_store(c, relu ? v_max(v_zero(), x) : x);
    } else if (n > 0) {
        vmask m = v_mask(n);
        if (bias)
            x = v_add(x, v_load_part(bias, m));
        if (residual)
            x = v_add(x, v_load_part(residual, m));
        v_store_part(c, m, relu ? v_max(v_zero(), x) : x);
    }
}

/* mr is a constant wherever this is inlined, and so is whether ahead is NULL. Each step asks for a line of ahead, then
 * moves it on by ahead_step bytes. */
ALWAYS_INLINE void gemm_tile_of(const int mr, int n, int n_segments, const struct gemm_segment *segments, size_t lda,
                                size_t first_row, float *c, size_t ldc, const struct gemm_epilogue *e,
                                const char *ahead, size_t ahead_step)
{
    vf acc[MR][NV];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < NV; j++) acc[i][j] = v_zero();
    for (int s = 0; s < n_segments; s++) {
        const operand *a = segments[s].a + first_row * lda, *b = segments[s].b;
        for (int k = 0; k < segments[s].n_k; k += KSTEP, b += NR * KSTEP) {
            vo bv[NV];
            UNROLL for (int j = 0; j < NV; j++) bv[j] = vo_load(b + j * VL * KSTEP);
            if (ahead) {
                v_prefetch((const float *)(const void *)ahead);
                ahead += ahead_step;
            }
            UNROLL for (int i = 0; i < mr; i++)
            {
                vo av = vo_set1(a + i * lda + k);
                UNROLL for (int j = 0; j < NV; j++) acc[i][j] = vo_dot(av, bv[j], acc[i][j]);
            }
        }
    }
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < NV; j++)
    {
        size_t at = (first_row + i) * ldc + j * VL;
        gemm_store(acc[i][j], c + at, n - j * VL, e->bias ? e->bias + j * VL : NULL,
                   e->residual ? e->residual + at : NULL, e->relu);
    }
}

/* c[m x n], n <= NR: rows are cut into nearly equal blocks of at most MR. While they are summed, as many bytes as b has
 * are asked for from ahead on, if it isn't NULL: those of the next call, which would wait for them in its first rows.
 */
ALWAYS_INLINE void gemm_rows_of(int m, int n, int n_segments, const struct gemm_segment *segments, size_t lda, float *c,
                                size_t ldc, const struct gemm_epilogue *e, const char *ahead)
{
    int blocks = (m + MR - 1) / MR;
    const size_t step_bytes = NR * KSTEP * sizeof(operand), ahead_step = blocks ? step_bytes / (size_t)blocks : 0;
    const size_t block_bytes = ahead_step * (size_t)(segments[0].n_k / KSTEP);
    for (int row = 0; blocks > 0; blocks--) {
        int mr = (m - row + blocks - 1) / blocks;
        switch (mr) {
#define TILE(MR_)                                                                                                      \
    case MR_:                                                                                                          \
        gemm_tile_of(MR_, n, n_segments, segments, lda, (size_t)row, c, ldc, e, ahead, ahead_step);                    \
        break;
            TILE(1)
            TILE(2)
            TILE(3)
            TILE(4)
            TILE(5)
            TILE(6)
#if defined(__AVX512F__)
            TILE(7)
            TILE(8)
#endif
#undef TILE
        }
        row += mr;
        if (ahead)
            ahead += block_bytes;
    }
}

static inline void gemm_rows(int m, int n, int n_segments, const struct gemm_segment *segments, size_t lda, float *c,
                             size_t ldc, const struct gemm_epilogue *e)
{
    gemm_rows_of(m, n, n_segments, segments, lda, c, ldc, e, NULL);
}

ALWAYS_INLINE int gemm_panels(int n)
{
    return (n + NR - 1) / NR;
}

#endif
