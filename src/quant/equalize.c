/* Cross-layer equalization: moves the scale of channels between two convolutions so that both use their range alike. */
#include "quant/quant_graph.h"

#include <math.h>

static int readers(const struct eq_graph *g, int edge, int *reader)
{
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *m = &g->nodes[i];
        n += (m->src[0] == edge) + (m->src[1] == edge) + (m->residual == edge);
        if (m->src[0] == edge)
            *reader = i;
    }
    return n;
}

/* The convolution that alone reads this one's output, through max pooling at most: scaling a channel by s > 0 commutes
 * with ReLU and max pooling. -1: none. */
static int only_successor(const struct eq_graph *g, int conv)
{
    int next = -1;
    if (readers(g, conv, &next) != 1 || next < 0)
        return -1;
    if (g->nodes[next].op == EQ_OP_MAXPOOL)
        return only_successor(g, next);
    return g->nodes[next].op == EQ_OP_CONV2D ? next : -1;
}

static float range_out(const struct eq_graph *g, const struct eq_node *n, int channel)
{
    size_t per = eq_weights_per_channel(g, n);
    const float *w = eq_param_data(&g->params[n->weight]) + (size_t)channel * per;
    float max = 0;
    for (size_t i = 0; i < per; i++)
        max = fmaxf(max, fabsf(w[i]));
    return max;
}

static float range_in(const struct eq_graph *g, const struct eq_node *n, int channel)
{
    int taps = n->k * n->k;
    const float *w = eq_param_data(&g->params[n->weight]);
    float max = 0;
    for (int oc = 0; oc < n->cout; oc++)
        for (int t = 0; t < taps; t++)
            max = fmaxf(max, fabsf(w[((size_t)oc * n->cin + channel) * taps + t]));
    return max;
}

static void scale_out(struct eq_graph *g, const struct eq_node *n, int channel, float by)
{
    size_t per = eq_weights_per_channel(g, n);
    float *w = eq_param_data(&g->params[n->weight]) + (size_t)channel * per;
    for (size_t i = 0; i < per; i++)
        w[i] *= by;
    if (n->bias >= 0)
        eq_param_data(&g->params[n->bias])[channel] *= by;
}

static void scale_in(struct eq_graph *g, const struct eq_node *n, int channel, float by)
{
    int taps = n->k * n->k;
    float *w = eq_param_data(&g->params[n->weight]);
    for (int oc = 0; oc < n->cout; oc++)
        for (int t = 0; t < taps; t++)
            w[((size_t)oc * n->cin + channel) * taps + t] *= by;
}

static void equalize_pair(struct eq_graph *g, const struct eq_node *a, const struct eq_node *b)
{
    for (int c = 0; c < a->cout; c++) {
        float ra = range_out(g, a, c), rb = range_in(g, b, c);
        float s = ra / sqrtf(ra * rb);
        if (!isfinite(s) || s <= 0)
            continue; /* a dead channel: nothing to balance */
        scale_out(g, a, c, 1.0f / s);
        scale_in(g, b, c, s);
    }
}

enum eq_status eq_cross_layer_equalize(struct eq_graph *folded, int *pairs, struct eq_err *err)
{
    int n = 0;
    for (int i = 0; i < folded->n_nodes; i++) {
        const struct eq_node *a = &folded->nodes[i];
        if (a->op == EQ_OP_BATCHNORM || a->weight_fq >= 0)
            return eq_fail(err, EQ_UNSUPPORTED, "%s: equalization comes after folding and before preparation", a->name);
        /* Behind a residual the channel is not this convolution's alone. */
        int next = a->op == EQ_OP_CONV2D && a->residual < 0 ? only_successor(folded, i) : -1;
        if (next < 0)
            continue;
        equalize_pair(folded, a, &folded->nodes[next]);
        n++;
    }
    if (pairs)
        *pairs = n;
    return EQ_OK;
}
