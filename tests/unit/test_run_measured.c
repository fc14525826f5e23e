/* What phases measure beside their models, in the report: parts of the error, layers in FP32, ranges, labels,
 * latency. */
#include "run_fixture.h"

#include "report/report.h"

#include <stdlib.h>

#define PART(rms, mae) "{\"rms_from_fp32\": " rms ", \"mae_change\": " mae "}"
#define PARTS                                                                                                          \
    "\"parts\": {\"weights\": " PART("0.125", "-0.01") ", \"activations\": " PART("0.25", "0.02") ", \"both\": " PART( \
        "0.3", "0.03") "}"
#define HEAD                                                                                                           \
    "{\"format\": \"echoquant-quantization-1\", \"model\": \"ptq\", \"split\": \"VAL\", \"clips\": 16, \"mae_fp32\": " \
    "3, "
#define EDGE(name, high)                                                                                               \
    "{\"edge\": \"" name "\", \"low\": 0, \"high\": " high ", \"min\": 0, \"max\": 10, \"clipped\": 0.0025, "          \
    "\"counts\": [90, 7, 2, 0, 1]}"
#define EDGES "\"edges\": [" EDGE("conv1", "8") ", " EDGE("layer1.0.conv1", "12.5") "]"
#define LAYERS                                                                                                         \
    "\"layers\": [{\"layer\": \"conv1\", \"fp32\": false, \"rms_from_fp32\": 0.2, \"mae_change\": 0.01, \"int8_ms\": " \
    "1, "                                                                                                              \
    "\"fp32_ms\": 3, \"cost_ms\": 2}, {\"layer\": \"layer1.0.conv1\", \"fp32\": false, \"rms_from_fp32\": 0.31, "      \
    "\"mae_change\": 0.03, \"int8_ms\": 0.5, \"fp32_ms\": 1.5, \"cost_ms\": 1}, {\"layer\": \"fc\", \"fp32\": true, "  \
    "\"fp32_ms\": 0.1}], \"int8_ms\": 8"
#define TRY(layer, to, kept, mae, size, ms, chosen)                                                                    \
    "{\"layer\": \"" layer "\", \"to\": \"" to "\", \"keep_fp32\": \"" kept "\", \"mae\": " mae ", \"size_mb\": " size \
    ", \"latency_ms\": " ms ", \"chosen\": " chosen "}"
#define TRIES                                                                                                          \
    "\"isa\": \"avx2\", \"tries\": {\"threads\": 2, \"cpu\": \"a CPU\", \"calls\": 9, \"clips\": 50, \"list\": [" TRY( \
        "all", "INT8", "", "6.5", "11", "45", "false") ", " TRY("conv1", "FP32", "conv1", "5.5", "11.25", "48",        \
                                                                "true") ", " TRY("fc", "FP32", "conv1,fc", "5.75",     \
                                                                                 "12", "60", "false") "]}"
static const char ptq[] = HEAD PARTS ", " EDGES ", " LAYERS ", " TRIES "}";
static const char qat[] = HEAD PARTS ", " EDGES "}";

static char *report_of_run(void)
{
    struct eq_err err;
    if (eq_run_report(dir, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    return read_text("report.md");
}

static void assert_row(const char *md, const char *title, const char *cells)
{
    const char *section = strstr(md, title);
    if (!section)
        fail_msg("no section %s", title);
    struct eq_str squeezed = {0}; /* columns are padded */
    for (const char *p = section; *p; p++)
        if (!(*p == ' ' && p[1] == ' '))
            eq_str_add_bytes(&squeezed, p, 1);
    if (!strstr(squeezed.s, cells))
        fail_msg("%s: no row %s in\n%.1500s", title, cells, squeezed.s);
    eq_str_clear(&squeezed);
}

static const char *const titles[] = {"Latency and memory",           "Error of weights and of activations",
                                     "Layers: time and sensitivity", "Each layer of PTQ in FP32",
                                     "Ranges of the edges",          "True EF of the clips"};

static void an_older_run_has_none_of_it(void **state)
{
    (void)state;
    put_run();
    char *md = report_of_run();
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (strstr(md, titles[i]))
            fail_msg("there is a section %s", titles[i]);
    eq_free(md);
}

static void the_parts_and_layers_of_a_model(void **state)
{
    (void)state;
    put_run();
    write_file("quantization/ptq.json", ptq);
    write_file("quantization/qat.json", qat);
    char *md = report_of_run(), *html = read_text("report.html");
    assert_row(md, titles[1], "| PTQ | 0.125 | -0.010 | 0.250 | +0.020 | 0.300 | +0.030 |");
    assert_row(md, titles[1], "| QAT | 0.125 | -0.010 | 0.250 | +0.020 | 0.300 | +0.030 |");
    assert_non_null(strstr(md, "PTQ: rounding the activations alone moves the EF more than rounding the weights alone "
                               "(RMS 0.250 against 0.125 EF points)."));
    assert_non_null(strstr(md, "on 16 clips of the VAL split"));
    assert_non_null(strstr(md, "conv1 gains most in FP32: the RMS of the EF's distance from FP32 falls by 0.100 from "
                               "0.300 EF points, and a clip takes +2.00 ms, 25 % of INT8's 8.00 ms"));
    assert_row(md, titles[3], "| conv1 | 1.000 | 3.000 | +2.000 | +25.0 | 0.200 | +0.100 | +0.010 |");
    assert_row(md, titles[3], "| layer1.0.conv1 | 0.500 | 1.500 | +1.000 | +12.5 | 0.310 | -0.010 | +0.030 |");
    assert_row(md, titles[3], "| fc (FP32) | - | 0.100 | - | - | - | - | - |");
    assert_row(md, titles[4], "| PTQ | conv1 | 0 | 8 | 0 | 10 | 125 | 0.2500 |");
    assert_row(md, titles[4], "| QAT | layer1.0.conv1 | 0 | 12.5 | 0 | 10 | 80 | 0.2500 |");
    assert_non_null(strstr(html, "Each layer of PTQ in FP32"));
    assert_true(there("plots/ranges_ptq.csv") && there("plots/ranges_qat.gp") && there("plots/layer_costs.csv"));
    char *csv = read_text("plots/ranges_ptq.csv"), *costs = read_text("plots/layer_costs.csv");
    assert_non_null(strstr(csv, "edge,from,to,count,share\nconv1,0,2,90,0.9\nconv1,2,4,7,0.07\n"));
    assert_string_equal(costs, "layer,int8_ms,fp32_ms,cost_ms,rms_from_fp32,gain\nconv1,1,3,2,0.2,0.1\n"
                               "layer1.0.conv1,0.5,1.5,1,0.31,-0.01\n");
    eq_free(csv);
    eq_free(costs);
    eq_free(md);
    eq_free(html);
}

/* What rows need so that tries compare with them: phases, validation clips, and for times the machine. */
static void put_validation(double phases, double clips, double threads)
{
    struct eq_err err;
    struct eq_results r;
    if (eq_results_open(dir, &r, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < r.n; i++) {
        r.rows[i].val_mae = r.rows[i].mae;
        r.rows[i].val_clips = clips;
        r.rows[i].phases = phases;
        r.rows[i].threads = threads;
        r.rows[i].cpu = "a CPU";
        r.rows[i].isa = "avx2";
    }
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
}

/* The chosen try is PTQ. The network all in INT8 is the smallest, so it is on that front; QAT is faster than it. */
static void tries_are_on_the_fronts(void **state)
{
    (void)state;
    put_run();
    write_file("quantization/ptq.json", ptq);
    put_validation(1, 50, 2);
    char *md = report_of_run();
    char *size = read_text("plots/front_size.csv"), *latency = read_text("plots/front_latency.csv");
    assert_string_equal(size, "model,size_mb,mae,on_front,step,keep_fp32\nfp32,44.8,5,1,-,-\nptq,11.2,5.5,0,-,-\n"
                              "qat,11.2,5.125,1,-,-\n(try),11,6.5,1,all to INT8,-\n"
                              "(try),12,5.75,0,fc to FP32,\"conv1,fc\"\n");
    assert_string_equal(latency, "model,latency_ms,mae,on_front,step,keep_fp32\nfp32,100,5,1,-,-\nptq,50,5.5,0,-,-\n"
                                 "qat,40,5.125,1,-,-\n(try),45,6.5,0,all to INT8,-\n"
                                 "(try),60,5.75,0,fc to FP32,\"conv1,fc\"\n");
    assert_non_null(strstr(md, "3 of 5 models and tries are on the front"));
    eq_free(md);
    eq_free(size);
    eq_free(latency);
}

static void tries_that_do_not_compare_are_left_out(void **state)
{
    static const struct {
        double phases, clips, threads;
        bool size, latency;
    } cases[] = {{1, 50, 2, true, true}, {4, 50, 2, false, false}, {1, 49, 2, false, false}, {1, 50, 4, true, false}};
    (void)state;
    put_run();
    write_file("quantization/ptq.json", ptq);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_validation(cases[i].phases, cases[i].clips, cases[i].threads);
        eq_free(report_of_run());
        char *size = read_text("plots/front_size.csv"), *latency = read_text("plots/front_latency.csv");
        assert_int_equal(strstr(size, "(try)") != NULL, cases[i].size);
        assert_int_equal(strstr(latency, "(try)") != NULL, cases[i].latency);
        eq_free(size);
        eq_free(latency);
    }
}

static void damage_is_named_by_its_key(void **state)
{
    static const struct {
        const char *from, *to, *named;
    } cases[] = {
        {"echoquant-quantization-1", "echoquant-quantization-0", "is not a file of this program"},
        {"\"clips\": 16", "\"clips\": \"16\"", "clips is missing or not a number"},
        {"\"weights\"", "\"weigths\"", "parts.weights.rms_from_fp32 is missing"},
        {"\"mae_change\": 0.02", "\"mae_change\": null", "parts.activations.mae_change is missing"},
        {"\"edges\"", "\"edge\"", "edges is missing or not a list"},
        {"\"edge\": \"conv1\"", "\"edge\": \"it's\"", "edges[0].edge"},
        {"\"high\": 12.5", "\"high\": 0", "edges[1].high"},
        {"\"high\": 12.5", "\"high\": 1e300", "edges[1].high"},
        {"\"max\": 10", "\"max\": -1", "edges[0].max"},
        {"\"counts\": [90", "\"counts\": [-90", "edges[0].counts"},
        {"[90, 7, 2, 0, 1]", "[]", "edges[0].counts"},
        {"\"layer\": \"fc\"", "\"layer\": \"\"", "layers[2].layer"},
        {"\"cost_ms\": 1", "\"cost_ms\": \"1\"", "layers[1].cost_ms"},
        {"\"calls\": 9, ", "", "tries.calls is missing or not a number"},
        {"\"list\"", "\"lists\"", "list is missing or not a list"},
        {"\"layer\": \"all\"", "\"layer\": \"it's\"", "list[0].layer"},
        {"\"to\": \"INT8\"", "\"to\": \"INT9\"", "list[0].to"},
        {"conv1,fc", "conv1,,fc", "list[2].keep_fp32"},
        {"\"mae\": 5.75", "\"mae\": null", "list[2].mae"},
        {"\"size_mb\": 12", "\"size_mb\": -12", "list[2].size_mb"},
        {"\"latency_ms\": 60", "\"latency_ms\": 1e12", "list[2].latency_ms"},
        {"\"chosen\": true", "\"chosen\": 1", "list[1].chosen"},
        {"\"clips\"", "clips", "quantization/ptq.json"},
    };
    (void)state;
    put_run();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eq_err err;
        const char *at = strstr(ptq, cases[i].from);
        assert_non_null(at);
        char *text = eq_format("%.*s%s%s", (int)(at - ptq), ptq, cases[i].to, at + strlen(cases[i].from));
        write_file("quantization/ptq.json", text);
        assert_int_equal(eq_run_report(dir, &err), EQ_FORMAT);
        if (!strstr(err.msg, "quantization/ptq.json") || !strstr(err.msg, cases[i].named))
            fail_msg("\"%s\" does not name %s", err.msg, cases[i].named);
        free(text);
    }
}

static void the_labels_are_those_of_data_csv(void **state)
{
    struct eq_err err;
    struct eq_results r;
    static const char list[] = "FileName,Split,EF,Bytes\na,TRAIN,20,1\nb,TRAIN,40,1\nc,TRAIN,41,1\nd,TRAIN,59,1\n"
                               "e,VAL,55,1\nf,TEST,64.5,1\ng,TEST,30.5,1\n";
    char digest[EQ_SHA256_TEXT];
    (void)state;
    put_run();
    write_file("data.csv", list);
    eq_sha256(list, strlen(list), digest);
    assert_int_equal(eq_results_open(dir, &r, &err), EQ_OK);
    r.data.digest = digest;
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
    char *md = report_of_run();
    assert_row(md, titles[5], "| TRAIN | 4 | 40.0 | 15.9 | 20.0 | 35.0 | 40.5 | 45.5 | 59.0 | 0.500 |");
    assert_row(md, titles[5], "| VAL | 1 | 55.0 | - | 55.0 | 55.0 | 55.0 | 55.0 | 55.0 | 0.000 |");
    assert_row(md, titles[5], "| TEST | 2 | 47.5 | 24.0 | 30.5 | 39.0 | 47.5 | 56.0 | 64.5 | 0.500 |");
    char *csv = read_text("plots/labels.csv");
    assert_non_null(strstr(csv, "ef_from,ef_to,TRAIN_clips,TRAIN_share,VAL_clips,VAL_share,TEST_clips,TEST_share\n"
                                "15,20,0,0,0,0,0,0\n20,25,1,0.25,0,0,0,0\n"));
    assert_non_null(strstr(csv, "\n40,45,2,0.5,0,0,0,0\n"));
    assert_non_null(strstr(csv, "\n60,65,0,0,0,0,1,0.5\n65,70,0,0,0,0,0,0\n"));
    write_file("data.csv", "FileName,Split,EF,Bytes\na,TRAIN,21,1\n");
    assert_int_equal(eq_run_report(dir, &err), EQ_FORMAT);
    assert_non_null(strstr(err.msg, "data.csv"));
    eq_free(csv);
    eq_free(md);
}

static void latency_has_percentiles_and_says_when_calls_are_few(void **state)
{
    struct eq_err err;
    struct eq_results r;
    (void)state;
    put_run();
    assert_int_equal(eq_results_open(dir, &r, &err), EQ_OK);
    for (size_t i = 0; i < r.n; i++) {
        struct eq_result *row = &r.rows[i];
        if (isnan(row->latency.median))
            continue;
        bool few = strcmp(row->model, "PTQ") == 0;
        row->latency = (struct eq_result_latency){10, 12, 14, 15, 18, few ? 99 : 100, 11.5, 12.5, 0, NULL};
        row->file_latency = (struct eq_result_latency){20, 22, 24, 25, 28.5, 100, NAN, NAN, 0, NULL};
        row->start = (struct eq_result_start){41.5, 13, 3};
        row->memory = (struct eq_result_memory){7.5e6, 158.25e6, few ? NAN : 255.5e6};
    }
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
    char *md = report_of_run();
    assert_row(md, titles[0], "| FP32 | 100 | 10.0 | 12.0 | 11.5 to 12.5 | 14.0 | 15.0 | 18.0 |");
    assert_row(md, titles[0], "| FP32 | 100 | 20.0 | 22.0 | - | 24.0 | 25.0 | 28.5 |");
    assert_row(md, titles[0], "| FP32 | 41.5 | 13.0 | 7.50 | 158.25 | 255.5 |");
    assert_row(md, titles[0], "| PTQ | 41.5 | 13.0 | 7.50 | 158.25 | - |");
    assert_non_null(strstr(md, "Too few calls for a 99th percentile; p99 is the slowest call: PTQ (99). "));
    eq_free(md);
}

static void over_seeds_the_first_one_stands_for_all(void **state)
{
    static const char row[] = "{\"format\": \"echoquant-results-1\", \"models\": [{\"model\": \"FP32\", \"mae\": 5}]}";
    struct eq_err err;
    (void)state;
    write_file("seed-3/results.json", row);
    write_file("seed-4/results.json", row);
    write_file("seed-4/quantization/ptq.json", ptq);
    assert_int_equal(eq_seeds_collect(dir, 3, 2, &err), EQ_OK);
    char *md = report_of_run();
    assert_row(md, titles[1], "| PTQ | 0.125 |");
    assert_non_null(strstr(md, "Of several seeds, this is seed 4."));
    eq_free(md);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(an_older_run_has_none_of_it),
        TEST(the_parts_and_layers_of_a_model),
        TEST(tries_are_on_the_fronts),
        TEST(tries_that_do_not_compare_are_left_out),
        TEST(damage_is_named_by_its_key),
        TEST(the_labels_are_those_of_data_csv),
        TEST(latency_has_percentiles_and_says_when_calls_are_few),
        TEST(over_seeds_the_first_one_stands_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
