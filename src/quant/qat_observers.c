/* The scale rule of plain QAT, with straight-through gradients: weight scales follow the weights, activation ranges are
 * moving averages that the fake-quants follow until they are frozen. The ranges move only where the hook is set, which
 * is on the training executor: validation never touches them. */
#include "quant/histogram.h"
#include "quant/quant_graph.h"

#include <math.h>
#include <string.h>

struct ste {
    struct eq_graph *g;
    struct eq_observer_opts opts;
    bool frozen;
    struct eq_range *range; /* [n_nodes]; used where there is an edge_fq */
    int *place;             /* [n_nodes]: of the edge among those with an edge_fq */
    float *seen;            /* [places][2]: minimum and maximum of a pass; NULL: the ranges follow at once */
};

/* The fake-quant of an edge that was seen is always eq_qparams_affine of its range, so that the ranges are all there is
 * to save and restore. */
static enum eq_status use_range(const struct ste *s, int node, const struct eq_range *r, struct eq_err *err)
{
    struct eq_fake_quant *fq = &s->g->fake_quants[s->g->nodes[node].edge_fq];
    struct eq_qparams p;
    if (eq_range_is_empty(r))
        return EQ_OK;
    enum eq_status st = eq_qparams_affine(r->min, r->max, &p, err);
    if (st != EQ_OK)
        return eq_layer_context(s->g, node, st, err);
    fq->scale[0] = p.scale;
    fq->zero_point[0] = p.zero_point;
    fq->enabled = true;
    return EQ_OK;
}

static void close(void *state)
{
    struct ste *s = state;
    if (s) {
        eq_free(s->range);
        eq_free(s->place);
    }
    eq_free(s);
}

/* A range that gives these qparams to the bit. Its width is the float that gives the scale; a sum that is rounded to
 * another width, in a tie, is avoided by another lower end. */
static struct eq_range range_of(const struct eq_fake_quant *fq)
{
    const float scale = fq->scale[0], width = (float)(fq->qmax - fq->qmin) * scale;
    struct eq_range r = {.min = (float)(fq->qmin - fq->zero_point[0]) * scale};
    struct eq_qparams p;
    for (int i = 0; i < 16; i++, r.min = nextafterf(r.min, -INFINITY)) {
        r.max = r.min + width;
        if (eq_qparams_affine(r.min, r.max, &p, NULL) != EQ_OK || p.scale == scale)
            break;
    }
    return r;
}

/* A calibrated edge starts from its range. */
static enum eq_status open(struct eq_graph *calibrated, double averaging, void **state, struct eq_err *err)
{
    const struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = averaging};
    struct ste *s = *state = NULL;
    enum eq_status st;
    EQ_TRY(eq_observer_check(&opts, err));
    s = eq_alloc(1, sizeof *s);
    if (!s || !(s->range = eq_alloc((size_t)calibrated->n_nodes, sizeof *s->range)) ||
        !(s->place = eq_alloc((size_t)calibrated->n_nodes, sizeof *s->place)))
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for observers"));
    s->g = calibrated;
    s->opts = opts;
    for (int i = 0, places = 0; i < calibrated->n_nodes; i++) {
        if (calibrated->nodes[i].edge_fq < 0)
            continue;
        s->place[i] = places++;
        const struct eq_fake_quant *fq = &calibrated->fake_quants[calibrated->nodes[i].edge_fq];
        s->range[i] = EQ_EMPTY_RANGE;
        if (fq->enabled)
            s->range[i] = range_of(fq);
        EQ_TRY(use_range(s, i, &s->range[i], err));
    }
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

/* r takes in the least and the greatest value of a pass. */
static enum eq_status add(const struct ste *s, int node, const float seen[2], struct eq_range *r, struct eq_err *err)
{
    enum eq_status st = eq_range_add(r, &s->opts, seen, 2, err);
    return st == EQ_OK ? use_range(s, node, r, err) : eq_layer_context(s->g, node, st, err);
}

static enum eq_status observe(void *ctx, struct eq_graph *g, int node, const float *data, size_t n, struct eq_err *err)
{
    struct ste *s = ctx;
    if (g->nodes[node].edge_fq < 0 || s->frozen || n == 0)
        return EQ_OK;
    float seen[2];
    eq_f32_kernels()->minmax(data, n, &seen[0], &seen[1]);
    struct eq_range r = s->range[node];
    enum eq_status st = add(s, node, seen, &r, err);
    if (s->seen)
        memcpy(s->seen + 2 * s->place[node], seen, sizeof seen);
    else
        s->range[node] = r;
    return st;
}

static struct eq_walk_hook hook(void *state)
{
    return (struct eq_walk_hook){.on_edge = observe, .ctx = state};
}

static void keep(void *state, float *seen)
{
    ((struct ste *)state)->seen = seen;
}

static enum eq_status follow(void *state, const float *seen, struct eq_err *err)
{
    struct ste *s = state;
    for (int i = 0; i < s->g->n_nodes && !s->frozen; i++)
        if (s->g->nodes[i].edge_fq >= 0)
            EQ_CHECK(add(s, i, seen + 2 * s->place[i], &s->range[i], err));
    return EQ_OK;
}

/* The state, and what a pass sees: minimum and maximum of each observed edge, in edge order. */
static size_t state_size(const void *state)
{
    const struct eq_graph *g = ((const struct ste *)state)->g;
    size_t n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        n += g->nodes[i].edge_fq >= 0 ? 2 : 0;
    return n;
}

static void get_state(const void *state, float *out)
{
    const struct ste *s = state;
    for (int i = 0; i < s->g->n_nodes; i++)
        if (s->g->nodes[i].edge_fq >= 0) {
            *out++ = s->range[i].min;
            *out++ = s->range[i].max;
        }
}

static void set_state(void *state, const float *in)
{
    const struct ste *s = state;
    for (int i = 0; i < s->g->n_nodes; i++)
        if (s->g->nodes[i].edge_fq >= 0) {
            s->range[i].min = *in++;
            s->range[i].max = *in++;
            use_range(s, i, &s->range[i], NULL); /* it succeeded before the ranges were saved */
        }
}

const struct eq_scale_rule eq_ste_rule = {
    "moving_average", open,       close, hook,  eq_follow_weights, NULL, freeze, state_size, get_state,
    set_state,        state_size, keep,  follow};
