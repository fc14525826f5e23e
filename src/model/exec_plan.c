/* Making an executor: when each buffer lives, from its first writer to its last reader; which kernels run; and where
 * each buffer lies in the arena. */
#include "model/exec.h"

#include <stdlib.h>

static bool training(const struct eq_exec *x)
{
    return x->mode == EQ_EXEC_TRAIN;
}

/* For the executor's whole life. */
static void keep(struct eq_exec *x, int i, int kind, size_t bytes)
{
    eq_plan_reserve(&x->plan, i, kind, bytes, 0, 2 * x->g->n_nodes - 1);
}

static void reserve(struct eq_exec *x, int i, int kind, size_t bytes, int first, int last)
{
    eq_plan_reserve(&x->plan, i, kind, bytes, first, last);
}

/* ---- what one pass does -------------------------------------------------- */

static bool any_pool(const struct eq_conv_shape *s, int k, int stride, int pad)
{
    (void)s, (void)k, (void)stride, (void)pad;
    return true;
}

enum { POOL_CHANNELS = 16 }; /* bn_relu_maxpool_forward takes multiples of it */

/* In training, a batch norm that is followed by nothing but a ReLU can be computed again from its source: backward
 * reads one tensor less, and a max pooling after it needs no stored values. */
static void plan_recomputing(struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i];
    bool folded = x->g->nodes[n->src[0]].folded_bn == i;
    if (!training(x) || !n->relu || n->residual >= 0 || n->edge_fq >= 0 || folded)
        return;
    x->nodes[i].mask_from_x = true;
    if (n->cout % POOL_CHANNELS == 0 && !x->watched)
        eq_plan_fuse_pool(&x->plan, i, any_pool);
}

/* ---- activations --------------------------------------------------------- */

/* Whether the backward pass of consumer reads the values of its first source. */
static bool backward_reads_src(const struct eq_node *consumer)
{
    return consumer->op == EQ_OP_CONV2D || consumer->op == EQ_OP_BATCHNORM || consumer->op == EQ_OP_LINEAR;
}

static int last_read(const struct eq_exec *x, int i)
{
    const struct eq_graph *g = x->g;
    int last = i == g->output ? g->n_nodes - 1 : x->plan.nodes[i].last;
    if (!training(x))
        return last;
    bool masks = (g->nodes[i].relu || g->nodes[i].op == EQ_OP_RELU) && !x->nodes[i].mask_from_x;
    for (int k = i + 1; k < g->n_nodes; k++)
        if (g->nodes[k].src[0] == i && backward_reads_src(&g->nodes[k]) && eq_exec_backward_time(x, k) > last)
            last = eq_exec_backward_time(x, k);
    return masks ? eq_exec_backward_time(x, i) : last;
}

static void plan_edge(struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i];
    const struct eq_plan_node *p = &x->plan.nodes[i];
    size_t bytes = eq_tensor_bytes(&p->edge);
    int first = p->pooled_by ? p->pooled_by : i, back = eq_exec_backward_time(x, first);
    bool rounds = n->edge_fq >= 0 && training(x), learns = rounds && x->g->fake_quants[n->edge_fq].learn_scale;
    reserve(x, i, EXEC_OUT, p->pool ? 0 : bytes, first, last_read(x, i));
    reserve(x, i, EXEC_MASK, rounds ? p->n : 0, i, back);
    reserve(x, i, EXEC_PRE_FQ, learns ? bytes : 0, i, back);
    reserve(x, i, EXEC_ARGMAX, n->op == EQ_OP_MAXPOOL && training(x) ? p->n : 0, first, back);
}

/* ---- weights, batch norm ------------------------------------------------- */

/* Weights as used: kept from forward to backward in training. In inference a convolution needs them no longer than it
 * packs them; a linear node reads them in every call. */
static void plan_weights(struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i];
    size_t count = eq_param_count(&x->g->params[n->weight]);
    if (n->point_fq >= 0) /* transformed, when they are used in Winograd's domain */
        count = EQ_DOMAIN_POINTS * (size_t)n->cout * (size_t)n->cin;
    size_t floats = count * sizeof(float);
    bool folds = n->folded_bn >= 0, rounds = n->weight_fq >= 0 || n->point_fq >= 0;
    int back = eq_exec_backward_time(x, i);
    if (!folds && !rounds)
        return;
    if (n->op == EQ_OP_LINEAR || (n->point_fq >= 0 && x->mode == EQ_EXEC_INFER))
        keep(x, i, EXEC_WEFF, floats);
    else
        reserve(x, i, EXEC_WEFF, floats, i, training(x) ? back : i);
    keep(x, i, EXEC_FACTOR, folds ? (size_t)n->cout * sizeof(float) : 0);
    if (rounds && n->point_fq < 0)
        keep(x, i, EXEC_WEIGHT_FQ, (size_t)x->g->fake_quants[n->weight_fq].channels * sizeof(struct eq_qparams));
    reserve(x, i, EXEC_WMASK, training(x) && rounds ? count : 0, i, back);
    reserve(x, i, EXEC_DWEFF, training(x) ? floats : 0, back, back);
}

/* Packed weights stay in inference, where a convolution pools its result if its kernel can. In training they change
 * with every step: packed just before use, room shared. */
static void plan_conv(struct eq_exec *x, int i)
{
    struct exec_node *nd = &x->nodes[i];
    const enum eq_conv_pass data = EQ_CONV_BACKWARD_DATA;
    int back = eq_exec_backward_time(x, i);
    eq_conv2d_init(&nd->conv, &x->plan.nodes[i].conv, x->precision, training(x));
    if (x->mode == EQ_EXEC_INFER && !x->watched && x->g->nodes[i].edge_fq < 0)
        eq_plan_fuse_pool(&x->plan, i, nd->conv.kernel[EQ_CONV_FORWARD]->fuses_maxpool);
    nd->sim.parts = 1;
    if (x->mode == EQ_EXEC_SIMULATE)
        eq_exec_plan_simulation(x, nd);
    size_t packed = eq_conv2d_packed_bytes(&nd->conv, EQ_CONV_FORWARD) * (size_t)nd->sim.parts;
    size_t scratch[EQ_CONV_PASSES];
    for (int pass = 0; pass < EQ_CONV_PASSES; pass++)
        scratch[pass] = eq_conv2d_scratch_bytes(&nd->conv, (enum eq_conv_pass)pass);
    if (nd->node->point_fq >= 0)
        eq_exec_plan_domain(x, nd, &packed, scratch);
    eq_exec_plan_gray(x, nd, scratch);
    reserve(x, i, EXEC_SCRATCH, scratch[EQ_CONV_FORWARD], i, i);
    if (!training(x)) {
        keep(x, i, EXEC_PACKED, packed);
        return;
    }
    reserve(x, i, EXEC_PACKED, packed, i, i);
    reserve(x, i, EXEC_SCRATCH + EQ_CONV_BACKWARD_WEIGHTS, scratch[EQ_CONV_BACKWARD_WEIGHTS], back, back);
    if (x->nodes[x->g->nodes[i].src[0]].wants_diff) {
        reserve(x, i, EXEC_PACKED + data, eq_conv2d_packed_bytes(&nd->conv, data), back, back);
        reserve(x, i, EXEC_SCRATCH + data, scratch[data], back, back);
    }
}

enum { GRAD_ALIGN = 16 }; /* floats */

/* Takes the next n floats of the block, or without a block only counts them. */
static float *next_grad(struct eq_exec *x, size_t n)
{
    float *grad = x->grad_block ? x->grad_block + x->n_grads : NULL;
    x->n_grads += (n + GRAD_ALIGN - 1) / GRAD_ALIGN * GRAD_ALIGN;
    return grad;
}

static void lay_out_grads(struct eq_exec *x)
{
    x->n_grads = 0;
    for (int i = 0; i < x->g->n_params; i++)
        if (x->g->params[i].trainable)
            x->grads[i] = next_grad(x, eq_param_count(&x->g->params[i]));
    x->n_param_grads = x->n_grads;
    for (int i = 0; i < x->g->n_fake_quants; i++)
        if (x->g->fake_quants[i].learn_scale)
            x->scale_grads[i] = next_grad(x, (size_t)x->g->fake_quants[i].channels);
}

/* The walk back ends with the first nodes, so what is beyond their gradients is final before. */
static void note_ends_of_grads(struct eq_exec *x)
{
    size_t end = 0;
    for (int i = 0; i < x->g->n_nodes; i++) {
        const struct eq_node *n = &x->g->nodes[i];
        const int params[] = {n->weight, n->bias, n->gamma, n->beta};
        x->grads_from[i] = end;
        for (size_t k = 0; k < sizeof params / sizeof *params; k++) {
            const float *grad = eq_exec_grad(x, params[k]);
            size_t after = grad ? (size_t)(grad - x->grad_block) + eq_param_count(&x->g->params[params[k]]) : 0;
            end = after > end ? after : end;
        }
    }
}

/* ---- the arena ----------------------------------------------------------- */

static void plan_node(struct eq_exec *x, int i)
{
    enum eq_op op = x->g->nodes[i].op;
    if (eq_is_weighted(&x->g->nodes[i]))
        plan_weights(x, i);
    if (op == EQ_OP_CONV2D)
        plan_conv(x, i);
    if (op == EQ_OP_BATCHNORM) {
        plan_recomputing(x, i);
        keep(x, i, EXEC_BN, 6 * (size_t)x->g->nodes[i].cout * sizeof(float));
    }
    if (op == EQ_OP_LINEAR && x->mode == EQ_EXEC_SIMULATE)
        eq_exec_plan_simulated_head(x, i);
    plan_edge(x, i);
}

static void *at(const struct eq_exec *x, int i, int kind)
{
    return eq_plan_at(&x->plan, x->arena, i, kind);
}

static void bind_batchnorm(struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i];
    bool folded = x->g->nodes[n->src[0]].folded_bn == i;
    float *own = at(x, i, EXEC_BN);
    x->nodes[i].bn = (struct eq_batchnorm){.c = n->cout,
                                           .eps = n->eps,
                                           .momentum = n->momentum,
                                           .gamma = eq_exec_values(x, n->gamma),
                                           .beta = eq_exec_values(x, n->beta),
                                           .running_mean = eq_exec_values(x, n->running_mean),
                                           .running_var = eq_exec_values(x, n->running_var),
                                           .factor = folded ? at(x, n->src[0], EXEC_FACTOR) : NULL,
                                           .mean = own,
                                           .inv_std = own + n->cout,
                                           .work = own + 2 * n->cout};
}

/* From numbers to addresses. */
static void bind_node(struct eq_exec *x, int i)
{
    struct exec_node *nd = &x->nodes[i];
    nd->out = at(x, i, EXEC_OUT);
    nd->n = nd->plan->n;
    nd->planes = at(x, i, EXEC_PLANES);
    nd->gray.weights = at(x, i, EXEC_GRAY_WEIGHTS);
    nd->gray.packed_at = at(x, i, EXEC_GRAY_PACKED);
    nd->gray.grad = at(x, i, EXEC_GRAY_GRAD);
    nd->mask = at(x, i, EXEC_MASK);
    nd->pre_fq = at(x, i, EXEC_PRE_FQ);
    nd->argmax = at(x, i, EXEC_ARGMAX);
    nd->diff = nd->wants_diff ? at(x, nd->diff_root, EXEC_DIFF) : NULL;
    nd->weff = at(x, i, EXEC_WEFF);
    nd->dweff = at(x, i, EXEC_DWEFF);
    nd->wmask = at(x, i, EXEC_WMASK);
    nd->factor = at(x, i, EXEC_FACTOR);
    nd->weight_fq = at(x, i, EXEC_WEIGHT_FQ);
    nd->sim.units = at(x, i, EXEC_UNITS);
    nd->sim.steps = at(x, i, EXEC_STEPS);
    nd->sim.sums = at(x, i, EXEC_SUMS);
    nd->sim.digit = at(x, i, EXEC_DIGIT);
    nd->sim.requant = at(x, i, EXEC_REQUANT);
    for (int pass = 0; pass < 2; pass++)
        nd->packed[pass] = at(x, i, EXEC_PACKED + pass);
    for (int pass = 0; pass < EQ_CONV_PASSES; pass++)
        nd->scratch[pass] = at(x, i, EXEC_SCRATCH + pass);
    if (x->g->nodes[i].op == EQ_OP_BATCHNORM)
        bind_batchnorm(x, i);
}

static bool needs_sgemm(const struct eq_exec *x)
{
    int passes = training(x) ? EQ_CONV_PASSES : 1; /* forward is the first */
    for (int i = 0; i < x->g->n_nodes && x->mode != EQ_EXEC_SIMULATE; i++)
        if (x->g->nodes[i].point_fq >= 0)
            return true;
    for (int i = 0; i < x->g->n_nodes; i++)
        for (int pass = 0; pass < passes && x->g->nodes[i].op == EQ_OP_CONV2D; pass++)
            if (eq_conv_needs_sgemm(x->nodes[i].conv.kernel[pass]))
                return true;
    return false;
}

static enum eq_status plan(struct eq_exec *x, struct eq_err *err)
{
    if (training(x)) {
        if (!eq_exec_plan_diffs(x))
            return eq_fail(err, EQ_NOMEM, "out of memory for the plan");
        lay_out_grads(x);
        keep(x, 0, EXEC_GRADS, x->n_grads * sizeof(float));
    }
    for (int i = 0; i < x->g->n_nodes; i++) {
        struct exec_node *nd = &x->nodes[i];
        nd->i = i;
        nd->node = &x->g->nodes[i];
        nd->plan = &x->plan.nodes[i];
        nd->in = nd->node->src[0] < 0 ? NULL : &x->plan.nodes[nd->node->src[0]];
        plan_node(x, i);
    }
    x->arena = eq_plan_allocate(&x->plan, err);
    if (!x->arena)
        return EQ_NOMEM;
    for (int i = 0; i < x->g->n_nodes; i++)
        bind_node(x, i);
    x->grad_block = at(x, 0, EXEC_GRADS);
    if (x->grad_block) {
        lay_out_grads(x);
        note_ends_of_grads(x);
    }
    return needs_sgemm(x) ? eq_sgemm_prepare(err) : EQ_OK;
}

/* ---- the graphs that are refused ----------------------------------------- */

static enum eq_status check_quants(const struct eq_graph *g, int i, struct eq_err *err)
{
    const struct eq_node *n = &g->nodes[i];
    if (n->edge_fq >= 0 && g->fake_quants[n->edge_fq].channels != 1)
        return eq_fail(err, EQ_USAGE, "%s: fake-quant of an edge has one scale", n->name);
    const int channels = n->weight_fq < 0 ? 1 : g->fake_quants[n->weight_fq].channels;
    const int expected = n->point_fq < 0 ? n->cout : EQ_DOMAIN_POINTS * n->cout;
    if (channels != 1 && channels != expected)
        return eq_fail(err, EQ_USAGE, "%s: %d weight scales for %d output channels", n->name, channels, n->cout);
    if (n->folded_bn >= 0 && g->nodes[n->folded_bn].src[0] != i)
        return eq_fail(err, EQ_USAGE, "%s: the batch norm folded into it does not follow it", n->name);
    if (n->point_fq < 0)
        return EQ_OK;
    if (n->op != EQ_OP_CONV2D || n->k != 3 || n->stride != 1 || n->pad != 1 || g->nodes[n->src[0]].op == EQ_OP_INPUT)
        return eq_fail(err, EQ_USAGE, "%s: not a 3 x 3 convolution of stride 1, which Winograd's domain is for",
                       n->name);
    if (g->fake_quants[n->point_fq].channels != EQ_DOMAIN_POINTS)
        return eq_fail(err, EQ_USAGE, "%s: %d scales for %d points", n->name, g->fake_quants[n->point_fq].channels,
                       EQ_DOMAIN_POINTS);
    if (n->weight_fq >= 0 && g->fake_quants[n->weight_fq].learn_scale)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: scales of Winograd's domain can't be learned", n->name);
    return EQ_OK;
}

/* An operation that overwrites its source's gradient must be that source's only consumer. */
static enum eq_status check_training(const struct eq_exec *x, int i, struct eq_err *err)
{
    const struct eq_graph *g = x->g;
    const struct eq_node *n = &g->nodes[i];
    bool sums = n->op == EQ_OP_CONV2D || n->op == EQ_OP_ADD || n->op == EQ_OP_INPUT;
    if (!sums && eq_graph_uses(g, n->src[0]) != 1)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: its source has other consumers, which training does not support",
                       n->name);
    if (n->op == EQ_OP_BATCHNORM && !n->bn_frozen && x->plan.nodes[i].rows < 2)
        return eq_fail(err, EQ_USAGE, "%s: batch norm needs more than one value per channel; use more clips or frames",
                       n->name);
    return EQ_OK;
}

static enum eq_status check(const struct eq_exec *x, struct eq_err *err)
{
    const struct eq_graph *g = x->g;
    enum eq_status st = EQ_OK;
    for (int i = 0; i < g->n_nodes; i++) {
        EQ_TRY(check_quants(g, i, err));
        if (x->mode == EQ_EXEC_TRAIN)
            EQ_TRY(check_training(x, i, err));
        if (x->mode == EQ_EXEC_SIMULATE && g->nodes[i].op == EQ_OP_BATCHNORM)
            return eq_fail(err, EQ_UNSUPPORTED, "%s: simulation needs a folded graph", g->nodes[i].name);
    }
    if (x->plan.nodes[g->output].n != (size_t)x->clips)
        st = eq_fail(err, EQ_USAGE, "%s: the output must be one value per clip", g->nodes[g->output].name);
out:
    return st;
}

/* ---- life ---------------------------------------------------------------- */

static struct eq_plan_node view(const void *graph, int i)
{
    const struct eq_node *n = &((const struct eq_graph *)graph)->nodes[i];
    return (struct eq_plan_node){n->name,   n->op,  {n->src[0], n->src[1]}, n->residual, n->cin, n->cout, n->k,
                                 n->stride, n->pad, .edge.dtype = EQ_F32};
}

enum eq_status eq_exec_new(struct eq_graph *g, const struct eq_exec_opts *opts, struct eq_exec **out,
                           struct eq_err *err)
{
    enum eq_status st;
    struct eq_exec *x = NULL;
    *out = NULL;
    EQ_TRY(eq_precision_check(opts->precision, err));
    x = calloc(1, sizeof *x);
    if (!x || !(x->nodes = calloc((size_t)g->n_nodes, sizeof *x->nodes)) ||
        !(x->grads = calloc((size_t)g->n_params + 1, sizeof *x->grads)) ||
        !(x->scale_grads = calloc((size_t)g->n_fake_quants + 1, sizeof *x->scale_grads)) ||
        !(x->grads_from = calloc((size_t)g->n_nodes, sizeof *x->grads_from)) ||
        !(x->gray = calloc((size_t)opts->clips + 1, sizeof *x->gray)) ||
        !(x->node_ms = calloc(2 * (size_t)g->n_nodes, sizeof *x->node_ms))) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for an executor");
        goto out;
    }
    x->g = g;
    x->mode = opts->mode;
    x->precision = opts->precision;
    x->clips = opts->clips;
    x->watched = opts->watched;
    x->threads = eq_parallel_threads();
    x->weights_dirty = true;
    EQ_TRY(eq_plan_make(&x->plan, g, g->n_nodes, view, EXEC_BUFFERS, opts->clips, opts->frames, opts->size, err));
    EQ_TRY(check(x, err));
    EQ_TRY(plan(x, err));
    *out = x;
    x = NULL;
out:
    eq_exec_free(x);
    return st;
}
