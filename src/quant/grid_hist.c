/* The histogram of the percentile and entropy observers: bins of one width around 0, more as the range grows. */
#include "echoquant/kernels.h"
#include "quant/histogram.h"

#include <math.h>
#include <string.h>

enum eq_status eq_grid_hist_init(struct eq_grid_hist *h, struct eq_err *err)
{
    *h = (struct eq_grid_hist){.range = EQ_EMPTY_RANGE, .half = EQ_HIST_BINS};
    h->count = eq_alloc(2 * EQ_HIST_BINS, sizeof *h->count);
    h->batch = eq_alloc(2 * EQ_HIST_BINS, sizeof *h->batch);
    if (h->count && h->batch)
        return EQ_OK;
    eq_grid_hist_clear(h);
    return eq_fail(err, EQ_NOMEM, "out of memory for an observer");
}

void eq_grid_hist_clear(struct eq_grid_hist *h)
{
    eq_free(h->count);
    eq_free(h->batch);
    *h = (struct eq_grid_hist){0};
}

/* Pairs of bins become one, from 0 outward. half stays even. */
static void merge_pairs(struct eq_grid_hist *h)
{
    int old = h->half;
    h->half = (old / 2 + 1) / 2 * 2;
    h->width *= 2;
    memset(h->batch, 0, 2 * (size_t)h->half * sizeof *h->batch);
    for (int i = 0; i < old; i++)
        h->batch[h->half - old / 2 + i] = h->count[2 * i] + h->count[2 * i + 1];
    memcpy(h->count, h->batch, 2 * (size_t)h->half * sizeof *h->count);
}

/* More bins on both sides, which are empty. */
static enum eq_status add_bins(struct eq_grid_hist *h, int more, struct eq_err *err)
{
    size_t half = (size_t)(h->half + more);
    uint64_t *count = eq_alloc(2 * half, sizeof *count), *batch = eq_alloc(2 * half, sizeof *batch);
    if (!count || !batch) {
        eq_free(count);
        eq_free(batch);
        return eq_fail(err, EQ_NOMEM, "out of memory for the %zu bins of an observer", 2 * half);
    }
    memcpy(count + more, h->count, 2 * (size_t)h->half * sizeof *count);
    eq_free(h->count);
    eq_free(h->batch);
    h->count = count;
    h->batch = batch;
    h->half = (int)half;
    return EQ_OK;
}

/* As many bins as ONNX Runtime adds (merge_histogram), whose bins are pairs of these, for |x| = absmax. */
static enum eq_status grow(struct eq_grid_hist *h, float absmax, struct eq_err *err)
{
    double beyond;
    while ((beyond = absmax / (2.0 * h->width) - h->half / 2) > (EQ_GRID_MOST - h->half) / 2 - 1)
        merge_pairs(h);
    return beyond > 0 ? add_bins(h, 2 * ((int)beyond + 1), err) : EQ_OK;
}

/* The upper end of the bins: the least from half * width up for which the kernel's float arithmetic puts 0 into the bin
 * that starts there, not below: after a ReLU most values are 0. */
static float limit_of(const struct eq_grid_hist *h)
{
    float limit = (float)h->half * h->width;
    while (limit * ((float)(2 * h->half) / (2 * limit)) < (float)h->half)
        limit = nextafterf(limit, INFINITY);
    return limit;
}

static void count_batch(struct eq_grid_hist *h, const float *x, size_t n, float *min, float *max)
{
    float limit = limit_of(h);
    memset(h->batch, 0, 2 * (size_t)h->half * sizeof *h->batch);
    eq_f32_kernels()->histogram(x, n, -limit, limit, h->batch, 2 * h->half, min, max);
}

static enum eq_status cover(struct eq_grid_hist *h, float min, float max, struct eq_err *err)
{
    if (!isfinite(min) || !isfinite(max))
        return eq_fail(err, EQ_NUMERIC, "a value is NaN or infinite");
    float absmax = fmaxf(-min, max);
    if (!isfinite(4 * absmax)) /* with room for limit - -limit and for a merger */
        return eq_fail(err, EQ_NUMERIC, "values up to %g are too large to quantize", (double)absmax);
    if (h->width > 0)
        return absmax > limit_of(h) ? grow(h, absmax, err) : EQ_OK;
    if (absmax > EQ_HIST_POINT)
        h->width = absmax / EQ_HIST_BINS;
    return EQ_OK;
}

static void add_batch(struct eq_grid_hist *h)
{
    for (int i = 0; i < 2 * h->half; i++)
        h->count[i] += h->batch[i];
}

static void note_values(struct eq_grid_hist *h, const struct eq_range *values, size_t n)
{
    h->range =
        h->total ? (struct eq_range){fminf(h->range.min, values->min), fmaxf(h->range.max, values->max)} : *values;
    h->total += n;
}

enum eq_status eq_grid_hist_add(struct eq_grid_hist *h, const float *x, size_t n, struct eq_err *err)
{
    float min, max;
    if (n == 0)
        return EQ_OK;
    /* Most batches stay within the range of earlier ones: one pass counts and checks that. */
    if (h->width > 0)
        count_batch(h, x, n, &min, &max);
    else
        eq_f32_kernels()->minmax(x, n, &min, &max);
    if (h->width <= 0 || !(fmaxf(-min, max) <= limit_of(h))) {
        enum eq_status st = cover(h, min, max, err);
        if (st != EQ_OK)
            return st;
        if (h->width > 0)
            count_batch(h, x, n, &min, &max);
    }
    if (h->width > 0)
        add_batch(h);
    else
        h->count[h->half] += n;
    note_values(h, &(struct eq_range){min, max}, n);
    return EQ_OK;
}

enum eq_status eq_grid_hist_take(struct eq_grid_hist *h, const struct eq_range *values, const float *x, size_t n,
                                 struct eq_err *err)
{
    float min, max;
    EQ_CHECK(cover(h, values->min, values->max, err));
    if (x && h->width > 0) {
        count_batch(h, x, n, &min, &max);
        add_batch(h);
    } else if (x) {
        h->count[h->half] += n;
    }
    note_values(h, values, n);
    return EQ_OK;
}
