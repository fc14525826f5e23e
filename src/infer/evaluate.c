/* Predictions over a split, their metrics, and the predictions file. */
#include "echoquant/infer.h"

#include <stdlib.h>
#include <string.h>

/* Names of clips in a warning. */
enum { NAMED = 3 };

void eq_unlike_add(struct eq_unlike *u, const char *name, const char *unlike)
{
    if (unlike && u->n++ < NAMED)
        eq_str_add(&u->first, "%s%s (%s)", u->first.len ? ", " : "", name, unlike);
}

void eq_unlike_warn(const struct eq_unlike *u, const char *what, size_t of)
{
    if (u->n)
        eq_warn("%zu of %zu %s look%s unlike the model's training clips; do not rely on their EF: %s%s", u->n, of, what,
                u->n == 1 ? "s" : "", u->first.s, u->n > NAMED ? ", ..." : "");
}

static void add_row(struct eq_evaluation *e, const struct eq_sample *sample, float ef, const char *unlike)
{
    eq_unlike_add(&e->unlike, sample->file_name, unlike);
    e->rows[e->n++] =
        (struct eq_prediction){.file_name = eq_strdup(sample->file_name),
                               .split = sample->split,
                               .ef = sample->ef,
                               .prediction = (double)ef,
                               .patient = sample->patient,
                               .frames = sample->clip_frames ? sample->clip_frames : sample->number_of_frames,
                               .fps = sample->fps > 0 ? sample->fps : sample->clip_fps};
}

/* A row for every clip, in the loader's order: the mean over the phases that it samples. */
static enum eq_status predict_clips(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                    struct eq_progress *progress, struct eq_evaluation *out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_batch batch;
    struct eq_str why = {0};
    EQ_TRY(eq_loader_start(loader, 0, 0, err));
    for (;;) {
        float ef;
        EQ_TRY(eq_loader_next(loader, &batch, err));
        if (batch.n == 0)
            break;
        const struct eq_sample *sample = &ds->samples[batch.index[0]];
        st = eq_predictor_mean(p, batch.pixels, batch.phases, &ef, err);
        if (st != EQ_OK)
            eq_err_context(err, "%s", sample->path);
        EQ_TRY(st);
        why.len = 0;
        bool unlike = eq_look_check(&p->meta.looks, batch.pixels, p->meta.frames, p->meta.size, &why);
        add_row(out, sample, ef, unlike ? why.s : NULL);
        if (progress)
            eq_progress_step(progress, out->n, NULL);
        if (eq_interrupted())
            EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted during evaluation. Run the same command to resume."));
    }
out:
    eq_str_clear(&why);
    return st;
}

enum eq_status eq_evaluation_measure(struct eq_evaluation *e, struct eq_err *err)
{
    double *pred = eq_alloc(2 * e->n, sizeof *pred);
    if (!pred)
        return eq_fail(err, EQ_NOMEM, "out of memory for the metrics of %zu clips", e->n);
    double *target = pred + e->n;
    for (size_t i = 0; i < e->n; i++) {
        pred[i] = e->rows[i].prediction;
        target[i] = e->rows[i].ef;
    }
    e->metrics = eq_metrics_compute(pred, target, e->n);
    eq_free(pred);
    return EQ_OK;
}

enum eq_status eq_evaluate_loader(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                  struct eq_progress *progress, struct eq_evaluation *out, struct eq_err *err)
{
    enum eq_status st;
    memset(out, 0, sizeof *out);
    out->rows = calloc(ds->n, sizeof *out->rows);
    if (!out->rows)
        return eq_fail(err, EQ_NOMEM, "out of memory for %zu predictions", ds->n);
    EQ_TRY(predict_clips(p, ds, loader, progress, out, err));
    EQ_TRY(eq_evaluation_measure(out, err));
out:
    if (st != EQ_OK)
        eq_evaluation_clear(out);
    return st;
}

enum eq_status eq_evaluate(struct eq_predictor *p, const struct eq_dataset *ds, enum eq_split split,
                           const struct eq_config *cfg, struct eq_evaluation *out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_loader *loader = NULL;
    struct eq_progress progress = {0};
    char label[64];
    memset(out, 0, sizeof *out);
    EQ_TRY(eq_run_eval_loader(cfg, ds, split, &loader, err));
    snprintf(label, sizeof label, "evaluate %s (%s)", p->precision, eq_split_name(split));
    eq_progress_begin(&progress, label, "clips", eq_loader_batches(loader));
    EQ_TRY(eq_evaluate_loader(p, ds, loader, &progress, out, err));
out:
    eq_progress_end(&progress);
    eq_loader_free(loader);
    return st;
}

void eq_evaluation_clear(struct eq_evaluation *e)
{
    for (size_t i = 0; i < e->n; i++)
        free(e->rows[i].file_name);
    free(e->rows);
    eq_str_clear(&e->unlike.first);
    memset(e, 0, sizeof *e);
}
