/*
 * Winograd for a 7 x 7 kernel at stride 2. Along one axis, output o reads input 2 o + k - 3. Inputs at odd places meet
 * the taps 0, 2, 4, 6 and those at even places the taps 1, 3, 5: two convolutions at stride 1 ("phases") whose results
 * are added. Both are done as F(4, 4) at the points a, -a, b, -b, c, -c and infinity, the second with a fourth tap of
 * 0, so that they can be added before they are transformed back; at infinity only the first one has anything to add.
 * With 3 channels a tile of 4 x 4 outputs takes 507 products an output channel, where the direct sum takes 2352. a =
 * 3/8, b = 7/8 and c = 3/2 were found by a search over multiples of 1/8: the error is about 5 times that of the direct
 * sum (rms, test_f32_winograd_error).
 *
 * Each function works on one axis.
 */
#ifndef KERNELS_X86_F32_WINOGRAD7_H
#define KERNELS_X86_F32_WINOGRAD7_H

#include "kernels/x86/vec.h"

enum {
    TILE = 4,
    POINTS = 7,
    INFINITE = 6, /* the number of the point at infinity */
    POSITIONS = POINTS * POINTS,
    PHASES = 2,
    INPUTS = 7 /* of a tile in one phase; the second phase has no use for the last */
};

#define WA 0.375f
#define WB 0.875f
#define WC 1.5f
#define SQ(x) ((x) * (x))

/* (x^2 - p^2) (x^2 - q^2) applied to d from d[0] on. */
ALWAYS_INLINE vf winograd7_even(const vf *d, float p, float q)
{
    return v_fma(v_set1(SQ(p) * SQ(q)), d[0], v_fnma(v_set1(SQ(p) + SQ(q)), d[2], d[4]));
}

/* 7 inputs to the 6 finite points and, for the first phase, to the one at infinity. */
ALWAYS_INLINE void winograd7_input(const bool infinite, const vf d[INPUTS], vf v[POINTS])
{
    vf even_a = winograd7_even(d, WB, WC), odd_a = winograd7_even(d + 1, WB, WC);
    vf even_b = winograd7_even(d, WA, WC), odd_b = winograd7_even(d + 1, WA, WC);
    vf even_c = winograd7_even(d, WA, WB), odd_c = winograd7_even(d + 1, WA, WB);
    v[0] = v_fma(v_set1(WA), even_a, odd_a);
    v[1] = v_fnma(v_set1(WA), even_a, odd_a);
    v[2] = v_fma(v_set1(WB), even_b, odd_b);
    v[3] = v_fnma(v_set1(WB), even_b, odd_b);
    v[4] = v_fma(v_set1(WC), even_c, odd_c);
    v[5] = v_fnma(v_set1(WC), even_c, odd_c);
    if (infinite) {
        const float one = SQ(WA) + SQ(WB) + SQ(WC), three = SQ(WA) * SQ(WB) * SQ(WC);
        const float two = SQ(WA) * SQ(WB) + SQ(WA) * SQ(WC) + SQ(WB) * SQ(WC);
        vf low = v_fnma(v_set1(three), d[0], v_mul(v_set1(two), d[2]));
        v[INFINITE] = v_add(low, v_fnma(v_set1(one), d[4], d[6]));
    }
}

/* Sums at 7 points to 4 outputs. */
ALWAYS_INLINE void winograd7_output(const vf v[POINTS], vf y[TILE])
{
    vf even_a = v_add(v[0], v[1]), odd_a = v_sub(v[0], v[1]);
    vf even_b = v_add(v[2], v[3]), odd_b = v_sub(v[2], v[3]);
    vf even_c = v_add(v[4], v[5]), odd_c = v_sub(v[4], v[5]);
    y[0] = v_add(v_add(even_a, even_b), even_c);
    y[1] = v_fma(v_set1(WC), odd_c, v_fma(v_set1(WB), odd_b, v_mul(v_set1(WA), odd_a)));
    y[2] = v_fma(v_set1(SQ(WC)), even_c, v_fma(v_set1(SQ(WB)), even_b, v_mul(v_set1(SQ(WA)), even_a)));
    y[3] =
        v_fma(v_set1(SQ(WC) * WC), odd_c, v_fma(v_set1(SQ(WB) * WB), odd_b, v_fma(v_set1(SQ(WA) * WA), odd_a, v[6])));
}

/* The adjoint of winograd7_output: 4 gradients to 7 points. */
ALWAYS_INLINE void winograd7_diff(const vf y[TILE], vf v[POINTS])
{
    static const float points[3] = {WA, WB, WC};
    UNROLL for (int i = 0; i < 3; i++)
    {
        vf p = v_set1(points[i]), square = v_set1(SQ(points[i]));
        vf even = v_fma(square, y[2], y[0]), odd = v_mul(p, v_fma(square, y[3], y[1]));
        v[2 * i] = v_add(even, odd);
        v[2 * i + 1] = v_sub(even, odd);
    }
    v[INFINITE] = y[3];
}

/* 4 weights to a point: row p of G. In double, once per packing. */
static inline void winograd7_weight_row(int point, double row[TILE])
{
    static const double points[6] = {WA, -WA, WB, -WB, WC, -WC};
    double n = 1, power = 1;
    for (int i = 0; i < 6 && point < INFINITE; i++)
        if (i != point)
            n *= points[point] - points[i];
    for (int k = 0; k < TILE; k++) {
        row[k] = point < INFINITE ? power / n : k == TILE - 1;
        power *= point < INFINITE ? points[point] : 1;
    }
}

/* Tap number of place k in a phase's 4 taps; -1: the second phase's fourth, which is 0. */
static inline int winograd7_tap(int phase, int k)
{
    return phase == 0 ? 2 * k : k < 3 ? 2 * k + 1 : -1;
}

/* Input coordinate that place j of a phase has in the tile of outputs from o on. */
static inline int winograd7_place(int phase, int o, int j)
{
    return phase == 0 ? 2 * (o + j) - 3 : 2 * (o + j) - 2;
}

/* The number of phases that contribute at a point. */
static inline int winograd7_phases(int point)
{
    return point == INFINITE ? 1 : PHASES;
}

#endif
