/*
 * The training loop that the FP32 baseline and QAT share: epochs, micro-batches, optimizer, schedule, validation, the
 * best checkpoint, early stopping, and a state file from which a run goes on with the same bits.
 *
 *   state/<name>.state.safetensors   where the run stands: parameters, moments, fake-quant, position, history
 *   state/<name>.best.safetensors    the best model so far, as ops->save writes it
 */
#ifndef RUN_TRAINER_H
#define RUN_TRAINER_H

#include "echoquant/run.h"

struct eq_trainer;

/* What differs between the baseline and QAT. */
struct eq_trainer_ops {
    /* Before epoch (0-based) starts or a run resumes inside it: freezing; NULL: nothing. */
    enum eq_status (*enter_epoch)(void *ctx, struct eq_trainer *t, int epoch, struct eq_err *err);
    /* Before each forward pass; NULL: nothing. */
    enum eq_status (*before_forward)(void *ctx, struct eq_trainer *t, struct eq_err *err);
    /* After each optimizer step, before the gradients are cleared; lr: that step's; NULL: nothing. */
    enum eq_status (*after_step)(void *ctx, struct eq_trainer *t, double lr, struct eq_err *err);
    /* A predictor for the graph as it would be shipped; the caller closes it. */
    enum eq_status (*open_predictor)(void *ctx, const struct eq_graph *g, struct eq_predictor *p, struct eq_err *err);
    /* Writes the model file of a graph that p was opened for. */
    enum eq_status (*save)(void *ctx, const struct eq_graph *g, const struct eq_predictor *p, const char *path,
                           struct eq_err *err);
    /* Floats of the job's own in the state file (observers). */
    size_t (*extra_size)(void *ctx);
    void (*get_extra)(void *ctx, float *extra);
    void (*set_extra)(void *ctx, const float *extra);
    void *ctx;
};

struct eq_trainer_opts {
    const char *name; /* "fp32", "qat", "fp32_plus": names files and the progress bar */
    const char *dir;  /* run directory */
    int epochs, batch, accumulate;
    struct eq_optim_opts optim;
    enum eq_precision precision; /* of the convolutions; validation is FP32, as the model file is */
    bool watched;                /* the executor gets a hook */
    enum eq_schedule schedule;
    double warmup; /* epochs */
    enum eq_loss loss;
    double grad_clip, ema;
    int patience;
    struct eq_predictor *teacher; /* borrowed, for batches of clips; its EF is mixed into the loss; NULL: none */
    double distill;               /* by this share */
    char *signature;              /* "key=value\n" lines of what shapes the result; a resume compares them */
};

struct eq_epoch_row {
    int epoch; /* 1-based */
    double lr, train_loss, val_mae, val_rmse, seconds;
};

struct eq_trainer {
    struct eq_trainer_opts opts;
    struct eq_trainer_ops ops;
    struct eq_graph *graph; /* borrowed */
    const struct eq_dataset *ds;
    struct eq_loader *train, *val; /* owned */
    struct eq_exec *exec;          /* owned */
    struct eq_optim optim;
    size_t n_params;  /* trainable */
    int *param_index; /* into graph->params */
    float **params, **grads;
    bool *decay;
    float **ema; /* by parameter of the graph, running statistics included; NULL: not wanted */
    size_t steps_per_epoch, total_steps;
    /* where it stands */
    int epoch;             /* 0-based, next or current */
    size_t batch_in_epoch; /* micro-batches of it that are done */
    double loss_sum;       /* over them */
    double best_mae;
    int best_epoch; /* 1-based; 0: none yet */
    struct eq_epoch_row *history;
    int n_history;
};

/* Takes over train and val, also on failure. */
enum eq_status eq_trainer_init(struct eq_trainer *t, const struct eq_trainer_opts *opts,
                               const struct eq_trainer_ops *ops, struct eq_graph *graph, const struct eq_dataset *ds,
                               struct eq_loader *train, struct eq_loader *val, struct eq_err *err);
void eq_trainer_clear(struct eq_trainer *t);
/* Runs (or goes on) to the end and moves the best model to model_path. EQ_INTERRUPTED after the state was written. */
enum eq_status eq_trainer_run(struct eq_trainer *t, const char *model_path, struct eq_err *err);

/* trainer_state.c */
enum eq_status eq_trainer_save_state(const struct eq_trainer *t, struct eq_err *err);
/* *resumed: whether there was a state. A state of other settings is refused with the list of what changed. */
enum eq_status eq_trainer_load_state(struct eq_trainer *t, bool *resumed, struct eq_err *err);
char *eq_trainer_state_path(const struct eq_trainer *t, const char *kind); /* "state", "best"; free() */

/* history.c: <dir>/history/<name>.csv */
enum eq_status eq_history_write(const struct eq_trainer *t, struct eq_err *err);

/* train.c: open_predictor and save of a graph that stays FP32; ctx is not looked at. */
enum eq_status eq_fp32_predictor(void *ctx, const struct eq_graph *g, struct eq_predictor *p, struct eq_err *err);
enum eq_status eq_fp32_save(void *ctx, const struct eq_graph *g, const struct eq_predictor *p, const char *path,
                            struct eq_err *err);

/* For signatures: one "key=value" line each. */
void eq_signature_data(const struct eq_config *cfg, struct eq_str *out);
void eq_signature_clips(const struct eq_dataset *ds, struct eq_str *out);

#endif
