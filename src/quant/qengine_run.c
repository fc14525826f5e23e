/* One call of the integer engine: u8 pixels in, EF out. Nothing is allocated and nothing but the head leaves integers.
 */
#include "quant/qengine.h"

#include <assert.h>

static const uint8_t *output_of(const struct eq_qengine *e, int node, const uint8_t *pixels)
{
    return node == 0 ? pixels : e->arena + e->steps[node].dst_offset;
}

static void run_conv(struct eq_qengine *e, struct eq_qstep *s, const uint8_t *pixels)
{
    struct eq_u8s8_epilogue epilogue = s->epilogue;
    uint8_t *dst = e->arena + s->dst_offset;
    if (s->residual >= 0)
        epilogue.residual = output_of(e, s->residual, pixels);
    if (s->pooled && !e->hook) {
        const struct eq_qnode *pool = &e->model->nodes[s->pooled];
        epilogue.pool_k = pool->k;
        epilogue.pool_stride = pool->stride;
        epilogue.pool_pad = pool->pad;
        dst = e->arena + e->steps[s->pooled].dst_offset;
    }
    s->kernel->run.u8s8(&s->shape, output_of(e, s->src, pixels), e->model->nodes[s->src].dst.zero_point, s->packed,
                        &epilogue, dst, e->arena + s->scratch_offset);
}

static void run_maxpool(struct eq_qengine *e, const struct eq_qstep *s, int node, const uint8_t *pixels)
{
    const struct eq_qnode *n = &e->model->nodes[node];
    const struct eq_pool_shape p = {e->clips, s->in.h,  s->in.w, e->frames * s->in.c, n->k, n->stride,
                                    n->pad,   s->dst.h, s->dst.w};
    eq_u8s8_kernels()->maxpool(&p, output_of(e, s->src, pixels), e->arena + s->dst_offset);
}

/* EF = head_scale * sum over channels of (integer sum over pixels and frames) * weight + bias, the sum exact in int64,
 * the two operations in double. */
static void run_head(struct eq_qengine *e, const struct eq_qstep *s, int node, const uint8_t *pixels, float *ef)
{
    const struct eq_qnode *n = &e->model->nodes[node];
    int32_t *sums = (int32_t *)(void *)(e->arena + s->dst_offset);
    eq_u8s8_kernels()->sum_pixels_frames(output_of(e, s->src, pixels), e->clips, s->in.h * s->in.w, e->frames, s->in.c,
                                         e->model->nodes[s->src].dst.zero_point, sums);
    for (int clip = 0; clip < e->clips; clip++, sums += s->in.c) {
        int64_t dot = 0;
        for (int c = 0; c < s->in.c; c++)
            dot += (int64_t)sums[c] * n->weights[c];
        ef[clip] = (float)((double)dot * s->head_scale + (double)n->bias[0]);
    }
}

void eq_qengine_run(struct eq_qengine *e, const uint8_t *pixels, float *ef)
{
    assert(eq_parallel_threads() <= e->threads); /* scratch was planned for that many */
    for (int i = 0; i < e->model->n_nodes; i++) {
        struct eq_qstep *s = &e->steps[i];
        double start = e->timing ? eq_now_ms() : 0;
        const struct eq_qnode *n = &e->model->nodes[i];
        if (n->fp32 && s->op == EQ_QOP_CONV2D)
            eq_qengine_run_conv_f32(e, i, pixels);
        else if (n->fp32)
            eq_qengine_run_head_f32(e, i, ef);
        else if (n->fp32_edge)
            eq_qengine_run_maxpool_f32(e, i);
        else if (s->op == EQ_QOP_CONV2D)
            run_conv(e, s, pixels);
        else if (s->op == EQ_QOP_MAXPOOL && !(s->fused && !e->hook))
            run_maxpool(e, s, i, pixels);
        else if (s->op == EQ_QOP_HEAD)
            run_head(e, s, i, pixels, ef);
        if (e->timing)
            e->node_ms[i] = eq_now_ms() - start;
        if (e->hook && s->op != EQ_QOP_HEAD)
            e->hook(e->hook_ctx, i, output_of(e, i, pixels), s->dst_bytes);
    }
}

void eq_qengine_set_hook(struct eq_qengine *e, void (*fn)(void *ctx, int node, const uint8_t *q, size_t n), void *ctx)
{
    e->hook = fn;
    e->hook_ctx = ctx;
}

size_t eq_qengine_arena_bytes(const struct eq_qengine *e)
{
    return e->arena_bytes;
}

size_t eq_qengine_packed_bytes(const struct eq_qengine *e)
{
    return e->packed_bytes;
}

void eq_qengine_set_timing(struct eq_qengine *e, bool on)
{
    e->timing = on;
}

const double *eq_qengine_node_ms(const struct eq_qengine *e)
{
    return e->node_ms;
}

bool eq_qengine_conv_shape(const struct eq_qengine *e, int node, struct eq_conv_shape *shape)
{
    if (node < 0 || node >= e->model->n_nodes || e->steps[node].op != EQ_QOP_CONV2D)
        return false;
    *shape = e->steps[node].shape;
    return true;
}

const char *eq_qengine_kernel_name(const struct eq_qengine *e, int node)
{
    struct eq_conv_shape shape;
    if (!eq_qengine_conv_shape(e, node, &shape))
        return "";
    return e->steps[node].f32 ? e->steps[node].f32->name : e->steps[node].kernel->name;
}
