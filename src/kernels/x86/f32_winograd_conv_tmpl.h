/*
 * Template: 3 x 3 convolution at stride 1 by Winograd, forward and (with turned filters) backward by data. A piece
 * takes a few tiles with all their frames and a group of output channels. It transforms the tiles into its own
 * scratch, multiplies position by position with the transformed weights, and transforms each panel of sums back while
 * it lies in the L2 cache. With BF16 operands the transformed tiles and weights are rounded.
 */
#include "kernels/x86/f32_pack.h"
#include "kernels/x86/f32_winograd.h"

enum {
    MAX_TILES = 64, /* of a piece */
    PAD = 16,       /* values between positions, so that 36 streams don't share a cache set */
    AHEAD = 8 * VL, /* floats of a pixel that are asked for before they are read */
};

/* s is the convolution that is computed. For the backward pass by data its src and dst are exchanged. */
struct winograd_plan {
    struct eq_conv_shape s;
    struct winograd_axis ay, ax;
    int tiles, tiles_of_piece, pieces_m; /* pieces_m * tiles_of_piece >= tiles */
    int panels, panels_of_piece, pieces_n;
};

struct winograd_job {
    struct winograd_plan p;
    const float *src, *bias, *residual;
    const operand *packed;
    bool relu;
    float *dst;
    char *scratch;
};

/* ---- planning ------------------------------------------------------------ */

enum { MIN_ROWS = 16, MAX_ROWS = 64, PANELS_OF_PIECE = 128 / NR, MIN_PIECES = 8 };

/* With few channels the transformed tiles and the weights share the L2 cache; with many, weights are streamed from the
 * L3 cache and should be used for many rows. Measured on Zen 4 with 64 channels: 16 rows take 0.8 of the time of 64. */
static int rows_of_piece(int cin)
{
    int rows = cin / 4;
    return rows < MIN_ROWS ? MIN_ROWS : rows > MAX_ROWS ? MAX_ROWS : rows;
}

/* As many tiles as fit the rows of a piece, but enough pieces for a few threads. */
static void plan_pieces(struct winograd_plan *p)
{
    p->tiles = p->s.b * p->ay.tiles * p->ax.tiles;
    p->panels = gemm_panels(p->s.cout);
    int rows = rows_of_piece(p->s.cin), tiles = rows / p->s.t;
    tiles = tiles < 1 ? 1 : tiles > MAX_TILES ? MAX_TILES : tiles;
    p->panels_of_piece = p->panels;
    while (tiles > 1 && (p->tiles + tiles - 1) / tiles < MIN_PIECES && tiles * p->s.t > rows / 2)
        tiles = (tiles + 1) / 2;
    if ((p->tiles + tiles - 1) / tiles < MIN_PIECES && p->panels > PANELS_OF_PIECE)
        p->panels_of_piece = PANELS_OF_PIECE;
    p->tiles_of_piece = tiles;
    p->pieces_m = (p->tiles + tiles - 1) / tiles;
    p->pieces_n = (p->panels + p->panels_of_piece - 1) / p->panels_of_piece;
}

static struct winograd_plan plan_forward(const struct eq_conv_shape *s)
{
    struct winograd_plan p = {.s = *s, .ay = winograd_cut(s->oh), .ax = winograd_cut(s->ow)};
    plan_pieces(&p);
    return p;
}

static struct winograd_plan plan_backward_data(const struct eq_conv_shape *s)
{
    struct eq_conv_shape turned = *s;
    turned.h = s->oh, turned.w = s->ow, turned.cin = s->cout;
    turned.oh = s->h, turned.ow = s->w, turned.cout = s->cin;
    turned.pad = s->k - 1 - s->pad;
    return plan_forward(&turned);
}

static size_t input_stride(const struct winograd_plan *p) /* operands between positions */
{
    return (size_t)p->tiles_of_piece * p->s.t * p->s.cin + PAD;
}

static size_t sums_stride(const struct winograd_plan *p)
{
    return (size_t)p->tiles_of_piece * p->s.t * NR + PAD;
}

/* Of transformed weights: operands between a panel's positions, and between panels. */
static size_t weights_stride(int cin)
{
    return (size_t)whole_steps(cin) * NR + PAD;
}

static size_t panel_stride(int cin)
{
    return POSITIONS * weights_stride(cin);
}

static size_t input_bytes(const struct winograd_plan *p)
{
    return eq_align64(POSITIONS * input_stride(p) * sizeof(operand));
}

static size_t worker_bytes(const struct winograd_plan *p)
{
    return input_bytes(p) + eq_align64(POSITIONS * sums_stride(p) * sizeof(float));
}

/* ---- one tile ------------------------------------------------------------ */

/* Floats first..end-1 (of all frames and channels) of each of the tile's input pixels; NULL stands for padding. */
ALWAYS_INLINE void input_tile_of(const int my, const int mx, const float *const px[POINTS][POINTS], size_t first,
                                 size_t end, operand *v, size_t stride)
{
    for (size_t i = first; i < end; i += VL) {
        vf columns[POINTS][POINTS];
        UNROLL for (int x = 0; x < mx + 2; x++)
        {
            vf d[POINTS], c[POINTS];
            UNROLL for (int y = 0; y < my + 2; y++)
            {
                d[y] = px[y][x] ? v_load(px[y][x] + i) : v_zero();
                if (px[y][x] && i + AHEAD < end)
                    v_prefetch(px[y][x] + i + AHEAD);
            }
            winograd_input(my, d, c);
            UNROLL for (int y = 0; y < my + 2; y++) columns[y][x] = c[y];
        }
        size_t step = v_opaque(stride);
        operand *row = v + i;
        UNROLL for (int y = 0; y < my + 2; y++, row += POINTS * step)
        {
            vf r[POINTS];
            winograd_input(mx, columns[y], r);
            UNROLL for (int x = 0; x < mx + 2; x++) operand_store(row + x * step, r[x]);
        }
    }
}

static void input_tile(const struct winograd_plan *p, const float *src, const struct winograd_tile *tile, size_t first,
                       size_t end, operand *v)
{
    const float *px[POINTS][POINTS];
    size_t n = (size_t)p->s.t * p->s.cin;
    for (int y = 0; y < POINTS; y++)
        for (int x = 0; x < POINTS; x++) {
            int iy = tile->y + y - p->s.pad, ix = tile->x + x - p->s.pad;
            bool inside = iy >= 0 && iy < p->s.h && ix >= 0 && ix < p->s.w;
            px[y][x] = inside ? src + (((size_t)tile->b * p->s.h + iy) * p->s.w + ix) * n : NULL;
        }
    WINOGRAD_BY_SIZE(tile, input_tile_of, px, first, end, v, input_stride(p));
}

/* Where a tile's sums go: offsets of its output pixels in dst, frame 0 and the panel's first channel. */
struct output_tile {
    const struct winograd_job *job;
    const float *sums;
    const float *bias;
    size_t stride, at[TILE][TILE];
    bool inside[TILE][TILE];
    int lanes; /* channels of this panel */
};

ALWAYS_INLINE void output_tile_of(const int my, const int mx, const struct output_tile *o)
{
    const struct winograd_job *j = o->job;
    for (int f = 0; f < j->p.s.t; f++)
        for (int lane = 0; lane < o->lanes; lane += VL) {
            size_t step = v_opaque(o->stride);
            const float *rows[POINTS] = {o->sums + (size_t)f * NR + lane};
            UNROLL for (int y = 1; y < my + 2; y++) rows[y] = rows[y - 1] + POINTS * step;
            vf columns[TILE][POINTS], bias = o->bias ? v_load(o->bias + lane) : v_zero();
            UNROLL for (int x = 0; x < mx + 2; x++)
            {
                vf v[POINTS], c[TILE];
                UNROLL for (int y = 0; y < my + 2; y++) v[y] = v_load(rows[y] + x * step);
                winograd_output(my, v, c);
                UNROLL for (int y = 0; y < my; y++) columns[y][x] = c[y];
            }
            UNROLL for (int y = 0; y < my; y++)
            {
                vf r[TILE];
                winograd_output(mx, columns[y], r);
                UNROLL for (int x = 0; x < mx; x++)
                {
                    if (!o->inside[y][x])
                        continue;
                    size_t at = o->at[y][x] + (size_t)f * j->p.s.cout + lane;
                    vf out = v_add(r[x], bias);
                    if (f + 4 < j->p.s.t)
                        v_prefetch(j->dst + at + (size_t)4 * j->p.s.cout);
                    if (j->residual)
                        out = v_add(out, v_load(j->residual + at));
                    v_store(j->dst + at, j->relu ? v_max(v_zero(), out) : out);
                }
            }
        }
}

static void output_tile(const struct winograd_job *j, const struct winograd_tile *tile, int panel, const float *sums)
{
    const struct winograd_plan *p = &j->p;
    int first = panel * NR, left = p->s.cout - first;
    struct output_tile o = {.job = j,
                            .sums = sums,
                            .bias = j->bias ? j->bias + first : NULL,
                            .stride = sums_stride(p),
                            .lanes = left < NR ? left : NR};
    for (int y = 0; y < TILE; y++)
        for (int x = 0; x < TILE; x++) {
            o.inside[y][x] = tile->y + y < p->s.oh && tile->x + x < p->s.ow;
            size_t pixel = ((size_t)tile->b * p->s.oh + tile->y + y) * p->s.ow + tile->x + x;
            o.at[y][x] = pixel * p->s.t * p->s.cout + first;
        }
    WINOGRAD_BY_SIZE(tile, output_tile_of, &o);
}

/* ---- a piece ------------------------------------------------------------- */

/* sums[position][row][NR] = v[position][row][cin] * the panel's weights [position][cin][NR] */
static void multiply_panel(const struct winograd_plan *p, const int kinds[4], const operand *v, const operand *weights,
                           float *sums)
{
    struct gemm_epilogue none = {0};
    for (int py = 0; py < POINTS; py++)
        for (int px = 0; px < POINTS; px++) {
            int position = py * POINTS + px;
            struct winograd_rows rows = winograd_rows_of(kinds, py, px);
            size_t first = (size_t)rows.lo * p->s.t;
            struct gemm_segment segment = {v + position * input_stride(p) + first * p->s.cin,
                                           weights + position * weights_stride(p->s.cin), p->s.cin};
            gemm_rows_of((rows.hi - rows.lo) * p->s.t, NR, 1, &segment, (size_t)p->s.cin,
                         sums + position * sums_stride(p) + first * NR, NR, &none,
                         (const char *)(segment.b + weights_stride(p->s.cin)));
        }
}

static void winograd_piece(void *ctx, size_t piece, int worker)
{
    const struct winograd_job *j = ctx;
    const struct winograd_plan *p = &j->p;
    struct winograd_tile tiles[MAX_TILES];
    int first = (int)(piece / p->pieces_n) * p->tiles_of_piece, last = first + p->tiles_of_piece, kinds[4];
    int n = winograd_list(&p->ay, &p->ax, first, last < p->tiles ? last : p->tiles, tiles, kinds);
    char *scratch = j->scratch + worker_bytes(p) * worker;
    operand *v = (operand *)scratch;
    float *sums = (float *)(scratch + input_bytes(p));
    for (int i = 0; i < n; i++)
        input_tile(p, j->src, &tiles[i], 0, (size_t)p->s.t * p->s.cin, v + (size_t)i * p->s.t * p->s.cin);
    int panel = (int)(piece % p->pieces_n) * p->panels_of_piece, end = panel + p->panels_of_piece;
    for (; panel < end && panel < p->panels; panel++) {
        multiply_panel(p, kinds, v, j->packed + panel * panel_stride(p->s.cin), sums);
        for (int i = 0; i < n; i++)
            output_tile(j, &tiles[i], panel, sums + (size_t)i * p->s.t * NR);
    }
}

/* ---- weights ------------------------------------------------------------- */

/* 9 taps of VL channels to 36 positions. */
ALWAYS_INLINE void transform_taps(const float taps[9][VL], bool turned, int phase, operand *out, size_t stride)
{
    vf columns[POINTS][3];
    UNROLL for (int x = 0; x < 3; x++)
    {
        vf g[3], c[POINTS];
        UNROLL for (int y = 0; y < 3; y++) g[y] = v_load(taps[turned ? 8 - (y * 3 + x) : y * 3 + x]);
        winograd_weights(g, c);
        UNROLL for (int y = 0; y < POINTS; y++) columns[y][x] = c[y];
    }
    stride = v_opaque(stride);
    UNROLL for (int y = 0; y < POINTS; y++, out += POINTS * stride)
    {
        vf u[POINTS];
        winograd_weights(columns[y], u);
        UNROLL for (int x = 0; x < POINTS; x++) operand_store_column(out + x * stride, phase, u[x]);
    }
}

/* Depths first..end-1 of a panel, to [position][depth][NR]. */
static void pack_depths(const struct pack_job *j, int panel, int first, int end, operand *out)
{
    float taps[GATHER / 9][9][VL];
    size_t stride = weights_stride(j->depth);
    for (int d = first; d < end; d += GATHER / 9)
        for (int lane = 0; lane < NR; lane += VL) {
            int count = end - d < GATHER / 9 ? end - d : GATHER / 9;
            gather_taps(j, panel * NR + lane, d, count, taps[0][0]);
            for (int i = 0; i < count; i++)
                transform_taps(taps[i], j->swapped, (d + i) % KSTEP, out + pack_at((size_t)(d + i), lane), stride);
        }
}

static void pack_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    int blocks = pack_blocks(j->depth), panel = (int)piece / blocks, first = (int)piece % blocks * PACK_DEPTH;
    int end = first + PACK_DEPTH < j->depth ? first + PACK_DEPTH : j->depth;
    pack_depths(j, panel, first, end, j->packed + panel * panel_stride(j->depth));
}

#include "kernels/x86/f32_winograd_once.h"

/* ---- the kernels --------------------------------------------------------- */

/* With a single row of output, Winograd reads four times the weights of the direct kernel and gains nothing. The rule
 * must not depend on the batch size, or the bits of a clip would. */
static bool prefers(const struct eq_conv_shape *s)
{
    return s->oh > TILE || s->ow > TILE || s->t > 1;
}

static size_t forward_packed_bytes(const struct eq_conv_shape *s)
{
    return gemm_panels(s->cout) * panel_stride(s->cin) * sizeof(operand);
}

static size_t forward_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    struct winograd_plan p = plan_forward(s);
    return worker_bytes(&p) * threads;
}

static void forward_pack(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    pack_run(s, weights_oihw, packed, false, pack_piece);
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    struct winograd_job job = {plan_forward(s), src, epi->bias, epi->residual, packed, epi->relu, dst, scratch};
    eq_parallel_for((size_t)job.p.pieces_m * job.p.pieces_n, winograd_piece, &job);
}

static size_t forward_once_bytes(const struct eq_conv_shape *s, int threads)
{
    struct winograd_plan p = plan_forward(s);
    return once_bytes(&p, threads);
}

static void forward_once(const struct eq_conv_shape *s, const float *src, const void *weights_oihw,
                         const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    struct winograd_job job = {plan_forward(s), src, epi->bias, epi->residual, NULL, epi->relu, dst, scratch};
    run_once(&job, pack_job_of(s, weights_oihw, NULL, false));
}

CONV_KERNEL(conv_forward_winograd, .supports = winograd_supports, .packed_bytes = forward_packed_bytes,
            .scratch_bytes = forward_scratch_bytes, .pack = forward_pack, .run.forward = forward, .prefers = prefers,
            .once_bytes = forward_once_bytes, .run_once.forward = forward_once, .products = winograd_products)

static size_t backward_data_packed_bytes(const struct eq_conv_shape *s)
{
    return gemm_panels(s->cin) * panel_stride(s->cout) * sizeof(operand);
}

static size_t backward_data_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    struct winograd_plan p = plan_backward_data(s);
    return worker_bytes(&p) * threads;
}

static void backward_data_pack(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    pack_run(s, weights_oihw, packed, true, pack_piece);
}

static void backward_data(const struct eq_conv_shape *s, const float *diff_dst, const void *packed, float *diff_src,
                          bool accumulate, void *scratch)
{
    const float *old = accumulate ? diff_src : NULL;
    struct winograd_job job = {plan_backward_data(s), diff_dst, NULL, old, packed, false, diff_src, scratch};
    eq_parallel_for((size_t)job.p.pieces_m * job.p.pieces_n, winograd_piece, &job);
}

static size_t backward_data_once_bytes(const struct eq_conv_shape *s, int threads)
{
    struct winograd_plan p = plan_backward_data(s);
    return once_bytes(&p, threads);
}

static void backward_data_once(const struct eq_conv_shape *s, const float *diff_dst, const void *weights_oihw,
                               float *diff_src, bool accumulate, void *scratch)
{
    const float *old = accumulate ? diff_src : NULL;
    struct winograd_job job = {plan_backward_data(s), diff_dst, NULL, old, NULL, false, diff_src, scratch};
    run_once(&job, pack_job_of(s, weights_oihw, NULL, true));
}

static double backward_data_products(const struct eq_conv_shape *s)
{
    return winograd_products_of(s, s->h, s->w);
}

CONV_KERNEL(conv_backward_data_winograd, .supports = winograd_supports, .packed_bytes = backward_data_packed_bytes,
            .scratch_bytes = backward_data_scratch_bytes, .pack = backward_data_pack,
            .run.backward_data = backward_data, .prefers = prefers, .once_bytes = backward_data_once_bytes,
            .run_once.backward_data = backward_data_once, .products = backward_data_products)
