/*
 * The slots that treat every value alone, as jobs over spans of values: what ref/ and the x86 template share. The
 * including file defines the functions *_span, each of which treats the values lo..hi-1 of its job.
 */
#ifndef KERNELS_F32_ELEMENTWISE_H
#define KERNELS_F32_ELEMENTWISE_H

#include "kernels/fill.h"

typedef void span_fn(const void *ctx, size_t lo, size_t hi);
static span_fn relu_forward_span, relu_backward_span, add_span, adamw_span, sgd_span, fake_quant_span,
    mask_backward_span;

struct binary {
    const float *a, *b;
    float *y;
};

static void relu_forward(const float *x, size_t n, float *y)
{
    eq_for_spans(n, relu_forward_span, &(struct binary){x, NULL, y});
}

static void relu_backward(const float *y, const float *dy, size_t n, float *dx)
{
    eq_for_spans(n, relu_backward_span, &(struct binary){y, dy, dx});
}

static void add(const float *a, const float *b, size_t n, float *y)
{
    eq_for_spans(n, add_span, &(struct binary){a, b, y});
}

struct step {
    float *w, *m, *v;
    const float *g;
    float lr, b1, b2, eps, decay;
    float keep, rate, root; /* AdamW: w = keep * w - rate * m / (root * sqrt(v) + eps) */
};

static void adamw_step(float *w, const float *g, float *m, float *v, size_t n, float lr, float b1, float b2, float eps,
                       float decay, float c1, float c2)
{
    struct step job = {w, m, v, g, lr, b1, b2, eps, decay, 1 - lr * decay, lr / c1, 1 / sqrtf(c2)};
    eq_for_spans(n, adamw_span, &job);
}

static void sgd_step(float *w, const float *g, float *buf, size_t n, float lr, float momentum, float decay)
{
    eq_for_spans(n, sgd_span, &(struct step){.w = w, .m = buf, .g = g, .lr = lr, .b1 = momentum, .decay = decay});
}

struct fake_quant {
    const float *x;
    float *y;
    uint8_t *mask;
    float inverse, scale, zp, qmin, qmax;
};

static void fake_quant(const float *x, size_t n, float scale, int zp, int qmin, int qmax, float *y, uint8_t *mask)
{
    struct fake_quant job = {x, y, mask, 1 / scale, scale, (float)zp, (float)qmin, (float)qmax};
    eq_for_spans(n, fake_quant_span, &job);
}

struct mask {
    const uint8_t *mask;
    const float *dy;
    float *dx;
};

static void mask_backward(const uint8_t *mask, const float *dy, size_t n, float *dx)
{
    eq_for_spans(n, mask_backward_span, &(struct mask){mask, dy, dx});
}

static void fill_elementwise(struct eq_f32_table *table)
{
    table->relu_forward = relu_forward;
    table->relu_backward = relu_backward;
    table->add = add;
    table->adamw_step = adamw_step;
    table->sgd_step = sgd_step;
    table->fake_quant = fake_quant;
    table->mask_backward = mask_backward;
}

#endif
