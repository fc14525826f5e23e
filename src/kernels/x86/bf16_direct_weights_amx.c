/*
 * Direct backward by weights in BF16 with tdpbf16ps. The frames of a row of output pixels are the depths of a product:
 * src is copied with each channel's frames side by side, zero pixels at the ends of its rows and a stride's phases of
 * pixels apart, diff_dst in panels of steps. A tap then begins at some place of src's rows.
 *
 * A piece owns 32 channels of src and a panel of diff_dst's, whose sums for all taps stay in L1 or L2. Each tap goes on
 * from its sums with some rows at a time.
 */
#include "kernels/x86/bf16_amx.h"

enum {
    MIN_PIECES = 8, /* below it the rows are split; the shape alone decides */
    CHUNK_BYTES = 512 * 1024
};

struct weights_job {
    const struct eq_conv_shape *s;
    const float *src, *diff_dst;
    operand *src_copy, *diff_copy;
    float *diff_weights, *sums;
    int phases;
    size_t length; /* operands of a channel in a row of src's copy */
    int depth;     /* frames of a row of output pixels, in whole tiles */
    int blocks, panels, splits;
};

static bool supports(const struct eq_conv_shape *s)
{
    return s->k <= MAX_SIDE && s->src_layout == EQ_LAYOUT_PIXEL && s->cin % AMX_M == 0;
}

/* With few frames transposing vectors of them is mostly padding. */
static bool prefers(const struct eq_conv_shape *s)
{
    return s->t >= 4;
}

static int wide_of(const struct eq_conv_shape *s)
{
    return ((s->ow - 1) * s->stride + s->k + s->stride - 1) / s->stride;
}

static struct weights_job job_of(const struct eq_conv_shape *s)
{
    struct weights_job j = {.s = s, .blocks = s->cin / AMX_M, .panels = gemm_panels(s->cout)};
    const int pieces = j.blocks * j.panels, rows = s->b * s->oh;
    j.phases = s->stride < s->k ? s->stride : s->k;
    j.depth = (s->ow * s->t + DEPTH - 1) / DEPTH * DEPTH;
    /* lines of the cache, an odd number, so that rows of a tile fall into many sets; a store of VL may pass the end */
    j.length = (((size_t)wide_of(s) * s->t + DEPTH + VL) / DEPTH + 1) / 2 * 2 * DEPTH + DEPTH;
    j.splits = (MIN_PIECES + pieces - 1) / pieces;
    j.splits = j.splits < rows ? j.splits : rows;
    return j;
}

static size_t src_row(const struct weights_job *j)
{
    return (size_t)j->phases * j->s->cin * j->length;
}

static size_t diff_row(const struct weights_job *j)
{
    return (size_t)j->panels * j->depth * NR;
}

static size_t src_bytes(const struct weights_job *j)
{
    return eq_align64((size_t)j->s->b * j->s->h * src_row(j) * sizeof(operand));
}

static size_t diff_bytes(const struct weights_job *j)
{
    return eq_align64((size_t)j->s->b * j->s->oh * diff_row(j) * sizeof(operand));
}

/* Of a piece: [half of the panel][channel][tap][VL]. */
static size_t piece_sums(const struct eq_conv_shape *s)
{
    return (size_t)AMX_M * s->k * s->k * NR;
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    const struct weights_job j = job_of(s);
    const size_t sums = j.splits > 1 ? (size_t)j.blocks * j.panels * j.splits : (size_t)threads;
    return src_bytes(&j) + diff_bytes(&j) + sums * piece_sums(s) * sizeof(float);
}

/* ---- the copies ---------------------------------------------------------- */

/* One frame after the other of VL channels of a pixel, to rows of the copy. Up to VL frames are stored; those beyond
 * the last are zero, until the next pixel takes their place. */
static void copy_pixel(const float *from, int frames, size_t c, operand *to, size_t length)
{
    for (int f = 0; f < frames; f += VL) {
        vf r[VL];
        const int there = frames - f < VL ? frames - f : VL;
        UNROLL for (int i = 0; i < VL; i++) r[i] = i < there ? v_load(from + (f + i) * c) : v_zero();
        v_transpose(r);
        UNROLL for (int i = 0; i < VL; i++) operand_store(to + i * length + f, r[i]);
    }
}

static void copy_src_row(const struct weights_job *j, size_t row)
{
    const struct eq_conv_shape *s = j->s;
    const float *from = j->src + row * s->w * s->t * s->cin;
    const int wide = wide_of(s), stride = s->stride;
    for (int phase = 0; phase < j->phases; phase++)
        for (int c = 0; c < s->cin; c += VL) {
            operand *to = j->src_copy + row * src_row(j) + ((size_t)phase * s->cin + c) * j->length;
            const struct places there = places_of(s->w, s->pad, stride, phase, wide);
            for (int i = 0; i < VL; i++)
                memset(to + i * j->length, 0, (size_t)there.first * s->t * sizeof *to);
            for (int i = there.first; i < there.end; i++)
                copy_pixel(from + (size_t)(i * stride + phase - s->pad) * s->t * s->cin + c, s->t, (size_t)s->cin,
                           to + (size_t)i * s->t, j->length);
            for (int i = 0; i < VL; i++)
                memset(to + i * j->length + (size_t)there.end * s->t, 0,
                       (j->length - (size_t)there.end * s->t) * sizeof *to);
        }
}

static void copy_diff_row(const struct weights_job *j, size_t row)
{
    const struct eq_conv_shape *s = j->s;
    const int n = s->ow * s->t;
    const float *from = j->diff_dst + row * n * s->cout;
    for (int panel = 0; panel < j->panels; panel++) {
        operand *to = j->diff_copy + row * diff_row(j) + (size_t)panel * j->depth * NR;
        for (int k = 0; k < j->depth; k += KSTEP, to += NR * KSTEP)
            for (int c = 0; c < NR; c += VL) {
                const float *at = from + (size_t)k * s->cout + panel * NR + c;
                const vmask m = v_mask(s->cout - panel * NR - c < 0 ? 0 : s->cout - panel * NR - c);
                const vf x = k < n ? v_load_part(at, m) : v_zero();
                operand_store_steps(to + c * KSTEP, v_mask(VL), x, k + 1 < n ? v_load_part(at + s->cout, m) : v_zero());
            }
    }
}

static void copy_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const size_t src_rows = (size_t)j->s->b * j->s->h;
    if (piece < src_rows)
        copy_src_row(j, piece);
    else
        copy_diff_row(j, piece - src_rows);
}

/* ---- products ------------------------------------------------------------ */

static void load_sums(const float *sums, size_t half, ptrdiff_t row)
{
    amx_load(0, sums, row);
    amx_load(1, sums + half, row);
    amx_load(2, (const char *)sums + AMX_ROWS * row, row);
    amx_load(3, (const char *)(sums + half) + AMX_ROWS * row, row);
}

static void store_sums(float *sums, size_t half, ptrdiff_t row)
{
    amx_store(0, sums, row);
    amx_store(1, sums + half, row);
    amx_store(2, (char *)sums + AMX_ROWS * row, row);
    amx_store(3, (char *)(sums + half) + AMX_ROWS * row, row);
}

/* Adds the products of some rows of output pixels to the sums of one tap. */
static void add_tap(const struct weights_job *j, int block, int panel, int first, int end, int ky, int kx, float *sums)
{
    const struct eq_conv_shape *s = j->s;
    const int taps = s->k * s->k;
    const size_t half = (size_t)AMX_M * taps * VL;
    const ptrdiff_t row = (ptrdiff_t)(taps * VL * sizeof *sums), lda = (ptrdiff_t)(j->length * sizeof(operand));
    const size_t channel =
        ((size_t)(kx % s->stride) * s->cin + (size_t)block * AMX_M) * j->length + (size_t)(kx / s->stride) * s->t;
    load_sums(sums, half, row);
    for (int i = first; i < end; i++) {
        int y;
        if (!eq_conv_src_of(i % s->oh, ky, s->stride, s->pad, s->h, &y))
            continue;
        const operand *a = j->src_copy + ((size_t)(i / s->oh) * s->h + y) * src_row(j) + channel;
        const operand *b = j->diff_copy + i * diff_row(j) + (size_t)panel * j->depth * NR;
        for (int k = 0; k < j->depth; k += DEPTH, a += DEPTH, b += DEPTH * NR)
            amx_products(1, a, lda, b);
    }
    store_sums(sums, half, row);
}

static void multiply(const struct weights_job *j, int block, int panel, int first, int end, float *sums)
{
    const struct eq_conv_shape *s = j->s;
    const size_t row_bytes = (j->phases * j->length * AMX_M + (size_t)j->depth * NR) * sizeof(operand);
    const int chunk = row_bytes < CHUNK_BYTES ? (int)(CHUNK_BYTES / row_bytes) : 1;
    memset(sums, 0, piece_sums(s) * sizeof *sums);
    amx_configure(AMX_M, AMX_STEPS);
    for (int row = first; row < end; row += chunk)
        for (int tap = 0; tap < s->k * s->k; tap++)
            add_tap(j, block, panel, row, row + chunk < end ? row + chunk : end, tap / s->k, tap % s->k,
                    sums + (size_t)tap * VL);
    amx_end_piece();
}

/* A piece's sums into OIHW. */
static void add_block(const struct weights_job *j, int block, int panel, const float *sums)
{
    const struct eq_conv_shape *s = j->s;
    const size_t taps = (size_t)s->k * s->k, ld = s->cin * taps;
    const int rows = (int)(AMX_M * taps);
    for (int c = 0; c < NR; c += VL, sums += (size_t)rows * VL) {
        const int co = panel * NR + c, there = s->cout - co < VL ? s->cout - co : VL;
        float *to = j->diff_weights + co * ld + (size_t)block * AMX_M * taps;
        for (int i = 0; there > 0 && i < rows; i += VL)
            transpose_add(sums + (size_t)i * VL, to + i, ld, there, rows - i < VL ? rows - i : VL);
    }
}

static void weights_piece(void *ctx, size_t piece, int worker)
{
    const struct weights_job *j = ctx;
    const int rows = j->s->b * j->s->oh, split = (int)(piece % j->splits), pair = (int)(piece / j->splits);
    float *sums = j->sums + (j->splits > 1 ? piece : (size_t)worker) * piece_sums(j->s);
    multiply(j, pair % j->blocks, pair / j->blocks, rows * split / j->splits, rows * (split + 1) / j->splits, sums);
    if (j->splits == 1)
        add_block(j, pair % j->blocks, pair / j->blocks, sums);
}

static void join_piece(void *ctx, size_t pair, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const size_t n = piece_sums(j->s);
    float *sums = j->sums + pair * j->splits * n;
    for (int split = 1; split < j->splits; split++)
        for (size_t i = 0; i < n; i += VL)
            v_store(sums + i, v_add(v_load(sums + i), v_load(sums + split * n + i)));
    add_block(j, (int)pair % j->blocks, (int)pair / j->blocks, sums);
}

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    struct weights_job j = job_of(s);
    const size_t pairs = (size_t)j.blocks * j.panels;
    j.src = src;
    j.diff_dst = diff_dst;
    j.diff_weights = diff_weights;
    j.src_copy = scratch;
    j.diff_copy = (operand *)((char *)scratch + src_bytes(&j));
    j.sums = (float *)((char *)j.diff_copy + diff_bytes(&j));
    eq_parallel_for((size_t)s->b * (s->h + s->oh), copy_piece, &j);
    eq_parallel_for(pairs * j.splits, weights_piece, &j);
    if (j.splits > 1)
        eq_parallel_for(pairs, join_piece, &j);
}

ISA_KERNEL(bf16_conv_backward_weights_direct, .supports = supports, .prefers = prefers,
           .packed_bytes = eq_conv_no_packed, .scratch_bytes = scratch_bytes, .run.backward_weights = backward_weights,
           .instruction = "tdpbf16ps")
