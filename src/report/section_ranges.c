/* Which edges clip, folded away with the pictures of their values. */
#include "report/report.h"

static void add_edge(struct eq_table *t, const char *row, const struct cJSON *edge)
{
    double low = eq_json_real(edge, "low"), high = eq_json_real(edge, "high"), min = eq_json_real(edge, "min"),
           max = eq_json_real(edge, "max");
    eq_texts_add(&t->cells, "%s", row);
    eq_texts_add(&t->cells, "%s", eq_json_text(edge, "edge"));
    eq_table_numbers(t, "%.3g|%.3g|%.3g|%.3g|%.0f|%.4f", low, high, min, max, 100 * (max - min) / (high - low),
                     100 * eq_json_real(edge, "clipped"));
}

void eq_section_ranges(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Model", "Edge", "Low", "High", "Min", "Max", "Span(%)", "Clipped(%)", NULL};
    const struct eq_measured *m = &report->measured;
    struct eq_table *t = NULL;
    for (size_t i = 0; i < m->n; i++) {
        const struct cJSON *edge;
        cJSON_ArrayForEach(edge, cJSON_GetObjectItemCaseSensitive(m->list[i].json, "edges"))
        {
            if (!t)
                eq_table_begin(t = eq_section_table(out), header, 2);
            add_edge(t, m->list[i].model->row, edge);
        }
    }
    if (!t)
        return;
    out->style = EQ_SECTION_FOLDED;
    eq_str_add(&out->title, "Ranges of the edges");
    eq_str_add(&out->note,
               "Low, high: the first and the last of the 256 levels of an edge, which calibration chose for "
               "PTQ and training for QAT. Min, max: FP32's values on the clips of the pictures. Span: from "
               "min to max, in percent of the levels' span. Clipped: values more than half a level outside.");
    eq_measured_note_seed(m, &out->note);
}
