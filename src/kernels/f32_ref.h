/* The parts of the ref table, a file each. */
#ifndef KERNELS_F32_REF_H
#define KERNELS_F32_REF_H

#include "echoquant/kernels.h"

void eq_f32_fill_bn_ref(struct eq_f32_table *table);
void eq_f32_fill_pool_ref(struct eq_f32_table *table);
void eq_f32_fill_elementwise_ref(struct eq_f32_table *table);
void eq_f32_fill_observe_ref(struct eq_f32_table *table);

#endif
