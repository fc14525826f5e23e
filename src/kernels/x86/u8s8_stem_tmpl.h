/*
 * Template: ResNet's first convolution, 7 x 7 on three interleaved channels as frames are decoded (clip layout),
 * followed on request by 3 x 3 max pooling at stride 2 in the same pass. It pools sums, since requantization grows with
 * them: a quarter of the results is requantized. A piece of work is a band of rows of one frame. Its input rows are
 * copied with zero-points on both sides, so that every column has all its taps; rows outside the picture are left out.
 * The rows of a tile are neighboring output pixels.
 *
 * Ultrasound is gray. Where the three channels of all pixels of the band are equal, which is checked and not assumed,
 * the three weights of a tap act as their sum, and a third of the products remains. The sum needs 10 bits: s16 holds
 * it; for u8 x s8 it is split into 4 * high + low, two sums of products over the same pixels.
 */
#ifndef KERNELS_X86_U8S8_STEM_TMPL_H
#define KERNELS_X86_U8S8_STEM_TMPL_H

#include "kernels/x86/u8s8_vec.h"

#include "kernels/vector/u8s8_tile.h"

enum {
    STEM_K = 7,
    STEM_C = 3,
    STEM_ELEM = EQ_WIDE ? 2 : 1,
    STEM_STEP = EQ_WIDE ? 2 : 4,                                    /* elements of a step */
    STEM_RGB_STEPS = (STEM_K * STEM_C + STEM_STEP - 1) / STEM_STEP, /* of a row of taps */
    STEM_GRAY_STEPS = (STEM_K + STEM_STEP - 1) / STEM_STEP,
    STEM_BAND = 14,     /* output rows of a piece, */
    STEM_POOL_BAND = 7, /* or pooled rows */
    STEM_CHUNK = 128,   /* pixels deinterleaved at a time */
    STEM_SLACK = 64     /* bytes after a row that its last steps may read; their weights are zero */
};

ALWAYS_INLINE void stem_rgb_sums(const int R, vi acc[MAX_R][2], const struct tile_src *src, const int32_t *start)
{
    tile_fill(R, acc, start);
    tile_sums(R, STEM_RGB_STEPS, 0, acc, src);
}

ALWAYS_INLINE void stem_gray_sums(const int R, vi acc[MAX_R][2], const struct tile_src *src, const int32_t *at_first)
{
    static const int32_t zero[BLOCK];
    vi start[2] = {vi_load(at_first), vi_load(at_first + VL)};
    tile_fill(R, acc, zero);
    tile_sums(R, STEM_GRAY_STEPS, 0, acc, src);
    if (!EQ_WIDE) {
        struct tile_src low = *src;
        low.weights = src->weights_low;
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            acc[r][0] = vi_shl(acc[r][0], 2);
            acc[r][1] = vi_shl(acc[r][1], 2);
        }
        tile_sums(R, STEM_GRAY_STEPS, 0, acc, &low);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        acc[r][0] = vi_add(acc[r][0], start[0]);
        acc[r][1] = vi_add(acc[r][1], start[1]);
    }
}

ALWAYS_INLINE void stem_rgb_tile(const int R, const struct tile_src *src, const struct tile_epilogue *e,
                                 const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    vi acc[MAX_R][2];
    stem_rgb_sums(R, acc, src, e->start);
    tile_finish(R, acc, e, residual, dst, dst_stride);
}
TILE_FNS(stem_rgb_tile)

ALWAYS_INLINE void stem_gray_tile(const int R, const struct tile_src *src, const struct tile_epilogue *e,
                                  const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    vi acc[MAX_R][2];
    stem_gray_sums(R, acc, src, e->start);
    tile_finish(R, acc, e, residual, dst, dst_stride);
}
TILE_FNS(stem_gray_tile)

/* The greatest sums of each three neighboring columns, to [pooled column] of dst. A tile starts at an even column; the
 * tile before it has left the column between them where this one's first result goes. */
ALWAYS_INLINE void stem_pool_columns(const int R, vi acc[MAX_R][2], uint8_t *dst, ptrdiff_t dst_stride)
{
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++, dst += VL * 4) {
        vi left = vi_load(dst);
#pragma GCC unroll 4
        for (int r = 0; r < R; r += 2) {
            vi most = vi_max(left, acc[r][c]);
            if (r + 1 < R) {
                left = acc[r + 1][c];
                most = vi_max(most, left);
            }
            vi_store(dst + r / 2 * dst_stride, most);
        }
        if (R % 2 == 0)
            vi_store(dst + R / 2 * dst_stride, left);
    }
}

ALWAYS_INLINE void stem_rgb_pooled(const int R, const struct tile_src *src, const struct tile_epilogue *e,
                                   const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    vi acc[MAX_R][2];
    (void)residual;
    stem_rgb_sums(R, acc, src, e->start);
    stem_pool_columns(R, acc, dst, dst_stride);
}
TILE_FNS(stem_rgb_pooled)

ALWAYS_INLINE void stem_gray_pooled(const int R, const struct tile_src *src, const struct tile_epilogue *e,
                                    const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    vi acc[MAX_R][2];
    (void)residual;
    stem_gray_sums(R, acc, src, e->start);
    stem_pool_columns(R, acc, dst, dst_stride);
}
TILE_FNS(stem_gray_pooled)

/* ---- shapes and packing -------------------------------------------------- */

static bool stem_supports(const struct eq_conv_shape *s)
{
    return s->src_layout == EQ_LAYOUT_CLIP && s->cin == STEM_C && s->k == STEM_K;
}

static int stem_blocks(const struct eq_conv_shape *s)
{
    return (s->cout + BLOCK - 1) / BLOCK;
}

/* One block's weights: [ky][step][BLOCK][4 bytes] for color, the same for gray (twice for high and low when not wide),
 * then [ky][BLOCK] int32: minus zero-point times the row of taps' sum of weights (0 when wide: the source has it off).
 */
enum {
    STEM_RGB_BYTES = STEM_K * STEM_RGB_STEPS * BLOCK * 4,
    STEM_GRAY_BYTES = STEM_K * STEM_GRAY_STEPS * BLOCK * 4,
    STEM_SUMS_AT = STEM_RGB_BYTES + STEM_GRAY_BYTES * (EQ_WIDE ? 1 : 2),
    STEM_BLOCK_BYTES = STEM_SUMS_AT + STEM_K * BLOCK * 4
};

static size_t stem_packed_bytes(const struct eq_conv_shape *s)
{
    return (size_t)stem_blocks(s) * STEM_BLOCK_BYTES;
}

/* Element i of a row of taps, of channel o, where a tile expects it. */
static void stem_put(uint8_t *rows, int steps, int ky, int i, int o, int value)
{
    size_t at = ((size_t)(ky * steps + i / STEM_STEP) * BLOCK + o) * STEM_STEP + i % STEM_STEP;
    if (EQ_WIDE)
        ((int16_t *)rows)[at] = (int16_t)value;
    else
        ((int8_t *)rows)[at] = (int8_t)value;
}

static void stem_pack(const struct eq_conv_shape *s, const int8_t *weights_oihw, int src_zp, void *packed)
{
    memset(packed, 0, stem_packed_bytes(s));
    for (int oc = 0; oc < s->cout; oc++) {
        uint8_t *block = (uint8_t *)packed + (size_t)(oc / BLOCK) * STEM_BLOCK_BYTES;
        int32_t *sums = (int32_t *)(block + STEM_SUMS_AT);
        for (int ky = 0; ky < STEM_K; ky++)
            for (int kx = 0; kx < STEM_K; kx++) {
                int sum = 0;
                for (int c = 0; c < STEM_C; c++) {
                    int w = weights_oihw[((oc * STEM_C + c) * STEM_K + ky) * STEM_K + kx];
                    stem_put(block, STEM_RGB_STEPS, ky, kx * STEM_C + c, oc % BLOCK, w);
                    sum += w;
                }
                int high = EQ_WIDE ? sum : (sum + 2 + 512) / 4 - 128; /* to nearest; 512 keeps the dividend positive */
                stem_put(block + STEM_RGB_BYTES, STEM_GRAY_STEPS, ky, kx, oc % BLOCK, high);
                if (!EQ_WIDE) {
                    stem_put(block + STEM_RGB_BYTES + STEM_GRAY_BYTES, STEM_GRAY_STEPS, ky, kx, oc % BLOCK,
                             sum - 4 * high);
                    sums[ky * BLOCK + oc % BLOCK] -= src_zp * sum;
                }
            }
    }
}

/* ---- one band of one frame ----------------------------------------------- */

struct stem_job {
    const struct eq_conv_shape *s;
    const uint8_t *src;
    int src_zp, bands;
    const uint8_t *packed;
    const struct eq_u8s8_epilogue *epi;
    uint8_t *dst, *scratch;
    int ph, pw; /* pooled size */
};

/* Bytes of a copied row of color or gray. */
static size_t stem_row_bytes(const struct eq_conv_shape *s, int channels)
{
    int columns = (s->ow - 1) * s->stride + STEM_K;
    return ((size_t)columns * channels * STEM_ELEM + STEM_SLACK + 63) / 64 * 64;
}

/* The most output rows that a piece computes: a band, or those under a pooled band. */
static int stem_max_rows(void)
{
    int pooled = 2 * STEM_POOL_BAND + 1;
    return pooled > STEM_BAND ? pooled : STEM_BAND;
}

static size_t stem_input_bytes(const struct eq_conv_shape *s)
{
    return ((size_t)(stem_max_rows() - 1) * s->stride + STEM_K) * stem_row_bytes(s, STEM_C);
}

/* Bytes of a row of sums that is pooled along its columns, with room for the column that a last tile leaves. */
static size_t stem_pooled_bytes(const struct eq_conv_shape *s)
{
    return eq_align64((size_t)(s->ow / 2 + 2) * stem_blocks(s) * BLOCK * 4);
}

/* A worker's scratch: copied input rows, three pooled rows. */
static size_t stem_worker_bytes(const struct eq_conv_shape *s)
{
    return stem_input_bytes(s) + 3 * stem_pooled_bytes(s);
}

static size_t stem_scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    return stem_worker_bytes(s) * threads;
}

/* Whether the three bytes of each of n pixels are equal: each byte but a pixel's last is compared with the next one. */
static bool stem_is_gray(const uint8_t *x, size_t n)
{
    enum { BYTES = VL * 4 };
    static const uint8_t ff = 0xff;
    uint8_t care[3 * BYTES];
    for (size_t i = 0; i < sizeof care; i++)
        care[i] = i % 3 == 2 ? 0 : ff;
    size_t i = 0, total = 3 * n;
    vi differ = vi_zero();
    for (; i + sizeof care < total; i += sizeof care)
        for (size_t part = 0; part < sizeof care; part += BYTES) {
            const uint8_t *at = x + i + part;
            differ = vi_or(differ, vi_and(vi_xor(vi_load(at), vi_load(at + 1)), vi_load(care + part)));
        }
    uint8_t bytes[BYTES], any = 0;
    vi_store(bytes, differ);
    for (size_t k = 0; k < BYTES; k++)
        any |= bytes[k];
    for (; i < total; i += 3)
        any |= (uint8_t)((x[i] ^ x[i + 1]) | (x[i] ^ x[i + 2]));
    return any == 0;
}

/* The first bytes of n pixels. */
static void stem_first_of_three(const uint8_t *x, int n, uint8_t *out)
{
    const __m128i a = _mm_setr_epi8(0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i b = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14, -1, -1, -1, -1, -1);
    const __m128i c = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 4, 7, 10, 13);
    int i = 0;
    for (; i + 16 <= n; i += 16, x += 48) {
        __m128i v = _mm_shuffle_epi8(_mm_loadu_si128((const void *)x), a);
        v = _mm_or_si128(v, _mm_shuffle_epi8(_mm_loadu_si128((const void *)(x + 16)), b));
        v = _mm_or_si128(v, _mm_shuffle_epi8(_mm_loadu_si128((const void *)(x + 32)), c));
        _mm_storeu_si128((void *)(out + i), v);
    }
    for (; i < n; i++, x += 3)
        out[i] = *x;
}

/* n source bytes as elements. */
static void stem_put_elements(const uint8_t *x, int n, int zp, uint8_t *out)
{
#if EQ_WIDE
    int16_t *wide = (int16_t *)out;
    for (int i = 0; i < n; i++)
        wide[i] = (int16_t)(x[i] - zp);
#else
    (void)zp;
    memcpy(out, x, (size_t)n);
#endif
}

/* An input row from column -pad on, as tiles take it: one element a pixel of gray, three of color. */
static void stem_copy_row(const struct stem_job *j, const uint8_t *x, bool gray, uint8_t *out)
{
    const struct eq_conv_shape *s = j->s;
    const int channels = gray ? 1 : STEM_C, columns = (s->ow - 1) * s->stride + STEM_K;
    const int n = s->w < columns - s->pad ? s->w : columns - s->pad; /* the last columns may have no tap on them */
    memset(out, EQ_WIDE ? 0 : j->src_zp, (size_t)columns * channels * STEM_ELEM + STEM_SLACK);
    out += (size_t)s->pad * channels * STEM_ELEM;
    if (!gray) {
        stem_put_elements(x, n * STEM_C, j->src_zp, out);
        return;
    }
    for (int i = 0; i < n; i += STEM_CHUNK) {
        uint8_t chunk[STEM_CHUNK];
        int now = n - i < STEM_CHUNK ? n - i : STEM_CHUNK;
        stem_first_of_three(x + 3 * i, now, chunk);
        stem_put_elements(chunk, now, j->src_zp, out + (size_t)i * STEM_ELEM);
    }
}

/* A row of pooled sums, in tiles that start at even columns. */
static void stem_pooled_tiles(const struct stem_job *j, const tile_fn fns[MAX_R + 1], const struct tile_src *first,
                              const struct tile_epilogue *e, uint8_t *dst, ptrdiff_t dst_stride)
{
    struct tile_src src = *first;
    vi_store(dst, vi_set1(INT32_MIN));
    vi_store(dst + VL * 4, vi_set1(INT32_MIN));
    for (int left = j->s->ow, now; left > 0; left -= now) {
        now = left < MAX_R ? left : MAX_R;
        fns[now](&src, e, NULL, dst, dst_stride);
        src.rows += now * src.row_stride;
        dst += now / 2 * dst_stride;
    }
}

/* One row of output pixels of one frame; row: the copied input under its taps ry. pooled: dst takes sums. */
static void stem_conv_row(const struct stem_job *j, const uint8_t *row, bool gray, struct eq_tap_range ry, int block,
                          bool pooled, const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    const struct eq_conv_shape *s = j->s;
    const uint8_t *packed = j->packed + (size_t)block * STEM_BLOCK_BYTES;
    const int oc = block * BLOCK, channels = s->cout - oc < BLOCK ? s->cout - oc : BLOCK;
    struct tile_epilogue e;
    tile_epilogue_init(&e, j->epi, oc, channels);
    const int32_t *sums = (const int32_t *)(packed + STEM_SUMS_AT);
    for (int ky = ry.lo; ky < ry.hi; ky++)
        for (int o = 0; o < BLOCK; o++)
            e.start[o] += sums[ky * BLOCK + o];
    const int steps = gray ? STEM_GRAY_STEPS : STEM_RGB_STEPS;
    const ptrdiff_t taps_bytes = (ptrdiff_t)steps * BLOCK * 4, skip = ry.lo * taps_bytes;
    const uint8_t *weights = packed + (gray ? STEM_RGB_BYTES : 0) + skip;
    struct tile_src src = {.rows = row,
                           .row_stride = (ptrdiff_t)s->stride * (gray ? 1 : STEM_C) * STEM_ELEM,
                           .ky_stride = (ptrdiff_t)stem_row_bytes(s, gray ? 1 : STEM_C),
                           .weights = weights,
                           .ahead = weights,
                           .weights_low = weights + STEM_GRAY_BYTES,
                           .weights_ky_stride = taps_bytes,
                           .kys = ry.hi - ry.lo,
                           .kxs = 1,
                           .steps = steps};
    if (pooled)
        stem_pooled_tiles(j, gray ? stem_gray_pooled_fns : stem_rgb_pooled_fns, &src, &e, dst, dst_stride);
    else
        tile_rows(gray ? stem_gray_tile_fns : stem_rgb_tile_fns, s->ow, channels, &src, &e, residual, dst, dst_stride);
}

/* The copied input of output rows first..last-1 of a frame, and whether it is gray. */
struct stem_input {
    const uint8_t *rows;
    int y0; /* the input row that rows starts with */
    bool gray;
};
static struct stem_input stem_load(const struct stem_job *j, int b, int f, int first, int last, uint8_t *out)
{
    const struct eq_conv_shape *s = j->s;
    int y0 = first * s->stride - s->pad, y1 = (last - 1) * s->stride - s->pad + STEM_K;
    y0 = y0 < 0 ? 0 : y0;
    y1 = y1 > s->h ? s->h : y1;
    const size_t line = (size_t)s->w * STEM_C;
    const uint8_t *x = j->src + (((size_t)b * s->t + f) * s->h + y0) * line;
    bool gray = y1 <= y0 || stem_is_gray(x, (size_t)(y1 - y0) * s->w);
    for (int y = y0; y < y1; y++)
        stem_copy_row(j, x + (y - y0) * line, gray, out + (y - y0) * stem_row_bytes(s, gray ? 1 : STEM_C));
    return (struct stem_input){out, y0, gray};
}

/* All channels of output row oy, or of its pooled sums. */
static void stem_row(const struct stem_job *j, const struct stem_input *in, int oy, bool pooled,
                     const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    const struct eq_conv_shape *s = j->s;
    struct eq_tap_range ry = eq_taps_inside(oy, s->stride, s->pad, STEM_K, s->h);
    int y = oy * s->stride - s->pad + ry.lo - in->y0;
    const uint8_t *row = in->rows + (ptrdiff_t)(ry.lo < ry.hi ? y : 0) * (ptrdiff_t)stem_row_bytes(s, in->gray ? 1 : 3);
    for (int block = 0; block < stem_blocks(s); block++) {
        int oc = block * BLOCK;
        stem_conv_row(j, row, in->gray, ry, block, pooled, residual ? residual + oc : NULL,
                      dst + (pooled ? 4 * oc : oc), dst_stride);
    }
}

static void stem_band(const struct stem_job *j, int b, int f, int band, uint8_t *scratch)
{
    const struct eq_conv_shape *s = j->s;
    int first = band * STEM_BAND, last = first + STEM_BAND < s->oh ? first + STEM_BAND : s->oh;
    struct stem_input in = stem_load(j, b, f, first, last, scratch);
    for (int oy = first; oy < last; oy++) {
        size_t at = ((((size_t)b * s->oh + oy) * s->ow) * s->t + f) * s->cout;
        stem_row(j, &in, oy, false, j->epi->residual ? j->epi->residual + at : NULL, j->dst + at,
                 (ptrdiff_t)s->t * s->cout);
    }
}

/* One block of channels of a pooled row: the greatest of three rows of sums, requantized. */
static void stem_put_block(const struct stem_job *j, int block, const uint8_t *const rows[3], uint8_t *dst)
{
    const struct eq_conv_shape *s = j->s;
    const size_t at = (size_t)block * BLOCK * 4, pixel = (size_t)stem_blocks(s) * BLOCK * 4;
    const int oc = block * BLOCK, channels = s->cout - oc < BLOCK ? s->cout - oc : BLOCK;
    const struct requant q = requant_of(j->epi);
    struct tile_epilogue e;
    tile_epilogue_init(&e, j->epi, oc, channels);
    const vf m[2] = {v_load(e.m), v_load(e.m + VL)}, b[2] = {v_load(e.b), v_load(e.b + VL)};
    dst += oc;
    for (int px = 0; px < j->pw; px++, dst += (size_t)s->t * s->cout) {
        uint8_t part[BLOCK], *out = channels == BLOCK ? dst : part;
#pragma GCC unroll 2
        for (int c = 0; c < 2; c++) {
            const size_t i = at + px * pixel + (size_t)c * VL * 4;
            vi most = vi_max(vi_max(vi_load(rows[0] + i), vi_load(rows[1] + i)), vi_load(rows[2] + i));
            vi_store_u8(out + c * VL, requantize(most, m[c], b[c], q, NULL));
        }
        if (out == part)
            memcpy(dst, part, (size_t)channels);
    }
}

/* Each row of sums is pooled along its columns once; the odd ones belong to two pooled rows. */
static void stem_pooled_band(const struct stem_job *j, int b, int f, int band, uint8_t *scratch)
{
    const struct eq_conv_shape *s = j->s;
    const ptrdiff_t pixel = (ptrdiff_t)stem_blocks(s) * BLOCK * 4;
    uint8_t *even = scratch + stem_input_bytes(s), *above = even + stem_pooled_bytes(s);
    uint8_t *below = above + stem_pooled_bytes(s);
    int p0 = band * STEM_POOL_BAND, p1 = p0 + STEM_POOL_BAND < j->ph ? p0 + STEM_POOL_BAND : j->ph;
    int first = p0 > 0 ? 2 * p0 - 1 : 0, last = 2 * p1 < s->oh ? 2 * p1 : s->oh;
    struct stem_input in = stem_load(j, b, f, first, last, scratch);
    if (p0 > 0)
        stem_row(j, &in, first, true, NULL, above, pixel);
    for (int py = p0; py < p1; py++) {
        const bool ends = 2 * py + 1 >= s->oh;
        stem_row(j, &in, 2 * py, true, NULL, even, pixel);
        if (!ends)
            stem_row(j, &in, 2 * py + 1, true, NULL, below, pixel);
        const uint8_t *const rows[3] = {py > 0 ? above : even, even, ends ? even : below};
        for (int block = 0; block < stem_blocks(s); block++)
            stem_put_block(j, block, rows, j->dst + ((((size_t)b * j->ph + py) * j->pw) * s->t + f) * s->cout);
        uint8_t *free_row = above;
        above = below;
        below = free_row;
    }
}

static void stem_piece(void *ctx, size_t piece, int worker)
{
    const struct stem_job *j = ctx;
    int band = (int)(piece % j->bands), f = (int)(piece / j->bands % j->s->t), b = (int)(piece / j->bands / j->s->t);
    uint8_t *scratch = j->scratch + worker * stem_worker_bytes(j->s);
    if (j->epi->pool_k)
        stem_pooled_band(j, b, f, band, scratch);
    else
        stem_band(j, b, f, band, scratch);
}

static void stem_run(const struct eq_conv_shape *s, const uint8_t *src, int src_zp, const void *packed,
                     const struct eq_u8s8_epilogue *epi, uint8_t *dst, void *scratch)
{
    struct stem_job job = {
        .s = s, .src = src, .src_zp = src_zp, .packed = packed, .epi = epi, .dst = dst, .scratch = scratch};
    job.ph = (s->oh - 1) / 2 + 1;
    job.pw = (s->ow - 1) / 2 + 1;
    job.bands = epi->pool_k ? (job.ph + STEM_POOL_BAND - 1) / STEM_POOL_BAND : (s->oh + STEM_BAND - 1) / STEM_BAND;
    eq_parallel_for((size_t)s->b * s->t * job.bands, stem_piece, &job);
}

ISA_KERNEL(u8s8_conv_stem, .supports = stem_supports, .packed_bytes = stem_packed_bytes,
           .scratch_bytes = stem_scratch_bytes, .pack_s8 = stem_pack, .run.u8s8 = stem_run,
           .fuses_maxpool = eq_conv_pools_3_by_2, .instruction = EQ_DOT)

#endif
