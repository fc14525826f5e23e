/* Agreement with the truth and of INT8 with FP32: Bland-Altman, intraclass correlation, moved clips, calibration. */
#include "report/report.h"

static const struct eq_digits signed_points = {2, true, 1}, change = {3, true, 1}, fine = {3, false, 1},
                              share = {1, false, 100};

#define AT(member) offsetof(struct eq_verdict_model, member)

void eq_section_agreement(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Model",    "Bias", "Lower limit", "Upper limit", "Slope over the mean",
                                         "ICC(2,1)", NULL};
    const struct eq_run_verdict *v = &report->verdict;
    if (v->n_models == 0)
        return;
    eq_str_add(&out->title, "Agreement with the true EF");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < v->n_models; i++) {
        struct eq_runs_of of = eq_report_model_runs(v, i);
        eq_texts_add(&t->cells, "%s", v->models[i].row);
#define LIMITS(member) AT(agreement.member), AT(agreement.member##_low), AT(agreement.member##_high)
        eq_cell_figure(t, &of, LIMITS(bias), signed_points);
        eq_cell_figure(t, &of, LIMITS(lower), signed_points);
        eq_cell_figure(t, &of, LIMITS(upper), signed_points);
        eq_cell_figure(t, &of, LIMITS(over_mean.slope), change);
        eq_cell_figure(t, &of, AT(icc.agreement), AT(icc.agreement_low), AT(icc.agreement_high), fine);
    }
    eq_str_add(&out->note,
               "Bland and Altman: predicted minus true EF in EF points. 95 %% of the differences lie between "
               "the limits of agreement (bias ± 1.96 SD). The slope is of the difference over the mean of "
               "both; it is not 0 for a model that draws predictions to the middle. ICC(2,1): absolute "
               "agreement of single measurements. In brackets: 95 %% intervals, which take the clips for "
               "independent.");
    eq_note_seeds(v, &out->note);
}

void eq_section_calibration(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Model", "Slope", "Intercept", "Correlation", NULL};
    const struct eq_run_verdict *v = &report->verdict;
    if (v->n_models == 0)
        return;
    eq_str_add(&out->title, "Calibration");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < v->n_models; i++) {
        struct eq_runs_of of = eq_report_model_runs(v, i);
        eq_texts_add(&t->cells, "%s", v->models[i].row);
        eq_cell_figure(t, &of, AT(calibration.slope), AT(calibration.slope_low), AT(calibration.slope_high), fine);
        eq_cell_figure(t, &of, AT(calibration.intercept), AT(calibration.intercept_low), AT(calibration.intercept_high),
                       signed_points);
        eq_cell_figure(t, &of, AT(calibration.r), EQ_NO_LIMITS, EQ_NO_LIMITS, fine);
    }
    eq_str_add(&out->note,
               "The least-squares line of true over predicted EF. Slope 1 and intercept 0 are ideal; a slope "
               "below 1 means predictions that are too extreme. In brackets: 95 %% intervals.");
    eq_note_seeds(v, &out->note);
}

/* ---- pairs --------------------------------------------------------------- */

#undef AT
#define AT(member) offsetof(struct eq_verdict_pair, member)

void eq_section_moved(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Difference",          "Bias",          "Lower limit", "Upper limit",
                                         "Slope over the mean", "RMS",           "ICC(2,1)",    "Moved > 1 (%)",
                                         "Moved > 2 (%)",       "Moved > 5 (%)", NULL};
    const struct eq_run_verdict *v = &report->verdict;
    if (v->n_pairs == 0)
        return;
    eq_str_add(&out->title, "What it changes for a clip");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < v->n_pairs; i++) {
        struct eq_runs_of of = eq_report_pair_runs(v, i);
        eq_cell_pair(t, v, i);
        eq_cell_figure(t, &of, LIMITS(bias), change);
        eq_cell_figure(t, &of, LIMITS(lower), change);
        eq_cell_figure(t, &of, LIMITS(upper), change);
        eq_cell_figure(t, &of, LIMITS(over_mean.slope), change);
        eq_cell_figure(t, &of, AT(rms), EQ_NO_LIMITS, EQ_NO_LIMITS, fine);
        eq_cell_figure(t, &of, AT(icc.agreement), AT(icc.agreement_low), AT(icc.agreement_high),
                       (struct eq_digits){5, false, 1});
        for (size_t k = 0; k < EQ_VERDICT_MOVES; k++) {
            size_t at = AT(moved) + k * sizeof(struct eq_share);
            eq_cell_figure(t, &of, at + offsetof(struct eq_share, share), at + offsetof(struct eq_share, low),
                           at + offsetof(struct eq_share, high), share);
        }
    }
    eq_str_add(&out->note,
               "The difference of two models' predictions for the same clip, in EF points, with Bland and "
               "Altman's limits of agreement (bias ± 1.96 SD) and its slope over the mean of both. Moved: the "
               "share of clips whose EF differs by more than 1, 2, and 5 points. QAT - FP32+ also holds the "
               "difference of two trainings. In brackets: 95 %% intervals (shares: Wilson's).");
    eq_note_seeds(v, &out->note);
}
