/* Winograd in whole numbers with 512-bit vpmaddwd, for AVX-512 without VNNI. */
#include "kernels/x86/u8s8_vec512.h"

#define EQ_DOT "vpmaddwd zmm + vpaddd"
static inline void v_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    v_add_products(acc, x, w0, w1);
}
#define EQ_WIDE 1
#include "kernels/x86/u8s8_winograd_tmpl.h"

/* Not where most of a tile would lie outside the picture. */
static bool prefers(const struct eq_conv_shape *s)
{
    return s->oh >= 3 && s->ow >= 3;
}

const struct eq_u8s8_conv_kernel eq_u8s8_winograd_avx512 =
    WINO_KERNEL("u8s8_conv3x3_winograd4__avx512", EQ_ISA_AVX512, prefers, false);
