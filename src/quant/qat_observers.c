/* The scale rule of plain QAT, with straight-through gradients: weight scales follow the weights, activation ranges are
 * moving averages that the fake-quants follow until they are frozen. The ranges move only where the hook is set, which
 * is on the training executor: validation never touches them. */
#include "quant/histogram.h"
#include "quant/quant_graph.h"

#include <math.h>
#include <string.h>

/* What has a range: an edge, or a point of a convolution in Winograd's domain. Edges first, each kind in the order of
 * nodes: the order of the state. */
struct site {
    int node, fq, channel;
    struct eq_range range;
};

struct ste {
    struct eq_graph *g;
    struct eq_observer_opts opts;
    bool frozen;
    struct site *sites; /* [n_sites] */
    size_t n_sites;
    float *seen; /* [n_sites][2]: minimum and maximum of a pass; NULL: the ranges follow at once */
};

/* The fake-quant of a site that was seen is always eq_qparams_affine of its range, so that the ranges are all there is
 * to save and restore. */
static enum eq_status use_range(const struct ste *s, const struct site *at, const struct eq_range *r,
                                struct eq_err *err)
{
    struct eq_fake_quant *fq = &s->g->fake_quants[at->fq];
    struct eq_qparams p;
    if (eq_range_is_empty(r))
        return EQ_OK;
    enum eq_status st = eq_qparams_affine(r->min, r->max, &p, err);
    if (st != EQ_OK)
        return eq_layer_context(s->g, at->node, st, err);
    fq->scale[at->channel] = p.scale;
    fq->zero_point[at->channel] = p.zero_point;
    fq->enabled = true;
    return EQ_OK;
}

static void close(void *state)
{
    struct ste *s = state;
    if (s)
        eq_free(s->sites);
    eq_free(s);
}

/* A range that gives these qparams to the bit. Its width is the float that gives the scale; a sum that is rounded to
 * another width, in a tie, is avoided by another lower end. */
static struct eq_range range_of(const struct eq_fake_quant *fq, int channel)
{
    const float scale = fq->scale[channel], width = (float)(fq->qmax - fq->qmin) * scale;
    struct eq_range r = {.min = (float)(fq->qmin - fq->zero_point[channel]) * scale};
    struct eq_qparams p;
    for (int i = 0; i < 16; i++, r.min = nextafterf(r.min, -INFINITY)) {
        r.max = r.min + width;
        if (eq_qparams_affine(r.min, r.max, &p, NULL) != EQ_OK || p.scale == scale)
            break;
    }
    return r;
}

/* The fake-quant of a node's edge or of its points; -1: it has none. */
static int fq_of(const struct eq_node *n, bool points)
{
    return points ? n->point_fq : n->edge_fq;
}

static size_t count_sites(const struct eq_graph *g)
{
    size_t sites = 0;
    for (int i = 0; i < g->n_nodes; i++)
        sites += (g->nodes[i].edge_fq >= 0) + (g->nodes[i].point_fq >= 0 ? (size_t)EQ_DOMAIN_POINTS : 0);
    return sites;
}

/* A calibrated site starts from its range. */
static enum eq_status add_sites(struct ste *s, int node, bool points, struct eq_err *err)
{
    const int index = fq_of(&s->g->nodes[node], points);
    for (int c = 0; index >= 0 && c < s->g->fake_quants[index].channels; c++) {
        const struct eq_fake_quant *fq = &s->g->fake_quants[index];
        struct site *at = &s->sites[s->n_sites++];
        *at = (struct site){node, index, c, EQ_EMPTY_RANGE};
        if (fq->enabled)
            at->range = range_of(fq, c);
        EQ_CHECK(use_range(s, at, &at->range, err));
    }
    return EQ_OK;
}

static enum eq_status open(struct eq_graph *calibrated, double averaging, void **state, struct eq_err *err)
{
    const struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = averaging};
    struct ste *s = *state = NULL;
    enum eq_status st;
    EQ_TRY(eq_observer_check(&opts, err));
    s = eq_alloc(1, sizeof *s);
    if (!s || !(s->sites = eq_alloc(count_sites(calibrated) + 1, sizeof *s->sites)))
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for observers"));
    s->g = calibrated;
    s->opts = opts;
    for (int points = 0; points < 2; points++)
        for (int i = 0; i < calibrated->n_nodes; i++)
            EQ_TRY(add_sites(s, i, points, err));
    *state = s;
    s = NULL;
out:
    close(s);
    return st;
}

static void freeze(void *state, bool frozen)
{
    ((struct ste *)state)->frozen = frozen;
}

/* The first site of a node's edge or points; the node has such. */
static size_t site_of(const struct ste *s, int node, bool points)
{
    size_t i = 0;
    while (s->sites[i].node != node || s->sites[i].fq != fq_of(&s->g->nodes[node], points))
        i++;
    return i;
}

/* r takes in the least and the greatest value of a pass. A point that no tile has was not seen. */
static enum eq_status add(const struct ste *s, const struct site *at, const float seen[2], struct eq_range *r,
                          struct eq_err *err)
{
    if (seen[0] > seen[1])
        return EQ_OK;
    enum eq_status st = eq_range_add(r, &s->opts, seen, 2, err);
    return st == EQ_OK ? use_range(s, at, r, err) : eq_layer_context(s->g, at->node, st, err);
}

static enum eq_status observe(void *ctx, struct eq_graph *g, int node, const float *data, size_t n, struct eq_err *err)
{
    struct ste *s = ctx;
    if (g->nodes[node].edge_fq < 0 || s->frozen || n == 0)
        return EQ_OK;
    const size_t i = site_of(s, node, false);
    float seen[2];
    eq_f32_kernels()->minmax(data, n, &seen[0], &seen[1]);
    struct eq_range r = s->sites[i].range;
    enum eq_status st = add(s, &s->sites[i], seen, &r, err);
    if (s->seen)
        memcpy(s->seen + 2 * i, seen, sizeof seen);
    else
        s->sites[i].range = r;
    return st;
}

/* Points are seen as their convolution is computed: they round by the ranges as they were before the pass. */
static enum eq_status observe_points(void *ctx, struct eq_graph *g, int node, const float *range, struct eq_err *err)
{
    struct ste *s = ctx;
    (void)g;
    if (s->frozen)
        return EQ_OK;
    const size_t first = site_of(s, node, true);
    for (size_t p = 0; p < EQ_DOMAIN_POINTS; p++) {
        struct site *at = &s->sites[first + p];
        const float seen[2] = {range[p], range[EQ_DOMAIN_POINTS + p]};
        if (s->seen)
            memcpy(s->seen + 2 * (first + p), seen, sizeof seen);
        else
            EQ_CHECK(add(s, at, seen, &at->range, err));
    }
    return EQ_OK;
}

static struct eq_walk_hook hook(void *state)
{
    return (struct eq_walk_hook){.on_edge = observe, .on_points = observe_points, .ctx = state};
}

static void keep(void *state, float *seen)
{
    ((struct ste *)state)->seen = seen;
}

static enum eq_status follow(void *state, const float *seen, struct eq_err *err)
{
    struct ste *s = state;
    for (size_t i = 0; i < s->n_sites && !s->frozen; i++)
        EQ_CHECK(add(s, &s->sites[i], seen + 2 * i, &s->sites[i].range, err));
    return EQ_OK;
}

/* The state, and what a pass sees: minimum and maximum of each site. */
static size_t state_size(const void *state)
{
    return 2 * ((const struct ste *)state)->n_sites;
}

static void get_state(const void *state, float *out)
{
    const struct ste *s = state;
    for (size_t i = 0; i < s->n_sites; i++) {
        *out++ = s->sites[i].range.min;
        *out++ = s->sites[i].range.max;
    }
}

static void set_state(void *state, const float *in)
{
    const struct ste *s = state;
    for (size_t i = 0; i < s->n_sites; i++) {
        s->sites[i].range.min = *in++;
        s->sites[i].range.max = *in++;
        use_range(s, &s->sites[i], &s->sites[i].range, NULL); /* it succeeded before the ranges were saved */
    }
}

const struct eq_scale_rule eq_ste_rule = {
    "moving_average", open,       close, hook,  eq_follow_weights, NULL, freeze, state_size, get_state,
    set_state,        state_size, keep,  follow};
