/*
 * Template: INT8 in Winograd's domain (kernels.h has what it computes; Li et al., LoWino, ICPP 2021).
 *
 * A piece of work transforms a group of tiles of at most DOMAIN_FRAMES frames into the worker's scratch, then, for each
 * block of output channels, multiplies at all points and transforms back. Maps of a few tiles, whose layers have many
 * weights, are one group: all workers share its transform, which is a loop of its own, and a piece is then a block of
 * channels, so that weights are read once.
 *
 * With an instruction for bytes the transformed source is u8, or u8 minus EQ_SRC_OFFSET, and sums start at minus the
 * zero-points times the weights. Packing orders the channels in a way that the weights follow. Otherwise (EQ_WIDE) it
 * is s16 without zero-points, and so are the weights. Channels are padded with weights of 0 to whole vectors.
 *
 * Beside what vector/u8s8_tile.h lists, the including file has defined v_add, v_sub, v_store, v_store_limited_u8; of
 * vectors of s16 vi_set1_16, vi_add16, vi_sub16, vi_shl16, vi_mulhrs16, vi_widen_u8 and, when EQ_WIDE, vi_min16 and
 * vi_max16, else vi_pack16: two vectors to bytes, saturating, of 16 bytes the first 8 from the first vector.
 */
#ifndef KERNELS_VECTOR_U8S8_DOMAIN_TMPL_H
#define KERNELS_VECTOR_U8S8_DOMAIN_TMPL_H

#include "kernels/vector/u8s8_tile.h"
#include "kernels/vector/u8s8_winograd_src.h"

enum {
    DOMAIN_CLASSES = 4, /* of points: 1 at infinity along x, 2 along y, 3 along both, 0 others */
    DOMAIN_FRAMES = 16,
    DOMAIN_CHUNK = 4 * VL,          /* channels that are transformed at a time: two vectors of s16 */
    DOMAIN_BYTES = EQ_WIDE ? 2 : 1, /* of a value at a point, and of a weight */
    DOMAIN_PAD = 64,                /* bytes between the planes of points, lest all meet in one set of the cache */
    DOMAIN_GROUP_BYTES = 150 << 10, /* transformed source of a group: a part of a second-level cache */
    DOMAIN_SHARED_TILES = 4         /* maps of so many tiles are one group */
};

struct domain_plan {
    int tiles_x, tiles, group, groups, frame_groups; /* group: tiles of a group */
    int chunks, blocks;                              /* of source channels, of output channels */
    bool shared;
    size_t row, v_plane, m_plane; /* bytes: one frame of a tile at a point; a point's rows, and their sums */
    size_t v_bytes, m_bytes;      /* all points */
};

static struct domain_plan domain_plan_of(const struct eq_conv_shape *s)
{
    struct domain_plan p = {.tiles_x = eq_domain_tiles(s->ow)};
    const size_t frames = s->t < DOMAIN_FRAMES ? s->t : DOMAIN_FRAMES;
    p.tiles = p.tiles_x * eq_domain_tiles(s->oh);
    p.chunks = (s->cin + DOMAIN_CHUNK - 1) / DOMAIN_CHUNK;
    p.blocks = (s->cout + BLOCK - 1) / BLOCK;
    p.row = (size_t)p.chunks * DOMAIN_CHUNK * DOMAIN_BYTES;
    p.shared = p.tiles <= DOMAIN_SHARED_TILES;
    const size_t fitting = DOMAIN_GROUP_BYTES / (EQ_DOMAIN_POINTS * frames * p.row);
    p.group = p.shared || fitting > (size_t)p.tiles ? p.tiles : fitting ? (int)fitting : 1;
    p.groups = (p.tiles + p.group - 1) / p.group;
    p.frame_groups = (s->t + DOMAIN_FRAMES - 1) / DOMAIN_FRAMES;
    p.v_plane = p.group * frames * p.row + DOMAIN_PAD;
    p.m_plane = p.group * frames * BLOCK * sizeof(float) + DOMAIN_PAD;
    p.v_bytes = EQ_DOMAIN_POINTS * p.v_plane;
    p.m_bytes = EQ_DOMAIN_POINTS * p.m_plane;
    return p;
}

static size_t domain_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    const struct domain_plan p = domain_plan_of(s);
    return (p.shared ? 1 : threads) * p.v_bytes + threads * p.m_bytes;
}

/* ---- weights ------------------------------------------------------------- */

/* A block at one point: [BLOCK] int32 that sums start at, then weights [step][BLOCK][4 bytes]. */
enum { DOMAIN_START_BYTES = BLOCK * sizeof(int32_t) };

static size_t domain_point_bytes(const struct domain_plan *p)
{
    return DOMAIN_START_BYTES + p->row * BLOCK;
}

/* [block][point] */
static size_t domain_packed_bytes(const struct eq_conv_shape *s)
{
    const struct domain_plan p = domain_plan_of(s);
    return (size_t)p.blocks * EQ_DOMAIN_POINTS * domain_point_bytes(&p);
}

/* The channel that is value i of a transformed row: packing two vectors takes 8 of each by turns. */
static int domain_channel(int i)
{
    enum { HALF = DOMAIN_CHUNK / 2 };
    return EQ_WIDE ? i : i / DOMAIN_CHUNK * DOMAIN_CHUNK + i % 16 / 8 * HALF + i % DOMAIN_CHUNK / 16 * 8 + i % 8;
}

struct domain_pack_job {
    const struct eq_conv_shape *s;
    struct domain_plan plan;
    const int8_t *u;
    const struct eq_domain_points *points;
    uint8_t *packed;
};

/* One block at one point. */
static void domain_pack_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct domain_pack_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    enum { LANE = 4 / DOMAIN_BYTES };
    const size_t block = piece / EQ_DOMAIN_POINTS, p = piece % EQ_DOMAIN_POINTS;
    const int values = (int)(j->plan.row / DOMAIN_BYTES);
    uint8_t *start = j->packed + piece * domain_point_bytes(&j->plan), *out = start + DOMAIN_START_BYTES;
    for (int i = 0; i < BLOCK; i++) {
        const int oc = (int)block * BLOCK + i;
        const int8_t *u = j->u + (p * s->cout + oc) * s->cin;
        int32_t sum = 0;
        for (int v = 0; v < values; v++) {
            const int c = domain_channel(v), at = (v / LANE * BLOCK + i) * LANE + v % LANE;
            const int8_t weight = c < s->cin && oc < s->cout ? u[c] : 0;
#if EQ_WIDE
            ((int16_t *)(void *)out)[at] = weight;
#else
            out[at] = (uint8_t)weight;
#endif
            sum += weight;
        }
        ((int32_t *)(void *)start)[i] = EQ_WIDE ? 0 : (EQ_SRC_OFFSET - j->points->add[p]) * sum;
    }
}

static void domain_pack(const struct eq_conv_shape *s, const int8_t *u, const struct eq_domain_points *points,
                        void *packed)
{
    struct domain_pack_job job = {s, domain_plan_of(s), u, points, packed};
    eq_parallel_for((size_t)job.plan.blocks * EQ_DOMAIN_POINTS, domain_pack_piece, &job);
}

/* ---- tiles --------------------------------------------------------------- */

struct domain_job {
    const struct eq_conv_shape *s;
    struct domain_plan plan;
    const uint8_t *src;
    int src_zp;
    const uint8_t *packed;
    int16_t mul[EQ_DOMAIN_POINTS], add[EQ_DOMAIN_POINTS]; /* add: minus EQ_SRC_OFFSET */
    const struct eq_domain_epilogue *epi;
    uint8_t *dst, *scratch;
    int shared_group; /* the one that is worked at */
};

/* Tiles first..last-1 of some frames of a clip. */
struct domain_group {
    int b, f, frames, first, last;
};

static struct domain_group domain_group_at(const struct domain_job *j, int at)
{
    const struct domain_plan *p = &j->plan;
    const int first = at % p->groups * p->group, f = at / p->groups % p->frame_groups * DOMAIN_FRAMES;
    return (struct domain_group){.b = at / p->groups / p->frame_groups,
                                 .f = f,
                                 .frames = j->s->t - f < DOMAIN_FRAMES ? j->s->t - f : DOMAIN_FRAMES,
                                 .first = first,
                                 .last = p->tiles - first < p->group ? p->tiles : first + p->group};
}

static int domain_groups(const struct domain_job *j)
{
    return j->s->b * j->plan.groups * j->plan.frame_groups;
}

/* A tile's outputs, and rows[class]: those of the group's tiles before it, in the planes of the points. */
struct domain_tile {
    struct eq_domain_tile y, x;
    int rows[DOMAIN_CLASSES];
};

static struct domain_tile domain_first(const struct domain_job *j, const struct domain_group *g)
{
    return (struct domain_tile){.y = eq_domain_tile(j->s->oh, g->first / j->plan.tiles_x),
                                .x = eq_domain_tile(j->s->ow, g->first % j->plan.tiles_x)};
}

/* From a tile to the next one, tile; tile = last gives the number of the group's rows. */
static void domain_next(const struct domain_job *j, const struct domain_group *g, int tile, struct domain_tile *t)
{
    for (int c = 0; c < DOMAIN_CLASSES; c++)
        if ((t->x.outputs == EQ_DOMAIN_OUT || !(c & 1)) && (t->y.outputs == EQ_DOMAIN_OUT || !(c & 2)))
            t->rows[c] += g->frames;
    t->y = eq_domain_tile(j->s->oh, tile / j->plan.tiles_x);
    t->x = eq_domain_tile(j->s->ow, tile % j->plan.tiles_x);
}

static int domain_class(int p)
{
    return (p % EQ_DOMAIN_IN == EQ_DOMAIN_IN - 1) + 2 * (p / EQ_DOMAIN_IN == EQ_DOMAIN_IN - 1);
}

/* ---- source to points ---------------------------------------------------- */

/* A chunk's two halves at a point, rounded to what the products take. */
ALWAYS_INLINE void domain_store_point(uint8_t *to, vi a, vi b, const int16_t *mul, const int16_t *add)
{
    const vi m = vi_set1_16(*mul), zero = vi_set1_16(*add);
    a = vi_mulhrs16(a, m);
    b = vi_mulhrs16(b, m);
#if EQ_WIDE
    const vi lo = vi_sub16(vi_set1_16(0), zero), hi = vi_sub16(vi_set1_16(255), zero);
    vi_store(to, vi_min16(vi_max16(a, lo), hi));
    vi_store(to + sizeof(vi), vi_min16(vi_max16(b, lo), hi));
#else
    vi_store(to, vi_pack16(vi_add16(a, zero), vi_add16(b, zero)));
#endif
}

/* One chunk at an offset into the pixels of a tile, which makes 4 outputs along an axis if it is whole there.
 * to[class]: where the chunk goes in the plane of point 0. */
ALWAYS_INLINE void domain_src_points(const struct domain_job *j, const bool whole_y, const bool whole_x,
                                     const uint8_t *const px[EQ_DOMAIN_POINTS], size_t at,
                                     uint8_t *const to[DOMAIN_CLASSES])
{
    const int iny = EQ_DOMAIN_IN - !whole_y, inx = EQ_DOMAIN_IN - !whole_x;
    const vi center = vi_set1_16(36 * j->src_zp);
    vi lines[2][EQ_DOMAIN_IN][EQ_DOMAIN_IN];
    for (int y = 0; y < iny; y++)
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            vi d[EQ_DOMAIN_IN];
#pragma GCC unroll 6
            for (int x = 0; x < inx; x++)
                d[x] = vi_widen_u8(px[y * EQ_DOMAIN_IN + x] + at + half * DOMAIN_CHUNK / 2);
            winograd_src_line(d, lines[half][y], whole_x);
        }
#pragma GCC unroll 1
    for (int x = 0; x < inx; x++) {
        vi v[2][EQ_DOMAIN_IN];
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            vi d[EQ_DOMAIN_IN];
#pragma GCC unroll 6
            for (int y = 0; y < iny; y++)
                d[y] = lines[half][y][x];
            winograd_src_line(d, v[half], whole_y);
            if (x == EQ_DOMAIN_CENTER % EQ_DOMAIN_IN)
                v[half][EQ_DOMAIN_CENTER / EQ_DOMAIN_IN] = vi_sub16(v[half][EQ_DOMAIN_CENTER / EQ_DOMAIN_IN], center);
        }
        const bool far_x = x == EQ_DOMAIN_IN - 1;
#pragma GCC unroll 6
        for (int y = 0; y < iny; y++) {
            const int p = y * EQ_DOMAIN_IN + x;
            domain_store_point(to[far_x + 2 * (y == EQ_DOMAIN_IN - 1)] + p * j->plan.v_plane, v[0][y], v[1][y],
                               &j->mul[p], &j->add[p]);
        }
    }
}

/* Points the pixels of a tile at one chunk of a frame; padding, and channels that a last chunk lacks, hold src_zp. */
struct domain_border {
    uint8_t padding[DOMAIN_CHUNK], pixels[EQ_DOMAIN_POINTS][DOMAIN_CHUNK];
    const uint8_t *px[EQ_DOMAIN_POINTS];
};

static void domain_gather(struct domain_border *border, const uint8_t *const px[EQ_DOMAIN_POINTS], size_t at,
                          int channels, int zp)
{
    for (int i = 0; i < EQ_DOMAIN_POINTS; i++) {
        border->px[i] = px[i] ? px[i] + at : border->padding;
        if (px[i] && channels < DOMAIN_CHUNK) {
            memset(border->pixels[i], zp, DOMAIN_CHUNK);
            border->px[i] = memcpy(border->pixels[i], px[i] + at, (size_t)channels);
        }
    }
}

ALWAYS_INLINE void domain_transform_as(const struct domain_job *j, const struct domain_group *g,
                                       const struct domain_tile *t, const bool whole_y, const bool whole_x, int chunk,
                                       int end, uint8_t *v)
{
    const struct eq_conv_shape *s = j->s;
    const uint8_t *px[EQ_DOMAIN_POINTS];
    struct domain_border border;
    bool inside = true;
    memset(border.padding, j->src_zp, sizeof border.padding);
    for (int i = 0; i < EQ_DOMAIN_POINTS; i++) {
        const int y = t->y.start - 1 + i / EQ_DOMAIN_IN, x = t->x.start - 1 + i % EQ_DOMAIN_IN;
        const bool in = y >= 0 && y < s->h && x >= 0 && x < s->w;
        px[i] = in ? j->src + eq_conv_src_at(s, g->b, g->f, y, x) : NULL;
        inside = inside && in;
    }
    for (int f = 0; f < g->frames; f++)
        for (int c = chunk; c < end; c++) {
            const size_t at = (size_t)f * s->cin + (size_t)c * DOMAIN_CHUNK;
            const int channels = s->cin - c * DOMAIN_CHUNK;
            uint8_t *to[DOMAIN_CLASSES];
            for (int k = 0; k < DOMAIN_CLASSES; k++)
                to[k] = v + (size_t)(t->rows[k] + f) * j->plan.row + (size_t)c * DOMAIN_CHUNK * DOMAIN_BYTES;
            if (inside && channels >= DOMAIN_CHUNK) {
                domain_src_points(j, whole_y, whole_x, px, at, to);
            } else {
                domain_gather(&border, px, at, channels, j->src_zp);
                domain_src_points(j, whole_y, whole_x, border.px, 0, to);
            }
        }
}

/* Chunks chunk..end-1 of a tile. */
static void domain_transform(const struct domain_job *j, const struct domain_group *g, const struct domain_tile *t,
                             int chunk, int end, uint8_t *v)
{
    const bool whole_y = t->y.outputs == EQ_DOMAIN_OUT, whole_x = t->x.outputs == EQ_DOMAIN_OUT;
    if (whole_y && whole_x)
        domain_transform_as(j, g, t, true, true, chunk, end, v);
    else if (whole_y)
        domain_transform_as(j, g, t, true, false, chunk, end, v);
    else if (whole_x)
        domain_transform_as(j, g, t, false, true, chunk, end, v);
    else
        domain_transform_as(j, g, t, false, false, chunk, end, v);
}

/* ---- products ------------------------------------------------------------ */

/* As tile_sums of a single tap; gcc makes more of a single loop. */
ALWAYS_INLINE void domain_sums(const int R, vi acc[MAX_R][2], const struct tile_src *src)
{
#if defined(EQ_OWN_SUMS)
    tile_sums(R, 4, 0, acc, src);
#else
    const ptrdiff_t stride = src->row_stride;
    const uint8_t *base[2] = {src->rows, src->rows + 4 * stride}, *w = src->weights, *ahead = src->ahead;
    const int lines = (int)(src->ahead_step + 63) / 64;
    for (int n = src->steps / 4; n > 0; n--, w += 4 * BLOCK * 4) {
        tile_steps(R, 4, acc, base, stride, 3 * stride, w);
        for (int i = 0; i < lines; i++)
            __builtin_prefetch(ahead + 64 * i, 0, 2);
        ahead += src->ahead_step;
        base[0] += 16;
        base[1] += 16;
    }
#endif
}

/* Sums leave as floats, scaled. */
ALWAYS_INLINE void domain_product(const int R, const struct tile_src *src, const struct tile_epilogue *e,
                                  const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    vi acc[MAX_R][2];
    (void)residual;
    tile_fill(R, acc, e->start);
    domain_sums(R, acc, src);
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++) {
        const vf m = v_load(e->m + c * VL), b = v_load(e->b + c * VL);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
            v_store((float *)(void *)(dst + r * dst_stride) + c * VL, v_fma(v_of_i(acc[r][c]), m, b));
    }
}
TILE_FNS(domain_product)

static int domain_block_channels(const struct domain_job *j, int block)
{
    return j->s->cout - block * BLOCK < BLOCK ? j->s->cout - block * BLOCK : BLOCK;
}

/* What a block's products have in common at all points of a class; rows: their number. */
struct domain_rows {
    struct tile_src src;
    int rows;
};

static void domain_rows_init(const struct domain_job *j, const int rows[DOMAIN_CLASSES],
                             struct domain_rows of[DOMAIN_CLASSES])
{
    for (int c = 0; c < DOMAIN_CLASSES; c++) {
        of[c] = (struct domain_rows){
            .src = {.row_stride = (ptrdiff_t)j->plan.row, .kys = 1, .kxs = 1, .steps = (int)(j->plan.row / 4)},
            .rows = rows[c]};
        if (rows[c])
            tile_ahead(&of[c].src, NULL, domain_point_bytes(&j->plan), (rows[c] + MAX_R - 1) / MAX_R, 4);
    }
}

/* A block's scales, bias and start of sums at a point. */
ALWAYS_INLINE void domain_epilogue(const struct domain_job *j, int block, int p, const size_t channels,
                                   const uint8_t *start, struct tile_epilogue *e)
{
    memcpy(e->m, j->epi->k + (size_t)p * j->s->cout + (size_t)block * BLOCK, channels * sizeof(float));
    memset(e->b, 0, sizeof e->b);
    if (p == EQ_DOMAIN_CENTER)
        memcpy(e->b, j->epi->b + (size_t)block * BLOCK, channels * sizeof(float));
    memcpy(e->start, start, sizeof e->start);
}

/* All points of a block. What the point after this one needs is asked for ahead of time; after the last block, another
 * group begins with the first again. */
static void domain_multiply(const struct domain_job *j, int block, const struct domain_rows of[DOMAIN_CLASSES],
                            const uint8_t *v, uint8_t *m)
{
    const size_t bytes = domain_point_bytes(&j->plan);
    const int channels = domain_block_channels(j, block);
    const uint8_t *points = j->packed + (size_t)block * EQ_DOMAIN_POINTS * bytes;
    const uint8_t *next = j->packed + (size_t)((block + 1) % j->plan.blocks) * EQ_DOMAIN_POINTS * bytes;
    const float *k = j->epi->k + (size_t)block * BLOCK;
    struct tile_epilogue e = {.epi = NULL};
    for (int p = 0, after; p < EQ_DOMAIN_POINTS; p = after) {
        const struct domain_rows *now = &of[domain_class(p)];
        struct tile_src src = now->src;
        for (after = p + 1; after < EQ_DOMAIN_POINTS && !of[domain_class(after)].rows;)
            after++;
        src.rows = v + p * j->plan.v_plane;
        src.weights = points + p * bytes + DOMAIN_START_BYTES;
        src.ahead = after < EQ_DOMAIN_POINTS ? points + after * bytes : next;
        for (int i = 0; i < BLOCK && after < EQ_DOMAIN_POINTS; i += 16)
            __builtin_prefetch(k + (size_t)after * j->s->cout + i, 0, 3);
        if (channels == BLOCK)
            domain_epilogue(j, block, p, BLOCK, points + p * bytes, &e);
        else
            domain_epilogue(j, block, p, (size_t)channels, points + p * bytes, &e);
        tile_rows(domain_product_fns, now->rows, BLOCK, &src, &e, NULL, m + p * j->plan.m_plane, BLOCK * sizeof(float));
    }
}

/* ---- points to outputs --------------------------------------------------- */

ALWAYS_INLINE void domain_dst_line(const vf m[EQ_DOMAIN_IN], vf y[EQ_DOMAIN_OUT], const bool whole)
{
    vf s12 = v_add(m[1], m[2]), d12 = v_sub(m[1], m[2]), s34 = v_add(m[3], m[4]), d34 = v_sub(m[3], m[4]);
    y[0] = v_add(v_add(m[0], s12), s34);
    y[1] = v_fma(d34, v_set1(2), d12);
    y[2] = v_fma(s34, v_set1(4), s12);
    if (whole)
        y[3] = v_add(v_fma(d34, v_set1(8), d12), m[5]);
}

/* Where outputs go; strides in bytes. */
struct domain_out {
    uint8_t *dst;
    const uint8_t *residual; /* laid out as dst, or NULL */
    size_t line, pixel, frame;
    float residual_m, dst_min;
};

/* VL channels of a tile's frame, at an offset into the outputs; m[class]: their sums in the plane of point 0. */
ALWAYS_INLINE void domain_dst_points(const struct domain_out *out, const bool whole_y, const bool whole_x,
                                     const bool add, size_t plane, const uint8_t *const m[DOMAIN_CLASSES], size_t at)
{
    const int ny = EQ_DOMAIN_OUT - !whole_y, nx = EQ_DOMAIN_OUT - !whole_x;
    const vf min = v_set1(out->dst_min), residual_m = v_set1(out->residual_m);
    vf columns[EQ_DOMAIN_OUT][EQ_DOMAIN_IN];
#pragma GCC unroll 6
    for (int x = 0; x < nx + 2; x++) {
        const uint8_t *near = m[x == EQ_DOMAIN_IN - 1], *far = m[2 + (x == EQ_DOMAIN_IN - 1)];
        vf d[EQ_DOMAIN_IN], y[EQ_DOMAIN_OUT];
        __asm__("" : "+r"(near)); /* only few registers hold addresses: 36 of them would go through memory */
#pragma GCC unroll 6
        for (int i = 0; i < ny + 2; i++)
            d[i] = v_load((const float *)(const void *)((i == EQ_DOMAIN_IN - 1 ? far : near) +
                                                        (size_t)(i * EQ_DOMAIN_IN + x) * plane));
        domain_dst_line(d, y, whole_y);
#pragma GCC unroll 4
        for (int i = 0; i < ny; i++)
            columns[i][x] = y[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < ny; i++, at += out->line) {
        vf y[EQ_DOMAIN_OUT];
        domain_dst_line(columns[i], y, whole_x);
#pragma GCC unroll 4
        for (int x = 0; x < nx; x++) {
            vf r = y[x];
            if (add)
                r = v_fma(v_of_i(vi_load_u8(out->residual + at + x * out->pixel)), residual_m, r);
            v_store_limited_u8(out->dst + at + x * out->pixel, v_max(r, min)); /* min when r is a NaN */
        }
    }
}

/* A block of channels of a tile's frames, as a function for each kind of tile. rows: as domain_tile's. */
typedef void (*domain_finish_fn)(const struct domain_out *out, size_t plane, const int rows[DOMAIN_CLASSES], int frames,
                                 const uint8_t *m);
#define DOMAIN_FINISH(whole_y, whole_x, add)                                                                           \
    static void domain_finish_##whole_y##whole_x##add(const struct domain_out *out, size_t plane,                      \
                                                      const int rows[DOMAIN_CLASSES], int frames, const uint8_t *m)    \
    {                                                                                                                  \
        const struct domain_out o = *out; /* stores of bytes might alias it */                                         \
        for (int i = 0; i < 2 * frames; i++) {                                                                         \
            const uint8_t *from[DOMAIN_CLASSES];                                                                       \
            for (int k = 0; k < DOMAIN_CLASSES; k++)                                                                   \
                from[k] = m + ((size_t)rows[k] * 2 + i) * VL * sizeof(float);                                          \
            domain_dst_points(&o, whole_y, whole_x, add, plane, from,                                                  \
                              (size_t)(i / 2) * o.frame + (size_t)(i % 2) * VL);                                       \
        }                                                                                                              \
    }
#define DOMAIN_FINISH_BOTH(whole_y, whole_x) DOMAIN_FINISH(whole_y, whole_x, 0) DOMAIN_FINISH(whole_y, whole_x, 1)
DOMAIN_FINISH_BOTH(0, 0)
DOMAIN_FINISH_BOTH(0, 1)
DOMAIN_FINISH_BOTH(1, 0)
DOMAIN_FINISH_BOTH(1, 1)
static const domain_finish_fn domain_finish_fns[8] = {
    domain_finish_000, domain_finish_001, domain_finish_010, domain_finish_011,
    domain_finish_100, domain_finish_101, domain_finish_110, domain_finish_111,
};

/* Through a buffer of one frame, for tiles that reach beyond the map and blocks of fewer channels. */
static void domain_finish_ragged(domain_finish_fn finish, const struct domain_out *out, int lines, int pixels,
                                 int channels, size_t plane, const int rows[DOMAIN_CLASSES], int frames,
                                 const uint8_t *m)
{
    enum { LINE = EQ_DOMAIN_OUT * BLOCK };
    uint8_t dst[EQ_DOMAIN_OUT * LINE], residual[EQ_DOMAIN_OUT * LINE] = {0};
    struct domain_out one = *out;
    one.dst = dst;
    one.residual = out->residual ? residual : NULL;
    one.line = LINE;
    one.pixel = BLOCK;
    for (int f = 0; f < frames; f++) {
        int now[DOMAIN_CLASSES];
        for (int k = 0; k < DOMAIN_CLASSES; k++)
            now[k] = rows[k] + f;
        for (int i = 0; out->residual && i < lines * pixels; i++)
            memcpy(residual + i / pixels * LINE + i % pixels * BLOCK,
                   out->residual + f * out->frame + i / pixels * out->line + i % pixels * out->pixel, (size_t)channels);
        finish(&one, plane, now, 1, m);
        for (int i = 0; i < lines * pixels; i++)
            memcpy(out->dst + f * out->frame + i / pixels * out->line + i % pixels * out->pixel,
                   dst + i / pixels * LINE + i % pixels * BLOCK, (size_t)channels);
    }
}

static void domain_finish(const struct domain_job *j, const struct domain_group *g, const struct domain_tile *t,
                          int block, const uint8_t *m)
{
    const struct eq_conv_shape *s = j->s;
    const size_t at = eq_conv_dst_at(s, g->b, g->f, t->y.start, t->x.start) + (size_t)block * BLOCK;
    const struct domain_out out = {.dst = j->dst + at,
                                   .residual = j->epi->residual ? j->epi->residual + at : NULL,
                                   .line = (size_t)s->ow * s->t * s->cout,
                                   .pixel = (size_t)s->t * s->cout,
                                   .frame = (size_t)s->cout,
                                   .residual_m = j->epi->residual_m,
                                   .dst_min = (float)j->epi->dst_min};
    const int lines = s->oh - t->y.start < t->y.outputs ? s->oh - t->y.start : t->y.outputs;
    const int pixels = s->ow - t->x.start < t->x.outputs ? s->ow - t->x.start : t->x.outputs;
    const int channels = domain_block_channels(j, block);
    const domain_finish_fn finish = domain_finish_fns[(t->y.outputs == EQ_DOMAIN_OUT) * 4 +
                                                      (t->x.outputs == EQ_DOMAIN_OUT) * 2 + (out.residual != NULL)];
    if (lines == t->y.outputs && pixels == t->x.outputs && channels == BLOCK)
        finish(&out, j->plan.m_plane, t->rows, g->frames, m);
    else
        domain_finish_ragged(finish, &out, lines, pixels, channels, j->plan.m_plane, t->rows, g->frames, m);
}

/* ---- pieces -------------------------------------------------------------- */

static void domain_block(const struct domain_job *j, const struct domain_group *g, int block,
                         const struct domain_rows of[DOMAIN_CLASSES], const uint8_t *v, uint8_t *m)
{
    domain_multiply(j, block, of, v, m);
    struct domain_tile t = domain_first(j, g);
    for (int tile = g->first; tile < g->last; domain_next(j, g, ++tile, &t))
        domain_finish(j, g, &t, block, m);
}

static void domain_group_piece(void *ctx, size_t piece, int worker)
{
    const struct domain_job *j = ctx;
    const struct domain_group g = domain_group_at(j, (int)piece);
    struct domain_rows of[DOMAIN_CLASSES];
    uint8_t *v = j->scratch + worker * (j->plan.v_bytes + j->plan.m_bytes), *m = v + j->plan.v_bytes;
    struct domain_tile t = domain_first(j, &g);
    for (int tile = g.first; tile < g.last; domain_next(j, &g, ++tile, &t))
        domain_transform(j, &g, &t, 0, j->plan.chunks, v);
    domain_rows_init(j, t.rows, of);
    for (int block = 0; block < j->plan.blocks; block++)
        domain_block(j, &g, block, of, v, m);
}

/* A chunk of a tile of the shared group. */
static void domain_shared_src_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct domain_job *j = ctx;
    const struct domain_group g = domain_group_at(j, j->shared_group);
    const int chunk = (int)(piece % j->plan.chunks), wanted = (int)(piece / j->plan.chunks);
    struct domain_tile t = domain_first(j, &g);
    for (int tile = 0; tile < wanted;)
        domain_next(j, &g, ++tile, &t);
    domain_transform(j, &g, &t, chunk, chunk + 1, j->scratch);
}

static void domain_shared_block_piece(void *ctx, size_t block, int worker)
{
    const struct domain_job *j = ctx;
    struct domain_rows of[DOMAIN_CLASSES];
    const struct domain_group g = domain_group_at(j, j->shared_group);
    struct domain_tile t = domain_first(j, &g);
    for (int tile = 0; tile < g.last;)
        domain_next(j, &g, ++tile, &t);
    domain_rows_init(j, t.rows, of);
    domain_block(j, &g, (int)block, of, j->scratch, j->scratch + j->plan.v_bytes + worker * j->plan.m_bytes);
}

static void domain_run(const struct eq_conv_shape *s, const uint8_t *src, int src_zp, const void *packed,
                       const struct eq_domain_points *points, const struct eq_domain_epilogue *epi, uint8_t *dst,
                       void *scratch)
{
    struct domain_job j = {.s = s,
                           .plan = domain_plan_of(s),
                           .src = src,
                           .src_zp = src_zp,
                           .packed = packed,
                           .epi = epi,
                           .dst = dst,
                           .scratch = scratch};
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        j.mul[p] = points->mul[p];
        j.add[p] = (int16_t)(points->add[p] - EQ_SRC_OFFSET);
    }
    if (!j.plan.shared) {
        eq_parallel_for((size_t)domain_groups(&j), domain_group_piece, &j);
        return;
    }
    for (; j.shared_group < domain_groups(&j); j.shared_group++) {
        eq_parallel_for((size_t)j.plan.tiles * j.plan.chunks, domain_shared_src_piece, &j);
        eq_parallel_for((size_t)j.plan.blocks, domain_shared_block_piece, &j);
    }
}

ISA_KERNEL(u8s8_conv_domain, .supports = eq_domain_supports, .packed_bytes = domain_packed_bytes,
           .scratch_bytes = domain_scratch_bytes, .pack_domain = domain_pack, .run.u8s8_domain = domain_run,
           .instruction = EQ_DOT, .products = eq_domain_products)

#endif
