/*
 * Backward by weights: diff_dst^T * patches, summed over rows of output pixels. A piece owns a kernel row and a block
 * of output channels for the whole batch, so no two pieces share a sum and none needs to be merged.
 */
#include "kernels/conv.h"

#include <string.h>

enum { BLOCK_M = 32 };

static size_t patch_bytes(const struct eq_conv_shape *s)
{
    return eq_align64((size_t)s->ow * s->t * s->k * s->cin * sizeof(float));
}

static size_t sum_bytes(const struct eq_conv_shape *s)
{
    return eq_align64((size_t)BLOCK_M * s->k * s->cin * sizeof(float));
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    return (patch_bytes(s) + sum_bytes(s)) * threads;
}

/* The values of source row y under kernel row ky: [ow][t][kx][cin], zero on padding. */
static void gather_row(const struct eq_conv_shape *s, const float *src, int b, int y, float *patch)
{
    size_t width = (size_t)s->k * s->cin, bytes = s->cin * sizeof(float);
    for (int ox = 0; ox < s->ow; ox++, patch += s->t * width)
        for (int kx = 0; kx < s->k; kx++) {
            int x;
            bool inside = eq_conv_src_of(ox, kx, s->stride, s->pad, s->w, &x);
            for (int f = 0; f < s->t; f++) {
                float *to = patch + f * width + (size_t)kx * s->cin;
                if (inside)
                    memcpy(to, src + eq_conv_src_at(s, b, f, y, x), bytes);
                else
                    memset(to, 0, bytes);
            }
        }
}

struct weights_job {
    const struct eq_conv_shape *s;
    const float *src, *diff_dst;
    float *diff_weights;
    char *scratch;
};

static void add_sums(const struct eq_conv_shape *s, int first, int m, int ky, const float *sums, float *diff_weights)
{
    for (int oc = first; oc < first + m; oc++)
        for (int kx = 0; kx < s->k; kx++)
            for (int ic = 0; ic < s->cin; ic++)
                diff_weights[(((size_t)oc * s->cin + ic) * s->k + ky) * s->k + kx] += *sums++;
}

static void weights_piece(void *ctx, size_t piece, int worker)
{
    const struct weights_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    int ky = (int)(piece % s->k), first = (int)(piece / s->k) * BLOCK_M;
    int m = s->cout - first < BLOCK_M ? s->cout - first : BLOCK_M, n = s->k * s->cin, k = s->ow * s->t;
    char *scratch = j->scratch + (patch_bytes(s) + sum_bytes(s)) * worker;
    float *patches = (float *)scratch, *sums = (float *)(scratch + patch_bytes(s));
    memset(sums, 0, (size_t)m * n * sizeof(float));
    for (int b = 0; b < s->b; b++)
        for (int oy = 0; oy < s->oh; oy++) {
            int y;
            if (!eq_conv_src_of(oy, ky, s->stride, s->pad, s->h, &y))
                continue;
            gather_row(s, j->src, b, y, patches);
            eq_sgemm(true, false, m, n, k, 1, j->diff_dst + eq_conv_dst_at(s, b, 0, oy, 0) + first, s->cout, patches, n,
                     1, sums, n);
        }
    add_sums(s, first, m, ky, sums, j->diff_weights);
}

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    struct weights_job job = {s, src, diff_dst, diff_weights, scratch};
    eq_parallel_for((size_t)s->k * ((s->cout + BLOCK_M - 1) / BLOCK_M), weights_piece, &job);
}

EQ_KERNEL(f32_conv_backward_weights_im2col, blas, EQ_ISA_REF, .supports = eq_conv_any,
          .packed_bytes = eq_conv_no_packed, .scratch_bytes = scratch_bytes, .run.backward_weights = backward_weights)
