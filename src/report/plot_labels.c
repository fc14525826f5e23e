/* A histogram of the true EFs for each split. */
#include "report/plots.h"

#include <math.h>
#include <stdlib.h>

enum { BIN = 5, MOST_BINS = 100 / BIN };

enum eq_status eq_plot_labels(struct eq_report *report, const struct eq_plot_models *models, struct eq_err *err)
{
    const struct eq_dataset *ds = &report->measured.clips;
    size_t count[EQ_SPLIT_COUNT][MOST_BINS] = {{0}}, all[EQ_SPLIT_COUNT] = {0};
    int first = MOST_BINS, last = -1;
    (void)models, (void)err;
    for (size_t i = 0; i < ds->n; i++) {
        const struct eq_sample *s = &ds->samples[i];
        int bin = (int)fmin(fmax(floor(s->ef / BIN), 0), MOST_BINS - 1);
        count[s->split][bin]++;
        all[s->split]++;
        first = bin < first ? bin : first;
        last = bin > last ? bin : last;
    }
    if (last < 0)
        return EQ_OK;
    struct eq_picture *p = eq_picture_add(&report->pictures, "labels", NULL, 540, 330);
    eq_str_add(&p->title, "True EF by split");
    eq_str_add(&p->caption, "Share of the clips of each split, in bins of %d EF points.", BIN);
    eq_csv_text(&p->data, "ef_from");
    eq_csv_text(&p->data, "ef_to");
    for (int s = 0; s < EQ_SPLIT_COUNT; s++) {
        char *clips = eq_format("%s_clips", eq_split_name((enum eq_split)s)),
             *share = eq_format("%s_share", eq_split_name((enum eq_split)s));
        eq_csv_text(&p->data, clips);
        eq_csv_text(&p->data, share);
        free(clips);
        free(share);
    }
    eq_csv_end(&p->data);
    /* One more row on each side, so that steps begin and end at 0. */
    for (int b = first - 1; b <= last + 1; b++) {
        eq_csv_real(&p->data, b * BIN);
        eq_csv_real(&p->data, (b + 1) * BIN);
        for (int s = 0; s < EQ_SPLIT_COUNT; s++) {
            double n = b < first || b > last ? 0 : (double)count[s][b];
            eq_csv_real(&p->data, n);
            eq_csv_real(&p->data, all[s] ? n / (double)all[s] : NAN);
        }
        eq_csv_end(&p->data);
    }
    eq_str_add(&p->script,
               "set xlabel 'true EF (%%)' offset 0,0.4\nset ylabel 'share of the split (%%)'\n"
               "set yrange [0:*]\nset xrange [%d:%d]\nset xtics 10\n",
               first * BIN - BIN / 2, (last + 1) * BIN + BIN / 2);
    const char *before = "plot";
    for (int s = 0; s < EQ_SPLIT_COUNT; s++) {
        const char *name = eq_split_name((enum eq_split)s);
        if (all[s] == 0)
            continue;
        eq_str_add(
            &p->script,
            "%s '%s.csv' using ((column('ef_from')+column('ef_to'))/2):(100*column('%s_share')) with histeps ls %d "
            "title '%s, %zu clip%s'",
            before, p->name.s, name, s + 1, name, all[s], all[s] == 1 ? "" : "s");
        before = ", \\\n    ";
        eq_str_add(&p->alt, "%s%s: %zu clips", p->alt.len ? "; " : "", name, all[s]);
    }
    eq_str_add(&p->alt, ", with EFs from %d to %d %%.", first * BIN, (last + 1) * BIN);
    eq_str_add(&p->script, "\n");
    return EQ_OK;
}
