/* A bit stream of small signed numbers. */
#include "quant/qmodel.h"

size_t eq_packed_weight_bytes(size_t n, int bits)
{
    return n / 8 * (size_t)bits + (n % 8 * (size_t)bits + 7) / 8;
}

void eq_pack_weights(const int8_t *w, size_t n, int bits, uint8_t *packed)
{
    uint32_t stream = 0, mask = (1u << bits) - 1;
    int held = 0;
    for (size_t i = 0; i < n; i++) {
        stream |= ((uint32_t)w[i] & mask) << held;
        for (held += bits; held >= 8; held -= 8, stream >>= 8)
            *packed++ = (uint8_t)stream;
    }
    if (held)
        *packed = (uint8_t)stream;
}

void eq_unpack_weights(const uint8_t *packed, size_t n, int bits, int8_t *w)
{
    uint32_t stream = 0, mask = (1u << bits) - 1, sign = 1u << (bits - 1);
    int held = 0;
    for (size_t i = 0; i < n; i++) {
        for (; held < bits; held += 8)
            stream |= (uint32_t)*packed++ << held;
        w[i] = (int8_t)((int)((stream & mask) ^ sign) - (int)sign);
        stream >>= bits;
        held -= bits;
    }
}
