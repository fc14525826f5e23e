#include "kernels/x86/qs8_vec256.h"

#include "kernels/vector/qs8_pool.h"

const struct eq_qs8_table eq_qs8_table_avx2 = {
    .isa = EQ_ISA_AVX2, .maxpool = maxpool, .sum_pixels_frames = sum_pixels_frames};
