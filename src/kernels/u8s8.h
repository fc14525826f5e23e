/* Shared by the u8s8 kernels of every ISA level; internal to the kernels floor. */
#ifndef KERNELS_U8S8_H
#define KERNELS_U8S8_H

#include "kernels/conv.h"

/* Fills the u8s8 tables for the CPU and ceiling of the moment; eq_kernels_init calls it. */
void eq_u8s8_table_init(void);

extern const struct eq_u8s8_conv_kernel eq_u8s8_conv_ref;
extern const struct eq_u8s8_table eq_u8s8_table_ref;

#if defined(__x86_64__)
extern const struct eq_u8s8_table eq_u8s8_table_avx2, eq_u8s8_table_avx512;
extern const struct eq_u8s8_conv_kernel eq_u8s8_direct_avx2, eq_u8s8_direct_avxvnni, eq_u8s8_direct_avx512,
    eq_u8s8_direct_avx512vnni;
extern const struct eq_u8s8_conv_kernel eq_u8s8_winograd_avx2, eq_u8s8_winograd_avxvnni, eq_u8s8_winograd_avx512,
    eq_u8s8_winograd_avx512vnni;
extern const struct eq_u8s8_conv_kernel eq_u8s8_stem_avx2, eq_u8s8_stem_avxvnni, eq_u8s8_stem_avx512,
    eq_u8s8_stem_avx512vnni;
extern const struct eq_peak eq_u8s8_peak_avx2, eq_u8s8_peak_avxvnni, eq_u8s8_peak_avx512, eq_u8s8_peak_avx512vnni;
extern const struct eq_peak eq_u8s8_peak_wide_avxvnni, eq_u8s8_peak_wide_avx512vnni;
extern const struct eq_u8s8_conv_kernel eq_u8s8_direct_amx;
extern const struct eq_peak eq_u8s8_peak_amx;
#elif defined(__aarch64__)
extern const struct eq_u8s8_table eq_u8s8_table_neon;
extern const struct eq_u8s8_conv_kernel eq_u8s8_direct_neon, eq_u8s8_direct_neondot;
extern const struct eq_peak eq_u8s8_peak_neon, eq_u8s8_peak_neondot;
#endif

#endif
