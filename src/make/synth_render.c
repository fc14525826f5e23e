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
 */
#include "make/synth.h"

#include <math.h>
#include <string.h>

#define PROBE_X 55.5f
#define PROBE_Y 2.0f
#define SHORTENING 0.32

/* ---- speckle ------------------------------------------------------------- */

/* Complex Gaussian noise smoothed over neighbors has Rayleigh amplitude (Burckhardt 1978): fully developed speckle. */
static void fill_speckle(float *field, struct eq_rng *r, float *re, float *im)
{
    const int depths = EQ_SYNTH_DEPTHS, lines = EQ_SYNTH_LINES;
    for (int i = 0; i < depths * lines; i++) {
        re[i] = (float)eq_rng_normal(r);
        im[i] = (float)eq_rng_normal(r);
    }
    static const float kernel[3] = {0.5f, 0.75f, 0.5f};
    double sum = 0;
    for (int d = 0; d < depths; d++)
        for (int l = 0; l < lines; l++) {
            float a = 0, b = 0;
            for (int i = -1; i <= 1; i++)
                for (int j = -1; j <= 1; j++) {
                    int at = (d + i + depths) % depths * lines + (l + j + lines) % lines;
                    float w = kernel[i + 1] * kernel[j + 1];
                    a += w * re[at];
                    b += w * im[at];
                }
            field[d * lines + l] = sqrtf(a * a + b * b);
            sum += field[d * lines + l];
        }
    float norm = (float)((double)(depths * lines) / sum);
    for (int i = 0; i < depths * lines; i++)
        field[i] *= norm;
}

/* A smooth step from 0 to 1 over +-2 edges. */
static float soft(float signed_distance, float edge)
{
    float x = 0.5f + signed_distance / (4 * edge);
    x = x < 0 ? 0 : x > 1 ? 1 : x;
    return x * x * (3 - 2 * x);
}

/* ---- the scanner --------------------------------------------------------- */

/* Log compression, as a scanner shows amplitudes; here a power, which has no floor to choose. */
static void fill_display(float *display, const struct eq_synth_patient *p)
{
    for (int i = 0; i < EQ_SYNTH_DISPLAY; i++) {
        double shown = 190 * pow((i + 0.5) / EQ_SYNTH_DISPLAY_STEPS, p->dynamic);
        display[i] = shown > 255 ? 255 : (float)shown;
    }
}

static void fill_beams(struct eq_synth_beam *beams, const struct eq_synth_patient *p)
{
    float half_angle = (float)p->half_angle, reach = (float)p->reach;
    for (int y = 0; y < EQ_SYNTH_SIZE; y++)
        for (int x = 0; x < EQ_SYNTH_SIZE; x++) {
            float dx = (float)x - PROBE_X, dy = (float)y - PROBE_Y;
            float r = sqrtf(dx * dx + dy * dy), angle = atan2f(dx, dy);
            beams[y * EQ_SYNTH_SIZE + x] = (struct eq_synth_beam){
                .r = r,
                .angle = angle,
                .gain = (float)p->gain * expf(-(float)p->attenuation * r / 100),
                .inside = dy <= 0
                              ? 0
                              : soft((half_angle - fabsf(angle)) * r, 0.5f) * soft(reach - r, 0.5f) * soft(r - 2, 0.5f),
            };
        }
}

enum eq_status eq_synth_scene_init(struct eq_synth_scene *s, const struct eq_synth_patient *p, struct eq_err *err)
{
    const size_t n = (size_t)EQ_SYNTH_DEPTHS * EQ_SYNTH_LINES;
    struct eq_rng r;
    s->patient = *p;
    s->speckle = eq_alloc(4 * n, sizeof(float));
    s->beams = eq_alloc((size_t)EQ_SYNTH_SIZE * EQ_SYNTH_SIZE, sizeof *s->beams);
    if (!s->speckle || !s->beams) {
        eq_synth_scene_clear(s);
        return eq_fail(err, EQ_NOMEM, "out of memory for a synthetic clip");
    }
    eq_synth_rng(&r, EQ_SYNTH_SPECKLE, p->seed, p->split, p->number);
    fill_speckle(s->speckle, &r, s->speckle + 2 * n, s->speckle + 3 * n);
    fill_speckle(s->speckle + n, &r, s->speckle + 2 * n, s->speckle + 3 * n);
    fill_beams(s->beams, p);
    fill_display(s->display, p);
    return EQ_OK;
}

void eq_synth_scene_clear(struct eq_synth_scene *s)
{
    eq_free(s->speckle);
    eq_free(s->beams);
    memset(s, 0, sizeof *s);
}

static float speckle_at(const float *field, float depth, float line)
{
    const int depths = EQ_SYNTH_DEPTHS, lines = EQ_SYNTH_LINES;
    float fd = floorf(depth), fl = floorf(line), a = depth - fd, b = line - fl;
    int d0 = (int)fd & (depths - 1), l0 = (int)fl & (lines - 1);
    int d1 = (d0 + 1) & (depths - 1), l1 = (l0 + 1) & (lines - 1);
    float top = field[d0 * lines + l0] * (1 - b) + field[d0 * lines + l1] * b;
    float bottom = field[d1 * lines + l0] * (1 - b) + field[d1 * lines + l1] * b;
    return top * (1 - a) + bottom * a;
}

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
    float length, radius, outer, outer_length; /* now: cavity and epicardium */
    float length0, radius0;                    /* at end-diastole */
    float wall0;                               /* thickness at end-diastole */
    float back;                                /* of the atrium, along the axis */
    float sac;                                 /* half-width of the pericardium */
    float open;                                /* mitral leaflets: 0 closed, 1 open */
};

static struct heart heart_at(const struct eq_synth_patient *p, double cycle)
{
    double s = eq_synth_emptying(p, cycle), e = p->ef / 100 * s;
    double shorter = 1 - SHORTENING * e;
    double w0 = p->radius, t0 = p->wall * w0;
    double w = w0 * sqrt((1 - e) / shorter);
    double muscle = ((w0 + t0) * (w0 + t0) - w0 * w0) / shorter; /* per unit of length: what is shorter is thicker */
    double x = cycle - floor(cycle);
    return (struct heart){
        .apex_x = (float)p->apex_x,
        .apex_y = (float)p->apex_y,
        .sin_tilt = (float)sin(p->tilt),
        .cos_tilt = (float)cos(p->tilt),
        .length = (float)(p->length * shorter),
        .radius = (float)w,
        .outer = (float)sqrt(w * w + muscle),
        .length0 = (float)p->length,
        .radius0 = (float)w0,
        .wall0 = (float)t0,
        .back = (float)(1.62 * p->length),
        .sac = (float)(w0 + t0 + 1.5),
        .open = x > p->systole + 0.04 && x < 0.97 ? 1.0f : 0.0f,
    };
}

/* Half-width of the bullet, as a share of the largest, at u = 0 (apex) .. 1 (mitral plane). */
static float profile(float u)
{
    if (u <= 0)
        return 0;
    if (u > 1)
        u = 1;
    float v = 1 - u;
    return sqrtf(1 - v * v * v) * (1 - 0.10f * u * u);
}

static float mix(float a, float b, float t)
{
    return a + (b - a) * t;
}

static float ellipse(float x, float y, float cx, float cy, float rx, float ry)
{
    float dx = (x - cx) / rx, dy = (y - cy) / ry;
    return (1 - sqrtf(dx * dx + dy * dy)) * (rx < ry ? rx : ry);
}

/* Echogenicity at (a, l): across and along the long axis from the apex. blood: how dark blood is. */
static float echo_at(const struct heart *h, float a, float l, float blood)
{
    float level = 0.20f; /* surrounding tissue */
    float along = l < 0 ? 0 : l > h->length ? 1 : l / h->length;
    float half = h->radius * profile(along), cap = h->outer - h->radius;
    float outer_along = (l + cap) / (h->length + cap);
    float outer_half = h->outer * profile(outer_along);
    float below = h->length - l; /* > 0: above the mitral plane */
    /* Right ventricle and right atrium, at the septum; their free wall does not move with the left ventricle. */
    float right =
        ellipse(a, l, -1.95f * h->radius0 - h->wall0, 0.62f * h->length0, 0.75f * h->radius0, 0.42f * h->length0);
    level = mix(level, blood, soft(right, 1.2f));
    /* Pericardium: a thin bright line where the muscle ends at end-diastole. */
    float sac_along = (l + h->wall0 + 1.5f) / (h->length0 + h->wall0 + 1.5f);
    float line = soft(1.2f - fabsf(fabsf(a) - h->sac * profile(sac_along)), 0.7f);
    level = mix(level, 0.75f, 0.7f * line * soft(h->length0 - l, 1.0f) * soft(20 * sac_along, 1.0f));
    /* Muscle. */
    float muscle = soft(outer_half - fabsf(a), 0.9f) * soft(below, 1.0f) * soft(l + cap, 0.8f);
    level = mix(level, a < 0 ? 1.0f : 0.92f, muscle);
    /* Atria. */
    float top = h->length + 1.5f, half_height = (h->back - top) / 2;
    float left_atrium = ellipse(a, l, 0.1f * h->radius0, top + half_height, 0.95f * h->radius0, half_height);
    level = mix(level, blood, soft(left_atrium, 1.1f) * soft(-below - 1.0f, 0.8f));
    /* Cavity. */
    float cavity = soft(half - fabsf(a), 0.9f) * soft(below, 0.8f) * soft(l, 0.8f);
    level = mix(level, blood, cavity);
    /* Mitral leaflets: two bright lines, hinged at the ring, in the plane when closed, hanging into the cavity when
     * open. */
    float ring = h->radius * profile(1.0f), reach = fabsf(a) < ring ? (ring - fabsf(a)) / ring : 0;
    float leaflet = h->length - h->open * 6.0f * sqrtf(reach) * (reach < 0.6f ? 1 : 0);
    if (fabsf(a) < ring && !(h->open > 0 && reach >= 0.6f))
        level = mix(level, 0.95f, soft(1.1f - fabsf(l - leaflet), 0.5f));
    return level;
}

/* 1 up to a distance of 0, then falling. */
static float fading(float distance, float length)
{
    float x = distance > 0 ? 1 + distance / length : 1;
    return 1 / (x * x);
}

/* Where the tissue at (a, l) was at end-diastole: along the axis by the shortening, across by the wall's displacement,
 * both fading with the distance from the ventricle. */
static void material(const struct heart *h, float *a, float *l)
{
    float out = fabsf(*a) - h->outer, fade = fading(out, 12);
    float past = *l - h->length, stay = fading(past, 24);
    float wide = h->radius0 / h->radius, longer = h->length0 / h->length;
    *a *= 1 + (wide - 1) * fade * stay;
    *l *= 1 + (longer - 1) * (*l > 0 ? fade * stay : 0);
}

/* A pixel's amplitude: the heart's echo, speckle of the tissue that moved here, a little noise that changes with every
 * frame. */
static float amplitude_at(const struct eq_synth_scene *s, const struct heart *h, float x, float y,
                          const struct eq_synth_beam *beam, uint32_t frame)
{
    const struct eq_synth_patient *p = &s->patient;
    const float *still = s->speckle, *flow = still + EQ_SYNTH_DEPTHS * EQ_SYNTH_LINES;
    float lines = EQ_SYNTH_LINES / (2 * (float)p->half_angle), depths = 2.0f, drift = 37.0f * (float)(frame & 1023);
    float px = x - h->apex_x, py = y - h->apex_y;
    float a = px * h->cos_tilt - py * h->sin_tilt, l = px * h->sin_tilt + py * h->cos_tilt;
    float level = echo_at(h, a, l, (float)p->blood);
    material(h, &a, &l);
    float ux = h->apex_x + a * h->cos_tilt + l * h->sin_tilt - PROBE_X;
    float uy = h->apex_y - a * h->sin_tilt + l * h->cos_tilt - PROBE_Y;
    float r = sqrtf(ux * ux + uy * uy) + 1e-3f;
    /* The material point's angle: the small turn from this pixel's, whose sine is a cross product. */
    float turn = (ux * (y - PROBE_Y) - uy * (x - PROBE_X)) / (r * beam->r);
    float tissue = speckle_at(still, depths * r, lines * (beam->angle + turn) + 64);
    float noise = speckle_at(flow, depths * beam->r + drift, lines * beam->angle + 64);
    return level * (0.80f * tissue + 0.20f * noise) * beam->gain;
}

void eq_synth_render(const struct eq_synth_scene *s, double cycle, uint32_t frame, uint8_t *gray)
{
    struct heart h = heart_at(&s->patient, cycle);
    for (int y = 0; y < EQ_SYNTH_SIZE; y++)
        for (int x = 0; x < EQ_SYNTH_SIZE; x++) {
            const struct eq_synth_beam *beam = &s->beams[y * EQ_SYNTH_SIZE + x];
            float shown = 0;
            if (beam->inside > 0) {
                float amplitude = amplitude_at(s, &h, (float)x, (float)y, beam, frame);
                int at = (int)(amplitude * EQ_SYNTH_DISPLAY_STEPS);
                shown = s->display[at < EQ_SYNTH_DISPLAY - 1 ? at : EQ_SYNTH_DISPLAY - 1] * beam->inside;
            }
            gray[y * EQ_SYNTH_SIZE + x] = (uint8_t)(shown + 0.5f);
        }
}
