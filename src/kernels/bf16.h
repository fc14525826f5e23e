/* BF16 as every kernel understands it: the upper half of a float. Internal to the kernels floor. */
#ifndef KERNELS_BF16_H
#define KERNELS_BF16_H

#include "echoquant/kernels.h"

#include <string.h>

/* Rounds half to even as vcvtneps2bf16 does: subnormals become zero of their sign, NaNs quiet. */
static inline uint16_t eq_bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t exponent = bits >> 23 & 255, fraction = bits & 0x7fffff;
    if (exponent == 0)
        return (uint16_t)(bits >> 16 & 0x8000);
    if (exponent == 255 && fraction)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float eq_bf16_value(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
