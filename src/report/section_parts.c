/* What weights and activations alone add to the error of each quantized model. */
#include "report/report.h"

#include <math.h>
#include <string.h>

static const struct cJSON *part_of(const struct cJSON *json, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "parts"), name);
}

static void add_model(struct eq_table *t, const struct eq_quantization *q)
{
    static const char *const parts[] = {"weights", "activations", "both"};
    eq_texts_add(&t->cells, "%s", q->model->row);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const struct cJSON *part = part_of(q->json, parts[i]);
        eq_table_numbers(t, "%.3f|%+.3f", eq_json_real(part, "rms_from_fp32"), eq_json_real(part, "mae_change"));
    }
}

void eq_section_parts(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Model", "Weights: RMS", "MAE", "Activations: RMS",
                                         "MAE",   "Both: RMS",    "MAE", NULL};
    const struct eq_measured *m = &report->measured;
    if (m->n == 0)
        return;
    eq_str_add(&out->title, "Error of weights and of activations");
    for (size_t i = 0; i < m->n; i++) {
        double w = eq_json_real(part_of(m->list[i].json, "weights"), "rms_from_fp32"),
               a = eq_json_real(part_of(m->list[i].json, "activations"), "rms_from_fp32");
        if (w > 0 && a > 0)
            eq_texts_add(&out->lines,
                         "%s: rounding the %s alone moves the EF more than rounding the %s alone (RMS %.3f "
                         "against %.3f EF points).",
                         m->list[i].model->row, a > w ? "activations" : "weights", a > w ? "weights" : "activations",
                         fmax(a, w), fmin(a, w));
    }
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < m->n; i++)
        add_model(t, &m->list[i]);
    double clips = eq_json_real(m->list[0].json, "clips");
    eq_str_add(
        &out->note,
        "Simulated to the bit with only the weights, only the activations, or both in integers, on %.0f clip%s of "
        "the %s split. RMS: root mean square of the EF's distance from the same network in floats, in EF points; "
        "for QAT these are the floats that it was trained with. MAE: change of the mean absolute error.",
        clips, clips == 1 ? "" : "s", eq_json_text(m->list[0].json, "split"));
    eq_measured_note_seed(m, &out->note);
}
