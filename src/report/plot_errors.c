/* How the errors of the models are distributed: the share of clips within an error. */
#include "report/plots.h"

#include <math.h>
#include <stdlib.h>

/* The rows of one model; appends its part of the alternative text. */
static enum eq_status add_model(struct eq_picture *p, const struct eq_plot_model *m, struct eq_err *err)
{
    const struct eq_evaluation *e = &m->predictions;
    double *v = eq_alloc(3 * e->n, sizeof *v), *x = v + e->n, *share = x + e->n;
    if (!v)
        return eq_fail(err, EQ_NOMEM, "out of memory for a picture of %zu clips", e->n);
    for (size_t i = 0; i < e->n; i++)
        v[i] = fabs(e->rows[i].prediction - e->rows[i].ef);
    eq_sort_doubles(v, e->n);
    size_t n = eq_ecdf_of(v, e->n, x, share);
    for (size_t i = 0; i <= n; i++) {
        if (!eq_plot_draws_step(i, n + 1))
            continue;
        eq_csv_text(&p->data, m->name);
        eq_csv_real(&p->data, i ? x[i - 1] : 0);
        eq_csv_real(&p->data, i ? 100 * share[i - 1] : 0);
        eq_csv_end(&p->data);
    }
    eq_str_add(&p->alt, "%s%s: half of the clips are within %.1f EF points, 90 %% within %.1f, all within %.1f",
               p->alt.len ? "; " : "", m->label, eq_quantile_of(v, e->n, 0.5), eq_quantile_of(v, e->n, 0.9),
               v[e->n - 1]);
    eq_free(v);
    return EQ_OK;
}

enum eq_status eq_plot_errors(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    int curves = 0;
    if (!models->any)
        return EQ_OK;
    struct eq_picture *p = eq_picture_add(&report->pictures, "errors", NULL, 460, 400);
    eq_str_add(&p->title, "Distribution of the errors");
    eq_str_add(&p->caption, "Share of the test clips whose predicted EF is within an error of the true EF. The further "
                            "up and left, the better. Dotted: half and 90 %% of the clips.");
    eq_str_add(&p->data, "model,absolute_error,share_percent\n");
    eq_str_add(&p->script, "set xlabel 'absolute error (EF points)' offset 0,0.3\nset ylabel 'test clips (%%)'\n"
                           "set xrange [0:*]\nset yrange [0:100]\nset ytics 10\nset key inside bottom right vertical\n"
                           "set samples 2\n");
    for (size_t i = 0; i < models->n; i++) {
        if (models->list[i].predictions.n == 0)
            continue;
        EQ_CHECK(add_model(p, &models->list[i], err));
        eq_plot_add_curve(
            p, &models->list[i],
            &(struct eq_plot_curve){"absolute_error", "share_percent", "with steps ls %d", models->list[i].label},
            &curves);
    }
    eq_str_add(&p->script, ", \\\n     50 lc rgb soft lw 1 dt (2,4) notitle, 90 lc rgb soft lw 1 dt (2,4) notitle\n");
    eq_str_add(&p->alt, ".");
    return EQ_OK;
}
