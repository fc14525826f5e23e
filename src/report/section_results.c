/* The table of results: the five columns of the README first, then the details. */
#include "report/report.h"

static void add_ms(struct eq_table *t, double ms)
{
    eq_table_numbers(t, ms < 10 ? "%.2f" : "%.1f", ms);
}

static void add_row(struct eq_table *t, const struct eq_result *row, const struct eq_result *fp32)
{
    const struct eq_result none = eq_result_of(NULL);
    const struct eq_result *base = fp32 && row != fp32 ? fp32 : &none; /* compared with */
    eq_texts_add(&t->cells, "%s", row->model);
    eq_texts_add(&t->cells, "%s", row->precision);
    eq_table_numbers(t, "%.2f|%.2f", row->size_mb, row->mae);
    add_ms(t, row->latency.median);
    eq_table_numbers(t, "%.2f|%.3f", row->rmse, row->r2);
    add_ms(t, row->latency.p95);
    add_ms(t, row->latency.min);
    add_ms(t, row->file_latency.median);
    eq_table_numbers(t, "%+.2f|%.2fx|%.2fx", row->mae - base->mae, base->latency.median / row->latency.median,
                     base->size_mb / row->size_mb);
}

void eq_section_results(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Model",       "Precision", "Size(MB)",    "MAE",     "Latency(ms)",
                                         "RMSE",        "R2",        "p95(ms)",     "Min(ms)", "File to EF(ms)",
                                         "MAE vs FP32", "Speed-up",  "Compression", NULL};
    const struct eq_results *r = &report->results;
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 2);
    for (size_t i = 0; i < r->n; i++)
        add_row(t, &r->rows[i], eq_results_find(r, eq_phase_model(EQ_PHASE_TRAIN)->row));
    eq_str_add(&out->note,
               "MAE, RMSE and differences in EF points. Latency is of one clip: the median of repeated calls, "
               "with their 95th percentile and minimum. Size: bytes of the file / 10⁶. The row Median "
               "always predicts the median EF of the training clips.");
}
