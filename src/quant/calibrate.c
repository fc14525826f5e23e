/* Calibration: clips go through the prepared graph in FP32, one observer an edge looks on. Streams: memory does not
 * grow. */
#include "quant/clip_walk.h"
#include "quant/quant_graph.h"

struct calibration {
    const struct eq_graph *g;
    struct eq_observer **observers; /* [n_nodes], NULL where no edge is quantized */
};

static enum eq_status look(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err)
{
    struct calibration *c = ctx;
    (void)clip;
    if (!c->observers[node] || eq_observer_add(c->observers[node], data, n, err) == EQ_OK)
        return EQ_OK;
    char name[64];
    eq_layer_name(c->g, node, name);
    return eq_err_context(err, "%s", name);
}

static enum eq_status make_observers(const struct eq_graph *g, const struct eq_observer_opts *opts,
                                     struct calibration *c, struct eq_err *err)
{
    c->observers = eq_alloc((size_t)g->n_nodes, sizeof *c->observers);
    if (!c->observers)
        return eq_fail(err, EQ_NOMEM, "out of memory for observers");
    enum eq_status st = EQ_OK;
    for (int i = 0; i < g->n_nodes && st == EQ_OK; i++)
        if (g->nodes[i].edge_fq >= 0)
            st = eq_observer_new(opts, &c->observers[i], err);
    return st;
}

static void free_observers(struct calibration *c, int n)
{
    for (int i = 0; c->observers && i < n; i++)
        eq_observer_free(c->observers[i]);
    eq_free(c->observers);
}

/* Writes an edge's range; an edge that is always 0 has no scale and a layer behind it no input. */
static enum eq_status set_edge(struct eq_graph *g, int node, const struct eq_observer *o, struct eq_err *err)
{
    float min, max;
    struct eq_qparams q;
    struct eq_fake_quant *fq = &g->fake_quants[g->nodes[node].edge_fq];
    enum eq_status st = eq_observer_range(o, &min, &max, err);
    if (st == EQ_OK && min == 0 && max == 0)
        st = eq_fail(err, EQ_NUMERIC, "its output was 0 throughout calibration: the layer is dead, there is no scale");
    if (st == EQ_OK)
        st = eq_qparams_affine(min, max, &q, err);
    if (st != EQ_OK) {
        char name[64];
        eq_layer_name(g, node, name);
        return eq_err_context(err, "%s", name);
    }
    fq->scale[0] = q.scale;
    fq->zero_point[0] = q.zero_point;
    fq->enabled = !fq->bypass;
    return EQ_OK;
}

enum eq_status eq_calibrate(struct eq_graph *prepared, const struct eq_clip_source *clips, size_t max_clips,
                            const struct eq_observer_opts *opts, struct eq_progress *progress, size_t *clips_used,
                            struct eq_err *err)
{
    struct eq_exec *x = NULL;
    struct calibration c = {.g = prepared};
    enum eq_status st;
    if (clips_used)
        *clips_used = 0;
    eq_enable_fake_quant(prepared, false);
    EQ_TRY(make_observers(prepared, opts, &c, err));
    EQ_TRY(eq_exec_new(prepared, EQ_EXEC_INFER, 1, clips->frames, clips->size, &x, err));
    struct eq_clip_walk walk = {.exec = x,
                                .clips = clips,
                                .max_clips = max_clips,
                                .purpose = "calibration",
                                .stop_at = -1,
                                .on_edge = look,
                                .ctx = &c,
                                .progress = progress};
    EQ_TRY(eq_clip_walk_run(&walk, err));
    EQ_TRY(eq_update_weight_qparams(prepared, err));
    for (int i = 0; i < prepared->n_nodes; i++)
        if (c.observers[i])
            EQ_TRY(set_edge(prepared, i, c.observers[i], err));
    if (clips_used)
        *clips_used = walk.clip;
out:
    free_observers(&c, prepared->n_nodes);
    eq_exec_free(x);
    return st;
}
