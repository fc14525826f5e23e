/* Loss and gain of quantization, a line for each quantized model. */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* "Learned scales (LSQ), weights of 4 bits, 2 epochs, 0.50 of the loss by distillation." */
static void describe_qat(const struct cJSON *recipe, struct eq_str *out)
{
    bool lsq = strcmp(eq_json_text(recipe, "qat_method"), "lsq") == 0;
    double epochs = eq_json_real(recipe, "epochs"), kept = eq_json_real(recipe, "kept_epoch"),
           distill = eq_json_real(recipe, "distill");
    eq_str_add(out, "%s, weights of %.0f bits, %.0f epoch%s", lsq ? "Learned scales (LSQ)" : "Straight-through (STE)",
               eq_json_real(recipe, "weight_bits"), epochs, epochs == 1 ? "" : "s");
    if (distill > 0)
        eq_str_add(out, ", %.2f of the loss by distillation", distill);
    eq_str_add(out, ".");
    if (kept == 0)
        eq_str_add(out,
                   " No epoch was better than the start on the validation clips, so this file is the start of QAT: "
                   "the baseline, quantized.");
    else if (kept < epochs)
        eq_str_add(out, " The file is the model after epoch %.0f, the best on the validation clips.", kept);
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
    double speed = fp32->latency.median / row->latency.median, share = row->size_mb / fp32->size_mb;
    bool other_size = isfinite(share) && share != 1; /* BF16 runs the FP32 file */
    eq_str_add(out, "%s: MAE %.2f against %.2f EF points (%+.2f).", row->model, row->mae, fp32->mae,
               row->mae - fp32->mae);
    if (isfinite(row->sqnr_db))
        eq_str_add(out, " Its predictions differ from FP32's by %.2f EF points (RMS; SQNR %.1f dB).",
                   row->rms_from_fp32, row->sqnr_db);
    if (other_size)
        eq_str_add(out, " The file has %.0f %% of the size%s", 100 * share, isfinite(speed) ? ", and inference" : ".");
    else if (isfinite(speed))
        eq_str_add(out, " Inference");
    if (isfinite(speed))
        eq_str_add(out, speed >= 1 ? " is %.2f times as fast." : " takes %.2f times as long.", fmax(speed, 1 / speed));
    eq_str_add(out, row->recipe ? " " : "");
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
    double gain = median ? 1 - fp32->mae / median->mae : NAN;
    if (isfinite(gain))
        eq_texts_add(&out->lines,
                     "FP32: MAE %.2f EF points on %.0f test clips, %.0f %% %s than always predicting the training "
                     "median, %.1f %%.",
                     fp32->mae, fp32->clips, 100 * fabs(gain), gain < 0 ? "higher" : "lower", median->prediction);
    for (size_t i = 0; i < r->n; i++) {
        if (&r->rows[i] != median && strcmp(r->rows[i].precision, fp32->precision) != 0)
            find_one(&r->rows[i], fp32, &out->lines);
    }
    /* QAT also trains for more epochs. FP32+ trains as long without quantization, so the difference between the two is
     * the effect of quantization alone. */
    if (qat && control)
        eq_texts_add(
            &out->lines,
            "QAT against %s, the baseline trained for as long as QAT but without quantization: MAE %.2f against "
            "%.2f EF points (%+.2f).",
            control->model, qat->mae, control->mae, qat->mae - control->mae);
}
