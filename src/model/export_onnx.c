/*
 * An FP32 graph as an ONNX file: batch norm folded into the convolutions, as prediction runs it; each of our nodes one
 * or a few of ONNX's, under its name.
 */
#include "model/graph.h"
#include "model/onnx.h"

struct exporter {
    const struct eq_graph *g;
    struct eq_onnx *o;
    const char **edge; /* name of the tensor that each node makes */
};

static const char *constant(struct exporter *x, int param)
{
    return param < 0 ? NULL : eq_onnx_tensor(x->o, x->g->params[param].name, x->g->params[param].value);
}

/* (pixel - mean) * (1 / std), as the executor computes it. */
static const char *normalize(struct exporter *x, const char *name)
{
    float mean = (float)x->g->meta.pixel_mean, inv_std = 1.0f / x->g->meta.pixel_std;
    const char *zero = eq_onnx_scalar(x->o, eq_onnx_name(x->o, name, ".pixel_mean"), EQ_F32, &mean);
    const char *scale = eq_onnx_scalar(x->o, eq_onnx_name(x->o, name, ".pixel_scale"), EQ_F32, &inv_std);
    return eq_onnx_affine(x->o, name, EQ_ONNX_INPUT, zero, scale);
}

static const char *convolution(struct exporter *x, const struct eq_node *n)
{
    const char *src = x->edge[n->src[0]];
    const char *y =
        eq_onnx_conv(x->o, n->name, src, constant(x, n->weight), constant(x, n->bias), n->k, n->stride, n->pad);
    if (n->residual >= 0)
        y = eq_onnx_node(x->o, "Add", eq_onnx_name(x->o, n->name, "/add"), 2,
                         (const char *[]){y, x->edge[n->residual]});
    return n->relu ? eq_onnx_node(x->o, "Relu", eq_onnx_name(x->o, n->name, "/relu"), 1, &y) : y;
}

static const char *export_node(struct exporter *x, const struct eq_node *n)
{
    const char *src[2] = {n->src[0] < 0 ? NULL : x->edge[n->src[0]], n->src[1] < 0 ? NULL : x->edge[n->src[1]]};
    switch (n->op) {
    case EQ_OP_INPUT:
        return normalize(x, n->name);
    case EQ_OP_CONV2D:
        return convolution(x, n);
    case EQ_OP_RELU:
        return eq_onnx_node(x->o, "Relu", n->name, 1, src);
    case EQ_OP_MAXPOOL:
        return eq_onnx_maxpool(x->o, n->name, src[0], n->k, n->stride, n->pad);
    case EQ_OP_ADD:
        return eq_onnx_node(x->o, "Add", n->name, 2, src);
    case EQ_OP_GLOBAL_AVG:
        return eq_onnx_pixel_mean(x->o, n->name, src[0]);
    case EQ_OP_TEMPORAL_MEAN:
        return eq_onnx_frame_mean(x->o, n->name, src[0]);
    default: /* EQ_OP_LINEAR; batch norm is folded */
        eq_onnx_linear(x->o, n->name, src[0], constant(x, n->weight), constant(x, n->bias));
        return NULL;
    }
}

static enum eq_status check(const struct eq_graph *g, struct eq_err *err)
{
    if (g->n_fake_quants)
        return eq_fail(err, EQ_UNSUPPORTED,
                       "a graph with fake quantization cannot be exported; export the integer model it is lowered to");
    for (int i = 0; i < g->n_params; i++)
        if (!eq_all_finite(eq_param_data(&g->params[i]), eq_param_count(&g->params[i])))
            return eq_fail(err, EQ_NUMERIC, "\"%s\" has NaN or infinite values", g->params[i].name);
    return EQ_OK;
}

enum eq_status eq_export_onnx(const char *path, const struct eq_graph *g, int opset, struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *folded = NULL;
    struct exporter x = {0};
    EQ_TRY(check(g, err));
    EQ_TRY(eq_fold_batchnorm(g, &folded, err));
    EQ_TRY(eq_onnx_new(&g->meta, "FP32", opset, &x.o, err));
    x.g = folded;
    x.edge = eq_onnx_room(x.o, (size_t)folded->n_nodes, sizeof *x.edge);
    for (int i = 0; x.edge && i < folded->n_nodes; i++)
        x.edge[i] = export_node(&x, &folded->nodes[i]);
    EQ_TRY(eq_onnx_write(x.o, path, err));
out:
    eq_onnx_free(x.o);
    eq_graph_free(folded);
    return st;
}
