/* AUC with DeLong's variance, the comparison of two AUCs, and the ROC curve. */
#include "stats/ranks.h"

#include <math.h>

/* DeLong's structural components of a clip: for a positive one, the share of the negatives that score lower, ties
 * counted half; for a negative one, the share of the positives that score higher. By ranks (Sun and Xu 2014): the rank
 * among all clips less the rank within the class counts the clips of the other class below. */
static enum eq_status components(const double *score, const bool *positive, size_t n, double *component,
                                 struct eq_auc *auc, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *auc = (struct eq_auc){0, 0, NAN, NAN, NAN, NAN, NAN};
    for (size_t i = 0; i < n; i++)
        *(positive[i] ? &auc->positives : &auc->negatives) += 1;
    if (auc->positives == 0 || auc->negatives == 0)
        return EQ_OK;
    uint32_t *order = eq_alloc(n, sizeof *order);
    double *own = eq_alloc(n, sizeof *own);
    if (!order || !own)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory: AUC of %zu clips", n));
    EQ_TRY(eq_order_of(score, n, order, err));
    eq_mean_ranks(score, order, n, NULL, false, component);
    eq_mean_ranks(score, order, n, positive, true, own);
    eq_mean_ranks(score, order, n, positive, false, own);
    double p = (double)auc->positives, m = (double)auc->negatives, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double below = component[i] - own[i];
        component[i] = positive[i] ? below / m : 1 - below / p;
        sum += positive[i] ? below : 0; /* in halves: exact */
    }
    auc->auc = sum / (p * m);
out:
    eq_free(order);
    eq_free(own);
    return st;
}

/* The covariance of two AUCs from their components a and b less their means: of each class by its number. NaN with
 * fewer than two clips of a class. */
static double covariance(const double *a, double mean_a, const double *b, double mean_b, const bool *positive, size_t n)
{
    double sums[2] = {0}, counts[2] = {0};
    for (size_t i = 0; i < n; i++) {
        sums[positive[i]] += (a[i] - mean_a) * (b[i] - mean_b);
        counts[positive[i]]++;
    }
    if (counts[0] < 2 || counts[1] < 2)
        return NAN;
    return sums[0] / (counts[0] - 1) / counts[0] + sums[1] / (counts[1] - 1) / counts[1];
}

static void add_interval(struct eq_auc *o, double variance)
{
    double half = eq_normal_quantile((1 + EQ_LEVEL) / 2) * sqrt(variance);
    o->var = variance;
    o->se = sqrt(variance);
    o->low = isnan(half) ? NAN : fmax(0, o->auc - half);
    o->high = isnan(half) ? NAN : fmin(1, o->auc + half);
}

enum eq_status eq_auc_of(const double *score, const bool *positive, size_t n, struct eq_auc *out, struct eq_err *err)
{
    double *c = eq_alloc(n + 1, sizeof *c);
    enum eq_status st = c ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory: AUC of %zu clips", n);
    if (st == EQ_OK)
        st = components(score, positive, n, c, out, err);
    if (st == EQ_OK)
        add_interval(out, covariance(c, out->auc, c, out->auc, positive, n));
    eq_free(c);
    return st;
}

enum eq_status eq_auc_compare(const double *score_a, const double *score_b, const bool *positive, size_t n,
                              struct eq_auc_pair *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    double *a = eq_alloc(n + 1, sizeof *a), *b = eq_alloc(n + 1, sizeof *b);
    *out = (struct eq_auc_pair){.z = NAN, .p = NAN};
    if (!a || !b)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory: AUCs of %zu clips", n));
    EQ_TRY(components(score_a, positive, n, a, &out->a, err));
    EQ_TRY(components(score_b, positive, n, b, &out->b, err));
    double mean_a = out->a.auc, mean_b = out->b.auc;
    add_interval(&out->a, covariance(a, mean_a, a, mean_a, positive, n));
    add_interval(&out->b, covariance(b, mean_b, b, mean_b, positive, n));
    out->difference = mean_a - mean_b;
    out->covariance = covariance(a, mean_a, b, mean_b, positive, n);
    for (size_t i = 0; i < n; i++)
        a[i] -= b[i]; /* exactly 0 where the models rank alike */
    out->se = sqrt(covariance(a, out->difference, a, out->difference, positive, n));
    double half = eq_normal_quantile((1 + EQ_LEVEL) / 2) * out->se;
    out->low = out->difference - half;
    out->high = out->difference + half;
    if (out->se > 0) {
        out->z = out->difference / out->se;
        out->p = 2 * eq_normal_cdf(-fabs(out->z));
    } else if (out->se == 0 && out->difference == 0) {
        out->p = 1;
    }
out:
    eq_free(a);
    eq_free(b);
    return st;
}

enum eq_status eq_auc_order(const double *score, size_t n, uint32_t *order, struct eq_err *err)
{
    return eq_order_of(score, n, order, err);
}

double eq_auc_weighted(const double *score, const bool *positive, const uint32_t *order, const double *times, size_t n)
{
    double below = 0, positives = 0, pairs = 0; /* below: negatives */
    for (size_t i = 0, end; i < n; i = end) {
        double sums[2] = {0};
        for (end = i; end < n && score[order[end]] == score[order[i]]; end++)
            sums[positive[order[end]]] += times[order[end]];
        pairs += sums[1] * (below + sums[0] / 2);
        below += sums[0];
        positives += sums[1];
    }
    return pairs / (positives * below);
}

enum eq_status eq_roc_of(const double *score, const bool *positive, size_t n, struct eq_roc_point *points,
                         size_t *count, struct eq_err *err)
{
    uint32_t *order = eq_alloc(n + 1, sizeof *order);
    enum eq_status st =
        order ? eq_order_of(score, n, order, err) : eq_fail(err, EQ_NOMEM, "out of memory: ROC curve of %zu clips", n);
    size_t totals[2] = {0}, above[2] = {0};
    for (size_t i = 0; i < n; i++)
        totals[positive[i]]++;
    *count = 0;
    for (size_t left = n; st == EQ_OK; left--) {
        if (left == n || left == 0 || score[order[left - 1]] != score[order[left]]) {
            double threshold = left == n ? INFINITY : score[order[left]];
            points[(*count)++] = (struct eq_roc_point){threshold, (double)above[0] / (double)totals[0],
                                                       (double)above[1] / (double)totals[1]};
        }
        if (left == 0)
            break;
        above[positive[order[left - 1]]]++;
    }
    eq_free(order);
    return st;
}
