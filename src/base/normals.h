#ifndef ECHOQUANT_BASE_NORMALS_H
#define ECHOQUANT_BASE_NORMALS_H

#include "echoquant/base.h"

#include <math.h>

/* The next n normals as floats: out[i] is (float)eq_rng_normal(r), to the bit, several times as fast. */
void eq_rng_normals(struct eq_rng *r, size_t n, float *out);

/* sqrt(-2 log(u)) cos(2 pi v) by the C library: what eq_rng_normal makes of its two uniform numbers, u in (0, 1]. */
static inline double eq_normal_of(double u, double v)
{
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

#endif
