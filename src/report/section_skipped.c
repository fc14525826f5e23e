/* The clips that data.on_error = skip left out. */
#include "report/report.h"

void eq_section_skipped(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"FileName", "reason", NULL};
    const struct eq_results *r = &report->results;
    if (r->n_skipped == 0)
        return;
    out->style = EQ_SECTION_UNFOLDED;
    eq_str_add(&out->title, "%zu clip%s left out", r->n_skipped, r->n_skipped == 1 ? "" : "s");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 2);
    for (size_t i = 0; i < r->n_skipped; i++) {
        eq_texts_add(&t->cells, "%s", r->skipped[i].file_name);
        eq_texts_add(&t->cells, "%s", r->skipped[i].reason);
    }
}
