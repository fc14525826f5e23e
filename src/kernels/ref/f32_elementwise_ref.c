/* The meaning of the kernels that treat every value alone: activations, optimizer steps, fake quantization. */
#include "kernels/f32_elementwise.h"

static void relu_forward_span(const void *ctx, size_t lo, size_t hi)
{
    const struct binary *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->y[i] = j->a[i] < 0 ? 0 : j->a[i];
}

static void relu_backward_span(const void *ctx, size_t lo, size_t hi)
{
    const struct binary *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->y[i] = j->a[i] > 0 ? j->b[i] : 0;
}

static void add_span(const void *ctx, size_t lo, size_t hi)
{
    const struct binary *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->y[i] = j->a[i] + j->b[i];
}

static void adamw_span(const void *ctx, size_t lo, size_t hi)
{
    const struct step *j = ctx;
    for (size_t i = lo; i < hi; i++) {
        float g = j->g[i];
        j->m[i] = fmaf(j->b1, j->m[i], (1 - j->b1) * g);
        j->v[i] = fmaf(j->b2, j->v[i], (1 - j->b2) * g * g);
        j->w[i] = j->w[i] * j->keep - j->rate * j->m[i] / fmaf(sqrtf(j->v[i]), j->root, j->eps);
    }
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

/* A NaN stays one. q needs no integer: floats hold every whole number that the clamp lets through. */
static void fake_quant_span(const void *ctx, size_t lo, size_t hi)
{
    const struct fake_quant *j = ctx;
    for (size_t i = lo; i < hi; i++) {
        float q = nearbyintf(j->x[i] * j->inverse) + j->zp;
        if (j->mask)
            j->mask[i] = q >= j->qmin && q <= j->qmax;
        q = q < j->qmin ? j->qmin : q > j->qmax ? j->qmax : q;
        j->y[i] = (q - j->zp) * j->scale;
    }
}

static void mask_backward_span(const void *ctx, size_t lo, size_t hi)
{
    const struct mask *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->dx[i] = j->mask[i] ? j->dy[i] : 0;
}

void eq_f32_elementwise_fill__ref(struct eq_f32_table *table)
{
    fill_elementwise(table);
}
