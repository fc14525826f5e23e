/* Everything that the integer engine can settle before a call: kernels, packed weights, requantization, the arena. */
#include "quant/qengine.h"

/* m = (s_src * s_w[oc]) * (1 / s_dst), b = bias[oc] * (1 / s_dst), residual_m = s_res * (1 / s_dst), all float32 in
 * this order; the inverse of s_dst is the one that fake_quant multiplies by. */
static enum eq_status plan_epilogue(const struct eq_qmodel *model, int i, struct eq_qstep *s, struct eq_err *err)
{
    const struct eq_qnode *n = &model->nodes[i];
    float src_scale = model->nodes[n->src].dst.scale, inv_dst = 1.0f / n->dst.scale;
    s->m = eq_alloc((size_t)n->cout, sizeof(float));
    s->b = eq_alloc((size_t)n->cout, sizeof(float));
    if (!s->m || !s->b)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for its requantization", n->name);
    for (int c = 0; c < n->cout; c++) {
        s->m[c] = src_scale * n->weight_scale[c] * inv_dst;
        s->b[c] = n->bias[c] * inv_dst;
    }
    s->epilogue = (struct eq_u8s8_epilogue){
        .m = s->m, .b = s->b, .dst_zp = n->dst.zero_point, .dst_min = n->relu ? n->dst.zero_point : 0, .dst_max = 255};
    s->residual = n->residual;
    if (n->residual >= 0) {
        s->epilogue.residual_zp = model->nodes[n->residual].dst.zero_point;
        s->epilogue.residual_m = model->nodes[n->residual].dst.scale * inv_dst;
    }
    return EQ_OK;
}

static enum eq_status plan_conv(struct eq_qengine *e, int i, struct eq_err *err)
{
    const struct eq_qnode *n = &e->model->nodes[i];
    struct eq_qstep *s = &e->steps[i];
    int src_zp = e->model->nodes[n->src].dst.zero_point;
    eq_conv_shape_init(&s->shape, e->clips, e->frames, s->in.h, s->in.w, n->cin, n->cout, n->k, n->stride, n->pad,
                       n->src == 0 ? EQ_LAYOUT_CLIP : EQ_LAYOUT_PIXEL);
    if (n->fp32)
        return eq_qengine_plan_f32(e, i, err);
    s->kernel = eq_u8s8_conv_select(&s->shape, src_zp, n->weights);
    size_t bytes = s->kernel->packed_bytes(&s->shape);
    s->packed = eq_alloc(bytes, 1);
    if (bytes && !s->packed)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for packed weights", n->name);
    s->kernel->pack_s8(&s->shape, n->weights, src_zp, s->packed);
    e->packed_bytes += bytes;
    s->scratch_bytes = s->kernel->scratch_bytes(&s->shape, e->threads);
    return plan_epilogue(e->model, i, s, err);
}

/* Bytes of a node's output for the whole batch; the head keeps its sums there, in FP32 as doubles and as integers. */
static bool output_bytes(const struct eq_qengine *e, const struct eq_qnode *node, const struct eq_qstep *s,
                         size_t *bytes)
{
    size_t n = (size_t)e->clips;
    if (s->op == EQ_QOP_HEAD)
        return eq_mul_size(n, (size_t)s->in.c * (sizeof(int32_t) + (node->fp32 ? sizeof(double) : 0)), bytes);
    if (node->fp32_edge && !eq_mul_size(n, sizeof(float), &n))
        return false;
    return eq_mul_size(n, (size_t)e->frames, &n) && eq_mul_size(n, (size_t)s->dst.h * s->dst.w, &n) &&
           eq_mul_size(n, (size_t)s->dst.c, bytes);
}

static enum eq_status plan_step(struct eq_qengine *e, int i, const struct eq_qdims *dims, struct eq_err *err)
{
    const struct eq_qnode *n = &e->model->nodes[i];
    struct eq_qstep *s = &e->steps[i];
    s->op = n->op;
    s->src = n->src;
    s->residual = -1;
    s->dst = dims[i];
    s->in = dims[n->src < 0 ? 0 : n->src];
    if (!output_bytes(e, n, s, &s->dst_bytes))
        return eq_fail(err, EQ_USAGE, "%s: %d clips of %d frames are too large", n->name, e->clips, e->frames);
    if (n->op == EQ_QOP_HEAD && !n->fp32) {
        double count = (double)s->in.h * s->in.w * e->frames;
        s->head_scale = (double)e->model->nodes[n->src].dst.scale * n->weight_scale[0] / count;
    }
    return n->op == EQ_QOP_CONV2D ? plan_conv(e, i, err) : EQ_OK;
}

/* Convolutions that pool in the same pass: the pooling node is their one reader, and the kernel can do it. */
static void plan_fusion(struct eq_qengine *e)
{
    const struct eq_qmodel *m = e->model;
    for (int i = 1; i + 1 < m->n_nodes; i++) {
        const struct eq_qnode *pool = &m->nodes[i + 1];
        struct eq_qstep *s = &e->steps[i];
        if (!s->kernel || pool->op != EQ_QOP_MAXPOOL || pool->src != i || s->residual >= 0)
            continue;
        int readers = 0;
        for (int k = i + 1; k < m->n_nodes; k++)
            readers += (m->nodes[k].src == i) + (m->nodes[k].residual == i);
        bool fuses = s->kernel->fuses_maxpool && s->kernel->fuses_maxpool(&s->shape, pool->k, pool->stride, pool->pad);
        if (readers == 1 && fuses) {
            s->pooled = i + 1;
            e->steps[i + 1].fused = true;
        }
    }
}

/* Each output lives until its last reader has run, scratch for its own step. The input is the caller's. A pooling
 * that its convolution makes is written while that one runs; the convolution's own output keeps its place, for hooks.
 */
static enum eq_status plan_memory(struct eq_qengine *e, struct eq_err *err)
{
    int n = e->model->n_nodes;
    struct eq_plan_buffer *b = eq_alloc(2 * (size_t)n, sizeof *b);
    if (!b)
        return eq_fail(err, EQ_NOMEM, "out of memory for the plan");
    for (int i = 1; i < n; i++) {
        struct eq_qstep *s = &e->steps[i];
        b[i] = (struct eq_plan_buffer){.bytes = s->dst_bytes, .first = s->fused ? i - 1 : i, .last = i};
        if (s->src > 0)
            b[s->src].last = i;
        if (s->residual > 0)
            b[s->residual].last = i;
        b[n + i] = (struct eq_plan_buffer){.bytes = s->scratch_bytes, .first = i, .last = i};
    }
    e->arena_bytes = eq_plan_arena(b, 2 * n);
    for (int i = 1; i < n; i++) {
        e->steps[i].dst_offset = b[i].offset;
        e->steps[i].scratch_offset = b[n + i].offset;
    }
    eq_free(b);
    if (e->arena_bytes == SIZE_MAX)
        return eq_fail(err, EQ_NOMEM, "out of memory for the plan");
    e->arena = eq_alloc(e->arena_bytes, 1);
    return e->arena ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for %zu bytes of activations", e->arena_bytes);
}

enum eq_status eq_qengine_new(const struct eq_qmodel *m, int clips, int frames, int size, struct eq_qengine **out,
                              struct eq_err *err)
{
    enum eq_status st;
    struct eq_qdims *dims = NULL;
    struct eq_qengine *e = NULL;
    *out = NULL;
    if (clips < 1 || clips > 65536)
        return eq_fail(err, EQ_USAGE, "%d clips at once: 1 to 65536 are possible", clips);
    EQ_TRY(eq_qmodel_check_graph(m, err));
    EQ_TRY(eq_qmodel_check_values(m, err));
    dims = eq_alloc((size_t)m->n_nodes, sizeof *dims);
    e = eq_alloc(1, sizeof *e);
    if (!dims || !e || !(e->steps = eq_alloc((size_t)m->n_nodes, sizeof *e->steps)) ||
        !(e->node_ms = eq_alloc((size_t)m->n_nodes, sizeof *e->node_ms))) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the integer engine");
        goto out;
    }
    e->model = m;
    e->clips = clips;
    e->frames = frames;
    e->size = size;
    e->threads = eq_parallel_threads();
    EQ_TRY(eq_qmodel_shapes(m, frames, size, dims, err));
    for (int i = 0; i < m->n_nodes; i++)
        EQ_TRY(plan_step(e, i, dims, err));
    plan_fusion(e);
    EQ_TRY(plan_memory(e, err));
    *out = e;
    e = NULL;
out:
    eq_qengine_free(e);
    eq_free(dims);
    return st;
}

void eq_qengine_free(struct eq_qengine *e)
{
    if (!e)
        return;
    for (int i = 0; e->steps && i < e->model->n_nodes; i++) {
        eq_free(e->steps[i].packed);
        eq_free(e->steps[i].m);
        eq_free(e->steps[i].b);
    }
    eq_free(e->steps);
    eq_free(e->node_ms);
    eq_free(e->arena);
    eq_free(e);
}
