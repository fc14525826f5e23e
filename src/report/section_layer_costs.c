/* What each layer would cost in time, and gain in error, if it stayed in FP32. */
#include "report/report.h"

#include <math.h>

static const struct cJSON *layers_of(const struct cJSON *json)
{
    return cJSON_GetObjectItemCaseSensitive(json, "layers");
}

/* The layer with the largest gain; NULL: no gain is known. */
static const struct cJSON *best_layer(const struct cJSON *json)
{
    const struct cJSON *layer, *best = NULL;
    cJSON_ArrayForEach(layer, layers_of(json))
    {
        double gain = eq_layer_gain(json, layer);
        if (isfinite(gain) && (!best || gain > eq_layer_gain(json, best)))
            best = layer;
    }
    return best;
}

void eq_section_layer_costs(const struct eq_report *report, struct eq_section *out)
{
    const struct cJSON *json = eq_measured_of(&report->measured, EQ_PHASE_PTQ), *best = best_layer(json);
    if (!best)
        return;
    double all = eq_json_real(json, "int8_ms"), cost = eq_json_real(best, "cost_ms"), gain = eq_layer_gain(json, best);
    eq_str_add(&out->title, "Layers: time and sensitivity");
    if (gain > 0)
        eq_texts_add(
            &out->lines,
            "Of all layers of PTQ, %s gains most in FP32: the RMS of the EF's distance from FP32 falls by %.3f "
            "from %.3f EF points, and a clip takes %+.2f ms, %.0f %% of INT8's %.2f ms (ptq.keep_fp32).",
            eq_json_text(best, "layer"), gain, gain + eq_json_real(best, "rms_from_fp32"), cost, 100 * cost / all, all);
    else
        eq_texts_add(&out->lines, "No layer of PTQ alone would lower the error in FP32.");
    eq_measured_note_seed(&report->measured, &out->note);
}

void eq_section_layer_table(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Layer",    "INT8(ms)", "FP32(ms)", "Cost(ms)", "Cost(%)",
                                         "RMS then", "Gain",     "MAE then", NULL};
    const struct cJSON *json = eq_measured_of(&report->measured, EQ_PHASE_PTQ), *layer;
    if (!best_layer(json))
        return;
    double all = eq_json_real(json, "int8_ms"), clips = eq_json_real(json, "clips");
    out->style = EQ_SECTION_FOLDED;
    eq_str_add(&out->title, "Each layer of PTQ in FP32");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 1);
    cJSON_ArrayForEach(layer, layers_of(json))
    {
        double cost = eq_json_real(layer, "cost_ms");
        eq_texts_add(&t->cells, "%s%s", eq_json_text(layer, "layer"), eq_json_flag(layer, "fp32") ? " (FP32)" : "");
        eq_table_numbers(t, "%.3f|%.3f|%+.3f|%+.1f|%.3f|%+.3f|%+.3f", eq_json_real(layer, "int8_ms"),
                         eq_json_real(layer, "fp32_ms"), cost, 100 * cost / all, eq_json_real(layer, "rms_from_fp32"),
                         eq_layer_gain(json, layer), eq_json_real(layer, "mae_change"));
    }
    eq_str_add(
        &out->note,
        "For each layer, the integer model in which only this layer stays in FP32 was made and run on %.0f clip%s "
        "of the %s split. INT8, FP32: least time of the layer's own node, with the conversions of its input and "
        "output. Cost: how much longer a clip takes, also in percent of the INT8 model, %.2f ms. RMS then: root "
        "mean square of the EF's distance from FP32 in that model; gain: how much less that is than with all "
        "layers in INT8. MAE then: its MAE minus FP32's. EF points.",
        clips, clips == 1 ? "" : "s", eq_json_text(json, "split"), all);
    eq_measured_note_seed(&report->measured, &out->note);
}
