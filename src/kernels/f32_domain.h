/*
 * The slots of eq_f32_domain_table, written once in plain C on vectors of LANES channels and compiled for each level:
 * ref/ and the x86 template include it. Nothing is contracted to fused multiply-adds, so that all levels give the same
 * bits. The transforms are those of eq_domain_bt and eq_domain_at, and their adjoints.
 */
#ifndef KERNELS_F32_DOMAIN_H
#define KERNELS_F32_DOMAIN_H

#include "kernels/fill.h"

#include <string.h>

enum { LANES = EQ_DOMAIN_LANES, IN = EQ_DOMAIN_IN, OUT = EQ_DOMAIN_OUT, POINTS = EQ_DOMAIN_POINTS };
#define DOMAIN_INLINE static inline __attribute__((always_inline))
typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ivec __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint8_t bvec __attribute__((vector_size(LANES)));

/* ---- vectors ------------------------------------------------------------- */

/* n lanes, the rest 0; a whole vector where n is the constant LANES. Vectors go by address: whether they fit a register
 * is the level's business. */
DOMAIN_INLINE void load(vec *v, const float *p, size_t n)
{
    if (n < LANES)
        *v = (vec){0};
    memcpy(v, p, n * sizeof *p);
}

DOMAIN_INLINE void store(float *p, const vec *v, size_t n)
{
    memcpy(p, v, n * sizeof *p);
}

DOMAIN_INLINE void store_bytes(uint8_t *p, const ivec *v, size_t n)
{
    bvec b = __builtin_convertvector(*v, bvec);
    memcpy(p, &b, n);
}

/* yes where which is -1, no where it is 0 */
DOMAIN_INLINE void choose(vec *to, const ivec *which, const vec *yes, const vec *no)
{
    *to = (vec)((*which & (ivec)*yes) | (~*which & (ivec)*no));
}

DOMAIN_INLINE void at_least(vec *v, float least)
{
    const vec low = {0};
    const vec lows = low + least;
    const ivec below = *v < lows;
    choose(v, &below, &lows, v);
}

DOMAIN_INLINE void at_most(vec *v, float most)
{
    const vec high = {0};
    const vec highs = high + most;
    const ivec above = *v > highs;
    choose(v, &above, &highs, v);
}

/* Half to even, for |v| < 2^22. */
DOMAIN_INLINE void round_lanes(vec *v)
{
    const float magic = 0x1.8p23f;
    *v = (*v + magic) - magic;
}

/* What rounding needs to be right, and what it does not change: a clamp to +-2^21. */
DOMAIN_INLINE void near_lanes(vec *v)
{
    at_least(v, -0x1p21f);
    at_most(v, 0x1p21f);
}

/* ---- a line -------------------------------------------------------------- */

DOMAIN_INLINE void src_line(vec d[IN])
{
    const vec a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1], c = d[4] - d[2], e = d[3] - d[1], e2 = e + e;
    d[0] = 4.0f * (d[0] - d[2]) + c;
    d[5] = (d[5] - d[3]) - 4.0f * e;
    d[1] = a + b;
    d[2] = a - b;
    d[3] = c + e2;
    d[4] = c - e2;
}

/* The adjoint, B v. */
DOMAIN_INLINE void diff_src_line(vec v[IN])
{
    const vec s12 = v[1] + v[2], d12 = v[1] - v[2], s34 = v[3] + v[4], d34 = v[3] - v[4];
    const vec d0 = 4.0f * v[0], d1 = 4.0f * (v[5] - d12) - 2.0f * d34, d2 = -5.0f * v[0] - (4.0f * s12 + s34);
    const vec d3 = (d12 + 2.0f * d34) - 5.0f * v[5], d4 = (v[0] + s12) + s34;
    v[0] = d0;
    v[1] = d1;
    v[2] = d2;
    v[3] = d3;
    v[4] = d4;
}

/* As eq_domain_epilogue: 2, 4 and 8 times a value is exact, so a fused multiply-add gives the same. */
DOMAIN_INLINE void dst_line(const vec m[IN], vec y[OUT])
{
    const vec s12 = m[1] + m[2], d12 = m[1] - m[2], s34 = m[3] + m[4], d34 = m[3] - m[4];
    y[0] = (m[0] + s12) + s34;
    y[1] = d34 * 2.0f + d12;
    y[2] = s34 * 4.0f + s12;
    y[3] = (d34 * 8.0f + d12) + m[5];
}

/* The adjoint, A y. */
DOMAIN_INLINE void diff_line(const vec y[OUT], vec m[IN])
{
    const vec even = y[0] + y[2], odd = y[1] + y[3], even2 = y[0] + 4.0f * y[2], odd2 = 2.0f * y[1] + 8.0f * y[3];
    m[0] = y[0];
    m[1] = even + odd;
    m[2] = even - odd;
    m[3] = even2 + odd2;
    m[4] = even2 - odd2;
    m[5] = y[3];
}

/* ---- pixels -------------------------------------------------------------- */

/* The addresses of the side x side pixels from (y, x) on in a clip of h x w pixels of `pixel` values; NULL: outside. */
DOMAIN_INLINE void find_pixels(const float *clip, int h, int w, size_t pixel, int y, int x, int side,
                               const float *px[POINTS])
{
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            bool inside = y + i >= 0 && y + i < h && x + j >= 0 && x + j < w;
            px[i * side + j] = inside ? clip + ((size_t)(y + i) * (size_t)w + (size_t)(x + j)) * pixel : NULL;
        }
}

DOMAIN_INLINE void load_pixel(vec *v, const float *px, size_t at, size_t n)
{
    if (px)
        load(v, px + at, n);
    else
        *v = (vec){0};
}

/* ---- source to points ---------------------------------------------------- */

DOMAIN_INLINE void note_range(const vec *v, size_t n, float *least, float *most)
{
    vec low, high, x = *v;
    if (n < LANES) /* the first value stands for those that are not there */
        for (size_t i = n; i < LANES; i++)
            x[i] = x[0];
    load(&low, least, LANES);
    load(&high, most, LANES);
    const ivec bad = x != x, below = (x < low) | bad, above = (x > high) | bad; /* a NaN stays */
    choose(&low, &below, &x, &low);
    choose(&high, &above, &x, &high);
    store(least, &low, LANES);
    store(most, &high, LANES);
}

/* To the grid of real values. */
DOMAIN_INLINE void round_real(const struct eq_f32_domain_rounding *r, int p, vec *v, ivec *inside)
{
    vec q = *v * r->inv[p];
    near_lanes(&q);
    round_lanes(&q);
    q = q + r->zp[p];
    *inside = (q >= 0.0f) & (q <= 255.0f);
    at_least(&q, 0.0f);
    at_most(&q, 255.0f);
    *v = (q - r->zp[p]) * r->scale[p];
}

/* The integer engine's byte, minus the point's zero-point. */
DOMAIN_INLINE void round_whole(const struct eq_f32_domain_rounding *r, int p, vec *v)
{
    const int32_t add = r->points.add[p];
    ivec q = __builtin_convertvector(*v, ivec);
    q = ((q * (int32_t)r->points.mul[p] + (1 << 14)) >> 15) + add;
    q = q & ~(q < 0);
    const ivec over = q > 255;
    q = (over & 255) | (~over & q);
    *v = __builtin_convertvector(q - add, vec);
}

DOMAIN_INLINE void src_lanes(const struct eq_f32_domain_src *j, const float *const px[POINTS], size_t at, size_t n)
{
    vec v[IN][IN];
    for (int i = 0; i < IN; i++) {
        for (int k = 0; k < IN; k++) {
            load_pixel(&v[i][k], px[i * IN + k], at, n);
            if (j->rounding && j->rounding->whole) {
                v[i][k] = v[i][k] * j->rounding->inv_src;
                round_lanes(&v[i][k]);
            }
        }
        src_line(v[i]);
    }
    for (int x = 0; x < IN; x++) {
        vec d[IN];
        for (int y = 0; y < IN; y++)
            d[y] = v[y][x];
        src_line(d);
        for (int y = 0; y < IN; y++) {
            const int p = y * IN + x;
            ivec inside;
            if (!j->v[p])
                continue;
            if (j->range)
                note_range(&d[y], n, j->range + p * LANES, j->range + (POINTS + p) * LANES);
            if (j->rounding && j->rounding->whole) {
                round_whole(j->rounding, p, &d[y]);
            } else if (j->rounding) {
                round_real(j->rounding, p, &d[y], &inside);
                if (j->mask[p]) {
                    inside = inside & 1;
                    store_bytes(j->mask[p] + at, &inside, n);
                }
            }
            store(j->v[p] + at, &d[y], n);
        }
    }
}

static void domain_src(const struct eq_conv_shape *s, const struct eq_f32_domain_place *t,
                       const struct eq_f32_domain_src *j)
{
    const float *px[POINTS];
    size_t at = (size_t)t->first * (size_t)s->cin, end = (size_t)t->end * (size_t)s->cin;
    find_pixels(j->clip, s->h, s->w, (size_t)s->t * (size_t)s->cin, t->y - s->pad, t->x - s->pad, IN, px);
    for (; at + LANES <= end; at += LANES)
        src_lanes(j, px, at, LANES);
    if (at < end)
        src_lanes(j, px, at, end - at);
}

/* ---- points to source, backward ------------------------------------------ */

DOMAIN_INLINE void diff_src_lanes(const struct eq_f32_domain_diff_src *j, const float *const px[POINTS], size_t at,
                                  size_t n)
{
    vec v[IN][IN];
    for (int x = 0; x < IN; x++) {
        vec d[IN];
        for (int y = 0; y < IN; y++) {
            const int p = y * IN + x;
            load_pixel(&d[y], j->v[p], at, n);
            if (j->v[p] && j->mask[p]) {
                bvec b = {0};
                memcpy(&b, j->mask[p] + at, n);
                const ivec passes = -__builtin_convertvector(b, ivec);
                d[y] = (vec)((ivec)d[y] & passes);
            }
        }
        diff_src_line(d);
        for (int y = 0; y < IN; y++)
            v[y][x] = d[y];
    }
    for (int y = 0; y < IN; y++) {
        diff_src_line(v[y]);
        for (int x = 0; x < IN; x++) {
            float *to = (float *)px[y * IN + x];
            vec sum;
            if (!to)
                continue;
            load(&sum, to + at, n);
            sum = sum + v[y][x];
            store(to + at, &sum, n);
        }
    }
}

static void domain_diff_src(const struct eq_conv_shape *s, const struct eq_f32_domain_place *t,
                            const struct eq_f32_domain_diff_src *j)
{
    const float *px[POINTS];
    size_t at = (size_t)t->first * (size_t)s->cin, end = (size_t)t->end * (size_t)s->cin;
    find_pixels(j->clip, s->h, s->w, (size_t)s->t * (size_t)s->cin, t->y - s->pad, t->x - s->pad, IN, px);
    for (; at + LANES <= end; at += LANES)
        diff_src_lanes(j, px, at, LANES);
    if (at < end)
        diff_src_lanes(j, px, at, end - at);
}

/* ---- sums to outputs, and back ------------------------------------------- */

/* to = a * b + c, rounded once */
DOMAIN_INLINE void fma_lanes(vec *to, const vec *a, const vec *b, const vec *c)
{
    for (int i = 0; i < LANES; i++)
        (*to)[i] = fmaf((*a)[i], (*b)[i], (*c)[i]);
}

/* The whole sums of a column as the integer engine's floats. */
DOMAIN_INLINE void scale_sums(const struct eq_f32_domain_dst *j, int x, size_t channel, size_t n, vec d[IN])
{
    for (int i = 0; i < IN; i++) {
        const int p = i * IN + x;
        vec k, b;
        load(&k, j->k + (size_t)p * j->k_step + channel, n);
        if (p == EQ_DOMAIN_CENTER) {
            load(&b, j->bias + channel, n);
            fma_lanes(&d[i], &d[i], &k, &b);
        } else {
            d[i] = d[i] * k;
        }
    }
}

/* Adds the residual; bias and ReLU only to real values. */
DOMAIN_INLINE void finish_output(const struct eq_f32_domain_dst *j, const float *residual, const vec *bias, size_t n,
                                 vec *r)
{
    vec add;
    if (j->bias && !j->k)
        *r = *r + *bias;
    if (residual) {
        load(&add, residual, n);
        if (j->k) {
            const vec m = (vec){0} + j->residual_m;
            add = add * j->inv_residual;
            round_lanes(&add);
            add = add + j->residual_zp;
            fma_lanes(r, &add, &m, r);
        } else {
            *r = *r + add;
        }
    }
    if (j->relu)
        at_least(r, 0.0f);
}

DOMAIN_INLINE void dst_lanes(const struct eq_f32_domain_dst *j, float *const to[OUT * OUT], const float *m[POINTS],
                             size_t at, size_t channel, size_t n)
{
    vec cols[OUT][IN], bias = {0};
    if (j->bias)
        load(&bias, j->bias + channel, n);
    for (int x = 0; x < IN; x++) {
        vec d[IN], y[OUT];
        for (int i = 0; i < IN; i++)
            load_pixel(&d[i], m[i * IN + x], at, n);
        if (j->k)
            scale_sums(j, x, channel, n, d);
        dst_line(d, y);
        for (int i = 0; i < OUT; i++)
            cols[i][x] = y[i];
    }
    for (int i = 0; i < OUT; i++) {
        vec y[OUT];
        dst_line(cols[i], y);
        for (int x = 0; x < OUT; x++) {
            float *out = to[i * OUT + x];
            if (!out)
                continue;
            vec r = y[x];
            finish_output(j, j->residual ? j->residual + (out - j->clip) + at : NULL, &bias, n, &r);
            store(out + at, &r, n);
        }
    }
}

/* The pixels that a tile makes, side OUT; NULL where it makes none. */
DOMAIN_INLINE void find_outputs(const struct eq_conv_shape *s, const struct eq_f32_domain_place *t, const float *clip,
                                const float *px[POINTS])
{
    find_pixels(clip, s->oh, s->ow, (size_t)s->t * (size_t)s->cout, t->y, t->x, OUT, px);
    for (int i = 0; i < OUT; i++)
        for (int k = 0; k < OUT; k++)
            if (i >= t->my || k >= t->mx)
                px[i * OUT + k] = NULL;
}

static void domain_dst(const struct eq_conv_shape *s, const struct eq_f32_domain_place *t,
                       const struct eq_f32_domain_dst *j)
{
    const size_t c = (size_t)s->cout;
    const float *px[POINTS];
    float *to[OUT * OUT];
    find_outputs(s, t, j->clip, px);
    for (int i = 0; i < OUT * OUT; i++)
        to[i] = (float *)px[i];
    for (size_t f = (size_t)t->first; f < (size_t)t->end; f++) {
        const float *m[POINTS];
        size_t k = 0;
        memcpy(m, j->m, sizeof m);
        for (; k + LANES <= c; k += LANES)
            dst_lanes(j, to, m, f * c + k, k, LANES);
        if (k < c)
            dst_lanes(j, to, m, f * c + k, k, c - k);
    }
}

DOMAIN_INLINE void diff_lanes(const float *const px[POINTS], float *const m[POINTS], size_t at, size_t n)
{
    vec rows[OUT][IN];
    for (int y = 0; y < OUT; y++) {
        vec d[OUT];
        for (int x = 0; x < OUT; x++)
            load_pixel(&d[x], px[y * OUT + x], at, n);
        diff_line(d, rows[y]);
    }
    for (int x = 0; x < IN; x++) {
        vec d[OUT], v[IN];
        for (int y = 0; y < OUT; y++)
            d[y] = rows[y][x];
        diff_line(d, v);
        for (int y = 0; y < IN; y++)
            if (m[y * IN + x])
                store(m[y * IN + x] + at, &v[y], n);
    }
}

static void domain_diff(const struct eq_conv_shape *s, const struct eq_f32_domain_place *t, const float *clip,
                        float *const m[POINTS])
{
    const float *px[POINTS];
    size_t at = (size_t)t->first * (size_t)s->cout, end = (size_t)t->end * (size_t)s->cout;
    find_outputs(s, t, clip, px);
    for (; at + LANES <= end; at += LANES)
        diff_lanes(px, m, at, LANES);
    if (at < end)
        diff_lanes(px, m, at, end - at);
}

/* ---- weights ------------------------------------------------------------- */

enum { HALF = LANES / 2 };
typedef double dvec __attribute__((vector_size(HALF * sizeof(double))));
typedef float hvec __attribute__((vector_size(HALF * sizeof(float))));

/* 3 weights to 6 points, each sum in the order of eq_domain_weights. */
DOMAIN_INLINE void weights_line(const dvec g[3], dvec u[IN])
{
    const double sixth = 1. / 6, twelfth = 1. / 12, small = 1. / 24;
    u[0] = .25 * g[0];
    u[1] = (-sixth * g[0] + -sixth * g[1]) + -sixth * g[2];
    u[2] = (-sixth * g[0] + sixth * g[1]) + -sixth * g[2];
    u[3] = (small * g[0] + twelfth * g[1]) + sixth * g[2];
    u[4] = (small * g[0] + -twelfth * g[1]) + sixth * g[2];
    u[5] = g[2];
}

/* HALF kernels, [kernel][9], times a factor. */
DOMAIN_INLINE void weights_half(const float *w, size_t n, float factor, hvec u[POINTS])
{
    dvec lines[IN][3];
    for (int x = 0; x < 3; x++) {
        dvec g[3], line[IN];
        for (int y = 0; y < 3; y++) {
            hvec taps = {0};
            for (size_t i = 0; i < n; i++)
                taps[i] = w[i * 9 + (size_t)(y * 3 + x)];
            taps = taps * factor;
            g[y] = __builtin_convertvector(taps, dvec);
        }
        weights_line(g, line);
        for (int i = 0; i < IN; i++)
            lines[i][x] = line[i];
    }
    for (int i = 0; i < IN; i++) {
        dvec line[IN];
        weights_line(lines[i], line);
        for (int x = 0; x < IN; x++)
            u[i * IN + x] = __builtin_convertvector(line[x], hvec);
    }
}

DOMAIN_INLINE void round_weight(const struct eq_f32_domain_weights *j, int p, vec *u, uint8_t *mask, size_t n)
{
    const float scale = j->scale[(size_t)p * j->scale_step], inv = 1.0f / scale;
    vec x = *u * inv;
    near_lanes(&x);
    round_lanes(&x);
    if (mask) {
        const ivec inside = (x >= j->qmin) & (x <= j->qmax) & 1;
        store_bytes(mask, &inside, n);
    }
    at_least(&x, j->qmin);
    at_most(&x, j->qmax);
    *u = j->whole ? x : x * scale;
}

DOMAIN_INLINE void weights_lanes(const struct eq_f32_domain_weights *j, size_t i, size_t n)
{
    hvec half[2][POINTS];
    weights_half(j->w + i * 9, n < HALF ? n : HALF, j->factor, half[0]);
    if (n > HALF)
        weights_half(j->w + (i + HALF) * 9, n - HALF, j->factor, half[1]);
    else
        memset(half[1], 0, sizeof half[1]);
    for (int p = 0; p < POINTS; p++) {
        vec u;
        memcpy(&u, &half[0][p], sizeof half[0][p]);
        memcpy((char *)&u + sizeof half[0][p], &half[1][p], sizeof half[1][p]);
        if (j->absmax) {
            vec most;
            const ivec bits = (ivec)u & 0x7fffffff;
            const vec a = (vec)bits;
            load(&most, j->absmax + p * LANES, LANES);
            const ivec above = (a > most) | (a != a);
            choose(&most, &above, &a, &most);
            store(j->absmax + p * LANES, &most, LANES);
            continue;
        }
        const size_t at = (size_t)p * j->plane + i;
        if (j->scale)
            round_weight(j, p, &u, j->mask ? j->mask + at : NULL, n);
        store(j->u + at, &u, n);
    }
}

static void domain_weights(const struct eq_f32_domain_weights *j)
{
    size_t i = 0;
    for (; i + LANES <= j->n; i += LANES)
        weights_lanes(j, i, LANES);
    if (i < j->n)
        weights_lanes(j, i, j->n - i);
}

/* The adjoint of weights_line, in floats. */
DOMAIN_INLINE void diff_weights_line(const vec u[IN], vec g[3])
{
    const float sixth = 1.0f / 6, twelfth = 1.0f / 12, small = 1.0f / 24;
    const vec s12 = u[1] + u[2], d12 = u[2] - u[1], s34 = u[3] + u[4], d34 = u[3] - u[4];
    g[0] = (0.25f * u[0] - sixth * s12) + small * s34;
    g[1] = sixth * d12 + twelfth * d34;
    g[2] = (u[5] - sixth * s12) + sixth * s34;
}

DOMAIN_INLINE void diff_weights_lanes(const struct eq_f32_domain_diff_weights *j, size_t i, size_t n)
{
    vec lines[3][IN], g[3][3];
    for (int x = 0; x < IN; x++) {
        vec u[IN], line[3];
        for (int y = 0; y < IN; y++) {
            const size_t at = (size_t)(y * IN + x) * j->plane + i;
            load(&u[y], j->du + at, n);
            if (j->mask) {
                bvec b = {0};
                memcpy(&b, j->mask + at, n);
                const ivec passes = -__builtin_convertvector(b, ivec);
                u[y] = (vec)((ivec)u[y] & passes);
            }
        }
        diff_weights_line(u, line);
        for (int y = 0; y < 3; y++)
            lines[y][x] = line[y];
    }
    for (int y = 0; y < 3; y++)
        diff_weights_line(lines[y], g[y]);
    for (size_t k = 0; k < n; k++)
        for (int tap = 0; tap < 9; tap++)
            j->dw[(i + k) * 9 + (size_t)tap] += g[tap / 3][tap % 3][k] * j->factor;
}

static void domain_diff_weights(const struct eq_f32_domain_diff_weights *j)
{
    size_t i = 0;
    for (; i + LANES <= j->n; i += LANES)
        diff_weights_lanes(j, i, LANES);
    if (i < j->n)
        diff_weights_lanes(j, i, j->n - i);
}

/* ---- products in one order ----------------------------------------------- */

enum { ROWS = 8, EXACT_DEPTH = 512 }; /* 512 * 255 * 127 < 2^24: float sums of whole numbers stay exact */

DOMAIN_INLINE void product_lanes(const struct eq_f32_domain_product *j, size_t row, size_t rows, size_t c, size_t n)
{
    vec sum[ROWS];
    ivec whole[ROWS];
    for (size_t r = 0; r < ROWS; r++) {
        sum[r] = (vec){0};
        whole[r] = (ivec){0};
    }
    for (size_t k = 0; k < j->depth; k++) {
        vec u;
        load(&u, j->u + k * j->columns + c, n);
        for (size_t r = 0; r < rows; r++)
            sum[r] = sum[r] + j->v[(row + r) * j->depth + k] * u;
        if (j->whole && ((k + 1) % EXACT_DEPTH == 0 || k + 1 == j->depth))
            for (size_t r = 0; r < rows; r++) {
                whole[r] = whole[r] + __builtin_convertvector(sum[r], ivec);
                sum[r] = (vec){0};
            }
    }
    for (size_t r = 0; r < rows; r++) {
        if (j->whole)
            sum[r] = __builtin_convertvector(whole[r], vec);
        store(j->m + (row + r) * j->columns + c, &sum[r], n);
    }
}

static void domain_product(const struct eq_f32_domain_product *j)
{
    for (size_t row = 0; row < j->rows; row += ROWS) {
        const size_t rows = j->rows - row < ROWS ? j->rows - row : ROWS;
        for (size_t c = 0; c < j->columns; c += LANES) {
            const size_t n = j->columns - c < LANES ? j->columns - c : LANES;
            if (rows == ROWS && n == LANES)
                product_lanes(j, row, ROWS, c, LANES);
            else
                product_lanes(j, row, rows, c, n);
        }
    }
}

static void fill_domain(struct eq_f32_domain_table *table)
{
    table->src = domain_src;
    table->diff_src = domain_diff_src;
    table->dst = domain_dst;
    table->diff = domain_diff;
    table->weights = domain_weights;
    table->diff_weights = domain_diff_weights;
    table->product = domain_product;
}

#endif
