/* Sections as HTML: report.html. */
#include "report/page.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SVG_BYTES = 32 << 20, MAX_JPEG_BYTES = 4 << 20, DOUBLE = 500, BROAD = 640, MANY = 9 /* columns */ };

static void add_escaped(struct eq_str *out, const char *text)
{
    struct eq_str utf8 = {0};
    eq_str_add_lines(&utf8, text);
    for (text = utf8.s; *text; text++) {
        const char *name = *text == '&'   ? "&amp;"
                           : *text == '<' ? "&lt;"
                           : *text == '>' ? "&gt;"
                           : *text == '"' ? "&quot;"
                                          : NULL;
        eq_str_add_bytes(out, name ? name : text, name ? strlen(name) : 1);
    }
    eq_str_clear(&utf8);
}

static void add_element(struct eq_str *out, const char *tag, const char *attributes, const char *text, const char *end)
{
    eq_str_add(out, "<%s%s>", tag, attributes);
    add_escaped(out, text);
    eq_str_add(out, "</%s>%s", tag, end);
}

/* NULL: none. */
static const char *heading_of(const struct eq_section *s)
{
    return s->title.len ? s->title.s : s->heading;
}

/* ---- tables ---------------------------------------------------------------- */

/* A box that scrolls where the table is wider than the page, also by the keys. */
static void add_table(const struct eq_table *t, const struct eq_section *s, struct eq_str *out)
{
    int i = 0, rows = 0, text = t->text_columns >= t->columns ? 9 : t->text_columns > 4 ? 4 : t->text_columns;
    const char *caption = t->caption.len ? t->caption.s : heading_of(s) ? heading_of(s) : s->id;
    eq_str_add(out, "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"");
    add_escaped(out, caption);
    eq_str_add(out, "\"><table class=\"%s t%d%s\">\n", s->id, text, t->columns > MANY ? " many" : "");
    add_element(out, "caption", t->caption.len ? "" : " class=\"unseen\"", caption, "\n<thead>\n");
    EQ_EACH_TEXT(cell, &t->cells)
    {
        bool head = rows == 0, first = i % t->columns == 0;
        if (first)
            eq_str_add(out, "<tr>");
        add_element(out, head || first ? "th" : "td",
                    head    ? " scope=\"col\""
                    : first ? " scope=\"row\""
                            : "",
                    cell, "");
        if (++i % t->columns == 0)
            eq_str_add(out, rows++ ? "</tr>\n" : "</tr>\n</thead>\n<tbody>\n");
    }
    eq_str_add(out, "</tbody></table></div>\n");
}

/* ---- pictures -------------------------------------------------------------- */

/* number: of the picture in the page, from which its ids begin. */
static enum eq_status add_plot(const char *run_dir, const struct eq_picture *p, int number, struct eq_str *out,
                               struct eq_err *err)
{
    char *path = eq_format("%s/plots/%s.svg", run_dir, p->name.s), *id = eq_format("p%d-", number);
    void *svg = NULL;
    size_t len;
    enum eq_status st;
    bool broad = p->width > BROAD;
    EQ_TRY(eq_read_file(path, MAX_SVG_BYTES, &svg, &len, err));
    eq_str_add(out, broad ? "<figure class=\"broad\"><div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\""
                    : p->width > DOUBLE ? "<figure class=\"double\">"
                                        : "<figure>");
    if (broad) {
        add_escaped(out, p->title.s);
        eq_str_add(out, "\"><div style=\"min-width:%dpx;max-width:%dpx\">", p->width * 4 / 5, p->width * 5 / 4);
    }
    EQ_TRY(eq_picture_svg(svg, len, p, id, out, err));
    eq_str_add(out, "%s<figcaption>", broad ? "</div></div>" : "");
    eq_str_add(out, "<b>Figure %d. ", number);
    add_escaped(out, p->title.s);
    eq_str_add(out, ".</b> ");
    add_escaped(out, p->caption.s);
    eq_str_add(out, " <code>plots/%s.csv</code></figcaption></figure>\n", p->name.s);
out:
    eq_free(svg);
    free(path);
    free(id);
    return st;
}

static enum eq_status add_strip(const char *run_dir, const struct eq_strip *strip, int number, struct eq_str *out,
                                struct eq_err *err)
{
    char *path = eq_format("%s/plots/%s", run_dir, strip->file.s);
    void *jpeg;
    size_t len;
    enum eq_status st = eq_read_file(path, MAX_JPEG_BYTES, &jpeg, &len, err);
    free(path);
    EQ_CHECK(st);
    eq_str_add(out, "<figure class=\"broad\"><img width=\"%d\" height=\"%d\" alt=\"", strip->width, strip->height);
    add_escaped(out, strip->alt.s);
    eq_str_add(out, "\" src=\"data:image/jpeg;base64,");
    eq_page_base64(out, jpeg, len);
    eq_str_add(out, "\"><figcaption><b>Figure %d. ", number);
    add_escaped(out, strip->name.s);
    eq_str_add(out, ": ");
    add_escaped(out, strip->title.s);
    eq_str_add(out, ".</b> ");
    add_escaped(out, strip->caption.s);
    eq_str_add(out, " <code>plots/%s</code></figcaption></figure>\n", strip->file.s);
    eq_free(jpeg);
    return EQ_OK;
}

/* ---- sections -------------------------------------------------------------- */

static enum eq_status add_section(const char *run_dir, const struct eq_section *s, int *plots, struct eq_str *out,
                                  struct eq_err *err)
{
    static const char *const classes[] = {
        [EQ_LINE_PLAIN] = "", [EQ_LINE_ITEM] = "", [EQ_LINE_CAUTION] = " class=\"note\""};
    bool folds = s->style == EQ_SECTION_FOLDED || s->style == EQ_SECTION_UNFOLDED,
         items = s->line_style == EQ_LINE_ITEM;
    eq_str_add(out, "<section id=\"%s\">\n", s->id);
    if (folds)
        eq_str_add(out, "<details%s><summary>", s->style == EQ_SECTION_UNFOLDED ? " open" : "");
    if (heading_of(s))
        add_element(out, "h2", "", heading_of(s), folds ? "</summary>\n" : "\n");
    if (items)
        eq_str_add(out, "<ul>\n");
    EQ_EACH_TEXT(line, &s->lines) add_element(out, items ? "li" : "p", classes[s->line_style], line, "\n");
    if (items)
        eq_str_add(out, "</ul>\n");
    for (size_t i = 0; i < s->n_tables; i++)
        add_table(&s->tables[i], s, out);
    if (s->note.len)
        add_element(out, "p", " class=\"lead\"", s->note.s, "\n");
    if (s->n_plots || s->n_strips)
        eq_str_add(out, "<div class=\"pictures\">\n");
    for (size_t i = 0; i < s->n_plots; i++)
        EQ_CHECK(add_plot(run_dir, s->plots[i], ++*plots, out, err));
    for (size_t i = 0; i < s->n_strips; i++)
        EQ_CHECK(add_strip(run_dir, s->strips[i], ++*plots, out, err));
    eq_str_add(out, "%s%s</section>\n", s->n_plots || s->n_strips ? "</div>\n" : "", folds ? "</details>\n" : "");
    return EQ_OK;
}

/* Whether it is more than Markdown's brief. */
static bool is_shown(const struct eq_section *s)
{
    return s->lines.n || s->n_tables || s->n_plots || s->n_strips;
}

static void add_contents(const struct eq_section *sections, size_t n, struct eq_str *out)
{
    eq_str_add(out, "<nav aria-label=\"Contents\"><ul>\n");
    for (size_t i = 0; i < n; i++) {
        if (!is_shown(&sections[i]) || !heading_of(&sections[i]))
            continue;
        eq_str_add(out, "<li><a href=\"#%s\">", sections[i].id);
        add_escaped(out, heading_of(&sections[i]));
        eq_str_add(out, "</a></li>\n");
    }
    eq_str_add(out, "</ul></nav>\n");
}

enum eq_status eq_report_html(const char *run_dir, const struct eq_section *sections, size_t n, struct eq_str *out,
                              struct eq_err *err)
{
    int plots = 0;
    eq_page_begin(out);
    eq_str_add(out,
               "<header><h1>FP32 to INT8</h1>\n<p class=\"lead\">Ejection fraction from echocardiogram videos: what "
               "quantization costs and what it gains.</p></header>\n");
    add_contents(sections, n, out);
    eq_str_add(out, "<main id=\"main\">\n");
    for (size_t i = 0; i < n; i++)
        if (is_shown(&sections[i]))
            EQ_CHECK(add_section(run_dir, &sections[i], &plots, out, err));
    eq_str_add(out, "</main>\n<footer><p>%s</p></footer>\n", EQ_RESEARCH_ONLY);
    eq_page_end(out);
    return EQ_OK;
}
