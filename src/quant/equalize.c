/* Cross-layer equalization: moves scale between two convolutions, channel by channel, so that both have the same
 * range. */
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

/* The convolution that is the only reader of this one's output, directly or through max pooling: scaling a channel by
 * s > 0 commutes with ReLU and max pooling. -1: none. */
static int only_successor(const struct eq_graph *g, int conv)
{
    int next = -1;
    if (readers(g, conv, &next) != 1 || next < 0)
        return -1;
    if (g->nodes[next].op == EQ_OP_MAXPOOL)
        return only_successor(g, next);
    return g->nodes[next].op == EQ_OP_CONV2D ? next : -1;
}

/* The weights of one channel: blocks of n values, a stride apart. */
struct channel {
    float *w;
    size_t blocks, stride, n;
};

static struct channel channel_out(const struct eq_graph *g, const struct eq_node *n, int channel)
{
    size_t per = eq_weights_per_channel(g, n);
    return (struct channel){eq_param_data(&g->params[n->weight]) + (size_t)channel * per, 1, per, per};
}

static struct channel channel_in(const struct eq_graph *g, const struct eq_node *n, int channel)
{
    size_t taps = (size_t)n->k * n->k;
    return (struct channel){eq_param_data(&g->params[n->weight]) + (size_t)channel * taps, n->cout, n->cin * taps,
                            taps};
}

static float range_of(struct channel c)
{
    float max = 0;
    for (size_t i = 0; i < c.blocks * c.n; i++)
        max = fmaxf(max, fabsf(c.w[i / c.n * c.stride + i % c.n]));
    return max;
}

static void scale_by(struct channel c, float by)
{
    for (size_t i = 0; i < c.blocks * c.n; i++)
        c.w[i / c.n * c.stride + i % c.n] *= by;
}

static void equalize_pair(struct eq_graph *g, const struct eq_node *a, const struct eq_node *b)
{
    for (int c = 0; c < a->cout; c++) {
        struct channel out = channel_out(g, a, c), in = channel_in(g, b, c);
        float ra = range_of(out), rb = range_of(in);
        float s = ra / sqrtf(ra * rb);
        if (!isfinite(s) || s <= 0)
            continue; /* a dead channel: nothing to balance */
        scale_by(out, 1.0f / s);
        scale_by(in, s);
        if (a->bias >= 0)
            eq_param_data(&g->params[a->bias])[c] *= 1.0f / s;
    }
}

enum eq_status eq_cross_layer_equalize(struct eq_graph *folded, int *pairs, struct eq_err *err)
{
    int n = 0;
    for (int i = 0; i < folded->n_nodes; i++) {
        const struct eq_node *a = &folded->nodes[i];
        if (a->op == EQ_OP_BATCHNORM || a->weight_fq >= 0)
            return eq_fail(err, EQ_UNSUPPORTED, "%s: equalization comes after folding and before preparation", a->name);
        /* After a residual sum, the channel is not this convolution's alone. */
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
