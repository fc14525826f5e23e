/* Every convolution kernel and every peak that a CPU of this architecture may have; internal to the kernels floor. */
#ifndef KERNELS_LIST_H
#define KERNELS_LIST_H

#include "kernels/conv.h"

/* Each list calls X(name) for the names of its kernels, or peaks, without eq_, in ascending order of preference. ref is
 * first: it supports everything and is chosen when nothing else is. */
/* clang-format off */
#if defined(__x86_64__)
#define EQ_ON_AVX(X, stem) X(stem##__avx2) X(stem##__avx512)
#define EQ_ON_BF16(X, stem) X(stem##__avx512bf16)
#define EQ_ON_AMX(X, stem) X(stem##__amx)
#define EQ_U8S8_LEVEL(X, isa) X(u8s8_conv_direct__##isa) X(u8s8_conv_winograd__##isa) X(u8s8_conv_stem__##isa)
#define EQ_U8S8_LEVELS(X)                                                                                              \
    EQ_U8S8_LEVEL(X, avx2) EQ_U8S8_LEVEL(X, avxvnni) EQ_U8S8_LEVEL(X, avx512) EQ_U8S8_LEVEL(X, avx512vnni)             \
    X(u8s8_conv_direct__amx)
#define EQ_U8S8_DOMAIN_LEVELS(X)                                                                                       \
    X(u8s8_conv_domain__avx2) X(u8s8_conv_domain__avxvnni) X(u8s8_conv_domain__avx512) X(u8s8_conv_domain__avx512vnni)
#define EQ_PEAKS(X)                                                                                                    \
    X(f32_peak__avx2) X(f32_peak__avx512) X(bf16_peak__avx512bf16)                                                     \
    X(u8s8_peak__avx2) X(u8s8_peak__avx512) X(u8s8_peak__avxvnni) X(u8s8_peak__avx512vnni)                             \
    X(u8s8_peak_wide__avxvnni) X(u8s8_peak_wide__avx512vnni) X(u8s8_peak__amx)            \
    X(bf16_peak__amx)
#else
#define EQ_ON_AVX(X, stem)
#define EQ_ON_BF16(X, stem)
#define EQ_ON_AMX(X, stem)
#if defined(__aarch64__)
#define EQ_U8S8_LEVELS(X) X(u8s8_conv_direct__neon) X(u8s8_conv_direct__neondot)
#define EQ_U8S8_DOMAIN_LEVELS(X) X(u8s8_conv_domain__neon) X(u8s8_conv_domain__neondot)
#define EQ_PEAKS(X) X(u8s8_peak__neon) X(u8s8_peak__neondot)
#else
#define EQ_U8S8_LEVELS(X)
#define EQ_U8S8_DOMAIN_LEVELS(X)
#define EQ_PEAKS(X)
#endif
#endif
#define EQ_F32_FORWARD(X)                                                                                              \
    X(f32_conv_forward_direct__ref) X(f32_conv_forward_im2col__blas) EQ_ON_AVX(X, f32_conv_forward_direct)             \
    EQ_ON_AVX(X, f32_conv_forward_winograd) EQ_ON_AVX(X, f32_conv_forward_winograd7)
#define EQ_F32_BACKWARD_DATA(X)                                                                                        \
    X(f32_conv_backward_data_direct__ref) X(f32_conv_backward_data_phases__blas)                                       \
    EQ_ON_AVX(X, f32_conv_backward_data_direct) EQ_ON_AVX(X, f32_conv_backward_data_winograd)
#define EQ_F32_BACKWARD_WEIGHTS(X)                                                                                     \
    X(f32_conv_backward_weights_direct__ref) X(f32_conv_backward_weights_im2col__blas)                                 \
    EQ_ON_AVX(X, f32_conv_backward_weights_direct) EQ_ON_AVX(X, f32_conv_backward_weights_winograd)                    \
    EQ_ON_AVX(X, f32_conv_backward_weights_winograd7)
#define EQ_BF16_PASS(X, pass)                                                                                          \
    X(bf16_conv_##pass##_direct__ref) EQ_ON_BF16(X, bf16_conv_##pass##_direct)                                         \
    EQ_ON_BF16(X, bf16_conv_##pass##_winograd) EQ_ON_AMX(X, bf16_conv_##pass##_direct)
#define EQ_U8S8(X) X(u8s8_conv_direct__ref) EQ_U8S8_LEVELS(X)
#define EQ_U8S8_DOMAIN(X) X(u8s8_conv_domain__ref) EQ_U8S8_DOMAIN_LEVELS(X)
#define EQ_KERNELS(X)                                                                                                  \
    EQ_F32_FORWARD(X) EQ_F32_BACKWARD_DATA(X) EQ_F32_BACKWARD_WEIGHTS(X) X(f32_conv_forward_ordered__ref)              \
    EQ_BF16_PASS(X, forward) EQ_BF16_PASS(X, backward_data) EQ_BF16_PASS(X, backward_weights) EQ_U8S8(X) \
    EQ_U8S8_DOMAIN(X)
/* clang-format on */

#define EQ_ADDRESS(name) &eq_##name,
#define EXTERN_KERNEL(name) extern const struct eq_conv_kernel eq_##name;
#define EXTERN_PEAK(name) extern const struct eq_peak eq_##name;
EQ_KERNELS(EXTERN_KERNEL)
EQ_PEAKS(EXTERN_PEAK)

#endif
