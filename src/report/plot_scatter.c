/* Predicted against true EF with the distribution of each, a picture for each model. */
#include "report/plots.h"

#include <math.h>
#include <stdlib.h>

/* Two panels more than the plot: what is true above it, what is predicted beside it, in bins of 5 points. */
static void add_script(struct eq_picture *p, const struct eq_plot_models *models, const struct eq_plot_model *m,
                       double bias, double sd)
{
    eq_str_add(&p->script,
               "bin(x) = 5 * floor(x / 5) + 2.5\nset table $bins\n"
               "plot '%s.csv' using (bin(column('predicted_ef'))):(1) smooth frequency\nunset table\n"
               "lo = %g\nhi = %g\nset multiplot\nset xrange [lo:hi]\nset yrange [lo:hi]\nset xtics 10\nset ytics 10\n"
               "set lmargin at screen 0.15\nset rmargin at screen 0.80\nset bmargin at screen 0.14\n"
               "set tmargin at screen 0.80\nset xlabel 'true EF (%%)' offset 0,0.3\n"
               "set ylabel 'predicted EF (%%)' offset 0.5,0\n",
               p->name.s, models->lo, models->hi);
    eq_str_add(&p->script,
               "set samples 2\nplot x lc rgb ink lw 1.2 notitle, x + %.6g lc rgb soft dt (8,4) lw 1.2 notitle, \\\n"
               "     x + %.6g lc rgb soft dt (8,4) lw 1.2 notitle, \\\n"
               "     '%s.csv' using 'true_ef':'predicted_ef':(''.int(column(0))) \\\n"
               "     with labels hypertext point pt 7 ps 0.5 lc rgb faint(s%d) notitle\n",
               bias + 1.96 * sd, bias - 1.96 * sd, p->name.s, m->series);
    eq_str_add(&p->script,
               "set style fill solid 0.55 noborder\nset boxwidth 4.6\n"
               "unset xlabel\nunset ylabel\nunset grid\nset border 1\nset format x ''\nunset ytics\n"
               "set bmargin at screen 0.82\nset tmargin at screen 0.98\nset yrange [0:*]\n"
               "plot '%s.csv' using (bin(column('true_ef'))):(1) smooth frequency with boxes lc rgb axis notitle\n"
               "set lmargin at screen 0.82\nset rmargin at screen 0.98\nset bmargin at screen 0.14\n"
               "set tmargin at screen 0.80\nset border 2\nunset xtics\nset ytics 10\nset format y ''\nset datafile "
               "nocolumnheaders\nset datafile separator whitespace\n"
               "set xrange [0:*]\nset yrange [lo:hi]\n"
               "plot $bins using ($2 / 2):1:($2 / 2):(2.3) with boxxyerror lc rgb s%d notitle\nunset multiplot\n",
               p->name.s, m->series);
}

static void draw(struct eq_report *report, const struct eq_plot_models *models, const struct eq_plot_model *m)
{
    const struct eq_evaluation *e = &m->predictions;
    double *errors = NULL, within = 0;
    struct eq_picture *p = eq_picture_add(&report->pictures, "scatter", m->name, 420, 420);
    eq_str_add(&p->data, "FileName,true_ef,predicted_ef\n");
    for (size_t i = 0; i < e->n; i++) {
        const struct eq_prediction *row = &e->rows[i];
        errors = eq_list_grow(errors, i, sizeof *errors);
        errors[i] = row->prediction - row->ef;
        within += fabs(errors[i]) <= 5;
        eq_csv_text(&p->data, row->file_name);
        eq_csv_real(&p->data, row->ef);
        eq_csv_real(&p->data, row->prediction);
        eq_csv_end(&p->data);
        eq_str_add(&p->points, "%s: true %.1f %%, predicted %.1f %%", row->file_name, row->ef, row->prediction);
        eq_str_add_bytes(&p->points, "", 1);
    }
    struct eq_spread error = eq_spread_of(errors, e->n);
    double sd = e->n > 1 ? error.sd : 0;
    free(errors);
    eq_str_add(&p->title, "%s: predicted against true EF", m->label);
    eq_str_add(&p->caption,
               "%zu test clips, a point each. Solid: identity; dashed: limits of agreement, mean difference %+.2f ± "
               "1.96 × %.2f EF points. Bars: clips in bins of 5 EF points.",
               e->n, error.mean, sd);
    eq_str_add(
        &p->alt,
        "%zu clips; predicted minus true EF has mean %+.2f, standard deviation %.2f, and range %+.1f to %+.1f EF "
        "points; %.0f %% of the clips are within 5 points.",
        e->n, error.mean, sd, error.min, error.max, 100 * within / (double)e->n);
    add_script(p, models, m, error.mean, sd);
}

enum eq_status eq_plot_scatter(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    (void)err;
    for (size_t i = 0; i < models->n; i++)
        if (models->list[i].predictions.n > 0)
            draw(report, models, &models->list[i]);
    return EQ_OK;
}
