/*
 * Draws a patient. Splits of independent draws differ by chance: in 50 clips, the mean EF alone by 2 points. So what
 * decides the error of a model (EF, and which moments of the beat the sampled frames show: heart rate, length of the
 * clip, phase at its start) is spread evenly over each split. These four are quantiles from a Halton sequence (Halton,
 * Numer. Math. 1960: the digits of the patient's number, mirrored at the point, in the bases 2, 3, 5 and 7), shifted
 * around the circle by a random distance for each split and dimension (Cranley & Patterson, SIAM J. Numer. Anal. 1976).
 * Each quantile is uniform, as if drawn alone, and any number of first patients of a split covers the distributions.
 * Everything else comes from a stream of the patient's own, so that nothing in it depends on EF.
 */
#include "make/synth.h"

#include <math.h>

enum quantile { EF, HEART_RATE, FRAMES, PHASE, QUANTILES };

void eq_synth_rng(struct eq_rng *r, enum eq_synth_stream stream, uint64_t seed, enum eq_split split, uint32_t number)
{
    eq_rng_init(r, seed, EQ_RNG_SYNTH, (uint32_t)stream + (uint32_t)EQ_SYNTH_STREAMS * (uint32_t)split, number);
}

enum eq_split eq_synth_split_of(const struct eq_synth_opts *opts, uint32_t index, uint32_t *number)
{
    const uint32_t train = (uint32_t)opts->train, val = (uint32_t)opts->val;
    enum eq_split split = index < train ? EQ_SPLIT_TRAIN : index < train + val ? EQ_SPLIT_VAL : EQ_SPLIT_TEST;
    *number = split == EQ_SPLIT_TRAIN ? index : split == EQ_SPLIT_VAL ? index - train : index - train - val;
    return split;
}

/* The digits of i in a base, mirrored at the point: in [0, 1). */
static double radical_inverse(uint32_t i, uint32_t base)
{
    uint64_t mirrored = 0, scale = 1;
    for (; i; i /= base, scale *= base)
        mirrored = mirrored * base + i % base;
    return (double)mirrored / (double)scale;
}

static void draw_quantiles(double u[QUANTILES], const struct eq_synth_patient *p)
{
    static const uint32_t bases[QUANTILES] = {2, 3, 5, 7};
    struct eq_rng shift;
    eq_synth_rng(&shift, EQ_SYNTH_SHIFT, p->seed, p->split, 0);
    for (int k = 0; k < QUANTILES; k++) {
        u[k] = radical_inverse(p->number, bases[k]) + eq_rng_uniform(&shift);
        u[k] -= floor(u[k]);
    }
}

static double clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* The share of patients below an EF. As in EchoNet-Dynamic (Ouyang et al., Nature 2020, fig. 1): most around 60 %, a
 * long tail of reduced EF. */
static double share_below(double ef)
{
    double left = clamp((62 - ef) / 42, 0, 1), z = (ef - 60) / 6.5;
    return 0.3 * (1 - left * left) + 0.7 * 0.5 * erfc(-z / sqrt(2));
}

/* The inverse, by bisection to 1e-9 EF points. */
static double ef_of_quantile(double u)
{
    double lo = 15, hi = 80;
    while (hi - lo > 1e-9) {
        double middle = (lo + hi) / 2;
        if (share_below(middle) < u)
            lo = middle;
        else
            hi = middle;
    }
    return (lo + hi) / 2;
}

static double spread(struct eq_rng *r, double mean, double relative, double limit)
{
    return mean * (1 + clamp(relative * eq_rng_normal(r), -limit, limit));
}

void eq_synth_draw_patient(struct eq_synth_patient *p, const struct eq_synth_opts *opts, uint32_t index)
{
    struct eq_rng body;
    double u[QUANTILES];
    p->seed = opts->seed;
    p->split = eq_synth_split_of(opts, index, &p->number);
    draw_quantiles(u, p);
    eq_synth_rng(&body, EQ_SYNTH_BODY, p->seed, p->split, p->number);
    p->ef = ef_of_quantile(u[EF]);
    p->heart_rate = 50 + 70 * u[HEART_RATE];
    p->frames = opts->frames_min + (int)((opts->frames_max - opts->frames_min + 1) * u[FRAMES]);
    p->phase = u[PHASE];
    p->edv = clamp(110 * exp(0.12 * eq_rng_normal(&body)), 55, 220);
    p->systole = clamp(0.36 + 0.012 * eq_rng_normal(&body), 0.33, 0.39);
    double size =
        cbrt(p->edv / 110) * eq_rng_range(&body, 0.985, 1.015); /* the second factor: depth setting of the scanner */
    p->apex_x = eq_rng_range(&body, 55, 59);
    p->apex_y = eq_rng_range(&body, 18, 22);
    p->tilt = eq_rng_range(&body, -0.09, 0.05);
    p->length = spread(&body, 46, 0.02, 0.06) * size;
    p->radius = spread(&body, 14, 0.02, 0.06) * size;
    p->wall = spread(&body, 0.34, 0.03, 0.08);
    p->half_angle = eq_rng_range(&body, 0.66, 0.78);
    p->reach = eq_rng_range(&body, 100, 108);
    p->gain = eq_rng_range(&body, 0.85, 1.15);
    p->attenuation = eq_rng_range(&body, 0.1, 0.6);
    p->blood = eq_rng_range(&body, 0.05, 0.12);
    p->dynamic = eq_rng_range(&body, 0.45, 0.6);
}
