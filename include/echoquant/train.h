/* train: training of the FP32 baseline, of QAT, and of its FP32 control. */
#ifndef ECHOQUANT_TRAIN_H
#define ECHOQUANT_TRAIN_H

#include "echoquant/infer.h"
#include "echoquant/rundir.h"

/* A training as data: the FP32 baseline, QAT, its control, or the steps of bench. Pointers are borrowed. */
struct eq_train_job {
    const struct eq_config *cfg;
    const struct eq_dataset *ds; /* NULL: no loaders; the caller gives the batches to eq_trainer_step */
    const char *name;            /* "fp32", "qat", "fp32_plus": names files and the progress bar */
    struct eq_graph *graph;
    int epochs, batch, accumulate;
    const char *accumulate_key; /* the setting that accumulate is, for messages */
    struct eq_optim_opts optim;
    enum eq_precision precision; /* of the convolutions; validation is FP32, as the model file is */
    enum eq_schedule schedule;
    double warmup; /* epochs */
    enum eq_loss loss;
    double grad_clip, ema; /* 0: off */
    int patience;
    struct eq_predictor *teacher;             /* of `batch` clips; its EF enters the loss; NULL: none */
    double distill;                           /* the weight of that term, 0..1 */
    bool weigh_start;                         /* the graph as it is before the first step may be the best model */
    int freeze_bn_epoch, freeze_scales_epoch; /* 1-based: frozen from the start of this epoch; 0: never */
    const struct eq_scale_rule *rule;         /* moves the scales of fake-quant; NULL: it has none */
    void *scales;                             /* the state of rule */
    double scale_lr;                          /* of the first step; follows the schedule */
    /* Makes the integer model that would be shipped from a graph after this many epochs, the caller's to free; NULL:
     * the model is FP32. */
    enum eq_status (*lower)(void *ctx, const struct eq_graph *g, int epoch, struct eq_qmodel **out, struct eq_err *err);
    /* Called with each model after an epoch that is the best so far, before that is noted: a resume may call it again
     * for the same model. NULL: nothing. */
    enum eq_status (*study)(void *ctx, const struct eq_graph *g, struct eq_err *err);
    /* The same for the start, at the end of a training of which no epoch was better; with weigh_start and study. */
    enum eq_status (*study_start)(void *ctx, struct eq_err *err);
    void *ctx;             /* of these three */
    const char *signature; /* "key=value\n" lines of everything that affects the result; a resume compares them */
};
/* The job of the baseline, and that of QAT and its control, as the settings describe them. The caller adds graph, data,
 * name, rule and signature. */
struct eq_train_job eq_baseline_job(const struct eq_config *cfg);
struct eq_train_job eq_finetune_job(const struct eq_config *cfg);

struct eq_epoch_row {
    int epoch;                                     /* 1-based; 0: the start, before any step */
    double lr;                                     /* of the first step; NaN for the start, as train_loss */
    double train_loss, val_mae, val_rmse, seconds; /* val_*: EF points */
    /* L2 norm of the gradient over all parameters, before clipping: mean and maximum over the steps. NaN for the start,
     * and if a step's norm is unknown, because the state of an older version was resumed. */
    double grad_norm, grad_norm_max;
    double waited; /* of seconds: when the first process could not go on, because an exchange was not over */
};
/* Exchange: what is left of it after the backward pass. */
enum eq_train_part {
    EQ_TRAIN_FORWARD,
    EQ_TRAIN_BACKWARD,
    EQ_TRAIN_EXCHANGE,
    EQ_TRAIN_NORM,
    EQ_TRAIN_OPTIMIZER,
    EQ_TRAIN_ZERO
};
enum { EQ_TRAIN_PARTS = EQ_TRAIN_ZERO + 1 };
/* The micro-batches of a step: those of this process, and what they have brought so far (src/train/micro.c). */
struct eq_micro {
    size_t first, n;               /* the own ones: first .. first + n - 1 of job.accumulate */
    size_t done;                   /* of these, in this step */
    struct eq_tree tree;           /* the sums of gradients that wait */
    float *waiting[EQ_TREE_PARTS]; /* owned: their values; NULL: never needed */
    float
        *addends[EQ_TREE_PARTS]; /* borrowed from waiting: what is to be added to the gradient that was computed last */
    int n_addends;
    size_t n_stats, n_seen; /* floats of batch norms and of the rule for a micro-batch */
    char *rows;             /* owned: [job.accumulate][row_bytes]: loss (double), statistics, what the rule saw */
    size_t row_bytes;
    double *losses;             /* owned: [job.accumulate] */
    struct eq_courier *courier; /* owned: exchanges while the gradients of the last one are computed; NULL: alone */
    size_t unsent;              /* floats of parameters that it has not been given */
    bool stop;                  /* a process was asked to end the run in this step */
    double waited;              /* ms that this process waited for exchanges in this epoch, or since it was resumed */
};
struct eq_trainer {
    struct eq_train_job job;
    struct eq_loader *train, *val; /* owned */
    struct eq_exec *exec;          /* owned */
    struct eq_predictor shipped;   /* of the last validation; owned */
    const struct eq_comm *comm;    /* borrowed: the processes that share each step, eq_comm_world */
    struct eq_micro micro;
    struct eq_optim optim;
    size_t n_params;  /* trainable */
    int *param_index; /* into graph->params */
    float **params, **grads;
    bool *decay;
    float **ema; /* by parameter of the graph, including running statistics; NULL: off */
    float *ef;   /* [3][batch]: EF of the network, EF of the teacher, gradient */
    size_t steps_per_epoch, total_steps;
    double parts[EQ_TRAIN_PARTS]; /* ms of the last micro-batch and of the end of its step */
    /* position */
    int epoch;                    /* 0-based, next or current */
    size_t batch_in_epoch;        /* micro-batches of the epoch in the steps that are done, of all processes */
    double loss_sum;              /* over them */
    double norm_sum, norm_max;    /* over the steps of the epoch, as grad_norm of eq_epoch_row; NaN: unknown */
    double best_mae;              /* infinite: there is no best model yet */
    int best_epoch;               /* 1-based; 0: the start, or none yet */
    struct eq_epoch_row *history; /* [epochs + 1], with weigh_start from epoch 0 on */
    int n_history;
};
/* EQ_USAGE: the training split is too small for a step, or a step has fewer micro-batches than there are processes;
 * EQ_NOMEM. Clear t also after a failure. */
enum eq_status eq_trainer_init(struct eq_trainer *t, const struct eq_train_job *job, struct eq_err *err);
void eq_trainer_clear(struct eq_trainer *t);
/* One of this process's micro-batches of a step, of job.batch clips. Each starts from the state before the step; after
 * the last one, the processes add up what theirs brought, by the tree of eq_tree over all job.accumulate of them, and
 * the optimizer steps. Running statistics and ranges follow in the order of the micro-batches. EQ_NUMERIC: the loss or
 * the gradient is not a finite number. */
enum eq_status eq_trainer_step(struct eq_trainer *t, const struct eq_batch *batch, struct eq_err *err);
/* Runs a job to its end, resuming from <run>/state/ if there is a state, and moves the best model, by the MAE on
 * the validation split, to <run>/<name>.safetensors. EQ_INTERRUPTED: the state has been saved; EQ_USAGE: the state
 * is of other settings, which the message names; EQ_NUMERIC as from eq_trainer_step. */
enum eq_status eq_fit(const struct eq_train_job *job, struct eq_err *err);

/* Trains the FP32 baseline into <run>/fp32.safetensors and history/fp32.csv. Errors as from eq_fit. */
enum eq_status eq_run_train(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err);
/* Trains <run>/fp32.safetensors, or model_path, by QAT into <run>/qat.safetensors and history/qat.csv. Errors as from
 * eq_load_baseline and eq_fit. */
enum eq_status eq_run_qat(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err);
/* The same training without fake-quant, into <run>/fp32_plus.safetensors and history/fp32_plus.csv: the model to
 * compare QAT with. */
enum eq_status eq_run_control(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                              struct eq_err *err);

#endif
