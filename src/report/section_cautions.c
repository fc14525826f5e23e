/* Cautions before comparing: a baseline that has not learned, broken models, disturbed timings, synthetic data, rows
 * measured under different conditions. */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* Whether all rows that have a number, or a text, at this offset agree on it. */
static bool agree(const struct eq_results *r, bool text, size_t at)
{
    const void *first = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const void *value = (const char *)&r->rows[i] + at;
        if (text ? !**(const char *const *)value : isnan(*(const double *)value))
            continue;
        first = first ? first : value;
        if (text ? strcmp(*(const char *const *)value, *(const char *const *)first) != 0
                 : *(const double *)value != *(const double *)first)
            return false;
    }
    return true;
}

/* A baseline that is no better than a constant says little about what quantization does to one that has learned. */
static void judge_baseline(const struct eq_results *r, struct eq_texts *lines)
{
    const struct eq_result *fp32 = eq_results_find(r, eq_phase_model(EQ_PHASE_TRAIN)->row);
    const struct eq_result *median = eq_results_find(r, EQ_MEDIAN_ROW);
    if (fp32 && median && fp32->mae >= median->mae)
        eq_texts_add(lines,
                     "The baseline has not learned to predict the EF: its MAE of %.2f EF points is not below "
                     "the %.2f of always predicting the training median. The comparison of FP32 and INT8 says "
                     "nothing about a model that works. Train longer, or on more clips.",
                     fp32->mae, median->mae);
}

/* A quantized model that loses more than this share of FP32's MAE is broken, not rounded. */
static void judge_quantized(const struct eq_results *r, struct eq_texts *lines)
{
    const struct eq_result *fp32 = eq_results_find(r, eq_phase_model(EQ_PHASE_TRAIN)->row);
    for (size_t i = 0; fp32 && i < r->n; i++) {
        const struct eq_result *row = &r->rows[i];
        if (strcmp(row->precision, "INT8") == 0 && row->mae - fp32->mae > EQ_BROKEN_LOSS)
            eq_texts_add(lines,
                         "Quantization breaks %s: its MAE is %.2f EF points above FP32's (more than %g). Try another "
                         "ptq.observer; `echoquant sensitivity` shows which layers are at fault.",
                         row->model, row->mae - fp32->mae, EQ_BROKEN_LOSS);
    }
}

static void judge_clips(const struct eq_results *r, struct eq_texts *lines)
{
    const struct eq_result *worst = NULL; /* models that were trained on other clips differ */
    for (size_t i = 0; i < r->n; i++)
        if (r->rows[i].unlike > 0 && (!worst || r->rows[i].unlike > worst->unlike))
            worst = &r->rows[i];
    if (worst)
        eq_texts_add(lines,
                     "%.0f of %.0f test clips look unlike the training clips of %s (brightness, contrast, "
                     "share of black, motion, detail, color, or layout). Do not rely on their EF. `echoquant "
                     "eval` names some of them.",
                     worst->unlike, worst->clips, worst->model);
}

/* What a model has been trained on it predicts better. */
static void judge_splits(const struct eq_results *r, struct eq_texts *lines)
{
    double copies = r->data.copies_across_splits, patients = r->data.patients_across_splits;
    if (copies > 0)
        eq_texts_add(
            lines, "%.0f clip%s in two splits as copies, so the errors may be too low. `echoquant inspect` names them.",
            copies, copies == 1 ? " is" : "s are");
    if (patients > 0)
        eq_texts_add(lines,
                     "%.0f of %.0f patients %s clips in more than one split, so the errors may be lower than those on "
                     "new patients.",
                     patients, r->data.patients, patients == 1 ? "has" : "have");
}

static void judge_timings(const struct eq_results *r, struct eq_texts *lines)
{
    const char *timed = "";
    bool apart = false;
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct eq_result *row = &r->rows[i];
        apart |= *row->timed && *timed && strcmp(row->timed, timed) != 0;
        timed = *row->timed ? row->timed : timed;
        if (!eq_report_is_disturbed(row))
            continue;
        eq_str_add(&lines->s, n++ ? ", %s" : "The timing of these models was disturbed, probably by other programs: %s",
                   row->model);
        if (row->latency.p95 > EQ_DISTURBED_P95 * row->latency.median) {
            eq_str_add(&lines->s, " (95th percentile ");
            eq_report_significant(row->latency.p95 / row->latency.median, " times the median)", &lines->s);
        } else {
            eq_str_add(&lines->s, " (waited for a CPU for %.0f %% of the time)", 100 * row->latency.waited);
        }
    }
    if (n) {
        eq_str_add(&lines->s, ". Run `echoquant eval` again on a quiet machine.");
        eq_texts_end(lines);
    }
    if (apart)
        eq_texts_add(lines, "Some models were not timed together, by turns, so their speed-up is not measurable. "
                            "`echoquant eval` times all models of the run together.");
}

/* All but those that hold for good. eval itself names clips. */
static void add_warnings(const struct eq_results *r, struct eq_texts *lines)
{
    judge_baseline(r, lines);
    judge_quantized(r, lines);
    judge_timings(r, lines);
}

enum eq_status eq_run_warn(const char *run_dir, struct eq_err *err)
{
    struct eq_results r;
    struct eq_texts lines = {0};
    enum eq_status st = eq_results_read(run_dir, &r, err);
    if (st == EQ_OK)
        add_warnings(&r, &lines);
    EQ_EACH_TEXT(line, &lines)
    {
        eq_warn("%s", line);
    }
    eq_str_clear(&lines.s);
    eq_results_clear(&r);
    return st;
}

void eq_section_cautions(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    out->line_style = EQ_LINE_CAUTION;
    out->heading = "Cautions";
    if (report->other_data.len)
        eq_texts_add(&out->lines,
                     "Left out, because they were evaluated on other data: %s. `echoquant eval` evaluates "
                     "them again.",
                     report->other_data.s);
    add_warnings(r, &out->lines);
    judge_clips(r, &out->lines);
    judge_splits(r, &out->lines);
    if (r->data.synthetic)
        eq_texts_add(&out->lines, "The clips are synthetic: the errors say nothing about patients, only about what "
                                  "quantization changes.");
    if (!(agree(r, true, offsetof(struct eq_result, cpu)) && agree(r, true, offsetof(struct eq_result, isa)) &&
          agree(r, false, offsetof(struct eq_result, threads))))
        eq_texts_add(&out->lines, "The models were measured on different CPUs, instruction sets, or numbers of threads "
                                  "(see results.json). Their latencies cannot be compared.");
    if (!agree(r, false, offsetof(struct eq_result, phases)))
        eq_texts_add(&out->lines,
                     "The models average different numbers of phases (see results.json). Their errors cannot "
                     "be compared. `run-all` evaluates all of them with the same number.");
    if (!agree(r, false, offsetof(struct eq_result, clips)))
        eq_texts_add(&out->lines, "The models were evaluated on different numbers of clips. Their errors cannot be "
                                  "compared.");
}
