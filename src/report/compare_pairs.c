/* Differences between runs, clip by clip. */
#include "report/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The clips that both runs have. */
struct differences {
    double *error;     /* |error| - |error of base| */
    uint32_t *patient; /* 0: unknown */
    size_t n;
    bool patients; /* all are known */
};

static enum eq_status collect(const struct eq_evaluation *e, const struct eq_evaluation *base, struct differences *out,
                              struct eq_err *err)
{
    const struct eq_prediction **partners;
    *out = (struct differences){.patients = true};
    EQ_CHECK(eq_evaluation_pair(e, base, &partners, err));
    for (size_t i = 0; i < e->n; i++) {
        const struct eq_prediction *a = &e->rows[i], *b = partners[i];
        if (!b || a->split != EQ_SPLIT_TEST)
            continue;
        out->error = eq_list_grow(out->error, out->n, sizeof *out->error);
        out->patient = eq_list_grow(out->patient, out->n, sizeof *out->patient);
        out->error[out->n] = fabs(a->prediction - a->ef) - fabs(b->prediction - b->ef);
        out->patient[out->n++] = a->patient;
        out->patients &= a->patient != 0;
    }
    eq_free(partners);
    return EQ_OK;
}

/* eq_boot_fn: the mean difference. */
static void mean_of_sample(const void *ctx, const struct eq_boot_sample *sample, double *stats)
{
    const struct differences *d = ctx;
    double sum = 0;
    for (size_t i = 0; i < sample->n; i++)
        sum += sample->times[i] * d->error[i];
    *stats = sum / sample->total;
}

/* *there: whether the run has predictions of the row, read into out. */
static enum eq_status read_predictions(const struct eq_compared_run *run, const char *row, bool *there,
                                       struct eq_evaluation *out, struct eq_err *err)
{
    char name[EQ_ROW_NAME];
    *out = (struct eq_evaluation){0};
    *there = eq_run_file_name(row, name);
    if (!*there)
        return EQ_OK;
    char *path = eq_format("%s/predictions/%s.csv", run->dir, name), sha256[EQ_SHA256_TEXT];
    const char *noted = eq_results_find(&run->results, row)->predictions_sha256;
    enum eq_status st;
    EQ_TRY(eq_path_look(path, there, err));
    if (!*there)
        goto out;
    EQ_TRY(eq_predictions_read(path, out, err));
    EQ_TRY(eq_sha256_file(path, sha256, err));
    if (*noted && strcmp(noted, sha256) != 0)
        EQ_TRY(eq_fail(err, EQ_FORMAT,
                       "%s is not the file whose \"predictions_sha256\" is noted for %s in %s/results.json: run "
                       "`echoquant eval` there again",
                       path, row, run->dir));
out:
    free(path);
    return st;
}

static enum eq_status pair_row(struct eq_comparison *c, const struct eq_compared_run *run,
                               const struct eq_compared_run *base, const char *model, struct eq_err *err)
{
    struct eq_evaluation a = {0}, b = {0};
    struct differences d = {0};
    struct eq_compared_pair pair = {.run = run, .base = base, .model = model};
    bool has_a, has_b;
    enum eq_status st;
    EQ_TRY(read_predictions(run, model, &has_a, &a, err));
    EQ_TRY(read_predictions(base, model, &has_b, &b, err));
    if (has_a && has_b)
        EQ_TRY(collect(&a, &b, &d, err));
    if (d.n == 0)
        goto out;
    const struct eq_boot_plan plan = {.n = d.n,
                                      .cluster = d.patients ? d.patient : NULL,
                                      .stats = 1,
                                      .fn = mean_of_sample,
                                      .ctx = &d,
                                      .seed = EQ_VERDICT_SEED};
    EQ_TRY(eq_bootstrap(&plan, &pair.mae, err));
    pair.clips = d.n;
    pair.by_patient = d.patients;
    c->pairs = eq_list_grow(c->pairs, c->n_pairs, sizeof *c->pairs);
    c->pairs[c->n_pairs++] = pair;
out:
    free(d.error);
    free(d.patient);
    eq_evaluation_clear(&a);
    eq_evaluation_clear(&b);
    return st;
}

/* The first run with the same test clips; a run over several seeds has no predictions of its own. */
static const struct eq_compared_run *base_of(const struct eq_comparison *c, const struct eq_compared_run *run)
{
    for (const struct eq_compared_run *base = c->runs; base < run; base++)
        if (base->clips == run->clips && !base->results.n_seeds)
            return base;
    return NULL;
}

enum eq_status eq_comparison_pair(struct eq_comparison *c, struct eq_err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct eq_compared_run *run = &c->runs[i], *base = base_of(c, run);
        if (!run->clips || run->results.n_seeds || !base)
            continue;
        for (size_t k = 0; k < run->results.n; k++)
            if (eq_results_find(&base->results, run->results.rows[k].model))
                EQ_CHECK(pair_row(c, run, base, run->results.rows[k].model, err));
    }
    return EQ_OK;
}
