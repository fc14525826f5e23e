/* A quantized model in memory and its checks. */
#include "quant/qmodel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_weighted(const struct eq_qnode *n)
{
    return n->op == EQ_QOP_CONV2D || n->op == EQ_QOP_HEAD;
}

size_t eq_qnode_rows(const struct eq_qnode *n)
{
    return is_weighted(n) ? (size_t)n->cout * (n->domain ? EQ_DOMAIN_POINTS : 1) : 0;
}

size_t eq_qnode_weights(const struct eq_qnode *n)
{
    return eq_qnode_rows(n) * (size_t)n->cin * (n->domain ? 1 : (size_t)n->k * (size_t)n->k);
}

bool eq_qmodel_has_domain(const struct eq_qmodel *m)
{
    bool any = false;
    for (int i = 0; i < m->n_nodes; i++)
        any = any || m->nodes[i].domain;
    return any;
}

enum eq_status eq_qnode_alloc(struct eq_qnode *n, struct eq_err *err)
{
    size_t weights = eq_qnode_weights(n), channels = weights ? (size_t)n->cout : 0;
    if (n->fp32) {
        n->fp32_weights = eq_alloc(weights, sizeof(float));
    } else {
        n->weights = eq_alloc(weights, 1);
        n->weight_scale = eq_alloc(eq_qnode_rows(n), sizeof(float));
    }
    n->bias = eq_alloc(channels, sizeof(float));
    if (!n->bias || (n->fp32 ? !n->fp32_weights : !n->weights || !n->weight_scale))
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for its weights", n->name);
    return EQ_OK;
}

void eq_qmodel_free(struct eq_qmodel *m)
{
    if (!m)
        return;
    for (int i = 0; m->nodes && i < m->n_nodes; i++) {
        eq_free(m->nodes[i].weights);
        eq_free(m->nodes[i].weight_scale);
        eq_free(m->nodes[i].fp32_weights);
        eq_free(m->nodes[i].bias);
    }
    eq_free(m->nodes);
    free(m->recipe);
    eq_free(m);
}

static bool usable_scale(float s)
{
    return isfinite(s) && s > 0;
}

static enum eq_status check_qparams(const struct eq_qnode *n, struct eq_err *err)
{
    if (n->op == EQ_QOP_HEAD || n->fp32_edge) /* the head makes EF, not an edge */
        return EQ_OK;
    if (!usable_scale(n->dst.scale))
        return eq_fail(err, EQ_NUMERIC, "%s: scale %g of its output: must be finite and above 0", n->name,
                       (double)n->dst.scale);
    if (n->dst.zero_point < 0 || n->dst.zero_point > 255)
        return eq_fail(err, EQ_NUMERIC, "%s: zero-point %d of its output: must be 0 to 255", n->name,
                       n->dst.zero_point);
    if (n->dst.qmin != 0 || n->dst.qmax != 255)
        return eq_fail(err, EQ_FORMAT, "%s: outputs are unsigned 8 bits", n->name);
    return EQ_OK;
}

static enum eq_status check_window(const struct eq_qnode *n, struct eq_err *err)
{
    if (n->k < 1 || n->k > EQ_QMODEL_MAX_KERNEL || n->stride < 1 || n->stride > EQ_QMODEL_MAX_KERNEL || n->pad < 0 ||
        n->pad >= n->k)
        return eq_fail(err, EQ_FORMAT, "%s: kernel %d, stride %d, padding %d are out of range", n->name, n->k,
                       n->stride, n->pad);
    return EQ_OK;
}

static bool has_bits(const struct eq_qnode *n)
{
    return n->fp32 ? n->weight_bits == 32 : n->weight_bits >= 2 && n->weight_bits <= 8;
}

static bool is_fp32_edge(const struct eq_qmodel *m, int node)
{
    return node >= 0 && m->nodes[node].fp32_edge;
}

static enum eq_status check_domain(const struct eq_qnode *n, struct eq_err *err)
{
    if (n->domain && (n->op != EQ_QOP_CONV2D || n->fp32 || n->k != 3 || n->stride != 1 || n->pad != 1 || n->src == 0))
        return eq_fail(err, EQ_FORMAT, "%s: cannot be computed in Winograd's domain", n->name);
    return EQ_OK;
}

/* Floats come from convolutions in FP32 or pooling of floats, and only nodes in FP32, or pooling, read them. */
static enum eq_status check_precision(const struct eq_qmodel *m, const struct eq_qnode *n, struct eq_err *err)
{
    bool pool = n->op == EQ_QOP_MAXPOOL, reads_floats = is_fp32_edge(m, n->src) || is_fp32_edge(m, n->residual);
    if (n->fp32 && !eq_qnode_weights(n))
        return eq_fail(err, EQ_FORMAT, "%s: only convolutions and the head can be in FP32", n->name);
    if (pool ? n->fp32_edge != is_fp32_edge(m, n->src) : n->fp32_edge && (!n->fp32 || n->op == EQ_QOP_HEAD))
        return eq_fail(err, EQ_FORMAT, "%s: its edge has the wrong precision (FP32 or integer)", n->name);
    if (!pool && !n->fp32 && reads_floats)
        return eq_fail(err, EQ_FORMAT, "%s: a quantized node cannot read an edge in FP32", n->name);
    return EQ_OK;
}

static enum eq_status check_node(const struct eq_qmodel *m, int i, struct eq_err *err)
{
    const struct eq_qnode *n = &m->nodes[i];
    const struct eq_qnode *src = i > 0 && n->src >= 0 && n->src < i ? &m->nodes[n->src] : NULL;
    if ((unsigned)n->op >= EQ_QOP_COUNT || (n->op == EQ_QOP_INPUT) != (i == 0))
        return eq_fail(err, EQ_FORMAT, "%s: node %d has the wrong kind of operation", n->name, i);
    if ((n->op == EQ_QOP_HEAD) != (i == m->n_nodes - 1))
        return eq_fail(err, EQ_FORMAT, "%s: the head must be the last node and the only one", n->name);
    if (n->cin < 1 || n->cin > EQ_QMODEL_MAX_CHANNELS || n->cout < 1 || n->cout > EQ_QMODEL_MAX_CHANNELS)
        return eq_fail(err, EQ_FORMAT, "%s: %d to %d channels are out of range", n->name, n->cin, n->cout);
    if (n->op == EQ_QOP_INPUT && (n->src != -1 || n->residual != -1 || n->cout != 3))
        return eq_fail(err, EQ_FORMAT, "%s: the input has 3 channels and reads nothing", n->name);
    if (n->op != EQ_QOP_INPUT && !src)
        return eq_fail(err, EQ_FORMAT, "%s: reads node %d, which does not come before it", n->name, n->src);
    if (n->op != EQ_QOP_INPUT && n->cin != src->cout)
        return eq_fail(err, EQ_FORMAT, "%s: takes %d channels, but %s gives %d", n->name, n->cin, src->name, src->cout);
    if (n->residual != -1 && (n->op != EQ_QOP_CONV2D || n->residual < 1 || n->residual >= i))
        return eq_fail(err, EQ_FORMAT, "%s: residual %d is out of range", n->name, n->residual);
    if (n->op == EQ_QOP_HEAD ? n->cout != 1 || n->k != 1 : eq_qnode_weights(n) == 0 && n->cin != n->cout)
        return eq_fail(err, EQ_FORMAT, "%s: %d to %d channels, kernel %d do not suit its operation", n->name, n->cin,
                       n->cout, n->k);
    if ((n->op == EQ_QOP_MAXPOOL || n->op == EQ_QOP_HEAD) && n->src == 0)
        return eq_fail(err, EQ_FORMAT, "%s: a convolution must come before it", n->name);
    if (eq_qnode_weights(n) && !has_bits(n))
        return eq_fail(err, EQ_FORMAT, "%s: %d weight bits: must be 2 to 8, or 32 in FP32", n->name, n->weight_bits);
    EQ_CHECK(check_precision(m, n, err));
    EQ_CHECK(check_domain(n, err));
    return n->op == EQ_QOP_CONV2D || n->op == EQ_QOP_MAXPOOL ? check_window(n, err) : EQ_OK;
}

enum eq_status eq_qmodel_check_graph(const struct eq_qmodel *m, struct eq_err *err)
{
    if (m->n_nodes < 3 || m->n_nodes > EQ_QMODEL_MAX_NODES)
        return eq_fail(err, EQ_FORMAT, "a quantized model has 3 to %d nodes, not %d", EQ_QMODEL_MAX_NODES, m->n_nodes);
    for (int i = 0; i < m->n_nodes; i++) {
        enum eq_status st = check_node(m, i, err);
        if (st != EQ_OK)
            return st;
    }
    return EQ_OK;
}

/* The qparams of the input and of pooling follow from others. */
static const struct eq_qparams *derived_qparams(const struct eq_qmodel *m, const struct eq_qnode *n,
                                                struct eq_qparams *input)
{
    *input = (struct eq_qparams){1.0f / m->meta.pixel_std, m->meta.pixel_mean, 0, 255};
    if (n->op == EQ_QOP_INPUT)
        return input;
    return n->op == EQ_QOP_MAXPOOL ? &m->nodes[n->src].dst : &n->dst;
}

void eq_qmodel_derive_qparams(struct eq_qmodel *m)
{
    struct eq_qparams input;
    for (int i = 0; i < m->n_nodes; i++)
        m->nodes[i].dst = *derived_qparams(m, &m->nodes[i], &input);
}

/* n: none is. */
static size_t first_outside(const int8_t *w, size_t n, int qmax)
{
    int8_t low = 0, high = 0;
    size_t i = 0;
    for (; i < n; i++) {
        low = w[i] < low ? w[i] : low;
        high = w[i] > high ? w[i] : high;
    }
    if (low < -qmax || high > qmax)
        for (i = 0; w[i] >= -qmax && w[i] <= qmax;)
            i++;
    return i;
}

/* The largest layers have fewer than 2^22 weights a channel. */
static int64_t magnitude(const int8_t *w, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (unsigned)abs(w[i]);
    return (int64_t)sum;
}

static enum eq_status check_row(const struct eq_qnode *n, size_t row, struct eq_err *err)
{
    size_t per = eq_qnode_weights(n) / eq_qnode_rows(n), c = row % (size_t)n->cout;
    const int8_t *w = n->weights + row * per;
    int qmax = (1 << (n->weight_bits - 1)) - 1;
    if (!usable_scale(n->weight_scale[row]))
        return eq_fail(err, EQ_NUMERIC, "%s: weight scale %g of channel %zu: must be finite and above 0", n->name,
                       (double)n->weight_scale[row], c);
    size_t outside = first_outside(w, per, qmax);
    if (outside < per)
        return eq_fail(err, EQ_NUMERIC, "%s: weight %d of channel %zu is outside [-%d, %d]", n->name, w[outside], c,
                       qmax, qmax);
    int64_t sum = magnitude(w, per);
    if (n->op == EQ_QOP_CONV2D && 255 * sum > INT32_MAX)
        return eq_fail(err, EQ_NUMERIC,
                       "%s: channel %zu could overflow the 32-bit accumulator (255 times %lld, its weights' magnitude)",
                       n->name, c, (long long)sum);
    return EQ_OK;
}

static enum eq_status check_channel(const struct eq_qnode *n, size_t c, struct eq_err *err)
{
    size_t per = eq_qnode_weights(n) / (size_t)n->cout;
    if (!isfinite(n->bias[c]))
        return eq_fail(err, EQ_NUMERIC, "%s: the bias of channel %zu is NaN or infinite", n->name, c);
    for (size_t i = 0; n->fp32 && i < per; i++)
        if (!isfinite(n->fp32_weights[c * per + i]))
            return eq_fail(err, EQ_NUMERIC, "%s: a weight of channel %zu is NaN or infinite", n->name, c);
    for (size_t row = c; !n->fp32 && row < eq_qnode_rows(n); row += (size_t)n->cout)
        EQ_CHECK(check_row(n, row, err));
    return EQ_OK;
}

static enum eq_status check_points(const struct eq_qnode *n, struct eq_err *err)
{
    for (int p = 0; n->domain && p < EQ_DOMAIN_POINTS; p++)
        if (n->point_mul[p] < 1 || n->point_mul[p] > INT16_MAX || n->point_add[p] < 0 || n->point_add[p] > 255)
            return eq_fail(err, EQ_NUMERIC,
                           "%s: point %d has the multiplier %d and the zero-point %d: must be 1 to %d and 0 to 255",
                           n->name, p, n->point_mul[p], n->point_add[p], INT16_MAX);
    return EQ_OK;
}

static enum eq_status check_values(const struct eq_qmodel *m, const struct eq_qnode *n, struct eq_err *err)
{
    struct eq_qparams input;
    const struct eq_qparams *expected = derived_qparams(m, n, &input);
    enum eq_status st = check_qparams(n, err);
    if (st == EQ_OK && (n->dst.scale != expected->scale || n->dst.zero_point != expected->zero_point))
        return eq_fail(err, EQ_FORMAT, "%s: scale and zero-point are not those of what it reads", n->name);
    if (st == EQ_OK)
        st = check_points(n, err);
    for (size_t c = 0; eq_qnode_weights(n) && c < (size_t)n->cout && st == EQ_OK; c++)
        st = check_channel(n, c, err);
    return st;
}

enum eq_status eq_qmodel_check_values(const struct eq_qmodel *m, struct eq_err *err)
{
    const struct eq_model_meta *meta = &m->meta;
    if (meta->pixel_mean < 0 || meta->pixel_mean > 255 || !usable_scale(meta->pixel_std) ||
        !usable_scale(1 / meta->pixel_std))
        return eq_fail(err, EQ_NUMERIC, "pixel mean %d and standard deviation %g are not usable for normalization",
                       meta->pixel_mean, (double)meta->pixel_std);
    for (int i = 0; i < m->n_nodes; i++) {
        enum eq_status st = check_values(m, &m->nodes[i], err);
        if (st != EQ_OK)
            return st;
    }
    return EQ_OK;
}

static struct eq_plan_node view(const void *model, int i)
{
    static const enum eq_op ops[EQ_QOP_COUNT] = {EQ_OP_INPUT, EQ_OP_CONV2D, EQ_OP_MAXPOOL, EQ_OP_LINEAR};
    const struct eq_qnode *n = &((const struct eq_qmodel *)model)->nodes[i];
    bool floats = n->fp32_edge || n->op == EQ_QOP_HEAD;
    return (struct eq_plan_node){n->name, ops[n->op], {n->src, -1}, n->residual, n->cin,
                                 n->cout, n->k,       n->stride,    n->pad,      .edge.dtype = floats ? EQ_F32 : EQ_U8};
}

enum eq_status eq_qmodel_plan(const struct eq_qmodel *m, int kinds, int clips, int frames, int size,
                              struct eq_plan *out, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(eq_plan_make(out, m, m->n_nodes, view, kinds, clips, frames, size, err));
    const struct eq_qnode *head = &m->nodes[m->n_nodes - 1];
    const struct eq_plan_node *in = &out->nodes[head->src];
    if ((int64_t)in->h * in->w * in->t * 255 > INT32_MAX)
        st = eq_fail(err, EQ_NUMERIC, "%s: the sum over %d x %d pixels and %d frames could overflow 32 bits",
                     head->name, in->h, in->w, in->t);
out:
    return st;
}

enum eq_status eq_qmodel_check_form(const struct eq_qmodel *m, struct eq_err *err)
{
    struct eq_err why;
    struct eq_plan plan;
    enum eq_status st = eq_qmodel_plan(m, 0, 1, m->meta.frames, m->meta.size, &plan, &why);
    eq_plan_clear(&plan);
    return st == EQ_OK ? st : eq_fail(err, st == EQ_USAGE ? EQ_FORMAT : st, "%s", why.msg);
}

struct eq_u8s8_epilogue eq_qmodel_epilogue(const struct eq_qmodel *m, int node, float *mb)
{
    const struct eq_qnode *n = &m->nodes[node];
    const float src_scale = m->nodes[n->src].dst.scale, inv_dst = 1.0f / n->dst.scale;
    for (int c = 0; c < n->cout; c++) {
        mb[c] = src_scale * n->weight_scale[c] * inv_dst;
        mb[n->cout + c] = n->bias[c] * inv_dst;
    }
    struct eq_u8s8_epilogue e = {.m = mb,
                                 .b = mb + n->cout,
                                 .dst_zp = n->dst.zero_point,
                                 .dst_min = n->relu ? n->dst.zero_point : 0,
                                 .dst_max = 255};
    if (n->residual >= 0) {
        e.residual_zp = m->nodes[n->residual].dst.zero_point;
        e.residual_m = m->nodes[n->residual].dst.scale * inv_dst;
    }
    return e;
}

struct eq_domain_epilogue eq_qmodel_domain_epilogue(const struct eq_qmodel *m, int node,
                                                    struct eq_domain_points *points, float *kb)
{
    const struct eq_qnode *n = &m->nodes[node];
    const float src_scale = m->nodes[n->src].dst.scale, inv_dst = 1.0f / n->dst.scale;
    const size_t cout = (size_t)n->cout;
    float *b = kb + EQ_DOMAIN_POINTS * cout, residual_m = 0, residual_zp = 0;
    if (n->residual >= 0) {
        residual_m = m->nodes[n->residual].dst.scale * inv_dst;
        residual_zp = (float)m->nodes[n->residual].dst.zero_point;
    }
    for (size_t p = 0; p < EQ_DOMAIN_POINTS; p++) {
        const float scale = eq_domain_scale(src_scale, n->point_mul[p]);
        points->mul[p] = (int16_t)n->point_mul[p];
        points->add[p] = (uint8_t)n->point_add[p];
        for (size_t c = 0; c < cout; c++)
            kb[p * cout + c] = scale * n->weight_scale[p * cout + c] * inv_dst;
    }
    for (size_t c = 0; c < cout; c++) {
        b[c] = n->bias[c] * inv_dst + (float)n->dst.zero_point;
        if (n->residual >= 0)
            b[c] -= residual_zp * residual_m;
    }
    return (struct eq_domain_epilogue){
        .k = kb, .b = b, .residual_m = residual_m, .dst_min = n->relu ? n->dst.zero_point : 0};
}
