/* Cross-layer equalization, bias correction, batch-norm re-estimation, AdaRound: each does what it says. */
#include "unit/quant_resnet.h"

enum { N = 4 };

/* Weights whose channels differ a hundredfold, undone in the next layer: what equalization is for. */
static void unbalance(struct eq_graph *g)
{
    struct eq_rng rng;
    eq_rng_init(&rng, 6, EQ_RNG_TEST, 0, 0);
    for (int layer = 1; layer <= 4; layer++)
        for (int block = 0; block < 2; block++) {
            char name[64];
            snprintf(name, sizeof name, "layer%d.%d.conv1", layer, block);
            struct eq_node *a = &g->nodes[eq_graph_find_node(g, name)];
            snprintf(name, sizeof name, "layer%d.%d.conv2", layer, block);
            struct eq_node *b = &g->nodes[eq_graph_find_node(g, name)];
            for (int c = 0; c < a->cout; c++) {
                float s = (float)pow(10, eq_rng_range(&rng, -1, 1));
                size_t per = (size_t)a->cin * 9;
                for (size_t i = 0; i < per; i++)
                    eq_param_data(&g->params[a->weight])[(size_t)c * per + i] *= s;
                eq_param_data(&g->params[a->bias])[c] *= s;
                for (int oc = 0; oc < b->cout; oc++)
                    for (int t = 0; t < 9; t++)
                        eq_param_data(&g->params[b->weight])[((size_t)oc * b->cin + c) * 9 + t] /= s;
            }
        }
}

static double squared_error(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += pow((double)a[i] - b[i], 2);
    return sum;
}

static void equalization_keeps_fp32_and_helps_int8(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, N);
    float fp32[N], equalized[N], int8[2][N];
    for (int on = 0; on < 2; on++) {
        struct eq_graph *g = fold_and_fuse(net);
        int pairs = 0;
        unbalance(g);
        predict(g, &clips, fp32);
        if (on) {
            assert_ok(eq_cross_layer_equalize(g, &pairs, e_));
            assert_int_equal(pairs, 8);
            predict(g, &clips, equalized);
            for (int i = 0; i < N; i++)
                assert_true(fabsf(equalized[i] - fp32[i]) < 1e-3f);
        }
        calibrate(g, 8, &clips);
        predict(g, &clips, int8[on]);
        eq_graph_free(g);
    }
    assert_true(squared_error(int8[1], fp32) < 0.25 * squared_error(int8[0], fp32));
    eq_graph_free(net);
    free(clips.pixels);
}

static void equalization_refuses_prepared_graphs(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_err err;
    struct eq_graph *net = settled_resnet(&clips, 2), *g = fold_and_fuse(net);
    assert_int_equal(eq_cross_layer_equalize(net, NULL, &err), EQ_UNSUPPORTED);
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    assert_int_equal(eq_cross_layer_equalize(g, NULL, &err), EQ_UNSUPPORTED);
    eq_graph_free(g);
    eq_graph_free(net);
    free(clips.pixels);
}

static double mean_shift(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += (double)a[i] - b[i];
    return sum / N;
}

/* With 4-bit weights the means move visibly; afterwards EF has its mean back and its error shrank. */
static void bias_correction_restores_means(void **state)
{
    (void)state;
    for (int arithmetic = 0; arithmetic < EQ_ARITHMETIC_COUNT; arithmetic++) {
        struct noise_clips clips;
        struct eq_graph *net = settled_resnet(&clips, N), *g = fold_and_fuse(net);
        float fp32[N], before[N], after[N];
        predict(g, &clips, fp32);
        calibrate_for(g, 4, (enum eq_arithmetic)arithmetic, &clips);
        predict(g, &clips, before);
        assert_ok(eq_correct_biases(g, &clips.source, N, e_));
        predict(g, &clips, after);
        print_message("%s: mean EF shift %.4f before, %.4f after; squared error %.4f and %.4f\n",
                      eq_arithmetic_names[arithmetic], mean_shift(before, fp32), mean_shift(after, fp32),
                      squared_error(before, fp32), squared_error(after, fp32));
        assert_true(fabs(mean_shift(after, fp32)) < 0.2 * fabs(mean_shift(before, fp32)));
        assert_true(squared_error(after, fp32) < squared_error(before, fp32));
        for (int i = 0; i < g->n_fake_quants; i++)
            assert_true(g->fake_quants[i].enabled);
        eq_graph_free(g);
        eq_graph_free(net);
        free(clips.pixels);
    }
}

/* The prediction of a layer's mean from its input's means is exact: with fake-quant that rounds nothing (weights
 * already on the grid, edges so fine that it makes no difference) biases stay. */
static void bias_correction_leaves_exact_layers_alone(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, 2), *g = fold_and_fuse(net);
    for (int i = 0; i < g->n_params; i++)
        if (g->params[i].value.rank == 4)
            for (size_t k = 0; k < eq_param_count(&g->params[i]); k++)
                eq_param_data(&g->params[i])[k] = (k % 5 == 0 ? 127.0f : (float)(k % 3)) / 127;
    calibrate(g, 8, &clips);
    struct eq_param *b = &g->params[g->nodes[eq_graph_find_node(g, "conv1")].bias];
    float *start = malloc(eq_param_count(b) * sizeof *start);
    assert_non_null(start);
    memcpy(start, eq_param_data(b), eq_param_count(b) * sizeof *start);
    assert_ok(eq_correct_biases(g, &clips.source, 2, e_));
    for (size_t i = 0; i < eq_param_count(b);
         i++) /* the first layer reads exact pixels: only the weights could move it */
        assert_true(fabsf(eq_param_data(b)[i] - start[i]) < 1e-5f);
    free(start);
    eq_graph_free(g);
    eq_graph_free(net);
    free(clips.pixels);
}

static void bias_correction_refuses(void **state)
{
    (void)state;
    struct noise_clips clips, none;
    struct eq_err err;
    struct eq_graph *net = settled_resnet(&clips, 2), *g = fold_and_fuse(net);
    assert_int_equal(eq_correct_biases(net, &clips.source, 2, &err), EQ_UNSUPPORTED);
    assert_int_equal(eq_correct_biases(g, &clips.source, 2, &err), EQ_UNSUPPORTED); /* not calibrated */
    calibrate(g, 8, &clips);
    noise_clips_init(&none, 1, 0, small.frames, small.size);
    assert_int_equal(eq_correct_biases(g, &none.source, 2, &err), EQ_USAGE);
    eq_graph_free(g);
    eq_graph_free(net);
    free(clips.pixels);
    free(none.pixels);
}

/* Two batches: the result is the mean of what each gives alone. */
static void reestimation_averages_batches(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net;
    noise_clips_init(&clips, 5, 5, small.frames, small.size);
    assert_ok(eq_resnet18_new(&small, 8, 2, &net, e_));
    int bn = eq_graph_find_node(net, "layer2.0.bn1");
    const struct eq_node *n = &net->nodes[bn];
    float momentum = n->momentum, *mean = eq_param_data(&net->params[n->running_mean]),
          *var = eq_param_data(&net->params[n->running_var]);
    float first[2], second[2], both[2];
    size_t clip = (size_t)small.frames * small.size * small.size * 3;
    uint8_t *all = clips.pixels;
    assert_ok(eq_reestimate_batchnorm(net, &clips.source, 2, 2, e_));
    first[0] = mean[0], first[1] = var[0];
    clips.pixels = all + 2 * clip;
    assert_ok(eq_reestimate_batchnorm(net, &clips.source, 2, 2, e_));
    second[0] = mean[0], second[1] = var[0];
    clips.pixels = all;
    assert_ok(eq_reestimate_batchnorm(net, &clips.source, 5, 2, e_)); /* the fifth clip fills no batch */
    both[0] = mean[0], both[1] = var[0];
    for (int i = 0; i < 2; i++)
        assert_true(fabsf(both[i] - (first[i] + second[i]) / 2) <= 1e-6f * fabsf(both[i]));
    assert_true(first[1] != second[1] && n->momentum == momentum && !n->bn_frozen);
    struct eq_err err;
    assert_int_equal(eq_reestimate_batchnorm(net, &clips.source, 1, 2, &err), EQ_USAGE);
    assert_true(mean[0] == both[0] && n->momentum == momentum); /* a failure changes nothing */
    struct eq_graph *folded = fold_and_fuse(net);
    assert_int_equal(eq_reestimate_batchnorm(folded, &clips.source, 2, 2, &err), EQ_UNSUPPORTED);
    eq_graph_free(folded);
    eq_graph_free(net);
    free(clips.pixels);
}

/* Every weight ends on the grid, at most a step from where it was, not all at the nearest; the network is nearer to
 * FP32, on clips that it was not rounded with, too; and threads don't matter. */
static void adaround_beats_nearest(void **state)
{
    (void)state;
    enum { CLIPS = 12 };
    const struct eq_adaround_opts opts = {.samples = 600, .lr = 0.03, .lambda = 0.01, .seed = 1};
    struct noise_clips clips, fresh;
    struct eq_graph *net = settled_resnet(&clips, CLIPS), *g = fold_and_fuse(net), *start;
    float fp32[N], nearest[N], rounded[N];
    noise_clips_init(&fresh, 99, N, small.frames, small.size);
    predict(g, &fresh, fp32);
    calibrate(g, 3, &clips);
    predict(g, &fresh, nearest);
    assert_ok(eq_graph_clone(g, &start, e_));
    assert_ok(eq_adaround(g, &clips.source, CLIPS, 150, &opts, NULL, e_));
    predict(g, &fresh, rounded);
    print_message("squared EF error %.3f by rounding to nearest, %.3f by AdaRound\n", squared_error(nearest, fp32),
                  squared_error(rounded, fp32));
    assert_true(squared_error(rounded, fp32) < squared_error(nearest, fp32));
    size_t away = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        if (n->op != EQ_OP_CONV2D)
            continue;
        const struct eq_fake_quant *fq = &g->fake_quants[n->weight_fq];
        size_t per = (size_t)n->cin * n->k * n->k;
        for (size_t k = 0; k < eq_param_count(&g->params[n->weight]); k++) {
            double q = (double)eq_param_data(&g->params[n->weight])[k] / fq->scale[k / per];
            double was = (double)eq_param_data(&start->params[n->weight])[k] / fq->scale[k / per];
            assert_true(fabs(q - nearbyint(q)) < 1e-4 && fabs(q) < fq->qmax + 0.5);
            assert_true(fabs(q - was) < 1.001);
            away += fabs(q - was) > 0.5001;
        }
    }
    assert_true(away > 100);
    assert_ok(eq_parallel_init(3, e_));
    assert_ok(eq_adaround(start, &clips.source, CLIPS, 150, &opts, NULL, e_));
    assert_ok(eq_parallel_init(2, e_));
    for (int i = 0; i < g->n_params; i++)
        assert_memory_equal(eq_param_data(&g->params[i]), eq_param_data(&start->params[i]),
                            eq_tensor_bytes(&g->params[i].value));
    eq_graph_free(start);
    eq_graph_free(g);
    eq_graph_free(net);
    free(clips.pixels);
    free(fresh.pixels);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(equalization_keeps_fp32_and_helps_int8),
                                       cmocka_unit_test(equalization_refuses_prepared_graphs),
                                       cmocka_unit_test(bias_correction_restores_means),
                                       cmocka_unit_test(bias_correction_leaves_exact_layers_alone),
                                       cmocka_unit_test(bias_correction_refuses),
                                       cmocka_unit_test(reestimation_averages_batches),
                                       cmocka_unit_test(adaround_beats_nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
