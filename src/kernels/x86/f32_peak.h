/* FMA on registers only, in chains enough to hide its latency: what any f32 kernel can reach at most. */
#include "kernels/f32.h"
#include "kernels/x86/vec.h"

enum { CHAINS = 12 };

static double macs(size_t iterations)
{
    vf sum[CHAINS], x = v_set1(0.5f);
    UNROLL for (int i = 0; i < CHAINS; i++) sum[i] = v_set1((float)i);
    for (size_t n = 0; n < iterations; n++) {
        UNROLL for (int i = 0; i < CHAINS; i++)
        {
            sum[i] = v_fma(sum[i], x, x);
            __asm__ volatile("" : "+x"(sum[i])); /* the compiler may neither merge the chains nor skip a link */
        }
    }
    return (double)iterations * CHAINS * VL;
}

const struct eq_f32_peak ISA_NAME(eq_f32_peak) = {
    .isa = ISA_LEVEL, .instruction = VL == 16 ? "vfmadd zmm" : "vfmadd ymm", .macs = macs};
