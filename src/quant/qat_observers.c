/* Observers of quantization-aware training: running ranges that the fake-quants follow until they are frozen. They move
 * only where the hook is set, that is on the training executor: validation never touches them. */
#include "quant/quant_graph.h"

#include <math.h>

struct eq_qat_observers {
    struct eq_graph *g;
    enum eq_observer_kind kind;
    float averaging;
    bool frozen;
    int n;            /* observed edges */
    int *slot;        /* [n_nodes]: the edge's place in node, min and max, -1: not observed */
    int *node;        /* [n] */
    float *min, *max; /* [n]; min > max: nothing seen yet */
};

static bool seen(const struct eq_qat_observers *q, int slot)
{
    return q->min[slot] <= q->max[slot];
}

static struct eq_fake_quant *edge_of(const struct eq_qat_observers *q, int slot)
{
    return &q->g->fake_quants[q->g->nodes[q->node[slot]].edge_fq];
}

static bool learnt(const struct eq_fake_quant *fq)
{
    return fq->learn_scale && fq->enabled;
}

/* The fake-quant of an edge that was seen is always eq_qparams_affine of its range, so that the ranges are all there is
 * to save and restore. */
static enum eq_status follow(const struct eq_qat_observers *q, int slot, struct eq_err *err)
{
    struct eq_fake_quant *fq = edge_of(q, slot);
    if (!seen(q, slot) || learnt(fq))
        return EQ_OK;
    struct eq_qparams p;
    enum eq_status st = eq_qparams_affine(q->min[slot], q->max[slot], &p, err);
    if (st != EQ_OK) {
        char name[64];
        eq_layer_name(q->g, q->node[slot], name);
        return eq_err_context(err, "%s", name);
    }
    fq->scale[0] = p.scale;
    fq->zero_point[0] = p.zero_point;
    fq->enabled = true;
    return EQ_OK;
}

/* A calibrated edge starts from its range. */
static enum eq_status start(struct eq_qat_observers *q, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = 0; i < q->g->n_nodes && st == EQ_OK; i++) {
        q->slot[i] = -1;
        if (q->g->nodes[i].edge_fq < 0)
            continue;
        int s = q->slot[i] = q->n++;
        q->node[s] = i;
        const struct eq_fake_quant *fq = edge_of(q, s);
        q->min[s] = fq->enabled ? (float)(fq->qmin - fq->zero_point[0]) * fq->scale[0] : 0;
        q->max[s] = fq->enabled ? (float)(fq->qmax - fq->zero_point[0]) * fq->scale[0] : -1;
        st = follow(q, s, err);
    }
    return st;
}

enum eq_status eq_qat_observers_new(struct eq_graph *prepared, const struct eq_observer_opts *opts,
                                    struct eq_qat_observers **out, struct eq_err *err)
{
    *out = NULL;
    if (opts->kind != EQ_OBSERVER_MINMAX && opts->kind != EQ_OBSERVER_MOVING_AVERAGE)
        return eq_fail(err, EQ_USAGE, "QAT observes with minmax or moving_average");
    enum eq_status st = eq_observer_check(opts, err);
    if (st != EQ_OK)
        return st;
    struct eq_qat_observers *q = eq_alloc(1, sizeof *q);
    size_t n = (size_t)prepared->n_nodes;
    if (!q || !(q->slot = eq_alloc(n, sizeof *q->slot)) || !(q->node = eq_alloc(n, sizeof *q->node)) ||
        !(q->min = eq_alloc(n, sizeof *q->min)) || !(q->max = eq_alloc(n, sizeof *q->max))) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for observers");
    } else {
        q->g = prepared;
        q->kind = opts->kind;
        q->averaging = (float)opts->averaging;
        st = start(q, err);
    }
    if (st != EQ_OK)
        eq_qat_observers_free(q);
    else
        *out = q;
    return st;
}

void eq_qat_observers_free(struct eq_qat_observers *q)
{
    if (!q)
        return;
    eq_free(q->slot);
    eq_free(q->node);
    eq_free(q->min);
    eq_free(q->max);
    eq_free(q);
}

void eq_qat_observers_freeze(struct eq_qat_observers *q, bool frozen)
{
    q->frozen = frozen;
}

static void widen(struct eq_qat_observers *q, int s, float min, float max)
{
    if (!seen(q, s)) {
        q->min[s] = min;
        q->max[s] = max;
    } else if (q->kind == EQ_OBSERVER_MINMAX) {
        q->min[s] = fminf(q->min[s], min);
        q->max[s] = fmaxf(q->max[s], max);
    } else {
        q->min[s] = q->min[s] + q->averaging * (min - q->min[s]);
        q->max[s] = q->max[s] + q->averaging * (max - q->max[s]);
    }
}

static enum eq_status observe(void *ctx, struct eq_graph *g, int node, const float *data, size_t n, struct eq_err *err)
{
    struct eq_qat_observers *q = ctx;
    int s = q->slot[node];
    if (s < 0 || q->frozen || n == 0 || learnt(edge_of(q, s)))
        return EQ_OK;
    float min, max;
    eq_f32_kernels()->minmax(data, n, &min, &max);
    if (!isfinite(min) || !isfinite(max)) {
        char name[64];
        eq_layer_name(g, node, name);
        return eq_fail(err, EQ_NUMERIC, "%s: an activation is NaN or infinite", name);
    }
    widen(q, s, min, max);
    return follow(q, s, err);
}

struct eq_walk_hook eq_qat_observers_hook(struct eq_qat_observers *q)
{
    return (struct eq_walk_hook){.on_edge = observe, .ctx = q};
}

size_t eq_qat_observers_state_size(const struct eq_qat_observers *q)
{
    return 2 * (size_t)q->n;
}

void eq_qat_observers_get_state(const struct eq_qat_observers *q, float *state)
{
    for (int i = 0; i < q->n; i++) {
        state[2 * i] = q->min[i];
        state[2 * i + 1] = q->max[i];
    }
}

void eq_qat_observers_set_state(struct eq_qat_observers *q, const float *state)
{
    for (int i = 0; i < q->n; i++) {
        q->min[i] = state[2 * i];
        q->max[i] = state[2 * i + 1];
        follow(q, i, NULL); /* the ranges were followed once before they were saved */
    }
}
