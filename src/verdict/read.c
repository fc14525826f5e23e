/* The predictions of a run: held to their digests, and paired by clip. */
#include "verdict/verdict.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void eq_verdict_note(struct eq_run_verdict *v, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(&v->notes, fmt, args);
    va_end(args);
    eq_str_add(&v->notes, "\n");
}

/* ---- reading ------------------------------------------------------------- */

static enum eq_status check_digest(const char *path, const char *name, const char *noted, size_t i, struct eq_err *err)
{
    char hex[EQ_SHA256_TEXT];
    if (!*noted) /* version 0.1.0 */
        return EQ_OK;
    EQ_CHECK(eq_sha256_file(path, hex, err));
    if (strcmp(hex, noted) == 0)
        return EQ_OK;
    return eq_fail(err, EQ_FORMAT,
                   "%s was changed or replaced after the evaluation: its SHA-256 is %.12s..., but results.json notes "
                   "%.12s... (models[%zu].predictions_sha256). Run `echoquant eval %s` again",
                   path, hex, noted, i, name);
}

/* A clip that is listed twice cannot be paired. */
static enum eq_status check_names(const char *name, const struct eq_evaluation *e, struct eq_err *err)
{
    const struct eq_prediction **partners;
    enum eq_status st = eq_evaluation_pair(e, e, &partners, err);
    for (size_t i = 0; st == EQ_OK && i < e->n; i++)
        if (partners[i] != &e->rows[i])
            st = eq_fail(err, EQ_FORMAT, "predictions/%s.csv: clip %.80s is listed twice (rows %zu and %zu)", name,
                         e->rows[i].file_name, (size_t)(partners[i] - e->rows) + 1, i + 1);
    eq_free(partners);
    return st;
}

/* Models compute in floats; what is beyond them comes from no model, and its squares may not be finite. */
static enum eq_status check_values(const char *name, const struct eq_evaluation *e, struct eq_err *err)
{
    for (size_t i = 0; i < e->n; i++)
        if (!(fabs(e->rows[i].ef) <= FLT_MAX && fabs(e->rows[i].prediction) <= FLT_MAX))
            return eq_fail(err, EQ_FORMAT, "predictions/%s.csv: the EF or the prediction of clip %.80s is beyond %.2g",
                           name, e->rows[i].file_name, (double)FLT_MAX);
    return EQ_OK;
}

/* *there: whether the row has predictions. */
static enum eq_status read_row(const char *run_dir, const struct eq_result *row, size_t i, const char *name,
                               struct eq_evaluation *out, bool *there, struct eq_err *err)
{
    char *path = eq_format("%s/predictions/%s.csv", run_dir, name);
    enum eq_status st;
    *out = (struct eq_evaluation){0};
    EQ_TRY(eq_path_look(path, there, err));
    if (!*there)
        goto out;
    EQ_TRY(check_digest(path, name, row->predictions_sha256, i, err));
    EQ_TRY(eq_predictions_read(path, out, err));
out:
    if (st != EQ_OK)
        eq_evaluation_clear(out);
    free(path);
    return st;
}

/* ---- the clips ----------------------------------------------------------- */

/* prediction: e's, in the order of the clips; *same: e has the same clips with the same true EFs. */
static enum eq_status match(const struct eq_verdict_clips *clips, const struct eq_evaluation *e, double *prediction,
                            bool *same, struct eq_err *err)
{
    const struct eq_prediction **partners;
    *same = false;
    if (clips->of.n != e->n)
        return EQ_OK;
    EQ_CHECK(eq_evaluation_pair(&clips->of, e, &partners, err));
    *same = true;
    for (size_t i = 0; i < e->n && *same; i++) {
        *same = partners[i] && partners[i]->ef == clips->ef[i];
        prediction[i] = *same ? partners[i]->prediction : 0;
    }
    eq_free(partners);
    return EQ_OK;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Draws go by patient if any is known. A clip whose patient is unknown counts as a patient of its own. */
static enum eq_status note_patients(struct eq_verdict_clips *clips, struct eq_err *err)
{
    size_t n = clips->of.n;
    uint32_t last = 0;
    for (size_t i = 0; i < n; i++)
        last = clips->of.rows[i].patient > last ? clips->of.rows[i].patient : last;
    if (last == 0)
        return EQ_OK;
    uint32_t *sorted = eq_alloc(n, sizeof *sorted);
    clips->patient = eq_alloc(n, sizeof *clips->patient);
    if (!sorted || !clips->patient) {
        eq_free(sorted);
        return eq_fail(err, EQ_NOMEM, "out of memory for the patients of %zu clips", n);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t known = clips->of.rows[i].patient;
        sorted[i] = clips->patient[i] = known ? known : ++last;
    }
    qsort(sorted, n, sizeof *sorted, compare_u32);
    for (size_t i = 0; i < n; i++)
        clips->patients += i == 0 || sorted[i] != sorted[i - 1];
    eq_free(sorted);
    return EQ_OK;
}

/* Takes e over. */
static enum eq_status add_clips(struct eq_run_verdict *v, struct eq_evaluation *e, struct eq_err *err)
{
    struct eq_verdict_clips *clips = eq_small(NULL, sizeof *clips);
    *clips = (struct eq_verdict_clips){.of = *e};
    *e = (struct eq_evaluation){0};
    v->clips = eq_list_grow(v->clips, v->n_clips, sizeof *v->clips);
    v->clips[v->n_clips++] = clips;
    clips->ef = eq_alloc(clips->of.n, sizeof *clips->ef);
    if (!clips->ef)
        return eq_fail(err, EQ_NOMEM, "out of memory for %zu test clips", clips->of.n);
    for (size_t i = 0; i < clips->of.n; i++)
        clips->ef[i] = clips->of.rows[i].ef;
    return note_patients(clips, err);
}

/* Finds or adds the clips of a model, and sets its predictions. */
static enum eq_status place(struct eq_run_verdict *v, struct eq_verdict_model *m, struct eq_evaluation *e,
                            struct eq_err *err)
{
    bool same = false;
    m->prediction = eq_alloc(e->n, sizeof *m->prediction);
    if (!m->prediction)
        return eq_fail(err, EQ_NOMEM, "out of memory for the predictions of %zu clips", e->n);
    for (size_t i = 0; i < v->n_clips && !same; i++) {
        EQ_CHECK(match(v->clips[i], e, m->prediction, &same, err));
        m->clips = v->clips[i];
    }
    if (same)
        return EQ_OK;
    EQ_CHECK(add_clips(v, e, err));
    m->clips = v->clips[v->n_clips - 1];
    for (size_t i = 0; i < m->clips->of.n; i++)
        m->prediction[i] = m->clips->of.rows[i].prediction;
    return EQ_OK;
}

enum eq_status eq_verdict_take(struct eq_run_verdict *v, const char *row, const char *name, const char *precision,
                               struct eq_evaluation *e, struct eq_err *err)
{
    EQ_CHECK(check_names(name, e, err));
    EQ_CHECK(check_values(name, e, err));
    v->models = eq_list_grow(v->models, v->n_models, sizeof *v->models);
    struct eq_verdict_model *m = &v->models[v->n_models++];
    snprintf(m->name, sizeof m->name, "%s", name);
    snprintf(m->row, sizeof m->row, "%s", row);
    snprintf(m->precision, sizeof m->precision, "%s", precision);
    return place(v, m, e, err);
}

enum eq_status eq_verdict_add_model(const char *run_dir, const struct eq_results *results, size_t i,
                                    struct eq_run_verdict *v, struct eq_err *err)
{
    const struct eq_result *row = &results->rows[i];
    char name[EQ_ROW_NAME];
    struct eq_evaluation e = {0};
    enum eq_status st = EQ_OK;
    bool there = false;
    if (strcmp(row->model, EQ_MEDIAN_ROW) == 0)
        return EQ_OK;
    if (eq_run_file_name(row->model, name))
        EQ_TRY(read_row(run_dir, row, i, name, &e, &there, err));
    if (e.n == 0) {
        eq_verdict_note(v, "%s is left out: %s.", row->model,
                        there ? "its file of predictions lists no clips" : "it has no file of predictions");
        goto out;
    }
    st = eq_verdict_take(v, row->model, name, row->precision, &e, err);
    if (st == EQ_FORMAT)
        eq_err_context(err, "%s", run_dir);
out:
    eq_evaluation_clear(&e);
    return st;
}

/* ---- pairs --------------------------------------------------------------- */

const struct eq_verdict_model *eq_verdict_model_of(const struct eq_run_verdict *v, const char *row)
{
    for (size_t i = 0; i < v->n_models; i++)
        if (strcmp(v->models[i].row, row) == 0)
            return &v->models[i];
    return NULL;
}

const struct eq_verdict_pair *eq_verdict_pair_of(const struct eq_run_verdict *v, const char *a, const char *b)
{
    for (size_t i = 0; i < v->n_pairs; i++)
        if (strcmp(v->models[v->pairs[i].a].row, a) == 0 && strcmp(v->models[v->pairs[i].b].row, b) == 0)
            return &v->pairs[i];
    return NULL;
}

static bool is_int8(const struct eq_verdict_model *m)
{
    return strcmp(m->precision, "INT8") == 0;
}

static void add_pair(struct eq_run_verdict *v, const struct eq_verdict_model *a, const struct eq_verdict_model *b)
{
    if (!a || !b || a == b)
        return;
    if (a->clips != b->clips) {
        eq_verdict_note(v,
                        "%s and %s are not compared clip by clip: they were evaluated on different test clips (%zu and "
                        "%zu). `echoquant eval` evaluates all models of the run on the same ones.",
                        a->row, b->row, a->clips->of.n, b->clips->of.n);
        return;
    }
    v->pairs = eq_list_grow(v->pairs, v->n_pairs, sizeof *v->pairs);
    v->pairs[v->n_pairs++] = (struct eq_verdict_pair){
        .a = (size_t)(a - v->models), .b = (size_t)(b - v->models), .is_quantized = is_int8(a) && !is_int8(b)};
}

static const struct eq_verdict_model *made_by(const struct eq_run_verdict *v, enum eq_phase phase)
{
    return eq_verdict_model_of(v, eq_phase_model(phase)->row);
}

void eq_verdict_add_pairs(struct eq_run_verdict *v)
{
    const struct eq_verdict_model *fp32 = made_by(v, EQ_PHASE_TRAIN), *ptq = made_by(v, EQ_PHASE_PTQ),
                                  *qat = made_by(v, EQ_PHASE_QAT), *control = made_by(v, EQ_PHASE_CONTROL);
    add_pair(v, ptq, fp32);
    add_pair(v, qat, control ? control : fp32);
    add_pair(v, qat, ptq);
    for (size_t i = 0; i < v->n_models; i++) {
        const struct eq_verdict_model *m = &v->models[i];
        if (m != ptq && m != qat && m != control)
            add_pair(v, m, fp32);
    }
}

/* ---- the end ------------------------------------------------------------- */

void eq_run_verdict_clear(struct eq_run_verdict *v)
{
    for (size_t i = 0; i < v->n_models; i++) {
        eq_free(v->models[i].prediction);
        for (size_t c = 0; c < EQ_VERDICT_CUTS; c++)
            eq_free(v->models[i].roc[c]);
    }
    for (size_t i = 0; i < v->n_clips; i++) {
        eq_evaluation_clear(&v->clips[i]->of);
        eq_free(v->clips[i]->ef);
        eq_free(v->clips[i]->patient);
        free(v->clips[i]);
    }
    for (size_t s = 0; s < v->n_seeds; s++)
        eq_run_verdict_clear(&v->of_seed[s]);
    free(v->of_seed);
    free(v->seeds);
    free(v->models);
    free(v->pairs);
    free(v->clips);
    eq_str_clear(&v->notes);
    *v = (struct eq_run_verdict){0};
}
