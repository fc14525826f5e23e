/* sensitivity.json for readers: the table and what its columns mean. */
#include "report/report.h"

static void add_row(struct eq_table *t, const struct cJSON *row)
{
    eq_texts_add(&t->cells, "%s%s", eq_json_text(row, "layer"), eq_json_flag(row, "fp32") ? " (FP32)" : "");
    eq_table_numbers(t, "%.1f|%.1f|%.1f|%+.3f|%+.3f|%.3f|%.3f|%.0f|%.0f|%.3f|%.0f", eq_json_real(row, "weight_sqnr_db"),
                     eq_json_real(row, "output_sqnr_db"), eq_json_real(row, "accumulated_sqnr_db"),
                     eq_json_real(row, "mae_change_only"), eq_json_real(row, "mae_change_all_but"),
                     eq_json_real(row, "ef_change_only"), eq_json_real(row, "ef_change_all_but"),
                     eq_json_real(row, "levels_used"), 100 * eq_json_real(row, "range_use"),
                     100 * eq_json_real(row, "clipped"), eq_json_real(row, "dead_channels"));
}

void eq_section_sensitivity(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Layer",       "Weights(dB)", "Output(dB)", "So far(dB)", "MAE only",
                                         "MAE all but", "EF only",     "EF all but", "Levels",     "Range(%)",
                                         "Clipped(%)",  "Dead",        NULL};
    const struct cJSON *json = report->sensitivity, *row;
    double clips = eq_json_real(json, "clips");
    if (!json)
        return;
    out->style = EQ_SECTION_FOLDED;
    eq_str_add(&out->title, "Layer by layer");
    eq_report_recipe(cJSON_GetObjectItemCaseSensitive(json, "recipe"), &out->lines.s);
    eq_texts_add(&out->lines,
                 " On %.0f clip%s of %s: MAE %.3f in FP32, %.3f quantized; EF changes by %.3f points (root mean "
                 "square).",
                 clips, clips == 1 ? "" : "s", eq_json_text(json, "split"), eq_json_real(json, "mae_fp32"),
                 eq_json_real(json, "mae_quantized"), eq_json_real(json, "ef_change"));
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 1);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(json, "layers")) add_row(t, row);
    eq_str_add(&out->note, "Weights, Output: signal to noise of the layer's weights, and of its output when only "
                           "its weights and output are rounded. So far: signal to noise of its output when all "
                           "earlier layers are quantized, too. MAE, EF: change of the MAE and root mean square "
                           "change of the EF against FP32, in EF points, when only this layer is quantized, and "
                           "when all layers but this one are. Levels: how many of the 256 levels FP32's outputs "
                           "use. Range: the span of these outputs in percent of the span of all levels. Dead: "
                           "channels whose output never changes.");
}

void eq_sensitivity_text(struct cJSON *json, int columns, struct eq_str *out)
{
    struct eq_report report = {.sensitivity = json};
    struct eq_section s = {0};
    eq_section_sensitivity(&report, &s);
    eq_str_clear(&s.title);
    eq_section_print(&s, columns, out);
    eq_section_clear(&s);
}
