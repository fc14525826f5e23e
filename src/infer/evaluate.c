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

/* What a predictor makes of a batch. */
struct predicted {
    float *ef;          /* [clips][phases] */
    struct eq_str *why; /* [clips]: how it is unlike the training clips; empty: it is not */
    int clips;
};

static enum eq_status make_room(const struct eq_batch *batch, struct predicted *out, struct eq_err *err)
{
    if (out->clips) /* the first batch is the largest */
        return EQ_OK;
    out->ef = eq_alloc((size_t)batch->n * (size_t)batch->phases, sizeof *out->ef);
    out->why = eq_alloc((size_t)batch->n, sizeof *out->why);
    if (!out->ef || !out->why)
        return eq_fail(err, EQ_NOMEM, "out of memory for predictions of %d clips", batch->n);
    out->clips = batch->n;
    return EQ_OK;
}

static void clear_predicted(struct predicted *b)
{
    for (int i = 0; i < b->clips; i++)
        eq_str_clear(&b->why[i]);
    eq_free(b->ef);
    eq_free(b->why);
}

/* How the clips look is found out while a device works on them. */
static enum eq_status predict_batch(struct eq_predictor *p, const struct eq_dataset *ds, const struct eq_batch *batch,
                                    struct predicted *out, struct eq_err *err)
{
    EQ_CHECK(make_room(batch, out, err));
    EQ_CHECK(eq_predictor_start(p, batch->pixels, batch->n * batch->phases, err));
    for (int i = 0; i < batch->n; i++) {
        const uint8_t *pixels = batch->pixels + (size_t)i * batch->clip_bytes;
        out->why[i].len = 0;
        if (!eq_look_check(&p->meta.looks, pixels, p->meta.frames, p->meta.size, &out->why[i]))
            out->why[i].len = 0;
    }
    enum eq_status st = eq_predictor_finish(p, out->ef, err);
    if (st != EQ_OK && !p->device)
        eq_err_context(err, "%s", ds->samples[batch->index[0]].path);
    return st;
}

/* A row for every clip of a batch: the mean over its phases. */
static enum eq_status add_batch(const struct eq_dataset *ds, const struct eq_batch *batch, const struct predicted *b,
                                struct eq_evaluation *out, struct eq_err *err)
{
    for (int i = 0; i < batch->n; i++) {
        const struct eq_sample *sample = &ds->samples[batch->index[i]];
        struct eq_phases sum = {0};
        double spread;
        float ef;
        for (int k = 0; k < batch->phases; k++)
            eq_phases_add(&sum, b->ef[i * batch->phases + k]);
        enum eq_status st = eq_phases_end(&sum, &ef, &spread, err);
        if (st != EQ_OK) {
            eq_err_context(err, "%s", sample->path);
            return st;
        }
        add_row(out, sample, ef, b->why[i].len ? b->why[i].s : NULL);
    }
    return EQ_OK;
}

/* A row for every clip, in the loader's order. */
static enum eq_status predict_clips(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                    struct eq_progress *progress, struct eq_evaluation *out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_batch batch;
    struct predicted b = {0};
    EQ_TRY(eq_loader_start(loader, 0, 0, err));
    for (;;) {
        EQ_TRY(eq_loader_next(loader, &batch, err));
        if (batch.n == 0)
            break;
        EQ_TRY(predict_batch(p, ds, &batch, &b, err));
        EQ_TRY(add_batch(ds, &batch, &b, out, err));
        if (progress)
            eq_progress_step(progress, out->n, NULL);
        if (eq_interrupted())
            EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted during evaluation. Run the same command to resume."));
    }
out:
    clear_predicted(&b);
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
    EQ_TRY(eq_run_eval_loader(cfg, ds, split, p->device ? p->clips / cfg->eval.phases : 1, &loader, err));
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
