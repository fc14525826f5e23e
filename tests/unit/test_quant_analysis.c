/* The analysis of layers: sums on data made by hand, and against what the same networks give when they run here, in the
 * integer engine where it has such a network. */
#include "new_exec.h"
#include "quant/analysis.h"
#include "quant/clip_walk.h"
#include "unit/quant_resnet.h"
#include "unit/quant_tape.h"

#include <stdlib.h>

static void decibels_are_those_of_the_formula(void **state)
{
    (void)state;
    assert_true(fabs(eq_sqnr_db(100, 1) - 20) < 1e-12);
    assert_true(fabs(eq_sqnr_db(1, 4) + 6.020599913279624) < 1e-12);
    assert_true(isinf(eq_sqnr_db(1, 0)) && eq_sqnr_db(1, 0) > 0);
    assert_true(isnan(eq_sqnr_db(0, 0)));
}

/* Two channels of two values. At scale 1 they were stored as 0, 3, 255 and 2. */
static void sums_on_data_made_by_hand(void **state)
{
    (void)state;
    float data[] = {0.4f, 3.25f, 300, 2}, stored[] = {0, 3, 255, 2}, scale = 1;
    int zero_point = 0;
    struct eq_fake_quant fq = {.enabled = true, .channels = 1, .qmax = 255, .scale = &scale, .zero_point = &zero_point};
    struct eq_edge_sums e;
    struct eq_edge_stats stats;
    assert_ok(eq_edge_sums_init(&e, 2, e_));
    e.reference = eq_alloc(4, sizeof(float));
    memcpy(e.reference, data, sizeof data);
    assert_ok(eq_edge_sums_add(&e, &fq, stored, 4, true, e_));
    eq_edge_sums_stats(&e, &fq, &stats);
    assert_true(fabs(e.signal - (0.16 + 10.5625 + 90000 + 4)) < 1e-4);
    assert_true(fabs(e.noise - (0.16 + 0.0625 + 2025)) < 1e-4);
    assert_true(fabs(stats.sqnr_db - 16.4783) < 1e-3);
    assert_int_equal(stats.levels, 4);
    assert_true(stats.clipped == 0.25 && stats.low == 0 && stats.high == 255);
    assert_true(stats.min == 0.4f && stats.max == 300 && stats.channels == 2 && stats.dead == 0);

    /* A second clip adds up; stored as it is it adds no noise. */
    double noise = e.noise;
    assert_ok(eq_edge_sums_add(&e, &fq, data, 4, true, e_));
    assert_true(e.noise == noise && e.values == 8);

    /* Forgotten; then one channel that stays the same is dead, at whatever value. */
    eq_edge_sums_reset(&e);
    float still[] = {1, 7, 2, 7};
    memcpy(e.reference, still, sizeof still);
    assert_ok(eq_edge_sums_add(&e, &fq, still, 4, true, e_));
    eq_edge_sums_stats(&e, NULL, &stats);
    assert_true(stats.dead == 1 && isnan(stats.clipped) && isnan(stats.low) && isinf(stats.sqnr_db));

    still[3] = NAN;
    assert_int_equal(eq_edge_sums_add(&e, &fq, still, 4, true, NULL), EQ_NUMERIC);
    eq_edge_sums_clear(&e);
}

static double sqnr_of(const struct tape *fp32, const struct tape *other)
{
    double signal = 0, noise = 0;
    assert_int_equal(fp32->n, other->n);
    for (size_t i = 0; i < fp32->n; i++) {
        double y = fp32->x[i], seen = other->x[i];
        signal += y * y;
        noise += (seen - y) * (seen - y);
    }
    return 10 * log10(signal / noise);
}

/* A folded and fused ResNet and its calibrated copy. */
struct pair {
    struct eq_graph *fp32, *quantized;
    struct noise_clips clips;
};

/* In place: the clips' source points at them. */
static void pair_init_clips(struct pair *p, int clips, int bits, const struct eq_observer_opts *observer)
{
    struct eq_graph *net = settled_resnet(&p->clips, clips);
    p->fp32 = fold_and_fuse(net);
    assert_ok(eq_graph_clone(p->fp32, &p->quantized, e_));
    assert_ok(eq_prepare_fake_quant(p->quantized, bits, e_));
    assert_ok(eq_calibrate(p->quantized, &p->clips.source, 3, observer, NULL, NULL, e_));
    eq_graph_free(net);
}

static void pair_init(struct pair *p, int bits, const struct eq_observer_opts *observer)
{
    pair_init_clips(p, 3, bits, observer);
}

static void pair_free(struct pair *p)
{
    eq_graph_free(p->fp32);
    eq_graph_free(p->quantized);
    free(p->clips.pixels);
}

static bool is_layer(const struct eq_graph *g, int i)
{
    return g->nodes[i].op == EQ_OP_CONV2D || g->nodes[i].op == EQ_OP_LINEAR;
}

static const struct eq_observer_opts minmax = {.kind = EQ_OBSERVER_MINMAX};

static void noise_is_that_of_a_simulation(void **state)
{
    (void)state;
    struct pair p;
    struct eq_analysis *a;
    struct eq_edge_stats stats[64];
    float ef_fp32[3], ef[3], expected[3], seen[3];
    size_t n;
    pair_init(&p, 4, &minmax);
    assert_ok(eq_analysis_new(p.fp32, p.quantized, &p.clips.source, 3, &a, e_));
    assert_ok(eq_analysis_walk(a, stats, ef_fp32, ef, &n, e_));
    assert_int_equal(n, 3);
    int layers = 0;
    for (int i = 0; i < p.fp32->n_nodes; i++) {
        if (!is_layer(p.fp32, i))
            continue;
        struct eq_graph *g;
        const struct eq_node *node = &p.quantized->nodes[i];
        struct tape fp32 = tape_of(p.fp32, i, &p.clips, expected);
        assert_memory_equal(expected, ef_fp32, sizeof expected);
        struct tape all = tape_of(p.quantized, i, &p.clips, expected);
        assert_memory_equal(expected, ef, sizeof expected);
        assert_true(fabs(sqnr_of(&fp32, &all) - stats[i].sqnr_db) < 1e-9);
        assert_ok(eq_graph_clone(p.quantized, &g, e_));
        for (int k = 0; k < g->n_fake_quants; k++)
            g->fake_quants[k].enabled = k == node->weight_fq || k == node->edge_fq;
        struct tape alone = tape_of(g, i, &p.clips, seen);
        double weights, output;
        assert_ok(eq_analysis_layer(a, i, &weights, &output, e_));
        assert_true(fabs(sqnr_of(&fp32, &alone) - output) < 1e-9);
        assert_true(weights > 10 && weights < 30); /* 4 bits: about 6 dB a bit */
        assert_true(isfinite(output) && isfinite(stats[i].sqnr_db));
        eq_graph_free(g);
        free(fp32.x);
        free(all.x);
        free(alone.x);
        layers++;
    }
    assert_int_equal(layers, 21);
    eq_analysis_free(a);
    pair_free(&p);
}

/* What the integer engine stores at one layer, in real values, over all clips; ef: what it predicts. */
struct engine_tape {
    struct tape tape; /* its node is the model's */
    const struct eq_qnode *layer;
};

static void record_stored(void *ctx, int node, const uint8_t *q, size_t n)
{
    struct engine_tape *e = ctx;
    if (node != e->tape.node)
        return;
    size_t values = e->layer->fp32_edge ? n / sizeof(float) : n;
    e->tape.x = realloc(e->tape.x, (e->tape.n + values) * sizeof(float));
    for (size_t i = 0; i < values; i++)
        e->tape.x[e->tape.n + i] = (float)(q[i] - e->layer->dst.zero_point) * e->layer->dst.scale;
    if (e->layer->fp32_edge)
        memcpy(e->tape.x + e->tape.n, q, n);
    e->tape.n += values;
}

static struct tape engine_of(const struct eq_graph *g, const char *layer, const struct noise_clips *clips, float *ef)
{
    struct eq_qmodel *m;
    struct eq_qengine *engine;
    struct engine_tape e = {0};
    size_t clip = (size_t)g->meta.frames * g->meta.size * g->meta.size * 3;
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    while (strcmp(m->nodes[e.tape.node].name, layer) != 0)
        e.tape.node++;
    e.layer = &m->nodes[e.tape.node];
    assert_ok(eq_qengine_new(m, 1, g->meta.frames, g->meta.size, true, &engine, e_));
    eq_qengine_set_hook(engine, record_stored, &e);
    for (int i = 0; i < clips->n; i++)
        assert_ok(eq_qengine_run(engine, clips->pixels + (size_t)i * clip, &ef[i], e_));
    eq_qengine_free(engine);
    eq_qmodel_free(m);
    return e.tape;
}

enum { ENOUGH = 24 }; /* clips for a value to fall near a tie, where the fast simulation rounds it to the other side */

/* The walk sees the network of the integer engine, to the bit: its EFs, and the noise of the outputs that it stores,
 * with weights of 8 and 4 bits, and with layers, or the head, in FP32. */
static void walk_is_that_of_the_engine(void **state)
{
    static const struct {
        int bits, kept; /* every so many layers stay in FP32; 0: none */
    } cases[] = {{8, 0}, {4, 0}, {8, 3}, {4, 2}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct pair p;
        struct eq_analysis *a;
        struct eq_edge_stats stats[64];
        float ef_fp32[ENOUGH], ef[ENOUGH], expected[ENOUGH];
        bool keep[64] = {false};
        size_t n;
        int layers = 0;
        pair_init_clips(&p, ENOUGH, cases[k].bits, &minmax);
        for (int i = 0, layer = 0; i < p.fp32->n_nodes; i++)
            keep[i] = cases[k].kept && is_layer(p.fp32, i) && layer++ % cases[k].kept == 0;
        assert_ok(eq_keep_fp32(p.quantized, keep, e_));
        assert_ok(eq_analysis_new(p.fp32, p.quantized, &p.clips.source, ENOUGH, &a, e_));
        assert_ok(eq_analysis_walk(a, stats, ef_fp32, ef, &n, e_));
        for (int i = 0; i < p.fp32->n_nodes; i++) {
            char name[64];
            if (p.fp32->nodes[i].op != EQ_OP_CONV2D)
                continue;
            eq_layer_name(p.fp32, i, name);
            struct tape engine = engine_of(p.quantized, name, &p.clips, expected);
            struct tape fp32 = tape_of(p.fp32, i, &p.clips, ef_fp32);
            assert_memory_equal(ef, expected, sizeof ef);
            double db = sqnr_of(&fp32, &engine);
            assert_true(isinf(db) ? isinf(stats[i].sqnr_db) : fabs(db - stats[i].sqnr_db) < 1e-9);
            layers += !isinf(db);
            free(engine.x);
            free(fp32.x);
        }
        assert_true(layers >= 18);
        eq_analysis_free(a);
        pair_free(&p);
    }
}

/* "Only" and "all but" are networks of the engine, too; and conv1, which reads the pixels, is the engine's alone. */
static void layers_are_those_of_the_engine(void **state)
{
    (void)state;
    struct pair p;
    struct eq_analysis *a;
    float ef[3], expected[3];
    pair_init(&p, 4, &minmax);
    assert_ok(eq_analysis_new(p.fp32, p.quantized, &p.clips.source, 3, &a, e_));
    for (int i = 0; i < p.fp32->n_nodes; i++)
        for (int only = 0; only < 2 && is_layer(p.fp32, i); only++) {
            struct eq_graph *g;
            bool keep[64];
            double weights, output;
            for (int k = 0; k < p.fp32->n_nodes; k++)
                keep[k] = (k == i) != only;
            assert_ok(eq_graph_clone(p.quantized, &g, e_));
            assert_ok(eq_mix_precision(g, p.quantized, p.fp32, keep, e_));
            struct tape engine = engine_of(g, "conv1", &p.clips, expected);
            assert_ok(eq_analysis_ef(a, keep, ef, e_));
            assert_memory_equal(ef, expected, sizeof ef);
            if (only && g->nodes[g->nodes[i].src[0]].op == EQ_OP_INPUT) {
                struct tape fp32 = tape_of(p.fp32, i, &p.clips, ef);
                assert_ok(eq_analysis_layer(a, i, &weights, &output, e_));
                assert_true(fabs(sqnr_of(&fp32, &engine) - output) < 1e-9);
                free(fp32.x);
            }
            free(engine.x);
            eq_graph_free(g);
        }
    eq_analysis_free(a);
    pair_free(&p);
}

/* With layers kept: EFs are those of eq_keep_fp32's graph; kept layers have FP32's weights, whatever was made of them.
 */
static void efs_are_those_of_mixed_precision(void **state)
{
    (void)state;
    struct pair p;
    struct eq_analysis *a;
    struct eq_graph *g;
    bool keep[64] = {false};
    float ef[3], expected[3], fp32[3];
    int head;
    pair_init(&p, 4, &minmax);
    assert_ok(eq_find_layer(p.fp32, "fc", &head, e_));
    for (int i = 0; i < p.fp32->n_nodes; i += 3)
        keep[i] = is_layer(p.fp32, i);
    assert_ok(eq_graph_clone(p.quantized, &g, e_));
    assert_ok(eq_keep_fp32(g, keep, e_));
    free(tape_of(g, head, &p.clips, expected).x);
    assert_ok(eq_analysis_new(p.fp32, p.quantized, &p.clips.source, 3, &a, e_));
    assert_ok(eq_analysis_ef(a, keep, ef, e_));
    assert_memory_equal(ef, expected, sizeof ef);
    eq_analysis_free(a);

    eq_param_data(&p.quantized->params[p.quantized->nodes[head].bias])[0] += 7;
    for (int i = 0; i < p.fp32->n_nodes; i++)
        keep[i] = is_layer(p.fp32, i);
    free(tape_of(p.fp32, head, &p.clips, fp32).x);
    predict(p.fp32, &p.clips, expected);
    for (int i = 0; i < 3; i++) /* up to the order of its sums */
        assert_true(fabs((double)fp32[i] - expected[i]) < 1e-3);
    assert_ok(eq_analysis_new(p.fp32, p.quantized, &p.clips.source, 3, &a, e_));
    assert_ok(eq_analysis_ef(a, keep, ef, e_));
    assert_memory_equal(ef, fp32, sizeof ef);
    keep[head] = false;
    assert_ok(eq_analysis_ef(a, keep, ef, e_));
    assert_true(fabs((double)ef[0] - fp32[0] - 7) < 2);
    eq_analysis_free(a);
    eq_graph_free(g);
    pair_free(&p);
}

static void walk(const struct pair *p, struct eq_edge_stats *stats)
{
    struct eq_analysis *a;
    float ef_fp32[3], ef[3];
    size_t n;
    assert_ok(eq_analysis_new(p->fp32, p->quantized, &p->clips.source, 3, &a, e_));
    assert_ok(eq_analysis_walk(a, stats, ef_fp32, ef, &n, e_));
    eq_analysis_free(a);
}

/* Observer minmax cuts nothing; percentile 90 takes 5 % off the upper end of what ReLU leaves. */
static void clipped_share_is_what_the_percentile_cuts(void **state)
{
    (void)state;
    const struct eq_observer_opts percentile = {.kind = EQ_OBSERVER_PERCENTILE, .percentile = 90};
    struct pair whole, cut;
    struct eq_edge_stats of_whole[64], of_cut[64];
    int conv1;
    pair_init(&whole, 8, &minmax);
    pair_init(&cut, 8, &percentile);
    assert_ok(eq_find_layer(whole.fp32, "conv1", &conv1, e_));
    walk(&whole, of_whole);
    walk(&cut, of_cut);
    for (int i = 0; i < whole.fp32->n_nodes; i++)
        if (whole.fp32->nodes[i].op == EQ_OP_CONV2D)
            assert_true(of_whole[i].clipped == 0);
    assert_true(fabs(of_cut[conv1].clipped - 0.05) < 0.01);
    assert_true(of_cut[conv1].max > of_cut[conv1].high && of_cut[conv1].low == 0);
    assert_true(of_whole[conv1].max <= of_whole[conv1].high * 1.001f && of_whole[conv1].levels > 64);
    pair_free(&whole);
    pair_free(&cut);
}

static void dead_channels_are_found(void **state)
{
    (void)state;
    struct pair p;
    struct eq_edge_stats before[64], after[64];
    int node;
    pair_init(&p, 8, &minmax);
    assert_ok(eq_find_layer(p.fp32, "layer2.0.conv1", &node, e_));
    walk(&p, before);
    struct eq_graph *both[] = {p.fp32, p.quantized};
    for (int i = 0; i < 2; i++) /* below 0 everywhere: ReLU leaves nothing */
        eq_param_data(&both[i]->params[both[i]->nodes[node].bias])[5] = -1e6f;
    walk(&p, after);
    assert_int_equal(after[node].dead, before[node].dead + 1);
    assert_int_equal(after[node].channels, p.fp32->nodes[node].cout);
    pair_free(&p);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    struct pair p;
    struct eq_edge_stats stats[2][64];
    double layer[2][2];
    int node;
    pair_init(&p, 4, &minmax);
    assert_ok(eq_find_layer(p.fp32, "layer1.0.conv2", &node, e_));
    memset(stats, 0, sizeof stats);
    for (int i = 0; i < 2; i++) {
        struct eq_analysis *a;
        assert_ok(eq_parallel_init(i + 1, e_));
        walk(&p, stats[i]);
        assert_ok(eq_analysis_new(p.fp32, p.quantized, &p.clips.source, 3, &a, e_));
        assert_ok(eq_analysis_layer(a, node, &layer[i][0], &layer[i][1], e_));
        eq_analysis_free(a);
    }
    for (int i = 0; i < p.fp32->n_nodes; i++) {
        const struct eq_edge_stats *s = &stats[0][i], *t = &stats[1][i];
        if (p.fp32->nodes[i].op == EQ_OP_CONV2D)
            assert_true(s->sqnr_db == t->sqnr_db && s->min == t->min && s->max == t->max && s->levels == t->levels &&
                        s->clipped == t->clipped && s->dead == t->dead);
    }
    assert_memory_equal(layer[0], layer[1], sizeof layer[0]);
    pair_free(&p);
}

static void uncalibrated_graphs_are_refused(void **state)
{
    (void)state;
    struct pair p;
    struct eq_analysis *a;
    struct eq_err err = {0};
    pair_init(&p, 8, &minmax);
    assert_int_equal(eq_analysis_new(p.fp32, p.fp32, &p.clips.source, 3, &a, &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "conv1: analysis needs a folded and calibrated graph"));
    assert_null(a);
    pair_free(&p);
}

/* What a look at an edge answers at the node of its own, and how often it was asked. */
struct answer {
    int node;
    enum eq_status status;
    int looks, last;
};

static enum eq_status give_answer(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err)
{
    struct answer *a = ctx;
    (void)clip, (void)data, (void)n;
    a->looks++;
    a->last = node;
    if (node != a->node)
        return EQ_OK;
    return a->status == EQ_INTERRUPTED ? eq_fail(err, EQ_INTERRUPTED, "a signal came") : a->status;
}

/* A walk that has seen enough goes on with the next clip; a signal ends all of it, also where a
 * walk would have ended. */
static void enough_is_no_signal(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, 3), *g = fold_and_fuse(net);
    for (int i = 0; i < 4; i++) {
        struct eq_err err = {0};
        bool signal = i % 2, stops_itself = i < 2;
        struct answer a = {.node = 4, .status = signal ? EQ_INTERRUPTED : stops_itself ? EQ_STOP : EQ_OK};
        struct eq_clip_walk w = {.clips = &clips.source,
                                 .max_clips = 3,
                                 .purpose = "the test",
                                 .stop_at = stops_itself ? -1 : 4,
                                 .on_edge = give_answer,
                                 .ctx = &a};
        assert_ok(new_watched_exec(g, EQ_EXEC_INFER, 1, small.frames, small.size, &w.exec, e_));
        assert_int_equal(eq_clip_walk_run(&w, &err), signal ? EQ_INTERRUPTED : EQ_OK);
        assert_true(!signal || strstr(err.msg, "a signal came"));
        assert_int_equal(w.clip, signal ? 0 : 3);
        assert_int_equal(a.looks, signal ? 5 : 3 * 5);
        assert_int_equal(a.last, 4);
        eq_exec_free(w.exec);
    }
    free(clips.pixels);
    eq_graph_free(g);
    eq_graph_free(net);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(decibels_are_those_of_the_formula),
                                       cmocka_unit_test(sums_on_data_made_by_hand),
                                       cmocka_unit_test(noise_is_that_of_a_simulation),
                                       cmocka_unit_test(walk_is_that_of_the_engine),
                                       cmocka_unit_test(layers_are_those_of_the_engine),
                                       cmocka_unit_test(efs_are_those_of_mixed_precision),
                                       cmocka_unit_test(clipped_share_is_what_the_percentile_cuts),
                                       cmocka_unit_test(dead_channels_are_found),
                                       cmocka_unit_test(threads_change_no_bit),
                                       cmocka_unit_test(enough_is_no_signal),
                                       cmocka_unit_test(uncalibrated_graphs_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
