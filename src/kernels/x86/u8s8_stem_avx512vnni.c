/* First convolution of the network with 512-bit vpdpbusd. */
#include "kernels/x86/u8s8_vec512.h"

#define EQ_DOT "vpdpbusd zmm"
static inline void v_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    acc[0] = _mm512_dpbusd_epi32(acc[0], x, w0);
    acc[1] = _mm512_dpbusd_epi32(acc[1], x, w1);
}
#define EQ_WIDE 0
#include "kernels/x86/u8s8_stem_tmpl.h"

const struct eq_u8s8_conv_kernel eq_u8s8_stem_avx512vnni =
    STEM_KERNEL("u8s8_conv7x7_stem__avx512vnni", EQ_ISA_AVX512VNNI, false);
