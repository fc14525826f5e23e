/* Order statistics, the mean with its spread, histogram and empirical distribution of one sample. */
#include "echoquant/stats.h"

#include <math.h>
#include <stdlib.h>

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void eq_sort_doubles(double *v, size_t n)
{
    if (n > 1)
        qsort(v, n, sizeof *v, compare_double);
}

double eq_median_of(double *v, size_t n)
{
    if (n == 0)
        return NAN;
    eq_sort_doubles(v, n);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

double eq_quantile_of(const double *sorted, size_t n, double p)
{
    if (n == 0 || !(p >= 0 && p <= 1))
        return NAN;
    double at = p * (double)(n - 1), whole = floor(at), part = at - whole;
    size_t i = (size_t)whole;
    if (part == 0 || i + 1 >= n)
        return sorted[i];
    double a = sorted[i], b = sorted[i + 1]; /* from the nearer end, as NumPy does, so that it is monotonic in p */
    return part < 0.5 ? a + (b - a) * part : b - (b - a) * (1 - part);
}

void eq_median_interval(const double *sorted, size_t n, double *low, double *high)
{
    size_t k = 0;
    double below = 0, size = (double)n; /* P(X < k), X binomial (n, 1/2) */
    for (; k < n; k++) {
        double j = (double)k;
        int sign;
        below +=
            exp(lgamma_r(size + 1, &sign) - lgamma_r(j + 1, &sign) - lgamma_r(size - j + 1, &sign) - size * log(2));
        if (below > 0.025)
            break;
    }
    *low = k > 0 ? sorted[k - 1] : NAN;
    *high = k > 0 ? sorted[n - k] : NAN;
}

struct eq_spread eq_spread_of(const double *v, size_t n)
{
    struct eq_spread s = {.n = n, .mean = NAN, .sd = NAN, .low = NAN, .high = NAN, .min = NAN, .max = NAN};
    double sum = 0, squares = 0;
    if (n == 0)
        return s;
    s.min = s.max = v[0];
    for (size_t i = 0; i < n; i++) {
        sum += v[i];
        s.min = fmin(s.min, v[i]);
        s.max = fmax(s.max, v[i]);
    }
    s.mean = sum / (double)n;
    if (n == 1)
        return s;
    for (size_t i = 0; i < n; i++)
        squares += (v[i] - s.mean) * (v[i] - s.mean);
    s.sd = sqrt(squares / (double)(n - 1));
    double half = eq_student_t_quantile(0.975, (double)(n - 1)) * s.sd / sqrt((double)n);
    s.low = s.mean - half;
    s.high = s.mean + half;
    return s;
}

size_t eq_histogram_of(const double *v, size_t n, double lo, double hi, size_t bins, size_t *counts)
{
    size_t outside = 0;
    for (size_t b = 0; b < bins; b++)
        counts[b] = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(v[i] >= lo && v[i] <= hi)) {
            outside++;
            continue;
        }
        size_t b = (size_t)((v[i] - lo) / (hi - lo) * (double)bins);
        b = b < bins ? b : bins - 1;
        double width = hi - lo, size = (double)bins; /* the quotient may round across an edge */
        if (b > 0 && v[i] < lo + width * (double)b / size)
            b--;
        else if (b + 1 < bins && v[i] >= lo + width * (double)(b + 1) / size)
            b++;
        counts[b]++;
    }
    return outside;
}

size_t eq_ecdf_of(const double *sorted, size_t n, double *x, double *share)
{
    size_t points = 0;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && sorted[i + 1] == sorted[i])
            continue;
        x[points] = sorted[i];
        share[points++] = (double)(i + 1) / (double)n;
    }
    return points;
}
