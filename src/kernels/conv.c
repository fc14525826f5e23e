/* The shape of a convolution, and the answers that many kernels share. */
#include "kernels/conv.h"

void eq_conv_shape_init(struct eq_conv_shape *s, int b, int t, int h, int w, int cin, int cout, int k, int stride,
                        int pad, enum eq_layout src_layout)
{
    int oh = (h + 2 * pad - k) / stride + 1, ow = (w + 2 * pad - k) / stride + 1;
    *s = (struct eq_conv_shape){b, t, h, w, cin, cout, k, stride, pad, oh, ow, src_layout};
}

/* Taps inside the picture, summed over the n output positions of one axis. */
static double taps_of_axis(int n_out, int n_in, int k, int stride, int pad)
{
    double taps = 0;
    for (int o = 0; o < n_out; o++) {
        struct eq_tap_range r = eq_taps_inside(o, stride, pad, k, n_in);
        taps += r.hi - r.lo;
    }
    return taps;
}

double eq_conv_macs(const struct eq_conv_shape *s)
{
    double rows = taps_of_axis(s->oh, s->h, s->k, s->stride, s->pad);
    return rows * taps_of_axis(s->ow, s->w, s->k, s->stride, s->pad) * s->b * s->t * s->cin * s->cout;
}

bool eq_conv_any(const struct eq_conv_shape *s)
{
    (void)s;
    return true;
}

bool eq_conv_pools_3_by_2(const struct eq_conv_shape *s, int pool_k, int pool_stride, int pool_pad)
{
    (void)s;
    return pool_k == 3 && pool_stride == 2 && pool_pad == 1;
}

size_t eq_conv_no_packed(const struct eq_conv_shape *s)
{
    (void)s;
    return 0;
}

size_t eq_conv_no_scratch(const struct eq_conv_shape *s, int threads)
{
    (void)s;
    (void)threads;
    return 0;
}

size_t eq_conv_weights(const struct eq_conv_shape *s)
{
    return (size_t)s->cout * s->cin * s->k * s->k;
}

size_t eq_conv_f32_weights_bytes(const struct eq_conv_shape *s)
{
    return eq_conv_weights(s) * sizeof(float);
}
