/* Template: v_dot on registers only, in chains enough to hide its latency; what a kernel made of it can reach at most.
 */
#include "kernels/qs8.h"

enum { PEAK_CHAINS = 12 };

static double peak_macs(size_t iterations)
{
    vi acc[PEAK_CHAINS], x = v_set1(0x01020301), w = v_set1(0x01ff0201);
#pragma GCC unroll 12
    for (int i = 0; i < PEAK_CHAINS; i++)
        acc[i] = v_set1(i);
    for (size_t n = 0; n < iterations; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < PEAK_CHAINS; i++) {
            acc[i] = v_dot(acc[i], x, w);
            __asm__ volatile("" : "+x"(acc[i])); /* the compiler may neither merge the chains nor skip a link */
        }
    }
    return (double)iterations * PEAK_CHAINS * VL * (EQ_WIDE ? 2 : 4);
}
