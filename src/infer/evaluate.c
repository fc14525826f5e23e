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

/* What a process found of a clip. */
struct found {
    uint32_t sample;
    float ef;
    char unlike[248]; /* what eq_look_check says; "": nothing */
};

static void add_row(struct eq_evaluation *e, const struct eq_dataset *ds, const struct found *f)
{
    const struct eq_sample *sample = &ds->samples[f->sample];
    eq_unlike_add(&e->unlike, sample->file_name, f->unlike[0] ? f->unlike : NULL);
    e->rows[e->n++] =
        (struct eq_prediction){.file_name = eq_strdup(sample->file_name),
                               .split = sample->split,
                               .ef = sample->ef,
                               .prediction = (double)f->ef,
                               .patient = sample->patient,
                               .frames = sample->clip_frames ? sample->clip_frames : sample->number_of_frames,
                               .fps = sample->fps > 0 ? sample->fps : sample->clip_fps};
}

/* The mean over the phases that the loader samples. */
static enum eq_status predict_clip(struct eq_predictor *p, const struct eq_dataset *ds, const struct eq_batch *batch,
                                   struct found *f, struct eq_err *err)
{
    struct eq_str why = {0};
    f->sample = batch->index[0];
    enum eq_status st = eq_predictor_mean(p, batch->pixels, batch->phases, &f->ef, err);
    if (st != EQ_OK)
        return eq_err_context(err, "%s", ds->samples[f->sample].path);
    if (eq_look_check(&p->meta.looks, batch->pixels, p->meta.frames, p->meta.size, &why))
        snprintf(f->unlike, sizeof f->unlike, "%s", why.s);
    eq_str_clear(&why);
    return EQ_OK;
}

/* The clips of this process, in the loader's order. Progress counts those of all, as if all were as far. */
static enum eq_status predict_own(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                  struct eq_progress *progress, struct found *f, struct eq_err *err)
{
    const struct eq_batch_share *share = eq_loader_share(loader);
    size_t all = eq_loader_batches(loader), own = share->comm->size == 1 ? all : share->n;
    enum eq_status st;
    struct eq_batch batch;
    EQ_TRY(eq_loader_start(loader, 0, 0, err));
    for (size_t done = 0;; f++) {
        EQ_TRY(eq_loader_next(loader, &batch, err));
        if (batch.n == 0)
            break;
        EQ_TRY(predict_clip(p, ds, &batch, f, err));
        done++;
        if (progress)
            eq_progress_step(progress, done * all / own, NULL);
        if (eq_interrupted())
            EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted during evaluation. Run the same command to resume."));
    }
out:
    return st;
}

/* A row for every clip, in the loader's order. */
static enum eq_status predict_clips(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                    struct eq_progress *progress, struct eq_evaluation *out, struct eq_err *err)
{
    const struct eq_batch_share *share = eq_loader_share(loader);
    size_t n = eq_loader_batches(loader);
    enum eq_status st;
    struct found *found = eq_alloc(n, sizeof *found);
    if (!found)
        return eq_fail(err, EQ_NOMEM, "out of memory for %zu predictions", n);
    EQ_TRY(eq_comm_agree(share->comm, predict_own(p, ds, loader, progress, found + share->first, err), err));
    EQ_TRY(eq_comm_fill(share->comm, found, n, sizeof *found, err));
    for (size_t i = 0; i < n; i++)
        add_row(out, ds, &found[i]);
out:
    eq_free(found);
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
