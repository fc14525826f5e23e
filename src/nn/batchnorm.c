/* Batch normalization (Ioffe & Szegedy 2015), plain and after a convolution whose weights carry its factor. */
#include "echoquant/nn.h"

#include <math.h>

void eq_batchnorm_factor(const float *gamma, const float *var, float eps, int c, float *factor)
{
    for (int i = 0; i < c; i++)
        factor[i] = gamma[i] / sqrtf(var[i] + eps);
}

/* A channel whose factor is 0 has weights that are all 0: there is nothing to divide, and nothing to learn from it. */
static float inverse_factor(const struct eq_batchnorm *l, int i)
{
    if (!l->factor)
        return 1.0f;
    float inv = 1.0f / l->factor[i];
    return isfinite(inv) ? inv : 0.0f;
}

static void follow(const struct eq_batchnorm *l, int i, float mean, float var)
{
    l->running_mean[i] = (1.0f - l->momentum) * l->running_mean[i] + l->momentum * mean;
    l->running_var[i] = (1.0f - l->momentum) * l->running_var[i] + l->momentum * var;
}

/* Statistics of x -> statistics of x / factor into the running averages (unbiased variance, as PyTorch), or kept for
 * them; and inv_std. */
static void use_batch_stats(const struct eq_batchnorm *l, size_t rows, const float *var_x)
{
    float unbias = rows > 1 ? (float)((double)rows / (double)(rows - 1)) : 1.0f;
    for (int i = 0; i < l->c; i++) {
        float inv = inverse_factor(l, i);
        float mean = l->mean[i] * inv, var = var_x[i] * inv * inv;
        l->inv_std[i] = inv / sqrtf(var + l->eps);
        if (l->kept) {
            l->kept[i] = mean;
            l->kept[l->c + i] = var * unbias;
        } else if (inv != 0.0f) {
            follow(l, i, mean, var * unbias);
        }
    }
}

void eq_batchnorm_follow(const struct eq_batchnorm *l, const float *kept)
{
    for (int i = 0; i < l->c; i++)
        if (inverse_factor(l, i) != 0.0f)
            follow(l, i, kept[i], kept[l->c + i]);
}

static void use_running_stats(const struct eq_batchnorm *l)
{
    for (int i = 0; i < l->c; i++) {
        l->mean[i] = l->factor ? l->running_mean[i] * l->factor[i] : l->running_mean[i];
        l->inv_std[i] = inverse_factor(l, i) / sqrtf(l->running_var[i] + l->eps);
    }
}

/* y = x + b with the bias of a folded convolution: the other operands of bn_apply are 0 and 1, which round nothing. */
static void apply_folded_bias(const struct eq_batchnorm *l, const float *x, size_t rows, const float *residual,
                              bool relu, float *y)
{
    float *zero = l->work, *one = zero + l->c, *bias = one + l->c;
    for (int i = 0; i < l->c; i++) {
        zero[i] = 0.0f;
        one[i] = 1.0f;
        bias[i] = l->beta[i] - l->running_mean[i] * l->factor[i];
    }
    eq_f32_kernels()->bn_apply(&(struct eq_bn){rows, l->c, zero, one, one, bias}, x, residual, relu, y);
}

void eq_batchnorm_prepare(const struct eq_batchnorm *l, const float *x, size_t rows, bool batch_stats)
{
    if (batch_stats) {
        eq_f32_kernels()->bn_stats(x, rows, l->c, l->mean, l->work);
        use_batch_stats(l, rows, l->work);
    } else {
        use_running_stats(l);
    }
}

void eq_batchnorm_forward(const struct eq_batchnorm *l, const float *x, size_t rows, bool batch_stats,
                          const float *residual, bool relu, float *y)
{
    eq_batchnorm_prepare(l, x, rows, batch_stats);
    if (!batch_stats && l->factor) {
        apply_folded_bias(l, x, rows, residual, relu, y);
        return;
    }
    struct eq_bn bn = eq_batchnorm_kernel(l, rows);
    eq_f32_kernels()->bn_apply(&bn, x, residual, relu, y);
}

void eq_batchnorm_pooled_backward(const struct eq_batchnorm *l, const struct eq_pool_shape *p, const float *x,
                                  const float *dy, const uint8_t *argmax, size_t rows, bool batch_stats, float *dx,
                                  float *dgamma, float *dbeta)
{
    struct eq_bn bn = eq_batchnorm_kernel(l, rows);
    eq_f32_kernels()->bn_relu_maxpool_backward(&bn, p, x, dy, argmax, batch_stats, dx, dgamma ? dgamma : l->work,
                                               dbeta ? dbeta : l->work + l->c);
}

void eq_batchnorm_backward(const struct eq_batchnorm *l, const float *x, const float *y, bool mask_from_x,
                           const float *dy, size_t rows, bool batch_stats, float *dx, float *dgamma, float *dbeta,
                           float *dresidual, bool accumulate_residual)
{
    struct eq_bn bn = eq_batchnorm_kernel(l, rows);
    /* Parameter gradients that nobody wants go to work, which nobody reads. */
    eq_f32_kernels()->bn_backward(&bn, x, y, mask_from_x, dy, batch_stats, dx, dgamma ? dgamma : l->work,
                                  dbeta ? dbeta : l->work + l->c, dresidual, accumulate_residual);
}
