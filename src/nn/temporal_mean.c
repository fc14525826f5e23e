/* Mean over the frames of a clip. */
#include "echoquant/nn.h"

void eq_temporal_mean_forward(const float *x, int b, int t, int c, float *y)
{
    for (int ib = 0; ib < b; ib++)
        for (int ic = 0; ic < c; ic++) {
            double sum = 0;
            for (int it = 0; it < t; it++)
                sum += x[((size_t)ib * t + it) * c + ic];
            y[(size_t)ib * c + ic] = (float)(sum / t);
        }
}

void eq_temporal_mean_backward(const float *dy, int b, int t, int c, float *dx)
{
    float inv = 1.0f / (float)t;
    for (int ib = 0; ib < b; ib++)
        for (int it = 0; it < t; it++)
            for (int ic = 0; ic < c; ic++)
                dx[((size_t)ib * t + it) * c + ic] = dy[(size_t)ib * c + ic] * inv;
}
