/*
 * The scale rule of LSQ, learned step sizes (Esser et al., ICLR 2020): where scales start, and how they are stepped.
 *
 * A scale is stepped through its logarithm, as the thresholds of TQT are (Jain et al., MLSys 2020): Adam's step has the
 * length of the learning rate whatever the gradient's size, and one of 5e-5 that is nothing to a weight is a tenth of
 * an 8-bit scale. On the logarithm it is a relative step, the same for all bits and layers, and no scale can become
 * negative.
 *
 * The paper's step sizes belong to the weights of a convolution, not to those times gamma / sigma of the batch norm
 * that is folded into them. A scale is therefore learned for the weights alone, and |gamma / sigma| multiplies it as it
 * multiplies them. Without that, a smaller running variance would push the folded weights beyond a scale that stays,
 * the clipped output would vary less, and the running variance would shrink on.
 */
#include "quant/quant_graph.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { WEIGHTS, EDGES, KINDS };

struct lsq {
    struct eq_graph *g;
    bool hold_edges; /* activation scales and their moments stay as they are */
    struct kind {
        struct place {
            int fq, channel;
            int node;                 /* the convolution whose batch norm is folded; -1: none is */
            float theta, unit, scale; /* at the start */
        } * place;                    /* [n]: the scales in the graph, in the order of its fake-quants */
        float *theta, *grad;          /* [n]: log(scale / unit_of its place) and its gradient */
        size_t n;
        struct eq_optim optim;
    } kind[KINDS];
};

static float *scale_at(const struct eq_graph *g, const struct place *p)
{
    return &g->fake_quants[p->fq].scale[p->channel];
}

/* The scale that the weights alone would have for one of 1. */
static float unit_of(const struct eq_graph *g, const struct place *p)
{
    return p->node < 0 ? 1 : fmaxf(fabsf(eq_fold_factor(g, &g->nodes[p->node], p->channel)), FLT_EPSILON);
}

/* Writes the scales of all theta, none below FLT_EPSILON. NaN stays: the loss will show it. Until a step moves it, a
 * scale keeps the bits that it started with, which a logarithm's exponential would not always give back. */
static void scatter(struct eq_graph *g, const struct kind *k)
{
    for (size_t i = 0; i < k->n; i++) {
        const struct place *p = &k->place[i];
        const float unit = unit_of(g, p), scale = expf(k->theta[i]) * unit;
        const bool moved = k->theta[i] != p->theta || unit != p->unit;
        *scale_at(g, p) = !moved ? p->scale : scale < FLT_EPSILON ? FLT_EPSILON : scale;
    }
}

/* ---- life ---------------------------------------------------------------- */

/* Weight scales start where EQ_WEIGHT_MSE puts them, edges where calibration did; zero-points stay. */
static enum eq_status prepare(struct eq_graph *g, struct eq_err *err)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].point_fq >= 0)
            return eq_fail_layer(g, i, EQ_UNSUPPORTED,
                                 "scales of Winograd's domain can't be learned: set qat.method = ste or "
                                 "qat.arithmetic = direct",
                                 err);
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].edge_fq >= 0 && !g->fake_quants[g->nodes[i].edge_fq].enabled)
            return eq_fail_layer(g, i, EQ_UNSUPPORTED, "learned scales start from calibrated ones: calibrate first",
                                 err);
    enum eq_status st = eq_set_weight_qparams(g, &(struct eq_weight_opts){.kind = EQ_WEIGHT_MSE}, err);
    for (int i = 0; i < g->n_fake_quants && st == EQ_OK; i++)
        g->fake_quants[i].learn_scale = true;
    return st;
}

/* The node whose folded weights a fake-quant rounds; -1: there is none. */
static int folding_node(const struct eq_graph *g, int fq)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].weight_fq == fq && g->nodes[i].folded_bn >= 0)
            return i;
    return -1;
}

static enum eq_status new_kind(const struct eq_graph *g, int which, struct kind *k, struct eq_err *err)
{
    size_t all = 1;
    for (int i = 0; i < g->n_fake_quants; i++)
        all += (size_t)g->fake_quants[i].channels;
    k->place = eq_alloc(all, sizeof *k->place);
    k->theta = eq_alloc(all, sizeof *k->theta);
    k->grad = eq_alloc(all, sizeof *k->grad);
    if (!k->place || !k->theta || !k->grad)
        return eq_fail(err, EQ_NOMEM, "out of memory for learned scales");
    for (int i = 0; i < g->n_fake_quants; i++) {
        bool member = (g->fake_quants[i].qmin < 0 ? WEIGHTS : EDGES) == which; /* weights alone are signed */
        for (int c = 0; member && c < g->fake_quants[i].channels; c++) {
            struct place p = {i, c, folding_node(g, i), .scale = g->fake_quants[i].scale[c]};
            p.unit = unit_of(g, &p);
            k->theta[k->n] = p.theta = logf(p.scale / p.unit);
            k->place[k->n++] = p;
        }
    }
    /* LSQ's gradient scale, 2e-5 for an edge of 10^7 values, would drown in the usual eps of 1e-8. */
    struct eq_optim_opts opts = {.kind = EQ_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-12};
    return eq_optim_init(&k->optim, &opts, 1, &k->n, err);
}

static void close(void *state)
{
    struct lsq *l = state;
    for (int k = 0; l && k < KINDS; k++) {
        eq_free(l->kind[k].place);
        eq_free(l->kind[k].theta);
        eq_free(l->kind[k].grad);
        eq_optim_clear(&l->kind[k].optim);
    }
    eq_free(l);
}

static enum eq_status open(struct eq_graph *calibrated, double averaging, void **state, struct eq_err *err)
{
    struct lsq *l = *state = NULL;
    (void)averaging;
    enum eq_status st = prepare(calibrated, err);
    if (st == EQ_OK && !(l = eq_alloc(1, sizeof *l)))
        st = eq_fail(err, EQ_NOMEM, "out of memory for learned scales");
    if (st == EQ_OK)
        l->g = calibrated;
    for (int k = 0; k < KINDS && st == EQ_OK; k++)
        st = new_kind(calibrated, k, &l->kind[k], err);
    if (st == EQ_OK)
        *state = l;
    else
        close(l);
    return st;
}

static void freeze(void *state, bool frozen)
{
    ((struct lsq *)state)->hold_edges = frozen;
}

/* ---- a step -------------------------------------------------------------- */

/* Batch norm has moved since the last step, if only its statistics. */
static enum eq_status before_forward(void *state, struct eq_graph *g, struct eq_err *err)
{
    (void)err;
    scatter(g, &((struct lsq *)state)->kind[WEIGHTS]);
    return EQ_OK;
}

/* d loss / d log(scale) = scale * d loss / d scale. False: a gradient is not finite. */
static bool gather(const struct eq_graph *g, const struct eq_exec *x, struct kind *k)
{
    bool finite = true;
    for (size_t i = 0; i < k->n; i++) {
        k->grad[i] = *scale_at(g, &k->place[i]) * eq_exec_scale_grad(x, k->place[i].fq)[k->place[i].channel];
        finite = finite && isfinite(k->grad[i]);
    }
    return finite;
}

/* Adam on log(scale) without weight decay, apart from the optimizer of the parameters. */
static enum eq_status after_step(void *state, struct eq_exec *x, double lr, struct eq_err *err)
{
    static const bool no_decay = false;
    struct lsq *l = state;
    for (int i = 0; i < (l->hold_edges ? EDGES : KINDS); i++) {
        struct kind *k = &l->kind[i];
        if (!gather(l->g, x, k))
            return eq_fail(err, EQ_NUMERIC, "the gradient of a learned %s scale is not a finite number",
                           i == EDGES ? "activation" : "weight");
        eq_optim_step(&k->optim, &k->theta, &k->grad, &no_decay, lr);
        scatter(l->g, k);
    }
    return EQ_OK;
}

/* ---- state --------------------------------------------------------------- */

/* Of each kind: steps so far, then theta and both moments. Steps are whole numbers far below 2^24. Those of weights
 * stand there as -1 - steps: in states of version 0.1.0, where they are not negative, theta is log(scale). */
static size_t state_size(const void *state)
{
    const struct lsq *l = state;
    return 2 + 3 * (l->kind[WEIGHTS].n + l->kind[EDGES].n);
}

static void get_state(const void *state, float *out)
{
    for (int i = 0; i < KINDS; i++) {
        const struct kind *k = &((const struct lsq *)state)->kind[i];
        const float *parts[] = {k->theta, k->optim.m[0], k->optim.v[0]};
        *out++ = i == WEIGHTS ? -1 - (float)k->optim.step : (float)k->optim.step;
        for (int p = 0; p < 3; p++, out += k->n)
            memcpy(out, parts[p], k->n * sizeof *out);
    }
}

static void set_state(void *state, const float *in)
{
    const struct eq_graph *g = ((struct lsq *)state)->g;
    bool relative = in[0] < 0;
    for (int i = 0; i < KINDS; i++) {
        struct kind *k = &((struct lsq *)state)->kind[i];
        float *parts[] = {k->theta, k->optim.m[0], k->optim.v[0]};
        k->optim.step = (size_t)(*in < 0 ? -1 - *in : *in);
        in++;
        for (int p = 0; p < 3; p++, in += k->n)
            memcpy(parts[p], in, k->n * sizeof *in);
        for (size_t c = 0; !relative && c < k->n; c++)
            k->theta[c] -= logf(unit_of(g, &k->place[c]));
        scatter(((struct lsq *)state)->g, k);
    }
}

const struct eq_scale_rule eq_lsq_rule = {"lsq",      open,      close,     NULL, before_forward, after_step, freeze,
                                          state_size, get_state, set_state, NULL, NULL,           NULL};
