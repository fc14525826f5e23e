/* FP32 models as ONNX: what the file holds, read back through the schema, and what is refused. Its numbers are held to
 * the executor's by tests/cli/test_onnx.sh, which runs it. */
#include "model_support.h"
#include "onnx_support.h"

#include <sys/stat.h>
#include <unistd.h>

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/echoquant_onnx_XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}
static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void is_param(const Onnx__GraphProto *g, const struct eq_param *p)
{
    int64_t dims[4];
    for (int i = 0; i < p->value.rank; i++)
        dims[i] = p->value.shape[i];
    onnx_is_tensor(onnx_constant(g, p->name), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, (size_t)p->value.rank, dims,
                   eq_param_data(p), eq_param_count(p) * sizeof(float));
}

static const struct {
    const char *op;
    size_t n;
} resnet18_ops[] = {{"Cast", 1},    {"Sub", 1},        {"Mul", 1},     {"Conv", 20},
                    {"Relu", 17},   {"Add", 8},        {"MaxPool", 1}, {"GlobalAveragePool", 1},
                    {"Flatten", 1}, {"ReduceMean", 1}, {"Gemm", 1}};

static void has_resnet18(const Onnx__GraphProto *g, const struct eq_graph *folded)
{
    size_t nodes = 0;
    for (size_t i = 0; i < sizeof resnet18_ops / sizeof *resnet18_ops; i++) {
        assert_int_equal(onnx_count(g, resnet18_ops[i].op), resnet18_ops[i].n);
        nodes += resnet18_ops[i].n;
    }
    assert_int_equal(g->n_node, nodes);
    for (int i = 0; i < folded->n_params; i++)
        is_param(g, &folded->params[i]);
}

static void holds_the_folded_network(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(6, 1), *folded;
    assert_ok(eq_fold_batchnorm(g, &folded, &err));
    assert_ok(eq_export_onnx(path, g, 17, &err));
    Onnx__ModelProto *m = onnx_read(path, test_meta.size);
    has_resnet18(m->graph, folded);
    assert_int_equal(m->ir_version, 8);
    assert_int_equal(m->opset_import[0]->version, 17);
    assert_string_equal(onnx_meta(m, "precision"), "FP32");
    assert_string_equal(onnx_meta(m, "output_unit"), "EF percent");
    assert_string_equal(onnx_meta(m, "sampling"), "uniform-round-half-even");
    assert_string_equal(onnx_meta(m, "frames"), "3");
    assert_string_equal(onnx_meta(m, "size"), "32");
    const Onnx__NodeProto *conv = onnx_maker(m->graph, "layer2.0.downsample.0");
    assert_string_equal(conv->input[1], "layer2.0.downsample.0.weight");
    assert_string_equal(conv->input[2], "layer2.0.downsample.0.bias");
    onnx_is_list(onnx_attribute(conv, "kernel_shape"), 2, (int64_t[]){1, 1});
    onnx_is_list(onnx_attribute(conv, "strides"), 2, (int64_t[]){2, 2});
    onnx_is_list(onnx_attribute(conv, "pads"), 4, (int64_t[]){0, 0, 0, 0});
    onnx_is_list(onnx_attribute(onnx_maker(m->graph, "conv1"), "pads"), 4, (int64_t[]){3, 3, 3, 3});
    onnx_is_list(onnx_attribute(onnx_maker(m->graph, "maxpool"), "kernel_shape"), 2, (int64_t[]){3, 3});
    onnx__model_proto__free_unpacked(m, NULL);
    eq_graph_free(folded);
    eq_graph_free(g);
}

/* Folded or not, fused or not: the same operators and the same constants. */
static void any_stage_of_the_graph_will_do(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(6, 2), *folded;
    assert_ok(eq_fold_batchnorm(g, &folded, &err));
    for (int fused = 0; fused < 2; fused++) {
        struct eq_graph *variants[] = {g, folded};
        for (int i = 0; i < 2; i++) {
            if (fused)
                assert_ok(eq_fuse(variants[i], &err));
            assert_ok(eq_export_onnx(path, variants[i], 17, &err));
            Onnx__ModelProto *m = onnx_read(path, test_meta.size);
            has_resnet18(m->graph, folded);
            onnx__model_proto__free_unpacked(m, NULL);
        }
    }
    eq_graph_free(folded);
    eq_graph_free(g);
}

static void opsets(void **state)
{
    (void)state;
    static const int ir_versions[] = {8, 8, 9, 9, 10}; /* of opset 17 to 21 */
    struct eq_graph *g = test_resnet18(2, 3);
    for (int opset = EQ_ONNX_MIN_OPSET; opset <= EQ_ONNX_MAX_OPSET; opset++) {
        assert_ok(eq_export_onnx(path, g, opset, &err));
        Onnx__ModelProto *m = onnx_read(path, test_meta.size);
        assert_int_equal(m->opset_import[0]->version, opset);
        assert_int_equal(m->ir_version, ir_versions[opset - EQ_ONNX_MIN_OPSET]);
        const Onnx__NodeProto *mean = onnx_maker(m->graph, "temporal_mean");
        const int64_t axis = 0, one = 1;
        assert_int_equal(onnx_attribute(mean, "keepdims")->i, 1);
        assert_int_equal(mean->n_input, opset < 18 ? 1 : 2);
        if (opset < 18)
            onnx_is_list(onnx_attribute(mean, "axes"), 1, &axis);
        else
            onnx_is_tensor(onnx_constant(m->graph, mean->input[1]), ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &one,
                           &axis, sizeof axis);
        onnx__model_proto__free_unpacked(m, NULL);
    }
    assert_refused(eq_export_onnx(path, g, EQ_ONNX_MIN_OPSET - 1, &err), EQ_USAGE, "opset 16: must be 17 to 21");
    assert_refused(eq_export_onnx(path, g, EQ_ONNX_MAX_OPSET + 1, &err), EQ_USAGE, "opset 22: must be 17 to 21");
    eq_graph_free(g);
}

/* A refusal leaves the file that was there. */
static void refusals(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(2, 4), *twice = NULL;
    struct stat before, after;
    assert_ok(eq_export_onnx(path, g, 17, &err));
    assert_int_equal(stat(path, &before), 0);
    assert_refused(eq_export_onnx("/nowhere/m.onnx", g, 17, &err), EQ_IO, "/nowhere/m.onnx");
    assert_refused(eq_export_onnx("/dev/full", g, 17, &err), EQ_IO, "/dev/full");
    assert_ok(eq_graph_clone(g, &twice, &err));
    snprintf(twice->nodes[eq_graph_find_node(twice, "relu")].name, sizeof twice->nodes[0].name, "maxpool");
    assert_refused(eq_export_onnx(path, twice, 17, &err), EQ_FORMAT, "\"maxpool\"");
    eq_param_data(&g->params[eq_graph_find_param(g, "layer3.1.bn1.bias")])[1] = INFINITY;
    assert_refused(eq_export_onnx(path, g, 17, &err), EQ_NUMERIC, "layer3.1.bn1.bias");
    assert_true(eq_graph_add_fake_quant(twice, 1, 0, 255) >= 0);
    assert_refused(eq_export_onnx(path, twice, 17, &err), EQ_UNSUPPORTED, "fake quantization");
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
    eq_graph_free(twice);
    eq_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(holds_the_folded_network, make_path, remove_path),
        cmocka_unit_test_setup_teardown(any_stage_of_the_graph_will_do, make_path, remove_path),
        cmocka_unit_test_setup_teardown(opsets, make_path, remove_path),
        cmocka_unit_test_setup_teardown(refusals, make_path, remove_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
