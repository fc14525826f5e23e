/*
 * Many clips through one model file. A thread takes the next clip of the list, decodes it and runs its own predictor;
 * whoever finishes the clip that is due hands it on, with all that were finished ahead of it. Nobody waits for another.
 */
#include "echoquant/infer.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define UNLIKE "unlike the training clips: "

struct outcome {
    float ef;
    double spread;
    int frames;
    bool done, unlike;
    char *error, *note;
};

struct job {
    const struct eq_paths *list;
    const struct eq_predict_opts *opts;
    struct eq_predictor *predictors; /* [workers] */
    int workers;
    struct eq_sampling sampling;
    uint8_t *pixels; /* [workers][eq_sampling_bytes] */
    atomic_size_t next;
    atomic_bool stopped;
    pthread_mutex_t lock;     /* of all below */
    struct outcome *outcomes; /* [list->n] */
    size_t handed, failed;
    struct eq_unlike unlike;
    struct eq_progress progress;
    enum eq_status st;
    struct eq_err *err;
};

/* An error of the process, not of a clip. */
static bool ends_all(enum eq_status st)
{
    return st == EQ_NOMEM || st == EQ_USAGE || st == EQ_UNSUPPORTED || st == EQ_INTERRUPTED;
}

static enum eq_status predict(struct job *job, size_t i, int worker, struct outcome *out, struct eq_err *err)
{
    const struct eq_path *path = &job->list->paths[i];
    uint8_t *pixels = job->pixels + (size_t)worker * eq_sampling_bytes(&job->sampling);
    struct eq_clip_info info;
    if (path->error)
        return eq_fail(err, EQ_IO, "%s", path->error);
    EQ_CHECK(eq_clip_read(path->path, &job->sampling, pixels, &info, err));
    if (info.damaged && job->opts->on_error != EQ_ON_ERROR_USE)
        return eq_fail(err, EQ_FORMAT,
                       "%s: the clip is damaged: %s; --set data.on_error=use predicts it from the frames that decode",
                       path->path, info.reason);
    const struct eq_predictor *p = &job->predictors[worker];
    enum eq_status st =
        eq_predictor_phases(&job->predictors[worker], pixels, job->opts->phases, &out->ef, &out->spread, err);
    if (st != EQ_OK)
        return eq_err_context(err, "%s", path->path);
    out->frames = info.decoded_frames;
    struct eq_str note = {0}, why = {0};
    if (info.damaged)
        eq_str_add(&note, "damaged: %s", info.reason);
    out->unlike = eq_look_check(&p->meta.looks, pixels, p->meta.frames, p->meta.size, &why);
    if (out->unlike)
        eq_str_add(&note, "%s" UNLIKE "%s", note.len ? "; " : "", why.s);
    eq_str_clear(&why);
    out->note = note.s;
    return EQ_OK;
}

/* Hands on the clips that are due. The lock is held. */
static void hand_on(struct job *job)
{
    while (job->st == EQ_OK && job->handed < job->list->n && job->outcomes[job->handed].done) {
        struct outcome *o = &job->outcomes[job->handed];
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

static void predict_next(struct job *job, int worker)
{
    struct outcome out = {.ef = NAN, .spread = NAN, .done = true};
    struct eq_err err = {0};
    if (atomic_load(&job->stopped) || eq_interrupted())
        return;
    size_t i = atomic_fetch_add(&job->next, 1);
    enum eq_status st = predict(job, i, worker, &out, &err);
    pthread_mutex_lock(&job->lock);
    if (ends_all(st)) {
        if (job->st == EQ_OK)
            job->st = eq_fail(job->err, st, "%s", err.msg);
        atomic_store(&job->stopped, true);
    } else if (job->st == EQ_OK) {
        if (st != EQ_OK) {
            out.ef = NAN;
            out.spread = NAN;
            out.error = eq_strdup(err.msg);
        }
        job->outcomes[i] = out;
        hand_on(job);
    }
    pthread_mutex_unlock(&job->lock);
}

static void predict_piece(void *ctx, size_t piece, int worker)
{
    (void)piece; /* clips go out in the order of the list, whoever comes */
    predict_next(ctx, worker);
}

static enum eq_status open_predictor(struct job *job, struct eq_err *err)
{
    struct eq_predictor *p = &job->predictors[job->workers];
    EQ_CHECK(eq_predictor_open(p, job->opts->model, job->opts->precision, 1, err));
    job->workers++;
    return EQ_OK;
}

/* How many clips to work on at once: all threads on one clip where threads would be left without a clip for more than
 * half of the time. one: a predictor. */
static int count_workers(const struct eq_predictor *one, size_t clips, int threads)
{
    size_t bytes = 2 * (one->arena_bytes + one->packed_bytes) + 1; /* the weights as they were read, too */
    size_t room = EQ_PREDICT_BYTES / bytes, most = clips < (size_t)threads ? clips : (size_t)threads;
    if (most < 2 || 2 * clips <= (size_t)threads || room < 2)
        return 1;
    return (int)(room < most ? room : most);
}

/* Opens a predictor for each worker. The pool gets as many threads as there are workers if that is more than one. */
static enum eq_status prepare(struct job *job, int threads, struct eq_err *err)
{
    job->predictors = calloc((size_t)threads, sizeof *job->predictors);
    job->outcomes = calloc(job->list->n + 1, sizeof *job->outcomes);
    if (!job->predictors || !job->outcomes)
        return eq_fail(err, EQ_NOMEM, "out of memory for %zu predictions", job->list->n);
    EQ_CHECK(open_predictor(job, err));
    int workers = count_workers(&job->predictors[0], job->list->n, threads);
    if (workers > 1 && workers < threads) { /* predictors are made for the threads that there are */
        eq_predictor_close(&job->predictors[0]);
        job->workers = 0;
        EQ_CHECK(eq_parallel_init(workers, err));
    }
    while (job->workers < workers)
        EQ_CHECK(open_predictor(job, err));
    const struct eq_model_meta *meta = &job->predictors[0].meta;
    job->sampling = (struct eq_sampling){meta->frames, meta->size, .phase = -1, .phases = job->opts->phases};
    EQ_CHECK(eq_sampling_check(&job->sampling, err));
    job->pixels = eq_alloc((size_t)workers, eq_sampling_bytes(&job->sampling));
    return job->pixels ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for %d clips", workers);
}

static void close_job(struct job *job)
{
    for (size_t i = 0; job->outcomes && i < job->list->n; i++) {
        free(job->outcomes[i].error);
        free(job->outcomes[i].note);
    }
    for (int i = 0; i < job->workers; i++)
        eq_predictor_close(&job->predictors[i]);
    eq_str_clear(&job->unlike.first);
    free(job->outcomes);
    free(job->predictors);
    eq_free(job->pixels);
    pthread_mutex_destroy(&job->lock);
}

enum eq_status eq_predict_files(const struct eq_paths *list, const struct eq_predict_opts *opts, size_t *failed,
                                struct eq_err *err)
{
    struct job job = {.list = list, .opts = opts, .err = err, .lock = PTHREAD_MUTEX_INITIALIZER};
    int threads = eq_parallel_threads();
    enum eq_status st;
    *failed = 0;
    EQ_TRY(prepare(&job, threads, err));
    if (opts->begin)
        EQ_TRY(opts->begin(opts->ctx, err));
    if (opts->progress)
        eq_progress_begin(&job.progress, "predict", "clips", list->n);
    if (job.workers > 1)
        eq_parallel_for_coarse(list->n, predict_piece, &job);
    else
        for (size_t i = 0; i < list->n; i++)
            predict_next(&job, 0);
    eq_progress_end(&job.progress);
    eq_unlike_warn(&job.unlike, "clips", job.handed - job.failed);
    st = job.st;
    if (st == EQ_OK && job.handed < list->n)
        st = eq_fail(err, EQ_INTERRUPTED, "interrupted after %zu of %zu clip%s", job.handed, list->n,
                     eq_plural((double)list->n));
    *failed = job.failed;
out:
    close_job(&job);
    if (eq_parallel_threads() != threads) {
        enum eq_status restored = eq_parallel_init(threads, st == EQ_OK ? err : NULL);
        st = st == EQ_OK ? restored : st;
    }
    return st;
}
