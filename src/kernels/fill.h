/* The parts of the f32, image and u8s8 tables, a file each; every level overwrites the slots that it has. */
#ifndef KERNELS_FILL_H
#define KERNELS_FILL_H

#include "echoquant/kernels.h"

#include <math.h>

#define DECLARE_FILLS(isa)                                                                                             \
    void eq_f32_bn_fill__##isa(struct eq_f32_table *table);                                                            \
    void eq_f32_pool_fill__##isa(struct eq_f32_table *table);                                                          \
    void eq_f32_elementwise_fill__##isa(struct eq_f32_table *table);                                                   \
    void eq_f32_observe_fill__##isa(struct eq_f32_table *table);                                                       \
    void eq_f32_domain_fill__##isa(struct eq_f32_domain_table *table);                                                 \
    void eq_image_fill__##isa(struct eq_image_table *table);                                                           \
    void eq_u8s8_fill__##isa(struct eq_u8s8_table *table);

DECLARE_FILLS(ref)
#if defined(__x86_64__)
DECLARE_FILLS(avx2)
DECLARE_FILLS(avx512)
#elif defined(__aarch64__)
void eq_u8s8_fill__neon(struct eq_u8s8_table *table);
#endif

/* bins / (hi - lo); 0, so that everything falls into the first bin, when the range has no width to divide by. */
static inline float eq_histogram_factor(float lo, float hi, int bins)
{
    float factor = (float)bins / (hi - lo);
    return hi > lo && isfinite(factor) ? factor : 0;
}

#endif
