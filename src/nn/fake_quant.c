/* Fake quantization with straight-through gradients, and the learned step size of LSQ. */
#include "echoquant/nn.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 4096 }; /* values that stay in the first-level cache between two passes over them */

struct fq_job {
    const float *x;
    size_t n;
    const struct eq_fq_params *p;
    float *y;
    uint8_t *mask;
};

/* Writing y over x destroys what the ReLU's mask needs, so its bits are taken chunk by chunk. */
static void relu_chunk(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct fq_job *j = ctx;
    size_t first = piece * CHUNK, n = j->n - first < CHUNK ? j->n - first : CHUNK;
    uint8_t positive[CHUNK], *mask = j->mask + first;
    for (size_t i = 0; i < n; i++)
        positive[i] = j->x[first + i] > 0.0f;
    eq_f32_kernels()->fake_quant(j->x + first, n, j->p->scale, j->p->zero_point, j->p->qmin, j->p->qmax, j->y + first,
                                 mask);
    for (size_t i = 0; i < n; i++)
        mask[i] &= positive[i];
}

void eq_fake_quant_forward(const float *x, size_t n, const struct eq_fq_params *p, bool relu, float *y, uint8_t *mask)
{
    if (relu && mask) {
        struct fq_job job = {x, n, p, y, mask};
        eq_parallel_for((n + CHUNK - 1) / CHUNK, relu_chunk, &job);
    } else {
        eq_f32_kernels()->fake_quant(x, n, p->scale, p->zero_point, p->qmin, p->qmax, y, mask);
    }
}

void eq_fake_quant_backward(const uint8_t *mask, const float *dy, size_t n, float *dx)
{
    eq_f32_kernels()->mask_backward(mask, dy, n, dx);
}

/* d x_hat / d scale of one value. */
static float scale_derivative(float x, const struct eq_fq_params *p, float inv_scale)
{
    float v = x * inv_scale;
    float q = nearbyintf(v) + (float)p->zero_point;
    if (q < (float)p->qmin)
        return (float)(p->qmin - p->zero_point);
    if (q > (float)p->qmax)
        return (float)(p->qmax - p->zero_point);
    return nearbyintf(v) - v;
}

enum { LSQ_PIECES = 64 };

struct lsq_job {
    const float *x, *dy;
    float factor;
    size_t n;
    const struct eq_fq_params *p;
    double sum[LSQ_PIECES];
};

static void lsq_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    struct lsq_job *j = ctx;
    float inv_scale = 1.0f / j->p->scale;
    size_t first = j->n * piece / LSQ_PIECES, end = j->n * (piece + 1) / LSQ_PIECES;
    double sum = 0;
    for (size_t i = first; i < end; i++)
        sum += (double)j->dy[i] * scale_derivative(j->x[i] * j->factor, j->p, inv_scale);
    j->sum[piece] = sum;
}

double eq_lsq_scale_grad(const float *x, float factor, const float *dy, size_t n, const struct eq_fq_params *p)
{
    struct lsq_job job = {.x = x, .dy = dy, .factor = factor, .n = n, .p = p};
    eq_parallel_for(LSQ_PIECES, lsq_piece, &job);
    double sum = 0;
    for (int i = 0; i < LSQ_PIECES; i++)
        sum += job.sum[i];
    return sum / sqrt((double)n * p->qmax);
}

struct rows_job {
    const float *w, *factor;
    size_t n;
    const struct eq_fq_params *p;
    int p_step;
    float *y;
    uint8_t *mask;
};

static void forward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct rows_job *j = ctx;
    size_t at = row * j->n;
    float f = j->factor ? j->factor[row] : 1.0f;
    for (size_t i = 0; i < j->n; i++)
        j->y[at + i] = j->w[at + i] * f;
    if (!j->p)
        return;
    const struct eq_fq_params *p = &j->p[row * (size_t)j->p_step];
    eq_f32_kernels()->fake_quant(j->y + at, j->n, p->scale, p->zero_point, p->qmin, p->qmax, j->y + at,
                                 j->mask ? j->mask + at : NULL);
}

void eq_fake_quant_rows_forward(const float *w, int rows, size_t n, const float *factor, const struct eq_fq_params *p,
                                int p_step, float *y, uint8_t *mask)
{
    struct rows_job job = {w, factor, n, p, p_step, y, mask};
    eq_parallel_for((size_t)rows, forward_row, &job);
}

void eq_fake_quant_rows_backward(const uint8_t *mask, const float *dy, int rows, size_t n, const float *factor,
                                 float *dw)
{
    for (int row = 0; row < rows; row++) {
        float f = factor ? factor[row] : 1.0f;
        size_t at = (size_t)row * n;
        for (size_t i = at; i < at + n; i++)
            if (!mask || mask[i])
                dw[i] += dy[i] * f;
    }
}
