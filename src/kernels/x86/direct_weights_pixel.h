/*
 * Direct backward by weights of activations in pixel layout, for FP32 and BF16 operands. A piece owns a block of input
 * channels and a few panels of output channels, and sums over the whole batch, so no two pieces share a sum.
 */
#ifndef KERNELS_X86_DIRECT_WEIGHTS_PIXEL_H
#define KERNELS_X86_DIRECT_WEIGHTS_PIXEL_H

#include "kernels/conv.h"
#include "kernels/x86/f32_gemm_tn.h"

enum {
    MAX_SIDE = 11, /* of a filter */
    MAX_TAPS = MAX_SIDE * MAX_SIDE,
    BLOCK = 32,     /* input channels of a piece */
    MAX_RUN = 64,   /* output pixels summed in registers */
    MAX_PANELS = 4, /* of a piece */
    MIN_PIECES = 8
};

/* src and diff_dst: the frames of a step side by side, in whole steps. */
struct weights_job {
    const struct eq_conv_shape *s;
    const operand *src, *diff_dst;
    operand *src_copy, *diff_copy;
    float *diff_weights, *scratch; /* scratch: the workers' sums */
    int blocks;
    int splits; /* of a block's taps, by rows of the filter: 1 or k */
};

/* Pixels lie cin or cout floats apart, mostly a power of two, and so in few sets of the caches. With 256-bit vectors
 * fewer products wait for each line, so there the pieces work on copies, side by side, if taps share them. */
#if defined(__AVX512F__)
enum { MAY_COPY = 0 };
#else
enum { MAY_COPY = 1 };
#endif
enum { WIDTH = VL }; /* of a copied pixel and frame of src: the columns of a tile of products, and some more */

static bool copies(const struct eq_conv_shape *s)
{
    return MAY_COPY && s->k > 1;
}

/* The panels of a piece read the same rows of src. */
static int panels_of_piece(const struct eq_conv_shape *s)
{
    int panels = copies(s) ? MAX_PANELS : 1, blocks = (s->cin + BLOCK - 1) / BLOCK;
    while (panels > 1 && blocks * ((gemm_panels(s->cout) + panels - 1) / panels) < MIN_PIECES)
        panels /= 2;
    return panels;
}

static size_t pixel_pieces(const struct weights_job *j)
{
    int panels = panels_of_piece(j->s), groups = (gemm_panels(j->s->cout) + panels - 1) / panels;
    return (size_t)j->blocks * groups * j->splits;
}

static size_t block_sums(const struct eq_conv_shape *s)
{
    return (size_t)s->k * s->k * BLOCK * NR;
}

/* Copies: of src [block][clip][row][tile of the block's columns][pixel][frame][WIDTH], of diff_dst
 * [panel][clip][row][pixel][frame][NR]. */
static size_t tile_row(const struct eq_conv_shape *s)
{
    return (size_t)s->w * s->t * WIDTH;
}

static size_t src_row(const struct eq_conv_shape *s)
{
    return gemm_tn_blocks(BLOCK) * tile_row(s);
}

static size_t diff_row(const struct eq_conv_shape *s)
{
    return (size_t)s->ow * s->t * NR;
}

static size_t src_copy_bytes(const struct eq_conv_shape *s)
{
    return copies(s) ? eq_align64((s->cin + BLOCK - 1) / BLOCK * s->b * s->h * src_row(s) * sizeof(operand)) : 0;
}

static size_t diff_copy_bytes(const struct eq_conv_shape *s)
{
    return copies(s) ? eq_align64(gemm_panels(s->cout) * s->b * s->oh * diff_row(s) * sizeof(operand)) : 0;
}

static size_t worker_sums(const struct eq_conv_shape *s)
{
    return panels_of_piece(s) * block_sums(s);
}

static size_t pixel_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    return src_copy_bytes(s) + diff_copy_bytes(s) + (size_t)threads * worker_sums(s) * sizeof(float);
}

/* A row of pixels, of which a piece reads its channels: frames are ld apart, tiles of columns `tile`, or 0. */
struct pixel_row {
    const operand *at;
    size_t pixel, ld, tile;
};

static struct pixel_row row_of(const operand *at, int t, int channels, int first)
{
    return (struct pixel_row){at + (size_t)first * KSTEP, (size_t)t * channels, (size_t)channels, 0};
}

/* n <= width operands. The copy is of whole vectors: what it reads beyond n lies before `end`. */
ALWAYS_INLINE void copy_part(operand *to, const operand *from, int n, const int width, const operand *end)
{
    if (end - from >= width)
        memcpy(to, from, (size_t)width * sizeof *to);
    else
        memcpy(to, from, (size_t)n * sizeof *to);
}

static int panel_width(int n, int panel)
{
    return n - panel * NR < NR ? n - panel * NR : NR;
}

/* A row of all channels of src. */
static void copy_src(const struct weights_job *j, size_t row)
{
    const struct eq_conv_shape *s = j->s;
    const operand *from = j->src + row * s->w * s->t * s->cin, *end = j->src + eq_conv_src_at(s, s->b, 0, 0, 0);
    const size_t rows = (size_t)s->b * s->h;
    for (int i = 0; i < s->w * s->t; i++, from += s->cin)
        for (int block = 0, ci = 0; ci < s->cin; block++, ci += BLOCK) {
            const int m = s->cin - ci < BLOCK ? s->cin - ci : BLOCK;
            operand *to = j->src_copy + (block * rows + row) * src_row(s) + (size_t)i * WIDTH;
            for (int first = 0, tiles = gemm_tn_blocks(m); tiles > 0; tiles--, to += tile_row(s)) {
                const int width = gemm_tn_width(m, first, tiles);
                copy_part(to, from + ci + first, width, WIDTH, end);
                first += width;
            }
        }
}

static void copy_diff(const struct weights_job *j, size_t row)
{
    const struct eq_conv_shape *s = j->s;
    const operand *from = j->diff_dst + row * s->ow * s->t * s->cout,
                  *end = j->diff_dst + eq_conv_dst_at(s, s->b, 0, 0, 0);
    const size_t rows = (size_t)s->b * s->oh;
    for (int i = 0; i < s->ow * s->t; i++, from += s->cout)
        for (int panel = 0; panel < gemm_panels(s->cout); panel++)
            copy_part(j->diff_copy + (panel * rows + row) * diff_row(s) + (size_t)i * NR, from + panel * NR,
                      panel_width(s->cout, panel), NR, end);
}

static void copy_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const size_t src_rows = (size_t)j->s->b * j->s->h;
    if (piece < src_rows)
        copy_src(j, piece);
    else
        copy_diff(j, piece - src_rows);
}

/* Of copies, what is asked for while others are multiplied; n 0: nothing. */
struct ahead {
    const operand *at;
    size_t n;
};

static void multiply_run(int m, int n, const struct gemm_tn *g)
{
    if (MAY_COPY && g->ahead_bytes)
        gemm_tn_rows_of(m, n, g, true);
    else
        gemm_tn_rows(m, n, g);
}

/* Adds the products of one row of output pixels to the m x n sums [ci][NR] of one tap. */
static void add_tap(const struct eq_conv_shape *s, const struct pixel_row *src, const struct pixel_row *diff, int kx,
                    int m, int n, float *sums, struct ahead ahead)
{
    struct gemm_segment run[MAX_RUN];
    struct gemm_tn g = {.segments = run,
                        .lda = src->ld,
                        .ldb = diff->ld,
                        .block = src->tile,
                        .c = sums,
                        .ldc = NR,
                        .into = GEMM_TN_ADD,
                        .ahead = (const char *)ahead.at,
                        .ahead_bytes = ahead.n * sizeof(operand)};
    for (int ox = 0; ox < s->ow; ox++) {
        int x;
        if (!eq_conv_src_of(ox, kx, s->stride, s->pad, s->w, &x))
            continue;
        run[g.n_segments++] = (struct gemm_segment){src->at + x * src->pixel, diff->at + ox * diff->pixel, s->t};
        if (g.n_segments == MAX_RUN) {
            multiply_run(m, n, &g);
            g.n_segments = 0;
        }
    }
    if (g.n_segments)
        multiply_run(m, n, &g);
}

/* The same for all taps of a line of the filter, of which each asks for its share of what lies ahead. */
static void add_rows(const struct eq_conv_shape *s, const struct pixel_row *src, const struct pixel_row *diff, int m,
                     int n, float *sums, struct ahead ahead)
{
    const size_t share = ahead.n / s->k;
    for (int kx = 0; kx < s->k; kx++)
        add_tap(s, src, diff, kx, m, n, sums + (size_t)kx * BLOCK * NR,
                (struct ahead){share ? ahead.at + kx * share : NULL, share});
}

/* sums[tap][ci][NR] into OIHW, taps first..end-1 */
static void add_block(const struct eq_conv_shape *s, int ci, int co, int first, int end, const float *sums,
                      float *diff_weights)
{
    int taps = s->k * s->k;
    for (int c = 0; c < NR && co + c < s->cout; c++) {
        float *out = diff_weights + ((size_t)(co + c) * s->cin + ci) * taps;
        for (int i = 0; i < BLOCK && ci + i < s->cin; i++, out += taps)
            for (int tap = first; tap < end; tap++)
                out[tap] += sums[((size_t)tap * BLOCK + i) * NR + c];
    }
}

static struct pixel_row diff_at(const struct weights_job *j, int b, int oy, int co)
{
    const struct eq_conv_shape *s = j->s;
    const size_t row = (size_t)b * s->oh + oy, rows = (size_t)s->b * s->oh;
    if (copies(s))
        return row_of(j->diff_copy + (co / NR * rows + row) * diff_row(s), s->t, NR, 0);
    return row_of(j->diff_dst + eq_conv_dst_at(s, b, 0, oy, 0), s->t, s->cout, co);
}

static struct pixel_row src_at(const struct weights_job *j, int b, int y, int ci)
{
    const struct eq_conv_shape *s = j->s;
    const size_t row = (size_t)b * s->h + y, rows = (size_t)s->b * s->h;
    if (!copies(s))
        return row_of(j->src + eq_conv_src_at(s, b, 0, y, 0), s->t, s->cin, ci);
    struct pixel_row copy = row_of(j->src_copy + (ci / BLOCK * rows + row) * src_row(s), s->t, WIDTH, 0);
    copy.tile = tile_row(s);
    return copy;
}

/* The filter's first line asks for the panel's next row of diff_dst, each other line for a share of src's next row. */
static struct ahead ahead_of(const struct eq_conv_shape *s, const struct pixel_row *src, const struct pixel_row *diff,
                             bool first_line, int panel, int panels)
{
    const size_t share = src_row(s) / panels;
    if (!copies(s))
        return (struct ahead){NULL, 0};
    if (first_line)
        return (struct ahead){diff->at + diff_row(s), diff_row(s)};
    return (struct ahead){src->at + src_row(s) + panel * share, share};
}

static void pixel_piece(void *ctx, size_t piece, int worker)
{
    const struct weights_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    const int channels = panels_of_piece(s) * NR;
    int first_ky = (int)(piece % j->splits), end_ky = j->splits > 1 ? first_ky + 1 : s->k;
    piece /= j->splits;
    int ci = (int)(piece % j->blocks) * BLOCK, co = (int)(piece / j->blocks) * channels;
    int m = s->cin - ci < BLOCK ? s->cin - ci : BLOCK, n = s->cout - co < channels ? s->cout - co : channels;
    float *sums = j->scratch + worker * worker_sums(s);
    struct pixel_row diff[MAX_PANELS];
    memset(sums, 0, worker_sums(s) * sizeof *sums);
    for (int b = 0; b < s->b; b++)
        for (int oy = 0; oy < s->oh; oy++) {
            for (int panel = 0; panel * NR < n; panel++)
                diff[panel] = diff_at(j, b, oy, co + panel * NR);
            for (int ky = first_ky; ky < end_ky; ky++) {
                int y;
                if (!eq_conv_src_of(oy, ky, s->stride, s->pad, s->h, &y))
                    continue;
                const struct pixel_row src = src_at(j, b, y, ci);
                for (int panel = 0; panel * NR < n; panel++)
                    add_rows(s, &src, &diff[panel], m, panel_width(n, panel),
                             sums + panel * block_sums(s) + (size_t)ky * s->k * BLOCK * NR,
                             ahead_of(s, &src, &diff[panel], ky == first_ky, panel, (n + NR - 1) / NR));
            }
        }
    for (int panel = 0; panel * NR < n; panel++)
        add_block(s, ci, co + panel * NR, first_ky * s->k, end_ky * s->k, sums + panel * block_sums(s),
                  j->diff_weights);
}

/* scratch: of pixel_scratch_bytes */
static void run_pixels(struct weights_job *j, void *scratch)
{
    const struct eq_conv_shape *s = j->s;
    j->src_copy = scratch;
    j->diff_copy = (operand *)((char *)scratch + src_copy_bytes(s));
    j->scratch = (float *)((char *)scratch + src_copy_bytes(s) + diff_copy_bytes(s));
    if (copies(s))
        eq_parallel_for((size_t)s->b * (s->h + s->oh), copy_piece, j);
    eq_parallel_for(pixel_pieces(j), pixel_piece, j);
}

#endif
