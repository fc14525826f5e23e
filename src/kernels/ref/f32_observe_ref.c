/* The meaning of the kernels that look at values and keep a few numbers: ranges, histograms, norms. */
#include "kernels/fill.h"

#include <math.h>

static void minmax(const float *x, size_t n, float *min, float *max)
{
    *min = *max = x[0];
    for (size_t i = 0; i < n; i++) {
        if (x[i] != x[i]) {
            *min = *max = x[i];
            return;
        }
        *min = x[i] < *min ? x[i] : *min;
        *max = x[i] > *max ? x[i] : *max;
    }
}

static void histogram(const float *x, size_t n, float lo, float hi, uint64_t *hist, int bins, float *min, float *max)
{
    minmax(x, n, min, max);
    float per_bin = eq_histogram_factor(lo, hi, bins);
    for (size_t i = 0; i < n; i++)
        if (x[i] >= lo && x[i] <= hi) {
            float at = (x[i] - lo) * per_bin;
            hist[at < (float)bins ? (int)at : bins - 1]++;
        }
}

static double sum_squares(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

void eq_f32_observe_fill__ref(struct eq_f32_table *table)
{
    table->minmax = minmax;
    table->histogram = histogram;
    table->sum_squares = sum_squares;
}
