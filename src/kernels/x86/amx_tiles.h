/*
 * Two tiles of rows by two of weights: 32 x 32 sums in four tiles, for kernels that stream packed weights. The
 * including file has defined AMX_DOT, one of amx.h's products. A step is four bytes of a row: four u8, or two BF16.
 */
#ifndef KERNELS_X86_AMX_TILES_H
#define KERNELS_X86_AMX_TILES_H

#include "kernels/x86/amx.h"

#include <stdbool.h>

enum {
    AMX_M = 2 * AMX_ROWS,          /* rows of a whole product */
    AMX_N = 2 * AMX_ROW_BYTES / 4, /* columns */
    AMX_STEPS = AMX_ROWS,          /* of a tile, at most */
    AMX_W_ROW = AMX_N * 4          /* bytes of a step of weights, for all columns */
};

/* Tiles 0, 1: sums of the first rows; 2, 3: of the second rows; 4, 5: rows; 6, 7: weights. */
struct amx_form {
    int rows[2], steps;
};
static _Thread_local struct amx_form form; /* of this worker's tiles; all 0: not configured */

/* Configuring sets all tiles to zero. An unused second tile of rows keeps its whole height, so that whole products need
 * one configuration. */
static inline void amx_configure(int rows, int steps)
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
        c.row_bytes[4 + i] = (uint16_t)(steps * 4);
        c.rows[6 + i] = (uint8_t)steps;
        c.row_bytes[6 + i] = AMX_ROW_BYTES;
    }
    amx_load_config(&c);
}

/* At the end of a piece of work, so that no thread keeps the state of tiles between layers. */
static inline void amx_end_piece(void)
{
    form = (struct amx_form){{0, 0}, 0};
    amx_release();
}

/* The products of one group of steps with the first 16 or, with both, all rows; w: their weights. */
static inline __attribute__((always_inline)) void amx_products(const int both, const void *a, ptrdiff_t stride,
                                                               const void *w)
{
    amx_load(6, w, AMX_W_ROW);
    amx_load(7, (const char *)w + AMX_ROW_BYTES, AMX_W_ROW);
    amx_load(4, a, stride);
    AMX_DOT(0, 4, 6);
    AMX_DOT(1, 4, 7);
    if (both) {
        amx_load(5, (const char *)a + AMX_ROWS * stride, stride);
        AMX_DOT(2, 5, 6);
        AMX_DOT(3, 5, 7);
    }
}

static inline __attribute__((always_inline)) void amx_zero_sums(void)
{
    amx_zero(0);
    amx_zero(1);
    amx_zero(2);
    amx_zero(3);
}

/* to[AMX_M][AMX_N], four bytes each: the first 16 or, with both, all rows. */
static inline __attribute__((always_inline)) void amx_store_sums(const int both, void *to)
{
    char *second = (char *)to + (ptrdiff_t)AMX_ROWS * AMX_W_ROW;
    amx_store(0, to, AMX_W_ROW);
    amx_store(1, (char *)to + AMX_ROW_BYTES, AMX_W_ROW);
    if (both) {
        amx_store(2, second, AMX_W_ROW);
        amx_store(3, second + AMX_ROW_BYTES, AMX_W_ROW);
    }
}

/* Products on registers alone, for the peak; their number. */
static inline double amx_peak_macs(size_t iterations, int values_of_step)
{
    amx_configure(AMX_M, AMX_STEPS);
    for (size_t n = 0; n < iterations; n++) {
        AMX_DOT(0, 4, 6);
        AMX_DOT(1, 4, 7);
        AMX_DOT(2, 5, 6);
        AMX_DOT(3, 5, 7);
    }
    amx_end_piece();
    return (double)iterations * AMX_M * AMX_N * AMX_STEPS * values_of_step;
}

#endif
