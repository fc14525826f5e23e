/* Direct convolution with 512-bit vpmaddwd, for AVX-512 without VNNI. */
#include "kernels/x86/u8s8_vec512.h"

#define EQ_DOT "vpmaddwd zmm + vpaddd"
static inline void v_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    v_add_products(acc, x, w0, w1);
}
#define EQ_WIDE 1
#include "kernels/vector/u8s8_direct_tmpl.h"
#include "kernels/vector/u8s8_peak_tmpl.h"

const struct eq_u8s8_conv_kernel eq_u8s8_direct_avx512 =
    DIRECT_KERNEL("u8s8_conv_direct__avx512", EQ_ISA_AVX512, false);

const struct eq_peak eq_u8s8_peak_avx512 = {EQ_ISA_AVX512, EQ_DOT, peak_macs};
