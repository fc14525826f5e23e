/* Bland and Altman's pictures: each model against the truth, and INT8 against FP32. */
#include "report/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* a minus b, clip by clip. */
struct pairs {
    const char *label_a, *label_b;
    const char **names; /* borrowed */
    double *a, *b;
    size_t n;
    double lo, hi, reach; /* of the axes: EF, and the difference on both sides of 0 */
};

static enum eq_status open_pairs(struct pairs *p, size_t n, struct eq_err *err)
{
    p->names = eq_alloc(n, sizeof *p->names);
    p->a = eq_alloc(2 * n, sizeof *p->a);
    p->b = p->a ? p->a + n : NULL;
    return p->names && p->a ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for a picture of %zu clips", n);
}

static void close_pairs(struct pairs *p)
{
    eq_free(p->names);
    eq_free(p->a);
}

/* The band of a line at y, which is its interval, and its value beside it. */
static void add_band(struct eq_picture *p, double y, double low, double high)
{
    if (isfinite(low) && isfinite(high))
        eq_str_add(&p->script,
                   "set object rectangle from graph 0, first %.9g to graph 1, first %.9g fc rgb band fs transparent "
                   "solid 0.45 noborder behind\n",
                   low, high);
    eq_str_add(&p->script, "set label '%+.2f' at graph 1.015, first %.9g tc rgb ink font ',11.5'\n", y, y);
}

static enum eq_status draw(struct eq_report *report, const char *kind, const char *name, int series,
                           const struct pairs *s, struct eq_err *err)
{
    struct eq_bland_altman d;
    EQ_CHECK(eq_bland_altman_of(s->a, s->b, s->n, &d, err));
    struct eq_picture *p = eq_picture_add(&report->pictures, "agreement", name, 460, 400);
    p->kind = kind;
    eq_str_add(&p->title, "%s against %s", s->label_a, s->label_b);
    eq_str_add(&p->data, "FileName,mean_ef,difference\n");
    for (size_t i = 0; i < s->n; i++) {
        eq_csv_text(&p->data, s->names[i]);
        eq_csv_real(&p->data, (s->a[i] + s->b[i]) / 2);
        eq_csv_real(&p->data, s->a[i] - s->b[i]);
        eq_csv_end(&p->data);
        if (s->n > EQ_PLOT_NAMED)
            continue;
        eq_str_add(&p->points, "%s: %s %.1f %%, %s %.1f %%, difference %+.2f", s->names[i], s->label_a, s->a[i],
                   s->label_b, s->b[i], s->a[i] - s->b[i]);
        eq_str_add_bytes(&p->points, "", 1);
    }
    eq_str_add(&p->caption,
               "Difference of %s minus %s over their mean, %zu test clips. Lines: bias (solid) and limits "
               "of agreement (dashed), with 95 %% intervals (bands).",
               s->label_a, s->label_b, s->n);
    eq_str_add(&p->alt,
               "%zu clips; bias %+.3f EF points (95 %% interval %+.3f to %+.3f), limits of agreement %+.2f to %+.2f",
               s->n, d.bias, d.bias_low, d.bias_high, d.lower, d.upper);
    if (isfinite(d.over_mean.slope_low)) {
        eq_str_add(&p->caption,
                   " Slope of the difference over the mean (dotted): %+.3f (95 %% interval %+.3f to %+.3f).",
                   d.over_mean.slope, d.over_mean.slope_low, d.over_mean.slope_high);
        eq_str_add(&p->alt, "; slope over the mean %+.3f", d.over_mean.slope);
    }
    eq_str_add(&p->alt, ".");
    eq_str_add(&p->script,
               "set rmargin 7\nset xlabel 'mean of %s and %s (EF, %%)' offset 0,0.3\n"
               "set ylabel 'difference (EF points)'\nset xrange [%g:%g]\nset yrange [%.9g:%.9g]\nset xtics 10\nset "
               "xzeroaxis lt 1 lw 0.8 lc rgb axis\n",
               s->label_a, s->label_b, s->lo, s->hi, -1.08 * fmax(s->reach, 1e-3), 1.08 * fmax(s->reach, 1e-3));
    add_band(p, d.bias, d.bias_low, d.bias_high);
    if (isfinite(d.sd)) {
        add_band(p, d.lower, d.lower_low, d.lower_high);
        add_band(p, d.upper, d.upper_low, d.upper_high);
    }
    eq_str_add(&p->script, "set samples 2\nplot %.9g lc rgb ink lw 1.3 notitle, \\\n     ", d.bias);
    if (isfinite(d.sd))
        eq_str_add(&p->script,
                   "%.9g lc rgb ink lw 1.3 dt (8,4) notitle, %.9g lc rgb ink lw 1.3 dt (8,4) notitle, \\\n     ",
                   d.lower, d.upper);
    if (isfinite(d.over_mean.slope_low))
        eq_str_add(&p->script, "%.9g + %.9g * x lc rgb ink lw 1.3 dt (2,4) notitle, \\\n     ", d.over_mean.intercept,
                   d.over_mean.slope);
    eq_str_add(&p->script,
               "'%s.csv' using 'mean_ef':'difference':(''.int(column(0))) \\\n"
               "     with labels hypertext point pt 7 ps 0.5 lc rgb faint(s%d) notitle\n",
               p->name.s, series);
    return EQ_OK;
}

/* reach: the same for all models, so that their pictures compare. */
static enum eq_status draw_truth(struct eq_report *report, const struct eq_plot_models *models,
                                 const struct eq_plot_model *m, double reach, struct eq_err *err)
{
    const struct eq_evaluation *e = &m->predictions;
    struct pairs s = {m->label, "truth", .n = e->n, .lo = models->lo, .hi = models->hi, .reach = reach};
    enum eq_status st;
    EQ_TRY(open_pairs(&s, e->n, err));
    for (size_t i = 0; i < e->n; i++)
        s.names[i] = e->rows[i].file_name, s.a[i] = e->rows[i].prediction, s.b[i] = e->rows[i].ef;
    EQ_TRY(draw(report, "agreement", m->name, m->series, &s, err));
out:
    close_pairs(&s);
    return st;
}

/* Clips are paired by name. */
static enum eq_status draw_change(struct eq_report *report, const struct eq_plot_models *models,
                                  const struct eq_plot_model *m, const struct eq_plot_model *base, struct eq_err *err)
{
    const struct eq_evaluation *e = &m->predictions;
    const struct eq_prediction **partners;
    struct pairs s = {m->label, base->label, .lo = models->lo, .hi = models->hi};
    enum eq_status st = EQ_OK;
    char *name = eq_format("%s_%s", m->name, base->name);
    EQ_TRY(eq_evaluation_pair(e, &base->predictions, &partners, err));
    EQ_TRY(open_pairs(&s, e->n, err));
    for (size_t i = 0; i < e->n; i++)
        if (partners[i]) {
            s.names[s.n] = e->rows[i].file_name;
            s.a[s.n] = e->rows[i].prediction;
            s.b[s.n] = partners[i]->prediction;
            s.reach = fmax(s.reach, fabs(s.a[s.n] - s.b[s.n]));
            s.n++;
        }
    if (s.n > 0)
        EQ_TRY(draw(report, "moved", name, m->series, &s, err));
out:
    eq_free(partners);
    close_pairs(&s);
    free(name);
    return st;
}

enum eq_status eq_plot_agreement(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    const struct eq_plot_model *fp32 = eq_plot_model_of(models, EQ_PHASE_TRAIN),
                               *plus = eq_plot_model_of(models, EQ_PHASE_CONTROL);
    double reach = 0;
    for (size_t i = 0; i < models->n; i++)
        for (size_t k = 0; k < models->list[i].predictions.n; k++)
            reach = fmax(reach,
                         fabs(models->list[i].predictions.rows[k].prediction - models->list[i].predictions.rows[k].ef));
    for (size_t i = 0; i < models->n; i++)
        if (models->list[i].predictions.n > 0)
            EQ_CHECK(draw_truth(report, models, &models->list[i], reach, err));
    for (size_t i = 0; i < models->n; i++) {
        const struct eq_plot_model *m = &models->list[i];
        bool is_qat = strcmp(m->name, eq_phase_model(EQ_PHASE_QAT)->name) == 0;
        const struct eq_plot_model *base = is_qat && plus ? plus : fp32;
        if (base && m->predictions.n > 0 && strcmp(m->row->precision, "INT8") == 0)
            EQ_CHECK(draw_change(report, models, m, base, err));
    }
    return EQ_OK;
}
