/*
 * The float part of a model of mixed precision: convolutions of dequantized inputs and, where a byte edge follows,
 * quantization as fake_quant does it. Sums have one order on every ISA level (kernels.h), so that a file gives the
 * same EF on every CPU, thread count and batch here also. Only the head over a float edge depends, by rounding, on the
 * order of frames.
 */
#include "quant/qengine.h"

static size_t aligned_bytes(const struct eq_plan_node *p)
{
    return (p->n * sizeof(float) + 63) & ~(size_t)63;
}

/* After the kernel's own scratch: source, residual and output as floats, each only where the edge is bytes. */
size_t eq_qengine_plan_f32(struct eq_qengine *e, int i)
{
    const struct eq_qnode *nodes = e->model->nodes, *n = &nodes[i];
    struct eq_qstep *s = &e->steps[i];
    s->f32 = eq_f32_conv_select_ordered(&s->out->conv);
    eq_plan_reserve(&e->plan, i, EQ_QBUFFER_PACKED, s->f32->packed_bytes(&s->out->conv), 0, e->model->n_nodes);
    size_t at = (s->f32->scratch_bytes(&s->out->conv, e->threads) + 63) & ~(size_t)63;
    s->src_f32 = at;
    at += nodes[n->src].fp32_edge ? 0 : aligned_bytes(s->in);
    s->residual_f32 = at;
    at += n->residual < 0 || nodes[n->residual].fp32_edge ? 0 : aligned_bytes(s->out);
    s->dst_f32 = at;
    return at + (n->fp32_edge ? 0 : aligned_bytes(s->out));
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

/* Clamps before it rounds, which gives the same between whole bounds. Adding 1.5 * 2^23 leaves no fraction bits:
 * half to even. */
static void quantize_span(const void *ctx, size_t lo, size_t hi)
{
    const struct convert_job *j = ctx;
    const float inv = 1.0f / j->q->scale, magic = 0x1.8p23f;
    const float least = (float)-j->q->zero_point, most = (float)(255 - j->q->zero_point);
    for (size_t i = lo; i < hi; i++) {
        float r = j->floats_in[i] * inv;
        r = r > least ? r : least; /* also for NaN */
        r = r < most ? r : most;
        j->bytes_out[i] = (uint8_t)((int)((r + magic) - magic) + j->q->zero_point);
    }
}

/* An edge as floats: itself, or dequantized into scratch at `room`. */
static const float *as_floats(const struct eq_qengine *e, int node, const uint8_t *pixels, uint8_t *scratch,
                              size_t room)
{
    const struct eq_qnode *q = &e->model->nodes[node];
    const uint8_t *data = eq_qengine_edge(e, node, pixels);
    if (q->fp32_edge)
        return (const float *)(const void *)data;
    float *floats = (float *)(void *)(scratch + room);
    struct convert_job job = {.bytes_in = data, .floats_out = floats, .q = &q->dst};
    eq_for_spans(e->plan.nodes[node].n, dequantize_span, &job);
    return floats;
}

void eq_qengine_run_conv_f32(const struct eq_qengine *e, int i, const uint8_t *pixels)
{
    const struct eq_qstep *s = &e->steps[i];
    const struct eq_qnode *n = s->node;
    const float *src = as_floats(e, n->src, pixels, s->scratch, s->src_f32);
    struct eq_f32_epilogue epilogue = {.bias = n->bias, .relu = n->relu};
    if (n->residual >= 0)
        epilogue.residual = as_floats(e, n->residual, pixels, s->scratch, s->residual_f32);
    float *dst = (float *)(void *)(n->fp32_edge ? s->dst : s->scratch + s->dst_f32);
    s->f32->run.forward(&s->out->conv, src, s->packed, &epilogue, dst, s->scratch);
    if (n->fp32_edge)
        return;
    struct convert_job job = {.floats_in = dst, .bytes_out = s->dst, .q = &n->dst};
    eq_for_spans(s->out->n, quantize_span, &job);
}

/* sums[clips][c] over pixels and frames, row by row. */
static void sum_floats(int clips, const struct eq_plan_node *in, const float *x, double *sums)
{
    size_t rows = in->rows / (size_t)clips;
    for (int clip = 0; clip < clips; clip++, sums += in->c) {
        for (int c = 0; c < in->c; c++)
            sums[c] = 0;
        for (size_t row = 0; row < rows; row++, x += in->c)
            for (int c = 0; c < in->c; c++)
                sums[c] += (double)x[c];
    }
}

void eq_qengine_run_head_f32(const struct eq_qengine *e, int i, float *ef)
{
    const struct eq_qstep *s = &e->steps[i];
    const struct eq_qnode *n = s->node, *src = &e->model->nodes[n->src];
    const struct eq_plan_node *in = s->in;
    const uint8_t *x = e->steps[n->src].dst;
    double count = (double)in->h * in->w * in->t, *sums = (double *)(void *)s->scratch;
    int32_t *whole = (int32_t *)(void *)(sums + (size_t)e->plan.clips * in->c); /* planned after the sums */
    if (src->fp32_edge)
        sum_floats(e->plan.clips, in, (const float *)(const void *)x, sums);
    else
        eq_u8s8_kernels()->sum_pixels_frames(x, e->plan.clips, in->h * in->w, in->t, in->c, src->dst.zero_point, whole);
    for (int clip = 0; clip < e->plan.clips; clip++) {
        double dot = 0;
        for (int c = 0; c < in->c; c++) {
            size_t at = (size_t)clip * in->c + c;
            double sum = src->fp32_edge ? sums[at] : whole[at] * (double)src->dst.scale;
            dot += sum / count * (double)n->fp32_weights[c];
        }
        ef[clip] = (float)(dot + (double)n->bias[0]);
    }
}
