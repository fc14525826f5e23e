/*
 * Template: direct convolution of any shape. For each output pixel the taps inside the picture are summed as
 * [frames x cin] * [cin x cout] products; neighboring pixels with the same taps are one longer product, since their
 * rows follow each other. A piece of work is one row of output pixels for GROUP channels.
 *
 * The including file has defined the vectors and switches of u8s8_tile.h.
 */
#ifndef KERNELS_VECTOR_U8S8_DIRECT_TMPL_H
#define KERNELS_VECTOR_U8S8_DIRECT_TMPL_H

#include "kernels/vector/u8s8_tile.h"

enum {
    ELEM = EQ_WIDE ? 2 : 1, /* bytes of a source element as vi_dot2 takes it */
    STEP = EQ_WIDE ? 2 : 4, /* channels of a step */
    GROUP = 64,             /* output channels of a piece: a cache line of dst has one writer */
    AT_ONCE = EQ_UNROLL,    /* steps are a multiple of it, or fewer */
    MAX_K = 64
};

/* Any number of rows of a product with one block of channels; and what a worker does at the end of a piece of work. */
static void direct_tiles(int rows, int channels, const struct tile_src *src, const struct tile_epilogue *e,
                         const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride);
static void direct_end_piece(void);

#if !defined(EQ_OWN_TILES)
ALWAYS_INLINE void direct_tile(const int R, const struct tile_src *src, const struct tile_epilogue *e,
                               const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    vi acc[MAX_R][2];
    tile_fill(R, acc, e->start);
    tile_sums(R, AT_ONCE, 2, acc, src);
    tile_finish(R, acc, e, residual, dst, dst_stride);
}
TILE_FNS(direct_tile)

/* For pixels of fewer than AT_ONCE steps, which would be mostly padding. */
ALWAYS_INLINE void direct_short_tile(const int R, const struct tile_src *src, const struct tile_epilogue *e,
                                     const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    vi acc[MAX_R][2];
    tile_fill(R, acc, e->start);
    tile_sums(R, 1, 0, acc, src);
    tile_finish(R, acc, e, residual, dst, dst_stride);
}
TILE_FNS(direct_short_tile)

static void direct_tiles(int rows, int channels, const struct tile_src *src, const struct tile_epilogue *e,
                         const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    tile_rows(src->steps < AT_ONCE ? direct_short_tile_fns : direct_tile_fns, rows, channels, src, e, residual, dst,
              dst_stride);
}

static void direct_end_piece(void)
{
}
#endif

static int direct_steps(const struct eq_conv_shape *s)
{
    int steps = (s->cin + STEP - 1) / STEP;
    return steps < AT_ONCE ? steps : (steps + AT_ONCE - 1) / AT_ONCE * AT_ONCE;
}

static int direct_blocks(const struct eq_conv_shape *s)
{
    return (s->cout + BLOCK - 1) / BLOCK;
}

/* Bytes of one block's weights. */
static size_t direct_block_bytes(const struct eq_conv_shape *s)
{
    return (size_t)s->k * s->k * direct_steps(s) * BLOCK * 4;
}

static bool direct_supports(const struct eq_conv_shape *s)
{
    return s->k <= MAX_K;
}

static size_t direct_packed_bytes(const struct eq_conv_shape *s)
{
    size_t sums = EQ_WIDE ? 0 : (size_t)s->k * s->k * BLOCK * sizeof(int32_t);
    return direct_blocks(s) * (direct_block_bytes(s) + sums);
}

/* Whether the tiles read src itself. */
static bool direct_in_place(const struct eq_conv_shape *s)
{
    return !EQ_WIDE && !EQ_SRC_OFFSET && s->src_layout == EQ_LAYOUT_PIXEL && direct_steps(s) * STEP == s->cin;
}

/* One input row as the tiles take it. */
static size_t direct_row_bytes(const struct eq_conv_shape *s)
{
    return (size_t)s->w * s->t * direct_steps(s) * STEP * ELEM;
}

static size_t direct_worker_bytes(const struct eq_conv_shape *s)
{
    return direct_in_place(s) ? 0 : (s->k * direct_row_bytes(s) + 63) / 64 * 64;
}

static size_t direct_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    return direct_worker_bytes(s) * threads;
}

struct direct_pack_job {
    const struct eq_conv_shape *s;
    const int8_t *weights;
    int src_zp;
    uint8_t *packed;
};

static void direct_pack_block(void *ctx, size_t block, int worker)
{
    (void)worker;
    const struct direct_pack_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    const int taps = s->k * s->k, steps = direct_steps(s), first = (int)block * BLOCK;
    const int last = first + BLOCK < s->cout ? first + BLOCK : s->cout;
    uint8_t *out = j->packed + block * direct_block_bytes(s);
    int32_t *sums = (int32_t *)(j->packed + direct_blocks(s) * direct_block_bytes(s)) + block * taps * BLOCK;
    for (int oc = first; oc < last; oc++)
        for (int ic = 0; ic < s->cin; ic++)
            for (int tap = 0; tap < taps; tap++) {
                int8_t w = j->weights[((size_t)oc * s->cin + ic) * taps + tap];
                size_t at = (((size_t)tap * steps + ic / STEP) * BLOCK + (oc - first)) * STEP + ic % STEP;
                if (EQ_WIDE) {
                    ((int16_t *)out)[at] = w;
                } else {
                    ((int8_t *)out)[at] = w;
                    sums[tap * BLOCK + oc - first] -= (j->src_zp - EQ_SRC_OFFSET) * w;
                }
            }
}

/* OIHW to [block][tap][step][channel of the block][element]; after it, when not EQ_WIDE, [block][tap][channel] int32:
 * minus zero-point (less EQ_SRC_OFFSET) times the tap's sum of weights. Absent channels are zero. */
static void direct_pack(const struct eq_conv_shape *s, const int8_t *weights_oihw, int src_zp, void *packed)
{
    struct direct_pack_job job = {s, weights_oihw, src_zp, packed};
    memset(packed, 0, direct_packed_bytes(s));
    eq_parallel_for((size_t)direct_blocks(s), direct_pack_block, &job);
}

struct direct_job {
    const struct eq_conv_shape *s;
    const uint8_t *src;
    int src_zp;
    const uint8_t *weights;
    const int32_t *sums;
    const struct eq_u8s8_epilogue *epi;
    uint8_t *dst, *scratch;
};

/* Converts n neighboring source bytes to the tiles' elements. */
#if EQ_WIDE
static void direct_convert(const uint8_t *x, size_t n, int zp, uint8_t *out)
{
    int16_t *wide = (int16_t *)out;
    size_t i = 0;
    for (vi z = vi_set1_16(zp); i + 2 * VL <= n; i += 2 * VL)
        vi_store(wide + i, vi_sub16(vi_widen_u8(x + i), z));
    for (; i < n; i++)
        wide[i] = (int16_t)(x[i] - zp);
}
#else
static void direct_convert(const uint8_t *x, size_t n, int zp, uint8_t *out)
{
    (void)zp;
    if (!EQ_SRC_OFFSET)
        memcpy(out, x, n);
    for (size_t i = 0; EQ_SRC_OFFSET && i < n; i++)
        out[i] = (uint8_t)(x[i] - EQ_SRC_OFFSET);
}
#endif

/* Input row (b, y) in pixel order with channels padded to whole steps. */
static void direct_gather_row(const struct direct_job *j, int b, int y, uint8_t *out)
{
    const struct eq_conv_shape *s = j->s;
    const bool clip = s->src_layout == EQ_LAYOUT_CLIP;
    const int padded = direct_steps(s) * STEP;
    if (!clip && padded == s->cin) {
        direct_convert(j->src + ((size_t)b * s->h + y) * s->w * s->t * s->cin, (size_t)s->w * s->t * s->cin, j->src_zp,
                       out);
        return;
    }
    for (int x = 0; x < s->w; x++)
        for (int f = 0; f < s->t; f++, out += (size_t)padded * ELEM) {
            direct_convert(j->src + eq_conv_src_at(s, b, f, y, x), (size_t)s->cin, j->src_zp, out);
            memset(out + (size_t)s->cin * ELEM, 0, (size_t)(padded - s->cin) * ELEM);
        }
}

/* The input rows under the taps ry of output row oy: where they lie, or a copy in the worker's scratch. */
static const uint8_t *direct_rows(const struct direct_job *j, int b, int oy, struct eq_tap_range ry, int worker)
{
    const struct eq_conv_shape *s = j->s;
    int y = oy * s->stride - s->pad + ry.lo;
    if (direct_in_place(s))
        return j->src + ((ptrdiff_t)b * s->h + y) * (ptrdiff_t)direct_row_bytes(s);
    uint8_t *out = j->scratch + worker * direct_worker_bytes(s);
    for (int i = 0; i < ry.hi - ry.lo; i++)
        direct_gather_row(j, b, y + i, out + i * direct_row_bytes(s));
    return out;
}

/* Sums the packed products of zero-point and weights over the taps in ry x rx. */
static void direct_start(const struct direct_job *j, int block, struct eq_tap_range ry, struct eq_tap_range rx,
                         int32_t start[BLOCK])
{
    const int k = j->s->k;
    memset(start, 0, BLOCK * sizeof *start);
    if (EQ_WIDE || j->src_zp == EQ_SRC_OFFSET)
        return;
    for (int ky = ry.lo; ky < ry.hi; ky++)
        for (int kx = rx.lo; kx < rx.hi; kx++) {
            const int32_t *sum = j->sums + (((size_t)block * k + ky) * k + kx) * BLOCK;
            vi_store(start, vi_add(vi_load(start), vi_load(sum)));
            vi_store(start + VL, vi_add(vi_load(start + VL), vi_load(sum + VL)));
        }
}

/* The number of output pixels from ox on that share its taps and lie at one distance between rows. */
static int direct_run_length(const struct eq_conv_shape *s, int ox)
{
    struct eq_tap_range r = eq_taps_inside(ox, s->stride, s->pad, s->k, s->w);
    int n = 1;
    for (; ox + n < s->ow && (s->stride == 1 || s->t == 1); n++) {
        struct eq_tap_range next = eq_taps_inside(ox + n, s->stride, s->pad, s->k, s->w);
        if (next.lo != r.lo || next.hi != r.hi)
            break;
    }
    return n;
}

/* Weights to ask for while a block computes row oy, and their bytes. Within a piece that is its next block; its last
 * one takes a share of the next group's first block, which the other rows of the group complete. */
static const uint8_t *direct_next(const struct direct_job *j, int block, int oy, size_t *bytes)
{
    const size_t whole = direct_block_bytes(j->s), share = whole / (size_t)j->s->oh;
    const bool last = (block + 1) % (GROUP / BLOCK) == 0;
    *bytes = last ? share : whole;
    return j->weights + (size_t)((block + 1) % direct_blocks(j->s)) * whole + (last ? (size_t)oy * share : 0);
}

/* One block of channels of output row (b, oy); rows: its input under the taps ry. */
static void direct_block_row(const struct direct_job *j, int block, int b, int oy, struct eq_tap_range ry,
                             const uint8_t *rows)
{
    const struct eq_conv_shape *s = j->s;
    const ptrdiff_t row = (ptrdiff_t)direct_steps(s) * STEP * ELEM, pixel = row * s->t;
    const ptrdiff_t tap_weights = (ptrdiff_t)direct_steps(s) * BLOCK * 4;
    const uint8_t *weights = j->weights + block * direct_block_bytes(s);
    const int oc = block * BLOCK, channels = s->cout - oc < BLOCK ? s->cout - oc : BLOCK;
    struct tile_epilogue e;
    tile_epilogue_init(&e, j->epi, oc, channels);
    size_t ahead;
    const uint8_t *next = direct_next(j, block, oy, &ahead);
    struct eq_tap_range rx, last = {-1, -1};
    for (int ox = 0, n; ox < s->ow; ox += n, last = rx) {
        n = direct_run_length(s, ox);
        rx = eq_taps_inside(ox, s->stride, s->pad, s->k, s->w);
        if (rx.lo != last.lo || rx.hi != last.hi)
            direct_start(j, block, ry, rx, e.start);
        struct tile_src src = {.rows = rows + (ox * s->stride - s->pad + rx.lo) * pixel,
                               .row_stride = s->t == 1 ? row * s->stride : row,
                               .ky_stride = (ptrdiff_t)direct_row_bytes(s),
                               .kx_stride = pixel,
                               .weights = weights + (ry.lo * s->k + rx.lo) * tap_weights,
                               .weights_ky_stride = s->k * tap_weights,
                               .kys = ry.hi - ry.lo,
                               .kxs = rx.hi - rx.lo,
                               .steps = direct_steps(s)};
        tile_ahead(&src, next, ahead / (size_t)s->ow * (size_t)n, (n * s->t + MAX_R - 1) / MAX_R, AT_ONCE);
        next += ahead / (size_t)s->ow * (size_t)n;
        size_t at = eq_conv_dst_at(s, b, 0, oy, ox) + oc;
        direct_tiles(n * s->t, channels, &src, &e, j->epi->residual ? j->epi->residual + at : NULL, j->dst + at,
                     s->cout);
    }
}

static void direct_piece(void *ctx, size_t piece, int worker)
{
    const struct direct_job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    size_t rows_all = (size_t)s->b * s->oh, row = piece % rows_all;
    int b = (int)(row / s->oh), oy = (int)(row % s->oh);
    struct eq_tap_range ry = eq_taps_inside(oy, s->stride, s->pad, s->k, s->h);
    const uint8_t *rows = direct_rows(j, b, oy, ry, worker);
    int first = (int)(piece / rows_all) * (GROUP / BLOCK);
    for (int block = first; block < first + GROUP / BLOCK && block < direct_blocks(s); block++)
        direct_block_row(j, block, b, oy, ry, rows);
    direct_end_piece();
}

static void direct_run(const struct eq_conv_shape *s, const uint8_t *src, int src_zp, const void *packed,
                       const struct eq_u8s8_epilogue *epi, uint8_t *dst, void *scratch)
{
    const uint8_t *weights = packed;
    const int32_t *sums = (const int32_t *)(weights + direct_blocks(s) * direct_block_bytes(s));
    struct direct_job job = {s, src, src_zp, weights, sums, epi, dst, scratch};
    size_t groups = (size_t)(s->cout + GROUP - 1) / GROUP;
    eq_parallel_for(groups * s->b * s->oh, direct_piece, &job);
}

#define DIRECT_KERNEL(...)                                                                                             \
    ISA_KERNEL(u8s8_conv_direct, .supports = direct_supports, .packed_bytes = direct_packed_bytes,                     \
               .scratch_bytes = direct_scratch_bytes, .pack_s8 = direct_pack, .run.u8s8 = direct_run,                  \
               .instruction = EQ_DOT, __VA_ARGS__)
#if !defined(EQ_OWN_TILES)
DIRECT_KERNEL()
#endif

#endif
