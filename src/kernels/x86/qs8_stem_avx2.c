/* First convolution of the network with 256-bit vpmaddwd. */
#include "kernels/x86/qs8_vec256.h"

static inline vi v_dot(vi acc, vi x, vi w)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
}
#define EQ_WIDE 1
#include "kernels/x86/qs8_stem.h"

const struct eq_qs8_conv_kernel eq_qs8_stem_avx2 = STEM_KERNEL("qs8_conv7x7_stem__avx2", EQ_ISA_AVX2, false);
