/* First convolution of the network with 256-bit vpmaddwd. */
#include "kernels/x86/u8s8_vec256.h"

#define EQ_DOT "vpmaddwd ymm + vpaddd"
static inline void v_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    v_add_products(acc, x, w0, w1);
}
#define EQ_WIDE 1
#include "kernels/x86/u8s8_stem_tmpl.h"

const struct eq_u8s8_conv_kernel eq_u8s8_stem_avx2 = STEM_KERNEL("u8s8_conv7x7_stem__avx2", EQ_ISA_AVX2, false);
