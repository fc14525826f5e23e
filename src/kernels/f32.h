/* What the f32 and image kernels of all ISA levels share; internal to the kernels floor. */
#ifndef KERNELS_F32_H
#define KERNELS_F32_H

#include "kernels/conv.h"

#include <math.h>

/* Fills the f32 and image tables for the CPU and ceiling of the moment; eq_kernels_init calls it. */
void eq_f32_table_init(void);

extern const struct eq_f32_conv_kernel eq_f32_conv_forward_ref, eq_f32_conv_forward_ordered_ref;
extern const struct eq_f32_conv_kernel eq_f32_conv_backward_data_ref;
extern const struct eq_f32_conv_kernel eq_f32_conv_backward_weights_ref;
extern const struct eq_f32_conv_kernel eq_f32_conv_forward_blas;
extern const struct eq_f32_conv_kernel eq_f32_conv_backward_data_blas;
extern const struct eq_f32_conv_kernel eq_f32_conv_backward_weights_blas;
extern const struct eq_f32_conv_kernel eq_bf16_conv_forward_ref;
extern const struct eq_f32_conv_kernel eq_bf16_conv_backward_data_ref;
extern const struct eq_f32_conv_kernel eq_bf16_conv_backward_weights_ref;

#if defined(__x86_64__)
extern const struct eq_peak eq_f32_peak__avx2, eq_f32_peak__avx512, eq_bf16_peak__avx512bf16;
extern const struct eq_f32_conv_kernel eq_f32_conv_forward_direct__avx2, eq_f32_conv_forward_direct__avx512;
extern const struct eq_f32_conv_kernel eq_f32_conv_backward_data_direct__avx2, eq_f32_conv_backward_data_direct__avx512;
extern const struct eq_f32_conv_kernel eq_f32_conv_forward_winograd__avx2, eq_f32_conv_forward_winograd__avx512;
extern const struct eq_f32_conv_kernel eq_f32_conv_forward_winograd7__avx2, eq_f32_conv_forward_winograd7__avx512;
extern const struct eq_f32_conv_kernel eq_f32_conv_backward_data_winograd__avx2,
    eq_f32_conv_backward_data_winograd__avx512;
extern const struct eq_f32_conv_kernel eq_f32_conv_backward_weights_direct__avx2,
    eq_f32_conv_backward_weights_direct__avx512;
extern const struct eq_f32_conv_kernel eq_f32_conv_backward_weights_winograd__avx2,
    eq_f32_conv_backward_weights_winograd__avx512;
extern const struct eq_f32_conv_kernel eq_f32_conv_backward_weights_winograd7__avx2,
    eq_f32_conv_backward_weights_winograd7__avx512;
extern const struct eq_f32_conv_kernel eq_bf16_conv_forward_direct__avx512bf16;
extern const struct eq_f32_conv_kernel eq_bf16_conv_forward_winograd__avx512bf16;
extern const struct eq_f32_conv_kernel eq_bf16_conv_backward_data_winograd__avx512bf16;
extern const struct eq_f32_conv_kernel eq_bf16_conv_backward_weights_winograd__avx512bf16;
extern const struct eq_f32_conv_kernel eq_bf16_conv_backward_data_direct__avx512bf16;
extern const struct eq_f32_conv_kernel eq_bf16_conv_backward_weights_direct__avx512bf16;
#endif

/* bins / (hi - lo); 0, so that everything falls into the first bin, when the range has no width to divide by. */
static inline float eq_histogram_factor(float lo, float hi, int bins)
{
    float factor = (float)bins / (hi - lo);
    return hi > lo && isfinite(factor) ? factor : 0;
}

#endif
