/*
 * Which bytes of a product a lane of a warp holds for mma.sync on bytes (PTX ISA, "Matrix Fragments for mma.m8n8k16"
 * and "mma.m16n8k32"): A [rows][k] by rows, B [k][8] by columns, sums [rows][8]. A register holds 4 neighbors along k,
 * a word. m8n8k16 has the first register of A and B and the first two sums of m16n8k32. Plain C as well: the tests
 * call these functions.
 */
#ifndef DEVICE_KERNELS_FRAGMENT_H
#define DEVICE_KERNELS_FRAGMENT_H

static inline int eq_fragment_a_row(int lane, int r)
{
    return (lane >> 2) + 8 * (r & 1);
}
static inline int eq_fragment_a_word(int lane, int r)
{
    return (lane & 3) + 4 * (r >> 1);
}
static inline int eq_fragment_b_column(int lane)
{
    return lane >> 2;
}
static inline int eq_fragment_b_word(int lane, int r)
{
    return (lane & 3) + 4 * r;
}
static inline int eq_fragment_sum_row(int lane, int r)
{
    return (lane >> 2) + 8 * (r >> 1);
}
static inline int eq_fragment_sum_column(int lane, int r)
{
    return 2 * (lane & 3) + (r & 1);
}
/* Where word w (0..15) of a row lies among the 16 words of that row in local memory, so that neither the fragments'
 * reads (8 rows, 4 words each) nor 16-byte writes meet in a bank. */
static inline int eq_fragment_place(int row, int w)
{
    return (((w >> 2) ^ (row >> 1)) & 3) * 4 + (w & 3);
}

#endif
