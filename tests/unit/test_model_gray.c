/* Clips without color: their first convolution reads one channel, and agrees with the one of three. */
#include "model_support.h"

#include "model/exec.h"

enum { CLIPS = 4, FRAMES = 2, SIZE = 32, WIDTH = 16 };
static const size_t CLIP_BYTES = (size_t)FRAMES * SIZE * SIZE * 3;
static const bool all_gray[CLIPS] = {true, true, true, true}, mixed[CLIPS] = {true, false, false, true};

/* Random clips, gray where asked. */
static uint8_t *clips_of(const bool gray[CLIPS], uint32_t seed)
{
    uint8_t *p = random_pixels(CLIPS * CLIP_BYTES, seed);
    for (size_t i = 0; i < CLIPS * CLIP_BYTES; i++)
        if (gray[i / CLIP_BYTES] && i % 3)
            p[i] = p[i - 1];
    return p;
}

/* An executor that is watched stores three channels always. */
static void check_against_color(struct eq_graph *g, const bool gray[CLIPS], enum eq_exec_mode mode)
{
    struct eq_exec *x = NULL, *color = NULL;
    uint8_t *pixels = clips_of(gray, 7);
    float ef[CLIPS], want[CLIPS];
    const float diff[CLIPS] = {1, -0.6f, 0.8f, -1.3f};
    assert_ok(new_exec(g, mode, CLIPS, FRAMES, SIZE, &x, &err));
    assert_ok(new_watched_exec(g, mode, CLIPS, FRAMES, SIZE, &color, &err));
    assert_ok(eq_exec_forward(color, pixels, want, &err));
    for (int call = 0; call < 2; call++) { /* the second with weights that are packed */
        assert_ok(eq_exec_forward(x, pixels, ef, &err));
        for (int i = 0; i < CLIPS; i++) {
            assert_int_equal(x->gray[i], gray[i]);
            if (!(fabs((double)ef[i] - want[i]) < 1e-3))
                fail_msg("mode %d, clip %d: EF %.6f instead of %.6f", mode, i, ef[i], want[i]);
        }
    }
    if (mode == EQ_EXEC_TRAIN) {
        assert_ok(eq_exec_backward(color, diff, &err));
        assert_ok(eq_exec_backward(x, diff, &err));
        for (int i = 0; i < g->n_params; i++)
            if (eq_exec_grad(x, i) &&
                relative_distance(eq_exec_grad(x, i), eq_exec_grad(color, i), eq_param_count(&g->params[i])) > 2e-4)
                fail_msg("%s: the gradient is %.3g from that of three channels", g->params[i].name,
                         relative_distance(eq_exec_grad(x, i), eq_exec_grad(color, i), eq_param_count(&g->params[i])));
    }
    eq_free(pixels);
    eq_exec_free(x);
    eq_exec_free(color);
}

static void as_with_three_channels(void **state)
{
    (void)state;
    for (int mode = EQ_EXEC_INFER; mode <= EQ_EXEC_TRAIN; mode++) {
        struct eq_graph *g = test_resnet18(WIDTH, 5), *folded = NULL;
        check_against_color(g, all_gray, (enum eq_exec_mode)mode);
        check_against_color(g, mixed, (enum eq_exec_mode)mode);
        assert_ok(eq_fold_batchnorm(g, &folded, &err));
        assert_ok(eq_fuse(folded, &err));
        check_against_color(folded, mixed, (enum eq_exec_mode)mode);
        eq_graph_free(g);
        eq_graph_free(folded);
    }
}

/* The input is rounded as well, so fake-quant sees one channel. */
static void with_fake_quant(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(WIDTH, 6);
    const int quant = eq_graph_add_fake_quant(g, 1, 0, 255);
    assert_true(quant >= 0);
    g->fake_quants[quant].scale[0] = 1 / test_meta.pixel_std;
    g->fake_quants[quant].zero_point[0] = test_meta.pixel_mean;
    g->fake_quants[quant].enabled = true;
    g->nodes[0].edge_fq = quant;
    check_against_color(g, all_gray, EQ_EXEC_TRAIN);
    check_against_color(g, mixed, EQ_EXEC_TRAIN);
    check_against_color(g, mixed, EQ_EXEC_INFER);
    eq_graph_free(g);
}

static void equal_gradients_of_the_channels(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(WIDTH, 8);
    struct eq_exec *x = NULL;
    uint8_t *pixels = clips_of(all_gray, 9);
    float ef[CLIPS];
    const float diff[CLIPS] = {1, -1, 0.5f, 2};
    assert_ok(new_exec(g, EQ_EXEC_TRAIN, CLIPS, FRAMES, SIZE, &x, &err));
    assert_ok(eq_exec_forward(x, pixels, ef, &err));
    assert_ok(eq_exec_backward(x, diff, &err));
    const struct eq_node *conv = &g->nodes[1];
    assert_int_equal(conv->cin, 3);
    const size_t taps = (size_t)conv->k * conv->k;
    const float *grad = eq_exec_grad(x, conv->weight);
    for (int co = 0; co < conv->cout; co++, grad += 3 * taps) {
        assert_memory_equal(grad, grad + taps, taps * sizeof *grad);
        assert_memory_equal(grad, grad + 2 * taps, taps * sizeof *grad);
    }
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(g);
}

/* A clip's EF does not depend on the clips beside it, gray or not; a single byte makes a clip one of color. */
static void each_clip_is_judged_alone(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(WIDTH, 10);
    struct eq_exec *x = NULL, *single = NULL;
    assert_ok(new_exec(g, EQ_EXEC_INFER, CLIPS, FRAMES, SIZE, &x, &err));
    assert_ok(new_exec(g, EQ_EXEC_INFER, 1, FRAMES, SIZE, &single, &err));
    for (int channel = 0; channel < 3; channel++) {
        uint8_t *pixels = clips_of(mixed, 11);
        pixels[CLIP_BYTES - 3 + (size_t)channel] ^= 1; /* of the last pixel of clip 0 */
        float ef[CLIPS], alone;
        assert_ok(eq_exec_forward(x, pixels, ef, &err));
        assert_false(x->gray[0]);
        assert_true(x->gray[CLIPS - 1]);
        for (size_t i = 0; i < CLIPS; i++) {
            assert_ok(eq_exec_forward(single, pixels + i * CLIP_BYTES, &alone, &err));
            assert_memory_equal(&alone, &ef[i], sizeof alone);
        }
        eq_free(pixels);
    }
    eq_exec_free(x);
    eq_exec_free(single);
    eq_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_with_three_channels),
        cmocka_unit_test(with_fake_quant),
        cmocka_unit_test(equal_gradients_of_the_channels),
        cmocka_unit_test(each_clip_is_judged_alone),
    };
    return cmocka_run_group_tests(tests, two_threads, stop_threads);
}
