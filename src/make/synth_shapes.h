/*
 * make-internal: soft-edged shapes of the synthetic heart. Straight arithmetic without branches, so that the compiler
 * takes several pixels at once; each operation is rounded as written, so the bits do not depend on how many.
 */
#ifndef ECHOQUANT_MAKE_SYNTH_SHAPES_H
#define ECHOQUANT_MAKE_SYNTH_SHAPES_H

#include <math.h>

#define EQ_SYNTH_PROBE_X 55.5f
#define EQ_SYNTH_PROBE_Y 2.0f

static inline float eq_synth_clamp01(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* A smooth step from 0 to 1 over +-2 edges. */
static inline float eq_synth_soft(float signed_distance, float edge)
{
    float x = eq_synth_clamp01(0.5f + signed_distance / (4 * edge));
    return x * x * (3 - 2 * x);
}

/* Half-width of the bullet, as a share of the largest, at u = 0 (apex) .. 1 (mitral plane). */
static inline float eq_synth_profile(float u)
{
    u = eq_synth_clamp01(u);
    float v = 1 - u;
    return sqrtf(1 - v * v * v) * (1 - 0.10f * u * u);
}

static inline float eq_synth_mix(float a, float b, float t)
{
    return a + (b - a) * t;
}

/* The signed distance inward from an ellipse's edge. across2, down2: squared distances from its middle in units of its
 * half-widths; narrow: the smaller half-width. */
static inline float eq_synth_ellipse(float across2, float down2, float narrow)
{
    return (1 - sqrtf(across2 + down2)) * narrow;
}

#endif
