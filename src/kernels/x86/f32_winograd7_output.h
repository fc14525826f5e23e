/*
 * From the sums of a row of tiles to the output of the 7 x 7 convolution: back to pixels, bias, residual, ReLU, and on
 * request max pooling. Included by f32_winograd7_conv_tmpl.h.
 *
 * Pooling is 3 x 3 at stride 2 and padding 1, before the results leave the registers. A tile's 4 x 4 results make 2 x 2
 * pooled ones, with the column before them from the tile on the left (carried along the row) and the row above them
 * from the row of tiles above, which is another piece of work: each piece pools the last of its rows along x and leaves
 * it in edges, and join_piece adds it to the row below when all pieces are done. A maximum is the same in any grouping,
 * so these are the bits of a pooling after the convolution.
 */
#ifndef KERNELS_X86_F32_WINOGRAD7_OUTPUT_H
#define KERNELS_X86_F32_WINOGRAD7_OUTPUT_H

#include "kernels/x86/f32_gemm_tn.h"
#include "kernels/x86/f32_winograd7_input.h"

struct conv7_job {
    struct conv7_plan p;
    const float *src, *packed;
    const struct eq_f32_epilogue *epi;
    float *dst, *scratch, *edges; /* scratch: the workers'; edges: of the pooling */
    bool streams;                 /* dst, when nothing is pooled */
};

static size_t sums_stride(const struct conv7_plan *p) /* floats between positions */
{
    return (size_t)p->lanes * NR + PAD;
}

/* One vector of channels of one tile: the sums at all points, transformed back along y. */
ALWAYS_INLINE void output_columns(const float *sums, size_t stride, vf columns[TILE][POINTS])
{
    const float *rows[POINTS] = {sums};
    stride = v_opaque(stride);
    UNROLL for (int y = 1; y < POINTS; y++) rows[y] = rows[y - 1] + POINTS * stride;
    UNROLL for (int x = 0; x < POINTS; x++)
    {
        vf v[POINTS], c[TILE];
        UNROLL for (int y = 0; y < POINTS; y++) v[y] = v_load(rows[y] + x * stride);
        winograd7_output(v, c);
        UNROLL for (int y = 0; y < TILE; y++) columns[y][x] = c[y];
    }
}

ALWAYS_INLINE void output_vector(const struct conv7_job *j, const float *sums, size_t at, int ny, int nx, vf bias)
{
    const struct eq_conv_shape *s = j->p.s;
    size_t pixel = (size_t)s->t * s->cout;
    vf columns[TILE][POINTS];
    output_columns(sums, sums_stride(&j->p), columns);
    for (int y = 0; y < ny; y++) {
        vf r[TILE];
        winograd7_output(columns[y], r);
        for (int x = 0; x < nx; x++) {
            size_t out = at + ((size_t)y * s->ow + x) * pixel;
            vf value = v_add(r[x], bias);
            if (j->epi->residual)
                value = v_add(value, v_load(j->epi->residual + out));
            value = j->epi->relu ? v_max(v_zero(), value) : value;
            if (j->streams)
                v_stream(j->dst + out, value);
            else
                v_store(j->dst + out, value);
        }
    }
}

static void output_tiles(const struct conv7_job *j, int b, int f, int ty, int panel, const float *sums)
{
    const struct eq_conv_shape *s = j->p.s;
    int first = panel * NR, ny = s->oh - ty * TILE < TILE ? s->oh - ty * TILE : TILE;
    for (int tx = 0; tx < j->p.tiles_x; tx++) {
        int nx = s->ow - tx * TILE < TILE ? s->ow - tx * TILE : TILE;
        size_t at = eq_conv_dst_at(s, b, f, ty * TILE, tx * TILE) + first;
        for (int lane = 0; lane < NR && first + lane < s->cout; lane += VL) {
            vf bias = j->epi->bias ? v_load(j->epi->bias + first + lane) : v_zero();
            output_vector(j, sums + (size_t)tx * NR + lane, at + lane, ny, nx, bias);
        }
    }
}

/* ---- with max pooling ---------------------------------------------------- */

static int pooled(int n)
{
    return (n + 1) / 2;
}

/* [clip][row of tiles][pooled column][frame][channel] */
static size_t edge_row(const struct conv7_plan *p)
{
    return (size_t)pooled(p->s->ow) * p->s->t * p->s->cout;
}

static size_t edges_floats(const struct conv7_plan *p)
{
    return (size_t)p->s->b * p->tiles_y * edge_row(p);
}

/* Where one vector of channels of one tile goes, from its first pooled value on. */
struct pool_target {
    float *upper, *lower, *edge; /* lower: NULL where that row lies outside */
    size_t pixel;                /* floats between columns */
    int columns;                 /* 1 or 2 */
};

/* Row y of a tile pooled along x. Results outside the picture count as -infinity: they never win. */
ALWAYS_INLINE void pool_row(const vf points[POINTS], bool inside, int nx, vf bias, bool relu, vf *left, vf h[2])
{
    vf r[TILE], none = v_set1(-INFINITY);
    winograd7_output(points, r);
    UNROLL for (int x = 0; x < TILE; x++)
    {
        vf value = v_add(r[x], bias);
        value = relu ? v_max(v_zero(), value) : value;
        r[x] = inside && x < nx ? value : none;
    }
    h[0] = v_max_first(v_max_first(*left, r[0]), r[1]);
    h[1] = v_max_first(v_max_first(r[1], r[2]), r[3]);
    *left = r[TILE - 1];
}

/* ny and nx are constants for whole tiles. left: the rows of the column before the tile, replaced by its last. */
ALWAYS_INLINE void pool_vector(const float *sums, size_t stride, int ny, int nx, vf bias, bool relu, vf left[TILE],
                               const struct pool_target *to)
{
    vf columns[TILE][POINTS], rows[TILE][2];
    output_columns(sums, stride, columns);
    UNROLL for (int y = 0; y < TILE; y++) pool_row(columns[y], y < ny, nx, bias, relu, &left[y], rows[y]);
    UNROLL for (int x = 0; x < 2; x++)
    {
        if (x >= to->columns)
            break;
        v_store(to->upper + x * to->pixel, v_max_first(rows[0][x], rows[1][x]));
        if (to->lower)
            v_store(to->lower + x * to->pixel, v_max_first(v_max_first(rows[1][x], rows[2][x]), rows[3][x]));
        v_store(to->edge + x * to->pixel, rows[3][x]);
    }
}

/* One vector of channels along a row of tiles of one frame. */
static void pool_lane(const struct conv7_job *j, int b, int f, int ty, int channel, const float *sums)
{
    const struct eq_conv_shape *s = j->p.s;
    int ny = s->oh - ty * TILE < TILE ? s->oh - ty * TILE : TILE, pw = pooled(s->ow), ph = pooled(s->oh);
    size_t row = edge_row(&j->p), stride = sums_stride(&j->p), at = (size_t)f * s->cout + channel;
    struct pool_target to = {.pixel = (size_t)s->t * s->cout};
    to.upper = j->dst + ((size_t)b * ph + 2 * ty) * row + at;
    to.lower = 2 * ty + 1 < ph ? to.upper + row : NULL;
    to.edge = j->edges + ((size_t)b * j->p.tiles_y + ty) * row + at;
    vf bias = j->epi->bias ? v_load(j->epi->bias + channel) : v_zero(), left[TILE];
    for (int y = 0; y < TILE; y++)
        left[y] = v_set1(-INFINITY);
    for (int tx = 0; tx < j->p.tiles_x; tx++, sums += NR) {
        int nx = s->ow - tx * TILE;
        to.columns = pw - 2 * tx < 2 ? pw - 2 * tx : 2;
        if (ny == TILE && nx >= TILE)
            pool_vector(sums, stride, TILE, TILE, bias, j->epi->relu, left, &to);
        else
            pool_vector(sums, stride, ny, nx, bias, j->epi->relu, left, &to);
        to.upper += 2 * to.pixel;
        to.lower = to.lower ? to.lower + 2 * to.pixel : NULL;
        to.edge += 2 * to.pixel;
    }
}

static void pool_tiles(const struct conv7_job *j, int b, int f, int ty, int panel, const float *sums)
{
    for (int lane = 0; lane < NR && panel * NR + lane < j->p.s->cout; lane += VL)
        pool_lane(j, b, f, ty, panel * NR + lane, sums + lane);
}

/* Adds the row above to the first pooled row of a row of tiles other than the first. */
static void join_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct conv7_job *j = ctx;
    size_t b = piece / (j->p.tiles_y - 1), ty = 1 + piece % (j->p.tiles_y - 1), row = edge_row(&j->p);
    const float *edge = j->edges + (b * j->p.tiles_y + ty - 1) * row;
    float *upper = j->dst + (b * pooled(j->p.s->oh) + 2 * ty) * row;
    for (size_t i = 0; i < row; i += VL)
        v_store(upper + i, v_max_first(v_load(edge + i), v_load(upper + i)));
}

#endif
