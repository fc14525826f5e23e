/*
 * The inner loop of the gradients by weights: A^T * B, where both are read as they lie in memory. Up to MR columns of A
 * times NR columns of B, summed in registers over all rows of all segments.
 */
#ifndef KERNELS_X86_F32_GEMM_TN_H
#define KERNELS_X86_F32_GEMM_TN_H

#include "kernels/x86/f32_gemm.h"

/* What becomes of c: it is set, the sums are added to it, or they go on from it, as if its rows had come first. */
enum gemm_tn_sums { GEMM_TN_SET, GEMM_TN_ADD, GEMM_TN_RESUME };

/* a[k * lda + row] * b[k * ldb + column], k = 0..n_k-1, n_k in whole steps; the depths of a step lie side by side */
struct gemm_tn {
    const struct gemm_segment *segments;
    int n_segments;
    size_t lda, ldb;
    size_t block; /* distance of blocks of columns of A that are apart, as gemm_tn_blocks cuts them; 0: side by side */
    float *c;
    size_t ldc;
    enum gemm_tn_sums into;
    const char *ahead; /* what later products read, asked for in equal shares */
    size_t ahead_bytes;
};

ALWAYS_INLINE vo gemm_tn_load(const operand *b, const bool whole, vmask m)
{
    return whole ? vo_load(b) : vo_load_part(b, m);
}

/* mr, whole (all NR columns exist) and asks (for what lies ahead) are constants wherever this is inlined. */
ALWAYS_INLINE void gemm_tn_tile(const int mr, const bool whole, const bool asks, int n, const struct gemm_tn *g,
                                int first_row, size_t offset, const char *ahead, size_t ahead_step)
{
    vf acc[MR][NV];
    vmask masks[NV];
    UNROLL for (int j = 0; j < NV; j++) masks[j] = v_mask(n - j * VL < 0 ? 0 : n - j * VL);
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < NV; j++) acc[i][j] = v_zero();
    if (g->into == GEMM_TN_RESUME) {
        const float *c = g->c + first_row * g->ldc;
        UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < NV; j++) acc[i][j] =
            whole ? v_load(c + i * g->ldc + j * VL) : v_load_part(c + i * g->ldc + j * VL, masks[j]);
    }
    for (int s = 0; s < g->n_segments; s++) {
        const operand *a = g->segments[s].a + offset, *b = g->segments[s].b;
        for (int k = 0; k < g->segments[s].n_k; k += KSTEP, a += g->lda * KSTEP, b += g->ldb * KSTEP) {
            vo bv[NV];
            UNROLL for (int j = 0; j < NV; j++) bv[j] = gemm_tn_load(b + j * VL * KSTEP, whole, masks[j]);
            if (asks) {
                v_prefetch((const float *)(const void *)ahead);
                ahead += ahead_step;
            }
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
        gemm_store(acc[i][j], c, n - j * VL, NULL, g->into == GEMM_TN_ADD ? c : NULL, false);
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

/* c[m x n], n <= NR. asks: for what g->ahead points to; then all segments are equally deep. */
ALWAYS_INLINE void gemm_tn_rows_of(int m, int n, const struct gemm_tn *g, const bool asks)
{
    size_t offset = 0;
    int blocks = gemm_tn_blocks(m);
    const int steps = g->segments[0].n_k / KSTEP * g->n_segments;
    const size_t block_bytes = asks ? g->ahead_bytes / (size_t)blocks : 0;
    const size_t step = asks && steps > 0 ? block_bytes / (size_t)steps : 0;
    const char *ahead = g->ahead;
    for (int row = 0; blocks > 0; blocks--) {
        int mr = gemm_tn_width(m, row, blocks);
        switch (n < NR ? -mr : mr) {
#define TILE_TN(MR_)                                                                                                   \
    case MR_:                                                                                                          \
        gemm_tn_tile(MR_, true, asks, NR, g, row, offset, ahead, step);                                                \
        break;                                                                                                         \
    case -MR_:                                                                                                         \
        gemm_tn_tile(MR_, false, asks, n, g, row, offset, ahead, step);                                                \
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
        if (asks)
            ahead += block_bytes;
    }
}

static inline void gemm_tn_rows(int m, int n, const struct gemm_tn *g)
{
    gemm_tn_rows_of(m, n, g, false);
}

#endif
