#ifndef ECHOQUANT_BASE_PHILOX_H
#define ECHOQUANT_BASE_PHILOX_H

#include <stdint.h>

/* The bare bijection, exposed so that tests can check the published test vectors. */
void eq_philox4x32_10(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]);

#endif
