/*
 * A quantized model as ONNX in QDQ form: every edge of the integer graph lies between QuantizeLinear and
 * DequantizeLinear. A runtime can compute between two of them in integers; one that can't computes the same in floats.
 *
 * As in the integer engine, the pixels themselves are the quantized input, a convolution's output is not rounded
 * before it is added to a residual (unless asked for), and pooled sums are not rounded. Biases are rounded to s32 in
 * units of the accumulator, as ONNX's quantized convolution requires; the engine has them in float. Layers and edges
 * in FP32 are plain ONNX.
 */
#include "model/onnx.h"
#include "quant/qmodel.h"

#include <math.h>
#include <stdlib.h>

struct exporter {
    const struct eq_qmodel *m;
    struct eq_onnx *o;
    const char **edge; /* [n_nodes]: the float tensor of each node's output */
    enum eq_onnx_residual residual;
    struct eq_err *err;
};

/* q and its scale and zero-point (NULL: none) as a float tensor; axis -1: one scale for all. */
static const char *dequantize(struct exporter *x, const char *name, const char *q, const char *scale,
                              const char *zero_point, int axis)
{
    const char *y = eq_onnx_node(x->o, "DequantizeLinear", eq_onnx_name(x->o, name, "/dequantize"), zero_point ? 3 : 2,
                                 (const char *[]){q, scale, zero_point});
    if (axis >= 0)
        eq_onnx_attr_int(x->o, "axis", axis);
    return y;
}

/* The float tensor src rounded to u8 and back; src NULL: the pixels, which are quantized already. */
static const char *round_edge(struct exporter *x, const char *name, const struct eq_qparams *p, const char *src)
{
    struct eq_onnx *o = x->o;
    uint8_t zp = (uint8_t)p->zero_point;
    const char *scale = eq_onnx_scalar(o, eq_onnx_name(o, name, ".scale"), EQ_F32, &p->scale);
    const char *zero_point = eq_onnx_scalar(o, eq_onnx_name(o, name, ".zero_point"), EQ_U8, &zp);
    const char *q = EQ_ONNX_INPUT;
    if (src)
        q = eq_onnx_node(o, "QuantizeLinear", eq_onnx_name(o, name, "/quantize"), 3,
                         (const char *[]){src, scale, zero_point});
    return dequantize(x, name, q, scale, zero_point, -1);
}

/* The edge of node i: y, rounded where the model stores bytes. */
static void store(struct exporter *x, int i, const char *y)
{
    const struct eq_qnode *n = &x->m->nodes[i];
    x->edge[i] = n->fp32_edge ? y : round_edge(x, n->name, &n->dst, y);
}

/* A channel whose weights are all 0 may have any scale; it gets one in whose units the bias fits. */
static float usable_scale(const struct eq_qnode *n, int c, float src_scale)
{
    size_t per = eq_qnode_weights(n) / (size_t)n->cout;
    for (size_t i = 0; i < per; i++)
        if (n->weights[(size_t)c * per + i])
            return n->weight_scale[c];
    return fmaxf(n->weight_scale[c], fabsf(n->bias[c]) / src_scale / (1 << 30));
}

/* Scales of weights and of the accumulator, and the bias in its units. */
static enum eq_status scale_channels(const struct exporter *x, const struct eq_qnode *n, float src_scale,
                                     float *weight_scale, float *bias_scale, int32_t *bias)
{
    for (int c = 0; c < n->cout; c++) {
        weight_scale[c] = usable_scale(n, c, src_scale);
        bias_scale[c] = src_scale * weight_scale[c];
        double q = rint((double)n->bias[c] / (double)bias_scale[c]);
        if (!(fabs(q) <= INT32_MAX))
            return eq_fail(x->err, EQ_UNSUPPORTED,
                           "%s: the bias of channel %d is %.3g steps of its accumulator: ONNX has 32 bits for it",
                           n->name, c, q);
        bias[c] = (int32_t)q;
    }
    return EQ_OK;
}

static const char *constant(struct eq_onnx *o, const struct eq_qnode *n, const char *suffix, struct eq_tensor value)
{
    return eq_onnx_tensor(o, eq_onnx_name(o, n->name, suffix), value);
}

static const char *quantized_weights(struct exporter *x, const struct eq_qnode *n, int rank, const float *scales)
{
    struct eq_onnx *o = x->o;
    const size_t shape[4] = {n->cout, n->cin, n->k, n->k};
    const char *name = eq_onnx_name(o, n->name, ".weight");
    const int8_t *zeros = eq_onnx_room(o, (size_t)n->cout, 1);
    const char *q = eq_onnx_tensor(o, name, eq_tensor_view(EQ_S8, rank, shape, n->weights));
    const char *scale = constant(o, n, ".weight_scale", eq_tensor_view(EQ_F32, 1, shape, scales));
    const char *zero = constant(o, n, ".weight_zero_point", eq_tensor_view(EQ_S8, 1, shape, zeros));
    return dequantize(x, name, q, scale, zero, 0);
}

static float real(const struct eq_qparams *p, int q)
{
    return (float)(q - p->zero_point) * p->scale;
}

/* Rounds the convolution's output to u8 before it is added to the residual. Beyond this range the sum is clipped,
 * whatever the residual. */
static enum eq_status round_addend(struct exporter *x, const struct eq_qnode *n, const char **y)
{
    const struct eq_qparams *sum = &n->dst, *residual = &x->m->nodes[n->residual].dst;
    struct eq_qparams p;
    float min = real(sum, 0) - real(residual, 255), max = real(sum, 255) - real(residual, 0);
    enum eq_status st = eq_qparams_affine(min, max, &p, x->err);
    if (st != EQ_OK)
        return eq_err_context(x->err, "%s: what it adds to the residual", n->name);
    *y = round_edge(x, eq_onnx_name(x->o, n->name, "/addend"), &p, *y);
    return EQ_OK;
}

/* From the convolution's sums to the edge that node i makes. Where 0 is the least value of QuantizeLinear, its clamp is
 * the ReLU. */
static enum eq_status finish(struct exporter *x, int i, const char *y)
{
    const struct eq_qnode *n = &x->m->nodes[i];
    struct eq_onnx *o = x->o;
    enum eq_status st = EQ_OK;
    if (n->residual >= 0 && !n->fp32 && x->residual == EQ_ONNX_RESIDUAL_U8)
        st = round_addend(x, n, &y);
    if (n->residual >= 0)
        y = eq_onnx_node(o, "Add", eq_onnx_name(o, n->name, "/add"), 2, (const char *[]){y, x->edge[n->residual]});
    if (n->relu && (n->fp32_edge || n->dst.zero_point != 0))
        y = eq_onnx_node(o, "Relu", eq_onnx_name(o, n->name, "/relu"), 1, &y);
    store(x, i, y);
    return st;
}

static const char *fp32_weights(struct exporter *x, const struct eq_qnode *n, int rank)
{
    const size_t shape[4] = {n->cout, n->cin, n->k, n->k};
    return constant(x->o, n, ".weight", eq_tensor_view(EQ_F32, rank, shape, n->fp32_weights));
}

static const char *fp32_bias(struct exporter *x, const struct eq_qnode *n)
{
    return constant(x->o, n, ".bias", eq_tensor_view(EQ_F32, 1, (size_t[]){n->cout}, n->bias));
}

/* The input of a layer in FP32, (q - zero_point) * scale by plain arithmetic: between DequantizeLinear and
 * QuantizeLinear ONNX Runtime's WeightBiasQuantization pass would quantize the layer's float weights. */
static const char *fp32_source(struct exporter *x, const struct eq_qnode *n)
{
    const struct eq_qnode *src = &x->m->nodes[n->src];
    struct eq_onnx *o = x->o;
    float zero_point = (float)src->dst.zero_point;
    if (src->fp32_edge)
        return x->edge[n->src];
    const char *q = src->op == EQ_QOP_INPUT ? EQ_ONNX_INPUT : eq_onnx_name(o, src->name, "/quantize");
    const char *zp = eq_onnx_scalar(o, eq_onnx_name(o, n->name, ".src_zero_point"), EQ_F32, &zero_point);
    const char *scale = eq_onnx_scalar(o, eq_onnx_name(o, n->name, ".src_scale"), EQ_F32, &src->dst.scale);
    return eq_onnx_affine(o, eq_onnx_name(o, n->name, "/src"), q, zp, scale);
}

static enum eq_status fp32_convolution(struct exporter *x, int i)
{
    const struct eq_qnode *n = &x->m->nodes[i];
    const char *w = fp32_weights(x, n, 4), *b = fp32_bias(x, n);
    return finish(x, i, eq_onnx_conv(x->o, n->name, fp32_source(x, n), w, b, n->k, n->stride, n->pad));
}

static enum eq_status convolution(struct exporter *x, int i)
{
    const struct eq_qnode *n = &x->m->nodes[i];
    struct eq_onnx *o = x->o;
    const size_t cout = n->cout;
    float *weight_scale = eq_onnx_room(o, cout, sizeof(float));
    float *bias_scale = eq_onnx_room(o, cout, sizeof(float));
    int32_t *bias = eq_onnx_room(o, cout, sizeof(int32_t));
    if (!weight_scale || !bias_scale || !bias)
        return eq_fail(x->err, EQ_NOMEM, "%s: out of memory for its scales", n->name);
    enum eq_status st = scale_channels(x, n, x->m->nodes[n->src].dst.scale, weight_scale, bias_scale, bias);
    if (st != EQ_OK)
        return st;
    const char *bias_name = eq_onnx_name(o, n->name, ".bias");
    const char *q = eq_onnx_tensor(o, bias_name, eq_tensor_view(EQ_S32, 1, &cout, bias));
    const char *scale = constant(o, n, ".bias_scale", eq_tensor_view(EQ_F32, 1, &cout, bias_scale));
    const char *w = quantized_weights(x, n, 4, weight_scale);
    const char *b = dequantize(x, bias_name, q, scale, NULL, 0);
    return finish(x, i, eq_onnx_conv(o, n->name, x->edge[n->src], w, b, n->k, n->stride, n->pad));
}

static void head(struct exporter *x, const struct eq_qnode *n)
{
    struct eq_onnx *o = x->o;
    const char *y = eq_onnx_pixel_mean(o, eq_onnx_name(o, n->name, "/pixel_mean"), x->edge[n->src]);
    y = eq_onnx_frame_mean(o, eq_onnx_name(o, n->name, "/frame_mean"), y);
    const char *w = n->fp32 ? fp32_weights(x, n, 2) : quantized_weights(x, n, 2, n->weight_scale);
    eq_onnx_linear(o, n->name, y, w, fp32_bias(x, n));
}

static enum eq_status export_node(struct exporter *x, int i)
{
    const struct eq_qnode *n = &x->m->nodes[i];
    switch (n->op) {
    case EQ_QOP_INPUT:
        store(x, i, NULL);
        return EQ_OK;
    case EQ_QOP_CONV2D:
        return n->fp32 ? fp32_convolution(x, i) : convolution(x, i);
    case EQ_QOP_MAXPOOL:
        store(x, i, eq_onnx_maxpool(x->o, n->name, x->edge[n->src], n->k, n->stride, n->pad));
        return EQ_OK;
    default: /* EQ_QOP_HEAD */
        head(x, n);
        return EQ_OK;
    }
}

/* QDQ has no way to say what is rounded there. */
static enum eq_status refuse_domain(const struct eq_qmodel *m, struct eq_err *err)
{
    for (int i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].domain)
            return eq_fail(err, EQ_UNSUPPORTED,
                           "%s: its INT8 is in Winograd's domain, which ONNX cannot express: make the model with "
                           "%s.arithmetic = direct",
                           m->nodes[i].name, m->method);
    return EQ_OK;
}

enum eq_status eq_qmodel_export_onnx(const char *path, const struct eq_qmodel *m, int opset,
                                     enum eq_onnx_residual residual, struct eq_err *err)
{
    enum eq_status st;
    struct exporter x = {.m = m, .residual = residual, .err = err};
    EQ_TRY(eq_qmodel_check_graph(m, err));
    EQ_TRY(eq_qmodel_check_values(m, err));
    EQ_TRY(refuse_domain(m, err));
    EQ_TRY(eq_onnx_new(&m->meta, "INT8", opset, &x.o, err));
    eq_onnx_add_meta(x.o, "method", m->method);
    eq_onnx_add_meta(x.o, "observer", m->observer);
    eq_onnx_add_meta(x.o, "residual", residual == EQ_ONNX_RESIDUAL_U8 ? "u8" : "float");
    if (m->recipe)
        eq_onnx_add_meta(x.o, "recipe", m->recipe);
    x.edge = eq_onnx_room(x.o, (size_t)m->n_nodes, sizeof *x.edge);
    for (int i = 0; x.edge && i < m->n_nodes; i++)
        EQ_TRY(export_node(&x, i));
    EQ_TRY(eq_onnx_write(x.o, path, err));
out:
    eq_onnx_free(x.o);
    return st;
}
