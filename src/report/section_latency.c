/* The latency of each model as a distribution, and what comes before the first EF: loading, first call, memory. */
#include "report/report.h"

#include <math.h>

/* Of fewer calls the 99th percentile is the slowest one. */
enum { CALLS_FOR_P99 = 100 };

static void add_time(struct eq_table *t, double ms)
{
    if (ms > 0 && isfinite(ms))
        eq_report_significant(ms, "", &t->cells.s);
    else
        eq_str_add(&t->cells.s, "-");
    eq_texts_end(&t->cells);
}

static void add_interval(struct eq_table *t, const struct eq_result_latency *l)
{
    if (l->low > 0 && isfinite(l->high)) {
        eq_report_significant(l->low, " to ", &t->cells.s);
        eq_report_significant(l->high, "", &t->cells.s);
    } else {
        eq_str_add(&t->cells.s, "-");
    }
    eq_texts_end(&t->cells);
}

/* Calls, shortest, median with its interval, percentiles. */
static void add_latency(struct eq_table *t, const struct eq_result_latency *l)
{
    eq_table_numbers(t, "%.0f", l->repeats);
    add_time(t, l->min);
    add_time(t, l->median);
    add_interval(t, l);
    add_time(t, l->p90);
    add_time(t, l->p95);
    add_time(t, l->p99);
}

static void add_distribution(struct eq_section *out, const struct eq_results *r, bool file)
{
    const char *const header[] = {file ? "File to EF" : "Model alone",
                                  "Calls",
                                  "Min(ms)",
                                  "p50(ms)",
                                  "95 % interval",
                                  "p90(ms)",
                                  "p95(ms)",
                                  "p99(ms)",
                                  NULL};
    struct eq_table *t = eq_section_table(out);
    eq_str_add(&t->caption, "%s", file ? "From file to EF" : "Model alone");
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < r->n; i++) {
        const struct eq_result_latency *l = file ? &r->rows[i].file_latency : &r->rows[i].latency;
        if (isnan(l->median))
            continue;
        eq_texts_add(&t->cells, "%s", r->rows[i].model);
        add_latency(t, l);
    }
}

/* A row for each model on each device beside the CPU. */
static void add_devices(struct eq_section *out, const struct eq_results *r)
{
    static const char *const header[] = {"On a device",   "Device",       "Calls",      "Min(ms)",       "p50(ms)",
                                         "95 % interval", "p90(ms)",      "p95(ms)",    "p99(ms)",       "Upload(ms)",
                                         "Compute(ms)",   "Download(ms)", "Memory(MB)", "EF difference", NULL};
    struct eq_table *t = eq_section_table(out);
    struct eq_result_device d;
    eq_str_add(&t->caption, "On a GPU or another device");
    eq_table_begin(t, header, 2);
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; eq_result_device_at(&r->rows[i], k, &d); k++) {
            eq_texts_add(&t->cells, "%s", r->rows[i].model);
            eq_texts_add(&t->cells, "%s", d.id);
            add_latency(t, &d.latency);
            add_time(t, d.parts.upload);
            add_time(t, d.parts.compute);
            add_time(t, d.parts.download);
            eq_table_numbers(t, "%.1f|%.2g", d.memory / 1e6, d.largest_difference);
        }
}

/* Models that a device does not have, with the reason. */
static void note_missing(struct eq_section *out, const struct eq_results *r)
{
    struct eq_result_device d;
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; eq_result_device_at(&r->rows[i], k, &d); k++)
            if (*d.why)
                eq_texts_add(&out->lines, "%s was not measured on %s: %s.", r->rows[i].model, d.id, d.why);
}

static void add_start(struct eq_section *out, const struct eq_results *r)
{
    static const char *const header[] = {
        "Model", "Load(ms)", "First call(ms)", "Activations(MB)", "Packed weights(MB)", "Peak(MB)", NULL};
    struct eq_table *t = eq_section_table(out);
    eq_str_add(&t->caption, "Start and memory");
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < r->n; i++) {
        const struct eq_result *row = &r->rows[i];
        if (isnan(row->start.load))
            continue;
        eq_texts_add(&t->cells, "%s", row->model);
        add_time(t, row->start.load);
        add_time(t, row->start.first_call);
        eq_table_numbers(t, "%.2f|%.2f|%.1f", row->memory.arena / 1e6, row->memory.packed / 1e6,
                         row->memory.peak / 1e6);
    }
}

/* Names the models whose 99th percentile is no more than their slowest call. */
static void note_few_calls(struct eq_section *out, const struct eq_results *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        double calls = fmin(r->rows[i].latency.repeats, r->rows[i].file_latency.repeats);
        if (calls < CALLS_FOR_P99)
            eq_str_add(&out->lines.s,
                       n++ ? ", %s (%.0f)"
                           : "Too few calls for a 99th percentile; p99 is the slowest "
                             "call: %s (%.0f)",
                       r->rows[i].model, calls);
    }
    if (n) {
        eq_str_add(&out->lines.s, ". bench.repeats and bench.seconds set how many there are.");
        eq_texts_end(&out->lines);
    }
}

void eq_section_latency(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    bool any = false, file = false, start = false, device = false;
    struct eq_result_device d;
    for (size_t i = 0; i < r->n; i++) {
        any |= !isnan(r->rows[i].latency.p99);
        file |= !isnan(r->rows[i].file_latency.p99);
        start |= !isnan(r->rows[i].start.load);
        device |= eq_result_device_at(&r->rows[i], 0, &d);
    }
    if (!any && !start && !device)
        return; /* results of version 0.1.0 */
    eq_str_add(&out->title, "Latency and memory");
    note_few_calls(out, r);
    note_missing(out, r);
    if (any)
        add_distribution(out, r, false);
    if (device)
        add_devices(out, r);
    if (file)
        add_distribution(out, r, true);
    if (start)
        add_start(out, r);
    eq_str_add(
        &out->note,
        "%s"
        "Models are timed by turns, five calls of each. p50 is the median, with an interval of at least 95 %% "
        "from the order statistics; p90, p95, and p99 are nearest ranks. Load: from the file, in the page cache, "
        "to a model that is ready; first call: the first inference after that; both are medians of three loads. "
        "Activations: also scratch memory. Peak: by how much the load and the first call raise the peak of the "
        "process's resident memory, without code, libraries, and the clip; MB are 10⁶ bytes.",
        r->seeds ? "All numbers are means over the seeds. " : "");
    if (device)
        eq_str_add(&out->note,
                   " On a device: from the pixels in the host's memory to the EF; upload, compute, and download are "
                   "medians by the device's clock; memory is that of the device. EF difference: the largest difference "
                   "of a test clip's EF from the CPU's, in EF points. It is 0 for INT8 models without FP32 layers, to "
                   "the bit; otherwise the evaluation would have failed.");
}
