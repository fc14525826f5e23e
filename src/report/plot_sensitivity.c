/* Signal to noise of the layers, and the change of EF by each of them, from sensitivity.json. */
#include "report/plots.h"

#include <math.h>

/* A column of the data file; gnuplot fails on one without a value. */
static const struct column {
    const char *key, *label, *with;
} columns[] = {
    {"ef_change_only", "EF, this layer alone", "axes x1y2 with boxes lc rgb band"},
    {"weight_sqnr_db", "weights", "with linespoints ls 1"},
    {"output_sqnr_db", "output alone", "with linespoints ls 3"},
    {"accumulated_sqnr_db", "output so far", "with linespoints ls 2"},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static void plot_columns(struct eq_picture *p, const struct cJSON *layers)
{
    const struct cJSON *row;
    const char *before = "plot";
    for (int i = 0; i < COLUMNS; i++) {
        const struct column *c = &columns[i];
        bool any = false;
        cJSON_ArrayForEach(row, layers) any |= isfinite(eq_json_real(row, c->key));
        if (!any)
            continue;
        eq_str_add(&p->script, "%s 'sensitivity.csv' using 0:'%s':xtic(1) %s title '%s'", before, c->key, c->with,
                   c->label);
        before = ", \\\n    ";
    }
    eq_str_add(&p->script, "\n");
}

enum eq_status eq_plot_sensitivity(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    const struct cJSON *layers = cJSON_GetObjectItemCaseSensitive(report->sensitivity, "layers"), *row;
    (void)models;
    (void)err;
    if (!report->sensitivity)
        return EQ_OK;
    struct eq_picture *p = eq_picture_add(&report->pictures, "sensitivity", NULL, 1100, 420);
    eq_str_add(&p->title, "Sensitivity of the layers");
    eq_str_add(&p->caption,
               "Lines, left axis: signal to quantization noise of each layer; higher is better. Bars, right axis: RMS "
               "change of the EF when only this layer is quantized.");
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
    eq_str_add(&p->script, "set border 11\nset ytics nomirror\nset y2tics nomirror\nset xtics rotate by -45\n"
                           "set ylabel 'signal to noise (dB)'\nset y2label 'change of EF (points)'\n"
                           "set y2range [0:*]\nset style fill solid 0.5 noborder\nset boxwidth 0.6\n");
    plot_columns(p, layers);
    return EQ_OK;
}
