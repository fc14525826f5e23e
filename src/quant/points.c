/* The transformed source of a convolution as floats. Which tile a value is of doesn't matter to observers, but their
 * order does not depend on the number of threads. */
#include "quant/points.h"

#include <string.h>

enum { SIDE = 6, CHUNK = 16 };

struct transform {
    const struct eq_conv_shape *s;
    const float *src;
    float *to[EQ_DOMAIN_POINTS];
};

/* How many tiles of a side of n outputs have the point, one of 0..5 along it. */
static size_t tiles_with(int n, int point)
{
    size_t count = 0;
    for (int i = 0; i < eq_domain_tiles(n); i++)
        count += point < SIDE - 1 || eq_domain_tile(n, i).outputs == SIDE - 2;
    return count;
}

size_t eq_point_values(const struct eq_conv_shape *s, int point)
{
    return (size_t)s->b * tiles_with(s->oh, point / SIDE) * tiles_with(s->ow, point % SIDE) * (size_t)s->t *
           (size_t)s->cin;
}

/* B^T of six rows of values, in place. */
static void line(float *d[SIDE])
{
    for (int i = 0; i < CHUNK; i++) {
        const float d0 = d[0][i], d1 = d[1][i], d2 = d[2][i], d3 = d[3][i], d4 = d[4][i], d5 = d[5][i];
        const float a = d4 - 4 * d2, b = d3 - 4 * d1, c = d4 - d2, e = 2 * (d3 - d1);
        d[0][i] = 4 * (d0 - d2) + c;
        d[1][i] = a + b;
        d[2][i] = a - b;
        d[3][i] = c + e;
        d[4][i] = c - e;
        d[5][i] = d5 - d3 - 2 * e;
    }
}

/* CHUNK values, or fewer at the end of a pixel, of the 36 pixels of a tile. */
static void transform_chunk(const float *const px[EQ_DOMAIN_POINTS], size_t at, size_t n, float v[][CHUNK])
{
    memset(v, 0, EQ_DOMAIN_POINTS * sizeof *v);
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++)
        if (px[p])
            memcpy(v[p], px[p] + at, n * sizeof(float));
    for (int y = 0; y < SIDE; y++)
        line((float *[SIDE]){v[6 * y], v[6 * y + 1], v[6 * y + 2], v[6 * y + 3], v[6 * y + 4], v[6 * y + 5]});
    for (int x = 0; x < SIDE; x++)
        line((float *[SIDE]){v[x], v[x + 6], v[x + 12], v[x + 18], v[x + 24], v[x + 30]});
}

/* A row of tiles. */
static void transform_row(void *ctx, size_t piece, int worker)
{
    const struct transform *j = ctx;
    const struct eq_conv_shape *s = j->s;
    const size_t pixel = (size_t)s->t * (size_t)s->cin;
    const size_t rows = (size_t)eq_domain_tiles(s->oh), clip = piece / rows, row = piece % rows;
    const struct eq_domain_tile ty = eq_domain_tile(s->oh, (int)row);
    (void)worker;
    for (int i = 0; i < eq_domain_tiles(s->ow); i++) {
        const struct eq_domain_tile tx = eq_domain_tile(s->ow, i);
        const float *px[EQ_DOMAIN_POINTS];
        float v[EQ_DOMAIN_POINTS][CHUNK];
        for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
            int y = ty.start - 1 + p / SIDE, x = tx.start - 1 + p % SIDE;
            bool inside = y >= 0 && y < s->h && x >= 0 && x < s->w;
            px[p] = inside ? j->src + ((clip * (size_t)s->h + (size_t)y) * (size_t)s->w + (size_t)x) * pixel : NULL;
        }
        for (size_t at = 0; at < pixel; at += CHUNK) {
            size_t n = pixel - at < CHUNK ? pixel - at : CHUNK;
            transform_chunk(px, at, n, v);
            for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
                bool far_y = p / SIDE == SIDE - 1, far_x = p % SIDE == SIDE - 1;
                if ((far_y && ty.outputs < SIDE - 2) || (far_x && tx.outputs < SIDE - 2))
                    continue;
                size_t down = clip * tiles_with(s->oh, p / SIDE) + row; /* tiles without a far point are the last */
                size_t tile = down * tiles_with(s->ow, p % SIDE) + (size_t)i;
                memcpy(j->to[p] + tile * pixel + at, v[p], n * sizeof(float));
            }
        }
    }
}

void eq_points_transform(const struct eq_conv_shape *s, const float *src, float *out)
{
    struct transform j = {.s = s, .src = src};
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        j.to[p] = out;
        out += eq_point_values(s, p);
    }
    eq_parallel_for((size_t)s->b * (size_t)eq_domain_tiles(s->oh), transform_row, &j);
}
