/* The models that pictures show, with their predictions. */
#include "report/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void set_limits(struct eq_plot_models *models)
{
    double lo = 100, hi = 0;
    for (size_t i = 0; i < models->n; i++) {
        const struct eq_evaluation *e = &models->list[i].predictions;
        for (size_t k = 0; k < e->n; k++) {
            lo = fmin(lo, fmin(e->rows[k].ef, e->rows[k].prediction));
            hi = fmax(hi, fmax(e->rows[k].ef, e->rows[k].prediction));
        }
    }
    models->lo = floor(lo / 10) * 10;
    models->hi = fmax(ceil(hi / 10) * 10, models->lo + 10);
}

enum eq_status eq_plot_models_read(const struct eq_report *report, struct eq_plot_models *models, struct eq_err *err)
{
    const struct eq_results *r = &report->results;
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < r->n && st == EQ_OK; i++) {
        struct eq_plot_model m = {.row = &r->rows[i], .label = r->rows[i].model};
        bool there;
        if (!eq_run_file_name(m.label, m.name) || strcmp(m.label, EQ_MEDIAN_ROW) == 0)
            continue;
        m.series = eq_run_series(m.name);
        char *path = eq_format("%s/predictions/%s.csv", report->run_dir, m.name);
        st = eq_path_look(path, &there, err);
        if (st == EQ_OK && there)
            st = eq_predictions_read(path, &m.predictions, err);
        models->any |= m.predictions.n > 0;
        models->list = eq_list_grow(models->list, models->n, sizeof m);
        models->list[models->n++] = m;
        free(path);
    }
    set_limits(models);
    return st;
}

void eq_plot_models_clear(struct eq_plot_models *models)
{
    for (size_t i = 0; i < models->n; i++)
        eq_evaluation_clear(&models->list[i].predictions);
    free(models->list);
}

const struct eq_plot_model *eq_plot_model_of(const struct eq_plot_models *models, enum eq_phase phase)
{
    for (size_t i = 0; i < models->n; i++)
        if (strcmp(models->list[i].name, eq_phase_model(phase)->name) == 0 && models->list[i].predictions.n > 0)
            return &models->list[i];
    return NULL;
}

void eq_plot_add_curve(struct eq_picture *p, const struct eq_plot_model *m, const struct eq_plot_curve *c, int *curves)
{
    eq_str_add(&p->script, "%s'%s.csv' using (strcol('model') eq '%s' ? column('%s') : NaN):'%s' ",
               *curves ? ", \\\n     " : "plot ", p->name.s, m->name, c->x, c->y);
    for (const char *s = c->with; *s; s++)
        if (s[0] == '%' && s[1] == 'd')
            eq_str_add(&p->script, "%d", m->series), s++;
        else
            eq_str_add(&p->script, "%c", *s);
    eq_str_add(&p->script, " title '%s'", c->label);
    ++*curves;
}
