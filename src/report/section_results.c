/* The table of results: the five columns of the README first, then the details. */
#include "report/report.h"

#include <math.h>

static void add_significant(struct eq_table *t, double value, const char *unit)
{
    if (value > 0 && isfinite(value))
        eq_report_significant(value, unit, &t->cells.s);
    else
        eq_str_add(&t->cells.s, "-");
    eq_texts_end(&t->cells);
}

static void add_speed(struct eq_table *t, const struct eq_result *row, const struct eq_result *base)
{
    double ratio;
    enum eq_speed speed = eq_report_speed(row, base, &ratio);
    if (speed == EQ_SPEED_NOT_MEASURABLE)
        eq_texts_add(&t->cells, "not measurable");
    else
        add_significant(t, speed == EQ_SPEED_KNOWN ? ratio : NAN, "x");
}

void eq_results_table_row(struct eq_table *t, const struct eq_result *row, const struct eq_result *fp32)
{
    const struct eq_result none = eq_result_of(NULL);
    const struct eq_result *base = fp32 && row != fp32 ? fp32 : &none; /* compared with */
    eq_texts_add(&t->cells, "%s", row->model);
    eq_texts_add(&t->cells, "%s", row->precision);
    eq_table_numbers(t, "%.2f|%.2f", row->size_mb, row->mae);
    add_significant(t, row->latency.median, "");
    eq_table_numbers(t, "%.2f|%.3f|%+.2f|%.2f|%+.2f", row->rmse, row->r2, row->bias, row->val_mae, row->val_bias);
    add_significant(t, row->latency.p95, "");
    add_significant(t, row->latency.min, "");
    add_significant(t, row->file_latency.median, "");
    eq_table_numbers(t, "%+.2f", row->mae - base->mae);
    add_speed(t, row, base);
    add_significant(t, base->size_mb / row->size_mb, "x");
}

void eq_results_table_begin(struct eq_table *t)
{
    static const char *const header[] = {"Model",       "Precision", "Size(MB)",       "MAE",         "Latency(ms)",
                                         "RMSE",        "R2",        "Bias",           "Val MAE",     "Val bias",
                                         "p95(ms)",     "Min(ms)",   "File to EF(ms)", "MAE vs FP32", "Speed-up",
                                         "Compression", NULL};
    eq_table_begin(t, header, 2);
}

void eq_section_results(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    if (r->n == 0)
        return;
    out->heading = "Results";
    struct eq_table *t = eq_section_table(out);
    eq_results_table_begin(t);
    for (size_t i = 0; i < r->n; i++)
        eq_results_table_row(t, &r->rows[i], eq_results_find(r, eq_phase_model(EQ_PHASE_TRAIN)->row));
    eq_str_add(&out->note, "MAE, RMSE, bias, and differences are in EF points, on the test clips; \"Val\" is on the "
                           "validation clips. Bias is the mean of predicted minus true EF; below 0, the model "
                           "predicts too low. Latency is for one clip: the median of repeated calls, with their "
                           "95th percentile and minimum. A speed-up is not measurable if the 95 %% intervals of the "
                           "two medians overlap, or if the models were not timed by turns. Size: bytes of the file "
                           "/ 10⁶. The row Median always predicts the median EF of the training clips.");
}
