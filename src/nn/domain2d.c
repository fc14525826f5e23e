/*
 * A 3 x 3 convolution in Winograd's domain with rounded factors. The tiles of all clips are worked on in chunks that
 * fit the caches: all transformed, then multiplied point by point, then transformed back. Chunks, pieces of work and
 * the order of every sum depend on the shape alone.
 */
#include "echoquant/nn.h"

#include <math.h>
#include <string.h>

enum { POINTS = EQ_DOMAIN_POINTS, IN = EQ_DOMAIN_IN, LANES = EQ_DOMAIN_LANES, PAD = 16 };
enum { MAX_CHUNK = 256, PARTS = 4, KINDS = 4 };
static const size_t chunk_bytes = (size_t)8 << 20;

/* ---- chunks -------------------------------------------------------------- */

void eq_domain2d_init(struct eq_domain2d *l, const struct eq_conv_shape *shape, bool ordered)
{
    const struct eq_conv_shape *s = shape;
    const size_t tile = (size_t)POINTS * (size_t)s->t * (size_t)(s->cin + s->cout) * sizeof(float);
    size_t fit = chunk_bytes / tile;
    *l = (struct eq_domain2d){.shape = *s, .ordered = ordered};
    l->tiles = s->b * eq_domain_tiles(s->oh) * eq_domain_tiles(s->ow);
    int most = fit < 1 ? 1 : fit > MAX_CHUNK ? MAX_CHUNK : (int)fit, chunks = (l->tiles + most - 1) / most;
    l->chunk = (l->tiles + chunks - 1) / chunks;
}

size_t eq_domain2d_weights(const struct eq_domain2d *l)
{
    return (size_t)POINTS * (size_t)l->shape.cout * (size_t)l->shape.cin;
}

/* Between points; not a power of two, so that 36 streams don't share a cache set. */
static size_t plane_of(const struct eq_domain2d *l, int channels)
{
    return (size_t)l->chunk * (size_t)l->shape.t * (size_t)channels + PAD;
}

struct tile {
    int clip;
    struct eq_f32_domain_place place;
};

/* The job of a pass over one chunk. */
struct job {
    const struct eq_domain2d *l;
    struct tile tiles[MAX_CHUNK];
    int n, kinds[KINDS];
    bool first; /* of the chunks */
    size_t v_plane, m_plane;
    float *v, *m, *dv;
    uint8_t *mask;
    float *ranges; /* [threads][2][POINTS][LANES] or NULL */
    const float *src, *u, *diff_dst;
    const struct eq_f32_domain_rounding *rounding;
    const struct eq_domain2d_epilogue *epi;
    float *dst, *du, *diff_src;
};

/* Tiles that have a point at infinity along y (x) stand together: 0 along y only, 1 both, 2 x only, 3 neither. */
static int kind_of(const struct eq_f32_domain_place *p)
{
    bool y = p->my == EQ_DOMAIN_OUT, x = p->mx == EQ_DOMAIN_OUT;
    return y ? (x ? 1 : 0) : (x ? 2 : 3);
}

static void take_chunk(struct job *j, int first)
{
    const struct eq_conv_shape *s = &j->l->shape;
    const int ty = eq_domain_tiles(s->oh), tx = eq_domain_tiles(s->ow);
    const int end = first + j->l->chunk < j->l->tiles ? first + j->l->chunk : j->l->tiles;
    j->n = 0;
    j->first = first == 0;
    for (int kind = 0; kind < KINDS; kind++) {
        int before = j->n;
        for (int i = first; i < end; i++) {
            const struct eq_domain_tile y = eq_domain_tile(s->oh, i / tx % ty), x = eq_domain_tile(s->ow, i % tx);
            struct tile t = {i / tx / ty, {y.start, x.start, y.outputs, x.outputs, 0, s->t}};
            if (kind_of(&t.place) == kind)
                j->tiles[j->n++] = t;
        }
        j->kinds[kind] = j->n - before;
    }
}

static bool has_point(const struct eq_f32_domain_place *t, int p)
{
    return (p / IN < IN - 1 || t->my == EQ_DOMAIN_OUT) && (p % IN < IN - 1 || t->mx == EQ_DOMAIN_OUT);
}

/* The rows lo..hi-1 of a point's matrices. */
static void rows_of(const struct job *j, int p, size_t *lo, size_t *hi)
{
    const bool far_y = p / IN == IN - 1, far_x = p % IN == IN - 1;
    const size_t t = (size_t)j->l->shape.t;
    *lo = far_x ? (size_t)j->kinds[0] * t : 0;
    *hi = (size_t)(j->kinds[0] + j->kinds[1] + (far_y ? 0 : j->kinds[2]) + (far_y || far_x ? 0 : j->kinds[3])) * t;
}

/* A part of the frames of a tile. */
static struct eq_f32_domain_place part_of(const struct job *j, size_t piece, size_t *tile)
{
    const int t = j->l->shape.t, part = (int)(piece % PARTS);
    *tile = piece / PARTS;
    struct eq_f32_domain_place place = j->tiles[*tile].place;
    place.first = t * part / PARTS;
    place.end = t * (part + 1) / PARTS;
    return place;
}

/* Where a tile's rows of a point are; no address for a point that it lacks. */
#define AT(base, plane, channels, place, tile, p)                                                                      \
    ((base) && has_point(place, p)                                                                                     \
         ? (base) + (size_t)(p) * (plane) + (tile) * (size_t)j->l->shape.t * (size_t)(channels)                        \
         : NULL)

static size_t clip_of(const struct job *j, size_t tile, int pixels, int channels)
{
    return (size_t)j->tiles[tile].clip * (size_t)pixels * (size_t)j->l->shape.t * (size_t)channels;
}

/* ---- pieces of work ------------------------------------------------------ */

static void src_piece(void *ctx, size_t piece, int worker)
{
    const struct job *j = ctx;
    const struct eq_conv_shape *s = &j->l->shape;
    size_t tile;
    const struct eq_f32_domain_place place = part_of(j, piece, &tile);
    struct eq_f32_domain_src src = {.clip = j->src + clip_of(j, tile, s->h * s->w, s->cin), .rounding = j->rounding};
    if (j->ranges)
        src.range = j->ranges + (size_t)worker * 2 * POINTS * LANES;
    for (int p = 0; p < POINTS; p++) {
        src.v[p] = AT(j->v, j->v_plane, s->cin, &place, tile, p);
        src.mask[p] = AT(j->mask, j->v_plane, s->cin, &place, tile, p);
    }
    eq_f32_domain_kernels()->src(s, &place, &src);
}

static void dst_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct job *j = ctx;
    const struct eq_conv_shape *s = &j->l->shape;
    const struct eq_domain2d_epilogue *e = j->epi;
    size_t tile;
    const struct eq_f32_domain_place place = part_of(j, piece, &tile);
    const size_t at = clip_of(j, tile, s->oh * s->ow, s->cout);
    struct eq_f32_domain_dst dst = {.clip = j->dst + at,
                                    .bias = e->bias,
                                    .residual = e->residual ? e->residual + at : NULL,
                                    .k = e->k,
                                    .k_step = (size_t)s->cout,
                                    .residual_m = e->residual_m,
                                    .inv_residual = e->inv_residual,
                                    .residual_zp = e->residual_zp,
                                    .relu = e->relu};
    for (int p = 0; p < POINTS; p++)
        dst.m[p] = AT(j->m, j->m_plane, s->cout, &place, tile, p);
    eq_f32_domain_kernels()->dst(s, &place, &dst);
}

static void diff_piece(void *ctx, size_t piece, int worker)
{
    const struct job *j = ctx;
    const struct eq_conv_shape *s = &j->l->shape;
    float *m[POINTS];
    size_t tile;
    const struct eq_f32_domain_place place = part_of(j, piece / 2, &tile);
    if (piece % 2) {
        src_piece(ctx, piece / 2, worker);
        return;
    }
    for (int p = 0; p < POINTS; p++)
        m[p] = AT(j->m, j->m_plane, s->cout, &place, tile, p);
    eq_f32_domain_kernels()->diff(s, &place, j->diff_dst + clip_of(j, tile, s->oh * s->ow, s->cout), m);
}

static void product_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct job *j = ctx;
    const struct eq_conv_shape *s = &j->l->shape;
    const size_t cin = (size_t)s->cin, cout = (size_t)s->cout, p = piece;
    size_t lo, hi;
    rows_of(j, (int)p, &lo, &hi);
    const float *v = j->v + p * j->v_plane + lo * cin, *u = j->u + p * cin * cout;
    float *m = j->m + p * j->m_plane + lo * cout;
    if (lo >= hi)
        return;
    if (j->l->ordered)
        eq_f32_domain_kernels()->product(
            &(struct eq_f32_domain_product){v, u, m, hi - lo, cin, cout, j->rounding && j->rounding->whole});
    else
        eq_sgemm(false, true, (int)(hi - lo), s->cout, s->cin, 1, v, s->cin, u, s->cin, 0, m, s->cout);
}

static void diff_product_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct job *j = ctx;
    const struct eq_conv_shape *s = &j->l->shape;
    const size_t cin = (size_t)s->cin, cout = (size_t)s->cout, p = piece / 2;
    size_t lo, hi;
    rows_of(j, (int)p, &lo, &hi);
    const float *m = j->m + p * j->m_plane + lo * cout;
    const int rows = (int)(hi - lo);
    if (piece % 2 == 0 && j->du) {
        float *du = j->du + p * cin * cout;
        if (rows > 0)
            eq_sgemm(true, false, s->cout, s->cin, rows, 1, m, s->cout, j->v + p * j->v_plane + lo * cin, s->cin,
                     j->first ? 0 : 1, du, s->cin);
        else if (j->first)
            memset(du, 0, cin * cout * sizeof *du);
    } else if (piece % 2 && j->diff_src && rows > 0) {
        eq_sgemm(false, false, rows, s->cin, s->cout, 1, m, s->cout, j->u + p * cin * cout, s->cin, 0,
                 j->dv + p * j->v_plane + lo * cin, s->cin);
    }
}

/* Tiles overlap in the source, so a piece is a frame of all of them. */
static void diff_src_piece(void *ctx, size_t frame, int worker)
{
    (void)worker;
    const struct job *j = ctx;
    const struct eq_conv_shape *s = &j->l->shape;
    for (size_t tile = 0; tile < (size_t)j->n; tile++) {
        struct eq_f32_domain_place place = j->tiles[tile].place;
        struct eq_f32_domain_diff_src d = {.clip = j->diff_src + clip_of(j, tile, s->h * s->w, s->cin)};
        place.first = (int)frame;
        place.end = (int)frame + 1;
        for (int p = 0; p < POINTS; p++) {
            d.v[p] = AT(j->dv, j->v_plane, s->cin, &place, tile, p);
            d.mask[p] = AT(j->mask, j->v_plane, s->cin, &place, tile, p);
        }
        eq_f32_domain_kernels()->diff_src(s, &place, &d);
    }
}

/* ---- forward ------------------------------------------------------------- */

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t floats_bytes(size_t n)
{
    return round_up(n * sizeof(float));
}

static size_t range_floats(void)
{
    return (size_t)eq_parallel_threads() * 2 * POINTS * LANES;
}

size_t eq_domain2d_scratch_bytes(const struct eq_domain2d *l, bool backward)
{
    const size_t v = POINTS * plane_of(l, l->shape.cin), m = POINTS * plane_of(l, l->shape.cout);
    const size_t both = floats_bytes(v) + floats_bytes(m);
    return both + (backward ? floats_bytes(v) + round_up(v) : floats_bytes(range_floats()));
}

static void lay_out(struct job *j, void *scratch, bool backward)
{
    char *at = scratch;
    j->v_plane = plane_of(j->l, j->l->shape.cin);
    j->m_plane = plane_of(j->l, j->l->shape.cout);
    j->v = (float *)at;
    at += floats_bytes(POINTS * j->v_plane);
    j->m = (float *)at;
    at += floats_bytes(POINTS * j->m_plane);
    if (!backward) {
        j->ranges = (float *)at;
        return;
    }
    j->dv = (float *)at;
    at += floats_bytes(POINTS * j->v_plane);
    j->mask = (uint8_t *)at;
}

static void merge_ranges(const float *ranges, float *range)
{
    for (int p = 0; p < POINTS; p++) {
        float least = INFINITY, most = -INFINITY;
        for (int worker = 0; worker < eq_parallel_threads(); worker++)
            for (int i = 0; i < LANES; i++) {
                const float *at = ranges + ((size_t)worker * 2 * POINTS + (size_t)p) * LANES + i;
                const float low = at[0], high = at[POINTS * LANES];
                least = low < least || isnan(low) ? low : least;
                most = high > most || isnan(high) ? high : most;
            }
        range[p] = least;
        range[POINTS + p] = most;
    }
}

static void clear_ranges(float *ranges)
{
    for (size_t i = 0; i < range_floats(); i++)
        ranges[i] = i / (POINTS * LANES) % 2 ? -INFINITY : INFINITY;
}

void eq_domain2d_forward(const struct eq_domain2d *l, const float *src, const struct eq_f32_domain_rounding *rounding,
                         const float *u, const struct eq_domain2d_epilogue *epi, float *dst, float *range,
                         void *scratch)
{
    struct job j = {.l = l, .src = src, .rounding = rounding, .u = u, .epi = epi, .dst = dst};
    lay_out(&j, scratch, false);
    if (range)
        clear_ranges(j.ranges);
    else
        j.ranges = NULL;
    for (int first = 0; first < l->tiles; first += l->chunk) {
        take_chunk(&j, first);
        eq_parallel_for((size_t)j.n * PARTS, src_piece, &j);
        eq_parallel_for(POINTS, product_piece, &j);
        eq_parallel_for((size_t)j.n * PARTS, dst_piece, &j);
    }
    if (range)
        merge_ranges(j.ranges, range);
}

/* ---- backward ------------------------------------------------------------ */

static void clear_span(const void *ctx, size_t lo, size_t hi)
{
    float *const *to = ctx;
    memset(*to + lo, 0, (hi - lo) * sizeof **to);
}

void eq_domain2d_backward(const struct eq_domain2d *l, const float *src, const float *diff_dst,
                          const struct eq_f32_domain_rounding *rounding, const float *u, float *du, float *diff_src,
                          bool accumulate, void *scratch)
{
    const struct eq_conv_shape *s = &l->shape;
    struct job j = {
        .l = l, .src = src, .diff_dst = diff_dst, .rounding = rounding, .u = u, .du = du, .diff_src = diff_src};
    lay_out(&j, scratch, true);
    if (!rounding)
        j.mask = NULL;
    if (diff_src && !accumulate)
        eq_for_spans((size_t)s->b * (size_t)s->h * (size_t)s->w * (size_t)s->t * (size_t)s->cin, clear_span, &diff_src);
    for (int first = 0; first < l->tiles; first += l->chunk) {
        take_chunk(&j, first);
        eq_parallel_for((size_t)j.n * PARTS * 2, diff_piece, &j);
        eq_parallel_for(POINTS * 2, diff_product_piece, &j);
        if (diff_src)
            eq_parallel_for((size_t)s->t, diff_src_piece, &j);
    }
}

/* ---- weights ------------------------------------------------------------- */

struct weights_job {
    const float *w, *factor, *du;
    int cout, cin;
    const struct eq_domain2d_grid *grid;
    float *u, *dw, *absmax;
    uint8_t *mask;
};

static struct eq_f32_domain_weights weights_of(const struct weights_job *j, size_t oc)
{
    const size_t cin = (size_t)j->cin, cout = (size_t)j->cout;
    return (struct eq_f32_domain_weights){
        .w = j->w + oc * cin * 9, .n = cin, .plane = cin * cout, .factor = j->factor ? j->factor[oc] : 1};
}

static void use_row(void *ctx, size_t oc, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const struct eq_domain2d_grid *g = j->grid;
    struct eq_f32_domain_weights row = weights_of(j, oc);
    row.u = j->u + oc * row.n;
    if (g->scale) {
        row.scale = g->scale + (g->scales > 1 ? oc : 0);
        row.scale_step = g->scales > 1 ? (size_t)j->cout : 0;
        row.qmin = (float)g->qmin;
        row.qmax = (float)g->qmax;
        row.whole = g->whole;
        row.mask = j->mask ? j->mask + oc * row.n : NULL;
    }
    eq_f32_domain_kernels()->weights(&row);
}

void eq_domain2d_use_weights(const struct eq_domain2d *l, const float *w, const float *factor,
                             const struct eq_domain2d_grid *grid, float *u, uint8_t *mask)
{
    struct weights_job j = {
        .w = w, .factor = factor, .cout = l->shape.cout, .cin = l->shape.cin, .grid = grid, .u = u, .mask = mask};
    eq_parallel_for((size_t)j.cout, use_row, &j);
}

static void absmax_row(void *ctx, size_t oc, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    struct eq_f32_domain_weights row = weights_of(j, oc);
    float most[POINTS * LANES] = {0};
    row.absmax = most;
    eq_f32_domain_kernels()->weights(&row);
    for (int p = 0; p < POINTS; p++) {
        float a = 0;
        for (int i = 0; i < LANES; i++) {
            const float x = most[p * LANES + i];
            a = x > a || isnan(x) ? x : a;
        }
        j->absmax[(size_t)p * (size_t)j->cout + oc] = a;
    }
}

void eq_domain2d_absmax(const float *w, int cout, int cin, const float *factor, float *absmax)
{
    struct weights_job j = {.w = w, .factor = factor, .cout = cout, .cin = cin, .absmax = absmax};
    eq_parallel_for((size_t)cout, absmax_row, &j);
}

static void backward_row(void *ctx, size_t oc, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const size_t cin = (size_t)j->cin, at = oc * cin;
    eq_f32_domain_kernels()->diff_weights(&(struct eq_f32_domain_diff_weights){.du = j->du + at,
                                                                               .mask = j->mask ? j->mask + at : NULL,
                                                                               .n = cin,
                                                                               .plane = cin * (size_t)j->cout,
                                                                               .factor = j->factor ? j->factor[oc] : 1,
                                                                               .dw = j->dw + at * 9});
}

void eq_domain2d_weights_backward(const struct eq_domain2d *l, const float *du, const uint8_t *mask,
                                  const float *factor, float *dw)
{
    struct weights_job j = {.du = du,
                            .mask = (uint8_t *)mask, /* only read */
                            .factor = factor,
                            .cout = l->shape.cout,
                            .cin = l->shape.cin,
                            .dw = dw};
    eq_parallel_for((size_t)j.cout, backward_row, &j);
}

struct pack_job {
    const float *u;
    float *packed;
    size_t cout, cin;
};

static void pack_point(void *ctx, size_t p, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    const float *u = j->u + p * j->cout * j->cin;
    float *to = j->packed + p * j->cout * j->cin;
    for (size_t oc = 0; oc < j->cout; oc++)
        for (size_t ci = 0; ci < j->cin; ci++)
            to[ci * j->cout + oc] = u[oc * j->cin + ci];
}

void eq_domain2d_pack(const struct eq_domain2d *l, const float *u, float *packed)
{
    struct pack_job j = {u, packed, (size_t)l->shape.cout, (size_t)l->shape.cin};
    eq_parallel_for(POINTS, pack_point, &j);
}
