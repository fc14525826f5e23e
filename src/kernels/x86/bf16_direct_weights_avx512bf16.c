/* Direct backward by weights in BF16, on copies in pixel layout whatever the layout of src. */
#include "kernels/x86/direct_weights_pixel.h"
#include "kernels/x86/operand_copy.h"

static bool supports(const struct eq_conv_shape *s)
{
    return s->k * s->k <= MAX_TAPS;
}

static size_t src_bytes(const struct eq_conv_shape *s)
{
    return operand_frames_bytes((size_t)s->b * s->h * s->w, s->t, s->cin);
}

static size_t diff_bytes(const struct eq_conv_shape *s)
{
    return operand_frames_bytes((size_t)s->b * s->oh * s->ow, s->t, s->cout);
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    struct eq_conv_shape whole = *s;
    whole.t = whole_steps(s->t);
    return src_bytes(s) + diff_bytes(s) + pixel_scratch_bytes(&whole, threads);
}

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    struct eq_conv_shape whole = *s;
    char *diff = (char *)scratch + src_bytes(s), *sums = diff + diff_bytes(s);
    whole.t = whole_steps(s->t);
    whole.src_layout = EQ_LAYOUT_PIXEL;
    struct weights_job job = {.s = &whole, .diff_weights = diff_weights, .blocks = (s->cin + BLOCK - 1) / BLOCK};
    job.src = operand_frames(src, s->src_layout, s->b, s->h * s->w, s->t, s->cin, scratch);
    job.diff_dst = operand_frames(diff_dst, EQ_LAYOUT_PIXEL, s->b, s->oh * s->ow, s->t, s->cout, diff);
    job.splits = job.blocks * gemm_panels(s->cout) < 8 ? s->k : 1;
    run_pixels(&job, sums);
}

CONV_KERNEL(conv_backward_weights_direct, .supports = supports, .packed_bytes = eq_conv_no_packed,
            .scratch_bytes = scratch_bytes, .run.backward_weights = backward_weights)
