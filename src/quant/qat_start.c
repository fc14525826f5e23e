/* Activation ranges of a quantized file as the start of training with fake-quant. */
#include "quant/qmodel.h"
#include "quant/quant_graph.h"

#include <math.h>
#include <string.h>

static const struct eq_qnode *find_layer(const struct eq_graph *g, int conv, const struct eq_qmodel *m)
{
    char name[64];
    eq_layer_name(g, conv, name);
    for (int i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].op == EQ_QOP_CONV2D && strcmp(m->nodes[i].name, name) == 0)
            return &m->nodes[i];
    return NULL;
}

static bool same_layer(const struct eq_node *conv, const struct eq_node *stored, const struct eq_qnode *q)
{
    return q->cin == conv->cin && q->cout == conv->cout && q->k == conv->k && q->stride == conv->stride &&
           q->pad == conv->pad && q->relu == stored->relu && (q->residual >= 0) == (stored->residual >= 0);
}

/* Whether every weight of the file is the graph's (folded), rounded up or down, or clipped. It is not if the file has
 * another baseline, or if equalization or new statistics moved the weights before they were rounded. u: the transformed
 * weights of a layer in Winograd's domain, else NULL. */
static bool same_weights(const struct eq_graph *g, const struct eq_node *n, const float *u, const struct eq_qnode *q)
{
    const int qmax = (1 << (q->weight_bits - 1)) - 1;
    const float *w = u ? u : eq_param_data(&g->params[n->weight]);
    size_t rows = eq_qnode_rows(q), per = eq_qnode_weights(q) / rows;
    for (size_t row = 0; row < rows; row++) {
        float factor = u ? 1 : eq_fold_factor(g, n, (int)row), scale = q->weight_scale[row];
        for (size_t i = row * per; i < (row + 1) * per; i++) {
            float v = w[i] * factor / scale;
            if (!(fabsf(v - (float)q->weights[i]) < 1.01f || (q->weights[i] == qmax && v > 0) ||
                  (q->weights[i] == -qmax && v < 0)))
                return false;
        }
    }
    return true;
}

static enum eq_status check_layer(const struct eq_graph *g, int conv, const struct eq_qmodel *m, struct eq_err *err)
{
    const struct eq_node *n = &g->nodes[conv];
    const struct eq_qnode *q = find_layer(g, conv, m);
    if (!q || !same_layer(n, &g->nodes[eq_stored_edge(g, conv)], q))
        return eq_fail_layer(
            g, conv, EQ_USAGE,
            q ? "the quantized model has a layer of another shape" : "the quantized model has no such layer", err);
    if (q->domain != (n->point_fq >= 0) && !q->fp32)
        return eq_fail_layer(g, conv, EQ_USAGE, "the quantized model is of another arithmetic (direct or winograd)",
                             err);
    float *u = NULL;
    if (q->domain)
        EQ_CHECK(eq_transform_weights(g, conv, &u, err));
    bool same = q->weights && same_weights(g, n, u, q);
    eq_free(u);
    if (!same)
        return eq_fail_layer(g, conv, EQ_USAGE, "the quantized model's weights are not the baseline's, rounded", err);
    return EQ_OK;
}

/* The scales that the points really have: with the same source, they give the same multipliers again. */
static void take_points(struct eq_fake_quant *fq, const struct eq_qnode *q, float source)
{
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        fq->scale[p] = eq_domain_scale(source, q->point_mul[p]);
        fq->zero_point[p] = q->point_add[p];
    }
    fq->enabled = true;
}

enum eq_status eq_start_from_qmodel(struct eq_graph *prepared, const struct eq_qmodel *m, struct eq_err *err)
{
    for (int i = 0; i < prepared->n_nodes; i++) { /* nothing changes unless all layers fit */
        enum eq_status st = prepared->nodes[i].op == EQ_OP_CONV2D ? check_layer(prepared, i, m, err) : EQ_OK;
        if (st != EQ_OK)
            return st;
    }
    for (int i = 0; i < prepared->n_nodes; i++) {
        if (prepared->nodes[i].op != EQ_OP_CONV2D)
            continue;
        const struct eq_qnode *q = find_layer(prepared, i, m);
        struct eq_fake_quant *fq = &prepared->fake_quants[prepared->nodes[eq_stored_edge(prepared, i)].edge_fq];
        fq->scale[0] = q->dst.scale;
        fq->zero_point[0] = q->dst.zero_point;
        fq->enabled = true;
        if (q->domain)
            take_points(&prepared->fake_quants[prepared->nodes[i].point_fq], q, m->nodes[q->src].dst.scale);
    }
    return eq_update_weight_qparams(prepared, err);
}
