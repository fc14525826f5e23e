#include "kernels/x86/u8s8_vec256.h"

#include "kernels/vector/u8s8_pool_tmpl.h"

const struct eq_u8s8_table eq_u8s8_table_avx2 = {
    .isa = EQ_ISA_AVX2, .maxpool = maxpool, .sum_pixels_frames = sum_pixels_frames};
