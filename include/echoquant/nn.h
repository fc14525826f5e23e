/*
 * nn: one file per layer kind (shape, forward, backward), losses, optimizers, schedules.
 * Functions work on plain pointers in the layouts of kernels.h. Only eq_optim_init can fail. The caller owns every
 * buffer; for layers that is the executor (model floor).
 */
#ifndef ECHOQUANT_NN_H
#define ECHOQUANT_NN_H

#include "echoquant/base.h"
#include "echoquant/kernels.h"

/* ---- layers: shape, forward, backward ------------------------------------ */

/* conv2d: a kernel for each pass, chosen by shape, precision and ISA. src: [b][h][w][t][cin], or in clip layout
 * [b][t][h][w][cin]; dst: [b][oh][ow][t][cout]; weights: [cout][cin][k][k]. A gradient has the shape of its values.
 * packed and scratch have the sizes below and are 64-byte aligned. */
struct eq_conv2d {
    struct eq_conv_shape shape;
    const struct eq_conv_kernel *kernel[EQ_CONV_PASSES];
    bool once[EQ_CONV_PASSES]; /* the kernel takes weights as they are (run_once) */
};
/* Copies the shape and selects the kernels. once: weights serve one call, as in training. */
void eq_conv2d_init(struct eq_conv2d *l, const struct eq_conv_shape *shape, enum eq_precision precision, bool once);
/* Bytes of a pass's packed weights (0: it takes them as they are), and of its scratch for eq_parallel_threads()
 * threads. */
size_t eq_conv2d_packed_bytes(const struct eq_conv2d *l, enum eq_conv_pass pass);
size_t eq_conv2d_scratch_bytes(const struct eq_conv2d *l, enum eq_conv_pass pass);
/* Packs weights for a pass; needed again after every change of weights. Returns what the pass takes: packed, or weights
 * where it takes them as they are. */
const void *eq_conv2d_pack(const struct eq_conv2d *l, enum eq_conv_pass pass, const float *weights, void *packed);
/* dst = conv(src), then epi's bias, residual, ReLU and, where the kernel fuses it, max pooling. */
void eq_conv2d_forward(const struct eq_conv2d *l, const float *src, const void *packed,
                       const struct eq_f32_epilogue *epi, float *dst, void *scratch);
/* diff_src = gradient of src; with accumulate, it is added. */
void eq_conv2d_backward_data(const struct eq_conv2d *l, const float *diff_dst, const void *packed, float *diff_src,
                             bool accumulate, void *scratch);
/* diff_weights += gradient of the weights. */
void eq_conv2d_backward_weights(const struct eq_conv2d *l, const float *src, const float *diff_dst, float *diff_weights,
                                void *scratch);
/* diff_bias[cout] += column sums of diff_dst. */
void eq_conv2d_backward_bias(const struct eq_conv2d *l, const float *diff_dst, float *diff_bias);

/* domain2d: a 3 x 3 convolution of stride 1 and padding 1 in Winograd's domain, where both factors may be rounded
 * (struct eq_f32_domain_rounding for the source). Weights as used are u [36][cout][cin]; the domain has `plane` values
 * a point. Buffers have the sizes below and are 64-byte aligned. */
struct eq_domain2d {
    struct eq_conv_shape shape;
    bool ordered;     /* products in one order on every ISA level; otherwise by OpenBLAS (eq_sgemm_prepare) */
    int tiles, chunk; /* of all clips; worked on at a time */
};
void eq_domain2d_init(struct eq_domain2d *l, const struct eq_conv_shape *shape, bool ordered);
size_t eq_domain2d_weights(const struct eq_domain2d *l); /* the number of values of u */
/* For eq_parallel_threads() threads. */
size_t eq_domain2d_scratch_bytes(const struct eq_domain2d *l, bool backward);
/* How weights are rounded: scale[p * cout + oc], or one for all if scales is 1; NULL: not at all. whole: the results
 * are the integers. */
struct eq_domain2d_grid {
    const float *scale;
    int scales, qmin, qmax;
    bool whole;
};
/* u = G (w factor[oc]) G^T, rounded. factor [cout], NULL: 1. mask [36][cout][cin] is 1 where the straight-through
 * gradient passes; NULL: not wanted. */
void eq_domain2d_use_weights(const struct eq_domain2d *l, const float *w, const float *factor,
                             const struct eq_domain2d_grid *grid, float *u, uint8_t *mask);
/* absmax[36][cout] = the greatest |u| of a point and channel, unrounded; a NaN stays. cin x cout weights w[oc][ci][9].
 */
void eq_domain2d_absmax(const float *w, int cout, int cin, const float *factor, float *absmax);
/* dw += factor G^T (mask ? du : 0) G. mask NULL: all pass. */
void eq_domain2d_weights_backward(const struct eq_domain2d *l, const float *du, const uint8_t *mask,
                                  const float *factor, float *dw);
/* What forward takes of u with `ordered`: packed, as large as u. */
void eq_domain2d_pack(const struct eq_domain2d *l, const float *u, float *packed);
/* What becomes of the sums: bias, residual and ReLU as in eq_f32_epilogue; or with k [36][cout] the integer engine's
 * output before it is clamped and rounded, as in struct eq_f32_domain_dst. */
struct eq_domain2d_epilogue {
    const float *bias, *residual, *k;
    float residual_m, inv_residual, residual_zp;
    bool relu;
};
/* u: as used, or packed. range [2][36] (NULL: not wanted): the least and greatest values of each point before they are
 * rounded; +-infinity where no tile has the point. */
void eq_domain2d_forward(const struct eq_domain2d *l, const float *src, const struct eq_f32_domain_rounding *rounding,
                         const float *u, const struct eq_domain2d_epilogue *epi, float *dst, float *range,
                         void *scratch);
/* Writes du [36][cout][cin] and diff_src (with accumulate, adds to it); NULL: not wanted. src, rounding and u as in
 * forward, not packed. Clipped values of the transformed source pass no gradient. */
void eq_domain2d_backward(const struct eq_domain2d *l, const float *src, const float *diff_dst,
                          const struct eq_f32_domain_rounding *rounding, const float *u, float *du, float *diff_src,
                          bool accumulate, void *scratch);

/* Batch norm of matrices [rows][c] (Ioffe & Szegedy 2015). With factor, x is factor[c] times the values to normalize,
 * as a convolution with folded weights gives it (Krishnamoorthi 2018, 3.2.2); gradients treat factor as a constant.
 * mean and inv_std are of x as it is, factor included: written by forward, read by backward. The caller owns all
 * vectors. */
struct eq_batchnorm {
    int c;
    float eps, momentum;               /* running = (1 - momentum) running + momentum batch (unbiased variance) */
    const float *gamma, *beta;         /* [c] */
    float *running_mean, *running_var; /* [c] */
    /* [2 * c]: where a pass with batch_stats puts the batch's mean and unbiased variance instead of updating the
     * running ones; NULL: it updates them */
    float *kept;
    const float *factor;   /* [c] or NULL */
    float *mean, *inv_std; /* [c] */
    float *work;           /* [4 * c] */
};
/* The layer as kernels take it, with the statistics of the last forward or prepare. */
static inline struct eq_bn eq_batchnorm_kernel(const struct eq_batchnorm *l, size_t rows)
{
    return (struct eq_bn){rows, l->c, l->mean, l->inv_std, l->gamma, l->beta};
}
/* Computes the statistics of a forward pass into mean and inv_std, and with batch_stats updates the running ones: the
 * whole pass except for writing y. x: [rows][c]. */
void eq_batchnorm_prepare(const struct eq_batchnorm *l, const float *x, size_t rows, bool batch_stats);
/* x, residual and y: [rows][c]. With batch_stats, normalizes by the batch's statistics and updates the running ones.
 * Without, normalizes by the running statistics: y = x * gamma / sqrt(var + eps) + ..., or with factor
 * y = x + (beta - factor * running_mean), which equals a folded convolution to the bit. */
void eq_batchnorm_forward(const struct eq_batchnorm *l, const float *x, size_t rows, bool batch_stats,
                          const float *residual, bool relu, float *y);
/* Updates the running statistics by those that an earlier pass kept. factor is still that of the last pass. */
void eq_batchnorm_follow(const struct eq_batchnorm *l, const float *kept);
/* dx [rows][c], which may be dy, from dy [rows][c], the gradient of the output. The ReLU's mask comes from y, the
 * output (NULL: no ReLU), or with mask_from_x it is computed from x, for a forward pass with ReLU but without
 * residual and factor. Adds to dgamma and dbeta [c] (NULL: not wanted). dresidual as in eq_f32_table.bn_backward. */
void eq_batchnorm_backward(const struct eq_batchnorm *l, const float *x, const float *y, bool mask_from_x,
                           const float *dy, size_t rows, bool batch_stats, float *dx, float *dgamma, float *dbeta,
                           float *dresidual, bool accumulate_residual);
/* The same for a forward pass with ReLU and max pooling but without residual and factor: x and dx are the pixels of p
 * before the pooling, dy and argmax those after it. */
void eq_batchnorm_pooled_backward(const struct eq_batchnorm *l, const struct eq_pool_shape *p, const float *x,
                                  const float *dy, const uint8_t *argmax, size_t rows, bool batch_stats, float *dx,
                                  float *dgamma, float *dbeta);
/* factor[c] = gamma / sqrt(var + eps), in float32: the one definition for folding, QAT and lowering. All [c]. */
void eq_batchnorm_factor(const float *gamma, const float *var, float eps, int c, float *factor);

/* Mean over frames: x [b][t][c] to y [b][c], summed in double; and dy [b][c] to dx [b][t][c]. */
void eq_temporal_mean_forward(const float *x, int b, int t, int c, float *y);
void eq_temporal_mean_backward(const float *dy, int b, int t, int c, float *dx);

/* y[b][o] = bias[o] + sum_i w[o][i] x[b][i]: summed in double from i = 0 upwards, whatever the batch. x: [b][cin],
 * w: [cout][cin], bias: [cout] or NULL, y: [b][cout]. */
void eq_linear_forward(const float *x, const float *w, const float *bias, int b, int cin, int cout, float *y);
/* dy: [b][cout]. Writes dx [b][cin], adds to dw [cout][cin] and dbias [cout]; NULL: not wanted. */
void eq_linear_backward(const float *x, const float *w, const float *dy, int b, int cin, int cout, float *dx, float *dw,
                        float *dbias);

/* ---- fake quantization --------------------------------------------------- */

/* x_hat = (clamp(rne(x / scale) + zero_point, qmin, qmax) - zero_point) * scale (Jacob et al. 2018). */
struct eq_qparams {
    float scale; /* above 0 */
    int zero_point, qmin, qmax;
};
/* y = x_hat of the n values of an edge, with one scale; y may be x. mask [n] (NULL: not wanted) is 1 where the
 * straight-through gradient passes: the unclamped value lies in [qmin, qmax] and, with relu, x > 0 (the ReLU before
 * the fake-quant). */
void eq_fake_quant_forward(const float *x, size_t n, const struct eq_qparams *p, bool relu, float *y, uint8_t *mask);
/* dx = mask ? dy : 0, all [n]; dx may be dy. */
void eq_fake_quant_backward(const uint8_t *mask, const float *dy, size_t n, float *dx);
/* LSQ (Esser et al., ICLR 2020): the gradient of the scale of n values times 1 / sqrt(n qmax). It is the sum of dy
 * times (x_hat - x) / scale inside the range, qmin - zero_point below it and qmax - zero_point above it. */
double eq_lsq_scale_grad(const float *x, const float *dy, size_t n, const struct eq_qparams *p);
/* The same for a weight matrix [rows][n] of values w * factor[row] (factor NULL: 1). p_step 1: each row has its own
 * p[row], and diff_scale[rows] is added to. p_step 0: all rows share p[0], and their sum is added to diff_scale[0]. */
void eq_lsq_rows_grad(const float *w, const float *dy, int rows, size_t n, const float *factor,
                      const struct eq_qparams *p, int p_step, float *diff_scale);
/* The rows of a weight matrix [rows][n]: y = fake_quant(w * factor[row]) by p[row * p_step]; p_step as above. factor
 * NULL: 1; p NULL: no fake-quant. mask: [rows][n], as for edges; NULL: not wanted. y may be w. */
void eq_fake_quant_rows_forward(const float *w, int rows, size_t n, const float *factor, const struct eq_qparams *p,
                                int p_step, float *y, uint8_t *mask);
/* dw += (mask ? dy : 0) * factor[row], all [rows][n]. mask NULL: all pass; factor NULL: 1. */
void eq_fake_quant_rows_backward(const uint8_t *mask, const float *dy, int rows, size_t n, const float *factor,
                                 float *dw);
/* 3x3 weights [cout][cin][3][3] times factor[cout] (float32; NULL: 1) in Winograd's domain: U = G (w * factor) G^T in
 * double, rounded once. u: [EQ_DOMAIN_POINTS][cout][cin], that is, 36 * cout rows for the functions above. */
void eq_domain_weights_forward(const float *w, int cout, int cin, const float *factor, float *u);

/* ---- losses: on the standardized target; mean over n clips --------------- */

enum eq_loss { EQ_LOSS_MSE, EQ_LOSS_L1, EQ_LOSS_HUBER };
/* e = (pred - target) / std; mse: e^2; l1: |e|; huber (delta 1): e^2/2 for |e| < 1, |e| - 1/2 beyond. Returns the
 * mean loss over n clips (0 for none) and writes diff_pred[n] = dLoss/dpred (NULL: not wanted). pred, target: [n], EF
 * in percent, as is std. A NaN gives a NaN. */
double eq_loss_forward(enum eq_loss kind, const float *pred, const float *target, size_t n, float std,
                       float *diff_pred);

/* Distillation (Hinton et al. 2015) for regression: (1 - weight) * loss(pred, target) + weight * loss(pred, teacher).
 * teacher: [n], another model's EF of the same clips, in percent. The rest is as in eq_loss_forward. */
double eq_loss_distill(enum eq_loss kind, const float *pred, const float *target, const float *teacher, double weight,
                       size_t n, float std, float *diff_pred);

/* ---- schedules ----------------------------------------------------------- */

enum eq_schedule { EQ_SCHEDULE_CONSTANT, EQ_SCHEDULE_COSINE, EQ_SCHEDULE_ONECYCLE };
/* The learning rate of a step, 0-based, of total; later steps have the last one's. constant and cosine (Loshchilov &
 * Hutter 2017): linear warm-up over warmup steps, then base_lr, or half a cosine to 0. onecycle (Smith & Topin 2018)
 * with PyTorch's defaults: from base_lr / 25 to base_lr at 30 %, then to base_lr / 25e4, a cosine each; without
 * warmup. */
double eq_schedule_lr(enum eq_schedule kind, double base_lr, size_t step, size_t total, size_t warmup);

/* ---- optimizers ---------------------------------------------------------- */

enum eq_optim_kind { EQ_OPTIM_ADAMW, EQ_OPTIM_SGD };
struct eq_optim_opts {
    enum eq_optim_kind kind;
    double lr, weight_decay, momentum, beta1, beta2, eps;
};
/* The state of AdamW (Loshchilov & Hutter, ICLR 2019) or of PyTorch's SGD with momentum, for a list of parameters. It
 * owns its arrays. */
struct eq_optim {
    struct eq_optim_opts opts;
    size_t n_params, step; /* step: number of steps done */
    size_t *n;             /* [n_params]: values of each parameter */
    float **m, **v;        /* [n_params][n[i]]: moments, 0 at first; v: AdamW only, else NULL */
};
/* n: [n_params], copied. EQ_NOMEM, after which o is cleared. */
enum eq_status eq_optim_init(struct eq_optim *o, const struct eq_optim_opts *opts, size_t n_params, const size_t *n,
                             struct eq_err *err);
void eq_optim_clear(struct eq_optim *o); /* harmless twice */
/* One step on all parameters with learning rate lr. params[i], grads[i]: [n[i]]; decay[i]: whether weight decay
 * applies to parameter i. */
void eq_optim_step(struct eq_optim *o, float *const *params, float *const *grads, const bool *decay, double lr);
/* Exponential moving average of weights (Polyak & Juditsky 1992): ema += take * (x - ema), n values each. */
void eq_ema_update(float *ema, const float *x, size_t n, float take);
void eq_ema_swap(float *ema, float *x, size_t n); /* exchanges the two */
/* Scales all gradients so that their global L2 norm is at most max_norm (0 or less: no scaling), as PyTorch's
 * clip_grad_norm_ (Pascanu et al. 2013). Returns the norm before. With a NaN or infinite norm nothing is scaled.
 * grads[i]: [n[i]]. */
double eq_clip_grad_norm(float *const *grads, const size_t *n, size_t n_params, double max_norm);

#endif
