/* Results over several seeds: models, and paired differences between them. */
#include "report/report.h"

#include <math.h>

static void add_model(struct eq_table *t, const struct eq_result *row)
{
    const struct eq_spread *mae = &row->over_seeds.mae.of, *rmse = &row->over_seeds.rmse.of;
    eq_texts_add(&t->cells, "%s", row->model);
    eq_table_numbers(t, "%.0f|%.2f|%.2f|%.2f|%.2f|%.2f|%.2f|%.3f|%.3f", row->over_seeds.n, mae->mean, mae->sd, mae->min,
                     mae->max, rmse->mean, rmse->sd, row->over_seeds.r2.of.mean, row->over_seeds.r2.of.sd);
}

static void add_difference(struct eq_table *t, const struct eq_result_difference *d)
{
    const struct eq_spread *s = &d->mae.of;
    eq_texts_add(&t->cells, "%s - %s", d->model, d->minus);
    eq_table_numbers(t, "%.0f|%+.3f|%.3f", d->n, s->mean, s->sd);
    if (isnan(s->low) || isnan(s->high))
        eq_texts_add(&t->cells, "-");
    else
        eq_texts_add(&t->cells, "%+.3f to %+.3f", s->low, s->high);
    eq_table_numbers(t, "%+.3f|%+.3f", s->min, s->max);
}

void eq_section_seeds(const struct eq_report *report, struct eq_section *out)
{
    static const char *const of_models[] = {"Model",     "Seeds", "MAE mean", "SD", "Min", "Max",
                                            "RMSE mean", "SD",    "R2 mean",  "SD", NULL};
    static const char *const of_differences[] = {"Difference of MAE", "Seeds", "Mean", "SD",
                                                 "95 % interval",     "Min",   "Max",  NULL};
    const struct eq_results *r = &report->results;
    if (!r->seeds)
        return;
    out->style = EQ_SECTION_LEAD_IN;
    eq_str_add(&out->title, "Over %zu seed%s (", r->n_seeds, r->n_seeds == 1 ? "" : "s");
    for (size_t i = 0; i < r->n_seeds; i++)
        eq_str_add(&out->title, "%s%.0f", i ? ", " : "", r->seeds[i].seed);
    eq_str_add(&out->title, ")");
    double left = r->seeds_wanted - (double)r->n_seeds;
    if (left > 0)
        eq_str_add(&out->title, ", %.0f of %.0f not yet run", left, r->seeds_wanted);
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, of_models, 1);
    for (size_t i = 0; i < r->n; i++)
        add_model(t, &r->rows[i]);
    t = eq_section_table(out);
    eq_table_begin(t, of_differences, 1);
    for (size_t i = 0; i < r->n_differences; i++)
        add_difference(t, &r->differences[i]);
    eq_str_add(&out->note, "Each seed is a whole experiment, with its own initial weights, order of clips, "
                           "augmentation, and calibration clips. The table above shows means over the seeds. SD: "
                           "standard deviation over seeds (n - 1). Differences are taken within a seed and then "
                           "averaged; 95 %% interval: mean ± t(0.975, n - 1) SD / √n, Student's t. The test clips "
                           "are the same for all seeds, so the intervals cover other trainings, not other patients.");
}
