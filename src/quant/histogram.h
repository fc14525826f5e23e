/* The data of observers: a range, or a histogram whose range grows with the data and whose memory does not.
 * Internal. */
#ifndef QUANT_HISTOGRAM_H
#define QUANT_HISTOGRAM_H

#include "echoquant/quant.h"

struct eq_range {
    float min, max;
};
#define EQ_EMPTY_RANGE ((struct eq_range){0, -1}) /* nothing seen yet */
static inline bool eq_range_is_empty(const struct eq_range *r)
{
    return !(r->min <= r->max);
}
/* n values of one batch into the running range of EQ_OBSERVER_MINMAX or EQ_OBSERVER_MOVING_AVERAGE; EQ_NUMERIC, and the
 * range as it was, when one is NaN or infinite. */
enum eq_status eq_range_add(struct eq_range *r, const struct eq_observer_opts *opts, const float *x, size_t n,
                            struct eq_err *err);

enum { EQ_HIST_BINS = 2048 };

/* The first batch fixes the range: [min, max] of its values, or [-T, T] with T = max |x| when symmetric. A value
 * outside doubles the range as often as needed, away from the side that holds (both ways when symmetric): pairs of bins
 * merge, so that counts stay whole numbers and nothing is interpolated. Between a half and all of the bins are in use.
 */
struct eq_hist {
    bool symmetric;
    float lo, hi;   /* the bins' range */
    float min, max; /* of the values */
    uint64_t total;
    uint64_t count[EQ_HIST_BINS];
};

/* A range too narrow for bins: all values count as one, in bin 0. */
static inline bool eq_hist_is_point(const struct eq_hist *h)
{
    return !(h->hi - h->lo > 1e-30f);
}

/* x: [n]. NaN, infinity and ranges that float can't hold are EQ_NUMERIC and leave the histogram as it was. */
enum eq_status eq_hist_add(struct eq_hist *h, const float *x, size_t n, struct eq_err *err);

/* Ranges from a histogram that is not empty. */

/* ONNX Runtime's asymmetric percentile (quantization/calibrate.py, compute_percentile): (100 - percentile) / 2 percent
 * of the values are cut on each side, at the left edge of the bin where the cumulated share gets there. 100: all. */
void eq_hist_percentile(const struct eq_hist *h, double percentile, float *min, float *max);
/* PyTorch's HistogramObserver: greedy search for the bins whose quantization to 256 levels has the least expected
 * squared error (after caffe2's norm_minimization.cc), values spread evenly within a bin. */
void eq_hist_mse(const struct eq_hist *h, float *min, float *max);
/* ONNX Runtime's entropy threshold (get_entropy_threshold, after Migacz, "8-bit inference with TensorRT", GTC 2017) on
 * a symmetric histogram: the cut with the least Kullback-Leibler divergence between the clipped values and their
 * quantization to levels. */
void eq_hist_entropy(const struct eq_hist *h, int levels, float *min, float *max);

#endif
