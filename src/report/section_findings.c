/* Loss and gain of quantization, a line for each quantized model. */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* A shift of the mean prediction by quantization that a finding names, in EF points: more than the error of rounding an
 * EF to whole percents, and far more than PTQ's at its best (0.04 on the default data). */
#define EQ_BIAS_NOTED 1.0

bool eq_report_is_winograd(const struct cJSON *recipe)
{
    return recipe && strcmp(eq_json_text(recipe, "arithmetic"), eq_arithmetic_names[EQ_ARITHMETIC_WINOGRAD]) == 0;
}

/* "Learned scales (LSQ), weights of 4 bits, 2 epochs, weight of the distillation loss 0.50; activation ranges at first:
 * calibrated, minmax on 64 clips." */
static void describe_qat(const struct cJSON *recipe, struct eq_str *out)
{
    bool lsq = strcmp(eq_json_text(recipe, "qat_method"), "lsq") == 0;
    double epochs = eq_json_real(recipe, "epochs"), kept = eq_json_real(recipe, "kept_epoch"),
           distill = eq_json_real(recipe, "distill");
    eq_str_add(out, "%s, weights of %.0f bits, %.0f epoch%s", lsq ? "Learned scales (LSQ)" : "Straight-through (STE)",
               eq_json_real(recipe, "weight_bits"), epochs, epochs == 1 ? "" : "s");
    if (eq_report_is_winograd(recipe))
        eq_str_add(out, " in Winograd's domain");
    if (distill > 0)
        eq_str_add(out, ", weight of the distillation loss %.2f", distill);
    if (eq_json_text(recipe, "start")[0])
        eq_str_add(out, "; activation ranges at first: %s", eq_json_text(recipe, "start"));
    if (eq_json_real(recipe, "clips") > 0)
        eq_str_add(out, " on %.0f clip%s", eq_json_real(recipe, "clips"), eq_plural(eq_json_real(recipe, "clips")));
    eq_str_add(out, ".");
    if (kept == 0)
        eq_str_add(out, " No epoch was better than the start on the validation clips. This file is therefore the "
                        "start of QAT: the quantized baseline.");
    else if (kept < epochs)
        eq_str_add(out, " The file is the model after epoch %.0f, the best on the validation clips.", kept);
    if (kept != 0)
        eq_str_add(out, " QAT was trained for %.0f more epoch%s, so differences from FP32 include that training.",
                   kept > 0 ? kept : epochs, (kept > 0 ? kept : epochs) == 1 ? "" : "s");
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
    eq_str_add(out, "Activations: %s on %.0f clip%s; weights: %.0f bits per %s, %s", eq_json_text(recipe, "observer"),
               eq_json_real(recipe, "clips"), eq_plural(eq_json_real(recipe, "clips")),
               eq_json_real(recipe, "weight_bits"), eq_json_flag(recipe, "per_channel") ? "channel" : "layer",
               eq_json_text(recipe, "weight_observer"));
    if (eq_report_is_winograd(recipe))
        eq_str_add(out, "; 3x3 convolutions in Winograd's domain");
    for (size_t i = 0, n = 0; i < sizeof switches / sizeof *switches; i++)
        if (eq_json_flag(recipe, switches[i].key))
            eq_str_add(out, "%s%s", n++ ? ", " : "; ", switches[i].text);
    if (cJSON_HasObjectItem(recipe, "search"))
        eq_str_add(out, "; settings found by ptq.search");
    if (eq_json_text(recipe, "keep_fp32")[0])
        eq_str_add(out, "; in FP32: %s", eq_json_text(recipe, "keep_fp32"));
    eq_str_add(out, ".");
}

/* " The file has 25 % of the size, and inference is 2.32 times as fast." */
static void add_size_and_speed(const struct eq_result *row, const struct eq_result *fp32, struct eq_str *out)
{
    double ratio, share = row->size_mb / fp32->size_mb;
    enum eq_speed speed = eq_report_speed(row, fp32, &ratio);
    bool other_size = isfinite(share) && share != 1; /* BF16 runs the FP32 file */
    if (other_size)
        eq_str_add(out, " The file is %.0f %% of the size%s", 100 * share, speed == EQ_SPEED_KNOWN ? ", and" : ".");
    if (speed == EQ_SPEED_NOT_MEASURABLE)
        eq_str_add(out, " A difference in the speed of inference is not measurable.");
    if (speed != EQ_SPEED_KNOWN)
        return;
    eq_str_add(out, other_size ? " inference %s " : " Inference %s ", ratio >= 1 ? "is" : "takes");
    eq_report_significant(fmax(ratio, 1 / ratio), ratio >= 1 ? " times as fast." : " times as long.", out);
}

static void find_one(const struct eq_result *row, const struct eq_result *fp32, struct eq_texts *lines)
{
    struct eq_str *out = &lines->s;
    eq_str_add(out, "%s: MAE %.2f EF points, FP32 %.2f (%+.2f).", row->model, row->mae, fp32->mae,
               row->mae - fp32->mae);
    if (isfinite(row->sqnr_db))
        eq_str_add(out, " Its predictions differ from FP32's by %.2f EF points (RMS; SQNR %.1f dB).",
                   row->rms_from_fp32, row->sqnr_db);
    add_size_and_speed(row, fp32, out);
    if (fabs(row->bias - fp32->bias) > EQ_BIAS_NOTED)
        eq_str_add(out,
                   " It moves the mean prediction by %+.2f EF points: its bias is %+.2f, FP32's is %+.2f "
                   "(reported above a shift of %g).",
                   row->bias - fp32->bias, row->bias, fp32->bias, EQ_BIAS_NOTED);
    eq_str_add(out, row->recipe ? " " : "");
    if (row->recipe)
        eq_report_recipe(row->recipe, out);
    eq_texts_end(lines);
}

/* Which INT8 file to ship, by validation: the test clips, which the table reports, must not choose. */
static void choose(const struct eq_results *r, const struct eq_result *fp32, struct eq_texts *lines)
{
    const struct eq_result *best = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const struct eq_result *row = &r->rows[i];
        if (strcmp(row->precision, "INT8") == 0 && *row->file && isfinite(row->val_mae) &&
            (!best || row->val_mae < best->val_mae))
            best = row;
    }
    if (!best)
        return;
    eq_str_add(&lines->s, "INT8 file to ship: %s. It has the lowest MAE on the %.0f validation clips (%s %.2f",
               best->file, best->val_clips, best->model, best->val_mae);
    for (size_t i = 0; i < r->n; i++)
        if (&r->rows[i] != best && strcmp(r->rows[i].precision, "INT8") == 0 && isfinite(r->rows[i].val_mae))
            eq_str_add(&lines->s, ", %s %.2f", r->rows[i].model, r->rows[i].val_mae);
    if (isfinite(fp32->val_mae))
        eq_str_add(&lines->s, "; FP32 %.2f", fp32->val_mae);
    eq_str_add(&lines->s, "). The test clips do not influence this choice.");
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
    out->heading = "Findings";
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
        eq_texts_add(&out->lines,
                     "QAT against its control %s (trained for as long as QAT, without quantization): MAE %.2f "
                     "against %.2f EF points (%+.2f).",
                     control->model, qat->mae, control->mae, qat->mae - control->mae);
    choose(r, fp32, &out->lines);
}
