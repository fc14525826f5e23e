/*
 * Direct convolution with tdpbusd, which wraps and never saturates. Rows of a product are frames of neighboring output
 * pixels: a clip's 16 frames fill a tile. Two tiles of rows by two of weights make 32 x 32 sums in four tiles; these go
 * through memory, one level up, to the epilogue in 512-bit vectors.
 *
 * A tile of weights is 16 steps of 16 channels, as the template packs them for vpdpbusd.
 */
#include "kernels/x86/u8s8_vec.h"

#include "kernels/x86/amx.h"

#undef EQ_DOT
#define EQ_DOT "tdpbusd"
#define EQ_UNROLL 16
#define EQ_OWN_TILES
#include "kernels/vector/u8s8_direct_tmpl.h"

enum { AMX_M = 2 * AMX_ROWS }; /* rows of a whole product */
_Static_assert((int)AT_ONCE == (int)AMX_ROWS && BLOCK * 2 == (int)AMX_ROW_BYTES,
               "a step is a row of a tile of weights");

/* Tiles 0, 1: sums of the first rows; 2, 3: of the second rows; 4, 5: bytes; 6, 7: weights. */
struct amx_form {
    int rows[2], steps;
};
static _Thread_local struct amx_form form; /* of this worker's tiles; all 0: not configured */

/* An unused second tile of rows keeps its whole height, so that whole products need one configuration. */
static void amx_configure(int rows, int steps)
{
    const int first = rows < AMX_ROWS ? rows : AMX_ROWS, second = rows > AMX_ROWS ? rows - AMX_ROWS : AMX_ROWS;
    if (form.rows[0] == first && form.rows[1] == second && form.steps == steps)
        return;
    form = (struct amx_form){{first, second}, steps};
    struct amx_config c = {.palette = 1};
    for (int i = 0; i < 4; i++) {
        c.rows[i] = (uint8_t)form.rows[i / 2];
        c.row_bytes[i] = AMX_ROW_BYTES;
    }
    for (int i = 0; i < 2; i++) {
        c.rows[4 + i] = (uint8_t)form.rows[i];
        c.row_bytes[4 + i] = (uint16_t)(steps * STEP);
        c.rows[6 + i] = (uint8_t)steps;
        c.row_bytes[6 + i] = AMX_ROW_BYTES;
    }
    amx_load_config(&c);
}

static void direct_end_piece(void)
{
    form = (struct amx_form){{0, 0}, 0};
    amx_release();
}

/* The products of one tap and one group of steps; w: their weights. */
ALWAYS_INLINE void amx_products(const int both, const uint8_t *a, ptrdiff_t stride, const uint8_t *w)
{
    amx_load(6, w, BLOCK * STEP);
    amx_load(7, w + AMX_ROW_BYTES, BLOCK * STEP);
    amx_load(4, a, stride);
    amx_dot(0, 4, 6);
    amx_dot(1, 4, 7);
    if (both) {
        amx_load(5, a + AMX_ROWS * stride, stride);
        amx_dot(2, 5, 6);
        amx_dot(3, 5, 7);
    }
}

/* sums[AMX_M][BLOCK]: the first 16 or, with both, all rows. */
ALWAYS_INLINE void amx_sums(const int both, const struct tile_src *src, int steps, int32_t *sums)
{
    const ptrdiff_t row = BLOCK * sizeof *sums;
    amx_zero(0);
    amx_zero(1);
    amx_zero(2);
    amx_zero(3);
    for (int ky = 0; ky < src->kys; ky++) {
        const uint8_t *w = src->weights + ky * src->weights_ky_stride;
        for (int kx = 0; kx < src->kxs; kx++) {
            const uint8_t *a = src->rows + ky * src->ky_stride + kx * src->kx_stride;
            for (int n = src->steps / steps; n > 0; n--, a += steps * STEP, w += steps * BLOCK * STEP)
                amx_products(both, a, src->row_stride, w);
        }
    }
    amx_store(0, sums, row);
    amx_store(1, sums + VL, row);
    if (both) {
        amx_store(2, sums + AMX_ROWS * BLOCK, row);
        amx_store(3, sums + AMX_ROWS * BLOCK + VL, row);
    }
}

ALWAYS_INLINE void amx_finish_row(const int32_t *sums, const struct tile_epilogue *e, struct requant q,
                                  const uint8_t *residual, uint8_t *dst)
{
#pragma GCC unroll 2
    for (int c = 0; c < BLOCK; c += VL) {
        vi acc = vi_add(vi_load(sums + c), vi_load(e->start + c));
        vi_store_u8(dst + c, requantize(acc, v_load(e->m + c), v_load(e->b + c), q, residual ? residual + c : NULL));
    }
}

/* Fewer than BLOCK channels go through a whole block in a local buffer. */
static void amx_finish(int rows, int channels, const int32_t *sums, const struct tile_epilogue *e,
                       const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    const struct requant q = requant_of(e->epi);
    uint8_t out[BLOCK], res[BLOCK] = {0};
    for (int r = 0; r < rows; r++, sums += BLOCK, dst += dst_stride) {
        const uint8_t *from = residual ? residual + r * dst_stride : NULL;
        if (channels == BLOCK && from) {
            amx_finish_row(sums, e, q, from, dst);
        } else if (channels == BLOCK) {
            amx_finish_row(sums, e, q, NULL, dst);
        } else {
            if (from)
                memcpy(res, from, (size_t)channels);
            amx_finish_row(sums, e, q, from ? res : NULL, out);
            memcpy(dst, out, (size_t)channels);
        }
    }
}

static void direct_tiles(int rows, int channels, const struct tile_src *first, const struct tile_epilogue *e,
                         const uint8_t *residual, uint8_t *dst, ptrdiff_t dst_stride)
{
    _Alignas(64) int32_t sums[AMX_M * BLOCK];
    struct tile_src src = *first;
    const int steps = src.steps < AT_ONCE ? src.steps : AT_ONCE;
    for (int left = rows; left > 0; left -= AMX_M) {
        const int now = left < AMX_M ? left : AMX_M;
        amx_configure(now, steps);
        if (now > AMX_ROWS)
            amx_sums(1, &src, steps, sums);
        else
            amx_sums(0, &src, steps, sums);
        amx_finish(now, channels, sums, e, residual, dst, dst_stride);
        src.rows += now * src.row_stride;
        dst += now * dst_stride;
        residual = residual ? residual + now * dst_stride : NULL;
    }
}

/* A tile holds 64 channels of a pixel; with few channels it is mostly padding. Not measured. */
static bool prefers(const struct eq_conv_shape *s)
{
    return s->cin >= 32;
}

DIRECT_KERNEL(.prefers = prefers, .untested = true)

/* Configuring the tiles sets all of them to zero. */
static double peak_macs(size_t iterations)
{
    amx_configure(AMX_M, AT_ONCE);
    for (size_t n = 0; n < iterations; n++) {
        amx_dot(0, 4, 6);
        amx_dot(1, 4, 7);
        amx_dot(2, 5, 6);
        amx_dot(3, 5, 7);
    }
    direct_end_piece();
    return (double)iterations * AMX_M * BLOCK * AT_ONCE * STEP;
}

const struct eq_peak ISA_NAME(EQ_PEAK) = {ISA_LEVEL, EQ_DOT, peak_macs};
