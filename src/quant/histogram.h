/* The data of observers: a range, or a histogram of one of two kinds. Internal. */
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
/* Least and greatest of n > 0 values. EQ_NUMERIC as above. */
enum eq_status eq_range_of(const float *x, size_t n, struct eq_range *out, struct eq_err *err);
/* eq_range_add of a batch whose own range is known. */
void eq_range_take(struct eq_range *r, const struct eq_observer_opts *opts, const struct eq_range *batch);

/* Bins of either kind for the first batch. A range no wider than EQ_HIST_POINT has no bins. */
enum { EQ_HIST_BINS = 2048 };
#define EQ_HIST_POINT 1e-30f

/* Of both kinds: x is [n], one batch. EQ_NUMERIC: NaN, infinity, or values that float can't hold a range of. After an
 * error the histogram is as it was. */

/* ---- bins over [min, max] ------------------------------------------------- */

/* The histogram of PyTorch's HistogramObserver: EQ_HIST_BINS bins over [min, max] of the values so far. When a batch
 * widens the range, each old bin is cut into 16 equal parts, and each part goes to the new bin that holds its middle.
 * Therefore counts are not whole numbers. */
struct eq_stretch_hist {
    struct eq_range range;
    uint64_t total;
    double count[EQ_HIST_BINS]; /* all in bin 0 while the range is a point */
};
static inline bool eq_stretch_hist_is_point(const struct eq_stretch_hist *h)
{
    return !(h->range.max - h->range.min > EQ_HIST_POINT);
}
enum eq_status eq_stretch_hist_add(struct eq_stretch_hist *h, const float *x, size_t n, struct eq_err *err);
/* The same in two steps, for batches that different processes count. Count: into batch[EQ_HIST_BINS], over the range
 * that the histogram has after taking that batch. Take: a batch of n values, its range and its counts. */
void eq_stretch_hist_count(const struct eq_range *range, const float *x, size_t n, uint64_t *batch);
enum eq_status eq_stretch_hist_take(struct eq_stretch_hist *h, const struct eq_range *values, size_t n,
                                    const uint64_t *batch, struct eq_err *err);
/* PyTorch's HistogramObserver: greedy search for the bins whose quantization to 256 levels has the least expected
 * squared error (after caffe2's norm_minimization.cc), values spread evenly within a bin. h is not empty. */
struct eq_range eq_stretch_hist_mse(const struct eq_stretch_hist *h);

/* ---- bins of constant width around 0 --------------------------------------- */

/* The histograms of ONNX Runtime's and NVIDIA's calibrators in one. With T = max |x| of the first batch a bin is
 * T / EQ_HIST_BINS wide. A larger |x| adds bins on both sides, in pairs. Only when there would be more than
 * EQ_GRID_MOST on a side do pairs of bins merge; the tools would take more memory. */
enum { EQ_GRID_MOST = 8 * EQ_HIST_BINS };
struct eq_grid_hist {
    struct eq_range range; /* of the values */
    float width;           /* of a bin; 0: no value so far is above EQ_HIST_POINT, and all are in the bin of 0 */
    int half;              /* bins on a side, even; bin i holds [(i - half) * width, (i - half + 1) * width) */
    uint64_t total;
    uint64_t *count, *batch; /* [2 * half], owned; batch is for eq_grid_hist_add alone */
};
/* EQ_NOMEM. A histogram that is all 0 bits may be cleared, too. */
enum eq_status eq_grid_hist_init(struct eq_grid_hist *h, struct eq_err *err);
void eq_grid_hist_clear(struct eq_grid_hist *h);
/* Also EQ_NOMEM. */
enum eq_status eq_grid_hist_add(struct eq_grid_hist *h, const float *x, size_t n, struct eq_err *err);
/* The same of a batch whose range is known. x NULL: another process counts these n values; then the histograms of all
 * have the same bins, and their counts add up to those of one that has seen everything. */
enum eq_status eq_grid_hist_take(struct eq_grid_hist *h, const struct eq_range *values, const float *x, size_t n,
                                 struct eq_err *err);
/* The ranges of a histogram that is not empty, never beyond that of the values. */
/* ONNX Runtime's asymmetric percentile (quantization/calibrate.py, compute_percentile): (100 - percentile) / 2 percent
 * of the values are cut on each side, at the left edge of the pair of bins where the cumulated share gets there. 100:
 * all. */
struct eq_range eq_grid_hist_percentile(const struct eq_grid_hist *h, double percentile);
/* NVIDIA's entropy threshold (TensorRT model optimizer, calib/histogram.py, after Migacz, "8-bit inference with
 * TensorRT", GTC 2017): the T with the least Kullback-Leibler divergence between the absolute values clipped to T and
 * their quantization to 128 levels, bin 0 counting as many values as bin 1. EQ_NOMEM. */
enum eq_status eq_grid_hist_entropy(const struct eq_grid_hist *h, struct eq_range *out, struct eq_err *err);

#endif
