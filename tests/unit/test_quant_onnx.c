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

static void keep_some(struct eq_graph *g, uint64_t seed, uint32_t one_in)
{
    struct eq_rng rng;
    bool *keep = calloc((size_t)g->n_nodes, sizeof *keep);
    eq_rng_init(&rng, seed, EQ_RNG_TEST, 0, 79);
    for (int i = 0; i < g->n_nodes; i++)
        keep[i] = g->nodes[i].weight >= 0 && eq_rng_below(&rng, one_in) == 0;
    assert_ok(eq_keep_fp32(g, keep, e_));
    free(keep);
}

/* A random network's integer model; about one layer in `keep` stays in FP32, 0: none. */
static struct eq_qmodel *lowered_mixed(uint64_t seed, int bits, uint32_t keep)
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
    if (keep)
        keep_some(g, seed, keep);
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    snprintf(m->observer, sizeof m->observer, "minmax");
    eq_graph_free(g);
    eq_graph_free(net);
    free(clips.pixels);
    return m;
}

static struct eq_qmodel *lowered(uint64_t seed, int bits)
{
    return lowered_mixed(seed, bits, 0);
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

/* Quantized and dequantized again, both as node q says, unless its edge is in floats; the name of what was quantized.
 */
static const char *is_edge(const Onnx__GraphProto *g, const char *tensor, const struct eq_qnode *q)
{
    const Onnx__NodeProto *dq = onnx_maker(g, tensor);
    assert_non_null(dq);
    if (q->fp32_edge) {
        assert_string_not_equal(dq->op_type, "DequantizeLinear");
        return tensor;
    }
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

static float value_of(const Onnx__GraphProto *g, const char *name)
{
    float v;
    memcpy(&v, onnx_constant(g, name)->raw_data.data, sizeof v);
    return v;
}

/* What is added to a residual, rounded to u8: every value that can end inside the sum's range has a place, and no step
 * is wider than that takes. */
static const char *is_addend(const Onnx__GraphProto *g, const char *tensor, const struct eq_qmodel *m,
                             const struct eq_qnode *q)
{
    const Onnx__NodeProto *dq = onnx_maker(g, tensor);
    assert_string_equal(dq->op_type, "DequantizeLinear");
    const Onnx__NodeProto *quantize = before(g, dq, 0, "QuantizeLinear");
    const struct eq_qparams *sum = &q->dst, *res = &m->nodes[q->residual].dst;
    float scale = value_of(g, dq->input[1]), zp = onnx_constant(g, dq->input[2])->raw_data.data[0];
    float lo = (float)-sum->zero_point * sum->scale - (float)(255 - res->zero_point) * res->scale;
    float hi = (float)(255 - sum->zero_point) * sum->scale + (float)res->zero_point * res->scale;
    assert_string_equal(quantize->input[1], dq->input[1]);
    assert_string_equal(quantize->input[2], dq->input[2]);
    assert_true(fabsf((0 - zp) * scale - lo) <= 0.51f * scale);
    assert_true(fabsf((255 - zp) * scale - hi) <= 0.51f * scale);
    return quantize->input[0];
}

static void has_weights(const Onnx__GraphProto *g, const Onnx__NodeProto *user, const struct eq_qnode *q, size_t rank)
{
    const int64_t dims[4] = {q->cout, q->cin, q->k, q->k};
    if (q->fp32) {
        onnx_is_tensor(onnx_constant(g, user->input[1]), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims,
                       q->fp32_weights, (size_t)q->cout * q->cin * q->k * q->k * 4);
        return;
    }
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
    const int64_t cout = q->cout;
    if (q->fp32) {
        onnx_is_tensor(onnx_constant(g, conv->input[2]), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, &cout, q->bias,
                       (size_t)cout * 4);
        return;
    }
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

/* A layer in FP32 has its source without DequantizeLinear: (q - zero_point) * scale of the same q. */
static void is_plain_source(const Onnx__GraphProto *g, const char *tensor, const struct eq_qnode *src)
{
    const Onnx__NodeProto *mul = onnx_maker(g, tensor), *sub = before(g, mul, 0, "Sub");
    const Onnx__NodeProto *cast = before(g, sub, 0, "Cast");
    char name[96];
    snprintf(name, sizeof name, "%s/quantize", src->name);
    assert_string_equal(mul->op_type, "Mul");
    assert_true(value_of(g, mul->input[1]) == src->dst.scale);
    assert_true(value_of(g, sub->input[1]) == (float)src->dst.zero_point);
    assert_string_equal(cast->input[0], src->op == EQ_QOP_INPUT ? "pixels" : name);
}

static void is_convolution(const Onnx__GraphProto *g, const struct eq_qmodel *m, const struct eq_qnode *q,
                           enum eq_onnx_residual residual, const char *tensor)
{
    const Onnx__NodeProto *n = onnx_maker(g, tensor);
    bool relu = q->relu && (q->fp32_edge || q->dst.zero_point != 0); /* else the clamp of the quantizer does it */
    assert_int_equal(strcmp(n->op_type, "Relu") == 0, relu);
    if (relu)
        n = onnx_maker(g, n->input[0]);
    if (q->residual >= 0) {
        assert_string_equal(n->op_type, "Add");
        is_edge(g, n->input[1], &m->nodes[q->residual]);
        bool rounded = residual == EQ_ONNX_RESIDUAL_U8 && !q->fp32;
        n = onnx_maker(g, rounded ? is_addend(g, n->input[0], m, q) : n->input[0]);
    }
    assert_string_equal(n->op_type, "Conv");
    assert_string_equal(n->name, q->name);
    onnx_is_list(onnx_attribute(n, "kernel_shape"), 2, (int64_t[]){q->k, q->k});
    onnx_is_list(onnx_attribute(n, "strides"), 2, (int64_t[]){q->stride, q->stride});
    onnx_is_list(onnx_attribute(n, "pads"), 4, (int64_t[]){q->pad, q->pad, q->pad, q->pad});
    if (q->fp32 && !m->nodes[q->src].fp32_edge)
        is_plain_source(g, n->input[0], &m->nodes[q->src]);
    else
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

/* The tensor that stands for the edge of q, found where its reader finds it. */
static const char *edge_of(const Onnx__GraphProto *g, const struct eq_qnode *q, char name[96])
{
    static const char *const floats[] = {"/relu", "/add", ""};
    snprintf(name, 96, "%s/dequantize", q->name);
    for (int i = 0; q->fp32_edge && i < 3; i++) {
        snprintf(name, 96, "%s%s", q->name, floats[i]);
        if (onnx_maker(g, name))
            break;
    }
    return name;
}

static void is_model(const Onnx__GraphProto *g, const struct eq_qmodel *m, enum eq_onnx_residual residual)
{
    for (int i = 0; i < m->n_nodes; i++) {
        const struct eq_qnode *q = &m->nodes[i];
        char name[96];
        if (q->op == EQ_QOP_HEAD) {
            is_head(g, m, q);
            continue;
        }
        const char *real = is_edge(g, edge_of(g, q, name), q);
        if (q->op == EQ_QOP_CONV2D)
            is_convolution(g, m, q, residual, real);
        if (q->op == EQ_QOP_MAXPOOL)
            is_edge(g, onnx_maker(g, real)->input[0], &m->nodes[q->src]); /* pooled between equal scales */
    }
}

static void holds_the_integer_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct eq_qmodel *q = lowered(seed, seed % 3 == 0 ? 4 : seed % 3 == 1 ? 8 : 6);
        q->recipe = eq_strdup("{\"bits\": 8}");
        for (enum eq_onnx_residual residual = EQ_ONNX_RESIDUAL_FLOAT; residual <= EQ_ONNX_RESIDUAL_U8; residual++) {
            assert_ok(eq_qmodel_export_onnx(path, q, 17, residual, e_));
            Onnx__ModelProto *m = onnx_read(path, q->meta.size);
            is_model(m->graph, q, residual);
            assert_string_equal(onnx_meta(m, "precision"), "INT8");
            assert_string_equal(onnx_meta(m, "method"), "ptq");
            assert_string_equal(onnx_meta(m, "observer"), "minmax");
            assert_string_equal(onnx_meta(m, "recipe"), q->recipe);
            assert_string_equal(onnx_meta(m, "residual"), residual == EQ_ONNX_RESIDUAL_U8 ? "u8" : "float");
            onnx__model_proto__free_unpacked(m, NULL);
        }
        eq_qmodel_free(q);
    }
}

/* Layers in FP32 with their floats, edges in FP32 without rounding; the rest as ever. */
static void holds_mixed_precision(void **state)
{
    (void)state;
    int kept = 0, quantized = 0, float_edges = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct eq_qmodel *q = lowered_mixed(seed, 8, seed == 12 ? 1 : 2);
        enum eq_onnx_residual residual = seed % 2 ? EQ_ONNX_RESIDUAL_FLOAT : EQ_ONNX_RESIDUAL_U8;
        assert_ok(eq_qmodel_export_onnx(path, q, 18, residual, e_));
        Onnx__ModelProto *m = onnx_read(path, q->meta.size);
        is_model(m->graph, q, residual);
        for (int i = 0; i < q->n_nodes; i++) {
            kept += q->nodes[i].fp32;
            quantized += q->nodes[i].weights != NULL;
            float_edges += q->nodes[i].fp32_edge;
        }
        onnx__model_proto__free_unpacked(m, NULL);
        eq_qmodel_free(q);
    }
    assert_true(kept > 12 && quantized > 12 && float_edges > 12);
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
    eq_qmodel_derive_qparams(q); /* a pooling after it */
    assert_ok(eq_qmodel_export_onnx(path, q, 17, EQ_ONNX_RESIDUAL_FLOAT, e_));
    Onnx__ModelProto *m = onnx_read(path, q->meta.size);
    assert_int_equal(onnx_count(m->graph, "Relu"), 1);
    is_model(m->graph, q, EQ_ONNX_RESIDUAL_FLOAT);
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
    assert_ok(eq_qmodel_export_onnx(path, q, 17, EQ_ONNX_RESIDUAL_FLOAT, e_));
    Onnx__ModelProto *m = onnx_read(path, q->meta.size);
    int32_t bias;
    float scale;
    memcpy(&bias, constant_of(m->graph, conv->name, "bias")->raw_data.data, 4);
    memcpy(&scale, constant_of(m->graph, conv->name, "bias_scale")->raw_data.data, 4);
    assert_true(fabs((double)bias * (double)scale + 77.7) < 1e-5);
    onnx__model_proto__free_unpacked(m, NULL);
    conv->weights[0] = 1;
    assert_refused(eq_qmodel_export_onnx(path, q, 17, EQ_ONNX_RESIDUAL_FLOAT, &err), EQ_UNSUPPORTED, "channel 0");
    eq_qmodel_free(q);
}

static void refusals(void **state)
{
    (void)state;
    struct eq_qmodel *q = lowered(2, 8);
    assert_refused(eq_qmodel_export_onnx(path, q, 16, EQ_ONNX_RESIDUAL_FLOAT, &err), EQ_USAGE, "must be 17 to 21");
    assert_refused(eq_qmodel_export_onnx("/nowhere/q.onnx", q, 17, EQ_ONNX_RESIDUAL_FLOAT, &err), EQ_IO,
                   "/nowhere/q.onnx");
    snprintf(q->nodes[1].name, sizeof q->nodes[1].name, "%s", q->nodes[2].name);
    assert_refused(eq_qmodel_export_onnx(path, q, 17, EQ_ONNX_RESIDUAL_FLOAT, &err), EQ_FORMAT, q->nodes[2].name);
    q->nodes[1].dst.scale = 0;
    assert_refused(eq_qmodel_export_onnx(path, q, 17, EQ_ONNX_RESIDUAL_FLOAT, &err), EQ_NUMERIC, "scale 0");
    q->nodes[1].src = 5;
    assert_refused(eq_qmodel_export_onnx(path, q, 17, EQ_ONNX_RESIDUAL_FLOAT, &err), EQ_FORMAT, "reads node 5");
    eq_qmodel_free(q);
}

static int start(void **state)
{
    (void)state;
    struct eq_err err;
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0 || eq_parallel_init(2, &err) != EQ_OK;
}

static int end(void **state)
{
    (void)state;
    eq_parallel_shutdown();
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_the_integer_model),
        cmocka_unit_test(holds_mixed_precision),
        cmocka_unit_test(relu_above_the_least_value),
        cmocka_unit_test(bias_of_a_dead_channel),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, start, end);
}
