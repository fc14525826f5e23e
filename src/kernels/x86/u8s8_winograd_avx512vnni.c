/* Winograd in whole numbers with 512-bit vpdpwssd, the form that wraps and never saturates. */
#include "kernels/x86/u8s8_vec512.h"

#define EQ_DOT "vpdpwssd zmm"
static inline void v_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    acc[0] = _mm512_dpwssd_epi32(acc[0], x, w0);
    acc[1] = _mm512_dpwssd_epi32(acc[1], x, w1);
}
#define EQ_WIDE 1
#include "kernels/x86/u8s8_winograd_tmpl.h"
#include "kernels/vector/u8s8_peak_tmpl.h"

/* vpdpbusd does twice as many products as vpdpwssd: what is left of the gain must not go into reading weights, of which
 * this kernel has eight times as many bytes. */
static bool prefers(const struct eq_conv_shape *s)
{
    return s->cin <= 128 && s->cout <= 128 && s->oh >= 8 && s->ow >= 8;
}

const struct eq_u8s8_conv_kernel eq_u8s8_winograd_avx512vnni =
    WINO_KERNEL("u8s8_conv3x3_winograd4__avx512vnni", EQ_ISA_AVX512VNNI, prefers, false);

const struct eq_peak eq_u8s8_peak_wide_avx512vnni = {EQ_ISA_AVX512VNNI, EQ_DOT, peak_macs};
