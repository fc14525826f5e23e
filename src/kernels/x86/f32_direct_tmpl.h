/*
 * Template: direct convolution, forward and backward by data, as products of frames (or neighboring pixels) with the
 * taps that fall inside the picture. A tap is a segment of gemm_rows, which reads the source in place. BF16 operands
 * are converted once.
 */
#include "kernels/x86/f32_pack.h"
#include "kernels/x86/operand_copy.h"

enum { MAX_SEGMENTS = 121 }; /* 11 x 11 taps */

/* s counts the channels of in in whole steps. */
struct direct_job {
    const struct eq_conv_shape *s;
    const operand *in, *packed;
    const struct eq_f32_epilogue *epi;
    float *out;
    bool accumulate;
    int panels;
};

/* ---- forward ------------------------------------------------------------- */

static bool forward_supports(const struct eq_conv_shape *s)
{
    return s->k * s->k <= MAX_SEGMENTS;
}

static size_t forward_packed_bytes(const struct eq_conv_shape *s)
{
    return panels_bytes(s->cout, s->cin, s->k * s->k);
}

static size_t forward_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    (void)threads;
    return operand_copy_bytes((size_t)s->b * s->t * s->h * s->w, s->cin);
}

static int forward_segments(const struct direct_job *j, int b, int f, int oy, int ox, size_t panel,
                            struct gemm_segment *segments)
{
    const struct eq_conv_shape *s = j->s;
    struct eq_tap_range ry = eq_taps_inside(oy, s->stride, s->pad, s->k, s->h);
    struct eq_tap_range rx = eq_taps_inside(ox, s->stride, s->pad, s->k, s->w);
    bool dense = s->src_layout == EQ_LAYOUT_CLIP || s->t == 1; /* neighbors in x are neighbors in memory */
    const operand *weights = j->packed + panel * NR * s->cin * s->k * s->k;
    int n = 0, step = dense && rx.hi > rx.lo ? rx.hi - rx.lo : 1;
    for (int ky = ry.lo; ky < ry.hi; ky++)
        for (int kx = rx.lo; kx < rx.hi; kx += step)
            segments[n++] = (struct gemm_segment){
                j->in + eq_conv_src_at(s, b, f, oy * s->stride - s->pad + ky, ox * s->stride - s->pad + kx),
                weights + (size_t)(ky * s->k + kx) * s->cin * NR, s->cin * step};
    return n;
}

/* The end of the run of output columns from ox on that have the same taps inside the picture. */
static int end_of_run(const struct eq_conv_shape *s, int ox)
{
    struct eq_tap_range first = eq_taps_inside(ox, s->stride, s->pad, s->k, s->w), r;
    do
        r = eq_taps_inside(++ox, s->stride, s->pad, s->k, s->w);
    while (ox < s->ow && r.lo == first.lo && r.hi == first.hi);
    return ox;
}

/* Rows of the product: all frames of a pixel, or all pixels of a run in one frame. */
static void forward_run(const struct direct_job *j, int b, int oy, int ox, int end, bool by_frames, size_t panel)
{
    const struct eq_conv_shape *s = j->s;
    bool clip = s->src_layout == EQ_LAYOUT_CLIP;
    size_t frame_step = clip ? (size_t)s->h * s->w * s->cin : (size_t)s->cin;
    size_t pixel_step = (clip ? (size_t)s->cin : (size_t)s->t * s->cin) * s->stride;
    int n = s->cout - (int)panel * NR;
    struct gemm_segment segments[MAX_SEGMENTS];
    struct gemm_epilogue e = {.bias = j->epi->bias ? j->epi->bias + panel * NR : NULL, .relu = j->epi->relu};
    int times = by_frames ? end - ox : s->t;
    for (int i = 0; i < times; i++) {
        int x = by_frames ? ox + i : ox, f = by_frames ? 0 : i;
        size_t at = eq_conv_dst_at(s, b, f, oy, x) + panel * NR;
        int n_segments = forward_segments(j, b, f, oy, x, panel, segments);
        e.residual = j->epi->residual ? j->epi->residual + at : NULL;
        if (by_frames)
            gemm_rows(s->t, n, n_segments, segments, frame_step, j->out + at, (size_t)s->cout, &e);
        else
            gemm_rows(end - ox, n, n_segments, segments, pixel_step, j->out + at, (size_t)s->t * s->cout, &e);
    }
}

/* A row of output pixels, one panel of channels. */
static void forward_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct direct_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    size_t panel = piece % j->panels, row = piece / j->panels;
    int b = (int)(row / s->oh), oy = (int)(row % s->oh);
    for (int ox = 0, end; ox < s->ow; ox = end) {
        end = end_of_run(s, ox);
        bool by_frames = s->t >= end - ox || (s->src_layout == EQ_LAYOUT_PIXEL && s->t >= 4);
        forward_run(j, b, oy, ox, end, by_frames, panel);
    }
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    struct eq_conv_shape whole = *s;
    whole.cin = whole_steps(s->cin);
    struct direct_job job = {.s = &whole, .packed = packed, .epi = epi, .out = dst, .panels = gemm_panels(s->cout)};
    job.in = operand_copy(src, (size_t)s->b * s->t * s->h * s->w, s->cin, scratch);
    eq_parallel_for((size_t)s->b * s->oh * job.panels, forward_piece, &job);
}

CONV_KERNEL(conv_forward_direct, .supports = forward_supports, .packed_bytes = forward_packed_bytes,
            .scratch_bytes = forward_scratch_bytes, .pack = pack_forward, .run.forward = forward)

/* ---- backward by data ---------------------------------------------------- */

static bool backward_data_supports(const struct eq_conv_shape *s)
{
    return s->k * s->k <= MAX_SEGMENTS && s->src_layout == EQ_LAYOUT_PIXEL;
}

/* With few frames a product has few rows. OpenBLAS gathers more, but takes floats only. */
static bool backward_data_prefers(const struct eq_conv_shape *s)
{
    return s->t >= 4 || KSTEP > 1;
}

static size_t backward_data_packed_bytes(const struct eq_conv_shape *s)
{
    return panels_bytes(s->cin, s->cout, s->k * s->k);
}

static size_t backward_data_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    (void)threads;
    return operand_copy_bytes((size_t)s->b * s->t * s->oh * s->ow, s->cout);
}

/* The windows that contain source pixel (y, x). Under a stride each phase of pixels has its own taps. */
static int backward_data_segments(const struct direct_job *j, int b, int y, int x, size_t panel,
                                  struct gemm_segment *segments)
{
    const struct eq_conv_shape *s = j->s;
    const operand *weights = j->packed + panel * NR * s->cout * s->k * s->k;
    int n = 0;
    for (int ky = 0; ky < s->k; ky++)
        for (int kx = 0; kx < s->k; kx++) {
            int oy, ox;
            if (eq_conv_dst_of(y, ky, s->stride, s->pad, s->oh, &oy) &&
                eq_conv_dst_of(x, kx, s->stride, s->pad, s->ow, &ox))
                segments[n++] = (struct gemm_segment){j->in + eq_conv_dst_at(s, b, 0, oy, ox),
                                                      weights + (size_t)(ky * s->k + kx) * s->cout * NR, s->cout};
        }
    return n;
}

/* A row of source pixels, one panel of channels. */
static void backward_data_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct direct_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    size_t panel = piece % j->panels, row = piece / j->panels;
    int b = (int)(row / s->h), y = (int)(row % s->h);
    for (int x = 0; x < s->w; x++) {
        struct gemm_segment segments[MAX_SEGMENTS];
        int n_segments = backward_data_segments(j, b, y, x, panel, segments);
        float *out = j->out + eq_conv_src_at(s, b, 0, y, x) + panel * NR;
        struct gemm_epilogue e = {.residual = j->accumulate ? out : NULL};
        if (n_segments || !j->accumulate)
            gemm_rows(s->t, s->cin - (int)panel * NR, n_segments, segments, (size_t)s->cout, out, (size_t)s->cin, &e);
    }
}

static void backward_data(const struct eq_conv_shape *s, const float *diff_dst, const void *packed, float *diff_src,
                          bool accumulate, void *scratch)
{
    struct eq_conv_shape whole = *s;
    whole.cout = whole_steps(s->cout);
    struct direct_job job = {
        .s = &whole, .packed = packed, .out = diff_src, .accumulate = accumulate, .panels = gemm_panels(s->cin)};
    job.in = operand_copy(diff_dst, (size_t)s->b * s->t * s->oh * s->ow, s->cout, scratch);
    eq_parallel_for((size_t)s->b * s->h * job.panels, backward_data_piece, &job);
}

CONV_KERNEL(conv_backward_data_direct, .supports = backward_data_supports, .packed_bytes = backward_data_packed_bytes,
            .scratch_bytes = backward_data_scratch_bytes, .pack = pack_transposed, .run.backward_data = backward_data,
            .prefers = backward_data_prefers)
