/*
 * What BF16 convolution means: that of FP32 on operands that were rounded to BF16. Their products are exact in floats,
 * and the sums here are in double, so that what a kernel differs by is the rounding of its FP32 sums (and, with
 * Winograd, that of transformed operands). Bias, residual and old values are not rounded.
 */
#include "kernels/bf16.h"
#include "kernels/f32.h"

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

static bool supports(const struct eq_conv_shape *s)
{
    (void)s;
    return true;
}

static size_t packed_bytes(const struct eq_conv_shape *s)
{
    return eq_f32_conv_forward_ref.packed_bytes(s);
}

/* The weights as the FP32 kernel wants them, rounded. */
static void pack_forward(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    eq_f32_conv_forward_ref.pack(s, weights_oihw, packed);
    rounded(packed, packed_bytes(s) / sizeof(float), packed);
}

static void pack_backward_data(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    eq_f32_conv_backward_data_ref.pack(s, weights_oihw, packed);
    rounded(packed, packed_bytes(s) / sizeof(float), packed);
}

static size_t forward_scratch(const struct eq_conv_shape *s, int threads)
{
    return copy_bytes(src_count(s)) + eq_f32_conv_forward_ref.scratch_bytes(s, threads);
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    const float *in = rounded(src, src_count(s), scratch);
    eq_f32_conv_forward_ref.run.forward(s, in, packed, epi, dst, (char *)scratch + copy_bytes(src_count(s)));
}

static size_t backward_data_scratch(const struct eq_conv_shape *s, int threads)
{
    return copy_bytes(dst_count(s)) + eq_f32_conv_backward_data_ref.scratch_bytes(s, threads);
}

static void backward_data(const struct eq_conv_shape *s, const float *diff_dst, const void *packed, float *diff_src,
                          bool accumulate, void *scratch)
{
    const float *diff = rounded(diff_dst, dst_count(s), scratch);
    eq_f32_conv_backward_data_ref.run.backward_data(s, diff, packed, diff_src, accumulate,
                                                    (char *)scratch + copy_bytes(dst_count(s)));
}

static size_t no_packed_bytes(const struct eq_conv_shape *s)
{
    (void)s;
    return 0;
}

static size_t backward_weights_scratch(const struct eq_conv_shape *s, int threads)
{
    return copy_bytes(src_count(s)) + copy_bytes(dst_count(s)) +
           eq_f32_conv_backward_weights_ref.scratch_bytes(s, threads);
}

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    char *second = (char *)scratch + copy_bytes(src_count(s)), *third = second + copy_bytes(dst_count(s));
    const float *in = rounded(src, src_count(s), scratch), *diff = rounded(diff_dst, dst_count(s), (float *)second);
    eq_f32_conv_backward_weights_ref.run.backward_weights(s, in, diff, diff_weights, third);
}

const struct eq_f32_conv_kernel eq_bf16_conv_forward_ref = {.name = "bf16_conv__ref",
                                                            .isa = EQ_ISA_REF,
                                                            .supports = supports,
                                                            .packed_bytes = packed_bytes,
                                                            .scratch_bytes = forward_scratch,
                                                            .pack = pack_forward,
                                                            .run.forward = forward};

const struct eq_f32_conv_kernel eq_bf16_conv_backward_data_ref = {.name = "bf16_conv_backward_data__ref",
                                                                  .isa = EQ_ISA_REF,
                                                                  .supports = supports,
                                                                  .packed_bytes = packed_bytes,
                                                                  .scratch_bytes = backward_data_scratch,
                                                                  .pack = pack_backward_data,
                                                                  .run.backward_data = backward_data};

const struct eq_f32_conv_kernel eq_bf16_conv_backward_weights_ref = {.name = "bf16_conv_backward_weights__ref",
                                                                     .isa = EQ_ISA_REF,
                                                                     .supports = supports,
                                                                     .packed_bytes = no_packed_bytes,
                                                                     .scratch_bytes = backward_weights_scratch,
                                                                     .run.backward_weights = backward_weights};
