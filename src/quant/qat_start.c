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
 * another baseline, or if equalization or new statistics moved the weights before they were rounded. */
static bool same_weights(const struct eq_graph *g, const struct eq_node *n, const struct eq_qnode *q)
{
    const int qmax = (1 << (q->weight_bits - 1)) - 1;
    size_t per = eq_weights_per_channel(g, n);
    for (int c = 0; c < n->cout; c++) {
        float factor = eq_fold_factor(g, n, c), scale = q->weight_scale[c];
        for (size_t i = (size_t)c * per; i < ((size_t)c + 1) * per; i++) {
            float v = eq_param_data(&g->params[n->weight])[i] * factor / scale;
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
    if (!q->weights || !same_weights(g, n, q))
        return eq_fail_layer(g, conv, EQ_USAGE, "the quantized model's weights are not the baseline's, rounded", err);
    return EQ_OK;
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
    }
    return eq_update_weight_qparams(prepared, err);
}
