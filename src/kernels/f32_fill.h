/* The parts of the f32 and image tables, a file each; every level overwrites the slots that it has. */
#ifndef KERNELS_F32_FILL_H
#define KERNELS_F32_FILL_H

#include "echoquant/kernels.h"

void eq_f32_fill_bn_ref(struct eq_f32_table *table);
void eq_f32_fill_pool_ref(struct eq_f32_table *table);
void eq_f32_fill_elementwise_ref(struct eq_f32_table *table);
void eq_f32_fill_observe_ref(struct eq_f32_table *table);
void eq_image_fill_ref(struct eq_image_table *table);

#if defined(__x86_64__)
void eq_f32_fill_bn__avx2(struct eq_f32_table *table);
void eq_f32_fill_bn__avx512(struct eq_f32_table *table);
void eq_f32_fill_pool__avx2(struct eq_f32_table *table);
void eq_f32_fill_pool__avx512(struct eq_f32_table *table);
void eq_f32_fill_elementwise__avx2(struct eq_f32_table *table);
void eq_f32_fill_elementwise__avx512(struct eq_f32_table *table);
void eq_f32_fill_observe__avx2(struct eq_f32_table *table);
void eq_f32_fill_observe__avx512(struct eq_f32_table *table);
void eq_image_fill__avx2(struct eq_image_table *table);
void eq_image_fill__avx512(struct eq_image_table *table);
#endif

#endif
