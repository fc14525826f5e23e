/* The clips that data.on_error = skip left out, and the damaged ones that use let in. */
#include "report/report.h"

static void list_clips(struct eq_section *out, const struct eq_result_skipped *clips, size_t n)
{
    static const char *const header[] = {"FileName", "reason", NULL};
    struct eq_table *t = eq_section_table(out);
    out->style = EQ_SECTION_UNFOLDED;
    eq_table_begin(t, header, 2);
    for (size_t i = 0; i < n; i++) {
        eq_texts_add(&t->cells, "%s", clips[i].file_name);
        eq_texts_add(&t->cells, "%s", clips[i].reason);
    }
}

void eq_section_skipped(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    if (r->n_skipped == 0)
        return;
    eq_str_add(&out->title, "%zu clip%s left out", r->n_skipped, r->n_skipped == 1 ? "" : "s");
    list_clips(out, r->skipped, r->n_skipped);
}

void eq_section_damaged(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    if (r->n_damaged == 0)
        return;
    eq_str_add(&out->title, "%zu damaged clip%s used", r->n_damaged, r->n_damaged == 1 ? "" : "s");
    list_clips(out, r->damaged, r->n_damaged);
}
