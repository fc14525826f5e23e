/* Weights of Winograd's domain, for everything that rounds or trains them. */
#include "echoquant/nn.h"

struct transform {
    const float *w, *factor;
    int cout, cin;
    float *u;
};

/* An output channel; floats of one are the products that folding makes. */
static void transform_channel(void *ctx, size_t oc, int worker)
{
    const struct transform *j = ctx;
    const float *w = j->w + oc * (size_t)j->cin * 9, factor = j->factor ? j->factor[oc] : 1;
    float *u = j->u + oc * (size_t)j->cin;
    (void)worker;
    for (int ci = 0; ci < j->cin; ci++, w += 9, u++) {
        float folded[9];
        double points[EQ_DOMAIN_POINTS];
        for (int i = 0; i < 9; i++)
            folded[i] = w[i] * factor;
        eq_domain_weights(folded, points);
        for (size_t p = 0; p < EQ_DOMAIN_POINTS; p++)
            u[p * (size_t)j->cout * (size_t)j->cin] = (float)points[p];
    }
}

void eq_domain_weights_forward(const float *w, int cout, int cin, const float *factor, float *u)
{
    struct transform j = {w, factor, cout, cin, u};
    eq_parallel_for((size_t)cout, transform_channel, &j);
}
