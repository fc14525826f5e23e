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

/* How the clips look is found out while a device works on them. f: [batch->n]; ef: room for all phases of the batch. */
static enum eq_status predict_batch(struct eq_predictor *p, const struct eq_dataset *ds, const struct eq_batch *batch,
                                    float *ef, struct found *f, struct eq_err *err)
{
    EQ_CHECK(eq_predictor_start(p, batch->pixels, batch->n * batch->phases, err));
    for (int i = 0; i < batch->n; i++) {
        struct eq_str why = {0};
        const uint8_t *pixels = batch->pixels + (size_t)i * batch->clip_bytes;
        f[i].sample = batch->index[i];
        if (eq_look_check(&p->meta.looks, pixels, p->meta.frames, p->meta.size, &why))
            snprintf(f[i].unlike, sizeof f[i].unlike, "%s", why.s);
        eq_str_clear(&why);
    }
    enum eq_status st = eq_predictor_finish(p, ef, err);
    if (st != EQ_OK && !p->device)
        eq_err_context(err, "%s", ds->samples[batch->index[0]].path);
    return st;
}

/* The mean over the phases of each clip. */
static enum eq_status mean_of_phases(const struct eq_dataset *ds, const struct eq_batch *batch, const float *ef,
                                     struct found *f, struct eq_err *err)
{
    for (int i = 0; i < batch->n; i++) {
        struct eq_phases sum = {0};
        double spread;
        for (int k = 0; k < batch->phases; k++)
            eq_phases_add(&sum, ef[i * batch->phases + k]);
        enum eq_status st = eq_phases_end(&sum, &f[i].ef, &spread, err);
        if (st != EQ_OK) {
            eq_err_context(err, "%s", ds->samples[batch->index[i]].path);
            return st;
        }
    }
    return EQ_OK;
}

/* The clips of this process, in the loader's order. *done: how many of them have their EF. Progress counts those of
 * all, as if all were as far. */
static enum eq_status predict_own(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                  struct eq_progress *progress, struct found *f, size_t *done, struct eq_err *err)
{
    const struct eq_batch_share *share = eq_loader_share(loader);
    const size_t all = eq_loader_batches(loader), own = share->comm->size == 1 ? all : share->n;
    const size_t clips = eq_loader_clips(loader);
    enum eq_status st;
    struct eq_batch batch;
    int phases, each = eq_loader_batch(loader, &phases);
    float *ef = eq_alloc((size_t)each * (size_t)phases, sizeof *ef);
    if (!ef)
        return eq_fail(err, EQ_NOMEM, "out of memory for predictions of %d clips", each);
    EQ_TRY(eq_loader_start(loader, 0, 0, err));
    for (size_t batches = 1;; batches++) {
        EQ_TRY(eq_loader_next(loader, &batch, err));
        if (batch.n == 0)
            break;
        EQ_TRY(predict_batch(p, ds, &batch, ef, f + *done, err));
        EQ_TRY(mean_of_phases(ds, &batch, ef, f + *done, err));
        *done += (size_t)batch.n;
        if (progress)
            eq_progress_step(progress, own == all ? *done : clips * batches / own, NULL);
        if (eq_interrupted())
            EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted during evaluation. Run the same command to resume."));
    }
out:
    eq_free(ef);
    return st;
}

/* A row for every clip, in the loader's order. A process that works alone keeps the rows before a failure. */
static enum eq_status predict_clips(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                    struct eq_progress *progress, struct eq_evaluation *out, struct eq_err *err)
{
    const struct eq_batch_share *share = eq_loader_share(loader);
    const size_t batches = eq_loader_batches(loader), clips = eq_loader_clips(loader);
    const size_t each = (size_t)eq_loader_batch(loader, NULL);
    size_t done = 0;
    struct found *found = eq_alloc(batches * each, sizeof *found);
    if (!found)
        return eq_fail(err, EQ_NOMEM, "out of memory for %zu predictions", clips);
    enum eq_status st = predict_own(p, ds, loader, progress, found + share->first * each, &done, err);
    st = eq_comm_agree(share->comm, st, err);
    if (st == EQ_OK)
        st = eq_comm_fill(share->comm, found, batches, each * sizeof *found, err);
    for (size_t i = 0; i < (st == EQ_OK ? clips : share->comm->size == 1 ? done : 0); i++)
        add_row(out, ds, &found[i]);
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
    memset(out, 0, sizeof *out);
    out->rows = calloc(ds->n, sizeof *out->rows);
    if (!out->rows)
        return eq_fail(err, EQ_NOMEM, "out of memory for %zu predictions", ds->n);
    EQ_CHECK(predict_clips(p, ds, loader, progress, out, err));
    return eq_evaluation_measure(out, err);
}

enum eq_status eq_evaluate(struct eq_predictor *p, const struct eq_dataset *ds, enum eq_split split,
                           const struct eq_config *cfg, struct eq_evaluation *out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_loader *loader = NULL;
    struct eq_progress progress = {0};
    char label[64];
    size_t clips = 0;
    memset(out, 0, sizeof *out);
    EQ_TRY(eq_run_eval_loader(cfg, ds, split, p->clips / cfg->eval.phases, &loader, err));
    for (size_t i = 0; i < ds->n; i++)
        clips += ds->samples[i].split == split;
    snprintf(label, sizeof label, "evaluate %s%s%s (%s)", p->precision, p->device ? " on " : "",
             p->device ? p->device->id : "", eq_split_name(split));
    eq_progress_begin(&progress, label, "clips", clips);
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
