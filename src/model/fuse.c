/* fuse: addition and ReLU move into the convolution or batch norm that produces their operand. */
#include "model/graph.h"

#include <stdlib.h>

enum { MERGED = -1 }; /* new index of a node that another one took in */

/* Whether node a's output has one consumer only, and a can still take in an operation after it. */
static bool open_end(const struct eq_graph *g, int a)
{
    const struct eq_node *n = &g->nodes[a];
    return (n->op == EQ_OP_CONV2D || n->op == EQ_OP_BATCHNORM) && !n->relu && n->edge_fq < 0 && a != g->output &&
           eq_graph_uses(g, a) == 1;
}

/* Merges node i, an addition or a ReLU, with the producer of its operand, which takes its place: nobody reads it in
 * between, and everything that i needs is there. */
static void fuse(struct eq_graph *g, int i, int *moved)
{
    int a = g->nodes[i].src[0], other = g->nodes[i].src[1], edge_fq = g->nodes[i].edge_fq;
    bool adds = g->nodes[i].op == EQ_OP_ADD;
    if (!open_end(g, a) || (adds && (a == other || g->nodes[a].residual >= 0)))
        return;
    g->nodes[i] = g->nodes[a];
    g->nodes[i].edge_fq = edge_fq;
    if (adds)
        g->nodes[i].residual = other;
    else
        g->nodes[i].relu = true;
    moved[a] = MERGED;
    g->nodes[a] = eq_node_of(EQ_OP_INPUT, -1); /* reads nothing from now on */
    for (int k = 0; k < g->n_nodes; k++)
        if (g->nodes[k].folded_bn == a)
            g->nodes[k].folded_bn = i;
}

static int moved_to(const int *moved, int i)
{
    return i < 0 ? -1 : moved[i];
}

/* Closes the gaps that merged nodes left. */
static void compact(struct eq_graph *g, int *moved)
{
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        moved[i] = moved[i] == MERGED ? MERGED : n++;
    for (int i = 0; i < g->n_nodes; i++) {
        if (moved[i] == MERGED)
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
    int *moved = calloc((size_t)g->n_nodes, sizeof(*moved));
    if (!moved)
        return eq_fail(err, EQ_NOMEM, "out of memory while fusing the model");
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == EQ_OP_ADD || g->nodes[i].op == EQ_OP_RELU)
            fuse(g, i, moved);
    compact(g, moved);
    free(moved);
    return EQ_OK;
}
