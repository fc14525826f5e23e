/* report.html */
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SVG_BYTES = 32 << 20 };

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>echoquant: FP32 to INT8</title>\n"
    "<style>\n"
    ":root{color-scheme:light;--line:#dfe4e9;--wash:#f5f7f9}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:1260px;padding:2.2rem 1.4rem 4rem;color:var(--ink);background:#fff;\n"
    "font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}\n"
    "h1{font-size:1.7rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2.4rem 0 .7rem}p{margin:.4rem 0}\n"
    ".lead{color:var(--soft)}ul{padding-left:1.2rem;margin:.5rem 0}li{margin:.15rem 0}\n"
    ".note{border-left:4px solid #d9a441;background:#fdf7ea;padding:.5rem .9rem;margin:.7rem 0}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.94em}\n"
    "th,td{padding:.42rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}\n"
    "th{color:var(--soft);font-weight:600;border-bottom:2px solid var(--line)}\n"
    "th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}.results td:first-child{font-weight:600}\n"
    ".results td:nth-child(n+3):nth-child(-n+5){background:var(--wash);font-weight:600}\n"
    ".results tr:last-child td{color:var(--soft)}\n"
    ".pictures{display:flex;flex-wrap:wrap;gap:1.2rem}figure{margin:0;flex:1 1 320px;max-width:100%;border:1px solid "
    "var(--line);border-radius:6px;padding:.7rem .8rem}\n"
    ".scatter figure{flex:1 1 330px;max-width:460px}figure svg{width:100%;height:auto;display:block}\n"
    "figcaption{color:var(--soft);font-size:.87rem;margin-top:.4rem}figcaption b{color:var(--ink)}\n"
    "details{margin:.6rem 0}summary{cursor:pointer;font-weight:600}\n"
    ".config td,.config th,.skipped td,.skipped th{text-align:left;padding:.2rem .9rem .2rem 0;white-space:normal}\n"
    ".config td:first-child{font-family:monospace;font-size:.92em}\n"
    "@media print{body{max-width:none;padding:0}figure{break-inside:avoid}}\n"
    ":root{";
static const char body[] = "}\n</style>\n</head>\n<body>\n";

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

static void add_table(const struct eq_table *t, const char *id, struct eq_str *out)
{
    int i = 0;
    eq_str_add(out, "<div class=\"wide\"><table class=\"%s\">\n", id);
    EQ_EACH_TEXT(cell, &t->cells)
    {
        if (i % t->columns == 0)
            eq_str_add(out, "<tr>");
        add_element(out, i < t->columns ? "th" : "td", "", cell, "");
        if (++i % t->columns == 0)
            eq_str_add(out, "</tr>\n");
    }
    eq_str_add(out, "</table></div>\n");
}

/* number: of the picture in the page, from which its ids begin. */
static enum eq_status add_plot(const char *run_dir, const struct eq_picture *p, int number, struct eq_str *out,
                               struct eq_err *err)
{
    char *path = eq_format("%s/plots/%s.svg", run_dir, p->name.s), *id = eq_format("p%d-", number);
    void *svg = NULL;
    size_t len;
    enum eq_status st;
    EQ_TRY(eq_read_file(path, MAX_SVG_BYTES, &svg, &len, err));
    eq_str_add(out, "<figure>");
    EQ_TRY(eq_picture_svg(svg, len, p, id, out, err));
    eq_str_add(out, "<figcaption>");
    add_element(out, "b", "", p->title.s, ". ");
    add_escaped(out, p->caption.s);
    eq_str_add(out, "</figcaption></figure>\n");
out:
    eq_free(svg);
    free(path);
    free(id);
    return st;
}

static enum eq_status add_section(const char *run_dir, const struct eq_section *s, int *plots, struct eq_str *out,
                                  struct eq_err *err)
{
    static const char *const classes[] = {
        [EQ_LINE_PLAIN] = "", [EQ_LINE_ITEM] = "", [EQ_LINE_CAUTION] = " class=\"note\""};
    bool folds = s->style == EQ_SECTION_FOLDED || s->style == EQ_SECTION_UNFOLDED,
         items = s->line_style == EQ_LINE_ITEM;
    if (folds)
        eq_str_add(out, "<details%s>", s->style == EQ_SECTION_UNFOLDED ? " open" : "");
    if (s->title.len)
        add_element(out, folds ? "summary" : "h2", "", s->title.s, "\n");
    if (items)
        eq_str_add(out, "<ul>\n");
    EQ_EACH_TEXT(line, &s->lines) add_element(out, items ? "li" : "p", classes[s->line_style], line, "\n");
    if (items)
        eq_str_add(out, "</ul>\n");
    for (size_t i = 0; i < s->n_tables; i++)
        add_table(&s->tables[i], s->id, out);
    if (s->note.len)
        add_element(out, "p", " class=\"lead\"", s->note.s, "\n");
    if (s->n_plots)
        eq_str_add(out, "<div class=\"pictures %s\">\n", s->id);
    for (size_t i = 0; i < s->n_plots; i++)
        EQ_CHECK(add_plot(run_dir, s->plots[i], ++*plots, out, err));
    eq_str_add(out, "%s%s", s->n_plots ? "</div>\n" : "", folds ? "</details>\n" : "");
    return EQ_OK;
}

enum eq_status eq_report_html(const char *run_dir, const struct eq_section *sections, size_t n, struct eq_str *out,
                              struct eq_err *err)
{
    int plots = 0;
    eq_str_add(out, "%s", head);
    eq_picture_css(false, out);
    eq_str_add(out,
               "%s<h1>FP32 to INT8</h1>\n<p class=\"lead\">Ejection fraction from echocardiogram videos: what "
               "quantization costs and what it gains.</p>\n",
               body);
    for (size_t i = 0; i < n; i++)
        if (sections[i].lines.n || sections[i].n_tables || sections[i].n_plots)
            EQ_CHECK(add_section(run_dir, &sections[i], &plots, out, err));
    eq_str_add(out, "<footer><p>%s</p></footer>\n", EQ_RESEARCH_ONLY);
    eq_str_add(out, "</body>\n</html>\n");
    return EQ_OK;
}
