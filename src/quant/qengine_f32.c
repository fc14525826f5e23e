/*
 * What a model of mixed precision computes in floats: convolutions between dequantized inputs and, where a byte edge
 * follows, quantization as fake_quant does it. Sums have one order on every ISA level (kernels.h), so that here, too, a
 * file gives the same EF on every CPU, thread count and batch; only the head over a float edge depends on the order of
 * frames, by rounding.
 */
#include "quant/qengine.h"

static size_t values(const struct eq_qengine *e, const struct eq_qdims *d)
{
    return (size_t)e->clips * e->frames * d->h * d->w * d->c;
}

static size_t aligned_bytes(size_t n)
{
    return (n * sizeof(float) + 63) & ~(size_t)63;
}

/* Behind the kernel's own: source, residual and output as floats, each only where the edge is bytes. */
static void plan_scratch(const struct eq_qengine *e, int i, struct eq_qstep *s)
{
    const struct eq_qmodel *m = e->model;
    size_t at = (s->f32->scratch_bytes(&s->shape, e->threads) + 63) & ~(size_t)63;
    s->src_f32 = at;
    at += m->nodes[s->src].fp32_edge ? 0 : aligned_bytes(values(e, &s->in));
    s->residual_f32 = at;
    at += s->residual < 0 || m->nodes[s->residual].fp32_edge ? 0 : aligned_bytes(values(e, &s->dst));
    s->dst_f32 = at;
    at += m->nodes[i].fp32_edge ? 0 : aligned_bytes(values(e, &s->dst));
    s->scratch_bytes = at;
}

enum eq_status eq_qengine_plan_f32(struct eq_qengine *e, int i, struct eq_err *err)
{
    const struct eq_qnode *n = &e->model->nodes[i];
    struct eq_qstep *s = &e->steps[i];
    s->residual = n->residual;
    if (s->dst_bytes > SIZE_MAX / 64 || e->steps[s->src].dst_bytes > SIZE_MAX / 64)
        return eq_fail(err, EQ_USAGE, "%s: %d clips of %d frames are too large", n->name, e->clips, e->frames);
    s->f32 = eq_f32_conv_select_ordered(&s->shape);
    size_t bytes = s->f32->packed_bytes(&s->shape);
    s->packed = eq_alloc(bytes, 1);
    if (bytes && !s->packed)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for packed weights", n->name);
    s->f32->pack(&s->shape, n->fp32_weights, s->packed);
    e->packed_bytes += bytes;
    plan_scratch(e, i, s);
    return EQ_OK;
}

struct convert_job {
    const uint8_t *bytes_in;
    uint8_t *bytes_out;
    const float *floats_in;
    float *floats_out;
    const struct eq_qparams *q;
};

static void dequantize_span(const void *ctx, size_t lo, size_t hi)
{
    const struct convert_job *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->floats_out[i] = (float)(j->bytes_in[i] - j->q->zero_point) * j->q->scale;
}

/* Clamped before it is rounded, which is the same between whole bounds; adding 1.5 * 2^23 leaves no bits behind the
 * point: half to even. */
static void quantize_span(const void *ctx, size_t lo, size_t hi)
{
    const struct convert_job *j = ctx;
    const float inv = 1.0f / j->q->scale, magic = 0x1.8p23f;
    const float min = (float)-j->q->zero_point, max = (float)(255 - j->q->zero_point);
    for (size_t i = lo; i < hi; i++) {
        float r = j->floats_in[i] * inv;
        r = r > min ? r : min; /* NaN, too */
        r = r < max ? r : max;
        j->bytes_out[i] = (uint8_t)((int)((r + magic) - magic) + j->q->zero_point);
    }
}

/* An edge as floats: itself, or dequantized into room. */
static const float *as_floats(const struct eq_qengine *e, int node, const uint8_t *pixels, size_t n, void *room)
{
    const struct eq_qnode *q = &e->model->nodes[node];
    const uint8_t *data = node == 0 ? pixels : e->arena + e->steps[node].dst_offset;
    if (q->fp32_edge)
        return (const float *)(const void *)data;
    eq_for_spans(n, dequantize_span, &(struct convert_job){.bytes_in = data, .floats_out = room, .q = &q->dst});
    return room;
}

void eq_qengine_run_conv_f32(struct eq_qengine *e, int i, const uint8_t *pixels)
{
    struct eq_qstep *s = &e->steps[i];
    const struct eq_qnode *n = &e->model->nodes[i];
    uint8_t *scratch = e->arena + s->scratch_offset, *out = e->arena + s->dst_offset;
    size_t n_dst = values(e, &s->dst);
    const float *src = as_floats(e, s->src, pixels, values(e, &s->in), scratch + s->src_f32);
    struct eq_f32_epilogue epilogue = {.bias = n->bias, .relu = n->relu};
    if (s->residual >= 0)
        epilogue.residual = as_floats(e, s->residual, pixels, n_dst, scratch + s->residual_f32);
    float *dst = (float *)(void *)(n->fp32_edge ? out : scratch + s->dst_f32);
    s->f32->run.forward(&s->shape, src, s->packed, &epilogue, dst, scratch);
    if (n->fp32_edge)
        return;
    eq_for_spans(n_dst, quantize_span, &(struct convert_job){.floats_in = dst, .bytes_out = out, .q = &n->dst});
}

void eq_qengine_run_maxpool_f32(struct eq_qengine *e, int i)
{
    const struct eq_qnode *n = &e->model->nodes[i];
    const struct eq_qstep *s = &e->steps[i];
    const float *src = (const float *)(const void *)(e->arena + e->steps[s->src].dst_offset);
    const struct eq_pool_shape p = {e->clips, s->in.h,  s->in.w, e->frames * s->in.c, n->k, n->stride,
                                    n->pad,   s->dst.h, s->dst.w};
    eq_f32_kernels()->maxpool_forward(&p, src, (float *)(void *)(e->arena + s->dst_offset), NULL);
}

/* sums[clips][c] over pixels and frames, row by row. */
static void sum_floats(const struct eq_qengine *e, const struct eq_qstep *s, const float *x, double *sums)
{
    size_t rows = (size_t)s->in.h * s->in.w * e->frames;
    for (int clip = 0; clip < e->clips; clip++, sums += s->in.c) {
        for (int c = 0; c < s->in.c; c++)
            sums[c] = 0;
        for (size_t row = 0; row < rows; row++, x += s->in.c)
            for (int c = 0; c < s->in.c; c++)
                sums[c] += (double)x[c];
    }
}

void eq_qengine_run_head_f32(struct eq_qengine *e, int i, float *ef)
{
    const struct eq_qnode *n = &e->model->nodes[i], *src = &e->model->nodes[n->src];
    const struct eq_qstep *s = &e->steps[i];
    const uint8_t *in = e->arena + e->steps[s->src].dst_offset;
    double count = (double)s->in.h * s->in.w * e->frames, *sums = (double *)(void *)(e->arena + s->dst_offset);
    int32_t *whole = (int32_t *)(void *)(sums + (size_t)e->clips * s->in.c); /* planned behind the sums */
    if (src->fp32_edge)
        sum_floats(e, s, (const float *)(const void *)in, sums);
    else
        eq_u8s8_kernels()->sum_pixels_frames(in, e->clips, s->in.h * s->in.w, e->frames, s->in.c, src->dst.zero_point,
                                             whole);
    for (int clip = 0; clip < e->clips; clip++) {
        double dot = 0;
        for (int c = 0; c < s->in.c; c++) {
            size_t at = (size_t)clip * s->in.c + c;
            double sum = src->fp32_edge ? sums[at] : whole[at] * (double)src->dst.scale;
            dot += sum / count * (double)n->fp32_weights[c];
        }
        ef[clip] = (float)(dot + (double)n->bias[0]);
    }
}
