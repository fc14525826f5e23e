/*
 * Template: kernels that treat every value alone. Each is one function on n <= VL values, and a macro makes the loop
 * over a span.
 */
#include "kernels/fill.h"
#include "kernels/x86/vec.h"

#include <math.h>

#define SPAN_OF(kernel)                                                                                                \
    static void kernel##_span(const void *ctx, size_t lo, size_t hi)                                                   \
    {                                                                                                                  \
        for (; lo + VL <= hi; lo += VL)                                                                                \
            kernel(ctx, lo, VL);                                                                                       \
        if (lo < hi)                                                                                                   \
            kernel(ctx, lo, (int)(hi - lo));                                                                           \
    }

struct binary {
    const float *a, *b;
    float *y;
};

ALWAYS_INLINE void relu_up(const struct binary *j, size_t i, int n)
{
    v_store_n(j->y + i, n, v_max(v_zero(), v_load_n(j->a + i, n)));
}
SPAN_OF(relu_up)

static void relu_forward(const float *x, size_t n, float *y)
{
    eq_for_spans(n, relu_up_span, &(struct binary){x, NULL, y});
}

ALWAYS_INLINE void relu_down(const struct binary *j, size_t i, int n)
{
    vcond passed = v_gt(v_load_n(j->a + i, n), v_zero());
    v_store_n(j->y + i, n, v_select(passed, v_load_n(j->b + i, n), v_zero()));
}
SPAN_OF(relu_down)

static void relu_backward(const float *y, const float *dy, size_t n, float *dx)
{
    eq_for_spans(n, relu_down_span, &(struct binary){y, dy, dx});
}

ALWAYS_INLINE void add_two(const struct binary *j, size_t i, int n)
{
    v_store_n(j->y + i, n, v_add(v_load_n(j->a + i, n), v_load_n(j->b + i, n)));
}
SPAN_OF(add_two)

static void add(const float *a, const float *b, size_t n, float *y)
{
    eq_for_spans(n, add_two_span, &(struct binary){a, b, y});
}

/* ---- optimizer steps ----------------------------------------------------- */

struct step {
    float *w, *m, *v;
    const float *g;
    float lr, b1, b2, eps, decay, keep, rate, root;
};

ALWAYS_INLINE void adamw(const struct step *j, size_t i, int n)
{
    vf g = v_load_n(j->g + i, n), w = v_load_n(j->w + i, n);
    vf m = v_fma(v_set1(j->b1), v_load_n(j->m + i, n), v_mul(v_set1(1 - j->b1), g));
    vf v = v_fma(v_set1(j->b2), v_load_n(j->v + i, n), v_mul(v_mul(v_set1(1 - j->b2), g), g));
    vf down = v_fma(v_sqrt(v), v_set1(j->root), v_set1(j->eps));
    v_store_n(j->m + i, n, m);
    v_store_n(j->v + i, n, v);
    v_store_n(j->w + i, n, v_sub(v_mul(w, v_set1(j->keep)), v_div(v_mul(v_set1(j->rate), m), down)));
}
SPAN_OF(adamw)

static void adamw_step(float *w, const float *g, float *m, float *v, size_t n, float lr, float b1, float b2, float eps,
                       float decay, float c1, float c2)
{
    struct step job = {.w = w, .m = m, .v = v, .g = g, .b1 = b1, .b2 = b2, .eps = eps};
    job.keep = 1 - lr * decay;
    job.rate = lr / c1;
    job.root = 1 / sqrtf(c2);
    eq_for_spans(n, adamw_span, &job);
}

ALWAYS_INLINE void sgd(const struct step *j, size_t i, int n)
{
    vf w = v_load_n(j->w + i, n), g = v_fma(v_set1(j->decay), w, v_load_n(j->g + i, n));
    vf m = v_fma(v_set1(j->b1), v_load_n(j->m + i, n), g);
    v_store_n(j->m + i, n, m);
    v_store_n(j->w + i, n, v_fnma(v_set1(j->lr), m, w));
}
SPAN_OF(sgd)

static void sgd_step(float *w, const float *g, float *buf, size_t n, float lr, float momentum, float decay)
{
    eq_for_spans(n, sgd_span, &(struct step){.w = w, .m = buf, .g = g, .lr = lr, .b1 = momentum, .decay = decay});
}

/* ---- fake quantization --------------------------------------------------- */

struct fake_quant {
    const float *x;
    float *y;
    uint8_t *mask;
    float inverse, scale, zp, qmin, qmax;
};

/* v_min and v_max let a NaN in their second operand through. */
ALWAYS_INLINE vf quantize(const struct fake_quant *j, vf x)
{
    return v_add(v_round(v_mul(x, v_set1(j->inverse))), v_set1(j->zp));
}

ALWAYS_INLINE vf dequantize(const struct fake_quant *j, vf q)
{
    q = v_min(v_set1(j->qmax), v_max(v_set1(j->qmin), q));
    return v_mul(v_sub(q, v_set1(j->zp)), v_set1(j->scale));
}

ALWAYS_INLINE void fake_quant_plain(const struct fake_quant *j, size_t i, int n)
{
    v_store_n(j->y + i, n, dequantize(j, quantize(j, v_load_n(j->x + i, n))));
}
SPAN_OF(fake_quant_plain)

ALWAYS_INLINE void fake_quant_masked(const struct fake_quant *j, size_t i, int n)
{
    vf q = quantize(j, v_load_n(j->x + i, n));
    vcond inside = v_and(v_ge(q, v_set1(j->qmin)), v_ge(v_set1(j->qmax), q));
    v_store_u8_n(j->mask + i, n, v_select(inside, v_set1(1), v_zero()));
    v_store_n(j->y + i, n, dequantize(j, q));
}
SPAN_OF(fake_quant_masked)

static void fake_quant(const float *x, size_t n, float scale, int zp, int qmin, int qmax, float *y, uint8_t *mask)
{
    struct fake_quant job = {x, y, mask, 1 / scale, scale, (float)zp, (float)qmin, (float)qmax};
    eq_for_spans(n, mask ? fake_quant_masked_span : fake_quant_plain_span, &job);
}

struct mask {
    const uint8_t *mask;
    const float *dy;
    float *dx;
};

ALWAYS_INLINE void mask_down(const struct mask *j, size_t i, int n)
{
    vcond passed = v_gt(v_load_u8_n(j->mask + i, n), v_zero());
    v_store_n(j->dx + i, n, v_select(passed, v_load_n(j->dy + i, n), v_zero()));
}
SPAN_OF(mask_down)

static void mask_backward(const uint8_t *mask, const float *dy, size_t n, float *dx)
{
    eq_for_spans(n, mask_down_span, &(struct mask){mask, dy, dx});
}

void ISA_NAME(eq_f32_elementwise_fill)(struct eq_f32_table *table)
{
    table->relu_forward = relu_forward;
    table->relu_backward = relu_backward;
    table->add = add;
    table->adamw_step = adamw_step;
    table->sgd_step = sgd_step;
    table->fake_quant = fake_quant;
    table->mask_backward = mask_backward;
}
