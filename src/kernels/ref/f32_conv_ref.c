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
    double *scratch;
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

/* OIHW -> [oc][tap][ic], so that the innermost sum runs over neighbours on both sides. */
static void pack_forward(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    float *out = packed;
    int taps = s->k * s->k;
    for (int oc = 0; oc < s->cout; oc++)
        for (int tap = 0; tap < taps; tap++)
            for (int ic = 0; ic < s->cin; ic++)
                *out++ = weights_oihw[((size_t)oc * s->cin + ic) * taps + tap];
}

/* OIHW -> [ic][tap][oc]. */
static void pack_backward_data(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    float *out = packed;
    int taps = s->k * s->k;
    for (int ic = 0; ic < s->cin; ic++)
        for (int tap = 0; tap < taps; tap++)
            for (int oc = 0; oc < s->cout; oc++)
                *out++ = weights_oihw[((size_t)oc * s->cin + ic) * taps + tap];
}

static double dot(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* ---- forward ------------------------------------------------------------- */

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
            sum += dot(j->src + eq_conv_src_at(s, b, f, y, x),
                       j->weights + (((size_t)oc * s->k + ky) * s->k + kx) * s->cin, s->cin);
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

/* ---- backward by data ---------------------------------------------------- */

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
            sum += dot(j->diff_dst + eq_conv_dst_at(s, b, f, oy, ox),
                       j->weights + (((size_t)ic * s->k + ky) * s->k + kx) * s->cout, s->cout);
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

/* ---- backward by weights ------------------------------------------------- */

/* Adds what output pixel (oy, ox) of every frame of clip b gives to the sums [tap][ic] of one output channel. */
static void add_products(const struct conv_job *j, int b, int oy, int ox, int oc, double *sums)
{
    const struct eq_conv_shape *s = j->s;
    for (int ky = 0; ky < s->k; ky++)
        for (int kx = 0; kx < s->k; kx++, sums += s->cin) {
            int y, x;
            if (!eq_conv_src_of(oy, ky, s->stride, s->pad, s->h, &y) ||
                !eq_conv_src_of(ox, kx, s->stride, s->pad, s->w, &x))
                continue;
            for (int f = 0; f < s->t; f++) {
                const float *in = j->src + eq_conv_src_at(s, b, f, y, x);
                double diff = j->diff_dst[eq_conv_dst_at(s, b, f, oy, ox) + oc];
                for (int ic = 0; ic < s->cin; ic++)
                    sums[ic] += diff * in[ic];
            }
        }
}

static void backward_weights_oc(void *ctx, size_t oc, int worker)
{
    const struct conv_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    int taps = s->k * s->k;
    double *sums = j->scratch + (size_t)worker * taps * s->cin;
    memset(sums, 0, (size_t)taps * s->cin * sizeof *sums);
    for (int b = 0; b < s->b; b++)
        for (int oy = 0; oy < s->oh; oy++)
            for (int ox = 0; ox < s->ow; ox++)
                add_products(j, b, oy, ox, (int)oc, sums);
    float *out = j->diff_weights + oc * s->cin * taps;
    for (int tap = 0; tap < taps; tap++)
        for (int ic = 0; ic < s->cin; ic++)
            out[ic * taps + tap] = (float)(out[ic * taps + tap] + sums[tap * s->cin + ic]);
}

static size_t sums_bytes(const struct eq_conv_shape *s, int threads)
{
    return (size_t)threads * s->k * s->k * s->cin * sizeof(double);
}

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    struct conv_job job = {.s = s, .src = src, .diff_dst = diff_dst, .diff_weights = diff_weights, .scratch = scratch};
    eq_parallel_for((size_t)s->cout, backward_weights_oc, &job);
}

const struct eq_f32_conv_kernel eq_f32_conv_forward_ref = {.name = "f32_conv__ref",
                                                           .isa = EQ_ISA_REF,
                                                           .supports = supports,
                                                           .packed_bytes = packed_bytes,
                                                           .scratch_bytes = scratch_bytes,
                                                           .pack = pack_forward,
                                                           .run.forward = forward};

const struct eq_f32_conv_kernel eq_f32_conv_backward_data_ref = {.name = "f32_conv_backward_data__ref",
                                                                 .isa = EQ_ISA_REF,
                                                                 .supports = supports,
                                                                 .packed_bytes = packed_bytes,
                                                                 .scratch_bytes = scratch_bytes,
                                                                 .pack = pack_backward_data,
                                                                 .run.backward_data = backward_data};

const struct eq_f32_conv_kernel eq_f32_conv_backward_weights_ref = {.name = "f32_conv_backward_weights__ref",
                                                                    .isa = EQ_ISA_REF,
                                                                    .supports = supports,
                                                                    .packed_bytes = no_packed_bytes,
                                                                    .scratch_bytes = sums_bytes,
                                                                    .pack = NULL,
                                                                    .run.backward_weights = backward_weights};
