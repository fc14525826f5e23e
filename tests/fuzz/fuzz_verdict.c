/* Any bytes as the predictions of up to four models, with lines "====" between them: the verdict ends, its document can
 * be printed, and a report with it is made. */
#include "fuzz.h"
#include "report/report.h"
#include "verdict/verdict.h"

enum { MAX_CLIPS = 40 };

static void print(struct eq_report *report)
{
    struct eq_str json = {0}, md = {0}, html = {0}, text = {0};
    struct eq_err err = {0};
    size_t n;
    struct cJSON *document = eq_run_verdict_json(&report->verdict);
    require(eq_json_print(&json, document, &err) == EQ_OK && json.len > 0);
    cJSON_Delete(document);
    eq_run_verdict_text(&report->verdict, &text);
    eq_run_verdict_more(&report->verdict, &text);
    struct eq_section *sections = eq_report_sections(report, &n);
    eq_report_markdown(sections, n, &md);
    require(eq_report_html("/nonexistent", sections, n, &html, &err) == EQ_OK);
    for (size_t i = 0; i < n; i++)
        eq_section_clear(&sections[i]);
    free(sections);
    eq_str_clear(&json);
    eq_str_clear(&md);
    eq_str_clear(&html);
    eq_str_clear(&text);
}

/* What holds for any predictions. */
static void check(const struct eq_run_verdict *v)
{
    for (size_t i = 0; i < v->n_models; i++) {
        const struct eq_verdict_model *m = &v->models[i];
        size_t n = m->clips->of.n;
        for (size_t c = 0; c < EQ_VERDICT_CUTS; c++)
            require(m->auc[c].positives + m->auc[c].negatives == n && m->n_roc[c] <= n + 1);
        require(m->strata[EQ_STRATA_EF].n >= 1 && m->outliers.n == n);
    }
    for (size_t i = 0; i < v->n_pairs; i++) {
        const struct eq_verdict_pair *p = &v->pairs[i];
        require(p->a < v->n_models && p->b < v->n_models && v->models[p->a].clips == v->models[p->b].clips);
        for (size_t c = 0; c < EQ_VERDICT_CUTS; c++) {
            const struct eq_reclass *r = &p->reclass[c];
            require(r->stay_above + r->stay_below + r->up + r->down == v->models[p->a].clips->of.n);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const rows[][3] = {
        {"FP32", "fp32", "FP32"}, {"PTQ", "ptq", "INT8"}, {"QAT", "qat", "INT8"}, {"own", "own", "INT8"}};
    struct eq_report report = {.run_dir = "/nonexistent",
                               .verdict = {.margin = 0.5, .stated_margin = 0.25, .median = 50, .replicates = 20}};
    struct eq_run_verdict *v = &report.verdict;
    struct eq_err err = {0};
    enum eq_status st = EQ_OK;
    eq_results_init(&report.results);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && st == EQ_OK && size; i++) {
        struct eq_evaluation e;
        size_t n;
        const uint8_t *text = fuzz_part(&data, &size, &n);
        st = eq_predictions_parse("input", text, n, &e, &err);
        if (st == EQ_OK && e.n > 0 && e.n <= MAX_CLIPS)
            st = eq_verdict_take(v, rows[i][0], rows[i][1], rows[i][2], &e, &err);
        eq_evaluation_clear(&e);
    }
    if (st == EQ_OK) {
        require(eq_verdict_compute(v, &err) == EQ_OK);
        check(v);
        print(&report);
    } else {
        require(st == EQ_FORMAT);
    }
    eq_report_clear(&report);
    return 0;
}
