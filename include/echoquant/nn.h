/*
 * nn: one file per layer kind (shape, forward, backward), losses, optimizers, schedules.
 * Layers work on plain pointers in the layouts of kernels.h; who owns the memory is the plan's business (model floor).
 */
#ifndef ECHOQUANT_NN_H
#define ECHOQUANT_NN_H

#include "echoquant/base.h"
#include "echoquant/kernels.h"

/* ---- losses: on the standardised target; all mean over n ------------------------------------------------------- */

enum eq_loss { EQ_LOSS_MSE, EQ_LOSS_L1, EQ_LOSS_HUBER };
/* e = (pred - target) / std; mse: e^2; l1: |e|; huber (delta 1): e^2/2 for |e| < 1, |e| - 1/2 beyond. Returns the mean
 * loss and writes diff_pred[n] = dLoss/dpred (NULL: not wanted). pred and target: EF in percent. */
double eq_loss_forward(enum eq_loss kind, const float *pred, const float *target, size_t n, float std,
                       float *diff_pred);

/* ---- schedules ------------------------------------------------------------------------------------------------- */

enum eq_schedule { EQ_SCHEDULE_CONSTANT, EQ_SCHEDULE_COSINE, EQ_SCHEDULE_ONECYCLE };
/* Learning rate of 0-based step of total. cosine: linear warm-up over warmup steps, then half a cosine to 0. onecycle
 * (Smith & Topin 2018, PyTorch's defaults: start lr/25, peak at 30 %, end lr/25e4, cosine both ways). */
double eq_schedule_lr(enum eq_schedule kind, double base_lr, size_t step, size_t total, size_t warmup);

/* ---- optimizers ------------------------------------------------------------------------------------------------ */

enum eq_optim_kind { EQ_OPTIM_ADAMW, EQ_OPTIM_SGD };
struct eq_optim_opts {
    enum eq_optim_kind kind;
    double lr, weight_decay, momentum, beta1, beta2, eps;
};
/* State for a list of parameters of n[i] values; moments are zero at first. Owns its moments. */
struct eq_optim {
    struct eq_optim_opts opts;
    size_t n_params, step;
    size_t *n;
    float **m, **v; /* v: AdamW only */
};
enum eq_status eq_optim_init(struct eq_optim *o, const struct eq_optim_opts *opts, size_t n_params, const size_t *n,
                             struct eq_err *err);
void eq_optim_clear(struct eq_optim *o);
/* One step on all parameters with learning rate lr; decay[i] says whether weight decay applies to parameter i. */
void eq_optim_step(struct eq_optim *o, float *const *params, float *const *grads, const bool *decay, double lr);
/* Scales all gradients so that their global L2 norm is at most max_norm (<= 0: only measures); returns the norm before.
 * A NaN or infinite norm is returned as it is and nothing is scaled. */
double eq_clip_grad_norm(float *const *grads, const size_t *n, size_t n_params, double max_norm);

#endif
