/* Internal to infer: clips on their way through a model, whoever computes. */
#ifndef INFER_PREDICT_H
#define INFER_PREDICT_H

#include "echoquant/infer.h"

#include <pthread.h>
#include <stdatomic.h>

/* What became of a clip. */
struct eq_outcome {
    float ef;
    double spread;
    int frames;
    bool done, unlike;
    char *error, *note; /* owned */
};
struct eq_predict_job {
    const struct eq_paths *list;
    const struct eq_predict_opts *opts;
    struct eq_predictor *predictors; /* [workers]; on a device one */
    int workers;
    struct eq_sampling sampling;
    atomic_size_t next;
    atomic_bool stopped;
    pthread_mutex_t lock;        /* of all below */
    struct eq_outcome *outcomes; /* [list->n] */
    size_t handed, failed;
    struct eq_unlike unlike;
    struct eq_progress progress;
    enum eq_status st;
    struct eq_err *err;
};

/* predict_job.c */
/* Reads clip i into pixels, [eq_sampling_bytes], and notes in out all but its EF. */
enum eq_status eq_predict_read(const struct eq_predict_job *job, size_t i, uint8_t *pixels, struct eq_outcome *out,
                               struct eq_err *err);
/* Clip i came to this end, with st and err: an error of the process ends the job. Hands on the clips that are due. */
void eq_predict_done(struct eq_predict_job *job, size_t i, struct eq_outcome *out, enum eq_status st,
                     const struct eq_err *err);

/* predict_batches.c: all clips of the job, on the device of its predictor. */
enum eq_status eq_predict_batches(struct eq_predict_job *job, struct eq_err *err);

#endif
