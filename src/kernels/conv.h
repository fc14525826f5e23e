/* Where a convolution's windows lie, and how a kernel is defined; internal to the kernels floor. */
#ifndef KERNELS_CONV_H
#define KERNELS_CONV_H

#include "echoquant/kernels.h"

/* The taps lo..hi-1 of a k-wide window that fall inside 0..n-1 for output coordinate o; lo == hi when none does. */
struct eq_tap_range {
    int lo, hi;
};
static inline struct eq_tap_range eq_taps_inside(int o, int stride, int pad, int k, int n)
{
    int first = o * stride - pad;
    int lo = first < 0 ? -first : 0;
    int hi = first + k > n ? n - first : k;
    if (hi < 0)
        hi = 0;
    if (lo > hi)
        lo = hi;
    return (struct eq_tap_range){lo, hi};
}

/* The source coordinate that output coordinate out reads through tap; false when it lies on padding. */
static inline bool eq_conv_src_of(int out, int tap, int stride, int pad, int n_src, int *src)
{
    *src = out * stride - pad + tap;
    return *src >= 0 && *src < n_src;
}

/* The output coordinate that reads source coordinate src through tap, if there is one. */
static inline bool eq_conv_dst_of(int src, int tap, int stride, int pad, int n_out, int *out)
{
    int at = src + pad - tap;
    *out = at / stride;
    return at >= 0 && at % stride == 0 && *out < n_out;
}

/* Offset, in values, of channel 0 of a source pixel. */
static inline size_t eq_conv_src_at(const struct eq_conv_shape *s, int b, int frame, int y, int x)
{
    size_t at = s->src_layout == EQ_LAYOUT_CLIP ? (((size_t)b * s->t + frame) * s->h + y) * s->w + x
                                                : (((size_t)b * s->h + y) * s->w + x) * s->t + frame;
    return at * s->cin;
}

static inline size_t eq_conv_dst_at(const struct eq_conv_shape *s, int b, int frame, int y, int x)
{
    return ((((size_t)b * s->oh + y) * s->ow + x) * s->t + frame) * s->cout;
}

enum { EQ_POOL_TAPS = 64 }; /* of a pooling window, at most */

/* Offset, in values, of the source pixel under tap (ky, kx) of output pixel (oy, ox). */
static inline size_t eq_pool_src_at(const struct eq_pool_shape *p, int b, int oy, int ky, int ox, int kx)
{
    size_t y = (size_t)oy * p->stride - p->pad + ky, x = (size_t)ox * p->stride - p->pad + kx;
    return (((size_t)b * p->h + y) * p->w + x) * p->tc;
}

/* Answers that many kernels give: any shape; ResNet's pooling, 3 x 3 at stride 2; nothing packed; no scratch; one value
 * a weight. */
bool eq_conv_any(const struct eq_conv_shape *s);
bool eq_conv_pools_3_by_2(const struct eq_conv_shape *s, int pool_k, int pool_stride, int pool_pad);
size_t eq_conv_no_packed(const struct eq_conv_shape *s);
size_t eq_conv_no_scratch(const struct eq_conv_shape *s, int threads);
size_t eq_conv_weights(const struct eq_conv_shape *s);
size_t eq_conv_f32_weights_bytes(const struct eq_conv_shape *s);

/* The products of a layer in Winograd's domain, whose tiles of 3 have 5 points along their axis; packed bytes that are
 * its u as it came. */
double eq_domain_products(const struct eq_conv_shape *s);
size_t eq_domain_weights_bytes(const struct eq_conv_shape *s);

/* Defines the kernel eq_<stem>__<suffix>, whose name is that without the eq_; the rest of its fields follow. */
#define EQ_KERNEL(stem, suffix, level, ...)                                                                            \
    const struct eq_conv_kernel eq_##stem##__##suffix = {.name = #stem "__" #suffix, .isa = level, __VA_ARGS__};
#define REF_KERNEL(stem, ...) EQ_KERNEL(stem, ref, EQ_ISA_REF, __VA_ARGS__)

static inline size_t eq_align64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

#endif
