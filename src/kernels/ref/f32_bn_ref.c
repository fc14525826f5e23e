/* The meaning of the batch norm kernels: sums in double, a piece per block of channels. */
#include "kernels/fill.h"

#include <math.h>

enum { CHANNELS = 16 }; /* of a piece: one cache line a row */

struct bn_job {
    const float *x, *y, *dy, *mean, *inv_std, *gamma, *beta, *relu_beta, *residual;
    float *out_mean, *out_var, *out, *dgamma, *dbeta, *dresidual;
    size_t rows;
    int c;
    bool relu, batch_stats, accumulate_residual;
};

static void for_channels(struct bn_job *job, eq_piece_fn fn)
{
    eq_parallel_for((size_t)(job->c + CHANNELS - 1) / CHANNELS, fn, job);
}

static int channels_end(const struct bn_job *j, size_t piece)
{
    int end = (int)(piece + 1) * CHANNELS;
    return end < j->c ? end : j->c;
}

static void stats_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct bn_job *j = ctx;
    int first = (int)piece * CHANNELS, end = channels_end(j, piece);
    double sum[CHANNELS] = {0}, squares[CHANNELS] = {0};
    for (size_t r = 0; r < j->rows; r++)
        for (int i = first; i < end; i++)
            sum[i - first] += j->x[r * j->c + i];
    for (size_t r = 0; r < j->rows; r++)
        for (int i = first; i < end; i++) {
            double d = j->x[r * j->c + i] - sum[i - first] / (double)j->rows;
            squares[i - first] += d * d;
        }
    for (int i = first; i < end; i++) {
        j->out_mean[i] = (float)(sum[i - first] / (double)j->rows);
        j->out_var[i] = (float)(squares[i - first] / (double)j->rows);
    }
}

static void bn_stats(const float *x, size_t rows, int c, float *mean, float *var)
{
    struct bn_job job = {.x = x, .rows = rows, .c = c, .out_mean = mean, .out_var = var};
    for_channels(&job, stats_piece);
}

static void apply_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct bn_job *j = ctx;
    int first = (int)piece * CHANNELS, end = channels_end(j, piece);
    for (size_t r = 0; r < j->rows; r++)
        for (int i = first; i < end; i++) {
            size_t at = r * j->c + i;
            float v = (j->x[at] - j->mean[i]) * j->inv_std[i] * j->gamma[i] + j->beta[i];
            if (j->residual)
                v += j->residual[at];
            j->out[at] = j->relu && v < 0 ? 0 : v;
        }
}

static void bn_apply(const float *x, size_t rows, int c, const float *mean, const float *inv_std, const float *gamma,
                     const float *beta, const float *residual, bool relu, float *y)
{
    struct bn_job job = {.x = x,
                         .rows = rows,
                         .c = c,
                         .mean = mean,
                         .inv_std = inv_std,
                         .gamma = gamma,
                         .beta = beta,
                         .residual = residual,
                         .relu = relu,
                         .out = y};
    for_channels(&job, apply_piece);
}

/* dy behind the ReLU; xhat = (x - mean) * inv_std. */
static float masked(const struct bn_job *j, size_t at, int i)
{
    if (j->relu_beta)
        return (j->x[at] - j->mean[i]) * j->inv_std[i] * j->gamma[i] + j->relu_beta[i] > 0 ? j->dy[at] : 0;
    return j->y && !(j->y[at] > 0) ? 0 : j->dy[at];
}

static float xhat(const struct bn_job *j, size_t at, int i)
{
    return (j->x[at] - j->mean[i]) * j->inv_std[i];
}

static void backward_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct bn_job *j = ctx;
    int first = (int)piece * CHANNELS, end = channels_end(j, piece);
    double sum[CHANNELS] = {0}, dot[CHANNELS] = {0};
    for (size_t r = 0; r < j->rows; r++)
        for (int i = first; i < end; i++) {
            size_t at = r * j->c + i;
            sum[i - first] += masked(j, at, i);
            dot[i - first] += (double)masked(j, at, i) * xhat(j, at, i);
        }
    for (size_t r = 0; r < j->rows; r++)
        for (int i = first; i < end; i++) {
            size_t at = r * j->c + i;
            float d = masked(j, at, i);
            double g = d;
            if (j->batch_stats)
                g -= (sum[i - first] + xhat(j, at, i) * dot[i - first]) / (double)j->rows;
            if (j->dresidual)
                j->dresidual[at] = j->accumulate_residual ? j->dresidual[at] + d : d;
            j->out[at] = (float)(g * j->gamma[i] * j->inv_std[i]);
        }
    for (int i = first; i < end; i++) {
        j->dbeta[i] = (float)(j->dbeta[i] + sum[i - first]);
        j->dgamma[i] = (float)(j->dgamma[i] + dot[i - first]);
    }
}

static void bn_backward(const float *x, const float *y, const float *relu_beta, const float *dy, size_t rows, int c,
                        const float *mean, const float *inv_std, const float *gamma, bool batch_stats, float *dx,
                        float *dgamma, float *dbeta, float *dresidual, bool accumulate_residual)
{
    struct bn_job job = {.x = x,
                         .y = y,
                         .relu_beta = relu_beta,
                         .dy = dy,
                         .rows = rows,
                         .c = c,
                         .mean = mean,
                         .inv_std = inv_std,
                         .gamma = gamma,
                         .batch_stats = batch_stats,
                         .out = dx,
                         .dgamma = dgamma,
                         .dbeta = dbeta,
                         .dresidual = dresidual,
                         .accumulate_residual = accumulate_residual};
    for_channels(&job, backward_piece);
}

void eq_f32_bn_fill__ref(struct eq_f32_table *table)
{
    table->bn_stats = bn_stats;
    table->bn_apply = bn_apply;
    table->bn_backward = bn_backward;
}
