/* The meaning of max pooling's way back. */
#ifndef KERNELS_REF_F32_UNPOOL_H
#define KERNELS_REF_F32_UNPOOL_H

#include "kernels/conv.h"

/* A source value, i of its pixel's, gets the gradient of every window that it won, in the order of the taps. */
static inline float max_gradient_at(const struct eq_pool_shape *p, const float *dy, const uint8_t *argmax, int b, int y,
                                    int x, int i)
{
    float sum = 0;
    for (int ky = 0; ky < p->k; ky++)
        for (int kx = 0; kx < p->k; kx++) {
            int oy, ox;
            if (!eq_conv_dst_of(y, ky, p->stride, p->pad, p->oh, &oy) ||
                !eq_conv_dst_of(x, kx, p->stride, p->pad, p->ow, &ox))
                continue;
            size_t at = (((size_t)b * p->oh + oy) * p->ow + ox) * p->tc + i;
            if (argmax[at] == ky * p->k + kx)
                sum += dy[at];
        }
    return sum;
}

#endif
