/* Networks on a device against the CPU: INT8 and mixed precision to the bit, every stored activation and EF, by every
 * integer path that the device can run; FP32 against EQ_EXEC_SIMULATE; batches, many frames, refusals. */
#include "unit/device_fixture.h"
#include "unit/quant_fixture.h"

#include <limits.h>

static struct eq_device *devices[DEVICE_PATHS]; /* NULL: the device has no such path */
enum { FLOAT_PATHS = 2 }; /* kernels for floats are the same in every program, and PoCL takes long over them */

/* ---- INT8 ------------------------------------------------------------------- */

struct engine_edges {
    uint8_t *data[64];
    size_t bytes[64];
};

static void keep_output(void *ctx, int node, const uint8_t *q, size_t n)
{
    struct engine_edges *e = ctx;
    e->data[node] = realloc(e->data[node], n);
    assert_non_null(e->data[node]);
    memcpy(e->data[node], q, n);
    e->bytes[node] = n;
}

struct sum {
    size_t values, edges, pooled; /* pooled: edges that no kernel writes */
};

static void compare_edges(struct eq_device_net *net, const struct eq_qmodel *m, const struct engine_edges *e,
                          struct sum *sum)
{
    for (int i = 1; i < m->n_nodes - 1; i++) {
        uint8_t *made = malloc(e->bytes[i]);
        assert_non_null(made);
        if (!net->edges[i].kept) { /* pooled by its kernel, whose output is the next edge */
            struct eq_err err;
            assert_int_equal(eq_device_net_edge(net, i, made, e->bytes[i], &err), EQ_USAGE);
            assert_non_null(strstr(net->edges[i].kernel, "pool"));
            free(made);
            sum->pooled++;
            continue;
        }
        assert_ok(eq_device_net_edge(net, i, made, e->bytes[i], e_));
        if (m->nodes[i].fp32_edge) {
            const float *a = (const float *)(const void *)made, *b = (const float *)(const void *)e->data[i];
            for (size_t k = 0; k < e->bytes[i] / sizeof(float); k++)
                if (!(a[k] == b[k]))
                    fail_msg("%s, %s: value %zu is %g, not %g", m->nodes[i].name, net->edges[i].kernel, k, (double)a[k],
                             (double)b[k]);
        } else if (memcmp(made, e->data[i], e->bytes[i]) != 0) {
            fail_msg("%s, %s: differs from the engine", m->nodes[i].name, net->edges[i].kernel);
        }
        free(made);
        sum->values += e->bytes[i];
        sum->edges++;
    }
}

/* Lowers g and runs its first n clips on one device, in one batch, with tiles for a device of that many units. */
static void expect_engine(struct eq_device *d, const struct eq_graph *g, const uint8_t *pixels, int n, int units,
                          struct sum *sum)
{
    struct eq_qmodel *m;
    struct eq_qengine *engine;
    struct eq_device_net *net;
    struct engine_edges e = {0};
    float ef[8], made[8];
    struct eq_device sized = *d;
    assert_true(n <= 8);
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    assert_true(m->n_nodes <= 64);
    assert_ok(eq_qengine_new(m, n, g->meta.frames, g->meta.size, true, &engine, e_));
    eq_qengine_set_hook(engine, keep_output, &e);
    eq_device_keep_edges(&sized, true);
    sized.info.units = units;
    assert_ok(eq_device_net_of_qmodel(&sized, m, n, &net, e_));
    for (int call = 0; call < 2; call++) { /* nothing of a call is left over to the next */
        assert_ok(eq_qengine_run(engine, pixels, ef, e_));
        assert_ok(eq_device_net_run(net, pixels, made, e_));
        compare_edges(net, m, &e, sum);
        assert_memory_equal(ef, made, (size_t)n * sizeof *ef);
    }
    for (int i = 0; i < 64; i++)
        free(e.data[i]);
    eq_device_net_free(net);
    eq_qengine_free(engine);
    eq_qmodel_free(m);
}

typedef void (*change_fn)(struct eq_graph *g, uint64_t seed);

static void run_random_nets(const char *what, change_fn change, int paths)
{
    struct sum sum = {0};
    for (uint64_t seed = 700; seed < 715; seed++) {
        struct eq_graph *net = random_net(seed);
        struct noise_clips clips;
        noise_clips_init(&clips, seed, 2, net->meta.frames, net->meta.size);
        struct eq_graph *g = calibrated_net(net, false, (enum eq_observer_kind)(seed % EQ_OBSERVER_COUNT), &clips);
        if (change)
            change(g, seed);
        for (int i = 0; i < paths; i++)
            if (devices[i])
                expect_engine(devices[i], g, clips.pixels, 1 + (int)(seed % 2), seed % 3 ? INT_MAX : 0, &sum);
        eq_graph_free(g);
        free(clips.pixels);
    }
    assert_true(sum.edges > 0 && sum.pooled > 0);
    print_message("%s: %zu bytes of %zu edges, all equal; %zu pooled by their kernels\n", what, sum.values, sum.edges,
                  sum.pooled);
}

static void int8(void **state)
{
    (void)state;
    run_random_nets("INT8", NULL, DEVICE_PATHS);
}

static void extremes(void **state)
{
    (void)state;
    run_random_nets("extreme qparams", extreme_qparams, DEVICE_PATHS);
}

static void few_bits(void **state)
{
    (void)state;
    run_random_nets("2 to 7 bits", few_bits_of_a_layer, DEVICE_PATHS);
}

static void keep_some(struct eq_graph *g, uint64_t seed)
{
    keep_random_layers(g, seed, 81, seed % 4 == 0);
}

static void mixed_precision(void **state)
{
    (void)state;
    run_random_nets("mixed precision", keep_some, FLOAT_PATHS);
}

static struct eq_graph *small_resnet(int frames, int size, int width, struct noise_clips *clips)
{
    struct eq_model_meta meta = {
        .frames = frames, .size = size, .pixel_mean = 33, .pixel_std = 50, .target_mean = 55, .target_std = 12};
    struct eq_graph *net;
    assert_ok(eq_resnet18_new(&meta, width, 5, &net, e_));
    noise_clips_init(clips, 9, 2, frames, size);
    assert_ok(eq_reestimate_batchnorm(net, &clips->source, 2, 2, e_));
    return net;
}

/* Large and small tiles, all kinds of loads, and as many frames as a clip may have. */
static void resnet18(void **state)
{
    (void)state;
    static const int frames[] = {1, 16, 64};
    struct sum sum = {0};
    for (size_t k = 0; k < sizeof frames / sizeof *frames; k++) {
        struct noise_clips clips;
        struct eq_graph *net = small_resnet(frames[k], frames[k] == 1 ? 56 : 21, 12 + 4 * (int)k, &clips);
        struct eq_graph *g = calibrated_net(net, false, EQ_OBSERVER_MINMAX, &clips);
        for (int i = 0; i < DEVICE_PATHS; i++)
            for (int units = 0; devices[i] && units < 2; units++)
                expect_engine(devices[i], g, clips.pixels, 1, units ? INT_MAX : 0, &sum);
        eq_graph_free(g);
        free(clips.pixels);
    }
    assert_true(sum.pooled > 0);
    print_message("ResNet-18: %zu bytes of %zu edges, all equal; %zu pooled by their kernels\n", sum.values, sum.edges,
                  sum.pooled);
}

static void batches_equal_single_clips(void **state)
{
    (void)state;
    enum { CLIPS = 5 };
    for (uint64_t seed = 720; seed < 723; seed++) {
        struct eq_graph *net = random_net(seed);
        struct noise_clips clips;
        const size_t clip = (size_t)net->meta.frames * net->meta.size * net->meta.size * 3;
        noise_clips_init(&clips, seed, CLIPS, net->meta.frames, net->meta.size);
        struct eq_graph *g = calibrated_net(net, false, EQ_OBSERVER_MINMAX, &clips);
        struct eq_qmodel *m;
        assert_ok(eq_lower_int8(g, "ptq", &m, e_));
        for (int i = 0; i < DEVICE_PATHS; i++) {
            struct eq_device_net *single, *batch;
            float ef[CLIPS], one;
            if (!devices[i])
                continue;
            assert_ok(eq_device_net_of_qmodel(devices[i], m, 1, &single, e_));
            assert_ok(eq_device_net_of_qmodel(devices[i], m, CLIPS, &batch, e_));
            assert_true(eq_device_net_bytes(batch) > eq_device_net_bytes(single));
            assert_ok(eq_device_net_start(batch, clips.pixels, e_));
            assert_ok(eq_device_net_finish(batch, ef, e_));
            for (int c = 0; c < CLIPS; c++) {
                assert_ok(eq_device_net_run(single, clips.pixels + (size_t)c * clip, &one, e_));
                assert_memory_equal(&one, &ef[c], sizeof one);
            }
            assert_true(eq_device_net_times(single).compute >= 0);
            eq_device_net_free(single);
            eq_device_net_free(batch);
        }
        eq_qmodel_free(m);
        eq_graph_free(g);
        free(clips.pixels);
    }
}

/* ---- FP32 ---------------------------------------------------------------------- */

struct float_edges {
    struct eq_device_net *net;
    size_t convs, pooled;
};

static enum eq_status compare_floats(void *ctx, struct eq_graph *g, int node, const float *data, size_t n,
                                     struct eq_err *err)
{
    struct float_edges *e = ctx;
    (void)err;
    if (g->nodes[node].op != EQ_OP_CONV2D && g->nodes[node].op != EQ_OP_MAXPOOL)
        return EQ_OK;
    if (!e->net->edges[node].kept) {
        e->pooled++;
        return EQ_OK;
    }
    float *made = malloc(n * sizeof *made);
    assert_non_null(made);
    assert_ok(eq_device_net_edge(e->net, node, made, n * sizeof *made, e_));
    for (size_t i = 0; i < n; i++)
        if (!(made[i] == data[i]))
            fail_msg("%s, %s: value %zu is %.9g, not %.9g", g->nodes[node].name, e->net->edges[node].kernel, i,
                     (double)made[i], (double)data[i]);
    free(made);
    e->convs += g->nodes[node].op == EQ_OP_CONV2D;
    return EQ_OK;
}

/* Returns how many convolutions their kernels have pooled. */
static size_t expect_simulation(struct eq_device *d, struct eq_graph *g, const uint8_t *pixels, int n, int units)
{
    struct eq_device sized = *d;
    struct eq_exec *x;
    struct float_edges e = {0};
    float ef[8], made[8], again[8];
    eq_device_keep_edges(&sized, true);
    sized.info.units = units;
    assert_ok(eq_device_net_of_graph(&sized, g, n, &e.net, e_));
    assert_ok(new_watched_exec(g, EQ_EXEC_SIMULATE, n, g->meta.frames, g->meta.size, &x, e_));
    assert_ok(eq_device_net_run(e.net, pixels, made, e_));
    assert_ok(eq_device_net_run(e.net, pixels, again, e_));
    assert_memory_equal(made, again, (size_t)n * sizeof *made);
    eq_exec_set_hook(x, &(struct eq_walk_hook){.on_stored = compare_floats, .ctx = &e});
    assert_ok(eq_exec_forward(x, pixels, ef, e_));
    for (int i = 0; i < n; i++)
        assert_true(fabs((double)ef[i] - (double)made[i]) < 1e-3);
    assert_true(e.convs > 0);
    eq_exec_free(x);
    /* And as near to what predicts in FP32 on the CPU. */
    assert_ok(new_watched_exec(g, EQ_EXEC_INFER, n, g->meta.frames, g->meta.size, &x, e_));
    assert_ok(eq_exec_forward(x, pixels, ef, e_));
    for (int i = 0; i < n; i++)
        assert_true(fabs((double)ef[i] - (double)made[i]) < 1e-3);
    eq_exec_free(x);
    eq_device_net_free(e.net);
    return e.pooled;
}

static void fp32(void **state)
{
    (void)state;
    size_t pooled = 0;
    for (uint64_t seed = 730; seed < 745; seed++) {
        struct noise_clips clips;
        struct eq_graph *net = seed == 730 ? small_resnet(5, 40, 16, &clips) : random_net(seed), *g;
        if (seed != 730)
            noise_clips_init(&clips, seed, 2, net->meta.frames, net->meta.size);
        assert_ok(eq_fold_batchnorm(net, &g, e_));
        assert_ok(eq_fuse(g, e_));
        for (int units = 0; units < 2; units++)
            pooled += expect_simulation(devices[0], g, clips.pixels, 1 + (int)(seed % 2), units ? INT_MAX : 0);
        eq_graph_free(g);
        eq_graph_free(net);
        free(clips.pixels);
    }
    assert_true(pooled > 0);
}

/* ---- the self-check, and refusals ------------------------------------------------- */

/* A loader that gets a weight of the first convolution wrong. */
static int writes;
static enum eq_status write_wrong(void *ctx, eq_device_buffer b, size_t offset, const void *data, size_t bytes,
                                  struct eq_err *err)
{
    uint8_t *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    copy[0] ^= ++writes == 2 ? 0x40 : 0; /* the first write is the step of kernel `answers` */
    enum eq_status st = devices[0]->api->write(ctx, b, offset, copy, bytes, err);
    free(copy);
    return st;
}

/* The device passes by its kernels, and by those of NVIDIA's tensor cores. A device that errs does not, and the message
 * names layer and kernel. */
static void self_check(void **state)
{
    (void)state;
    struct eq_err err;
    for (int i = 0; i < FLOAT_PATHS; i++)
        if (devices[i])
            assert_ok(eq_device_self_check(devices[i], e_));
    struct eq_device wrong = *devices[0];
    struct eq_device_api api = *wrong.api;
    api.write = write_wrong;
    wrong.api = &api;
    writes = 0;
    assert_int_equal(eq_device_self_check(&wrong, &err), EQ_NUMERIC);
    assert_non_null(strstr(err.msg, "self-check in INT8, node 2 by kernel conv_"));
}

static struct eq_qmodel *small_model(struct noise_clips *clips)
{
    struct eq_graph *net = random_net(750);
    struct eq_qmodel *m;
    noise_clips_init(clips, 750, 2, net->meta.frames, net->meta.size);
    struct eq_graph *g = calibrated_net(net, false, EQ_OBSERVER_MINMAX, clips);
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    eq_graph_free(g);
    return m;
}

static void subnormal_scales_are_refused(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_qmodel *m = small_model(&clips);
    struct eq_device_net *net;
    struct eq_err err;
    int at = m->n_nodes - 2;
    while (m->nodes[at].op != EQ_QOP_CONV2D)
        at--;
    for (int c = 0; c < m->nodes[at].cout; c++)
        m->nodes[at].weight_scale[c] = 1e-38f;
    m->nodes[at].dst.scale = 1e4f;
    assert_int_equal(eq_device_net_of_qmodel(devices[0], m, 1, &net, &err), EQ_UNSUPPORTED);
    assert_null(net);
    assert_non_null(strstr(err.msg, m->nodes[at].name));
    assert_non_null(strstr(err.msg, "may take for zero"));
    eq_qmodel_free(m);
    free(clips.pixels);
}

static void the_domain_of_winograd_is_refused(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = random_net(750);
    struct eq_qmodel *m;
    struct eq_device_net *made;
    struct eq_err err;
    noise_clips_init(&clips, 750, 2, net->meta.frames, net->meta.size);
    struct eq_graph *g = calibrated_net_for(net, false, EQ_OBSERVER_MINMAX, EQ_ARITHMETIC_WINOGRAD, &clips);
    assert_ok(eq_lower_int8(g, "qat", &m, e_));
    assert_int_equal(eq_device_net_of_qmodel(devices[0], m, 1, &made, &err), EQ_UNSUPPORTED);
    assert_null(made);
    assert_non_null(strstr(err.msg, "make the model with qat.arithmetic = direct"));
    eq_qmodel_free(m);
    eq_graph_free(g);
    free(clips.pixels);
}

static void other_graphs_are_refused(void **state)
{
    (void)state;
    struct eq_graph *net = random_net(751), *g;
    struct eq_device_net *made;
    struct noise_clips clips;
    struct eq_err err;
    assert_int_equal(eq_device_net_of_graph(devices[0], net, 1, &made, &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "folded"));
    assert_ok(eq_fold_batchnorm(net, &g, e_));
    assert_int_equal(eq_device_net_of_graph(devices[0], g, 1, &made, &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "fused"));
    eq_graph_free(g);
    noise_clips_init(&clips, 751, 2, net->meta.frames, net->meta.size);
    g = calibrated_net(net, false, EQ_OBSERVER_MINMAX, &clips);
    assert_int_equal(eq_device_net_of_graph(devices[0], g, 1, &made, &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "fake quantization"));
    assert_null(made);
    eq_graph_free(g);
    free(clips.pixels);
}

static void batches_too_large_are_refused(void **state)
{
    (void)state;
    struct eq_model_meta meta = {
        .frames = 64, .size = 112, .pixel_mean = 33, .pixel_std = 50, .target_mean = 55, .target_std = 12};
    struct eq_graph *net, *g;
    struct eq_device_net *made;
    struct eq_err err;
    assert_ok(eq_resnet18_new(&meta, 64, 5, &net, e_));
    assert_ok(eq_fold_batchnorm(net, &g, e_));
    assert_ok(eq_fuse(g, e_));
    assert_int_equal(eq_device_net_of_graph(devices[0], g, 4000, &made, &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "batch fewer clips"));
    eq_graph_free(g);
    eq_graph_free(net);
}

static void calls_in_the_wrong_order_are_refused(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_qmodel *m = small_model(&clips);
    struct eq_device_net *net;
    struct eq_err err;
    float ef;
    uint8_t byte;
    assert_ok(eq_device_net_of_qmodel(devices[0], m, 1, &net, e_));
    assert_int_equal(eq_device_net_finish(net, &ef, &err), EQ_USAGE);
    assert_ok(eq_device_net_start(net, clips.pixels, e_));
    assert_int_equal(eq_device_net_start(net, clips.pixels, &err), EQ_USAGE);
    assert_int_equal(eq_device_net_run(net, clips.pixels, &ef, &err), EQ_USAGE);
    assert_ok(eq_device_net_finish(net, &ef, e_));
    assert_int_equal(eq_device_net_edge(net, 1, &byte, 1, &err), EQ_USAGE); /* not kept */
    assert_int_equal(eq_device_net_edge(net, -1, &byte, 1, &err), EQ_USAGE);
    eq_device_net_free(net);
    eq_device_net_free(NULL);
    assert_int_equal(eq_device_net_of_qmodel(devices[0], m, 0, &net, &err), EQ_USAGE);
    eq_qmodel_free(m);
    free(clips.pixels);
}

/* A loader whose call number `fails_at` fails. */
static int calls, fails_at;
static bool fails(struct eq_err *err)
{
    return ++calls == fails_at && eq_fail(err, EQ_IO, "lost") == EQ_IO;
}
static enum eq_status fail_alloc(void *ctx, size_t bytes, eq_device_buffer *out, struct eq_err *err)
{
    return fails(err) ? EQ_IO : devices[0]->api->alloc(ctx, bytes, out, err);
}
static enum eq_status fail_write(void *ctx, eq_device_buffer b, size_t offset, const void *data, size_t bytes,
                                 struct eq_err *err)
{
    return fails(err) ? EQ_IO : devices[0]->api->write(ctx, b, offset, data, bytes, err);
}
static enum eq_status fail_record(void *ctx, const struct eq_sequence_plan *plan, void **sequence, struct eq_err *err)
{
    return fails(err) ? EQ_IO : devices[0]->api->record(ctx, plan, sequence, err);
}
static enum eq_status fail_start(void *ctx, void *sequence, const void *in, struct eq_err *err)
{
    return fails(err) ? EQ_IO : devices[0]->api->start(ctx, sequence, in, err);
}
static enum eq_status fail_finish(void *ctx, void *sequence, void *out, struct eq_device_times *times,
                                  struct eq_err *err)
{
    enum eq_status st = devices[0]->api->finish(ctx, sequence, out, times, err);
    return fails(err) ? EQ_IO : st;
}

/* Whichever call fails, its error comes back, nothing is left behind (sanitizers), and the next network is right. */
static void failures_of_the_device_are_returned(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_qmodel *m = small_model(&clips);
    struct eq_device lost = *devices[0];
    struct eq_device_api api = *lost.api;
    struct eq_device_net *net;
    float good, ef = 0;
    api.alloc = fail_alloc;
    api.write = fail_write;
    api.record = fail_record;
    api.start = fail_start;
    api.finish = fail_finish;
    lost.api = &api;
    assert_ok(eq_device_net_of_qmodel(devices[0], m, 1, &net, e_));
    assert_ok(eq_device_net_run(net, clips.pixels, &good, e_));
    eq_device_net_free(net);
    enum eq_status st = EQ_IO;
    for (int at = 1; st != EQ_OK; at++) {
        struct eq_err err = {0};
        calls = 0;
        fails_at = at;
        st = eq_device_net_of_qmodel(&lost, m, 1, &net, &err);
        if (st == EQ_OK)
            st = eq_device_net_run(net, clips.pixels, &ef, &err);
        assert_true(st == EQ_OK || (st == EQ_IO && strcmp(err.msg, "lost") == 0));
        fails_at = 0;
        if (net) { /* a call that failed can be repeated */
            assert_ok(eq_device_net_run(net, clips.pixels, &ef, e_));
            assert_true(ef == good);
        }
        eq_device_net_free(net);
    }
    assert_true(calls > 10);
    eq_qmodel_free(m);
    free(clips.pixels);
}

static int tests_of_device(void)
{
    int n = 0;
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    for (int i = 0; i < DEVICE_PATHS; i++) {
        const char *why;
        devices[i] = test_device_open(i, "", &why);
        if (why) {
            const bool wanted = i > 0 || getenv("ECHOQUANT_TEST_DEVICE");
            printf("%s: %s\n", wanted ? "FAILED" : "skipped", why);
            return wanted;
        }
        n += devices[i] != NULL;
        printf("%s: %s\n", device_paths[i].path, devices[i] ? devices[i]->info.name : "not offered here");
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(int8),
                                       cmocka_unit_test(extremes),
                                       cmocka_unit_test(few_bits),
                                       cmocka_unit_test(mixed_precision),
                                       cmocka_unit_test(resnet18),
                                       cmocka_unit_test(batches_equal_single_clips),
                                       cmocka_unit_test(fp32),
                                       cmocka_unit_test(self_check),
                                       cmocka_unit_test(subnormal_scales_are_refused),
                                       cmocka_unit_test(the_domain_of_winograd_is_refused),
                                       cmocka_unit_test(other_graphs_are_refused),
                                       cmocka_unit_test(batches_too_large_are_refused),
                                       cmocka_unit_test(calls_in_the_wrong_order_are_refused),
                                       cmocka_unit_test(failures_of_the_device_are_returned)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < DEVICE_PATHS; i++)
        if (devices[i])
            test_device_close(devices[i]);
    eq_parallel_shutdown();
    return n > 0 ? failed : 1;
}

int main(void)
{
    return test_device_apart(tests_of_device);
}
