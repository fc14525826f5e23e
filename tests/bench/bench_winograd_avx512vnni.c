/*
 * INT8 in Winograd's domain: one 3 x 3 layer at stride 1, whose transformed tiles are multiplied as u8 x s8 (Li et al.,
 * LoWino, ICPP 2021), against the exact kernels of the same layer, by turns in one run:
 *
 *   bench_winograd_avx512vnni [--side=14] [--channels=128] [--threads=1] [--rounds=200] [--copies=1] [--parts=0]
 *
 * Least and median time of a call for 16 frames, in ms. With --copies=N the calls go through N copies of the weights,
 * which are then not in the caches, as in a network. --parts=1 adds the times of the three steps alone.
 *
 * It rounds in the transformed domain, so its bytes are not those of the exact kernels: the distance is printed. A part
 * of them is held to the same arithmetic in plain C. docs/KERNELS.md has the figures.
 */
#include "kernels/x86/u8s8_vec.h"

#include "kernels/conv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BLOCK = 2 * VL,
    R = 8,
    FRAMES = 16,
    CHUNK = 64,
    MAX_IN = 6,
    MAX_POINTS = 36,
    MAX_TILES = 256,
    MAX_CHANNELS = 512,
    GROUP_BYTES = 150 << 10,
    PAD = 64
};
enum { SRC_PART = 1, PRODUCT_PART = 2, DST_PART = 4, ALL_PARTS = 7 };

/* A tile of out x out results; where they do not divide a side, some tiles do one less, without the point at infinity:
 * class 1 of a point lies there along x, 2 along y, 3 along both. row: of a class's planes, where the tile starts. */
struct tile {
    int y, x, row[4];
    bool whole_y, whole_x;
};
struct group {
    int first, last, rows[4];
};

struct layer {
    const struct eq_conv_shape *s;
    int out, in, points, zp, n_tiles, n_groups, group_tiles, parts;
    bool split; /* all tiles are one group: its transform is a loop of its own, then blocks of channels are pieces */
    struct tile tiles[MAX_TILES];
    struct group groups[MAX_TILES];
    int16_t mul[MAX_POINTS], add[MAX_POINTS]; /* a point's byte: clamp(round(v * mul / 2^15) + add) */
    int8_t *u;                                /* [block][point][step][BLOCK][4] */
    int32_t *start;                           /* [block][point][BLOCK]: -add * sum of weights */
    float *k, *b;                             /* the same: scales of the sums, and what is added (at the point 1, 1) */
    size_t v_plane, m_plane;
    const uint8_t *src;
    const uint8_t *residual;
    float residual_m, dst_min;
    uint8_t *dst, *v;
    float *m;
};

static int class_of(int in, int p)
{
    return (p % in == in - 1) + 2 * (p / in == in - 1);
}

/* ---- transforms ---------------------------------------------------------- */

/* IN values of a line to as many points: 0, 1, -1, (2, -2,) infinity. */
ALWAYS_INLINE void src_line(const int out, const vi d[MAX_IN], vi v[MAX_IN], bool whole)
{
    if (out == 2) {
        v[0] = vi_sub16(d[0], d[2]);
        v[1] = vi_add16(d[1], d[2]);
        v[2] = vi_sub16(d[2], d[1]);
        if (whole)
            v[3] = vi_sub16(d[3], d[1]);
        return;
    }
    vi a = vi_sub16(d[4], vi_shl16(d[2], 2)), b = vi_sub16(d[3], vi_shl16(d[1], 2));
    vi c = vi_sub16(d[4], d[2]), e = vi_sub16(d[3], d[1]), e2 = vi_add16(e, e);
    v[0] = vi_add16(vi_shl16(vi_sub16(d[0], d[2]), 2), c);
    v[1] = vi_add16(a, b);
    v[2] = vi_sub16(a, b);
    v[3] = vi_add16(c, e2);
    v[4] = vi_sub16(c, e2);
    if (whole)
        v[5] = vi_sub16(vi_sub16(d[5], d[3]), vi_shl16(e, 2));
}

/* CHUNK channels at an offset into the pixels of a tile; to[class]: where they go in the plane of point 0. */
ALWAYS_INLINE void src_points(const struct layer *l, const int out, const bool wy, const bool wx,
                              const uint8_t *const px[MAX_POINTS], size_t at, uint8_t *const to[4])
{
    const int in = out + 2;
    vi lines[2][MAX_IN][MAX_IN];
    for (int y = 0; y < in - !wy; y++)
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            vi d[MAX_IN];
#pragma GCC unroll 6
            for (int x = 0; x < in - !wx; x++)
                d[x] = vi_widen_u8(px[y * in + x] + at + half * CHUNK / 2);
            src_line(out, d, lines[half][y], wx);
        }
#pragma GCC unroll 1
    for (int x = 0; x < in - !wx; x++) {
        vi q[2][MAX_IN];
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            vi d[MAX_IN];
#pragma GCC unroll 6
            for (int y = 0; y < in - !wy; y++)
                d[y] = lines[half][y][x];
            src_line(out, d, q[half], wy);
        }
        const bool far_x = x == in - 1;
#pragma GCC unroll 6
        for (int y = 0; y < in - !wy; y++) {
            const int p = y * in + x;
            vi mul = vi_set1_16(l->mul[p]), add = vi_set1_16(l->add[p]);
            vi a = vi_add16(_mm512_mulhrs_epi16(q[0][y], mul), add);
            vi b = vi_add16(_mm512_mulhrs_epi16(q[1][y], mul), add);
            vi_store(to[far_x + 2 * (y == in - 1)] + p * l->v_plane, _mm512_packus_epi16(a, b));
        }
    }
}

/* The channel of a chunk that packus puts into byte i. */
static int channel_at(int i)
{
    return i / CHUNK * CHUNK + i % 16 / 8 * 32 + i % CHUNK / 16 * 8 + i % 8;
}

ALWAYS_INLINE void transform_tile(const struct layer *l, const int out, const bool wy, const bool wx,
                                  const struct tile *t, int chunk0, int chunk1, uint8_t *v)
{
    const struct eq_conv_shape *s = l->s;
    const int in = out + 2;
    uint8_t padding[CHUNK];
    const uint8_t *px[MAX_POINTS];
    memset(padding, l->zp, sizeof padding);
    bool border = false;
    for (int i = 0; i < l->points; i++) {
        int y = t->y - s->pad + i / in, x = t->x - s->pad + i % in;
        bool inside = y >= 0 && y < s->h && x >= 0 && x < s->w;
        px[i] = inside ? l->src + ((size_t)y * s->w + x) * s->t * s->cin : NULL;
        border |= !inside;
    }
    for (int f = 0; f < s->t; f++)
        for (int c = chunk0; c < chunk1; c++) {
            size_t at = (size_t)f * s->cin + (size_t)c * CHUNK;
            uint8_t *to[4];
            const uint8_t *here[MAX_POINTS];
            for (int k = 0; k < 4; k++)
                to[k] = v + (size_t)t->row[k] * s->cin + at;
            if (border) {
                for (int i = 0; i < l->points; i++)
                    here[i] = px[i] ? px[i] + at : padding;
                src_points(l, out, wy, wx, here, 0, to);
            } else {
                src_points(l, out, wy, wx, px, at, to);
            }
        }
}

#define TRANSFORM(out)                                                                                                 \
    static void transform_##out(const struct layer *l, const struct tile *t, int chunk0, int chunk1, uint8_t *v)       \
    {                                                                                                                  \
        if (t->whole_y && t->whole_x)                                                                                  \
            transform_tile(l, out, true, true, t, chunk0, chunk1, v);                                                  \
        else if (t->whole_y)                                                                                           \
            transform_tile(l, out, true, false, t, chunk0, chunk1, v);                                                 \
        else if (t->whole_x)                                                                                           \
            transform_tile(l, out, false, true, t, chunk0, chunk1, v);                                                 \
        else                                                                                                           \
            transform_tile(l, out, false, false, t, chunk0, chunk1, v);                                                \
    }
TRANSFORM(2)
TRANSFORM(4)

static void transform(const struct layer *l, const struct tile *t, int chunk0, int chunk1, uint8_t *v)
{
    (l->out == 4 ? transform_4 : transform_2)(l, t, chunk0, chunk1, v);
}

/* ---- products ------------------------------------------------------------ */

/* R rows x BLOCK channels of one point; sums leave as floats, scaled. Each four steps ask for some lines of the next
 * point's weights, which would otherwise be waited for in the first of a point's products. */
static void product(const uint8_t *a, ptrdiff_t stride, const int8_t *w, int steps, const int32_t *start,
                    const float *k, const float *b, float *m, const int8_t *next, int lines)
{
    const ptrdiff_t stride3 = 3 * stride;
    const uint8_t *base[2] = {a, a + 4 * stride};
    vi acc[R][2];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        acc[r][0] = vi_load(start);
        acc[r][1] = vi_load(start + VL);
    }
    for (int n = steps / 4; n > 0; n--, w += 4 * BLOCK * 4) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            vi w0 = vi_load(w + i * BLOCK * 4), w1 = vi_load(w + i * BLOCK * 4 + VL * 4);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++)
                vi_dot2(acc[r], vi_bcast(base[r / 4] + (r % 4 == 3 ? stride3 : r % 4 * stride) + 4 * i), w0, w1);
        }
        for (int i = 0; i < lines; i++, next += 64)
            _mm_prefetch(next, _MM_HINT_T1);
        base[0] += 16;
        base[1] += 16;
    }
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++) {
        vf scale = v_load(k + c * VL), bias = v_load(b + c * VL);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
            v_store(m + r * BLOCK + c * VL, v_fma(v_of_i(acc[r][c]), scale, bias));
    }
}

static void multiply(const struct layer *l, const struct group *g, int block, const uint8_t *v, float *m)
{
    const int cin = l->s->cin;
    for (int p = 0; p < l->points; p++) {
        const size_t at = (size_t)block * l->points + p;
        const int rows = g->rows[class_of(l->in, p)], lines = rows ? (2 * R * 4 + rows - 1) / rows : 0;
        const int8_t *w = l->u + at * cin * BLOCK, *next = w + cin * BLOCK;
        for (int r = 0; r < rows; r += R, next += lines * cin * 4)
            product(v + p * l->v_plane + (size_t)r * cin, cin, w, cin / 4, l->start + at * BLOCK, l->k + at * BLOCK,
                    l->b + at * BLOCK, m + p * l->m_plane + (size_t)r * BLOCK, next, lines);
    }
}

/* ---- points to outputs --------------------------------------------------- */

ALWAYS_INLINE void dst_line(const int out, const vf m[MAX_IN], vf y[4], bool whole)
{
    if (out == 2) {
        y[0] = v_add(m[0], v_add(m[1], m[2]));
        if (whole)
            y[1] = v_add(v_sub(m[1], m[2]), m[3]);
        return;
    }
    vf s12 = v_add(m[1], m[2]), d12 = v_sub(m[1], m[2]), s34 = v_add(m[3], m[4]), d34 = v_sub(m[3], m[4]);
    y[0] = v_add(v_add(m[0], s12), s34);
    y[1] = v_fma(d34, v_set1(2), d12);
    y[2] = v_fma(s34, v_set1(4), s12);
    if (whole)
        y[3] = v_add(v_fma(d34, v_set1(8), d12), m[5]);
}

ALWAYS_INLINE void dst_points(const struct layer *l, const int out, const bool wy, const bool wx,
                              const float *const from[4], size_t at, const bool add)
{
    const int in = out + 2;
    const struct eq_conv_shape *s = l->s;
    const size_t pixel = (size_t)s->t * s->cout, line = pixel * s->ow, plane = l->m_plane;
    const vf min = v_set1(l->dst_min), rm = v_set1(l->residual_m);
    vf cols[4][MAX_IN];
#pragma GCC unroll 6
    for (int x = 0; x < in - !wx; x++) {
        const float *near = from[x == in - 1], *far = from[2 + (x == in - 1)];
        vf d[MAX_IN], y[4];
        __asm__("" : "+r"(near));
#pragma GCC unroll 6
        for (int i = 0; i < in - !wy; i++)
            d[i] = v_load((i == in - 1 ? far : near) + (size_t)(i * in + x) * plane);
        dst_line(out, d, y, wy);
#pragma GCC unroll 4
        for (int i = 0; i < out - !wy; i++)
            cols[i][x] = y[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < out - !wy; i++, at += line) {
        vf y[4];
        dst_line(out, cols[i], y, wx);
#pragma GCC unroll 4
        for (int x = 0; x < out - !wx; x++) {
            vf r = y[x];
            if (add)
                r = v_fma(v_of_i(vi_load_u8(l->residual + at + x * pixel)), rm, r);
            vi q = vi_of_f(v_max(r, min));
            _mm_storeu_si128((__m128i *)(l->dst + at + x * pixel), _mm512_cvtusepi32_epi8(q));
        }
    }
}

ALWAYS_INLINE void finish_tile(const struct layer *l, const int out, const bool wy, const bool wx, const bool add,
                               const struct tile *t, int block, const float *m)
{
    const struct eq_conv_shape *s = l->s;
    const size_t first = ((size_t)t->y * s->ow + t->x) * s->t * s->cout + (size_t)block * BLOCK;
    for (int i = 0; i < 2 * s->t; i++) {
        const float *from[4];
        for (int k = 0; k < 4; k++)
            from[k] = m + (size_t)t->row[k] * BLOCK + (size_t)i * VL;
        dst_points(l, out, wy, wx, from, first + (size_t)(i / 2) * s->cout + (size_t)(i % 2) * VL, add);
    }
}

#define FINISH(out, wy, wx, add)                                                                                       \
    static void finish_##out##wy##wx##add(const struct layer *l, const struct tile *t, int block, const float *m)      \
    {                                                                                                                  \
        finish_tile(l, out, wy, wx, add, t, block, m);                                                                 \
    }
#define FINISHES(out) /* */                                                                                            \
    FINISH(out, 0, 0, 0)                                                                                               \
    FINISH(out, 0, 0, 1)                                                                                               \
    FINISH(out, 0, 1, 0)                                                                                               \
    FINISH(out, 0, 1, 1) FINISH(out, 1, 0, 0) FINISH(out, 1, 0, 1) FINISH(out, 1, 1, 0) FINISH(out, 1, 1, 1)
#define FINISH_NAMES(out)                                                                                              \
    {                                                                                                                  \
        finish_##out##000, finish_##out##001, finish_##out##010, finish_##out##011, finish_##out##100,                 \
            finish_##out##101, finish_##out##110, finish_##out##111                                                    \
    }
FINISHES(2)
FINISHES(4)
static void (*const finishes[2][8])(const struct layer *l, const struct tile *t, int block,
                                    const float *m) = {FINISH_NAMES(2), FINISH_NAMES(4)};

static void finish(const struct layer *l, const struct tile *t, int block, const float *m)
{
    finishes[l->out / 4][t->whole_y * 4 + t->whole_x * 2 + (l->residual != NULL)](l, t, block, m);
}

/* ---- pieces -------------------------------------------------------------- */

static void group_block(const struct layer *l, const struct group *g, int block, const uint8_t *v, float *m)
{
    if (l->parts & PRODUCT_PART)
        multiply(l, g, block, v, m);
    if (l->parts & DST_PART)
        for (int t = g->first; t < g->last; t++)
            finish(l, &l->tiles[t], block, m);
}

static void whole_piece(void *ctx, size_t piece, int worker)
{
    const struct layer *l = ctx;
    const struct group *g = &l->groups[piece];
    uint8_t *v = l->v + (size_t)worker * l->points * l->v_plane;
    float *m = l->m + (size_t)worker * l->points * l->m_plane;
    if (l->parts & SRC_PART)
        for (int t = g->first; t < g->last; t++)
            transform(l, &l->tiles[t], 0, l->s->cin / CHUNK, v);
    for (int block = 0; block < l->s->cout / BLOCK; block++)
        group_block(l, g, block, v, m);
}

static void src_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct layer *l = ctx;
    const int chunks = l->s->cin / CHUNK, t = (int)piece / chunks, c = (int)piece % chunks;
    transform(l, &l->tiles[t], c, c + 1, l->v);
}

static void block_piece(void *ctx, size_t piece, int worker)
{
    const struct layer *l = ctx;
    group_block(l, &l->groups[0], (int)piece, l->v, l->m + (size_t)worker * l->points * l->m_plane);
}

static void run(struct layer *l)
{
    if (!l->split) {
        eq_parallel_for((size_t)l->n_groups, whole_piece, l);
        return;
    }
    if (l->parts & SRC_PART)
        eq_parallel_for((size_t)l->n_tiles * (l->s->cin / CHUNK), src_piece, l);
    eq_parallel_for((size_t)l->s->cout / BLOCK, block_piece, l);
}

/* ---- made off-line ------------------------------------------------------- */

static const double g4[6][3] = {{.25, 0, 0},
                                {-1. / 6, -1. / 6, -1. / 6},
                                {-1. / 6, 1. / 6, -1. / 6},
                                {1. / 24, 1. / 12, 1. / 6},
                                {1. / 24, -1. / 12, 1. / 6},
                                {0, 0, 1}};
static const double g2[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
static const int b4[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                             {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
static const int b2[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};

static int bt(int out, int i, int j)
{
    return out == 4 ? b4[i][j] : b2[i][j];
}

static const double *g_row(int out, int i)
{
    return out == 4 ? g4[i] : g2[i];
}

static void make_tiles(struct layer *l)
{
    const int side = l->s->oh, n = (side + l->out - 1) / l->out, less = n * l->out - side;
    l->n_tiles = n * n;
    for (int t = 0, y = 0; t < l->n_tiles; t++) {
        int ty = t / n, tx = t % n;
        struct tile *tile = &l->tiles[t];
        tile->whole_y = ty < n - less;
        tile->whole_x = tx < n - less;
        tile->x = tx ? tile[-1].x + (tile[-1].whole_x ? l->out : l->out - 1) : 0;
        if (!tx)
            y = ty ? y + (tile[-1].whole_y ? l->out : l->out - 1) : 0;
        tile->y = y;
    }
    l->split = side <= 7;
    l->group_tiles = l->split ? l->n_tiles : GROUP_BYTES / (l->points * l->s->t * l->s->cin);
    l->group_tiles = l->group_tiles ? l->group_tiles : 1;
    l->n_groups = 0;
    for (int t = 0; t < l->n_tiles; t += l->group_tiles) {
        struct group *g = &l->groups[l->n_groups++];
        *g = (struct group){.first = t, .last = t + l->group_tiles < l->n_tiles ? t + l->group_tiles : l->n_tiles};
        for (int i = g->first; i < g->last; i++)
            for (int k = 0; k < 4; k++) {
                l->tiles[i].row[k] = g->rows[k];
                if ((l->tiles[i].whole_x || !(k & 1)) && (l->tiles[i].whole_y || !(k & 2)))
                    g->rows[k] += l->s->t;
            }
    }
    l->v_plane = (size_t)l->group_tiles * l->s->t * l->s->cin + PAD;
    l->m_plane = (size_t)l->group_tiles * l->s->t * BLOCK + PAD / 4;
}

static int src_at(const struct layer *l, int y, int x, int f, int c)
{
    const struct eq_conv_shape *s = l->s;
    bool inside = y >= 0 && y < s->h && x >= 0 && x < s->w;
    return inside ? l->src[(((size_t)y * s->w + x) * s->t + f) * s->cin + c] : l->zp;
}

/* The transform at one point in plain C. */
static int plain_point(const struct layer *l, const struct tile *t, int p, int f, int c)
{
    int sum = 0;
    for (int i = 0; i < l->in; i++)
        for (int j = 0; j < l->in; j++) {
            int k = bt(l->out, p / l->in, i) * bt(l->out, p % l->in, j);
            if (k)
                sum += k * src_at(l, t->y - l->s->pad + i, t->x - l->s->pad + j, f, c);
        }
    return sum;
}

static void calibrate(struct layer *l)
{
    for (int p = 0; p < l->points; p++) {
        int lo = 0, hi = 1;
        for (int t = 0; t < l->n_tiles; t++)
            for (int f = 0; f < l->s->t; f += 5)
                for (int c = 0; c < l->s->cin; c++) {
                    int v = plain_point(l, &l->tiles[t], p, f, c);
                    lo = v < lo ? v : lo;
                    hi = v > hi ? v : hi;
                }
        double scale = fmin(255. / (hi - lo), 32767. / 32768);
        l->mul[p] = (int16_t)(scale * 32768);
        l->add[p] = (int16_t)lrint(-lo * scale);
    }
}

static void pack(struct layer *l, const int8_t *w, const struct eq_u8s8_epilogue *e)
{
    const int cin = l->s->cin, ones = l->out == 4 ? 36 : 4;
    for (int oc = 0; oc < l->s->cout; oc++)
        for (int p = 0; p < l->points; p++) {
            const double *gy = g_row(l->out, p / l->in), *gx = g_row(l->out, p % l->in);
            size_t at = (size_t)(oc / BLOCK) * l->points + p, lane = (size_t)oc % BLOCK;
            double u[MAX_CHANNELS], most = 1e-30;
            for (int c = 0; c < cin; c++) {
                u[c] = 0;
                for (int tap = 0; tap < 9; tap++)
                    u[c] += gy[tap / 3] * gx[tap % 3] * w[((size_t)oc * cin + c) * 9 + tap];
                most = fmax(most, fabs(u[c]));
            }
            int32_t sum = 0;
            for (int i = 0; i < cin; i++) {
                int8_t q = (int8_t)lrint(u[channel_at(i)] / most * 127);
                l->u[(at * (cin / 4) + i / 4) * BLOCK * 4 + lane * 4 + i % 4] = q;
                sum += q;
            }
            l->start[at * BLOCK + lane] = -l->add[p] * sum;
            l->k[at * BLOCK + lane] = (float)(most / 127 * 32768 / l->mul[p] * e->m[oc]);
            if (p == l->in + 1) {
                double zero = (double)ones * l->zp * sum * most / 127 * e->m[oc];
                l->b[at * BLOCK + lane] =
                    (float)(e->b[oc] + e->dst_zp - zero - (e->residual ? e->residual_zp * e->residual_m : 0));
            }
        }
}

/* ---- the check ----------------------------------------------------------- */

static void plain_line(int out, const float *m, ptrdiff_t step, float *y)
{
    float m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step];
    if (out == 2) {
        y[0] = m0 + (m1 + m2);
        y[1] = (m1 - m2) + m3;
        return;
    }
    float m4 = m[4 * step], m5 = m[5 * step];
    y[0] = (m0 + (m1 + m2)) + (m3 + m4);
    y[1] = fmaf(m3 - m4, 2, m1 - m2);
    y[2] = fmaf(m3 + m4, 4, m1 + m2);
    y[3] = fmaf(m3 - m4, 8, m1 - m2) + m5;
}

/* Whether the bytes of a tile are those of plain C, for one frame and channel. */
static bool check(const struct layer *l, const struct tile *t, int f, int oc)
{
    const struct eq_conv_shape *s = l->s;
    float m[MAX_POINTS], cols[4][MAX_IN];
    for (int p = 0; p < l->points; p++) {
        size_t at = (size_t)(oc / BLOCK) * l->points + p, lane = (size_t)oc % BLOCK;
        int32_t sum = l->start[at * BLOCK + lane];
        for (int i = 0; i < s->cin; i++) {
            int q = ((plain_point(l, t, p, f, channel_at(i)) * l->mul[p] + (1 << 14)) >> 15) + l->add[p];
            q = q < 0 ? 0 : q > 255 ? 255 : q;
            sum += q * l->u[(at * (s->cin / 4) + i / 4) * BLOCK * 4 + lane * 4 + i % 4];
        }
        m[p] = fmaf((float)sum, l->k[at * BLOCK + lane], l->b[at * BLOCK + lane]);
    }
    for (int x = 0; x < l->in; x++) {
        float y[4];
        plain_line(l->out, m + x, l->in, y);
        for (int i = 0; i < l->out; i++)
            cols[i][x] = y[i];
    }
    for (int i = 0; i < l->out - !t->whole_y; i++) {
        float y[4];
        plain_line(l->out, cols[i], 1, y);
        for (int x = 0; x < l->out - !t->whole_x; x++) {
            size_t at = (((size_t)(t->y + i) * s->ow + t->x + x) * s->t + f) * s->cout + oc;
            float r = l->residual ? fmaf(l->residual[at], l->residual_m, y[x]) : y[x];
            int q = (int)rintf(fminf(fmaxf(r, l->dst_min), 255));
            if (l->dst[at] != q) {
                printf("tile %d, %d: row %d, column %d: %d, not %d\n", t->y, t->x, i, x, l->dst[at], q);
                return false;
            }
        }
    }
    return true;
}

/* ---- turns --------------------------------------------------------------- */

static double clock_ms(void)
{
    struct timespec t;
    if (eq_parallel_threads() > 1 || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
        return eq_now_ms();
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

enum { MAX_ROUNDS = 10000, MAX_CONTENDERS = 16, MAX_COPIES = 64, WARM_UP = 5 };
struct contender {
    char name[64];
    const struct eq_conv_kernel *kernel;
    struct layer *l;
    int parts;
    void *packed[MAX_COPIES], *scratch;
    double ms[MAX_ROUNDS];
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *room(size_t bytes)
{
    void *p = eq_alloc(bytes ? bytes : 1, 1);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memset(p, 0, bytes);
}

/* The sum of twelve uniform numbers. */
static double normal(struct eq_rng *rng)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += eq_rng_uniform(rng);
    return sum;
}

struct options {
    int side, channels, threads, rounds, copies, parts;
};

static bool read_options(int argc, char **argv, struct options *o)
{
    const struct {
        const char *name;
        int *value, least, most;
    } known[] = {{"--side=", &o->side, 3, 28},
                 {"--channels=", &o->channels, CHUNK, MAX_CHANNELS},
                 {"--threads=", &o->threads, 1, 64},
                 {"--rounds=", &o->rounds, 1, MAX_ROUNDS},
                 {"--copies=", &o->copies, 1, MAX_COPIES},
                 {"--parts=", &o->parts, 0, 1}};
    for (int i = 1; i < argc; i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known && !found; k++) {
            int64_t v;
            size_t len = strlen(known[k].name);
            found = strncmp(argv[i], known[k].name, len) == 0 && eq_parse_int64(argv[i] + len, &v) &&
                    v >= known[k].least && v <= known[k].most;
            if (found)
                *known[k].value = (int)v;
        }
        if (!found) {
            fprintf(stderr, "%s: not an option, or out of range\n", argv[i]);
            return false;
        }
    }
    if (o->channels % CHUNK == 0)
        return true;
    fprintf(stderr, "channels must be a multiple of %d\n", CHUNK);
    return false;
}

/* ---- contenders ---------------------------------------------------------- */

struct data {
    struct eq_conv_shape s;
    int zp;
    uint8_t *src, *residual, *dst, *exact; /* exact: what the exact kernels make */
    int8_t *weights;
    float *m, *b;
    struct eq_u8s8_epilogue epilogue;
};

/* Normal activations behind a ReLU, normal weights. */
static void make_data(struct data *d, const struct options *o)
{
    const int c = o->channels;
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    eq_conv_shape_init(&d->s, 1, FRAMES, o->side, o->side, c, c, 3, 1, 1, EQ_LAYOUT_PIXEL);
    const size_t n = (size_t)o->side * o->side * FRAMES * c, taps = (size_t)c * c * 9;
    d->zp = 3;
    d->src = room(n);
    d->residual = room(n);
    d->dst = room(n);
    d->exact = room(n);
    d->weights = room(taps);
    d->m = room((size_t)c * sizeof(float));
    d->b = room((size_t)c * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        d->src[i] = (uint8_t)fmin(255, d->zp + fmax(0, normal(&rng) * 60));
        d->residual[i] = (uint8_t)fmin(255, fmax(0, normal(&rng) * 60));
    }
    for (size_t i = 0; i < taps; i++)
        d->weights[i] = (int8_t)fmax(-127, fmin(127, normal(&rng) * 35));
    for (int i = 0; i < c; i++) {
        d->m[i] = 40 / (35 * 42 * sqrtf((float)(9 * c)));
        d->b[i] = (float)(normal(&rng) * 20);
    }
    d->epilogue = (struct eq_u8s8_epilogue){
        .m = d->m, .b = d->b, .residual = d->residual, .residual_m = 0.5f, .dst_zp = 2, .dst_min = 2, .dst_max = 255};
}

static size_t add_exact(struct data *d, const struct options *o, struct contender *all)
{
    const struct eq_conv_kernel *found[32];
    size_t n = 0, kernels = eq_u8s8_conv_candidates(&d->s, found, 32);
    for (size_t i = 0; i < kernels; i++) {
        struct contender *x = &all[n];
        if (!strstr(found[i]->name, "avx512vnni"))
            continue;
        n++;
        x->kernel = found[i];
        snprintf(x->name, sizeof x->name, "%s", found[i]->name);
        x->scratch = room(found[i]->scratch_bytes(&d->s, o->threads));
        for (int copy = 0; copy < o->copies; copy++) {
            x->packed[copy] = room(found[i]->packed_bytes(&d->s));
            found[i]->pack_s8(&d->s, d->weights, d->zp, x->packed[copy]);
        }
        x->kernel->run.u8s8(&d->s, d->src, d->zp, x->packed[0], &d->epilogue, d->exact, x->scratch);
    }
    return n;
}

static struct layer *make_layer(struct data *d, const struct options *o, int out)
{
    struct layer *l = room(sizeof *l);
    const int c = o->channels;
    *l = (struct layer){.s = &d->s, .out = out, .in = out + 2, .points = (out + 2) * (out + 2), .zp = d->zp};
    l->src = d->src;
    l->dst = d->dst;
    l->residual = d->residual;
    l->residual_m = d->epilogue.residual_m;
    l->dst_min = (float)d->epilogue.dst_min;
    l->parts = ALL_PARTS;
    make_tiles(l);
    const size_t lanes = (size_t)l->points * c;
    l->u = room(lanes * c);
    l->start = room(lanes * sizeof *l->start);
    l->k = room(lanes * sizeof *l->k);
    l->b = room(lanes * sizeof *l->b);
    l->v = room((size_t)o->threads * l->points * l->v_plane);
    l->m = room((size_t)o->threads * l->points * l->m_plane * sizeof *l->m);
    calibrate(l);
    pack(l, d->weights, &d->epilogue);
    return l;
}

static void check_layer(struct layer *l, const struct data *d)
{
    bool same = true;
    double square = 0, var = 0, mean = 0, n = (double)d->s.h * d->s.w * d->s.t * d->s.cin;
    run(l);
    for (int t = 0; t < l->n_tiles; t++)
        for (int i = 0; i < 4; i++)
            same = same && check(l, &l->tiles[t], (t * 7 + i * 3) % FRAMES, (t * 13 + i * 29) % d->s.cout);
    for (size_t i = 0; i < (size_t)n; i++) {
        square += (d->dst[i] - d->exact[i]) * (double)(d->dst[i] - d->exact[i]);
        mean += d->exact[i];
        var += d->exact[i] * (double)d->exact[i];
    }
    printf("F(%d x %d): %s plain C; distance from the exact bytes %.2f rms, of a deviation of %.1f\n", l->out, l->out,
           same ? "equals" : "DIFFERS FROM", sqrt(square / n), sqrt(var / n - mean / n * mean / n));
}

static size_t add_winograd(struct data *d, const struct options *o, int out, struct contender *all)
{
    static const struct {
        const char *name;
        int parts;
    } rows[] = {{"", ALL_PARTS}, {" transform", SRC_PART}, {" products", PRODUCT_PART}, {" outputs", DST_PART}};
    struct layer *l = make_layer(d, o, out);
    const size_t bytes = (size_t)l->points * d->s.cin * d->s.cout, n = o->parts ? 4 : 1;
    check_layer(l, d);
    for (int copy = 0; copy < o->copies; copy++) {
        all[0].packed[copy] = room(bytes);
        memcpy(all[0].packed[copy], l->u, bytes);
    }
    for (size_t i = 0; i < n; i++) {
        struct contender *x = &all[i];
        memcpy(x->packed, all[0].packed, sizeof x->packed);
        x->l = l;
        x->parts = rows[i].parts;
        snprintf(x->name, sizeof x->name, "F(%d x %d)%s", out, out, rows[i].name);
    }
    return n;
}

static double timed_call(struct contender *x, const struct data *d, int copy)
{
    double start = clock_ms();
    if (x->kernel) {
        x->kernel->run.u8s8(&d->s, d->src, d->zp, x->packed[copy], &d->epilogue, d->dst, x->scratch);
    } else {
        x->l->parts = x->parts;
        x->l->u = x->packed[copy];
        run(x->l);
    }
    return clock_ms() - start;
}

int main(int argc, char **argv)
{
    static struct contender all[MAX_CONTENDERS];
    struct options o = {.side = 14, .channels = 128, .threads = 1, .rounds = 200, .copies = 1};
    struct data d;
    struct eq_err err = {0};
    if (!read_options(argc, argv, &o))
        return 2;
    eq_kernels_init();
    if (eq_parallel_init(o.threads, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return eq_exit_code(err.status);
    }
    make_data(&d, &o);
    size_t n = add_exact(&d, &o, all);
    if (n == 0) {
        fprintf(stderr, "this CPU lacks AVX512-VNNI\n");
        return 1;
    }
    n += add_winograd(&d, &o, 4, all + n);
    n += add_winograd(&d, &o, 2, all + n);
    for (int round = -WARM_UP; round < o.rounds; round++)
        for (size_t i = 0; i < n; i++) {
            int copy = 2 * (round + WARM_UP) % o.copies;
            timed_call(&all[i], &d, copy); /* fetches what the others have driven out of the caches */
            double ms = timed_call(&all[i], &d, (copy + 1) % o.copies);
            all[i].ms[round < 0 ? 0 : round] = ms;
        }
    for (size_t i = 0; i < n; i++) {
        qsort(all[i].ms, (size_t)o.rounds, sizeof(double), by_value);
        printf("%-32s %7.4f %7.4f\n", all[i].name, all[i].ms[0], all[i].ms[o.rounds / 2]);
    }
    return 0;
}
