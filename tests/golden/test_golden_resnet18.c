/*
 * ResNet-18 against PyTorch: what generate_torch.py, in this folder, computed in float64 from the same weights.
 *
 * Tolerances, relative to the largest value of a tensor. Direct FP32 convolutions come to 6e-8 for EF, 7e-6 for
 * gradients, 1e-7 for statistics; Winograd may cost 20 times the rounding of direct sums.
 */
#include "model_support.h"

enum { CLIPS = 2, FRAMES = 4, SIZE = 40, STEPS = 10 };
static const double TOLERANCE_EF = 1e-6, TOLERANCE_LOSS = 2e-5, TOLERANCE_GRADIENT = 1e-4, TOLERANCE_STATISTICS = 2e-6;
/* AdamW divides small gradients by their own size: their rounding comes back as whole steps, and adds up. */
static const double TOLERANCE_ADAMW = 1e-3, TOLERANCE_SGD = 1e-4;

static struct eq_st_file golden;

static const struct eq_tensor *expect(const char *prefix, const char *name)
{
    char key[160];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    const struct eq_tensor *t = eq_st_find(&golden, key);
    if (!t)
        fail_msg("golden_w8.safetensors has no \"%s\"", key);
    return t;
}

static float f32(const struct eq_tensor *t, size_t i)
{
    float v;
    memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v);
    return v;
}

static double f64(const struct eq_tensor *t, size_t i)
{
    double v;
    memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v);
    return v;
}

/* The largest deviation is at most tolerance times the largest expected value. */
static void assert_close(const char *what, const float *x, const struct eq_tensor *want, double tolerance)
{
    size_t n = eq_tensor_bytes(want) / sizeof(float);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)x[i] - f32(want, i)), m = fabs(f32(want, i));
        largest = m > largest ? m : largest;
        worst = e > worst || isnan(e) ? e : worst;
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s: off by %.3g where the largest value is %.3g; allowed is %.3g of it", what, worst, largest,
                 tolerance);
}

static struct eq_graph *load(bool fuse)
{
    struct eq_graph *g = NULL;
    assert_ok(eq_model_load(TEST_DATA_DIR "/golden/data/resnet18_w8.safetensors", &g, &err));
    if (fuse)
        assert_ok(eq_fuse(g, &err));
    return g;
}

static double forward_loss(struct eq_exec *x, float *ef, float *diff)
{
    const struct eq_tensor *target = expect("", "target");
    float want[CLIPS] = {f32(target, 0), f32(target, 1)};
    assert_ok(eq_exec_forward(x, expect("", "pixels")->data, ef, &err));
    return eq_loss_forward(EQ_LOSS_MSE, ef, want, CLIPS, 12.25f, diff);
}

/* Inference: as trained, fused, folded, folded and fused. Four walks, one answer. */
static void infers_like_pytorch(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        struct eq_graph *g = load(false), *folded = NULL;
        if (form & 1)
            assert_ok(eq_fuse(g, &err));
        if (form & 2) {
            assert_ok(eq_fold_batchnorm(g, &folded, &err));
            eq_graph_free(g);
            g = folded;
        }
        struct eq_exec *x = NULL;
        float ef[CLIPS];
        assert_ok(new_exec(g, EQ_EXEC_INFER, CLIPS, FRAMES, SIZE, &x, &err));
        assert_ok(eq_exec_forward(x, expect("", "pixels")->data, ef, &err));
        assert_close("EF in inference", ef, expect("", "infer.ef"), TOLERANCE_EF);
        eq_exec_free(x);
        eq_graph_free(g);
    }
}

static void check_gradients(bool fuse)
{
    struct eq_graph *g = load(fuse);
    struct eq_exec *x = NULL;
    float ef[CLIPS], diff[CLIPS];
    assert_ok(new_exec(g, EQ_EXEC_TRAIN, CLIPS, FRAMES, SIZE, &x, &err));
    double loss = forward_loss(x, ef, diff);
    assert_close("EF in training", ef, expect("", "train.ef"), TOLERANCE_EF);
    assert_true(fabs(loss - f64(expect("", "train.loss"), 0)) < TOLERANCE_LOSS * loss);
    eq_exec_zero_grads(x);
    assert_ok(eq_exec_backward(x, diff, &err));
    for (int i = 0; i < g->n_params; i++) {
        const struct eq_param *p = &g->params[i];
        if (p->trainable)
            assert_close(p->name, eq_exec_grad(x, i), expect("grad.", p->name), TOLERANCE_GRADIENT);
        else
            assert_close(p->name, eq_param_data(p), expect("after.", p->name), TOLERANCE_STATISTICS);
    }
    eq_exec_free(x);
    eq_graph_free(g);
}

/* With the kernels of every ISA level that this CPU has. */
static void gradients_like_pytorch(void **state)
{
    (void)state;
    for (int isa = 0; isa < EQ_ISA_COUNT; isa++) {
        if (!eq_cpu_has((enum eq_isa)isa))
            continue;
        assert_ok(eq_cpu_set_ceiling(eq_isa_name((enum eq_isa)isa), &err));
        eq_kernels_init();
        print_message("%s\n", eq_isa_name((enum eq_isa)isa));
        check_gradients(true);
    }
    assert_ok(eq_cpu_set_ceiling("auto", &err));
    eq_kernels_init();
}

static void gradients_of_the_unfused_graph(void **state)
{
    (void)state;
    check_gradients(false);
}

/* Ten steps with one optimizer; a deviation in any step shows in the losses after it. The root of the loss is how far
 * the predictions are off, in deviations of the target: 1 at first, some hundredths in the end. */
static void train(const char *kind, const struct eq_optim_opts *opts, enum eq_schedule schedule, double tolerance)
{
    struct eq_graph *g = load(true);
    struct eq_exec *x = NULL;
    struct eq_optim optim;
    float *params[128], *grads[128];
    size_t sizes[128], n = 0;
    bool decay[128];
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%s.", kind);
    assert_ok(new_exec(g, EQ_EXEC_TRAIN, CLIPS, FRAMES, SIZE, &x, &err));
    for (int i = 0; i < g->n_params; i++)
        if (g->params[i].trainable) {
            params[n] = eq_param_data(&g->params[i]);
            grads[n] = eq_exec_grad(x, i);
            decay[n] = g->params[i].decay;
            sizes[n++] = eq_param_count(&g->params[i]);
        }
    assert_ok(eq_optim_init(&optim, opts, n, sizes, &err));
    for (size_t step = 0; step < STEPS; step++) {
        float ef[CLIPS], diff[CLIPS];
        double loss = forward_loss(x, ef, diff), want = f64(expect(prefix, "loss"), step);
        if (!(fabs(sqrt(loss) - sqrt(want)) <= tolerance))
            fail_msg("%s, step %zu: loss %.9g, PyTorch's is %.9g", kind, step, loss, want);
        eq_exec_zero_grads(x);
        assert_ok(eq_exec_backward(x, diff, &err));
        eq_optim_step(&optim, params, grads, decay, eq_schedule_lr(schedule, opts->lr, step, STEPS, 0));
        eq_exec_weights_changed(x);
    }
    for (size_t i = 0; i < golden.n; i++) {
        int p = eq_graph_find_param(g, golden.tensors[i].name + strlen(prefix));
        if (strncmp(golden.tensors[i].name, prefix, strlen(prefix)) == 0 && p >= 0)
            assert_close(golden.tensors[i].name, eq_param_data(&g->params[p]), &golden.tensors[i].value, tolerance);
    }
    eq_optim_clear(&optim);
    eq_exec_free(x);
    eq_graph_free(g);
}

static void ten_steps_of_adamw(void **state)
{
    (void)state;
    struct eq_optim_opts opts = {
        .kind = EQ_OPTIM_ADAMW, .lr = 1e-3, .weight_decay = 0.05, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    train("adamw", &opts, EQ_SCHEDULE_ONECYCLE, TOLERANCE_ADAMW);
}

static void ten_steps_of_sgd(void **state)
{
    (void)state;
    struct eq_optim_opts opts = {.kind = EQ_OPTIM_SGD, .lr = 0.01, .weight_decay = 1e-4, .momentum = 0.9};
    train("sgd", &opts, EQ_SCHEDULE_COSINE, TOLERANCE_SGD);
}

/* ---- torchvision's own network, weights by formula ----------------------- */

/* generate_torch.py, formula(). */
static float formula(uint32_t i, uint32_t seed)
{
    uint32_t h = i * 0x9E3779B1u + seed * 0x85EBCA77u;
    h ^= h >> 15;
    h *= 0x2C1B3C6Du;
    h ^= h >> 12;
    h *= 0x297A2D39u;
    h ^= h >> 15;
    return (float)(h >> 8) * 0x1p-23f - 1.0f;
}

static bool ends_with(const char *s, const char *end)
{
    return strlen(s) >= strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

/* generate_torch.py, weights_by_formula(). */
static void fill_by_formula(struct eq_graph *g)
{
    for (int i = 0; i < g->n_params; i++) {
        struct eq_param *p = &g->params[i];
        uint32_t seed = 0;
        for (int k = 0; k < g->n_params; k++)
            seed += strcmp(g->params[k].name, p->name) < 0;
        for (size_t k = 0; k < eq_param_count(p); k++) {
            float v = formula((uint32_t)k, seed);
            if (p->value.rank == 4)
                v *= (float)(1 / sqrt((double)p->value.shape[1] * p->value.shape[2] * p->value.shape[3]));
            else if (strcmp(p->name, "fc.bias") == 0)
                v = 50;
            else if (ends_with(p->name, "running_var") || (ends_with(p->name, "weight") && p->value.rank == 1))
                v = 1 + v / 2;
            else
                v = v / 4;
            eq_param_data(p)[k] = v;
        }
    }
}

static void full_width_like_torchvision(void **state)
{
    (void)state;
    enum { T = 3, S = 112 };
    struct eq_model_meta meta = {
        .frames = T, .size = S, .pixel_mean = 33, .pixel_std = 47.25f, .target_mean = 55.5f, .target_std = 12.25f};
    struct eq_graph *g = NULL, *folded = NULL;
    struct eq_exec *x = NULL;
    struct eq_st_file want;
    assert_ok(eq_st_read(TEST_DATA_DIR "/golden/data/golden_w64.safetensors", &want, &err));
    assert_ok(eq_resnet18_new(&meta, 64, 0, &g, &err));
    fill_by_formula(g);
    assert_ok(eq_fold_batchnorm(g, &folded, &err));
    assert_ok(eq_fuse(folded, &err));
    assert_ok(new_exec(folded, EQ_EXEC_INFER, 1, T, S, &x, &err));
    uint8_t *pixels = eq_alloc((size_t)T * S * S * 3, 1);
    for (uint32_t i = 0; i < T * S * S * 3; i++)
        pixels[i] = (uint8_t)((formula(i, 999) + 1) * 128);
    float ef;
    assert_ok(eq_exec_forward(x, pixels, &ef, &err));
    assert_close("EF of torchvision's resnet18", &ef, eq_st_find(&want, "ef"), TOLERANCE_EF);
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(folded);
    eq_graph_free(g);
    eq_st_clear(&want);
}

int main(void)
{
    struct eq_err err;
    if (eq_st_read(TEST_DATA_DIR "/golden/data/golden_w8.safetensors", &golden, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(infers_like_pytorch),
        cmocka_unit_test(gradients_like_pytorch),
        cmocka_unit_test(gradients_of_the_unfused_graph),
        cmocka_unit_test(ten_steps_of_adamw),
        cmocka_unit_test(ten_steps_of_sgd),
        cmocka_unit_test(full_width_like_torchvision),
    };
    int failed = cmocka_run_group_tests(tests, two_threads, stop_threads);
    eq_st_clear(&golden);
    return failed;
}
