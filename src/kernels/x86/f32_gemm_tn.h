/*
 * The inner loop of the gradients by weights: A^T * B, where both are read as they lie in memory. Up to MR columns of A
 * times NR columns of B, summed in registers over all rows of all segments.
 */
#ifndef KERNELS_X86_F32_GEMM_TN_H
#define KERNELS_X86_F32_GEMM_TN_H

#include "kernels/x86/f32_gemm.h"

/* a[k * lda + row] * b[k * ldb + column], k = 0..n_k-1, n_k in whole steps; the depths of a step lie side by side */
struct gemm_tn {
    const struct gemm_segment *segments;
    int n_segments;
    size_t lda, ldb;
    size_t block; /* distance of blocks of columns of A that are apart, as gemm_tn_blocks cuts them; 0: side by side */
    float *c;
    size_t ldc;
    bool accumulate; /* c += instead of c = */
};

ALWAYS_INLINE vo gemm_tn_load(const operand *b, const bool whole, vmask m)
{
    return whole ? vo_load(b) : vo_load_part(b, m);
}

/* mr and whole (all NR columns exist) are constants wherever this is inlined. */
ALWAYS_INLINE void gemm_tn_tile(const int mr, const bool whole, int n, const struct gemm_tn *g, int first_row,
                                size_t offset)
{
    vf acc[MR][NV];
    vmask masks[NV];
    UNROLL for (int j = 0; j < NV; j++) masks[j] = v_mask(n - j * VL < 0 ? 0 : n - j * VL);
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < NV; j++) acc[i][j] = v_zero();
    for (int s = 0; s < g->n_segments; s++) {
        const operand *a = g->segments[s].a + offset, *b = g->segments[s].b;
        for (int k = 0; k < g->segments[s].n_k; k += KSTEP, a += g->lda * KSTEP, b += g->ldb * KSTEP) {
            vo bv[NV];
            UNROLL for (int j = 0; j < NV; j++) bv[j] = gemm_tn_load(b + j * VL * KSTEP, whole, masks[j]);
            UNROLL for (int i = 0; i < mr; i++)
            {
                vo av = vo_set1(a + i * KSTEP);
                UNROLL for (int j = 0; j < NV; j++) acc[i][j] = vo_dot(av, bv[j], acc[i][j]);
            }
        }
    }
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < NV; j++)
    {
        float *c = g->c + (first_row + i) * g->ldc + j * VL;
        gemm_store(acc[i][j], c, n - j * VL, NULL, g->accumulate ? c : NULL, false);
    }
}

/* m columns of A are cut into so many blocks, nearly equal and at most MR wide. */
ALWAYS_INLINE int gemm_tn_blocks(int m)
{
    return (m + MR - 1) / MR;
}

/* The width of the first of the blocks that are left, from column `row` on. */
ALWAYS_INLINE int gemm_tn_width(int m, int row, int blocks)
{
    return (m - row + blocks - 1) / blocks;
}

/* c[m x n], n <= NR */
static inline void gemm_tn_rows(int m, int n, const struct gemm_tn *g)
{
    size_t offset = 0;
    for (int row = 0, blocks = gemm_tn_blocks(m); blocks > 0; blocks--) {
        int mr = gemm_tn_width(m, row, blocks);
        switch (n < NR ? -mr : mr) {
#define TILE_TN(MR_)                                                                                                   \
    case MR_:                                                                                                          \
        gemm_tn_tile(MR_, true, NR, g, row, offset);                                                                   \
        break;                                                                                                         \
    case -MR_:                                                                                                         \
        gemm_tn_tile(MR_, false, n, g, row, offset);                                                                   \
        break;
            TILE_TN(1)
            TILE_TN(2)
            TILE_TN(3)
            TILE_TN(4)
            TILE_TN(5)
            TILE_TN(6)
#if defined(__AVX512F__)
            TILE_TN(7)
            TILE_TN(8)
#endif
#undef TILE_TN
        }
        row += mr;
        offset += g->block ? g->block : (size_t)mr * KSTEP;
    }
}

#endif
