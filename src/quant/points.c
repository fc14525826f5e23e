/* The transformed source of a convolution as floats. Which tile a value is of doesn't matter to observers, but their
 * order does not depend on the number of threads. */
#include "quant/points.h"

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
        count += point < EQ_DOMAIN_IN - 1 || eq_domain_tile(n, i).outputs == EQ_DOMAIN_OUT;
    return count;
}

size_t eq_point_values(const struct eq_conv_shape *s, int point)
{
    return (size_t)s->b * tiles_with(s->oh, point / EQ_DOMAIN_IN) * tiles_with(s->ow, point % EQ_DOMAIN_IN) *
           (size_t)s->t * (size_t)s->cin;
}

/* A row of tiles. */
static void transform_row(void *ctx, size_t piece, int worker)
{
    const struct transform *j = ctx;
    const struct eq_conv_shape *s = j->s;
    const size_t pixel = (size_t)s->t * (size_t)s->cin, rows = (size_t)eq_domain_tiles(s->oh);
    const size_t clip = piece / rows, row = piece % rows;
    const struct eq_domain_tile y = eq_domain_tile(s->oh, (int)row);
    (void)worker;
    for (int i = 0; i < eq_domain_tiles(s->ow); i++) {
        const struct eq_domain_tile x = eq_domain_tile(s->ow, i);
        const struct eq_f32_domain_place place = {y.start, x.start, y.outputs, x.outputs, 0, s->t};
        struct eq_f32_domain_src src = {.clip = j->src + clip * (size_t)s->h * (size_t)s->w * pixel};
        for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
            const bool far_y = p / EQ_DOMAIN_IN == EQ_DOMAIN_IN - 1, far_x = p % EQ_DOMAIN_IN == EQ_DOMAIN_IN - 1;
            if ((far_y && y.outputs < EQ_DOMAIN_OUT) || (far_x && x.outputs < EQ_DOMAIN_OUT))
                continue;
            /* tiles without a far point are the last */
            size_t down = clip * tiles_with(s->oh, p / EQ_DOMAIN_IN) + row;
            src.v[p] = j->to[p] + (down * tiles_with(s->ow, p % EQ_DOMAIN_IN) + (size_t)i) * pixel;
        }
        eq_f32_domain_kernels()->src(s, &place, &src);
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
