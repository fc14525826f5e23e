/*
 * Direct backward by weights of activations in pixel layout, for FP32 and BF16 operands. A piece owns a block of input
 * channels and a panel of output channels, and sums over the whole batch, so no two pieces share a sum.
 */
#ifndef KERNELS_X86_DIRECT_WEIGHTS_PIXEL_H
#define KERNELS_X86_DIRECT_WEIGHTS_PIXEL_H

#include "kernels/conv.h"
#include "kernels/x86/f32_gemm_tn.h"

enum {
    MAX_TAPS = 121, /* 11 x 11 */
    BLOCK = 32,     /* input channels of a piece */
    MAX_RUN = 64    /* output pixels summed in registers */
};

/* src and diff_dst: the frames of a step side by side, in whole steps. */
struct weights_job {
    const struct eq_conv_shape *s;
    const operand *src, *diff_dst;
    float *diff_weights, *scratch;
    int blocks;
    int splits; /* of a block's taps, by rows of the filter: 1 or k */
};

static size_t block_sums(const struct eq_conv_shape *s)
{
    return (size_t)s->k * s->k * BLOCK * NR;
}

/* Adds the products of one row of output pixels to the sums [ci][NR] of one tap. */
static void add_row(const struct weights_job *j, int b, int oy, int y, int kx, int ci, int co, float *sums)
{
    const struct eq_conv_shape *s = j->s;
    struct gemm_segment run[MAX_RUN];
    struct gemm_tn g = {run, 0, (size_t)s->cin, (size_t)s->cout, sums, NR, true};
    int m = s->cin - ci < BLOCK ? s->cin - ci : BLOCK, n = s->cout - co < NR ? s->cout - co : NR;
    for (int ox = 0; ox < s->ow; ox++) {
        int x;
        if (!eq_conv_src_of(ox, kx, s->stride, s->pad, s->w, &x))
            continue;
        run[g.n_segments++] = (struct gemm_segment){j->src + eq_conv_src_at(s, b, 0, y, x) + ci * KSTEP,
                                                    j->diff_dst + eq_conv_dst_at(s, b, 0, oy, ox) + co * KSTEP, s->t};
        if (g.n_segments == MAX_RUN) {
            gemm_tn_rows(m, n, &g);
            g.n_segments = 0;
        }
    }
    if (g.n_segments)
        gemm_tn_rows(m, n, &g);
}

/* sums[tap][ci][NR] into OIHW, taps first..end-1 */
static void add_block(const struct eq_conv_shape *s, int ci, int co, int first, int end, const float *sums,
                      float *diff_weights)
{
    int taps = s->k * s->k;
    for (int c = 0; c < NR && co + c < s->cout; c++) {
        float *out = diff_weights + ((size_t)(co + c) * s->cin + ci) * taps;
        for (int i = 0; i < BLOCK && ci + i < s->cin; i++, out += taps)
            for (int tap = first; tap < end; tap++)
                out[tap] += sums[((size_t)tap * BLOCK + i) * NR + c];
    }
}

static void pixel_piece(void *ctx, size_t piece, int worker)
{
    const struct weights_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    int first_ky = (int)(piece % j->splits), end_ky = j->splits > 1 ? first_ky + 1 : s->k;
    piece /= j->splits;
    int ci = (int)(piece % j->blocks) * BLOCK, co = (int)(piece / j->blocks) * NR;
    float *sums = j->scratch + worker * block_sums(s);
    memset(sums, 0, block_sums(s) * sizeof *sums);
    for (int b = 0; b < s->b; b++)
        for (int oy = 0; oy < s->oh; oy++)
            for (int tap = first_ky * s->k; tap < end_ky * s->k; tap++) {
                int y;
                if (eq_conv_src_of(oy, tap / s->k, s->stride, s->pad, s->h, &y))
                    add_row(j, b, oy, y, tap % s->k, ci, co, sums + (size_t)tap * BLOCK * NR);
            }
    add_block(s, ci, co, first_ky * s->k, end_ky * s->k, sums, j->diff_weights);
}

#endif
