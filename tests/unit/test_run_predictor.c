/* The mean over phases against single runs of each, for FP32 and INT8. */
#include "unit/quant_resnet.h"

#include "echoquant/run.h"

enum { PHASES = 3 };

/* Checks one predictor, and closes it. pixels: PHASES clips. */
static void check_mean(struct eq_predictor *p, const uint8_t *pixels)
{
    size_t clip = (size_t)small.frames * small.size * small.size * 3;
    float one[PHASES], ef;
    double sum = 0;
    for (int k = 0; k < PHASES; k++) {
        assert_ok(eq_predictor_run(p, pixels + (size_t)k * clip, &one[k], e_));
        sum += (double)one[k];
        assert_ok(eq_predictor_mean(p, pixels + (size_t)k * clip, 1, &ef, e_));
        assert_memory_equal(&ef, &one[k], sizeof ef);
    }
    assert_true(one[0] != one[1] && one[1] != one[2]);
    assert_ok(eq_predictor_mean(p, pixels, PHASES, &ef, e_));
    assert_true(ef == (float)(sum / PHASES));
    eq_predictor_close(p);
}

static void the_mean_is_over_single_runs(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, PHASES), *folded = fold_and_fuse(net);
    struct eq_predictor p;
    struct eq_qmodel *m;
    assert_ok(eq_predictor_from_graph(&p, net, 1, e_));
    check_mean(&p, clips.pixels);
    calibrate(folded, 8, &clips);
    assert_ok(eq_lower_int8(folded, "ptq", &m, e_));
    assert_ok(eq_predictor_from_qmodel(&p, m, 1, e_));
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
    assert_ok(eq_predictor_from_graph(&p, net, 1, e_));
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
