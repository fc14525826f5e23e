/* The graph: nodes, parameters, fake-quants, and what every pass needs to build or read one. */
#include "model/graph.h"

#include <stdlib.h>
#include <string.h>

void eq_graph_free(struct eq_graph *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->n_params; i++)
        eq_tensor_clear(&g->params[i].value);
    for (int i = 0; i < g->n_fake_quants; i++) {
        free(g->fake_quants[i].scale);
        free(g->fake_quants[i].zero_point);
    }
    free(g->nodes);
    free(g->params);
    free(g->fake_quants);
    free(g);
}

/* Room for one more element of size bytes; false when out of memory. */
static bool grow(void **array, int n, int *cap, size_t size)
{
    if (n < *cap)
        return true;
    int new_cap = *cap ? 2 * *cap : 32;
    void *p = realloc(*array, (size_t)new_cap * size);
    if (!p)
        return false;
    *array = p;
    *cap = new_cap;
    return true;
}

int eq_graph_add_node(struct eq_graph *g, const struct eq_node *node)
{
    if (!grow((void **)&g->nodes, g->n_nodes, &g->cap_nodes, sizeof(*g->nodes)))
        return -1;
    g->nodes[g->n_nodes] = *node;
    return g->n_nodes++;
}

int eq_graph_add_param(struct eq_graph *g, const char *name, int rank, const size_t *shape, bool trainable, bool decay)
{
    struct eq_param p = {.trainable = trainable, .decay = decay};
    bool ok = strlen(name) < sizeof(p.name) && rank >= 1 &&
              grow((void **)&g->params, g->n_params, &g->cap_params, sizeof(*g->params));
    for (int i = 0; ok && i < rank; i++)
        ok = shape[i] > 0;
    if (!ok || eq_tensor_init(&p.value, EQ_F32, rank, shape, NULL) != EQ_OK)
        return -1;
    snprintf(p.name, sizeof p.name, "%s", name);
    g->params[g->n_params] = p;
    return g->n_params++;
}

int eq_graph_copy_param(struct eq_graph *g, const struct eq_param *p)
{
    int at = eq_graph_add_param(g, p->name, p->value.rank, p->value.shape, p->trainable, p->decay);
    if (at >= 0)
        memcpy(g->params[at].value.data, p->value.data, eq_tensor_bytes(&p->value));
    return at;
}

int eq_graph_add_fake_quant(struct eq_graph *g, int channels, int qmin, int qmax)
{
    if (channels < 1 || !grow((void **)&g->fake_quants, g->n_fake_quants, &g->cap_fake_quants, sizeof(*g->fake_quants)))
        return -1;
    struct eq_fake_quant fq = {.channels = channels, .qmin = qmin, .qmax = qmax};
    fq.scale = malloc((size_t)channels * sizeof(*fq.scale));
    fq.zero_point = calloc((size_t)channels, sizeof(*fq.zero_point));
    if (!fq.scale || !fq.zero_point) {
        free(fq.scale);
        free(fq.zero_point);
        return -1;
    }
    for (int i = 0; i < channels; i++)
        fq.scale[i] = 1.0f;
    g->fake_quants[g->n_fake_quants] = fq;
    return g->n_fake_quants++;
}

bool eq_graph_copy_fake_quants(struct eq_graph *to, const struct eq_graph *from)
{
    for (int i = 0; i < from->n_fake_quants; i++) {
        const struct eq_fake_quant *src = &from->fake_quants[i];
        int at = eq_graph_add_fake_quant(to, src->channels, src->qmin, src->qmax);
        if (at < 0)
            return false;
        struct eq_fake_quant *dst = &to->fake_quants[at];
        dst->enabled = src->enabled;
        dst->bypass = src->bypass;
        dst->learn_scale = src->learn_scale;
        memcpy(dst->scale, src->scale, (size_t)src->channels * sizeof(*dst->scale));
        memcpy(dst->zero_point, src->zero_point, (size_t)src->channels * sizeof(*dst->zero_point));
    }
    return true;
}

enum eq_status eq_graph_clone(const struct eq_graph *g, struct eq_graph **out, struct eq_err *err)
{
    *out = NULL;
    struct eq_graph *c = calloc(1, sizeof(*c));
    bool ok = c != NULL;
    for (int i = 0; ok && i < g->n_nodes; i++)
        ok = eq_graph_add_node(c, &g->nodes[i]) == i;
    for (int i = 0; ok && i < g->n_params; i++)
        ok = eq_graph_copy_param(c, &g->params[i]) == i;
    if (!ok || !eq_graph_copy_fake_quants(c, g)) {
        eq_graph_free(c);
        return eq_fail(err, EQ_NOMEM, "out of memory for a copy of the model");
    }
    c->input = g->input;
    c->output = g->output;
    c->meta = g->meta;
    *out = c;
    return EQ_OK;
}

int eq_graph_find_node(const struct eq_graph *g, const char *name)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0)
            return i;
    return -1;
}

int eq_graph_find_param(const struct eq_graph *g, const char *name)
{
    for (int i = 0; i < g->n_params; i++)
        if (strcmp(g->params[i].name, name) == 0)
            return i;
    return -1;
}

bool eq_is_weighted(const struct eq_node *n)
{
    return n->op == EQ_OP_CONV2D || n->op == EQ_OP_LINEAR;
}

size_t eq_graph_param_count(const struct eq_graph *g)
{
    size_t n = 0;
    for (int i = 0; i < g->n_params; i++)
        if (g->params[i].trainable)
            n += eq_param_count(&g->params[i]);
    return n;
}

int eq_graph_uses(const struct eq_graph *g, int node)
{
    int uses = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        uses += (n->src[0] == node) + (n->src[1] == node) + (n->residual == node);
    }
    return uses;
}

struct eq_node eq_node_of(enum eq_op op, int src)
{
    return (struct eq_node){.op = op,
                            .src = {src, -1},
                            .residual = -1,
                            .weight = -1,
                            .bias = -1,
                            .gamma = -1,
                            .beta = -1,
                            .running_mean = -1,
                            .running_var = -1,
                            .edge_fq = -1,
                            .weight_fq = -1,
                            .point_fq = -1,
                            .folded_bn = -1};
}
