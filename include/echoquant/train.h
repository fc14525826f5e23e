/* train: training, and training on: the FP32 baseline, QAT, and its FP32 control. */
#ifndef ECHOQUANT_TRAIN_H
#define ECHOQUANT_TRAIN_H

#include "echoquant/infer.h"
#include "echoquant/rundir.h"

/* One training, as data: the FP32 baseline, QAT, its control, or what bench steps. Pointers are borrowed. */
struct eq_train_job {
    const struct eq_config *cfg;
    const struct eq_dataset *ds; /* NULL: no loaders; the caller gives the batches to eq_trainer_step */
    const char *name;            /* "fp32", "qat", "fp32_plus": names files and the progress bar */
    struct eq_graph *graph;
    int epochs, batch, accumulate;
    struct eq_optim_opts optim;
    enum eq_precision precision; /* of the convolutions; validation is FP32, as the model file is */
    enum eq_schedule schedule;
    double warmup; /* epochs */
    enum eq_loss loss;
    double grad_clip, ema; /* 0: off */
    int patience;
    struct eq_predictor *teacher;             /* for batches of clips; its EF is mixed into the loss; NULL: none */
    double distill;                           /* by this share */
    int freeze_bn_epoch, freeze_scales_epoch; /* frozen from the start of this epoch on, counted from 1; 0: never */
    const struct eq_scale_rule *rule;         /* what moves fake-quant's scales; NULL: there is none */
    void *scales;                             /* its state */
    double scale_lr;                          /* of its first step; follows the schedule */
    /* The integer model of a graph as it would be shipped; NULL: the model is FP32. */
    enum eq_status (*lower)(void *ctx, const struct eq_graph *g, struct eq_qmodel **out, struct eq_err *err);
    void *ctx;
    const char *signature; /* "key=value\n" lines of what shapes the result; a resume compares them */
};
/* The baseline's job, and that of all that trains on from it (QAT and its control), as the settings describe them.
 * Graph, data, name, rule and signature are the caller's to add. */
struct eq_train_job eq_baseline_job(const struct eq_config *cfg);
struct eq_train_job eq_finetune_job(const struct eq_config *cfg);

struct eq_epoch_row {
    int epoch; /* 1-based */
    double lr, train_loss, val_mae, val_rmse, seconds;
};
enum eq_train_part { EQ_TRAIN_FORWARD, EQ_TRAIN_BACKWARD, EQ_TRAIN_NORM, EQ_TRAIN_OPTIMIZER, EQ_TRAIN_ZERO };
enum { EQ_TRAIN_PARTS = EQ_TRAIN_ZERO + 1 };
struct eq_trainer {
    struct eq_train_job job;
    struct eq_loader *train, *val; /* owned */
    struct eq_exec *exec;          /* owned */
    const struct eq_comm *comm;    /* borrowed: the processes that share a step; eq_comm_self */
    struct eq_optim optim;
    size_t n_params;  /* trainable */
    int *param_index; /* into graph->params */
    float **params, **grads;
    bool *decay;
    float **ema; /* by parameter of the graph, running statistics included; NULL: not wanted */
    float *ef;   /* [3 * batch]: the network's, the teacher's, and where the gradient goes */
    size_t steps_per_epoch, total_steps;
    double parts[EQ_TRAIN_PARTS]; /* ms of the last step */
    /* where it stands */
    int epoch;             /* 0-based, next or current */
    size_t batch_in_epoch; /* micro-batches of it that are done */
    double loss_sum;       /* over them */
    double best_mae;
    int best_epoch; /* 1-based; 0: none yet */
    struct eq_epoch_row *history;
    int n_history;
};
/* EQ_USAGE when the training split is too small for a step. Init t with {0}; clear it also after a failure. */
enum eq_status eq_trainer_init(struct eq_trainer *t, const struct eq_train_job *job, struct eq_err *err);
void eq_trainer_clear(struct eq_trainer *t);
/* One micro-batch of job.batch clips; the optimizer steps after each accumulate-th. EQ_NUMERIC when loss or gradient is
 * not a finite number. */
enum eq_status eq_trainer_step(struct eq_trainer *t, const struct eq_batch *batch, struct eq_err *err);
/* The whole of a job: trains, or goes on from <run>/state/, and moves the best model to <run>/<name>.safetensors.
 * EQ_INTERRUPTED after the state was written. */
enum eq_status eq_fit(const struct eq_train_job *job, struct eq_err *err);

/* Trains the FP32 baseline into <run>/fp32.safetensors, history/fp32.csv, state/. Resumes from state/ when it is
 * there. */
enum eq_status eq_run_train(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err);
/* <run>/fp32.safetensors (or model_path) -> <run>/qat.safetensors, history/qat.csv. */
enum eq_status eq_run_qat(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err);
/* The same training without fake-quant -> <run>/fp32_plus.safetensors, history/fp32_plus.csv: what QAT is to be
 * compared with. */
enum eq_status eq_run_control(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                              struct eq_err *err);

#endif
