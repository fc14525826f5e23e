/* What the families of kernels share: a convolution's shape, and re-making all tables at once. */
#include "echoquant/kernels.h"
#include "kernels/f32.h"
#include "kernels/u8s8.h"

void eq_conv_shape_init(struct eq_conv_shape *s, int b, int t, int h, int w, int cin, int cout, int k, int stride,
                        int pad, enum eq_layout src_layout)
{
    *s = (struct eq_conv_shape){.b = b,
                                .t = t,
                                .h = h,
                                .w = w,
                                .cin = cin,
                                .cout = cout,
                                .k = k,
                                .stride = stride,
                                .pad = pad,
                                .oh = (h + 2 * pad - k) / stride + 1,
                                .ow = (w + 2 * pad - k) / stride + 1,
                                .src_layout = src_layout};
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
    double taps =
        taps_of_axis(s->oh, s->h, s->k, s->stride, s->pad) * taps_of_axis(s->ow, s->w, s->k, s->stride, s->pad);
    return taps * s->b * s->t * s->cin * s->cout;
}

void eq_kernels_init(void)
{
    eq_f32_table_init();
    eq_u8s8_table_init();
}
