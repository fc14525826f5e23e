/* Shapes of all edges, and the graphs that the executor refuses. */
#include "model/exec.h"

static enum eq_status shape_of_window(const struct eq_node *n, const struct exec_node *src, struct exec_node *nd,
                                      struct eq_err *err)
{
    int h = src->h + 2 * n->pad - n->k, w = src->w + 2 * n->pad - n->k;
    if (n->k < 1 || n->stride < 1 || n->pad < 0 || h < 0 || w < 0)
        return eq_fail(err, EQ_USAGE, "%s: a window of %d does not fit into %d x %d pixels", n->name, n->k, src->h,
                       src->w);
    nd->h = h / n->stride + 1;
    nd->w = w / n->stride + 1;
    return EQ_OK;
}

/* t, h, w, c of a node's output from its source's. */
static enum eq_status shape_of(const struct eq_exec *x, int i, struct eq_err *err)
{
    const struct eq_node *n = &x->g->nodes[i];
    struct exec_node *nd = &x->nodes[i];
    if (n->src[0] >= i || n->src[1] >= i || n->residual >= i || (n->src[0] < 0) != (n->op == EQ_OP_INPUT))
        return eq_fail(err, EQ_USAGE, "%s: its sources must come before it", n->name);
    if (n->op == EQ_OP_INPUT) {
        nd->t = x->frames;
        nd->h = nd->w = x->size;
        nd->c = 3;
        return EQ_OK;
    }
    const struct exec_node *src = &x->nodes[n->src[0]];
    if (src->c != n->cin)
        return eq_fail(err, EQ_USAGE, "%s: takes %d channels, its source has %d", n->name, n->cin, src->c);
    *nd = (struct exec_node){.t = src->t, .h = src->h, .w = src->w, .c = n->cout};
    switch (n->op) {
    case EQ_OP_CONV2D:
    case EQ_OP_MAXPOOL:
        return shape_of_window(n, src, nd, err);
    case EQ_OP_TEMPORAL_MEAN:
    case EQ_OP_LINEAR:
        nd->t = nd->h = nd->w = 1;
        return EQ_OK;
    case EQ_OP_GLOBAL_AVG:
        nd->h = nd->w = 1;
        return EQ_OK;
    default:
        return EQ_OK;
    }
}

enum eq_status eq_exec_infer_shapes(struct eq_exec *x, struct eq_err *err)
{
    for (int i = 0; i < x->g->n_nodes; i++) {
        enum eq_status st = shape_of(x, i, err);
        if (st != EQ_OK)
            return st;
        struct exec_node *nd = &x->nodes[i];
        if (!eq_mul_size((size_t)nd->h * (size_t)nd->w, (size_t)x->clips * (size_t)nd->t, &nd->rows) ||
            !eq_mul_size(nd->rows, (size_t)nd->c, &nd->n) || nd->n > SIZE_MAX / 16)
            return eq_fail(err, EQ_USAGE, "%s: %d clips of %d frames at %d pixels are too many", x->g->nodes[i].name,
                           x->clips, x->frames, x->size);
    }
    return EQ_OK;
}

static bool same_shape(const struct exec_node *a, const struct exec_node *b)
{
    return a->t == b->t && a->h == b->h && a->w == b->w && a->c == b->c;
}

static enum eq_status check_operands(const struct eq_exec *x, int i, struct eq_err *err)
{
    const struct eq_node *n = &x->g->nodes[i];
    int other = n->op == EQ_OP_ADD ? n->src[1] : n->residual;
    if (other >= 0 && !same_shape(&x->nodes[i], &x->nodes[other]))
        return eq_fail(err, EQ_USAGE, "%s: its two operands differ in shape", n->name);
    if (n->edge_fq >= 0 && x->g->fake_quants[n->edge_fq].channels != 1)
        return eq_fail(err, EQ_USAGE, "%s: fake-quant of an edge has one scale", n->name);
    if (n->weight_fq >= 0) {
        int channels = x->g->fake_quants[n->weight_fq].channels;
        if (channels != 1 && channels != n->cout)
            return eq_fail(err, EQ_USAGE, "%s: %d weight scales for %d output channels", n->name, channels, n->cout);
    }
    if (n->folded_bn >= 0 && x->g->nodes[n->folded_bn].src[0] != i)
        return eq_fail(err, EQ_USAGE, "%s: the batch norm folded into it does not follow it", n->name);
    return EQ_OK;
}

/* The passes that write their source's gradient whole need to be the only ones that give one. */
static enum eq_status check_training(const struct eq_exec *x, int i, struct eq_err *err)
{
    const struct eq_graph *g = x->g;
    const struct eq_node *n = &g->nodes[i];
    bool sums = n->op == EQ_OP_CONV2D || n->op == EQ_OP_ADD || n->op == EQ_OP_INPUT;
    if (!sums && eq_graph_uses(g, n->src[0]) != 1)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: its source has other consumers, which training can't handle", n->name);
    if (n->op == EQ_OP_BATCHNORM && !n->bn_frozen && x->nodes[i].rows < 2)
        return eq_fail(err, EQ_USAGE, "%s: batch norm needs more than one value per channel; use more clips or frames",
                       n->name);
    return EQ_OK;
}

enum eq_status eq_exec_check(const struct eq_exec *x, struct eq_err *err)
{
    const struct eq_graph *g = x->g;
    enum eq_status st = EQ_OK;
    for (int i = 0; i < g->n_nodes; i++) {
        EQ_TRY(check_operands(x, i, err));
        if (x->mode == EQ_EXEC_TRAIN)
            EQ_TRY(check_training(x, i, err));
        if (x->mode == EQ_EXEC_SIMULATE && g->nodes[i].op == EQ_OP_BATCHNORM)
            st = eq_fail(err, EQ_UNSUPPORTED, "%s: simulation needs a folded graph", g->nodes[i].name);
        if (st != EQ_OK)
            goto out;
    }
    if (x->nodes[g->output].n != (size_t)x->clips)
        st = eq_fail(err, EQ_USAGE, "%s: the output must be one value per clip", g->nodes[g->output].name);
out:
    return st;
}
