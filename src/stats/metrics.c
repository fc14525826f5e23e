/* MAE, RMSE, R2 and bias, of clips and of bootstrap samples, and by stratum. */
#include "echoquant/stats.h"

#include <math.h>

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

struct eq_metrics eq_metrics_weighted(const double *pred, const double *target, const double *times, size_t n)
{
    struct eq_metrics m = {.mae = NAN, .rmse = NAN, .r2 = NAN, .bias = NAN};
    double weight = 0, sum = 0, abs_sum = 0, sq_sum = 0, signed_sum = 0, first = NAN;
    bool varies = false;
    for (size_t i = 0; i < n; i++) {
        double w = times[i];
        if (w == 0)
            continue;
        double e = pred[i] - target[i];
        first = m.clips++ ? first : target[i];
        varies |= target[i] != first;
        weight += w;
        sum += w * (target[i] - first);
        abs_sum += w * fabs(e);
        signed_sum += w * e;
        sq_sum += w * e * e;
    }
    if (m.clips == 0)
        return m;
    double mean = first + sum / weight, total = 0;
    for (size_t i = 0; varies && i < n; i++)
        total += times[i] * (target[i] - mean) * (target[i] - mean);
    m.mae = abs_sum / weight;
    m.bias = signed_sum / weight;
    m.rmse = sqrt(sq_sum / weight);
    if (varies)
        m.r2 = 1 - sq_sum / total;
    return m;
}

enum eq_status eq_strata_of(const double *pred, const double *target, const double *by, size_t n, const double *cuts,
                            size_t n_cuts, struct eq_stratum *out, struct eq_err *err)
{
    double *p = eq_alloc(n + 1, sizeof *p), *t = eq_alloc(n + 1, sizeof *t), *e = eq_alloc(n + 1, sizeof *e);
    enum eq_status st = p && t && e ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory: %zu clips by stratum", n);
    for (size_t s = 0; st == EQ_OK && s <= n_cuts; s++) {
        double from = s > 0 ? cuts[s - 1] : -INFINITY, to = s < n_cuts ? cuts[s] : INFINITY;
        size_t m = 0;
        for (size_t i = 0; i < n; i++) {
            if (by[i] < from || by[i] >= to)
                continue;
            p[m] = pred[i];
            t[m] = target[i];
            e[m++] = fabs(pred[i] - target[i]);
        }
        struct eq_spread spread = eq_spread_of(e, m);
        out[s] = (struct eq_stratum){eq_metrics_compute(p, t, m), spread.low, spread.high, from, to};
    }
    eq_free(p);
    eq_free(t);
    eq_free(e);
    return st;
}
