/* Where fake-quant goes, what calibration refuses, and how QAT's observers move. */
#include "unit/quant_fixture.h"

static const struct eq_model_meta tiny = {
    .frames = 2, .size = 32, .pixel_mean = 60, .pixel_std = 40, .target_mean = 55, .target_std = 12};

static struct eq_graph *resnet(bool keep_bn)
{
    struct eq_graph *net, *g;
    assert_ok(eq_resnet18_new(&tiny, 8, 1, &net, e_));
    g = net;
    if (!keep_bn) {
        assert_ok(eq_fold_batchnorm(net, &g, e_));
        eq_graph_free(net);
    }
    assert_ok(eq_fuse(g, e_));
    return g;
}

/* ResNet-18: 20 convolutions are 20 stored edges; the head has weights only; pooling and sums have nothing. */
static void resnet_has_twenty_edges(void **state)
{
    (void)state;
    for (int keep_bn = 0; keep_bn < 2; keep_bn++) {
        struct eq_graph *g = resnet(keep_bn);
        int edges = 0, weights = 0, down = 0;
        assert_ok(eq_prepare_fake_quant(g, 8, e_));
        for (int i = 0; i < g->n_nodes; i++) {
            const struct eq_node *n = &g->nodes[i];
            bool stored = n->op == (keep_bn ? EQ_OP_BATCHNORM : EQ_OP_CONV2D);
            assert_int_equal(n->edge_fq >= 0, stored);
            assert_int_equal(n->weight_fq >= 0, n->op == EQ_OP_CONV2D || n->op == EQ_OP_LINEAR);
            assert_int_equal(n->folded_bn >= 0, keep_bn && n->op == EQ_OP_CONV2D);
            edges += n->edge_fq >= 0;
            weights += n->weight_fq >= 0;
            down += stored && !n->relu; /* the downsample convolutions are edges without ReLU */
        }
        assert_int_equal(edges, 20);
        assert_int_equal(weights, 21);
        assert_int_equal(down, 3);
        for (int i = 0; i < g->n_fake_quants; i++)
            assert_false(g->fake_quants[i].enabled);
        eq_graph_free(g);
    }
}

/* 13 of the 20 convolutions; the others, and the head, are as ever. */
static void winograd_has_scales_for_every_point(void **state)
{
    (void)state;
    for (int keep_bn = 0; keep_bn < 2; keep_bn++) {
        struct eq_graph *g = resnet(keep_bn), *copy;
        assert_ok(eq_prepare_fake_quant_for(g, 8, EQ_ARITHMETIC_WINOGRAD, e_));
        int points = 0, edges = 0;
        for (int i = 0; i < g->n_nodes; i++) {
            const struct eq_node *n = &g->nodes[i];
            bool domain = n->op == EQ_OP_CONV2D && n->k == 3 && n->stride == 1;
            assert_int_equal(n->point_fq >= 0, domain);
            if (n->weight_fq >= 0)
                assert_int_equal(g->fake_quants[n->weight_fq].channels, domain ? 36 * n->cout : n->cout);
            if (domain) {
                const struct eq_fake_quant *fq = &g->fake_quants[n->point_fq];
                assert_true(fq->channels == 36 && fq->qmin == 0 && fq->qmax == 255 && !fq->enabled);
            }
            points += domain;
            edges += n->edge_fq >= 0;
        }
        assert_int_equal(points, 13);
        assert_int_equal(edges, 20);
        assert_ok(eq_fold_batchnorm(g, &copy, e_));
        int conv = eq_graph_find_node(copy, "layer1.0.conv1");
        assert_true(conv >= 0 && copy->nodes[conv].point_fq >= 0);
        eq_graph_free(copy);
        eq_graph_free(g);
    }
}

static void layers_go_by_their_weights(void **state)
{
    (void)state;
    for (int keep_bn = 0; keep_bn < 2; keep_bn++) {
        struct eq_graph *g = resnet(keep_bn);
        char name[64];
        bool seen = false;
        for (int i = 0; i < g->n_nodes; i++) {
            eq_layer_name(g, i, name);
            seen |= g->nodes[i].residual >= 0 && strcmp(name, "layer2.0.conv2") == 0;
        }
        assert_true(seen);
        eq_graph_free(g);
    }
}

static void unsuitable_graphs_are_refused(void **state)
{
    (void)state;
    struct eq_graph *g;
    struct eq_err err;
    assert_ok(eq_resnet18_new(&tiny, 8, 1, &g, e_));
    assert_int_equal(eq_prepare_fake_quant(g, 8, &err), EQ_UNSUPPORTED); /* not fused */
    assert_non_null(strstr(err.msg, "fuse"));
    assert_ok(eq_fuse(g, e_));
    assert_int_equal(eq_prepare_fake_quant(g, 1, &err), EQ_USAGE);
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    assert_int_equal(eq_prepare_fake_quant(g, 8, &err), EQ_UNSUPPORTED); /* twice */
    struct eq_qmodel *m;
    assert_int_equal(eq_lower_int8(g, "qat", &m, &err), EQ_UNSUPPORTED); /* not calibrated */
    assert_non_null(strstr(err.msg, "conv1"));
    assert_null(m);
    eq_graph_free(g);
}

static enum eq_status calibrate(struct eq_graph *g, struct noise_clips *clips, size_t max, size_t *used,
                                struct eq_err *err)
{
    struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = 0.01};
    return eq_calibrate(g, &clips->source, max, &opts, NULL, used, err);
}

static void no_clips_is_an_error(void **state)
{
    (void)state;
    struct eq_graph *g = resnet(false);
    struct noise_clips clips;
    struct eq_err err;
    size_t used = 9;
    noise_clips_init(&clips, 1, 0, 2, 32);
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    assert_int_equal(calibrate(g, &clips, 10, &used, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "no clips"));
    assert_int_equal(used, 0);
    free(clips.pixels);
    eq_graph_free(g);
}

static void as_many_clips_as_asked(void **state)
{
    (void)state;
    struct eq_graph *g = resnet(false);
    struct noise_clips clips;
    size_t used;
    noise_clips_init(&clips, 1, 5, 2, 32);
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    for (size_t max = 1; max <= 7; max++) {
        assert_ok(calibrate(g, &clips, max, &used, e_));
        assert_int_equal(used, max < 5 ? max : 5);
    }
    free(clips.pixels);
    eq_graph_free(g);
}

/* Weights so large that any picture but a plain one at the mean overflows: the third clip does. */
/* One pass for several observers gives each the ranges that a calibration of its own finds. */
static void one_pass_serves_all_observers(void **state)
{
    (void)state;
    const struct eq_observer_opts opts[] = {
        {.kind = EQ_OBSERVER_HIST_MSE},
        {.kind = EQ_OBSERVER_MINMAX},
        {.kind = EQ_OBSERVER_PERCENTILE, .percentile = 99},
        {.kind = EQ_OBSERVER_ENTROPY},
        {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = 0.25},
        {.kind = EQ_OBSERVER_PERCENTILE, .percentile = 99.9},
        {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = 0.5},
    };
    enum { N = sizeof opts / sizeof *opts };
    struct eq_graph *g = resnet(false), *own, *shared;
    struct eq_statistics *s;
    struct noise_clips clips;
    size_t used;
    noise_clips_init(&clips, 1, 3, 2, 32);
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    assert_ok(eq_statistics_collect(g, &clips.source, 3, opts, N, NULL, &used, &s, e_));
    assert_int_equal(used, 3);
    const float *ef = eq_statistics_ef(s, &used);
    struct eq_graph *plain = resnet(false);
    struct eq_exec *x;
    assert_int_equal(used, 3);
    assert_ok(eq_exec_new(plain, &(struct eq_exec_opts){.clips = 1, .frames = 2, .size = 32}, &x, e_));
    for (int i = 0; i < 3; i++) { /* with the pooling in the convolution before it */
        float alone;
        assert_ok(eq_exec_forward(x, clips.pixels + (size_t)i * 2 * 32 * 32 * 3, &alone, e_));
        assert_memory_equal(&ef[i], &alone, sizeof alone);
    }
    eq_exec_free(x);
    eq_graph_free(plain);
    for (int i = 0; i < N; i++) {
        assert_ok(eq_graph_clone(g, &own, e_));
        assert_ok(eq_graph_clone(g, &shared, e_));
        assert_ok(eq_calibrate(own, &clips.source, 3, &opts[i], NULL, NULL, e_));
        assert_ok(eq_statistics_apply(s, i, shared, e_));
        for (int k = 0; k < g->n_fake_quants; k++) {
            const struct eq_fake_quant *a = &own->fake_quants[k], *b = &shared->fake_quants[k];
            assert_true(a->enabled && b->enabled);
            assert_memory_equal(a->scale, b->scale, (size_t)a->channels * sizeof(float));
            assert_memory_equal(a->zero_point, b->zero_point, (size_t)a->channels * sizeof(int));
        }
        eq_graph_free(own);
        eq_graph_free(shared);
    }
    eq_statistics_free(s);
    const struct eq_observer_opts bad[] = {{.kind = EQ_OBSERVER_MINMAX},
                                           {.kind = EQ_OBSERVER_PERCENTILE, .percentile = 50}};
    struct eq_err err;
    assert_int_equal(eq_statistics_collect(g, &clips.source, 3, bad, 2, NULL, &used, &s, &err), EQ_USAGE);
    assert_null(s);
    eq_graph_free(g);
    free(clips.pixels);
}

static void infinite_activation_names_layer_and_clip(void **state)
{
    (void)state;
    for (int keep_bn = 0; keep_bn < 2; keep_bn++) {
        struct eq_graph *g = resnet(keep_bn);
        struct noise_clips clips;
        struct eq_err err;
        noise_clips_init(&clips, 1, 4, 2, 32);
        memset(clips.pixels, tiny.pixel_mean, 2 * (size_t)2 * 32 * 32 * 3);
        struct eq_param *w = &g->params[eq_graph_find_param(g, "conv1.weight")];
        for (size_t i = 0; i < eq_param_count(w); i++)
            eq_param_data(w)[i] = 3e38f;
        /* Something for the plain clips to be: the layer's bias. */
        struct eq_param *b = &g->params[eq_graph_find_param(g, keep_bn ? "bn1.bias" : "conv1.bias")];
        for (size_t i = 0; i < eq_param_count(b); i++)
            eq_param_data(b)[i] = 1;
        assert_ok(eq_prepare_fake_quant(g, 8, e_));
        assert_int_equal(calibrate(g, &clips, 4, NULL, &err), EQ_NUMERIC);
        assert_non_null(strstr(err.msg, "calibration, clip 2: conv1: "));
        free(clips.pixels);
        eq_graph_free(g);
    }
}

static void dead_layer_is_an_error(void **state)
{
    (void)state;
    struct eq_graph *g = resnet(false);
    struct noise_clips clips;
    struct eq_err err;
    noise_clips_init(&clips, 1, 2, 2, 32);
    struct eq_param *w = &g->params[eq_graph_find_param(g, "layer3.1.conv1.weight")];
    memset(eq_param_data(w), 0, eq_param_count(w) * sizeof(float));
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    assert_int_equal(calibrate(g, &clips, 2, NULL, &err), EQ_NUMERIC);
    assert_non_null(strstr(err.msg, "layer3.1.conv1: its output was 0"));
    free(clips.pixels);
    eq_graph_free(g);
}

/* A channel without weights is exact: its output is its bias. */
static void zero_channel_gives_its_bias(void **state)
{
    (void)state;
    struct eq_graph *g = resnet(false);
    struct noise_clips clips;
    struct eq_qmodel *m;
    noise_clips_init(&clips, 1, 2, 2, 32);
    struct eq_param *w = &g->params[eq_graph_find_param(g, "conv1.weight")];
    memset(eq_param_data(w), 0, eq_param_count(w) / 8 * sizeof(float));
    eq_param_data(&g->params[eq_graph_find_param(g, "conv1.bias")])[0] = 0.5f;
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    assert_ok(calibrate(g, &clips, 2, NULL, e_));
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    for (int i = 0; i < 3 * 49; i++)
        assert_int_equal(m->nodes[1].weights[i], 0);
    assert_true(m->nodes[1].bias[0] == 0.5f && m->nodes[1].weight_scale[0] > 0);
    eq_qmodel_free(m);
    free(clips.pixels);
    eq_graph_free(g);
}

static void nan_weights_name_layer_and_channel(void **state)
{
    (void)state;
    struct eq_graph *g = resnet(false);
    struct eq_err err;
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    eq_param_data(&g->params[eq_graph_find_param(g, "layer1.0.conv2.weight")])[3 * 8 * 9] = NAN;
    assert_int_equal(eq_update_weight_qparams(g, &err), EQ_NUMERIC);
    assert_non_null(strstr(err.msg, "layer1.0.conv2: the weights of channel 3"));
    eq_graph_free(g);
}

static double weight_error(const struct eq_graph *g, const char *layer)
{
    const struct eq_node *n = &g->nodes[eq_graph_find_node(g, layer)];
    const struct eq_param *w = &g->params[n->weight];
    const struct eq_fake_quant *fq = &g->fake_quants[n->weight_fq];
    size_t per = eq_param_count(w) / (size_t)n->cout;
    double sum = 0;
    for (size_t i = 0; i < eq_param_count(w); i++) {
        double s = fq->scale[i / per], q = nearbyint(eq_param_data(w)[i] / s);
        q = q < fq->qmin ? fq->qmin : q > fq->qmax ? fq->qmax : q;
        sum += pow(eq_param_data(w)[i] - q * s, 2);
    }
    return sum;
}

/* Per channel beats per tensor, MSE is never worse than min-max, and clearly better at 4 bits. */
static void weight_observers_rank(void **state)
{
    (void)state;
    for (int bits = 4; bits <= 8; bits += 4) {
        struct eq_graph *g = resnet(false);
        double error[2][2];
        struct eq_param *w = &g->params[eq_graph_find_param(g, "layer2.0.conv1.weight")];
        for (size_t i = 0; i < eq_param_count(w) / 2; i++) /* channels of unlike magnitude */
            eq_param_data(w)[i] *= 8;
        assert_ok(eq_prepare_fake_quant(g, bits, e_));
        for (int per_tensor = 0; per_tensor < 2; per_tensor++)
            for (int kind = 0; kind < EQ_WEIGHT_OBSERVER_COUNT; kind++) {
                struct eq_weight_opts opts = {(enum eq_weight_observer)kind, per_tensor};
                assert_ok(eq_set_weight_qparams(g, &opts, e_));
                error[per_tensor][kind] = weight_error(g, "layer2.0.conv1");
            }
        assert_true(error[0][EQ_WEIGHT_MSE] <= error[0][EQ_WEIGHT_MINMAX]);
        assert_true(error[1][EQ_WEIGHT_MSE] <= error[1][EQ_WEIGHT_MINMAX]);
        assert_true(error[0][EQ_WEIGHT_MINMAX] < error[1][EQ_WEIGHT_MINMAX]);
        if (bits == 4)
            assert_true(error[0][EQ_WEIGHT_MSE] < 0.9 * error[0][EQ_WEIGHT_MINMAX]);
        eq_graph_free(g);
    }
}

#define STE eq_scale_rules[EQ_QAT_STE]

/* Calls the hook as the executor would, with one edge's values. */
static enum eq_status show(void *q, struct eq_graph *g, int node, float min, float max, struct eq_err *err)
{
    struct eq_walk_hook hook = STE->hook(q);
    const float x[] = {min, 0, max};
    return hook.on_edge(hook.ctx, g, node, x, 3, err);
}

static void qat_observers_follow_and_freeze(void **state)
{
    (void)state;
    struct eq_graph *g = resnet(true);
    void *q;
    struct eq_err err;
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    assert_ok(STE->open(g, 0.25, &q, e_));
    int edge = 0;
    while (g->nodes[edge].edge_fq < 0)
        edge++;
    const struct eq_fake_quant *fq = &g->fake_quants[g->nodes[edge].edge_fq];
    assert_false(fq->enabled);
    assert_ok(show(q, g, edge, -1, 4, e_));
    assert_true(fq->enabled && fq->scale[0] == 5.0f / 255 && fq->zero_point[0] == 51);
    assert_ok(show(q, g, edge, -1, 8, e_)); /* 4 + (8 - 4) / 4 = 5 */
    assert_true(fq->scale[0] == 6.0f / 255);
    STE->freeze(q, true);
    assert_ok(show(q, g, edge, -100, 100, e_));
    assert_true(fq->scale[0] == 6.0f / 255);
    STE->freeze(q, false);
    assert_int_equal(show(q, g, edge, NAN, 1, &err), EQ_NUMERIC);
    assert_non_null(strstr(err.msg, "conv1"));
    assert_ok(show(q, g, 0, NAN, 1, e_)); /* the input is no observed edge */
    STE->close(q);
    eq_graph_free(g);
}

/* A resumed run has the same fake-quants to the bit. */
static void qat_observers_resume(void **state)
{
    (void)state;
    struct eq_graph *g = resnet(true), *again = resnet(true);
    void *q, *r;
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    assert_ok(eq_prepare_fake_quant(again, 8, e_));
    assert_ok(STE->open(g, 0.25, &q, e_));
    assert_ok(STE->open(again, 0.25, &r, e_));
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (int round = 0; round < 5; round++)
        for (int i = 0; i < g->n_nodes / 2; i++) /* the later edges stay unseen */
            assert_ok(show(q, g, i, (float)-eq_rng_uniform(&rng), (float)eq_rng_uniform(&rng), e_));
    assert_int_equal(STE->state_size(q), 40);
    float a[40], b[40];
    STE->get_state(q, a);
    STE->set_state(r, a);
    STE->get_state(r, b);
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < g->n_fake_quants; i++) {
        assert_int_equal(g->fake_quants[i].enabled, again->fake_quants[i].enabled);
        assert_true(g->fake_quants[i].scale[0] == again->fake_quants[i].scale[0]);
        assert_int_equal(g->fake_quants[i].zero_point[0], again->fake_quants[i].zero_point[0]);
    }
    STE->close(q);
    STE->close(r);
    eq_graph_free(g);
    eq_graph_free(again);
}

static void qat_observers_refuse(void **state)
{
    (void)state;
    struct eq_graph *g = resnet(true);
    void *q;
    struct eq_err err;
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    assert_int_equal(STE->open(g, 1.5, &q, &err), EQ_USAGE);
    assert_null(q);
    eq_graph_free(g);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(resnet_has_twenty_edges),
                                       cmocka_unit_test(winograd_has_scales_for_every_point),
                                       cmocka_unit_test(layers_go_by_their_weights),
                                       cmocka_unit_test(unsuitable_graphs_are_refused),
                                       cmocka_unit_test(no_clips_is_an_error),
                                       cmocka_unit_test(as_many_clips_as_asked),
                                       cmocka_unit_test(one_pass_serves_all_observers),
                                       cmocka_unit_test(infinite_activation_names_layer_and_clip),
                                       cmocka_unit_test(dead_layer_is_an_error),
                                       cmocka_unit_test(zero_channel_gives_its_bias),
                                       cmocka_unit_test(nan_weights_name_layer_and_channel),
                                       cmocka_unit_test(weight_observers_rank),
                                       cmocka_unit_test(qat_observers_follow_and_freeze),
                                       cmocka_unit_test(qat_observers_resume),
                                       cmocka_unit_test(qat_observers_refuse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
