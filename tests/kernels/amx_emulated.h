/*
 * AMX's tile instructions in plain C, as Intel's manual describes them, for kernels/x86/amx.h: a thread has eight tiles
 * whose form its configuration gives. What a CPU answers with a fault ends the program here, with a line that says why.
 */
#ifndef TESTS_KERNELS_AMX_EMULATED_H
#define TESTS_KERNELS_AMX_EMULATED_H

#include "kernels/x86/amx.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct amx_state {
    struct amx_config config;
    bool configured;
    uint8_t data[AMX_TILES][AMX_ROWS][AMX_ROW_BYTES];
};
static _Thread_local struct amx_state amx_state;
extern atomic_int amx_emulated_configured; /* threads whose tiles are in use */
extern atomic_long amx_emulated_dots;

static inline void amx_fault(bool bad, const char *why)
{
    if (bad) {
        printf("AMX would fault: %s\n", why);
        fflush(stdout);
        abort();
    }
}

static inline void amx_load_config(const struct amx_config *c)
{
    amx_fault(c->palette != 1 || c->start_row != 0, "palette or start row");
    for (int i = 0; i < 14; i++)
        amx_fault(c->reserved[i] != 0, "reserved bytes of the configuration are not 0");
    for (int i = 0; i < 16; i++) {
        amx_fault(i >= AMX_TILES && (c->rows[i] || c->row_bytes[i]), "a tile beyond the eighth");
        amx_fault(c->rows[i] > AMX_ROWS || c->row_bytes[i] > AMX_ROW_BYTES, "a tile too large");
        amx_fault(!c->rows[i] != !c->row_bytes[i], "a tile with rows or bytes only");
    }
    atomic_fetch_add(&amx_emulated_configured, !amx_state.configured);
    amx_state = (struct amx_state){.config = *c, .configured = true};
}

static inline void amx_release(void)
{
    atomic_fetch_sub(&amx_emulated_configured, amx_state.configured);
    amx_state = (struct amx_state){.configured = false};
}

static inline void amx_need(int tile)
{
    amx_fault(!amx_state.configured, "tiles are not configured");
    amx_fault(tile < 0 || tile >= AMX_TILES || amx_state.config.rows[tile] == 0, "a tile without a form");
}

static inline void amx_zero(int tile)
{
    amx_need(tile);
    memset(amx_state.data[tile], 0, sizeof amx_state.data[tile]);
}

static inline void amx_load(int tile, const void *base, ptrdiff_t stride)
{
    amx_zero(tile);
    for (int r = 0; r < amx_state.config.rows[tile]; r++)
        memcpy(amx_state.data[tile][r], (const uint8_t *)base + r * stride, amx_state.config.row_bytes[tile]);
}

static inline void amx_store(int tile, void *base, ptrdiff_t stride)
{
    amx_need(tile);
    for (int r = 0; r < amx_state.config.rows[tile]; r++)
        memcpy((uint8_t *)base + r * stride, amx_state.data[tile][r], amx_state.config.row_bytes[tile]);
}

/* sums: m x n int32; a: m x 4 k bytes; b: k x 4 n bytes. */
static inline void amx_dot(int sums, int a, int b)
{
    const struct amx_config *c = &amx_state.config;
    amx_need(sums);
    amx_need(a);
    amx_need(b);
    amx_fault(sums == a || sums == b || a == b, "a product needs three tiles");
    const int m = c->rows[sums], n = c->row_bytes[sums] / 4, k = c->row_bytes[a] / 4;
    amx_fault(c->rows[a] != m || c->rows[b] != k || c->row_bytes[b] != n * 4, "tiles whose forms don't fit");
    amx_fault(c->row_bytes[sums] % 4 != 0 || c->row_bytes[a] % 4 != 0, "bytes that are no multiple of 4");
    atomic_fetch_add(&amx_emulated_dots, 1);
    for (int i = 0; i < m; i++) {
        uint32_t row[AMX_ROWS];
        memcpy(row, amx_state.data[sums][i], sizeof row);
        for (int l = 0; l < k; l++)
            for (int j = 0; j < n; j++)
                for (int q = 0; q < 4; q++)
                    row[j] += (uint32_t)(amx_state.data[a][i][4 * l + q] * (int8_t)amx_state.data[b][l][4 * j + q]);
        memset(amx_state.data[sums][i], 0, AMX_ROW_BYTES);
        memcpy(amx_state.data[sums][i], row, (size_t)n * 4);
    }
}

#endif
