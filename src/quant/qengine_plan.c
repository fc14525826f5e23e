/* The integer engine before its first call: kernels, packed weights, requantization, the arena. */
#include "quant/qengine.h"

/* ---- buffers ------------------------------------------------------------- */

/* Lives from the first call on. */
static void keep(struct eq_qengine *e, int i, enum eq_qbuffer kind, size_t bytes)
{
    eq_plan_reserve(&e->plan, i, kind, bytes, 0, e->model->n_nodes);
}

static size_t plan_conv(struct eq_qengine *e, int i)
{
    struct eq_qstep *s = &e->steps[i];
    const struct eq_qnode *n = s->node;
    const struct eq_conv_shape *shape = &s->out->conv;
    if (n->fp32)
        return eq_qengine_plan_f32(e, i);
    s->kernel = n->domain ? eq_u8s8_domain_select(shape)
                          : eq_u8s8_conv_select(shape, e->model->nodes[n->src].dst.zero_point, n->weights);
    keep(e, i, EQ_QBUFFER_PACKED, s->kernel->packed_bytes(shape));
    keep(e, i, EQ_QBUFFER_MB, (eq_qnode_rows(n) + (size_t)n->cout) * sizeof(float));
    if (!e->watched)
        eq_plan_fuse_pool(&e->plan, i, s->kernel->fuses_maxpool);
    return s->kernel->scratch_bytes(shape, e->threads);
}

/* Each output lives until its last reader has run, scratch for its own step. The input and the head's output are the
 * caller's. The head's scratch holds its sums, in FP32 as doubles and as integers. If a convolution does the pooling
 * after it, the pooling's output is written while the convolution runs, and the convolution has no output of its
 * own. */
static void plan_step(struct eq_qengine *e, int i)
{
    struct eq_qstep *s = &e->steps[i];
    const struct eq_qnode *n = s->node = &e->model->nodes[i];
    size_t scratch = 0;
    s->out = &e->plan.nodes[i];
    if (i == 0)
        return;
    s->in = &e->plan.nodes[n->src];
    if (n->op == EQ_QOP_CONV2D)
        scratch = plan_conv(e, i);
    if (n->op == EQ_QOP_HEAD)
        scratch = (size_t)e->plan.clips * s->in->c * (sizeof(int32_t) + (n->fp32 ? sizeof(double) : 0));
    eq_plan_reserve(&e->plan, i, EQ_QBUFFER_SCRATCH, scratch, i, i);
    if (n->op != EQ_QOP_HEAD && !s->out->pool)
        eq_plan_reserve(&e->plan, i, EQ_QBUFFER_OUT, eq_tensor_bytes(&s->out->edge),
                        s->out->pooled_by ? s->out->pooled_by : i, s->out->last);
}

/* ---- constants ----------------------------------------------------------- */

/* Turns buffers into addresses and fills in the constants. */
static void bind_step(struct eq_qengine *e, int i)
{
    struct eq_qstep *s = &e->steps[i];
    const struct eq_qnode *n = s->node;
    s->dst = eq_plan_at(&e->plan, e->arena, i, EQ_QBUFFER_OUT);
    s->scratch = eq_plan_at(&e->plan, e->arena, i, EQ_QBUFFER_SCRATCH);
    s->packed = eq_plan_at(&e->plan, e->arena, i, EQ_QBUFFER_PACKED);
    if (s->f32)
        s->f32->pack(&s->out->conv, n->fp32_weights, s->packed);
    if (s->kernel && n->domain) {
        s->domain =
            eq_qmodel_domain_epilogue(e->model, i, &s->points, eq_plan_at(&e->plan, e->arena, i, EQ_QBUFFER_MB));
        s->kernel->pack_domain(&s->out->conv, n->weights, &s->points, s->packed);
    } else if (s->kernel) {
        float *m = eq_plan_at(&e->plan, e->arena, i, EQ_QBUFFER_MB);
        s->kernel->pack_s8(&s->out->conv, n->weights, e->model->nodes[n->src].dst.zero_point, s->packed);
        s->epilogue = eq_qmodel_epilogue(e->model, i, m);
        eq_plan_pool(&e->plan, i, &s->epilogue.pool_k, &s->epilogue.pool_stride, &s->epilogue.pool_pad);
        if (s->out->pool)
            s->dst = eq_plan_at(&e->plan, e->arena, s->out->pool, EQ_QBUFFER_OUT);
    }
    if (n->op == EQ_QOP_HEAD && !n->fp32)
        s->head_scale =
            (double)e->model->nodes[n->src].dst.scale * n->weight_scale[0] / ((double)s->in->h * s->in->w * s->in->t);
}

/* ---- life ---------------------------------------------------------------- */

enum eq_status eq_qengine_new(const struct eq_qmodel *m, int clips, int frames, int size, bool watched,
                              struct eq_qengine **out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_qengine *e = NULL;
    *out = NULL;
    EQ_TRY(eq_qmodel_check_graph(m, err));
    EQ_TRY(eq_qmodel_check_values(m, err));
    e = eq_alloc(1, sizeof *e);
    if (!e || !(e->steps = eq_alloc((size_t)m->n_nodes, sizeof *e->steps)) ||
        !(e->node_ms = eq_alloc((size_t)m->n_nodes, sizeof *e->node_ms)))
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the integer engine"));
    e->model = m;
    e->watched = watched;
    e->threads = eq_parallel_threads();
    EQ_TRY(eq_qmodel_plan(m, EQ_QBUFFERS, clips, frames, size, &e->plan, err));
    for (int i = 0; i < m->n_nodes; i++)
        plan_step(e, i);
    e->arena = eq_plan_allocate(&e->plan, err);
    if (!e->arena)
        EQ_TRY(EQ_NOMEM);
    for (int i = 0; i < m->n_nodes; i++)
        bind_step(e, i);
    *out = e;
    e = NULL;
out:
    eq_qengine_free(e);
    return st;
}

void eq_qengine_free(struct eq_qengine *e)
{
    if (!e)
        return;
    eq_plan_clear(&e->plan);
    eq_free(e->steps);
    eq_free(e->node_ms);
    eq_free(e->arena);
    eq_free(e);
}
