/* When each buffer lives, from its first writer to its last reader, and where it then lies in the arena. */
#include "model/exec.h"

#include <stdlib.h>
#include <string.h>

static bool training(const struct eq_exec *x)
{
    return x->mode == EQ_EXEC_TRAIN;
}

static int end_time(const struct eq_exec *x)
{
    return 2 * x->g->n_nodes - 1;
}

bool eq_exec_reserve(struct eq_exec *x, void *slot, size_t bytes, int first, int last)
{
    if (x->n_buffers == x->cap_buffers) {
        size_t cap = x->cap_buffers ? 2 * (size_t)x->cap_buffers : 256;
        void *plan = realloc(x->plan, cap * sizeof(*x->plan));
        x->plan = plan ? plan : x->plan;
        void *slots = realloc(x->slots, cap * sizeof(*x->slots));
        x->slots = slots ? slots : x->slots;
        if (!plan || !slots)
            return false;
        x->cap_buffers = (int)cap;
    }
    x->plan[x->n_buffers] = (struct eq_plan_buffer){.bytes = bytes, .first = first, .last = last};
    x->slots[x->n_buffers++] = slot;
    return true;
}

/* For the executor's whole life. */
static bool keep(struct eq_exec *x, void *slot, size_t bytes)
{
    return eq_exec_reserve(x, slot, bytes, 0, end_time(x));
}

/* ---- what one pass does -------------------------------------------------- */

/* The max pooling that alone reads node i; 0: there is none. */
static int pool_behind(const struct eq_graph *g, int i)
{
    for (int k = i + 1; k < g->n_nodes && eq_graph_uses(g, i) == 1; k++)
        if (g->nodes[k].op == EQ_OP_MAXPOOL && g->nodes[k].src[0] == i)
            return k;
    return 0;
}

static void pool_with(struct eq_exec *x, int i, int pool)
{
    x->nodes[i].pool = pool;
    if (pool)
        x->nodes[pool].pooled_by = i;
}

/* In inference a convolution pools its result where its kernel can. */
static void pool_with_conv(struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i], *pool = &x->g->nodes[pool_behind(x->g, i)];
    const struct eq_conv2d *conv = &x->nodes[i].conv;
    bool (*fuses)(const struct eq_conv_shape *, int, int, int) = conv->kernel[EQ_CONV_FORWARD]->fuses_maxpool;
    if (x->mode == EQ_EXEC_INFER && fuses && n->residual < 0 && n->edge_fq < 0 && pool->op == EQ_OP_MAXPOOL &&
        fuses(&conv->shape, pool->k, pool->stride, pool->pad))
        pool_with(x, i, pool_behind(x->g, i));
}

enum { POOL_CHANNELS = 16 }; /* bn_relu_maxpool_forward takes multiples of it */

/* In training a batch norm with nothing but a ReLU behind it can be computed again from its source, so that backward
 * reads one tensor less, and a max pooling behind it finds its values without their ever being stored. */
static void plan_recomputing(struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i];
    bool folded = x->g->nodes[n->src[0]].folded_bn == i;
    if (!training(x) || !n->relu || n->residual >= 0 || n->edge_fq >= 0 || folded)
        return;
    x->nodes[i].mask_from_x = true;
    if (n->cout % POOL_CHANNELS == 0)
        pool_with(x, i, pool_behind(x->g, i));
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
    int last = i == g->output ? g->n_nodes - 1 : i;
    for (int k = i + 1; k < g->n_nodes; k++) {
        const struct eq_node *n = &g->nodes[k];
        if ((n->src[0] == i || n->src[1] == i || n->residual == i) && k > last)
            last = k;
        if (training(x) && n->src[0] == i && backward_reads_src(n) && eq_exec_backward_time(x, k) > last)
            last = eq_exec_backward_time(x, k);
    }
    bool masks = (g->nodes[i].relu || g->nodes[i].op == EQ_OP_RELU) && !x->nodes[i].mask_from_x;
    return training(x) && masks ? eq_exec_backward_time(x, i) : last;
}

static bool plan_edge(struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i];
    struct exec_node *nd = &x->nodes[i];
    int back = eq_exec_backward_time(x, i);
    int first = nd->pooled_by ? nd->pooled_by : i;
    bool ok = eq_exec_reserve(x, &nd->out, nd->n * sizeof(float), first, last_read(x, i));
    if (n->edge_fq >= 0 && training(x)) {
        ok = ok && eq_exec_reserve(x, &nd->mask, nd->n, i, back);
        if (x->g->fake_quants[n->edge_fq].learn_scale)
            ok = ok && eq_exec_reserve(x, &nd->pre_fq, nd->n * sizeof(float), i, back);
    }
    if (n->op == EQ_OP_MAXPOOL && training(x))
        ok = ok && eq_exec_reserve(x, &nd->argmax, nd->n, first, back);
    return ok;
}

/* ---- weights, batch norm ------------------------------------------------- */

/* Weights as used: kept from forward to backward in training. In inference a convolution needs them no longer than it
 * packs them; a linear node reads them in every call. */
static bool plan_weights(struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i];
    struct exec_node *nd = &x->nodes[i];
    if (n->weight_fq < 0 && n->folded_bn < 0)
        return true;
    size_t count = eq_param_count(&x->g->params[n->weight]);
    int back = eq_exec_backward_time(x, i);
    bool ok = n->op == EQ_OP_LINEAR ? keep(x, &nd->weff, count * sizeof(float))
                                    : eq_exec_reserve(x, &nd->weff, count * sizeof(float), i, training(x) ? back : i);
    if (n->folded_bn >= 0)
        ok = ok && keep(x, &nd->factor, (size_t)n->cout * sizeof(float));
    if (n->weight_fq >= 0)
        ok = ok && keep(x, &nd->weight_fq, (size_t)x->g->fake_quants[n->weight_fq].channels * sizeof(*nd->weight_fq));
    if (!training(x) || !ok)
        return ok;
    if (n->weight_fq >= 0)
        ok = eq_exec_reserve(x, &nd->wmask, count, i, back);
    return ok && eq_exec_reserve(x, &nd->dweff, count * sizeof(float), back, back);
}

static struct eq_conv_shape conv_shape(const struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i];
    const struct exec_node *src = &x->nodes[n->src[0]];
    enum eq_layout layout = x->g->nodes[n->src[0]].op == EQ_OP_INPUT ? EQ_LAYOUT_CLIP : EQ_LAYOUT_PIXEL;
    struct eq_conv_shape shape;
    eq_conv_shape_init(&shape, x->clips, src->t, src->h, src->w, n->cin, n->cout, n->k, n->stride, n->pad, layout);
    return shape;
}

/* Packed weights stay in inference. In training they change with every step: packed just before use, room shared. */
static bool plan_conv(struct eq_exec *x, int i)
{
    struct exec_node *nd = &x->nodes[i];
    struct eq_conv_shape shape = conv_shape(x, i);
    eq_conv2d_init(&nd->conv, &shape, x->precision);
    pool_with_conv(x, i);
    if (x->mode == EQ_EXEC_SIMULATE && !eq_exec_plan_simulation(x, i))
        return false;
    enum eq_conv_pass forward = EQ_CONV_FORWARD, data = EQ_CONV_BACKWARD_DATA, weights = EQ_CONV_BACKWARD_WEIGHTS;
    size_t packed = eq_conv2d_packed_bytes(&nd->conv, forward) * (x->mode == EQ_EXEC_SIMULATE ? (size_t)nd->parts : 1);
    bool ok =
        training(x) ? eq_exec_reserve(x, &nd->packed[forward], packed, i, i) : keep(x, &nd->packed[forward], packed);
    ok = ok && eq_exec_reserve(x, &nd->scratch[forward], eq_conv2d_scratch_bytes(&nd->conv, forward), i, i);
    if (!ok || !training(x))
        return ok;
    int back = eq_exec_backward_time(x, i);
    ok = eq_exec_reserve(x, &nd->scratch[weights], eq_conv2d_scratch_bytes(&nd->conv, weights), back, back);
    if (x->nodes[x->g->nodes[i].src[0]].wants_diff)
        ok = ok && eq_exec_reserve(x, &nd->packed[data], eq_conv2d_packed_bytes(&nd->conv, data), back, back) &&
             eq_exec_reserve(x, &nd->scratch[data], eq_conv2d_scratch_bytes(&nd->conv, data), back, back);
    return ok;
}

static bool plan_batchnorm(struct eq_exec *x, int i)
{
    struct eq_batchnorm *bn = &x->nodes[i].bn;
    size_t bytes = (size_t)x->g->nodes[i].cout * sizeof(float);
    return keep(x, &bn->mean, bytes) && keep(x, &bn->inv_std, bytes) && keep(x, &bn->work, 4 * bytes);
}

static bool plan_grads(struct eq_exec *x)
{
    bool ok = true;
    for (int i = 0; ok && i < x->g->n_params; i++)
        if (x->g->params[i].trainable)
            ok = keep(x, &x->grads[i], eq_tensor_bytes(&x->g->params[i].value));
    return ok;
}

/* ---- the arena ----------------------------------------------------------- */

static bool plan_node(struct eq_exec *x, int i)
{
    if (x->g->nodes[i].op == EQ_OP_BATCHNORM)
        plan_recomputing(x, i);
    bool ok = plan_edge(x, i);
    switch (x->g->nodes[i].op) {
    case EQ_OP_CONV2D:
        return ok && plan_weights(x, i) && plan_conv(x, i);
    case EQ_OP_LINEAR:
        return ok && plan_weights(x, i);
    case EQ_OP_BATCHNORM:
        return ok && plan_batchnorm(x, i);
    default:
        return ok;
    }
}

static void bind_batchnorm(struct eq_exec *x, int i)
{
    const struct eq_node *n = &x->g->nodes[i];
    struct eq_batchnorm *bn = &x->nodes[i].bn;
    bn->c = n->cout;
    bn->eps = n->eps;
    bn->momentum = n->momentum;
    bn->gamma = eq_exec_values(x, n->gamma);
    bn->beta = eq_exec_values(x, n->beta);
    bn->running_mean = eq_exec_values(x, n->running_mean);
    bn->running_var = eq_exec_values(x, n->running_var);
    bn->factor = x->g->nodes[n->src[0]].folded_bn == i ? x->nodes[n->src[0]].factor : NULL;
}

/* Gives every slot its address, then what follows from the addresses. */
static void bind_buffers(struct eq_exec *x)
{
    for (int i = 0; i < x->n_buffers; i++) {
        void *address = x->plan[i].bytes ? x->arena + x->plan[i].offset : NULL;
        memcpy(x->slots[i], &address, sizeof address);
    }
    for (int i = 0; i < x->g->n_nodes; i++) {
        if (x->nodes[i].wants_diff)
            x->nodes[i].diff = x->nodes[x->nodes[i].diff_root].diff;
        if (x->g->nodes[i].op == EQ_OP_BATCHNORM)
            bind_batchnorm(x, i);
    }
}

enum eq_status eq_exec_plan(struct eq_exec *x, struct eq_err *err)
{
    bool ok = !training(x) || (eq_exec_plan_diffs(x) && plan_grads(x));
    for (int i = 0; ok && i < x->g->n_nodes; i++)
        ok = plan_node(x, i);
    x->arena_bytes = ok ? eq_plan_arena(x->plan, x->n_buffers) : SIZE_MAX;
    if (x->arena_bytes < SIZE_MAX)
        x->arena = eq_alloc(x->arena_bytes, 1);
    if (!x->arena)
        return eq_fail(err, EQ_NOMEM, "out of memory for %d clips of %d frames at %d pixels", x->clips, x->frames,
                       x->size);
    bind_buffers(x);
    return EQ_OK;
}
