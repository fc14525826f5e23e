/* An FP32 graph seen as a model of mixed precision in which every layer stays in FP32. */
#include "device/net.h"
#include "quant/qmodel.h"

#include <string.h>

static enum eq_status add_weights(const struct eq_graph *g, const struct eq_node *n, struct eq_qnode *q,
                                  struct eq_err *err)
{
    if (n->bias < 0)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: a device needs a graph whose batch norm is folded", n->name);
    if (n->weight_fq >= 0 && g->fake_quants[n->weight_fq].enabled)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: a device runs no fake quantization of weights", n->name);
    q->fp32_weights = eq_param_data(&g->params[n->weight]);
    q->bias = eq_param_data(&g->params[n->bias]);
    q->fp32 = true;
    q->weight_bits = 32;
    return EQ_OK;
}

static enum eq_status add_node(const struct eq_graph *g, int i, struct eq_qmodel *out, struct eq_err *err)
{
    const struct eq_node *n = &g->nodes[i];
    struct eq_qnode *q = &out->nodes[out->n_nodes];
    if (n->edge_fq >= 0 && g->fake_quants[n->edge_fq].enabled)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: a device runs no fake quantization", n->name);
    *q = (struct eq_qnode){.src = n->src[0],
                           .residual = n->residual,
                           .cin = n->cin,
                           .cout = n->cout,
                           .k = n->k,
                           .stride = n->stride,
                           .pad = n->pad,
                           .relu = n->relu,
                           .fp32_edge = true};
    memcpy(q->name, n->name, sizeof q->name);
    switch (n->op) {
    case EQ_OP_INPUT:
        q->op = EQ_QOP_INPUT;
        q->cin = q->cout = 3;
        q->fp32_edge = false;
        q->dst = (struct eq_qparams){1.0f / g->meta.pixel_std, g->meta.pixel_mean, 0, 255};
        break;
    case EQ_OP_CONV2D:
        q->op = EQ_QOP_CONV2D;
        EQ_CHECK(add_weights(g, n, q, err));
        break;
    case EQ_OP_MAXPOOL:
        q->op = EQ_QOP_MAXPOOL;
        break;
    case EQ_OP_GLOBAL_AVG:
    case EQ_OP_TEMPORAL_MEAN:
        return EQ_OK; /* part of the head, which is the last node */
    case EQ_OP_LINEAR:
        if (i != g->output || i != g->n_nodes - 1 || i < 3 || n->src[0] != i - 1 ||
            g->nodes[i - 1].op != EQ_OP_TEMPORAL_MEAN || g->nodes[i - 1].src[0] != i - 2 ||
            g->nodes[i - 2].op != EQ_OP_GLOBAL_AVG)
            return eq_fail(err, EQ_UNSUPPORTED, "%s: a device needs a head over means of pixels and frames", n->name);
        q->op = EQ_QOP_HEAD;
        q->src = g->nodes[i - 2].src[0];
        q->k = 1;
        q->fp32_edge = false;
        EQ_CHECK(add_weights(g, n, q, err));
        break;
    default:
        return eq_fail(err, EQ_UNSUPPORTED, "%s: a device needs a graph that is folded and fused", n->name);
    }
    out->n_nodes++;
    return EQ_OK;
}

enum eq_status eq_device_floats_of_graph(const struct eq_graph *g, struct eq_qmodel *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *out = (struct eq_qmodel){.meta = g->meta};
    out->nodes = eq_alloc((size_t)g->n_nodes, sizeof *out->nodes);
    if (!out->nodes)
        return eq_fail(err, EQ_NOMEM, "out of memory for the device's network");
    for (int i = 0; i < g->n_nodes && st == EQ_OK; i++)
        st = add_node(g, i, out, err);
    if (st != EQ_OK)
        eq_device_floats_clear(out);
    return st;
}

void eq_device_floats_clear(struct eq_qmodel *m)
{
    eq_free(m->nodes);
    m->nodes = NULL;
}
