/*
 * The meaning of the f32 convolutions in plain C, summed in double: every other kernel is tested against this file, and
 * its error is measured against it.
 */
#include "kernels/f32.h"

#include <string.h>

struct conv_job {
    const struct eq_conv_shape *s;
    const float *src, *weights, *diff_dst;
    const struct eq_f32_epilogue *epi;
    float *dst, *diff_src, *diff_weights;
    bool accumulate;
};

static bool supports(const struct eq_conv_shape *s)
{
    (void)s;
    return true;
}

static size_t packed_bytes(const struct eq_conv_shape *s)
{
    return (size_t)s->cout * s->cin * s->k * s->k * sizeof(float);
}

static size_t no_packed_bytes(const struct eq_conv_shape *s)
{
    (void)s;
    return 0;
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    (void)s;
    (void)threads;
    return 0;
}

static void pack(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    memcpy(packed, weights_oihw, packed_bytes(s));
}

static size_t weight_at(const struct eq_conv_shape *s, int oc, int ic, int ky, int kx)
{
    return (((size_t)oc * s->cin + ic) * s->k + ky) * s->k + kx;
}

/* ---- forward -------------------------------------------------------------------------------------------------- */

static double forward_at(const struct conv_job *j, int b, int f, int oy, int ox, int oc)
{
    const struct eq_conv_shape *s = j->s;
    double sum = 0;
    for (int ky = 0; ky < s->k; ky++)
        for (int kx = 0; kx < s->k; kx++) {
            int y, x;
            if (!eq_conv_src_of(oy, ky, s->stride, s->pad, s->h, &y) ||
                !eq_conv_src_of(ox, kx, s->stride, s->pad, s->w, &x))
                continue;
            const float *in = j->src + eq_conv_src_at(s, b, f, y, x);
            for (int ic = 0; ic < s->cin; ic++)
                sum += (double)in[ic] * j->weights[weight_at(s, oc, ic, ky, kx)];
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
                double r = forward_at(j, b, f, oy, ox, oc);
                if (j->epi->bias)
                    r += j->epi->bias[oc];
                if (j->epi->residual)
                    r += j->epi->residual[at];
                j->dst[at] = j->epi->relu && r < 0 ? 0 : (float)r;
            }
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    (void)scratch;
    struct conv_job job = {.s = s, .src = src, .weights = packed, .epi = epi, .dst = dst};
    eq_parallel_for((size_t)s->b * s->oh, forward_row, &job);
}

/* ---- backward by data ------------------------------------------------------------------------------------------- */

static double backward_data_at(const struct conv_job *j, int b, int f, int y, int x, int ic)
{
    const struct eq_conv_shape *s = j->s;
    double sum = 0;
    for (int ky = 0; ky < s->k; ky++)
        for (int kx = 0; kx < s->k; kx++) {
            int oy, ox;
            if (!eq_conv_dst_of(y, ky, s->stride, s->pad, s->oh, &oy) ||
                !eq_conv_dst_of(x, kx, s->stride, s->pad, s->ow, &ox))
                continue;
            const float *diff = j->diff_dst + eq_conv_dst_at(s, b, f, oy, ox);
            for (int oc = 0; oc < s->cout; oc++)
                sum += (double)diff[oc] * j->weights[weight_at(s, oc, ic, ky, kx)];
        }
    return sum;
}

static void backward_data_row(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct conv_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    int b = (int)(piece / s->h), y = (int)(piece % s->h);
    for (int x = 0; x < s->w; x++)
        for (int f = 0; f < s->t; f++)
            for (int ic = 0; ic < s->cin; ic++) {
                float *out = j->diff_src + eq_conv_src_at(s, b, f, y, x) + ic;
                double sum = backward_data_at(j, b, f, y, x, ic);
                *out = (float)(j->accumulate ? *out + sum : sum);
            }
}

static void backward_data(const struct eq_conv_shape *s, const float *diff_dst, const void *packed, float *diff_src,
                          bool accumulate, void *scratch)
{
    (void)scratch;
    struct conv_job job = {
        .s = s, .diff_dst = diff_dst, .weights = packed, .diff_src = diff_src, .accumulate = accumulate};
    eq_parallel_for((size_t)s->b * s->h, backward_data_row, &job);
}

/* ---- backward by weights ---------------------------------------------------------------------------------------- */

static double backward_weights_at(const struct conv_job *j, int oc, int ic, int ky, int kx)
{
    const struct eq_conv_shape *s = j->s;
    double sum = 0;
    for (int b = 0; b < s->b; b++)
        for (int oy = 0; oy < s->oh; oy++)
            for (int ox = 0; ox < s->ow; ox++) {
                int y, x;
                if (!eq_conv_src_of(oy, ky, s->stride, s->pad, s->h, &y) ||
                    !eq_conv_src_of(ox, kx, s->stride, s->pad, s->w, &x))
                    continue;
                for (int f = 0; f < s->t; f++)
                    sum += (double)j->src[eq_conv_src_at(s, b, f, y, x) + ic] *
                           j->diff_dst[eq_conv_dst_at(s, b, f, oy, ox) + oc];
            }
    return sum;
}

static void backward_weights_oc(void *ctx, size_t oc, int worker)
{
    (void)worker;
    const struct conv_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    for (int ic = 0; ic < s->cin; ic++)
        for (int ky = 0; ky < s->k; ky++)
            for (int kx = 0; kx < s->k; kx++) {
                float *out = j->diff_weights + weight_at(s, (int)oc, ic, ky, kx);
                *out = (float)(*out + backward_weights_at(j, (int)oc, ic, ky, kx));
            }
}

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    (void)scratch;
    struct conv_job job = {.s = s, .src = src, .diff_dst = diff_dst, .diff_weights = diff_weights};
    eq_parallel_for((size_t)s->cout, backward_weights_oc, &job);
}

const struct eq_f32_conv_kernel eq_f32_conv_forward_ref = {.name = "f32_conv__ref",
                                                           .isa = EQ_ISA_REF,
                                                           .supports = supports,
                                                           .packed_bytes = packed_bytes,
                                                           .scratch_bytes = scratch_bytes,
                                                           .pack = pack,
                                                           .run.forward = forward};

const struct eq_f32_conv_kernel eq_f32_conv_backward_data_ref = {.name = "f32_conv_backward_data__ref",
                                                                 .isa = EQ_ISA_REF,
                                                                 .supports = supports,
                                                                 .packed_bytes = packed_bytes,
                                                                 .scratch_bytes = scratch_bytes,
                                                                 .pack = pack,
                                                                 .run.backward_data = backward_data};

const struct eq_f32_conv_kernel eq_f32_conv_backward_weights_ref = {.name = "f32_conv_backward_weights__ref",
                                                                    .isa = EQ_ISA_REF,
                                                                    .supports = supports,
                                                                    .packed_bytes = no_packed_bytes,
                                                                    .scratch_bytes = scratch_bytes,
                                                                    .pack = NULL,
                                                                    .run.backward_weights = backward_weights};
