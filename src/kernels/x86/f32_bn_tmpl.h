/*
 * Template: batch norm. A matrix rows x c is cut into at most PIECES ranges of rows. A range is summed in blocks of
 * BLOCK rows that fit the L1 cache, GROUP vectors of channels at a time in registers. The sums of the ranges are
 * added in their order.
 *
 * The first pass over a tensor goes from its end to its start: the cache then holds what was written last, and
 * afterwards what the second pass begins with.
 */
#include "kernels/fill.h"
#include "kernels/x86/f32_unpool.h"

#include <assert.h>

enum {
    PIECES = 32,
    BLOCK = 64,        /* rows; summed in float before they meet other sums */
    GROUP = 4,         /* vectors */
    MAX_CHANNELS = 512 /* of one call; more are worked through in turn */
};

struct bn_job {
    struct eq_bn bn; /* at most MAX_CHANNELS channels from each pointer on */
    const float *x, *y, *dy, *residual;
    float *out, *dresidual;
    size_t ld; /* floats between rows */
    int pieces;
    bool relu, mask_from_x, batch_stats, accumulate_residual;
    struct unpool pooled; /* where the gradient comes from without a dy */
    bool streams;         /* out, then */
    /* by channel: the factors of bn_apply and bn_backward, see there */
    float apply_scale[MAX_CHANNELS], scale[MAX_CHANNELS], slope[MAX_CHANNELS], shift[MAX_CHANNELS];
    /* by range of rows and channel: mean and sum of squared deviations, or sum and dot product of the gradient */
    float first[PIECES][MAX_CHANNELS], second[PIECES][MAX_CHANNELS];
};

/* MAX_CHANNELS channels of bn, or what is left of them, from first on. */
static struct eq_bn channels_from(const struct eq_bn *bn, int first)
{
    int c = bn->c - first < MAX_CHANNELS ? bn->c - first : MAX_CHANNELS;
    return (struct eq_bn){bn->rows, c, bn->mean + first, bn->inv_std + first, bn->gamma + first, bn->beta + first};
}

/* bn_apply's factor of x - mean. */
static void set_apply_scale(struct bn_job *j)
{
    for (int i = 0; i < j->bn.c; i++)
        j->apply_scale[i] = j->bn.inv_std[i] * j->bn.gamma[i];
}

/* Ranges are of whole blocks, so that they depend on the number of rows alone. */
static size_t range_start(const struct bn_job *j, size_t piece)
{
    size_t blocks = (j->bn.rows + BLOCK - 1) / BLOCK, row = blocks * piece / j->pieces * BLOCK;
    return row < j->bn.rows ? row : j->bn.rows;
}

static void for_ranges(struct bn_job *j, eq_piece_fn fn)
{
    size_t blocks = (j->bn.rows + BLOCK - 1) / BLOCK;
    j->pieces = blocks < PIECES ? (int)blocks : PIECES;
    eq_parallel_for((size_t)j->pieces, fn, j);
}

static size_t from_the_end(const struct bn_job *j, size_t piece)
{
    return (size_t)j->pieces - 1 - piece;
}

/* ---- statistics ---------------------------------------------------------- */

/* The statistics of some vectors over n rows from x on, then merged into mean and m2 of the n_before rows before (Chan,
 * Golub & LeVeque 1983). ahead: as many rows that are asked for meanwhile. vectors is a constant. */
ALWAYS_INLINE void merge_block(const float *x, const float *ahead, size_t ld, size_t n, size_t n_before,
                               const int vectors, int lanes, float *mean, float *m2)
{
    vf sum[GROUP], odd_sum[GROUP], squares[GROUP], odd_squares[GROUP], block_mean[GROUP];
    size_t r = 0;
    UNROLL for (int v = 0; v < vectors; v++) sum[v] = odd_sum[v] = squares[v] = odd_squares[v] = v_zero();
    for (; r + 2 <= n; r += 2)
        UNROLL for (int v = 0; v < vectors; v++)
        {
            sum[v] = v_add(sum[v], v_load_n(x + r * ld + v * VL, lanes));
            odd_sum[v] = v_add(odd_sum[v], v_load_n(x + (r + 1) * ld + v * VL, lanes));
            v_prefetch(ahead + r * ld + v * VL);
            v_prefetch(ahead + (r + 1) * ld + v * VL);
        }
    UNROLL for (int v = 0; v < vectors; v++)
    {
        if (r < n)
            sum[v] = v_add(sum[v], v_load_n(x + r * ld + v * VL, lanes));
        block_mean[v] = v_mul(v_add(sum[v], odd_sum[v]), v_set1(1.0f / (float)n));
    }
    for (r = 0; r + 2 <= n; r += 2)
        UNROLL for (int v = 0; v < vectors; v++)
        {
            vf d = v_sub(v_load_n(x + r * ld + v * VL, lanes), block_mean[v]);
            vf odd = v_sub(v_load_n(x + (r + 1) * ld + v * VL, lanes), block_mean[v]);
            squares[v] = v_fma(d, d, squares[v]);
            odd_squares[v] = v_fma(odd, odd, odd_squares[v]);
        }
    float total = (float)(n_before + n);
    UNROLL for (int v = 0; v < vectors; v++)
    {
        float *to = mean + v * VL, *to_m2 = m2 + v * VL;
        if (r < n) {
            vf d = v_sub(v_load_n(x + r * ld + v * VL, lanes), block_mean[v]);
            squares[v] = v_fma(d, d, squares[v]);
        }
        vf old = v_load_n(to, lanes), delta = v_sub(block_mean[v], old);
        vf between = v_mul(v_mul(delta, delta), v_set1((float)n_before * (float)n / total));
        v_store_n(to, lanes, v_fma(delta, v_set1((float)n / total), old));
        v_store_n(to_m2, lanes, v_add(v_load_n(to_m2, lanes), v_add(v_add(squares[v], odd_squares[v]), between)));
    }
}

static void stats_range(void *ctx, size_t turn, int worker)
{
    (void)worker;
    struct bn_job *j = ctx;
    size_t piece = from_the_end(j, turn);
    size_t start = range_start(j, piece), end = range_start(j, piece + 1);
    float *mean = j->first[piece], *m2 = j->second[piece];
    for (int c = 0; c < j->bn.c; c++)
        mean[c] = m2[c] = 0;
    for (size_t row = start; row < end; row += BLOCK) {
        size_t n = end - row < BLOCK ? end - row : BLOCK;
        const float *x = j->x + row * j->ld, *ahead = row + 2 * BLOCK <= end ? x + BLOCK * j->ld : x;
        int c = 0;
        for (; c + GROUP * VL <= j->bn.c; c += GROUP * VL)
            merge_block(x + c, ahead + c, j->ld, n, row - start, GROUP, VL, mean + c, m2 + c);
        for (; c < j->bn.c; c += VL)
            merge_block(x + c, ahead + c, j->ld, n, row - start, 1, j->bn.c - c < VL ? j->bn.c - c : VL, mean + c,
                        m2 + c);
    }
}

/* The ranges' statistics of one channel, merged in their order. */
static void merge_ranges(const struct bn_job *j, int c, float *mean_out, float *var_out)
{
    double mean = 0, m2 = 0, n = 0;
    for (int i = 0; i < j->pieces; i++) {
        double m = (double)(range_start(j, (size_t)i + 1) - range_start(j, (size_t)i));
        double delta = j->first[i][c] - mean;
        m2 += j->second[i][c] + delta * delta * n * m / (n + m);
        mean += delta * m / (n + m);
        n += m;
    }
    *mean_out = (float)mean;
    *var_out = (float)(m2 / n);
}

static void bn_stats(const float *x, size_t rows, int c, float *mean, float *var)
{
    struct bn_job job;
    job.ld = (size_t)c;
    for (int first = 0; first < c; first += MAX_CHANNELS) {
        job.x = x + first;
        job.bn = (struct eq_bn){.rows = rows, .c = c - first < MAX_CHANNELS ? c - first : MAX_CHANNELS};
        for_ranges(&job, stats_range);
        for (int i = 0; i < job.bn.c; i++)
            merge_ranges(&job, i, mean + first + i, var + first + i);
    }
}

/* ---- forward ------------------------------------------------------------- */

ALWAYS_INLINE void apply_vector(const struct bn_job *j, size_t at, int c, int lanes)
{
    vf x = v_sub(v_load_n(j->x + at, lanes), v_load_n(j->bn.mean + c, lanes));
    x = v_fma(x, v_load_n(j->apply_scale + c, lanes), v_load_n(j->bn.beta + c, lanes));
    if (j->residual)
        x = v_add(x, v_load_n(j->residual + at, lanes));
    v_store_n(j->out + at, lanes, j->relu ? v_max(v_zero(), x) : x);
}

static void apply_range(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct bn_job *j = ctx;
    for (size_t row = range_start(j, piece), end = range_start(j, piece + 1); row < end; row++) {
        int c = 0;
        for (; c + VL <= j->bn.c; c += VL)
            apply_vector(j, row * j->ld + c, c, VL);
        if (c < j->bn.c)
            apply_vector(j, row * j->ld + c, c, j->bn.c - c);
    }
}

static void bn_apply(const struct eq_bn *bn, const float *x, const float *residual, bool relu, float *y)
{
    struct bn_job job;
    job.ld = (size_t)bn->c;
    job.relu = relu;
    for (int first = 0; first < bn->c; first += MAX_CHANNELS) {
        job.bn = channels_from(bn, first);
        job.x = x + first;
        job.residual = residual ? residual + first : NULL;
        job.out = y + first;
        set_apply_scale(&job);
        for_ranges(&job, apply_range);
    }
}

/* ---- backward ------------------------------------------------------------ */

/* Rows with gradients in one place: all of dy, or those of a pixel that was pooled. */
struct run {
    size_t end;  /* row after the last */
    size_t base; /* of the pixel's values */
    struct windows windows;
};

/* The run that begins with `row`, up to end at most. unpools is a constant. */
ALWAYS_INLINE void run_from(const struct bn_job *j, const bool unpools, size_t row, size_t end, struct run *run)
{
    run->end = end;
    if (!unpools)
        return;
    size_t frames = (size_t)j->pooled.p.tc / j->ld, pixel = row / frames, next = (pixel + 1) * frames;
    run->windows = windows_of(&j->pooled.p, pixel);
    run->base = pixel * j->pooled.p.tc;
    run->end = next < end ? next : end;
}

/* dy through the ReLU; dev = x - mean. The value that bn_apply computes is above 0 where its ReLU's output is. */
ALWAYS_INLINE vf masked_dy(const struct bn_job *j, const bool unpools, const struct run *run, size_t at, int c, vf dev,
                           int lanes)
{
    vf dy = unpools ? unpooled(&j->pooled, &run->windows, at - run->base, lanes) : v_load_n(j->dy + at, lanes), y;
    if (unpools || j->mask_from_x)
        y = v_fma(dev, v_load_n(j->apply_scale + c, lanes), v_load_n(j->bn.beta + c, lanes));
    else if (j->y)
        y = v_load_n(j->y + at, lanes);
    else
        return dy;
    return v_select(v_gt(y, v_zero()), dy, v_zero());
}

/* Adds to first and second the sums over n rows from row on, for vectors of channels from c on. vectors is a constant.
 */
ALWAYS_INLINE void sum_block(struct bn_job *j, const bool unpools, size_t piece, size_t row, size_t n, int c,
                             const int vectors, int lanes)
{
    vf sum[GROUP], dot[GROUP], mean[GROUP];
    UNROLL for (int v = 0; v < vectors; v++)
    {
        sum[v] = dot[v] = v_zero();
        mean[v] = v_load_n(j->bn.mean + c + v * VL, lanes);
    }
    struct run run;
    for (size_t r = row; r < row + n;)
        for (run_from(j, unpools, r, row + n, &run); r < run.end; r++)
            UNROLL for (int v = 0; v < vectors; v++)
            {
                size_t at = r * j->ld + c + v * VL;
                vf dev = v_sub(v_load_n(j->x + at, lanes), mean[v]);
                vf d = masked_dy(j, unpools, &run, at, c + v * VL, dev, lanes);
                sum[v] = v_add(sum[v], d);
                dot[v] = v_fma(d, dev, dot[v]);
            }
    UNROLL for (int v = 0; v < vectors; v++)
    {
        float *first = j->first[piece] + c + v * VL, *second = j->second[piece] + c + v * VL;
        v_store_n(first, lanes, v_add(v_load_n(first, lanes), sum[v]));
        v_store_n(second, lanes, v_add(v_load_n(second, lanes), dot[v]));
    }
}

ALWAYS_INLINE void sum_range_of(struct bn_job *j, const bool unpools, size_t turn)
{
    size_t piece = from_the_end(j, turn);
    size_t start = range_start(j, piece), end = range_start(j, piece + 1);
    for (int c = 0; c < j->bn.c; c++)
        j->first[piece][c] = j->second[piece][c] = 0;
    for (size_t row = start; row < end; row += BLOCK) {
        size_t n = end - row < BLOCK ? end - row : BLOCK;
        int c = 0;
        for (; c + GROUP * VL <= j->bn.c; c += GROUP * VL)
            sum_block(j, unpools, piece, row, n, c, GROUP, VL);
        for (; c < j->bn.c; c += VL)
            sum_block(j, unpools, piece, row, n, c, 1, j->bn.c - c < VL ? j->bn.c - c : VL);
    }
}

static void sum_range(void *ctx, size_t turn, int worker)
{
    (void)worker;
    sum_range_of(ctx, false, turn);
}

static void sum_pooled_range(void *ctx, size_t turn, int worker)
{
    (void)worker;
    sum_range_of(ctx, true, turn);
}

/* dx = scale * d + slope * (x - mean) + shift */
ALWAYS_INLINE void gradient_vector(const struct bn_job *j, const bool unpools, const struct run *run, size_t at, int c,
                                   int lanes)
{
    vf dev = v_sub(v_load_n(j->x + at, lanes), v_load_n(j->bn.mean + c, lanes));
    vf d = masked_dy(j, unpools, run, at, c, dev, lanes);
    vf dx = v_mul(d, v_load_n(j->scale + c, lanes));
    if (j->batch_stats)
        dx = v_add(dx, v_fma(dev, v_load_n(j->slope + c, lanes), v_load_n(j->shift + c, lanes)));
    if (!unpools && j->dresidual) {
        vf old = j->accumulate_residual ? v_load_n(j->dresidual + at, lanes) : v_zero();
        v_store_n(j->dresidual + at, lanes, v_add(old, d));
    }
    if (unpools && j->streams && lanes == VL)
        v_stream(j->out + at, dx);
    else
        v_store_n(j->out + at, lanes, dx);
}

ALWAYS_INLINE void gradient_range_of(const struct bn_job *j, const bool unpools, size_t piece)
{
    struct run run;
    for (size_t row = range_start(j, piece), end = range_start(j, piece + 1); row < end;)
        for (run_from(j, unpools, row, end, &run); row < run.end; row++) {
            int c = 0;
            for (; c + VL <= j->bn.c; c += VL)
                gradient_vector(j, unpools, &run, row * j->ld + c, c, VL);
            if (c < j->bn.c)
                gradient_vector(j, unpools, &run, row * j->ld + c, c, j->bn.c - c);
        }
}

static void gradient_range(void *ctx, size_t piece, int worker)
{
    (void)worker;
    gradient_range_of(ctx, false, piece);
}

static void gradient_pooled_range(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct bn_job *j = ctx;
    gradient_range_of(j, true, piece);
    if (j->streams)
        v_stream_end();
}

/* The ranges' sums of one channel; sum(dy) and sum(dy * xhat) go into the gradients and into dx's coefficients. */
static void merge_gradients(struct bn_job *j, int c, float *dgamma, float *dbeta)
{
    double sum = 0, dot = 0, rows = (double)j->bn.rows;
    for (int i = 0; i < j->pieces; i++) {
        sum += j->first[i][c];
        dot += j->second[i][c];
    }
    dot *= j->bn.inv_std[c];
    *dbeta = (float)(*dbeta + sum);
    *dgamma = (float)(*dgamma + dot);
    double scale = (double)j->bn.gamma[c] * j->bn.inv_std[c];
    j->scale[c] = (float)scale;
    j->slope[c] = (float)(-scale * dot / rows * j->bn.inv_std[c]);
    j->shift[c] = (float)(-scale * sum / rows);
}

static void bn_backward(const struct eq_bn *bn, const float *x, const float *y, bool mask_from_x, const float *dy,
                        bool batch_stats, float *dx, float *dgamma, float *dbeta, float *dresidual,
                        bool accumulate_residual)
{
    struct bn_job job;
    job.ld = (size_t)bn->c;
    job.mask_from_x = mask_from_x;
    job.batch_stats = batch_stats;
    job.accumulate_residual = accumulate_residual;
    for (int first = 0; first < bn->c; first += MAX_CHANNELS) {
        job.bn = channels_from(bn, first);
        job.x = x + first;
        job.y = y ? y + first : NULL;
        job.dy = dy + first;
        job.out = dx + first;
        job.dresidual = dresidual ? dresidual + first : NULL;
        set_apply_scale(&job);
        for_ranges(&job, sum_range);
        for (int i = 0; i < job.bn.c; i++)
            merge_gradients(&job, i, dgamma + first + i, dbeta + first + i);
        for_ranges(&job, gradient_range);
    }
}

static void bn_relu_maxpool_backward(const struct eq_bn *bn, const struct eq_pool_shape *p, const float *x,
                                     const float *dy, const uint8_t *argmax, bool batch_stats, float *dx, float *dgamma,
                                     float *dbeta)
{
    assert(p->k * p->k <= EQ_POOL_TAPS);
    struct bn_job job;
    job.ld = (size_t)bn->c;
    job.batch_stats = batch_stats;
    for (int first = 0; first < bn->c; first += MAX_CHANNELS) {
        job.bn = channels_from(bn, first);
        job.x = x + first;
        job.pooled = (struct unpool){*p, dy + first, argmax + first};
        job.out = dx + first;
        job.streams = v_streams(dx, bn->rows * (size_t)bn->c) && bn->c % VL == 0;
        set_apply_scale(&job);
        for_ranges(&job, sum_pooled_range);
        for (int i = 0; i < job.bn.c; i++)
            merge_gradients(&job, i, dgamma + first + i, dbeta + first + i);
        for_ranges(&job, gradient_pooled_range);
    }
}

void ISA_NAME(eq_f32_bn_fill)(struct eq_f32_table *table)
{
    table->bn_stats = bn_stats;
    table->bn_apply = bn_apply;
    table->bn_backward = bn_backward;
    table->bn_relu_maxpool_backward = bn_relu_maxpool_backward;
}
