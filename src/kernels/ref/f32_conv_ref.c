/*
 * The meaning of the f32 convolutions in plain C, summed in double: every other kernel is tested against this file, and
 * its error is measured against it. Also the forward convolution in float with one order of summation, which the direct
 * kernels match to the bit.
 */
#include "kernels/conv.h"

#include <math.h>
#include <string.h>

struct place;
struct conv_job {
    const struct eq_conv_shape *s;
    const float *src, *weights, *diff_dst;
    const struct eq_f32_epilogue *epi;
    float *dst, *diff_src, *diff_weights;
    bool accumulate;
    double *scratch;
    float (*value)(const struct conv_job *j, const struct place *p);
};

/* OIHW -> [oc][tap][ic], so that the innermost sum runs over neighbors on both sides. */
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

/* An output value's place. */
struct place {
    int b, f, oy, ox, oc;
    size_t at;
};

/* The source values and weights under one tap, cin of each; false when it lies on padding. */
static bool tap_at(const struct conv_job *j, const struct place *p, int tap, const float **in, const float **weights)
{
    const struct eq_conv_shape *s = j->s;
    int y, x;
    if (!eq_conv_src_of(p->oy, tap / s->k, s->stride, s->pad, s->h, &y) ||
        !eq_conv_src_of(p->ox, tap % s->k, s->stride, s->pad, s->w, &x))
        return false;
    *in = j->src + eq_conv_src_at(s, p->b, p->f, y, x);
    *weights = j->weights + ((size_t)p->oc * s->k * s->k + tap) * s->cin;
    return true;
}

static float plain_value(const struct conv_job *j, const struct place *p)
{
    const float *in, *weights;
    double r = 0;
    for (int tap = 0; tap < j->s->k * j->s->k; tap++)
        if (tap_at(j, p, tap, &in, &weights))
            r += dot(in, weights, j->s->cin);
    if (j->epi->bias)
        r += j->epi->bias[p->oc];
    if (j->epi->residual)
        r += j->epi->residual[p->at];
    return j->epi->relu && r < 0 ? 0 : (float)r;
}

/* Taps row by row, channels ascending, a fused multiply-add each. */
static float ordered_value(const struct conv_job *j, const struct place *p)
{
    const float *in, *weights;
    float r = 0;
    for (int tap = 0; tap < j->s->k * j->s->k; tap++)
        if (tap_at(j, p, tap, &in, &weights))
            for (int ic = 0; ic < j->s->cin; ic++)
                r = fmaf(in[ic], weights[ic], r);
    if (j->epi->bias)
        r += j->epi->bias[p->oc];
    if (j->epi->residual)
        r += j->epi->residual[p->at];
    return j->epi->relu && !(r > 0) ? 0 : r;
}

static void forward_row(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct conv_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    struct place p = {.b = (int)(piece / s->oh), .oy = (int)(piece % s->oh)};
    p.at = eq_conv_dst_at(s, p.b, 0, p.oy, 0);
    for (p.ox = 0; p.ox < s->ow; p.ox++)
        for (p.f = 0; p.f < s->t; p.f++)
            for (p.oc = 0; p.oc < s->cout; p.oc++, p.at++)
                j->dst[p.at] = j->value(j, &p);
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    (void)scratch;
    struct conv_job job = {.s = s, .src = src, .weights = packed, .epi = epi, .dst = dst, .value = plain_value};
    eq_parallel_for((size_t)s->b * s->oh, forward_row, &job);
}

static void forward_ordered(const struct eq_conv_shape *s, const float *src, const void *packed,
                            const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    (void)scratch;
    struct conv_job job = {.s = s, .src = src, .weights = packed, .epi = epi, .dst = dst, .value = ordered_value};
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

REF_KERNEL(f32_conv_forward_direct, .supports = eq_conv_any, .packed_bytes = eq_conv_f32_weights_bytes,
           .scratch_bytes = eq_conv_no_scratch, .pack = pack_forward, .run.forward = forward)
REF_KERNEL(f32_conv_forward_ordered, .supports = eq_conv_any, .packed_bytes = eq_conv_f32_weights_bytes,
           .scratch_bytes = eq_conv_no_scratch, .pack = pack_forward, .run.forward = forward_ordered)
REF_KERNEL(f32_conv_backward_data_direct, .supports = eq_conv_any, .packed_bytes = eq_conv_f32_weights_bytes,
           .scratch_bytes = eq_conv_no_scratch, .pack = pack_backward_data, .run.backward_data = backward_data)
REF_KERNEL(f32_conv_backward_weights_direct, .supports = eq_conv_any, .packed_bytes = eq_conv_no_packed,
           .scratch_bytes = sums_bytes, .run.backward_weights = backward_weights)
