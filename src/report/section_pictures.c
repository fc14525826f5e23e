/* Sections that consist of pictures, and what is said where pictures are missing. */
#include "report/report.h"

#define PICTURES(section, name)                                                                                        \
    void eq_section_##section(const struct eq_report *report, struct eq_section *out)                                  \
    {                                                                                                                  \
        (void)report;                                                                                                  \
        eq_str_add(&out->title, name);                                                                                 \
    }
PICTURES(scatter, "Predictions")
PICTURES(front, "Error, latency, and size")
PICTURES(history, "Training")
PICTURES(layers, "Layers")

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
