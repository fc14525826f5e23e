/* Agreement of two sets of measurements: least-squares line, Bland-Altman, intraclass correlation. */
#include "echoquant/stats.h"

#include <math.h>

static double mean_of(const double *v, size_t n)
{
    double sum = 0, rest = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) /* takes off the rounding of the sum, so that equal values have no spread */
        rest += v[i] - mean;
    return mean + rest / (double)n;
}

/* ---- line ---------------------------------------------------------------- */

static bool varies(const double *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (v[i] != v[0])
            return true;
    return false;
}

struct eq_line eq_line_fit(const double *x, const double *y, size_t n)
{
    struct eq_line l = {n, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    if (n < 2 || !varies(x, n))
        return l;
    double mx = mean_of(x, n), my = mean_of(y, n), sxx = 0, sxy = 0, syy = 0, residuals = 0;
    for (size_t i = 0; i < n; i++) {
        sxx += (x[i] - mx) * (x[i] - mx);
        sxy += (x[i] - mx) * (y[i] - my);
        syy += (y[i] - my) * (y[i] - my);
    }
    bool flat = !varies(y, n);
    l.slope = flat ? 0 : sxy / sxx;
    l.intercept = my - l.slope * mx;
    l.r = flat ? NAN : fmax(-1, fmin(1, sxy / sqrt(sxx * syy)));
    if (n < 3)
        return l;
    for (size_t i = 0; !flat && i < n; i++) {
        double e = y[i] - my - l.slope * (x[i] - mx);
        residuals += e * e;
    }
    double df = (double)n - 2, t = eq_student_t_quantile((1 + EQ_LEVEL) / 2, df);
    l.residual_sd = sqrt(residuals / df);
    l.slope_se = l.residual_sd / sqrt(sxx);
    l.intercept_se = l.residual_sd * sqrt(1 / (double)n + mx * mx / sxx);
    l.slope_low = l.slope - t * l.slope_se;
    l.slope_high = l.slope + t * l.slope_se;
    l.intercept_low = l.intercept - t * l.intercept_se;
    l.intercept_high = l.intercept + t * l.intercept_se;
    l.slope_p = eq_student_t_two_sided(l.slope / l.slope_se, df); /* 0 / 0 is NaN, x / 0 is p 0 */
    return l;
}

struct eq_line eq_calibration_of(const double *pred, const double *target, size_t n)
{
    return eq_line_fit(pred, target, n);
}

/* ---- Bland-Altman -------------------------------------------------------- */

/* Quantiles of the noncentral t distribution, found by thousands of integrals. They depend on n alone, and the
 * models of a report and their pairs have the same clips, so a thread keeps some. */
struct exact {
    size_t n;
    double inner, outer;
};

/* P(limit > found + x sd) for an upper limit bias + z sd: sqrt(n) (mu + z sigma - mean) / sd has the distribution of a
 * noncentral t with n - 1 degrees of freedom and noncentrality z sqrt(n), its sign apart (Carkeet 2015). */
static const struct exact *exact_of(size_t n, double z)
{
    static _Thread_local struct exact kept[64];
    struct exact *e = &kept[n % (sizeof kept / sizeof *kept)];
    if (e->n != n) {
        double root = sqrt((double)n), df = (double)n - 1, tail = (1 - EQ_LEVEL) / 2;
        e->inner = eq_noncentral_t_quantile(tail, df, z * root) / root;
        e->outer = eq_noncentral_t_quantile(1 - tail, df, z * root) / root;
        e->n = n;
    }
    return e;
}

static void exact_limits(struct eq_bland_altman *o, double z)
{
    const struct exact *e = exact_of(o->n, z);
    double inner = e->inner * o->sd, outer = e->outer * o->sd;
    o->exact_upper_low = o->bias + inner;
    o->exact_upper_high = o->bias + outer;
    o->exact_lower_low = o->bias - outer;
    o->exact_lower_high = o->bias - inner;
}

enum eq_status eq_bland_altman_of(const double *a, const double *b, size_t n, struct eq_bland_altman *out,
                                  struct eq_err *err)
{
    *out = (struct eq_bland_altman){n,   NAN, NAN, NAN, NAN, NAN, NAN, NAN,
                                    NAN, NAN, NAN, NAN, NAN, NAN, NAN, eq_line_fit(NULL, NULL, 0)};
    out->over_mean.n = n;
    if (n == 0)
        return EQ_OK;
    double *difference = eq_alloc(n, sizeof *difference), *mean = eq_alloc(n, sizeof *mean);
    if (!difference || !mean) {
        eq_free(difference);
        eq_free(mean);
        return eq_fail(err, EQ_NOMEM, "out of memory: agreement of %zu clips", n);
    }
    for (size_t i = 0; i < n; i++) {
        difference[i] = a[i] - b[i];
        mean[i] = (a[i] + b[i]) / 2;
    }
    out->bias = mean_of(difference, n);
    out->over_mean = eq_line_fit(mean, difference, n);
    if (n > 1) {
        double squares = 0, size = (double)n, z = eq_normal_quantile((1 + EQ_LEVEL) / 2);
        for (size_t i = 0; i < n; i++)
            squares += (difference[i] - out->bias) * (difference[i] - out->bias);
        out->sd = sqrt(squares / (size - 1));
        double t = eq_student_t_quantile((1 + EQ_LEVEL) / 2, size - 1) * out->sd, half = t / sqrt(size);
        double wide = t * sqrt(1 / size + z * z / (2 * (size - 1)));
        out->bias_low = out->bias - half;
        out->bias_high = out->bias + half;
        out->lower = out->bias - z * out->sd;
        out->upper = out->bias + z * out->sd;
        out->lower_low = out->lower - wide;
        out->lower_high = out->lower + wide;
        out->upper_low = out->upper - wide;
        out->upper_high = out->upper + wide;
        exact_limits(out, z);
    }
    eq_free(difference);
    eq_free(mean);
    return EQ_OK;
}

/* ---- intraclass correlation ---------------------------------------------- */

/* Mean squares of a two-way layout of n rows (clips) and k columns (raters). */
struct squares {
    double rows, columns, error;
};

static bool all_agree(const double *x, size_t n, size_t k)
{
    for (size_t i = 0; i < n; i++)
        if (varies(x + i * k, k))
            return false;
    return true;
}

static struct squares squares_of(const double *x, size_t n, size_t k)
{
    double rows = 0, columns = 0, error = 0, grand = mean_of(x, n * k);
    for (size_t i = 0; i < n; i++) {
        double row = mean_of(x + i * k, k);
        rows += (row - grand) * (row - grand);
    }
    for (size_t j = 0; j < k; j++) {
        double column = 0;
        for (size_t i = 0; i < n; i++)
            column += (x[i * k + j] - grand) / (double)n;
        columns += column * column;
        for (size_t i = 0; i < n; i++) {
            double e = x[i * k + j] - mean_of(x + i * k, k) - column;
            error += e * e;
        }
    }
    double r = (double)n, c = (double)k;
    if (all_agree(x, n, k)) /* exactly, not to rounding */
        columns = error = 0;
    return (struct squares){rows * c / (r - 1), columns * r / (c - 1), error / ((r - 1) * (c - 1))};
}

static void consistency(struct eq_icc *o, struct squares s)
{
    double n = (double)o->n, k = (double)o->raters, df = (n - 1) * (k - 1), p = (1 + EQ_LEVEL) / 2;
    o->consistency = (s.rows - s.error) / (s.rows + (k - 1) * s.error);
    double f = s.rows / s.error; /* infinite without error: the limits are 1 */
    double low = f / eq_f_quantile(p, n - 1, df), high = f * eq_f_quantile(p, df, n - 1);
    o->consistency_low = isinf(f) ? 1 : (low - 1) / (low + k - 1);
    o->consistency_high = isinf(f) ? 1 : (high - 1) / (high + k - 1);
}

static void agreement(struct eq_icc *o, struct squares s)
{
    double n = (double)o->n, k = (double)o->raters, p = (1 + EQ_LEVEL) / 2, icc;
    o->agreement = icc = (s.rows - s.error) / (s.rows + (k - 1) * s.error + k * (s.columns - s.error) / n);
    double a = k * icc / (n * (1 - icc)), b = 1 + k * icc * (n - 1) / (n * (1 - icc));
    double both = a * s.columns + b * s.error;
    double df =
        both * both / (a * s.columns * a * s.columns / (k - 1) + b * s.error * b * s.error / ((n - 1) * (k - 1)));
    if (!isfinite(df) || df <= 0)
        return;
    double f = eq_f_quantile(p, n - 1, df), g = eq_f_quantile(p, df, n - 1);
    double rest = k * s.columns + (k * n - k - n) * s.error;
    o->agreement_low = n * (s.rows - f * s.error) / (f * rest + n * s.rows);
    o->agreement_high = n * (g * s.rows - s.error) / (rest + n * g * s.rows);
}

struct eq_icc eq_icc_of(const double *x, size_t n, size_t raters)
{
    struct eq_icc o = {n, raters, NAN, NAN, NAN, NAN, NAN, NAN};
    if (n < 2 || raters < 2 || !varies(x, n * raters))
        return o;
    struct squares s = squares_of(x, n, raters);
    consistency(&o, s);
    agreement(&o, s);
    return o;
}
