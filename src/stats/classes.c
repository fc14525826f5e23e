/* Shares, changes of class, verdicts against a margin, and p values of several tests. */
#include "echoquant/stats.h"

#include <math.h>

struct eq_share eq_share_of(size_t count, size_t n)
{
    struct eq_share s = {count, n, NAN, NAN, NAN};
    if (n == 0)
        return s;
    double size = (double)n, p = s.share = (double)count / size, z = eq_normal_quantile((1 + EQ_LEVEL) / 2);
    double center = (p + z * z / (2 * size)) / (1 + z * z / size);
    double half = z / (1 + z * z / size) * sqrt(p * (1 - p) / size + z * z / (4 * size * size));
    s.low = count == 0 ? 0 : center - half;
    s.high = count == n ? 1 : center + half;
    return s;
}

struct eq_share eq_share_moved(const double *a, const double *b, size_t n, double by)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += fabs(a[i] - b[i]) > by;
    return eq_share_of(count, n);
}

struct eq_reclass eq_reclass_of(const double *a, const double *b, size_t n, double cut)
{
    struct eq_reclass r = {0};
    for (size_t i = 0; i < n; i++) {
        if (a[i] < cut)
            *(b[i] < cut ? &r.stay_below : &r.up) += 1;
        else
            *(b[i] < cut ? &r.down : &r.stay_above) += 1;
    }
    size_t changed = r.up + r.down, fewer = r.up < r.down ? r.up : r.down;
    r.mcnemar_p = changed == 0 ? 1 : fmin(1, 2 * eq_binomial_cdf(fewer, changed, 0.5));
    return r;
}

enum eq_margin eq_margin_of(double low, double high, double margin)
{
    if (isnan(low) || isnan(high) || isnan(margin))
        return EQ_MARGIN_NONE;
    return high < margin ? EQ_MARGIN_NONINFERIOR : low > margin ? EQ_MARGIN_INFERIOR : EQ_MARGIN_NOT_SHOWN;
}

const char *eq_margin_name(enum eq_margin v)
{
    static const char *const names[] = {"none", "non-inferior", "not shown", "inferior"};
    return names[v];
}

double eq_one_sided_level(double level)
{
    return (1 - level) / 2;
}

/* The tests in ascending order of p, found one after the other: there are few. */
void eq_holm(const double *p, size_t n, double *adjusted)
{
    size_t left = 0;
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        adjusted[i] = isnan(p[i]) ? NAN : -1; /* -1: not done yet */
        left += isnan(p[i]) ? 0 : 1;
    }
    for (; left > 0; left--) {
        size_t next = n;
        for (size_t i = 0; i < n; i++)
            if (adjusted[i] == -1 && (next == n || p[i] < p[next]))
                next = i;
        most = fmax(most, fmin(1, (double)left * p[next]));
        adjusted[next] = most;
    }
}
