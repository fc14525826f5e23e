/*
 * The cut of the picture and the transform of its tiles, shared by the forward pass and the gradient by weights of the
 * 7 x 7 convolution at stride 2. Vectors run along a row of tiles; transformed inputs lie as [position][phase y, phase
 * x, channel][tile], without the phases that a position does not use.
 */
#ifndef KERNELS_X86_F32_WINOGRAD7_INPUT_H
#define KERNELS_X86_F32_WINOGRAD7_INPUT_H

#include "kernels/conv.h"
#include "kernels/x86/f32_winograd7.h"

#include <math.h>
#include <string.h>

enum {
    MAX_CIN = 4,
    STEP = 2 * TILE, /* input pixels between tiles */
    DEPTH = PHASES * PHASES * MAX_CIN,
    PAD = 16 /* floats between positions, so that 49 streams don't share a cache set */
};

static bool conv7_supports(const struct eq_conv_shape *s)
{
    return s->k == 7 && s->stride == 2 && s->pad == 3 && s->cin <= MAX_CIN && s->cout % 16 == 0 &&
           s->src_layout == EQ_LAYOUT_CLIP;
}

struct conv7_plan {
    const struct eq_conv_shape *s;
    int tiles_y, tiles_x, lanes; /* lanes: tiles_x in whole vectors */
    size_t row;                  /* floats of a padded row of the picture */
    size_t shuffled;             /* floats between columns of equal place in their tile */
};

/* Scratch of the transform. */
struct conv7_input {
    float *rows;     /* [phase y][point y][row] */
    float *shuffled; /* [place in a tile: STEP * cin][VL before + lanes + VL after] */
};

static struct conv7_plan plan_conv7(const struct eq_conv_shape *s)
{
    struct conv7_plan p = {.s = s, .tiles_y = (s->oh + TILE - 1) / TILE, .tiles_x = (s->ow + TILE - 1) / TILE};
    p.lanes = (p.tiles_x + VL - 1) / VL * VL;
    p.row = (size_t)p.tiles_x * STEP * s->cin + VL;
    p.shuffled = (size_t)p.lanes + 2 * VL;
    return p;
}

static size_t rows_floats(const struct conv7_plan *p)
{
    return (PHASES * POINTS * p->row + 15) & ~(size_t)15;
}

static size_t shuffled_floats(const struct conv7_plan *p)
{
    return ((size_t)STEP * p->s->cin * p->shuffled + 15) & ~(size_t)15;
}

static size_t input_floats(const struct conv7_plan *p)
{
    return rows_floats(p) + shuffled_floats(p);
}

/* Lays out the transform's scratch from at on. The margins are set to 0 and stay 0. */
static struct conv7_input input_at(const struct conv7_plan *p, float *at)
{
    struct conv7_input x = {at, at + rows_floats(p)};
    memset(x.shuffled, 0, shuffled_floats(p) * sizeof(float));
    return x;
}

static size_t in_stride(const struct conv7_plan *p) /* floats between positions */
{
    return (size_t)PHASES * PHASES * p->s->cin * p->lanes + PAD;
}

/* The number of [phase y, phase x, channel] at a position. */
static int depth_of(const struct conv7_plan *p, int position)
{
    return winograd7_phases(position / POINTS) * winograd7_phases(position % POINTS) * p->s->cin;
}

/* Both passes multiply at the same places. */
static double conv7_products(const struct eq_conv_shape *s)
{
    struct conv7_plan p = plan_conv7(s);
    double depth = 0;
    for (int position = 0; position < POSITIONS; position++)
        depth += depth_of(&p, position);
    return depth * p.tiles_y * p.tiles_x * s->b * s->t * s->cout;
}

/* Along y: whole rows of the picture, all channels side by side. Beyond the picture's width the rows are 0. */
static void transform_rows(const struct conv7_plan *p, const float *src, int b, int f, int ty, int phase, float *rows)
{
    const struct eq_conv_shape *s = p->s;
    const float *in[INPUTS];
    int width = s->w * s->cin;
    for (int i = 0; i < INPUTS; i++) {
        int y = winograd7_place(phase, ty * TILE, i);
        bool needed = i < INPUTS - phase && y >= 0 && y < s->h;
        in[i] = needed ? src + eq_conv_src_at(s, b, f, y, 0) : NULL;
    }
    for (int x = 0; x < (int)p->row; x += VL) {
        int left = width - x, n = left < 0 ? 0 : left;
        vf d[INPUTS], v[POINTS];
        UNROLL for (int i = 0; i < INPUTS; i++) d[i] = in[i] && n > 0 ? v_load_n(in[i] + x, n) : v_zero();
        winograd7_input(phase == 0, d, v);
        int whole = (int)p->row - x;
        for (int point = 0; point < POINTS - phase; point++)
            v_store_n(rows + point * p->row + x, whole, v[point]);
    }
}

/* Columns of equal place in their tile become neighbors: out[place][VL + tile] = row[tile][place]. */
static void shuffle_row(const struct conv7_plan *p, const float *row, float *out)
{
    int places = STEP * p->s->cin;
    for (int tile = 0; tile < p->tiles_x; tile++)
        for (int place = 0; place < places; place++)
            out[place * p->shuffled + VL + tile] = row[tile * places + place];
}

/* Along x: one row of points y, VL tiles at a time. */
static void transform_columns(const struct conv7_plan *p, const float *shuffled, int phase_y, int point_y, float *in)
{
    int cin = p->s->cin;
    for (int phase = 0; phase < PHASES; phase++)
        for (int c = 0; c < cin; c++)
            for (int lane = 0; lane < p->lanes; lane += VL) {
                vf d[INPUTS], v[POINTS];
                for (int i = 0; i < INPUTS; i++) {
                    int x = winograd7_place(phase, 0, i), tile = x < 0 ? -1 : x / STEP;
                    const float *at = shuffled + ((x - tile * STEP) * cin + c) * p->shuffled + VL + tile + lane;
                    d[i] = i < INPUTS - phase ? v_load(at) : v_zero();
                }
                winograd7_input(phase == 0, d, v);
                for (int point = 0; point < POINTS - phase; point++) {
                    int depth = (phase_y * winograd7_phases(point) + phase) * cin + c;
                    v_store(in + (point_y * POINTS + point) * in_stride(p) + (size_t)depth * p->lanes + lane, v[point]);
                }
            }
}

/* A row of tiles of one frame. */
static void transform_input(const struct conv7_plan *p, const float *src, int b, int f, int ty,
                            const struct conv7_input *x, float *in)
{
    for (int phase = 0; phase < PHASES; phase++) {
        float *rows = x->rows + phase * POINTS * p->row;
        transform_rows(p, src, b, f, ty, phase, rows);
        for (int point = 0; point < POINTS - phase; point++) {
            shuffle_row(p, rows + point * p->row, x->shuffled);
            transform_columns(p, x->shuffled, phase, point, in);
        }
    }
}

#endif
