/* Fake-quant on a graph, exactly where the integer engine rounds: each weight, and each edge that it stores. */
#include "quant/quant_graph.h"

const char *const eq_arithmetic_names[EQ_ARITHMETIC_COUNT + 1] = {"direct", "winograd"};

static enum eq_status refuse(const struct eq_graph *g, int node, const char *why, struct eq_err *err)
{
    char name[64];
    eq_layer_name(g, node, name);
    return eq_fail(err, EQ_UNSUPPORTED, "%s: %s", name, why);
}

static bool reads(const struct eq_node *n, int edge)
{
    return n->src[0] == edge || n->src[1] == edge || n->residual == edge;
}

/* Only its batch norm may read a convolution, whose sum is never stored. */
static enum eq_status check_conv(const struct eq_graph *g, int conv, int stored, struct eq_err *err)
{
    if (stored == conv)
        return EQ_OK;
    if (g->nodes[conv].relu || g->nodes[conv].residual >= 0)
        return refuse(g, conv, "ReLU or residual between convolution and batch norm cannot be folded", err);
    for (int i = 0; i < g->n_nodes; i++)
        if (i != stored && reads(&g->nodes[i], conv))
            return refuse(g, conv, "read by its batch norm and by another node", err);
    return EQ_OK;
}

static enum eq_status check_node(const struct eq_graph *g, int node, struct eq_err *err)
{
    const struct eq_node *n = &g->nodes[node];
    if (n->edge_fq >= 0 || n->weight_fq >= 0 || n->point_fq >= 0)
        return refuse(g, node, "has fake-quant already", err);
    if (n->op == EQ_OP_RELU || n->op == EQ_OP_ADD)
        return refuse(g, node, "ReLU and add must be fused before quantization (eq_fuse)", err);
    if (n->op == EQ_OP_BATCHNORM && g->nodes[n->src[0]].op != EQ_OP_CONV2D)
        return refuse(g, node, "a batch norm that follows no convolution cannot be folded", err);
    if (n->op == EQ_OP_CONV2D)
        return check_conv(g, node, eq_stored_edge(g, node), err);
    return EQ_OK;
}

/* The input is in another layout. */
static bool in_domain(const struct eq_graph *g, const struct eq_node *n, enum eq_arithmetic arithmetic)
{
    return arithmetic == EQ_ARITHMETIC_WINOGRAD && n->op == EQ_OP_CONV2D && n->k == 3 && n->stride == 1 &&
           n->pad == 1 && g->nodes[n->src[0]].op != EQ_OP_INPUT;
}

static enum eq_status add_fake_quant(struct eq_graph *g, int channels, int qmin, int qmax, int *index,
                                     struct eq_err *err)
{
    *index = eq_graph_add_fake_quant(g, channels, qmin, qmax);
    return *index < 0 ? eq_fail(err, EQ_NOMEM, "out of memory for fake-quant") : EQ_OK;
}

enum eq_status eq_prepare_fake_quant_for(struct eq_graph *g, int weight_bits, enum eq_arithmetic arithmetic,
                                         struct eq_err *err)
{
    struct eq_qparams weights;
    enum eq_status st = eq_qparams_symmetric(-1, 1, weight_bits, &weights, err);
    for (int i = 0; i < g->n_nodes && st == EQ_OK; i++)
        st = check_node(g, i, err);
    for (int i = 0; i < g->n_nodes && st == EQ_OK; i++) {
        struct eq_node *n = &g->nodes[i];
        bool points = in_domain(g, n, arithmetic);
        if (!eq_is_weighted(n))
            continue;
        EQ_CHECK(add_fake_quant(g, points ? EQ_DOMAIN_POINTS * n->cout : n->cout, weights.qmin, weights.qmax,
                                &n->weight_fq, err));
        if (n->op != EQ_OP_CONV2D)
            continue; /* the head's output is EF itself */
        int stored = eq_stored_edge(g, i);
        if (stored != i)
            n->folded_bn = stored;
        if (points)
            EQ_CHECK(add_fake_quant(g, EQ_DOMAIN_POINTS, 0, 255, &n->point_fq, err));
        EQ_CHECK(add_fake_quant(g, 1, 0, 255, &g->nodes[stored].edge_fq, err));
    }
    return st;
}

enum eq_status eq_prepare_fake_quant(struct eq_graph *g, int weight_bits, struct eq_err *err)
{
    return eq_prepare_fake_quant_for(g, weight_bits, EQ_ARITHMETIC_DIRECT, err);
}
