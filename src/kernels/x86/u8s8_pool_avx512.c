#include "kernels/x86/u8s8_vec512.h"

#include "kernels/vector/u8s8_pool_tmpl.h"

const struct eq_u8s8_table eq_u8s8_table_avx512 = {
    .isa = EQ_ISA_AVX512, .maxpool = maxpool, .sum_pixels_frames = sum_pixels_frames};
