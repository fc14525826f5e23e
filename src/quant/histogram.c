/* The growing histogram of the percentile, MSE and entropy observers. */
#include "quant/histogram.h"
#include "echoquant/kernels.h"

#include <math.h>
#include <string.h>

enum { HALF = EQ_HIST_BINS / 2 };

/* Pairs of bins become one; the 1024 results start at bin `at`. */
static void merge_pairs(struct eq_hist *h, int at)
{
    uint64_t merged[HALF];
    for (int i = 0; i < HALF; i++)
        merged[i] = h->count[2 * i] + h->count[2 * i + 1];
    memset(h->count, 0, sizeof h->count);
    memcpy(h->count + at, merged, sizeof merged);
}

/* A range without width, all of it one value, becomes [lo, hi] around that value. */
static void open_range(struct eq_hist *h, float lo, float hi)
{
    uint64_t seen = h->count[0];
    float value = h->lo;
    h->count[0] = 0;
    h->lo = lo;
    h->hi = hi;
    if (eq_hist_is_point(h)) {
        h->count[0] = seen;
        return;
    }
    int bin = (int)((value - lo) * ((float)EQ_HIST_BINS / (hi - lo)));
    h->count[bin < EQ_HIST_BINS ? bin : EQ_HIST_BINS - 1] = seen;
}

static void grow(struct eq_hist *h, float min, float max)
{
    if (!eq_hist_is_point(h)) {
        while (h->symmetric && max > h->hi) {
            merge_pairs(h, HALF / 2);
            h->lo *= 2;
            h->hi *= 2;
        }
        while (max > h->hi) {
            merge_pairs(h, 0);
            h->hi = h->lo + 2 * (h->hi - h->lo);
        }
        while (min < h->lo) {
            merge_pairs(h, HALF);
            h->lo = h->hi - 2 * (h->hi - h->lo);
        }
    } else if (min < h->lo || max > h->hi) {
        open_range(h, fminf(min, h->lo), fmaxf(max, h->hi));
    }
}

/* The least limit from absmax up for which the kernel's float arithmetic puts 0 into the bin that starts there, not
 * below: after a ReLU most values are 0. Doubling the limit later keeps that. */
static float symmetric_limit(float absmax)
{
    while (absmax > 0 && absmax * ((float)EQ_HIST_BINS / (2 * absmax)) < (float)HALF)
        absmax = nextafterf(absmax, INFINITY);
    return absmax;
}

/* The range for values in [min, max]; EQ_NUMERIC leaves the histogram as it was. */
static enum eq_status cover(struct eq_hist *h, float min, float max, struct eq_err *err)
{
    if (!isfinite(min) || !isfinite(max))
        return eq_fail(err, EQ_NUMERIC, "a value is NaN or infinite");
    float lo = min, hi = max;
    if (h->symmetric) {
        hi = symmetric_limit(fmaxf(fabsf(min), fabsf(max)));
        lo = -hi;
    }
    float new_lo = h->total ? fminf(lo, h->lo) : lo;
    float new_hi = h->total ? fmaxf(hi, h->hi) : hi;
    /* Doubling must not leave float's range either. */
    if (!isfinite(4 * (new_hi - new_lo)))
        return eq_fail(err, EQ_NUMERIC, "values up to %g are too large to quantize", (double)fmaxf(new_hi, -new_lo));
    if (h->total) {
        grow(h, lo, hi);
        h->min = fminf(h->min, min);
        h->max = fmaxf(h->max, max);
    } else {
        h->lo = lo;
        h->hi = hi;
        h->min = min;
        h->max = max;
    }
    return EQ_OK;
}

/* Most batches stay within the range of earlier ones: one pass counts and checks that. */
static bool add_inside(struct eq_hist *h, const float *x, size_t n, float *min, float *max)
{
    uint64_t fresh[EQ_HIST_BINS] = {0};
    eq_f32_kernels()->histogram(x, n, h->lo, h->hi, fresh, EQ_HIST_BINS, min, max);
    if (!(*min >= h->lo && *max <= h->hi))
        return false;
    for (int i = 0; i < EQ_HIST_BINS; i++)
        h->count[i] += fresh[i];
    h->min = fminf(h->min, *min);
    h->max = fmaxf(h->max, *max);
    h->total += n;
    return true;
}

enum eq_status eq_hist_add(struct eq_hist *h, const float *x, size_t n, struct eq_err *err)
{
    float min, max;
    if (n == 0)
        return EQ_OK;
    if (!h->total || eq_hist_is_point(h))
        eq_f32_kernels()->minmax(x, n, &min, &max);
    else if (add_inside(h, x, n, &min, &max))
        return EQ_OK;
    enum eq_status st = cover(h, min, max, err);
    if (st != EQ_OK)
        return st;
    if (!eq_hist_is_point(h))
        eq_f32_kernels()->histogram(x, n, h->lo, h->hi, h->count, EQ_HIST_BINS, &min, &max);
    else
        h->count[0] += n;
    h->total += n;
    return EQ_OK;
}
