/* MAE, RMSE, R2, bias, and the median with its interval. */
#include "echoquant/stats.h"

#include <math.h>
#include <stdlib.h>

struct eq_metrics eq_metrics_compute(const double *pred, const double *target, size_t n)
{
    struct eq_metrics m = {.mae = NAN, .rmse = NAN, .r2 = NAN, .bias = NAN, .clips = n};
    if (n == 0)
        return m;
    double sum = 0, abs_sum = 0, sq_sum = 0, signed_sum = 0;
    for (size_t i = 0; i < n; i++) {
        double e = pred[i] - target[i];
        sum += target[i];
        abs_sum += fabs(e);
        signed_sum += e;
        sq_sum += e * e;
    }
    double mean = sum / (double)n, total = 0;
    for (size_t i = 0; i < n; i++)
        total += (target[i] - mean) * (target[i] - mean);
    m.mae = abs_sum / (double)n;
    m.bias = signed_sum / (double)n;
    m.rmse = sqrt(sq_sum / (double)n);
    if (total > 0)
        m.r2 = 1 - sq_sum / total;
    return m;
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double eq_median_of(double *v, size_t n)
{
    if (n == 0)
        return NAN;
    qsort(v, n, sizeof *v, compare_double);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

void eq_median_interval(const double *sorted, size_t n, double *low, double *high)
{
    size_t k = 0;
    double below = 0, size = (double)n; /* P(X < k), X binomial (n, 1/2) */
    for (; k < n; k++) {
        double j = (double)k;
        below += exp(lgamma(size + 1) - lgamma(j + 1) - lgamma(size - j + 1) - size * log(2));
        if (below > 0.025)
            break;
    }
    *low = k > 0 ? sorted[k - 1] : NAN;
    *high = k > 0 ? sorted[n - k] : NAN;
}
