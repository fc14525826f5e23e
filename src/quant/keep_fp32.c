/*
 * Mixed precision: layers that stay in FP32. Such a layer keeps its weights and computes in floats. It reads the
 * stored edges of its sources, and stores bytes as any other layer does, unless only layers in FP32 read it: then its
 * edge stays in floats. With all layers kept, the network is the FP32 network.
 */
#include "quant/quant_graph.h"

#include <stdlib.h>
#include <string.h>

/* Whether everything that reads this edge computes in FP32; pooling passes the question on. */
static bool readers_in_fp32(const struct eq_graph *g, const bool *keep, int edge)
{
    for (int i = edge + 1; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        if (n->src[0] != edge && n->src[1] != edge && n->residual != edge)
            continue;
        if (!(eq_is_weighted(n) ? keep[i] : readers_in_fp32(g, keep, i)))
            return false;
    }
    return true;
}

static void set_bypass(struct eq_fake_quant *fq, bool bypass)
{
    fq->enabled = !bypass;
    fq->bypass = bypass;
}

enum eq_status eq_keep_fp32(struct eq_graph *calibrated, const bool *keep, struct eq_err *err)
{
    for (int i = 0; i < calibrated->n_nodes; i++) {
        const struct eq_node *n = &calibrated->nodes[i];
        if (n->op == EQ_OP_BATCHNORM || (eq_is_weighted(n) && n->weight_fq < 0))
            return eq_fail(err, EQ_UNSUPPORTED, "%s: mixed precision needs a folded and calibrated graph", n->name);
    }
    for (int i = 0; i < calibrated->n_nodes; i++) {
        const struct eq_node *n = &calibrated->nodes[i];
        if (n->weight_fq >= 0)
            set_bypass(&calibrated->fake_quants[n->weight_fq], keep[i]);
        if (n->point_fq >= 0)
            set_bypass(&calibrated->fake_quants[n->point_fq], keep[i]);
        if (n->edge_fq >= 0)
            set_bypass(&calibrated->fake_quants[n->edge_fq], keep[i] && readers_in_fp32(calibrated, keep, i));
    }
    return EQ_OK;
}

static void copy_param(struct eq_graph *to, const struct eq_graph *from, int param)
{
    const struct eq_tensor *value = &from->params[param].value;
    memcpy(to->params[param].value.data, value->data, eq_tensor_bytes(value));
}

enum eq_status eq_mix_precision(struct eq_graph *work, const struct eq_graph *calibrated, const struct eq_graph *fp32,
                                const bool *keep, struct eq_err *err)
{
    enum eq_status st = eq_keep_fp32(work, keep, err);
    for (int i = 0; i < work->n_nodes && st == EQ_OK; i++) {
        const struct eq_node *n = &work->nodes[i];
        if (!eq_is_weighted(n))
            continue;
        copy_param(work, keep[i] ? fp32 : calibrated, n->weight);
        copy_param(work, keep[i] ? fp32 : calibrated, n->bias);
    }
    return st;
}

void eq_enable_fake_quant(struct eq_graph *g, bool on)
{
    for (int i = 0; i < g->n_fake_quants; i++)
        g->fake_quants[i].enabled = on && !g->fake_quants[i].bypass;
}

enum eq_status eq_find_layer(const struct eq_graph *g, const char *name, int *node, struct eq_err *err)
{
    const char *names[256], *nearest;
    char text[256][64];
    size_t n = 0;
    for (*node = 0; *node < g->n_nodes; ++*node) {
        if (!eq_is_weighted(&g->nodes[*node]) || n == 256)
            continue;
        eq_layer_name(g, *node, text[n]);
        if (strcmp(text[n], name) == 0)
            return EQ_OK;
        names[n] = text[n];
        n++;
    }
    nearest = eq_nearest(name, names, n);
    return eq_fail(err, EQ_USAGE, "there is no layer \"%.63s\"%s%s%s", name, nearest ? "; did you mean " : "",
                   nearest ? nearest : "", nearest ? "?" : "");
}
