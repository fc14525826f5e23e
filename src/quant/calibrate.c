/* Calibration: clips go through the prepared graph in FP32, observers look on at every edge. Streams: memory does not
 * grow. */
#include "quant/quant_graph.h"
#include "quant/statistics.h"

#include <stdlib.h>
#include <string.h>

static enum eq_status look(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err)
{
    struct eq_statistics *s = ctx;
    enum eq_status st = EQ_OK;
    if (node == s->g->output && clip == s->n_ef) {
        s->ef = eq_list_grow(s->ef, s->n_ef, sizeof *s->ef);
        s->ef[s->n_ef++] = data[0];
    }
    for (int i = 0; i < s->n_opts && st == EQ_OK; i++)
        if (eq_observers_of(s, node)[i])
            st = eq_observer_add(eq_observers_of(s, node)[i], data, n, err);
    if (st == EQ_OK)
        return EQ_OK;
    char name[64];
    eq_layer_name(s->g, node, name);
    return eq_err_context(err, "%s", name);
}

static enum eq_status make_observers(struct eq_statistics *s, int node, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = 0; i < s->n_opts && st == EQ_OK; i++)
        if (s->group[i] == i)
            st = eq_observer_new(&s->opts[i], &eq_observers_of(s, node)[i], err);
    return st;
}

static enum eq_status new_statistics(const struct eq_graph *g, const struct eq_observer_opts *opts, int n_opts,
                                     struct eq_statistics **out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_statistics *s = *out = eq_alloc(1, sizeof *s);
    if (!s)
        return eq_fail(err, EQ_NOMEM, "out of memory for observers");
    *s = (struct eq_statistics){.g = g, .n_opts = n_opts, .n_nodes = g->n_nodes};
    s->opts = eq_alloc((size_t)n_opts, sizeof *s->opts);
    s->group = eq_alloc((size_t)n_opts, sizeof *s->group);
    s->observers = eq_alloc((size_t)g->n_nodes * (size_t)n_opts, sizeof(struct eq_observer *));
    if (!s->opts || !s->group || !s->observers)
        return eq_fail(err, EQ_NOMEM, "out of memory for observers");
    memcpy(s->opts, opts, (size_t)n_opts * sizeof *opts);
    for (int i = 0; i < n_opts && st == EQ_OK; i++) {
        st = eq_observer_check(&opts[i], err);
        while (st == EQ_OK && !eq_observers_share(&opts[s->group[i]], &opts[i]))
            s->group[i]++;
    }
    for (int i = 0; i < g->n_nodes && st == EQ_OK; i++)
        if (g->nodes[i].edge_fq >= 0)
            st = make_observers(s, i, err);
    return st;
}

void eq_statistics_free(struct eq_statistics *s)
{
    if (!s)
        return;
    for (int i = 0; s->observers && i < s->n_nodes * s->n_opts; i++)
        eq_observer_free(s->observers[i]);
    eq_free(s->observers);
    eq_free(s->group);
    eq_free(s->opts);
    free(s->ef);
    eq_free(s);
}

const float *eq_statistics_ef(const struct eq_statistics *s, size_t *n)
{
    *n = s->n_ef;
    return s->ef;
}

enum eq_status eq_statistics_collect(struct eq_graph *prepared, const struct eq_clip_source *clips, size_t max_clips,
                                     const struct eq_observer_opts *opts, int n_opts, struct eq_progress *progress,
                                     size_t *clips_used, struct eq_statistics **out, struct eq_err *err)
{
    struct eq_exec *x = NULL;
    struct eq_statistics *s = NULL;
    enum eq_status st;
    *out = NULL;
    if (clips_used)
        *clips_used = 0;
    eq_enable_fake_quant(prepared, false);
    EQ_TRY(new_statistics(prepared, opts, n_opts, &s, err));
    EQ_TRY(eq_clip_walk_exec(prepared, EQ_EXEC_INFER, clips, &x, err));
    struct eq_clip_walk walk = {.exec = x,
                                .clips = clips,
                                .max_clips = max_clips,
                                .purpose = "calibration",
                                .stop_at = -1,
                                .on_edge = look,
                                .ctx = s,
                                .progress = progress};
    bool shared = clips->comm && clips->comm->size > 1;
    EQ_TRY(shared ? eq_statistics_share(s, &walk, max_clips, err) : eq_clip_walk_run(&walk, err));
    if (clips_used)
        *clips_used = shared ? max_clips : walk.clip;
    s->g = NULL;
    *out = s;
    s = NULL;
out:
    eq_statistics_free(s);
    eq_exec_free(x);
    return st;
}

/* Ranges of all edges, side by side: the searches in histograms take their time. */
struct range {
    float min, max;
    enum eq_status st;
    struct eq_err err;
};

struct range_job {
    const struct eq_statistics *s;
    int i;
    struct range *ranges; /* [n_nodes] */
};

static void range_piece(void *ctx, size_t node, int worker)
{
    (void)worker;
    const struct range_job *j = ctx;
    const struct eq_observer *o = eq_observers_of(j->s, (int)node)[j->s->group[j->i]];
    struct range *r = &j->ranges[node];
    if (o)
        r->st = eq_observer_range_by(o, &j->s->opts[j->i], &r->min, &r->max, &r->err);
}

/* Writes an edge's range; an edge that is always 0 has no scale and a layer after it no input. */
static enum eq_status set_edge(struct eq_graph *g, int node, const struct range *r, struct eq_err *err)
{
    struct eq_qparams q;
    struct eq_fake_quant *fq = &g->fake_quants[g->nodes[node].edge_fq];
    enum eq_status st = r->st;
    if (st != EQ_OK)
        st = eq_fail(err, st, "%s", r->err.msg);
    else if (r->min == 0 && r->max == 0)
        st = eq_fail(err, EQ_NUMERIC, "its output was 0 throughout calibration: the layer is dead and has no scale");
    if (st == EQ_OK)
        st = eq_qparams_affine(r->min, r->max, &q, err);
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

enum eq_status eq_statistics_apply(const struct eq_statistics *s, int i, struct eq_graph *prepared, struct eq_err *err)
{
    struct range_job job = {.s = s, .i = i, .ranges = eq_alloc((size_t)s->n_nodes, sizeof *job.ranges)};
    if (!job.ranges)
        return eq_fail(err, EQ_NOMEM, "out of memory for ranges");
    eq_parallel_for((size_t)s->n_nodes, range_piece, &job);
    enum eq_status st = eq_update_weight_qparams(prepared, err);
    for (int node = 0; node < prepared->n_nodes && st == EQ_OK; node++)
        if (prepared->nodes[node].edge_fq >= 0)
            st = set_edge(prepared, node, &job.ranges[node], err);
    eq_free(job.ranges);
    return st;
}

enum eq_status eq_calibrate(struct eq_graph *prepared, const struct eq_clip_source *clips, size_t max_clips,
                            const struct eq_observer_opts *opts, struct eq_progress *progress, size_t *clips_used,
                            struct eq_err *err)
{
    struct eq_statistics *s;
    enum eq_status st = eq_statistics_collect(prepared, clips, max_clips, opts, 1, progress, clips_used, &s, err);
    if (st == EQ_OK)
        st = eq_statistics_apply(s, 0, prepared, err);
    eq_statistics_free(s);
    return st;
}
