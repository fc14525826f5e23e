/* Gradients of edges: which edges need one, where it lies, and which node writes it first. */
#include "model/exec.h"

#include <stdlib.h>

/* All edges on a way from a parameter to the output, i.e. all but the input and dead ends. */
static void find_wanted(struct eq_exec *x)
{
    const struct eq_graph *g = x->g;
    x->nodes[g->output].wants_diff = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const struct eq_node *n = &g->nodes[i];
        int from[3] = {n->src[0], n->src[1], n->residual};
        for (int k = 0; k < 3 && x->nodes[i].wants_diff; k++)
            if (from[k] >= 0 && g->nodes[from[k]].op != EQ_OP_INPUT)
                x->nodes[from[k]].wants_diff = true;
    }
}

/* Batch norm and ReLU turn the gradient of their output into that of their source where it lies. */
static void find_roots(struct eq_exec *x)
{
    const struct eq_graph *g = x->g;
    for (int i = 0; i < g->n_nodes; i++)
        x->nodes[i].diff_root = i;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const struct eq_node *n = &g->nodes[i];
        if ((n->op == EQ_OP_BATCHNORM || n->op == EQ_OP_RELU) && x->nodes[i].wants_diff)
            x->nodes[n->src[0]].diff_root = x->nodes[i].diff_root;
    }
}

/* Whether the gradient for edge is a further one, to be added; remembers that it was given. */
static bool further(bool *given, int edge)
{
    if (edge < 0)
        return false;
    bool before = given[edge];
    given[edge] = true;
    return before;
}

/* In the order in which the backward walk gives them. */
static void find_additions(struct eq_exec *x, bool *given)
{
    for (int i = x->g->n_nodes - 1; i >= 0; i--) {
        const struct eq_node *n = &x->g->nodes[i];
        struct exec_node *nd = &x->nodes[i];
        if (!nd->wants_diff)
            continue;
        nd->add_residual = further(given, n->residual);
        nd->add_src[1] = further(given, n->src[1]);
        nd->add_src[0] = further(given, n->src[0]);
    }
}

/* The time at which an edge gets its first gradient: that of its last consumer that has one itself. */
static int first_gradient(const struct eq_exec *x, int edge)
{
    int last = edge;
    for (int k = edge + 1; k < x->g->n_nodes; k++) {
        const struct eq_node *n = &x->g->nodes[k];
        if (x->nodes[k].wants_diff && (n->src[0] == edge || n->src[1] == edge || n->residual == edge))
            last = k;
    }
    return eq_exec_backward_time(x, last);
}

/* The first node of the chain that works in root's buffer: the last one to read it. The gradient of a max pooling may
 * be read by the batch norm before it, which takes both ways back in one pass. */
static int end_of_chain(const struct eq_exec *x, int root)
{
    for (int k = 0; k < root; k++)
        if (x->nodes[k].wants_diff && x->nodes[k].diff_root == root)
            return k;
    const struct eq_node *n = &x->g->nodes[root];
    return n->op == EQ_OP_MAXPOOL && x->g->nodes[n->src[0]].op == EQ_OP_BATCHNORM ? n->src[0] : root;
}

bool eq_exec_plan_diffs(struct eq_exec *x)
{
    bool *given = calloc((size_t)x->g->n_nodes, sizeof(*given));
    if (!given)
        return false;
    find_wanted(x);
    find_roots(x);
    find_additions(x, given);
    free(given);
    for (int i = 0; i < x->g->n_nodes; i++)
        if (x->nodes[i].wants_diff && x->nodes[i].diff_root == i)
            eq_plan_reserve(&x->plan, i, EXEC_DIFF, eq_tensor_bytes(&x->plan.nodes[i].edge), first_gradient(x, i),
                            eq_exec_backward_time(x, end_of_chain(x, i)));
    return true;
}
