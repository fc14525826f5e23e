/*
 * Kernels that look at many values and keep a few numbers. The values are cut into at most PIECES ranges by their count
 * alone; what the ranges found is put together in their order.
 * Included by f32_observe_avx2.c and f32_observe_avx512.c.
 */
#include "kernels/f32.h"
#include "kernels/f32_fill.h"
#include "kernels/x86/vec.h"

#include <math.h>
#include <string.h>

enum { PIECES = 32, SMALL = 4096, MAX_BINS = 4096 };

struct observe_job {
    const float *x;
    size_t n;
    int pieces;
    float min[PIECES], max[PIECES];
    double sum[PIECES];
    float lo, hi, per_bin;
    int bins;
    uint32_t (*counts)[MAX_BINS];
};

static size_t range_start(const struct observe_job *j, size_t piece)
{
    size_t blocks = (j->n + SMALL - 1) / SMALL, at = blocks * piece / j->pieces * SMALL;
    return at < j->n ? at : j->n;
}

static void for_ranges(struct observe_job *j, eq_piece_fn fn)
{
    size_t blocks = (j->n + SMALL - 1) / SMALL;
    j->pieces = blocks < PIECES ? (int)blocks : PIECES;
    eq_parallel_for((size_t)j->pieces, fn, j);
}

/* ---- range
 * --------------------------------------------------------------------------------------------------------------- */

static void minmax_range(void *ctx, size_t piece, int worker)
{
    (void)worker;
    struct observe_job *j = ctx;
    size_t i = range_start(j, piece), end = range_start(j, piece + 1);
    vf least = v_set1(INFINITY), greatest = v_set1(-INFINITY);
    vcond nan = v_gt(v_zero(), v_zero());
    for (; i + VL <= end; i += VL) {
        vf x = v_load(j->x + i);
        least = v_min(x, least);
        greatest = v_max(x, greatest);
        nan = v_or(nan, v_is_nan(x));
    }
    float lanes[2][VL], min = INFINITY, max = -INFINITY;
    bool found = v_any(nan);
    v_store(lanes[0], least);
    v_store(lanes[1], greatest);
    for (int k = 0; k < VL; k++) {
        min = lanes[0][k] < min ? lanes[0][k] : min;
        max = lanes[1][k] > max ? lanes[1][k] : max;
    }
    for (; i < end; i++) {
        min = j->x[i] < min ? j->x[i] : min;
        max = j->x[i] > max ? j->x[i] : max;
        found = found || j->x[i] != j->x[i];
    }
    j->min[piece] = found ? NAN : min;
    j->max[piece] = found ? NAN : max;
}

static void minmax(const float *x, size_t n, float *min, float *max)
{
    struct observe_job job = {.x = x, .n = n};
    for_ranges(&job, minmax_range);
    *min = job.min[0];
    *max = job.max[0];
    for (int i = 1; i < job.pieces; i++) {
        bool nan = *min != *min || job.min[i] != job.min[i];
        *min = nan ? NAN : job.min[i] < *min ? job.min[i] : *min;
        *max = nan ? NAN : job.max[i] > *max ? job.max[i] : *max;
    }
}

/* ---- histogram
 * -------------------------------------------------------------------------------------------------------------- */

/* Values outside the range get the bin behind the last: it is counted and thrown away. */
static void histogram_range(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct observe_job *j = ctx;
    size_t i = range_start(j, piece), end = range_start(j, piece + 1);
    uint32_t *counts = j->counts[piece];
    memset(counts, 0, sizeof j->counts[piece]);
    vf lo = v_set1(j->lo), hi = v_set1(j->hi), last = v_set1((float)(j->bins - 1)), outside = v_set1((float)j->bins);
    for (; i < end; i += VL) {
        int n = end - i < VL ? (int)(end - i) : VL;
        int32_t bin[VL];
        vf x = v_load_n(j->x + i, n);
        vcond inside = v_and(v_ge(x, lo), v_ge(hi, x));
        vf at = v_min(v_mul(v_sub(x, lo), v_set1(j->per_bin)), last);
        v_store_i32(bin, v_select(inside, at, outside));
        for (int k = 0; k < n; k++)
            counts[bin[k]]++;
    }
}

static void histogram(const float *x, size_t n, float lo, float hi, uint64_t *hist, int bins)
{
    struct eq_f32_table ref;
    uint32_t counts[PIECES][MAX_BINS];
    if (bins >= MAX_BINS || n / PIECES >= UINT32_MAX - SMALL) { /* counts would not fit */
        eq_f32_fill_observe_ref(&ref);
        ref.histogram(x, n, lo, hi, hist, bins);
        return;
    }
    struct observe_job job = {.x = x, .n = n, .lo = lo, .hi = hi, .bins = bins, .counts = counts};
    job.per_bin = eq_histogram_factor(lo, hi, bins);
    for_ranges(&job, histogram_range);
    for (int i = 0; i < job.pieces; i++)
        for (int bin = 0; bin < bins; bin++)
            hist[bin] += counts[i][bin];
}

/* ---- norm
 * ---------------------------------------------------------------------------------------------------------------------
 */

static void squares_range(void *ctx, size_t piece, int worker)
{
    (void)worker;
    struct observe_job *j = ctx;
    size_t i = range_start(j, piece), end = range_start(j, piece + 1);
    __m256d sums[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
    for (; i + 16 <= end; i += 16)
        UNROLL for (int k = 0; k < 4; k++)
        {
            __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(j->x + i + 4 * k));
            sums[k] = _mm256_fmadd_pd(x, x, sums[k]);
        }
    double lanes[4], sum = 0;
    _mm256_storeu_pd(lanes, _mm256_add_pd(_mm256_add_pd(sums[0], sums[1]), _mm256_add_pd(sums[2], sums[3])));
    for (; i < end; i++)
        sum += (double)j->x[i] * j->x[i];
    j->sum[piece] = sum + ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
}

static double sum_squares(const float *x, size_t n)
{
    struct observe_job job = {.x = x, .n = n};
    for_ranges(&job, squares_range);
    double sum = 0;
    for (int i = 0; i < job.pieces; i++)
        sum += job.sum[i];
    return sum;
}

void ISA_NAME(eq_f32_fill_observe)(struct eq_f32_table *table)
{
    table->minmax = minmax;
    table->histogram = histogram;
    table->sum_squares = sum_squares;
}
