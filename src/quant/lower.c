/* From a prepared graph to the integer graph: batch norm is folded with the very factor that QAT's fake-quant saw, then
 * the weights are rounded. */
#include "quant/qmodel.h"
#include "quant/quant_graph.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct lowering {
    const struct eq_graph *g;
    struct eq_qmodel *m;
    int *qnode; /* [g->n_nodes]: the integer node that makes a graph node's edge; -1: none yet */
};

/* Checks that every scale is set and usable. */
static enum eq_status check_fake_quant(const struct eq_graph *g, int node, int fq, int channels, struct eq_err *err)
{
    const struct eq_fake_quant *q = fq >= 0 ? &g->fake_quants[fq] : NULL;
    if (q && q->bypass)
        return EQ_OK;
    if (!q || !q->enabled)
        return eq_fail_layer(g, node, EQ_UNSUPPORTED, "has no qparams: calibrate before lowering", err);
    if (q->channels != channels)
        return eq_fail_layer(g, node, EQ_UNSUPPORTED, "has qparams for another number of channels", err);
    for (int c = 0; c < channels; c++)
        if (!isfinite(q->scale[c]) || q->scale[c] <= 0)
            return eq_fail_layer(g, node, EQ_UNSUPPORTED, "has a scale that is 0, NaN or infinite", err);
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

struct rounding {
    const struct eq_fake_quant *fq;
    const float *weights;
    size_t per; /* weights of a row, which has a scale */
    int8_t *out;
    size_t bad; /* the first row that is not finite */
};

/* As eq_quantize_weight. */
static void round_row(void *ctx, size_t c, int worker)
{
    struct rounding *j = ctx;
    const float *w = j->weights + c * j->per;
    const float inv = 1.0f / j->fq->scale[c], lo = (float)j->fq->qmin, hi = (float)j->fq->qmax;
    int8_t *out = j->out + c * j->per;
    bool finite = true;
    (void)worker;
    for (size_t i = 0; i < j->per; i++) {
        float q = w[i] * inv;
        q = q < lo ? lo : q > hi ? hi : q;
        out[i] = (int8_t)eq_round_small(q);
        finite &= fabsf(w[i]) <= FLT_MAX;
    }
    size_t first = __atomic_load_n(&j->bad, __ATOMIC_RELAXED);
    while (!finite && c < first &&
           !__atomic_compare_exchange_n(&j->bad, &first, c, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static enum eq_status round_weights(const struct eq_fake_quant *fq, const float *w, struct eq_qnode *q,
                                    struct eq_err *err)
{
    size_t rows = eq_qnode_rows(q);
    memcpy(q->weight_scale, fq->scale, rows * sizeof *fq->scale);
    struct rounding job = {fq, w, eq_qnode_weights(q) / rows, q->weights, rows};
    eq_parallel_for(rows, round_row, &job);
    if (job.bad < rows)
        return eq_fail(err, EQ_NUMERIC, "%s: the weights of channel %zu are NaN or infinite", q->name,
                       job.bad % (size_t)q->cout);
    return EQ_OK;
}

/* A layer that stays in FP32 keeps its weights; those of any other are rounded, in Winograd's domain after their
 * transform. */
static enum eq_status take_weights(const struct eq_graph *g, int node, struct eq_qnode *q, struct eq_err *err)
{
    const struct eq_node *n = &g->nodes[node];
    const struct eq_fake_quant *fq = &g->fake_quants[n->weight_fq];
    const float *w = eq_param_data(&g->params[n->weight]);
    float *u = NULL;
    q->fp32 = fq->bypass;
    q->domain = n->point_fq >= 0 && !q->fp32;
    for (q->weight_bits = fq->bypass ? 32 : 2; !fq->bypass && (1 << (q->weight_bits - 1)) - 1 < fq->qmax;)
        q->weight_bits++;
    EQ_CHECK(eq_qnode_alloc(q, err));
    if (n->bias >= 0)
        memcpy(q->bias, eq_param_data(&g->params[n->bias]), (size_t)q->cout * sizeof *q->bias);
    if (q->fp32) {
        memcpy(q->fp32_weights, w, eq_qnode_weights(q) * sizeof *w);
        return EQ_OK;
    }
    enum eq_status st = q->domain ? eq_transform_weights(g, node, &u, err) : EQ_OK;
    if (st == EQ_OK)
        st = round_weights(fq, q->domain ? u : w, q, err);
    eq_free(u);
    return st;
}

static enum eq_status lower_conv(struct lowering *l, int conv, struct eq_err *err)
{
    const struct eq_graph *g = l->g;
    const struct eq_node *n = &g->nodes[conv];
    const int rows = n->point_fq >= 0 ? EQ_DOMAIN_POINTS * n->cout : n->cout;
    EQ_CHECK(check_fake_quant(g, conv, n->weight_fq, rows, err));
    if (n->point_fq >= 0)
        EQ_CHECK(check_fake_quant(g, conv, n->point_fq, EQ_DOMAIN_POINTS, err));
    EQ_CHECK(check_fake_quant(g, conv, n->edge_fq, 1, err));
    struct eq_qnode *q = add_qnode(l, conv, EQ_QOP_CONV2D);
    const struct eq_fake_quant *fq = &g->fake_quants[n->edge_fq];
    q->residual = n->residual >= 0 ? l->qnode[n->residual] : -1;
    q->relu = n->relu;
    q->fp32_edge = fq->bypass;
    if (!fq->bypass)
        q->dst = (struct eq_qparams){fq->scale[0], fq->zero_point[0], fq->qmin, fq->qmax};
    return take_weights(g, conv, q, err);
}

static enum eq_status lower_head(struct lowering *l, int node, struct eq_err *err)
{
    const struct eq_graph *g = l->g;
    const struct eq_node *n = &g->nodes[node], *mean = &g->nodes[n->src[0]];
    if (mean->op != EQ_OP_TEMPORAL_MEAN || g->nodes[mean->src[0]].op != EQ_OP_GLOBAL_AVG)
        return eq_fail_layer(g, node, EQ_UNSUPPORTED, "the head must follow the mean over pixels and frames", err);
    enum eq_status st = check_fake_quant(g, node, n->weight_fq, n->cout, err);
    if (st != EQ_OK)
        return st;
    struct eq_qnode *q = add_qnode(l, node, EQ_QOP_HEAD);
    q->k = q->stride = 1;
    q->pad = 0;
    return take_weights(g, node, q, err);
}

static enum eq_status lower_node(struct lowering *l, int i, struct eq_err *err)
{
    const struct eq_graph *g = l->g;
    const struct eq_node *n = &g->nodes[i];
    struct eq_qnode *q;
    if ((is_pooled(g, n->src[0]) || is_pooled(g, n->residual)) && n->op != EQ_OP_TEMPORAL_MEAN && n->op != EQ_OP_LINEAR)
        return eq_fail_layer(g, i, EQ_UNSUPPORTED, "reads pooled sums, which only the head does", err);
    switch (n->op) {
    case EQ_OP_INPUT:
        q = add_qnode(l, i, EQ_QOP_INPUT);
        q->cin = q->cout = 3;
        return EQ_OK;
    case EQ_OP_CONV2D:
        return lower_conv(l, i, err);
    case EQ_OP_MAXPOOL:
        q = add_qnode(l, i, EQ_QOP_MAXPOOL);
        q->cin = q->cout = l->m->nodes[q->src].cout;
        q->fp32_edge = l->m->nodes[q->src].fp32_edge;
        return EQ_OK;
    case EQ_OP_GLOBAL_AVG:
    case EQ_OP_TEMPORAL_MEAN:
        l->qnode[i] = l->qnode[n->src[0]];
        return EQ_OK;
    case EQ_OP_LINEAR:
        return lower_head(l, i, err);
    default:
        return eq_fail_layer(g, i, EQ_UNSUPPORTED, "ReLU and add must be fused before lowering (eq_fuse)", err);
    }
}

/* Multipliers of points, when all qparams are known. */
static void lower_points(struct lowering *l)
{
    for (int i = 0; i < l->g->n_nodes; i++) {
        const struct eq_node *n = &l->g->nodes[i];
        struct eq_qnode *q = &l->m->nodes[l->qnode[i]];
        if (n->op != EQ_OP_CONV2D || !q->domain)
            continue;
        const struct eq_fake_quant *fq = &l->g->fake_quants[n->point_fq];
        for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
            q->point_mul[p] = eq_domain_mul(l->m->nodes[q->src].dst.scale, fq->scale[p]);
            q->point_add[p] = fq->zero_point[p];
        }
    }
}

static enum eq_status lower_all(struct lowering *l, const char *method, struct eq_err *err)
{
    enum eq_status st;
    size_t n = (size_t)l->g->n_nodes;
    l->qnode = eq_alloc(n, sizeof *l->qnode);
    l->m = eq_alloc(1, sizeof *l->m);
    if (!l->qnode || !l->m || !(l->m->nodes = eq_alloc(n, sizeof *l->m->nodes)))
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the integer graph"));
    l->m->meta = l->g->meta;
    snprintf(l->m->method, sizeof l->m->method, "%s", method);
    for (int i = 0; i < l->g->n_nodes; i++)
        EQ_TRY(lower_node(l, i, err));
    EQ_TRY(eq_qmodel_check_graph(l->m, err));
    eq_qmodel_derive_qparams(l->m);
    lower_points(l);
    EQ_TRY(eq_qmodel_check_values(l->m, err));
    EQ_TRY(eq_qmodel_check_form(l->m, err));
out:
    eq_free(l->qnode);
    return st;
}

enum eq_status eq_lower_int8(const struct eq_graph *prepared, const char *method, struct eq_qmodel **out,
                             struct eq_err *err)
{
    struct eq_graph *folded;
    *out = NULL;
    enum eq_status st = eq_fold_batchnorm(prepared, &folded, err);
    if (st != EQ_OK)
        return st;
    struct lowering l = {.g = folded};
    st = lower_all(&l, method, err);
    if (st == EQ_OK)
        *out = l.m;
    else
        eq_qmodel_free(l.m);
    eq_graph_free(folded);
    return st;
}
