/*
 * stats: statistics. Pure functions over arrays of doubles; nothing here reads a file or a setting.
 *
 * Values must be finite, unless a comment says otherwise. A figure that does not exist (R2 of targets that do not
 * vary, the AUC of one class, an interval from one value) is NaN, and its comment says when. Functions that need
 * memory in proportion to n return a status, which is EQ_NOMEM at worst unless the comment names another; the others
 * cannot fail. Intervals are two-sided at 95 % unless the function takes a level. docs/STATISTICS.md: formulas,
 * sources, and when a figure misleads.
 */
#ifndef ECHOQUANT_STATS_H
#define ECHOQUANT_STATS_H

#include "echoquant/base.h"

#define EQ_LEVEL 0.95 /* of the intervals */

/* ---- metrics and summaries ----------------------------------------------- */

struct eq_metrics {
    double mae, rmse, r2; /* EF points; r2 NaN when the targets do not vary */
    double bias;          /* mean of prediction minus target: negative when predictions are too low */
    size_t clips;
};
/* pred, target: [n], EF in percent. All NaN for n = 0. */
struct eq_metrics eq_metrics_compute(const double *pred, const double *target, size_t n);
/* The same where clip i counts times[i] >= 0 times, as in a bootstrap sample; clips: the number with times > 0. All
 * NaN when all times are 0. */
struct eq_metrics eq_metrics_weighted(const double *pred, const double *target, const double *times, size_t n);
/* Sorts v in ascending order. */
void eq_sort_doubles(double *v, size_t n);
double eq_median_of(double *v, size_t n); /* v: [n], sorted by the call; NaN for n = 0 */
/* The quantile p in [0, 1] of a sample, linear between order statistics: type 7 of Hyndman and Fan, "Sample quantiles
 * in statistical packages", Am. Stat. 50 (1996), which is NumPy's default. sorted: [n], ascending; NaN for n = 0. */
double eq_quantile_of(const double *sorted, size_t n, double p);
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

/* counts: [bins], written. Bin b holds lo + b w <= v < lo + (b + 1) w with w = (hi - lo) / bins; the last one holds
 * hi, too. Returns the number of values outside [lo, hi], which are in no bin. lo < hi. */
size_t eq_histogram_of(const double *v, size_t n, double lo, double hi, size_t bins, size_t *counts);
/* The empirical distribution function: x and share get one point for each different value, share being the share of
 * values <= x, which ends at 1. sorted: [n], ascending; x, share: room for n. Returns the number of points. */
size_t eq_ecdf_of(const double *sorted, size_t n, double *x, double *share);

/* Errors of the clips with cuts[i - 1] <= by < cuts[i]: stratum 0 lies below the first cut, stratum n_cuts at or above
 * the last one. pred, target, by: [n]; cuts: [n_cuts], ascending; out: [n_cuts + 1]; metrics as in eq_metrics_compute.
 * The MAE's interval is Student's t over the absolute errors; NaN for fewer than two clips. */
struct eq_stratum {
    struct eq_metrics metrics;
    double mae_low, mae_high;
    double from, to; /* -INFINITY and INFINITY at the ends */
};
enum eq_status eq_strata_of(const double *pred, const double *target, const double *by, size_t n, const double *cuts,
                            size_t n_cuts, struct eq_stratum *out, struct eq_err *err);

/* ---- bootstrap ------------------------------------------------------------- */

enum { EQ_BOOT_REPLICATES = 10000 };

/* A sample of the clips, drawn with replacement. */
struct eq_boot_sample {
    const double *times; /* [n]: how often each clip was drawn: 0, 1, 2, ... */
    size_t n;            /* clips, drawn or not */
    double total;        /* sum of times: n, or the sizes of the patients that were drawn */
    size_t run;          /* whose predictions to use: 0 for one run; see eq_bootstrap_runs */
    double *room;        /* [plan.room]: scratch of this call */
};
/* Computes all statistics of a sample at once, so that all models share the draws and their differences are paired. A
 * statistic that does not exist for this sample is NaN. Several threads call it at the same time. */
typedef void (*eq_boot_fn)(const void *ctx, const struct eq_boot_sample *sample, double *stats);

struct eq_boot_plan {
    size_t n;                /* clips */
    const uint32_t *cluster; /* [n]: whose clip it is (patients, any numbers); they are drawn whole. NULL: draw clips */
    size_t stats;            /* the number of statistics */
    size_t room;             /* doubles of scratch that fn needs */
    eq_boot_fn fn;
    const void *ctx;
    uint64_t seed; /* with it, the draws depend on the replicate only: they are the same for any number of threads */
    size_t replicates; /* 0: EQ_BOOT_REPLICATES */
    double level;      /* of the two-sided intervals, in (0, 1); 0: EQ_LEVEL */
    size_t runs;       /* eq_bootstrap_runs: training runs that were tested on the same n clips */
};

/* One statistic. value is that of all clips.
 * - se: standard deviation of the replicates (count - 1).
 * - low, high: percentile interval, the quantiles (1 -+ level) / 2 of the replicates (eq_quantile_of).
 * - bca_low, bca_high: bias-corrected and accelerated interval (Efron, "Better bootstrap confidence intervals", JASA
 *   82 (1987)); z0 from the share of replicates below the value, ties (to within 1e-12 max(1, |value|)) counted half;
 *   acceleration from the jackknife over clips or clusters. Beyond EQ_BOOT_REPLICATES clusters, the jackknife leaves
 *   out groups of them.
 * Special cases:
 * - Fewer than two clips or clusters: everything but value is NaN.
 * - A replicate in which the statistic is NaN or infinite is left out; `valid` counts the others. With less than 90 %
 *   of them valid, or with a value that is not finite, everything but value is NaN.
 * - All replicates equal to within 1e-12 max(1, |value|): the limits are the value.
 * - All replicates on one side of the value, or a jackknife sample without the statistic: BCa is not defined and its
 *   limits are NaN. The percentile interval is there. */
struct eq_boot {
    double value, se, low, high, bca_low, bca_high, z0, acceleration;
    size_t units; /* clips or clusters that were drawn */
    size_t valid;
};
/* out: [plan->stats]. EQ_INTERRUPTED; EQ_NOMEM. */
enum eq_status eq_bootstrap(const struct eq_boot_plan *plan, struct eq_boot *out, struct eq_err *err);

/* Two levels: training runs (seeds) and clips, crossed, since all runs are tested on the same clips. The statistic is
 * the mean over the runs of each run's statistic. A replicate draws runs with replacement and, once for all of them,
 * clips or clusters (Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1 (2007)).
 * - sd_runs: standard deviation (runs - 1) of the runs' statistics over all clips: what another seed changes.
 * - se_runs = sd_runs / sqrt(runs); se_clips: of a bootstrap over clips with all runs kept: what other test clips
 *   change.
 * - se_both = sqrt(se_runs^2 + se_clips^2); t_low, t_high: value -+ t(df) se_both with Satterthwaite's degrees of
 *   freedom from runs - 1 and units - 1. Quote this interval for few runs: drawing 5 runs of 5 understates their
 *   variance by a fifth.
 * - low, high: percentile interval of the two-level replicates.
 * One run: sd_runs, se_runs, se_both and both intervals are NaN; se_clips is there. Fewer than two clips or clusters:
 * se_clips, se_both and both intervals are NaN. NaN replicates as for eq_bootstrap. */
struct eq_boot_runs {
    double value, sd_runs, se_runs, se_clips, se_both, t_low, t_high, df, low, high;
    size_t units, valid;
};
/* plan->runs >= 1. out: [plan->stats] */
enum eq_status eq_bootstrap_runs(const struct eq_boot_plan *plan, struct eq_boot_runs *out, struct eq_err *err);

/* ---- non-inferiority ------------------------------------------------------- */

/* On the difference "new minus old" of an error (lower is better) and a margin > 0, by the two-sided interval (low,
 * high) of the difference (Piaggio et al., CONSORT extension, JAMA 308 (2012)). An interval of 95 % makes it a
 * one-sided test at 2.5 %. */
enum eq_margin {
    EQ_MARGIN_NONE,        /* no interval: a limit is NaN */
    EQ_MARGIN_NONINFERIOR, /* high < margin: worse by the margin or more is excluded */
    EQ_MARGIN_NOT_SHOWN,   /* the interval holds the margin */
    EQ_MARGIN_INFERIOR     /* low > margin: worse by more than the margin is shown */
};
enum eq_margin eq_margin_of(double low, double high, double margin);
const char *eq_margin_name(enum eq_margin v); /* "none", "non-inferior", "not shown", "inferior" */
/* The level of that one-sided test, (1 - level) / 2. */
double eq_one_sided_level(double level);

/* ---- paired tests ---------------------------------------------------------- */

/* Wilcoxon's signed-rank test of d (Wilcoxon 1945), two-sided, as scipy.stats.wilcoxon: zeros are dropped, ties share
 * their mean rank. Exact for at most 50 differences of which none is zero and no two are equal in size. With zeros or
 * ties, exact by counting all 2^n signs for at most 13 (zeros included). Otherwise the normal approximation with the
 * correction of the variance for ties and none for continuity. */
struct eq_wilcoxon {
    size_t n;              /* differences that are not zero */
    size_t zeros;          /* those that are */
    double plus, minus;    /* sums of the ranks of positive and negative differences */
    double z;              /* (plus - mean) / sd; NaN unless the approximation was used */
    double p;              /* 1 if all are zero; NaN for n = 0 without zeros */
    const char *method;    /* "exact", "exact with ties", "normal approximation", or "none" */
    double hodges_lehmann; /* median of the Walsh averages (d_i + d_j) / 2, i <= j, of all differences; NaN for none */
};
/* d: [n], for example |error of A| - |error of B| */
enum eq_status eq_wilcoxon_of(const double *d, size_t n, struct eq_wilcoxon *out, struct eq_err *err);

/* Holm's adjusted p values (Scand. J. Stat. 6 (1979)): p: [n]; adjusted: [n]. NaN stay NaN and do not count. */
void eq_holm(const double *p, size_t n, double *adjusted);

/* ---- agreement ------------------------------------------------------------- */

/* y = intercept + slope x by least squares, with 95 % intervals by Student's t (n - 2) and the two-sided p of slope 0.
 * NaN where x does not vary or n < 2; se, intervals and p need n >= 3. A perfect fit has se 0 and p 0 (or NaN p if the
 * slope is 0, too). r: Pearson's correlation, NaN where x or y does not vary. */
struct eq_line {
    size_t n;
    double slope, slope_se, slope_low, slope_high, slope_p;
    double intercept, intercept_se, intercept_low, intercept_high;
    double r, residual_sd;
};
struct eq_line eq_line_fit(const double *x, const double *y, size_t n);
/* Calibration: target = intercept + slope pred. A slope below 1 means predictions that are too extreme; 1 and 0 are
 * ideal. (The other way round, regression to the mean lets every model with R2 < 1 look compressed.) */
struct eq_line eq_calibration_of(const double *pred, const double *target, size_t n);

/* Bland and Altman, "Measuring agreement in method comparison studies", Stat. Methods Med. Res. 8 (1999). Differences
 * are a - b: prediction minus truth, or INT8 minus FP32. Limits of agreement: bias -+ 1.96 sd (the normal quantile).
 * - bias_low, bias_high: Student's t (n - 1).
 * - lower_*, upper_*: approximate intervals of the limits, limit -+ t sd sqrt(1/n + z^2 / (2 (n - 1))).
 * - exact_*: exact intervals of each limit by the noncentral t distribution (Carkeet, Optom. Vis. Sci. 92 (2015));
 *   they are not symmetric and matter below 50 clips or so.
 * - over_mean: the differences over (a + b) / 2.
 * All NaN for n = 0; sd, limits and intervals NaN for n = 1. */
struct eq_bland_altman {
    size_t n;
    double bias, bias_low, bias_high, sd;
    double lower, lower_low, lower_high, upper, upper_low, upper_high;
    double exact_lower_low, exact_lower_high, exact_upper_low, exact_upper_high;
    struct eq_line over_mean;
};
enum eq_status eq_bland_altman_of(const double *a, const double *b, size_t n, struct eq_bland_altman *out,
                                  struct eq_err *err);

/* Intraclass correlation of single measurements with 95 % intervals (McGraw and Wong, "Forming inferences about some
 * intraclass correlation coefficients", Psychol. Methods 1 (1996)); pingouin's ICC2 and ICC3.
 * agreement: ICC(2,1), raters random, a shift between them counts. consistency: ICC(3,1), raters fixed, it does not.
 * x: [n][raters]. NaN for n < 2 or raters < 2, or where nothing varies. With no residual at all the limits of
 * consistency are 1; those of agreement are NaN where their F ratio is infinite. */
struct eq_icc {
    size_t n, raters;
    double agreement, agreement_low, agreement_high;
    double consistency, consistency_low, consistency_high;
};
struct eq_icc eq_icc_of(const double *x, size_t n, size_t raters);

/* ---- shares and classes ---------------------------------------------------- */

/* count of n with Wilson's 95 % score interval, no continuity correction (Wilson, JASA 22 (1927)). NaN for n = 0. */
struct eq_share {
    size_t count, n;
    double share, low, high;
};
struct eq_share eq_share_of(size_t count, size_t n);
/* The share of clips with |a - b| > by. a, b: [n]. */
struct eq_share eq_share_moved(const double *a, const double *b, size_t n, double by);

/* Clips by class before and after, where a clip is positive if its value is below cut, as in "EF below 40 %".
 * mcnemar_p: two-sided exact p of up = down by the binomial distribution (McNemar, Psychometrika 12 (1947)); 1 when no
 * clip changes class. */
struct eq_reclass {
    size_t stay_below, stay_above; /* in both below, in both at or above */
    size_t up;                     /* below in a, at or above in b */
    size_t down;                   /* at or above in a, below in b */
    double mcnemar_p;
};
struct eq_reclass eq_reclass_of(const double *a, const double *b, size_t n, double cut);

/* AUC, the probability that a positive clip scores higher than a negative one, ties counted half, with DeLong's
 * variance (DeLong et al., Biometrics 44 (1988)) by the fast algorithm of Sun and Xu (IEEE Signal Process. Lett. 21
 * (2014)). The interval is auc -+ z se, cut to [0, 1]; it takes clips for independent. var, se and limits are NaN with
 * fewer than two clips of a class, everything but the counts with none. An AUC of 0 or 1 has variance 0 and no useful
 * interval: low = high = auc. */
struct eq_auc {
    size_t positives, negatives;
    double auc, var, se, low, high;
};
/* For EF below a cut: positive[i] = target[i] < cut, score[i] = -prediction[i]. score: [n]; positive: [n]. */
enum eq_status eq_auc_of(const double *score, const bool *positive, size_t n, struct eq_auc *out, struct eq_err *err);
/* Two models on the same clips: difference a - b, its standard error from DeLong's covariance, and two-sided p. Equal
 * components (se 0): p is 1 if the AUCs are equal, NaN otherwise. NaN with fewer than two clips of a class. */
struct eq_auc_pair {
    struct eq_auc a, b;
    double difference, covariance, se, low, high, z, p;
};
enum eq_status eq_auc_compare(const double *score_a, const double *score_b, const bool *positive, size_t n,
                              struct eq_auc_pair *out, struct eq_err *err);
/* The order of scores for eq_auc_weighted. order: [n], written: clips by ascending score. */
enum eq_status eq_auc_order(const double *score, size_t n, uint32_t *order, struct eq_err *err);
/* The AUC where clip i counts times[i] times; NaN without weight in a class. For eq_boot_fn, which needs no sorting
 * then. */
double eq_auc_weighted(const double *score, const bool *positive, const uint32_t *order, const double *times, size_t n);
/* A point of the ROC curve: a clip is called positive if its score is at least threshold. The first point is (0, 0)
 * with threshold INFINITY, the last one (1, 1). */
struct eq_roc_point {
    double threshold, fpr, tpr; /* false and true positive rates; NaN where the class has no clip */
};
/* points: room for n + 1. *count: one for each different score, and one. */
enum eq_status eq_roc_of(const double *score, const bool *positive, size_t n, struct eq_roc_point *points,
                         size_t *count, struct eq_err *err);

/* ---- distributions --------------------------------------------------------- */

/* Distribution functions P(X <= x) and quantiles; relative errors below 1e-10. p in (0, 1); df > 0. */
double eq_normal_cdf(double x);
double eq_normal_quantile(double p);
double eq_student_t_cdf(double t, double df);
/* P(|T| >= |t|): the two-sided p value; exact in the far tail. */
double eq_student_t_two_sided(double t, double df);
double eq_student_t_quantile(double p, double df);
double eq_f_cdf(double f, double df1, double df2);
double eq_f_quantile(double p, double df1, double df2);
double eq_chi2_cdf(double x, double df);
double eq_chi2_quantile(double p, double df);
/* Student's noncentral t with noncentrality delta, df >= 1. */
double eq_noncentral_t_cdf(double t, double df, double delta);
double eq_noncentral_t_quantile(double p, double df, double delta);
/* P(X <= k) for a binomial variable of n trials with probability p. */
double eq_binomial_cdf(size_t k, size_t n, double p);

#endif
