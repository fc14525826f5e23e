/* The front: error against latency and against size. A model is on it if no other has both less. */
#include "report/plots.h"

#include <math.h>

/* What the axis shows: both are less for the better model. */
static const struct axis {
    const char *name, *title, *column, *label, *unit;
    size_t at; /* of the number in a row */
} axes[] = {
    {"latency", "Error against latency", "latency_ms", "median latency (ms)", "ms",
     offsetof(struct eq_result, latency.median)},
    {"size", "Error against size", "size_mb", "size of the file (MB)", "MB", offsetof(struct eq_result, size_mb)},
};

static double cost_of(const struct eq_plot_model *m, const struct axis *a)
{
    return *(const double *)((const char *)m->row + a->at);
}

/* A front is for choosing, and the test clips must not choose. Reports of version 0.1.0 have no others. */
static bool by_validation(const struct eq_plot_models *models)
{
    for (size_t i = 0; i < models->n; i++)
        if (isnan(models->list[i].row->val_mae))
            return false;
    return models->n > 0;
}

static double error_of(const struct eq_plot_model *m, bool validation)
{
    return validation ? m->row->val_mae : m->row->mae;
}

static bool is_on_front(const struct eq_plot_models *models, const struct eq_plot_model *m, const struct axis *a,
                        bool validation)
{
    double cost = cost_of(m, a), error = error_of(m, validation);
    for (size_t i = 0; i < models->n; i++) {
        double c = cost_of(&models->list[i], a), e = error_of(&models->list[i], validation);
        if (c <= cost && e <= error && (c < cost || e < error))
            return false;
    }
    return true;
}

static void draw(struct eq_report *report, const struct eq_plot_models *models, const struct axis *a)
{
    bool validation = by_validation(models);
    int n = 0, front = 0, curves = 0;
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < models->n; i++) {
        double error = error_of(&models->list[i], validation);
        if (!(cost_of(&models->list[i], a) > 0 && isfinite(error)))
            continue;
        n++;
        least = fmin(least, error);
        most = fmax(most, error);
    }
    if (n < 2)
        return;
    struct eq_picture *p = eq_picture_add(&report->pictures, "front", a->name, 460, 400);
    eq_str_add(&p->title, "%s", a->title);
    eq_str_add(&p->data, "model,%s,mae,on_front\n", a->column);
    for (size_t i = 0; i < models->n; i++) {
        const struct eq_plot_model *m = &models->list[i];
        if (!(cost_of(m, a) > 0 && isfinite(error_of(m, validation))))
            continue;
        bool on = is_on_front(models, m, a, validation);
        eq_csv_text(&p->data, m->name);
        eq_csv_real(&p->data, cost_of(m, a));
        eq_csv_real(&p->data, error_of(m, validation));
        eq_csv_real(&p->data, on);
        eq_csv_end(&p->data);
        eq_str_add(&p->alt, "%s%s: %.3g %s, MAE %.2f EF points%s", p->alt.len ? "; " : "", m->label, cost_of(m, a),
                   a->unit, error_of(m, validation), on ? ", on the front" : "");
        front += on;
    }
    eq_str_add(&p->alt, ".");
    eq_str_add(&p->caption,
               "MAE on the %s clips. %d of %d models are on the front (line): no other is at least as good in both and "
               "better in one.%s",
               validation ? "validation" : "test", front, n,
               validation ? " Validation, because a front is for choosing, and the test clips must not choose." : "");
    eq_str_add(&p->script,
               "set key maxcols 3\nset xlabel '%s' offset 0,0.3\nset ylabel 'MAE (EF points)'\nset xrange [0:*]\n"
               "set ytics %g\nset offsets 0, graph 0.1, graph 0.1, graph 0.1\n",
               a->label, eq_plot_step(1.3 * (most - least), 6));
    for (size_t i = 0; i < models->n; i++)
        if (cost_of(&models->list[i], a) > 0 && isfinite(error_of(&models->list[i], validation)))
            eq_plot_add_curve(
                p, &models->list[i],
                &(struct eq_plot_curve){a->column, "mae", "with points ls %d ps 1.3", models->list[i].label}, &curves);
    eq_str_add(
        &p->script,
        ", \\\n     '%s.csv' using (column('on_front') == 1 ? column('%s') : NaN):'mae' smooth unique with steps "
        "lc rgb axis lw 1 notitle\n",
        p->name.s, a->column);
}

enum eq_status eq_plot_front(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    (void)err;
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++)
        draw(report, models, &axes[i]);
    return EQ_OK;
}
