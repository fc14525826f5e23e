/* Convolution as a layer: the kernel of each pass, and the gradient of the bias, which no kernel computes. */
#include "echoquant/nn.h"

void eq_conv2d_init(struct eq_conv2d *l, const struct eq_conv_shape *shape, enum eq_precision precision, bool once)
{
    l->shape = *shape;
    for (int pass = 0; pass < EQ_CONV_PASSES; pass++) {
        const struct eq_conv_kernel *k = precision == EQ_PRECISION_BF16
                                             ? eq_bf16_conv_select((enum eq_conv_pass)pass, shape)
                                             : eq_f32_conv_select((enum eq_conv_pass)pass, shape);
        l->kernel[pass] = k;
        l->once[pass] = once && k->once_bytes && k->once_bytes(shape, 1) > 0;
    }
}

size_t eq_conv2d_packed_bytes(const struct eq_conv2d *l, enum eq_conv_pass pass)
{
    return l->once[pass] ? 0 : l->kernel[pass]->packed_bytes(&l->shape);
}

size_t eq_conv2d_scratch_bytes(const struct eq_conv2d *l, enum eq_conv_pass pass)
{
    const struct eq_conv_kernel *k = l->kernel[pass];
    return (l->once[pass] ? k->once_bytes : k->scratch_bytes)(&l->shape, eq_parallel_threads());
}

const void *eq_conv2d_pack(const struct eq_conv2d *l, enum eq_conv_pass pass, const float *weights, void *packed)
{
    if (l->once[pass])
        return weights;
    l->kernel[pass]->pack(&l->shape, weights, packed);
    return packed;
}

static const union eq_conv_run *run_of(const struct eq_conv2d *l, enum eq_conv_pass pass)
{
    return l->once[pass] ? &l->kernel[pass]->run_once : &l->kernel[pass]->run;
}

void eq_conv2d_forward(const struct eq_conv2d *l, const float *src, const void *packed,
                       const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    run_of(l, EQ_CONV_FORWARD)->forward(&l->shape, src, packed, epi, dst, scratch);
}

void eq_conv2d_backward_data(const struct eq_conv2d *l, const float *diff_dst, const void *packed, float *diff_src,
                             bool accumulate, void *scratch)
{
    run_of(l, EQ_CONV_BACKWARD_DATA)->backward_data(&l->shape, diff_dst, packed, diff_src, accumulate, scratch);
}

void eq_conv2d_backward_weights(const struct eq_conv2d *l, const float *src, const float *diff_dst, float *diff_weights,
                                void *scratch)
{
    l->kernel[EQ_CONV_BACKWARD_WEIGHTS]->run.backward_weights(&l->shape, src, diff_dst, diff_weights, scratch);
}

enum { BIAS_CHANNELS = 16 }; /* a piece of work: one cache line of channels */

struct bias_job {
    const float *diff_dst;
    float *diff_bias;
    size_t rows;
    int cout;
};

static void bias_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct bias_job *j = ctx;
    int first = (int)piece * BIAS_CHANNELS;
    int n = j->cout - first < BIAS_CHANNELS ? j->cout - first : BIAS_CHANNELS;
    double sum[BIAS_CHANNELS] = {0};
    for (size_t r = 0; r < j->rows; r++)
        for (int c = 0; c < n; c++)
            sum[c] += j->diff_dst[r * j->cout + first + c];
    for (int c = 0; c < n; c++)
        j->diff_bias[first + c] += (float)sum[c];
}

void eq_conv2d_backward_bias(const struct eq_conv2d *l, const float *diff_dst, float *diff_bias)
{
    const struct eq_conv_shape *s = &l->shape;
    struct bias_job job = {diff_dst, diff_bias, (size_t)s->b * s->oh * s->ow * s->t, s->cout};
    eq_parallel_for((size_t)(s->cout + BIAS_CHANNELS - 1) / BIAS_CHANNELS, bias_piece, &job);
}
