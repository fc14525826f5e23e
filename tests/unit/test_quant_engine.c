/* The engine's promise: the same bits for every ISA level, thread count and batch size; and lowering's bounds. */
#include "quant/qmodel.h"
#include "unit/quant_fixture.h"

struct trace {
    uint8_t *bytes;
    size_t n, cap;
};

static void trace_output(void *ctx, int node, const uint8_t *q, size_t n)
{
    struct trace *t = ctx;
    (void)node;
    if (t->n + n > t->cap) {
        t->cap = 2 * (t->n + n);
        t->bytes = realloc(t->bytes, t->cap);
        assert_non_null(t->bytes);
    }
    memcpy(t->bytes + t->n, q, n);
    t->n += n;
}

static struct eq_qmodel *model_of(uint64_t seed, struct noise_clips *clips)
{
    struct eq_qmodel *m;
    struct eq_graph *net = random_net(seed);
    noise_clips_init(clips, seed, 4, net->meta.frames, net->meta.size);
    /* Winograd's domain as well: with batch norm kept and without, alone and with each of the others. */
    enum eq_arithmetic arithmetic = seed % 5 < 2 ? EQ_ARITHMETIC_WINOGRAD : EQ_ARITHMETIC_DIRECT;
    struct eq_graph *g = calibrated_net_for(net, seed % 2, EQ_OBSERVER_MINMAX, arithmetic, clips);
    if (seed % 3 == 0)
        extreme_qparams(g, seed);
    if (seed % 4 == 0)
        keep_random_layers(g, seed, 82, false); /* mixed precision keeps the promise, too */
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    eq_graph_free(g);
    return m;
}

/* Every byte of every layer, and EF, clip by clip. */
static struct trace run_traced(const struct eq_qmodel *m, const struct noise_clips *clips, float *ef)
{
    struct trace t = {0};
    struct eq_qengine *e;
    size_t clip = (size_t)m->meta.frames * m->meta.size * m->meta.size * 3;
    assert_ok(eq_qengine_new(m, 1, m->meta.frames, m->meta.size, true, &e, e_));
    eq_qengine_set_hook(e, trace_output, &t);
    for (int i = 0; i < clips->n; i++)
        assert_ok(eq_qengine_run(e, clips->pixels + (size_t)i * clip, &ef[i], e_));
    eq_qengine_free(e);
    return t;
}

enum { MODELS = 12 };
static const char *const levels[] = {"avx2", "avxvnni", "avx512", "avx512vnni", "amx", "neon", "neondot", "auto"};

static void bits_equal_on_every_isa(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 200 + MODELS; seed++) {
        struct noise_clips clips;
        struct eq_qmodel *m = model_of(seed, &clips);
        float ef[4], expected[4];
        assert_ok(eq_cpu_set_ceiling("ref", e_));
        eq_kernels_init();
        struct trace ref = run_traced(m, &clips, expected);
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
            if (eq_cpu_set_ceiling(levels[i], NULL) != EQ_OK) {
                if (seed == 200)
                    print_message("%s: skipped, this CPU lacks it\n", levels[i]);
                continue;
            }
            eq_kernels_init();
            struct trace t = run_traced(m, &clips, ef);
            assert_int_equal(t.n, ref.n);
            assert_memory_equal(t.bytes, ref.bytes, ref.n);
            assert_memory_equal(ef, expected, sizeof ef);
            free(t.bytes);
        }
        free(ref.bytes);
        free(clips.pixels);
        eq_qmodel_free(m);
        assert_ok(eq_cpu_set_ceiling("auto", e_));
        eq_kernels_init();
    }
}

static void bits_equal_for_any_threads(void **state)
{
    (void)state;
    const int threads[] = {1, 2, 3, 7};
    for (uint64_t seed = 200; seed < 200 + MODELS; seed++) {
        struct noise_clips clips;
        struct eq_qmodel *m = model_of(seed, &clips);
        struct trace first = {0};
        float expected[4];
        for (size_t i = 0; i < 4; i++) {
            float ef[4];
            assert_ok(eq_parallel_init(threads[i], e_));
            struct trace t = run_traced(m, &clips, ef);
            if (i == 0) {
                first = t;
                memcpy(expected, ef, sizeof ef);
                continue;
            }
            assert_int_equal(t.n, first.n);
            assert_memory_equal(t.bytes, first.bytes, t.n);
            assert_memory_equal(ef, expected, sizeof ef);
            free(t.bytes);
        }
        free(first.bytes);
        free(clips.pixels);
        eq_qmodel_free(m);
    }
    assert_ok(eq_parallel_init(2, e_));
}

static void bits_equal_for_any_batch(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 200 + MODELS; seed++) {
        struct noise_clips clips;
        struct eq_qmodel *m = model_of(seed, &clips);
        struct eq_qengine *four;
        float one[4], all[4];
        struct trace t = run_traced(m, &clips, one);
        assert_ok(eq_qengine_new(m, 4, m->meta.frames, m->meta.size, false, &four, e_));
        assert_ok(eq_qengine_run(four, clips.pixels, all, e_));
        assert_memory_equal(one, all, sizeof all);
        eq_qengine_free(four);
        free(t.bytes);
        free(clips.pixels);
        eq_qmodel_free(m);
    }
}

/* Swaps the first frame with the last. */
static void swap_frames(struct noise_clips *clips, const struct eq_model_meta *meta)
{
    size_t frame = (size_t)meta->size * meta->size * 3, last = frame * ((size_t)meta->frames - 1);
    for (size_t i = 0; i < frame; i++) {
        uint8_t keep = clips->pixels[i];
        clips->pixels[i] = clips->pixels[last + i];
        clips->pixels[last + i] = keep;
    }
}

/* Whole frames in another order change nothing: sums over frames are exact. Only a head that reads floats is excepted.
 */
static void frame_order_is_free(void **state)
{
    (void)state;
    int checked = 0;
    for (uint64_t seed = 300; seed < 320; seed++) {
        struct noise_clips clips;
        struct eq_qmodel *m = model_of(seed, &clips);
        const struct eq_qnode *head = &m->nodes[m->n_nodes - 1];
        bool exact = !m->nodes[head->src].fp32_edge;
        for (size_t i = 0; exact && m->meta.frames > 1 && i < sizeof levels / sizeof *levels; i++) {
            struct eq_qengine *e;
            float before, after;
            if (eq_cpu_set_ceiling(levels[i], NULL) != EQ_OK)
                continue;
            eq_kernels_init();
            assert_ok(eq_qengine_new(m, 1, m->meta.frames, m->meta.size, false, &e, e_));
            assert_ok(eq_qengine_run(e, clips.pixels, &before, e_));
            swap_frames(&clips, &m->meta);
            assert_ok(eq_qengine_run(e, clips.pixels, &after, e_));
            swap_frames(&clips, &m->meta);
            assert_true(before == after);
            checked++;
            eq_qengine_free(e);
        }
        eq_qmodel_free(m);
        free(clips.pixels);
    }
    assert_true(checked >= 10);
    assert_ok(eq_cpu_set_ceiling("auto", e_));
    eq_kernels_init();
}

static void weights_stay_within_127(void **state)
{
    (void)state;
    bool touched = false;
    for (uint64_t seed = 400; seed < 410; seed++) {
        struct noise_clips clips;
        struct eq_qmodel *m = model_of(seed, &clips);
        for (int i = 0; i < m->n_nodes; i++)
            for (size_t k = 0; m->nodes[i].weights && k < eq_qnode_weights(&m->nodes[i]); k++) {
                assert_true(m->nodes[i].weights[k] >= -127);
                touched |= abs(m->nodes[i].weights[k]) == 127;
            }
        free(clips.pixels);
        eq_qmodel_free(m);
    }
    assert_true(touched); /* min-max scales reach the limit in every channel */
}

static void timing_and_names(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_qmodel *m = model_of(500, &clips);
    struct eq_qengine *e;
    struct eq_exec_layer layer;
    float ef;
    assert_ok(eq_qengine_new(m, 1, m->meta.frames, m->meta.size, false, &e, e_));
    const double *ms = eq_qengine_time(e, true);
    assert_ok(eq_qengine_run(e, clips.pixels, &ef, e_));
    for (int i = 0; i < m->n_nodes; i++) {
        bool conv = m->nodes[i].op == EQ_QOP_CONV2D;
        assert_int_equal(eq_qengine_layer(e, i, &layer), conv);
        assert_string_equal(layer.name, m->nodes[i].name);
        assert_int_equal(layer.kernel != NULL, conv);
        assert_true(ms[i] >= 0);
        if (conv)
            assert_true(layer.shape.cin == m->nodes[i].cin && layer.shape.cout == m->nodes[i].cout);
    }
    assert_true(eq_qengine_packed_bytes(e) > 0 && eq_qengine_arena_bytes(e) > eq_qengine_packed_bytes(e));
    eq_qengine_free(e);
    eq_qmodel_free(m);
    free(clips.pixels);
}

static void look_away(void *ctx, int node, const uint8_t *q, size_t n)
{
    (void)ctx;
    (void)node;
    (void)q;
    (void)n;
}

/* ResNet-18 as it ships: pooling in the first convolution's pass (unless watched) gives the EF that two passes give,
 * for color and for gray clips, on every level. Without the room for that convolution's output one clip's activations
 * fit 4 MiB. */
static void resnet18_is_small_and_fuses_exactly(void **state)
{
    (void)state;
    struct eq_model_meta meta = {
        .frames = 16, .size = 112, .pixel_mean = 33, .pixel_std = 50, .target_mean = 55, .target_std = 12};
    struct eq_graph *net;
    struct noise_clips clips;
    struct eq_qmodel *m;
    assert_ok(eq_resnet18_new(&meta, 64, 5, &net, e_));
    noise_clips_init(&clips, 9, 2, meta.frames, meta.size);
    size_t clip = (size_t)meta.frames * meta.size * meta.size * 3;
    for (size_t i = 0; i < clip; i++)
        if (i % 3)
            clips.pixels[i] = clips.pixels[i - 1];
    struct eq_graph *g = calibrated_net(net, false, EQ_OBSERVER_MINMAX, &clips);
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    eq_graph_free(g);
    float expected[2] = {0};
    bool smaller = false; /* scratch decides, too: on some levels it is the larger */
    for (int isa = EQ_ISA_COUNT - 1; isa > EQ_ISA_REF; isa--) {
        struct eq_qengine *e, *watched;
        struct eq_exec_layer layer;
        if (eq_cpu_set_ceiling(eq_isa_name((enum eq_isa)isa), NULL) != EQ_OK)
            continue;
        eq_kernels_init();
        assert_ok(eq_qengine_new(m, 1, meta.frames, meta.size, false, &e, e_));
        assert_ok(eq_qengine_new(m, 1, meta.frames, meta.size, true, &watched, e_));
        eq_qengine_set_hook(watched, look_away, NULL);
        assert_true(eq_qengine_layer(watched, 1, &layer) && layer.pool_k == 0);
        assert_true(eq_qengine_layer(e, 1, &layer));
        size_t bytes = eq_qengine_arena_bytes(e) - eq_qengine_packed_bytes(e);
        assert_true(bytes < (size_t)(layer.pool_k ? 4 : 8) << 20);
        smaller = smaller || layer.pool_k == 0 || eq_qengine_arena_bytes(e) < eq_qengine_arena_bytes(watched);
        for (int i = 0; i < 2; i++) {
            float fused, apart;
            assert_ok(eq_qengine_run(e, clips.pixels + (size_t)i * clip, &fused, e_));
            assert_ok(eq_qengine_run(watched, clips.pixels + (size_t)i * clip, &apart, e_));
            assert_true(fused == apart);
            assert_true(expected[i] == 0 || fused == expected[i]);
            expected[i] = fused;
        }
        eq_qengine_free(e);
        eq_qengine_free(watched);
    }
    assert_true(smaller);
    eq_qmodel_free(m);
    free(clips.pixels);
    assert_ok(eq_cpu_set_ceiling("auto", e_));
    eq_kernels_init();
}

/* Scratch is planned for the pool's threads, and a hook needs edges that were planned: neither may be found out by
 * writing past the end. */
static void calls_beyond_the_plan_are_refused(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_qmodel *m = model_of(500, &clips);
    struct eq_qengine *e;
    struct eq_err err;
    float ef;
    int threads = eq_parallel_threads();
    assert_ok(eq_qengine_new(m, 1, m->meta.frames, m->meta.size, false, &e, e_));
    assert_ok(eq_parallel_init(threads + 1, e_));
    assert_int_equal(eq_qengine_run(e, clips.pixels, &ef, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "threads"));
    assert_ok(eq_parallel_init(threads, e_));
    assert_ok(eq_qengine_run(e, clips.pixels, &ef, e_));
    eq_qengine_set_hook(e, look_away, NULL);
    assert_int_equal(eq_qengine_run(e, clips.pixels, &ef, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "watched"));
    eq_qengine_set_hook(e, NULL, NULL);
    assert_ok(eq_qengine_run(e, clips.pixels, &ef, e_));
    eq_qengine_free(e);
    eq_qmodel_free(m);
    free(clips.pixels);
}

static void unsuitable_shapes_are_refused(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_qmodel *m = model_of(500, &clips);
    struct eq_qengine *e;
    struct eq_err err;
    assert_int_equal(eq_qengine_new(m, 0, 1, 16, false, &e, &err), EQ_USAGE);
    assert_null(e);
    assert_int_equal(eq_qengine_new(m, 1, 0, 16, false, &e, &err), EQ_USAGE);
    assert_int_equal(eq_qengine_new(m, 1, 1, 0, false, &e, &err), EQ_USAGE);
    eq_qmodel_free(m);
    free(clips.pixels);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(bits_equal_on_every_isa),
                                       cmocka_unit_test(bits_equal_for_any_threads),
                                       cmocka_unit_test(bits_equal_for_any_batch),
                                       cmocka_unit_test(frame_order_is_free),
                                       cmocka_unit_test(weights_stay_within_127),
                                       cmocka_unit_test(timing_and_names),
                                       cmocka_unit_test(calls_beyond_the_plan_are_refused),
                                       cmocka_unit_test(unsuitable_shapes_are_refused),
                                       cmocka_unit_test(resnet18_is_small_and_fuses_exactly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
