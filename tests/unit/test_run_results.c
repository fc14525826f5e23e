/* results.json and the run directory. */
#include "run_fixture.h"

#include "echoquant/picture.h"
#include "echoquant/run.h"
#include "echoquant/rundir.h"

#include <cjson/cJSON.h>
#include <sys/stat.h>
#include <unistd.h>

static void order_of_rows(char out[128])
{
    struct eq_err err;
    struct eq_results r;
    out[0] = '\0';
    assert_int_equal(eq_results_read(dir, &r, &err), EQ_OK);
    for (size_t i = 0, len = 0; i < r.n; i++)
        len += (size_t)snprintf(out + len, 128 - len, "%s ", r.rows[i].model);
    eq_results_clear(&r);
}

static void rows_stand_in_the_order_of_the_table(void **state)
{
    char order[128];
    (void)state;
    put_experiment();
    put_row("MINE", "INT8", 7, 11, 30);
    put_row("FP32+", "FP32", 4.5, 44.8, 100);
    order_of_rows(order);
    assert_string_equal(order, "FP32 PTQ QAT FP32+ MINE Median ");
    put_row("PTQ", "INT8", 6, 11, 30); /* replaces */
    put_row("Median", "-", 9, 0, 0);
    order_of_rows(order);
    assert_string_equal(order, "FP32 PTQ QAT FP32+ MINE Median ");
    struct eq_err err;
    assert_int_equal(eq_results_drop_model(dir, "QAT", &err), EQ_OK);
    order_of_rows(order);
    assert_string_equal(order, "FP32 PTQ FP32+ MINE Median ");
}

/* Reads and writes what is there, with one more row. */
static void rewrite_with_a_row(const char *name)
{
    struct eq_err err;
    struct eq_results r;
    struct eq_result row = eq_result_of(NULL);
    row.model = name;
    assert_int_equal(eq_results_open(dir, &r, &err), EQ_OK);
    if (name)
        eq_results_put(&r, &row);
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
}

#define DOCUMENT(row)                                                                                                  \
    "{\"new\": [1, {\"deep\": null}], \"format\": \"echoquant-results-1\", \"models\": ["                              \
    "{\"later\": {\"x\": 1}, \"r2\": null, \"model\": \"PTQ\", \"sqnr_db\": null, \"mae\": 5}" row                     \
    "], \"data\": {\"test\": 6, \"more\": \"kept\"}, "                                                                 \
    "\"skipped\": [{\"FileName\": \"a\", \"reason\": \"b\", \"frames\": 3}], \"environment\": \"odd\"}"

static void assert_results_are(const char *json)
{
    struct eq_err err;
    struct eq_str wanted = {0}, got = {0};
    struct cJSON *document, *there;
    enum eq_seal seal;
    char *path = eq_path_join(dir, "results.json");
    assert_int_equal(eq_seal_check(path, &seal, &err), EQ_OK);
    assert_int_equal(seal, EQ_SEAL_HOLDS);
    assert_int_equal(eq_json_read(path, &there, &err), EQ_OK);
    cJSON_DeleteItemFromObjectCaseSensitive(there, EQ_SEAL_KEY);
    assert_int_equal(eq_json_print(&got, there, &err), EQ_OK);
    assert_int_equal(eq_json_parse(json, strlen(json), "wanted", &document, &err), EQ_OK);
    assert_int_equal(eq_json_print(&wanted, document, &err), EQ_OK);
    assert_string_equal(got.s, wanted.s);
    free(path);
    eq_str_clear(&got);
    eq_str_clear(&wanted);
    cJSON_Delete(there);
    cJSON_Delete(document);
}

/* Keys that this version doesn't know, objects of other kinds, nulls, and the order of all of them. */
static void a_file_that_is_written_again_loses_nothing(void **state)
{
    (void)state;
    write_file("results.json", DOCUMENT(""));
    rewrite_with_a_row(NULL);
    assert_results_are(DOCUMENT(""));
    rewrite_with_a_row("MINE");
    assert_results_are(DOCUMENT(", {\"model\": \"MINE\", \"mae\": null, \"rmse\": null, \"r2\": null}"));
    rewrite_with_a_row("PTQ"); /* another evaluation takes the place of all of it */
    char *text = read_text("results.json");
    assert_null(strstr(text, "later"));
    assert_non_null(strstr(text, "deep"));
    eq_free(text);
}

/* Every field, in the order of the keys of version 0.1.0. */
static void fields_come_back_as_they_were_written(void **state)
{
    static const char whole[] =
        "{\"format\":\"echoquant-results-1\",\"models\":[{\"model\":\"QAT\",\"precision\":\"INT8\",\"size_mb\":11.5,"
        "\"file\":\"f\",\"frames\":12,\"size\":112,\"phases\":1,\"recipe\":{\"weight_bits\":8},\"method\":\"m\","
        "\"observer\":\"o\",\"isa\":\"i\",\"cpu\":\"c\",\"threads\":2,\"mae\":5,\"rmse\":6,\"r2\":null,\"clips\":100,"
        "\"bias\":-1,\"val_mae\":4,\"val_bias\":0.5,\"val_clips\":50,"
        "\"rms_from_fp32\":0,\"sqnr_db\":null,\"timed\":\"t\","
        "\"latency_ms\":{\"min\":1,\"median\":2,\"p90\":2.7,\"p95\":3,\"p99\":3.1,\"repeats\":4,\"low\":1.5,"
        "\"high\":2.5,\"waited\":9,\"samples\":[1,1.5,2.5,3.1]},"
        "\"file_latency_ms\":{\"min\":5,\"median\":6,\"p95\":7,\"repeats\":8},"
        "\"start_ms\":{\"load\":40,\"first_call\":12.5,\"repeats\":3},"
        "\"memory_bytes\":{\"arena\":4096,\"packed\":8192,\"peak\":65536},"
        "\"devices\":{\"opencl:0\":{\"name\":\"m\",\"gpu\":false,\"why\":\"BF16\"},"
        "\"cuda:1\":{\"name\":\"n\",\"driver\":\"d\",\"gpu\":true,\"integer_path\":\"dp4a\",\"clips\":100,"
        "\"largest_difference\":0,\"timed\":\"t\",\"latency_ms\":{\"min\":null,\"median\":0.5,\"p95\":null},"
        "\"parts_ms\":{\"upload\":0.125,\"compute\":0.25,\"download\":0.0625},\"memory_bytes\":1024}}}],"
        "\"skipped\":[],"
        "\"damaged\":[],"
        "\"data\":{\"dir\":\"d\",\"synthetic\":true,\"train\":3,\"val\":2,\"test\":1,\"skipped\":0,"
        "\"split_from_file\":false},"
        "\"environment\":{\"version\":\"v\",\"cpu\":\"c\",\"isa\":\"i\",\"threads\":2,\"gpu\":\"g\"}}";
    struct eq_results r;
    struct eq_result row = eq_result_of(NULL);
    struct eq_result_device device, gpu;
    struct cJSON *devices = cJSON_CreateObject();
    struct cJSON *recipe = cJSON_Parse("{\"weight_bits\": 8}"), *samples = cJSON_Parse("[1, 1.5, 2.5, 3.1]");
    (void)state;
    row.model = "QAT", row.precision = "INT8", row.size_mb = 11.5, row.file = "f", row.frames = 12, row.size = 112;
    row.phases = 1, row.recipe = recipe, row.method = "m", row.observer = "o", row.isa = "i", row.cpu = "c";
    row.threads = 2, row.mae = 5, row.rmse = 6, row.clips = 100, row.rms_from_fp32 = 0, row.sqnr_db = INFINITY;
    row.bias = -1, row.val_mae = 4, row.val_bias = 0.5, row.val_clips = 50, row.timed = "t";
    row.latency = (struct eq_result_latency){1, 2, 2.7, 3, 3.1, 4, 1.5, 2.5, 9, samples};
    row.file_latency = (struct eq_result_latency){5, 6, NAN, 7, NAN, 8, NAN, NAN, NAN, NULL}; /* as of 0.1.0 */
    row.start = (struct eq_result_start){40, 12.5, 3};
    row.memory = (struct eq_result_memory){4096, 8192, 65536};
    assert_false(eq_result_device_at(&row, 0, &device)); /* fills it with what no file says */
    device.id = "opencl:0", device.name = "m", device.why = "BF16";
    eq_result_device_put(devices, &device);
    eq_result_device_at(&row, 0, &device);
    device.id = "cuda:1", device.name = "an earlier one";
    eq_result_device_put(devices, &device);
    device.name = "n", device.driver = "d", device.is_gpu = true, device.integer_path = "dp4a";
    device.clips = 100, device.largest_difference = 0, device.timed = "t", device.latency.median = 0.5;
    device.parts = (struct eq_device_times){0.125, 0.25, 0.0625}, device.memory = 1024;
    eq_result_device_put(devices, &device);
    row.devices = devices;
    eq_results_init(&r);
    eq_results_put(&r, &row);
    eq_results_set_skipped(&r, &(struct eq_dataset){0});
    r.data.dir = "d", r.data.synthetic = true, r.data.train = 3, r.data.val = 2, r.data.test = 1, r.data.skipped = 0;
    r.environment.version = "v", r.environment.cpu = "c", r.environment.isa = "i", r.environment.threads = 2;
    r.environment.gpu = "g";
    struct cJSON *json = eq_results_json(&r);
    char *text = cJSON_PrintUnformatted(json);
    assert_string_equal(text, whole);
    row = eq_result_of(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "models"), 0));
    assert_true(row.latency.p99 == 3.1 && cJSON_GetArraySize(row.latency.samples) == 4 && !row.file_latency.samples);
    assert_true(isnan(row.file_latency.p99) && row.start.first_call == 12.5 && row.memory.peak == 65536);
    assert_true(row.latency.p95 == 3 && row.file_latency.median == 6 && isnan(row.r2) && isnan(row.prediction));
    assert_true(isnan(row.over_seeds.n) && row.recipe && !row.data[0] && strcmp(row.observer, "o") == 0);
    assert_true(eq_result_device_at(&row, 1, &device) && !eq_result_device_at(&row, 2, &gpu));
    assert_true(eq_result_gpu(&row, &gpu) && strcmp(gpu.id, "cuda:1") == 0 && gpu.parts.compute == 0.25);
    assert_true(isnan(gpu.latency.p99) && !gpu.why[0]);
    cJSON_free(text);
    cJSON_Delete(json);
    cJSON_Delete(devices);
    cJSON_Delete(recipe);
    cJSON_Delete(samples);
    eq_results_clear(&r);
}

/* The message names the row and the key. */
static void samples_that_are_no_times_are_refused(void **state)
{
    static const char *const bad[] = {"3", "[1, \"2\"]", "[1, -2]", "[2, 1]", "[null]", "{\"a\": 1}"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int place = 0; place < 3; place++) {
            static const char *const names[] = {"latency_ms", "file_latency_ms", "devices.cuda:0.latency_ms"};
            struct eq_err err = {0};
            struct eq_results r;
            char *text = eq_format("{\"format\": \"echoquant-results-1\", \"models\": [{\"model\": \"FP32\"}, "
                                   "{\"model\": \"PTQ\", %s\"%s\": {\"median\": 1, \"samples\": %s}}%s]}",
                                   place == 2 ? "\"devices\": {\"cuda:0\": {" : "",
                                   place == 1 ? "file_latency_ms" : "latency_ms", bad[i], place == 2 ? "}}" : "");
            char *named = eq_format("results.json: model PTQ, %s.samples", names[place]);
            write_file("results.json", text);
            assert_int_equal(eq_results_read(dir, &r, &err), EQ_FORMAT);
            assert_non_null(strstr(err.msg, named));
            eq_results_clear(&r);
            free(text);
            free(named);
        }
}

/* What another program, or nobody, wrote there. */
static void devices_without_a_name_do_not_count(void **state)
{
    static const char *const none[] = {"{}", "[{\"gpu\": true}]", "3", "{\"'; system\": {\"gpu\": true}}",
                                       "{\"cuda:0\": 7, \"cuda:1\": {}}"};
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct eq_result_device d;
        char *text = eq_format("{\"devices\": %s}", none[i]);
        struct cJSON *json = cJSON_Parse(text);
        struct eq_result row = eq_result_of(json);
        assert_false(eq_result_gpu(&row, &d));
        assert_true(eq_result_device_at(&row, 0, &d) == (i == 4));
        cJSON_Delete(json);
        free(text);
    }
}

static void a_strange_results_file_is_refused_and_kept(void **state)
{
    static const char *const strange[] = {"",
                                          "{",
                                          "[]",
                                          "{}",
                                          "{\"format\": \"other\", \"models\": []}",
                                          "{\"format\": \"echoquant-results-1\"}",
                                          "{\"format\": \"echoquant-results-1\", \"models\": {}}",
                                          "{\"format\": \"echoquant-results-1\", \"models\": [1]}",
                                          "{\"format\": \"echoquant-results-1\", \"models\": [{\"model\": 3}]}"};
    (void)state;
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        struct eq_err err = {0};
        struct eq_results r;
        write_file("results.json", strange[i]);
        assert_int_equal(eq_results_open(dir, &r, &err), EQ_FORMAT);
        assert_non_null(strstr(err.msg, "results.json"));
        assert_int_equal(eq_results_read(dir, &r, &err), EQ_FORMAT);
        assert_true(!r.json && !r.rows && r.n == 0);
        assert_int_equal(eq_results_drop_model(dir, "FP32", &err), EQ_FORMAT);
        char *kept = read_text("results.json");
        assert_string_equal(kept, strange[i]);
        eq_free(kept);
    }
}

static void no_results_is_said(void **state)
{
    struct eq_err err;
    struct eq_results r;
    struct eq_str table = {0};
    (void)state;
    assert_int_equal(eq_results_read(dir, &r, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "echoquant eval"));
    assert_int_equal(eq_run_table(dir, 0, &table, &err), EQ_IO);
    assert_int_equal(eq_run_report(dir, &err), EQ_IO);
    assert_false(there("report.html"));
}

/* ---- the run directory --------------------------------------------------- */

static const struct eq_dataset no_data;

static void settings_for_dir(struct eq_settings *s)
{
    struct eq_err err;
    assert_int_equal(eq_settings_init(s, &err), EQ_OK);
    assert_int_equal(eq_settings_set(s, "run.dir", dir, "--run", &err), EQ_OK);
    assert_int_equal(eq_settings_set(s, "qat.control", "false", "--set", &err), EQ_OK);
}

static void change(struct eq_settings *s, const char *key, const char *value)
{
    struct eq_err err;
    if (eq_settings_set(s, key, value, "--set", &err) != EQ_OK)
        fail_msg("%s", err.msg);
}

static void entering_keeps_the_settings_of_what_is_there(void **state)
{
    struct eq_settings s;
    struct eq_err err;
    (void)state;
    settings_for_dir(&s);
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_TRAIN, false, &err), EQ_OK);
    change(&s, "train.epochs", "3"); /* nothing has begun: all may change */
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_TRAIN, false, &err), EQ_OK);
    write_file("state/fp32.state.safetensors", "begun");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_TRAIN, false, &err), EQ_OK);
    change(&s, "train.epochs", "4");
    char *before = read_text("config.json");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_TRAIN, false, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "train.epochs 3 -> 4"));
    char *after = read_text("config.json");
    assert_string_equal(before, after);
    eq_free(before);
    eq_free(after);
    change(&s, "train.epochs", "3");
    change(&s, "run.threads", "7"); /* has no part in the results */
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_ALL, false, &err), EQ_OK);
    eq_settings_clear(&s);
}

static void a_phase_may_have_its_own_settings_changed_until_it_is_done(void **state)
{
    struct eq_settings s;
    struct eq_err err;
    (void)state;
    settings_for_dir(&s);
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_TRAIN, false, &err), EQ_OK);
    write_file("fp32.safetensors", "a model");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_TRAIN, false, &err), EQ_USAGE);
    assert_null(strstr(err.msg, "--force")); /* which removes every model */
    change(&s, "ptq.observer", "hist_mse");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_ALL, false, &err), EQ_USAGE);
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_PTQ, false, &err), EQ_OK);
    write_file("ptq.safetensors", "a model");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_PTQ, false, &err), EQ_USAGE);
    change(&s, "ptq.observer", "entropy");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_QAT, false, &err), EQ_USAGE);
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_PTQ, true, &err), EQ_OK);
    write_file("state/qat.state.safetensors", "begun");
    change(&s, "qat.lr", "0.4");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_QAT, false, &err), EQ_USAGE);
    assert_true(there("state/qat.state.safetensors"));
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_QAT, true, &err), EQ_OK);
    assert_false(there("state/qat.state.safetensors"));
    change(&s, "qat.lr", "0.5");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_EVAL, false, &err), EQ_USAGE);
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_QAT, false, &err), EQ_OK);
    change(&s, "bench.repeats", "7");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_EVAL, false, &err), EQ_OK);
    eq_settings_clear(&s);
}

static void force_removes_what_a_run_made_and_nothing_else(void **state)
{
    struct eq_settings s;
    struct eq_err err;
    static const char *const ours[] = {"fp32.safetensors", "ptq.safetensors",     "qat.safetensors",
                                       "report.html",      "report.md",           "results.json",
                                       "history/fp32.csv", "predictions/ptq.csv", "state/qat.state.safetensors",
                                       "plots/changes.svg"};
    static const char *const theirs[] = {"notes.txt", "other.safetensors", "more/config.json", "plots/mine/a.svg"};
    (void)state;
    settings_for_dir(&s);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        write_file(ours[i], "x");
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        write_file(theirs[i], "x");
    /* Without our config.json it is no run directory: nothing is removed. */
    static const enum eq_phase phases[] = {EQ_PHASE_TRAIN, EQ_PHASE_PTQ, EQ_PHASE_QAT, EQ_PHASE_ALL};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(eq_run_enter(&s, &no_data, phases[i], true, &err), EQ_USAGE);
        assert_non_null(strstr(err.msg, "is not a run directory"));
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        assert_true(there(ours[i]));
    write_file("config.json", "{\"origin\": {}}");
    change(&s, "train.epochs", "77");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_ALL, true, &err), EQ_OK);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        assert_false(there(ours[i]));
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        assert_true(there(theirs[i]));
    char *config = read_text("config.json");
    assert_non_null(strstr(config, "\"epochs\": 77"));
    eq_free(config);
    eq_settings_clear(&s);
}

static void force_of_one_model_takes_its_row_and_leaves_the_others(void **state)
{
    struct eq_settings s;
    struct eq_err err;
    char order[128];
    (void)state;
    settings_for_dir(&s);
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_EVAL, false, &err), EQ_OK);
    put_run();
    write_file("ptq.safetensors", "the old one stays until the new one is there");
    write_file("state/ptq.state.safetensors", "x");
    write_file("state/qat.state.safetensors", "x");
    change(&s, "train.lr", "0.5"); /* refused: nothing is lost */
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_PTQ, true, &err), EQ_USAGE);
    assert_true(there("predictions/ptq.csv"));
    change(&s, "train.lr", "0.0006");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_PTQ, true, &err), EQ_OK);
    order_of_rows(order);
    assert_string_equal(order, "FP32 QAT Median ");
    assert_true(there("ptq.safetensors") && there("predictions/qat.csv") && there("state/qat.state.safetensors"));
    assert_false(there("predictions/ptq.csv") || there("state/ptq.state.safetensors"));
    eq_settings_clear(&s);
}

static void finished_means_models_rows_predictions_and_report(void **state)
{
    static const char *const names[] = {"fp32", "ptq", "qat"};
    struct eq_settings s;
    (void)state;
    settings_for_dir(&s);
    put_run();
    write_file("report.html", "x");
    for (int i = 0; i < 3; i++) {
        char file[64];
        assert_false(eq_run_is_finished(&s.config));
        snprintf(file, sizeof file, "%s.safetensors", names[i]);
        write_file(file, "x");
    }
    assert_true(eq_run_is_finished(&s.config));
    change(&s, "qat.control", "true"); /* one model more is asked for */
    assert_false(eq_run_is_finished(&s.config));
    write_file("fp32_plus.safetensors", "x");
    put_row("FP32+", "FP32", 4.5, 44.8, 100);
    assert_false(eq_run_is_finished(&s.config));
    put_predictions("fp32_plus", -0.1);
    assert_true(eq_run_is_finished(&s.config));
    change(&s, "eval.phases", "2"); /* the EFs that are there are of one */
    assert_false(eq_run_has_result(&s.config, "qat"));
    assert_false(eq_run_is_finished(&s.config));
    change(&s, "eval.phases", "1");
    assert_true(eq_run_is_finished(&s.config));
    char *path = eq_path_join(dir, "predictions/qat.csv");
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_false(eq_run_has_result(&s.config, "qat"));
    assert_false(eq_run_is_finished(&s.config));
    eq_settings_clear(&s);
}

static void rows_and_files_name_each_other(void **state)
{
    static const char *const pairs[][2] = {{"fp32", "FP32"}, {"fp32_plus", "FP32+"}, {"My-ptq-4.bit", "My-ptq-4.bit"}};
    char name[EQ_ROW_NAME];
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        eq_run_row_name(pairs[i][0], name);
        assert_string_equal(name, pairs[i][1]);
        assert_true(eq_run_file_name(pairs[i][1], name));
        assert_string_equal(name, pairs[i][0]);
    }
    assert_false(eq_run_file_name("../X", name));
}

static void a_row_of_the_table_of_models_is_whole(void **state)
{
    (void)state;
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        const struct eq_run_model *made = eq_phase_model(m->phase);
        assert_true(eq_run_is_model_name(m->name));
        assert_ptr_equal(eq_run_model_named(m->name), m);
        assert_ptr_equal(eq_run_model_of_row(m->row), m);
        assert_true(m->series >= 1 && m->series <= EQ_SERIES);
        for (const struct eq_run_model *other = eq_run_models; other < m; other++)
            assert_int_not_equal(other->series, m->series);
        assert_non_null(made); /* some phase makes the file, before this row needs it */
        assert_string_equal(made->file, m->file);
        assert_true(made <= m);
        assert_string_equal(made->command, m->command);
    }
    assert_null(eq_run_model_named("FP32"));
    assert_null(eq_run_model_of_row("fp32"));
    assert_null(eq_phase_model(EQ_PHASE_EVAL));
}

static void bf16_is_a_row_of_the_baseline(void **state)
{
    struct eq_settings s;
    struct eq_err err;
    char order[128];
    (void)state;
    put_experiment();
    put_row("BF16", "BF16", 5, 44.8, 60);
    order_of_rows(order);
    assert_string_equal(order, "FP32 BF16 PTQ QAT Median ");
    bool there;
    assert_int_equal(eq_run_has_model(dir, "bf16", &there, &err), EQ_OK);
    assert_false(there);
    assert_int_equal(eq_run_need_model(dir, "bf16", NULL, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "fp32.safetensors is missing: run `echoquant train` first"));
    assert_int_equal(eq_run_need_model(dir, "mine", NULL, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "mine.safetensors is missing, and no command makes a model of that name"));
    write_file("fp32.safetensors", "a model");
    assert_int_equal(eq_run_has_model(dir, "bf16", &there, &err), EQ_OK);
    assert_true(there);
    char *path = eq_run_model_path(dir, "bf16", NULL);
    assert_non_null(strstr(path, "/fp32.safetensors"));
    free(path);
    settings_for_dir(&s);
    assert_false(eq_run_model_named("bf16")->is_wanted(&s.config));
    change(&s, "run.precision", "bf16");
    assert_true(eq_run_model_named("bf16")->is_wanted(&s.config));
    eq_settings_clear(&s);
}

/* QAT and its control are compared: whichever begins second takes the settings of the first. */
static void qat_and_its_control_share_their_settings(void **state)
{
    static const enum eq_phase second[] = {EQ_PHASE_CONTROL, EQ_PHASE_QAT};
    static const char *const first[] = {"qat.safetensors", "fp32_plus.safetensors"};
    struct eq_err err;
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct eq_settings s;
        settings_for_dir(&s);
        assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_ALL, true, &err), EQ_OK);
        write_file("fp32.safetensors", "a model");
        change(&s, "qat.lr", "0.25");
        assert_int_equal(eq_run_enter(&s, &no_data, second[i], false, &err), EQ_OK);
        write_file(first[i], "a model");
        assert_int_equal(eq_run_enter(&s, &no_data, second[i], false, &err), EQ_OK);
        change(&s, "qat.lr", "0.125");
        assert_int_equal(eq_run_enter(&s, &no_data, second[i], true, &err), EQ_USAGE);
        assert_non_null(strstr(err.msg, "qat.lr 0.25 -> 0.125"));
        change(&s, "qat.lr", "0.25");
        change(&s, "qat.method", "lsq"); /* no business of the control's */
        assert_int_equal(eq_run_enter(&s, &no_data, second[i], true, &err),
                         second[i] == EQ_PHASE_QAT ? EQ_OK : EQ_USAGE);
        eq_settings_clear(&s);
    }
}

/* A link to itself in place of a file: it can't be told what is there. */
static void put_loop(const char *name)
{
    char *path = eq_path_join(dir, name), *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(eq_make_dirs(path, NULL), EQ_OK);
    *slash = '/';
    unlink(path);
    assert_int_equal(symlink(slash + 1, path), 0);
    free(path);
}

static bool is_loop(const char *name)
{
    struct stat info;
    char *path = eq_path_join(dir, name);
    bool link = lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
    free(path);
    return link;
}

static void remove_loop(const char *name)
{
    char *path = eq_path_join(dir, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

#define assert_cannot_tell(call, name)                                                                                 \
    do {                                                                                                               \
        struct eq_err err_ = {0}, *e = &err_;                                                                          \
        assert_int_equal(call, EQ_IO);                                                                                 \
        assert_non_null(strstr(err_.msg, name));                                                                       \
        assert_non_null(strstr(err_.msg, "symbolic links"));                                                           \
    } while (0)

static void results_that_cannot_be_looked_up_are_not_replaced(void **state)
{
    (void)state;
    struct eq_results none;
    put_loop("results.json");
    assert_cannot_tell(eq_results_open(dir, &none, e), "results.json");
    assert_cannot_tell(eq_results_drop_model(dir, "PTQ", e), "results.json");
    assert_cannot_tell(eq_results_read(dir, &none, e), "results.json");
    assert_true(is_loop("results.json"));
}

static void a_run_that_cannot_be_looked_up_is_not_entered(void **state)
{
    static const struct {
        const char *file;
        enum eq_phase phase;
        bool force;
    } cases[] = {
        {"fp32.safetensors", EQ_PHASE_TRAIN, false},
        {"ptq.safetensors", EQ_PHASE_PTQ, false},
        {"state/fp32.state.safetensors", EQ_PHASE_TRAIN, false},
        {"state/qat.state.safetensors", EQ_PHASE_QAT, false},
        {"predictions", EQ_PHASE_PTQ, true},
        {"results.json", EQ_PHASE_PTQ, true},
        {"plots", EQ_PHASE_ALL, true},
        {"seed-5/config.json", EQ_PHASE_ALL, true},
        {"seed-5/fp32.safetensors", EQ_PHASE_ALL, false},
        {"config.json", EQ_PHASE_ALL, true},
        {"config.json", EQ_PHASE_EVAL, false},
    };
    struct eq_settings s;
    struct eq_err err;
    char *manifest = eq_path_join(dir, "data.csv");
    (void)state;
    settings_for_dir(&s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_EVAL, false, &err), EQ_OK);
        put_loop(cases[i].file);
        assert_cannot_tell(eq_run_enter(&s, &no_data, cases[i].phase, cases[i].force, e), cases[i].file);
        assert_true(is_loop(cases[i].file));
        remove_loop(cases[i].file);
        remove(manifest); /* without config.json it is a file of the user's */
    }
    free(manifest);
    change(&s, "run.dir",
           "/tmp/"
           "a23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
           "a23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
           "a23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890");
    assert_int_equal(eq_run_admit(&s, EQ_PHASE_ALL, false, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "too long"));
    eq_settings_clear(&s);
}

/* One that the system does not let us read may be a run's; one that holds something else is not. */
static void a_config_that_cannot_be_read_may_be_ours(void **state)
{
    struct eq_settings s;
    struct eq_err err;
    (void)state;
    settings_for_dir(&s);
    put_run();
    write_file("config.json", "{\"origin\": 1}");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_ALL, true, &err), EQ_USAGE);
    write_file("config.json", "not JSON");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_ALL, true, &err), EQ_USAGE);
    remove_loop("config.json");
    write_file("config.json/inside", "a folder can't be read as a file");
    assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_ALL, true, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "config.json"));
    assert_true(there("results.json") && there("predictions/fp32.csv"));
    eq_settings_clear(&s);
}

/* The report leaves nothing out that may be there. */
static void a_report_says_what_cannot_be_looked_up(void **state)
{
    static const char *const files[] = {"config.json", "sensitivity.json", "history/fp32.csv", "predictions/ptq.csv",
                                        "quantization/qat.json"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        put_run();
        put_loop(files[i]);
        assert_cannot_tell(eq_run_report(dir, e), files[i]);
        remove_loop(files[i]);
    }
}

static void names_of_models_are_plain(void **state)
{
    (void)state;
    assert_true(eq_run_is_model_name("fp32"));
    assert_true(eq_run_is_model_name("ptq-4.bit_B"));
    static const char *const bad[] = {
        "", ".", "..", ".x", "-x", "a/b", "a b", "a'b", "ä", "a\n", "a2345678901234567890123456789012"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(eq_run_is_model_name(bad[i]));
}

/* The margin is stated once, and says whether rows were there before it. */
static void a_margin_stays(void **state)
{
    struct eq_err err;
    struct eq_results r;
    (void)state;
    assert_int_equal(eq_results_state_margin(dir, 0.5, &err), EQ_OK);
    put_row("FP32", "FP32", 5, 44.8, 100);
    assert_int_equal(eq_results_state_margin(dir, 0.25, &err), EQ_OK);
    assert_int_equal(eq_results_read(dir, &r, &err), EQ_OK);
    assert_true(r.margin.points == 0.5 && !r.margin.late && r.n == 1);
    assert_int_equal(strlen(r.margin.stated), strlen("2026-01-31T12:00:00Z"));
    eq_results_clear(&r);
}

static void a_late_margin_is_late(void **state)
{
    struct eq_err err;
    struct eq_results r;
    (void)state;
    put_row("FP32", "FP32", 5, 44.8, 100);
    assert_int_equal(eq_results_read(dir, &r, &err), EQ_OK);
    assert_true(isnan(r.margin.points));
    eq_results_clear(&r);
    assert_int_equal(eq_results_state_margin(dir, 0.25, &err), EQ_OK);
    assert_int_equal(eq_results_read(dir, &r, &err), EQ_OK);
    assert_true(r.margin.points == 0.25 && r.margin.late && r.n == 1);
    eq_results_clear(&r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rows_stand_in_the_order_of_the_table),
        TEST(a_file_that_is_written_again_loses_nothing),
        TEST(fields_come_back_as_they_were_written),
        TEST(samples_that_are_no_times_are_refused),
        TEST(devices_without_a_name_do_not_count),
        TEST(a_strange_results_file_is_refused_and_kept),
        TEST(no_results_is_said),
        TEST(entering_keeps_the_settings_of_what_is_there),
        TEST(a_phase_may_have_its_own_settings_changed_until_it_is_done),
        TEST(force_removes_what_a_run_made_and_nothing_else),
        TEST(force_of_one_model_takes_its_row_and_leaves_the_others),
        TEST(finished_means_models_rows_predictions_and_report),
        TEST(results_that_cannot_be_looked_up_are_not_replaced),
        TEST(a_run_that_cannot_be_looked_up_is_not_entered),
        TEST(a_config_that_cannot_be_read_may_be_ours),
        TEST(a_report_says_what_cannot_be_looked_up),
        TEST(names_of_models_are_plain),
        TEST(a_margin_stays),
        TEST(a_late_margin_is_late),
        TEST(rows_and_files_name_each_other),
        TEST(a_row_of_the_table_of_models_is_whole),
        TEST(bf16_is_a_row_of_the_baseline),
        TEST(qat_and_its_control_share_their_settings),
    };
    return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
