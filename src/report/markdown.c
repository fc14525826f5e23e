/* report.md */
#include "report/report.h"

#include <cjson/cJSON.h>

enum { MAX_LINES = 12 };

static void add_list(const struct eq_report *report,
                     void (*fill)(const struct eq_report *, struct eq_str[], int, int *), const char *prefix,
                     struct eq_str *out)
{
    struct eq_str lines[MAX_LINES] = {{0}};
    int n;
    fill(report, lines, MAX_LINES, &n);
    for (int i = 0; i < n; i++) {
        eq_str_add(out, "%s%s\n", prefix, lines[i].s);
        eq_str_clear(&lines[i]);
    }
    if (n)
        eq_str_add(out, "\n");
}

static void add_skipped(const struct cJSON *results, struct eq_str *out)
{
    const struct cJSON *skipped = cJSON_GetObjectItemCaseSensitive(results, "skipped"), *entry;
    if (cJSON_GetArraySize(skipped) == 0)
        return;
    eq_str_add(out, "\n## Clips left out\n\n");
    cJSON_ArrayForEach(entry, skipped)
        eq_str_add(out, "- `%s`: %s\n", eq_report_text(entry, "FileName"), eq_report_text(entry, "reason"));
}

static void add_mixed(const struct eq_report *report, struct eq_str *out)
{
    if (report->mixed.rows == 0)
        return;
    eq_str_add(out, "\n## Mixed precision\n\n");
    eq_table_print(&report->mixed, out);
    eq_str_add(out, "\n");
    eq_mixed_note(report->results, out);
    eq_str_add(out, "\n");
}

static void add_sensitivity(const struct eq_report *report, struct eq_str *out)
{
    if (!report->sensitivity)
        return;
    eq_str_add(out, "\n## Layers\n\n");
    eq_sensitivity_title(report->sensitivity, out);
    eq_str_add(out, "\n\n");
    eq_table_print(&report->layers, out);
    eq_str_add(out, "\n%s\n", eq_sensitivity_note);
}

static void add_search(const struct eq_report *report, struct eq_str *out)
{
    if (report->search.rows == 0)
        return;
    eq_str_add(out, "\n## What the search for PTQ's settings tried\n\n");
    eq_table_print(&report->search, out);
    eq_str_add(out, "\n");
    eq_search_note(report->results, out);
    eq_str_add(out, "\n");
}

void eq_report_markdown(const struct eq_report *report, struct eq_str *out)
{
    eq_str_add(out, "# FP32 to INT8: results\n\n");
    eq_table_print(&report->table, out);
    eq_str_add(out,
               "\nMAE, RMSE and differences in EF points; latency of one clip, the median of repeated calls, with the "
               "p95 and the minimum beside it; size of the file in units of 10^6 bytes. Median: predicts the "
               "training clips' median EF for every clip.\n\n");
    if (eq_seeds_has(report->results)) {
        eq_seeds_print(report->results, &report->seeds, &report->differences, out);
        eq_str_add(out, "\n%s\n\n", eq_seeds_note);
    }
    add_list(report, eq_report_findings, "- ", out);
    add_list(report, eq_report_cautions, "> ", out);
    eq_str_add(out, "Measured on: ");
    eq_report_environment(report, out);
    eq_str_add(out, "\n\nData: ");
    eq_report_data(report, out);
    eq_str_add(out, "\n");
    if (report->no_pictures[0])
        eq_str_add(out, "\n**No pictures:** %s. Their scripts and data are in `plots/`.\n", report->no_pictures);
    for (int i = 0; i < report->n_plots && !report->no_pictures[0]; i++)
        eq_str_add(out, "\n## %s\n\n![%s](plots/%s.svg)\n\n%s\n", report->plots[i].title, report->plots[i].title,
                   report->plots[i].name, report->plots[i].caption);
    add_sensitivity(report, out);
    add_search(report, out);
    add_mixed(report, out);
    add_skipped(report->results, out);
    eq_str_add(out, eq_seeds_has(report->results)
                        ? "\nConfiguration: `config.json`; every seed's own report and predictions: `seed-*/`.\n"
                        : "\nConfiguration: `config.json`; every prediction: `predictions/`.\n");
}
