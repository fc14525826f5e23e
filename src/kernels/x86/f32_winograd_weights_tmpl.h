/*
 * Template: backward by weights for 3 x 3 at stride 1 by Winograd, g += G^T [ sum over tiles of (B^T d B) * (A dy
 * A^T) ] G. The batch is processed in chunks of tiles that fit the L3 cache. All tiles of a chunk are transformed and
 * laid out in panels of channels. Each pair of panels is then multiplied position by position over all rows,
 * transformed back and added to the gradient by the one piece that owns the pair: nothing is left to merge. With BF16
 * operands the transformed values are rounded.
 */
#include "kernels/x86/f32_gemm_tn.h"
#include "kernels/x86/f32_transpose.h"
#include "kernels/x86/f32_winograd.h"

#include <limits.h>

enum {
    PANEL = 32,     /* channels, of both sides on every level */
    PAD = 16,       /* values between positions, so that 36 streams don't share a cache set */
    AHEAD = 8 * VL, /* floats of a pixel that are asked for before they are read */
    MAX_CHUNK = 512
};

/* With 256-bit vectors both sides of a product are read in blocks of rows that fit L1, and each block asks for the next
 * one. With 512-bit vectors neither alone gained anything; both were not measured there. Nor was asking for the lines
 * that the next frame's values are written to. */
#if defined(__AVX512F__)
enum { ROWS_AT_ONCE = INT_MAX, ASKS_FOR_PLACES = 0 };
#else
enum { ROWS_AT_ONCE = 64, ASKS_FOR_PLACES = 1 };
#endif

struct weights_plan {
    const struct eq_conv_shape *s;
    struct winograd_axis ay, ax;
    int t; /* frames in whole steps */
    int tiles, tiles_of_chunk, in_panels, out_panels, in_split;
};

struct weights_job {
    struct weights_plan p;
    const float *src, *diff_dst;
    float *diff_weights;
    operand *in, *out; /* transformed: [panel][position][tile][t / KSTEP][PANEL][KSTEP] */
    float *sums;       /* a worker's: [position][PANEL][PANEL] */
    struct winograd_tile tiles[MAX_CHUNK];
    int kinds[4], n;
};

/* ---- planning ------------------------------------------------------------ */

/* Every chunk adds to all gradients: with many gradients, fewer and larger chunks win. */
static size_t chunk_bytes(const struct eq_conv_shape *s)
{
    return (size_t)s->cin * s->cout < 256 * 256 ? 8 << 20 : 16 << 20;
}

static struct weights_plan plan_weights(const struct eq_conv_shape *s)
{
    struct weights_plan p = {.s = s, .t = whole_steps(s->t), .ay = winograd_cut(s->oh), .ax = winograd_cut(s->ow)};
    p.tiles = s->b * p.ay.tiles * p.ax.tiles;
    p.in_panels = (s->cin + PANEL - 1) / PANEL;
    p.out_panels = (s->cout + PANEL - 1) / PANEL;
    size_t tile_bytes = (size_t)POSITIONS * p.t * PANEL * (p.in_panels + p.out_panels) * sizeof(operand);
    size_t fit = chunk_bytes(s) / tile_bytes;
    int at_most = fit < 1 ? 1 : fit > MAX_CHUNK ? MAX_CHUNK : (int)fit;
    int chunks = (p.tiles + at_most - 1) / at_most;
    p.tiles_of_chunk = (p.tiles + chunks - 1) / chunks;
    p.in_split = p.in_panels * p.out_panels < 8 ? 2 : 1; /* pieces a pair of panels, of whole cache lines */
    return p;
}

static size_t position_stride(const struct weights_plan *p)
{
    return (size_t)p->tiles_of_chunk * p->t * PANEL + PAD;
}

static size_t panel_stride(const struct weights_plan *p)
{
    return POSITIONS * position_stride(p);
}

enum { SUMS_STRIDE = PANEL * PANEL + PAD, WORKER_FLOATS = POSITIONS * SUMS_STRIDE };

/* All transformed tiles of both sides. */
static size_t panels_bytes(const struct weights_plan *p)
{
    return eq_align64((p->in_panels + p->out_panels) * panel_stride(p) * sizeof(operand));
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    struct weights_plan p = plan_weights(s);
    return panels_bytes(&p) + (size_t)threads * WORKER_FLOATS * sizeof(float);
}

/* ---- transforming a chunk ------------------------------------------------ */

/* The addresses of a grid of pixels; NULL for padding and beyond the map. */
struct grid {
    const float *px[POINTS][POINTS];
};

/* A transformed value, and the line of the same channels of the next frame. */
ALWAYS_INLINE void store_point(operand *v, int phase, vf x)
{
    operand_store_column(v, phase, x);
    if (ASKS_FOR_PLACES)
        __builtin_prefetch(v + PANEL * KSTEP, 1);
}

/* ahead: where later values lie, which are asked for meanwhile. */
ALWAYS_INLINE vf grid_load(const struct grid *g, int y, int x, size_t at, size_t ahead)
{
    if (!g->px[y][x])
        return v_zero();
    v_prefetch(g->px[y][x] + ahead);
    return v_load(g->px[y][x] + at);
}

ALWAYS_INLINE void transform_input(const int my, const int mx, const struct grid *g, size_t at, size_t ahead, int phase,
                                   operand *v, size_t stride)
{
    vf columns[POINTS][POINTS];
    UNROLL for (int x = 0; x < mx + 2; x++)
    {
        vf d[POINTS], c[POINTS];
        UNROLL for (int y = 0; y < my + 2; y++) d[y] = grid_load(g, y, x, at, ahead);
        winograd_input(my, d, c);
        UNROLL for (int y = 0; y < my + 2; y++) columns[y][x] = c[y];
    }
    stride = v_opaque(stride);
    UNROLL for (int y = 0; y < my + 2; y++, v += POINTS * stride)
    {
        vf r[POINTS];
        winograd_input(mx, columns[y], r);
        UNROLL for (int x = 0; x < mx + 2; x++) store_point(v + x * stride, phase, r[x]);
    }
}

ALWAYS_INLINE void transform_diff(const int my, const int mx, const struct grid *g, size_t at, size_t ahead, int phase,
                                  operand *v, size_t stride)
{
    vf columns[POINTS][TILE];
    UNROLL for (int x = 0; x < mx; x++)
    {
        vf d[TILE], c[POINTS];
        UNROLL for (int y = 0; y < my; y++) d[y] = grid_load(g, y, x, at, ahead);
        winograd_diff(my, d, c);
        UNROLL for (int y = 0; y < my + 2; y++) columns[y][x] = c[y];
    }
    stride = v_opaque(stride);
    UNROLL for (int y = 0; y < my + 2; y++, v += POINTS * stride)
    {
        vf r[POINTS];
        winograd_diff(mx, columns[y], r);
        UNROLL for (int x = 0; x < mx + 2; x++) store_point(v + x * stride, phase, r[x]);
    }
}

/* Clears a frame that only completes a step. */
ALWAYS_INLINE void clear_frame(int phase, operand *v, size_t stride)
{
    for (int position = 0; position < POSITIONS; position++)
        operand_store_column(v + position * stride, phase, v_zero());
}

/* All frames and channels of one tile of either side. */
ALWAYS_INLINE void transform_tile(const int my, const int mx, const bool input, const struct weights_plan *p,
                                  const struct grid *g, int channels, operand *out)
{
    size_t stride = position_stride(p), n = (size_t)p->s->t * channels;
    for (int f = 0; f < p->t; f++)
        for (int c = 0; c < channels; c += VL) {
            size_t column = (size_t)(f / KSTEP) * PANEL + c % PANEL, at = (size_t)f * channels + c;
            size_t ahead = at + AHEAD < n ? at + AHEAD : at;
            operand *v = out + (size_t)(c / PANEL) * panel_stride(p) + column * KSTEP;
            if (f >= p->s->t)
                clear_frame(f % KSTEP, v, stride);
            else if (input)
                transform_input(my, mx, g, at, ahead, f % KSTEP, v, stride);
            else
                transform_diff(my, mx, g, at, ahead, f % KSTEP, v, stride);
        }
}

static void transform_any(const struct winograd_tile *t, bool input, const struct weights_plan *p, const struct grid *g,
                          int channels, operand *out)
{
    if (input)
        WINOGRAD_BY_SIZE(t, transform_tile, true, p, g, channels, out);
    else
        WINOGRAD_BY_SIZE(t, transform_tile, false, p, g, channels, out);
}

/* n x n pixels from (y, x) on. */
static struct grid grid_at(const float *map, int b, int y, int x, int h, int w, size_t pixel, int n)
{
    struct grid g;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++) {
            bool inside = y + i >= 0 && y + i < h && x + k >= 0 && x + k < w;
            g.px[i][k] = inside ? map + (((size_t)b * h + y + i) * w + x + k) * pixel : NULL;
        }
    return g;
}

static void transform_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const struct eq_conv_shape *s = j->p.s;
    const struct winograd_tile *t = &j->tiles[piece / 2];
    size_t row = piece / 2 * j->p.t * PANEL;
    if (piece % 2 == 0) {
        struct grid g = grid_at(j->src, t->b, t->y - s->pad, t->x - s->pad, s->h, s->w, (size_t)s->t * s->cin, POINTS);
        transform_any(t, true, &j->p, &g, s->cin, j->in + row);
    } else {
        struct grid g = grid_at(j->diff_dst, t->b, t->y, t->x, s->oh, s->ow, (size_t)s->t * s->cout, TILE);
        transform_any(t, false, &j->p, &g, s->cout, j->out + row);
    }
}

/* ---- multiplying and transforming back ----------------------------------- */

/* Sums [position][PANEL] of one input channel and VL output channels to 9 taps. */
ALWAYS_INLINE void transform_sums(const float *sums, float taps[9][VL])
{
    vf columns[3][POINTS];
    UNROLL for (int x = 0; x < POINTS; x++)
    {
        vf u[POINTS], g[3];
        UNROLL for (int y = 0; y < POINTS; y++) u[y] = v_load(sums + (y * POINTS + x) * SUMS_STRIDE);
        winograd_diff_weights(u, g);
        UNROLL for (int y = 0; y < 3; y++) columns[y][x] = g[y];
    }
    UNROLL for (int y = 0; y < 3; y++)
    {
        vf g[3];
        winograd_diff_weights(columns[y], g);
        UNROLL for (int x = 0; x < 3; x++) v_store(taps[y * 3 + x], g[x]);
    }
}

/* To the gradients of m input channels from ci on: an output channel's are one run of 9 m floats. */
static void add_gradients(const struct weights_job *j, int ci, int m, int co, const float *sums)
{
    const struct eq_conv_shape *s = j->p.s;
    size_t row = (size_t)s->cin * 9;
    for (int lane = 0; lane < PANEL && co + lane < s->cout; lane += VL) {
        float taps[PANEL][9][VL];
        for (int i = 0; i < m; i++)
            transform_sums(sums + i * PANEL + lane, taps[i]);
        float *out = j->diff_weights + (size_t)(co + lane) * row + (size_t)ci * 9;
        for (int i = 0; i < m * 9; i += VL)
            transpose_add(taps[0][0] + i * VL, out + i, row, VL, m * 9 - i < VL ? m * 9 - i : VL);
    }
}

/* sums[m][PANEL], n columns of it: A^T * B over the rows of one position. in and out: the pair of panels */
static void multiply_position(const struct weights_job *j, int position, const operand *in, const operand *out, int m,
                              int n, float *sums)
{
    const struct weights_plan *p = &j->p;
    const struct winograd_rows rows = winograd_rows_of(j->kinds, position / POINTS, position % POINTS);
    const int depth = (rows.hi - rows.lo) * p->t, block = depth < ROWS_AT_ONCE ? depth : ROWS_AT_ONCE;
    size_t at = position * position_stride(p) + (size_t)rows.lo * p->t * PANEL;
    int d = 0;
    do { /* once where no tile has the position: its sums are 0 */
        const size_t next = depth - d > block ? at + (size_t)block * PANEL : (position + 1) * position_stride(p);
        for (int c = 0; c < n; c += NR) {
            struct gemm_segment segment = {in + at, out + at + c * KSTEP, depth - d < block ? depth - d : block};
            struct gemm_tn g = {.segments = &segment,
                                .n_segments = 1,
                                .lda = PANEL,
                                .ldb = PANEL,
                                .c = sums + c,
                                .ldc = PANEL,
                                .into = d > 0 ? GEMM_TN_RESUME : GEMM_TN_SET,
                                .ahead = (const char *)((c ? out : in) + next),
                                .ahead_bytes = (size_t)block * PANEL * sizeof(operand)};
            gemm_tn_rows_of(m, n - c < NR ? n - c : NR, &g, ROWS_AT_ONCE < INT_MAX);
        }
        d += block;
        at += (size_t)block * PANEL;
    } while (d < depth);
}

static void multiply_piece(void *ctx, size_t piece, int worker)
{
    const struct weights_job *j = ctx;
    const struct weights_plan *p = &j->p;
    const struct eq_conv_shape *s = p->s;
    int split = (int)(piece % p->in_split), in_panel = (int)(piece / p->in_split % p->in_panels);
    int out_panel = (int)(piece / p->in_split / p->in_panels), m = PANEL / p->in_split;
    int ci = in_panel * PANEL + split * m, co = out_panel * PANEL;
    if (ci >= s->cin)
        return;
    m = s->cin - ci < m ? s->cin - ci : m;
    const operand *in = j->in + in_panel * panel_stride(p) + split * m * KSTEP;
    const operand *out = j->out + out_panel * panel_stride(p);
    float *sums = j->sums + (size_t)worker * WORKER_FLOATS;
    for (int position = 0; position < POSITIONS; position++)
        multiply_position(j, position, in, out, m, s->cout - co < PANEL ? s->cout - co : PANEL,
                          sums + position * SUMS_STRIDE);
    add_gradients(j, ci, m, co, sums);
}

/* ---- the kernel ---------------------------------------------------------- */

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    struct weights_job j = {.p = plan_weights(s), .src = src, .diff_dst = diff_dst, .diff_weights = diff_weights};
    j.in = scratch;
    j.out = j.in + j.p.in_panels * panel_stride(&j.p);
    j.sums = (float *)((char *)scratch + panels_bytes(&j.p));
    for (int first = 0; first < j.p.tiles; first += j.p.tiles_of_chunk) {
        int end = first + j.p.tiles_of_chunk < j.p.tiles ? first + j.p.tiles_of_chunk : j.p.tiles;
        j.n = winograd_list(&j.p.ay, &j.p.ax, first, end, j.tiles, j.kinds);
        eq_parallel_for((size_t)j.n * 2, transform_piece, &j);
        eq_parallel_for((size_t)j.p.in_panels * j.p.out_panels * j.p.in_split, multiply_piece, &j);
    }
}

CONV_KERNEL(conv_backward_weights_winograd, .supports = winograd_supports, .packed_bytes = eq_conv_no_packed,
            .scratch_bytes = scratch_bytes, .run.backward_weights = backward_weights, .products = winograd_products)
