/* stats: statistics. Pure functions over arrays of doubles; nothing here reads a file or a setting. */
#ifndef ECHOQUANT_STATS_H
#define ECHOQUANT_STATS_H

#include "echoquant/base.h"

struct eq_metrics {
    double mae, rmse, r2; /* EF points; r2 NaN when the targets do not vary */
    double bias;          /* mean of prediction minus target: negative when predictions are too low */
    size_t clips;
};
/* pred, target: [n], EF in percent. All NaN for n = 0. */
struct eq_metrics eq_metrics_compute(const double *pred, const double *target, size_t n);
double eq_median_of(double *v, size_t n); /* v: [n], sorted by the call; NaN for n = 0 */
/* An interval of at least 95 % for the median behind a sample, from its order statistics: the k-th smallest and the
 * k-th largest value, with the largest k for which a binomial variable (n, 1/2) is below k with a probability of at
 * most 2.5 % (David and Nagaraja, Order Statistics, 7.1). sorted: [n], ascending. Both are NaN for fewer than 6
 * values. */
void eq_median_interval(const double *sorted, size_t n, double *low, double *high);

/* Mean, standard deviation (n - 1), range, and the 95 % interval of the mean by Student's t: mean +- t(0.975, n - 1)
 * sd / sqrt(n). sd, low and high are NaN for fewer than two values, all are NaN for none. */
struct eq_spread {
    size_t n;
    double mean, sd, low, high, min, max;
};
/* v: [n] */
struct eq_spread eq_spread_of(const double *v, size_t n);
/* The quantile p in (0, 1) of Student's t distribution with df > 0 degrees of freedom. */
double eq_student_t_quantile(double p, double df);

#endif
