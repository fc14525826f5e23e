/*
 * Template: kernels that treat every value alone. Each is one function on n <= VL values, and a macro makes the loop
 * over a span.
 */
#include "kernels/f32_elementwise.h"
#include "kernels/x86/vec.h"

#define SPAN_OF(kernel)                                                                                                \
    static void kernel##_span(const void *ctx, size_t lo, size_t hi)                                                   \
    {                                                                                                                  \
        for (; lo + VL <= hi; lo += VL)                                                                                \
            kernel##_n(ctx, lo, VL);                                                                                   \
        if (lo < hi)                                                                                                   \
            kernel##_n(ctx, lo, (int)(hi - lo));                                                                       \
    }

ALWAYS_INLINE void relu_forward_n(const struct binary *j, size_t i, int n)
{
    v_store_n(j->y + i, n, v_max(v_zero(), v_load_n(j->a + i, n)));
}
SPAN_OF(relu_forward)

ALWAYS_INLINE void relu_backward_n(const struct binary *j, size_t i, int n)
{
    vcond passed = v_gt(v_load_n(j->a + i, n), v_zero());
    v_store_n(j->y + i, n, v_select(passed, v_load_n(j->b + i, n), v_zero()));
}
SPAN_OF(relu_backward)

ALWAYS_INLINE void add_n(const struct binary *j, size_t i, int n)
{
    v_store_n(j->y + i, n, v_add(v_load_n(j->a + i, n), v_load_n(j->b + i, n)));
}
SPAN_OF(add)

/* ---- optimizer steps ----------------------------------------------------- */

ALWAYS_INLINE void adamw_n(const struct step *j, size_t i, int n)
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

ALWAYS_INLINE void sgd_n(const struct step *j, size_t i, int n)
{
    vf w = v_load_n(j->w + i, n), g = v_fma(v_set1(j->decay), w, v_load_n(j->g + i, n));
    vf m = v_fma(v_set1(j->b1), v_load_n(j->m + i, n), g);
    v_store_n(j->m + i, n, m);
    v_store_n(j->w + i, n, v_fnma(v_set1(j->lr), m, w));
}
SPAN_OF(sgd)

/* ---- fake quantization --------------------------------------------------- */

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

ALWAYS_INLINE void plain_n(const struct fake_quant *j, size_t i, int n)
{
    v_store_n(j->y + i, n, dequantize(j, quantize(j, v_load_n(j->x + i, n))));
}
SPAN_OF(plain)

ALWAYS_INLINE void masked_n(const struct fake_quant *j, size_t i, int n)
{
    vf q = quantize(j, v_load_n(j->x + i, n));
    vcond inside = v_and(v_ge(q, v_set1(j->qmin)), v_ge(v_set1(j->qmax), q));
    v_store_u8_n(j->mask + i, n, v_select(inside, v_set1(1), v_zero()));
    v_store_n(j->y + i, n, dequantize(j, q));
}
SPAN_OF(masked)

static void fake_quant_span(const void *ctx, size_t lo, size_t hi)
{
    (((const struct fake_quant *)ctx)->mask ? masked_span : plain_span)(ctx, lo, hi);
}

ALWAYS_INLINE void mask_backward_n(const struct mask *j, size_t i, int n)
{
    vcond passed = v_gt(v_load_u8_n(j->mask + i, n), v_zero());
    v_store_n(j->dx + i, n, v_select(passed, v_load_n(j->dy + i, n), v_zero()));
}
SPAN_OF(mask_backward)

void ISA_NAME(eq_f32_elementwise_fill)(struct eq_f32_table *table)
{
    fill_elementwise(table);
}
