/* Signal to noise of the layers, and the change of EF by each of them, from sensitivity.json: a row for each layer. */
#include "report/plots.h"

#include <math.h>

/* The columns of the data file; gnuplot fails on one without a value. */
static const struct column {
    const char *key, *label, *with; /* with: how the left panel shows it; NULL: the right one does, as bars */
} columns[] = {
    {"weight_sqnr_db", "weights", "with points ls 1 ps 0.8"},
    {"output_sqnr_db", "output alone", "with points ls 3 ps 0.8"},
    {"accumulated_sqnr_db", "output so far", "with points ls 2 ps 0.8"},
    {"ef_change_only", "", NULL},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static bool has_values(const struct cJSON *layers, const char *key)
{
    const struct cJSON *row;
    bool any = false;
    cJSON_ArrayForEach(row, layers) any |= isfinite(eq_json_real(row, key));
    return any;
}

static void add_noise(struct eq_picture *p, const struct cJSON *layers)
{
    int n = 0;
    eq_str_add(&p->script,
               "set lmargin at screen 0.26\nset rmargin at screen 0.62\nset key at graph 0, graph 1.01 left "
               "bottom vertical\nset xlabel 'signal to noise (dB)' offset 0,0.3\n");
    for (int i = 0; i < COLUMNS; i++)
        if (columns[i].with && has_values(layers, columns[i].key))
            eq_str_add(&p->script, "%s'%s.csv' using '%s':(-column(0)):ytic(1) %s title '%s'",
                       n++ ? ", \\\n     " : "plot ", p->name.s, columns[i].key, columns[i].with, columns[i].label);
    eq_str_add(&p->script, "\n");
}

static void add_change(struct eq_picture *p, double most)
{
    eq_str_add(
        &p->script,
        "set lmargin at screen 0.66\nset rmargin at screen 0.97\nset format y ''\nset xrange [0:*]\nset xtics %g\nset "
        "xlabel "
        "'RMS change of EF (points)' offset 0,0.3\nset style fill solid 0.8 noborder\n"
        "plot '%s.csv' using (column('ef_change_only') / 2):(-column(0)):(column('ef_change_only') / 2):(0.36) with "
        "boxxyerror lc rgb s2 title 'this layer alone'\n",
        eq_plot_step(most, 4), p->name.s);
}

enum eq_status eq_plot_sensitivity(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    const struct cJSON *layers = cJSON_GetObjectItemCaseSensitive(report->sensitivity, "layers"), *row;
    const struct cJSON *noisiest = NULL, *worst = NULL;
    int n = 0;
    (void)models;
    (void)err;
    cJSON_ArrayForEach(row, layers)
    {
        double sqnr = eq_json_real(row, "output_sqnr_db"), change = eq_json_real(row, "ef_change_only");
        n++;
        if (isfinite(sqnr) && (!noisiest || sqnr < eq_json_real(noisiest, "output_sqnr_db")))
            noisiest = row;
        if (isfinite(change) && (!worst || change > eq_json_real(worst, "ef_change_only")))
            worst = row;
    }
    if (n == 0 || !noisiest)
        return EQ_OK;
    struct eq_picture *p = eq_picture_add(&report->pictures, "sensitivity", NULL, 600, 140 + 19 * n);
    p->kind = "layers";
    eq_str_add(&p->title, "Sensitivity of the layers");
    eq_str_add(
        &p->caption,
        "Left: signal to quantization noise of each layer; higher is better. \"So far\": when all earlier layers "
        "are quantized, too. Right: RMS change of the EF when only this layer is quantized.");
    eq_str_add(&p->alt, "%d layers. The noisiest output is that of %s, %.1f dB", n, eq_json_text(noisiest, "layer"),
               eq_json_real(noisiest, "output_sqnr_db"));
    if (worst)
        eq_str_add(&p->alt, "; the EF changes most by %s, %.3f points", eq_json_text(worst, "layer"),
                   eq_json_real(worst, "ef_change_only"));
    eq_str_add(&p->alt, ".");
    eq_csv_text(&p->data, "layer");
    for (int i = 0; i < COLUMNS; i++)
        eq_csv_text(&p->data, columns[i].key);
    eq_csv_end(&p->data);
    cJSON_ArrayForEach(row, layers)
    {
        eq_csv_text(&p->data, eq_json_text(row, "layer"));
        for (int i = 0; i < COLUMNS; i++)
            eq_csv_real(&p->data, eq_json_real(row, columns[i].key));
        eq_csv_end(&p->data);
    }
    eq_str_add(&p->script,
               "set multiplot\nset yrange [%g:0.7]\nset tmargin at screen %.4g\nset bmargin at screen %.4g\n"
               "set border 1\nset ytics scale 0\nset grid\n",
               0.3 - n, 1 - 70 / (140.0 + 19 * n), 55 / (140.0 + 19 * n));
    add_noise(p, layers);
    if (worst)
        add_change(p, eq_json_real(worst, "ef_change_only"));
    eq_str_add(&p->script, "unset multiplot\n");
    return EQ_OK;
}
