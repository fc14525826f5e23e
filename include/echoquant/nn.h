/*
 * nn: one file per layer kind (shape, forward, backward), losses, optimizers, schedules.
 * Layers work on plain pointers in the layouts of kernels.h; who owns the memory is the plan's business (model floor).
 */
#ifndef ECHOQUANT_NN_H
#define ECHOQUANT_NN_H

#include "echoquant/base.h"
#include "echoquant/kernels.h"

/* ---- layers: shape, forward, backward; the caller owns every buffer ------ */

/* conv2d: one kernel a pass, chosen by shape, precision and ISA. src: [b][h][w][t][cin], or [b][t][h][w][3] of a
 * convolution that reads pixels; dst: [b][oh][ow][t][cout]; weights: [cout][cin][k][k]. A gradient has the shape of
 * what it belongs to. Packed weights and scratch as kernels.h says. */
struct eq_conv2d {
    struct eq_conv_shape shape;
    const struct eq_conv_kernel *kernel[EQ_CONV_PASSES];
};
void eq_conv2d_init(struct eq_conv2d *l, const struct eq_conv_shape *shape, enum eq_precision precision);
/* Bytes of the weights as a pass's kernel reads them, and of its scratch for eq_parallel_threads() threads. */
size_t eq_conv2d_packed_bytes(const struct eq_conv2d *l, enum eq_conv_pass pass);
size_t eq_conv2d_scratch_bytes(const struct eq_conv2d *l, enum eq_conv_pass pass);
/* Weights to packed, of eq_conv2d_packed_bytes; again after every change of weights. */
void eq_conv2d_pack(const struct eq_conv2d *l, enum eq_conv_pass pass, const float *weights, void *packed);
/* dst = conv(src) + epi's bias and residual, then its ReLU. */
void eq_conv2d_forward(const struct eq_conv2d *l, const float *src, const void *packed,
                       const struct eq_f32_epilogue *epi, float *dst, void *scratch);
/* diff_src = gradient of src, or with accumulate is added to. */
void eq_conv2d_backward_data(const struct eq_conv2d *l, const float *diff_dst, const void *packed, float *diff_src,
                             bool accumulate, void *scratch);
/* diff_weights += gradient of the weights. */
void eq_conv2d_backward_weights(const struct eq_conv2d *l, const float *src, const float *diff_dst, float *diff_weights,
                                void *scratch);
/* diff_bias[cout] += column sums of diff_dst. */
void eq_conv2d_backward_bias(const struct eq_conv2d *l, const float *diff_dst, float *diff_bias);

/* Batch norm over rows x c. factor (NULL: none): x holds factor[c] times what is to be normalized, as a convolution
 * with folded weights gives (Krishnamoorthi 2018, 3.2.2); gradients treat it as a constant. mean and inv_std are of x
 * as it is, i.e. with factor in them: written by forward, read by backward. */
struct eq_batchnorm {
    int c;
    float eps, momentum;
    const float *gamma, *beta;         /* [c] */
    float *running_mean, *running_var; /* [c] */
    const float *factor;               /* [c] or NULL */
    float *mean, *inv_std;             /* [c] */
    float *work;                       /* [4 * c] */
};
/* The layer as kernels take it, with the statistics of the last forward or prepare. */
static inline struct eq_bn eq_batchnorm_kernel(const struct eq_batchnorm *l, size_t rows)
{
    return (struct eq_bn){rows, l->c, l->mean, l->inv_std, l->gamma, l->beta};
}
/* The statistics that a forward pass uses, into mean and inv_std: all of the pass except for writing y.
 * x: [rows][c]. batch_stats as for eq_batchnorm_forward. */
void eq_batchnorm_prepare(const struct eq_batchnorm *l, const float *x, size_t rows, bool batch_stats);
/* x, residual and y: [rows][c]. With batch_stats, normalizes by the batch's statistics and updates the running ones.
 * Without, normalizes by the running statistics: y = x * gamma / sqrt(var + eps) + ..., or with factor
 * y = x + (beta - factor * running_mean), which equals a folded convolution to the bit. */
void eq_batchnorm_forward(const struct eq_batchnorm *l, const float *x, size_t rows, bool batch_stats,
                          const float *residual, bool relu, float *y);
/* y: the output when its ReLU mask has to be applied to dy, else NULL; mask_from_x: the mask of a forward pass without
 * residual and factor is computed from x instead. Other arguments as eq_f32_table.bn_backward. */
void eq_batchnorm_backward(const struct eq_batchnorm *l, const float *x, const float *y, bool mask_from_x,
                           const float *dy, size_t rows, bool batch_stats, float *dx, float *dgamma, float *dbeta,
                           float *dresidual, bool accumulate_residual);
/* factor[i] = gamma / sqrt(var + eps), in float32: the one definition that folding, QAT and lowering share. */
void eq_batchnorm_factor(const float *gamma, const float *var, float eps, int c, float *factor);

/* Mean over frames: x [b][t][c] -> y [b][c], and back. */
void eq_temporal_mean_forward(const float *x, int b, int t, int c, float *y);
void eq_temporal_mean_backward(const float *dy, int b, int t, int c, float *dx);

/* y[b][o] = bias[o] + sum_i w[o][i] x[b][i]: summed in double from i = 0 upwards, whatever the batch. x: [b][cin],
 * w: [cout][cin], bias: [cout] or NULL, y: [b][cout]. */
void eq_linear_forward(const float *x, const float *w, const float *bias, int b, int cin, int cout, float *y);
/* dy: [b][cout]. dx [b][cin] is written, dw [cout][cin] and dbias [cout] are added to; NULL: not wanted. */
void eq_linear_backward(const float *x, const float *w, const float *dy, int b, int cin, int cout, float *dx, float *dw,
                        float *dbias);

/* ---- fake quantization --------------------------------------------------- */

/* x_hat = (clamp(rne(x / scale) + zero_point, qmin, qmax) - zero_point) * scale. */
struct eq_qparams {
    float scale; /* above 0 */
    int zero_point, qmin, qmax;
};
/* y = x_hat of n values with one scale (an edge), [n]; y may be x. mask [n] (NULL: not wanted) is 1 where the
 * straight-through gradient passes: the unclamped value lies in [qmin, qmax] and, with relu, x > 0 (the ReLU in front
 * of it). */
void eq_fake_quant_forward(const float *x, size_t n, const struct eq_qparams *p, bool relu, float *y, uint8_t *mask);
/* dx = mask ? dy : 0, [n]; dx may be dy. */
void eq_fake_quant_backward(const uint8_t *mask, const float *dy, size_t n, float *dx);
/* LSQ (Esser et al., ICLR 2020): the gradient of the scale, times 1 / sqrt(n qmax): sum over dy {(x_hat - x) / scale
 * inside, qmin - zp below, qmax - zp above}. */
double eq_lsq_scale_grad(const float *x, const float *dy, size_t n, const struct eq_qparams *p);
/* The same for the rows of a weight matrix [rows][n], whose values are w * factor[row] (factor NULL: 1). p_step says
 * how far apart the rows' parameters stand: 1, p[rows] and added to diff_scale[row]; or 0, all rows share p[0], and the
 * sum over all is added to diff_scale[0]. */
void eq_lsq_rows_grad(const float *w, const float *dy, int rows, size_t n, const float *factor,
                      const struct eq_qparams *p, int p_step, float *diff_scale);
/* Rows of a weight matrix [rows][n]: y = fake_quant(w * factor[row]) by p[row * p_step]; p_step as above. factor NULL:
 * 1; p NULL: only multiplied. mask: [rows][n], as for edges; NULL: not wanted. y may be w. */
void eq_fake_quant_rows_forward(const float *w, int rows, size_t n, const float *factor, const struct eq_qparams *p,
                                int p_step, float *y, uint8_t *mask);
/* dw += (mask ? dy : 0) * factor[row], all [rows][n]; mask NULL: all pass, factor NULL: 1. */
void eq_fake_quant_rows_backward(const uint8_t *mask, const float *dy, int rows, size_t n, const float *factor,
                                 float *dw);

/* ---- losses: on the standardized target; mean over n clips --------------- */

enum eq_loss { EQ_LOSS_MSE, EQ_LOSS_L1, EQ_LOSS_HUBER };
/* e = (pred - target) / std; mse: e^2; l1: |e|; huber (delta 1): e^2/2 for |e| < 1, |e| - 1/2 beyond. Returns the mean
 * loss and writes diff_pred[n] = dLoss/dpred (NULL: not wanted). pred and target: [n], EF in percent, as is std. NaN
 * in, NaN out. */
double eq_loss_forward(enum eq_loss kind, const float *pred, const float *target, size_t n, float std,
                       float *diff_pred);

/* The same loss of two targets: (1 - weight) * loss(pred, target) + weight * loss(pred, teacher), teacher being another
 * model's EF of the same clips (distillation: Hinton et al. 2015, for regression). */
double eq_loss_distill(enum eq_loss kind, const float *pred, const float *target, const float *teacher, double weight,
                       size_t n, float std, float *diff_pred);

/* ---- schedules ----------------------------------------------------------- */

enum eq_schedule { EQ_SCHEDULE_CONSTANT, EQ_SCHEDULE_COSINE, EQ_SCHEDULE_ONECYCLE };
/* Learning rate of 0-based step of total. cosine: linear warm-up over warmup steps, then half a cosine to 0. onecycle
 * (Smith & Topin 2018, PyTorch's defaults: start lr/25, peak at 30 %, end lr/25e4, cosine both ways). */
double eq_schedule_lr(enum eq_schedule kind, double base_lr, size_t step, size_t total, size_t warmup);

/* ---- optimizers ---------------------------------------------------------- */

enum eq_optim_kind { EQ_OPTIM_ADAMW, EQ_OPTIM_SGD };
struct eq_optim_opts {
    enum eq_optim_kind kind;
    double lr, weight_decay, momentum, beta1, beta2, eps;
};
/* State for a list of parameters of n[i] values: AdamW (Loshchilov & Hutter, ICLR 2019) or SGD with momentum as PyTorch
 * has it. Moments are zero at first; owns them. */
struct eq_optim {
    struct eq_optim_opts opts;
    size_t n_params, step;
    size_t *n;
    float **m, **v; /* v: AdamW only */
};
/* n: [n_params]. EQ_NOMEM, after which o is cleared. */
enum eq_status eq_optim_init(struct eq_optim *o, const struct eq_optim_opts *opts, size_t n_params, const size_t *n,
                             struct eq_err *err);
void eq_optim_clear(struct eq_optim *o);
/* One step on all parameters with learning rate lr. params[i], grads[i]: [n[i]]; decay[i]: weight decay applies to
 * parameter i. */
void eq_optim_step(struct eq_optim *o, float *const *params, float *const *grads, const bool *decay, double lr);
/* Averaged weights: ema += take * (x - ema), n values each. */
void eq_ema_update(float *ema, const float *x, size_t n, float take);
void eq_ema_swap(float *ema, float *x, size_t n); /* exchanges the two */
/* Scales all gradients so that their global L2 norm is at most max_norm (<= 0: only measures); returns the norm before.
 * A NaN or infinite norm is returned as it is and nothing is scaled. */
double eq_clip_grad_norm(float *const *grads, const size_t *n, size_t n_params, double max_norm);

#endif
