/* fuse: addition and ReLU move into the convolution or batch norm that produces their operand. */
#include "model/graph.h"

#include <stdlib.h>

/* Whether the output of node a exists for its one consumer only, and a can still take something behind it. */
static bool open_end(const struct eq_graph *g, int a)
{
    const struct eq_node *n = &g->nodes[a];
    return (n->op == EQ_OP_CONV2D || n->op == EQ_OP_BATCHNORM) && !n->relu && n->edge_fq < 0 && a != g->output &&
           eq_graph_uses(g, a) == 1;
}

/* Node a takes the place of node i, its consumer: nobody reads a in between, and everything that i needs is there. */
static void merge(struct eq_graph *g, int a, int i, bool *dead)
{
    int edge_fq = g->nodes[i].edge_fq;
    g->nodes[i] = g->nodes[a];
    g->nodes[i].edge_fq = edge_fq;
    dead[a] = true;
    g->nodes[a] = eq_node_of(EQ_OP_INPUT, -1); /* reads nothing from now on */
    for (int k = 0; k < g->n_nodes; k++)
        if (g->nodes[k].folded_bn == a)
            g->nodes[k].folded_bn = i;
}

static void fuse_add(struct eq_graph *g, int i, bool *dead)
{
    int a = g->nodes[i].src[0], other = g->nodes[i].src[1];
    if (a == other || !open_end(g, a) || g->nodes[a].residual >= 0)
        return;
    merge(g, a, i, dead);
    g->nodes[i].residual = other;
}

static void fuse_relu(struct eq_graph *g, int i, bool *dead)
{
    int a = g->nodes[i].src[0];
    if (!open_end(g, a))
        return;
    merge(g, a, i, dead);
    g->nodes[i].relu = true;
}

static int moved_to(const int *moved, int i)
{
    return i < 0 ? -1 : moved[i];
}

/* Closes the gaps that merged nodes left. */
static void compact(struct eq_graph *g, const bool *dead, int *moved)
{
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        moved[i] = dead[i] ? -1 : n++;
    for (int i = 0; i < g->n_nodes; i++) {
        if (dead[i])
            continue;
        struct eq_node node = g->nodes[i];
        node.src[0] = moved_to(moved, node.src[0]);
        node.src[1] = moved_to(moved, node.src[1]);
        node.residual = moved_to(moved, node.residual);
        node.folded_bn = moved_to(moved, node.folded_bn);
        g->nodes[moved[i]] = node;
    }
    g->n_nodes = n;
    g->input = moved[g->input];
    g->output = moved[g->output];
}

enum eq_status eq_fuse(struct eq_graph *g, struct eq_err *err)
{
    bool *dead = calloc((size_t)g->n_nodes, sizeof(*dead));
    int *moved = calloc((size_t)g->n_nodes, sizeof(*moved));
    if (!dead || !moved) {
        free(dead);
        free(moved);
        return eq_fail(err, EQ_NOMEM, "out of memory while fusing the model");
    }
    for (int i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op == EQ_OP_ADD)
            fuse_add(g, i, dead);
        if (g->nodes[i].op == EQ_OP_RELU)
            fuse_relu(g, i, dead);
    }
    compact(g, dead, moved);
    free(dead);
    free(moved);
    return EQ_OK;
}
