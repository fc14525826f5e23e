/*
 * Direct convolution with tdpbusd, which wraps and never saturates. Rows of a product are frames of neighboring output
 * pixels: a clip's 16 frames fill a tile. Two tiles of rows by two of weights make 32 x 32 sums in four tiles; these go
 * through memory, one level up, to the epilogue in 512-bit vectors.
 *
 * A tile of weights is 16 steps of 16 channels, as the template packs them for vpdpbusd.
 */
#include "kernels/x86/u8s8_vec.h"

#undef EQ_DOT
#define EQ_DOT "tdpbusd"
#define EQ_UNROLL 16
#define EQ_OWN_TILES
#include "kernels/vector/u8s8_direct_tmpl.h"

#define AMX_DOT amx_dot
#include "kernels/x86/amx_tiles.h"

_Static_assert((int)AT_ONCE == (int)AMX_STEPS && (int)BLOCK == (int)AMX_N && (int)STEP == 4, "weights fill tiles");

static void direct_end_piece(void)
{
    amx_end_piece();
}

/* sums[AMX_M][BLOCK]: the first 16 or, with both, all rows. */
ALWAYS_INLINE void amx_sums(const int both, const struct tile_src *src, int steps, int32_t *sums)
{
    amx_zero_sums();
    for (int ky = 0; ky < src->kys; ky++) {
        const uint8_t *w = src->weights + ky * src->weights_ky_stride;
        for (int kx = 0; kx < src->kxs; kx++) {
            const uint8_t *a = src->rows + ky * src->ky_stride + kx * src->kx_stride;
            for (int n = src->steps / steps; n > 0; n--, a += steps * STEP, w += steps * BLOCK * STEP)
                amx_products(both, a, src->row_stride, w);
        }
    }
    amx_store_sums(both, sums);
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

/* A tile holds 64 channels of a pixel; with few channels it is mostly padding. */
static bool prefers(const struct eq_conv_shape *s)
{
    return s->cin >= 32;
}

DIRECT_KERNEL(.prefers = prefers)

static double peak_macs(size_t iterations)
{
    return amx_peak_macs(iterations, STEP);
}

const struct eq_peak ISA_NAME(EQ_PEAK) = {ISA_LEVEL, EQ_DOT, peak_macs};
