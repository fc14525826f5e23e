/* The observers of a calibration. Internal. */
#ifndef QUANT_STATISTICS_H
#define QUANT_STATISTICS_H

#include "quant/clip_walk.h"

/* Where observers look: at a quantized edge, or at a point of the transformed edge that a convolution in Winograd's
 * domain reads. */
struct eq_site {
    int node;        /* whose edge it is */
    int conv, point; /* conv -1: the edge itself */
};

struct eq_statistics {
    const struct eq_graph *g;       /* while clips pass */
    const struct eq_exec *exec;     /* the same */
    struct eq_observer_opts *opts;  /* [n_opts] */
    int *group;                     /* [n_opts]: the first of those that share an observer with it */
    struct eq_site *sites;          /* [n_sites], by edge; the points of a convolution one after the other, from 0 */
    struct eq_observer **observers; /* [n_sites][n_opts]; NULL for all but a group's first */
    float *points;                  /* room for all points of a convolution; owned, while clips pass */
    size_t n_points;                /* its floats */
    int n_opts, n_sites;
    float *ef; /* [n_ef], of the clips that passed here */
    size_t n_ef;
};

static inline struct eq_observer **eq_observers_of(const struct eq_statistics *s, int site)
{
    return s->observers + (size_t)site * (size_t)s->n_opts;
}
/* calibrate_points.c: the points of a convolution (conv: its first site) in its source: their values,
 * [EQ_DOMAIN_POINTS], borrowed until the next call, and the numbers of these, of which some may be 0. */
enum eq_status eq_statistics_points(struct eq_statistics *s, const struct eq_site *conv, const float *edge,
                                    const float **values, size_t *n, struct eq_err *err);

/* calibrate_shared.c: `clips` clips of a source that several processes share. The observers of each end as if it had
 * seen all clips in order. walk: on_edge, on_clip and ctx are set here. */
enum eq_status eq_statistics_share(struct eq_statistics *s, struct eq_clip_walk *walk, size_t clips,
                                   struct eq_err *err);

#endif
