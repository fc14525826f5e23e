/* The gradient of a max pooling's source, a vector at a time. */
#ifndef KERNELS_X86_F32_UNPOOL_H
#define KERNELS_X86_F32_UNPOOL_H

#include "kernels/conv.h"
#include "kernels/x86/vec.h"

/* The gradient of the pooled values, and which tap won each. */
struct unpool {
    struct eq_pool_shape p;
    const float *dy;
    const uint8_t *argmax;
};

/* The windows that a source pixel lies in, in the order of the taps. */
struct windows {
    size_t at[EQ_POOL_TAPS];
    int tap[EQ_POOL_TAPS], n;
};

/* The taps of a window axis that meet source coordinate `at`, and the outputs that they belong to. */
struct window_axis {
    int tap[EQ_POOL_TAPS], out[EQ_POOL_TAPS], n;
};

static inline struct window_axis windows_along(const struct eq_pool_shape *p, int at, int n_out)
{
    struct window_axis axis;
    axis.n = 0;
    for (int tap = 0; tap < p->k; tap++)
        if (eq_conv_dst_of(at, tap, p->stride, p->pad, n_out, &axis.out[axis.n]))
            axis.tap[axis.n++] = tap;
    return axis;
}

/* pixel counts through all clips. */
static inline struct windows windows_of(const struct eq_pool_shape *p, size_t pixel)
{
    struct windows all;
    struct window_axis x = windows_along(p, (int)(pixel % p->w), p->ow);
    struct window_axis y = windows_along(p, (int)(pixel / p->w % p->h), p->oh);
    size_t b = pixel / p->w / p->h;
    all.n = 0;
    for (int i = 0; i < y.n; i++)
        for (int k = 0; k < x.n; k++) {
            all.tap[all.n] = y.tap[i] * p->k + x.tap[k];
            all.at[all.n++] = ((b * p->oh + y.out[i]) * p->ow + x.out[k]) * p->tc;
        }
    return all;
}

/* The gradient of n values of a pixel from its value i on. */
ALWAYS_INLINE vf unpooled(const struct unpool *from, const struct windows *all, size_t i, int n)
{
    vf sum = v_zero();
    for (int k = 0; k < all->n; k++) {
        vcond won = v_eq_u8_n(from->argmax + all->at[k] + i, n, all->tap[k]);
        sum = v_add(sum, v_select(won, v_load_n(from->dy + all->at[k] + i, n), v_zero()));
    }
    return sum;
}

#endif
