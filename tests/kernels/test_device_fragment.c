/*
 * The fragment layout of mma.sync that the device's kernels use (src/device/kernels/fragment.h), over an emulation of
 * the instruction in plain C: 32 lanes hold registers as the PTX ISA lays them out, byte by byte, and the product of
 * the matrices must come out where the kernels look for it. Also the places in local memory: no two words share one,
 * and neither reads of fragments nor 16-byte writes meet in a bank.
 */
#include "device/kernels/fragment.h"
#include "echoquant/base.h"
#include "unit/cmocka_all.h"

#include <stdint.h>
#include <string.h>

enum { LANES = 32 };

struct warp {
    uint32_t a[LANES][4], b[LANES][2];
    int32_t sums[LANES][4];
};

static int byte_at(const uint32_t *registers, int i, int is_signed)
{
    const uint32_t byte = registers[i / 4] >> 8 * (i % 4) & 255;
    return is_signed ? (int8_t)byte : (int)byte;
}

/* PTX ISA 8.x, 9.7.14.5: "Matrix Fragments for mma.m16n8k32" and "mma.m8n8k16" with .u8 and .s8. Each lane's element i
 * of A, B and C stands at the row and column that its tables name. */
static void emulated_mma(struct warp *w, int rows, int depth)
{
    int a[16][32], b[32][8];
    memset(a, 0x55, sizeof a);
    memset(b, 0x55, sizeof b);
    for (int lane = 0; lane < LANES; lane++) {
        const int group = lane >> 2, in_group = lane % 4;
        for (int i = 0; i < rows * depth / LANES; i++) {
            int row = group, column = in_group * 4 + (i & 3);
            if (rows == 16) {
                row = i < 4 || (i >= 8 && i < 12) ? group : group + 8;
                column += i < 8 ? 0 : 16;
            }
            a[row][column] = byte_at(w->a[lane], i, 0);
        }
        for (int i = 0; i < depth * 8 / LANES; i++)
            b[in_group * 4 + (i & 3) + (i < 4 ? 0 : 16)][group] = byte_at(w->b[lane], i, 1);
    }
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < rows * 8 / LANES; i++) {
            const int row = (lane >> 2) + (i < 2 ? 0 : 8), column = lane % 4 * 2 + (i & 1);
            for (int k = 0; k < depth; k++)
                w->sums[lane][i] += a[row][k] * b[k][column];
        }
}

static uint32_t word_of(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* One product of each shape of random matrices, with the registers that the kernels load. */
static void check_shape(int rows, int depth, struct eq_rng *rng)
{
    const int a_registers = rows * depth / LANES / 4, b_registers = depth * 8 / LANES / 4, sums = rows * 8 / LANES;
    uint8_t a[16][32], b[8][32]; /* b by columns, as packed weights */
    struct warp w = {0};
    int seen[16][8] = {{0}};
    for (int i = 0; i < 16 * 32; i++)
        a[i / 32][i % 32] = (uint8_t)eq_rng_below(rng, 256);
    for (int i = 0; i < 8 * 32; i++)
        b[i / 32][i % 32] = (uint8_t)eq_rng_below(rng, 256);
    for (int lane = 0; lane < LANES; lane++) {
        for (int r = 0; r < a_registers; r++)
            w.a[lane][r] = word_of(&a[eq_fragment_a_row(lane, r)][4 * eq_fragment_a_word(lane, r)]);
        for (int r = 0; r < b_registers; r++)
            w.b[lane][r] = word_of(&b[eq_fragment_b_column(lane)][4 * eq_fragment_b_word(lane, r)]);
    }
    emulated_mma(&w, rows, depth);
    for (int lane = 0; lane < LANES; lane++)
        for (int r = 0; r < sums; r++) {
            const int row = eq_fragment_sum_row(lane, r), column = eq_fragment_sum_column(lane, r);
            int32_t sum = 0;
            for (int k = 0; k < depth; k++)
                sum += a[row][k] * (int8_t)b[column][k];
            assert_int_equal(w.sums[lane][r], sum);
            seen[row][column]++;
        }
    for (int i = 0; i < rows * 8; i++)
        assert_int_equal(seen[i / 8][i % 8], 1);
}

static void products_come_out_where_kernels_look(void **state)
{
    (void)state;
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (int i = 0; i < 50; i++) {
        check_shape(8, 16, &rng);
        check_shape(16, 32, &rng);
    }
}

static void places_share_no_bank(void **state)
{
    (void)state;
    enum { BANKS = 32 };
    for (int row = 0; row < 32; row++) {
        unsigned used = 0;
        for (int w = 0; w < 16; w++)
            used |= 1u << eq_fragment_place(row, w);
        assert_int_equal(used, 0xffff);
        for (int w = 0; w < 16; w += 4) /* quads stay whole */
            for (int i = 0; i < 4; i++)
                assert_int_equal(eq_fragment_place(row, w + i), eq_fragment_place(row, w) + i);
    }
    for (int word = 0; word < 16; word += 4) { /* a register: 8 rows of 4 words */
        unsigned banks = 0;
        for (int lane = 0; lane < LANES; lane++) {
            const int row = eq_fragment_a_row(lane, 0);
            banks |= 1u << (row * 16 + eq_fragment_place(row, word + eq_fragment_a_word(lane, 0))) % BANKS;
        }
        assert_int_equal(banks, 0xffffffffu);
    }
    for (int row = 0; row < 32; row += 2) { /* 8 lanes that write 16 bytes each: two rows */
        unsigned banks = 0;
        for (int w = 0; w < 32; w++)
            banks |= 1u << ((row + w / 16) * 16 + eq_fragment_place(row + w / 16, w % 16)) % BANKS;
        assert_int_equal(banks, 0xffffffffu);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_come_out_where_kernels_look),
                                       cmocka_unit_test(places_share_no_bank)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
