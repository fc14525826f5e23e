/*
 * Template: kernels that reduce many values to a few numbers. The values are cut into at most PIECES ranges by their
 * count alone; the results of the ranges are merged in their order.
 */
#include "kernels/fill.h"
#include "kernels/x86/vec.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum { PIECES = 32, SMALL = 4096, MAX_BINS = 8193 };

struct observe_job {
    const float *x;
    size_t n;
    int pieces;
    float min[PIECES], max[PIECES];
    double sum[PIECES];
    float lo, hi, per_bin;
    int bins;
    uint64_t *hist;
    pthread_mutex_t *lock; /* guards hist; sums of integers do not depend on their order */
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

/* ---- range --------------------------------------------------------------- */

/* The least and greatest value that a range has seen so far. NaN is tracked separately. */
struct extremes {
    vf least, greatest;
    vcond nan;
};

static struct extremes no_extremes(void)
{
    return (struct extremes){v_set1(INFINITY), v_set1(-INFINITY), v_gt(v_zero(), v_zero())};
}

ALWAYS_INLINE void see(struct extremes *e, vf x)
{
    e->least = v_min(x, e->least);
    e->greatest = v_max(x, e->greatest);
    e->nan = v_or(e->nan, v_is_nan(x));
}

/* Of the lanes and of the n values that no register held. */
static void store_extremes(struct observe_job *j, size_t piece, const struct extremes *e, const float *x, size_t n)
{
    float lanes[2][VL], min = INFINITY, max = -INFINITY;
    bool found = v_any(e->nan);
    v_store(lanes[0], e->least);
    v_store(lanes[1], e->greatest);
    for (int k = 0; k < VL; k++) {
        min = lanes[0][k] < min ? lanes[0][k] : min;
        max = lanes[1][k] > max ? lanes[1][k] : max;
    }
    for (size_t i = 0; i < n; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
        found = found || x[i] != x[i];
    }
    j->min[piece] = found ? NAN : min;
    j->max[piece] = found ? NAN : max;
}

static void merge_extremes(const struct observe_job *j, float *min, float *max)
{
    *min = j->min[0];
    *max = j->max[0];
    for (int i = 1; i < j->pieces; i++) {
        bool nan = *min != *min || j->min[i] != j->min[i];
        *min = nan ? NAN : j->min[i] < *min ? j->min[i] : *min;
        *max = nan ? NAN : j->max[i] > *max ? j->max[i] : *max;
    }
}

static void minmax_range(void *ctx, size_t piece, int worker)
{
    (void)worker;
    struct observe_job *j = ctx;
    size_t i = range_start(j, piece), end = range_start(j, piece + 1);
    struct extremes e = no_extremes();
    for (; i + VL <= end; i += VL)
        see(&e, v_load(j->x + i));
    store_extremes(j, piece, &e, j->x + i, end - i);
}

static void minmax(const float *x, size_t n, float *min, float *max)
{
    struct observe_job job = {.x = x, .n = n};
    for_ranges(&job, minmax_range);
    merge_extremes(&job, min, max);
}

/* ---- histogram ----------------------------------------------------------- */

/*
 * A counter that was just written is slow to read, and after a ReLU half of all values are 0. Therefore zeros are left
 * out where registers can be compressed, and their number follows from the total; and neighboring values count in
 * separate tables. Bins wait in a queue, so that every loop has a predictable length. Values outside the range get the
 * bin after the last, which is discarded.
 */
enum { TABLES = VL == 16 ? 2 : 4, QUEUE = 1024 };

/* Appends the bins of a register's values, all or the nonzero ones; returns how many. Writes VL places. */
#if defined(__AVX512F__)
ALWAYS_INLINE int append_bins(int32_t *queue, vf bin, vf x)
{
    __mmask16 nonzero = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    _mm512_storeu_si512(queue, _mm512_maskz_compress_epi32(nonzero, _mm512_cvttps_epi32(bin)));
    return __builtin_popcount(nonzero);
}
#else
ALWAYS_INLINE int append_bins(int32_t *queue, vf bin, vf x)
{
    (void)x;
    v_store_i32(queue, bin);
    return VL;
}
#endif

static void count_queue(uint32_t (*tables)[MAX_BINS], const int32_t *queue, int n)
{
    int i = 0;
    for (; i + 4 <= n; i += 4)
        UNROLL for (int k = 0; k < 4; k++) tables[k % TABLES][queue[i + k]]++;
    for (; i < n; i++)
        tables[0][queue[i]]++;
}

/* The bin of one value, `bins` when it lies outside. */
static int bin_of(const struct observe_job *j, float x)
{
    if (!(x >= j->lo && x <= j->hi))
        return j->bins;
    float at = (x - j->lo) * j->per_bin;
    return at < (float)j->bins ? (int)at : j->bins - 1;
}

static void histogram_range(void *ctx, size_t piece, int worker)
{
    (void)worker;
    struct observe_job *j = ctx;
    size_t i = range_start(j, piece), end = range_start(j, piece + 1), zeros = 0;
    uint32_t tables[TABLES][MAX_BINS];
    int32_t queue[QUEUE + VL];
    int queued = 0;
    for (int k = 0; k < TABLES; k++)
        memset(tables[k], 0, ((size_t)j->bins + 1) * sizeof tables[k][0]);
    vf lo = v_set1(j->lo), hi = v_set1(j->hi), last = v_set1((float)(j->bins - 1)), outside = v_set1((float)j->bins);
    vf per_bin = v_set1(j->per_bin);
    struct extremes e = no_extremes();
    for (; i + VL <= end; i += VL) {
        vf x = v_load(j->x + i);
        see(&e, x);
        vcond inside = v_and(v_ge(x, lo), v_ge(hi, x));
        vf bin = v_select(inside, v_min(v_mul(v_sub(x, lo), per_bin), last), outside);
        int appended = append_bins(queue + queued, bin, x);
        queued += appended;
        zeros += (size_t)(VL - appended);
        if (queued >= QUEUE) {
            count_queue(tables, queue, QUEUE);
            queued -= QUEUE;
            memcpy(queue, queue + QUEUE, VL * sizeof *queue);
        }
    }
    count_queue(tables, queue, queued);
    store_extremes(j, piece, &e, j->x + i, end - i);
    for (; i < end; i++)
        tables[0][bin_of(j, j->x[i])]++;
    tables[0][bin_of(j, 0)] += (uint32_t)zeros;
    pthread_mutex_lock(j->lock);
    for (int bin = 0; bin < j->bins; bin++)
        for (int k = 0; k < TABLES; k++)
            j->hist[bin] += tables[k][bin];
    pthread_mutex_unlock(j->lock);
}

/* The slot as the level below filled it. */
static void (*histogram_below)(const float *x, size_t n, float lo, float hi, uint64_t *hist, int bins, float *min,
                               float *max);

static void histogram(const float *x, size_t n, float lo, float hi, uint64_t *hist, int bins, float *min, float *max)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (bins >= MAX_BINS || n / PIECES >= UINT32_MAX - SMALL) { /* counts would not fit */
        histogram_below(x, n, lo, hi, hist, bins, min, max);
        return;
    }
    struct observe_job job = {.x = x, .n = n, .lo = lo, .hi = hi, .bins = bins, .hist = hist, .lock = &lock};
    job.per_bin = eq_histogram_factor(lo, hi, bins);
    for_ranges(&job, histogram_range);
    pthread_mutex_destroy(&lock);
    merge_extremes(&job, min, max);
}

/* ---- norm ---------------------------------------------------------------- */

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

void ISA_NAME(eq_f32_observe_fill)(struct eq_f32_table *table)
{
    table->minmax = minmax;
    histogram_below = table->histogram;
    table->histogram = histogram;
    table->sum_squares = sum_squares;
}
