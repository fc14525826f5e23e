/* Weights of Winograd's domain, for everything that rounds or trains them. */
#include "echoquant/nn.h"

struct transform {
    const float *w, *factor;
    int cout, cin;
    float *u;
};

/* An output channel, of the weights that folding makes. */
static void transform_channel(void *ctx, size_t oc, int worker)
{
    const struct transform *j = ctx;
    const size_t cin = (size_t)j->cin, cout = (size_t)j->cout;
    (void)worker;
    eq_f32_domain_kernels()->weights(&(struct eq_f32_domain_weights){.w = j->w + oc * cin * 9,
                                                                     .n = cin,
                                                                     .plane = cout * cin,
                                                                     .factor = j->factor ? j->factor[oc] : 1,
                                                                     .u = j->u + oc * cin});
}

void eq_domain_weights_forward(const float *w, int cout, int cin, const float *factor, float *u)
{
    struct transform j = {w, factor, cout, cin, u};
    eq_parallel_for((size_t)cout, transform_channel, &j);
}
