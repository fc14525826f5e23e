/* Direct convolution with 256-bit vpdpbusd, the form that wraps and never saturates. */
#include "kernels/x86/u8s8_vec256.h"

#define EQ_DOT "vpdpbusd ymm"
static inline void v_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    acc[0] = _mm256_dpbusd_avx_epi32(acc[0], x, w0);
    acc[1] = _mm256_dpbusd_avx_epi32(acc[1], x, w1);
}
#define EQ_WIDE 0
#include "kernels/vector/u8s8_direct_tmpl.h"
#include "kernels/vector/u8s8_peak_tmpl.h"

const struct eq_u8s8_conv_kernel eq_u8s8_direct_avxvnni =
    DIRECT_KERNEL("u8s8_conv_direct__avxvnni", EQ_ISA_AVXVNNI, false);

const struct eq_peak eq_u8s8_peak_avxvnni = {EQ_ISA_AVXVNNI, EQ_DOT, peak_macs};
