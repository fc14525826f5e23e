/* Helpers that several passes share. */
#include "quant/quant_graph.h"
#include "echoquant/nn.h"

#include <math.h>
#include <string.h>

int eq_stored_edge(const struct eq_graph *g, int conv)
{
    for (int i = conv + 1; i < g->n_nodes; i++)
        if (g->nodes[i].op == EQ_OP_BATCHNORM && g->nodes[i].src[0] == conv)
            return i;
    return conv;
}

size_t eq_weights_per_channel(const struct eq_graph *g, const struct eq_node *n)
{
    return eq_param_count(&g->params[n->weight]) / (size_t)n->cout;
}

void eq_layer_name(const struct eq_graph *g, int node, char name[64])
{
    const struct eq_node *n = &g->nodes[node];
    if (n->op == EQ_OP_BATCHNORM && n->src[0] >= 0 && g->nodes[n->src[0]].op == EQ_OP_CONV2D)
        n = &g->nodes[n->src[0]];
    const char *from = eq_is_weighted(n) && n->weight >= 0 ? g->params[n->weight].name : n->name;
    size_t len = strlen(from);
    if (from != n->name && len > 7 && strcmp(from + len - 7, ".weight") == 0)
        len -= 7;
    if (len > 63)
        len = 63;
    memcpy(name, from, len);
    name[len] = '\0';
}

float eq_fold_factor(const struct eq_graph *g, const struct eq_node *n, int channel)
{
    if (n->folded_bn < 0)
        return 1;
    const struct eq_node *bn = &g->nodes[n->folded_bn];
    float factor;
    eq_batchnorm_factor(eq_param_data(&g->params[bn->gamma]) + channel,
                        eq_param_data(&g->params[bn->running_var]) + channel, bn->eps, 1, &factor);
    return factor;
}

enum eq_status eq_transform_weights(const struct eq_graph *g, int node, float **u, struct eq_err *err)
{
    const struct eq_node *n = &g->nodes[node];
    float *factor = eq_alloc((size_t)n->cout, sizeof *factor);
    *u = eq_alloc((size_t)EQ_DOMAIN_POINTS * (size_t)n->cout, (size_t)n->cin * sizeof **u);
    if (!factor || !*u) {
        eq_free(factor);
        return eq_fail_layer(g, node, EQ_NOMEM, "out of memory for transformed weights", err);
    }
    for (int c = 0; c < n->cout; c++)
        factor[c] = eq_fold_factor(g, n, c);
    eq_domain_weights_forward(eq_param_data(&g->params[n->weight]), n->cout, n->cin, factor, *u);
    eq_free(factor);
    return EQ_OK;
}

float eq_source_scale(const struct eq_graph *g, int source)
{
    while (g->nodes[source].op == EQ_OP_MAXPOOL)
        source = g->nodes[source].src[0];
    const struct eq_fake_quant *fq = g->nodes[source].edge_fq < 0 ? NULL : &g->fake_quants[g->nodes[source].edge_fq];
    return fq && !fq->bypass ? fq->scale[0] : 0;
}

int eq_zero_channels(const struct eq_graph *g, int node, int *first)
{
    const struct eq_node *n = &g->nodes[node];
    int zero = 0;
    *first = -1;
    if (!eq_is_weighted(n))
        return 0;
    size_t per = eq_weights_per_channel(g, n);
    for (int c = 0; c < n->cout; c++) {
        const float *w = eq_param_data(&g->params[n->weight]) + (size_t)c * per;
        float factor = eq_fold_factor(g, n, c);
        size_t k = 0;
        while (k < per && w[k] * factor == 0)
            k++;
        if (k == per && zero++ == 0)
            *first = c;
    }
    return zero;
}

int eq_quantize_weight(float x, float inv_scale, int qmin, int qmax)
{
    float q = nearbyintf(x * inv_scale);
    return (int)(q < (float)qmin ? (float)qmin : q > (float)qmax ? (float)qmax : q);
}

enum eq_status eq_layer_context(const struct eq_graph *g, int node, enum eq_status status, struct eq_err *err)
{
    char name[64];
    eq_layer_name(g, node, name);
    eq_err_context(err, "%s", name);
    return status;
}

enum eq_status eq_fail_layer(const struct eq_graph *g, int node, enum eq_status status, const char *text,
                             struct eq_err *err)
{
    eq_fail(err, status, "%s", text);
    return eq_layer_context(g, node, status, err);
}

static bool is_ready(const struct eq_graph *g, const struct eq_node *n)
{
    const struct eq_fake_quant *fq = n->weight_fq >= 0 ? &g->fake_quants[n->weight_fq] : NULL;
    return n->bias >= 0 && fq && (fq->enabled || fq->bypass);
}

enum eq_status eq_check_calibrated(const struct eq_graph *g, const char *purpose, struct eq_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        bool ready = !eq_is_weighted(n) || is_ready(g, n);
        if (n->op == EQ_OP_BATCHNORM || !ready) {
            eq_fail(err, EQ_UNSUPPORTED, "%s needs a folded and calibrated graph", purpose);
            return eq_layer_context(g, i, EQ_UNSUPPORTED, err);
        }
    }
    return EQ_OK;
}
