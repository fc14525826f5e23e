/* The front: error against latency and against size, of the models and of what mixed precision tried on its way to
 * PTQ's. One is on it if no other is at least as good in both and better in one. */
#include "report/plots.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the axis shows: both are less for the better model. */
static const struct axis {
    const char *name, *title, *column, *label, *unit;
    size_t at;     /* of the number in a row */
    bool is_timed; /* depends on the machine */
} axes[] = {
    {"latency", "Error against latency", "latency_ms", "median latency (ms)", "ms",
     offsetof(struct eq_result, latency.median), true},
    {"size", "Error against size", "size_mb", "size of the file (MB)", "MB", offsetof(struct eq_result, size_mb),
     false},
};

/* Either a model or a try. */
struct point {
    const struct eq_plot_model *model;
    const struct cJSON *tried;
    double cost, error;
    bool on_front;
};
struct front {
    const struct axis *axis;
    struct point *points; /* owned; the models first */
    size_t n, models;
    bool validation;
};

/* The CSV's name for all tries; names of models have no parentheses. */
#define TRY "(try)"

/* ---- the points ------------------------------------------------------------ */

/* A front is for choosing, and the test clips must not choose. Reports of version 0.1.0 have no others. */
static bool by_validation(const struct eq_plot_models *models)
{
    for (size_t i = 0; i < models->n; i++)
        if (isnan(models->list[i].row->val_mae))
            return false;
    return models->n > 0;
}

static void add_point(struct front *f, struct point p)
{
    if (!(p.cost > 0 && isfinite(p.error)))
        return;
    f->points = eq_list_grow(f->points, f->n, sizeof p);
    f->points[f->n++] = p;
}

static void add_models(struct front *f, const struct eq_plot_models *models)
{
    for (size_t i = 0; i < models->n; i++) {
        const struct eq_result *row = models->list[i].row;
        add_point(f, (struct point){.model = &models->list[i],
                                    .cost = *(const double *)((const char *)row + f->axis->at),
                                    .error = f->validation ? row->val_mae : row->mae});
    }
    f->models = f->n;
}

/* Whether errors, and on that axis the costs, of the tries are measured as those of PTQ's row. */
static bool is_comparable(const struct front *f, const struct cJSON *measured, const struct cJSON *tries,
                          const struct eq_result *ptq)
{
    if (!f->validation || !ptq || ptq->phases != 1 || ptq->val_clips != eq_json_real(tries, "clips"))
        return false;
    return !f->axis->is_timed ||
           (ptq->threads == eq_json_real(tries, "threads") && strcmp(ptq->cpu, eq_json_text(tries, "cpu")) == 0 &&
            strcmp(ptq->isa, eq_json_text(measured, "isa")) == 0);
}

/* Over several seeds the errors of models are means, with which those of one seed's tries cannot be compared. The one
 * chosen is PTQ's model. */
static void add_tries(struct front *f, const struct eq_report *report)
{
    const struct cJSON *measured = eq_measured_of(&report->measured, EQ_PHASE_PTQ), *one;
    const struct cJSON *tries = cJSON_GetObjectItemCaseSensitive(measured, "tries");
    const struct eq_result *ptq = eq_results_find(&report->results, eq_phase_model(EQ_PHASE_PTQ)->row);
    if (!tries || !isnan(report->measured.seed) || !is_comparable(f, measured, tries, ptq))
        return;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(tries, "list")) if (!eq_json_flag(one, "chosen"))
        add_point(f, (struct point){
                         .tried = one, .cost = eq_json_real(one, f->axis->column), .error = eq_json_real(one, "mae")});
}

static bool is_on_front(const struct front *f, const struct point *p)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct point *q = &f->points[i];
        if (q->cost <= p->cost && q->error <= p->error && (q->cost < p->cost || q->error < p->error))
            return false;
    }
    return true;
}

/* ---- the picture ----------------------------------------------------------- */

static void add_row(const struct front *f, const struct point *p, struct eq_str *data)
{
    eq_csv_text(data, p->model ? p->model->name : TRY);
    eq_csv_real(data, p->cost);
    eq_csv_real(data, p->error);
    eq_csv_real(data, p->on_front);
    if (f->n > f->models) {
        char step[96] = "-";
        const char *kept = p->tried ? eq_json_text(p->tried, "keep_fp32") : "";
        if (p->tried)
            snprintf(step, sizeof step, "%s to %s", eq_json_text(p->tried, "layer"), eq_json_text(p->tried, "to"));
        eq_csv_text(data, step);
        eq_csv_text(data, *kept ? kept : "-");
    }
    eq_csv_end(data);
}

static void add_texts(const struct front *f, struct eq_picture *p)
{
    size_t front = 0, tries = f->n - f->models, tries_on_front = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct point *point = &f->points[i];
        front += point->on_front;
        tries_on_front += point->on_front && point->tried;
        if (point->model)
            eq_str_add(&p->alt, "%s%s: %.3g %s, MAE %.2f EF points%s", p->alt.len ? "; " : "", point->model->label,
                       point->cost, f->axis->unit, point->error, point->on_front ? ", on the front" : "");
    }
    if (tries)
        eq_str_add(&p->alt, "; %zu tr%s of mixed precision, %zu of them on the front", tries, tries == 1 ? "y" : "ies",
                   tries_on_front);
    eq_str_add(&p->alt, ".");
    eq_str_add(&p->caption,
               "MAE on the %s clips. %zu of %zu models%s are on the front (line): no other is at least as good in both "
               "and better in one.%s",
               f->validation ? "validation" : "test", front, f->n, tries ? " and tries" : "",
               f->validation ? " Validation, because a front is for choosing, and the test clips must not choose."
                             : "");
    if (tries)
        eq_str_add(&p->caption,
                   " A small hollow mark is an integer model that mixed precision tried. The column keep_fp32 of "
                   "%s.csv is the setting ptq.keep_fp32 that makes it.%s",
                   p->name.s, f->axis->is_timed ? " Tries were timed one by one, as they were made." : "");
}

static void add_script(const struct front *f, struct eq_picture *p)
{
    double least = INFINITY, most = -INFINITY;
    int curves = 0;
    for (size_t i = 0; i < f->n; i++) {
        least = fmin(least, f->points[i].error);
        most = fmax(most, f->points[i].error);
    }
    /* A row off the front must not cut the line of those on it. */
    eq_str_add(&p->script,
               "set key maxcols 3\nset datafile missing NaN\nset xlabel '%s' offset 0,0.3\nset ylabel 'MAE (EF "
               "points)'\nset xrange [0:*]\n"
               "set ytics %g\nset offsets 0, graph 0.1, graph 0.1, graph 0.1\n",
               f->axis->label, eq_plot_step(1.3 * (most - least), 6));
    for (size_t i = 0; i < f->models; i++) {
        const struct eq_plot_model *m = f->points[i].model;
        eq_plot_add_curve(p, m, &(struct eq_plot_curve){f->axis->column, "mae", "with points ls %d ps 1.3", m->label},
                          &curves);
    }
    if (f->n > f->models)
        eq_str_add(&p->script,
                   ", \\\n     '%s.csv' using (strcol('model') eq '" TRY "' ? column('%s') : NaN):'mae' "
                   "with points pt 6 ps 0.6 lc rgb axis title 'tries'",
                   p->name.s, f->axis->column);
    eq_str_add(
        &p->script,
        ", \\\n     '%s.csv' using (column('on_front') == 1 ? column('%s') : NaN):'mae' smooth unique with steps "
        "lc rgb axis lw 1 notitle\n",
        p->name.s, f->axis->column);
}

static void draw(struct eq_report *report, const struct eq_plot_models *models, const struct axis *a)
{
    struct front f = {.axis = a, .validation = by_validation(models)};
    add_models(&f, models);
    if (f.models > 0)
        add_tries(&f, report);
    if (f.n >= 2) {
        struct eq_picture *p = eq_picture_add(&report->pictures, "front", a->name, 460, 400);
        eq_str_add(&p->title, "%s", a->title);
        eq_str_add(&p->data, "model,%s,mae,on_front%s\n", a->column, f.n > f.models ? ",step,keep_fp32" : "");
        for (size_t i = 0; i < f.n; i++) {
            f.points[i].on_front = is_on_front(&f, &f.points[i]);
            add_row(&f, &f.points[i], &p->data);
        }
        add_texts(&f, p);
        add_script(&f, p);
    }
    free(f.points);
}

enum eq_status eq_plot_front(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    (void)err;
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++)
        draw(report, models, &axes[i]);
    return EQ_OK;
}
