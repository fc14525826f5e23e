/* Ranges from bins of one width: percentile, least Kullback-Leibler divergence. */
#include "quant/histogram.h"

#include <math.h>

/* The range of the values within [low, high]; [high, high] when all values share the bin whose left edge is high. */
static struct eq_range within(const struct eq_grid_hist *h, float low, float high)
{
    float max = fminf(h->range.max, high);
    return (struct eq_range){fminf(fmaxf(h->range.min, low), max), max};
}

/* ---- percentile ------------------------------------------------------------ */

/* The left edge of the first pair of bins where the cumulated share reaches at least `share`. */
static float edge_at_share(const struct eq_grid_hist *h, double share)
{
    double cumulated = 0;
    int pair = 0;
    for (; pair < h->half; pair++) {
        cumulated += (double)(h->count[2 * pair] + h->count[2 * pair + 1]) / (double)h->total;
        if (cumulated >= share)
            break;
    }
    return (float)((2 * pair - h->half) * (double)h->width);
}

struct eq_range eq_grid_hist_percentile(const struct eq_grid_hist *h, double percentile)
{
    double cut = (100.0 - percentile) / 200.0;
    if (percentile >= 100 || h->width <= 0)
        return h->range;
    return within(h, edge_at_share(h, cut), edge_at_share(h, 1.0 - cut));
}

/* ---- least Kullback-Leibler divergence -------------------------------------- */

enum { LEVELS = 128 }; /* of 8 bits with a sign; the least number of bins to keep */

/* Absolute values, summed up so that a level costs the same however many bins it has: of bins 0..i-1 */
struct sums {
    double count, filled, entropy; /* values; bins that are not empty; sum of count * log(count) */
};

static double n_log_n(double n)
{
    return n > 0 ? n * log(n) : 0;
}

/* The divergence D(P || Q) when `bins` bins are kept. P: their counts, the last with all values beyond. Q: each of the
 * 128 levels spreads its values evenly over its bins that are not empty. Q leaves out the values beyond. */
static double divergence(const struct sums *s, int bins, double total)
{
    double cross = 0, last_q = 0, beyond = total - s[bins].count;
    double last = s[bins].count - s[bins - 1].count;
    for (int level = 0; level < LEVELS; level++) {
        const struct sums *from = &s[(level * bins + LEVELS - 1) / LEVELS],
                          *to = &s[((level + 1) * bins + LEVELS - 1) / LEVELS];
        double count = to->count - from->count;
        if (count > 0) {
            last_q = log(count / (to->filled - from->filled));
            cross += count * last_q;
        }
    }
    if (beyond > 0 && last <= 0)
        return INFINITY; /* P is not 0 where Q is */
    double p = s[bins - 1].entropy + n_log_n(last + beyond);
    return (p - cross - beyond * last_q) / total + log(s[bins].count / total);
}

static float best_limit(const struct eq_grid_hist *h, const struct sums *s, int bins)
{
    double best = INFINITY;
    int kept = bins;
    for (int i = LEVELS; i <= bins; i++) {
        if (s[i].filled < 2)
            continue; /* no or one value left of all: nothing to compare, or no divergence */
        double d = divergence(s, i, s[bins].count);
        if (d <= best) { /* the last of equals */
            best = d;
            kept = i;
        }
    }
    return (float)(kept * (double)h->width);
}

enum eq_status eq_grid_hist_entropy(const struct eq_grid_hist *h, struct eq_range *out, struct eq_err *err)
{
    *out = h->range;
    if (h->width <= 0)
        return EQ_OK;
    /* NVIDIA's calibrator has no more bins than the largest value needs. */
    float needed = ceilf(fmaxf(-h->range.min, h->range.max) / h->width);
    int bins = needed < (float)h->half ? (int)needed : h->half;
    struct sums *s = eq_alloc((size_t)bins + 1, sizeof *s);
    if (!s)
        return eq_fail(err, EQ_NOMEM, "out of memory for the %d bins of an observer", bins);
    for (int i = 0; i < bins; i++) {
        int bin = i > 0 ? i : 1; /* most activations are 0: they would decide everything */
        double n = (double)(h->count[h->half + bin] + h->count[h->half - 1 - bin]);
        s[i + 1] = (struct sums){s[i].count + n, s[i].filled + (n > 0), s[i].entropy + n_log_n(n)};
    }
    if (s[bins].count > 0) {
        float limit = best_limit(h, s, bins);
        *out = within(h, -limit, limit);
    }
    eq_free(s);
    return EQ_OK;
}
