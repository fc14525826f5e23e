/* The table of results: the five columns of the README first, then the details. */
#include "report/report.h"

#include <math.h>
#include <string.h>

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

void eq_results_table_devices(const struct eq_results *r, struct eq_texts *devices)
{
    for (size_t i = 0; i < r->n; i++) {
        struct eq_result_device d, gpu;
        bool any = eq_result_gpu(&r->rows[i], &gpu);
        for (size_t k = 0; eq_result_device_at(&r->rows[i], k, &d); k++) {
            bool shown = any && strcmp(d.id, gpu.id) == 0;
            EQ_EACH_TEXT(id, devices)
            {
                shown |= strcmp(d.id, id) == 0;
            }
            if (!shown && !isnan(d.latency.median))
                eq_texts_add(devices, "%s", d.id);
        }
    }
}

/* The GPU of a row, then the other devices. */
static void add_devices(struct eq_table *t, const struct eq_result *row, const struct eq_texts *devices)
{
    struct eq_result_device gpu, d;
    bool any = eq_result_gpu(row, &gpu);
    add_significant(t, any ? gpu.latency.median : NAN, "");
    EQ_EACH_TEXT(id, devices)
    {
        double median = NAN;
        for (size_t i = 0; eq_result_device_at(row, i, &d); i++)
            if (strcmp(d.id, id) == 0 && !(any && strcmp(d.id, gpu.id) == 0))
                median = d.latency.median;
        add_significant(t, median, "");
    }
}

void eq_results_table_row(struct eq_table *t, const struct eq_result *row, const struct eq_result *fp32,
                          const struct eq_texts *devices)
{
    const struct eq_result none = eq_result_of(NULL);
    const struct eq_result *base = fp32 && row != fp32 ? fp32 : &none; /* compared with */
    eq_texts_add(&t->cells, "%s", row->model);
    eq_texts_add(&t->cells, "%s%s", row->precision, eq_report_is_winograd(row->recipe) ? ", Winograd" : "");
    eq_table_numbers(t, "%.2f|%.2f", row->size_mb, row->mae);
    add_significant(t, row->latency.median, "");
    add_devices(t, row, devices);
    eq_table_numbers(t, "%.2f|%.3f|%+.2f|%.2f|%+.2f", row->rmse, row->r2, row->bias, row->val_mae, row->val_bias);
    add_significant(t, row->latency.p95, "");
    add_significant(t, row->latency.min, "");
    add_significant(t, row->file_latency.median, "");
    eq_table_numbers(t, "%+.2f", row->mae - base->mae);
    add_speed(t, row, base);
    add_significant(t, base->size_mb / row->size_mb, "x");
}

void eq_results_table_begin(struct eq_table *t, const struct eq_texts *devices)
{
    static const char *const first[] = {"Model",           "Precision",       "Size(MB)", "MAE",
                                        "Latency CPU(ms)", "Latency GPU(ms)", NULL};
    static const char *const rest[] = {"RMSE",        "R2",       "Bias",       "Val MAE",
                                       "Val bias",    "p95(ms)",  "Min(ms)",    "File to EF(ms)",
                                       "MAE vs FP32", "Speed-up", "Compression"};
    eq_table_begin(t, first, 2);
    EQ_EACH_TEXT(id, devices)
    {
        eq_texts_add(&t->cells, "Latency %s(ms)", id);
        t->columns++;
    }
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++, t->columns++)
        eq_texts_add(&t->cells, "%s", rest[i]);
}

/* Why the column of the GPU is empty. */
static void note_gpu(const struct eq_results *r, struct eq_str *note)
{
    struct eq_result_device gpu;
    bool any = false;
    for (size_t i = 0; i < r->n; i++)
        any |= eq_result_gpu(&r->rows[i], &gpu) && !isnan(gpu.latency.median);
    if (!any && *r->environment.gpu)
        eq_str_add(note, " There is no latency on a GPU: %s.", r->environment.gpu);
}

/* What the precision of such a row means. */
static void note_winograd(const struct eq_results *r, struct eq_str *note)
{
    bool any = false;
    for (size_t i = 0; i < r->n; i++)
        any |= eq_report_is_winograd(r->rows[i].recipe);
    if (any)
        eq_str_add(note, " INT8, Winograd: 3x3 convolutions with stride 1 are computed in Winograd's domain, and their "
                         "weights are stored there, in four times the bytes.");
}

void eq_section_results(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    if (r->n == 0)
        return;
    out->heading = "Results";
    struct eq_table *t = eq_section_table(out);
    struct eq_texts devices = {0};
    eq_results_table_devices(r, &devices);
    eq_results_table_begin(t, &devices);
    for (size_t i = 0; i < r->n; i++)
        eq_results_table_row(t, &r->rows[i], eq_results_find(r, eq_phase_model(EQ_PHASE_TRAIN)->row), &devices);
    eq_str_clear(&devices.s);
    eq_str_add(&out->note, "MAE, RMSE, bias, and differences are in EF points, on the test clips; \"Val\" is on the "
                           "validation clips. Bias is the mean of predicted minus true EF; below 0, the model "
                           "predicts too low. Latency is for one clip: the median of repeated calls. p95, minimum, "
                           "file to EF, and speed-up are those of the CPU. A speed-up is not measurable if the 95 %% "
                           "intervals of the two medians overlap, or if the models were not timed by turns. Size: "
                           "bytes of the file / 10⁶. The row Median always predicts the median EF of the training "
                           "clips.");
    note_winograd(r, &out->note);
    note_gpu(r, &out->note);
}
