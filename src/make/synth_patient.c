/* Draws a patient. EF comes from a stream of its own, so that nothing else can depend on it. */
#include "make/synth.h"

#include <math.h>

enum { STREAM_BODY, STREAM_EF, STREAMS };

static double clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* As in EchoNet-Dynamic (Ouyang et al., Nature 2020, fig. 1): most around 60 %, a long tail of reduced EF. */
static double draw_ef(struct eq_rng *r)
{
    bool reduced = eq_rng_uniform(r) < 0.3;
    double ef = reduced ? 62 - 42 * sqrt(eq_rng_uniform(r)) : 60 + 6.5 * eq_rng_normal(r);
    return clamp(ef, 15, 80);
}

static double spread(struct eq_rng *r, double mean, double relative, double limit)
{
    return mean * (1 + clamp(relative * eq_rng_normal(r), -limit, limit));
}

void eq_synth_draw_patient(struct eq_synth_patient *p, const struct eq_synth_opts *opts, uint32_t index)
{
    struct eq_rng body, ef;
    eq_rng_init(&body, opts->seed, EQ_RNG_SYNTH, STREAM_BODY, index);
    eq_rng_init(&ef, opts->seed, EQ_RNG_SYNTH, STREAM_EF, index);
    p->ef = draw_ef(&ef);
    p->edv = clamp(110 * exp(0.12 * eq_rng_normal(&body)), 55, 220);
    p->heart_rate = eq_rng_range(&body, 50, 120);
    p->phase = eq_rng_uniform(&body);
    p->systole = clamp(0.36 + 0.012 * eq_rng_normal(&body), 0.33, 0.39);
    p->frames = opts->frames_min + (int)eq_rng_below(&body, (uint32_t)(opts->frames_max - opts->frames_min + 1));
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
    p->seed = opts->seed;
    p->index = index;
}
