/* The MAE of each seed, a row for each model. */
#include "report/plots.h"

#include <math.h>
#include <stdlib.h>

static int count_of(const struct eq_plot_model *m)
{
    return m->row->over_seeds.mae.values ? cJSON_GetArraySize(m->row->over_seeds.mae.values) : 0;
}

enum eq_status eq_plot_seeds(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    int rows = 0, place = 0, curves = 0;
    double least = INFINITY, most = -INFINITY;
    (void)err;
    for (size_t i = 0; i < models->n; i++)
        rows += count_of(&models->list[i]) > 0;
    if (rows == 0)
        return EQ_OK;
    struct eq_picture *p = eq_picture_add(&report->pictures, "seeds", NULL, 560, 110 + 50 * rows);
    eq_str_add(&p->title, "MAE of each seed");
    eq_str_add(&p->caption,
               "A mark for each seed on the same test clips; the bar is the 95 %% interval of the mean over "
               "the seeds (Student's t).");
    eq_str_add(&p->data, "model,mae,place\n");
    eq_str_add(&p->script,
               "set yrange [-0.6:%g]\nset xlabel 'MAE (EF points)' offset 0,0.3\nunset ylabel\nset border 1\n"
               "set grid xtics noytics\nunset key\nset ytics scale 0 (",
               rows - 0.4);
    for (size_t i = 0, k = 0; i < models->n; i++)
        if (count_of(&models->list[i]) > 0)
            eq_str_add(&p->script, "%s'%s' %d", k ? ", " : "", models->list[i].label, rows - 1 - (int)k), k++;
    eq_str_add(&p->script, ")\n");
    for (size_t i = 0; i < models->n; i++) {
        const struct eq_plot_model *m = &models->list[i];
        const struct cJSON *value;
        double *values = NULL;
        size_t n = 0;
        if (count_of(m) == 0)
            continue;
        int row = rows - 1 - place++;
        cJSON_ArrayForEach(value, m->row->over_seeds.mae.values)
        {
            if (!cJSON_IsNumber(value))
                continue;
            values = eq_list_grow(values, n, sizeof *values);
            values[n++] = value->valuedouble;
            eq_csv_text(&p->data, m->name);
            eq_csv_real(&p->data, value->valuedouble);
            eq_csv_real(&p->data, row);
            eq_csv_end(&p->data);
        }
        struct eq_spread mae = eq_spread_of(values, n);
        free(values);
        least = fmin(least, fmin(mae.min, mae.low)); /* fmin passes over NaN */
        most = fmax(most, fmax(mae.max, mae.high));
        if (isfinite(mae.low) && isfinite(mae.high))
            eq_str_add(&p->script,
                       "set arrow from %.9g, %g to %.9g, %g heads size screen 0.004,90 lc rgb ink lw 1.4\n"
                       "set label '' at %.9g, %g point pt 7 ps 0.8 lc rgb ink\n",
                       mae.low, row - 0.25, mae.high, row - 0.25, mae.mean, row - 0.25);
        eq_str_add(&p->alt, "%s%s: mean %.2f, %.2f to %.2f over %d seeds", place > 1 ? "; " : "", m->label, mae.mean,
                   mae.min, mae.max, (int)n);
    }
    double edge = 0.05 * (most - least) + 0.01;
    eq_str_add(&p->script, "set xrange [%.9g:%.9g]\nset xtics %g\n", least - edge, most + edge,
               eq_plot_step(most - least + 2 * edge, 8));
    for (size_t i = 0; i < models->n; i++)
        if (count_of(&models->list[i]) > 0)
            eq_plot_add_curve(
                p, &models->list[i],
                &(struct eq_plot_curve){"mae", "place", "with points ls %d ps 0.9", models->list[i].label}, &curves);
    eq_str_add(&p->script, "\n");
    eq_str_add(&p->alt, ".");
    return EQ_OK;
}
