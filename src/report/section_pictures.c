/* The pictures, one section for each kind. */
#include "report/report.h"

#include <string.h>

static void add_pictures(const struct eq_report *report, const char *kind, const char *title, struct eq_section *out)
{
    for (size_t i = 0; i < report->pictures.n; i++) {
        const struct eq_picture *p = &report->pictures.list[i];
        if (!p->drawn || strcmp(p->kind, kind) != 0)
            continue;
        out->plots = eq_list_grow(out->plots, out->n_plots, sizeof *out->plots);
        out->plots[out->n_plots++] = p;
    }
    eq_str_add(&out->title, "%s", title);
}

#define PICTURES(section, kind, title)                                                                                 \
    void eq_section_##section(const struct eq_report *report, struct eq_section *out)                                  \
    {                                                                                                                  \
        add_pictures(report, kind, title, out);                                                                        \
    }
PICTURES(scatter, "scatter", "Predictions")
PICTURES(changes, "changes", "Effect of INT8")
PICTURES(history, "history", "Training")
PICTURES(layers, "sensitivity", "Layers")

void eq_section_no_pictures(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_pictures *all = &report->pictures;
    bool any = false;
    out->line_style = EQ_LINE_CAUTION;
    for (size_t i = 0; i < all->n; i++)
        any |= all->list[i].drawn;
    if (all->missing.len)
        eq_texts_add(&out->lines, "The report has no %s: %s. %s in plots/.",
                     any ? "picture of some figures" : "pictures", all->missing.s,
                     any ? "The scripts and data of all are" : "Their scripts and data are");
}
