/* The meaning of the batch norm kernels: sums in double, a piece per block of channels. */
#include "kernels/fill.h"
#include "kernels/ref/f32_unpool.h"

#include <math.h>

enum { CHANNELS = 16 }; /* of a piece: one cache line a row */

struct bn_job {
    struct eq_bn bn;
    const float *x, *y, *dy, *residual;
    float *out_mean, *out_var, *out, *dgamma, *dbeta, *dresidual;
    bool relu, mask_from_x, batch_stats, accumulate_residual;
    const struct eq_pool_shape *pool; /* dy and argmax are those after this max pooling; NULL: there is none */
    const uint8_t *argmax;
};

static void for_channels(struct bn_job *job, eq_piece_fn fn)
{
    eq_parallel_for((size_t)(job->bn.c + CHANNELS - 1) / CHANNELS, fn, job);
}

static int channels_end(const struct bn_job *j, size_t piece)
{
    int end = (int)(piece + 1) * CHANNELS;
    return end < j->bn.c ? end : j->bn.c;
}

static void stats_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct bn_job *j = ctx;
    int first = (int)piece * CHANNELS, end = channels_end(j, piece);
    double sum[CHANNELS] = {0}, squares[CHANNELS] = {0};
    for (size_t r = 0; r < j->bn.rows; r++)
        for (int i = first; i < end; i++)
            sum[i - first] += j->x[r * j->bn.c + i];
    for (size_t r = 0; r < j->bn.rows; r++)
        for (int i = first; i < end; i++) {
            double d = j->x[r * j->bn.c + i] - sum[i - first] / (double)j->bn.rows;
            squares[i - first] += d * d;
        }
    for (int i = first; i < end; i++) {
        j->out_mean[i] = (float)(sum[i - first] / (double)j->bn.rows);
        j->out_var[i] = (float)(squares[i - first] / (double)j->bn.rows);
    }
}

static void bn_stats(const float *x, size_t rows, int c, float *mean, float *var)
{
    struct bn_job job = {.bn = {.rows = rows, .c = c}, .x = x, .out_mean = mean, .out_var = var};
    for_channels(&job, stats_piece);
}

static float xhat(const struct bn_job *j, size_t at, int i)
{
    return (j->x[at] - j->bn.mean[i]) * j->bn.inv_std[i];
}

static void apply_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct bn_job *j = ctx;
    int first = (int)piece * CHANNELS, end = channels_end(j, piece);
    for (size_t r = 0; r < j->bn.rows; r++)
        for (int i = first; i < end; i++) {
            size_t at = r * j->bn.c + i;
            float v = xhat(j, at, i) * j->bn.gamma[i] + j->bn.beta[i];
            if (j->residual)
                v += j->residual[at];
            j->out[at] = j->relu && v < 0 ? 0 : v;
        }
}

static void bn_apply(const struct eq_bn *bn, const float *x, const float *residual, bool relu, float *y)
{
    struct bn_job job = {.bn = *bn, .x = x, .residual = residual, .relu = relu, .out = y};
    for_channels(&job, apply_piece);
}

/* The gradient of bn_apply's output. */
static float dy_at(const struct bn_job *j, size_t at)
{
    const struct eq_pool_shape *p = j->pool;
    if (!p)
        return j->dy[at];
    size_t pixel = at / p->tc, row = pixel / p->w;
    return max_gradient_at(p, j->dy, j->argmax, (int)(row / p->h), (int)(row % p->h), (int)(pixel % p->w),
                           (int)(at % p->tc));
}

/* dy through the ReLU. */
static float masked(const struct bn_job *j, size_t at, int i)
{
    if (j->mask_from_x)
        return xhat(j, at, i) * j->bn.gamma[i] + j->bn.beta[i] > 0 ? dy_at(j, at) : 0;
    return j->y && !(j->y[at] > 0) ? 0 : dy_at(j, at);
}

static void backward_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct bn_job *j = ctx;
    int first = (int)piece * CHANNELS, end = channels_end(j, piece);
    double sum[CHANNELS] = {0}, dot[CHANNELS] = {0};
    for (size_t r = 0; r < j->bn.rows; r++)
        for (int i = first; i < end; i++) {
            size_t at = r * j->bn.c + i;
            sum[i - first] += masked(j, at, i);
            dot[i - first] += (double)masked(j, at, i) * xhat(j, at, i);
        }
    for (size_t r = 0; r < j->bn.rows; r++)
        for (int i = first; i < end; i++) {
            size_t at = r * j->bn.c + i;
            float d = masked(j, at, i);
            double g = d;
            if (j->batch_stats)
                g -= (sum[i - first] + xhat(j, at, i) * dot[i - first]) / (double)j->bn.rows;
            if (j->dresidual)
                j->dresidual[at] = j->accumulate_residual ? j->dresidual[at] + d : d;
            j->out[at] = (float)(g * j->bn.gamma[i] * j->bn.inv_std[i]);
        }
    for (int i = first; i < end; i++) {
        j->dbeta[i] = (float)(j->dbeta[i] + sum[i - first]);
        j->dgamma[i] = (float)(j->dgamma[i] + dot[i - first]);
    }
}

static void bn_backward(const struct eq_bn *bn, const float *x, const float *y, bool mask_from_x, const float *dy,
                        bool batch_stats, float *dx, float *dgamma, float *dbeta, float *dresidual,
                        bool accumulate_residual)
{
    struct bn_job job = {.bn = *bn, .x = x, .y = y, .mask_from_x = mask_from_x, .dy = dy, .batch_stats = batch_stats};
    job.out = dx;
    job.dgamma = dgamma;
    job.dbeta = dbeta;
    job.dresidual = dresidual;
    job.accumulate_residual = accumulate_residual;
    for_channels(&job, backward_piece);
}

static void bn_relu_maxpool_backward(const struct eq_bn *bn, const struct eq_pool_shape *p, const float *x,
                                     const float *dy, const uint8_t *argmax, bool batch_stats, float *dx, float *dgamma,
                                     float *dbeta)
{
    struct bn_job job = {.bn = *bn, .x = x, .mask_from_x = true, .dy = dy, .batch_stats = batch_stats};
    job.pool = p;
    job.argmax = argmax;
    job.out = dx;
    job.dgamma = dgamma;
    job.dbeta = dbeta;
    for_channels(&job, backward_piece);
}

void eq_f32_bn_fill__ref(struct eq_f32_table *table)
{
    table->bn_stats = bn_stats;
    table->bn_apply = bn_apply;
    table->bn_backward = bn_backward;
    table->bn_relu_maxpool_backward = bn_relu_maxpool_backward;
}
