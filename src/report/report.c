/* The report: reads what a run left, draws, writes report.md and report.html. */
#include "report/report.h"

#include <cjson/cJSON.h>
#include <limits.h>
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
    bool there;
    enum eq_status st = eq_path_look(path, &there, err);
    if (st == EQ_OK && there)
        st = eq_json_read(path, &report->config, err);
    free(path);
    return st;
}

static enum eq_status read_sensitivity(struct eq_report *report, struct eq_err *err)
{
    char *path = eq_path_join(report->run_dir, "sensitivity.json");
    bool there;
    enum eq_status st;
    EQ_TRY(eq_path_look(path, &there, err));
    if (there) {
        EQ_TRY(eq_sensitivity_read(report->run_dir, &report->sensitivity, err));
        EQ_TRY(eq_sensitivity_table(report->sensitivity, &report->layers, err));
    }
out:
    free(path);
    return st;
}

/* The run directory's own settings say whether it is that of several seeds. */
static enum eq_status collect_seeds(const struct eq_report *report, struct eq_err *err)
{
    const struct cJSON *config = report->config;
    double seeds = eq_report_number(cJSON_GetObjectItemCaseSensitive(config, "train"), "seeds");
    double first = eq_report_number(cJSON_GetObjectItemCaseSensitive(config, "run"), "seed");
    if (!(seeds > 1 && seeds <= EQ_MAX_SEEDS && first >= 0 && first + seeds <= INT_MAX))
        return EQ_OK;
    return eq_seeds_collect(report->run_dir, (int)first, (int)seeds, err);
}

enum eq_status eq_run_report(const char *run_dir, struct eq_err *err)
{
    struct eq_report report = {.run_dir = run_dir};
    struct eq_str md = {0}, html = {0};
    enum eq_status st;
    EQ_TRY(read_config(&report, err));
    EQ_TRY(collect_seeds(&report, err));
    EQ_TRY(eq_results_read(run_dir, &report.results, err));
    EQ_TRY(eq_table_build(report.results, &report.table, err));
    EQ_TRY(eq_seeds_tables(report.results, &report.seeds, &report.differences, err));
    EQ_TRY(eq_mixed_table(report.results, &report.mixed, err));
    EQ_TRY(read_sensitivity(&report, err));
    EQ_TRY(eq_search_table(report.results, &report.search, err));
    EQ_TRY(eq_plots_make(&report, err));
    if (report.no_pictures[0])
        eq_warn("the report has no pictures: %s", report.no_pictures);
    eq_report_markdown(&report, &md);
    EQ_TRY(write_text(run_dir, "report.md", &md, err));
    EQ_TRY(eq_report_html(&report, &html, err));
    EQ_TRY(write_text(run_dir, "report.html", &html, err));
out:
    eq_table_clear(&report.table);
    eq_table_clear(&report.layers);
    eq_table_clear(&report.seeds);
    eq_table_clear(&report.differences);
    eq_table_clear(&report.search);
    eq_table_clear(&report.mixed);
    cJSON_Delete(report.results);
    cJSON_Delete(report.config);
    cJSON_Delete(report.sensitivity);
    eq_str_clear(&md);
    eq_str_clear(&html);
    return st;
}

enum eq_status eq_report_draw_sensitivity(const char *run_dir, struct eq_err *err)
{
    struct eq_report report = {.run_dir = run_dir};
    char *dir = eq_path_join(run_dir, "plots");
    enum eq_status st;
    EQ_TRY(eq_make_dirs(dir, err));
    EQ_TRY(eq_sensitivity_read(run_dir, &report.sensitivity, err));
    EQ_TRY(eq_plots_sensitivity(&report, report.sensitivity, err));
    if (report.no_pictures[0])
        eq_warn("no picture: %s", report.no_pictures);
out:
    cJSON_Delete(report.sensitivity);
    free(dir);
    return st;
}
