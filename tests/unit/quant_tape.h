/* What passes of a graph store at a node. */
#ifndef ECHOQUANT_TESTS_QUANT_TAPE_H
#define ECHOQUANT_TESTS_QUANT_TAPE_H

#include "unit/quant_fixture.h"

#include <stdlib.h>

/* At one node, over all clips. */
struct tape {
    int node;
    float *x;
    size_t n;
};

static enum eq_status record(void *ctx, struct eq_graph *g, int node, const float *data, size_t n, struct eq_err *err)
{
    struct tape *t = ctx;
    (void)g, (void)err;
    if (node != t->node)
        return EQ_OK;
    t->x = realloc(t->x, (t->n + n) * sizeof(float));
    memcpy(t->x + t->n, data, n * sizeof(float));
    t->n += n;
    return EQ_OK;
}

/* In the simulation. ef: [clips]. Free x. */
static struct tape tape_of(struct eq_graph *g, int node, const struct noise_clips *clips, float *ef)
{
    struct tape t = {.node = node};
    struct eq_exec *x;
    size_t clip = (size_t)g->meta.frames * g->meta.size * g->meta.size * 3;
    assert_ok(new_watched_exec(g, EQ_EXEC_SIMULATE, 1, g->meta.frames, g->meta.size, &x, e_));
    eq_exec_set_hook(x, &(struct eq_walk_hook){.on_stored = record, .ctx = &t});
    for (int i = 0; i < clips->n; i++)
        assert_ok(eq_exec_forward(x, clips->pixels + (size_t)i * clip, &ef[i], e_));
    eq_exec_free(x);
    return t;
}

#endif
