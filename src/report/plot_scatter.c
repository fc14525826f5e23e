/* Predicted against true EF, a picture for each model. */
#include "report/plots.h"

#include <stdlib.h>

static void draw(struct eq_report *report, const struct eq_plot_models *models, const struct eq_plot_model *m)
{
    const struct eq_evaluation *e = &m->predictions;
    double *errors = NULL;
    struct eq_picture *p = eq_picture_add(&report->pictures, "scatter", m->name, 380, 400);
    eq_str_add(&p->data, "FileName,true_ef,predicted_ef\n");
    for (size_t i = 0; i < e->n; i++) {
        errors = eq_list_grow(errors, i, sizeof *errors);
        errors[i] = e->rows[i].prediction - e->rows[i].ef;
        eq_csv_text(&p->data, e->rows[i].file_name);
        eq_csv_real(&p->data, e->rows[i].ef);
        eq_csv_real(&p->data, e->rows[i].prediction);
        eq_csv_end(&p->data);
        eq_str_add(&p->points, "%s: true %.1f %%, predicted %.1f %%", e->rows[i].file_name, e->rows[i].ef,
                   e->rows[i].prediction);
        eq_str_add_bytes(&p->points, "", 1);
    }
    /* Bland & Altman's limits of agreement: mean +- 1.96 sd. */
    struct eq_spread error = eq_spread_of(errors, e->n);
    double sd = e->n > 1 ? error.sd : 0;
    free(errors);
    eq_str_add(&p->title, "%s: predicted against true EF", m->label);
    eq_str_add(&p->caption,
               "%zu test clips. Dashed: limits of agreement, mean difference %+.2f ± 1.96 × %.2f EF points.", e->n,
               error.mean, sd);
    eq_str_add(&p->alt, "%zu clips; predicted minus true EF has the mean %+.2f and the standard deviation %.2f points.",
               e->n, error.mean, sd);
    eq_str_add(&p->script,
               "set xrange [%g:%g]\nset yrange [%g:%g]\nset size square\nset xtics 10\nset ytics 10\n"
               "set xlabel 'true EF (%%)' offset 0,0.4\nset ylabel 'predicted EF (%%)'\n",
               models->lo, models->hi, models->lo, models->hi);
    eq_str_add(&p->script,
               "plot x lc rgb ink lw 1.2 title 'identity', \\\n"
               "     x + %.6g lc rgb axis dt 2 lw 1.2 title 'limits of agreement', \\\n"
               "     x + %.6g lc rgb axis dt 2 lw 1.2 notitle, \\\n"
               "     '%s.csv' using 'true_ef':'predicted_ef':(''.int(column(0))) \\\n"
               "     with labels hypertext point pt 7 ps 0.55 lc rgb faint(s%d) notitle\n",
               error.mean + 1.96 * sd, error.mean - 1.96 * sd, p->name.s, m->series);
}

enum eq_status eq_plot_scatter(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    (void)err;
    for (size_t i = 0; i < models->n; i++)
        if (models->list[i].predictions.n > 0)
            draw(report, models, &models->list[i]);
    return EQ_OK;
}
