/* FP32 and INT8 behind one table: what they say of themselves, and the mean over phases against single runs of each. */
#include "unit/quant_resnet.h"

#include "echoquant/run.h"

enum { PHASES = 3 };

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
    size_t clip = (size_t)small.frames * small.size * small.size * 3;
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
        cmocka_unit_test(a_mean_that_is_no_number),
    };
    return cmocka_run_group_tests(tests, start_threads, stop_threads);
}
