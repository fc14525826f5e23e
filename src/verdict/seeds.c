/* The verdict over several seeds: that of each, and two-level intervals that cover other seeds and other test clips. */
#include "verdict/verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the runs of the seeds ------------------------------------------------- */

/* Only seeds with predictions are kept. */
static enum eq_status add_seed(const char *run_dir, const struct eq_result_seed *seed, struct eq_run_verdict *v,
                               struct eq_err *err)
{
    struct eq_results results;
    struct eq_str others = {0};
    struct eq_run_verdict one = {
        .margin = v->margin, .stated_margin = v->stated_margin, .late = v->late, .replicates = v->replicates};
    char *dir = eq_seed_dir(run_dir, (int)seed->seed);
    memcpy(one.stated, v->stated, sizeof one.stated);
    enum eq_status st = eq_results_read(dir, &results, err);
    if (st == EQ_OK) {
        eq_results_keep_data(&results, &others);
        st = eq_verdict_of_run(dir, &results, &one, err);
    }
    if (st == EQ_OK && one.n_models) {
        v->seeds = eq_list_grow(v->seeds, v->n_seeds, sizeof *v->seeds);
        v->seeds[v->n_seeds] = (int)seed->seed;
        v->of_seed = eq_list_grow(v->of_seed, v->n_seeds, sizeof *v->of_seed);
        v->of_seed[v->n_seeds++] = one;
    } else {
        eq_run_verdict_clear(&one);
    }
    eq_str_clear(&others);
    eq_results_clear(&results);
    free(dir);
    return st;
}

/* ---- two levels ------------------------------------------------------------ */

/* The runs of a model, or of the two models of a pair: those of the seeds that have them, on the clips of the first. */
struct runs {
    const struct eq_verdict_clips *clips;
    const double **pred; /* [runs][models] */
    size_t models, n;
    double **owned; /* predictions in the order of the clips; one for each of pred */
};

static void clear_runs(struct runs *r)
{
    for (size_t i = 0; i < r->n * r->models; i++)
        eq_free(r->owned[i]);
    free(r->owned);
    free(r->pred);
}

/* The predictions of a seed's model in the order of clips. NULL: other clips. */
static enum eq_status in_order(const struct eq_verdict_clips *clips, const struct eq_verdict_model *m, double **out,
                               struct eq_err *err)
{
    const struct eq_prediction **partners;
    size_t n = clips->of.n;
    *out = NULL;
    if (m->clips->of.n != n)
        return EQ_OK;
    EQ_CHECK(eq_evaluation_pair(&clips->of, &m->clips->of, &partners, err));
    double *prediction = eq_alloc(n, sizeof *prediction);
    bool same = prediction != NULL;
    for (size_t i = 0; i < n && same; i++) {
        same = partners[i] && partners[i]->ef == clips->ef[i];
        if (same)
            prediction[i] = m->prediction[partners[i] - m->clips->of.rows];
    }
    eq_free(partners);
    if (!prediction)
        return eq_fail(err, EQ_NOMEM, "out of memory for the predictions of %zu clips", n);
    if (same)
        *out = prediction;
    else
        eq_free(prediction);
    return EQ_OK;
}

/* Adds a seed if it has all of the rows. */
static enum eq_status add_run(struct runs *r, const struct eq_run_verdict *seed, const char *const *rows, bool *other,
                              struct eq_err *err)
{
    const struct eq_verdict_model *m[2] = {NULL, NULL};
    double *prediction[2] = {NULL, NULL};
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < r->models; i++) {
        m[i] = eq_verdict_model_of(seed, rows[i]);
        if (!m[i])
            return EQ_OK;
    }
    r->clips = r->clips ? r->clips : m[0]->clips;
    for (size_t i = 0; i < r->models && st == EQ_OK; i++)
        st = in_order(r->clips, m[i], &prediction[i], err);
    bool all = st == EQ_OK && prediction[0] && (r->models == 1 || prediction[1]);
    *other |= st == EQ_OK && !all;
    for (size_t i = 0; i < r->models; i++) {
        if (!all) {
            eq_free(prediction[i]);
            continue;
        }
        size_t at = r->n * r->models + i;
        r->owned = eq_list_grow(r->owned, at, sizeof *r->owned);
        r->pred = eq_list_grow(r->pred, at, sizeof *r->pred);
        r->owned[at] = prediction[i];
        r->pred[at] = prediction[i];
    }
    r->n += all;
    return st;
}

/* out: [EQ_MODEL_FIGURES] of each model, then, for two models, [EQ_PAIR_FIGURES]. *clips: NULL if no seed has them. */
static enum eq_status boot_runs(struct eq_run_verdict *v, const char *const *rows, size_t models,
                                struct eq_boot_runs *out, const struct eq_verdict_clips **clips, size_t *n,
                                struct eq_err *err)
{
    static const size_t first_and_second[1][2] = {{0, 1}};
    struct runs r = {.models = models};
    enum eq_status st = EQ_OK;
    bool other = false;
    *clips = NULL;
    for (size_t s = 0; s < v->n_seeds; s++)
        EQ_TRY(add_run(&r, &v->of_seed[s], rows, &other, err));
    *clips = r.clips;
    *n = r.n;
    if (other)
        eq_verdict_note(
            v,
            "%s%s%s: some seeds were evaluated on other test clips than the first and are not compared with "
            "it clip by clip; the figures are of %zu seeds.",
            rows[0], models > 1 ? " and " : "", models > 1 ? rows[1] : "", r.n);
    if (r.n == 0)
        goto out;
    struct eq_figures f = {.n = r.clips->of.n,
                           .models = models,
                           .pairs = models - 1,
                           .ef = r.clips->ef,
                           .pred = r.pred,
                           .median = v->median,
                           .pair = first_and_second};
    struct eq_boot_plan plan = eq_figures_plan(&f, r.clips, v->replicates);
    plan.runs = r.n;
    EQ_TRY(eq_bootstrap_runs(&plan, out, err));
out:
    clear_runs(&r);
    return st;
}

/* ---- models and pairs -------------------------------------------------------- */

static enum eq_status sum_up_model(struct eq_run_verdict *v, const struct eq_verdict_model *of, struct eq_err *err)
{
    struct eq_boot_runs figures[EQ_MODEL_FIGURES];
    const struct eq_verdict_clips *clips;
    size_t n;
    const char *rows[] = {of->row};
    EQ_CHECK(boot_runs(v, rows, 1, figures, &clips, &n, err));
    v->models = eq_list_grow(v->models, v->n_models, sizeof *v->models);
    struct eq_verdict_model *m = &v->models[v->n_models++];
    memcpy(m->name, of->name, sizeof m->name);
    memcpy(m->row, of->row, sizeof m->row);
    memcpy(m->precision, of->precision, sizeof m->precision);
    m->clips = clips;
    m->runs = n;
    m->over_mae = figures[EQ_FIGURE_MAE];
    m->over_rmse = figures[EQ_FIGURE_RMSE];
    m->over_r2 = figures[EQ_FIGURE_R2];
    m->over_quality = figures[EQ_FIGURE_QUALITY];
    m->metrics = (struct eq_metrics){.mae = figures[EQ_FIGURE_MAE].value,
                                     .rmse = figures[EQ_FIGURE_RMSE].value,
                                     .r2 = figures[EQ_FIGURE_R2].value,
                                     .bias = figures[EQ_FIGURE_BIAS].value,
                                     .clips = clips->of.n};
    return EQ_OK;
}

static void decide(const struct eq_run_verdict *v, struct eq_verdict_pair *p)
{
    const struct eq_boot_runs *d = &p->over_mae;
    p->verdict = eq_margin_of(d->t_low, d->t_high, v->margin);
    p->verdict_bca = eq_margin_of(d->low, d->high, v->margin);
    p->verdict_stated = eq_margin_of(d->t_low, d->t_high, v->stated_margin);
    p->mlperf = p->over_quality_ratio.value >= EQ_MLPERF_SHARE;
}

static enum eq_status sum_up_pair(struct eq_run_verdict *v, const struct eq_run_verdict *of,
                                  const struct eq_verdict_pair *pair, struct eq_err *err)
{
    struct eq_boot_runs figures[2 * EQ_MODEL_FIGURES + EQ_PAIR_FIGURES];
    const struct eq_boot_runs *differences = figures + (size_t)2 * EQ_MODEL_FIGURES;
    const struct eq_verdict_clips *clips;
    size_t n;
    const char *rows[] = {of->models[pair->a].row, of->models[pair->b].row};
    const struct eq_verdict_model *a = eq_verdict_model_of(v, rows[0]), *b = eq_verdict_model_of(v, rows[1]);
    EQ_CHECK(boot_runs(v, rows, 2, figures, &clips, &n, err));
    struct eq_verdict_pair p = {.a = (size_t)(a - v->models),
                                .b = (size_t)(b - v->models),
                                .is_quantized = pair->is_quantized,
                                .runs = n,
                                .over_mae = differences[EQ_PAIR_MAE],
                                .over_rmse = differences[EQ_PAIR_RMSE],
                                .over_r2 = differences[EQ_PAIR_R2],
                                .over_quality_ratio = differences[EQ_PAIR_QUALITY]};
    decide(v, &p);
    v->pairs = eq_list_grow(v->pairs, v->n_pairs, sizeof *v->pairs);
    v->pairs[v->n_pairs++] = p;
    return EQ_OK;
}

/* The notes of the seeds, each once. */
static void take_notes(struct eq_run_verdict *v)
{
    for (size_t s = 0; s < v->n_seeds; s++)
        for (const char *line = v->of_seed[s].notes.s; line && *line;) {
            size_t len = strcspn(line, "\n") + 1;
            char *text = eq_format("%.*s", (int)len, line);
            if (!v->notes.s || !strstr(v->notes.s, text))
                eq_str_add(&v->notes, "%s", text);
            free(text);
            line += len;
        }
}

enum eq_status eq_verdict_of_seeds(const char *run_dir, const struct eq_results *results, struct eq_run_verdict *v,
                                   struct eq_err *err)
{
    const struct eq_result *median = eq_results_find(results, EQ_MEDIAN_ROW);
    v->median = median ? median->prediction : NAN;
    for (size_t i = 0; i < results->n_seeds; i++)
        EQ_CHECK(add_seed(run_dir, &results->seeds[i], v, err));
    take_notes(v);
    if (v->n_seeds == 1)
        eq_verdict_note(v, "Only one seed has results, so there is no interval over seeds.");
    for (size_t s = 0; s < v->n_seeds; s++)
        for (size_t i = 0; i < v->of_seed[s].n_models; i++)
            if (!eq_verdict_model_of(v, v->of_seed[s].models[i].row))
                EQ_CHECK(sum_up_model(v, &v->of_seed[s].models[i], err));
    for (size_t s = 0; s < v->n_seeds; s++)
        for (size_t i = 0; i < v->of_seed[s].n_pairs; i++) {
            const struct eq_run_verdict *of = &v->of_seed[s];
            const struct eq_verdict_pair *p = &of->pairs[i];
            if (!eq_verdict_pair_of(v, of->models[p->a].row, of->models[p->b].row))
                EQ_CHECK(sum_up_pair(v, of, p, err));
        }
    return EQ_OK;
}
