/* The comparison of runs as text, for other programs, and as a page. */
#include "report/compare.h"

#include <stdlib.h>
#include <string.h>

const char *const eq_report_format_names[] = {"md", "csv", "json", "latex", NULL};

enum eq_status eq_report_format_named(const char *name, enum eq_report_format *out, struct eq_err *err)
{
    for (int i = 0; eq_report_format_names[i]; i++)
        if (strcmp(name, eq_report_format_names[i]) == 0) {
            *out = (enum eq_report_format)i;
            return EQ_OK;
        }
    return eq_fail(err, EQ_USAGE, "--format %s: use md, csv, json, or latex", name);
}

/* Of one run only the table of its models, as `report` prints it. */
static void print_one(const struct eq_comparison *c, enum eq_report_format format, struct eq_str *out)
{
    struct eq_report report = {.run_dir = c->runs->dir, .results = c->runs->results};
    struct eq_section s = {0};
    eq_section_results(&report, &s);
    for (size_t i = 0; i < s.n_tables; i++) {
        if (format == EQ_REPORT_LATEX)
            eq_table_latex(&s.tables[i], out);
        else
            eq_table_print(&s.tables[i], 0, out);
    }
    eq_section_clear(&s);
}

/* Sentences are comments. */
static void print_latex(const struct eq_section *sections, size_t n, struct eq_str *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct eq_section *s = &sections[i];
        if (i)
            eq_str_add(out, "\n");
        if (s->title.len)
            eq_str_add(out, "%% %s\n", s->title.s);
        EQ_EACH_TEXT(line, &s->lines)
        {
            struct eq_str shown = {0};
            eq_str_add_shown(&shown, line);
            eq_str_add(out, "%% %s\n", shown.s);
            eq_str_clear(&shown);
        }
        for (size_t k = 0; k < s->n_tables; k++)
            eq_table_latex(&s->tables[k], out);
    }
}

/* columns: of Markdown, as for eq_run_table. */
static void print_sections(const struct eq_comparison *c, bool latex, int columns, struct eq_str *out)
{
    size_t n;
    struct eq_section *sections = eq_comparison_sections(c, NULL, &n);
    if (latex)
        print_latex(sections, n, out);
    for (size_t i = 0; i < n && !latex; i++)
        eq_section_print(&sections[i], columns, out);
    eq_sections_free(sections, n);
}

enum eq_status eq_runs_table(const char *const *dirs, size_t n, enum eq_report_format format, int columns,
                             struct eq_str *out, struct eq_err *err)
{
    struct eq_comparison c;
    struct cJSON *json = NULL;
    enum eq_status st;
    EQ_TRY(eq_comparison_read(dirs, n, &c, err));
    if (format == EQ_REPORT_LATEX)
        eq_str_add(out, "%% needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs}\n");
    if (format == EQ_REPORT_CSV) {
        eq_comparison_csv(&c, out);
    } else if (format == EQ_REPORT_JSON) {
        EQ_TRY(eq_comparison_json(&c, &json, err));
        EQ_TRY(eq_json_print(out, json, err));
    } else if (n == 1) {
        print_one(&c, format, out);
    } else {
        print_sections(&c, format == EQ_REPORT_LATEX, columns, out);
    }
out:
    cJSON_Delete(json);
    eq_comparison_clear(&c);
    return st;
}

enum eq_status eq_runs_report(const char *const *dirs, size_t n_dirs, const char *out_dir, struct eq_err *err)
{
    struct eq_comparison c = {0};
    struct eq_pictures pictures = {0};
    struct eq_section *sections = NULL;
    struct eq_str md = {0}, html = {0}, csv = {0};
    char *plots = eq_path_join(out_dir, "plots");
    size_t n = 0;
    enum eq_status st;
    EQ_TRY(eq_report_check_folder(out_dir, err));
    EQ_TRY(eq_comparison_read(dirs, n_dirs, &c, err));
    EQ_TRY(eq_make_dirs(plots, err));
    eq_comparison_plot(&c, &pictures);
    EQ_TRY(eq_pictures_draw(&pictures, plots, err));
    if (pictures.missing.len)
        eq_warn("the comparison lacks pictures: %s", pictures.missing.s);
    sections = eq_comparison_sections(&c, &pictures, &n);
    EQ_TRY(eq_sections_check(sections, n, err));
    eq_report_markdown(sections, n, &md);
    EQ_TRY(eq_report_html(out_dir, sections, n, &html, err));
    eq_comparison_csv(&c, &csv);
    EQ_TRY(eq_report_write(out_dir, "table.csv", &csv, err));
    EQ_TRY(eq_report_write(out_dir, "report.md", &md, err));
    EQ_TRY(eq_report_write(out_dir, "report.html", &html, err));
out:
    eq_sections_free(sections, n);
    eq_pictures_clear(&pictures);
    eq_comparison_clear(&c);
    eq_str_clear(&md);
    eq_str_clear(&html);
    eq_str_clear(&csv);
    free(plots);
    return st;
}
