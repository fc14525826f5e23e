/* First convolution of the network with 512-bit vpdpbusd. */
#include "kernels/x86/qs8_vec512.h"

static inline vi v_dot(vi acc, vi x, vi w)
{
    return _mm512_dpbusd_epi32(acc, x, w);
}
#define EQ_WIDE 0
#include "kernels/x86/qs8_stem.h"

const struct eq_qs8_conv_kernel eq_qs8_stem_avx512vnni =
    STEM_KERNEL("qs8_conv7x7_stem__avx512vnni", EQ_ISA_AVX512VNNI, false);
