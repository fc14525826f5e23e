/*
 * Template: the multiply-and-add of the convolutions on registers only, in enough chains to hide its latency. No
 * kernel made of it can be faster.
 */
#include "kernels/conv.h"
#include "kernels/x86/operand.h"

enum { CHAINS = 12 };

static double macs(size_t iterations)
{
    operand half[KSTEP];
    for (int i = 0; i < KSTEP; i++)
        half[i] = operand_of(0.5f);
    vf sum[CHAINS];
    vo x = vo_set1(half);
    UNROLL for (int i = 0; i < CHAINS; i++) sum[i] = v_set1((float)i);
    for (size_t n = 0; n < iterations; n++) {
        UNROLL for (int i = 0; i < CHAINS; i++)
        {
            sum[i] = vo_dot(x, x, sum[i]);
            __asm__ volatile("" : "+v"(sum[i])); /* the compiler may neither merge the chains nor skip a link */
        }
    }
    return (double)iterations * CHAINS * VL * KSTEP;
}

const struct eq_peak CONV_NAME(peak) = {.isa = ISA_LEVEL, .instruction = CONV_INSTRUCTION, .macs = macs};
