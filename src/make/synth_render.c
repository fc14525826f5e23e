/*
 * The picture: for each pixel of the sector the tissue that lies there (soft-edged shapes of the heart at this moment),
 * its brightness in a scan at this depth, and speckle.
 *
 * The cavity is a bullet with its apex fixed, length L and half-width W. With e = EF times emptying, the volume is V =
 * EDV (1 - e); the mitral plane moves up by L = L0 (1 - 0.32 e); W follows from V ~ L W^2. The wall keeps its volume
 * (myocardium is incompressible), so it thickens while the cavity shrinks. The heart as a whole hardly changes its
 * volume (Carlsson et al., Am J Physiol 2004): pericardium and the back of the atrium stay where they are, and the
 * atrium fills as the mitral plane moves away. Speckle is amplitude on a polar grid: the same number of scan lines at
 * every depth makes it finer across the beam near the probe; it is looked up where the tissue came from, so that it
 * moves with the wall.
 *
 * Pixels are taken in blocks, each a small region. A shape that cannot reach a block is left out: adding it would not
 * change a bit.
 */
#include "make/synth.h"
#include "make/synth_shapes.h"

#include <string.h>

#define SHORTENING 0.32
/* Compiled once for each instruction set below. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* ---- the heart at one moment --------------------------------------------- */

/* Ejection along half a cosine, then rapid filling, diastasis and the atrial kick. */
double eq_synth_emptying(const struct eq_synth_patient *p, double cycle)
{
    double x = cycle - floor(cycle);
    if (x < p->systole)
        return 0.5 - 0.5 * cos(M_PI * x / p->systole);
    double d = (x - p->systole) / (1 - p->systole); /* fraction of diastole */
    if (d < 0.45)
        return 1 - 0.75 * (0.5 - 0.5 * cos(M_PI * d / 0.45));
    if (d < 0.70)
        return 0.25;
    return 0.25 * (0.5 + 0.5 * cos(M_PI * (d - 0.70) / 0.30));
}

struct heart {
    float apex_x, apex_y, sin_tilt, cos_tilt;
    float length, radius, outer; /* now: cavity and epicardium */
    float cap;                   /* thickness of the wall */
    float length0, radius0;      /* at end-diastole */
    float back;                  /* of the atrium, along the axis */
    float open;                  /* mitral leaflets: 0 closed, 1 open */
    float blood;                 /* how dark blood is */
};

static struct heart heart_at(const struct eq_synth_patient *p, double cycle)
{
    double s = eq_synth_emptying(p, cycle), e = p->ef / 100 * s;
    double shorter = 1 - SHORTENING * e;
    double w0 = p->radius, t0 = p->wall * w0;
    double w = w0 * sqrt((1 - e) / shorter);
    double muscle = ((w0 + t0) * (w0 + t0) - w0 * w0) / shorter; /* per unit of length: what is shorter is thicker */
    double x = cycle - floor(cycle);
    float radius = (float)w, outer = (float)sqrt(w * w + muscle);
    return (struct heart){
        .apex_x = (float)p->apex_x,
        .apex_y = (float)p->apex_y,
        .sin_tilt = (float)sin(p->tilt),
        .cos_tilt = (float)cos(p->tilt),
        .length = (float)(p->length * shorter),
        .radius = radius,
        .outer = outer,
        .cap = outer - radius,
        .length0 = (float)p->length,
        .radius0 = (float)w0,
        .back = (float)(1.62 * p->length),
        .open = x > p->systole + 0.04 && x < 0.97 ? 1.0f : 0.0f,
        .blood = (float)p->blood,
    };
}

/* ---- echogenicity -------------------------------------------------------- */

enum { BLOCK = EQ_SYNTH_BLOCK };

ALWAYS_INLINE void add_muscle(float *restrict level, const struct heart *h, const struct eq_synth_pixels *px, int at)
{
    const float *across = px->across + at, *down = px->down + at, *tone = px->muscle + at;
    for (int i = 0; i < BLOCK; i++) {
        float a = fabsf(across[i]), l = down[i],
              half = h->outer * eq_synth_profile((l + h->cap) / (h->length + h->cap));
        float muscle =
            eq_synth_soft(half - a, 0.9f) * eq_synth_soft(h->length - l, 1.0f) * eq_synth_soft(l + h->cap, 0.8f);
        level[i] = eq_synth_mix(level[i], tone[i], muscle);
    }
}

ALWAYS_INLINE void add_atrium(float *restrict level, const struct heart *h, const struct eq_synth_pixels *px, int at)
{
    const struct eq_synth_region box = px->regions[at / BLOCK];
    const float *down = px->down + at, *across2 = px->atrium + at;
    float top = h->length + 1.5f, half_height = (h->back - top) / 2, middle = top + half_height;
    float wide = 0.95f * h->radius0, narrow = wide < half_height ? wide : half_height;
    float beside = 1 + 2.5f / narrow; /* in half-widths: out of reach */
    if (box.atrium > beside * beside || box.top > h->back + 2.5f * (half_height / narrow))
        return;
    for (int i = 0; i < BLOCK; i++) {
        float l = down[i], dy = (l - middle) / half_height, inward = eq_synth_ellipse(across2[i], dy * dy, narrow);
        float below = h->length - l;
        level[i] = eq_synth_mix(level[i], h->blood, eq_synth_soft(inward, 1.1f) * eq_synth_soft(-below - 1.0f, 0.8f));
    }
}

ALWAYS_INLINE void add_cavity(float *restrict level, const struct heart *h, const struct eq_synth_pixels *px, int at)
{
    const float *across = px->across + at, *down = px->down + at;
    for (int i = 0; i < BLOCK; i++) {
        float a = fabsf(across[i]), l = down[i], along = l < 0 ? 0 : l > h->length ? 1 : l / h->length;
        float half = h->radius * eq_synth_profile(along);
        float cavity = eq_synth_soft(half - a, 0.9f) * eq_synth_soft(h->length - l, 0.8f) * eq_synth_soft(l, 0.8f);
        level[i] = eq_synth_mix(level[i], h->blood, cavity);
    }
}

/* Two bright lines, hinged at the ring, in the plane when closed, hanging into the cavity when open. */
ALWAYS_INLINE void add_leaflets(float *restrict level, const struct heart *h, const struct eq_synth_pixels *px, int at,
                                float ring)
{
    const float *across = px->across + at, *down = px->down + at;
    for (int i = 0; i < BLOCK; i++) {
        float a = fabsf(across[i]), l = down[i], reach = a < ring ? (ring - a) / ring : 0;
        float leaflet = h->length - h->open * 6.0f * sqrtf(reach) * (reach < 0.6f ? 1.0f : 0.0f);
        float lit = eq_synth_mix(level[i], 0.95f, eq_synth_soft(1.1f - fabsf(l - leaflet), 0.5f));
        bool there = (a < ring) & !((h->open > 0) & (reach >= 0.6f));
        level[i] = there ? lit : level[i];
    }
}

/* Echogenicity of a block's pixels. A soft edge ends two edge lengths away: the margins are wider than that. */
ALWAYS_INLINE void echo(float *level, const struct heart *h, const struct eq_synth_pixels *px, int at)
{
    const struct eq_synth_region box = px->regions[at / BLOCK];
    const float ring = h->radius * eq_synth_profile(1.0f);
    const bool above_ring = box.top < h->length + 2.5f;
    memcpy(level, px->still + at, BLOCK * sizeof *level);
    if (box.nearest < h->outer + 2.5f && above_ring && box.bottom > -h->cap - 2.5f)
        add_muscle(level, h, px, at);
    if (box.bottom > h->length - 1.5f)
        add_atrium(level, h, px, at);
    if (box.nearest < h->radius + 2.5f && above_ring && box.bottom > -2.5f)
        add_cavity(level, h, px, at);
    if (box.nearest < ring && above_ring && box.bottom > h->length - 9)
        add_leaflets(level, h, px, at, ring);
}

/* ---- speckle ------------------------------------------------------------- */

/* Places in a field of speckle: the cell, and where in it, down and across. */
struct places {
    int cell[BLOCK];
    float down[BLOCK], across[BLOCK];
};

/* Rounds down; exact below 2^31, where a float's whole part fits an int. */
ALWAYS_INLINE int whole_below(float v)
{
    int i = (int)v;
    return i - (v < (float)i);
}

ALWAYS_INLINE void set_place(struct places *to, int i, float depth, float line)
{
    int d = whole_below(depth), l = whole_below(line);
    to->cell[i] = (d & (EQ_SYNTH_DEPTHS - 1)) * (EQ_SYNTH_LINES + 1) + (l & (EQ_SYNTH_LINES - 1));
    to->down[i] = depth - (float)d;
    to->across[i] = line - (float)l;
}

/* Adds a field's values, times share. The four neighbors of each place are first brought side by side, so that the
 * rest takes several places at once. */
ALWAYS_INLINE void add_speckle(float *restrict sum, const float *restrict field, const struct places *restrict p,
                               float share)
{
    float top[BLOCK][2], bottom[BLOCK][2];
    for (int i = 0; i < BLOCK; i++) {
        const float *at = field + p->cell[i];
        memcpy(top[i], at, sizeof top[i]);
        memcpy(bottom[i], at + EQ_SYNTH_LINES + 1, sizeof bottom[i]);
    }
    for (int i = 0; i < BLOCK; i++) {
        const float a = p->down[i], b = p->across[i];
        float upper = top[i][0] * (1 - b) + top[i][1] * b, lower = bottom[i][0] * (1 - b) + bottom[i][1] * b;
        sum[i] += share * (upper * (1 - a) + lower * a);
    }
}

/* 1 up to a distance of 0, then falling. */
ALWAYS_INLINE float fading(float distance, float length)
{
    float x = distance > 0 ? 1 + distance / length : 1;
    return 1 / (x * x);
}

/* Where the speckle of a block's tissue lies. At end-diastole the tissue at (a, l) was elsewhere: along the axis by the
 * shortening, across by the wall's displacement, both fading with the distance from the ventricle. beside, below:
 * whether a pixel of the block lies outside the ventricle there; the displacement fades only then. */
ALWAYS_INLINE void find_tissue(struct places *restrict to, const struct heart *h, const struct eq_synth_pixels *px,
                               int at, float lines, bool beside, bool below)
{
    const float *across = px->across + at, *down = px->down + at, *x = px->x + at, *y = px->y + at, *r = px->r + at,
                *angle = px->angle + at;
    const float wide = h->radius0 / h->radius, longer = h->length0 / h->length;
    for (int i = 0; i < BLOCK; i++) {
        float a = across[i], l = down[i];
        float fade = beside ? fading(fabsf(a) - h->outer, 12) : 1, stay = below ? fading(l - h->length, 24) : 1;
        float moved = fade * stay;
        a *= 1 + (wide - 1) * fade * stay;
        l *= 1 + (longer - 1) * (l > 0 ? moved : 0);
        float ux = h->apex_x + a * h->cos_tilt + l * h->sin_tilt - EQ_SYNTH_PROBE_X;
        float uy = h->apex_y - a * h->sin_tilt + l * h->cos_tilt - EQ_SYNTH_PROBE_Y;
        float from = sqrtf(ux * ux + uy * uy) + 1e-3f;
        /* The material point's angle: the small turn from this pixel's, whose sine is a cross product. */
        float turn = (ux * y[i] - uy * x[i]) / (from * r[i]);
        set_place(to, i, 2.0f * from, lines * (angle[i] + turn) + 64);
    }
}

ALWAYS_INLINE void find_moved_tissue(struct places *to, const struct heart *h, const struct eq_synth_pixels *px, int at,
                                     float lines)
{
    const struct eq_synth_region box = px->regions[at / BLOCK];
    const bool beside = box.farthest > h->outer, below = box.bottom > h->length;
    if (beside && below)
        find_tissue(to, h, px, at, lines, true, true);
    else if (beside)
        find_tissue(to, h, px, at, lines, true, false);
    else if (below)
        find_tissue(to, h, px, at, lines, false, true);
    else
        find_tissue(to, h, px, at, lines, false, false);
}

/* A little noise that changes with every frame. */
ALWAYS_INLINE void find_noise(struct places *restrict to, const struct eq_synth_pixels *px, int at, float lines,
                              float drift)
{
    const float *r = px->r + at, *angle = px->angle + at;
    for (int i = 0; i < BLOCK; i++)
        set_place(to, i, 2.0f * r[i] + drift, lines * angle[i] + 64);
}

/* ---- the picture --------------------------------------------------------- */

ALWAYS_INLINE void show(uint8_t *restrict gray, const struct eq_synth_scene *s, const float *restrict level,
                        const float *restrict speckle, int at)
{
    const float *gain = s->pixels.gain + at, *inside = s->pixels.inside + at;
    const uint16_t *place = s->pixels.at + at;
    int step[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
        int k = (int)(level[i] * speckle[i] * gain[i] * EQ_SYNTH_DISPLAY_STEPS);
        step[i] = k < EQ_SYNTH_DISPLAY - 1 ? k : EQ_SYNTH_DISPLAY - 1;
    }
    for (int i = 0; i < BLOCK; i++)
        gray[place[i]] = (uint8_t)(s->display[step[i]] * inside[i] + 0.5f);
}

ALWAYS_INLINE void render_blocks(const struct eq_synth_scene *s, const struct heart *h, uint32_t frame, uint8_t *gray)
{
    const struct eq_synth_pixels *px = &s->pixels;
    const float lines = EQ_SYNTH_LINES / (2 * (float)s->patient.half_angle), drift = 37.0f * (float)(frame & 1023);
    for (int at = 0; at < px->n; at += BLOCK) {
        float level[BLOCK], speckle[BLOCK] = {0};
        struct places tissue, noise;
        echo(level, h, px, at);
        find_moved_tissue(&tissue, h, px, at, lines);
        find_noise(&noise, px, at, lines, drift);
        add_speckle(speckle, s->speckle, &tissue, 0.80f);
        add_speckle(speckle, s->speckle + EQ_SYNTH_FIELD, &noise, 0.20f);
        show(gray, s, level, speckle, at);
    }
}

static void render_plain(const struct eq_synth_scene *s, const struct heart *h, uint32_t frame, uint8_t *gray)
{
    render_blocks(s, h, frame, gray);
}

#if defined(__x86_64__)
/* Without FMA: the same operations, eight pixels at once. */
__attribute__((target("avx2"))) static void render_avx2(const struct eq_synth_scene *s, const struct heart *h,
                                                        uint32_t frame, uint8_t *gray)
{
    render_blocks(s, h, frame, gray);
}
/* With the masks and twice the registers of AVX-512. */
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) static void
render_avx512(const struct eq_synth_scene *s, const struct heart *h, uint32_t frame, uint8_t *gray)
{
    render_blocks(s, h, frame, gray);
}
#else
#define render_avx2 render_plain
#define render_avx512 render_plain
#endif

void eq_synth_render(const struct eq_synth_scene *s, double cycle, uint32_t frame, uint8_t *gray)
{
    const struct heart h = heart_at(&s->patient, cycle);
    memset(gray, 0, (size_t)EQ_SYNTH_SIZE * EQ_SYNTH_SIZE);
    (eq_cpu_use(EQ_ISA_AVX512) ? render_avx512
     : eq_cpu_use(EQ_ISA_AVX2) ? render_avx2
                               : render_plain)(s, &h, frame, gray);
}
