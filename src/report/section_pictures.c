/* The pictures, one section for each kind. */
#include "report/report.h"

#include <string.h>

/* A picture's name begins with its kind. */
static void add_pictures(const struct eq_report *report, const char *kind, const char *title, struct eq_section *out)
{
    for (size_t i = 0; i < report->n_plots && !report->no_pictures.len; i++) {
        if (strncmp(report->plots[i].name.s, kind, strlen(kind)) != 0)
            continue;
        out->plots = eq_list_grow(out->plots, out->n_plots, sizeof *out->plots);
        out->plots[out->n_plots++] = &report->plots[i];
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
    out->line_style = EQ_LINE_CAUTION;
    if (report->no_pictures.len)
        eq_texts_add(&out->lines, "The report has no pictures: %s. Their scripts and data are in plots/.",
                     report->no_pictures.s);
}
