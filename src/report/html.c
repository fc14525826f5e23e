/* report.html: one self-contained file; pictures are embedded as they lie in plots/. */
#include "report/report.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 12, MAX_SVG_BYTES = 32 << 20 };

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>echoquant: FP32 to INT8</title>\n"
    "<style>\n"
    ":root{color-scheme:light;--ink:#222831;--soft:#5b6570;--line:#dfe4e9;--wash:#f5f7f9}\n"
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
    ".plots{display:flex;flex-wrap:wrap;gap:1.2rem}figure{margin:0;flex:1 1 320px;max-width:100%;border:1px solid "
    "var(--line);border-radius:6px;padding:.7rem .8rem}\n"
    "figure.scatter{flex:1 1 330px;max-width:460px}figure img{width:100%;height:auto;display:block}\n"
    "figcaption{color:var(--soft);font-size:.87rem;margin-top:.4rem}figcaption b{color:var(--ink)}\n"
    "details{margin:.6rem 0}summary{cursor:pointer;font-weight:600}\n"
    ".config td,.config th{text-align:left;padding:.2rem .9rem .2rem 0;white-space:normal}\n"
    "code{font-size:.92em}\n"
    "@media print{body{max-width:none;padding:0}figure{break-inside:avoid}}\n"
    "</style>\n</head>\n<body>\n";

static void add_escaped(struct eq_str *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            eq_str_add(out, "&amp;");
        else if (*text == '<')
            eq_str_add(out, "&lt;");
        else if (*text == '>')
            eq_str_add(out, "&gt;");
        else if (*text == '"')
            eq_str_add(out, "&quot;");
        else
            eq_str_add_bytes(out, text, 1);
    }
}

static void add_element(struct eq_str *out, const char *tag, const char *text)
{
    eq_str_add(out, "<%s>", tag);
    add_escaped(out, text);
    eq_str_add(out, "</%s>", tag);
}

static void add_base64(struct eq_str *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        unsigned v = (unsigned)bytes[i] << 16 | (have > 1 ? (unsigned)bytes[i + 1] << 8 : 0u) |
                     (have > 2 ? (unsigned)bytes[i + 2] : 0u);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], have > 1 ? digits[v >> 6 & 63] : '=',
                        have > 2 ? digits[v & 63] : '='};
        eq_str_add_bytes(out, four, 4);
    }
}

static void add_table(const struct eq_table *t, const char *class, struct eq_str *out)
{
    eq_str_add(out, "<div class=\"wide\"><table class=\"%s\">\n", class);
    for (int r = 0; r < t->rows; r++) {
        eq_str_add(out, "<tr>");
        for (int c = 0; c < t->columns; c++)
            add_element(out, r == 0 ? "th" : "td", t->cells[r][c]);
        eq_str_add(out, "</tr>\n");
    }
    eq_str_add(out, "</table></div>\n");
}

static void add_seeds(const struct eq_report *report, struct eq_str *out)
{
    struct eq_str title = {0};
    if (!eq_seeds_has(report->results))
        return;
    eq_seeds_title(report->results, &title);
    add_element(out, "h2", title.s);
    eq_str_add(out, "\n");
    add_table(&report->seeds, "seeds", out);
    add_table(&report->differences, "seeds", out);
    eq_str_add(out, "<p class=\"lead\">");
    add_escaped(out, eq_seeds_note);
    eq_str_add(out, "</p>\n");
    eq_str_clear(&title);
}

static void add_results(const struct eq_table *t, struct eq_str *out)
{
    add_table(t, "results", out);
    eq_str_add(out, "<p class=\"lead\">MAE, RMSE and differences in EF points. Latency of one clip: the "
                    "median of repeated calls, with the 95th percentile and the minimum beside it. Size: the file's "
                    "bytes / 10<sup>6</sup>. Median: predicts the training clips' median EF for every clip.</p>\n");
}

static void add_sentences(const struct eq_report *report, struct eq_str *out)
{
    struct eq_str lines[MAX_LINES] = {{0}};
    int n;
    eq_report_findings(report, lines, MAX_LINES, &n);
    eq_str_add(out, "<ul>\n");
    for (int i = 0; i < n; i++) {
        add_element(out, "li", lines[i].s);
        eq_str_add(out, "\n");
        eq_str_clear(&lines[i]);
    }
    eq_str_add(out, "</ul>\n");
    eq_report_cautions(report, lines, MAX_LINES, &n);
    for (int i = 0; i < n; i++) {
        eq_str_add(out, "<p class=\"note\">");
        add_escaped(out, lines[i].s);
        eq_str_add(out, "</p>\n");
        eq_str_clear(&lines[i]);
    }
}

static enum eq_status add_plot(const struct eq_report *report, const struct eq_plot *plot, struct eq_str *out,
                               struct eq_err *err)
{
    struct eq_str path = {0};
    void *svg = NULL;
    size_t len;
    enum eq_status st;
    eq_str_add(&path, "%s/plots/%s.svg", report->run_dir, plot->name);
    EQ_TRY(eq_read_file(path.s, MAX_SVG_BYTES, &svg, &len, err));
    eq_str_add(out, "<figure%s><img alt=\"", strncmp(plot->name, "scatter", 7) == 0 ? " class=\"scatter\"" : "");
    add_escaped(out, plot->title);
    eq_str_add(out, "\" src=\"data:image/svg+xml;base64,");
    add_base64(out, svg, len);
    eq_str_add(out, "\"><figcaption>");
    add_element(out, "b", plot->title);
    eq_str_add(out, ". ");
    add_escaped(out, plot->caption);
    eq_str_add(out, "</figcaption></figure>\n");
out:
    eq_free(svg);
    eq_str_clear(&path);
    return st;
}

static enum eq_status add_plots(const struct eq_report *report, struct eq_str *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    if (report->no_pictures[0]) {
        eq_str_add(out, "<p class=\"note\"><b>No pictures:</b> ");
        add_escaped(out, report->no_pictures);
        eq_str_add(out, ". Their scripts and data are in <code>plots/</code>.</p>\n");
        return EQ_OK;
    }
    /* Pictures of one kind stand together in a row. */
    static const char *const kinds[] = {"scatter", "changes", "history", "sensitivity"};
    for (int k = 0; k < 4; k++) {
        static const char *const titles[] = {"Predictions", "Effect of INT8", "Training", "Layers"};
        bool any = false;
        for (int i = 0; i < report->n_plots; i++) {
            if (strncmp(report->plots[i].name, kinds[k], strlen(kinds[k])) != 0)
                continue;
            if (!any)
                eq_str_add(out, "<h2>%s</h2>\n<div class=\"plots\">\n", titles[k]);
            any = true;
            EQ_TRY(add_plot(report, &report->plots[i], out, err));
        }
        if (any)
            eq_str_add(out, "</div>\n");
    }
out:
    return st;
}

static void add_sensitivity(const struct eq_report *report, struct eq_str *out)
{
    struct eq_str title = {0};
    if (!report->sensitivity)
        return;
    eq_sensitivity_title(report->sensitivity, &title);
    eq_str_add(out, "<details><summary>Layer by layer</summary>\n");
    add_element(out, "p", title.s);
    add_table(&report->layers, "seeds", out);
    eq_str_add(out, "<p class=\"lead\">");
    add_escaped(out, eq_sensitivity_note);
    eq_str_add(out, "</p></details>\n");
    eq_str_clear(&title);
}

static enum eq_status add_setting(const struct cJSON *section, const struct cJSON *value, const struct cJSON *origins,
                                  struct eq_str *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_str key = {0}, text = {0};
    eq_str_add(&key, "%s.%s", section->string, value->string);
    if (cJSON_IsString(value))
        eq_str_add(&text, "%s", value->valuestring);
    else
        EQ_TRY(eq_json_print(&text, value, err));
    eq_str_add(out, "<tr><td><code>");
    add_escaped(out, key.s);
    eq_str_add(out, "</code></td>");
    add_element(out, "td", text.s ? text.s : "");
    add_element(out, "td", eq_report_text(origins, key.s));
    eq_str_add(out, "</tr>\n");
out:
    eq_str_clear(&key);
    eq_str_clear(&text);
    return st;
}

static enum eq_status add_config(const struct cJSON *config, struct eq_str *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const struct cJSON *origins = cJSON_GetObjectItemCaseSensitive(config, "origin"), *section, *value;
    eq_str_add(out, "<details><summary>Configuration</summary>\n<table class=\"config\"><tr><th>setting</th>"
                    "<th>value</th><th>from</th></tr>\n");
    cJSON_ArrayForEach(section, config)
    {
        if (section == origins)
            continue;
        cJSON_ArrayForEach(value, section) EQ_TRY(add_setting(section, value, origins, out, err));
    }
    eq_str_add(out, "</table></details>\n");
out:
    return st;
}

static void add_skipped(const struct cJSON *results, struct eq_str *out)
{
    const struct cJSON *skipped = cJSON_GetObjectItemCaseSensitive(results, "skipped"), *entry;
    int n = cJSON_GetArraySize(skipped);
    if (n == 0)
        return;
    eq_str_add(out,
               "<details open><summary>%d clip%s left out</summary>\n<table class=\"config\"><tr><th>FileName</th>"
               "<th>reason</th></tr>\n",
               n, n == 1 ? "" : "s");
    cJSON_ArrayForEach(entry, skipped)
    {
        eq_str_add(out, "<tr>");
        add_element(out, "td", eq_report_text(entry, "FileName"));
        add_element(out, "td", eq_report_text(entry, "reason"));
        eq_str_add(out, "</tr>\n");
    }
    eq_str_add(out, "</table></details>\n");
}

static void add_search(const struct eq_report *report, struct eq_str *out)
{
    struct eq_str note = {0};
    if (report->search.rows == 0)
        return;
    eq_search_note(report->results, &note);
    add_element(out, "h2", "What the search for PTQ's settings tried");
    eq_str_add(out, "\n");
    add_table(&report->search, "seeds", out);
    add_element(out, "p", note.s);
    eq_str_add(out, "\n");
    eq_str_clear(&note);
}

static void add_mixed(const struct eq_report *report, struct eq_str *out)
{
    struct eq_str note = {0};
    if (report->mixed.rows == 0)
        return;
    eq_mixed_note(report->results, &note);
    add_element(out, "h2", "Mixed precision");
    eq_str_add(out, "\n");
    add_table(&report->mixed, "seeds", out);
    add_element(out, "p", note.s);
    eq_str_add(out, "\n");
    eq_str_clear(&note);
}

enum eq_status eq_report_html(const struct eq_report *report, struct eq_str *out, struct eq_err *err)
{
    struct eq_str text = {0};
    enum eq_status st;
    eq_str_add(out,
               "%s<h1>FP32 to INT8</h1>\n<p class=\"lead\">Ejection fraction from echocardiogram videos: what "
               "quantization costs and what it gains.</p>\n",
               head);
    add_sentences(report, out);
    add_results(&report->table, out);
    add_seeds(report, out);
    EQ_TRY(add_plots(report, out, err));
    add_search(report, out);
    add_mixed(report, out);
    add_sensitivity(report, out);
    eq_str_add(out, "<h2>How it was made</h2>\n");
    eq_report_environment(report, &text);
    add_element(out, "p", text.s);
    eq_str_clear(&text);
    eq_report_data(report, &text);
    add_element(out, "p", text.s);
    if (report->config)
        EQ_TRY(add_config(report->config, out, err));
    add_skipped(report->results, out);
    eq_str_add(out, "</body>\n</html>\n");
out:
    eq_str_clear(&text);
    return st;
}
