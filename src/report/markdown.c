/* Sections as Markdown: report.md, and tables on the terminal. */
#include "report/report.h"

#include <string.h>

/* Between two parts. */
static void blank(struct eq_str *out)
{
    if (out->len)
        eq_str_add(out, "\n");
}

/* Text may quote paths in any encoding. */
static void add_line(struct eq_str *out, int columns, const char *mark, const char *text)
{
    struct eq_str shown = {0};
    eq_str_add_lines(&shown, text);
    eq_str_add(out, "%s", mark);
    if (columns > 0)
        eq_str_add_wrapped(out, shown.s, (int)strlen(mark), columns);
    else
        eq_str_add(out, "%s\n", shown.s);
    eq_str_clear(&shown);
}

void eq_section_print(const struct eq_section *s, int columns, struct eq_str *out)
{
    static const char *const marks[] = {[EQ_LINE_PLAIN] = "", [EQ_LINE_ITEM] = "- ", [EQ_LINE_CAUTION] = "> "};
    bool first = true;
    if (s->brief.len) {
        blank(out);
        add_line(out, columns, "", s->brief.s);
        return;
    }
    bool more = s->lines.n || s->n_tables; /* than pictures */
    if (s->title.len && (more || !s->n_plots)) {
        blank(out);
        eq_str_add(out, s->style == EQ_SECTION_LEAD_IN ? "%s:\n" : "## %s\n", s->title.s);
    }
    EQ_EACH_TEXT(line, &s->lines)
    {
        if (first || s->line_style != EQ_LINE_ITEM) /* cautions in one quotation would become one paragraph */
            blank(out);
        first = false;
        add_line(out, columns, marks[s->line_style], line);
    }
    for (size_t i = 0; i < s->n_tables; i++) {
        blank(out);
        eq_table_print(&s->tables[i], columns, out);
    }
    if (s->note.len) {
        blank(out);
        add_line(out, columns, "", s->note.s);
    }
    for (size_t i = 0; i < s->n_plots; i++) {
        const struct eq_picture *p = s->plots[i];
        blank(out);
        eq_str_add(out, "%s %s\n\n![%s](plots/%s.svg)\n\n%s\n", more ? "###" : "##", p->title.s, p->title.s, p->name.s,
                   p->caption.s);
    }
    for (size_t i = 0; i < s->n_strips; i++) {
        struct eq_str text = {0};
        eq_str_add(&text, "%s: %s. %s", s->strips[i]->name.s, s->strips[i]->title.s, s->strips[i]->caption.s);
        blank(out);
        eq_str_add(out, "![Film strip](plots/%s)\n\n", s->strips[i]->file.s);
        add_line(out, columns, "", text.s);
        eq_str_clear(&text);
    }
}

void eq_report_markdown(const struct eq_section *sections, size_t n, struct eq_str *out)
{
    eq_str_add(out, "# FP32 to INT8: results\n");
    size_t left = n;
    for (int place = 0; left > 0; place++)
        for (size_t i = 0; i < n; i++)
            if (sections[i].place == place) {
                eq_section_print(&sections[i], 0, out);
                left--;
            }
    eq_str_add(out, "\n%s\n", EQ_RESEARCH_ONLY);
}
