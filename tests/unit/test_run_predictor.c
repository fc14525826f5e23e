/* FP32 and INT8 behind one table: what they say of themselves, and the mean over phases against single runs of each. */
#include "unit/quant_resnet.h"

#include "echoquant/run.h"

enum { PHASES = 3 };

static size_t clip_bytes(void)
{
    return (size_t)small.frames * small.size * small.size * 3;
}

/* The nodes by name, and what runs at the convolutions. */
static void check_description(struct eq_predictor *p, const uint8_t *pixels, bool int8)
{
    int convs = 0;
    float ef;
    double sum = 0;
    const double *ms = p->ops->time(p, true);
    assert_ok(eq_predictor_run(p, pixels, &ef, e_));
    for (int i = 0; i < p->n_nodes; i++) {
        struct eq_exec_layer l;
        bool conv = p->ops->layer(p, i, &l);
        assert_true(l.name[0] != '\0' && (l.kernel != NULL) == conv);
        sum += ms[i];
        convs += conv;
        if (conv)
            assert_true(l.shape.b == 1 && l.shape.t == small.frames && (l.int8_weights != NULL) == int8 &&
                        (l.weights != NULL) != int8);
    }
    p->ops->time(p, false);
    assert_true(convs == 20 && sum > 0);
    assert_string_equal(p->precision, int8 ? "INT8" : "FP32");
    assert_true(p->arena_bytes > 0 && p->packed_bytes > 0);
    assert_int_equal(eq_predictor_qmodel(p) != NULL, int8);
}

/* Checks one predictor, and closes it. pixels: PHASES clips. */
static void check_mean(struct eq_predictor *p, const uint8_t *pixels)
{
    size_t clip = clip_bytes();
    float one[PHASES], ef, again;
    double sum = 0, squares = 0, spread;
    for (int k = 0; k < PHASES; k++) {
        assert_ok(eq_predictor_run(p, pixels + (size_t)k * clip, &one[k], e_));
        sum += (double)one[k];
        assert_ok(eq_predictor_mean(p, pixels + (size_t)k * clip, 1, &ef, e_));
        assert_memory_equal(&ef, &one[k], sizeof ef);
    }
    assert_true(one[0] != one[1] && one[1] != one[2]);
    assert_ok(eq_predictor_mean(p, pixels, PHASES, &ef, e_));
    assert_true(ef == (float)(sum / PHASES));
    assert_ok(eq_predictor_phases(p, pixels, PHASES, &again, &spread, e_));
    for (int k = 0; k < PHASES; k++)
        squares += ((double)one[k] - sum / PHASES) * ((double)one[k] - sum / PHASES);
    assert_true(again == ef && fabs(spread - sqrt(squares / (PHASES - 1))) <= 1e-9 * spread);
    assert_ok(eq_predictor_phases(p, pixels, 1, &again, &spread, e_));
    assert_true(again == one[0] && isnan(spread));
    eq_predictor_close(p);
}

static void the_mean_is_over_single_runs(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, PHASES), *folded = fold_and_fuse(net);
    struct eq_predictor p;
    struct eq_qmodel *m;
    assert_ok(eq_predictor_from_graph(&p, net, EQ_PRECISION_FP32, 1, e_));
    check_description(&p, clips.pixels, false);
    check_mean(&p, clips.pixels);
    calibrate(folded, 8, &clips);
    assert_ok(eq_lower_int8(folded, "ptq", &m, e_));
    assert_ok(eq_predictor_from_qmodel(&p, m, 1, e_));
    check_description(&p, clips.pixels, true);
    check_mean(&p, clips.pixels);
    eq_graph_free(net);
    eq_graph_free(folded);
    free(clips.pixels);
}

/* Checks a predictor of several clips against one of a single clip, with a last run that is not full; closes both.
 * pixels: PHASES clips. */
static void check_at_once(struct eq_predictor *many, struct eq_predictor *one, const uint8_t *pixels)
{
    size_t clip = clip_bytes();
    float ef[PHASES], alone;
    assert_true(many->clips > 1 && PHASES % many->clips != 0);
    assert_ok(eq_predictor_start(many, pixels, PHASES, e_));
    assert_ok(eq_predictor_finish(many, ef, e_));
    for (int k = 0; k < PHASES; k++) {
        assert_ok(eq_predictor_run(one, pixels + (size_t)k * clip, &alone, e_));
        assert_memory_equal(&ef[k], &alone, sizeof alone);
    }
    eq_predictor_close(many);
    eq_predictor_close(one);
}

static void clips_at_once_have_the_bits_of_clips_alone(void **state)
{
    static const char *const levels[] = {"ref", "avx2", "avxvnni", "avx512", "auto"};
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, PHASES), *folded = fold_and_fuse(net);
    calibrate(folded, 8, &clips);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct eq_predictor many, one;
        struct eq_qmodel *m;
        if (eq_cpu_set_ceiling(levels[i], NULL) != EQ_OK)
            continue;
        assert_ok(eq_predictor_from_graph(&many, net, EQ_PRECISION_FP32, 2, e_));
        assert_ok(eq_predictor_from_graph(&one, net, EQ_PRECISION_FP32, 1, e_));
        check_at_once(&many, &one, clips.pixels);
        assert_ok(eq_lower_int8(folded, "ptq", &m, e_));
        assert_ok(eq_predictor_from_qmodel(&many, m, 2, e_));
        assert_ok(eq_lower_int8(folded, "ptq", &m, e_));
        assert_ok(eq_predictor_from_qmodel(&one, m, 1, e_));
        check_at_once(&many, &one, clips.pixels);
    }
    assert_ok(eq_cpu_set_ceiling("auto", e_));
    eq_graph_free(net);
    eq_graph_free(folded);
    free(clips.pixels);
}

/* A predictor that follows a graph has the bits of a new one. */
static void following_a_graph(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, PHASES);
    struct eq_predictor followed, fresh;
    float before, ef, wanted;
    assert_ok(eq_predictor_from_graph(&followed, net, EQ_PRECISION_FP32, 1, e_));
    assert_ok(eq_predictor_run(&followed, clips.pixels, &before, e_));
    for (int i = 0; i < net->n_params; i++) {
        float *v = eq_param_data(&net->params[i]);
        for (size_t k = 0; k < eq_param_count(&net->params[i]); k++)
            v[k] *= 1.0f + 0.125f * (float)((k + (size_t)i) % 3);
    }
    assert_ok(eq_predictor_follow(&followed, net, e_));
    assert_ok(eq_predictor_from_graph(&fresh, net, EQ_PRECISION_FP32, 1, e_));
    for (int k = 0; k < PHASES; k++) {
        const uint8_t *pixels = clips.pixels + (size_t)k * clip_bytes();
        assert_ok(eq_predictor_run(&followed, pixels, &ef, e_));
        assert_ok(eq_predictor_run(&fresh, pixels, &wanted, e_));
        assert_memory_equal(&ef, &wanted, sizeof ef);
        assert_true(k > 0 || ef != before);
    }
    eq_predictor_close(&followed);
    eq_predictor_close(&fresh);
    eq_graph_free(net);
    free(clips.pixels);
}

/* Whole clips, whatever their phases; few of large ones. */
static void how_many_are_worth_it(void **state)
{
    (void)state;
    struct eq_model_meta meta = {.frames = 16, .size = 112};
    int most = eq_predictor_batch(&meta, 1);
    assert_true(most > 1);
    for (int phases = 1; phases < 20; phases++) {
        int clips = eq_predictor_batch(&meta, phases);
        assert_true(clips % phases == 0 && clips > 0 && (clips <= most || clips == phases));
    }
    meta.size = 512;
    assert_int_equal(eq_predictor_batch(&meta, 1), 1);
    assert_int_equal(eq_predictor_batch(&meta, 0), 1);
}

/* One phase that is no number spoils the mean, and is told. */
static void a_mean_that_is_no_number(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, PHASES);
    struct eq_predictor p;
    float ef;
    eq_param_data(&net->params[eq_graph_find_param(net, "fc.bias")])[0] = NAN;
    assert_ok(eq_predictor_from_graph(&p, net, EQ_PRECISION_FP32, 1, e_));
    struct eq_err err;
    assert_int_equal(eq_predictor_mean(&p, clips.pixels, PHASES, &ef, &err), EQ_NUMERIC);
    assert_non_null(strstr(err.msg, "not a finite number"));
    eq_predictor_close(&p);
    eq_graph_free(net);
    free(clips.pixels);
}

static int start_threads(void **state)
{
    struct eq_err err;
    (void)state;
    return eq_parallel_init(2, &err) == EQ_OK ? 0 : -1;
}

static int stop_threads(void **state)
{
    (void)state;
    eq_parallel_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_is_over_single_runs),
        cmocka_unit_test(clips_at_once_have_the_bits_of_clips_alone),
        cmocka_unit_test(following_a_graph),
        cmocka_unit_test(how_many_are_worth_it),
        cmocka_unit_test(a_mean_that_is_no_number),
    };
    return cmocka_run_group_tests(tests, start_threads, stop_threads);
}
