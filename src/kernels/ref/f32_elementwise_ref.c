/* The meaning of the kernels that treat every value alone: activations, optimizer steps, fake quantization. */
#include "kernels/fill.h"

#include <math.h>

struct binary {
    const float *a, *b;
    float *y;
};

static void relu_forward_span(const void *ctx, size_t lo, size_t hi)
{
    const struct binary *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->y[i] = j->a[i] < 0 ? 0 : j->a[i];
}

static void relu_forward(const float *x, size_t n, float *y)
{
    eq_for_spans(n, relu_forward_span, &(struct binary){x, NULL, y});
}

static void relu_backward_span(const void *ctx, size_t lo, size_t hi)
{
    const struct binary *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->y[i] = j->a[i] > 0 ? j->b[i] : 0;
}

static void relu_backward(const float *y, const float *dy, size_t n, float *dx)
{
    eq_for_spans(n, relu_backward_span, &(struct binary){y, dy, dx});
}

static void add_span(const void *ctx, size_t lo, size_t hi)
{
    const struct binary *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->y[i] = j->a[i] + j->b[i];
}

static void add(const float *a, const float *b, size_t n, float *y)
{
    eq_for_spans(n, add_span, &(struct binary){a, b, y});
}

/* ---- optimizer steps ----------------------------------------------------- */

struct step {
    float *w, *m, *v;
    const float *g;
    float lr, b1, b2, eps, decay, c1, c2;
};

static void adamw_span(const void *ctx, size_t lo, size_t hi)
{
    const struct step *j = ctx;
    float keep = 1 - j->lr * j->decay, rate = j->lr / j->c1, root = 1 / sqrtf(j->c2);
    for (size_t i = lo; i < hi; i++) {
        float g = j->g[i];
        j->m[i] = fmaf(j->b1, j->m[i], (1 - j->b1) * g);
        j->v[i] = fmaf(j->b2, j->v[i], (1 - j->b2) * g * g);
        j->w[i] = j->w[i] * keep - rate * j->m[i] / fmaf(sqrtf(j->v[i]), root, j->eps);
    }
}

static void adamw_step(float *w, const float *g, float *m, float *v, size_t n, float lr, float b1, float b2, float eps,
                       float decay, float c1, float c2)
{
    eq_for_spans(n, adamw_span, &(struct step){w, m, v, g, lr, b1, b2, eps, decay, c1, c2});
}

static void sgd_span(const void *ctx, size_t lo, size_t hi)
{
    const struct step *j = ctx;
    for (size_t i = lo; i < hi; i++) {
        float g = fmaf(j->decay, j->w[i], j->g[i]);
        j->m[i] = fmaf(j->b1, j->m[i], g);
        j->w[i] = fmaf(-j->lr, j->m[i], j->w[i]);
    }
}

static void sgd_step(float *w, const float *g, float *buf, size_t n, float lr, float momentum, float decay)
{
    eq_for_spans(n, sgd_span, &(struct step){.w = w, .m = buf, .g = g, .lr = lr, .b1 = momentum, .decay = decay});
}

/* ---- fake quantization --------------------------------------------------- */

struct fake_quant {
    const float *x;
    float *y;
    uint8_t *mask;
    float scale, zp, qmin, qmax;
};

/* A NaN stays one. q needs no integer: floats hold every whole number that the clamp lets through. */
static void fake_quant_span(const void *ctx, size_t lo, size_t hi)
{
    const struct fake_quant *j = ctx;
    float inverse = 1 / j->scale;
    for (size_t i = lo; i < hi; i++) {
        float q = nearbyintf(j->x[i] * inverse) + j->zp;
        if (j->mask)
            j->mask[i] = q >= j->qmin && q <= j->qmax;
        q = q < j->qmin ? j->qmin : q > j->qmax ? j->qmax : q;
        j->y[i] = (q - j->zp) * j->scale;
    }
}

static void fake_quant(const float *x, size_t n, float scale, int zp, int qmin, int qmax, float *y, uint8_t *mask)
{
    struct fake_quant job = {x, y, mask, scale, (float)zp, (float)qmin, (float)qmax};
    eq_for_spans(n, fake_quant_span, &job);
}

struct mask {
    const uint8_t *mask;
    const float *dy;
    float *dx;
};

static void mask_backward_span(const void *ctx, size_t lo, size_t hi)
{
    const struct mask *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->dx[i] = j->mask[i] ? j->dy[i] : 0;
}

static void mask_backward(const uint8_t *mask, const float *dy, size_t n, float *dx)
{
    eq_for_spans(n, mask_backward_span, &(struct mask){mask, dy, dx});
}

void eq_f32_elementwise_fill__ref(struct eq_f32_table *table)
{
    table->relu_forward = relu_forward;
    table->relu_backward = relu_backward;
    table->add = add;
    table->adamw_step = adamw_step;
    table->sgd_step = sgd_step;
    table->fake_quant = fake_quant;
    table->mask_backward = mask_backward;
}
