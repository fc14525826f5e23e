/* What was lost and won, a line for each quantized model. */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* "Learned scales (LSQ), weights of 4 bits, 2 epochs, 0.50 of the loss by distillation." */
static void describe_qat(const struct cJSON *recipe, struct eq_str *out)
{
    bool lsq = strcmp(eq_json_text(recipe, "qat_method"), "lsq") == 0;
    double epochs = eq_json_real(recipe, "epochs"), distill = eq_json_real(recipe, "distill");
    eq_str_add(out, "%s, weights of %.0f bits, %.0f epoch%s", lsq ? "Learned scales (LSQ)" : "Straight-through (STE)",
               eq_json_real(recipe, "weight_bits"), epochs, epochs == 1 ? "" : "s");
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
    if (eq_json_text(recipe, "qat_method")[0]) {
        describe_qat(recipe, out);
        return;
    }
    eq_str_add(out, "Activations: %s on %.0f clips; weights: %.0f bits per %s, %s", eq_json_text(recipe, "observer"),
               eq_json_real(recipe, "clips"), eq_json_real(recipe, "weight_bits"),
               eq_json_flag(recipe, "per_channel") ? "channel" : "layer", eq_json_text(recipe, "weight_observer"));
    for (size_t i = 0, n = 0; i < sizeof switches / sizeof *switches; i++)
        if (eq_json_flag(recipe, switches[i].key))
            eq_str_add(out, "%s%s", n++ ? ", " : "; ", switches[i].text);
    if (cJSON_HasObjectItem(recipe, "search"))
        eq_str_add(out, "; found by search");
    if (eq_json_text(recipe, "keep_fp32")[0])
        eq_str_add(out, "; in FP32: %s", eq_json_text(recipe, "keep_fp32"));
    eq_str_add(out, ".");
}

static void find_one(const struct eq_result *row, const struct eq_result *fp32, struct eq_texts *lines)
{
    struct eq_str *out = &lines->s;
    double speed = fp32->latency.median / row->latency.median, smaller = fp32->size_mb / row->size_mb;
    eq_str_add(out, "%s: MAE %.2f against %.2f EF points (%+.2f)", row->model, row->mae, fp32->mae,
               row->mae - fp32->mae);
    if (isfinite(row->sqnr_db))
        eq_str_add(out, ", its EF off FP32's by %.2f points (rms; SQNR %.1f dB)", row->rms_from_fp32, row->sqnr_db);
    if (isfinite(smaller) && smaller != 1) /* BF16 runs the FP32 file */
        eq_str_add(out, ", the file %.2f times smaller", smaller);
    if (isfinite(speed))
        eq_str_add(out, ", %.2f times %s", speed >= 1 ? speed : 1 / speed, speed >= 1 ? "faster" : "slower");
    eq_str_add(out, row->recipe ? ". " : ".");
    if (row->recipe)
        eq_report_recipe(row->recipe, out);
    eq_texts_end(lines);
}

void eq_section_findings(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    const struct eq_result *fp32 = eq_results_find(r, eq_phase_model(EQ_PHASE_TRAIN)->row);
    const struct eq_result *median = eq_results_find(r, EQ_MEDIAN_ROW);
    const struct eq_result *qat = eq_results_find(r, eq_phase_model(EQ_PHASE_QAT)->row);
    const struct eq_result *control = eq_results_find(r, eq_phase_model(EQ_PHASE_CONTROL)->row);
    out->line_style = EQ_LINE_ITEM;
    if (!fp32)
        return;
    if (median && isfinite(fp32->mae / median->mae))
        eq_texts_add(
            &out->lines,
            "FP32: MAE %.2f EF points on %.0f test clips, %.2f of what predicting the training median (%.1f %%) gives.",
            fp32->mae, fp32->clips, fp32->mae / median->mae, median->prediction);
    for (size_t i = 0; i < r->n; i++) {
        if (&r->rows[i] != median && strcmp(r->rows[i].precision, fp32->precision) != 0)
            find_one(&r->rows[i], fp32, &out->lines);
    }
    if (qat && control) /* QAT trains on, so part of what it gains may be what training on gains. */
        eq_texts_add(&out->lines,
                     "QAT against %s, the baseline trained on like QAT but without quantization: MAE %.2f against %.2f "
                     "EF points (%+.2f).",
                     control->model, qat->mae, control->mae, qat->mae - control->mae);
}
