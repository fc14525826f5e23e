/* Any bytes as what the report reads, results.json, config.json and sensitivity.json with lines "====" between them: if
 * they are accepted, so is the report, as Markdown, as HTML and as the table of a terminal. */
#include "fuzz.h"
#include "report/report.h"
#include "rundir/rundir.h"

/* NULL: the part is empty, or no JSON. */
static struct cJSON *part(const uint8_t **data, size_t *size)
{
    size_t n;
    struct cJSON *json = NULL;
    const uint8_t *text = fuzz_part(data, size, &n);
    if (n)
        (void)eq_json_parse((const char *)text, n, "input", &json, NULL);
    return json;
}

static bool is_clean(const char *html)
{
    for (; *html; html++)
        if (((unsigned char)*html < ' ' && *html != '\n' && *html != '\t') || *html == 127)
            return false;
    return true;
}

static void print(const struct eq_report *report)
{
    struct eq_str md = {0}, html = {0}, narrow = {0};
    struct eq_err err = {0};
    size_t n;
    struct eq_section *sections = eq_report_sections(report, &n);
    eq_report_markdown(sections, n, &md);
    require(eq_report_html("/nonexistent", sections, n, &html, &err) == EQ_OK && is_clean(html.s));
    for (size_t i = 0; i < n; i++) {
        require(!sections[i].has_holes);
        eq_section_print(&sections[i], 80, &narrow);
        eq_section_clear(&sections[i]);
    }
    free(sections);
    eq_str_clear(&md);
    eq_str_clear(&html);
    eq_str_clear(&narrow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_report report = {.run_dir = "/nonexistent"};
    struct cJSON *results = part(&data, &size);
    struct eq_err err = {0};
    report.config = part(&data, &size);
    report.sensitivity = part(&data, &size);
    if (results && eq_results_take(results, "input", &report.results, &err) == EQ_OK) {
        eq_results_keep_data(&report.results, &report.other_data);
        if (report.sensitivity && eq_sensitivity_check(report.sensitivity, "input", &err) != EQ_OK) {
            require(err.status == EQ_FORMAT && strncmp(err.msg, "input ", 6) == 0);
            cJSON_Delete(report.sensitivity);
            report.sensitivity = NULL;
        }
        print(&report);
    }
    eq_report_clear(&report);
    return 0;
}
