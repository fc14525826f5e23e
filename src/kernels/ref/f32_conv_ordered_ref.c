/* The forward convolution with one order of summation, in plain C: what the direct kernels compute, to the bit. */
#include "kernels/f32.h"

#include <math.h>

struct conv_job {
    const struct eq_conv_shape *s;
    const float *src, *weights; /* weights: [oc][tap][ic] */
    const struct eq_f32_epilogue *epi;
    float *dst;
};

/* Taps row by row, channels ascending, a fused multiply-add each. */
static float sum_at(const struct conv_job *j, int b, int f, int oy, int ox, int oc)
{
    const struct eq_conv_shape *s = j->s;
    struct eq_tap_range ry = eq_taps_inside(oy, s->stride, s->pad, s->k, s->h);
    struct eq_tap_range rx = eq_taps_inside(ox, s->stride, s->pad, s->k, s->w);
    float sum = 0;
    for (int ky = ry.lo; ky < ry.hi; ky++)
        for (int kx = rx.lo; kx < rx.hi; kx++) {
            size_t at = eq_conv_src_at(s, b, f, oy * s->stride - s->pad + ky, ox * s->stride - s->pad + kx);
            const float *w = j->weights + (((size_t)oc * s->k + ky) * s->k + kx) * s->cin;
            for (int ic = 0; ic < s->cin; ic++)
                sum = fmaf(j->src[at + ic], w[ic], sum);
        }
    return sum;
}

static void forward_row(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct conv_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    int b = (int)(piece / s->oh), oy = (int)(piece % s->oh);
    size_t at = eq_conv_dst_at(s, b, 0, oy, 0);
    for (int ox = 0; ox < s->ow; ox++)
        for (int f = 0; f < s->t; f++)
            for (int oc = 0; oc < s->cout; oc++, at++) {
                float r = sum_at(j, b, f, oy, ox, oc);
                if (j->epi->bias)
                    r += j->epi->bias[oc];
                if (j->epi->residual)
                    r += j->epi->residual[at];
                j->dst[at] = j->epi->relu && !(r > 0) ? 0 : r;
            }
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    (void)scratch;
    struct conv_job job = {.s = s, .src = src, .weights = packed, .epi = epi, .dst = dst};
    eq_parallel_for((size_t)s->b * s->oh, forward_row, &job);
}

static bool supports(const struct eq_conv_shape *s)
{
    (void)s;
    return true;
}

static size_t packed_bytes(const struct eq_conv_shape *s)
{
    return eq_f32_conv_forward_ref.packed_bytes(s);
}

static size_t no_scratch(const struct eq_conv_shape *s, int threads)
{
    (void)s;
    (void)threads;
    return 0;
}

static void pack(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    eq_f32_conv_forward_ref.pack(s, weights_oihw, packed);
}

const struct eq_f32_conv_kernel eq_f32_conv_forward_ordered_ref = {.name = "f32_conv_ordered__ref",
                                                                   .isa = EQ_ISA_REF,
                                                                   .supports = supports,
                                                                   .packed_bytes = packed_bytes,
                                                                   .scratch_bytes = no_scratch,
                                                                   .pack = pack,
                                                                   .run.forward = forward};
