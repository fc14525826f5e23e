/* Questions to an executor, and its end. exec_plan.c makes one. */
#include "model/exec.h"

#include <stdlib.h>
#include <string.h>

void eq_exec_free(struct eq_exec *x)
{
    if (!x)
        return;
    eq_free(x->arena);
    eq_plan_clear(&x->plan);
    free(x->nodes);
    free(x->grads);
    free(x->scale_grads);
    free(x->grads_from);
    free(x->gray);
    free(x->node_ms);
    free(x);
}

void eq_exec_set_hook(struct eq_exec *x, const struct eq_walk_hook *hook)
{
    x->hook = hook ? *hook : (struct eq_walk_hook){0};
}

void eq_exec_zero_grads(struct eq_exec *x)
{
    if (x->grad_block)
        memset(x->grad_block, 0, x->n_grads * sizeof(float));
}

float *eq_exec_grad_block(const struct eq_exec *x, size_t *n)
{
    *n = x->n_grads;
    return x->grad_block;
}

size_t eq_exec_param_grads(const struct eq_exec *x)
{
    return x->n_param_grads;
}

void eq_exec_set_grad_hook(struct eq_exec *x, const struct eq_grad_hook *hook)
{
    x->grad_hook = *hook;
}

float *eq_exec_grad(const struct eq_exec *x, int param)
{
    return param < 0 ? NULL : x->grads[param];
}

float *eq_exec_scale_grad(const struct eq_exec *x, int quant)
{
    return x->scale_grads[quant];
}

size_t eq_exec_stats(const struct eq_exec *x)
{
    size_t n = 0;
    for (int i = 0; i < x->g->n_nodes; i++)
        n += x->g->nodes[i].op == EQ_OP_BATCHNORM ? 2 * (size_t)x->g->nodes[i].cout : 0;
    return n;
}

void eq_exec_keep_stats(struct eq_exec *x, float *kept)
{
    for (int i = 0; i < x->g->n_nodes; i++) {
        if (x->g->nodes[i].op != EQ_OP_BATCHNORM)
            continue;
        x->nodes[i].bn.kept = kept;
        kept += kept ? 2 * (size_t)x->g->nodes[i].cout : 0;
    }
}

void eq_exec_follow_stats(struct eq_exec *x, const float *kept)
{
    for (int i = 0; i < x->g->n_nodes; i++) {
        const struct eq_node *n = &x->g->nodes[i];
        if (n->op != EQ_OP_BATCHNORM)
            continue;
        if (!n->bn_frozen)
            eq_batchnorm_follow(&x->nodes[i].bn, kept);
        kept += 2 * (size_t)n->cout;
    }
}

void eq_exec_weights_changed(struct eq_exec *x)
{
    x->weights_dirty = true;
}

size_t eq_exec_arena_bytes(const struct eq_exec *x)
{
    return x->plan.bytes;
}

size_t eq_exec_packed_bytes(const struct eq_exec *x)
{
    return x->mode == EQ_EXEC_INFER ? eq_plan_bytes(&x->plan, EXEC_PACKED) + eq_plan_bytes(&x->plan, EXEC_GRAY_PACKED)
                                    : 0;
}

const double *eq_exec_time(struct eq_exec *x, bool on)
{
    x->timing = on;
    return x->node_ms;
}

bool eq_exec_layer(const struct eq_exec *x, int node, enum eq_conv_pass pass, struct eq_exec_layer *out)
{
    const struct eq_node *n = &x->g->nodes[node];
    *out = (struct eq_exec_layer){.name = n->name, .pass = pass, .precision = x->precision};
    if (n->op != EQ_OP_CONV2D || (pass == EQ_CONV_BACKWARD_DATA && !x->nodes[n->src[0]].wants_diff))
        return false;
    const bool gray = eq_exec_all_gray(x, &x->nodes[node]);
    const struct eq_conv2d *conv = gray ? &x->nodes[node].gray.conv : &x->nodes[node].conv;
    out->shape = conv->shape;
    out->kernel = conv->kernel[pass]->name;
    out->weights = gray ? x->nodes[node].gray.weights : eq_param_data(&x->g->params[n->weight]);
    out->once = x->mode == EQ_EXEC_TRAIN;
    out->bias = n->bias >= 0;
    out->residual = pass == EQ_CONV_FORWARD && n->residual >= 0;
    out->relu = n->relu;
    eq_plan_pool(&x->plan, node, &out->pool_k, &out->pool_stride, &out->pool_pad);
    return true;
}
