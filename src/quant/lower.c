/* From a prepared graph to the integer graph: folds batch norm with the factor that fake-quant used, rounds the
 * weights. */
#include "quant/qmodel.h"
#include "quant/quant_graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct lowering {
    const struct eq_graph *g;
    struct eq_qmodel *m;
    int *qnode; /* [g->n_nodes]: the integer node whose edge a graph node stands for; -1: none yet */
};

static enum eq_status refuse(const struct eq_graph *g, int node, const char *why, struct eq_err *err)
{
    char name[64];
    eq_layer_name(g, node, name);
    return eq_fail(err, EQ_UNSUPPORTED, "%s: %s", name, why);
}

/* Every scale is set and usable. */
static enum eq_status check_fake_quant(const struct eq_graph *g, int node, int fq, int channels, struct eq_err *err)
{
    const struct eq_fake_quant *q = fq >= 0 ? &g->fake_quants[fq] : NULL;
    if (!q || !q->enabled)
        return refuse(g, node, "has no qparams: calibrate before lowering", err);
    if (q->channels != channels)
        return refuse(g, node, "has qparams for another number of channels", err);
    for (int c = 0; c < channels; c++)
        if (!isfinite(q->scale[c]) || q->scale[c] <= 0)
            return refuse(g, node, "has a scale that is 0, NaN or infinite", err);
    return EQ_OK;
}

static bool is_pooled(const struct eq_graph *g, int node)
{
    return node >= 0 && (g->nodes[node].op == EQ_OP_GLOBAL_AVG || g->nodes[node].op == EQ_OP_TEMPORAL_MEAN);
}

static struct eq_qnode *add_qnode(struct lowering *l, int graph_node, enum eq_qop op)
{
    struct eq_qnode *q = &l->m->nodes[l->m->n_nodes];
    const struct eq_node *n = &l->g->nodes[graph_node];
    *q = (struct eq_qnode){.op = op,
                           .src = n->src[0] >= 0 ? l->qnode[n->src[0]] : -1,
                           .residual = -1,
                           .cin = n->cin,
                           .cout = n->cout,
                           .k = n->k,
                           .stride = n->stride,
                           .pad = n->pad};
    eq_layer_name(l->g, graph_node, q->name);
    l->qnode[graph_node] = l->m->n_nodes++;
    return q;
}

/* Bias in real units: the layer's own, or with batch norm beta + (bias - mean) * factor, float32 in this order. */
static float folded_bias(const struct eq_graph *g, const struct eq_node *n, int c)
{
    float bias = n->bias >= 0 ? g->params[n->bias].data[c] : 0;
    if (n->folded_bn < 0)
        return bias;
    const struct eq_node *bn = &g->nodes[n->folded_bn];
    float factor = eq_fold_factor(g, n, c);
    return g->params[bn->beta].data[c] + (bias - g->params[bn->running_mean].data[c]) * factor;
}

static enum eq_status quantize_weights(const struct eq_graph *g, const struct eq_node *n, struct eq_qnode *q,
                                       struct eq_err *err)
{
    const struct eq_fake_quant *fq = &g->fake_quants[n->weight_fq];
    size_t total = eq_qnode_weights(q), per = total / (size_t)q->cout;
    q->weights = eq_alloc(total, 1);
    q->weight_scale = eq_alloc((size_t)q->cout, sizeof(float));
    q->bias = eq_alloc((size_t)q->cout, sizeof(float));
    if (!q->weights || !q->weight_scale || !q->bias)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for its weights", q->name);
    const float *w = g->params[n->weight].data;
    for (int c = 0; c < q->cout; c++) {
        float factor = eq_fold_factor(g, n, c), inv_scale = 1.0f / fq->scale[c];
        for (size_t i = (size_t)c * per; i < (size_t)(c + 1) * per; i++)
            q->weights[i] = (int8_t)eq_quantize_weight(w[i] * factor, inv_scale, fq->qmin, fq->qmax);
        q->weight_scale[c] = fq->scale[c];
        q->bias[c] = folded_bias(g, n, c);
    }
    q->weight_bits = 2;
    while ((1 << (q->weight_bits - 1)) - 1 < fq->qmax)
        q->weight_bits++;
    return EQ_OK;
}

/* A convolution becomes a node where its stored edge is made: at itself, or at its batch norm, by when a residual that
 * is computed in between is there too. */
static enum eq_status lower_conv(struct lowering *l, int conv, int stored, struct eq_err *err)
{
    const struct eq_graph *g = l->g;
    const struct eq_node *n = &g->nodes[conv], *edge = &g->nodes[stored];
    enum eq_status st = check_fake_quant(g, conv, n->weight_fq, n->cout, err);
    if (st == EQ_OK)
        st = check_fake_quant(g, conv, edge->edge_fq, 1, err);
    if (st != EQ_OK)
        return st;
    if (edge->residual >= 0 && l->qnode[edge->residual] < 0)
        return refuse(g, conv, "its residual is computed after it", err);
    struct eq_qnode *q = add_qnode(l, conv, EQ_QOP_CONV2D);
    const struct eq_fake_quant *fq = &g->fake_quants[edge->edge_fq];
    l->qnode[stored] = l->qnode[conv];
    q->residual = edge->residual >= 0 ? l->qnode[edge->residual] : -1;
    q->relu = edge->relu;
    q->dst = (struct eq_qparams){fq->scale[0], fq->zero_point[0], fq->qmin, fq->qmax};
    return quantize_weights(g, n, q, err);
}

static enum eq_status lower_head(struct lowering *l, int node, struct eq_err *err)
{
    const struct eq_graph *g = l->g;
    const struct eq_node *n = &g->nodes[node], *mean = &g->nodes[n->src[0]];
    if (mean->op != EQ_OP_TEMPORAL_MEAN || g->nodes[mean->src[0]].op != EQ_OP_GLOBAL_AVG)
        return refuse(g, node, "the head must follow the mean over pixels and frames", err);
    enum eq_status st = check_fake_quant(g, node, n->weight_fq, n->cout, err);
    if (st != EQ_OK)
        return st;
    struct eq_qnode *q = add_qnode(l, node, EQ_QOP_HEAD);
    q->k = q->stride = 1;
    q->pad = 0;
    q->dst = (struct eq_qparams){1, 0, 0, 255};
    return quantize_weights(g, n, q, err);
}

static enum eq_status lower_node(struct lowering *l, int i, struct eq_err *err)
{
    const struct eq_graph *g = l->g;
    const struct eq_node *n = &g->nodes[i];
    struct eq_qnode *q;
    if (n->src[0] >= i || (n->op != EQ_OP_INPUT && n->op != EQ_OP_BATCHNORM && l->qnode[n->src[0]] < 0))
        return refuse(g, i, "reads something that has no integer edge", err);
    if ((is_pooled(g, n->src[0]) || is_pooled(g, n->residual)) && n->op != EQ_OP_TEMPORAL_MEAN && n->op != EQ_OP_LINEAR)
        return refuse(g, i, "reads pooled sums, which only the head does", err);
    switch (n->op) {
    case EQ_OP_INPUT:
        q = add_qnode(l, i, EQ_QOP_INPUT);
        q->cin = q->cout = 3;
        q->dst = (struct eq_qparams){1.0f / g->meta.pixel_std, g->meta.pixel_mean, 0, 255};
        return EQ_OK;
    case EQ_OP_CONV2D:
        return n->folded_bn >= 0 ? EQ_OK : lower_conv(l, i, i, err);
    case EQ_OP_BATCHNORM:
        if (g->nodes[n->src[0]].folded_bn != i)
            return refuse(g, i, "a batch norm that is not folded into its convolution", err);
        return lower_conv(l, n->src[0], i, err);
    case EQ_OP_MAXPOOL:
        q = add_qnode(l, i, EQ_QOP_MAXPOOL);
        q->cin = q->cout = l->m->nodes[q->src].cout;
        q->dst = l->m->nodes[q->src].dst;
        return EQ_OK;
    case EQ_OP_GLOBAL_AVG:
    case EQ_OP_TEMPORAL_MEAN:
        l->qnode[i] = l->qnode[n->src[0]];
        return EQ_OK;
    case EQ_OP_LINEAR:
        return lower_head(l, i, err);
    default:
        return refuse(g, i, "ReLU and add must be fused before lowering (eq_fuse)", err);
    }
}

enum eq_status eq_lower_int8(const struct eq_graph *prepared, const char *method, struct eq_qmodel **out,
                             struct eq_err *err)
{
    enum eq_status st;
    struct lowering l = {.g = prepared};
    struct eq_qdims *dims = NULL;
    size_t n = (size_t)prepared->n_nodes;
    *out = NULL;
    l.qnode = eq_alloc(n, sizeof *l.qnode);
    l.m = eq_alloc(1, sizeof *l.m);
    dims = eq_alloc(n, sizeof *dims);
    if (!l.qnode || !l.m || !dims || !(l.m->nodes = eq_alloc(n, sizeof *l.m->nodes))) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the integer graph");
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        l.qnode[i] = -1;
    l.m->meta = prepared->meta;
    snprintf(l.m->method, sizeof l.m->method, "%s", method);
    for (size_t i = 0; i < n; i++)
        EQ_TRY(lower_node(&l, (int)i, err));
    EQ_TRY(eq_qmodel_check_graph(l.m, err));
    EQ_TRY(eq_qmodel_check_weights(l.m, err));
    EQ_TRY(eq_qmodel_shapes(l.m, l.m->meta.frames, l.m->meta.size, dims, err));
    *out = l.m;
    l.m = NULL;
out:
    eq_qmodel_free(l.m);
    eq_free(l.qnode);
    eq_free(dims);
    return st;
}
