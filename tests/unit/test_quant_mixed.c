/* Mixed precision: layers kept in FP32, in the simulation, in the integer engine and in its file. */
#include "unit/quant_fixture.h"

#include <stdlib.h>
#include <unistd.h>

/* Random layers; mode 0: none, 1: all. */
static void choose(const struct eq_graph *g, uint64_t seed, int mode, bool *keep)
{
    struct eq_rng rng;
    eq_rng_init(&rng, seed, EQ_RNG_TEST, 0, 81);
    for (int i = 0; i < g->n_nodes; i++)
        keep[i] = mode == 1 || (mode > 1 && eq_rng_below(&rng, 2));
}

static struct eq_graph *net_of(uint64_t seed, struct noise_clips *clips)
{
    struct eq_graph *net = random_net(seed);
    noise_clips_init(clips, seed, 3, net->meta.frames, net->meta.size);
    return calibrated_net(net, false, EQ_OBSERVER_MINMAX, clips);
}

static void simulate(struct eq_graph *g, const struct noise_clips *clips, float *ef)
{
    struct eq_exec *x;
    size_t clip = (size_t)g->meta.frames * g->meta.size * g->meta.size * 3;
    assert_ok(new_exec(g, EQ_EXEC_INFER, 1, g->meta.frames, g->meta.size, &x, e_));
    for (int i = 0; i < clips->n; i++)
        assert_ok(eq_exec_forward(x, clips->pixels + (size_t)i * clip, &ef[i], e_));
    eq_exec_free(x);
}

static void engine_run(const struct eq_qmodel *m, const struct noise_clips *clips, float *ef)
{
    struct eq_qengine *e;
    assert_ok(eq_qengine_new(m, clips->n, m->meta.frames, m->meta.size, false, &e, e_));
    assert_ok(eq_qengine_run(e, clips->pixels, ef, e_));
    eq_qengine_free(e);
}

static struct eq_qmodel *lower(const struct eq_graph *g)
{
    struct eq_qmodel *m;
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    return m;
}

/* The engine computes what the simulation does, up to values at a tie and float rounding. */
static void engine_agrees_with_simulation(void **state)
{
    (void)state;
    double worst = 0;
    for (uint64_t seed = 300; seed < 340; seed++) {
        struct noise_clips clips;
        struct eq_graph *g = net_of(seed, &clips);
        bool keep[64];
        float sim[3], engine[3];
        choose(g, seed, seed % 8 == 0 ? 1 : 2, keep);
        assert_ok(eq_keep_fp32(g, keep, e_));
        struct eq_qmodel *m = lower(g);
        for (int i = 0; i < m->n_nodes; i++)
            assert_true(m->nodes[i].fp32 ? m->nodes[i].fp32_weights && !m->nodes[i].weights
                                         : !m->nodes[i].fp32_weights);
        simulate(g, &clips, sim);
        engine_run(m, &clips, engine);
        for (int i = 0; i < clips.n; i++)
            worst = fmax(worst, fabs((double)sim[i] - engine[i]));
        eq_qmodel_free(m);
        eq_graph_free(g);
        free(clips.pixels);
    }
    print_message("mixed precision: EF of engine and simulation differ by at most %.4f\n", worst);
    assert_true(worst <= 0.05);
}

/* All layers kept: FP32. None: what it was before. */
static void ends_are_fp32_and_int8(void **state)
{
    (void)state;
    for (uint64_t seed = 340; seed < 352; seed++) {
        struct noise_clips clips;
        struct eq_graph *g = net_of(seed, &clips), *fp32;
        bool keep[64];
        float expected[3], before[3], ef[3];
        struct eq_qmodel *m = lower(g);
        engine_run(m, &clips, before);
        eq_qmodel_free(m);
        assert_ok(eq_graph_clone(g, &fp32, e_));
        for (int i = 0; i < fp32->n_fake_quants; i++)
            fp32->fake_quants[i].enabled = false;
        simulate(fp32, &clips, expected);
        choose(g, seed, 1, keep);
        assert_ok(eq_keep_fp32(g, keep, e_));
        m = lower(g);
        engine_run(m, &clips, ef);
        for (int i = 0; i < clips.n; i++)
            assert_true(fabs((double)ef[i] - expected[i]) < 1e-3);
        eq_qmodel_free(m);
        choose(g, seed, 0, keep);
        assert_ok(eq_keep_fp32(g, keep, e_));
        m = lower(g);
        engine_run(m, &clips, ef);
        assert_memory_equal(ef, before, sizeof ef);
        eq_qmodel_free(m);
        eq_graph_free(g);
        eq_graph_free(fp32);
        free(clips.pixels);
    }
}

static void files_round_trip(void **state)
{
    (void)state;
    char path[] = "/tmp/echoquant_mixed_XXXXXX";
    close(mkstemp(path));
    for (uint64_t seed = 352; seed < 360; seed++) {
        struct noise_clips clips;
        struct eq_graph *g = net_of(seed, &clips);
        bool keep[64];
        float a[3], b[3];
        choose(g, seed, 2, keep);
        assert_ok(eq_keep_fp32(g, keep, e_));
        struct eq_qmodel *m = lower(g), *read;
        m->recipe = strdup("{\"keep_fp32\":\"x\"}");
        assert_ok(eq_qmodel_save(path, m, e_));
        assert_ok(eq_qmodel_load(path, &read, e_));
        assert_string_equal(read->recipe, m->recipe);
        for (int i = 0; i < m->n_nodes; i++) {
            assert_int_equal(read->nodes[i].fp32, m->nodes[i].fp32);
            assert_int_equal(read->nodes[i].fp32_edge, m->nodes[i].fp32_edge);
        }
        engine_run(m, &clips, a);
        engine_run(read, &clips, b);
        assert_memory_equal(a, b, sizeof a);
        eq_qmodel_free(m);
        eq_qmodel_free(read);
        eq_graph_free(g);
        free(clips.pixels);
    }
    unlink(path);
}

static struct eq_qnode *node_with(struct eq_qmodel *m, bool fp32, bool fp32_edge)
{
    for (int i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].op == EQ_QOP_CONV2D && m->nodes[i].fp32 == fp32 && m->nodes[i].fp32_edge == fp32_edge)
            return &m->nodes[i];
    return NULL;
}

static void refuses(struct eq_qmodel *m, const char *text)
{
    struct eq_err err = {0};
    struct eq_qengine *e;
    assert_true(eq_qengine_new(m, 1, m->meta.frames, m->meta.size, false, &e, &err) != EQ_OK);
    if (!strstr(err.msg, text))
        fail_msg("\"%s\" lacks \"%s\"", err.msg, text);
}

/* A quantized layer can't read floats, a float weight must be one, bytes need a scale. */
static void contradictions_are_refused(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *g = net_of(361, &clips);
    bool keep[64] = {false};
    int stem;
    assert_ok(eq_find_layer(g, "stem", &stem, e_));
    keep[stem] = true;
    assert_ok(eq_keep_fp32(g, keep, e_));
    struct eq_qmodel *m = lower(g);
    struct eq_qnode *n = node_with(m, true, false);
    assert_non_null(n); /* its readers are quantized */
    n->fp32_edge = true;
    refuses(m, "FP32");
    n->fp32_edge = false;
    float was = n->fp32_weights[0];
    n->fp32_weights[0] = NAN;
    refuses(m, "stem: a weight of channel 0 is NaN");
    n->fp32_weights[0] = was;
    n->weight_bits = 8;
    refuses(m, "weight bits");
    n->weight_bits = 32;
    n->dst.scale = 0;
    refuses(m, "scale 0");
    eq_qmodel_free(m);
    eq_graph_free(g);
    free(clips.pixels);
}

static void nearest_name_is_offered(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *g = net_of(362, &clips);
    struct eq_err err = {0};
    int node;
    assert_int_equal(eq_find_layer(g, "stm", &node, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "did you mean stem?"));
    assert_int_equal(eq_find_layer(g, "avgpool", &node, &err), EQ_USAGE);
    eq_graph_free(g);
    free(clips.pixels);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(engine_agrees_with_simulation),
                                       cmocka_unit_test(ends_are_fp32_and_int8), cmocka_unit_test(files_round_trip),
                                       cmocka_unit_test(contradictions_are_refused),
                                       cmocka_unit_test(nearest_name_is_offered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
