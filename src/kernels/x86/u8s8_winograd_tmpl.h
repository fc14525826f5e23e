/*
 * Template: 3 x 3 convolution at stride 1 by Winograd's F(4x4, 3x3) (Lavin & Gray, CVPR 2016) in whole numbers,
 * exact: 36 products instead of 144 for 4 x 4 outputs.
 *
 * The interpolation points are 0, 1, -1, 2, -2 and infinity. The rows of the weights' transform are scaled by 24, and
 * the last one by 12, so that they are whole, and the result is 24 * 24 = 576 times the sum. Source values minus the
 * zero-point are within 255, their transform within 100 * 255 = 25500, the weights' within 144 * 127 = 18288: both are
 * s16, and vi_dot2 takes pairs of those. Sums and the output's transform may wrap:
 * they are kept modulo 2^32, and 576 = 9 * 64 is taken out by the inverse of 9 modulo 2^32 and a shift by 6, which is
 * exact when the convolution's sum fits 26 bits. wino_accepts bounds it.
 *
 * Where 4 does not divide a side, the last tiles make 3 outputs: 14 is 4 + 4 + 3 + 3. A tile of 3 is one of 4 without
 * the point at infinity, which only the fourth output takes part in, so it has 5 points along this side, with the same
 * weights.
 *
 * A piece of work is a few tiles of at most WINO_FRAMES frames and some output channels. It transforms its input into
 * the worker's scratch, then, for each block of channels, multiplies at all 36 points and transforms back. Weights
 * are transformed once at load, or in each call where that would take too much memory.
 */
#ifndef KERNELS_X86_U8S8_WINOGRAD_TMPL_H
#define KERNELS_X86_U8S8_WINOGRAD_TMPL_H

#define EQ_WIDE 1
#define EQ_PEAK eq_u8s8_peak_wide /* of the levels where the direct kernel has another instruction */
#include "kernels/x86/u8s8_vec.h"

#include "kernels/vector/u8s8_tile.h"
#include "kernels/vector/u8s8_winograd_src.h"
#if EQ_VNNI
#include "kernels/vector/u8s8_peak_tmpl.h"
#endif

#include <limits.h>

enum {
    WINO_OUT = 4, /* outputs of a tile along each side */
    WINO_IN = 6,
    WINO_POINTS = WINO_IN * WINO_IN,
    WINO_CLASSES = 4, /* of points: 1 at infinity along x, 2 along y, 3 along both, 0 others */
    WINO_FRAMES = 16,
    WINO_PAD = 64,       /* bytes between the planes of points, lest all of them meet in one set of the cache */
    WINO_LANES = 2 * VL, /* s16 lanes of a vector */
    WINO_GROUP_BYTES = 300 << 10, /* transformed input of a piece: half of a small second-level cache */
    WINO_GROUP_OC = 128,          /* output channels of a piece, at least */
    WINO_PAIR = BLOCK * 2,        /* a block's weights for two input channels */
    WINO_LATE_BYTES = 8 << 20,    /* larger transformed weights are computed in each call, */
    WINO_LATE_PAIRS = 512 / VL    /* this many pairs of input channels at a time */
};
#define WINO_INVERSE_OF_9 0x38e38e39 /* 9 * 0x38e38e39 = 2^33 + 1 */

struct wino_plan {
    int tiles_x, tiles, group, groups, frame_groups, oc_groups; /* group: tiles of a piece */
    int whole_x, whole_y;                                       /* tiles of 4 outputs along a side; the others: 3 */
    int blocks, group_blocks;                                   /* of output channels: all, and a piece's */
    size_t v_plane, m_plane;                                    /* bytes of a point's input and sums */
};

static int wino_whole_tiles(int side)
{
    int tiles = (side + WINO_OUT - 1) / WINO_OUT, lacking = tiles * WINO_OUT - side;
    return lacking < tiles ? tiles - lacking : 0;
}

static struct wino_plan wino_plan_of(const struct eq_conv_shape *s)
{
    struct wino_plan p = {.tiles_x = (s->ow + WINO_OUT - 1) / WINO_OUT};
    const int frames = s->t < WINO_FRAMES ? s->t : WINO_FRAMES;
    const int tile_bytes = WINO_POINTS * frames * s->cin * 2;
    p.tiles = p.tiles_x * ((s->oh + WINO_OUT - 1) / WINO_OUT);
    p.whole_x = wino_whole_tiles(s->ow);
    p.whole_y = wino_whole_tiles(s->oh);
    p.group = tile_bytes < WINO_GROUP_BYTES ? WINO_GROUP_BYTES / tile_bytes : 1;
    if (p.group > (p.tiles + 7) / 8) /* enough pieces for some threads */
        p.group = (p.tiles + 7) / 8;
    p.groups = (p.tiles + p.group - 1) / p.group;
    p.frame_groups = (s->t + WINO_FRAMES - 1) / WINO_FRAMES;
    p.blocks = s->cout / BLOCK;
    p.group_blocks = p.groups >= 8 || s->cout <= WINO_GROUP_OC ? p.blocks : WINO_GROUP_OC / BLOCK;
    p.oc_groups = (p.blocks + p.group_blocks - 1) / p.group_blocks;
    p.v_plane = (size_t)p.group * frames * s->cin * 2 + WINO_PAD;
    p.m_plane = (size_t)p.group * frames * BLOCK * 4 + WINO_PAD;
    return p;
}

static bool wino_supports(const struct eq_conv_shape *s)
{
    return s->k == 3 && s->stride == 1 && s->pad <= 2 && s->src_layout == EQ_LAYOUT_PIXEL && s->cin % WINO_LANES == 0 &&
           s->cin <= 4096 && s->cout % BLOCK == 0;
}

/* The greatest and the least possible sum of a channel must fit 26 bits. */
static bool wino_accepts(const struct eq_conv_shape *s, const int8_t *weights_oihw, int src_zp)
{
    const int n = s->cin * 9;
    for (int oc = 0; oc < s->cout; oc++, weights_oihw += n) {
        int64_t above = 0, below = 0;
        for (int i = 0; i < n; i++) {
            above += weights_oihw[i] > 0 ? weights_oihw[i] : 0;
            below -= weights_oihw[i] < 0 ? weights_oihw[i] : 0;
        }
        int64_t most = (255 - src_zp) * above + src_zp * below, least = -(255 - src_zp) * below - src_zp * above;
        if (most >= 1 << 25 || least < -(1 << 25))
            return false;
    }
    return true;
}

static size_t wino_points_bytes(const struct eq_conv_shape *s)
{
    return (size_t)WINO_POINTS * s->cin * s->cout * 2;
}

/* Whether weights stay 9 bytes until they are needed. Reading the 72 transformed bytes from memory, to use them for few
 * rows, would take longer than computing them. */
static bool wino_late(const struct eq_conv_shape *s)
{
    return wino_points_bytes(s) > WINO_LATE_BYTES;
}

static size_t wino_packed_bytes(const struct eq_conv_shape *s)
{
    return wino_late(s) ? (size_t)9 * s->cin * s->cout : wino_points_bytes(s);
}

/* Bytes between the points of the weights in scratch. */
enum { WINO_LATE_PLANE = WINO_LATE_PAIRS * WINO_PAIR * 2 + WINO_PAD };

static size_t wino_worker_bytes(const struct eq_conv_shape *s)
{
    struct wino_plan p = wino_plan_of(s);
    return WINO_POINTS * (p.v_plane + p.m_plane + (wino_late(s) ? WINO_LATE_PLANE : 0));
}

static size_t wino_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    return wino_worker_bytes(s) * threads;
}

/* Three weights of a line to six points, times 24 (the last: 12). */
ALWAYS_INLINE void wino_weight_line(vi g0, vi g1, vi g2, vi p[WINO_IN])
{
    vi even = vi_add16(g0, g2), quad = vi_add16(g0, vi_shl16(g2, 2)), twice = vi_shl16(g1, 1);
    p[0] = vi_shl16(vi_add16(g0, vi_shl16(g0, 1)), 1);
    p[1] = vi_shl16(vi_sub16(vi_zero(), vi_add16(even, g1)), 2);
    p[2] = vi_shl16(vi_sub16(g1, even), 2);
    p[3] = vi_add16(quad, twice);
    p[4] = vi_sub16(quad, twice);
    p[5] = vi_shl16(vi_add16(g2, vi_shl16(g2, 1)), 2);
}

/* g: [9][WINO_PAIR]; u: the pair's place in the first point's plane. */
static void wino_weight_points(const int8_t *g, uint8_t *u, size_t plane)
{
    for (int half = 0; half < WINO_PAIR; half += WINO_LANES) {
        vi lines[3][WINO_IN];
#pragma GCC unroll 3
        for (int x = 0; x < 3; x++)
            wino_weight_line(vi_widen_s8(g + x * WINO_PAIR + half), vi_widen_s8(g + (3 + x) * WINO_PAIR + half),
                             vi_widen_s8(g + (6 + x) * WINO_PAIR + half), lines[x]);
        for (int y = 0; y < WINO_IN; y++) {
            vi p[WINO_IN];
            wino_weight_line(lines[0][y], lines[1][y], lines[2][y], p);
#pragma GCC unroll 6
            for (int x = 0; x < WINO_IN; x++)
                vi_store(u + (y * WINO_IN + x) * plane + half * 2, p[x]);
        }
    }
}

struct wino_pack_job {
    const struct eq_conv_shape *s;
    const int8_t *weights;
    uint8_t *packed;
};

/* One block of output channels: [point][pair of input channels][WINO_PAIR] s16, or [pair][9][WINO_PAIR] s8. */
static void wino_pack_block(void *ctx, size_t block, int worker)
{
    (void)worker;
    const struct wino_pack_job *j = ctx;
    const int cin = j->s->cin, pairs = cin / 2;
    const size_t plane = (size_t)pairs * WINO_PAIR * 2;
    uint8_t *out = j->packed + block * (wino_late(j->s) ? (size_t)pairs * 9 * WINO_PAIR : WINO_POINTS * plane);
    for (int pair = 0; pair < pairs; pair++) {
        int8_t g[9 * WINO_PAIR];
        for (int i = 0; i < WINO_PAIR; i++)
            for (int tap = 0; tap < 9; tap++)
                g[tap * WINO_PAIR + i] = j->weights[((block * BLOCK + i / 2) * cin + 2 * pair + i % 2) * 9 + tap];
        if (wino_late(j->s))
            memcpy(out + (size_t)pair * sizeof g, g, sizeof g);
        else
            wino_weight_points(g, out + (size_t)pair * WINO_PAIR * 2, plane);
    }
}

static void wino_pack(const struct eq_conv_shape *s, const int8_t *weights_oihw, int src_zp, void *packed)
{
    (void)src_zp;
    struct wino_pack_job job = {s, weights_oihw, packed};
    eq_parallel_for((size_t)s->cout / BLOCK, wino_pack_block, &job);
}

struct wino_job {
    const struct eq_conv_shape *s;
    struct wino_plan plan;
    const uint8_t *src;
    int src_zp;
    const uint8_t *weights;
    const struct eq_u8s8_epilogue *epi;
    uint8_t *dst, *scratch;
};

/* A tile's place: clip, first output row and column, first frame and number of frames; outputs along each side. */
struct wino_tile {
    int b, y, x, f, frames, ny, nx;
};

static int wino_class(int point)
{
    return (point % WINO_IN == WINO_IN - 1) + 2 * (point / WINO_IN == WINO_IN - 1);
}

/* rows[class]: those of a tile's frames in the planes of the points that it has. */
static void wino_add_rows(const struct wino_tile *t, int rows[WINO_CLASSES])
{
    for (int c = 0; c < WINO_CLASSES; c++)
        if ((t->nx == WINO_OUT || !(c & 1)) && (t->ny == WINO_OUT || !(c & 2)))
            rows[c] += t->frames;
}

static struct wino_tile wino_tile_at(const struct wino_job *j, int b, int tile, int frame_group)
{
    const int f = frame_group * WINO_FRAMES, left = j->s->t - f;
    const int y = tile / j->plan.tiles_x, x = tile % j->plan.tiles_x, narrow_y = y - j->plan.whole_y,
              narrow_x = x - j->plan.whole_x;
    return (struct wino_tile){.b = b,
                              .y = y * WINO_OUT - (narrow_y > 0 ? narrow_y : 0),
                              .x = x * WINO_OUT - (narrow_x > 0 ? narrow_x : 0),
                              .f = f,
                              .frames = left < WINO_FRAMES ? left : WINO_FRAMES,
                              .ny = narrow_y < 0 ? WINO_OUT : WINO_OUT - 1,
                              .nx = narrow_x < 0 ? WINO_OUT : WINO_OUT - 1};
}

/* ---- source to points ---------------------------------------------------- */

/* WINO_LANES values at an offset into a tile's pixels (NULL: padding) to as many points, iny x inx. v[class]: where
 * they would go in the first point's plane. The zero-point adds to the point (1, 1) only, 6 * 6 times. */
ALWAYS_INLINE void wino_src_points(const uint8_t *const px[WINO_POINTS], size_t at, int iny, int inx, vi zp, vi zp36,
                                   uint8_t *const v[WINO_CLASSES], size_t plane)
{
    vi lines[WINO_IN][WINO_IN];
    for (int y = 0; y < iny; y++) {
        vi d[WINO_IN];
#pragma GCC unroll 6
        for (int x = 0; x < WINO_IN; x++) {
            const uint8_t *p = px[y * WINO_IN + x];
            d[x] = p ? vi_widen_u8(p + at) : zp;
        }
        winograd_src_line(d, lines[y], true);
    }
    for (int x = 0; x < inx; x++) {
        uint8_t *near = v[x == WINO_IN - 1] + x * plane, *far = v[2 + (x == WINO_IN - 1)] + x * plane;
        vi d[WINO_IN], out[WINO_IN];
#pragma GCC unroll 5
        for (int y = 0; y < WINO_IN - 1; y++)
            d[y] = lines[y][x];
        d[WINO_IN - 1] = iny == WINO_IN ? lines[WINO_IN - 1][x] : vi_zero();
        winograd_src_line(d, out, true);
        if (x == 1)
            out[1] = vi_sub16(out[1], zp36);
#pragma GCC unroll 5
        for (int y = 0; y < WINO_IN - 1; y++)
            vi_store(near + y * WINO_IN * plane, out[y]);
        if (iny == WINO_IN)
            vi_store(far + (WINO_IN - 1) * WINO_IN * plane, out[WINO_IN - 1]);
    }
}

/* A tile's frames x channels as rows of its points' planes, after rows[class] others. */
static void wino_transform_src(const struct wino_job *j, const struct wino_tile *t, const int rows[WINO_CLASSES],
                               uint8_t *v)
{
    const struct eq_conv_shape *s = j->s;
    const uint8_t *px[WINO_POINTS];
    uint8_t *to[WINO_CLASSES];
    for (int i = 0; i < WINO_POINTS; i++) {
        int y = t->y - s->pad + i / WINO_IN, x = t->x - s->pad + i % WINO_IN;
        bool inside = y >= 0 && y < s->h && x >= 0 && x < s->w;
        px[i] = inside ? j->src + ((((size_t)t->b * s->h + y) * s->w + x) * s->t + t->f) * s->cin : NULL;
    }
    const vi zp = vi_set1_16(j->src_zp), zp36 = vi_set1_16(36 * j->src_zp);
    const size_t n = (size_t)t->frames * s->cin;
    for (int c = 0; c < WINO_CLASSES; c++)
        to[c] = v + (size_t)rows[c] * s->cin * 2;
    for (size_t at = 0; at < n; at += WINO_LANES) {
        wino_src_points(px, at, t->ny + 2, t->nx + 2, zp, zp36, to, j->plan.v_plane);
        for (int c = 0; c < WINO_CLASSES; c++)
            to[c] += WINO_LANES * 2;
    }
}

/* ---- products ------------------------------------------------------------ */

/* so_far: the sums to add to; NULL: none. */
ALWAYS_INLINE void wino_product(const int R, const struct tile_src *src, const struct tile_epilogue *e,
                                const uint8_t *so_far, uint8_t *dst, ptrdiff_t dst_stride)
{
    static const int32_t zero[BLOCK];
    (void)e;
    vi acc[MAX_R][2];
    tile_fill(R, acc, zero);
    if (so_far) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            acc[r][0] = vi_load(so_far + r * dst_stride);
            acc[r][1] = vi_load(so_far + r * dst_stride + VL * 4);
        }
    }
    tile_sums(R, 4, 2, acc, src);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        vi_store(dst + r * dst_stride, acc[r][0]);
        vi_store(dst + r * dst_stride + VL * 4, acc[r][1]);
    }
}
TILE_FNS(wino_product)

/* All points, over pairs first..first+pairs-1 of input channels; u: their weights, next: those of the next call. */
static void wino_multiply_pairs(const struct wino_job *j, const int rows[WINO_CLASSES], int first, int pairs,
                                const uint8_t *u, size_t u_plane, const uint8_t *next, const uint8_t *v, uint8_t *m)
{
    const size_t bytes = (size_t)pairs * WINO_PAIR * 2;
    for (int p = 0, after; p < WINO_POINTS; p = after) {
        const int now = rows[wino_class(p)];
        for (after = p + 1; after < WINO_POINTS && !rows[wino_class(after)];)
            after++;
        uint8_t *sums = m + p * j->plan.m_plane;
        struct tile_src src = {.rows = v + p * j->plan.v_plane + (size_t)first * 4,
                               .row_stride = (ptrdiff_t)j->s->cin * 2,
                               .weights = u + p * u_plane,
                               .kys = 1,
                               .kxs = 1,
                               .steps = pairs};
        tile_ahead(&src, after < WINO_POINTS ? u + after * u_plane : next, bytes, (now + MAX_R - 1) / MAX_R, 4);
        tile_rows(wino_product_fns, now, BLOCK, &src, NULL, first ? sums : NULL, sums, BLOCK * 4);
    }
}

static void wino_multiply(const struct wino_job *j, int block, const int rows[WINO_CLASSES], const uint8_t *v,
                          uint8_t *m, uint8_t *u)
{
    const int pairs = j->s->cin / 2;
    if (!wino_late(j->s)) {
        const size_t plane = (size_t)pairs * WINO_PAIR * 2;
        const int next = (block + 1) % j->plan.blocks; /* another piece begins with the first block again */
        wino_multiply_pairs(j, rows, 0, pairs, j->weights + block * WINO_POINTS * plane, plane,
                            j->weights + next * WINO_POINTS * plane, v, m);
        return;
    }
    const int8_t *g = (const int8_t *)j->weights + (size_t)block * pairs * 9 * WINO_PAIR;
    for (int first = 0; first < pairs; first += WINO_LATE_PAIRS) {
        int now = pairs - first < WINO_LATE_PAIRS ? pairs - first : WINO_LATE_PAIRS;
        for (int i = 0; i < now; i++, g += 9 * WINO_PAIR)
            wino_weight_points(g, u + (size_t)i * WINO_PAIR * 2, WINO_LATE_PLANE);
        wino_multiply_pairs(j, rows, first, now, u, WINO_LATE_PLANE, u, v, m);
    }
}

/* ---- points to outputs --------------------------------------------------- */

ALWAYS_INLINE void wino_dst_line(const vi m[WINO_IN], vi y[WINO_OUT])
{
    vi s12 = vi_add(m[1], m[2]), d12 = vi_sub(m[1], m[2]), s34 = vi_add(m[3], m[4]), d34 = vi_sub(m[3], m[4]);
    y[0] = vi_add(vi_add(m[0], s12), s34);
    y[1] = vi_add(d12, vi_add(d34, d34));
    y[2] = vi_add(s12, vi_shl(s34, 2));
    y[3] = vi_add(vi_add(d12, vi_shl(d34, 3)), vi_add(m[5], m[5]));
}

/* The first half of the outputs' transform, for VL channels: each of nx + 2 columns of points to a column of ny lines.
 * m[class]: where the tile's sums start in the first point's plane. Only few registers hold addresses: 36 of them,
 * which is what the compiler would set up, go through memory. */
ALWAYS_INLINE void wino_dst_columns(const uint8_t *const m[WINO_CLASSES], const int ny, const int nx, ptrdiff_t plane,
                                    vi lines[WINO_OUT][WINO_IN])
{
    const ptrdiff_t row = WINO_IN * plane, row3 = 3 * row, row5 = 5 * row;
#pragma GCC unroll 6
    for (int x = 0; x < WINO_IN; x++) {
        const uint8_t *near = m[x == WINO_IN - 1] + x * plane, *far = m[2 + (x == WINO_IN - 1)] + x * plane;
        vi y[WINO_OUT] = {vi_zero(), vi_zero(), vi_zero(), vi_zero()};
        __asm__("" : "+r"(near));
        if (x < nx + 2) {
            const vi d[WINO_IN] = {vi_load(near),           vi_load(near + row),
                                   vi_load(near + 2 * row), vi_load(near + row3),
                                   vi_load(near + 4 * row), ny == WINO_OUT ? vi_load(far + row5) : vi_zero()};
            wino_dst_line(d, y);
        }
#pragma GCC unroll 4
        for (int i = 0; i < WINO_OUT; i++)
            lines[i][x] = y[i];
    }
}

/* One block of channels of a tile's frames; rows[class]: where their sums start in the planes of m. ny and nx are those
 * of the tile. A line of outputs is stored as soon as it is complete. */
ALWAYS_INLINE void wino_transform_dst(const struct wino_job *j, const struct wino_tile *t, const int ny, const int nx,
                                      const struct tile_epilogue *e, int oc, const int rows[WINO_CLASSES],
                                      const uint8_t *m, const uint8_t *residual)
{
    const struct eq_conv_shape *s = j->s;
    const int lines_left = s->oh - t->y, columns_left = s->ow - t->x; /* a map of 1, 2 or 5 is less than its tiles */
    const uint8_t *from[WINO_CLASSES];
    const size_t pixel = (size_t)s->t * s->cout, line = pixel * s->ow;
    const ptrdiff_t plane = (ptrdiff_t)j->plan.m_plane;
    const struct requant q = requant_of(j->epi);
    const vi inverse = vi_set1(WINO_INVERSE_OF_9);
    for (int k = 0; k < WINO_CLASSES; k++)
        from[k] = m + (size_t)rows[k] * BLOCK * 4;
    for (int i = 0; i < 2 * t->frames; i++) {
        const int c = i % 2 * VL;
        size_t at = ((((size_t)t->b * s->oh + t->y) * s->ow + t->x) * s->t + t->f + i / 2) * s->cout + oc + c;
        const vf scale = v_load(e->m + c), bias = v_load(e->b + c);
        vi lines[WINO_OUT][WINO_IN];
        wino_dst_columns(from, ny, nx, plane, lines);
        for (int k = 0; k < WINO_CLASSES; k++)
            from[k] += VL * 4;
#pragma GCC unroll 4
        for (int y = 0; y < ny; y++, at += line) {
            vi sums[WINO_OUT];
            if (y >= lines_left)
                break;
            wino_dst_line(lines[y], sums);
#pragma GCC unroll 4
            for (int x = 0; x < nx; x++) {
                const size_t d = at + x * pixel;
                if (x >= columns_left)
                    break;
                vi acc = vi_sra(vi_mul(sums[x], inverse), 6);
                vi_store_u8(j->dst + d, requantize(acc, scale, bias, q, residual ? residual + d : NULL));
            }
        }
    }
}

/* ny and nx as constants. */
ALWAYS_INLINE void wino_finish(const struct wino_job *j, const struct wino_tile *t, const struct tile_epilogue *e,
                               int oc, const int rows[WINO_CLASSES], const uint8_t *m, const uint8_t *residual)
{
    if (t->ny == WINO_OUT && t->nx == WINO_OUT)
        wino_transform_dst(j, t, WINO_OUT, WINO_OUT, e, oc, rows, m, residual);
    else if (t->ny == WINO_OUT)
        wino_transform_dst(j, t, WINO_OUT, WINO_OUT - 1, e, oc, rows, m, residual);
    else if (t->nx == WINO_OUT)
        wino_transform_dst(j, t, WINO_OUT - 1, WINO_OUT, e, oc, rows, m, residual);
    else
        wino_transform_dst(j, t, WINO_OUT - 1, WINO_OUT - 1, e, oc, rows, m, residual);
}

static void wino_piece(void *ctx, size_t piece, int worker)
{
    const struct wino_job *j = ctx;
    const struct wino_plan *p = &j->plan;
    const int oc_group = (int)(piece % p->oc_groups), frame_group = (int)(piece / p->oc_groups % p->frame_groups);
    const int group = (int)(piece / p->oc_groups / p->frame_groups % p->groups);
    const int b = (int)(piece / p->oc_groups / p->frame_groups / p->groups);
    const int first = group * p->group, last = first + p->group < p->tiles ? first + p->group : p->tiles;
    uint8_t *v = j->scratch + worker * wino_worker_bytes(j->s), *m = v + WINO_POINTS * p->v_plane;
    uint8_t *u = m + WINO_POINTS * p->m_plane; /* when late */
    int rows[WINO_CLASSES] = {0};
    for (int tile = first; tile < last; tile++) {
        struct wino_tile t = wino_tile_at(j, b, tile, frame_group);
        wino_transform_src(j, &t, rows, v);
        wino_add_rows(&t, rows);
    }
    const int block_end = (oc_group + 1) * p->group_blocks < p->blocks ? (oc_group + 1) * p->group_blocks : p->blocks;
    for (int block = oc_group * p->group_blocks; block < block_end; block++) {
        struct tile_epilogue e;
        tile_epilogue_init(&e, j->epi, block * BLOCK, BLOCK);
        wino_multiply(j, block, rows, v, m, u);
        int row[WINO_CLASSES] = {0};
        for (int tile = first; tile < last; tile++) {
            struct wino_tile t = wino_tile_at(j, b, tile, frame_group);
            if (j->epi->residual)
                wino_finish(j, &t, &e, block * BLOCK, row, m, j->epi->residual);
            else
                wino_finish(j, &t, &e, block * BLOCK, row, m, NULL);
            wino_add_rows(&t, row);
        }
    }
}

static void wino_run(const struct eq_conv_shape *s, const uint8_t *src, int src_zp, const void *packed,
                     const struct eq_u8s8_epilogue *epi, uint8_t *dst, void *scratch)
{
    struct wino_job job = {s, wino_plan_of(s), src, src_zp, packed, epi, dst, scratch};
    eq_parallel_for((size_t)s->b * job.plan.groups * job.plan.frame_groups * job.plan.oc_groups, wino_piece, &job);
}

static double wino_products(const struct eq_conv_shape *s)
{
    const int tiles_y = (s->oh + WINO_OUT - 1) / WINO_OUT, tiles_x = (s->ow + WINO_OUT - 1) / WINO_OUT;
    const int y = tiles_y * (WINO_IN - 1) + wino_whole_tiles(s->oh),
              x = tiles_x * (WINO_IN - 1) + wino_whole_tiles(s->ow);
    return (double)y * x * s->b * s->t * s->cin * s->cout;
}

/* Where it beats the direct kernel: not where most of a tile would lie outside the picture. With VNNI, vpdpbusd does
 * twice as many products as vpdpwssd, so half of Winograd's gain remains. With 256 bits that pays for the transforms
 * and for reading eight times as many bytes of weights, unless a map is a tile or two. With 512 bits it does not pay
 * for reading many weights. */
#if defined(__AVX512VNNI__)
enum { WINO_MOST_CHANNELS = 128, WINO_LEAST_SIDE = 8 };
#elif EQ_VNNI
enum { WINO_MOST_CHANNELS = 256, WINO_LEAST_SIDE = 6 };
#else
enum { WINO_MOST_CHANNELS = INT_MAX, WINO_LEAST_SIDE = 3 };
#endif

static bool wino_prefers(const struct eq_conv_shape *s)
{
    return s->cin <= WINO_MOST_CHANNELS && s->cout <= WINO_MOST_CHANNELS && s->oh >= WINO_LEAST_SIDE &&
           s->ow >= WINO_LEAST_SIDE;
}

ISA_KERNEL(u8s8_conv_winograd, .supports = wino_supports, .prefers = wino_prefers, .accepts = wino_accepts,
           .packed_bytes = wino_packed_bytes, .scratch_bytes = wino_scratch_bytes, .pack_s8 = wino_pack,
           .run.u8s8 = wino_run, .instruction = EQ_DOT, .products = wino_products)

#endif
