/* Metrics by hand, order statistics of latencies, and the predictions file with its malformed twins. */
#include "unit/cmocka_all.h"
#include "echoquant/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_metrics_by_hand(void **state)
{
    (void)state;
    const double target[] = {50, 60, 70, 40}, pred[] = {52, 60, 66, 41};
    struct eq_metrics m = eq_metrics_compute(pred, target, 4);
    assert_float_equal(m.mae, 7.0 / 4, 1e-12);
    assert_float_equal(m.rmse, sqrt(21.0 / 4), 1e-12);
    assert_float_equal(m.r2, 1 - 21.0 / 500, 1e-12); /* the mean is 55, so the total is 25 + 25 + 225 + 225 */
    assert_int_equal(m.clips, 4);
}

static void test_metrics_of_constant_targets_have_no_r2(void **state)
{
    (void)state;
    const double target[] = {50, 50}, pred[] = {49, 52};
    struct eq_metrics m = eq_metrics_compute(pred, target, 2);
    assert_float_equal(m.mae, 1.5, 1e-12);
    assert_true(isnan(m.r2));
    assert_true(isnan(eq_metrics_compute(pred, target, 0).mae));
}

static void test_median(void **state)
{
    (void)state;
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2};
    assert_float_equal(eq_median_of(odd, 3), 2, 0);
    assert_float_equal(eq_median_of(even, 4), 2.5, 0);
    assert_true(isnan(eq_median_of(odd, 0)));
}

/* The ranks of the table in David and Nagaraja: 1 and 6 of 6, 2 and 9 of 10, 10 and 21 of 30, 40 and 61 of 100. */
static void test_median_interval(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        double low, high;
    } cases[] = {{6, 1, 6}, {9, 2, 8}, {10, 2, 9}, {30, 10, 21}, {100, 40, 61}};
    double v[100], low, high;
    for (int i = 0; i < 100; i++)
        v[i] = i + 1;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        eq_median_interval(v, cases[c].n, &low, &high);
        assert_float_equal(low, cases[c].low, 0);
        assert_float_equal(high, cases[c].high, 0);
    }
    for (size_t n = 0; n < 6; n++) {
        eq_median_interval(v, n, &low, &high);
        assert_true(isnan(low) && isnan(high));
    }
}

static void test_latency_order_statistics(void **state)
{
    (void)state;
    double ms[100];
    for (int i = 0; i < 100; i++)
        ms[i] = 100 - i; /* 1..100, descending */
    struct eq_latency l = eq_latency_of(ms, 100);
    assert_float_equal(l.min, 1, 0);
    assert_float_equal(l.median, 50.5, 0);
    assert_float_equal(l.p90, 90, 0);
    assert_float_equal(l.p95, 95, 0);
    assert_float_equal(l.p99, 99, 0);
    assert_float_equal(l.low, 40, 0);
    assert_float_equal(l.high, 61, 0);
    double one[] = {7};
    l = eq_latency_of(one, 1);
    assert_float_equal(l.p95, 7, 0);
    for (int i = 0; i < 99; i++)
        ms[i] = i;
    l = eq_latency_of(ms, 99);
    assert_true(l.p99 == 98 && l.p90 == 89 && l.p95 == 94); /* of fewer than 100 calls the slowest */
    l = eq_latency_of(ms, 0);
    assert_true(isnan(l.min) && isnan(l.p90) && isnan(l.p99) && isnan(l.waited) && l.repeats == 0);
}

static char *temp_path(void)
{
    char *path = strdup("/tmp/echoquant_predictions_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

static void round_trip(const uint32_t patients[2], const int frames[2], const double fps[2])
{
    char *path = temp_path();
    char plain[] = "plain", quoted[] = "with,comma \"and quote\"";
    struct eq_prediction rows[] = {
        {plain, EQ_SPLIT_TEST, 55.25, (double)54.1234589f, patients[0], frames[0], fps[0]},
        {quoted, EQ_SPLIT_VAL, 0, -1e-3, patients[1], frames[1], fps[1]},
    };
    struct eq_evaluation out = {.rows = rows, .n = 2}, in;
    struct eq_err err;
    assert_int_equal(eq_predictions_write(path, &out, &err), EQ_OK);
    assert_int_equal(eq_predictions_read(path, &in, &err), EQ_OK);
    assert_int_equal(in.n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(in.rows[i].file_name, rows[i].file_name);
        assert_int_equal(in.rows[i].split, rows[i].split);
        assert_int_equal(in.rows[i].patient, patients[i]);
        assert_int_equal(in.rows[i].frames, frames[i]);
        assert_true(in.rows[i].fps == fps[i]);
        assert_true((float)in.rows[i].prediction == (float)rows[i].prediction);
    }
    eq_evaluation_clear(&in);
    unlink(path);
    free(path);
}

static void test_predictions_round_trip(void **state)
{
    (void)state;
    static const uint32_t patients[][2] = {{0, 0}, {7, 0}, {7, UINT32_MAX}};
    static const int frames[][2] = {{0, 0}, {0, 120}, {1, INT32_MAX}};
    static const double fps[][2] = {{0, 0}, {50, 0}, {29.97002997002997, 1e-3}};
    for (int i = 0; i < 27; i++)
        round_trip(patients[i % 3], frames[i / 3 % 3], fps[i / 9]);
}

static void expect_refused(const char *text, const char *message)
{
    char *path = temp_path();
    struct eq_evaluation in;
    struct eq_err err;
    assert_int_equal(eq_write_file(path, text, strlen(text), &err), EQ_OK);
    assert_int_equal(eq_predictions_read(path, &in, &err), EQ_FORMAT);
    if (!strstr(err.msg, message))
        fail_msg("expected \"%s\" in \"%s\"", message, err.msg);
    unlink(path);
    free(path);
}

static void test_malformed_predictions_are_refused(void **state)
{
    (void)state;
    expect_refused("Name,EF\n", ":1: the header");
    expect_refused("FileName,Split,EF,Prediction\na,TEST,5\n", ":2: a row has 3 columns instead of 4");
    expect_refused("FileName,Split,EF,Prediction\na,TEST,5,6\nb,TEST,x,6\n", ":3: not a number");
    expect_refused("FileName,Split,EF,Prediction\na,OTHER,5,6\n", ":2: unknown split");
    expect_refused("FileName,Split,EF,Prediction\na,TEST,5,6,1\n", ":2: a row has 5 columns instead of 4");
    expect_refused("FileName,Split,EF,Prediction,Patient\na,TEST,5,6\n", ":2: a row has 4 columns instead of 5");
    expect_refused("FileName,Split,EF,Prediction,Patient\na,TEST,5,6,-1\n", ":2: the patient is not a number");
    expect_refused("FileName,Split,EF,Prediction,Frames,FPS\na,TEST,5,6,9\n", ":2: a row has 5 columns instead of 6");
    expect_refused("FileName,Split,EF,Prediction,Frames,FPS\na,TEST,5,6,0,50\n", ":2: the number of frames");
    expect_refused("FileName,Split,EF,Prediction,Frames,FPS\na,TEST,5,6,1.5,50\n", ":2: the number of frames");
    expect_refused("FileName,Split,EF,Prediction,Frames,FPS\na,TEST,5,6,9,-1\n", ":2: the frame rate");
    expect_refused("FileName,Split,EF,Prediction,Patient,Frames,FPS\na,TEST,5,6,1,9,x\n", ":2: the frame rate");
}

/* Names that only one side has, names that stand twice, and another order: the first row of a name is its partner. */
static void test_pairs_by_name(void **state)
{
    (void)state;
    char names[6][2] = {"a", "b", "c", "d", "e", ""};
    struct eq_prediction left[] = {{.file_name = names[3]}, {.file_name = names[1]}, {.file_name = names[5]},
                                   {.file_name = names[1]}, {.file_name = names[0]}, {.file_name = names[4]}};
    struct eq_prediction right[] = {{.file_name = names[1]}, {.file_name = names[2]}, {.file_name = names[3]},
                                    {.file_name = names[1]}, {.file_name = names[0]}, {.file_name = names[1]},
                                    {.file_name = names[3]}};
    static const int want[] = {2, 0, -1, 0, 4, -1}, back[] = {1, -1, 0, 1, 4, 1, 0};
    const struct eq_evaluation a = {.rows = left, .n = 6}, b = {.rows = right, .n = 7}, none = {0};
    const struct eq_prediction **partners;
    assert_int_equal(eq_evaluation_pair(&a, &b, &partners, NULL), EQ_OK);
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(partners[i], want[i] < 0 ? NULL : &right[want[i]]);
    eq_free(partners);
    assert_int_equal(eq_evaluation_pair(&b, &a, &partners, NULL), EQ_OK);
    for (int i = 0; i < 7; i++)
        assert_ptr_equal(partners[i], back[i] < 0 ? NULL : &left[back[i]]);
    eq_free(partners);
    assert_int_equal(eq_evaluation_pair(&a, &none, &partners, NULL), EQ_OK);
    for (int i = 0; i < 6; i++)
        assert_null(partners[i]);
    eq_free(partners);
    assert_int_equal(eq_evaluation_pair(&none, &a, &partners, NULL), EQ_OK);
    eq_free(partners);
}

/* As long a list as a large data set's: comparing each row with each would take minutes here. */
static void test_pairs_many(void **state)
{
    (void)state;
    enum { N = 200000 };
    char(*names)[8] = malloc(N * sizeof *names);
    struct eq_prediction *rows = calloc(2 * N, sizeof *rows);
    const struct eq_prediction **partners;
    assert_true(names && rows);
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof *names, "%06zu", i);
        rows[i].file_name = names[i];
        rows[N + (i * 77773) % N].file_name = names[i]; /* 77773 and N have no common factor */
    }
    const struct eq_evaluation a = {.rows = rows, .n = N}, b = {.rows = rows + N, .n = N};
    assert_int_equal(eq_evaluation_pair(&a, &b, &partners, NULL), EQ_OK);
    for (size_t i = 0; i < N; i++)
        assert_ptr_equal(partners[i], &rows[N + (i * 77773) % N]);
    eq_free(partners);
    free(rows);
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_by_hand),
        cmocka_unit_test(test_metrics_of_constant_targets_have_no_r2),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_median_interval),
        cmocka_unit_test(test_latency_order_statistics),
        cmocka_unit_test(test_predictions_round_trip),
        cmocka_unit_test(test_malformed_predictions_are_refused),
        cmocka_unit_test(test_pairs_by_name),
        cmocka_unit_test(test_pairs_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
