/* The head: a matrix product so small that a fixed order of summation costs nothing. */
#include "echoquant/nn.h"

void eq_linear_forward(const float *x, const float *w, const float *bias, int b, int cin, int cout, float *y)
{
    for (int ib = 0; ib < b; ib++)
        for (int o = 0; o < cout; o++) {
            double sum = bias ? bias[o] : 0;
            for (int i = 0; i < cin; i++)
                sum += (double)w[(size_t)o * cin + i] * x[(size_t)ib * cin + i];
            y[(size_t)ib * cout + o] = (float)sum;
        }
}

static void backward_src(const float *w, const float *dy, int b, int cin, int cout, float *dx)
{
    for (int ib = 0; ib < b; ib++)
        for (int i = 0; i < cin; i++) {
            double sum = 0;
            for (int o = 0; o < cout; o++)
                sum += (double)w[(size_t)o * cin + i] * dy[(size_t)ib * cout + o];
            dx[(size_t)ib * cin + i] = (float)sum;
        }
}

static void backward_weights(const float *x, const float *dy, int b, int cin, int cout, float *dw)
{
    for (int o = 0; o < cout; o++)
        for (int i = 0; i < cin; i++) {
            double sum = 0;
            for (int ib = 0; ib < b; ib++)
                sum += (double)dy[(size_t)ib * cout + o] * x[(size_t)ib * cin + i];
            dw[(size_t)o * cin + i] += (float)sum;
        }
}

void eq_linear_backward(const float *x, const float *w, const float *dy, int b, int cin, int cout, float *dx, float *dw,
                        float *dbias)
{
    if (dx)
        backward_src(w, dy, b, cin, cout, dx);
    if (dw)
        backward_weights(x, dy, b, cin, cout, dw);
    for (int o = 0; dbias && o < cout; o++) {
        double sum = 0;
        for (int ib = 0; ib < b; ib++)
            sum += dy[(size_t)ib * cout + o];
        dbias[o] += (float)sum;
    }
}
