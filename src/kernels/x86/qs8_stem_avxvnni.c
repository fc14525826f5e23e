/* First convolution of the network with 256-bit vpdpbusd. */
#include "kernels/x86/qs8_vec256.h"

static inline vi v_dot(vi acc, vi x, vi w)
{
    return _mm256_dpbusd_avx_epi32(acc, x, w);
}
#define EQ_WIDE 0
#include "kernels/x86/qs8_stem.h"

const struct eq_qs8_conv_kernel eq_qs8_stem_avxvnni = STEM_KERNEL("qs8_conv7x7_stem__avxvnni", EQ_ISA_AVXVNNI, true);
