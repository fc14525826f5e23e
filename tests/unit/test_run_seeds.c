/* train.seeds: Student's t, spreads, results.json over several seeds, settings of a seed, the lock on a run directory.
 */
#include "report/report.h"
#include "unit/scratch_dir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void t_quantiles_of_the_tables(void **state)
{
    /* Abramowitz & Stegun, table 26.10, and the closed forms of 1 and 2 degrees of freedom. */
    static const struct {
        double p, df, t;
    } table[] = {{0.975, 3, 3.182},     {0.975, 4, 2.776},  {0.975, 5, 2.571},  {0.975, 9, 2.262},   {0.975, 10, 2.228},
                 {0.975, 20, 2.086},    {0.975, 30, 2.042}, {0.975, 60, 2.000}, {0.975, 120, 1.980}, {0.95, 5, 2.015},
                 {0.95, 10, 1.812},     {0.995, 10, 3.169}, {0.995, 30, 2.750}, {0.9995, 4, 8.610},  {0.9, 7, 1.415},
                 {0.975, 1e9, 1.95996}, {0.75, 15, 0.691}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_true(fabs(eq_student_t_quantile(table[i].p, table[i].df) - table[i].t) <= 5.1e-4);
        assert_true(fabs(eq_student_t_quantile(1 - table[i].p, table[i].df) + table[i].t) <= 5.1e-4);
    }
    for (double p = 0.51; p < 1; p += 0.035) {
        double cauchy = tan(acos(-1) * (p - 0.5)), two = (2 * p - 1) / sqrt(2 * p * (1 - p));
        assert_true(fabs(eq_student_t_quantile(p, 1) - cauchy) <= 1e-12 * (1 + cauchy));
        assert_true(fabs(eq_student_t_quantile(p, 2) - two) <= 1e-12 * (1 + two));
    }
    assert_true(fabs(eq_student_t_quantile(0.5, 4)) < 1e-9);
    for (double df = 1; df < 200; df++)
        assert_true(eq_student_t_quantile(0.975, df) > eq_student_t_quantile(0.975, df + 1));
}

static void spreads(void **state)
{
    static const double v[] = {1, 2, 4};
    (void)state;
    struct eq_spread s = eq_spread_of(v, 3);
    double half = 4.302652729911275 * sqrt(7.0 / 3) / sqrt(3);
    assert_true(fabs(s.mean - 7.0 / 3) < 1e-12 && fabs(s.sd - sqrt(7.0 / 3)) < 1e-12);
    assert_true(fabs(s.low - (s.mean - half)) < 1e-9 && fabs(s.high - (s.mean + half)) < 1e-9);
    assert_true(s.min == 1 && s.max == 4 && s.n == 3);
    s = eq_spread_of(v + 1, 1);
    assert_true(s.mean == 2 && isnan(s.sd) && isnan(s.low) && isnan(s.high));
    assert_true(isnan(eq_spread_of(v, 0).mean));
}

static void write_results(int seed, const char *rows)
{
    struct eq_err err;
    struct eq_str text = {0};
    char *folder = eq_seed_dir(dir, seed), *path = eq_path_join(folder, "results.json");
    eq_str_add(&text,
               "{\"format\": \"echoquant-results-1\", \"models\": [%s], \"skipped\": [], \"data\": {\"test\": 6}}",
               rows);
    assert_int_equal(eq_make_dirs(folder, &err), EQ_OK);
    assert_int_equal(eq_write_file(path, text.s, text.len, &err), EQ_OK);
    eq_str_clear(&text);
    free(folder);
    free(path);
}

#define ROW(name, mae, ms)                                                                                             \
    "{\"model\": \"" name "\", \"precision\": \"X\", \"file\": \"f\", \"mae\": " mae ", \"rmse\": 9, \"r2\": null, "   \
    "\"clips\": 6, \"latency_ms\": {\"median\": " ms "}}"

static const struct eq_result_difference *difference(const struct eq_results *r, const char *model, const char *minus)
{
    for (size_t i = 0; i < r->n_differences; i++)
        if (strcmp(r->differences[i].model, model) == 0 && strcmp(r->differences[i].minus, minus) == 0)
            return &r->differences[i];
    return NULL;
}

static void results_over_seeds(void **state)
{
    struct eq_err err;
    struct eq_results r;
    (void)state;
    assert_int_equal(eq_seeds_collect(dir, 4, 3, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "4 to 6"));
    write_results(4, ROW("FP32", "5", "10") "," ROW("PTQ", "5.5", "4") "," ROW("QAT", "5", "4") "," ROW(
                         "FP32+", "4", "10") "," ROW("Median", "9", "0"));
    write_results(6, ROW("FP32", "7", "20") "," ROW("PTQ", "7.1", "6") "," ROW("odd", "3", "1"));
    write_results(7, ROW("FP32", "100", "100")); /* not one of the three */
    assert_int_equal(eq_seeds_collect(dir, 4, 3, &err), EQ_OK);
    assert_int_equal(eq_results_read(dir, &r, &err), EQ_OK);
    const struct eq_result *fp32 = eq_results_find(&r, "FP32"), *qat = eq_results_find(&r, "QAT");
    const struct eq_result *odd = eq_results_find(&r, "odd"), *ptq = eq_results_find(&r, "PTQ");
    assert_true(fp32 && qat && odd && ptq && r.n_seeds == 2 && r.seeds_wanted == 3 && r.data.test == 6);
    assert_true(r.seeds[1].seed == 6 && strcmp(r.seeds[1].dir, "seed-6") == 0 && r.n_skipped == 0);
    assert_true(fp32->mae == 6 && fp32->latency.median == 15);
    assert_true(fabs(fp32->over_seeds.mae.of.sd - sqrt(2)) < 1e-12);
    assert_true(fp32->over_seeds.mae.of.min == 5 && fp32->over_seeds.mae.of.max == 7);
    assert_true(fp32->over_seeds.n == 2 && qat->over_seeds.n == 1);
    assert_true(isnan(fp32->r2) && isnan(qat->over_seeds.mae.of.sd));
    assert_true(odd->mae == 3 && fp32->clips == 6 && strcmp(ptq->file, "") == 0);
    const struct eq_result_difference *d = difference(&r, "PTQ", "FP32"), *plus = difference(&r, "QAT", "FP32+");
    assert_non_null(d);
    assert_true(fabs(d->mae.of.mean - 0.3) < 1e-12 && d->n == 2);
    double half = 12.706204736174698 * (0.4 / sqrt(2)) / sqrt(2);
    assert_true(fabs(d->mae.of.low - (0.3 - half)) < 1e-9);
    assert_true(fabs(d->mae.of.high - (0.3 + half)) < 1e-9);
    assert_non_null(plus);
    assert_true(plus->mae.of.mean == 1 && isnan(plus->mae.of.low));
    assert_non_null(difference(&r, "QAT", "FP32"));
    assert_non_null(difference(&r, "odd", "FP32"));
    assert_null(difference(&r, "Median", "FP32"));
    assert_null(difference(&r, "FP32", "FP32"));
    eq_results_clear(&r);
    struct eq_str table = {0};
    assert_int_equal(eq_run_table(dir, 0, &table, &err), EQ_OK);
    assert_non_null(strstr(table.s, "Over 2 seeds (4, 6), 1 of 3 not yet run"));
    assert_non_null(strstr(table.s, "PTQ - FP32"));
    assert_non_null(strstr(table.s, "| +0.300 | 0.283 | -2.241 to +2.841 | +0.100 | +0.500 |"));
    eq_str_clear(&table);
}

/* Keys that no struct knows: numbers are averaged wherever they stand, the rest is of the first seed. */
/* The mean of the baselines against that of the medians. */
static void baselines_that_have_not_learned_are_told(void **state)
{
    struct eq_err err;
    (void)state;
    for (int worse = 0; worse < 2; worse++) {
        write_results(4, worse ? ROW("FP32", "11", "10") "," ROW("Median", "9", "0")
                               : ROW("FP32", "8", "10") "," ROW("Median", "9", "0"));
        write_results(5, ROW("FP32", "9.5", "10") "," ROW("Median", "9", "0"));
        assert_int_equal(eq_seeds_collect(dir, 4, 2, &err), EQ_OK);
        assert_int_equal(eq_run_report(dir, &err), EQ_OK);
        char *path = eq_path_join(dir, "report.md");
        void *text;
        size_t len;
        assert_int_equal(eq_read_file(path, 1 << 20, &text, &len, &err), EQ_OK);
        const char *told = strstr(text, "The baseline has not learned");
        assert_int_equal(told != NULL, worse);
        assert_true(!told || (strstr(told, "MAE of 10.25") && told < strstr(text, "| Model")));
        eq_free(text);
        free(path);
    }
}

static void keys_of_later_versions_are_kept_over_seeds(void **state)
{
    struct eq_err err;
    void *text;
    size_t len;
    char *path = eq_path_join(dir, "results.json");
    (void)state;
    write_results(4, "{\"model\": \"FP32\", \"joule\": 2, \"mae\": 5, \"new\": {\"x\": 1, \"y\": \"a\"}}");
    write_results(5, "{\"model\": \"FP32\", \"joule\": 4, \"mae\": 5, \"new\": {\"x\": 2, \"y\": \"b\"}}");
    assert_int_equal(eq_seeds_collect(dir, 4, 2, &err), EQ_OK);
    assert_int_equal(eq_read_file(path, 1 << 20, &text, &len, &err), EQ_OK);
    assert_non_null(strstr(text, "\"joule\": 3,"));
    assert_non_null(strstr(text, "\"new\": {\"x\": 1.5, \"y\": \"a\"}"));
    eq_free(text);
    free(path);
}

/* Percentiles are averaged; the calls of one seed are not those of the mean. */
static void samples_of_one_seed_are_left_out(void **state)
{
    struct eq_err err;
    struct eq_results r;
    (void)state;
    write_results(4, "{\"model\": \"FP32\", \"mae\": 5, \"latency_ms\": {\"p99\": 2, \"samples\": [1, 2]}, "
                     "\"start_ms\": {\"load\": 30}, \"memory_bytes\": {\"peak\": 100}, \"devices\": {\"cuda:0\": {"
                     "\"gpu\": true, \"latency_ms\": {\"median\": 1, \"samples\": [1]}}}}");
    write_results(5, "{\"model\": \"FP32\", \"mae\": 5, \"latency_ms\": {\"p99\": 4, \"samples\": [3, 4]}, "
                     "\"start_ms\": {\"load\": 50}, \"memory_bytes\": {\"peak\": 300}, \"devices\": {\"cuda:0\": {"
                     "\"gpu\": true, \"latency_ms\": {\"median\": 2, \"samples\": [2]}}}}");
    assert_int_equal(eq_seeds_collect(dir, 4, 2, &err), EQ_OK);
    assert_int_equal(eq_results_read(dir, &r, &err), EQ_OK);
    const struct eq_result *row = eq_results_find(&r, "FP32");
    assert_true(row->latency.p99 == 3 && !row->latency.samples && row->start.load == 40 && row->memory.peak == 200);
    struct eq_result_device gpu;
    assert_true(eq_result_gpu(row, &gpu) && gpu.latency.median == 1.5 && !gpu.latency.samples);
    eq_results_clear(&r);
}

static void collected_only_while_equal(void **state)
{
    struct eq_err err;
    struct eq_config cfg = {.train = {.seeds = 2}, .run = {.dir = dir, .seed = 4}};
    (void)state;
    assert_false(eq_seeds_are_collected(&cfg));
    write_results(4, ROW("FP32", "5", "10"));
    write_results(5, ROW("FP32", "6", "10"));
    assert_int_equal(eq_seeds_collect(dir, 4, 2, &err), EQ_OK);
    assert_true(eq_seeds_are_collected(&cfg));
    write_results(5, ROW("FP32", "6.5", "10"));
    assert_false(eq_seeds_are_collected(&cfg));
    cfg.train.seeds = 3;
    assert_int_equal(eq_seeds_collect(dir, 4, 2, &err), EQ_OK);
    assert_false(eq_seeds_are_collected(&cfg));
}

static void settings_of_a_seed(void **state)
{
    struct eq_err err;
    struct eq_settings s, one;
    (void)state;
    assert_int_equal(eq_settings_init(&s, &err), EQ_OK);
    assert_int_equal(eq_settings_set(&s, "train.seeds", "3", "test", &err), EQ_OK);
    assert_int_equal(eq_settings_set(&s, "run.seed", "40", "test", &err), EQ_OK);
    assert_int_equal(eq_settings_set(&s, "train.lr", "0.1", "test", &err), EQ_OK);
    assert_int_equal(eq_settings_of_seed(&one, &s, 2, &err), EQ_OK);
    assert_int_equal(one.config.run.seed, 42);
    assert_int_equal(one.config.train.seeds, 1);
    assert_true(one.config.train.lr == 0.1);
    assert_string_equal(one.config.run.dir, "runs/default/seed-42");
    eq_settings_clear(&one);
    assert_int_equal(eq_settings_set(&s, "run.seed", "2147483646", "test", &err), EQ_OK);
    assert_int_equal(eq_settings_check(&s, &err), EQ_USAGE);
    assert_int_equal(eq_settings_set(&s, "run.seed", "2147483645", "test", &err), EQ_OK);
    assert_int_equal(eq_settings_check(&s, &err), EQ_OK);
    eq_settings_clear(&s);
}

/* In another process: 0 got it, 1 in use by us. */
static int lock_elsewhere(const char *run_dir)
{
    int status = 0;
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        struct eq_err err = {0};
        struct eq_run_lock lock = {0};
        char who[40];
        snprintf(who, sizeof who, "in use by process %ld", (long)parent);
        enum eq_status st = eq_run_lock(&lock, run_dir, &err);
        eq_run_unlock(&lock);
        _exit(st == EQ_OK ? 0 : st == EQ_IO && strstr(err.msg, who) ? 1 : 2);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void one_process_at_a_time(void **state)
{
    struct eq_err err;
    struct eq_run_lock lock = {0};
    char *run = eq_path_join(dir, "a/b"), *file = eq_path_join(run, "lock"), *other = eq_path_join(run, "x");
    (void)state;
    assert_int_equal(eq_run_lock(&lock, run, &err), EQ_OK);
    assert_int_equal(lock_elsewhere(run), 1);
    assert_true(eq_path_may_exist(file));
    assert_int_equal(lock_elsewhere(dir), 0);
    eq_run_unlock(&lock);
    assert_false(eq_path_may_exist(run)); /* nothing came into it */
    assert_int_equal(eq_run_lock(&lock, run, &err), EQ_OK);
    assert_int_equal(eq_write_file(other, "x", 1, &err), EQ_OK);
    eq_run_unlock(&lock);
    eq_run_unlock(&lock);
    assert_true(eq_path_may_exist(other) && !eq_path_may_exist(file));
    assert_int_equal(eq_write_file(file, "", 0, &err), EQ_OK); /* what a process that was killed leaves */
    assert_int_equal(lock_elsewhere(run), 0);
    /* The first command was killed while it wrote config.json; what else is there may be the user's. */
    char *half = eq_path_join(run, "config.json.tmp-999999-0"), *theirs = eq_path_join(run, "x.tmp-999999-0");
    assert_int_equal(eq_write_file(half, "", 0, &err), EQ_OK);
    assert_int_equal(eq_write_file(theirs, "", 0, &err), EQ_OK);
    assert_int_equal(lock_elsewhere(run), 0);
    assert_false(eq_path_may_exist(half));
    assert_true(eq_path_may_exist(theirs));
    free(half);
    free(theirs);
    free(run);
    free(file);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_quantiles_of_the_tables),
        cmocka_unit_test(spreads),
        cmocka_unit_test_setup_teardown(results_over_seeds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(baselines_that_have_not_learned_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_of_later_versions_are_kept_over_seeds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(samples_of_one_seed_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(collected_only_while_equal, set_up, tear_down),
        cmocka_unit_test(settings_of_a_seed),
        cmocka_unit_test_setup_teardown(one_process_at_a_time, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
