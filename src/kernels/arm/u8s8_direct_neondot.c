/* Direct convolution for NEON with dot products. */
#include "kernels/arm/u8s8_sdot.h"

#include "kernels/vector/u8s8_direct_tmpl.h"

/* For the peak only. */
static inline void vi_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    acc[0] = vdotq_s32(acc[0], vreinterpretq_s8_s32(w0), vreinterpretq_s8_s32(x));
    acc[1] = vdotq_s32(acc[1], vreinterpretq_s8_s32(w1), vreinterpretq_s8_s32(x));
}
#include "kernels/vector/u8s8_peak_tmpl.h"
