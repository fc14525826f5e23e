/*
 * Forward convolution as im2col and one matrix product a piece. A piece is a few rows of output pixels and a block of
 * output channels: enough rows that OpenBLAS's packing of the weights is spread over them, enough pieces for a few
 * threads.
 */
#include "kernels/conv.h"

#include <string.h>

enum { MIN_M = 256, BLOCK_N = 128 };

/* OIHW -> [ky][kx][cin][cout]. */
static void pack(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    float *out = packed;
    int taps = s->k * s->k;
    for (int tap = 0; tap < taps; tap++)
        for (int ic = 0; ic < s->cin; ic++)
            for (int oc = 0; oc < s->cout; oc++)
                *out++ = weights_oihw[((size_t)oc * s->cin + ic) * taps + tap];
}

static int rows_of_piece(const struct eq_conv_shape *s)
{
    int rows = (MIN_M + s->ow * s->t - 1) / (s->ow * s->t);
    return rows < s->oh ? rows : s->oh;
}

static size_t patch_bytes(const struct eq_conv_shape *s)
{
    size_t m = (size_t)rows_of_piece(s) * s->ow * s->t;
    return eq_align64(m * s->k * s->k * s->cin * sizeof(float));
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    return patch_bytes(s) * threads;
}

/* The patch of one output pixel, all frames: [t][ky][kx][cin], zero where a tap falls on padding. */
static void gather_patch(const struct eq_conv_shape *s, const float *src, int b, int oy, int ox, float *patch)
{
    size_t width = (size_t)s->k * s->k * s->cin, bytes = s->cin * sizeof(float);
    for (int ky = 0; ky < s->k; ky++)
        for (int kx = 0; kx < s->k; kx++, patch += s->cin) {
            int y, x;
            bool inside = eq_conv_src_of(oy, ky, s->stride, s->pad, s->h, &y) &&
                          eq_conv_src_of(ox, kx, s->stride, s->pad, s->w, &x);
            for (int f = 0; f < s->t; f++) {
                if (inside)
                    memcpy(patch + f * width, src + eq_conv_src_at(s, b, f, y, x), bytes);
                else
                    memset(patch + f * width, 0, bytes);
            }
        }
}

struct forward_job {
    const struct eq_conv_shape *s;
    const float *src, *weights;
    const struct eq_f32_epilogue *epi;
    float *dst;
    char *scratch;
    int row_groups, n_blocks;
};

static void epilogue(const struct forward_job *j, size_t at, size_t m, int first, int n)
{
    for (size_t row = 0; row < m; row++, at += j->s->cout)
        for (int i = first; i < first + n; i++) {
            float v = j->dst[at + i];
            if (j->epi->bias)
                v += j->epi->bias[i];
            if (j->epi->residual)
                v += j->epi->residual[at + i];
            j->dst[at + i] = j->epi->relu && v < 0 ? 0 : v;
        }
}

static void forward_piece(void *ctx, size_t piece, int worker)
{
    const struct forward_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    int block = (int)(piece % j->n_blocks), group = (int)(piece / j->n_blocks % j->row_groups);
    int b = (int)(piece / j->n_blocks / j->row_groups);
    int first_row = group * rows_of_piece(s), end_row = first_row + rows_of_piece(s);
    if (end_row > s->oh)
        end_row = s->oh;
    int first = block * BLOCK_N, n = s->cout - first < BLOCK_N ? s->cout - first : BLOCK_N;
    int k = s->k * s->k * s->cin, m = (end_row - first_row) * s->ow * s->t;
    float *patches = (float *)(j->scratch + patch_bytes(s) * worker), *patch = patches;
    for (int oy = first_row; oy < end_row; oy++)
        for (int ox = 0; ox < s->ow; ox++, patch += (size_t)s->t * k)
            gather_patch(s, j->src, b, oy, ox, patch);
    size_t at = eq_conv_dst_at(s, b, 0, first_row, 0);
    eq_sgemm(false, false, m, n, k, 1, patches, k, j->weights + first, s->cout, 0, j->dst + at + first, s->cout);
    if (j->epi->bias || j->epi->residual || j->epi->relu)
        epilogue(j, at, m, first, n);
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    const int row_groups = (s->oh + rows_of_piece(s) - 1) / rows_of_piece(s),
              n_blocks = (s->cout + BLOCK_N - 1) / BLOCK_N;
    struct forward_job job = {s, src, packed, epi, dst, scratch, row_groups, n_blocks};
    eq_parallel_for((size_t)s->b * row_groups * n_blocks, forward_piece, &job);
}

EQ_KERNEL(f32_conv_forward_im2col, blas, EQ_ISA_REF, .supports = eq_conv_any, .packed_bytes = eq_conv_f32_weights_bytes,
          .scratch_bytes = scratch_bytes, .pack = pack, .run.forward = forward)
