/* The forest plot: differences of MAE with their intervals, and the margin. */
#include "report/plots.h"

#include <math.h>

/* What is drawn of a pair: the percentile interval, or over several seeds Student's t over both levels. */
static struct eq_boot_runs figure_of(const struct eq_run_verdict *v, const struct eq_verdict_pair *p)
{
    if (v->n_seeds)
        return p->over_mae;
    return (struct eq_boot_runs){.value = p->mae.value, .t_low = p->mae.low, .t_high = p->mae.high};
}

static void add_pair(struct eq_picture *p, const struct eq_run_verdict *v, size_t i, int row)
{
    const struct eq_verdict_pair *pair = &v->pairs[i];
    const char *a = v->models[pair->a].row, *b = v->models[pair->b].row, *word = eq_margin_name(pair->verdict);
    struct eq_boot_runs d = figure_of(v, pair);
    struct eq_str name = {0};
    eq_str_add(&name, "%s - %s", a, b);
    eq_csv_text(&p->data, name.s);
    eq_csv_real(&p->data, d.value);
    eq_csv_real(&p->data, d.t_low);
    eq_csv_real(&p->data, d.t_high);
    eq_csv_text(&p->data, word);
    eq_csv_real(&p->data, row);
    eq_csv_end(&p->data);
    eq_str_add(&p->alt, "%s%s: %+.3f EF points, 95 %% interval %+.3f to %+.3f, %s", i ? "; " : "", name.s, d.value,
               d.t_low, d.t_high, word);
    eq_str_clear(&name);
}

enum eq_status eq_plot_differences(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    const struct eq_run_verdict *v = &report->verdict;
    bool any = false;
    (void)models;
    (void)err;
    for (size_t i = 0; i < v->n_pairs; i++)
        any |= isfinite(figure_of(v, &v->pairs[i]).t_low);
    if (!any)
        return EQ_OK;
    struct eq_picture *p = eq_picture_add(&report->pictures, "differences", NULL, 560, 120 + 40 * (int)v->n_pairs);
    eq_str_add(&p->title, "Differences of MAE and the margin");
    eq_str_add(&p->caption,
               "MAE of the first model minus that of the second, with 95 %% intervals. An interval that ends left of "
               "the dashed margin of %.3g EF points is non-inferior; one that holds it shows nothing.",
               v->margin);
    eq_str_add(&p->data, "pair,difference_of_mae,low,high,verdict,place\n");
    for (size_t i = 0; i < v->n_pairs; i++)
        add_pair(p, v, i, (int)(v->n_pairs - 1 - i));
    eq_str_add(&p->alt, "; margin %.3g.", v->margin);
    eq_str_add(
        &p->script,
        "set yrange [-0.6:%g]\nset xlabel 'difference of MAE (EF points)' offset 0,0.3\nset border 1\nunset key\n"
        "set rmargin 15\nset grid xtics noytics\nset ytics scale 0\nset offsets graph 0.06, graph 0.06, 0, 0\n"
        "set arrow from 0, graph 0 to 0, graph 1 nohead lc rgb ink lw 1\n"
        "set arrow from %.9g, graph 0 to %.9g, graph 1 nohead lc rgb s2 lw 1.6 dt (8,4)\n"
        "set label 'margin' at %.9g, graph 1.06 center tc rgb s2\n",
        (double)v->n_pairs - 0.4, v->margin, v->margin, v->margin);
    eq_str_add(
        &p->script,
        "stats '%s.csv' using 'high' nooutput\nset xrange [*<%.9g:%.9g<*]\n"
        "plot '%s.csv' using 'difference_of_mae':'place':'low':'high':ytic(1) with xerrorbars pt 7 ps 0.9 lw 1.8 "
        "lc rgb s1, \\\n     '' using (%.9g > STATS_max ? %.9g : STATS_max):'place':5 with labels left offset "
        "3,0 tc rgb ink\n",
        p->name.s, -0.1 * v->margin, 1.1 * v->margin, p->name.s, 1.1 * v->margin, 1.1 * v->margin);
    return EQ_OK;
}
