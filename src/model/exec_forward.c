/* The walk from pixels to EF: a function for each operation, followed by hook and fake-quant. */
#include "model/exec.h"

#include <string.h>

typedef void (*forward_fn)(struct eq_exec *x, struct exec_node *nd);

static const float *src_of(const struct eq_exec *x, int node)
{
    return node < 0 ? NULL : x->nodes[node].out;
}

static const float *first_src(const struct eq_exec *x, const struct exec_node *nd)
{
    return x->nodes[nd->node->src[0]].out;
}

/* The weights of a conv or linear node as this pass uses them: times the factor of a folded batch norm, then
 * fake-quantized. The scales are copied, so that backward sees the same. */
static const float *used_weights(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    const struct eq_param *w = &x->g->params[n->weight];
    if (!nd->weff)
        return eq_param_data(w);
    eq_exec_update_factor(x, nd);
    const struct eq_fake_quant *fq = n->weight_fq < 0 ? NULL : &x->g->fake_quants[n->weight_fq];
    nd->weight_fq_on = fq && fq->enabled;
    for (int c = 0; nd->weight_fq_on && c < fq->channels; c++)
        nd->weight_fq[c] = eq_exec_fq_params(fq, c);
    eq_fake_quant_rows_forward(eq_param_data(w), n->cout, eq_param_count(w) / (size_t)n->cout, nd->factor,
                               nd->weight_fq_on ? nd->weight_fq : NULL, fq && fq->channels > 1, nd->weff, nd->wmask);
    return nd->weff;
}

static void forward_conv(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    const void *packed = nd->packed[EQ_CONV_FORWARD];
    bool whole = x->mode == EQ_EXEC_SIMULATE && eq_exec_simulates(x, nd);
    bool fresh = x->mode == EQ_EXEC_TRAIN || x->weights_dirty || whole != nd->sim.packed_whole;
    nd->sim.packed_whole = whole;
    nd->domain.on = eq_exec_in_domain(x, nd);
    if (nd->domain.on) {
        eq_exec_domain_forward(x, nd, fresh, whole);
        return;
    }
    if (fresh) {
        const float *weights = used_weights(x, nd);
        const bool train_gray = x->mode == EQ_EXEC_TRAIN && eq_exec_all_gray(x, nd); /* nobody reads three channels */
        if (whole)
            eq_exec_pack_simulation(x, nd);
        else if (!train_gray)
            packed = eq_conv2d_pack(&nd->conv, EQ_CONV_FORWARD, weights, nd->packed[EQ_CONV_FORWARD]);
        if (nd->gray.possible)
            eq_exec_gray_pack(nd, weights);
    }
    if (whole) {
        eq_exec_simulate_conv(x, nd);
        return;
    }
    struct eq_f32_epilogue epi = {
        .bias = eq_exec_values(x, n->bias), .residual = src_of(x, n->residual), .relu = n->relu};
    const struct exec_node *made = nd;
    if (nd->plan->pool) {
        eq_plan_pool(&x->plan, nd->i, &epi.pool_k, &epi.pool_stride, &epi.pool_pad);
        made = &x->nodes[nd->plan->pool];
    }
    if (nd->gray.possible)
        eq_exec_gray_forward(x, nd, packed, &epi, made);
    else
        eq_conv2d_forward(&nd->conv, first_src(x, nd), packed, &epi, eq_exec_dst(made), nd->scratch[EQ_CONV_FORWARD]);
}

static void forward_batchnorm(struct eq_exec *x, struct exec_node *nd)
{
    const float *src = first_src(x, nd);
    nd->frozen = x->mode != EQ_EXEC_TRAIN || nd->node->bn_frozen;
    if (nd->plan->pool) {
        const struct exec_node *made = &x->nodes[nd->plan->pool];
        const struct eq_pool_shape p = eq_exec_pool_shape(x, nd->in, made->plan);
        eq_batchnorm_prepare(&nd->bn, src, nd->plan->rows, !nd->frozen);
        const struct eq_bn bn = eq_batchnorm_kernel(&nd->bn, nd->plan->rows);
        eq_f32_kernels()->bn_relu_maxpool_forward(&bn, &p, src, eq_exec_dst(made), made->argmax);
        return;
    }
    eq_batchnorm_forward(&nd->bn, src, nd->plan->rows, !nd->frozen, src_of(x, nd->node->residual), nd->node->relu,
                         eq_exec_dst(nd));
}

static void forward_relu(struct eq_exec *x, struct exec_node *nd)
{
    eq_f32_kernels()->relu_forward(first_src(x, nd), nd->plan->n, eq_exec_dst(nd));
}

static void forward_maxpool(struct eq_exec *x, struct exec_node *nd)
{
    if (nd->plan->pooled_by)
        return;
    const struct eq_pool_shape p = eq_exec_pool_shape(x, nd->in, nd->plan);
    eq_f32_kernels()->maxpool_forward(&p, first_src(x, nd), eq_exec_dst(nd), nd->argmax);
}

static void forward_add(struct eq_exec *x, struct exec_node *nd)
{
    eq_f32_kernels()->add(first_src(x, nd), src_of(x, nd->node->src[1]), nd->plan->n, eq_exec_dst(nd));
}

static void forward_global_avg(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_plan_node *in = nd->in;
    eq_f32_kernels()->global_avg_forward(first_src(x, nd), x->clips, in->h * in->w, in->t * in->c, eq_exec_dst(nd));
}

static void forward_temporal_mean(struct eq_exec *x, struct exec_node *nd)
{
    eq_temporal_mean_forward(first_src(x, nd), x->clips, nd->in->t, nd->in->c, eq_exec_dst(nd));
}

static void forward_linear(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    const float *w = nd->weff;
    if (!w || x->mode == EQ_EXEC_TRAIN || x->weights_dirty)
        w = used_weights(x, nd);
    if (nd->sim.possible)
        eq_exec_simulate_head(x, nd, w, eq_exec_dst(nd));
    else
        eq_linear_forward(first_src(x, nd), w, eq_exec_values(x, n->bias), x->clips, n->cin, n->cout, eq_exec_dst(nd));
}

static const forward_fn forward_of[EQ_OP_COUNT] = {
    [EQ_OP_INPUT] = eq_exec_forward_input,
    [EQ_OP_CONV2D] = forward_conv,
    [EQ_OP_BATCHNORM] = forward_batchnorm,
    [EQ_OP_RELU] = forward_relu,
    [EQ_OP_MAXPOOL] = forward_maxpool,
    [EQ_OP_ADD] = forward_add,
    [EQ_OP_GLOBAL_AVG] = forward_global_avg,
    [EQ_OP_LINEAR] = forward_linear,
    [EQ_OP_TEMPORAL_MEAN] = forward_temporal_mean,
};

/* Hook and fake-quant of the edge that the node has just made. */
static enum eq_status finish_edge(struct eq_exec *x, struct exec_node *nd, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const struct eq_node *n = nd->node;
    float *made = eq_exec_dst(nd);
    if (nd->sim.packed_whole && x->hook.on_edge)
        eq_exec_store_simulated(x, nd, false);
    if (x->hook.on_edge)
        EQ_TRY(x->hook.on_edge(x->hook.ctx, x->g, nd->i, made, nd->plan->n, err));
    if (x->hook.on_points && nd->domain.on && nd->domain.rounds)
        EQ_TRY(x->hook.on_points(x->hook.ctx, x->g, nd->i, nd->domain.range, err));
    const struct eq_fake_quant *fq = n->edge_fq < 0 ? NULL : &x->g->fake_quants[n->edge_fq];
    nd->fq_on = fq && fq->enabled;
    if (nd->sim.packed_whole) {
        eq_exec_store_simulated(x, nd, true);
    } else if (nd->fq_on) {
        struct eq_qparams p = eq_exec_fq_params(fq, 0);
        eq_fake_quant_forward(made, nd->n, &p, n->relu || n->op == EQ_OP_RELU, nd->out, nd->mask);
    } else if (made != nd->out) {
        memcpy(nd->out, made, nd->n * sizeof(float));
    }
    if (x->hook.on_stored)
        st = x->hook.on_stored(x->hook.ctx, x->g, nd->i, nd->out, nd->plan->n, err);
out:
    return st;
}

enum eq_status eq_exec_forward(struct eq_exec *x, const uint8_t *pixels, float *ef, struct eq_err *err)
{
    if (!x->watched && (x->hook.on_edge || x->hook.on_stored || x->hook.on_points))
        return eq_fail(err, EQ_USAGE, "a hook needs an executor that was made to be watched");
    if (eq_parallel_threads() > x->threads)
        return eq_fail(err, EQ_USAGE, "the executor was made for %d threads, there are %d now", x->threads,
                       eq_parallel_threads());
    x->has_forward = false;
    x->pixels = pixels;
    for (int i = 0; i < x->g->n_nodes; i++) {
        double start = x->timing ? eq_now_ms() : 0;
        forward_of[x->g->nodes[i].op](x, &x->nodes[i]);
        enum eq_status st = finish_edge(x, &x->nodes[i], err);
        if (st != EQ_OK)
            return st;
        x->node_ms[i] = x->timing ? eq_now_ms() - start : 0;
    }
    memcpy(ef, x->nodes[x->g->output].out, (size_t)x->clips * sizeof(*ef));
    x->weights_dirty = false;
    x->has_forward = x->mode == EQ_EXEC_TRAIN;
    return EQ_OK;
}
