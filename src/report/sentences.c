/* Sentences of the report that Markdown and HTML share. */
#include "report/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

/* "Learned scales (LSQ), weights of 4 bits, 2 epochs, 0.50 of the loss by distillation." */
static void describe_qat(const struct cJSON *recipe, struct eq_str *out)
{
    bool lsq = strcmp(eq_report_text(recipe, "qat_method"), "lsq") == 0;
    double epochs = eq_report_number(recipe, "epochs"), distill = eq_report_number(recipe, "distill");
    eq_str_add(out, "%s, weights of %.0f bits, %.0f epoch%s", lsq ? "Learned scales (LSQ)" : "Straight-through (STE)",
               eq_report_number(recipe, "weight_bits"), epochs, epochs == 1 ? "" : "s");
    if (distill > 0)
        eq_str_add(out, ", %.2f of the loss by distillation", distill);
    eq_str_add(out, ".");
}

/* "Activations: hist_mse on 64 clips; weights: 4 bits per channel, mse; equalized, AdaRound." */
void eq_report_recipe(const struct cJSON *recipe, struct eq_str *out)
{
    static const struct {
        const char *key, *text;
    } switches[] = {{"reestimate_bn", "batch norm re-estimated"},
                    {"equalize", "layers equalized"},
                    {"bias_correction", "biases corrected"},
                    {"adaround", "rounded by AdaRound"}};
    if (eq_report_text(recipe, "qat_method")[0]) {
        describe_qat(recipe, out);
        return;
    }
    eq_str_add(out, "Activations: %s on %.0f clips; weights: %.0f bits per %s, %s", eq_report_text(recipe, "observer"),
               eq_report_number(recipe, "clips"), eq_report_number(recipe, "weight_bits"),
               cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(recipe, "per_channel")) ? "channel" : "layer",
               eq_report_text(recipe, "weight_observer"));
    for (size_t i = 0, n = 0; i < sizeof switches / sizeof *switches; i++)
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(recipe, switches[i].key)))
            eq_str_add(out, "%s%s", n++ ? ", " : "; ", switches[i].text);
    if (cJSON_HasObjectItem(recipe, "search"))
        eq_str_add(out, "; found by search");
    if (eq_report_text(recipe, "keep_fp32")[0])
        eq_str_add(out, "; in FP32: %s", eq_report_text(recipe, "keep_fp32"));
    eq_str_add(out, ".");
}

static void find_one(const struct cJSON *row, const struct cJSON *fp32, struct eq_str *out)
{
    double mae = eq_report_number(row, "mae"), base = eq_report_number(fp32, "mae");
    double speed = eq_report_number(fp32, "latency_ms.median") / eq_report_number(row, "latency_ms.median");
    double smaller = eq_report_number(fp32, "size_mb") / eq_report_number(row, "size_mb");
    eq_str_add(out, "%s: MAE %.2f against %.2f EF points (%+.2f)", eq_results_model_name(row), mae, base, mae - base);
    if (isfinite(eq_report_number(row, "sqnr_db")))
        eq_str_add(out, ", its EF off FP32's by %.2f points (rms; SQNR %.1f dB)",
                   eq_report_number(row, "rms_from_fp32"), eq_report_number(row, "sqnr_db"));
    if (isfinite(smaller) && smaller != 1) /* BF16 runs the FP32 file */
        eq_str_add(out, ", the file %.2f times smaller", smaller);
    if (isfinite(speed))
        eq_str_add(out, ", %.2f times %s", speed >= 1 ? speed : 1 / speed, speed >= 1 ? "faster" : "slower");
    eq_str_add(out, ".");
    const struct cJSON *recipe = cJSON_GetObjectItemCaseSensitive(row, "recipe");
    if (recipe) {
        eq_str_add(out, " ");
        eq_report_recipe(recipe, out);
    }
}

static const struct cJSON *row_of(const struct cJSON *results, enum eq_phase phase)
{
    return eq_results_find_model(results, eq_phase_model(phase)->row);
}

/* QAT trains on, so part of what it gains may be what training on gains. */
static void compare_with_control(const struct cJSON *qat, const struct cJSON *control, struct eq_str *out)
{
    double mae = eq_report_number(qat, "mae"), plus = eq_report_number(control, "mae");
    eq_str_add(out,
               "QAT against %s, the baseline trained on like QAT but without quantization: MAE %.2f against %.2f "
               "EF points (%+.2f).",
               eq_results_model_name(control), mae, plus, mae - plus);
}

void eq_report_findings(const struct eq_report *report, struct eq_str lines[], int max, int *n)
{
    const struct cJSON *models = cJSON_GetObjectItemCaseSensitive(report->results, "models"), *row;
    const struct cJSON *fp32 = row_of(report->results, EQ_PHASE_TRAIN);
    const struct cJSON *median = eq_results_find_model(report->results, EQ_MEDIAN_ROW);
    double ratio = eq_report_number(fp32, "mae") / eq_report_number(median, "mae");
    *n = 0;
    if (isfinite(ratio) && *n < max)
        eq_str_add(
            &lines[(*n)++],
            "FP32: MAE %.2f EF points on %.0f test clips, %.2f of what predicting the training median (%.1f %%) gives.",
            eq_report_number(fp32, "mae"), eq_report_number(fp32, "clips"), ratio,
            eq_report_number(median, "prediction"));
    if (!fp32)
        return;
    cJSON_ArrayForEach(row, models)
    {
        bool other = row != median && strcmp(eq_report_text(row, "precision"), eq_report_text(fp32, "precision")) != 0;
        if (other && *n < max)
            find_one(row, fp32, &lines[(*n)++]);
    }
    const struct cJSON *qat = row_of(report->results, EQ_PHASE_QAT);
    const struct cJSON *control = row_of(report->results, EQ_PHASE_CONTROL);
    if (qat && control && *n < max)
        compare_with_control(qat, control, &lines[(*n)++]);
}

/* Whether all rows that were measured agree on a key. */
static bool rows_agree(const struct cJSON *results, const char *key)
{
    const struct cJSON *row, *first = NULL;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(results, "models"))
    {
        const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
        if (value && first && !cJSON_Compare(value, first, true))
            return false;
        if (value && !first)
            first = value;
    }
    return true;
}

void eq_report_cautions(const struct eq_report *report, struct eq_str lines[], int max, int *n)
{
    const struct cJSON *data = cJSON_GetObjectItemCaseSensitive(report->results, "data");
    *n = 0;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(data, "synthetic")) && *n < max)
        eq_str_add(&lines[(*n)++], "The clips are synthetic: the errors say nothing about patients, only about what "
                                   "quantization changes.");
    if (!(rows_agree(report->results, "cpu") && rows_agree(report->results, "isa") &&
          rows_agree(report->results, "threads")) &&
        *n < max)
        eq_str_add(&lines[(*n)++], "The models were measured on different CPUs, instruction sets or numbers of threads "
                                   "(see results.json): their latencies can't be compared.");
    if (!rows_agree(report->results, "phases") && *n < max)
        eq_str_add(&lines[(*n)++], "The models' EFs are means over different numbers of phases (see results.json): "
                                   "their errors can't be compared. `run-all` evaluates all of them alike.");
    if (!rows_agree(report->results, "clips") && *n < max)
        eq_str_add(&lines[(*n)++], "The models were evaluated on different numbers of clips: their errors can't be "
                                   "compared.");
}

void eq_report_environment(const struct eq_report *report, struct eq_str *out)
{
    const struct cJSON *e = cJSON_GetObjectItemCaseSensitive(report->results, "environment");
    double threads = eq_report_number(e, "threads");
    eq_str_add(out, "%s, instruction set %s, %.0f thread%s, echoquant %s", eq_report_text(e, "cpu"),
               eq_report_text(e, "isa"), threads, threads == 1 ? "" : "s", eq_report_text(e, "version"));
}

/* Of the first row that says it; the cautions tell when others differ. */
static double phases_of(const struct cJSON *results)
{
    const struct cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(results, "models"))
    {
        double phases = eq_report_number(row, "phases");
        if (isfinite(phases))
            return phases;
    }
    return 1;
}

void eq_report_data(const struct eq_report *report, struct eq_str *out)
{
    double phases = phases_of(report->results);
    const struct cJSON *d = cJSON_GetObjectItemCaseSensitive(report->results, "data");
    eq_str_add(
        out, "%s: %.0f training, %.0f validation and %.0f test clips (split %s), %.0f left out",
        eq_report_text(d, "dir"), eq_report_number(d, "train"), eq_report_number(d, "val"), eq_report_number(d, "test"),
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(d, "split_from_file")) ? "by FileList.csv" : "drawn by file name",
        eq_report_number(d, "skipped"));
    if (phases > 1)
        eq_str_add(
            out,
            "; each EF is the mean over %.0f phases of the clip, which the latency from file to EF holds all of, "
            "the model's latency one",
            phases);
}
