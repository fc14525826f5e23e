/* The verdict of one run: every figure of its models and pairs. */
#include "verdict/verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- intervals by the bootstrap ------------------------------------------ */

/* The models of one list of clips, their pairs, and what the bootstrap needs of them. */
struct group {
    const struct eq_verdict_clips *clips;
    size_t *model, *pair; /* indices in the verdict */
    size_t (*local)[2];   /* of each pair: its models, as indices in the group */
    double **score;
    const double **pred;
    uint32_t **order;
    bool *below[EQ_VERDICT_CUTS];
    struct eq_figures figures;
};

static void clear_group(struct group *g)
{
    for (size_t m = 0; m < g->figures.models; m++) {
        if (g->score)
            eq_free(g->score[m]);
        if (g->order)
            eq_free(g->order[m]);
    }
    for (size_t c = 0; c < EQ_VERDICT_CUTS; c++)
        eq_free(g->below[c]);
    free(g->score);
    free(g->order);
    free(g->pred);
    free(g->model);
    free(g->pair);
    free(g->local);
}

static size_t place_of(const struct group *g, size_t model)
{
    size_t i = 0;
    while (g->model[i] != model)
        i++;
    return i;
}

static enum eq_status add_model(struct group *g, const struct eq_run_verdict *v, size_t model, struct eq_err *err)
{
    size_t at = g->figures.models, n = g->clips->of.n;
    g->model = eq_list_grow(g->model, at, sizeof *g->model);
    g->pred = eq_list_grow(g->pred, at, sizeof *g->pred);
    g->score = eq_list_grow(g->score, at, sizeof *g->score);
    g->order = eq_list_grow(g->order, at, sizeof *g->order);
    g->figures.models++;
    g->model[at] = model;
    g->pred[at] = v->models[model].prediction;
    g->score[at] = eq_alloc(n, sizeof **g->score);
    g->order[at] = eq_alloc(n, sizeof **g->order);
    if (!g->score[at] || !g->order[at])
        return eq_fail(err, EQ_NOMEM, "out of memory for the scores of %zu clips", n);
    for (size_t i = 0; i < n; i++)
        g->score[at][i] = -g->pred[at][i];
    return eq_auc_order(g->score[at], n, g->order[at], err);
}

static enum eq_status make_group(struct group *g, const struct eq_run_verdict *v, const struct eq_verdict_clips *clips,
                                 struct eq_err *err)
{
    size_t n = clips->of.n;
    *g = (struct group){.clips = clips};
    for (size_t i = 0; i < v->n_models; i++)
        if (v->models[i].clips == clips)
            EQ_CHECK(add_model(g, v, i, err));
    for (size_t i = 0; i < v->n_pairs; i++) {
        const struct eq_verdict_pair *p = &v->pairs[i];
        if (v->models[p->a].clips != clips)
            continue;
        size_t at = g->figures.pairs++;
        g->pair = eq_list_grow(g->pair, at, sizeof *g->pair);
        g->local = eq_list_grow(g->local, at, sizeof *g->local);
        g->pair[at] = i;
        g->local[at][0] = place_of(g, p->a);
        g->local[at][1] = place_of(g, p->b);
    }
    for (size_t c = 0; c < EQ_VERDICT_CUTS; c++) {
        g->below[c] = eq_alloc(n, sizeof *g->below[c]);
        if (!g->below[c])
            return eq_fail(err, EQ_NOMEM, "out of memory for the classes of %zu clips", n);
        for (size_t i = 0; i < n; i++)
            g->below[c][i] = clips->ef[i] < eq_verdict_cuts[c];
    }
    g->figures.n = n;
    g->figures.ef = clips->ef;
    g->figures.pred = g->pred;
    g->figures.score = (const double *const *)g->score;
    g->figures.order = (const uint32_t *const *)g->order;
    g->figures.below = (const bool *const *)g->below;
    g->figures.median = v->median;
    g->figures.pair = (const size_t(*)[2])g->local;
    return EQ_OK;
}

static enum eq_status boot_group(struct group *g, struct eq_run_verdict *v, struct eq_err *err)
{
    const struct eq_figures *f = &g->figures;
    struct eq_boot *out = eq_alloc(eq_figures_count(f), sizeof *out), *of = out;
    struct eq_boot_plan plan = eq_figures_plan(f, g->clips, v->replicates);
    enum eq_status st = out ? eq_bootstrap(&plan, out, err) : eq_fail(err, EQ_NOMEM, "out of memory for the bootstrap");
    for (size_t i = 0; st == EQ_OK && i < f->models; i++, of += EQ_MODEL_FIGURES) {
        struct eq_verdict_model *m = &v->models[g->model[i]];
        m->mae = of[EQ_FIGURE_MAE];
        m->rmse = of[EQ_FIGURE_RMSE];
        m->r2 = of[EQ_FIGURE_R2];
        m->bias = of[EQ_FIGURE_BIAS];
        m->quality = of[EQ_FIGURE_QUALITY];
        memcpy(m->auc_boot, of + EQ_FIGURE_AUC, sizeof m->auc_boot);
    }
    for (size_t i = 0; st == EQ_OK && i < f->pairs; i++, of += EQ_PAIR_FIGURES) {
        struct eq_verdict_pair *p = &v->pairs[g->pair[i]];
        p->mae = of[EQ_PAIR_MAE];
        p->rmse = of[EQ_PAIR_RMSE];
        p->r2 = of[EQ_PAIR_R2];
        p->quality_ratio = of[EQ_PAIR_QUALITY];
    }
    eq_free(out);
    return st;
}

static enum eq_status bootstrap(struct eq_run_verdict *v, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < v->n_clips && st == EQ_OK; i++) {
        struct group g;
        st = make_group(&g, v, v->clips[i], err);
        if (st == EQ_OK)
            st = boot_group(&g, v, err);
        clear_group(&g);
    }
    return st;
}

/* ---- strata -------------------------------------------------------------- */

/* The two cuts that divide the values into thirds; *n: fewer if they coincide. */
static void tertiles(double *sorted, size_t n_values, double cuts[2], size_t *n)
{
    eq_sort_doubles(sorted, n_values);
    *n = 0;
    for (int third = 1; third <= 2; third++) {
        double cut = eq_quantile_of(sorted, n_values, third / 3.0);
        if (cut > sorted[0] && (*n == 0 || cut > cuts[*n - 1]))
            cuts[(*n)++] = cut;
    }
}

/* by: [n], overwritten; false: it is not known for every clip. */
static bool values_of(const struct eq_verdict_clips *clips, enum eq_strata_kind kind, double *by)
{
    bool known = true;
    for (size_t i = 0; i < clips->of.n; i++) {
        const struct eq_prediction *row = &clips->of.rows[i];
        by[i] = kind == EQ_STRATA_EF ? row->ef : kind == EQ_STRATA_FRAMES ? row->frames : row->fps;
        known &= kind == EQ_STRATA_EF || by[i] > 0;
    }
    return known;
}

static enum eq_status divide(struct eq_verdict_model *m, enum eq_strata_kind kind, double *by, double *sorted,
                             struct eq_err *err)
{
    struct eq_verdict_strata *out = &m->strata[kind];
    size_t n = m->clips->of.n, n_cuts = 2;
    double cuts[2] = {40, 50}; /* reduced, mildly reduced, and preserved EF of the ESC's guideline of 2021 */
    struct eq_stratum all[EQ_VERDICT_STRATA];
    if (!values_of(m->clips, kind, by))
        return EQ_OK;
    memcpy(sorted, by, n * sizeof *sorted);
    if (kind != EQ_STRATA_EF)
        tertiles(sorted, n, cuts, &n_cuts);
    EQ_CHECK(eq_strata_of(m->prediction, m->clips->ef, by, n, cuts, n_cuts, all, err));
    for (size_t s = 0; s <= n_cuts; s++)
        if (all[s].metrics.clips > 0) {
            if (all[s].mae_low < 0) /* Student's t does not know that an MAE is not */
                all[s].mae_low = 0;
            out->list[out->n++] = all[s];
        }
    if (kind != EQ_STRATA_EF && n_cuts == 0)
        out->list[0].from = out->list[0].to = sorted[0];
    return EQ_OK;
}

static enum eq_status divide_all(struct eq_verdict_model *m, struct eq_err *err)
{
    size_t n = m->clips->of.n;
    double *by = eq_alloc(2 * n, sizeof *by);
    enum eq_status st = by ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for the strata of %zu clips", n);
    for (int kind = 0; kind < EQ_STRATA_KINDS && st == EQ_OK; kind++)
        st = divide(m, (enum eq_strata_kind)kind, by, by + n, err);
    eq_free(by);
    return st;
}

/* ---- models -------------------------------------------------------------- */

/* Score and class of each clip for "EF below the cut". */
struct scores {
    double *a, *b; /* minus the predictions */
    bool *below;
};

static void clear_scores(struct scores *s)
{
    eq_free(s->a);
    eq_free(s->b);
    eq_free(s->below);
}

/* b NULL: a alone */
static enum eq_status make_scores(const struct eq_verdict_model *a, const struct eq_verdict_model *b, struct scores *s,
                                  struct eq_err *err)
{
    size_t n = a->clips->of.n;
    *s = (struct scores){eq_alloc(n, sizeof *s->a), eq_alloc(n, sizeof *s->b), eq_alloc(n, sizeof *s->below)};
    if (!s->a || !s->b || !s->below)
        return eq_fail(err, EQ_NOMEM, "out of memory for the scores of %zu clips", n);
    for (size_t i = 0; i < n; i++) {
        s->a[i] = -a->prediction[i];
        s->b[i] = b ? -b->prediction[i] : 0;
    }
    return EQ_OK;
}

static void set_classes(struct scores *s, const struct eq_verdict_clips *clips, double cut)
{
    for (size_t i = 0; i < clips->of.n; i++)
        s->below[i] = clips->ef[i] < cut;
}

static enum eq_status classify(struct eq_verdict_model *m, struct eq_err *err)
{
    struct scores s;
    size_t n = m->clips->of.n;
    enum eq_status st = make_scores(m, NULL, &s, err);
    for (size_t c = 0; c < EQ_VERDICT_CUTS && st == EQ_OK; c++) {
        set_classes(&s, m->clips, eq_verdict_cuts[c]);
        st = eq_auc_of(s.a, s.below, n, &m->auc[c], err);
        if (st != EQ_OK || isnan(m->auc[c].auc))
            continue;
        m->roc[c] = eq_alloc(n + 1, sizeof *m->roc[c]);
        st = m->roc[c] ? eq_roc_of(s.a, s.below, n, m->roc[c], &m->n_roc[c], err)
                       : eq_fail(err, EQ_NOMEM, "out of memory for a ROC curve of %zu clips", n);
    }
    clear_scores(&s);
    return st;
}

/* Intraclass correlation of two columns. */
static enum eq_status correlate(const double *a, const double *b, size_t n, struct eq_icc *out, struct eq_err *err)
{
    double *x = eq_alloc(2 * n, sizeof *x);
    if (!x)
        return eq_fail(err, EQ_NOMEM, "out of memory for the correlation of %zu clips", n);
    for (size_t i = 0; i < n; i++) {
        x[2 * i] = a[i];
        x[2 * i + 1] = b[i];
    }
    *out = eq_icc_of(x, n, 2);
    eq_free(x);
    return EQ_OK;
}

static enum eq_status describe_model(struct eq_verdict_model *m, struct eq_err *err)
{
    const double *ef = m->clips->ef;
    size_t n = m->clips->of.n;
    m->metrics = eq_metrics_compute(m->prediction, ef, n);
    m->outliers = eq_share_moved(m->prediction, ef, n, EQ_VERDICT_OUTLIER);
    m->calibration = eq_calibration_of(m->prediction, ef, n);
    EQ_CHECK(eq_bland_altman_of(m->prediction, ef, n, &m->agreement, err));
    EQ_CHECK(correlate(m->prediction, ef, n, &m->icc, err));
    EQ_CHECK(classify(m, err));
    return divide_all(m, err);
}

/* ---- pairs --------------------------------------------------------------- */

void eq_verdict_decide(const struct eq_run_verdict *v, struct eq_verdict_pair *p)
{
    p->verdict = eq_margin_of(p->mae.low, p->mae.high, v->margin);
    p->verdict_bca = eq_margin_of(p->mae.bca_low, p->mae.bca_high, v->margin);
    p->verdict_stated = eq_margin_of(p->mae.low, p->mae.high, v->stated_margin);
    p->mlperf = p->quality_ratio.value >= EQ_MLPERF_SHARE;
}

static enum eq_status test_errors(struct eq_verdict_pair *p, const struct eq_verdict_model *a,
                                  const struct eq_verdict_model *b, struct eq_err *err)
{
    const double *ef = a->clips->ef;
    size_t n = a->clips->of.n;
    double *d = eq_alloc(n, sizeof *d), squares = 0;
    if (!d)
        return eq_fail(err, EQ_NOMEM, "out of memory for the differences of %zu clips", n);
    for (size_t i = 0; i < n; i++) {
        double change = a->prediction[i] - b->prediction[i];
        squares += change * change;
        d[i] = fabs(a->prediction[i] - ef[i]) - fabs(b->prediction[i] - ef[i]);
    }
    p->rms = sqrt(squares / (double)n);
    enum eq_status st = eq_wilcoxon_of(d, n, &p->wilcoxon, err);
    eq_free(d);
    return st;
}

static enum eq_status compare_classes(struct eq_verdict_pair *p, const struct eq_verdict_model *a,
                                      const struct eq_verdict_model *b, struct eq_err *err)
{
    struct scores s;
    enum eq_status st = make_scores(a, b, &s, err);
    for (size_t c = 0; c < EQ_VERDICT_CUTS && st == EQ_OK; c++) {
        set_classes(&s, a->clips, eq_verdict_cuts[c]);
        st = eq_auc_compare(s.a, s.b, s.below, a->clips->of.n, &p->auc[c], err);
        p->reclass[c] = eq_reclass_of(b->prediction, a->prediction, a->clips->of.n, eq_verdict_cuts[c]);
    }
    clear_scores(&s);
    return st;
}

static enum eq_status describe_pair(const struct eq_run_verdict *v, struct eq_verdict_pair *p, struct eq_err *err)
{
    const struct eq_verdict_model *a = &v->models[p->a], *b = &v->models[p->b];
    size_t n = a->clips->of.n;
    for (size_t i = 0; i < EQ_VERDICT_MOVES; i++)
        p->moved[i] = eq_share_moved(a->prediction, b->prediction, n, eq_verdict_moves[i]);
    EQ_CHECK(eq_bland_altman_of(a->prediction, b->prediction, n, &p->agreement, err));
    EQ_CHECK(correlate(a->prediction, b->prediction, n, &p->icc, err));
    EQ_CHECK(test_errors(p, a, b, err));
    return compare_classes(p, a, b, err);
}

static void adjust_tests(struct eq_run_verdict *v)
{
    double *p = eq_list_grow(NULL, 2 * v->n_pairs, sizeof *p), *adjusted = p + v->n_pairs;
    for (size_t i = 0; i < v->n_pairs; i++)
        p[i] = v->pairs[i].wilcoxon.p;
    eq_holm(p, v->n_pairs, adjusted);
    for (size_t i = 0; i < v->n_pairs; i++)
        v->pairs[i].wilcoxon_holm = adjusted[i];
    free(p);
}

/* A file that was edited, or put together from two runs. */
static void note_other_errors(struct eq_run_verdict *v, const struct eq_results *results)
{
    for (size_t i = 0; i < results->n; i++) {
        const struct eq_verdict_model *m = eq_verdict_model_of(v, results->rows[i].model);
        double noted = results->rows[i].mae;
        if (m && fabs(noted - m->metrics.mae) > 1e-6 * (1 + noted)) /* EFs have 9 digits in the file */
            eq_verdict_note(
                v,
                "results.json says an MAE of %.6g for %s (models[%zu].mae), but its predictions give %.6g: one "
                "of the files was changed or is of another run. `echoquant eval %s` makes both again.",
                noted, m->row, i, m->metrics.mae, m->name);
    }
}

static void note_equal(struct eq_run_verdict *v)
{
    for (size_t i = 0; i < v->n_models; i++)
        for (size_t k = 0; k < i; k++) {
            const struct eq_verdict_model *a = &v->models[i], *b = &v->models[k];
            if (a->clips == b->clips &&
                memcmp(a->prediction, b->prediction, a->clips->of.n * sizeof *a->prediction) == 0) {
                eq_verdict_note(v, "%s predicts exactly what %s predicts, for every test clip.", a->row, b->row);
                break;
            }
        }
}

/* ---- what cannot be said --------------------------------------------------- */

static void note_clips(struct eq_run_verdict *v, const struct eq_verdict_clips *clips)
{
    size_t n = clips->of.n, units = clips->patients ? clips->patients : n;
    const char *unit = clips->patients ? "patient" : "clip";
    bool varies = false;
    for (size_t i = 0; i < n; i++)
        varies |= clips->ef[i] != clips->ef[0];
    if (units == 1)
        eq_verdict_note(v, "The test split has one %s. One %s gives no intervals, and so no verdict.", unit, unit);
    else if (units < EQ_VERDICT_FEW)
        eq_verdict_note(
            v,
            "The test split has only %zu %ss. Bootstrap intervals from fewer than %d are too narrow: do not "
            "rely on them.",
            units, unit, EQ_VERDICT_FEW);
    if (!varies && n > 1)
        eq_verdict_note(v, "All test clips have the same EF, so there is no R2, no ICC with the truth, and no AUC.");
    for (size_t c = 0; c < EQ_VERDICT_CUTS; c++) {
        size_t below = 0;
        for (size_t i = 0; i < n; i++)
            below += clips->ef[i] < eq_verdict_cuts[c];
        if (varies && (below == 0 || below == n))
            eq_verdict_note(v, "%s test clip has an EF %s %g %%, so there is no AUC at that cut.",
                            below ? "Every" : "No", "below", eq_verdict_cuts[c]);
    }
}

enum eq_status eq_verdict_compute(struct eq_run_verdict *v, struct eq_err *err)
{
    eq_verdict_add_pairs(v);
    for (size_t i = 0; i < v->n_models; i++)
        EQ_CHECK(describe_model(&v->models[i], err));
    for (size_t i = 0; i < v->n_pairs; i++)
        EQ_CHECK(describe_pair(v, &v->pairs[i], err));
    adjust_tests(v);
    EQ_CHECK(bootstrap(v, err));
    for (size_t i = 0; i < v->n_pairs; i++)
        eq_verdict_decide(v, &v->pairs[i]);
    note_equal(v);
    for (size_t i = 0; i < v->n_clips; i++)
        note_clips(v, v->clips[i]);
    return EQ_OK;
}

enum eq_status eq_verdict_of_run(const char *run_dir, const struct eq_results *results, struct eq_run_verdict *v,
                                 struct eq_err *err)
{
    const struct eq_result *median = eq_results_find(results, EQ_MEDIAN_ROW);
    v->median = median ? median->prediction : NAN;
    for (size_t i = 0; i < results->n; i++)
        EQ_CHECK(eq_verdict_add_model(run_dir, results, i, v, err));
    EQ_CHECK(eq_verdict_compute(v, err));
    note_other_errors(v, results);
    return EQ_OK;
}
