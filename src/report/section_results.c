/* The table of results: the five columns of the README first, then what a reviewer asks for. */
#include "report/report.h"

#include <math.h>

static void put_ms(struct eq_table *t, double ms)
{
    eq_table_number(t, "", ms < 10 ? 2 : 1, ms);
}

static void add_row(struct eq_table *t, const struct eq_result *row, const struct eq_result *fp32)
{
    bool compared = fp32 && row != fp32;
    eq_texts_add(&t->cells, "%s", row->model);
    eq_texts_add(&t->cells, "%s", row->precision ? row->precision : "");
    eq_table_number(t, "", 2, row->size_mb);
    eq_table_number(t, "", 2, row->mae);
    put_ms(t, row->latency.median);
    eq_table_number(t, "", 2, row->rmse);
    eq_table_number(t, "", 3, row->r2);
    put_ms(t, row->latency.p95);
    put_ms(t, row->latency.min);
    put_ms(t, row->file_latency.median);
    eq_table_number(t, "+", 2, compared ? row->mae - fp32->mae : NAN);
    eq_table_number(t, "x", 2, compared ? fp32->latency.median / row->latency.median : NAN);
    eq_table_number(t, "x", 2, compared ? fp32->size_mb / row->size_mb : NAN);
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
        add_row(t, &r->rows[i], eq_results_find_model(r, "fp32"));
    eq_str_add(&out->note, "MAE, RMSE and differences in EF points. Latency of one clip: the median of repeated calls, "
                           "with the 95th percentile and the minimum beside it. Size: the file's bytes / 10⁶. Median: "
                           "predicts the training clips' median EF for every clip.");
}
