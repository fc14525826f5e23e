/* Every convolution kernel and every peak that a CPU of this architecture may have; internal to the kernels floor. */
#ifndef KERNELS_LIST_H
#define KERNELS_LIST_H

#include "kernels/conv.h"

/* Each calls X(name) for the names of its kernels, or peaks, without eq_. */
/* clang-format off */
#define EQ_PLAIN_KERNELS(X)                                                                                            \
    X(f32_conv_forward_direct__ref) X(f32_conv_forward_ordered__ref) X(f32_conv_forward_im2col__blas)                  \
    X(f32_conv_backward_data_direct__ref) X(f32_conv_backward_data_phases__blas)                                       \
    X(f32_conv_backward_weights_direct__ref) X(f32_conv_backward_weights_im2col__blas)                                 \
    X(bf16_conv_forward_direct__ref) X(bf16_conv_backward_data_direct__ref) X(bf16_conv_backward_weights_direct__ref)  \
    X(u8s8_conv_direct__ref)
#if defined(__x86_64__)
#define EQ_ON_AVX(X, stem) X(stem##__avx2) X(stem##__avx512)
#define EQ_ON_VNNI(X, stem) EQ_ON_AVX(X, stem) X(stem##__avxvnni) X(stem##__avx512vnni)
#define EQ_ISA_KERNELS(X)                                                                                              \
    EQ_ON_AVX(X, f32_conv_forward_direct) EQ_ON_AVX(X, f32_conv_forward_winograd)                                      \
    EQ_ON_AVX(X, f32_conv_forward_winograd7)                                                                           \
    EQ_ON_AVX(X, f32_conv_backward_data_direct) EQ_ON_AVX(X, f32_conv_backward_data_winograd)                          \
    EQ_ON_AVX(X, f32_conv_backward_weights_direct) EQ_ON_AVX(X, f32_conv_backward_weights_winograd)                    \
    EQ_ON_AVX(X, f32_conv_backward_weights_winograd7)                                                                  \
    X(bf16_conv_forward_direct__avx512bf16) X(bf16_conv_forward_winograd__avx512bf16)                                  \
    X(bf16_conv_backward_data_direct__avx512bf16) X(bf16_conv_backward_data_winograd__avx512bf16)                      \
    X(bf16_conv_backward_weights_direct__avx512bf16) X(bf16_conv_backward_weights_winograd__avx512bf16)                \
    EQ_ON_VNNI(X, u8s8_conv_direct) EQ_ON_VNNI(X, u8s8_conv_winograd) EQ_ON_VNNI(X, u8s8_conv_stem)                    \
    X(u8s8_conv_direct__amx)
#define EQ_PEAKS(X)                                                                                                    \
    X(f32_peak__avx2) X(f32_peak__avx512) X(bf16_peak__avx512bf16)                                                     \
    X(u8s8_peak__avx2) X(u8s8_peak__avx512) X(u8s8_peak__avxvnni) X(u8s8_peak__avx512vnni)                             \
    X(u8s8_peak_wide__avxvnni) X(u8s8_peak_wide__avx512vnni) X(u8s8_peak__amx)
#elif defined(__aarch64__)
#define EQ_ISA_KERNELS(X) X(u8s8_conv_direct__neon) X(u8s8_conv_direct__neondot)
#define EQ_PEAKS(X) X(u8s8_peak__neon) X(u8s8_peak__neondot)
#else
#define EQ_ISA_KERNELS(X)
#define EQ_PEAKS(X)
#endif
/* clang-format on */

#define EXTERN_KERNEL(name) extern const struct eq_conv_kernel eq_##name;
#define EXTERN_PEAK(name) extern const struct eq_peak eq_##name;
EQ_PLAIN_KERNELS(EXTERN_KERNEL)
EQ_ISA_KERNELS(EXTERN_KERNEL)
EQ_PEAKS(EXTERN_PEAK)

#endif
