/* Quantized models as ONNX in QDQ form, read back through the schema: scales, zero-points and integers are those of the
 * integer model, to the bit where ONNX has room for them. tests/cli/test_onnx.sh runs the files. */
#include "onnx_support.h"
#include "quant/qmodel.h"
#include "unit/quant_fixture.h"

#include <unistd.h>

static char path[] = "/tmp/echoquant_qdq_XXXXXX";

#define assert_refused(expr, want, text)                                                                               \
    do {                                                                                                               \
        struct eq_err err = {0};                                                                                       \
        enum eq_status got = (expr);                                                                                   \
        if (got != (want) || !strstr(err.msg, text))                                                                   \
            fail_msg("%s: status %d, message \"%s\" lacks \"%s\"", #expr, got, err.msg, text);                         \
    } while (0)

static struct eq_qmodel *lowered(uint64_t seed, int bits)
{
    struct eq_graph *net = random_net(seed), *g;
    struct noise_clips clips;
    struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MINMAX};
    struct eq_qmodel *m;
    noise_clips_init(&clips, seed, 2, net->meta.frames, net->meta.size);
    assert_ok(eq_fold_batchnorm(net, &g, e_));
    assert_ok(eq_fuse(g, e_));
    assert_ok(eq_prepare_fake_quant(g, bits, e_));
    assert_ok(eq_calibrate(g, &clips.source, 2, &opts, NULL, NULL, e_));
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    snprintf(m->observer, sizeof m->observer, "minmax");
    eq_graph_free(g);
    eq_graph_free(net);
    free(clips.pixels);
    return m;
}

static const Onnx__TensorProto *constant_of(const Onnx__GraphProto *g, const char *layer, const char *what)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", layer, what);
    return onnx_constant(g, name);
}

/* The node that makes the k-th input of n, which must be of this kind. */
static const Onnx__NodeProto *before(const Onnx__GraphProto *g, const Onnx__NodeProto *n, size_t k, const char *op)
{
    const Onnx__NodeProto *made = onnx_maker(g, n->input[k]);
    if (!made || strcmp(made->op_type, op) != 0)
        fail_msg("input %zu of %s is made by %s, not by %s", k, n->name, made ? made->op_type : "nothing", op);
    return made;
}

static void has_qparams(const Onnx__GraphProto *g, const Onnx__NodeProto *n, const struct eq_qparams *p)
{
    uint8_t zp = (uint8_t)p->zero_point;
    assert_int_equal(n->n_input, 3);
    onnx_is_tensor(onnx_constant(g, n->input[1]), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL, &p->scale, 4);
    onnx_is_tensor(onnx_constant(g, n->input[2]), ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, 0, NULL, &zp, 1);
}

/* Quantized and dequantized again, both as node q says; the name of what was quantized. */
static const char *is_edge(const Onnx__GraphProto *g, const char *tensor, const struct eq_qnode *q)
{
    const Onnx__NodeProto *dq = onnx_maker(g, tensor);
    assert_non_null(dq);
    assert_string_equal(dq->op_type, "DequantizeLinear");
    has_qparams(g, dq, &q->dst);
    if (q->op == EQ_QOP_INPUT) {
        assert_string_equal(dq->input[0], "pixels"); /* as they come */
        return NULL;
    }
    const Onnx__NodeProto *quantize = before(g, dq, 0, "QuantizeLinear");
    has_qparams(g, quantize, &q->dst);
    return quantize->input[0];
}

static void has_weights(const Onnx__GraphProto *g, const Onnx__NodeProto *user, const struct eq_qnode *q, size_t rank)
{
    const int64_t dims[4] = {q->cout, q->cin, q->k, q->k};
    const Onnx__NodeProto *dq = before(g, user, 1, "DequantizeLinear");
    int8_t *zeros = calloc((size_t)q->cout, 1);
    onnx_is_tensor(onnx_constant(g, dq->input[0]), ONNX__TENSOR_PROTO__DATA_TYPE__INT8, rank, dims, q->weights,
                   (size_t)q->cout * q->cin * q->k * q->k);
    onnx_is_tensor(onnx_constant(g, dq->input[1]), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, dims, q->weight_scale,
                   (size_t)q->cout * 4);
    onnx_is_tensor(onnx_constant(g, dq->input[2]), ONNX__TENSOR_PROTO__DATA_TYPE__INT8, 1, dims, zeros,
                   (size_t)q->cout);
    assert_int_equal(onnx_attribute(dq, "axis")->i, 0);
    free(zeros);
}

/* s32 in units of s_src * s_w, nearest to the float bias. */
static void has_bias(const Onnx__GraphProto *g, const Onnx__NodeProto *conv, const struct eq_qmodel *m,
                     const struct eq_qnode *q)
{
    const Onnx__NodeProto *dq = before(g, conv, 2, "DequantizeLinear");
    const Onnx__TensorProto *bias = onnx_constant(g, dq->input[0]), *scale = onnx_constant(g, dq->input[1]);
    assert_int_equal(bias->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__INT32);
    assert_int_equal(bias->raw_data.len, q->cout * 4);
    assert_int_equal(scale->raw_data.len, q->cout * 4);
    for (int c = 0; c < q->cout; c++) {
        int32_t b;
        float s, unit = m->nodes[q->src].dst.scale * q->weight_scale[c];
        memcpy(&b, bias->raw_data.data + 4 * c, 4);
        memcpy(&s, scale->raw_data.data + 4 * c, 4);
        assert_true(s == unit);
        assert_true(fabs((double)b * (double)s - (double)q->bias[c]) <= 0.5000001 * (double)s);
    }
}

static void is_convolution(const Onnx__GraphProto *g, const struct eq_qmodel *m, const struct eq_qnode *q,
                           const char *tensor)
{
    const Onnx__NodeProto *n = onnx_maker(g, tensor);
    bool relu = q->relu && q->dst.zero_point != 0; /* else the clamp of the quantizer does it */
    assert_int_equal(strcmp(n->op_type, "Relu") == 0, relu);
    if (relu)
        n = onnx_maker(g, n->input[0]);
    if (q->residual >= 0) {
        assert_string_equal(n->op_type, "Add");
        is_edge(g, n->input[1], &m->nodes[q->residual]);
        n = onnx_maker(g, n->input[0]);
    }
    assert_string_equal(n->op_type, "Conv");
    assert_string_equal(n->name, q->name);
    onnx_is_list(onnx_attribute(n, "kernel_shape"), 2, (int64_t[]){q->k, q->k});
    onnx_is_list(onnx_attribute(n, "strides"), 2, (int64_t[]){q->stride, q->stride});
    onnx_is_list(onnx_attribute(n, "pads"), 4, (int64_t[]){q->pad, q->pad, q->pad, q->pad});
    is_edge(g, n->input[0], &m->nodes[q->src]);
    has_weights(g, n, q, 4);
    has_bias(g, n, m, q);
}

static void is_head(const Onnx__GraphProto *g, const struct eq_qmodel *m, const struct eq_qnode *q)
{
    const Onnx__NodeProto *gemm = onnx_maker(g, "ef"), *n = before(g, gemm, 0, "ReduceMean");
    const int64_t one = 1;
    assert_string_equal(gemm->op_type, "Gemm");
    assert_int_equal(onnx_attribute(gemm, "transB")->i, 1);
    has_weights(g, gemm, q, 2);
    onnx_is_tensor(onnx_constant(g, gemm->input[2]), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, &one, q->bias, 4);
    n = before(g, before(g, n, 0, "Flatten"), 0, "GlobalAveragePool");
    is_edge(g, n->input[0], &m->nodes[q->src]);
}

static void is_model(const Onnx__GraphProto *g, const struct eq_qmodel *m)
{
    for (int i = 0; i < m->n_nodes; i++) {
        const struct eq_qnode *q = &m->nodes[i];
        char name[96];
        snprintf(name, sizeof name, "%s/dequantize", q->name);
        if (q->op == EQ_QOP_HEAD) {
            is_head(g, m, q);
            continue;
        }
        const char *real = is_edge(g, name, q);
        if (q->op == EQ_QOP_CONV2D)
            is_convolution(g, m, q, real);
        if (q->op == EQ_QOP_MAXPOOL)
            is_edge(g, onnx_maker(g, real)->input[0], &m->nodes[q->src]); /* pooled between equal scales */
    }
}

static void holds_the_integer_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct eq_qmodel *q = lowered(seed, seed % 3 == 0 ? 4 : seed % 3 == 1 ? 8 : 6);
        assert_ok(eq_qmodel_export_onnx(path, q, 17, e_));
        Onnx__ModelProto *m = onnx_read(path, q->meta.size);
        is_model(m->graph, q);
        assert_string_equal(onnx_meta(m, "precision"), "INT8");
        assert_string_equal(onnx_meta(m, "method"), "ptq");
        assert_string_equal(onnx_meta(m, "observer"), "minmax");
        onnx__model_proto__free_unpacked(m, NULL);
        eq_qmodel_free(q);
    }
}

static struct eq_qnode *find_conv(struct eq_qmodel *m, bool relu)
{
    for (int i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].op == EQ_QOP_CONV2D && m->nodes[i].relu == relu)
            return &m->nodes[i];
    fail_msg("no such convolution");
    return NULL;
}

static void relu_above_the_least_value(void **state)
{
    (void)state;
    struct eq_qmodel *q = lowered(2, 8);
    struct eq_qnode *conv = find_conv(q, true);
    assert_int_equal(conv->dst.zero_point, 0);
    conv->dst.zero_point = 7;
    eq_qmodel_derive_qparams(q); /* a pooling behind it */
    assert_ok(eq_qmodel_export_onnx(path, q, 17, e_));
    Onnx__ModelProto *m = onnx_read(path, q->meta.size);
    assert_int_equal(onnx_count(m->graph, "Relu"), 1);
    is_model(m->graph, q);
    onnx__model_proto__free_unpacked(m, NULL);
    eq_qmodel_free(q);
}

/* A channel without weights gives its bias, however small its scale is. */
static void bias_of_a_dead_channel(void **state)
{
    (void)state;
    struct eq_qmodel *q = lowered(2, 8);
    struct eq_qnode *conv = find_conv(q, true);
    size_t row = (size_t)conv->cin * conv->k * conv->k;
    memset(conv->weights, 0, row);
    conv->weight_scale[0] = 1.1920929e-7f; /* what an all-zero range gives */
    conv->bias[0] = -77.7f;
    assert_ok(eq_qmodel_export_onnx(path, q, 17, e_));
    Onnx__ModelProto *m = onnx_read(path, q->meta.size);
    int32_t bias;
    float scale;
    memcpy(&bias, constant_of(m->graph, conv->name, "bias")->raw_data.data, 4);
    memcpy(&scale, constant_of(m->graph, conv->name, "bias_scale")->raw_data.data, 4);
    assert_true(fabs((double)bias * (double)scale + 77.7) < 1e-5);
    onnx__model_proto__free_unpacked(m, NULL);
    conv->weights[0] = 1;
    assert_refused(eq_qmodel_export_onnx(path, q, 17, &err), EQ_UNSUPPORTED, "channel 0");
    eq_qmodel_free(q);
}

static void refusals(void **state)
{
    (void)state;
    struct eq_qmodel *q = lowered(2, 8);
    assert_refused(eq_qmodel_export_onnx(path, q, 16, &err), EQ_USAGE, "must be 17 to 21");
    assert_refused(eq_qmodel_export_onnx("/nowhere/q.onnx", q, 17, &err), EQ_IO, "/nowhere/q.onnx");
    snprintf(q->nodes[1].name, sizeof q->nodes[1].name, "%s", q->nodes[2].name);
    assert_refused(eq_qmodel_export_onnx(path, q, 17, &err), EQ_FORMAT, q->nodes[2].name);
    q->nodes[1].dst.scale = 0;
    assert_refused(eq_qmodel_export_onnx(path, q, 17, &err), EQ_NUMERIC, "scale 0");
    q->nodes[1].src = 5;
    assert_refused(eq_qmodel_export_onnx(path, q, 17, &err), EQ_FORMAT, "reads node 5");
    eq_qmodel_free(q);
}

static int start(void **state)
{
    (void)state;
    struct eq_err err;
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0 || eq_parallel_init(2, &err) != EQ_OK;
}

static int stop(void **state)
{
    (void)state;
    eq_parallel_shutdown();
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_the_integer_model),
        cmocka_unit_test(relu_above_the_least_value),
        cmocka_unit_test(bias_of_a_dead_channel),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
