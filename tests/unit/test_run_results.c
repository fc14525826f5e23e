/* results.json, the run directory, the table and the report. */
#include "cmocka_all.h"

#include "echoquant/run.h"
#include "report/report.h"
#include "echoquant/rundir.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    eq_log_configure(EQ_LOG_ERROR);
    snprintf(dir, sizeof dir, "/tmp/echoquant-results-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void write_file(const char *name, const char *text)
{
    struct eq_err err;
    char *path = eq_path_join(dir, name), *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(eq_make_dirs(path, &err), EQ_OK);
    *slash = '/';
    assert_int_equal(eq_write_file(path, text, strlen(text), &err), EQ_OK);
    free(path);
}

static char *read_text(const char *name)
{
    struct eq_err err;
    void *data;
    size_t len;
    char *path = eq_path_join(dir, name);
    if (eq_read_file(path, 1 << 24, &data, &len, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    free(path);
    return data; /* eq_free */
}

static bool there(const char *name)
{
    char *path = eq_path_join(dir, name);
    bool exists = eq_path_exists(path);
    free(path);
    return exists;
}

/* size and median NaN: a row without them. */
static void put_row(const char *model, const char *precision, double mae, double size, double median)
{
    struct eq_err err;
    struct cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "model", model);
    cJSON_AddStringToObject(row, "precision", precision);
    cJSON_AddNumberToObject(row, "mae", mae);
    cJSON_AddNumberToObject(row, "rmse", mae * 1.25);
    cJSON_AddNumberToObject(row, "r2", 0.5);
    cJSON_AddNumberToObject(row, "clips", 100);
    if (size > 0) {
        cJSON_AddNumberToObject(row, "size_mb", size);
        struct cJSON *latency = cJSON_AddObjectToObject(row, "latency_ms");
        cJSON_AddNumberToObject(latency, "min", median - 1);
        cJSON_AddNumberToObject(latency, "median", median);
        cJSON_AddNumberToObject(latency, "p95", median + 1);
        cJSON_AddNumberToObject(row, "threads", 2);
    }
    if (eq_results_put_model(dir, row, &err) != EQ_OK)
        fail_msg("%s", err.msg);
}

static void put_experiment(void)
{
    put_row("Median", "-", 10, 0, 0);
    put_row("QAT", "INT8", 5.125, 11.2, 40);
    put_row("PTQ", "INT8", 5.5, 11.2, 50);
    put_row("FP32", "FP32", 5, 44.8, 100);
}

static void order_of_rows(char out[128])
{
    struct eq_err err;
    struct cJSON *results, *row;
    out[0] = '\0';
    assert_int_equal(eq_results_read(dir, &results, &err), EQ_OK);
    size_t len = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(results, "models")) len +=
        (size_t)snprintf(out + len, 128 - len, "%s ", cJSON_GetObjectItem(row, "model")->valuestring);
    cJSON_Delete(results);
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

static void other_keys_survive_a_row(void **state)
{
    struct eq_err err;
    struct cJSON *results;
    (void)state;
    assert_int_equal(eq_results_put(dir, "data", cJSON_CreateString("kept"), &err), EQ_OK);
    put_experiment();
    assert_int_equal(eq_results_put(dir, "data", cJSON_CreateString("changed"), &err), EQ_OK);
    assert_int_equal(eq_results_read(dir, &results, &err), EQ_OK);
    assert_string_equal(cJSON_GetObjectItem(results, "data")->valuestring, "changed");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(results, "models")), 4);
    cJSON_Delete(results);
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
        struct cJSON *results, *row = cJSON_CreateObject();
        write_file("results.json", strange[i]);
        cJSON_AddStringToObject(row, "model", "FP32");
        assert_int_equal(eq_results_put_model(dir, row, &err), EQ_FORMAT);
        assert_non_null(strstr(err.msg, "results.json"));
        assert_int_equal(eq_results_put(dir, "data", cJSON_CreateNull(), &err), EQ_FORMAT);
        assert_int_equal(eq_results_read(dir, &results, &err), EQ_FORMAT);
        assert_null(results);
        char *kept = read_text("results.json");
        assert_string_equal(kept, strange[i]);
        eq_free(kept);
    }
}

static void no_results_is_said(void **state)
{
    struct eq_err err;
    struct cJSON *results;
    struct eq_str table = {0};
    (void)state;
    assert_int_equal(eq_results_read(dir, &results, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "echoquant eval"));
    assert_int_equal(eq_run_table(dir, &table, &err), EQ_IO);
    assert_int_equal(eq_run_report(dir, &err), EQ_IO);
    assert_false(there("report.html"));
}

/* ---- the table ----------------------------------------------------------- */

static void the_table_has_its_columns_and_figures(void **state)
{
    struct eq_err err;
    struct eq_str table = {0};
    (void)state;
    put_experiment();
    assert_int_equal(eq_run_table(dir, &table, &err), EQ_OK);
    char cells[8][16][40];
    int row = 0;
    for (const char *p = table.s; *p; row++) {
        int column = 0;
        assert_int_equal(*p, '|');
        for (p++; *p && *p != '\n'; column++) {
            size_t len = strcspn(p, "|");
            const char *a = p, *b = p + len;
            while (a < b && *a == ' ')
                a++;
            while (b > a && b[-1] == ' ')
                b--;
            snprintf(cells[row][column], 40, "%.*s", (int)(b - a), a);
            p += len + 1;
        }
        assert_int_equal(column, 13);
        p += *p == '\n';
    }
    assert_int_equal(row, 6); /* header, rule, four models */
    static const char *const first[] = {"Model", "Precision", "Size(MB)", "MAE", "Latency(ms)"};
    for (int c = 0; c < 5; c++)
        assert_string_equal(cells[0][c], first[c]);
    static const char *const ptq[] = {"PTQ",  "INT8", "11.20", "5.50",  "50.0",  "6.88", "0.500",
                                      "51.0", "49.0", "-",     "+0.50", "2.00x", "4.00x"};
    for (int c = 0; c < 13; c++)
        assert_string_equal(cells[3][c], ptq[c]);
    static const char *const median[] = {"Median", "-", "-", "10.00", "-", "12.50", "0.500",
                                         "-",      "-", "-", "+5.00", "-", "-"};
    for (int c = 0; c < 13; c++)
        assert_string_equal(cells[5][c], median[c]);
    assert_string_equal(cells[2][10], "-"); /* FP32 against itself */
    eq_str_clear(&table);
}

/* ---- the report ---------------------------------------------------------- */

static void put_predictions(const char *name, double shift)
{
    struct eq_str text = {0};
    char path[64];
    eq_str_add(&text, "FileName,Split,EF,Prediction\n");
    for (int i = 0; i < 12; i++)
        eq_str_add(&text, "clip%d,TEST,%d,%g\n", i, 20 + 5 * i, 22 + 4.5 * i + shift);
    snprintf(path, sizeof path, "predictions/%s.csv", name);
    write_file(path, text.s);
    eq_str_clear(&text);
}

static void put_run(void)
{
    struct eq_err err;
    put_experiment();
    put_predictions("fp32", 0);
    put_predictions("ptq", 0.2);
    put_predictions("qat", -0.3);
    write_file("history/fp32.csv", "epoch,lr,train_loss,val_mae,val_rmse,seconds\n1,0.1,1,9,11,3\n2,0.1,0.5,6,8,3\n");
    struct cJSON *skipped = cJSON_CreateArray(), *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "FileName", "<b>&\"clip\"");
    cJSON_AddStringToObject(entry, "reason", "FileList.csv:3: <script>alert(1)</script>");
    cJSON_AddItemToArray(skipped, entry);
    assert_int_equal(eq_results_put(dir, "skipped", skipped, &err), EQ_OK);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

static bool have_gnuplot(void)
{
    return system("command -v gnuplot >/dev/null 2>&1") == 0;
}

static void the_report_is_one_file_with_everything(void **state)
{
    struct eq_err err;
    (void)state;
    if (!have_gnuplot()) {
        print_message("skipped: gnuplot is not installed\n");
        skip();
    }
    put_run();
    if (eq_run_report(dir, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    char *html = read_text("report.html"), *md = read_text("report.md");
    /* pictures: the history, three scatter plots, the changes by INT8 */
    assert_int_equal(count(html, "<img "), 5);
    assert_int_equal(count(html, "src=\"data:image/svg+xml;base64,"), 5);
    assert_int_equal(count(md, "!["), 5);
    static const char *const files[] = {"history_fp32", "scatter_fp32", "scatter_ptq", "scatter_qat", "changes"};
    for (int i = 0; i < 5; i++) {
        char name[64];
        for (int e = 0; e < 3; e++) {
            snprintf(name, sizeof name, "plots/%s.%s", files[i], e == 0 ? "svg" : e == 1 ? "gp" : "dat");
            assert_true(there(name));
        }
    }
    /* nothing is fetched from elsewhere, nothing is run, and what comes from data is shown as text */
    assert_null(strstr(html, "http"));
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "<b>&\"clip"));
    assert_non_null(strstr(html, "&lt;b&gt;&amp;&quot;clip&quot;"));
    assert_non_null(strstr(html, "<td>44.80</td>"));
    assert_non_null(strstr(html, "4.00 times smaller, 2.00 times faster"));
    assert_non_null(strstr(md, "0.50 of what predicting the training median"));
    eq_free(html);
    eq_free(md);
}

/* The control has pictures and a finding of its own. */
static void the_control_is_reported_beside_qat(void **state)
{
    struct eq_err err;
    (void)state;
    put_run();
    put_row("FP32+", "FP32", 4.875, 44.8, 100);
    put_predictions("fp32_plus", -0.1);
    write_file("history/fp32_plus.csv", "epoch,lr,train_loss,val_mae,val_rmse,seconds\n1,0.1,1,9,11,3\n");
    assert_int_equal(eq_run_report(dir, &err), EQ_OK);
    char *md = read_text("report.md");
    assert_non_null(strstr(md, "QAT against FP32+"));
    assert_non_null(strstr(md, "MAE 5.12 against 4.88 EF points (+0.25)"));
    assert_true(there("plots/scatter_fp32_plus.dat") && there("plots/history_fp32_plus.dat"));
    eq_free(md);
}

static void a_missing_gnuplot_is_said(void **state)
{
    struct eq_err err;
    char *path = eq_strdup(getenv("PATH"));
    (void)state;
    put_run();
    write_file("plots/scatter_fp32.svg", "<svg>of an earlier report</svg>");
    setenv("PATH", dir, 1);
    enum eq_status st = eq_run_report(dir, &err);
    setenv("PATH", path, 1);
    free(path);
    assert_int_equal(st, EQ_OK);
    char *html = read_text("report.html"), *md = read_text("report.md");
    assert_int_equal(count(html, "<img "), 0);
    assert_non_null(strstr(html, "No pictures:</b> gnuplot is not installed"));
    assert_non_null(strstr(md, "**No pictures:** gnuplot is not installed"));
    assert_true(there("plots/scatter_fp32.gp") && there("plots/scatter_fp32.dat"));
    assert_false(there("plots/scatter_fp32.svg"));
    eq_free(html);
    eq_free(md);
}

static void a_failing_gnuplot_is_quoted(void **state)
{
    struct eq_err err;
    char *path = eq_strdup(getenv("PATH"));
    struct eq_str own = {0};
    (void)state;
    put_run();
    write_file("bin/gnuplot", "#!/bin/sh\necho 'no terminal like that' >&2\nexit 3\n");
    eq_str_add(&own, "%s/bin/gnuplot", dir);
    assert_int_equal(chmod(own.s, 0755), 0);
    own.s[strlen(own.s) - strlen("/gnuplot")] = '\0';
    setenv("PATH", own.s, 1);
    enum eq_status st = eq_run_report(dir, &err);
    setenv("PATH", path, 1);
    free(path);
    assert_int_equal(st, EQ_OK);
    char *md = read_text("report.md");
    assert_non_null(strstr(md, "gnuplot failed on"));
    assert_non_null(strstr(md, "no terminal like that"));
    eq_free(md);
    eq_str_clear(&own);
}

static void rows_of_different_machines_are_marked(void **state)
{
    struct eq_err err;
    struct cJSON *row = cJSON_CreateObject();
    (void)state;
    put_run();
    cJSON_AddStringToObject(row, "model", "PTQ");
    cJSON_AddStringToObject(row, "precision", "INT8");
    cJSON_AddNumberToObject(row, "threads", 1);
    cJSON_AddNumberToObject(row, "clips", 99);
    assert_int_equal(eq_results_put_model(dir, row, &err), EQ_OK);
    assert_int_equal(eq_run_report(dir, &err), EQ_OK);
    char *md = read_text("report.md");
    assert_non_null(strstr(md, "their latencies can't be compared"));
    assert_non_null(strstr(md, "different numbers of clips"));
    eq_free(md);
}

/* ---- the run directory --------------------------------------------------- */

static const struct eq_dataset no_data;

static void settings_for_dir(struct eq_settings *s)
{
    struct eq_err err;
    assert_int_equal(eq_settings_init(s, &err), EQ_OK);
    assert_int_equal(eq_settings_set(s, "run.dir", dir, "--run", &err), EQ_OK);
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
    assert_non_null(strstr(err.msg, "--force"));
    change(&s, "ptq.observer", "minmax");
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
        assert_non_null(strstr(err.msg, "is no run directory"));
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
    change(&s, "train.lr", "0.001");
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
    static const char *const pairs[][2] = {{"fp32", "FP32"}, {"fp32_plus", "FP32+"}, {"ptq-4.bit", "PTQ-4.BIT"}};
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
        assert_int_equal(strspn(m->color, "0123456789abcdef"), 6);
        assert_int_equal(strlen(m->color), 6);
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
    struct cJSON *row = cJSON_CreateObject(), *none;
    cJSON_AddStringToObject(row, "model", "PTQ");
    put_loop("results.json");
    assert_cannot_tell(eq_results_put_model(dir, row, e), "results.json");
    assert_cannot_tell(eq_results_put(dir, "skipped", cJSON_CreateArray(), e), "results.json");
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
    (void)state;
    settings_for_dir(&s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(eq_run_enter(&s, &no_data, EQ_PHASE_EVAL, false, &err), EQ_OK);
        put_loop(cases[i].file);
        assert_cannot_tell(eq_run_enter(&s, &no_data, cases[i].phase, cases[i].force, e), cases[i].file);
        assert_true(is_loop(cases[i].file));
        remove_loop(cases[i].file);
    }
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
    static const char *const files[] = {"config.json", "sensitivity.json", "history/fp32.csv", "predictions/ptq.csv"};
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rows_stand_in_the_order_of_the_table),
        TEST(other_keys_survive_a_row),
        TEST(a_strange_results_file_is_refused_and_kept),
        TEST(no_results_is_said),
        TEST(the_table_has_its_columns_and_figures),
        TEST(the_report_is_one_file_with_everything),
        TEST(the_control_is_reported_beside_qat),
        TEST(a_missing_gnuplot_is_said),
        TEST(a_failing_gnuplot_is_quoted),
        TEST(rows_of_different_machines_are_marked),
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
        TEST(rows_and_files_name_each_other),
        TEST(a_row_of_the_table_of_models_is_whole),
        TEST(bf16_is_a_row_of_the_baseline),
        TEST(qat_and_its_control_share_their_settings),
    };
    return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
