/* Direct convolution for NEON without dot products. */
#include "kernels/arm/u8s8_smull.h"

#include "kernels/vector/u8s8_direct_tmpl.h"

/* For the peak only: as many products as the tiles get from four vectors of weights and one of sources. */
static inline void vi_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    int8x16_t v = vreinterpretq_s8_s32(x);
    add_two_steps(acc, v, v, vreinterpretq_s8_s32(w0), vreinterpretq_s8_s32(w1));
}
#include "kernels/vector/u8s8_peak_tmpl.h"
