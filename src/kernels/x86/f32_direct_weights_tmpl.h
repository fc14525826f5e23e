/*
 * Template: direct backward by weights in FP32. In pixel layout a piece owns a block of input channels and a panel of
 * output channels, all taps, and sums over the whole batch: no two pieces share a sum. Clip layout has too few
 * channels for that, so a piece takes a range of output rows, and the sums of the pieces are added in their order.
 */
#include "kernels/x86/direct_weights_pixel.h"

enum { MAX_RANGES = 32 }; /* pieces in clip layout */

/* ---- clip layout --------------------------------------------------------- */

static int clip_ranges(const struct eq_conv_shape *s)
{
    int rows = s->b * s->oh;
    return rows < MAX_RANGES ? rows : MAX_RANGES;
}

static int padded_cout(const struct eq_conv_shape *s)
{
    return gemm_panels(s->cout) * NR;
}

/* A source row with its padding, as far as windows reach. */
static size_t padded_row(const struct eq_conv_shape *s)
{
    int needed = (s->ow - 1) * s->stride + s->k, there = s->pad + s->w;
    return (size_t)(needed > there ? needed : there) * s->cin;
}

static size_t clip_sums(const struct eq_conv_shape *s)
{
    return (size_t)s->k * s->k * s->cin * padded_cout(s);
}

/* Per worker: one padded source row, and one row of output pixels of one frame. */
static size_t clip_worker_floats(const struct eq_conv_shape *s)
{
    return ((padded_row(s) + 15) & ~(size_t)15) + (size_t)s->ow * padded_cout(s);
}

static void copy_diff_row(const struct weights_job *j, int b, int f, int oy, float *diff)
{
    const struct eq_conv_shape *s = j->s;
    for (int ox = 0; ox < s->ow; ox++, diff += padded_cout(s)) {
        memcpy(diff, j->diff_dst + eq_conv_dst_at(s, b, f, oy, ox), s->cout * sizeof *diff);
        memset(diff + s->cout, 0, (size_t)(padded_cout(s) - s->cout) * sizeof *diff);
    }
}

/* A window's kernel row is k * cin neighbors in memory, and windows overlap: lda is their distance. */
static void add_frame_row(const struct weights_job *j, int b, int f, int oy, float *row, float *diff, float *sums)
{
    const struct eq_conv_shape *s = j->s;
    int width = s->k * s->cin, ld = padded_cout(s);
    copy_diff_row(j, b, f, oy, diff);
    for (int ky = 0; ky < s->k; ky++) {
        int y;
        if (!eq_conv_src_of(oy, ky, s->stride, s->pad, s->h, &y))
            continue;
        memcpy(row + s->pad * s->cin, j->src + eq_conv_src_at(s, b, f, y, 0), (size_t)s->w * s->cin * sizeof *row);
        for (int co = 0; co < ld; co += NR) {
            struct gemm_segment segment = {row, diff + co, s->ow};
            struct gemm_tn g = {.segments = &segment,
                                .n_segments = 1,
                                .lda = (size_t)s->stride * s->cin,
                                .ldb = (size_t)ld,
                                .c = sums + (size_t)ky * width * ld + co,
                                .ldc = (size_t)ld,
                                .into = GEMM_TN_ADD};
            gemm_tn_rows(width, NR, &g);
        }
    }
}

static void clip_piece(void *ctx, size_t range, int worker)
{
    const struct weights_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    int ranges = clip_ranges(s), rows = s->b * s->oh;
    float *sums = j->scratch + range * clip_sums(s);
    float *row = j->scratch + ranges * clip_sums(s) + worker * clip_worker_floats(s);
    float *diff = row + ((padded_row(s) + 15) & ~(size_t)15);
    memset(sums, 0, clip_sums(s) * sizeof *sums);
    memset(row, 0, padded_row(s) * sizeof *row);
    int first = (int)((size_t)rows * range / ranges), end = (int)((size_t)rows * (range + 1) / ranges);
    for (int i = first; i < end; i++)
        for (int f = 0; f < s->t; f++)
            add_frame_row(j, i / s->oh, f, i % s->oh, row, diff, sums);
}

/* The ranges' sums [ky][kx][ci][co] into OIHW, in the order of the ranges. */
static void merge_piece(void *ctx, size_t tap, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    for (int ci = 0; ci < s->cin; ci++)
        for (int co = 0; co < s->cout; co++) {
            const float *sums = j->scratch + (tap * s->cin + ci) * padded_cout(s) + co;
            float total = 0;
            for (int range = 0; range < clip_ranges(s); range++)
                total += sums[range * clip_sums(s)];
            j->diff_weights[((size_t)co * s->cin + ci) * s->k * s->k + tap] += total;
        }
}

/* ---- the kernel ---------------------------------------------------------- */

static bool supports(const struct eq_conv_shape *s)
{
    return s->k * s->k <= MAX_TAPS;
}

/* With few channels and many frames (never in a ResNet) the products are too narrow. */
static bool prefers(const struct eq_conv_shape *s)
{
    return s->src_layout == EQ_LAYOUT_CLIP || s->cin >= 8;
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    if (s->src_layout == EQ_LAYOUT_CLIP)
        return (clip_ranges(s) * clip_sums(s) + threads * clip_worker_floats(s)) * sizeof(float);
    return pixel_scratch_bytes(s, threads);
}

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    struct weights_job job = {.s = s,
                              .src = src,
                              .diff_dst = diff_dst,
                              .diff_weights = diff_weights,
                              .scratch = scratch,
                              .blocks = (s->cin + BLOCK - 1) / BLOCK,
                              .splits = 1};
    if (s->src_layout == EQ_LAYOUT_CLIP) {
        eq_parallel_for((size_t)clip_ranges(s), clip_piece, &job);
        eq_parallel_for((size_t)s->k * s->k, merge_piece, &job);
    } else {
        run_pixels(&job, scratch);
    }
}

CONV_KERNEL(conv_backward_weights_direct, .supports = supports, .packed_bytes = eq_conv_no_packed,
            .scratch_bytes = scratch_bytes, .run.backward_weights = backward_weights, .prefers = prefers)
