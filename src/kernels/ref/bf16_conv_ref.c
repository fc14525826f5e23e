/*
 * The meaning of BF16 convolution: FP32 convolution on operands that were rounded to BF16. Their products are exact
 * in floats, and the sums here are in double, so that a kernel differs only by the rounding of its FP32 sums (and,
 * with Winograd, of transformed operands). Bias, residual and old values are not rounded.
 */
#include "kernels/bf16.h"
#include "kernels/list.h"

static size_t src_count(const struct eq_conv_shape *s)
{
    return (size_t)s->b * s->t * s->h * s->w * s->cin;
}

static size_t dst_count(const struct eq_conv_shape *s)
{
    return (size_t)s->b * s->t * s->oh * s->ow * s->cout;
}

static size_t copy_bytes(size_t n)
{
    return eq_align64(n * sizeof(float));
}

static const float *rounded(const float *x, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = eq_bf16_value(eq_bf16_of(x[i]));
    return out;
}

/* The weights packed for the FP32 kernel, rounded. */
static void pack_forward(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    eq_f32_conv_forward_direct__ref.pack(s, weights_oihw, packed);
    rounded(packed, eq_conv_weights(s), packed);
}

static void pack_backward_data(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    eq_f32_conv_backward_data_direct__ref.pack(s, weights_oihw, packed);
    rounded(packed, eq_conv_weights(s), packed);
}

/* A rounded copy of src, of diff_dst, or of both; the FP32 passes that take packed weights need no scratch. */
static size_t forward_scratch(const struct eq_conv_shape *s, int threads)
{
    (void)threads;
    return copy_bytes(src_count(s));
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    const float *in = rounded(src, src_count(s), scratch);
    eq_f32_conv_forward_direct__ref.run.forward(s, in, packed, epi, dst, NULL);
}

static size_t backward_data_scratch(const struct eq_conv_shape *s, int threads)
{
    (void)threads;
    return copy_bytes(dst_count(s));
}

static void backward_data(const struct eq_conv_shape *s, const float *diff_dst, const void *packed, float *diff_src,
                          bool accumulate, void *scratch)
{
    const float *diff = rounded(diff_dst, dst_count(s), scratch);
    eq_f32_conv_backward_data_direct__ref.run.backward_data(s, diff, packed, diff_src, accumulate, NULL);
}

static size_t backward_weights_scratch(const struct eq_conv_shape *s, int threads)
{
    return copy_bytes(src_count(s)) + copy_bytes(dst_count(s)) +
           eq_f32_conv_backward_weights_direct__ref.scratch_bytes(s, threads);
}

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    char *second = (char *)scratch + copy_bytes(src_count(s)), *third = second + copy_bytes(dst_count(s));
    const float *in = rounded(src, src_count(s), scratch), *diff = rounded(diff_dst, dst_count(s), (float *)second);
    eq_f32_conv_backward_weights_direct__ref.run.backward_weights(s, in, diff, diff_weights, third);
}

REF_KERNEL(bf16_conv_forward_direct, .supports = eq_conv_any, .packed_bytes = eq_conv_f32_weights_bytes,
           .scratch_bytes = forward_scratch, .pack = pack_forward, .run.forward = forward)
REF_KERNEL(bf16_conv_backward_data_direct, .supports = eq_conv_any, .packed_bytes = eq_conv_f32_weights_bytes,
           .scratch_bytes = backward_data_scratch, .pack = pack_backward_data, .run.backward_data = backward_data)
REF_KERNEL(bf16_conv_backward_weights_direct, .supports = eq_conv_any, .packed_bytes = eq_conv_no_packed,
           .scratch_bytes = backward_weights_scratch, .run.backward_weights = backward_weights)
