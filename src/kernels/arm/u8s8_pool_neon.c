#define EQ_MAX_R 4
#include "kernels/arm/u8s8_vec128.h"

#include "kernels/vector/u8s8_pool_tmpl.h"

const struct eq_u8s8_table eq_u8s8_table_neon = {
    .isa = EQ_ISA_NEON, .maxpool = maxpool, .sum_pixels_frames = sum_pixels_frames};
