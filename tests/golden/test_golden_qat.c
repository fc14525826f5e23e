/*
 * Training with fake-quant against PyTorch (generate_torch.py, class Qat): weights folded and quantized, edges
 * quantized, learned scales, batch norm on batch statistics and frozen.
 *
 * A value that lies on the border of two steps may fall to the other side in float32 than in PyTorch's float64; it then
 * is off by a whole step of 1/255 of the range. The tolerances leave room for a few such values among some hundred
 * thousand.
 */
#include "model_support.h"

enum { CLIPS = 2, FRAMES = 4, SIZE = 40 };
static const double TOLERANCE_EF = 2e-5, TOLERANCE_GRADIENT = 3e-3, TOLERANCE_STATISTICS = 2e-5;
static const double TOLERANCE_SCALE = 0.01; /* sums of rounding errors of both signs: what is left of them is small */

static struct eq_st_file golden, inputs;

static const struct eq_tensor *expect(const char *a, const char *b, const char *name)
{
    char key[160];
    snprintf(key, sizeof key, "%s%s%s", a, b, name);
    return eq_st_find(&golden, key);
}

static float f32(const struct eq_tensor *t, size_t i)
{
    float v;
    memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v);
    return v;
}

/* Relative distance in the L2 norm. */
static void assert_close(const char *what, const char *name, const float *x, const struct eq_tensor *want,
                         double tolerance)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < eq_tensor_bytes(want) / sizeof(float); i++) {
        error += pow((double)x[i] - f32(want, i), 2);
        size += pow(f32(want, i), 2);
    }
    if (!(sqrt(error) <= tolerance * sqrt(size)))
        fail_msg("%s %s: off by %.3g of its size", what, name, sqrt(error / size));
}

/* A fake-quant with the golden file's qparams for one edge or weight, its scale learned. */
static int fake_quant(struct eq_graph *g, const char *name, int qmin, int qmax)
{
    const struct eq_tensor *scale = expect("scale.", "", name), *zp = expect("zero_point.", "", name);
    assert_non_null(scale);
    int at = eq_graph_add_fake_quant(g, (int)(eq_tensor_bytes(scale) / sizeof(float)), qmin, qmax);
    assert_true(at >= 0);
    struct eq_fake_quant *fq = &g->fake_quants[at];
    fq->learn_scale = true;
    fq->enabled = true;
    memcpy(fq->scale, scale->data, eq_tensor_bytes(scale));
    if (zp)
        memcpy(fq->zero_point, zp->data, eq_tensor_bytes(zp));
    return at;
}

static struct eq_graph *qat_graph(bool frozen)
{
    struct eq_graph *g = NULL;
    assert_ok(eq_model_load(TEST_DATA_DIR "/golden/data/resnet18_w8.safetensors", &g, &err));
    assert_ok(eq_fuse(g, &err));
    for (int i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op == EQ_OP_LINEAR)
            g->nodes[i].weight_fq = fake_quant(g, g->nodes[i].name, -127, 127);
        if (g->nodes[i].op != EQ_OP_BATCHNORM)
            continue;
        struct eq_node *bn = &g->nodes[i], *conv = &g->nodes[bn->src[0]];
        bn->bn_frozen = frozen;
        bn->edge_fq = fake_quant(g, bn->name, 0, 255);
        conv->folded_bn = i;
        conv->weight_fq = fake_quant(g, conv->name, -127, 127);
    }
    return g;
}

static void check_scales(const struct eq_graph *g, const struct eq_exec *x, const char *kind)
{
    int checked = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        int fq = n->op == EQ_OP_BATCHNORM ? n->edge_fq : n->weight_fq;
        if (fq < 0)
            continue;
        const struct eq_tensor *want = expect(kind, "grad_scale.", n->name);
        assert_close("gradient of the scale of", n->name, eq_exec_scale_grad(x, fq), want, TOLERANCE_SCALE);
        checked++;
    }
    assert_int_equal(checked, 20 + 20 + 1);
}

static void train_step(bool frozen)
{
    const char *kind = frozen ? "frozen." : "batch.";
    struct eq_graph *g = qat_graph(frozen);
    struct eq_exec *x = NULL;
    float ef[CLIPS], diff[CLIPS];
    const struct eq_tensor *target = eq_st_find(&inputs, "target");
    float want[CLIPS] = {f32(target, 0), f32(target, 1)};
    assert_ok(new_exec(g, EQ_EXEC_TRAIN, CLIPS, FRAMES, SIZE, &x, &err));
    assert_ok(eq_exec_forward(x, eq_st_find(&inputs, "pixels")->data, ef, &err));
    assert_close("EF", kind, ef, expect(kind, "", "ef"), TOLERANCE_EF);
    eq_loss_forward(EQ_LOSS_MSE, ef, want, CLIPS, 12.25f, diff);
    eq_exec_zero_grads(x);
    assert_ok(eq_exec_backward(x, diff, &err));
    int checked = 0;
    for (int i = 0; i < g->n_params; i++) {
        const struct eq_param *p = &g->params[i];
        const struct eq_tensor *grad = expect(kind, "grad.", p->name), *after = expect(kind, "after.", p->name);
        if (grad)
            assert_close("gradient of", p->name, eq_exec_grad(x, i), grad, TOLERANCE_GRADIENT);
        if (after)
            assert_close("statistics", p->name, eq_param_data(p), after, TOLERANCE_STATISTICS);
        checked += (grad != NULL) + (after != NULL);
    }
    assert_int_equal(checked, 3 + 2 * 20 + 1 + 2);
    check_scales(g, x, kind);
    eq_exec_free(x);
    eq_graph_free(g);
}

static void batch_statistics(void **state)
{
    (void)state;
    train_step(false);
}

static void frozen_statistics(void **state)
{
    (void)state;
    train_step(true);
}

int main(void)
{
    struct eq_err err;
    if (eq_st_read(TEST_DATA_DIR "/golden/data/golden_qat.safetensors", &golden, &err) != EQ_OK ||
        eq_st_read(TEST_DATA_DIR "/golden/data/golden_w8.safetensors", &inputs, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_statistics),
        cmocka_unit_test(frozen_statistics),
    };
    int failed = cmocka_run_group_tests(tests, two_threads, stop_threads);
    eq_st_clear(&golden);
    eq_st_clear(&inputs);
    return failed;
}
