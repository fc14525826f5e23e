/*
 * The tile instructions under names that a test can redefine. With EQ_AMX_EMULATED, tests/kernels/amx_emulated.h
 * provides them in plain C, and the same kernel runs on CPUs without AMX.
 */
#ifndef KERNELS_X86_AMX_H
#define KERNELS_X86_AMX_H

#include <stddef.h>
#include <stdint.h>

enum { AMX_TILES = 8, AMX_ROWS = 16, AMX_ROW_BYTES = 64 };

/* The operand of ldtilecfg. Palette 1 gives eight tiles of up to 16 rows of 64 bytes. */
struct amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct amx_config) == 64, "ldtilecfg reads 64 bytes");

#if !defined(EQ_AMX_EMULATED)
#include <immintrin.h>

/* gcc's intrinsics don't declare that they read memory, so pending stores must be settled first. */
#define AMX_SETTLE() __asm__ volatile("" ::: "memory")

static inline void amx_load_config(const struct amx_config *c)
{
    /* Not _tile_loadconfig, which declares a read of the first 8 bytes only: gcc may drop the stores to the others. */
    __asm__ volatile("ldtilecfg %0" : : "m"(*c));
}
static inline void amx_release(void)
{
    _tile_release();
}
/* Macros, since a tile's number must be a constant. */
#define amx_zero(tile) _tile_zero(tile)
#define amx_load(tile, base, stride)                                                                                   \
    do {                                                                                                               \
        AMX_SETTLE();                                                                                                  \
        _tile_loadd(tile, base, stride);                                                                               \
    } while (0)
#define amx_store(tile, base, stride) _tile_stored(tile, base, stride)
/* sums[m][n] += four products u8 x s8 for each k: bytes[m][4 k ..] * weights[k][4 n ..]; wraps, never saturates */
#define amx_dot(sums, bytes, weights) _tile_dpbusd(sums, bytes, weights)
/* sums[m][n] += two products of BF16 for each k, in floats: products of even and of odd k are summed apart, each
 * rounded once, then added to each other and to the sum; subnormals count as zero (Intel's manual, TDPBF16PS) */
#define amx_dot_bf16(sums, rows, weights) _tile_dpbf16ps(sums, rows, weights)
#endif

#endif
