/*
 * Direct convolution in BF16 with tdpbf16ps, forward and backward by data. The operand is copied once, with zero pixels
 * at the ends of its rows: so all output pixels of a row have the same taps along it, and their frames are the rows of
 * one product. A stride's phases of pixels lie apart in the copy, so that these rows are one distance apart, too.
 *
 * Weights are packed as for vdpbf16ps (f32_pack.h): 16 steps of a panel are two tiles.
 */
#include "kernels/x86/bf16_amx.h"

enum {
    STAY_BYTES = 512 * 1024,
    IMAGE_DEPTH = 4 /* of a pixel of the first convolution, whose taps along a row are one product */
};

/* ---- the copy ------------------------------------------------------------ */

/* [line][phase][wide][frames][depth]: pixel x of a line at phase (x + left) % phases, place (x + left) / phases. */
struct copy {
    size_t lines;
    int w, c, frames; /* of the source, [line][w][frames][c] */
    int depth;        /* c, or IMAGE_DEPTH */
    int left, wide, phases;
    int used; /* phases that any tap reads, stored */
};

static size_t copy_pixel(const struct copy *c)
{
    return (size_t)c->frames * c->depth;
}

static size_t copy_phase(const struct copy *c)
{
    return c->wide * copy_pixel(c);
}

static size_t copy_line(const struct copy *c)
{
    return c->used * copy_phase(c);
}

static size_t copy_bytes(const struct copy *c)
{
    return eq_align64(c->lines * copy_line(c) * sizeof(operand));
}

struct copy_job {
    const struct copy *copy;
    const float *src;
    operand *to;
};

/* n pixels of an image, three or four channels of each. */
static void copy_image(const float *from, int n, int c, operand *to)
{
    const __mmask16 there = (__mmask16)(c == 3 ? 0x7777 : 0xffff);
    for (; n >= 4; n -= 4, from += 4 * c, to += 4 * IMAGE_DEPTH)
        operand_store(to, _mm512_maskz_expandloadu_ps(there, from));
    if (n > 0)
        operand_store_padded(to, n * IMAGE_DEPTH,
                             _mm512_maskz_expandloadu_ps(there & (__mmask16)((1u << n * IMAGE_DEPTH) - 1), from));
}

static void copy_values(const float *from, size_t n, operand *to)
{
    for (size_t i = 0; i < n; i += VL) /* whole vectors: DEPTH divides n */
        operand_store(to + i, v_load(from + i));
}

static void copy_piece(void *ctx, size_t line, int worker)
{
    (void)worker;
    const struct copy_job *j = ctx;
    const struct copy *c = j->copy;
    const size_t pixel = copy_pixel(c), source = (size_t)c->frames * c->c;
    const float *from = j->src + line * c->w * source;
    for (int phase = 0; phase < c->used; phase++) {
        operand *to = j->to + line * copy_line(c) + phase * copy_phase(c);
        const struct places there = places_of(c->w, c->left, c->phases, phase, c->wide);
        const int first = there.first, end = there.end;
        memset(to, 0, first * pixel * sizeof *to);
        if (c->depth == IMAGE_DEPTH) /* one phase */
            copy_image(from, end - first, c->c, to + first * pixel);
        else if (c->phases == 1)
            copy_values(from, (end - first) * source, to + first * pixel);
        else
            for (int i = first; i < end; i++)
                copy_values(from + (i * c->phases + phase - c->left) * source, source, to + i * pixel);
        if (end < c->wide)
            memset(to + end * pixel, 0, (c->wide - end) * pixel * sizeof *to);
    }
}

static void copy_run(const struct copy *c, const float *src, operand *to)
{
    struct copy_job job = {c, src, to};
    eq_parallel_for(c->lines, copy_piece, &job);
}

/* ---- a row of pixels times a panel --------------------------------------- */

/* Where row r of the sums goes: out[r / inner * outer + r % inner * ld]; bias and residual as in gemm_epilogue, which
 * lies as out does. */
struct target {
    float *out;
    int inner;
    size_t ld, outer;
    int n; /* columns, NR or fewer */
    const float *bias, *residual;
    bool relu;
};

/* One segment's rows and weights: tiles groups of steps. */
struct segment {
    const operand *a, *b;
    int tiles;
};

ALWAYS_INLINE void add_segments(const int both, int n, const struct segment *segments, size_t row, size_t lda,
                                int steps, float *sums)
{
    amx_zero_sums();
    for (int s = 0; s < n; s++) {
        const operand *a = segments[s].a + row * lda, *b = segments[s].b;
        for (int i = segments[s].tiles; i > 0; i--, a += steps * KSTEP, b += steps * KSTEP * NR)
            amx_products(both, a, (ptrdiff_t)(lda * sizeof *a), b);
    }
    amx_store_sums(both, sums);
}

static void finish(int row, int rows, const float *sums, const struct target *t)
{
    int inside = row % t->inner;
    size_t at = row / t->inner * t->outer + inside * t->ld;
    for (int r = 0; r < rows; r++, sums += NR) {
        const float *residual = t->residual ? t->residual + at : NULL;
        for (int c = 0; c < NR; c += VL)
            gemm_store(v_load(sums + c), t->out + at + c, t->n - c, t->bias ? t->bias + c : NULL,
                       residual ? residual + c : NULL, t->relu);
        at += t->ld;
        if (++inside == t->inner) {
            inside = 0;
            at += t->outer - t->inner * t->ld;
        }
    }
}

static void multiply(int rows, int n, const struct segment *segments, size_t lda, int steps, const struct target *t)
{
    _Alignas(64) float sums[AMX_M * NR];
    for (int row = 0; row < rows; row += AMX_M) {
        const int now = rows - row < AMX_M ? rows - row : AMX_M;
        amx_configure(now, steps);
        if (now > AMX_ROWS)
            add_segments(1, n, segments, (size_t)row, lda, steps, sums);
        else
            add_segments(0, n, segments, (size_t)row, lda, steps, sums);
        finish(row, now, sums, t);
    }
}

/* A worker takes pieces that follow each other. Weights that stay in L2 are read again for each line, and lines stay
 * with the worker that copied them; others are read once, with all lines. */
static void piece_of(size_t piece, size_t lines, int panels, size_t packed_bytes, size_t *panel, size_t *line)
{
    const bool by_lines = packed_bytes <= STAY_BYTES;
    *panel = by_lines ? piece % panels : piece / lines;
    *line = by_lines ? piece / panels : piece % lines;
}

struct job {
    const struct eq_conv_shape *s;
    struct copy copy;
    const operand *in, *packed;
    const struct eq_f32_epilogue *epi;
    float *out;
    bool accumulate;
};

/* ---- forward ------------------------------------------------------------- */

static bool is_image(const struct eq_conv_shape *s)
{
    return s->src_layout == EQ_LAYOUT_CLIP && whole_steps(s->cin) == IMAGE_DEPTH;
}

static bool forward_supports(const struct eq_conv_shape *s)
{
    return s->k <= MAX_SIDE &&
           (is_image(s) ? s->k * IMAGE_DEPTH <= DEPTH : s->src_layout == EQ_LAYOUT_PIXEL && s->cin % DEPTH == 0);
}

static size_t forward_packed_bytes(const struct eq_conv_shape *s)
{
    return panels_bytes(s->cout, s->cin, s->k * s->k);
}

static struct copy forward_copy(const struct eq_conv_shape *s)
{
    const int width = (s->ow - 1) * s->stride + s->k;
    if (is_image(s))
        return (struct copy){(size_t)s->b * s->t * s->h, s->w, s->cin, 1, IMAGE_DEPTH, s->pad, width, 1, 1};
    return (struct copy){(size_t)s->b * s->h,
                         s->w,
                         s->cin,
                         s->t,
                         s->cin,
                         s->pad,
                         (width + s->stride - 1) / s->stride,
                         s->stride,
                         s->stride < s->k ? s->stride : s->k};
}

static size_t forward_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    (void)threads;
    const struct copy c = forward_copy(s);
    return copy_bytes(&c);
}

/* The taps of output row oy, whose source lines follow first_line. */
static int forward_segments(const struct job *j, size_t first_line, int oy, size_t panel, struct segment *segments)
{
    const struct eq_conv_shape *s = j->s;
    const struct copy *c = &j->copy;
    const struct eq_tap_range ry = eq_taps_inside(oy, s->stride, s->pad, s->k, s->h);
    const operand *weights = j->packed + panel * NR * c->depth * s->k * s->k;
    int n = 0;
    for (int ky = ry.lo; ky < ry.hi; ky++) {
        const operand *line = j->in + (first_line + oy * s->stride - s->pad + ky) * copy_line(c);
        const operand *w = weights + (size_t)ky * s->k * c->depth * NR;
        if (is_image(s))
            segments[n++] = (struct segment){line, w, 1};
        for (int kx = 0; !is_image(s) && kx < s->k; kx++, w += c->depth * NR)
            segments[n++] = (struct segment){line + kx % c->phases * copy_phase(c) + kx / c->phases * copy_pixel(c), w,
                                             c->depth / DEPTH};
    }
    return n;
}

/* A panel of channels of a row of output pixels, or of one frame's row in an image. */
static void forward_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    const bool image = is_image(s);
    const int frames = image ? s->t : 1;
    size_t panel, line;
    piece_of(piece, (size_t)s->b * s->oh * frames, gemm_panels(s->cout), forward_packed_bytes(s), &panel, &line);
    const int f = (int)(line % frames), oy = (int)(line / frames % s->oh), b = (int)(line / frames / s->oh);
    struct segment segments[MAX_SIDE * MAX_SIDE];
    const int n = forward_segments(j, ((size_t)b * frames + f) * s->h, oy, panel, segments);
    const size_t at = eq_conv_dst_at(s, b, f, oy, 0) + panel * NR;
    const struct target target = {.out = j->out + at,
                                  .inner = s->ow * s->t,
                                  .ld = image ? (size_t)s->t * s->cout : (size_t)s->cout,
                                  .n = s->cout - (int)panel * NR,
                                  .bias = j->epi->bias ? j->epi->bias + panel * NR : NULL,
                                  .residual = j->epi->residual ? j->epi->residual + at : NULL,
                                  .relu = j->epi->relu};
    if (image)
        multiply(s->ow, n, segments, (size_t)s->stride * IMAGE_DEPTH, s->k * IMAGE_DEPTH / KSTEP, &target);
    else
        multiply(s->ow * s->t, n, segments, (size_t)s->cin, AMX_STEPS, &target);
    amx_end_piece();
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    struct job job = {.s = s, .copy = forward_copy(s), .in = scratch, .packed = packed, .epi = epi, .out = dst};
    copy_run(&job.copy, src, scratch);
    eq_parallel_for((size_t)gemm_panels(s->cout) * s->b * s->oh * (is_image(s) ? s->t : 1), forward_piece, &job);
}

ISA_KERNEL(bf16_conv_forward_direct, .supports = forward_supports, .packed_bytes = forward_packed_bytes,
           .scratch_bytes = forward_scratch_bytes, .pack = pack_forward, .run.forward = forward,
           .instruction = "tdpbf16ps")

/* ---- backward by data ---------------------------------------------------- */

static bool backward_data_supports(const struct eq_conv_shape *s)
{
    return s->k <= MAX_SIDE && s->src_layout == EQ_LAYOUT_PIXEL && s->cout % DEPTH == 0;
}

static size_t backward_data_packed_bytes(const struct eq_conv_shape *s)
{
    return panels_bytes(s->cin, s->cout, s->k * s->k);
}

/* Source pixel x reads output pixels (x + pad - kx) / stride. */
static struct copy backward_data_copy(const struct eq_conv_shape *s)
{
    const int before = s->k - 1 - s->pad, left = before > 0 ? (before + s->stride - 1) / s->stride : 0;
    const int last = (s->w - 1 + s->pad) / s->stride + 1, wide = left + (last > s->ow ? last : s->ow);
    return (struct copy){(size_t)s->b * s->oh, s->ow, s->cout, s->t, s->cout, left, wide, 1, 1};
}

static size_t backward_data_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    (void)threads;
    const struct copy c = backward_data_copy(s);
    return copy_bytes(&c);
}

/* The taps of the source pixels phase, phase + stride, ... of row y, for the first of them. */
static int backward_data_segments(const struct job *j, int b, int y, int phase, size_t panel, struct segment *segments)
{
    const struct eq_conv_shape *s = j->s;
    const struct copy *c = &j->copy;
    const operand *weights = j->packed + panel * NR * s->cout * s->k * s->k;
    int n = 0;
    for (int ky = 0, oy; ky < s->k; ky++)
        for (int kx = 0; kx < s->k; kx++) {
            const int ahead = phase + s->pad - kx + c->left * s->stride; /* never below 0 */
            if (ahead % s->stride == 0 && eq_conv_dst_of(y, ky, s->stride, s->pad, s->oh, &oy))
                segments[n++] = (struct segment){j->in + ((size_t)b * s->oh + oy) * copy_line(c) +
                                                     ahead / s->stride * copy_pixel(c),
                                                 weights + (size_t)(ky * s->k + kx) * s->cout * NR, s->cout / DEPTH};
        }
    return n;
}

/* A panel of channels of a row of source pixels. */
static void backward_data_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    size_t panel, line;
    piece_of(piece, (size_t)s->b * s->h, gemm_panels(s->cin), backward_data_packed_bytes(s), &panel, &line);
    const int b = (int)(line / s->h), y = (int)(line % s->h);
    for (int phase = 0; phase < s->stride && phase < s->w; phase++) {
        struct segment segments[MAX_SIDE * MAX_SIDE];
        const int n = backward_data_segments(j, b, y, phase, panel, segments);
        float *out = j->out + eq_conv_src_at(s, b, 0, y, phase) + panel * NR;
        const struct target target = {.out = out,
                                      .inner = s->t,
                                      .ld = (size_t)s->cin,
                                      .outer = (size_t)s->stride * s->t * s->cin,
                                      .n = s->cin - (int)panel * NR,
                                      .residual = j->accumulate ? out : NULL};
        if (n || !j->accumulate)
            multiply((s->w - phase + s->stride - 1) / s->stride * s->t, n, segments, (size_t)s->cout, AMX_STEPS,
                     &target);
    }
    amx_end_piece();
}

static void backward_data(const struct eq_conv_shape *s, const float *diff_dst, const void *packed, float *diff_src,
                          bool accumulate, void *scratch)
{
    struct job job = {.s = s,
                      .copy = backward_data_copy(s),
                      .in = scratch,
                      .packed = packed,
                      .out = diff_src,
                      .accumulate = accumulate};
    copy_run(&job.copy, diff_dst, scratch);
    eq_parallel_for((size_t)gemm_panels(s->cin) * s->b * s->h, backward_data_piece, &job);
}

ISA_KERNEL(bf16_conv_backward_data_direct, .supports = backward_data_supports,
           .packed_bytes = backward_data_packed_bytes, .scratch_bytes = backward_data_scratch_bytes,
           .pack = pack_transposed, .run.backward_data = backward_data, .instruction = "tdpbf16ps")

/* ---- peak ---------------------------------------------------------------- */

static double peak_macs(size_t iterations)
{
    return amx_peak_macs(iterations, KSTEP);
}

const struct eq_peak ISA_NAME(eq_bf16_peak) = {ISA_LEVEL, "tdpbf16ps", peak_macs};
