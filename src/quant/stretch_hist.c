/* The histogram of the MSE observer: as many bins as ever, over a range that stretches. */
#include "echoquant/kernels.h"
#include "quant/histogram.h"

#include <math.h>
#include <string.h>

enum { PARTS = 16 }; /* of an old bin when the range grows: upsample_rate of PyTorch */

/* Point i of n + 1 from a to b, as torch.linspace computes it in float32. */
static float point(float a, float b, int n, int i)
{
    float step = (b - a) / (float)n;
    return i <= n / 2 ? a + step * (float)i : b - step * (float)(n - i);
}

/* Moves the counts to the bins of a wider range. */
static void stretch(struct eq_stretch_hist *h, const struct eq_range *to)
{
    double moved[EQ_HIST_BINS] = {0};
    const struct eq_range *from = &h->range;
    const int points = eq_stretch_hist_is_point(h) ? 1 : PARTS * EQ_HIST_BINS;
    float middle = points > 1 ? 0.5f * ((from->max - from->min) / (float)points) : 0;
    for (int i = 0, bin = 0; i < points; i++) {
        float at = point(from->min, from->max, points, i) + middle;
        while (bin < EQ_HIST_BINS - 1 && point(to->min, to->max, EQ_HIST_BINS, bin + 1) <= at)
            bin++;
        moved[bin] += points > 1 ? h->count[i / PARTS] / PARTS : h->count[0];
    }
    memcpy(h->count, moved, sizeof moved);
}

/* Widens the range to hold [min, max]. */
static enum eq_status cover(struct eq_stretch_hist *h, float min, float max, struct eq_err *err)
{
    if (!isfinite(min) || !isfinite(max))
        return eq_fail(err, EQ_NUMERIC, "a value is NaN or infinite");
    struct eq_range to = {min, max};
    if (h->total)
        to = (struct eq_range){fminf(min, h->range.min), fmaxf(max, h->range.max)};
    if (!isfinite(to.max - to.min))
        return eq_fail(err, EQ_NUMERIC, "values up to %g are too large to quantize", (double)fmaxf(to.max, -to.min));
    if (h->total && to.max - to.min > EQ_HIST_POINT)
        stretch(h, &to);
    h->range = to;
    return EQ_OK;
}

enum eq_status eq_stretch_hist_add(struct eq_stretch_hist *h, const float *x, size_t n, struct eq_err *err)
{
    uint64_t batch[EQ_HIST_BINS] = {0};
    struct eq_range *r = &h->range;
    float min, max;
    if (n == 0)
        return EQ_OK;
    /* Most batches stay within the range of earlier ones: one pass counts and checks that. */
    if (h->total && !eq_stretch_hist_is_point(h))
        eq_f32_kernels()->histogram(x, n, r->min, r->max, batch, EQ_HIST_BINS, &min, &max);
    else
        eq_f32_kernels()->minmax(x, n, &min, &max);
    if (!h->total || !(min >= r->min && max <= r->max)) {
        enum eq_status st = cover(h, min, max, err);
        if (st != EQ_OK)
            return st;
        memset(batch, 0, sizeof batch);
        if (!eq_stretch_hist_is_point(h))
            eq_f32_kernels()->histogram(x, n, r->min, r->max, batch, EQ_HIST_BINS, &min, &max);
    }
    if (eq_stretch_hist_is_point(h))
        batch[0] = n;
    for (int i = 0; i < EQ_HIST_BINS; i++)
        h->count[i] += (double)batch[i];
    h->total += n;
    return EQ_OK;
}

void eq_stretch_hist_count(const struct eq_range *range, const float *x, size_t n, uint64_t *batch)
{
    const struct eq_stretch_hist bins = {.range = *range};
    float min, max;
    memset(batch, 0, EQ_HIST_BINS * sizeof *batch);
    if (eq_stretch_hist_is_point(&bins))
        batch[0] = n;
    else
        eq_f32_kernels()->histogram(x, n, range->min, range->max, batch, EQ_HIST_BINS, &min, &max);
}

enum eq_status eq_stretch_hist_take(struct eq_stretch_hist *h, const struct eq_range *values, size_t n,
                                    const uint64_t *batch, struct eq_err *err)
{
    if (!h->total || !(values->min >= h->range.min && values->max <= h->range.max))
        EQ_CHECK(cover(h, values->min, values->max, err));
    for (int i = 0; i < EQ_HIST_BINS; i++)
        h->count[i] += (double)batch[i];
    h->total += n;
    return EQ_OK;
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

static double range_error(const struct eq_stretch_hist *h, int first, int last)
{
    double bin_width = ((double)h->range.max - h->range.min) / EQ_HIST_BINS;
    double level_width = bin_width * (last - first + 1) / LEVELS;
    double error = 0;
    for (int i = 0; i < EQ_HIST_BINS; i++) {
        double begin = (i - first) * bin_width;
        if (h->count[i] > 0)
            error += h->count[i] / bin_width * bin_error(begin, begin + bin_width, level_width);
    }
    return error;
}

struct eq_range eq_stretch_hist_mse(const struct eq_stretch_hist *h)
{
    if (eq_stretch_hist_is_point(h))
        return h->range;
    double below[EQ_HIST_BINS]; /* values in bins up to and including this one */
    for (int i = 0; i < EQ_HIST_BINS; i++)
        below[i] = (i ? below[i - 1] : 0) + h->count[i];
    const double step = 1e-5;
    double alpha = 0, beta = 1, total = below[EQ_HIST_BINS - 1], best = INFINITY;
    int start = 0, end = EQ_HIST_BINS - 1;
    /* Quantile bounds move inward, always on the side where more bins fall off; stops when the error rises. */
    while (alpha < beta) {
        double next_alpha = alpha + step, next_beta = beta - step;
        int l = start, r = end, next_start = start, next_end = end;
        while (l < end && below[l] < next_alpha * total)
            l++;
        while (r > start && below[r] > next_beta * total)
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
    float width = (h->range.max - h->range.min) / (float)EQ_HIST_BINS;
    return (struct eq_range){h->range.min + width * (float)start, h->range.min + width * (float)(end + 1)};
}
