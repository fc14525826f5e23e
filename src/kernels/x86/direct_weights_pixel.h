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
    float *diff_weights, *scratch;
    int blocks;
    int splits; /* of a block's taps, by rows of the filter: 1 or k */
};

/* Pixels lie cin or cout floats apart, mostly a power of two, and so in few sets of the caches. With 256-bit vectors
 * fewer products wait for each line, so there a piece works on copies of its rows, side by side, if taps share them. */
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

/* The panels of a piece share the copies of its rows of src. */
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

/* Copies of rows: of src for each tile of a block's columns [tile][pixel][frame][WIDTH], of diff_dst
 * [pixel][frame][NR]. */
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

/* A worker's sums and, as operands, copies: a row of diff_dst for each panel, and the k rows of src of a window. */
static size_t pixel_worker_bytes(const struct eq_conv_shape *s)
{
    size_t panels = (size_t)panels_of_piece(s), n = copies(s) ? panels * diff_row(s) + s->k * src_row(s) : 0;
    return eq_align64(panels * block_sums(s) * sizeof(float) + n * sizeof(operand));
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

static void copy_diff(const struct eq_conv_shape *s, struct pixel_row *row, int n, const operand *end, operand *copy)
{
    operand *to = copy;
    for (int x = 0; x < s->ow; x++)
        for (int f = 0; f < s->t; f++, to += NR)
            copy_part(to, row->at + x * row->pixel + f * row->ld, n, NR, end);
    *row = row_of(copy, s->t, NR, 0);
}

static struct pixel_row copy_of_src(const struct eq_conv_shape *s, const operand *copy)
{
    return (struct pixel_row){copy, (size_t)s->t * WIDTH, WIDTH, tile_row(s)};
}

static void copy_src(const struct eq_conv_shape *s, const struct pixel_row *row, int m, const operand *end,
                     operand *copy)
{
    for (int x = 0; x < s->w; x++)
        for (int f = 0; f < s->t; f++, copy += WIDTH) {
            const operand *from = row->at + x * row->pixel + f * row->ld;
            operand *to = copy;
            for (int first = 0, blocks = gemm_tn_blocks(m); blocks > 0; blocks--, to += tile_row(s)) {
                int width = gemm_tn_width(m, first, blocks);
                copy_part(to, from + first, width, WIDTH, end);
                first += width;
            }
        }
}

static int panel_width(int n, int panel)
{
    return n - panel * NR < NR ? n - panel * NR : NR;
}

/* Adds the products of one row of output pixels to the m x n sums [ci][NR] of one tap. */
static void add_tap(const struct eq_conv_shape *s, const struct pixel_row *src, const struct pixel_row *diff, int kx,
                    int m, int n, float *sums)
{
    struct gemm_segment run[MAX_RUN];
    struct gemm_tn g = {.segments = run,
                        .lda = src->ld,
                        .ldb = diff->ld,
                        .block = src->tile,
                        .c = sums,
                        .ldc = NR,
                        .into = GEMM_TN_ADD};
    for (int ox = 0; ox < s->ow; ox++) {
        int x;
        if (!eq_conv_src_of(ox, kx, s->stride, s->pad, s->w, &x))
            continue;
        run[g.n_segments++] = (struct gemm_segment){src->at + x * src->pixel, diff->at + ox * diff->pixel, s->t};
        if (g.n_segments == MAX_RUN) {
            gemm_tn_rows(m, n, &g);
            g.n_segments = 0;
        }
    }
    if (g.n_segments)
        gemm_tn_rows(m, n, &g);
}

/* The same for all taps of a line of the filter. */
static void add_rows(const struct eq_conv_shape *s, const struct pixel_row *src, const struct pixel_row *diff, int m,
                     int n, float *sums)
{
    for (int kx = 0; kx < s->k; kx++)
        add_tap(s, src, diff, kx, m, n, sums + (size_t)kx * BLOCK * NR);
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

/* A piece's copies: a row of diff_dst for each panel, and the rows of src that a window meets, each in its slot. */
struct row_copies {
    operand *diff, *src;
    int held[MAX_SIDE]; /* the row in each slot of src, -1: none */
};

static struct row_copies no_copies(const struct eq_conv_shape *s, operand *room)
{
    struct row_copies c = {.diff = NULL};
    if (!copies(s))
        return c;
    c.diff = room;
    c.src = room + panels_of_piece(s) * diff_row(s);
    for (int slot = 0; slot < s->k; slot++)
        c.held[slot] = -1;
    return c;
}

/* The rows of n channels from co on, in panels. */
static void diff_at(const struct weights_job *j, const struct row_copies *c, int b, int oy, int co, int n,
                    struct pixel_row *rows)
{
    const struct eq_conv_shape *s = j->s;
    const operand *at = j->diff_dst + eq_conv_dst_at(s, b, 0, oy, 0);
    for (int panel = 0; panel * NR < n; panel++) {
        rows[panel] = row_of(at, s->t, s->cout, co + panel * NR);
        if (copies(s))
            copy_diff(s, &rows[panel], panel_width(n, panel), j->diff_dst + eq_conv_dst_at(s, s->b, 0, 0, 0),
                      c->diff + panel * diff_row(s));
    }
}

static struct pixel_row src_at(const struct weights_job *j, struct row_copies *c, int b, int y, int ci, int m)
{
    const struct eq_conv_shape *s = j->s;
    const struct pixel_row row = row_of(j->src + eq_conv_src_at(s, b, 0, y, 0), s->t, s->cin, ci);
    if (!copies(s))
        return row;
    const int slot = y % s->k;
    operand *copy = c->src + slot * src_row(s);
    if (c->held[slot] != b * s->h + y)
        copy_src(s, &row, m, j->src + eq_conv_src_at(s, s->b, 0, 0, 0), copy);
    c->held[slot] = b * s->h + y;
    return copy_of_src(s, copy);
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
    float *sums = (float *)((char *)j->scratch + worker * pixel_worker_bytes(s));
    struct row_copies made = no_copies(s, (operand *)(sums + panels_of_piece(s) * block_sums(s)));
    struct pixel_row diff[MAX_PANELS];
    memset(sums, 0, panels_of_piece(s) * block_sums(s) * sizeof *sums);
    for (int b = 0; b < s->b; b++)
        for (int oy = 0; oy < s->oh; oy++) {
            diff_at(j, &made, b, oy, co, n, diff);
            for (int ky = first_ky; ky < end_ky; ky++) {
                int y;
                if (!eq_conv_src_of(oy, ky, s->stride, s->pad, s->h, &y))
                    continue;
                const struct pixel_row src = src_at(j, &made, b, y, ci, m);
                for (int panel = 0; panel * NR < n; panel++)
                    add_rows(s, &src, &diff[panel], m, panel_width(n, panel),
                             sums + panel * block_sums(s) + (size_t)ky * s->k * BLOCK * NR);
            }
        }
    for (int panel = 0; panel * NR < n; panel++)
        add_block(s, ci, co + panel * NR, first_ky * s->k, end_ky * s->k, sums + panel * block_sums(s),
                  j->diff_weights);
}

#endif
