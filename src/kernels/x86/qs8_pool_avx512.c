#include "kernels/x86/qs8_vec512.h"

#include "kernels/vector/qs8_pool.h"

const struct eq_qs8_table eq_qs8_table_avx512 = {
    .isa = EQ_ISA_AVX512, .maxpool = maxpool, .sum_pixels_frames = sum_pixels_frames};
