/* Clips through a model, one by one: what is known before their EF, and in which order they are handed on. */
#include "infer/predict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNLIKE "unlike the training clips: "

/* An error of the process, not of a clip. */
static bool ends_all(enum eq_status st)
{
    return st == EQ_NOMEM || st == EQ_USAGE || st == EQ_UNSUPPORTED || st == EQ_INTERRUPTED;
}

enum eq_status eq_predict_read(const struct eq_predict_job *job, size_t i, uint8_t *pixels, struct eq_outcome *out,
                               struct eq_err *err)
{
    const struct eq_path *path = &job->list->paths[i];
    const struct eq_model_meta *meta = &job->predictors[0].meta;
    struct eq_clip_info info;
    *out = (struct eq_outcome){.ef = NAN, .spread = NAN, .done = true};
    if (path->error)
        return eq_fail(err, EQ_IO, "%s", path->error);
    EQ_CHECK(eq_clip_read_by_pool(path->path, &job->sampling, pixels, &info, err));
    if (info.damaged && job->opts->on_error != EQ_ON_ERROR_USE)
        return eq_fail(err, EQ_FORMAT,
                       "%s: the clip is damaged: %s; --set data.on_error=use predicts it from the frames that decode",
                       path->path, info.reason);
    out->frames = info.decoded_frames;
    struct eq_str note = {0}, why = {0};
    if (info.damaged)
        eq_str_add(&note, "damaged: %s", info.reason);
    out->unlike = eq_look_check(&meta->looks, pixels, meta->frames, meta->size, &why);
    if (out->unlike)
        eq_str_add(&note, "%s" UNLIKE "%s", note.len ? "; " : "", why.s);
    eq_str_clear(&why);
    out->note = note.s;
    return EQ_OK;
}

/* Hands on the clips that are due. The lock is held. */
static void hand_on(struct eq_predict_job *job)
{
    while (job->st == EQ_OK && job->handed < job->list->n && job->outcomes[job->handed].done) {
        struct eq_outcome *o = &job->outcomes[job->handed];
        const struct eq_clip_ef clip = {
            job->list->paths[job->handed].path, o->ef, o->spread, o->frames, o->error, o->note};
        eq_unlike_add(&job->unlike, clip.path, o->unlike ? strstr(o->note, UNLIKE) + strlen(UNLIKE) : NULL);
        job->handed++;
        job->st = job->opts->take(job->opts->ctx, &clip, job->err);
        if (o->error) {
            job->failed++;
            if (job->st == EQ_OK && job->opts->on_error == EQ_ON_ERROR_FAIL)
                job->st = eq_fail(job->err, EQ_FORMAT, "%s", o->error);
        }
        free(o->error);
        free(o->note);
        o->error = o->note = NULL;
    }
    if (job->opts->progress)
        eq_progress_step(&job->progress, job->handed, NULL);
    if (job->st != EQ_OK)
        atomic_store(&job->stopped, true);
}

void eq_predict_done(struct eq_predict_job *job, size_t i, struct eq_outcome *out, enum eq_status st,
                     const struct eq_err *err)
{
    pthread_mutex_lock(&job->lock);
    if (st != EQ_OK) {
        free(out->note);
        *out = (struct eq_outcome){.ef = NAN, .spread = NAN, .done = true, .error = eq_strdup(err->msg)};
    }
    if (ends_all(st)) {
        if (job->st == EQ_OK)
            job->st = eq_fail(job->err, st, "%s", err->msg);
        atomic_store(&job->stopped, true);
        free(out->error);
    } else if (job->st == EQ_OK) {
        job->outcomes[i] = *out;
        hand_on(job);
    } else {
        free(out->error);
        free(out->note);
    }
    *out = (struct eq_outcome){0};
    pthread_mutex_unlock(&job->lock);
}
