/* The walk back. A node reads the gradient of its output from diff and writes those of its sources and parameters. */
#include "model/exec.h"

#include <string.h>

typedef void (*backward_fn)(struct eq_exec *x, struct exec_node *nd);

/* Where the gradient of a node's output goes; NULL when nobody wants it. */
static float *diff_of(const struct eq_exec *x, int node)
{
    return node >= 0 && x->nodes[node].wants_diff ? x->nodes[node].diff : NULL;
}

struct copy {
    const float *from;
    float *to;
};

static void copy_span(const void *ctx, size_t lo, size_t hi)
{
    const struct copy *c = ctx;
    memcpy(c->to + lo, c->from + lo, (hi - lo) * sizeof(float));
}

/* to = from, or to += from. */
static void give(const float *from, size_t n, float *to, bool add)
{
    if (to && add)
        eq_f32_kernels()->add(to, from, n, to);
    else if (to)
        eq_for_spans(n, copy_span, &(struct copy){from, to});
}

/* The gradient of the raw weights from that of the weights as used: through the straight-through mask and the factor,
 * which counts as a constant. */
static void backward_used_weights(struct eq_exec *x, const struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    const struct eq_param *w = &x->g->params[n->weight];
    size_t row = eq_param_count(w) / (size_t)n->cout;
    struct eq_fake_quant *fq = nd->weight_fq_on ? &x->g->fake_quants[n->weight_fq] : NULL;
    if (fq && fq->learn_scale)
        eq_lsq_rows_grad(eq_param_data(w), nd->dweff, n->cout, row, nd->factor, nd->weight_fq, fq->channels > 1,
                         x->scale_grads[n->weight_fq]);
    float *grad = eq_exec_grad(x, n->weight);
    if (grad)
        eq_fake_quant_rows_backward(fq ? nd->wmask : NULL, nd->dweff, n->cout, row, nd->factor, grad);
}

/* Where the gradient of the weights as used is summed: a cleared buffer of its own, or the parameter's. */
static float *used_weights_grad(struct eq_exec *x, const struct exec_node *nd)
{
    int weight = nd->node->weight;
    if (!nd->dweff)
        return eq_exec_grad(x, weight);
    memset(nd->dweff, 0, eq_param_count(&x->g->params[weight]) * sizeof(float));
    return nd->dweff;
}

static const float *used_weights(const struct eq_exec *x, const struct exec_node *nd)
{
    return nd->weff ? nd->weff : eq_exec_values(x, nd->node->weight);
}

static void backward_conv(struct eq_exec *x, struct exec_node *nd)
{
    const enum eq_conv_pass data = EQ_CONV_BACKWARD_DATA, weights = EQ_CONV_BACKWARD_WEIGHTS;
    const struct eq_node *n = nd->node;
    if (n->relu && !nd->fq_on)
        eq_f32_kernels()->relu_backward(nd->out, nd->diff, nd->plan->n, nd->diff);
    give(nd->diff, nd->plan->n, diff_of(x, n->residual), nd->add_residual);
    if (eq_exec_grad(x, n->bias))
        eq_conv2d_backward_bias(&nd->conv, nd->diff, eq_exec_grad(x, n->bias));
    float *dx = diff_of(x, n->src[0]);
    if (nd->domain.on) {
        eq_exec_domain_backward(x, nd, dx);
        return;
    }
    float *dw = used_weights_grad(x, nd);
    if (dw && nd->gray.possible)
        eq_exec_gray_backward_weights(x, nd, dw);
    else if (dw)
        eq_conv2d_backward_weights(&nd->conv, x->nodes[n->src[0]].out, nd->diff, dw, nd->scratch[weights]);
    if (nd->dweff)
        backward_used_weights(x, nd);
    if (!dx)
        return;
    const void *packed = eq_conv2d_pack(&nd->conv, data, used_weights(x, nd), nd->packed[data]);
    eq_conv2d_backward_data(&nd->conv, nd->diff, packed, dx, nd->add_src[0], nd->scratch[data]);
}

/* In place: the source's diff is this node's. With a max pooling in its forward pass, that one's way back as well. */
static void backward_batchnorm(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    if (nd->plan->pool) {
        const struct exec_node *made = &x->nodes[nd->plan->pool];
        const struct eq_pool_shape p = eq_exec_pool_shape(x, nd->in, made->plan);
        eq_batchnorm_pooled_backward(&nd->bn, &p, x->nodes[n->src[0]].out, made->diff, made->argmax, nd->plan->rows,
                                     !nd->frozen, nd->diff, eq_exec_grad(x, n->gamma), eq_exec_grad(x, n->beta));
        return;
    }
    const float *y = n->relu && !nd->fq_on && !nd->mask_from_x ? nd->out : NULL;
    eq_batchnorm_backward(&nd->bn, x->nodes[n->src[0]].out, y, nd->mask_from_x, nd->diff, nd->plan->rows, !nd->frozen,
                          nd->diff, eq_exec_grad(x, n->gamma), eq_exec_grad(x, n->beta), diff_of(x, n->residual),
                          nd->add_residual);
}

static void backward_relu(struct eq_exec *x, struct exec_node *nd)
{
    (void)x;
    if (!nd->fq_on)
        eq_f32_kernels()->relu_backward(nd->out, nd->diff, nd->plan->n, nd->diff);
}

static void backward_maxpool(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_pool_shape p = eq_exec_pool_shape(x, nd->in, nd->plan);
    float *dx = diff_of(x, nd->node->src[0]);
    if (dx && !nd->plan->pooled_by)
        eq_f32_kernels()->maxpool_backward(&p, nd->diff, nd->argmax, dx);
}

static void backward_add(struct eq_exec *x, struct exec_node *nd)
{
    for (int k = 1; k >= 0; k--)
        give(nd->diff, nd->plan->n, diff_of(x, nd->node->src[k]), nd->add_src[k]);
}

static void backward_global_avg(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_plan_node *in = nd->in;
    float *dx = diff_of(x, nd->node->src[0]);
    if (dx)
        eq_f32_kernels()->global_avg_backward(nd->diff, x->clips, in->h * in->w, in->t * in->c, dx);
}

static void backward_temporal_mean(struct eq_exec *x, struct exec_node *nd)
{
    float *dx = diff_of(x, nd->node->src[0]);
    if (dx)
        eq_temporal_mean_backward(nd->diff, x->clips, nd->in->t, nd->in->c, dx);
}

static void backward_linear(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    eq_linear_backward(x->nodes[n->src[0]].out, used_weights(x, nd), nd->diff, x->clips, n->cin, n->cout,
                       diff_of(x, n->src[0]), used_weights_grad(x, nd), eq_exec_grad(x, n->bias));
    if (nd->dweff)
        backward_used_weights(x, nd);
}

static const backward_fn backward_of[EQ_OP_COUNT] = {
    [EQ_OP_CONV2D] = backward_conv,   [EQ_OP_BATCHNORM] = backward_batchnorm,
    [EQ_OP_RELU] = backward_relu,     [EQ_OP_MAXPOOL] = backward_maxpool,
    [EQ_OP_ADD] = backward_add,       [EQ_OP_GLOBAL_AVG] = backward_global_avg,
    [EQ_OP_LINEAR] = backward_linear, [EQ_OP_TEMPORAL_MEAN] = backward_temporal_mean,
};

/* Through the node's fake-quant and its ReLU, which the mask includes. */
static void backward_edge(struct eq_exec *x, struct exec_node *nd)
{
    if (!nd->fq_on)
        return;
    struct eq_fake_quant *fq = &x->g->fake_quants[nd->node->edge_fq];
    if (fq->learn_scale) {
        struct eq_qparams p = eq_exec_fq_params(fq, 0);
        x->scale_grads[nd->node->edge_fq][0] += (float)eq_lsq_scale_grad(nd->pre_fq, nd->diff, nd->plan->n, &p);
    }
    eq_fake_quant_backward(nd->mask, nd->diff, nd->plan->n, nd->diff);
}

enum eq_status eq_exec_backward(struct eq_exec *x, const float *diff_ef, struct eq_err *err)
{
    if (!x->has_forward)
        return eq_fail(err, EQ_USAGE, "backward without a forward pass in training mode before it");
    memcpy(x->nodes[x->g->output].diff, diff_ef, (size_t)x->clips * sizeof(*diff_ef));
    for (int i = x->g->n_nodes - 1; i >= 0; i--) {
        if (!x->nodes[i].wants_diff)
            continue;
        double start = x->timing ? eq_now_ms() : 0;
        backward_edge(x, &x->nodes[i]);
        backward_of[x->g->nodes[i].op](x, &x->nodes[i]);
        x->node_ms[eq_exec_backward_time(x, i)] = x->timing ? eq_now_ms() - start : 0;
        if (x->grad_hook.on_final)
            x->grad_hook.on_final(x->grad_hook.ctx, x->grads_from[i]);
    }
    x->has_forward = false;
    return EQ_OK;
}
