/* What the observers of a convolution in Winograd's domain see: its source at each of the points. */
#include "quant/points.h"
#include "quant/statistics.h"

enum eq_status eq_statistics_points(struct eq_statistics *s, const struct eq_site *conv, const float *edge,
                                    const float **values, size_t *n, struct eq_err *err)
{
    struct eq_exec_layer layer;
    size_t total = 0;
    if (!eq_exec_layer(s->exec, conv->conv, EQ_CONV_FORWARD, &layer))
        return eq_fail(err, EQ_UNSUPPORTED, "%s: has no points", s->g->nodes[conv->conv].name);
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++)
        total += n[p] = eq_point_values(&layer.shape, p);
    if (total > s->n_points) {
        eq_free(s->points);
        s->points = eq_alloc(total, sizeof *s->points);
        s->n_points = s->points ? total : 0;
        if (!s->points)
            return eq_fail(err, EQ_NOMEM, "out of memory for the points of a convolution");
    }
    const float *at = s->points;
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++, at += n[p - 1])
        values[p] = at;
    eq_points_transform(&layer.shape, edge, s->points);
    return EQ_OK;
}
