/* One call of the integer engine: u8 pixels in, EF out. Nothing is allocated and nothing but the head leaves integers.
 */
#include "quant/qengine.h"

static void run_conv(const struct eq_qengine *e, const struct eq_qstep *s, const uint8_t *pixels)
{
    const struct eq_qnode *n = s->node;
    struct eq_u8s8_epilogue epilogue = s->epilogue;
    if (n->residual >= 0)
        epilogue.residual = eq_qengine_edge(e, n->residual, pixels);
    s->kernel->run.u8s8(&s->out->conv, eq_qengine_edge(e, n->src, pixels), e->model->nodes[n->src].dst.zero_point,
                        s->packed, &epilogue, s->dst, s->scratch);
}

static void run_domain(const struct eq_qengine *e, const struct eq_qstep *s, const uint8_t *pixels)
{
    const struct eq_qnode *n = s->node;
    struct eq_domain_epilogue epilogue = s->domain;
    if (n->residual >= 0)
        epilogue.residual = eq_qengine_edge(e, n->residual, pixels);
    s->kernel->run.u8s8_domain(&s->out->conv, eq_qengine_edge(e, n->src, pixels),
                               e->model->nodes[n->src].dst.zero_point, s->packed, &s->points, &epilogue, s->dst,
                               s->scratch);
}

static void run_maxpool(const struct eq_qengine *e, const struct eq_qstep *s)
{
    const struct eq_qnode *n = s->node;
    const struct eq_plan_node *in = s->in;
    const struct eq_pool_shape p = {e->plan.clips, in->h,  in->w,     in->t * in->c, n->k,
                                    n->stride,     n->pad, s->out->h, s->out->w};
    const uint8_t *src = e->steps[n->src].dst;
    if (n->fp32_edge)
        eq_f32_kernels()->maxpool_forward(&p, (const float *)(const void *)src, (float *)(void *)s->dst, NULL);
    else
        eq_u8s8_kernels()->maxpool(&p, src, s->dst);
}

/* EF = head_scale * sum over channels of (integer sum over pixels and frames) * weight + bias, the sum exact in int64,
 * the two operations in double. */
static void run_head(const struct eq_qengine *e, const struct eq_qstep *s, float *ef)
{
    const struct eq_qnode *n = s->node;
    const struct eq_plan_node *in = s->in;
    int32_t *sums = (int32_t *)(void *)s->scratch;
    eq_u8s8_kernels()->sum_pixels_frames(e->steps[n->src].dst, e->plan.clips, in->h * in->w, in->t, in->c,
                                         e->model->nodes[n->src].dst.zero_point, sums);
    for (int clip = 0; clip < e->plan.clips; clip++, sums += in->c) {
        int64_t dot = 0;
        for (int c = 0; c < in->c; c++)
            dot += (int64_t)sums[c] * n->weights[c];
        ef[clip] = (float)((double)dot * s->head_scale + (double)n->bias[0]);
    }
}

static void run_node(const struct eq_qengine *e, int i, const uint8_t *pixels, float *ef)
{
    const struct eq_qstep *s = &e->steps[i];
    const struct eq_qnode *n = s->node;
    if (n->op == EQ_QOP_CONV2D && n->fp32)
        eq_qengine_run_conv_f32(e, i, pixels);
    else if (n->op == EQ_QOP_CONV2D && n->domain)
        run_domain(e, s, pixels);
    else if (n->op == EQ_QOP_CONV2D)
        run_conv(e, s, pixels);
    else if (n->op == EQ_QOP_MAXPOOL && !s->out->pooled_by)
        run_maxpool(e, s);
    else if (n->op == EQ_QOP_HEAD && n->fp32)
        eq_qengine_run_head_f32(e, i, ef);
    else if (n->op == EQ_QOP_HEAD)
        run_head(e, s, ef);
}

enum eq_status eq_qengine_run(struct eq_qengine *e, const uint8_t *pixels, float *ef, struct eq_err *err)
{
    if (e->hook && !e->watched)
        return eq_fail(err, EQ_USAGE, "a hook needs an engine that was made to be watched");
    if (eq_parallel_threads() > e->threads) /* scratch was planned for that many */
        return eq_fail(err, EQ_USAGE, "the engine was made for %d threads, there are %d now", e->threads,
                       eq_parallel_threads());
    for (int i = 0; i < e->model->n_nodes; i++) {
        double start = e->timing ? eq_now_ms() : 0;
        run_node(e, i, pixels, ef);
        if (e->timing)
            e->node_ms[i] = eq_now_ms() - start;
        if (e->hook && e->steps[i].node->op != EQ_QOP_HEAD)
            e->hook(e->hook_ctx, i, eq_qengine_edge(e, i, pixels), eq_tensor_bytes(&e->plan.nodes[i].edge));
    }
    return EQ_OK;
}

void eq_qengine_set_hook(struct eq_qengine *e, void (*fn)(void *ctx, int node, const uint8_t *q, size_t n), void *ctx)
{
    e->hook = fn;
    e->hook_ctx = ctx;
}

size_t eq_qengine_arena_bytes(const struct eq_qengine *e)
{
    return e->plan.bytes;
}

size_t eq_qengine_packed_bytes(const struct eq_qengine *e)
{
    return eq_plan_bytes(&e->plan, EQ_QBUFFER_PACKED) + eq_plan_bytes(&e->plan, EQ_QBUFFER_MB);
}

const double *eq_qengine_time(struct eq_qengine *e, bool on)
{
    e->timing = on;
    return e->node_ms;
}

bool eq_qengine_layer(const struct eq_qengine *e, int node, struct eq_exec_layer *out)
{
    const struct eq_qstep *s = &e->steps[node];
    const struct eq_qnode *n = s->node;
    *out = (struct eq_exec_layer){.name = n->name};
    if (n->op != EQ_QOP_CONV2D)
        return false;
    out->shape = s->out->conv;
    out->kernel = s->f32 ? s->f32->name : s->kernel->name;
    out->weights = n->fp32_weights;
    out->int8_weights = n->weights;
    out->src_zp = e->model->nodes[n->src].dst.zero_point;
    out->domain = n->domain ? &s->points : NULL;
    out->bias = true;
    out->residual = n->residual >= 0;
    out->relu = n->relu;
    eq_plan_pool(&e->plan, node, &out->pool_k, &out->pool_stride, &out->pool_pad);
    return true;
}
