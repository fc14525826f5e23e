/* The true EFs of each split. */
#include "report/report.h"

#include <math.h>
#include <stdlib.h>

/* Heart failure with reduced EF: at most this much (2021 universal definition). */
static const double reduced = 40;

/* Ascending; NULL: there are none. */
static double *efs_of(const struct eq_dataset *ds, enum eq_split split, size_t *n)
{
    double *ef = NULL;
    *n = 0;
    for (size_t i = 0; i < ds->n; i++)
        if (ds->samples[i].split == split) {
            ef = eq_list_grow(ef, *n, sizeof *ef);
            ef[(*n)++] = ds->samples[i].ef;
        }
    if (ef)
        (void)eq_median_of(ef, *n); /* sorts */
    return ef;
}

void eq_section_labels(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {
        "Split", "Clips", "Mean EF", "SD", "Min", "25 %", "Median", "75 %", "Max", "At most 40 % (share)", NULL};
    const struct eq_dataset *ds = &report->measured.clips;
    if (ds->n == 0)
        return;
    eq_str_add(&out->title, "True EF of the clips");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 1);
    for (int split = 0; split < EQ_SPLIT_COUNT; split++) {
        size_t n, low = 0;
        double *ef = efs_of(ds, (enum eq_split)split, &n);
        struct eq_spread s = eq_spread_of(ef, n);
        if (n == 0)
            continue;
        while (low < n && ef[low] <= reduced)
            low++;
        eq_texts_add(&t->cells, "%s", eq_split_name((enum eq_split)split));
        eq_table_numbers(t, "%.0f|%.1f|%.1f|%.1f|%.1f|%.1f|%.1f|%.1f|%.3f", (double)n, s.mean, n > 1 ? s.sd : NAN,
                         s.min, eq_quantile_of(ef, n, 0.25), eq_quantile_of(ef, n, 0.5), eq_quantile_of(ef, n, 0.75),
                         s.max, (double)low / (double)n);
        free(ef);
    }
    eq_str_add(&out->note, "EF in percent, of the clips in data.csv. SD: standard deviation (n - 1). 25 %%, 75 %%: "
                           "quartiles.");
}
