/* The verdict of a run directory, in figures and in words. */
#include "verdict/verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum eq_status of_only_seed(const char *run_dir, const struct eq_result_seed *seed, struct eq_run_verdict *v,
                                   struct eq_err *err)
{
    struct eq_results results;
    struct eq_str others = {0};
    char *dir = eq_seed_dir(run_dir, (int)seed->seed);
    enum eq_status st = eq_results_read(dir, &results, err);
    if (st == EQ_OK) {
        eq_results_keep_data(&results, &others);
        st = eq_verdict_of_run(dir, &results, v, err);
    }
    if (st == EQ_OK)
        eq_verdict_note(v, "Only seed %.0f has results. The intervals do not cover other seeds.", seed->seed);
    eq_str_clear(&others);
    eq_results_clear(&results);
    free(dir);
    return st;
}

enum eq_status eq_run_verdict_make(const char *run_dir, const struct eq_results *results,
                                   const struct eq_verdict_opts *opts, struct eq_run_verdict *out, struct eq_err *err)
{
    *out = (struct eq_run_verdict){.margin = opts->margin,
                                   .stated_margin = results->margin.points,
                                   .late = results->margin.late,
                                   .replicates = (size_t)opts->replicates,
                                   .median = NAN};
    snprintf(out->stated, sizeof out->stated, "%s", results->margin.stated);
    if (results->n_seeds > 1)
        return eq_verdict_of_seeds(run_dir, results, out, err);
    if (results->n_seeds == 1)
        return of_only_seed(run_dir, &results->seeds[0], out, err);
    return eq_verdict_of_run(run_dir, results, out, err);
}

/* ---- in words ---------------------------------------------------------------- */

/* The interval of a difference of MAE that decides. */
static void interval_of(const struct eq_run_verdict *v, const struct eq_verdict_pair *p, double out[3])
{
    out[0] = v->n_seeds ? p->over_mae.value : p->mae.value;
    out[1] = v->n_seeds ? p->over_mae.t_low : p->mae.low;
    out[2] = v->n_seeds ? p->over_mae.t_high : p->mae.high;
}

/* "PTQ is non-inferior to FP32" */
static void judge(const struct eq_run_verdict *v, const struct eq_verdict_pair *p, enum eq_margin verdict,
                  struct eq_str *out)
{
    const char *a = v->models[p->a].row, *b = v->models[p->b].row;
    if (verdict == EQ_MARGIN_NONINFERIOR)
        eq_str_add(out, "%s is non-inferior to %s", a, b);
    else if (verdict == EQ_MARGIN_INFERIOR)
        eq_str_add(out, "%s is inferior to %s", a, b);
    else if (verdict == EQ_MARGIN_NOT_SHOWN)
        eq_str_add(out, "non-inferiority of %s to %s is not shown", a, b);
    else
        eq_str_add(out, "nothing can be said of %s against %s", a, b);
}

static void judge_all(const struct eq_run_verdict *v, struct eq_str *out)
{
    bool first = true;
    eq_str_add(out, "With a margin of %.3g EF points of MAE, ", v->margin);
    for (size_t i = 0; i < v->n_pairs; i++) {
        const struct eq_verdict_pair *p = &v->pairs[i];
        double d[3];
        if (!p->is_quantized)
            continue;
        interval_of(v, p, d);
        eq_str_add(out, first ? "" : "; ");
        judge(v, p, p->verdict, out);
        if (isnan(d[1]) || isnan(d[2]))
            eq_str_add(out, " (%+.3f, no interval)", d[0]);
        else
            eq_str_add(out,
                       first ? " (difference of MAE %+.3f, 95 %% interval %+.3f to %+.3f)" : " (%+.3f, %+.3f to %+.3f)",
                       d[0], d[1], d[2]);
        first = false;
    }
    eq_str_add(out, ".");
}

static void say_units(const struct eq_verdict_clips *clips, struct eq_str *out)
{
    if (clips->patients)
        eq_str_add(out, "the %zu patient%s of %zu test clips", clips->patients, eq_plural((double)clips->patients),
                   clips->of.n);
    else
        eq_str_add(out, "%zu test clip%s", clips->of.n, eq_plural((double)clips->of.n));
}

static void say_margin(const struct eq_run_verdict *v, struct eq_str *out)
{
    if (isnan(v->stated_margin))
        eq_str_add(out, "the margin was not stated before the test split was read (results.json has none)");
    else if (v->late)
        eq_str_add(out, "the margin was stated after the test split was read (%s)", v->stated);
    else if (v->stated_margin != v->margin)
        eq_str_add(out, "the margin was changed after the test split was read; the one stated before was %.3g (%s)",
                   v->stated_margin, v->stated);
    else
        eq_str_add(out, "the margin was stated before the test split was read (%s)", v->stated);
}

static const struct eq_verdict_pair *first_quantized(const struct eq_run_verdict *v)
{
    for (size_t i = 0; i < v->n_pairs; i++)
        if (v->pairs[i].is_quantized)
            return &v->pairs[i];
    return NULL;
}

static void say_basis(const struct eq_run_verdict *v, const struct eq_verdict_pair *p, struct eq_str *out)
{
    const struct eq_verdict_clips *clips = v->models[p->a].clips;
    if (v->n_seeds) {
        const char *a = v->models[p->a].row, *b = v->models[p->b].row;
        eq_str_add(out, "The interval covers other seeds and other clips, from %zu seeds and ", p->runs);
        say_units(clips, out);
        eq_str_add(out, " (%s - %s: SD over seeds %.3f, standard error over clips %.3f)", a, b, p->over_mae.sd_runs,
                   p->over_mae.se_clips);
    } else {
        eq_str_add(out, "The intervals are percentile intervals of %zu bootstrap samples of ", v->replicates);
        say_units(clips, out);
        eq_str_add(out, " from one seed, so they do not cover other trainings");
    }
    eq_str_add(out, "; ");
    say_margin(v, out);
    eq_str_add(out, ".");
}

void eq_run_verdict_text(const struct eq_run_verdict *v, struct eq_str *out)
{
    const struct eq_verdict_pair *p = first_quantized(v);
    if (!p)
        return;
    judge_all(v, out);
    eq_str_add(out, " ");
    say_basis(v, p, out);
}

void eq_run_verdict_more(const struct eq_run_verdict *v, struct eq_str *out)
{
    for (size_t i = 0; i < v->n_pairs; i++) {
        const struct eq_verdict_pair *p = &v->pairs[i];
        if (p->is_quantized && p->verdict_stated != p->verdict && p->verdict_stated != EQ_MARGIN_NONE) {
            eq_str_add(out, "By the stated margin of %.3g, ", v->stated_margin);
            judge(v, p, p->verdict_stated, out);
            eq_str_add(out, ".\n");
        }
        if (p->is_quantized && p->verdict_bca != p->verdict && p->verdict_bca != EQ_MARGIN_NONE) {
            eq_str_add(out, v->n_seeds ? "By the two-level percentile interval, " : "By the BCa interval, ");
            judge(v, p, p->verdict_bca, out);
            eq_str_add(out, ".\n");
        }
    }
    eq_str_add(out, "%s", v->notes.s ? v->notes.s : "");
}
