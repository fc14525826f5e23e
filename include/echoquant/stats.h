/* stats: statistics. Pure functions over arrays of doubles; nothing here reads a file or a setting. */
#ifndef ECHOQUANT_STATS_H
#define ECHOQUANT_STATS_H

#include "echoquant/base.h"

struct eq_metrics {
    double mae, rmse, r2; /* EF points; r2 NaN when the targets do not vary */
    size_t clips;
};
/* pred, target: [n], EF in percent. All NaN for n = 0. */
struct eq_metrics eq_metrics_compute(const double *pred, const double *target, size_t n);
double eq_median_of(double *v, size_t n); /* v: [n], sorted by the call; NaN for n = 0 */

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
