/* The report: reads the files of a run, draws, makes the sections, writes report.md and report.html. */
#include "report/plots.h"
#include "report/report.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void add_pictures(const struct eq_pictures *all, struct eq_section *s)
{
    for (size_t i = 0; i < all->n; i++) {
        if (!all->list[i].drawn || strcmp(all->list[i].kind, s->id) != 0)
            continue;
        s->plots = eq_list_grow(s->plots, s->n_plots, sizeof *s->plots);
        s->plots[s->n_plots++] = &all->list[i];
    }
}

/* Refuses to compile a list that has a section twice, as a merge may leave it. */
#define ONCE(name, place) EQ_SECTION_ONCE_##name,
enum { EQ_SECTIONS(ONCE) EQ_SECTION_COUNT };

struct eq_section *eq_report_sections(const struct eq_report *report, size_t *n)
{
#define ROW(name, place) {#name, place, eq_section_##name},
    static const struct {
        const char *id;
        int place;
        void (*fill)(const struct eq_report *, struct eq_section *);
    } list[] = {EQ_SECTIONS(ROW)};
    struct eq_section *sections = NULL;
    *n = 0;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        sections = eq_list_grow(sections, *n, sizeof *sections);
        struct eq_section *s = &sections[*n];
        s->id = list[i].id;
        s->place = list[i].place;
        list[i].fill(report, s);
        add_pictures(&report->pictures, s);
        if (s->lines.n || s->n_tables || s->n_plots || s->n_strips || s->brief.len)
            ++*n;
        else
            eq_section_clear(s);
    }
    return sections;
}

/* If config.json in the run directory has several seeds: makes results.json over them, or, if the report is written
 * elsewhere, only reads them. */
static enum eq_status collect_seeds(struct eq_report *report, struct eq_err *err)
{
    const struct cJSON *config = report->config;
    double seeds = eq_json_real(cJSON_GetObjectItemCaseSensitive(config, "train"), "seeds");
    double first = eq_json_real(cJSON_GetObjectItemCaseSensitive(config, "run"), "seed");
    bool any;
    if (!(seeds > 1 && seeds <= EQ_MAX_SEEDS && first >= 0 && first + seeds <= INT_MAX))
        return EQ_OK;
    EQ_CHECK(eq_seeds_have_results(report->run_dir, (int)first, (int)seeds, &any, err));
    if (!any)
        return EQ_OK;
    return report->out_dir ? eq_seeds_read(report->run_dir, (int)first, (int)seeds, &report->results, err)
                           : eq_seeds_collect(report->run_dir, (int)first, (int)seeds, err);
}

void eq_report_clear(struct eq_report *report)
{
    eq_pictures_clear(&report->pictures);
    eq_strips_clear(&report->strips);
    eq_run_verdict_clear(&report->verdict);
    eq_results_clear(&report->results);
    eq_str_clear(&report->other_data);
    eq_str_clear(&report->missing.cells.s);
    if (report->settings.origin)
        eq_settings_clear(&report->settings);
    cJSON_Delete(report->config);
    cJSON_Delete(report->sensitivity);
    eq_measured_clear(&report->measured);
}

/* One table is of one data set. A run that has not been evaluated yet has no results. */
static enum eq_status read_results(struct eq_report *report, struct eq_err *err)
{
    if (!report->results.json)
        EQ_CHECK(report->config ? eq_results_open(report->run_dir, &report->results, err)
                                : eq_results_read(report->run_dir, &report->results, err));
    eq_results_keep_data(&report->results, &report->other_data);
    return EQ_OK;
}

static enum eq_status read_settings(struct eq_report *report, struct eq_err *err)
{
    char *path = eq_path_join(report->run_dir, "config.json");
    enum eq_status st;
    bool there;
    EQ_TRY(eq_settings_init(&report->settings, err));
    EQ_TRY(eq_settings_load_run(&report->settings, report->run_dir, &there, err));
    if (there)
        EQ_TRY(eq_json_read(path, &report->config, err));
    if (there)
        EQ_TRY(eq_sha256_file(path, report->config_sha256, err));
out:
    free(path);
    return st;
}

static void add_words(const struct eq_run_verdict *v, struct eq_str *out)
{
    eq_run_verdict_text(v, out);
    eq_str_add(out, out->len ? "\n" : "");
    eq_run_verdict_more(v, out);
}

enum eq_status eq_run_report(const char *run_dir, struct eq_err *err)
{
    return eq_run_report_by(run_dir, NULL, NULL, NULL, err);
}

enum eq_status eq_run_report_by(const char *run_dir, const char *out_dir, const struct eq_config *cfg,
                                struct eq_str *words, struct eq_err *err)
{
    struct eq_report report = {.run_dir = run_dir, .out_dir = out_dir};
    struct eq_section *sections = NULL;
    struct eq_str md = {0}, html = {0};
    size_t n = 0;
    enum eq_status st;
    bool there;
    if (out_dir) {
        EQ_TRY(eq_report_check_folder(out_dir, err));
        EQ_TRY(eq_make_dirs(out_dir, err));
    }
    out_dir = out_dir ? out_dir : run_dir;
    EQ_TRY(read_settings(&report, err));
    EQ_TRY(collect_seeds(&report, err));
    EQ_TRY(read_results(&report, err));
    EQ_TRY(eq_report_find_missing(&report, err));
    EQ_TRY(eq_run_look(run_dir, "sensitivity", ".json", &there, err));
    if (there)
        EQ_TRY(eq_sensitivity_read(run_dir, &report.sensitivity, err));
    cfg = cfg ? cfg : &report.settings.config;
    const struct eq_verdict_opts opts = {cfg->report.margin, cfg->report.replicates};
    EQ_TRY(eq_measured_read(run_dir, &report.results, &report.measured, err));
    EQ_TRY(eq_run_verdict_make(run_dir, &report.results, &opts, &report.verdict, err));
    EQ_TRY(eq_run_verdict_write(out_dir, &report.verdict, err));
    if (words)
        add_words(&report.verdict, words);
    EQ_TRY(eq_plots_make(&report, err));
    EQ_TRY(eq_strips_make(&report, cfg, err));
    if (report.pictures.missing.len)
        eq_warn("the report lacks pictures: %s", report.pictures.missing.s);
    sections = eq_report_sections(&report, &n);
    EQ_TRY(eq_sections_check(sections, n, err));
    eq_report_markdown(sections, n, &md);
    EQ_TRY(eq_report_write(out_dir, "report.md", &md, err));
    EQ_TRY(eq_report_html(out_dir, sections, n, &html, err));
    EQ_TRY(eq_report_write(out_dir, "report.html", &html, err));
out:
    eq_sections_free(sections, n);
    eq_report_clear(&report);
    eq_str_clear(&md);
    eq_str_clear(&html);
    return st;
}

enum eq_status eq_report_draw_sensitivity(const char *run_dir, struct eq_err *err)
{
    struct eq_report report = {.run_dir = run_dir};
    enum eq_status st;
    EQ_TRY(eq_sensitivity_read(run_dir, &report.sensitivity, err));
    EQ_TRY(eq_plot_sensitivity(&report, NULL, err));
    EQ_TRY(eq_plots_draw(&report, err));
    if (report.pictures.missing.len)
        eq_warn("no picture: %s", report.pictures.missing.s);
out:
    eq_report_clear(&report);
    return st;
}

enum eq_status eq_run_missing(const char *run_dir, int columns, struct eq_str *out, struct eq_err *err)
{
    struct eq_report report = {.run_dir = run_dir};
    struct eq_section section = {0};
    enum eq_status st;
    EQ_TRY(read_settings(&report, err));
    EQ_TRY(eq_report_find_missing(&report, err));
    eq_section_missing(&report, &section);
    if (section.n_tables)
        eq_section_print(&section, columns, out);
out:
    eq_section_clear(&section);
    eq_report_clear(&report);
    return st;
}

enum eq_status eq_run_table(const char *run_dir, int columns, struct eq_str *out, struct eq_err *err)
{
    struct eq_report report = {.run_dir = run_dir};
    enum eq_status st = read_results(&report, err);
    if (report.other_data.len)
        eq_warn("%s: left out, because evaluated on other data: %s", run_dir, report.other_data.s);
    for (int seeds = 0; st == EQ_OK && seeds < 2; seeds++) {
        struct eq_section s = {0};
        (seeds ? eq_section_seeds : eq_section_results)(&report, &s);
        eq_str_clear(&s.note);
        eq_section_print(&s, columns, out);
        eq_section_clear(&s);
    }
    eq_report_clear(&report);
    return st;
}

enum eq_status eq_run_verdict_lines(const char *run_dir, const struct eq_verdict_opts *opts, struct eq_str *out,
                                    struct eq_err *err)
{
    struct eq_report report = {.run_dir = run_dir};
    enum eq_status st;
    EQ_TRY(read_results(&report, err));
    EQ_TRY(eq_run_verdict_make(run_dir, &report.results, opts, &report.verdict, err));
    add_words(&report.verdict, out);
out:
    eq_report_clear(&report);
    return st;
}
