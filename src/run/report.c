/* The report: reads what a run left, draws, writes report.md and report.html. */
#include "run/report.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static enum eq_status write_text(const char *run_dir, const char *name, const struct eq_str *text, struct eq_err *err)
{
    char *path = eq_path_join(run_dir, name);
    enum eq_status st = eq_write_file(path, text->s, text->len, err);
    free(path);
    return st;
}

static enum eq_status read_config(struct eq_report *report, struct eq_err *err)
{
    char *path = eq_path_join(report->run_dir, "config.json");
    enum eq_status st = eq_path_exists(path) ? eq_json_read(path, &report->config, err) : EQ_OK;
    free(path);
    return st;
}

enum eq_status eq_run_report(const char *run_dir, struct eq_err *err)
{
    struct eq_report report = {.run_dir = run_dir};
    struct eq_str md = {0}, html = {0};
    enum eq_status st;
    EQ_TRY(eq_results_read(run_dir, &report.results, err));
    EQ_TRY(read_config(&report, err));
    EQ_TRY(eq_table_build(report.results, &report.table, err));
    EQ_TRY(eq_plots_make(&report, err));
    if (report.no_pictures[0])
        eq_warn("the report has no pictures: %s", report.no_pictures);
    eq_report_markdown(&report, &md);
    EQ_TRY(write_text(run_dir, "report.md", &md, err));
    EQ_TRY(eq_report_html(&report, &html, err));
    EQ_TRY(write_text(run_dir, "report.html", &html, err));
out:
    eq_table_clear(&report.table);
    cJSON_Delete(report.results);
    cJSON_Delete(report.config);
    eq_str_clear(&md);
    eq_str_clear(&html);
    return st;
}
