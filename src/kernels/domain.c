/* INT8 in Winograd's domain: what all of its kernels, and those who make its weights, share. */
#include "kernels/conv.h"

#include <math.h>

const int8_t eq_domain_bt[EQ_DOMAIN_IN][EQ_DOMAIN_IN] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0},
                                                         {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0},
                                                         {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
const int8_t eq_domain_at[EQ_DOMAIN_OUT][EQ_DOMAIN_IN] = {
    {1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}};

bool eq_domain_supports(const struct eq_conv_shape *s)
{
    return s->k == 3 && s->stride == 1 && s->pad == 1 && s->src_layout == EQ_LAYOUT_PIXEL;
}

int eq_domain_tiles(int n)
{
    return (n + EQ_DOMAIN_OUT - 1) / EQ_DOMAIN_OUT;
}

struct eq_domain_tile eq_domain_tile(int n, int i)
{
    const int tiles = eq_domain_tiles(n), less = tiles * EQ_DOMAIN_OUT - n, narrow = less <= tiles ? less : 0;
    const int before = i - (tiles - narrow); /* tiles of 3 before this one */
    return (struct eq_domain_tile){i * EQ_DOMAIN_OUT - (before > 0 ? before : 0),
                                   before < 0 ? EQ_DOMAIN_OUT : EQ_DOMAIN_OUT - 1};
}

void eq_domain_weights(const float w[9], double u[EQ_DOMAIN_POINTS])
{
    static const double g[EQ_DOMAIN_IN][3] = {{.25, 0, 0},
                                              {-1. / 6, -1. / 6, -1. / 6},
                                              {-1. / 6, 1. / 6, -1. / 6},
                                              {1. / 24, 1. / 12, 1. / 6},
                                              {1. / 24, -1. / 12, 1. / 6},
                                              {0, 0, 1}};
    double lines[EQ_DOMAIN_IN][3];
    for (int i = 0; i < EQ_DOMAIN_IN; i++)
        for (int x = 0; x < 3; x++)
            lines[i][x] = g[i][0] * w[x] + g[i][1] * w[3 + x] + g[i][2] * w[6 + x];
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        const double *line = lines[p / EQ_DOMAIN_IN], *by = g[p % EQ_DOMAIN_IN];
        u[p] = by[0] * line[0] + by[1] * line[1] + by[2] * line[2];
    }
}

int eq_domain_mul(float s_src, float s_point)
{
    double mul = nearbyint(32768 * (double)s_src / s_point);
    return (int)fmin(fmax(mul, 1), 32767);
}

float eq_domain_scale(float s_src, int mul)
{
    return s_src * 32768 / (float)mul;
}

static double points_of_axis(int n)
{
    double points = 0;
    for (int i = 0; i < eq_domain_tiles(n); i++)
        points += eq_domain_tile(n, i).outputs + 2;
    return points;
}

double eq_domain_products(const struct eq_conv_shape *s)
{
    return points_of_axis(s->oh) * points_of_axis(s->ow) * s->b * s->t * s->cin * s->cout;
}

size_t eq_domain_weights_bytes(const struct eq_conv_shape *s)
{
    return (size_t)EQ_DOMAIN_POINTS * s->cout * s->cin;
}
