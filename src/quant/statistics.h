/* The observers of a calibration. Internal. */
#ifndef QUANT_STATISTICS_H
#define QUANT_STATISTICS_H

#include "quant/clip_walk.h"

struct eq_statistics {
    const struct eq_graph *g;      /* while clips pass */
    struct eq_observer_opts *opts; /* [n_opts] */
    int *group;                    /* [n_opts]: the first of those that share an observer with it */
    /* [n_nodes][n_opts]; NULL where no edge is quantized and for all but a group's first */
    struct eq_observer **observers;
    int n_opts, n_nodes;
    float *ef; /* [n_ef], of the clips that passed here */
    size_t n_ef;
};

static inline struct eq_observer **eq_observers_of(const struct eq_statistics *s, int node)
{
    return s->observers + (size_t)node * (size_t)s->n_opts;
}

/* calibrate_shared.c: `clips` clips of a source that several processes share. The observers of each end as if it had
 * seen all clips in order. walk: on_edge, on_clip and ctx are set here. */
enum eq_status eq_statistics_share(struct eq_statistics *s, struct eq_clip_walk *walk, size_t clips,
                                   struct eq_err *err);

#endif
