/*
 * Backward by data as a gather: source pixels that differ by a multiple of the stride meet the same taps (one of
 * stride x stride phases), so for each phase the gradients of their windows are laid side by side and multiplied with
 * those taps' weights. A piece is a row of source pixels and a block of source channels.
 */
#include "kernels/conv.h"

#include <string.h>

enum { BLOCK_N = 128 };

/* How many of the taps 0..k-1 are phase, phase + stride, ... */
static int taps_of_phase(const struct eq_conv_shape *s, int phase)
{
    return phase < s->k ? (s->k - phase + s->stride - 1) / s->stride : 0;
}

/* OIHW -> for each phase (py, px) in turn [its ky][its kx][cout][cin]. */
static void pack(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    float *out = packed;
    for (int phase = 0; phase < s->stride * s->stride; phase++)
        for (int ky = phase / s->stride; ky < s->k; ky += s->stride)
            for (int kx = phase % s->stride; kx < s->k; kx += s->stride)
                for (int oc = 0; oc < s->cout; oc++)
                    for (int ic = 0; ic < s->cin; ic++)
                        *out++ = weights_oihw[(((size_t)oc * s->cin + ic) * s->k + ky) * s->k + kx];
}

static const float *weights_of_phase(const struct eq_conv_shape *s, const float *packed, int py, int px)
{
    size_t taps = 0;
    for (int phase = 0; phase < py * s->stride + px; phase++)
        taps += (size_t)taps_of_phase(s, phase / s->stride) * taps_of_phase(s, phase % s->stride);
    return packed + taps * s->cout * s->cin;
}

static size_t patch_bytes(const struct eq_conv_shape *s)
{
    size_t taps = (size_t)taps_of_phase(s, 0) * taps_of_phase(s, 0);
    size_t columns = (s->w + s->stride - 1) / s->stride;
    return eq_align64(columns * s->t * taps * s->cout * sizeof(float));
}

static size_t product_bytes(const struct eq_conv_shape *s)
{
    return eq_align64((size_t)s->w * s->t * BLOCK_N * sizeof(float));
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    return (patch_bytes(s) + product_bytes(s)) * threads;
}

struct data_job {
    const struct eq_conv_shape *s;
    const float *diff_dst, *weights;
    float *diff_src;
    bool accumulate;
    char *scratch;
    int n_blocks;
};

/* The gradients that reach source pixel (y, x), all frames: [t][its ky][its kx][cout]. */
static void gather_diff(const struct data_job *j, int b, int y, int x, int py, int px, float *patch)
{
    const struct eq_conv_shape *s = j->s;
    size_t width = (size_t)taps_of_phase(s, py) * taps_of_phase(s, px) * s->cout, bytes = s->cout * sizeof(float);
    for (int ky = py; ky < s->k; ky += s->stride)
        for (int kx = px; kx < s->k; kx += s->stride, patch += s->cout) {
            int oy, ox;
            bool inside = eq_conv_dst_of(y, ky, s->stride, s->pad, s->oh, &oy) &&
                          eq_conv_dst_of(x, kx, s->stride, s->pad, s->ow, &ox);
            for (int f = 0; f < s->t; f++) {
                if (inside)
                    memcpy(patch + f * width, j->diff_dst + eq_conv_dst_at(s, b, f, oy, ox), bytes);
                else
                    memset(patch + f * width, 0, bytes);
            }
        }
}

static void store_pixel(const struct data_job *j, int b, int y, int x, int first, int n, const float *product)
{
    for (int f = 0; f < j->s->t; f++, product += n) {
        float *out = j->diff_src + eq_conv_src_at(j->s, b, f, y, x) + first;
        for (int i = 0; i < n; i++)
            out[i] = j->accumulate ? out[i] + product[i] : product[i];
    }
}

static void data_piece(void *ctx, size_t piece, int worker)
{
    const struct data_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    int first = (int)(piece % j->n_blocks) * BLOCK_N, n = s->cin - first < BLOCK_N ? s->cin - first : BLOCK_N;
    int y = (int)(piece / j->n_blocks % s->h), b = (int)(piece / j->n_blocks / s->h);
    int py = (y + s->pad) % s->stride;
    char *scratch = j->scratch + (patch_bytes(s) + product_bytes(s)) * worker;
    float *patches = (float *)scratch, *product = (float *)(scratch + patch_bytes(s));
    for (int start = 0; start < s->stride; start++) {
        int px = (start + s->pad) % s->stride, m = 0;
        int k = taps_of_phase(s, py) * taps_of_phase(s, px) * s->cout;
        for (int x = start; x < s->w; x += s->stride, m += s->t)
            gather_diff(j, b, y, x, py, px, patches + (size_t)m * k);
        if (k == 0)
            memset(product, 0, (size_t)m * n * sizeof(float));
        else if (m > 0)
            eq_sgemm(false, false, m, n, k, 1, patches, k, weights_of_phase(s, j->weights, py, px) + first, s->cin, 0,
                     product, n);
        const float *p = product;
        for (int x = start; x < s->w; x += s->stride, p += (size_t)s->t * n)
            store_pixel(j, b, y, x, first, n, p);
    }
}

static void backward_data(const struct eq_conv_shape *s, const float *diff_dst, const void *packed, float *diff_src,
                          bool accumulate, void *scratch)
{
    const int n_blocks = (s->cin + BLOCK_N - 1) / BLOCK_N;
    struct data_job job = {s, diff_dst, packed, diff_src, accumulate, scratch, n_blocks};
    eq_parallel_for((size_t)s->b * s->h * n_blocks, data_piece, &job);
}

EQ_KERNEL(f32_conv_backward_data_phases, blas, EQ_ISA_REF, .supports = eq_conv_any,
          .packed_bytes = eq_conv_f32_weights_bytes, .scratch_bytes = scratch_bytes, .pack = pack,
          .run.backward_data = backward_data)
