/* Figures of the verdict as cells: with their interval for one run, with their range over several seeds. */
#include "report/report.h"

#include <math.h>
#include <string.h>

struct eq_runs_of eq_report_model_runs(const struct eq_run_verdict *v, size_t model)
{
    struct eq_runs_of of = {.seeds = v->n_seeds > 0};
    if (!of.seeds)
        of.item[of.n++] = &v->models[model];
    for (size_t s = 0; s < v->n_seeds; s++) {
        const struct eq_verdict_model *m = eq_verdict_model_of(&v->of_seed[s], v->models[model].row);
        if (m)
            of.item[of.n++] = m;
    }
    return of;
}

struct eq_runs_of eq_report_pair_runs(const struct eq_run_verdict *v, size_t pair)
{
    const struct eq_verdict_pair *p = &v->pairs[pair];
    struct eq_runs_of of = {.seeds = v->n_seeds > 0};
    if (!of.seeds)
        of.item[of.n++] = p;
    for (size_t s = 0; s < v->n_seeds; s++) {
        const struct eq_verdict_pair *one =
            eq_verdict_pair_of(&v->of_seed[s], v->models[p->a].row, v->models[p->b].row);
        if (one)
            of.item[of.n++] = one;
    }
    return of;
}

static void add_number(struct eq_str *out, double value, struct eq_digits d)
{
    value *= d.times;
    eq_str_add(out, d.sign ? "%+.*f" : "%.*f", d.after, value);
}

void eq_cell_interval(struct eq_table *t, double value, double low, double high, struct eq_digits digits)
{
    struct eq_str *out = &t->cells.s;
    if (isnan(value))
        eq_str_add(out, "-");
    else
        add_number(out, value, digits);
    if (!isnan(value) && !isnan(low) && !isnan(high)) {
        eq_str_add(out, " (");
        add_number(out, low, digits);
        eq_str_add(out, " to ");
        add_number(out, high, digits);
        eq_str_add(out, ")");
    }
    eq_texts_end(&t->cells);
}

static double real_at(const void *item, size_t at)
{
    return at == EQ_NO_LIMITS ? NAN : *(const double *)((const char *)item + at);
}

/* Mean, least and greatest of values that exist. */
static struct eq_spread over_seeds(const double *values, size_t n)
{
    double there[EQ_MAX_SEEDS];
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i]))
            there[m++] = values[i];
    return eq_spread_of(there, m);
}

void eq_cell_figure(struct eq_table *t, const struct eq_runs_of *of, size_t value, size_t low, size_t high,
                    struct eq_digits digits)
{
    double values[EQ_MAX_SEEDS];
    for (size_t i = 0; i < of->n; i++)
        values[i] = real_at(of->item[i], value);
    if (!of->seeds) {
        eq_cell_interval(t, values[0], real_at(of->item[0], low), real_at(of->item[0], high), digits);
        return;
    }
    struct eq_spread s = over_seeds(values, of->n);
    eq_cell_interval(t, s.mean, s.min, s.max, digits);
}

void eq_cell_count(struct eq_table *t, const struct eq_runs_of *of, size_t at)
{
    double values[EQ_MAX_SEEDS];
    for (size_t i = 0; i < of->n; i++)
        values[i] = (double)*(const size_t *)((const char *)of->item[i] + at);
    struct eq_spread s = over_seeds(values, of->n);
    if (!of->seeds)
        eq_texts_add(&t->cells, "%.0f", s.mean);
    else
        eq_texts_add(&t->cells, "%.1f (%.0f to %.0f)", s.mean, s.min, s.max);
}

void eq_cell_p(struct eq_table *t, const struct eq_runs_of *of, size_t at)
{
    double values[EQ_MAX_SEEDS];
    for (size_t i = 0; i < of->n; i++)
        values[i] = real_at(of->item[i], at);
    struct eq_spread s = over_seeds(values, of->n);
    if (s.n == 0)
        eq_texts_add(&t->cells, "-");
    else if (!of->seeds)
        eq_texts_add(&t->cells, "%.3g", s.mean);
    else
        eq_texts_add(&t->cells, "%.3g to %.3g", s.min, s.max);
}

void eq_cell_pair(struct eq_table *t, const struct eq_run_verdict *v, size_t pair)
{
    const struct eq_verdict_pair *p = &v->pairs[pair];
    eq_texts_add(&t->cells, "%s - %s", v->models[p->a].row, v->models[p->b].row);
}

void eq_note_seeds(const struct eq_run_verdict *v, struct eq_str *note)
{
    if (v->n_seeds)
        eq_str_add(note, " Over several seeds: the mean of the seeds' figures and, in brackets, their range.");
}
