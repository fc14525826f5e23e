/* Fake quantization with straight-through gradients, and the learned step size of LSQ. */
#include "echoquant/nn.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 4096 }; /* values that stay in the first-level cache between two passes over them */

static void quantize(const float *x, size_t n, const struct eq_qparams *p, float *y, uint8_t *mask)
{
    eq_f32_kernels()->fake_quant(x, n, p->scale, p->zero_point, p->qmin, p->qmax, y, mask);
}

struct fq_job {
    const float *x;
    size_t n;
    const struct eq_qparams *p;
    float *y;
    uint8_t *mask;
};

/* Writing y over x destroys the input of the ReLU's mask, so its bits are saved chunk by chunk. */
static void relu_chunk(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct fq_job *j = ctx;
    size_t first = piece * CHUNK, n = j->n - first < CHUNK ? j->n - first : CHUNK;
    uint8_t positive[CHUNK], *mask = j->mask + first;
    for (size_t i = 0; i < n; i++)
        positive[i] = j->x[first + i] > 0.0f;
    quantize(j->x + first, n, j->p, j->y + first, mask);
    for (size_t i = 0; i < n; i++)
        mask[i] &= positive[i];
}

void eq_fake_quant_forward(const float *x, size_t n, const struct eq_qparams *p, bool relu, float *y, uint8_t *mask)
{
    if (relu && mask) {
        struct fq_job job = {x, n, p, y, mask};
        eq_parallel_for((n + CHUNK - 1) / CHUNK, relu_chunk, &job);
    } else {
        quantize(x, n, p, y, mask);
    }
}

void eq_fake_quant_backward(const uint8_t *mask, const float *dy, size_t n, float *dx)
{
    eq_f32_kernels()->mask_backward(mask, dy, n, dx);
}

/* d x_hat / d scale of one value v = x / scale. Adding 1.5 * 2^23 leaves no fraction bits: it rounds to even,
 * as long as |v| < 2^22. */
static inline float lsq_slope(float v, float zp, float qmin, float qmax)
{
    const float magic = 0x1.8p23f, far = 0x1p21f;
    v = v > far ? far : v < -far ? -far : v;
    float rounded = (v + magic) - magic, q = rounded + zp;
    return q < qmin ? qmin - zp : q > qmax ? qmax - zp : rounded - v;
}

/* Sum over n values of dy * d x_hat / d scale. Eight sums side by side, so that a compiler can use vectors; their
 * number and order are fixed. */
static double lsq_sum(const float *x, float factor, const float *dy, size_t n, const struct eq_qparams *p)
{
    const float inv_scale = 1.0f / p->scale, zp = (float)p->zero_point;
    const float qmin = (float)p->qmin, qmax = (float)p->qmax;
    double sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            sum[k] += (double)(dy[i + k] * lsq_slope(x[i + k] * factor * inv_scale, zp, qmin, qmax));
    for (; i < n; i++)
        sum[i % 8] += (double)(dy[i] * lsq_slope(x[i] * factor * inv_scale, zp, qmin, qmax));
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

enum { LSQ_PIECES = 64 };

struct lsq_job {
    const float *x, *dy;
    size_t n;
    const struct eq_qparams *p;
    double sum[LSQ_PIECES];
};

static void lsq_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    struct lsq_job *j = ctx;
    size_t first = j->n * piece / LSQ_PIECES, end = j->n * (piece + 1) / LSQ_PIECES;
    j->sum[piece] = lsq_sum(j->x + first, 1.0f, j->dy + first, end - first, j->p);
}

static double lsq_gradient_scale(size_t n, const struct eq_qparams *p)
{
    return 1 / sqrt((double)n * p->qmax);
}

double eq_lsq_scale_grad(const float *x, const float *dy, size_t n, const struct eq_qparams *p)
{
    struct lsq_job job = {.x = x, .dy = dy, .n = n, .p = p};
    eq_parallel_for(LSQ_PIECES, lsq_piece, &job);
    double sum = 0;
    for (int i = 0; i < LSQ_PIECES; i++)
        sum += job.sum[i];
    return sum * lsq_gradient_scale(n, p);
}

/* An operation on the rows of a weight matrix. */
struct rows_job {
    const float *w, *dy, *factor;
    size_t n;
    const struct eq_qparams *p;
    int p_step;
    float *out;
    uint8_t *mask;
};

static float row_factor(const float *factor, size_t row)
{
    return factor ? factor[row] : 1.0f;
}

static void lsq_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct rows_job *j = ctx;
    double sum = lsq_sum(j->w + row * j->n, row_factor(j->factor, row), j->dy + row * j->n, j->n, &j->p[row]);
    j->out[row] += (float)(sum * lsq_gradient_scale(j->n, &j->p[row]));
}

void eq_lsq_rows_grad(const float *w, const float *dy, int rows, size_t n, const float *factor,
                      const struct eq_qparams *p, int p_step, float *diff_scale)
{
    struct rows_job job = {w, dy, factor, n, p, p_step, diff_scale, NULL};
    if (p_step) {
        eq_parallel_for((size_t)rows, lsq_row, &job);
        return;
    }
    double sum = 0;
    for (size_t row = 0; row < (size_t)rows; row++)
        sum += lsq_sum(w + row * n, row_factor(factor, row), dy + row * n, n, p);
    diff_scale[0] += (float)(sum * lsq_gradient_scale((size_t)rows * n, p));
}

static void forward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct rows_job *j = ctx;
    size_t at = row * j->n;
    float f = row_factor(j->factor, row);
    for (size_t i = 0; i < j->n; i++)
        j->out[at + i] = j->w[at + i] * f;
    if (j->p)
        quantize(j->out + at, j->n, &j->p[row * (size_t)j->p_step], j->out + at, j->mask ? j->mask + at : NULL);
}

void eq_fake_quant_rows_forward(const float *w, int rows, size_t n, const float *factor, const struct eq_qparams *p,
                                int p_step, float *y, uint8_t *mask)
{
    struct rows_job job = {w, NULL, factor, n, p, p_step, y, mask};
    eq_parallel_for((size_t)rows, forward_row, &job);
}

static void backward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct rows_job *j = ctx;
    float f = row_factor(j->factor, row);
    size_t first = row * j->n;
    for (size_t i = first; i < first + j->n; i++)
        j->out[i] += !j->mask || j->mask[i] ? j->dy[i] * f : 0.0f;
}

void eq_fake_quant_rows_backward(const uint8_t *mask, const float *dy, int rows, size_t n, const float *factor,
                                 float *dw)
{
    struct rows_job job = {NULL, dy, factor, n, NULL, 0, dw, (uint8_t *)mask}; /* mask is only read */
    eq_parallel_for((size_t)rows, backward_row, &job);
}
