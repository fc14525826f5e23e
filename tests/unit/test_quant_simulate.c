/* EQ_EXEC_SIMULATE against the integer engine, each running free from the pixels on: every stored activation and
 * EF equal, for PTQ, QAT, few bits, mixed precision, extreme scales and zero-points, sums beyond 2^24, any ISA
 * level and thread count. */
#include "unit/quant_fixture.h"

struct comparison {
    const struct eq_qmodel *model;
    uint8_t **engine; /* [n_nodes]: what the engine stored */
    size_t *bytes;
    size_t total, differ, edges;
};

static void keep_output(void *ctx, int node, const uint8_t *q, size_t n)
{
    struct comparison *c = ctx;
    c->engine[node] = realloc(c->engine[node], n);
    assert_non_null(c->engine[node]);
    memcpy(c->engine[node], q, n);
    c->bytes[node] = n;
}

static int find_qnode(const struct eq_qmodel *m, const char *name)
{
    int i = 0;
    while (i < m->n_nodes && strcmp(m->nodes[i].name, name) != 0)
        i++;
    return i;
}

static enum eq_status compare_stored(void *ctx, struct eq_graph *g, int node, const float *data, size_t n,
                                     struct eq_err *err)
{
    struct comparison *c = ctx;
    char name[64];
    (void)err;
    if (g->nodes[node].edge_fq < 0)
        return EQ_OK;
    eq_layer_name(g, node, name);
    int at = find_qnode(c->model, name);
    assert_true(at < c->model->n_nodes);
    const struct eq_qnode *q = &c->model->nodes[at];
    assert_int_equal(c->bytes[at], q->fp32_edge ? n * sizeof(float) : n);
    c->edges++;
    c->total += n;
    for (size_t i = 0; i < n; i++) {
        float stored;
        if (q->fp32_edge)
            memcpy(&stored, c->engine[at] + i * sizeof stored, sizeof stored);
        else
            stored = (float)(c->engine[at][i] - q->dst.zero_point) * q->dst.scale;
        c->differ += !(stored == data[i]);
    }
    return EQ_OK;
}

/* Lowers g, folds what is not folded, and runs both over the clips. */
static void expect_equal(struct eq_graph *g, const struct noise_clips *clips, struct comparison *sum)
{
    struct eq_qmodel *m;
    struct eq_qengine *engine;
    struct eq_graph *folded;
    struct eq_exec *x;
    size_t clip = (size_t)g->meta.frames * g->meta.size * g->meta.size * 3;
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    assert_ok(eq_fold_batchnorm(g, &folded, e_));
    assert_ok(eq_qengine_new(m, 1, g->meta.frames, g->meta.size, true, &engine, e_));
    assert_ok(new_watched_exec(folded, EQ_EXEC_SIMULATE, 1, g->meta.frames, g->meta.size, &x, e_));
    struct comparison c = {.model = m};
    c.engine = calloc((size_t)m->n_nodes, sizeof *c.engine);
    c.bytes = calloc((size_t)m->n_nodes, sizeof *c.bytes);
    eq_qengine_set_hook(engine, keep_output, &c);
    eq_exec_set_hook(x, &(struct eq_walk_hook){.on_stored = compare_stored, .ctx = &c});
    for (int i = 0; i < clips->n; i++) {
        float ef_engine, ef_sim;
        assert_ok(eq_qengine_run(engine, clips->pixels + (size_t)i * clip, &ef_engine, e_));
        assert_ok(eq_exec_forward(x, clips->pixels + (size_t)i * clip, &ef_sim, e_));
        assert_memory_equal(&ef_engine, &ef_sim, sizeof ef_sim);
    }
    assert_true(c.edges > 0);
    assert_int_equal(c.differ, 0);
    if (sum) {
        sum->total += c.total;
        sum->edges += c.edges;
    }
    for (int i = 0; i < m->n_nodes; i++)
        free(c.engine[i]);
    free(c.engine);
    free(c.bytes);
    eq_exec_free(x);
    eq_qengine_free(engine);
    eq_graph_free(folded);
    eq_qmodel_free(m);
}

typedef void (*change_fn)(struct eq_graph *g, uint64_t seed);

static void run_random_nets_for(const char *what, enum eq_arithmetic arithmetic, bool keep_bn, change_fn change)
{
    struct comparison sum = {0};
    for (uint64_t seed = 700; seed < 740; seed++) {
        struct eq_graph *net = random_net(seed);
        struct noise_clips clips;
        noise_clips_init(&clips, seed, 3, net->meta.frames, net->meta.size);
        const enum eq_observer_kind kind = (enum eq_observer_kind)(seed % EQ_OBSERVER_COUNT);
        struct eq_graph *g = calibrated_net_for(net, keep_bn, kind, arithmetic, &clips);
        if (change)
            change(g, seed);
        expect_equal(g, &clips, &sum);
        eq_graph_free(g);
        free(clips.pixels);
    }
    print_message("%s: %zu activations of %zu edges, all equal\n", what, sum.total, sum.edges);
}

static void run_random_nets(const char *what, bool keep_bn, change_fn change)
{
    run_random_nets_for(what, EQ_ARITHMETIC_DIRECT, keep_bn, change);
}

static void ptq(void **state)
{
    (void)state;
    run_random_nets("PTQ", false, NULL);
}

static void qat(void **state)
{
    (void)state;
    run_random_nets("QAT", true, NULL);
}

static void extremes(void **state)
{
    (void)state;
    run_random_nets("extreme qparams", false, extreme_qparams);
    run_random_nets("extreme qparams, QAT", true, extreme_qparams);
}

static void few_bits(void **state)
{
    (void)state;
    run_random_nets("2 to 7 bits", false, few_bits_of_a_layer);
}

static void keep_some(struct eq_graph *g, uint64_t seed)
{
    keep_random_layers(g, seed, 81, seed % 8 == 0);
}

static void mixed_precision(void **state)
{
    (void)state;
    run_random_nets("mixed precision", false, keep_some);
}

static void in_winograds_domain(void **state)
{
    (void)state;
    const enum eq_arithmetic winograd = EQ_ARITHMETIC_WINOGRAD;
    run_random_nets_for("winograd", winograd, false, NULL);
    run_random_nets_for("winograd, QAT", winograd, true, NULL);
    run_random_nets_for("winograd, extreme qparams", winograd, false, extreme_qparams);
    run_random_nets_for("winograd, extreme qparams, QAT", winograd, true, extreme_qparams);
    run_random_nets_for("winograd, 2 to 7 bits", winograd, false, few_bits_of_a_layer);
    run_random_nets_for("winograd, mixed precision", winograd, false, keep_some);
}

/* Two layers of one sign whose sums leave 2^24 by far: with 512 and with 1024 channels two digits, then four. */
static void sums_beyond_float_for(enum eq_arithmetic arithmetic)
{
    for (int wide = 512; wide <= 1024; wide *= 2) {
        struct net_builder b = {.g = calloc(1, sizeof(struct eq_graph))};
        assert_non_null(b.g);
        eq_rng_init(&b.rng, 3, EQ_RNG_TEST, 0, 77);
        b.g->meta = (struct eq_model_meta){
            .frames = 2, .size = 6, .pixel_mean = 3, .pixel_std = 40, .target_mean = 55, .target_std = 12};
        int x = b.g->input = net_simple(&b, EQ_OP_INPUT, -1, "input", 3);
        x = net_conv(&b, x, "stem", 3, wide, 3, 2, true);
        x = net_conv(&b, x, "wide", wide, 9, 3, 1, true);
        net_head(&b, x, 9);
        struct eq_param *w = &b.g->params[eq_graph_find_param(b.g, "wide.weight")];
        for (size_t i = 0; i < eq_param_count(w); i++)
            eq_param_data(w)[i] = (float)(0.01 + 1e-4 * eq_rng_range(&b.rng, 0, 1));
        struct noise_clips clips;
        noise_clips_init(&clips, 4, 2, 2, 6);
        struct eq_graph *g = calibrated_net_for(b.g, false, EQ_OBSERVER_MINMAX, arithmetic, &clips);
        /* Nearly all of the stem's outputs at 255: the largest sums there are. */
        for (int i = 0; i < g->n_nodes; i++)
            if (strcmp(g->nodes[i].name, "stem") == 0)
                g->fake_quants[g->nodes[i].edge_fq].scale[0] *= 0.01f;
            else if (strcmp(g->nodes[i].name, "wide") == 0)
                g->fake_quants[g->nodes[i].edge_fq].scale[0] *= 0.02f;
        expect_equal(g, &clips, NULL);
        eq_graph_free(g);
        free(clips.pixels);
    }
}

static void sums_beyond_float(void **state)
{
    (void)state;
    sums_beyond_float_for(EQ_ARITHMETIC_DIRECT);
    sums_beyond_float_for(EQ_ARITHMETIC_WINOGRAD);
}

static void resnet18_for(enum eq_arithmetic arithmetic)
{
    struct eq_model_meta meta = {
        .frames = 3, .size = 112, .pixel_mean = 33, .pixel_std = 50, .target_mean = 55, .target_std = 12};
    struct eq_graph *net;
    struct noise_clips clips;
    struct comparison sum = {0};
    assert_ok(eq_resnet18_new(&meta, 64, 5, &net, e_));
    noise_clips_init(&clips, 9, 2, meta.frames, meta.size);
    assert_ok(eq_reestimate_batchnorm(net, &clips.source, 2, 2, e_));
    struct eq_graph *g = calibrated_net_for(net, false, EQ_OBSERVER_HIST_MSE, arithmetic, &clips);
    expect_equal(g, &clips, &sum);
    print_message("ResNet-18, %s: %zu activations of %zu edges, all equal\n", eq_arithmetic_names[arithmetic],
                  sum.total, sum.edges);
    eq_graph_free(g);
    free(clips.pixels);
}

static void resnet18(void **state)
{
    (void)state;
    resnet18_for(EQ_ARITHMETIC_DIRECT);
    resnet18_for(EQ_ARITHMETIC_WINOGRAD);
}

static void on_every_isa_and_any_threads(void **state)
{
    (void)state;
    static const char *const levels[] = {"ref", "avx2", "avx512", "auto"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (eq_cpu_set_ceiling(levels[i], NULL) != EQ_OK) {
            print_message("%s: skipped, this CPU lacks it\n", levels[i]);
            continue;
        }
        eq_kernels_init();
        assert_ok(eq_parallel_init(1 + (int)i, e_));
        for (enum eq_arithmetic a = EQ_ARITHMETIC_DIRECT; a < EQ_ARITHMETIC_COUNT; a++)
            run_random_nets_for(levels[i], a, false, i % 2 ? extreme_qparams : keep_some);
    }
    assert_ok(eq_cpu_set_ceiling("auto", e_));
    eq_kernels_init();
    assert_ok(eq_parallel_init(2, e_));
}

struct seen {
    float *data;
    size_t n;
};

static enum eq_status remember(void *ctx, struct eq_graph *g, int node, const float *data, size_t n, struct eq_err *err)
{
    struct seen *s = ctx;
    (void)err;
    if (g->nodes[node].edge_fq < 0)
        return EQ_OK;
    s->data = realloc(s->data, (s->n + n) * sizeof *data);
    assert_non_null(s->data);
    memcpy(s->data + s->n, data, n * sizeof *data);
    s->n += n;
    return EQ_OK;
}

/* on_edge sees what INFER's sees, up to its rounding and the steps that follow from it; switching fake-quant off and on
 * again between calls is noticed. */
static void hooks_see_real_values_for(enum eq_arithmetic arithmetic)
{
    struct eq_graph *net = random_net(801);
    struct noise_clips clips;
    noise_clips_init(&clips, 801, 2, net->meta.frames, net->meta.size);
    struct eq_graph *g = calibrated_net_for(net, false, EQ_OBSERVER_MINMAX, arithmetic, &clips);
    for (int on = 1; on >= 0; on--) {
        struct seen seen[2] = {{0}};
        for (int i = 0; i < g->n_fake_quants; i++)
            g->fake_quants[i].enabled = on;
        for (int mode = 0; mode < 2; mode++) {
            struct eq_exec *x;
            float ef;
            assert_ok(
                new_watched_exec(g, mode ? EQ_EXEC_SIMULATE : EQ_EXEC_INFER, 1, g->meta.frames, g->meta.size, &x, e_));
            eq_exec_set_hook(x, &(struct eq_walk_hook){.on_edge = remember, .ctx = &seen[mode]});
            assert_ok(eq_exec_forward(x, clips.pixels, &ef, e_));
            eq_exec_free(x);
        }
        double error = 0, power = 0;
        assert_int_equal(seen[0].n, seen[1].n);
        for (size_t i = 0; i < seen[0].n; i++) {
            error += pow((double)seen[0].data[i] - seen[1].data[i], 2);
            power += pow((double)seen[0].data[i], 2);
        }
        assert_true(power > 0 && error <= (on ? 1e-6 : 1e-10) * power);
        free(seen[0].data);
        free(seen[1].data);
    }
    struct eq_exec *x;
    float off, back, ef;
    assert_ok(new_watched_exec(g, EQ_EXEC_SIMULATE, 1, g->meta.frames, g->meta.size, &x, e_));
    assert_ok(eq_exec_forward(x, clips.pixels, &off, e_));
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < g->n_fake_quants; i++)
            g->fake_quants[i].enabled = pass == 0;
        eq_exec_weights_changed(x);
        assert_ok(eq_exec_forward(x, clips.pixels, pass ? &back : &ef, e_));
    }
    assert_true(ef != off && back == off);
    eq_exec_free(x);
    eq_graph_free(g);
    free(clips.pixels);
}

static void hooks_see_real_values(void **state)
{
    (void)state;
    hooks_see_real_values_for(EQ_ARITHMETIC_DIRECT);
    hooks_see_real_values_for(EQ_ARITHMETIC_WINOGRAD);
}

static void unfolded_graphs_are_refused(void **state)
{
    (void)state;
    struct eq_graph *net = random_net(802);
    struct eq_exec *x;
    struct eq_err err;
    assert_int_equal(new_watched_exec(net, EQ_EXEC_SIMULATE, 1, net->meta.frames, net->meta.size, &x, &err),
                     EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "folded"));
    assert_null(x);
    eq_graph_free(net);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(ptq),
                                       cmocka_unit_test(qat),
                                       cmocka_unit_test(extremes),
                                       cmocka_unit_test(few_bits),
                                       cmocka_unit_test(mixed_precision),
                                       cmocka_unit_test(in_winograds_domain),
                                       cmocka_unit_test(sums_beyond_float),
                                       cmocka_unit_test(resnet18),
                                       cmocka_unit_test(on_every_isa_and_any_threads),
                                       cmocka_unit_test(hooks_see_real_values),
                                       cmocka_unit_test(unfolded_graphs_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
