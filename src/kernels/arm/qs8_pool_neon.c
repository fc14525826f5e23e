#define EQ_MAX_R 4
#include "kernels/arm/qs8_vec128.h"

#include "kernels/vector/qs8_pool.h"

const struct eq_qs8_table eq_qs8_table_neon = {
    .isa = EQ_ISA_NEON, .maxpool = maxpool, .sum_pixels_frames = sum_pixels_frames};
