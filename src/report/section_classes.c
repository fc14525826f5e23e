/* Classes at cuts of the EF: AUC of each model, differences of AUC, and clips that change class. */
#include "report/report.h"

#include <math.h>

static const struct eq_digits fine = {3, false, 1}, change = {4, true, 1};

/* Adds the header: text columns, then one column for each cut. */
static void begin(struct eq_table *t, const char *first, const char *what)
{
    struct eq_str names[EQ_VERDICT_CUTS] = {{0}};
    const char *header[EQ_VERDICT_CUTS + 2] = {first};
    for (size_t c = 0; c < EQ_VERDICT_CUTS; c++) {
        eq_str_add(&names[c], "%s%g %%", what, eq_verdict_cuts[c]);
        header[c + 1] = names[c].s;
    }
    eq_table_begin(t, header, 1);
    for (size_t c = 0; c < EQ_VERDICT_CUTS; c++)
        eq_str_clear(&names[c]);
}

/* Patients' clips are not independent, as DeLong's interval assumes. */
static bool by_patient(const struct eq_run_verdict *v)
{
    for (size_t i = 0; i < v->n_models; i++)
        if (v->models[i].clips->patients)
            return true;
    return false;
}

#define AT(member) offsetof(struct eq_verdict_model, member)

void eq_section_auc(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_run_verdict *v = &report->verdict;
    if (v->n_models == 0)
        return;
    bool boot = by_patient(v);
    eq_str_add(&out->title, "AUC for a low EF");
    struct eq_table *t = eq_section_table(out);
    begin(t, "Model", "EF below ");
    for (size_t i = 0; i < v->n_models; i++) {
        struct eq_runs_of of = eq_report_model_runs(v, i);
        eq_texts_add(&t->cells, "%s", v->models[i].row);
        for (size_t c = 0; c < EQ_VERDICT_CUTS; c++) {
            size_t at = AT(auc) + c * sizeof(struct eq_auc), with = AT(auc_boot) + c * sizeof(struct eq_boot);
            eq_cell_figure(t, &of, at + offsetof(struct eq_auc, auc),
                           boot ? with + offsetof(struct eq_boot, low) : at + offsetof(struct eq_auc, low),
                           boot ? with + offsetof(struct eq_boot, high) : at + offsetof(struct eq_auc, high), fine);
        }
    }
    eq_str_add(&out->note,
               "The probability that a clip with an EF below the cut gets a lower prediction than one at or "
               "above it. \"-\": one of the classes has no clip. In brackets: 95 %% intervals, %s.",
               boot ? "by the bootstrap over patients" : "by DeLong's method");
    eq_note_seeds(v, &out->note);
}

#undef AT
#define AT(member) offsetof(struct eq_verdict_pair, member)

void eq_section_auc_differences(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Difference of AUC", "Cut (%)", "Difference", "DeLong p", NULL};
    const struct eq_run_verdict *v = &report->verdict;
    struct eq_table *t = NULL;
    for (size_t i = 0; i < v->n_pairs; i++) {
        struct eq_runs_of of = eq_report_pair_runs(v, i);
        for (size_t c = 0; c < EQ_VERDICT_CUTS; c++) {
            size_t at = AT(auc) + c * sizeof(struct eq_auc_pair);
            if (!t) {
                t = eq_section_table(out);
                eq_table_begin(t, header, 1);
            }
            eq_cell_pair(t, v, i);
            eq_texts_add(&t->cells, "%g", eq_verdict_cuts[c]);
            eq_cell_figure(t, &of, at + offsetof(struct eq_auc_pair, difference),
                           at + offsetof(struct eq_auc_pair, low), at + offsetof(struct eq_auc_pair, high), change);
            eq_cell_p(t, &of, at + offsetof(struct eq_auc_pair, p));
        }
    }
    if (!t)
        return;
    out->style = EQ_SECTION_FOLDED;
    eq_str_add(&out->title, "Differences of AUC");
    eq_str_add(&out->note, "DeLong's test of two AUCs on the same clips, with its 95 %% interval%s.",
               by_patient(v) ? "; it takes the clips of a patient for independent" : "");
    eq_note_seeds(v, &out->note);
}

void eq_section_reclass(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"From - to", "Cut (%)",   "Stay below", "Stay at or above",
                                         "Move up",   "Move down", "McNemar p",  NULL};
    const struct eq_run_verdict *v = &report->verdict;
    if (v->n_pairs == 0)
        return;
    eq_str_add(&out->title, "Clips that change class");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 1);
    for (size_t i = 0; i < v->n_pairs; i++) {
        const struct eq_verdict_pair *p = &v->pairs[i];
        struct eq_runs_of of = eq_report_pair_runs(v, i);
        for (size_t c = 0; c < EQ_VERDICT_CUTS; c++) {
            size_t at = AT(reclass) + c * sizeof(struct eq_reclass);
            eq_texts_add(&t->cells, "%s to %s", v->models[p->b].row, v->models[p->a].row);
            eq_texts_add(&t->cells, "%g", eq_verdict_cuts[c]);
            eq_cell_count(t, &of, at + offsetof(struct eq_reclass, stay_below));
            eq_cell_count(t, &of, at + offsetof(struct eq_reclass, stay_above));
            eq_cell_count(t, &of, at + offsetof(struct eq_reclass, up));
            eq_cell_count(t, &of, at + offsetof(struct eq_reclass, down));
            eq_cell_p(t, &of, at + offsetof(struct eq_reclass, mcnemar_p));
        }
    }
    eq_str_add(&out->note, "Test clips by the predicted EF of both models. Up: below the cut by the first model, at or "
                           "above it by the second. McNemar's exact test asks whether up and down are equally likely.");
    eq_note_seeds(v, &out->note);
}
