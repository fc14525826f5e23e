/*
 * Many clips through one model file. A thread takes the next clip of the list, decodes it and runs its own predictor;
 * whoever finishes the clip that is due hands it on, with all that were finished ahead of it. Nobody waits for another.
 */
#include "infer/predict.h"

#include <stdlib.h>
#include <string.h>

struct threads {
    struct eq_predict_job *job;
    uint8_t *pixels; /* [workers][eq_sampling_bytes] */
};

static void predict_next(struct threads *t, int worker)
{
    struct eq_predict_job *job = t->job;
    uint8_t *pixels = t->pixels + (size_t)worker * eq_sampling_bytes(&job->sampling);
    struct eq_predictor *p = &job->predictors[worker];
    struct eq_outcome out;
    struct eq_err err = {0};
    if (atomic_load(&job->stopped) || eq_interrupted())
        return;
    size_t i = atomic_fetch_add(&job->next, 1);
    enum eq_status st = eq_predict_read(job, i, pixels, &out, &err);
    if (st == EQ_OK) {
        st = eq_predictor_phases(p, pixels, job->opts->phases, &out.ef, &out.spread, &err);
        if (st != EQ_OK)
            eq_err_context(&err, "%s", job->list->paths[i].path);
    }
    eq_predict_done(job, i, &out, st, &err);
}

static void predict_piece(void *ctx, size_t piece, int worker)
{
    (void)piece; /* clips go out in the order of the list, whoever comes */
    predict_next(ctx, worker);
}

static enum eq_status open_predictor(struct eq_predict_job *job, struct eq_err *err)
{
    struct eq_predictor *p = &job->predictors[job->workers];
    const struct eq_predict_opts *o = job->opts;
    const struct eq_predictor_opts opts = {o->precision, o->device, o->device ? 0 : 1, o->phases};
    EQ_CHECK(eq_predictor_open(p, o->model, &opts, err));
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
static enum eq_status prepare(struct eq_predict_job *job, int threads, struct eq_err *err)
{
    job->predictors = calloc((size_t)threads, sizeof *job->predictors);
    job->outcomes = calloc(job->list->n + 1, sizeof *job->outcomes);
    if (!job->predictors || !job->outcomes)
        return eq_fail(err, EQ_NOMEM, "out of memory for %zu predictions", job->list->n);
    EQ_CHECK(open_predictor(job, err));
    int workers = job->opts->device ? 1 : count_workers(&job->predictors[0], job->list->n, threads);
    if (workers > 1 && workers < threads) { /* predictors are made for the threads that there are */
        eq_predictor_close(&job->predictors[0]);
        job->workers = 0;
        EQ_CHECK(eq_parallel_init(workers, err));
    }
    while (job->workers < workers)
        EQ_CHECK(open_predictor(job, err));
    const struct eq_model_meta *meta = &job->predictors[0].meta;
    job->sampling = (struct eq_sampling){meta->frames, meta->size, .phase = -1, .phases = job->opts->phases};
    return eq_sampling_check(&job->sampling, err);
}

/* The clips on the CPU, by its threads. */
static enum eq_status predict_all(struct eq_predict_job *job, struct eq_err *err)
{
    struct threads t = {job, eq_alloc((size_t)job->workers, eq_sampling_bytes(&job->sampling))};
    if (!t.pixels)
        return eq_fail(err, EQ_NOMEM, "out of memory for %d clips", job->workers);
    if (job->workers > 1)
        eq_parallel_for(job->list->n, predict_piece, &t);
    else
        for (size_t i = 0; i < job->list->n; i++)
            predict_next(&t, 0);
    eq_free(t.pixels);
    return job->st;
}

static void close_job(struct eq_predict_job *job)
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
    pthread_mutex_destroy(&job->lock);
}

enum eq_status eq_predict_files(const struct eq_paths *list, const struct eq_predict_opts *opts, size_t *failed,
                                struct eq_err *err)
{
    struct eq_predict_job job = {.list = list, .opts = opts, .err = err, .lock = PTHREAD_MUTEX_INITIALIZER};
    int threads = eq_parallel_threads();
    enum eq_status st;
    *failed = 0;
    EQ_TRY(prepare(&job, threads, err));
    if (opts->begin)
        EQ_TRY(opts->begin(opts->ctx, err));
    if (opts->progress)
        eq_progress_begin(&job.progress, "predict", "clips", list->n);
    st = opts->device ? eq_predict_batches(&job, err) : predict_all(&job, err);
    eq_progress_end(&job.progress);
    eq_unlike_warn(&job.unlike, "clips", job.handed - job.failed);
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
