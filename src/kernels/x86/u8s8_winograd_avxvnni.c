/* Winograd in whole numbers with 256-bit vpdpwssd, the form that wraps and never saturates. */
#include "kernels/x86/u8s8_vec256.h"

#define EQ_DOT "vpdpwssd ymm"
static inline void v_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    acc[0] = _mm256_dpwssd_avx_epi32(acc[0], x, w0);
    acc[1] = _mm256_dpwssd_avx_epi32(acc[1], x, w1);
}
#define EQ_WIDE 1
#include "kernels/x86/u8s8_winograd_tmpl.h"
#include "kernels/vector/u8s8_peak_tmpl.h"

/* vpdpbusd does twice as many products as vpdpwssd, so half of Winograd's gain is left: enough for the transforms and
 * for reading eight times as many bytes of weights, unless a map is so small that it is a tile or two. */
static bool prefers(const struct eq_conv_shape *s)
{
    return s->cin <= 256 && s->cout <= 256 && s->oh >= 6 && s->ow >= 6;
}

const struct eq_u8s8_conv_kernel eq_u8s8_winograd_avxvnni =
    WINO_KERNEL("u8s8_conv3x3_winograd4__avxvnni", EQ_ISA_AVXVNNI, prefers, false);

const struct eq_peak eq_u8s8_peak_wide_avxvnni = {EQ_ISA_AVXVNNI, EQ_DOT, peak_macs};
