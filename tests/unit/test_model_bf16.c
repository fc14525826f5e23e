/* The executor with BF16 convolutions: near FP32 but not FP32, the same bits on any number of threads, or refused. */
#include "model_support.h"

enum { CLIPS = 4, WIDTH = 16 };
#define CLIP_BYTES ((size_t)3 * 32 * 32 * 3)

static bool there(void)
{
    bool has = eq_cpu_has(EQ_ISA_AVX512BF16);
    if (!has)
        printf("[  SKIPPED ] avx512bf16: not on this CPU\n");
    return has;
}

/* Clips that differ, or batch norm cancels their gradients. */
static uint8_t *clips(void)
{
    uint8_t *pixels = random_pixels(CLIPS * CLIP_BYTES, 3);
    for (size_t i = 0; i < CLIPS * CLIP_BYTES; i++)
        pixels[i] = (uint8_t)(pixels[i] / (1 + i / CLIP_BYTES));
    return pixels;
}

/* EF of folded inference, and that of a training step with its gradients one after the other; returns how many. */
struct outcome {
    float ef[CLIPS], trained_ef[CLIPS];
    float *grads;
    size_t n;
};

static void infer(enum eq_precision precision, const struct eq_graph *g, const uint8_t *pixels, float ef[CLIPS])
{
    struct eq_graph *folded = NULL;
    struct eq_exec *x = NULL;
    const struct eq_exec_opts opts = {.precision = precision, .clips = CLIPS, .frames = 3, .size = 32};
    assert_ok(eq_fold_batchnorm(g, &folded, &err));
    assert_ok(eq_fuse(folded, &err));
    assert_ok(eq_exec_new(folded, &opts, &x, &err));
    assert_ok(eq_exec_forward(x, pixels, ef, &err));
    eq_exec_free(x);
    eq_graph_free(folded);
}

static struct outcome outcome_of(enum eq_precision precision)
{
    struct outcome o = {.n = 0};
    struct eq_graph *g = test_resnet18(WIDTH, 5);
    struct eq_exec *x = NULL;
    uint8_t *pixels = clips();
    const float c[CLIPS] = {1.0f, -0.7f, 0.4f, -0.2f};
    const struct eq_exec_opts opts = {
        .mode = EQ_EXEC_TRAIN, .precision = precision, .clips = CLIPS, .frames = 3, .size = 32};
    infer(precision, g, pixels, o.ef);
    assert_ok(eq_fuse(g, &err));
    for (int i = 0; i < g->n_nodes; i++)
        g->nodes[i].bn_frozen = true; /* statistics of so few values would blow any difference up */
    assert_ok(eq_exec_new(g, &opts, &x, &err));
    eq_exec_zero_grads(x);
    assert_ok(eq_exec_forward(x, pixels, o.trained_ef, &err));
    assert_ok(eq_exec_backward(x, c, &err));
    o.grads = eq_alloc(eq_graph_param_count(g), sizeof *o.grads);
    assert_non_null(o.grads);
    for (int i = 0; i < g->n_params; i++)
        if (g->params[i].trainable) {
            memcpy(o.grads + o.n, eq_exec_grad(x, i), eq_param_count(&g->params[i]) * sizeof *o.grads);
            o.n += eq_param_count(&g->params[i]);
        }
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(g);
    return o;
}

/* Operands are off by less than one part in 2^8, and sums of many products by less than that. Gradients pass or stop at
 * a ReLU whose input is near 0 and of another sign now: rounding the weights alone, in FP32, changes them by 0.14. */
static void near_fp32(void **state)
{
    (void)state;
    if (!there())
        return;
    struct outcome half = outcome_of(EQ_PRECISION_BF16), full = outcome_of(EQ_PRECISION_FP32);
    double ef = relative_distance(half.ef, full.ef, CLIPS),
           trained = relative_distance(half.trained_ef, full.trained_ef, CLIPS);
    double grads = relative_distance(half.grads, full.grads, full.n);
    printf("BF16 against FP32: EF %.2g, EF of a training step %.2g, gradients %.2g\n", ef, trained, grads);
    assert_true(half.n == full.n);
    assert_true(ef > 0 && ef < 0.01);
    assert_true(trained > 0 && trained < 0.01);
    assert_true(grads > 1e-3 && grads < 0.3);
    eq_free(half.grads);
    eq_free(full.grads);
}

static void same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    if (!there())
        return;
    static const int threads[] = {1, 2, 3, 7};
    uint64_t first = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(start_threads(threads[i]), 0);
        struct outcome o = outcome_of(EQ_PRECISION_BF16);
        uint64_t bits = eq_hash64(o.ef, sizeof o.ef) ^ eq_hash64(o.trained_ef, sizeof o.trained_ef) * 3 ^
                        eq_hash64(o.grads, o.n * sizeof *o.grads) * 5;
        first = i ? first : bits;
        assert_true(bits == first);
        eq_free(o.grads);
    }
    start_threads(2);
}

static void refused_below_its_level(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(8, 5);
    struct eq_exec *x = NULL;
    const struct eq_exec_opts opts = {
        .mode = EQ_EXEC_TRAIN, .precision = EQ_PRECISION_BF16, .clips = 2, .frames = 3, .size = 32};
    assert_ok(eq_cpu_set_ceiling("ref", &err));
    assert_refused(eq_exec_new(g, &opts, &x, &err), EQ_UNSUPPORTED, "BF16");
    assert_null(x);
    assert_ok(eq_cpu_set_ceiling("auto", &err));
    eq_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_fp32),
        cmocka_unit_test(same_bits_on_any_number_of_threads),
        cmocka_unit_test(refused_below_its_level),
    };
    return cmocka_run_group_tests(tests, two_threads, stop_threads);
}
