/* The table and the report. */
#include "run_fixture.h"

#include "report/report.h"

#include <sys/stat.h>

/* ---- the table ----------------------------------------------------------- */

static void the_table_has_its_columns_and_figures(void **state)
{
    struct eq_err err;
    struct eq_str table = {0};
    (void)state;
    put_experiment();
    assert_int_equal(eq_run_table(dir, 0, &table, &err), EQ_OK);
    char cells[8][20][40];
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
        assert_int_equal(column, 17);
        p += *p == '\n';
    }
    assert_int_equal(row, 6); /* header, rule, four models */
    static const char *const first[] = {"Model", "Precision", "Size(MB)", "MAE", "Latency CPU(ms)", "Latency GPU(ms)"};
    for (int c = 0; c < 6; c++)
        assert_string_equal(cells[0][c], first[c]);
    static const char *const ptq[] = {"PTQ", "INT8", "11.20", "5.50", "50.0", "-",     "6.88",  "0.500", "-",
                                      "-",   "-",    "51.0",  "49.0", "-",    "+0.50", "2.00x", "4.00x"};
    for (int c = 0; c < 17; c++)
        assert_string_equal(cells[3][c], ptq[c]);
    static const char *const median[] = {"Median", "-", "-", "10.00", "-", "-",     "12.50", "0.500", "-",
                                         "-",      "-", "-", "-",     "-", "+5.00", "-",     "-"};
    for (int c = 0; c < 17; c++)
        assert_string_equal(cells[5][c], median[c]);
    assert_string_equal(cells[2][14], "-"); /* FP32 against itself */
    eq_str_clear(&table);
}

/* A narrow terminal gets the same cells in several tables, each of which names the models. */
static void a_wide_table_becomes_several(void **state)
{
    struct eq_err err;
    struct eq_str table = {0};
    (void)state;
    put_experiment();
    for (int columns = 40; columns <= 120; columns += 40) {
        assert_int_equal(eq_run_table(dir, columns, &table, &err), EQ_OK);
        int tables = 0, cells = 0;
        for (const char *p = table.s; *p; p += *p == '\n') {
            size_t len = strcspn(p, "\n");
            assert_true(len <= (size_t)columns);
            tables += strncmp(p, "| Model", 7) == 0;
            for (size_t i = 1; strncmp(p, "| PTQ", 5) == 0 && i < len; i++)
                cells += p[i] == '|';
            p += len;
        }
        assert_int_equal(tables, columns == 40 ? 8 : columns == 80 ? 3 : 2);
        assert_int_equal(cells, 16 + tables);
        assert_non_null(strstr(table.s, "2.00x"));
        eq_str_clear(&table);
    }
}

/* ---- the report ---------------------------------------------------------- */

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
    static const char *const files[] = {
        "history_fp32",  "scatter_fp32",  "scatter_ptq",        "scatter_qat",        "errors",     "agreement_fp32",
        "agreement_ptq", "agreement_qat", "agreement_ptq_fp32", "agreement_qat_fp32", "roc_35",     "roc_40",
        "roc_45",        "roc_50",        "front_latency",      "front_size",         "differences"};
    size_t n = sizeof files / sizeof *files;
    assert_int_equal(count(html, "<svg "), n);
    assert_int_equal(count(html, "role=\"img\" aria-label=\""), n);
    assert_int_equal(count(md, "!["), n);
    for (size_t i = 0; i < n; i++) {
        char name[64];
        for (int e = 0; e < 3; e++) {
            snprintf(name, sizeof name, "plots/%s.%s", files[i], e == 0 ? "svg" : e == 1 ? "gp" : "csv");
            if (!there(name))
                fail_msg("%s is missing", name);
        }
    }
    assert_null(strstr(md, "no picture"));
    /* both papers, by the reader's setting, and ids that no two pictures share */
    assert_non_null(strstr(html, "@media screen and (prefers-color-scheme:dark){:root{--paper:#"));
    assert_int_equal(count(html, "id=\"p1-gpPt6\""), 1);
    assert_int_equal(count(html, "id=\"p2-gpPt6\""), 1);
    assert_null(strstr(html, "id=\"gpPt6\""));
    assert_non_null(strstr(html, "<title>clip0: true 20.0 %, predicted 22.0 %</title>"));
    /* nothing is fetched from elsewhere, nothing is run, and what comes from data is shown as text */
    assert_null(strstr(html, "http:"));
    assert_null(strstr(html, "https:"));
    assert_int_equal(count(html, "<script"), 1); /* the page's own, which the policy names */
    assert_non_null(strstr(html, "default-src 'none'"));
    assert_null(strstr(html, "<b>&\"clip"));
    assert_non_null(strstr(html, "&lt;b&gt;&amp;&quot;clip&quot;"));
    assert_non_null(strstr(html, "1 damaged clip used"));
    assert_non_null(strstr(md, "1 damaged clip used"));
    assert_non_null(strstr(md, "the file is cut off"));
    assert_non_null(strstr(html, "<td>44.80</td>"));
    assert_non_null(strstr(html, "The file is 25 % of the size, and inference is 2.00 times as fast."));
    assert_non_null(strstr(md, "50 % lower than always predicting the training median, "));
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
    assert_non_null(strstr(md, "QAT against its control FP32+"));
    assert_non_null(strstr(md, "MAE 5.12 against 4.88 EF points (+0.25)"));
    assert_true(there("plots/scatter_fp32_plus.csv") && there("plots/history_fp32_plus.csv"));
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
    assert_int_equal(count(html, "<svg "), 0);
    assert_non_null(strstr(html, "<p class=\"note\">The report has no pictures: gnuplot is not installed"));
    assert_non_null(strstr(md, "> The report has no pictures: gnuplot is not installed"));
    assert_true(there("plots/scatter_fp32.gp") && there("plots/scatter_fp32.csv"));
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
    struct eq_results r;
    struct eq_result row = eq_result_of(NULL);
    (void)state;
    put_run();
    row.model = "PTQ";
    row.precision = "INT8";
    row.threads = 1;
    row.clips = 99;
    assert_int_equal(eq_results_open(dir, &r, &err), EQ_OK);
    eq_results_put(&r, &row);
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
    assert_int_equal(eq_run_report(dir, &err), EQ_OK);
    char *md = read_text("report.md");
    assert_non_null(strstr(md, "Their latencies cannot be compared"));
    assert_non_null(strstr(md, "different numbers of clips"));
    eq_free(md);
}

/* ---- what is said of the figures ----------------------------------------- */

/* Changes fields of a row. */
static void change_row(const char *model, void (*change)(struct eq_result *row))
{
    struct eq_err err;
    struct eq_results r;
    assert_int_equal(eq_results_open(dir, &r, &err), EQ_OK);
    struct eq_result row = *eq_results_find(&r, model);
    change(&row);
    eq_results_put(&r, &row);
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
}

static void set_fp32(struct eq_result *row)
{
    row->file = "fp32.safetensors", row->bias = -0.25, row->val_mae = 2.94, row->val_bias = 0.1, row->val_clips = 50;
}

static void set_ptq(struct eq_result *row)
{
    row->file = "ptq.safetensors", row->bias = -0.21, row->val_mae = 2.91, row->val_bias = 0.1, row->val_clips = 50;
}

static void set_qat(struct eq_result *row)
{
    row->file = "qat.safetensors", row->bias = -2.24, row->val_mae = 3.53, row->val_bias = -2.27, row->val_clips = 50;
}

static void make_report(char **md, char **html);

/* QAT is best on the test clips, PTQ on the validation clips, which alone may choose; QAT's shift is told. */
static void validation_chooses_and_a_bias_is_told(void **state)
{
    char *md, *html;
    (void)state;
    put_run();
    change_row("FP32", set_fp32);
    change_row("PTQ", set_ptq);
    change_row("QAT", set_qat);
    make_report(&md, &html);
    assert_non_null(strstr(md, "INT8 file to ship: ptq.safetensors. It has the lowest MAE on the 50 validation clips "
                               "(PTQ 2.91, QAT 3.53; FP32 2.94)."));
    assert_non_null(strstr(html, "INT8 file to ship: ptq.safetensors"));
    assert_non_null(strstr(md, "It moves the mean prediction by -1.99 EF points: its bias is -2.24, FP32's is -0.25"));
    assert_int_equal(count(md, "It moves the mean prediction"), 1);
    assert_non_null(strstr(md, "Val MAE"));
    assert_non_null(strstr(md, "| -2.24 |"));
    assert_null(strstr(md, "has not learned"));
    assert_null(strstr(md, "Quantization breaks"));
    eq_free(md);
    eq_free(html);
}

/* A run of version 0.1.0 has none of it. */
static void nothing_is_chosen_without_validation(void **state)
{
    char *md, *html;
    (void)state;
    put_run();
    make_report(&md, &html);
    assert_null(strstr(md, "INT8 file to ship"));
    assert_null(strstr(md, "mean prediction"));
    assert_null(strstr(md, "disturbed"));
    assert_non_null(strstr(md, "2.00 times as fast"));
    eq_free(md);
    eq_free(html);
}

static void set_useless(struct eq_result *row)
{
    row->mae = 10;
}

static void set_broken(struct eq_result *row)
{
    row->mae = 12.5;
}

/* Above the table in both forms. */
static void a_baseline_that_has_not_learned_is_told(void **state)
{
    char *md, *html;
    (void)state;
    put_run();
    change_row("FP32", set_useless);
    change_row("PTQ", set_broken);
    make_report(&md, &html);
    const char *told = strstr(md, "> The baseline has not learned to predict the EF");
    assert_true(told && told < strstr(md, "| Model"));
    told = strstr(html, "The baseline has not learned");
    assert_true(told && told < strstr(html, "<table"));
    assert_non_null(strstr(md, "Quantization breaks PTQ: its MAE is 2.50 EF points above FP32's"));
    eq_free(md);
    eq_free(html);
}

static struct cJSON *devices; /* of the row that was changed last */

/* A row with a GPU and with OpenCL on a CPU. */
static void set_devices(struct eq_result *row)
{
    cJSON_Delete(devices);
    row->devices = devices = cJSON_Parse(
        "{\"opencl:0\": {\"name\": \"cpu-haswell\", \"driver\": \"PoCL 3.1\", \"gpu\": false, "
        "\"integer_path\": \"plain\", \"clips\": 4, \"largest_difference\": 0, \"latency_ms\": {\"min\": 70, "
        "\"median\": 75.5, \"p90\": 80, \"p95\": 81, \"p99\": 82, \"repeats\": 3, \"samples\": [70, 75.5, 82]}}, "
        "\"cuda:0\": {\"name\": \"GPU of a test\", \"driver\": \"1\", \"gpu\": true, \"integer_path\": "
        "\"mma.m16n8k32\", \"clips\": 4, \"largest_difference\": 0, \"latency_ms\": {\"min\": 0.2, \"median\": 0.25, "
        "\"p90\": 0.3, \"p95\": 0.31, \"p99\": 0.32, \"repeats\": 3, \"samples\": [0.2, 0.25, 0.32]}, \"parts_ms\": "
        "{\"upload\": 0.041, \"compute\": 0.17, \"download\": 0.011}, \"memory_bytes\": 52300000}}");
}

static void set_refused(struct eq_result *row)
{
    cJSON_Delete(devices);
    row->devices = devices = cJSON_Parse("{\"cuda:0\": {\"gpu\": true, \"why\": \"its scales are too small\"}}");
}

/* The GPU has its column, another device one with its id, and all of it is in the table of latencies. */
static void devices_stand_beside_the_cpu(void **state)
{
    static const char *const parts[] = {"0.0410", "0.170", "0.0110", "52.3"};
    char *md, *html;
    (void)state;
    put_run();
    change_row("PTQ", set_devices);
    change_row("QAT", set_refused);
    make_report(&md, &html);
    assert_non_null(strstr(md, "| Latency CPU(ms) | Latency GPU(ms) | Latency opencl:0(ms) |"));
    assert_non_null(strstr(md, "|           0.250 |                 75.5 |"));
    assert_non_null(strstr(html, "Latency opencl:0(ms)"));
    assert_null(strstr(html, "There is no latency on a GPU"));
    const char *section = strstr(html, "On a GPU or another device");
    assert_non_null(section);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_non_null(strstr(section, parts[i]));
    assert_non_null(strstr(html, "QAT was not measured on cuda:0: its scales are too small."));
    assert_non_null(strstr(html, "Device opencl:0: cpu-haswell (no GPU), PoCL 3.1, INT8 by plain"));
    assert_non_null(strstr(html, "Device cuda:0: GPU of a test (a GPU), 1, INT8 by mma.m16n8k32"));
    eq_free(md);
    eq_free(html);
    if (have_gnuplot()) {
        struct eq_err err;
        assert_int_equal(eq_run_report(dir, &err), EQ_OK);
        html = read_text("report.html");
        assert_non_null(strstr(html, "PTQ on cuda:0: median 0.25 ms"));
        eq_free(html);
    }
    cJSON_Delete(devices);
    devices = NULL;
}

static void note_no_gpu(void)
{
    struct eq_err err;
    struct eq_results r;
    assert_int_equal(eq_results_read(dir, &r, &err), EQ_OK);
    r.environment.gpu = "none found (libOpenCL.so.1: no platform)";
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
}

static void a_missing_gpu_is_a_dash_and_a_reason(void **state)
{
    char *md, *html;
    (void)state;
    put_run();
    make_report(&md, &html);
    assert_null(strstr(md, "no latency on a GPU")); /* results of a version without devices */
    eq_free(md);
    eq_free(html);
    note_no_gpu();
    make_report(&md, &html);
    assert_non_null(strstr(md, "There is no latency on a GPU: none found (libOpenCL.so.1: no platform)."));
    assert_non_null(strstr(html, "GPU: none found (libOpenCL.so.1: no platform)"));
    assert_null(strstr(html, "On a GPU or another device"));
    eq_free(md);
    eq_free(html);
}

static void set_slow(struct eq_result *row)
{
    row->latency = (struct eq_result_latency){.min = 49,
                                              .median = 60,
                                              .p90 = NAN,
                                              .p95 = 349.8,
                                              .p99 = NAN,
                                              .repeats = 30,
                                              .low = 50,
                                              .high = 101,
                                              .waited = 0.003};
}

static void set_calm(struct eq_result *row)
{
    row->latency = (struct eq_result_latency){.min = 98,
                                              .median = 100,
                                              .p90 = NAN,
                                              .p95 = 102,
                                              .p99 = NAN,
                                              .repeats = 30,
                                              .low = 99,
                                              .high = 101,
                                              .waited = 0.003};
    row->timed = "2026-01-01T00:00:00Z";
}

static void set_fast(struct eq_result *row)
{
    row->latency = (struct eq_result_latency){.min = 0.016,
                                              .median = 0.0171234,
                                              .p90 = NAN,
                                              .p95 = 0.018,
                                              .p99 = NAN,
                                              .repeats = 30,
                                              .low = 0.0169,
                                              .high = 0.0172,
                                              .waited = 0.003};
    row->timed = "2026-01-01T00:00:00Z";
}

static void set_stopped(struct eq_result *row)
{
    row->latency = (struct eq_result_latency){.min = 48,
                                              .median = 50,
                                              .p90 = NAN,
                                              .p95 = 52,
                                              .p99 = NAN,
                                              .repeats = 30,
                                              .low = 49,
                                              .high = 51,
                                              .waited = 0.4};
    row->timed = "2026-01-01T00:10:00Z";
}

static void timings_are_protected(void **state)
{
    char *md, *html;
    (void)state;
    put_run();
    change_row("FP32", set_calm);
    change_row("PTQ", set_slow);
    change_row("QAT", set_fast);
    make_report(&md, &html);
    assert_non_null(strstr(md, "not measurable |")); /* PTQ's interval reaches FP32's */
    assert_non_null(strstr(md, "difference in the speed of inference is not measurable."));
    assert_non_null(strstr(md, "disturbed, probably by other programs: PTQ (95th percentile 5.83 times the median)."));
    assert_non_null(strstr(md, " 0.0171 |"));
    assert_non_null(strstr(md, " 5840x |"));
    assert_null(strstr(md, "0.00x"));
    assert_null(strstr(md, "not timed at the same time"));
    eq_free(md);
    eq_free(html);
    change_row("PTQ", set_stopped);
    make_report(&md, &html);
    assert_non_null(strstr(md, "PTQ (waited for a CPU for 40 % of the time)"));
    assert_non_null(strstr(md, "Some models were not timed together"));
    assert_non_null(strstr(md, "not measurable |"));
    eq_free(md);
    eq_free(html);
}

/* ---- no caps ------------------------------------------------------------- */

/* Without gnuplot, which has no part in it. */
static void make_report(char **md, char **html)
{
    struct eq_err err;
    char *path = eq_strdup(getenv("PATH"));
    setenv("PATH", dir, 1);
    enum eq_status st = eq_run_report(dir, &err);
    setenv("PATH", path, 1);
    free(path);
    if (st != EQ_OK)
        fail_msg("%s", err.msg);
    *md = read_text("report.md");
    *html = read_text("report.html");
}

static void twenty_models_are_all_in_the_report(void **state)
{
    char name[64], what[128], *md, *html;
    (void)state;
    put_run();
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "Mine%d", i);
        put_row(name, "INT8", 7 + i, 11, 30);
        put_predictions(name, i);
    }
    make_report(&md, &html);
    for (int i = 0; i < 20; i++) {
        snprintf(what, sizeof what, "\n| Mine%d ", i);
        assert_non_null(strstr(md, what));
        snprintf(what, sizeof what, "\n- Mine%d: MAE %d.00 EF points, FP32 ", i, 7 + i);
        assert_non_null(strstr(md, what));
        snprintf(what, sizeof what, "<li>Mine%d: MAE", i);
        assert_non_null(strstr(html, what));
        snprintf(what, sizeof what, "plots/scatter_Mine%d.gp", i);
        assert_true(there(what));
    }
    eq_free(md);
    eq_free(html);
}

static void twenty_pictures_are_all_in_the_report(void **state)
{
    struct eq_report report = {.run_dir = dir};
    struct eq_str md = {0}, html = {0};
    struct eq_err err;
    char name[64];
    size_t n;
    (void)state;
    eq_results_init(&report.results);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%d", i);
        struct eq_picture *p = eq_picture_add(&report.pictures, "scatter", name, 100, 100);
        eq_str_add(&p->title, "picture %d", i);
        eq_str_add(&p->caption, "caption %d", i);
        p->drawn = true;
        snprintf(name, sizeof name, "plots/scatter_%d.svg", i);
        write_file(name, "<svg viewBox='0 0 100 100'></svg>");
    }
    struct eq_section *sections = eq_report_sections(&report, &n);
    eq_report_markdown(sections, n, &md);
    assert_int_equal(eq_report_html(dir, sections, n, &html, &err), EQ_OK);
    assert_int_equal(count(md.s, "![picture "), 20);
    assert_int_equal(count(html.s, "<svg "), 20);
    assert_non_null(strstr(md.s, "![picture 19](plots/scatter_19.svg)\n\ncaption 19\n"));
    for (size_t i = 0; i < n; i++)
        eq_section_clear(&sections[i]);
    free(sections);
    eq_report_clear(&report);
    eq_str_clear(&md);
    eq_str_clear(&html);
}

/* A table of 30 columns, cells of 300 letters and 40 rows, and 40 sentences: in a section that no file of src knows. */
static void a_section_of_any_size_shows_up_in_both_forms(void **state)
{
    struct eq_err err;
    struct eq_report report = {.run_dir = dir};
    struct eq_str md = {0}, html = {0};
    const char *header[31] = {0};
    char names[30][16], cell[301];
    size_t n;
    (void)state;
    put_run();
    assert_int_equal(eq_results_read(dir, &report.results, &err), EQ_OK);
    struct eq_section *sections = eq_report_sections(&report, &n);
    sections = eq_list_grow(sections, n, sizeof *sections);
    struct eq_section *s = &sections[n++];
    s->id = "mine";
    s->place = 25; /* after the seeds */
    s->line_style = EQ_LINE_ITEM;
    eq_str_add(&s->title, "Mine & <yours>");
    for (int i = 0; i < 40; i++)
        eq_texts_add(&s->lines, "sentence %d.", i);
    for (int c = 0; c < 30; c++) {
        snprintf(names[c], sizeof names[c], "column %d", c);
        header[c] = names[c];
    }
    memset(cell, 'x', 300);
    cell[300] = '\0';
    struct eq_table *t = eq_section_table(s);
    eq_table_begin(t, header, 1);
    for (int i = 0; i < 40 * 30; i++)
        eq_texts_add(&t->cells, "%s%d", cell, i);
    eq_texts_add(&eq_section_table(s)->cells, "a|b"); /* a second table, whose one cell has a bar */
    s->tables[1].columns = 1;
    eq_str_add(&s->note, "how to read it");
    eq_report_markdown(sections, n, &md);
    assert_int_equal(eq_report_html(dir, sections, n, &html, &err), EQ_OK);
    assert_int_equal(count(md.s, "\n- sentence "), 40);
    assert_int_equal(count(html.s, "<li>sentence "), 40);
    assert_int_equal(count(md.s, cell), 1200);
    assert_int_equal(count(html.s, cell), 1200);
    assert_non_null(strstr(md.s, "column 29"));
    assert_non_null(strstr(html.s, "<th scope=\"col\">column 29</th>"));
    assert_non_null(strstr(md.s, "| a\\|b |"));
    assert_non_null(strstr(html.s, "<th scope=\"col\">a|b</th>"));
    assert_non_null(strstr(html.s, "<h2>Mine &amp; &lt;yours&gt;</h2>"));
    assert_non_null(strstr(html.s, "<p class=\"lead\">how to read it</p>"));
    /* in its place: after the table of results, before the findings */
    const char *mine = strstr(md.s, "\n\n## Mine & <yours>\n\n- sentence 0.\n");
    assert_non_null(mine);
    assert_true(strstr(md.s, "| Median ") < mine && mine < strstr(md.s, "\n- PTQ: MAE"));
    for (size_t i = 0; i < n; i++)
        eq_section_clear(&sections[i]);
    free(sections);
    eq_report_clear(&report);
    eq_str_clear(&md);
    eq_str_clear(&html);
}

/* A foreign or damaged results.json may give any two numbers, and so any ratio. */
static void every_ratio_can_be_printed(void **state)
{
    (void)state;
    const double values[] = {INFINITY, 1e300, 1e15, 123456, 5.8349, 0.012345, 5e-324, 0};
    const char *texts[] = {"inf x", "1e+300 x", "1e+15 x", "123456 x", "5.83 x", "0.0123 x", "0.000000 x", "0.00 x"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct eq_str out = {0};
        eq_report_significant(values[i], " x", &out);
        assert_string_equal(out.s, texts[i]);
        eq_str_clear(&out);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_table_has_its_columns_and_figures),
        TEST(a_wide_table_becomes_several),
        TEST(the_report_is_one_file_with_everything),
        TEST(the_control_is_reported_beside_qat),
        TEST(a_missing_gnuplot_is_said),
        TEST(a_failing_gnuplot_is_quoted),
        TEST(rows_of_different_machines_are_marked),
        TEST(validation_chooses_and_a_bias_is_told),
        TEST(nothing_is_chosen_without_validation),
        TEST(a_baseline_that_has_not_learned_is_told),
        TEST(devices_stand_beside_the_cpu),
        TEST(a_missing_gpu_is_a_dash_and_a_reason),
        TEST(timings_are_protected),
        cmocka_unit_test(every_ratio_can_be_printed),
        TEST(twenty_models_are_all_in_the_report),
        TEST(twenty_pictures_are_all_in_the_report),
        TEST(a_section_of_any_size_shows_up_in_both_forms),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
