/* Weights of fewer than 8 bits, packed in files; internal. */
#ifndef QUANT_PACKING_H
#define QUANT_PACKING_H

#include <stddef.h>
#include <stdint.h>

/* n values of bits each, two's complement, least significant bit first, without gaps: value i takes bits i * bits and
 * up. */
size_t eq_packed_weight_bytes(size_t n, int bits);
void eq_pack_weights(const int8_t *w, size_t n, int bits, uint8_t *packed);
void eq_unpack_weights(const uint8_t *packed, size_t n, int bits, int8_t *w);

#endif
