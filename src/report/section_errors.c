/* Errors of each model, and their differences, with intervals. */
#include "report/report.h"

#include <math.h>
#include <string.h>

#define AT(member) offsetof(struct eq_verdict_model, member)
#define BOOT(member) AT(member.value), AT(member.low), AT(member.high)
static const struct eq_digits points = {2, false, 1}, fine = {3, false, 1}, change = {3, true, 1},
                              share = {1, false, 100};

/* Two levels: the mean over the seeds with its interval, then both spreads. */
static void add_over(struct eq_table *t, const struct eq_boot_runs *o, struct eq_digits digits)
{
    eq_cell_interval(t, o->value, o->t_low, o->t_high, digits);
    digits.sign = false;
    eq_cell_interval(t, o->sd_runs, NAN, NAN, digits);
    eq_cell_interval(t, o->se_clips, NAN, NAN, digits);
}

static void add_units(struct eq_table *t, const struct eq_verdict_clips *clips)
{
    if (clips->patients)
        eq_texts_add(&t->cells, "%zu of %zu patients", clips->of.n, clips->patients);
    else
        eq_texts_add(&t->cells, "%zu", clips->of.n);
}

static void describe_intervals(const struct eq_run_verdict *v, struct eq_str *note)
{
    if (v->n_seeds)
        eq_str_add(note,
                   "In brackets: 95 %% intervals that cover other seeds and other test clips (crossed bootstrap of %zu "
                   "samples, Student's t with Satterthwaite's degrees of freedom). SD: standard deviation over the "
                   "seeds; SE: standard error over the clips.",
                   v->replicates);
    else
        eq_str_add(
            note,
            "In brackets: 95 %% percentile intervals of %zu bootstrap samples of the test clips (of patients, if "
            "the list names them), the same samples for all models.",
            v->replicates);
}

static void list_models(const struct eq_run_verdict *v, struct eq_table *t)
{
    static const char *const header[] = {"Model", "Clips", "MAE", "RMSE", "R2", "Bias", "Errors above 15 points (%)",
                                         NULL};
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < v->n_models; i++) {
        struct eq_runs_of of = eq_report_model_runs(v, i);
        eq_texts_add(&t->cells, "%s", v->models[i].row);
        add_units(t, v->models[i].clips);
        eq_cell_figure(t, &of, BOOT(mae), points);
        eq_cell_figure(t, &of, BOOT(rmse), points);
        eq_cell_figure(t, &of, BOOT(r2), fine);
        eq_cell_figure(t, &of, BOOT(bias), (struct eq_digits){2, true, 1});
        eq_cell_figure(t, &of, AT(outliers.share), AT(outliers.low), AT(outliers.high), share);
    }
}

static void list_models_over_seeds(const struct eq_run_verdict *v, struct eq_table *t)
{
    static const char *const header[] = {"Model", "Seeds", "Clips", "MAE", "SD", "SE", "RMSE",
                                         "SD",    "SE",    "R2",    "SD",  "SE", NULL};
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < v->n_models; i++) {
        const struct eq_verdict_model *m = &v->models[i];
        eq_texts_add(&t->cells, "%s", m->row);
        eq_texts_add(&t->cells, "%zu", m->runs);
        add_units(t, m->clips);
        add_over(t, &m->over_mae, points);
        add_over(t, &m->over_rmse, points);
        add_over(t, &m->over_r2, fine);
    }
}

void eq_section_errors(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_run_verdict *v = &report->verdict;
    if (v->n_models == 0)
        return;
    eq_str_add(&out->title, "Errors with intervals");
    if (v->n_seeds)
        list_models_over_seeds(v, eq_section_table(out));
    else
        list_models(v, eq_section_table(out));
    eq_str_add(&out->note, "In EF points, on the test clips. ");
    describe_intervals(v, &out->note);
    if (!v->n_seeds)
        eq_str_add(&out->note, " Shares have Wilson's interval.");
}

/* ---- differences --------------------------------------------------------- */

#undef AT
#define AT(member) offsetof(struct eq_verdict_pair, member)

static void add_decision(struct eq_table *t, const struct eq_verdict_pair *p)
{
    eq_texts_add(&t->cells, "%s", p->verdict == EQ_MARGIN_NONE ? "-" : eq_margin_name(p->verdict));
}

static void list_pairs(const struct eq_run_verdict *v, struct eq_table *t)
{
    static const char *const header[] = {"Difference",   "MAE",        "MAE, BCa", "RMSE",          "R2",
                                         "Median error", "Wilcoxon p", "Holm p",   "By the margin", NULL};
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < v->n_pairs; i++) {
        const struct eq_verdict_pair *p = &v->pairs[i];
        struct eq_runs_of of = eq_report_pair_runs(v, i);
        eq_cell_pair(t, v, i);
        eq_cell_figure(t, &of, BOOT(mae), change);
        eq_cell_figure(t, &of, AT(mae.value), AT(mae.bca_low), AT(mae.bca_high), change);
        eq_cell_figure(t, &of, BOOT(rmse), change);
        eq_cell_figure(t, &of, BOOT(r2), change);
        eq_cell_figure(t, &of, AT(wilcoxon.hodges_lehmann), EQ_NO_LIMITS, EQ_NO_LIMITS, change);
        eq_cell_p(t, &of, AT(wilcoxon.p));
        eq_cell_p(t, &of, AT(wilcoxon_holm));
        add_decision(t, p);
    }
}

static void list_pairs_over_seeds(const struct eq_run_verdict *v, struct eq_table *t)
{
    static const char *const header[] = {"Difference", "Seeds", "MAE",           "SD", "SE", "RMSE", "SD", "SE", "R2",
                                         "SD",         "SE",    "By the margin", NULL};
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < v->n_pairs; i++) {
        const struct eq_verdict_pair *p = &v->pairs[i];
        eq_cell_pair(t, v, i);
        eq_texts_add(&t->cells, "%zu", p->runs);
        add_over(t, &p->over_mae, change);
        add_over(t, &p->over_rmse, change);
        add_over(t, &p->over_r2, change);
        add_decision(t, p);
    }
}

/* " (exact, normal approximation)" */
static void name_methods(const struct eq_run_verdict *v, struct eq_str *note)
{
    struct eq_str names = {0};
    for (size_t i = 0; i < v->n_pairs; i++) {
        const char *method = v->pairs[i].wilcoxon.method;
        if (!names.s || !strstr(names.s, method))
            eq_str_add(&names, "%s%s", names.len ? "; " : "", method);
    }
    eq_str_add(note, " (%s)", names.s);
    eq_str_clear(&names);
}

void eq_section_differences(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_run_verdict *v = &report->verdict;
    if (v->n_pairs == 0)
        return;
    eq_str_add(&out->title, "Differences between models");
    if (v->n_seeds)
        list_pairs_over_seeds(v, eq_section_table(out));
    else
        list_pairs(v, eq_section_table(out));
    eq_str_add(&out->note,
               "In EF points, paired by clip; above 0 in MAE and RMSE, the first model is worse. By the margin of %.3g "
               "EF points of MAE: non-inferior if the interval ends below it, inferior if it begins above it, else not "
               "shown. ",
               v->margin);
    describe_intervals(v, &out->note);
    if (v->n_seeds)
        return;
    eq_str_add(&out->note, " BCa: the bias-corrected and accelerated interval. Wilcoxon's signed-rank test");
    name_methods(v, &out->note);
    eq_str_add(&out->note, " is on the absolute errors, with the Hodges-Lehmann estimate of their difference (median "
                           "error); Holm's p is adjusted for the number of differences.");
}

/* ---- MLPerf's rule ------------------------------------------------------- */

static void add_quality(struct eq_table *t, const struct eq_run_verdict *v, size_t model)
{
    const struct eq_verdict_model *m = &v->models[model];
    eq_cell_interval(t, v->n_seeds ? m->over_quality.value : m->quality.value, NAN, NAN, fine);
}

void eq_section_mlperf(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"INT8 model", "Baseline",     "Quality",       "Quality of the baseline",
                                         "Ratio (%)",  "At least (%)", "MLPerf's rule", NULL};
    const struct eq_run_verdict *v = &report->verdict;
    struct eq_table *t = NULL;
    for (size_t i = 0; i < v->n_pairs; i++) {
        const struct eq_verdict_pair *p = &v->pairs[i];
        const struct eq_boot_runs *over = &p->over_quality_ratio;
        double ratio = v->n_seeds ? over->value : p->quality_ratio.value;
        if (!p->is_quantized)
            continue;
        if (!t) {
            t = eq_section_table(out);
            eq_table_begin(t, header, 2);
        }
        eq_texts_add(&t->cells, "%s", v->models[p->a].row);
        eq_texts_add(&t->cells, "%s", v->models[p->b].row);
        add_quality(t, v, p->a);
        add_quality(t, v, p->b);
        eq_cell_interval(t, ratio, v->n_seeds ? over->t_low : p->quality_ratio.low,
                         v->n_seeds ? over->t_high : p->quality_ratio.high, (struct eq_digits){2, false, 100});
        eq_texts_add(&t->cells, "%.0f", 100 * EQ_MLPERF_SHARE);
        eq_texts_add(&t->cells, "%s", isnan(ratio) ? "-" : p->mlperf ? "pass" : "fail");
    }
    if (!t)
        return;
    eq_str_add(&out->title, "MLPerf's rule");
    eq_str_add(&out->note, "MLPerf asks of INT8 at least 99 %% of FP32's quality. Quality is 1 - MAE / MAE of always "
                           "predicting the training median: 0 for a model that has learned nothing, 1 for one without "
                           "errors. The rule goes by the ratio, not by its interval (95 %%, in brackets). There is no "
                           "ratio if the baseline is no better than the median.");
}
