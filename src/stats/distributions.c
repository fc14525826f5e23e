/* Normal, Student's t (central and noncentral), F, chi-squared and binomial distributions. Tails are computed as such,
 * never as 1 - the rest, so that small p values keep their digits. */
#include "echoquant/stats.h"

#include <assert.h>
#include <math.h>

static const double pi = 3.14159265358979323846;

/* ---- normal -------------------------------------------------------------- */

double eq_normal_cdf(double x)
{
    return erfc(-x * 0.70710678118654752440) / 2;
}

static double ratio(const double *over, const double *under, double r)
{
    double p = over[7], q = under[7];
    for (int i = 6; i >= 0; i--) {
        p = p * r + over[i];
        q = q * r + under[i];
    }
    return p / q;
}

/* Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Appl. Stat. 37 (1988), PPND16. */
double eq_normal_quantile(double p)
{
    static const double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                               1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                               3.3430575583588128105e4, 2.5090809287301226727e3};
    static const double b[] = {1.0,
                               4.2313330701600911252e1,
                               6.8718700749205790830e2,
                               5.3941960214247511077e3,
                               2.1213794301586595867e4,
                               3.9307895800092710610e4,
                               2.8729085735721942674e4,
                               5.2264952788528545610e3};
    static const double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                               3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[] = {1.0,
                               2.05319162663775882187e0,
                               1.67638483018380384940e0,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
    static const double e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                               2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                               2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[] = {1.0,
                               5.99832206555887937690e-1,
                               1.36929880922735805310e-1,
                               1.48753612908506148525e-2,
                               7.86869131145613259100e-4,
                               1.84631831751005468180e-5,
                               1.42151175831644588870e-7,
                               2.04426310338993978564e-15};
    assert(p > 0 && p < 1);
    double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * ratio(a, b, 0.180625 - q * q);
    double r = sqrt(-log(q < 0 ? p : 1 - p));
    double x = r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
    return q < 0 ? -x : x;
}

/* ---- incomplete beta and gamma functions --------------------------------- */

/* lgamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2), without cancellation for large x (Stirling's series). */
static double stirling_rest(double x)
{
    if (x < 15) {
        int sign;
        return lgamma_r(x, &sign) - ((x - 0.5) * log(x) - x + 0.5 * log(2 * pi));
    }
    double r = 1 / (x * x);
    return (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r * (1.0 / 1188))))) / x;
}

/* x^a rest^b / B(a, b) with the large terms of Stirling's formula cancelled by hand (as in Loader, "Fast and accurate
 * computation of binomial probabilities", 2000). */
static double beta_front(double a, double b, double x, double rest)
{
    double whole = a + b;
    double powers = a * log(x * whole / a) + b * log(rest * whole / b);
    return exp(powers + stirling_rest(whole) - stirling_rest(a) - stirling_rest(b)) * sqrt(a / (2 * pi) * (b / whole));
}

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
    double front = beta_front(a, b, x, rest);
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, rest) / b;
}

/* The regularized incomplete gamma functions P(a, x) and Q = 1 - P: the series below x = a + 1, the continued fraction
 * above (Numerical Recipes, 3rd ed., 6.2). */
static double gamma_share(double a, double x, bool upper)
{
    if (x <= 0)
        return upper ? 1 : 0;
    double front = exp(a * log(x / a) + a - x - stirling_rest(a)) * sqrt(a / (2 * pi)); /* x^a e^-x / Gamma(a) */
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (int i = 1; i < 100000 && term > sum * 1e-17; i++) {
            term *= x / (a + i);
            sum += term;
        }
        return upper ? 1 - front * sum : front * sum;
    }
    const double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
    for (int i = 1; i < 100000; i++) {
        double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = b + an / c;
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-16)
            break;
    }
    return upper ? front * h : 1 - front * h;
}

/* ---- quantiles ----------------------------------------------------------- */

struct tail {
    double (*at)(const struct tail *t, double x); /* falls in x if upper, rises otherwise */
    double df1, df2, delta, want;
    bool upper;
};

/* Where a tail has the probability `want`, by bisection to the last bit, between lo and hi. */
static double bisect(const struct tail *t, double lo, double hi)
{
    for (int i = 0; i < 2100; i++) {
        double middle = lo + (hi - lo) / 2;
        if (middle <= lo || middle >= hi)
            break;
        double p = t->at(t, middle);
        if (t->upper ? p > t->want : p < t->want)
            lo = middle;
        else
            hi = middle;
    }
    return lo + (hi - lo) / 2;
}

static double quantile_above(struct tail t)
{
    double hi = 1;
    while ((t.upper ? t.at(&t, hi) > t.want : t.at(&t, hi) < t.want) && hi < 1e300)
        hi *= 2;
    return bisect(&t, hi > 1 ? hi / 2 : 0, hi);
}

/* ---- Student's t --------------------------------------------------------- */

/* P(T > t) for t >= 0 */
static double upper_t(double t, double df)
{
    double whole = df + t * t;
    return beta_share(df / 2, 0.5, df / whole, t * t / whole) / 2;
}

static double upper_t_at(const struct tail *t, double x)
{
    return upper_t(x, t->df1);
}

double eq_student_t_cdf(double t, double df)
{
    return t < 0 ? upper_t(-t, df) : 1 - upper_t(t, df);
}

double eq_student_t_two_sided(double t, double df)
{
    if (isnan(t))
        return NAN;
    return isinf(t) ? 0 : 2 * upper_t(fabs(t), df);
}

double eq_student_t_quantile(double p, double df)
{
    assert(p > 0 && p < 1 && df > 0);
    if (p == 0.5)
        return 0;
    double x = quantile_above((struct tail){upper_t_at, .df1 = df, .want = p < 0.5 ? p : 1 - p, .upper = true});
    return p < 0.5 ? -x : x;
}

/* ---- F and chi-squared --------------------------------------------------- */

static double f_share(double f, double df1, double df2, bool upper)
{
    if (f <= 0)
        return upper ? 1 : 0;
    double whole = df1 * f + df2;
    double x = df1 * f / whole, rest = df2 / whole;
    return upper ? beta_share(df2 / 2, df1 / 2, rest, x) : beta_share(df1 / 2, df2 / 2, x, rest);
}

static double f_at(const struct tail *t, double x)
{
    return f_share(x, t->df1, t->df2, t->upper);
}

double eq_f_cdf(double f, double df1, double df2)
{
    return f_share(f, df1, df2, false);
}

double eq_f_quantile(double p, double df1, double df2)
{
    assert(p > 0 && p < 1 && df1 > 0 && df2 > 0);
    bool upper = p > 0.5;
    return quantile_above((struct tail){f_at, .df1 = df1, .df2 = df2, .want = upper ? 1 - p : p, .upper = upper});
}

static double chi2_at(const struct tail *t, double x)
{
    return gamma_share(t->df1 / 2, x / 2, t->upper);
}

double eq_chi2_cdf(double x, double df)
{
    return gamma_share(df / 2, x / 2, false);
}

double eq_chi2_quantile(double p, double df)
{
    assert(p > 0 && p < 1 && df > 0);
    bool upper = p > 0.5;
    return quantile_above((struct tail){chi2_at, .df1 = df, .want = upper ? 1 - p : p, .upper = upper});
}

double eq_binomial_cdf(size_t k, size_t n, double p)
{
    return k >= n ? 1 : beta_share((double)(n - k), (double)k + 1, 1 - p, p);
}

/* ---- noncentral t -------------------------------------------------------- */

/* P(T <= t) is the mean of P(Z <= t s - delta) over s = sqrt(chi2(df) / df), whose density is smooth and narrow:
 * trapezoids over 16 standard deviations, which converge geometrically for such an integrand (Trefethen and Weideman,
 * SIAM Review 56 (2014)). u = log s, where the density decays fast at both ends for every df. */
static double noncentral_t_tail(double t, double df, double delta, bool upper)
{
    enum { POINTS = 4000 };
    double sd = sqrt(0.5 / df), from = -40 * sd, to = 12 * sd, step = (to - from) / POINTS, sum = 0;
    double scale = sqrt(df / pi) * exp(-stirling_rest(df / 2)); /* of the density of u at its mode, u = 0 */
    for (int i = 0; i <= POINTS; i++) {
        double u = from + step * i, z = t * exp(u) - delta;
        double density = exp(df * (u - expm1(2 * u) / 2));
        sum += density * eq_normal_cdf(upper ? -z : z);
    }
    return sum * step * scale;
}

double eq_noncentral_t_cdf(double t, double df, double delta)
{
    assert(df >= 1);
    return noncentral_t_tail(t, df, delta, false);
}

static double noncentral_t_at(const struct tail *t, double x)
{
    return noncentral_t_tail(x, t->df1, t->delta, t->upper);
}

double eq_noncentral_t_quantile(double p, double df, double delta)
{
    assert(p > 0 && p < 1 && df >= 1);
    bool upper = p > 0.5;
    struct tail t = {noncentral_t_at, .df1 = df, .delta = delta, .want = upper ? 1 - p : p, .upper = upper};
    double lo = delta - 1, hi = delta + 1, width = 1;
    while (upper ? t.at(&t, lo) < t.want : t.at(&t, lo) > t.want)
        lo -= width *= 2;
    width = 1;
    while (upper ? t.at(&t, hi) > t.want : t.at(&t, hi) < t.want)
        hi += width *= 2;
    return bisect(&t, lo, hi);
}
