/* Time of each layer beside its sensitivity: INT8 and FP32 on the left, what the error gains by FP32 on the right. */
#include "report/plots.h"

#include <math.h>

static bool is_shown(const struct cJSON *json, const struct cJSON *layer)
{
    return isfinite(eq_layer_gain(json, layer)) && isfinite(eq_json_real(layer, "int8_ms")) &&
           isfinite(eq_json_real(layer, "fp32_ms"));
}

static void add_rows(struct eq_picture *p, const struct cJSON *json)
{
    static const char *const keys[] = {"int8_ms", "fp32_ms", "cost_ms", "rms_from_fp32"};
    const struct cJSON *layer;
    eq_str_add(&p->data, "layer,int8_ms,fp32_ms,cost_ms,rms_from_fp32,gain\n");
    cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(json, "layers"))
    {
        if (!is_shown(json, layer))
            continue;
        eq_csv_text(&p->data, eq_json_text(layer, "layer"));
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            eq_csv_real(&p->data, eq_json_real(layer, keys[i]));
        eq_csv_real(&p->data, eq_layer_gain(json, layer));
        eq_csv_end(&p->data);
    }
}

enum eq_status eq_plot_layer_costs(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    const struct cJSON *json = eq_measured_of(&report->measured, EQ_PHASE_PTQ), *layer;
    int n = 0;
    double least = 0, most = 0;
    (void)models, (void)err;
    cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(json, "layers"))
    {
        double gain = is_shown(json, layer) ? eq_layer_gain(json, layer) : 0;
        n += is_shown(json, layer);
        least = fmin(least, gain);
        most = fmax(most, gain);
    }
    if (n == 0)
        return EQ_OK;
    double step = eq_plot_step(fmax(most - least, 1e-6), 5);
    struct eq_picture *p = eq_picture_add(&report->pictures, "layer_costs", NULL, 760, 100 + 19 * n);
    add_rows(p, json);
    eq_str_add(&p->title, "Layer time beside layer sensitivity");
    eq_str_add(&p->caption,
               "Left: least time of each layer of PTQ, in INT8 (filled) and if it stayed in FP32 (outlined). "
               "Right: by how much the RMS of the EF's distance from FP32 would then fall; below 0 it would "
               "rise.");
    eq_str_add(&p->alt, "%d layers; all in INT8 take %.3g ms.", n, eq_json_real(json, "int8_ms"));
    eq_str_add(&p->script,
               "set multiplot\nset yrange [%g:-0.7]\nset grid xtics noytics\nset border 1\nset ytics scale 0\n"
               "set style fill solid noborder\nset tmargin at screen 0.98\nset bmargin at screen %g\n"
               "set key outside center bottom\nset lmargin at screen 0.22\nset rmargin at screen 0.6\n"
               "set xrange [0:*]\nset xlabel 'time (ms)' offset 0,0.3\n"
               "plot '%s.csv' using (0):0:(0):'int8_ms':(column(0)-0.3):(column(0)+0.3):ytic(1) with boxxyerror lc rgb "
               "s1 title 'INT8', \\\n"
               "     '' using (0):0:(0):'fp32_ms':(column(0)-0.38):(column(0)+0.38) with boxxyerror fs empty border lc "
               "rgb axis lc rgb axis title 'FP32'\n",
               n - 0.3, 78.0 / (100 + 19 * n), p->name.s);
    eq_str_add(&p->script,
               "set lmargin at screen 0.64\nset rmargin at screen 0.97\nset xrange [%.9g:%.9g]\nset xtics %.9g\nset "
               "format y ''\n"
               "set xlabel 'gain (EF points)' offset 0,0.3\nset arrow 1 from 0,graph 0 to 0,graph 1 "
               "nohead lc rgb ink lw 1\n"
               "plot '%s.csv' using (0):0:(0):'gain':(column(0)-0.3):(column(0)+0.3) with boxxyerror lc rgb s3 title "
               "'gain in FP32'\nunset multiplot\n",
               floor(least / step) * step, ceil(most / step) * step, step, p->name.s);
    return EQ_OK;
}
