/* Student's t distribution, for intervals of means of a few values. */
#include "echoquant/stats.h"

#include <assert.h>
#include <math.h>

/* The continued fraction of the incomplete beta function by Lentz's method (Numerical Recipes, 3rd ed., 6.4;
 * Abramowitz & Stegun 26.5.8). Converges quickly for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        const double terms[] = {even, odd};
        double change = 1;
        for (int i = 0; i < 2; i++) {
            d = 1 + terms[i] * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + terms[i] / c;
            c = fabs(c) < tiny ? tiny : c;
            change = c * d;
            h *= change;
        }
        if (fabs(change - 1) < 1e-15)
            break;
    }
    return h;
}

/* The regularized incomplete beta function I_x(a, b), given x and rest = 1 - x, so that neither loses digits. */
static double beta_share(double a, double b, double x, double rest)
{
    if (x <= 0)
        return 0;
    if (rest <= 0)
        return 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(rest));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, rest) / b;
}

/* P(T > t) for t >= 0 */
static double upper_tail(double t, double df)
{
    double whole = df + t * t;
    return beta_share(df / 2, 0.5, df / whole, t * t / whole) / 2;
}

double eq_student_t_quantile(double p, double df)
{
    assert(p > 0 && p < 1 && df > 0);
    if (p < 0.5)
        return -eq_student_t_quantile(1 - p, df);
    double lo = 0, hi = 1;
    while (upper_tail(hi, df) > 1 - p && hi < 1e300)
        hi *= 2;
    for (int i = 0; i < 200 && lo < hi; i++) {
        double middle = lo + (hi - lo) / 2;
        if (middle <= lo || middle >= hi)
            break;
        if (upper_tail(middle, df) > 1 - p)
            lo = middle;
        else
            hi = middle;
    }
    return lo + (hi - lo) / 2;
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
