/* fold_batchnorm: conv + batch norm -> conv with bias (Jacob et al., CVPR 2018, 3.2). */
#include "echoquant/nn.h"
#include "model/graph.h"

#include <stdlib.h>
#include <string.h>

static bool folds_into(const struct eq_graph *g, const struct eq_node *bn)
{
    return bn->op == EQ_OP_BATCHNORM && g->nodes[bn->src[0]].op == EQ_OP_CONV2D && g->nodes[bn->src[0]].bias < 0 &&
           !g->nodes[bn->src[0]].relu && g->nodes[bn->src[0]].residual < 0 && eq_graph_uses(g, bn->src[0]) == 1;
}

/* Refuses what one convolution cannot express: its numbers would silently change. */
static enum eq_status check_fold(const struct eq_graph *g, const struct eq_node *bn, struct eq_err *err)
{
    const struct eq_node *conv = &g->nodes[bn->src[0]];
    if (!folds_into(g, bn))
        return eq_fail(err, EQ_UNSUPPORTED,
                       "%s: a batch norm that does not follow a plain convolution cannot be folded", bn->name);
    if (conv->edge_fq >= 0)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: fake-quant between convolution and batch norm cannot be folded",
                       conv->name);
    if (conv->weight_fq >= 0 && conv->folded_bn != bn - g->nodes)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: fake-quant on unfolded weights cannot be folded", conv->name);
    return EQ_OK;
}

/* Copies a parameter into the new graph (once), or passes -1 on. */
static bool copy_param(const struct eq_graph *from, int param, struct eq_graph *to, int *index)
{
    *index = param < 0 ? -1 : eq_graph_find_param(to, from->params[param].name);
    if (param >= 0 && *index < 0)
        *index = eq_graph_copy_param(to, &from->params[param]);
    return param < 0 || *index >= 0;
}

/* The values of the parameters "conv.weight" and "conv.bias" of the folded pair. QAT fake-quantizes this weight, to the
 * bit, in a convolution with folded_bn. factor: room for the channels. */
static void fold_values(const struct eq_graph *from, const struct eq_node *b, float *factor, float *weight, float *bias)
{
    const struct eq_param *params = from->params, *w = &params[from->nodes[b->src[0]].weight];
    const float *beta = eq_param_data(&params[b->beta]), *mean = eq_param_data(&params[b->running_mean]);
    eq_batchnorm_factor(eq_param_data(&params[b->gamma]), eq_param_data(&params[b->running_var]), b->eps, b->cout,
                        factor);
    eq_fake_quant_rows_forward(eq_param_data(w), b->cout, eq_param_count(w) / (size_t)b->cout, factor, NULL, 0, weight,
                               NULL);
    for (int c = 0; c < b->cout; c++)
        bias[c] = beta[c] - mean[c] * factor[c];
}

/* n is the new node. */
static bool fold_params(const struct eq_graph *from, int bn, struct eq_graph *to, struct eq_node *n)
{
    const struct eq_node *b = &from->nodes[bn], *conv = &from->nodes[b->src[0]];
    const struct eq_param *w = &from->params[conv->weight];
    struct eq_str key = {0};
    eq_str_add(&key, "%s.bias", conv->name);
    n->weight = eq_graph_add_param(to, w->name, w->value.rank, w->value.shape, true, true);
    n->bias = eq_graph_add_param(to, key.s, 1, (size_t[]){n->cout}, true, false);
    eq_str_clear(&key);
    float *factor = malloc((size_t)n->cout * sizeof(*factor));
    bool ok = n->weight >= 0 && n->bias >= 0 && factor;
    if (ok)
        fold_values(from, b, factor, eq_param_data(&to->params[n->weight]), eq_param_data(&to->params[n->bias]));
    free(factor);
    return ok;
}

/* The node that stands for node i in the folded graph; moved[] gives the new index of every producer. */
static bool translate(const struct eq_graph *from, int i, const int *moved, struct eq_graph *to, struct eq_node *n)
{
    const struct eq_node *old = &from->nodes[i];
    bool fold = old->op == EQ_OP_BATCHNORM;
    *n = fold ? from->nodes[old->src[0]] : *old;
    n->residual = old->residual < 0 ? -1 : moved[old->residual];
    n->relu = old->relu;
    n->edge_fq = old->edge_fq;
    n->folded_bn = -1;
    for (int k = 0; k < 2; k++)
        n->src[k] = n->src[k] < 0 ? -1 : moved[n->src[k]];
    if (fold)
        return fold_params(from, i, to, n);
    return copy_param(from, old->weight, to, &n->weight) && copy_param(from, old->bias, to, &n->bias);
}

/* Whether a batch norm takes the node in, so that it makes no node of its own. */
static bool absorbed(const struct eq_graph *g, int node)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EQ_OP_BATCHNORM && g->nodes[i].src[0] == node)
            return true;
    return false;
}

static bool fold_all(const struct eq_graph *g, int *moved, struct eq_graph *to)
{
    for (int i = 0; i < g->n_nodes; i++) {
        struct eq_node n;
        if (absorbed(g, i))
            continue;
        if (!translate(g, i, moved, to, &n) || (moved[i] = eq_graph_add_node(to, &n)) < 0)
            return false;
    }
    to->input = moved[g->input];
    to->output = moved[g->output];
    to->meta = g->meta;
    return true;
}

enum eq_status eq_fold_batchnorm(const struct eq_graph *g, struct eq_graph **out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_graph *to = NULL;
    int *moved = NULL;
    *out = NULL;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EQ_OP_BATCHNORM)
            EQ_TRY(check_fold(g, &g->nodes[i], err));
    to = calloc(1, sizeof(*to));
    moved = calloc((size_t)g->n_nodes, sizeof(*moved));
    if (!to || !moved || !eq_graph_copy_fake_quants(to, g) || !fold_all(g, moved, to))
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the folded model"));
    *out = to;
    to = NULL;
out:
    free(moved);
    eq_graph_free(to);
    return st;
}

/* ---- the same again ------------------------------------------------------ */

static float *values_named(const struct eq_graph *g, const char *conv, const char *kind)
{
    struct eq_str key = {0};
    eq_str_add(&key, "%s.%s", conv, kind);
    int i = eq_graph_find_param(g, key.s);
    eq_str_clear(&key);
    return i < 0 ? NULL : eq_param_data(&g->params[i]);
}

enum eq_status eq_fold_batchnorm_again(const struct eq_graph *g, struct eq_graph *folded, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    int most = 1;
    for (int i = 0; i < folded->n_params; i++) { /* those that folding copies, and weights, which it overwrites */
        int same = eq_graph_find_param(g, folded->params[i].name);
        if (same >= 0)
            memcpy(eq_param_data(&folded->params[i]), eq_param_data(&g->params[same]),
                   eq_tensor_bytes(&folded->params[i].value));
    }
    for (int i = 0; i < g->n_nodes; i++)
        most = g->nodes[i].cout > most ? g->nodes[i].cout : most;
    float *factor = malloc((size_t)most * sizeof *factor);
    if (!factor)
        return eq_fail(err, EQ_NOMEM, "out of memory for folding batch norms");
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *b = &g->nodes[i];
        if (b->op != EQ_OP_BATCHNORM)
            continue;
        const char *conv = g->nodes[b->src[0]].name;
        float *weight = values_named(folded, conv, "weight"), *bias = values_named(folded, conv, "bias");
        if (!weight || !bias)
            EQ_TRY(eq_fail(err, EQ_USAGE, "%s: not in the folded model", conv));
        fold_values(g, b, factor, weight, bias);
    }
out:
    free(factor);
    return st;
}
