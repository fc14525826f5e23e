/* Ranges from a histogram: percentile, least squared error, least Kullback-Leibler divergence. */
#include "quant/histogram.h"

#include <math.h>
#include <string.h>

/* Bin edges as float, by the formula of numpy.linspace. */
static float edge(const struct eq_hist *h, int bin)
{
    if (bin == EQ_HIST_BINS)
        return h->hi;
    return (float)(h->lo + bin * (((double)h->hi - h->lo) / EQ_HIST_BINS));
}

/* First bin where the cumulated share reaches at least `share`. */
static int bin_at_share(const struct eq_hist *h, double share)
{
    double cumulated = 0;
    for (int i = 0; i < EQ_HIST_BINS; i++) {
        cumulated += (double)h->count[i] / (double)h->total;
        if (cumulated >= share)
            return i;
    }
    return EQ_HIST_BINS;
}

void eq_hist_percentile(const struct eq_hist *h, double percentile, float *min, float *max)
{
    *min = h->min;
    *max = h->max;
    if (percentile >= 100 || eq_hist_is_point(h))
        return;
    double cut = (100.0 - percentile) / 200.0;
    *min = fmaxf(*min, edge(h, bin_at_share(h, cut)));
    *max = fminf(*max, edge(h, bin_at_share(h, 1.0 - cut)));
}

/* ---- least squared error ------------------------------------------------- */

enum { LEVELS = 256 };

/* Integral of x^2 from a to b. */
static double cube_diff(double a, double b)
{
    return (b * b * b - a * a * a) / 3;
}

static double clamp_level(double level)
{
    return level < 0 ? 0 : level > LEVELS - 1 ? LEVELS - 1 : level;
}

/* Expected squared error of one source bin, per value in it and unit of density, when first..last become 256 levels. */
static double bin_error(double begin, double end, double level_width)
{
    double first = clamp_level(floor(begin / level_width));
    double last = clamp_level(floor(end / level_width));
    double half = level_width / 2;
    return cube_diff(begin - (first + 0.5) * level_width, half) + (last - first - 1) * cube_diff(-half, half) +
           cube_diff(-half, end - (last * level_width + half));
}

static double range_error(const struct eq_hist *h, int first, int last)
{
    double bin_width = ((double)h->hi - h->lo) / EQ_HIST_BINS;
    double level_width = bin_width * (last - first + 1) / LEVELS;
    double error = 0;
    for (int i = 0; i < EQ_HIST_BINS; i++) {
        double begin = (i - first) * bin_width;
        if (h->count[i])
            error += (double)h->count[i] / bin_width * bin_error(begin, begin + bin_width, level_width);
    }
    return error;
}

void eq_hist_mse(const struct eq_hist *h, float *min, float *max)
{
    *min = h->min;
    *max = h->max;
    if (eq_hist_is_point(h))
        return;
    uint64_t below[EQ_HIST_BINS]; /* values in bins up to and including this one */
    for (int i = 0; i < EQ_HIST_BINS; i++)
        below[i] = (i ? below[i - 1] : 0) + h->count[i];
    const double step = 1e-5;
    double alpha = 0, beta = 1, total = (double)h->total, best = INFINITY;
    int start = 0, end = EQ_HIST_BINS - 1;
    /* Quantile bounds move inward, always on the side where more bins fall off; stops when the error rises. */
    while (alpha < beta) {
        double next_alpha = alpha + step, next_beta = beta - step;
        int l = start, r = end, next_start = start, next_end = end;
        while (l < end && (double)below[l] < next_alpha * total)
            l++;
        while (r > start && (double)below[r] > next_beta * total)
            r--;
        if (l - start > end - r) {
            next_start = l;
            alpha = next_alpha;
        } else {
            next_end = r;
            beta = next_beta;
        }
        if (next_start == start && next_end == end)
            continue;
        double error = range_error(h, next_start, next_end);
        if (error > best)
            break;
        best = error;
        start = next_start;
        end = next_end;
    }
    float width = (h->hi - h->lo) / (float)EQ_HIST_BINS;
    *min = h->lo + width * (float)start;
    *max = h->lo + width * (float)(end + 1);
}

/* ---- least Kullback-Leibler divergence ----------------------------------- */

/* Gives empty bins a little of the weight of the others (mxnet's smooth_distribution); false when there is too little.
 */
static bool smooth(double *p, int n)
{
    const double eps = 1e-4;
    int zeros = 0;
    for (int i = 0; i < n; i++)
        zeros += p[i] == 0;
    if (zeros == n)
        return false;
    double take = eps * zeros / (n - zeros);
    if (take >= 1.0)
        return false;
    for (int i = 0; i < n; i++)
        p[i] = (float)(p[i] == 0 ? p[i] + eps : p[i] - take);
    for (int i = 0; i < n; i++)
        if (p[i] <= 0)
            return false;
    return true;
}

static double divergence(const double *p, const double *q, int n)
{
    double sum_p = 0, sum_q = 0, kl = 0;
    for (int i = 0; i < n; i++) {
        sum_p += p[i];
        sum_q += q[i];
    }
    for (int i = 0; i < n; i++)
        kl += p[i] / sum_p * log(p[i] / sum_p * (sum_q / q[i]));
    return kl;
}

/* Divergence when only bins first..last-1 are kept and their values quantized to levels. */
static double cut_divergence(const struct eq_hist *h, int first, int last, int levels)
{
    double p[EQ_HIST_BINS], q[EQ_HIST_BINS];
    int n = last - first, merged = n / levels;
    for (int i = 0; i < n; i++)
        p[i] = (double)h->count[first + i];
    memset(q, 0, sizeof q);
    for (int i = 0; i < first; i++)
        p[0] += (double)h->count[i];
    for (int i = last; i < EQ_HIST_BINS; i++)
        p[n - 1] += (double)h->count[i];
    for (int level = 0; level < levels; level++) {
        int from = level * merged, to = from + merged, filled = 0;
        double sum = 0;
        for (int i = from; i < (level == levels - 1 ? n : to); i++)
            sum += (double)h->count[first + i];
        for (int i = from; i < to; i++)
            filled += p[i] != 0;
        for (int i = from; i < to && filled; i++)
            q[i] = floor(sum / filled);
    }
    return smooth(p, n) && smooth(q, n) ? divergence(p, q, n) : INFINITY;
}

/* The end of the cut that keeps `half` bins on each side of 0. */
static int end_of(int half)
{
    int end = EQ_HIST_BINS / 2 + half + 1;
    return end < EQ_HIST_BINS ? end : EQ_HIST_BINS;
}

void eq_hist_entropy(const struct eq_hist *h, int levels, float *min, float *max)
{
    *min = h->min;
    *max = h->max;
    if (eq_hist_is_point(h))
        return;
    const int zero = EQ_HIST_BINS / 2;
    double best = INFINITY;
    int best_half = zero;
    for (int half = levels / 2; half <= zero; half++) {
        double kl = cut_divergence(h, zero - half, end_of(half), levels);
        if (kl < best) {
            best = kl;
            best_half = half;
        }
    }
    *min = fmaxf(*min, edge(h, zero - best_half));
    *max = fminf(*max, edge(h, end_of(best_half)));
}
