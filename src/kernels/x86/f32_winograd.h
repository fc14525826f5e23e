/*
 * Winograd's transforms for 3 x 3 kernels, F(4x4, 3x3) and F(3x3, 3x3), as Toom-Cook evaluation at the points
 * 0, a, -a, infinity, b, -b (Lavin & Gray 2016). a = 3/4 and b = 3/2 keep the rounding error within twice that of the
 * direct sum, where Lavin's 1 and 2 give four times (measured in test_f32_winograd_error; on the choice of points see
 * Barabasz et al. 2020).
 *
 * A tile of 3 uses the first five points only. Its interpolation lacks a factor p + b at each finite point p; the input
 * transform supplies it, so that both kinds of tile share one set of transformed weights. A 7 x 7 map is cut 4 + 3 and
 * takes 121 products a channel instead of 144.
 *
 * Each function works on one axis; m, the tile's size, is a constant wherever it is inlined.
 */
#ifndef KERNELS_X86_F32_WINOGRAD_H
#define KERNELS_X86_F32_WINOGRAD_H

#include "kernels/conv.h"
#include "kernels/x86/vec.h"

enum { TILE = 4, POINTS = TILE + 2, POSITIONS = POINTS * POINTS };

#define WA 0.75f
#define WB 1.5f
#define WA2 (WA * WA)
#define WB2 (WB * WB)

/* m + 2 inputs to as many points: B^T d. */
ALWAYS_INLINE void winograd_input(const int m, const vf d[POINTS], vf v[POINTS])
{
    const vf a = v_set1(WA), b = v_set1(WB), a2 = v_set1(WA2), b2 = v_set1(WB2);
    if (m == 4) {
        const vf sum = v_set1(WA2 + WB2), product = v_set1(WA2 * WB2);
        vf even_a = v_fnma(b2, d[2], d[4]), odd_a = v_fnma(b2, d[1], d[3]);
        vf even_b = v_fnma(a2, d[2], d[4]), odd_b = v_fnma(a2, d[1], d[3]);
        v[0] = v_fma(product, d[0], v_fnma(sum, d[2], d[4]));
        v[1] = v_fma(a, odd_a, even_a);
        v[2] = v_fnma(a, odd_a, even_a);
        v[3] = v_fma(product, d[1], v_fnma(sum, d[3], d[5]));
        v[4] = v_fma(b, odd_b, even_b);
        v[5] = v_fnma(b, odd_b, even_b);
    } else {
        /* e: d times (x - b); the factors p + b are b, b + a, b - a and 2 b */
        vf e0 = v_fnma(b, d[0], d[1]), e1 = v_fnma(b, d[1], d[2]);
        vf e2 = v_fnma(b, d[2], d[3]), e3 = v_fnma(b, d[3], d[4]);
        v[0] = v_mul(b, v_fnma(a2, e0, e2));
        v[1] = v_mul(v_set1(WB + WA), v_fma(a, e1, e2));
        v[2] = v_mul(v_set1(WB - WA), v_fnma(a, e1, e2));
        v[3] = v_fnma(a2, e1, e3);
        v[4] = v_mul(v_set1(2 * WB), v_fnma(a2, d[1], d[3]));
    }
}

/* Sums at m + 2 points to m outputs: A^T v. */
ALWAYS_INLINE void winograd_output(const int m, const vf v[POINTS], vf y[TILE])
{
    const vf a = v_set1(WA), b = v_set1(WB), a2 = v_set1(WA2), b2 = v_set1(WB2);
    vf even_a = v_add(v[1], v[2]), odd_a = v_sub(v[1], v[2]);
    if (m == 4) {
        vf even_b = v_add(v[4], v[5]), odd_b = v_sub(v[4], v[5]);
        y[0] = v_add(v_add(v[0], even_a), even_b);
        y[1] = v_fma(b, odd_b, v_mul(a, odd_a));
        y[2] = v_fma(b2, even_b, v_mul(a2, even_a));
        y[3] = v_fma(v_set1(WB2 * WB), odd_b, v_fma(v_set1(WA2 * WA), odd_a, v[3]));
    } else {
        y[0] = v_add(v_add(v[0], even_a), v[4]);
        y[1] = v_fma(b, v[4], v_mul(a, odd_a));
        y[2] = v_fma(b2, v[4], v_fma(a2, even_a, v[3]));
    }
}

/* The adjoint of winograd_output: m gradients to m + 2 points, A y. */
ALWAYS_INLINE void winograd_diff(const int m, const vf y[TILE], vf v[POINTS])
{
    const vf a = v_set1(WA), b = v_set1(WB), a2 = v_set1(WA2), b2 = v_set1(WB2);
    v[0] = y[0];
    v[3] = y[m - 1];
    vf even_a = v_fma(a2, y[2], y[0]), even_b = v_fma(b2, y[2], y[0]);
    if (m == 4) {
        vf odd_a = v_fma(a2, y[3], y[1]), odd_b = v_fma(b2, y[3], y[1]);
        v[1] = v_fma(a, odd_a, even_a);
        v[2] = v_fnma(a, odd_a, even_a);
        v[4] = v_fma(b, odd_b, even_b);
        v[5] = v_fnma(b, odd_b, even_b);
    } else {
        v[1] = v_fma(a, y[1], even_a);
        v[2] = v_fnma(a, y[1], even_a);
        v[4] = v_fma(b, y[1], even_b);
    }
}

/* The divisors of the interpolation: the product of the differences to all other finite points. */
#define WN0 (1.0f / (WA2 * WB2))
#define WNA (1.0f / (2 * WA2 * (WA2 - WB2)))
#define WNB (1.0f / (2 * WB2 * (WB2 - WA2)))

/* 3 weights to 6 points: G g. */
ALWAYS_INLINE void winograd_weights(const vf g[3], vf u[POINTS])
{
    vf even_a = v_fma(v_set1(WA2), g[2], g[0]), even_b = v_fma(v_set1(WB2), g[2], g[0]);
    u[0] = v_mul(v_set1(WN0), g[0]);
    u[1] = v_mul(v_set1(WNA), v_fma(v_set1(WA), g[1], even_a));
    u[2] = v_mul(v_set1(WNA), v_fnma(v_set1(WA), g[1], even_a));
    u[3] = g[2];
    u[4] = v_mul(v_set1(WNB), v_fma(v_set1(WB), g[1], even_b));
    u[5] = v_mul(v_set1(WNB), v_fnma(v_set1(WB), g[1], even_b));
}

/* The adjoint of winograd_weights: sums at 6 points to the gradients of 3 weights, G^T u. */
ALWAYS_INLINE void winograd_diff_weights(const vf u[POINTS], vf g[3])
{
    vf even_a = v_mul(v_set1(WNA), v_add(u[1], u[2])), odd_a = v_mul(v_set1(WNA), v_sub(u[1], u[2]));
    vf even_b = v_mul(v_set1(WNB), v_add(u[4], u[5])), odd_b = v_mul(v_set1(WNB), v_sub(u[4], u[5]));
    g[0] = v_fma(v_set1(WN0), u[0], v_add(even_a, even_b));
    g[1] = v_fma(v_set1(WB), odd_b, v_mul(v_set1(WA), odd_a));
    g[2] = v_fma(v_set1(WB2), even_b, v_fma(v_set1(WA2), even_a, u[3]));
}

/* ---- how a map is cut ---------------------------------------------------- */

/* The tiles along an axis of n outputs: the last n3 have 3 outputs, all others 4. */
struct winograd_axis {
    int n, tiles, n3;
};

static inline struct winograd_axis winograd_cut(int n)
{
    int tiles = (n + TILE - 1) / TILE, spare = tiles * TILE - n;
    return (struct winograd_axis){n, tiles, spare < tiles ? spare : tiles};
}

static inline int winograd_size(const struct winograd_axis *axis, int tile)
{
    return tile < axis->tiles - axis->n3 ? TILE : TILE - 1;
}

static inline int winograd_start(const struct winograd_axis *axis, int tile)
{
    int fours = axis->tiles - axis->n3;
    return tile < fours ? tile * TILE : fours * TILE + (tile - fours) * (TILE - 1);
}

/* Products of s when its maps of oh x ow values are cut into tiles. */
static inline double winograd_products_of(const struct eq_conv_shape *s, int oh, int ow)
{
    struct winograd_axis ay = winograd_cut(oh), ax = winograd_cut(ow);
    return (double)s->b * s->t * s->cin * s->cout * (oh + 2.0 * ay.tiles) * (ow + 2.0 * ax.tiles);
}

/* Forward, and backward by weights. */
static inline double winograd_products(const struct eq_conv_shape *s)
{
    return winograd_products_of(s, s->oh, s->ow);
}

/* Channels in whole vectors of the widest level; others are left to the direct kernels. */
static inline bool winograd_supports(const struct eq_conv_shape *s)
{
    return s->k == 3 && s->stride == 1 && s->pad <= 2 && s->src_layout == EQ_LAYOUT_PIXEL && s->cin % 16 == 0 &&
           s->cout % 16 == 0;
}

/* A tile: clip, first output pixel, size. */
struct winograd_tile {
    int b, y, x, my, mx;
};

/* Calls fn with the tile's size as constants in front. */
#define WINOGRAD_BY_SIZE(tile, fn, ...)                                                                                \
    do {                                                                                                               \
        if ((tile)->my == 4 && (tile)->mx == 4)                                                                        \
            fn(4, 4, __VA_ARGS__);                                                                                     \
        else if ((tile)->my == 4)                                                                                      \
            fn(4, 3, __VA_ARGS__);                                                                                     \
        else if ((tile)->mx == 4)                                                                                      \
            fn(3, 4, __VA_ARGS__);                                                                                     \
        else                                                                                                           \
            fn(3, 3, __VA_ARGS__);                                                                                     \
    } while (0)

/* The order of the kinds of tile in a piece: those that use position (5, x) stand together, and so do those that use
 * (y, 5). */
static inline int winograd_kind(const struct winograd_tile *t)
{
    return t->my == 4 ? (t->mx == 4 ? 1 : 0) : (t->mx == 4 ? 2 : 3);
}

/* Tiles first..end-1 in order of kind, and the number of each kind. Returns the total. */
static inline int winograd_list(const struct winograd_axis *ay, const struct winograd_axis *ax, int first, int end,
                                struct winograd_tile *tiles, int kinds[4])
{
    int n = 0;
    for (int kind = 0; kind < 4; kind++) {
        int before = n;
        for (int i = first; i < end; i++) {
            int tx = i % ax->tiles, ty = i / ax->tiles % ay->tiles;
            struct winograd_tile tile = {.b = i / ax->tiles / ay->tiles,
                                         .y = winograd_start(ay, ty),
                                         .x = winograd_start(ax, tx),
                                         .my = winograd_size(ay, ty),
                                         .mx = winograd_size(ax, tx)};
            if (winograd_kind(&tile) == kind)
                tiles[n++] = tile;
        }
        kinds[kind] = n - before;
    }
    return n;
}

/* The rows lo..hi-1 of a piece, in tiles, that take part at position (py, px), from the number of each kind. */
struct winograd_rows {
    int lo, hi;
};

static inline struct winograd_rows winograd_rows_of(const int kinds[4], int py, int px)
{
    int lo = px == POINTS - 1 ? kinds[0] : 0, hi = kinds[0] + kinds[1];
    if (py < POINTS - 1)
        hi += kinds[2] + (px < POINTS - 1 ? kinds[3] : 0);
    return (struct winograd_rows){lo, hi};
}

#endif
