/* Calibration: clips go through the prepared graph in FP32, observers look on at every edge. Streams: memory does not
 * grow. */
#include "quant/quant_graph.h"
#include "quant/shared_observer.h"
#include "quant/statistics.h"

#include <stdlib.h>
#include <string.h>

/* ---- what observers see -------------------------------------------------- */

/* The observers of some sites, side by side. */
struct look {
    const struct eq_statistics *s;
    int first; /* site */
    const float *values[EQ_DOMAIN_POINTS];
    size_t n[EQ_DOMAIN_POINTS];
    enum eq_status st[EQ_DOMAIN_POINTS];
    struct eq_err err[EQ_DOMAIN_POINTS];
};

static void look_piece(void *ctx, size_t piece, int worker)
{
    struct look *l = ctx;
    struct eq_observer **o = eq_observers_of(l->s, l->first + (int)piece);
    (void)worker;
    for (int i = 0; i < l->s->n_opts && l->st[piece] == EQ_OK && l->n[piece] > 0; i++)
        if (o[i])
            l->st[piece] = eq_observer_add(o[i], l->values[piece], l->n[piece], &l->err[piece]);
}

/* The sites from `first` on: an edge, or all points of a convolution. */
static enum eq_status look_at(struct eq_statistics *s, int first, const float *data, size_t n, struct eq_err *err)
{
    const struct eq_site *site = &s->sites[first];
    struct look l = {.s = s, .first = first, .values = {data}, .n = {n}};
    int sites = site->conv < 0 ? 1 : EQ_DOMAIN_POINTS;
    if (site->conv >= 0)
        EQ_CHECK(eq_statistics_points(s, site, data, l.values, l.n, err));
    eq_parallel_for((size_t)sites, look_piece, &l);
    for (int i = 0; i < sites; i++)
        if (l.st[i] != EQ_OK) {
            eq_fail(err, l.st[i], "%s", l.err[i].msg);
            return eq_layer_context(s->g, site->conv < 0 ? site->node : site->conv, l.st[i], err);
        }
    return EQ_OK;
}

static enum eq_status look(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err)
{
    struct eq_statistics *s = ctx;
    if (node == s->g->output && clip == s->n_ef) {
        s->ef = eq_list_grow(s->ef, s->n_ef, sizeof *s->ef);
        s->ef[s->n_ef++] = data[0];
    }
    for (int i = 0; i < s->n_sites; i++)
        if (s->sites[i].node == node && s->sites[i].point == 0)
            EQ_CHECK(look_at(s, i, data, n, err));
    return EQ_OK;
}

/* ---- observers ----------------------------------------------------------- */

static enum eq_status make_observers(struct eq_statistics *s, int site, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = 0; i < s->n_opts && st == EQ_OK; i++)
        if (s->group[i] == i)
            st = eq_observer_new(&s->opts[i], &eq_observers_of(s, site)[i], err);
    return st;
}

static void list_sites(struct eq_statistics *s, const struct eq_graph *g)
{
    for (int node = 0; node < g->n_nodes; node++) {
        if (g->nodes[node].edge_fq >= 0)
            s->sites[s->n_sites++] = (struct eq_site){node, -1, 0};
        for (int conv = node + 1; conv < g->n_nodes; conv++)
            for (int p = 0; p < EQ_DOMAIN_POINTS && g->nodes[conv].point_fq >= 0 && g->nodes[conv].src[0] == node; p++)
                s->sites[s->n_sites++] = (struct eq_site){node, conv, p};
    }
}

static enum eq_status new_statistics(const struct eq_graph *g, const struct eq_observer_opts *opts, int n_opts,
                                     struct eq_statistics **out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_statistics *s = *out = eq_alloc(1, sizeof *s);
    if (!s)
        return eq_fail(err, EQ_NOMEM, "out of memory for observers");
    *s = (struct eq_statistics){.g = g, .n_opts = n_opts};
    s->opts = eq_alloc((size_t)n_opts, sizeof *s->opts);
    s->group = eq_alloc((size_t)n_opts, sizeof *s->group);
    s->sites = eq_alloc((size_t)g->n_nodes * (1 + EQ_DOMAIN_POINTS), sizeof *s->sites);
    if (s->sites)
        list_sites(s, g);
    s->observers = eq_alloc((size_t)s->n_sites * (size_t)n_opts, sizeof(struct eq_observer *));
    if (!s->opts || !s->group || !s->sites || !s->observers)
        return eq_fail(err, EQ_NOMEM, "out of memory for observers");
    memcpy(s->opts, opts, (size_t)n_opts * sizeof *opts);
    for (int i = 0; i < n_opts && st == EQ_OK; i++) {
        st = eq_observer_check(&opts[i], err);
        while (st == EQ_OK && !eq_observers_share(&opts[s->group[i]], &opts[i]))
            s->group[i]++;
    }
    for (int i = 0; i < s->n_sites && st == EQ_OK; i++)
        st = make_observers(s, i, err);
    return st;
}

void eq_statistics_free(struct eq_statistics *s)
{
    if (!s)
        return;
    for (int i = 0; s->observers && i < s->n_sites * s->n_opts; i++)
        eq_observer_free(s->observers[i]);
    eq_free(s->observers);
    eq_free(s->sites);
    eq_free(s->points);
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
    s->exec = x;
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
    s->exec = NULL;
    eq_free(s->points);
    s->points = NULL;
    s->n_points = 0;
    *out = s;
    s = NULL;
out:
    eq_statistics_free(s);
    eq_exec_free(x);
    return st;
}

/* ---- ranges -------------------------------------------------------------- */

/* Of all sites, side by side: the searches in histograms take their time. */
struct range {
    float min, max;
    enum eq_status st;
    struct eq_err err;
};

struct range_job {
    const struct eq_statistics *s;
    int i;
    struct range *ranges; /* [n_sites] */
};

/* A point that no tile has keeps the range 0..0. */
static void range_piece(void *ctx, size_t site, int worker)
{
    (void)worker;
    const struct range_job *j = ctx;
    const struct eq_observer *o = eq_observers_of(j->s, (int)site)[j->s->group[j->i]];
    struct range *r = &j->ranges[site];
    if (j->s->sites[site].conv < 0 || !eq_observer_is_empty(o))
        r->st = eq_observer_range_by(o, &j->s->opts[j->i], &r->min, &r->max, &r->err);
}

/* The scale that a point has in the end, since its multiplier is a whole number. */
static float point_scale(const struct eq_graph *g, const struct eq_site *site, float wanted)
{
    float source = eq_source_scale(g, site->node);
    return source > 0 ? eq_domain_scale(source, eq_domain_mul(source, wanted)) : wanted;
}

/* Writes the range of an edge or point. An edge that is always 0 has no scale, and a layer after it no input. A point
 * may be always 0: it gets the smallest scale. */
static enum eq_status set_site(struct eq_graph *g, const struct eq_site *site, const struct range *r,
                               struct eq_err *err)
{
    const bool edge = site->conv < 0;
    struct eq_qparams q;
    struct eq_fake_quant *fq = &g->fake_quants[edge ? g->nodes[site->node].edge_fq : g->nodes[site->conv].point_fq];
    enum eq_status st = r->st;
    if (st != EQ_OK)
        st = eq_fail(err, st, "%s", r->err.msg);
    else if (edge && r->min == 0 && r->max == 0)
        st = eq_fail(err, EQ_NUMERIC, "its output was 0 throughout calibration: the layer is dead and has no scale");
    if (st == EQ_OK)
        st = eq_qparams_affine(r->min, r->max, &q, err);
    if (st != EQ_OK)
        return eq_layer_context(g, edge ? site->node : site->conv, st, err);
    fq->scale[site->point] = edge ? q.scale : point_scale(g, site, q.scale);
    fq->zero_point[site->point] = q.zero_point;
    fq->enabled = !fq->bypass;
    return EQ_OK;
}

enum eq_status eq_statistics_apply(const struct eq_statistics *s, int i, struct eq_graph *prepared, struct eq_err *err)
{
    struct range_job job = {.s = s, .i = i, .ranges = eq_alloc((size_t)s->n_sites, sizeof *job.ranges)};
    if (!job.ranges)
        return eq_fail(err, EQ_NOMEM, "out of memory for ranges");
    eq_parallel_for((size_t)s->n_sites, range_piece, &job);
    enum eq_status st = eq_update_weight_qparams(prepared, err);
    for (int site = 0; site < s->n_sites && st == EQ_OK; site++)
        st = set_site(prepared, &s->sites[site], &job.ranges[site], err);
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
