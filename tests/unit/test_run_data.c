/* What a run makes of its data after they were opened: a clip that changes under its feet stops it, and a
 * digest tells one data set from another. */
#include "echoquant/run.h"
#include "unit/trainer_fixture.h"

#include "unit/cmocka_all.h"

#include <math.h>

enum { CLIPS = TRAIN_CLIPS + 2 * VAL_CLIPS };

static struct eq_settings settings;

static void set(const char *key, const char *value)
{
    assert_ok(eq_settings_set(&settings, key, value, "--set", &err));
}

static char *clip_path(int i)
{
    struct eq_str path = {0};
    eq_str_add(&path, "%s/clip%02d.avi", tiny_dir, i);
    return path.s;
}

static void put_clip(int i)
{
    struct test_avi a = {
        .width = TINY_SIZE, .height = TINY_SIZE, .frames = 4 + i, .texture = true, .first_level = 20 + 12 * i};
    char *path = clip_path(i);
    test_avi_write(path, &a);
    free(path);
}

static void break_clip(int i)
{
    char *path = clip_path(i);
    assert_int_equal(truncate(path, 100), 0);
    free(path);
}

/* A fresh data set of 8 training, 3 validation and 3 test clips, and settings that train on it in a moment. */
static int make(void **state)
{
    static const char *const values[][2] = {
        {"data.on_error", "skip"},  {"data.frames", "2"},         {"data.size", "32"},   {"model.width", "8"},
        {"train.epochs", "2"},      {"train.batch", "2"},         {"train.shift", "1"},  {"qat.epochs", "1"},
        {"qat.batch", "2"},         {"ptq.clips", "4"},           {"bench.warmup", "0"}, {"bench.repeats", "1"},
        {"sensitivity.clips", "3"}, {"sensitivity.split", "test"}};
    struct eq_str list = {0};
    (void)state;
    tiny_dir = test_dir_new();
    eq_str_add(&list, "FileName,EF,Split\n");
    for (int i = 0; i < CLIPS; i++) {
        put_clip(i);
        eq_str_add(&list, "clip%02d,%d,%s\n", i, 20 + 4 * i,
                   i < TRAIN_CLIPS               ? "TRAIN"
                   : i < TRAIN_CLIPS + VAL_CLIPS ? "VAL"
                                                 : "TEST");
    }
    char *path = eq_path_join(tiny_dir, "FileList.csv"), *run = eq_path_join(tiny_dir, "run");
    test_write(path, list.s, list.len);
    assert_ok(eq_settings_init(&settings, &err));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        set(values[i][0], values[i][1]);
    set("data.dir", tiny_dir);
    set("run.dir", run);
    eq_str_clear(&list);
    free(path);
    free(run);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    eq_settings_clear(&settings);
    test_dir_free(tiny_dir);
    return 0;
}

static char *in_run(const char *name)
{
    return eq_path_join(settings.config.run.dir, name);
}

static bool is_there(const char *name)
{
    char *path = in_run(name);
    bool there = eq_path_may_exist(path);
    free(path);
    return there;
}

/* expr fails because of clip i, and says so. */
#define assert_stopped_at(i, expr)                                                                                     \
    do {                                                                                                               \
        struct eq_err err;                                                                                             \
        char clip[16];                                                                                                 \
        snprintf(clip, sizeof clip, "clip%02d.avi", i);                                                                \
        assert_int_equal(expr, EQ_FORMAT);                                                                             \
        if (!strstr(err.msg, clip))                                                                                    \
            fail_msg("no \"%s\" in \"%s\"", clip, err.msg);                                                            \
    } while (0)

static enum eq_status run_ptq(const struct eq_config *cfg, const struct eq_dataset *ds)
{
    struct eq_ptq_inputs in;
    enum eq_status st = eq_ptq_open(cfg, ds, NULL, &in, NULL);
    if (st == EQ_OK)
        st = eq_run_ptq(&cfg->ptq, &in, NULL);
    eq_ptq_close(&in);
    return st;
}

static enum eq_status run_sensitivity(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    struct eq_ptq_inputs in;
    enum eq_status st = eq_sensitivity_open(cfg, ds, NULL, &in, err);
    if (st == EQ_OK)
        st = eq_run_sensitivity(&cfg->ptq, &in, NULL, 0, err);
    eq_ptq_close(&in);
    return st;
}

static void a_clip_that_breaks_after_the_check_stops_every_phase(void **state)
{
    const struct eq_config *cfg = &settings.config;
    struct eq_dataset ds;
    (void)state;
    break_clip(2); /* bad from the start: left out, and no reason to stop */
    assert_ok(eq_run_open_data(cfg, &ds, &err));
    assert_int_equal(ds.n_skipped, 1);
    assert_string_equal(ds.skipped[0].file_name, "clip02");

    break_clip(5); /* read first by the statistics of the training split */
    assert_stopped_at(5, eq_run_train(cfg, &ds, &err));
    assert_false(is_there("fp32.safetensors"));
    put_clip(5);
    break_clip(9); /* read first by the validation at the end of an epoch */
    assert_stopped_at(9, eq_run_train(cfg, &ds, &err));
    assert_false(is_there("fp32.safetensors"));
    put_clip(9);
    assert_ok(eq_run_train(cfg, &ds, &err));

    for (int i = 0; i < TRAIN_CLIPS; i++) /* calibration reads half of them */
        if (i != 2)
            break_clip(i);
    assert_int_equal(run_ptq(cfg, &ds), EQ_FORMAT);
    assert_int_equal(eq_run_qat(cfg, &ds, NULL, NULL), EQ_FORMAT);
    assert_int_equal(eq_run_control(cfg, &ds, NULL, NULL), EQ_FORMAT);
    assert_false(is_there("ptq.safetensors") || is_there("qat.safetensors") || is_there("fp32_plus.safetensors"));
    for (int i = 0; i < TRAIN_CLIPS; i++)
        if (i != 2)
            put_clip(i);

    break_clip(12); /* a test clip */
    assert_stopped_at(12, eq_run_eval(cfg, &ds, "fp32", NULL, NULL, &err));
    assert_stopped_at(12, run_sensitivity(cfg, &ds, &err));
    struct eq_results results; /* hold the margin already */
    assert_ok(eq_results_read(cfg->run.dir, &results, &err));
    assert_int_equal(results.n, 0);
    eq_results_clear(&results);
    assert_false(is_there("predictions/fp32.csv") || is_there("sensitivity.json"));
    put_clip(12);
    assert_ok(eq_run_eval(cfg, &ds, "fp32", NULL, NULL, &err));
    eq_dataset_clear(&ds);
}

/* One clip in training and one in test are cut off: used, and listed wherever the run tells of its data. */
static void damaged_clips_are_used_and_listed(void **state)
{
    struct eq_dataset ds;
    struct eq_results r;
    (void)state;
    for (int i = 3; i <= 12; i += 9) {
        char *path = clip_path(i);
        size_t len;
        uint8_t *bytes = test_read(path, &len);
        test_write(path, bytes, len * 6 / 7);
        eq_free(bytes);
        free(path);
    }
    assert_ok(eq_run_open_data(&settings.config, &ds, &err)); /* skip */
    assert_true(ds.n_skipped == 2 && ds.n_damaged == 0 && ds.n == CLIPS - 2);
    assert_non_null(strstr(ds.skipped[0].reason, "the clip is damaged: the file is cut off"));
    eq_dataset_clear(&ds);
    set("data.on_error", "use");
    break_clip(5);
    assert_ok(eq_run_open_data(&settings.config, &ds, &err));
    assert_true(ds.n_skipped == 1 && ds.n_damaged == 2 && ds.n == CLIPS - 1);
    assert_string_equal(ds.damaged[1].file_name, "clip12");
    assert_ok(eq_run_train(&settings.config, &ds, &err));
    assert_ok(eq_run_eval(&settings.config, &ds, "fp32", NULL, NULL, &err));
    assert_ok(eq_run_record_context(&settings.config, &ds, NULL, &err));
    assert_ok(eq_results_read(settings.config.run.dir, &r, &err));
    assert_true(r.n_damaged == 2 && r.data.damaged == 2 && r.n_skipped == 1);
    assert_string_equal(r.damaged[0].file_name, "clip03");
    assert_non_null(strstr(r.damaged[0].reason, "the file is cut off"));
    eq_results_clear(&r);
    eq_dataset_clear(&ds);
    set("data.on_error", "fail");
    put_clip(5);
    assert_stopped_at(3, eq_run_open_data(&settings.config, &ds, &err));
    put_clip(3);
    assert_stopped_at(12, eq_run_open_data(&settings.config, &ds, &err)); /* a test clip */
}

static void a_run_that_was_stopped_so_ends_with_the_bits_of_an_undisturbed_one(void **state)
{
    struct eq_dataset ds;
    size_t len[2];
    uint8_t *model[2];
    (void)state;
    for (int disturbed = 0; disturbed < 2; disturbed++) {
        char *run = eq_path_join(tiny_dir, disturbed ? "disturbed" : "calm");
        set("run.dir", run);
        free(run);
        assert_ok(eq_run_open_data(&settings.config, &ds, &err));
        if (disturbed) {
            break_clip(10);
            assert_stopped_at(10, eq_run_train(&settings.config, &ds, &err));
            put_clip(10);
        }
        assert_ok(eq_run_train(&settings.config, &ds, &err));
        char *path = in_run("fp32.safetensors");
        model[disturbed] = test_read(path, &len[disturbed]);
        free(path);
        eq_dataset_clear(&ds);
    }
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(model[0], model[1], len[0]);
    eq_free(model[0]);
    eq_free(model[1]);
}

static void the_digest_is_of_all_that_makes_a_ground_truth(void **state)
{
    struct eq_sample rows[] = {{.file_name = (char *)"a", .ef = 50, .split = EQ_SPLIT_TRAIN, .bytes = 1000},
                               {.file_name = (char *)"b", .ef = 60, .split = EQ_SPLIT_TEST, .bytes = 2000}};
    struct eq_dataset two = {.dir = (char *)"one", .samples = rows, .n = 2}, other = two;
    char first[EQ_SHA256_TEXT], now[EQ_SHA256_TEXT];
    (void)state;
    eq_dataset_digest(&two, first);
    /* sha256sum of the text below; it stands in users' run directories: never another one */
    assert_string_equal(first, "de4ecf7f84fdda9138a6e752c53d1eebcb79f99b1521286358f0be1cf2ff8aca");
    struct eq_str text = {0};
    eq_dataset_manifest(&two, &text);
    assert_string_equal(text.s, "FileName,Split,EF,Bytes\na,TRAIN,50,1000\nb,TEST,60,2000\n");
    eq_str_clear(&text);
    other.dir = (char *)"two";
    rows[0].path = (char *)"two/a.avi";
    rows[0].esv = rows[0].line = 7;
    eq_dataset_digest(&other, now);
    assert_string_equal(now, first);
    for (int change = 0; change < 6; change++) {
        struct eq_sample was = rows[1];
        rows[1].file_name = (char *)(change == 0 ? "c" : "b");
        rows[1].ef = change == 1 ? nextafter(60, 61) : 60;
        rows[1].split = change == 2 ? EQ_SPLIT_VAL : EQ_SPLIT_TEST;
        rows[1].bytes = change == 3 ? 2001 : 2000;
        other.n = change == 4 ? 1 : 2;
        for (int i = 0; i < 2; i++)
            snprintf(rows[i].sha256, sizeof rows[i].sha256, "%s", change == 5 ? first : "");
        eq_dataset_digest(&other, now);
        assert_string_not_equal(now, first);
        rows[1] = was;
    }
}

static void expect_changes(const char *was, const char *is, const char *text)
{
    struct eq_dataset a, b;
    struct eq_str changes = {0};
    assert_ok(eq_manifest_parse("was", was, strlen(was), &a, &err));
    assert_ok(eq_manifest_parse("is", is, strlen(is), &b, &err));
    eq_dataset_changes(&a, &b, &changes);
    assert_string_equal(changes.s ? changes.s : "", text);
    eq_str_clear(&changes);
    eq_dataset_clear(&a);
    eq_dataset_clear(&b);
}

#define HEAD "FileName,Split,EF,Bytes\n"
#define SHA_0 "0000000000000000000000000000000000000000000000000000000000000000"
#define SHA_1 "1000000000000000000000000000000000000000000000000000000000000000"

static void changes_are_said_in_words(void **state)
{
    (void)state;
    const char was[] = HEAD "a,TRAIN,50,1\n\"b, c\",TEST,60.25,2\n";
    expect_changes(was, was, "");
    expect_changes(was, HEAD "a,TRAIN,50,1\n", "2 clips, now 1; removed: b, c");
    expect_changes(HEAD "a,TRAIN,50,1\n", was, "1 clip, now 2; added: b, c");
    expect_changes(was, HEAD "\"b, c\",TEST,60.25,2\na,TRAIN,50,1\n", "another order of the rows");
    expect_changes(was, HEAD "a,VAL,0.5,1\n\"b, c\",TEST,60.25,3\n",
                   "EF: a (50, now 0.5); split: a (TRAIN, now VAL); size: b, c (2 bytes, now 3)");
    expect_changes("FileName,Split,EF,Bytes,SHA256\na,TEST,5,1," SHA_0 "\n",
                   "FileName,Split,EF,Bytes,SHA256\na,TEST,5,1," SHA_1 "\n", "content: a");
    expect_changes(HEAD "a,TEST,5,1\nb,TEST,5,1\nc,TEST,5,1\nd,TEST,5,1\ne,TEST,5,1\n", HEAD "e,TEST,5,1\n",
                   "5 clips, now 1; removed: a, b, c and 1 more");
}

static void damaged_manifests_are_refused(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {{"", "empty"},
                 {"a,b\n", "x:1: the header is not FileName,Split,EF,Bytes"},
                 {HEAD "a,TEST,5\n", "x:2: not the columns"},
                 {HEAD "a,TEST,5,1\na,TEST,5,1," SHA_0 "\n", "x:3: not the columns"},
                 {HEAD "a,TEST,5,1,00\n", "x:2: not a SHA-256"},
                 {HEAD "a,OTHER,5,1\n", "x:2: unknown split"},
                 {HEAD "a,TEST,five,1\n", "x:2: not a number"},
                 {HEAD "a,TEST,5,-1\n", "x:2: not a number"},
                 {HEAD "a,TEST,5,1,2,3,4,5,6\n", "x:2: too many columns"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eq_dataset ds;
        struct eq_err err;
        assert_int_equal(eq_manifest_parse("x", cases[i].text, strlen(cases[i].text), &ds, &err), EQ_FORMAT);
        assert_non_null(strstr(err.msg, cases[i].message));
        assert_int_equal(ds.n, 0);
    }
}

static void the_digest_of_a_folder_is_that_of_its_used_rows(void **state)
{
    struct eq_dataset ds;
    char first[EQ_SHA256_TEXT], now[EQ_SHA256_TEXT];
    (void)state;
    assert_ok(eq_run_open_data(&settings.config, &ds, &err));
    eq_dataset_digest(&ds, first);
    eq_dataset_skip(&ds, 4, EQ_FORMAT, "a test");
    eq_dataset_digest(&ds, now);
    assert_string_not_equal(now, first);
    eq_dataset_clear(&ds);
    break_clip(4);
    assert_ok(eq_run_open_data(&settings.config, &ds, &err));
    eq_dataset_digest(&ds, first);
    assert_string_equal(now, first);
    eq_dataset_clear(&ds);
}

static void models_stay_when_test_clips_come_and_go(void **state)
{
    struct eq_sample rows[] = {{.file_name = (char *)"a", .ef = 50, .split = EQ_SPLIT_TRAIN, .bytes = 1},
                               {.file_name = (char *)"b", .ef = 60, .split = EQ_SPLIT_TEST, .bytes = 2},
                               {.file_name = (char *)"c", .ef = 70, .split = EQ_SPLIT_VAL, .bytes = 3},
                               {.file_name = (char *)"d", .ef = 80, .split = EQ_SPLIT_TEST, .bytes = 4}};
    struct eq_sample less[4];
    struct eq_dataset all = {.samples = rows, .n = 4}, some = {.samples = less, .n = 3};
    (void)state;
    assert_true(eq_dataset_trains_alike(&all, &all));
    for (int gone = 0; gone < 4; gone++) {
        for (int i = 0, n = 0; i < 4; i++)
            if (i != gone)
                less[n++] = rows[i];
        assert_int_equal(eq_dataset_trains_alike(&all, &some), rows[gone].split == EQ_SPLIT_TEST);
        assert_int_equal(eq_dataset_trains_alike(&some, &all), rows[gone].split == EQ_SPLIT_TEST);
    }
    some.n = 4;
    memcpy(less, rows, sizeof less);
    less[1].bytes = 9; /* a test clip that both have must be the same */
    assert_false(eq_dataset_trains_alike(&all, &some));
    less[1] = rows[1];
    less[2].ef = 71;
    assert_false(eq_dataset_trains_alike(&all, &some));
    less[2] = rows[0]; /* another order */
    less[0] = rows[2];
    assert_false(eq_dataset_trains_alike(&all, &some));
    less[0] = rows[0];
    less[2] = rows[2];
    less[1].split = EQ_SPLIT_TRAIN; /* and must not move */
    assert_false(eq_dataset_trains_alike(&all, &some));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_clip_that_breaks_after_the_check_stops_every_phase, make, clear),
        cmocka_unit_test_setup_teardown(a_run_that_was_stopped_so_ends_with_the_bits_of_an_undisturbed_one, make,
                                        clear),
        cmocka_unit_test_setup_teardown(damaged_clips_are_used_and_listed, make, clear),
        cmocka_unit_test(models_stay_when_test_clips_come_and_go),
        cmocka_unit_test(the_digest_is_of_all_that_makes_a_ground_truth),
        cmocka_unit_test(changes_are_said_in_words),
        cmocka_unit_test(damaged_manifests_are_refused),
        cmocka_unit_test_setup_teardown(the_digest_of_a_folder_is_that_of_its_used_rows, make, clear),
    };
    eq_log_configure(EQ_LOG_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
