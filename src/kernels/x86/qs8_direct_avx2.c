/* Direct convolution with vpmaddwd: u8 widened to s16, because vpmaddubsw saturates and so is not exact. */
#include "kernels/x86/qs8_vec256.h"

#define EQ_DOT "vpmaddwd ymm + vpaddd"
static inline void v_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    v_add_products(acc, x, w0, w1);
}
#define EQ_WIDE 1
#include "kernels/vector/qs8_direct.h"
#include "kernels/vector/qs8_peak.h"

const struct eq_qs8_conv_kernel eq_qs8_direct_avx2 = DIRECT_KERNEL("qs8_conv_direct__avx2", EQ_ISA_AVX2, false);

const struct eq_peak eq_qs8_peak_avx2 = {EQ_ISA_AVX2, EQ_DOT, peak_macs};
