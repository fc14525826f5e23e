/*
 * Learned step sizes (LSQ: Esser et al., ICLR 2020): where scales start, and how they are stepped.
 *
 * A scale is stepped through its logarithm, as the thresholds of TQT are (Jain et al., MLSys 2020): Adam's step has the
 * length of the learning rate whatever the gradient's size, and one of 5e-5 that is nothing to a weight is a tenth of
 * an 8-bit scale. On the logarithm it is a relative step, the same for all bits and layers, and no scale can become
 * negative.
 */
#include "echoquant/nn.h"
#include "quant/quant_graph.h"

#include <float.h>
#include <math.h>

static enum eq_status check_edges(const struct eq_graph *g, struct eq_err *err)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].edge_fq >= 0 && !g->fake_quants[g->nodes[i].edge_fq].enabled) {
            char name[64];
            eq_layer_name(g, i, name);
            return eq_fail(err, EQ_UNSUPPORTED, "%s: learned scales start from calibrated ones: calibrate first", name);
        }
    return EQ_OK;
}

enum eq_status eq_prepare_lsq(struct eq_graph *calibrated, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(check_edges(calibrated, err));
    EQ_TRY(eq_set_weight_qparams(calibrated, &(struct eq_weight_opts){.kind = EQ_WEIGHT_MSE}, err));
    for (int i = 0; i < calibrated->n_fake_quants; i++)
        calibrated->fake_quants[i].learn_scale = true;
out:
    return st;
}

void eq_lsq_clamp_scales(struct eq_graph *g)
{
    for (int i = 0; i < g->n_fake_quants; i++) {
        struct eq_fake_quant *fq = &g->fake_quants[i];
        for (int c = 0; fq->learn_scale && c < fq->channels; c++)
            if (fq->scale[c] < FLT_EPSILON) /* leaves NaN: the loss will tell */
                fq->scale[c] = FLT_EPSILON;
    }
}

/* ---- steps --------------------------------------------------------------- */

enum { WEIGHTS, EDGES, KINDS };

struct eq_lsq {
    struct eq_graph *g;
    bool hold_edges;
    struct kind {
        bool *member;        /* [n_fake_quants] */
        float *theta, *grad; /* [n]: log(scale) in the order of the fake-quants, and its gradient */
        size_t n;
        struct eq_optim optim;
    } kind[KINDS];
};

static enum eq_status new_kind(const struct eq_graph *g, struct kind *k, struct eq_err *err)
{
    for (int i = 0; i < g->n_fake_quants; i++)
        k->n += k->member[i] ? (size_t)g->fake_quants[i].channels : 0;
    k->theta = eq_alloc(k->n + 1, sizeof *k->theta);
    k->grad = eq_alloc(k->n + 1, sizeof *k->grad);
    if (!k->theta || !k->grad)
        return eq_fail(err, EQ_NOMEM, "out of memory for learned scales");
    size_t at = 0;
    for (int i = 0; i < g->n_fake_quants; i++)
        for (int c = 0; k->member[i] && c < g->fake_quants[i].channels; c++)
            k->theta[at++] = logf(g->fake_quants[i].scale[c]);
    /* LSQ's gradient scale, 2e-5 for an edge of 10^7 values, would drown in the usual eps of 1e-8. */
    struct eq_optim_opts opts = {.kind = EQ_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-12};
    return eq_optim_init(&k->optim, &opts, 1, &k->n, err);
}

enum eq_status eq_lsq_new(struct eq_graph *prepared, struct eq_lsq **out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_lsq *l = eq_alloc(1, sizeof *l);
    *out = NULL;
    for (int k = 0; l && k < KINDS; k++)
        l->kind[k].member = eq_alloc((size_t)prepared->n_fake_quants + 1, sizeof *l->kind[k].member);
    if (!l || !l->kind[WEIGHTS].member || !l->kind[EDGES].member) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for learned scales");
        goto out;
    }
    l->g = prepared;
    for (int i = 0; i < prepared->n_nodes; i++) {
        const struct eq_node *n = &prepared->nodes[i];
        if (n->weight_fq >= 0)
            l->kind[WEIGHTS].member[n->weight_fq] = prepared->fake_quants[n->weight_fq].learn_scale;
        if (n->edge_fq >= 0)
            l->kind[EDGES].member[n->edge_fq] = prepared->fake_quants[n->edge_fq].learn_scale;
    }
    for (int k = 0; k < KINDS; k++)
        EQ_TRY(new_kind(prepared, &l->kind[k], err));
out:
    if (st != EQ_OK)
        eq_lsq_free(l);
    else
        *out = l;
    return st;
}

void eq_lsq_free(struct eq_lsq *l)
{
    for (int k = 0; l && k < KINDS; k++) {
        eq_free(l->kind[k].member);
        eq_free(l->kind[k].theta);
        eq_free(l->kind[k].grad);
        eq_optim_clear(&l->kind[k].optim);
    }
    eq_free(l);
}

void eq_lsq_hold_edges(struct eq_lsq *l, bool hold)
{
    l->hold_edges = hold;
}

/* d loss / d log(scale) = scale * d loss / d scale. False: a gradient is not finite. */
static bool gather(const struct eq_graph *g, const struct eq_exec *x, struct kind *k)
{
    size_t at = 0;
    bool finite = true;
    for (int i = 0; i < g->n_fake_quants; i++)
        for (int c = 0; k->member[i] && c < g->fake_quants[i].channels; c++, at++) {
            k->grad[at] = g->fake_quants[i].scale[c] * eq_exec_scale_grad(x, i)[c];
            finite = finite && isfinite(k->grad[at]);
        }
    return finite;
}

static void scatter(struct eq_graph *g, const struct kind *k)
{
    size_t at = 0;
    for (int i = 0; i < g->n_fake_quants; i++)
        for (int c = 0; k->member[i] && c < g->fake_quants[i].channels; c++)
            g->fake_quants[i].scale[c] = expf(k->theta[at++]);
}

enum eq_status eq_lsq_step(struct eq_lsq *l, const struct eq_exec *x, double lr, struct eq_err *err)
{
    static const bool no_decay = false;
    for (int i = 0; i < KINDS; i++) {
        struct kind *k = &l->kind[i];
        if (i == EDGES && l->hold_edges)
            continue;
        if (!gather(l->g, x, k))
            return eq_fail(err, EQ_NUMERIC, "the gradient of a learned %s scale is not a finite number",
                           i == EDGES ? "activation" : "weight");
        eq_optim_step(&k->optim, &k->theta, &k->grad, &no_decay, lr);
        scatter(l->g, k);
    }
    eq_lsq_clamp_scales(l->g);
    return EQ_OK;
}

/* ---- state --------------------------------------------------------------- */

/* Of each kind: steps so far, then theta and both moments. Steps are whole numbers far below 2^24. */
size_t eq_lsq_state_size(const struct eq_lsq *l)
{
    return 2 + 3 * (l->kind[WEIGHTS].n + l->kind[EDGES].n);
}

void eq_lsq_get_state(const struct eq_lsq *l, float *state)
{
    for (int i = 0; i < KINDS; i++) {
        const struct kind *k = &l->kind[i];
        const float *parts[] = {k->theta, k->optim.m[0], k->optim.v[0]};
        *state++ = (float)k->optim.step;
        for (int p = 0; p < 3; p++)
            for (size_t j = 0; j < k->n; j++)
                *state++ = parts[p][j];
    }
}

void eq_lsq_set_state(struct eq_lsq *l, const float *state)
{
    for (int i = 0; i < KINDS; i++) {
        struct kind *k = &l->kind[i];
        float *parts[] = {k->theta, k->optim.m[0], k->optim.v[0]};
        k->optim.step = (size_t)*state++;
        for (int p = 0; p < 3; p++)
            for (size_t j = 0; j < k->n; j++)
                parts[p][j] = *state++;
        scatter(l->g, k);
    }
    eq_lsq_clamp_scales(l->g);
}
