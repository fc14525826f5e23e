/*
 * AdaRound of one layer (Nagel et al., "Up or down? Adaptive rounding for post-training quantization", ICML 2020). w =
 * s * clamp(floor(w / s) + h), h = clamp(1.2 sigmoid(a) - 0.1, 0, 1). Adam minimizes over a: mean squared error of the
 * outputs + lambda * sum(1 - |2h - 1|^beta). The second term starts after a fifth of the steps; beta falls from 20 to
 * 2 along half a cosine (AIMET's schedule; here in whole numbers).
 */
#include "quant/adaround.h"
#include "quant/quant_graph.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { BLOCK = 32, BATCH = 128 }; /* channels of a piece of work, samples of a step */

/* One block of channels, [channels][k] each. */
struct block {
    const struct eq_rounding_problem *p;
    int first, channels;
    float *base, *a, *h, *w, *dw, *m, *v; /* floor(w / s), the variable, h(a), soft weights, gradient, Adam's moments */
    float *y;                             /* [BATCH][channels] */
};

static float soft_of(float a)
{
    float h = 1.2f / (1.0f + expf(-a)) - 0.1f;
    return h < 0 ? 0 : h > 1 ? 1 : h;
}

static float clamp_q(const struct eq_rounding_problem *p, float q)
{
    return q < (float)p->fq->qmin ? (float)p->fq->qmin : q > (float)p->fq->qmax ? (float)p->fq->qmax : q;
}

/* Starts from FP32: a is such that h is the weight's own fraction. */
static void start_block(struct block *b)
{
    const struct eq_rounding_problem *p = b->p;
    for (int c = 0; c < b->channels; c++) {
        float inv = 1.0f / p->fq->scale[b->first + c];
        for (int i = 0; i < p->k; i++) {
            size_t at = (size_t)c * p->k + i;
            float x = p->weights[(size_t)b->first * p->k + at] * inv, low = floorf(x);
            b->base[at] = low;
            b->a[at] = -logf(1.2f / (x - low + 0.1f) - 1.0f);
        }
    }
}

static void soft_weights(struct block *b)
{
    for (int c = 0; c < b->channels; c++)
        for (int i = 0; i < b->p->k; i++) {
            size_t at = (size_t)c * b->p->k + i;
            b->h[at] = soft_of(b->a[at]);
            b->w[at] = clamp_q(b->p, b->base[at] + b->h[at]) * b->p->fq->scale[b->first + c];
        }
}

/* y = x w^T + bias for `rows` rows from `row` on, with ReLU where the layer has one. */
static void outputs(const struct block *b, const float *w, int row, int rows)
{
    const struct eq_rounding_problem *p = b->p;
    eq_sgemm(false, true, rows, b->channels, p->k, 1, p->x + (size_t)row * p->k, p->k, w, p->k, 0, b->y, b->channels);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < b->channels; c++) {
            float y = b->y[r * b->channels + c] + p->bias[b->first + c];
            b->y[r * b->channels + c] = p->relu && y < 0 ? 0 : y;
        }
}

static float target_of(const struct block *b, int row, int c)
{
    float t = b->p->target[(size_t)row * b->p->cout + b->first + c];
    return b->p->relu && t < 0 ? 0 : t;
}

/* dw = d(mean squared error) / dw. A value that the ReLU cut passes no gradient. */
static void weight_gradient(struct block *b, int row, int rows)
{
    const struct eq_rounding_problem *p = b->p;
    outputs(b, b->w, row, rows);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < b->channels; c++) {
            float *y = &b->y[r * b->channels + c];
            *y = p->relu && *y <= 0 ? 0 : 2 * (*y - target_of(b, row + r, c)) / (float)rows;
        }
    eq_sgemm(true, false, b->channels, p->k, rows, 1, b->y, b->channels, p->x + (size_t)row * p->k, p->k, 0, b->dw,
             p->k);
}

static float power(float x, int n)
{
    float r = 1;
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1)
            r *= x;
    return r;
}

/* d(1 - |2h - 1|^beta) / dh */
static float regularizer_slope(float h, int beta)
{
    float d = 2 * h - 1, slope = -2 * (float)beta * power(fabsf(d), beta - 1);
    return d < 0 ? -slope : slope;
}

static void adam_step(struct block *b, int step, int beta)
{
    const struct eq_rounding_problem *p = b->p;
    const float lr = (float)p->lr, lambda = beta ? (float)p->lambda : 0;
    const float c1 = 1.0f / (1.0f - powf(0.9f, (float)step)), c2 = 1.0f / (1.0f - powf(0.999f, (float)step));
    for (int c = 0; c < b->channels; c++)
        for (int i = 0; i < p->k; i++) {
            size_t at = (size_t)c * p->k + i;
            float h = b->h[at], q = b->base[at] + h, sigmoid = (h + 0.1f) / 1.2f, g = 0;
            if (h > 0 && h < 1) { /* elsewhere the rectified sigmoid is flat */
                g = q > (float)p->fq->qmin && q < (float)p->fq->qmax ? b->dw[at] * p->fq->scale[b->first + c] : 0;
                g += lambda * regularizer_slope(h, beta);
                g *= 1.2f * sigmoid * (1 - sigmoid);
            }
            b->m[at] = 0.9f * b->m[at] + 0.1f * g;
            b->v[at] = 0.999f * b->v[at] + 0.001f * g * g;
            b->a[at] -= lr * (b->m[at] * c1) / (sqrtf(b->v[at] * c2) + 1e-8f);
        }
}

/* 0: no regularizer yet. */
static int beta_at(const struct eq_rounding_problem *p, int step)
{
    double warm = 0.2 * p->steps;
    if (step < warm)
        return 0;
    double done = (step - warm) / (p->steps - warm);
    return (int)lround(2 + 0.5 * 18 * (1 + cos(done * 3.14159265358979323846)));
}

/* Squared error of each channel over all samples. */
static void channel_errors(struct block *b, const float *w, double *error)
{
    memset(error, 0, (size_t)b->channels * sizeof *error);
    for (int row = 0; row < b->p->n; row += BATCH) {
        int rows = b->p->n - row < BATCH ? b->p->n - row : BATCH;
        outputs(b, w, row, rows);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < b->channels; c++) {
                double e = (double)b->y[r * b->channels + c] - target_of(b, row + r, c);
                error[c] += e * e;
            }
    }
}

/* Rounds as learned and to nearest; each channel takes the one with the smaller error. */
static void finish_block(struct block *b)
{
    const struct eq_rounding_problem *p = b->p;
    double learned[BLOCK], nearest[BLOCK];
    float *weights = p->weights + (size_t)b->first * p->k;
    soft_weights(b);
    for (int c = 0; c < b->channels; c++)
        for (int i = 0; i < p->k; i++) {
            size_t at = (size_t)c * p->k + i;
            float s = p->fq->scale[b->first + c];
            b->w[at] = clamp_q(p, b->base[at] + (b->h[at] >= 0.5f ? 1.0f : 0.0f)) * s;
            b->dw[at] = (float)eq_quantize_weight(weights[at], 1.0f / s, p->fq->qmin, p->fq->qmax) * s;
        }
    channel_errors(b, b->w, learned);
    channel_errors(b, b->dw, nearest);
    for (int c = 0; c < b->channels; c++) {
        const float *best = learned[c] < nearest[c] ? b->w : b->dw;
        memcpy(weights + (size_t)c * p->k, best + (size_t)c * p->k, (size_t)p->k * sizeof *weights);
    }
}

struct layer_job {
    const struct eq_rounding_problem *p;
    atomic_bool no_memory;
};

static void block_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    struct layer_job *j = ctx;
    const struct eq_rounding_problem *p = j->p;
    struct block b = {.p = p, .first = (int)piece * BLOCK};
    b.channels = p->cout - b.first < BLOCK ? p->cout - b.first : BLOCK;
    size_t n = (size_t)b.channels * p->k;
    float *memory = eq_alloc(7 * n + (size_t)BATCH * b.channels, sizeof *memory);
    if (!memory) {
        j->no_memory = true;
        return;
    }
    float **parts[] = {&b.base, &b.a, &b.h, &b.w, &b.dw, &b.m, &b.v};
    for (int i = 0; i < 7; i++)
        *parts[i] = memory + (size_t)i * n;
    b.y = memory + 7 * n;
    start_block(&b);
    int batches = p->n / BATCH > 0 ? p->n / BATCH : 1, rows = p->n < BATCH ? p->n : BATCH;
    for (int step = 0; step < p->steps && !eq_interrupted(); step++) {
        soft_weights(&b);
        weight_gradient(&b, step % batches * BATCH, rows);
        adam_step(&b, step + 1, beta_at(p, step));
    }
    finish_block(&b);
    eq_free(memory);
}

enum eq_status eq_round_layer(const struct eq_rounding_problem *p, struct eq_err *err)
{
    struct layer_job job = {.p = p};
    eq_parallel_for(((size_t)p->cout + BLOCK - 1) / BLOCK, block_piece, &job);
    if (eq_interrupted())
        return eq_fail(err, EQ_INTERRUPTED, "interrupted while rounding weights");
    return job.no_memory ? eq_fail(err, EQ_NOMEM, "out of memory for AdaRound") : EQ_OK;
}
