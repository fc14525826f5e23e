/*
 * What stays the same over a clip: speckle, the scanner, and for each pixel of the sector its place and the tissue that
 * does not move.
 */
#include "base/normals.h"
#include "make/synth.h"
#include "make/synth_shapes.h"

#include <string.h>

/* ---- speckle ------------------------------------------------------------- */

enum { DEPTHS = EQ_SYNTH_DEPTHS, LINES = EQ_SYNTH_LINES, PITCH = LINES + 1 };

/* Complex Gaussian noise with a border of one, in which the field goes on around the edges. */
struct noise {
    float re[DEPTHS + 2][LINES + 2], im[DEPTHS + 2][LINES + 2];
};

static void wrap(float field[DEPTHS + 2][LINES + 2])
{
    for (int d = 1; d <= DEPTHS; d++) {
        field[d][0] = field[d][LINES];
        field[d][LINES + 1] = field[d][1];
    }
    memcpy(field[0], field[DEPTHS], sizeof field[0]);
    memcpy(field[DEPTHS + 1], field[1], sizeof field[0]);
}

/* One row smoothed over neighbors. */
static void smooth(float *restrict out, float field[DEPTHS + 2][LINES + 2], int d)
{
    static const float kernel[3] = {0.5f, 0.75f, 0.5f};
    for (int l = 0; l < LINES; l++) {
        float sum = 0;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                sum += kernel[i] * kernel[j] * field[d + i][l + j];
        out[l] = sum;
    }
}

/* Complex Gaussian noise smoothed over neighbors has Rayleigh amplitude (Burckhardt 1978): fully developed speckle. */
static void fill_speckle(float *field, struct eq_rng *r, struct noise *noise)
{
    float re[LINES], im[LINES], both[2 * LINES];
    double sum = 0;
    for (int d = 1; d <= DEPTHS; d++) {
        eq_rng_normals(r, 2 * (size_t)LINES, both);
        for (int l = 1; l <= LINES; l++) {
            noise->re[d][l] = both[2 * l - 2];
            noise->im[d][l] = both[2 * l - 1];
        }
    }
    wrap(noise->re);
    wrap(noise->im);
    for (int d = 0; d < DEPTHS; d++) {
        float *row = field + d * PITCH;
        smooth(re, noise->re, d);
        smooth(im, noise->im, d);
        for (int l = 0; l < LINES; l++)
            row[l] = sqrtf(re[l] * re[l] + im[l] * im[l]);
        for (int l = 0; l < LINES; l++)
            sum += row[l];
    }
    float norm = (float)((double)(DEPTHS * LINES) / sum);
    for (int d = 0; d < DEPTHS; d++) {
        float *row = field + d * PITCH;
        for (int l = 0; l < LINES; l++)
            row[l] *= norm;
        row[LINES] = row[0];
    }
    memcpy(field + DEPTHS * PITCH, field, PITCH * sizeof *field);
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

/* How much of a pixel lies in the sector: 0..1. */
static float inside(const struct eq_synth_patient *p, float dy, float r, float angle)
{
    float half_angle = (float)p->half_angle, reach = (float)p->reach;
    return dy <= 0 ? 0
                   : eq_synth_soft((half_angle - fabsf(angle)) * r, 0.5f) * eq_synth_soft(reach - r, 0.5f) *
                         eq_synth_soft(r - 2, 0.5f);
}

/* ---- tissue that does not move ------------------------------------------- */

/* Echogenicity at (a, l): across and along the long axis from the apex. */
static float still_echo(const struct eq_synth_patient *p, float a, float l)
{
    float radius = (float)p->radius, length = (float)p->length, wall = (float)(p->wall * p->radius);
    float sac = (float)(p->radius + p->wall * p->radius + 1.5); /* half-width of the pericardium */
    float level = 0.20f;                                        /* surrounding tissue */
    /* Right ventricle and right atrium, at the septum; their free wall does not move with the left ventricle. */
    float rx = 0.75f * radius, ry = 0.42f * length;
    float dx = (a - (-1.95f * radius - wall)) / rx, dy = (l - 0.62f * length) / ry;
    float right = eq_synth_ellipse(dx * dx, dy * dy, rx < ry ? rx : ry);
    level = eq_synth_mix(level, (float)p->blood, eq_synth_soft(right, 1.2f));
    /* Pericardium: a thin bright line where the muscle ends at end-diastole. */
    float along = (l + wall + 1.5f) / (length + wall + 1.5f);
    float line = eq_synth_soft(1.2f - fabsf(fabsf(a) - sac * eq_synth_profile(along)), 0.7f);
    return eq_synth_mix(level, 0.75f, 0.7f * line * eq_synth_soft(length - l, 1.0f) * eq_synth_soft(20 * along, 1.0f));
}

/* ---- pixels -------------------------------------------------------------- */

static void add_pixel(struct eq_synth_pixels *s, const struct eq_synth_patient *p, int x, int y)
{
    float dx = (float)x - EQ_SYNTH_PROBE_X, dy = (float)y - EQ_SYNTH_PROBE_Y;
    float r = sqrtf(dx * dx + dy * dy), angle = atan2f(dx, dy), in = inside(p, dy, r, angle);
    if (!(in > 0))
        return;
    float sin_tilt = (float)sin(p->tilt), cos_tilt = (float)cos(p->tilt);
    float px = (float)x - (float)p->apex_x, py = (float)y - (float)p->apex_y;
    float a = px * cos_tilt - py * sin_tilt, l = px * sin_tilt + py * cos_tilt;
    float atrium = (a - 0.1f * (float)p->radius) / (0.95f * (float)p->radius);
    const int i = s->n++;
    s->x[i] = dx;
    s->y[i] = dy;
    s->r[i] = r;
    s->angle[i] = angle;
    s->gain[i] = (float)p->gain * expf(-(float)p->attenuation * r / 100);
    s->inside[i] = in;
    s->across[i] = a;
    s->down[i] = l;
    s->still[i] = still_echo(p, a, l);
    s->muscle[i] = a < 0 ? 1.0f : 0.92f;
    s->atrium[i] = atrium * atrium;
    s->at[i] = (uint16_t)(y * EQ_SYNTH_SIZE + x);
}

enum { TILE_W = 8, TILE_H = EQ_SYNTH_BLOCK / 8, MOST_PIXELS = EQ_SYNTH_SIZE * EQ_SYNTH_SIZE };
_Static_assert(EQ_SYNTH_SIZE % TILE_W == 0 && EQ_SYNTH_SIZE % TILE_H == 0 && MOST_PIXELS % EQ_SYNTH_BLOCK == 0,
               "whole tiles and blocks");

static struct eq_synth_region region_of(const float *across, const float *down, const float *atrium)
{
    struct eq_synth_region box = {fabsf(across[0]), fabsf(across[0]), down[0], down[0], atrium[0]};
    for (int i = 1; i < EQ_SYNTH_BLOCK; i++) {
        box.nearest = fminf(box.nearest, fabsf(across[i]));
        box.farthest = fmaxf(box.farthest, fabsf(across[i]));
        box.top = fminf(box.top, down[i]);
        box.bottom = fmaxf(box.bottom, down[i]);
        box.atrium = fminf(box.atrium, atrium[i]);
    }
    return box;
}

static void fill_pixels(struct eq_synth_pixels *s, float **const columns[], int n_columns,
                        const struct eq_synth_patient *p)
{
    for (int ty = 0; ty < EQ_SYNTH_SIZE; ty += TILE_H)
        for (int tx = 0; tx < EQ_SYNTH_SIZE; tx += TILE_W)
            for (int i = 0; i < TILE_W * TILE_H; i++)
                add_pixel(s, p, tx + i % TILE_W, ty + i / TILE_W);
    for (; s->n % EQ_SYNTH_BLOCK != 0; s->n++) {
        for (int c = 0; c < n_columns; c++)
            (*columns[c])[s->n] = (*columns[c])[s->n - 1];
        s->at[s->n] = s->at[s->n - 1];
    }
    for (int i = 0; i < s->n; i += EQ_SYNTH_BLOCK)
        s->regions[i / EQ_SYNTH_BLOCK] = region_of(s->across + i, s->down + i, s->atrium + i);
}

/* ---- a scene ------------------------------------------------------------- */

enum eq_status eq_synth_scene_init(struct eq_synth_scene *s, const struct eq_synth_patient *p, struct eq_err *err)
{
    struct eq_synth_pixels *px = &s->pixels;
    float **const columns[] = {&px->x,      &px->y,    &px->r,     &px->angle,  &px->gain,  &px->inside,
                               &px->across, &px->down, &px->still, &px->muscle, &px->atrium};
    enum { COLUMNS = sizeof columns / sizeof *columns };
    struct noise *noise = eq_alloc(1, sizeof *noise);
    struct eq_rng r;
    s->patient = *p;
    px->n = 0;
    px->columns = eq_alloc((size_t)COLUMNS * MOST_PIXELS, sizeof(float));
    px->at = eq_alloc(MOST_PIXELS, sizeof *px->at);
    s->speckle = eq_alloc(2 * (size_t)EQ_SYNTH_FIELD, sizeof(float));
    if (!noise || !px->columns || !px->at || !s->speckle) {
        eq_free(noise);
        eq_synth_scene_clear(s);
        return eq_fail(err, EQ_NOMEM, "out of memory for a synthetic clip");
    }
    for (int c = 0; c < COLUMNS; c++)
        *columns[c] = px->columns + (size_t)c * MOST_PIXELS;
    eq_synth_rng(&r, EQ_SYNTH_SPECKLE, p->seed, p->split, p->number);
    fill_speckle(s->speckle, &r, noise);
    fill_speckle(s->speckle + EQ_SYNTH_FIELD, &r, noise);
    fill_pixels(px, columns, COLUMNS, p);
    fill_display(s->display, p);
    eq_free(noise);
    return EQ_OK;
}

void eq_synth_scene_clear(struct eq_synth_scene *s)
{
    eq_free(s->speckle);
    eq_free(s->pixels.columns);
    eq_free(s->pixels.at);
    memset(s, 0, sizeof *s);
}
