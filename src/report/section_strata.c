/* Errors by stratum: EF, length of the clip, frame rate. */
#include "report/report.h"

#include <math.h>
#include <stdlib.h>

static const struct eq_digits points = {2, false, 1};

/* "40 to 50", "below 40", "from 50" */
static void name_stratum(const struct eq_stratum *s, struct eq_texts *cells)
{
    if (s->from == s->to)
        eq_texts_add(cells, "%.4g", s->from);
    else if (isinf(s->from) && isinf(s->to))
        eq_texts_add(cells, "all");
    else if (isinf(s->from))
        eq_texts_add(cells, "below %.4g", s->to);
    else if (isinf(s->to))
        eq_texts_add(cells, "%.4g and above", s->from);
    else
        eq_texts_add(cells, "%.4g to below %.4g", s->from, s->to);
}

static void begin(struct eq_table *t, const struct eq_run_verdict *v, const char *what)
{
    const char **header = eq_list_grow(NULL, v->n_models + 2, sizeof *header);
    header[0] = what;
    header[1] = "Clips";
    for (size_t i = 0; i < v->n_models; i++)
        header[2 + i] = v->models[i].row;
    header[2 + v->n_models] = NULL;
    eq_table_begin(t, header, 1);
    free(header);
}

/* The models of a row have the same clips; those with others have a "-". */
static void add_stratum(struct eq_table *t, const struct eq_run_verdict *v, const struct eq_verdict_model *first,
                        enum eq_strata_kind kind, size_t s)
{
    const struct eq_stratum *stratum = &first->strata[kind].list[s];
    name_stratum(stratum, &t->cells);
    eq_texts_add(&t->cells, "%zu", stratum->metrics.clips);
    for (size_t i = 0; i < v->n_models; i++) {
        struct eq_runs_of of = eq_report_model_runs(v, i);
        const struct eq_verdict_model *m = of.n ? of.item[0] : NULL;
        size_t at = offsetof(struct eq_verdict_model, strata) + kind * sizeof(struct eq_verdict_strata) +
                    offsetof(struct eq_verdict_strata, list) + s * sizeof(struct eq_stratum);
        if (!m || s >= m->strata[kind].n || m->strata[kind].list[s].metrics.clips != stratum->metrics.clips)
            eq_texts_add(&t->cells, "-");
        else
            eq_cell_figure(t, &of, at + offsetof(struct eq_stratum, metrics.mae),
                           at + offsetof(struct eq_stratum, mae_low), at + offsetof(struct eq_stratum, mae_high),
                           points);
    }
}

static void fill(const struct eq_report *report, enum eq_strata_kind kind, const char *title, const char *what,
                 const char *note, struct eq_section *out)
{
    const struct eq_run_verdict *v = &report->verdict;
    if (v->n_models == 0)
        return;
    struct eq_runs_of of = eq_report_model_runs(v, 0);
    const struct eq_verdict_model *first = of.item[0];
    if (first->strata[kind].n == 0)
        return;
    eq_str_add(&out->title, "%s", title);
    struct eq_table *t = eq_section_table(out);
    begin(t, v, what);
    for (size_t s = 0; s < first->strata[kind].n; s++)
        add_stratum(t, v, first, kind, s);
    eq_str_add(&out->note, "MAE in EF points. %s In brackets: 95 %% intervals (Student's t).", note);
    eq_note_seeds(v, &out->note);
}

void eq_section_strata_ef(const struct eq_report *report, struct eq_section *out)
{
    fill(report, EQ_STRATA_EF, "Errors by EF", "True EF (%)",
         "The classes are those of the ESC's guideline: reduced, mildly reduced, and preserved EF.", out);
}

void eq_section_strata_frames(const struct eq_report *report, struct eq_section *out)
{
    fill(report, EQ_STRATA_FRAMES, "Errors by length of the clip", "Frames of the clip",
         "The strata are thirds of the test clips.", out);
}

void eq_section_strata_fps(const struct eq_report *report, struct eq_section *out)
{
    fill(report, EQ_STRATA_FPS, "Errors by frame rate", "Frames a second", "The strata are thirds of the test clips.",
         out);
}
