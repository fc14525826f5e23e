/* Observers and the growing histograms behind them. */
#include "unit/cmocka_all.h"
#include "echoquant/quant.h"
#include "quant/histogram.h"

#include <math.h>
#include <string.h>

static struct eq_observer *observer(enum eq_observer_kind kind, double percentile)
{
    struct eq_observer *o;
    struct eq_observer_opts opts = {.kind = kind, .averaging = 0.01, .percentile = percentile};
    assert_int_equal(eq_observer_new(&opts, &o, NULL), EQ_OK);
    return o;
}

/* Batches whose range grows and shifts at random. */
static size_t make_batch(struct eq_rng *rng, float *x, size_t max)
{
    size_t n = 1 + eq_rng_below(rng, (uint32_t)max);
    double spread = pow(2, eq_rng_range(rng, -3, 6)), shift = eq_rng_normal(rng) * spread;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(shift + spread * eq_rng_normal(rng));
    return n;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The cumulated counts at every bin's edge equal what sorting says, but for values within rounding of that edge. */
static void check_against_sorted(const struct eq_grid_hist *h, float *all, size_t n)
{
    qsort(all, n, sizeof *all, by_value);
    double limit = (double)h->half * h->width, slack = 1e-6 * limit;
    assert_true(-limit <= all[0] + slack && limit >= all[n - 1] - slack);
    assert_true(h->range.min == all[0] && h->range.max == all[n - 1]);
    uint64_t cumulated = 0;
    size_t below = 0, surely = 0;
    for (int i = 0; i < 2 * h->half; i++) {
        double edge = (i + 1 - h->half) * (double)h->width;
        cumulated += h->count[i];
        while (below < n && all[below] <= edge + slack)
            below++;
        while (surely < n && all[surely] < edge - slack)
            surely++;
        assert_true(cumulated <= below && cumulated >= surely);
    }
    assert_int_equal(cumulated, n);
    assert_int_equal(h->total, n);
}

/* Ranges that grow by far more than the bins may, too: their number stays below its bound, and no count is lost. */
static void grid_keeps_every_count(void **state)
{
    (void)state;
    enum { MAX = 300, BATCHES = 20 };
    static float all[MAX * BATCHES];
    bool merged = false;
    for (uint32_t trial = 0; trial < 40; trial++) {
        struct eq_grid_hist h;
        struct eq_rng rng;
        eq_rng_init(&rng, 2, EQ_RNG_TEST, 0, trial);
        assert_int_equal(eq_grid_hist_init(&h, NULL), EQ_OK);
        size_t n = 0;
        float width = 0;
        for (int b = 0; b < BATCHES; b++) {
            size_t batch = make_batch(&rng, all + n, MAX);
            assert_int_equal(eq_grid_hist_add(&h, all + n, batch, NULL), EQ_OK);
            width = b ? width : h.width;
            n += batch;
        }
        check_against_sorted(&h, all, n);
        float absmax = fmaxf(-h.range.min, h.range.max);
        assert_true(h.half % 2 == 0 && h.half <= EQ_GRID_MOST);
        if (h.width > width) { /* the bins are half of the most, or more */
            merged = true;
            assert_true(absmax >= 0.49f * EQ_GRID_MOST * h.width);
        } else
            assert_true((float)h.half * h.width <= absmax + 3 * h.width || h.half == EQ_HIST_BINS);
        eq_grid_hist_clear(&h);
    }
    assert_true(merged);
}

/* A leap of the range by as much as float holds. */
static void grid_grows_by_any_factor(void **state)
{
    (void)state;
    const float start[] = {0, 0, 1e-29f, -1e-30f}, leap[] = {-5e37f, 1};
    struct eq_grid_hist h;
    struct eq_err err;
    assert_int_equal(eq_grid_hist_init(&h, NULL), EQ_OK);
    assert_int_equal(eq_grid_hist_add(&h, start, 2, NULL), EQ_OK);
    assert_true(h.width == 0);
    assert_int_equal(eq_grid_hist_add(&h, start, 4, NULL), EQ_OK);
    assert_true(h.width > 0);
    assert_int_equal(eq_grid_hist_add(&h, leap, 2, NULL), EQ_OK);
    assert_true(h.half <= EQ_GRID_MOST);
    uint64_t total = 0;
    for (int i = 0; i < 2 * h.half; i++)
        total += h.count[i];
    assert_int_equal(total, 8);
    assert_int_equal(h.count[h.half] + h.count[h.half - 1], 7); /* all but the leap, nearest to 0 */
    assert_int_equal(eq_grid_hist_add(&h, &(float){3e38f}, 1, &err), EQ_NUMERIC);
    assert_int_equal(h.total, 8);
    eq_grid_hist_clear(&h);
}

/* Counts move to other bins and stay the same in all; a range that holds leaves them alone. */
static void stretched_bins_keep_their_sum(void **state)
{
    (void)state;
    enum { MAX = 300, BATCHES = 20 };
    static float x[MAX];
    struct eq_stretch_hist *h = eq_alloc(1, sizeof *h);
    for (uint32_t trial = 0; trial < 20; trial++) {
        struct eq_rng rng;
        eq_rng_init(&rng, 2, EQ_RNG_TEST, 0, trial);
        memset(h, 0, sizeof *h);
        float min = INFINITY, max = -INFINITY;
        for (int b = 0; b < BATCHES; b++) {
            size_t n = make_batch(&rng, x, MAX);
            assert_int_equal(eq_stretch_hist_add(h, x, n, NULL), EQ_OK);
            for (size_t i = 0; i < n; i++) {
                min = fminf(min, x[i]);
                max = fmaxf(max, x[i]);
            }
        }
        double sum = 0;
        for (int i = 0; i < EQ_HIST_BINS; i++)
            sum += h->count[i];
        assert_true(fabs(sum - (double)h->total) < 1e-6);
        assert_true(h->range.min == min && h->range.max == max);
    }
    eq_free(h);
}

static void stretched_bins_start_from_one_value(void **state)
{
    (void)state;
    struct eq_stretch_hist *h = eq_alloc(1, sizeof *h);
    const float five[] = {5, 5, 5}, more[] = {1, 9};
    assert_int_equal(eq_stretch_hist_add(h, five, 3, NULL), EQ_OK);
    assert_true(eq_stretch_hist_is_point(h));
    assert_int_equal(eq_stretch_hist_add(h, more, 2, NULL), EQ_OK);
    assert_true(h->count[0] == 1 && h->count[EQ_HIST_BINS / 2] == 3 && h->count[EQ_HIST_BINS - 1] == 1);
    eq_free(h);
}

static void constant_activations_have_a_range(void **state)
{
    (void)state;
    const float x[] = {2.5f, 2.5f, 2.5f, 2.5f};
    for (int kind = 0; kind < EQ_OBSERVER_COUNT; kind++) {
        struct eq_observer *o = observer((enum eq_observer_kind)kind, 99.9);
        float min, max;
        assert_int_equal(eq_observer_add(o, x, 4, NULL), EQ_OK);
        assert_int_equal(eq_observer_add(o, x, 4, NULL), EQ_OK);
        assert_int_equal(eq_observer_range_by(o, NULL, &min, &max, NULL), EQ_OK);
        /* percentile cuts at the left edge of the last of its bins, which are 2.5 / 1024 wide. */
        assert_true(max <= 2.5f && max >= 2.5f - 2.5f / 1024 && min <= max);
        eq_observer_free(o);
    }
}

static void percentile_100_is_minmax(void **state)
{
    (void)state;
    struct eq_rng rng;
    eq_rng_init(&rng, 3, EQ_RNG_TEST, 0, 0);
    struct eq_observer *a = observer(EQ_OBSERVER_PERCENTILE, 100), *b = observer(EQ_OBSERVER_MINMAX, 0);
    float x[500], min_a, max_a, min_b, max_b;
    for (int i = 0; i < 30; i++) {
        size_t n = make_batch(&rng, x, 500);
        assert_int_equal(eq_observer_add(a, x, n, NULL), EQ_OK);
        assert_int_equal(eq_observer_add(b, x, n, NULL), EQ_OK);
    }
    assert_int_equal(eq_observer_range_by(a, NULL, &min_a, &max_a, NULL), EQ_OK);
    assert_int_equal(eq_observer_range_by(b, NULL, &min_b, &max_b, NULL), EQ_OK);
    assert_true(min_a == min_b && max_a == max_b);
    eq_observer_free(a);
    eq_observer_free(b);
}

/* A few outliers among many values: the clipping observers cut them, min-max follows them. */
static void outliers_are_clipped(void **state)
{
    (void)state;
    enum { N = 200000 };
    float *x = eq_alloc(N, sizeof *x), min, max;
    struct eq_rng rng;
    eq_rng_init(&rng, 4, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < N; i++)
        x[i] = (float)eq_rng_normal(&rng);
    x[N / 2] = 60;
    for (int kind = 0; kind < EQ_OBSERVER_COUNT; kind++) {
        struct eq_observer *o = observer((enum eq_observer_kind)kind, 99.99);
        assert_int_equal(eq_observer_add(o, x, N, NULL), EQ_OK);
        assert_int_equal(eq_observer_range_by(o, NULL, &min, &max, NULL), EQ_OK);
        if (kind == EQ_OBSERVER_MINMAX || kind == EQ_OBSERVER_MOVING_AVERAGE)
            assert_true(max == 60);
        else
            assert_true(max > 2 && max < 20);
        eq_observer_free(o);
    }
    eq_free(x);
}

static void nan_and_infinity_are_refused(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (int kind = 0; kind < EQ_OBSERVER_COUNT; kind++)
        for (size_t i = 0; i < 4; i++) {
            bool finite = isfinite(bad[i]), grid = kind == EQ_OBSERVER_PERCENTILE || kind == EQ_OBSERVER_ENTROPY;
            struct eq_observer *o = observer((enum eq_observer_kind)kind, 99.9);
            float x[] = {1, 2, bad[i], 3}, min, max;
            struct eq_err err;
            assert_int_equal(eq_observer_range_by(o, NULL, &min, &max, &err), EQ_NUMERIC); /* nothing seen */
            assert_int_equal(eq_observer_add(o, x, 2, &err), EQ_OK);
            assert_int_equal(eq_observer_add(o, x, 4, &err), finite && !grid ? EQ_OK : EQ_NUMERIC);
            if (!finite) {
                assert_int_equal(eq_observer_range_by(o, NULL, &min, &max, &err), EQ_OK);
                assert_true(min >= 0 && max <= 2);
            }
            eq_observer_free(o);
        }
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    const struct eq_observer_opts bad[] = {
        {.kind = EQ_OBSERVER_PERCENTILE, .percentile = 50},     {.kind = EQ_OBSERVER_PERCENTILE, .percentile = 100.001},
        {.kind = EQ_OBSERVER_PERCENTILE, .percentile = NAN},    {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = 0},
        {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = 1.5}, {.kind = EQ_OBSERVER_COUNT},
    };
    struct eq_observer *o;
    struct eq_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(eq_observer_new(&bad[i], &o, &err), EQ_USAGE);
        assert_null(o);
    }
}

/* Every kind is tried, each with a parameter that its check lets pass. */
static void candidates_are_valid(void **state)
{
    (void)state;
    struct eq_observer_opts opts;
    size_t n = 0, of_kind[EQ_OBSERVER_COUNT] = {0};
    for (; eq_observer_candidate(n, 0.01, &opts); n++) {
        struct eq_err err;
        if (eq_observer_check(&opts, &err) != EQ_OK)
            fail_msg("%s", err.msg);
        of_kind[opts.kind]++;
        assert_true(opts.averaging == 0.01);
    }
    for (int kind = 0; kind < EQ_OBSERVER_COUNT; kind++)
        assert_int_equal(of_kind[kind], kind == EQ_OBSERVER_PERCENTILE ? 3 : 1);
    assert_null(eq_observer_names[EQ_OBSERVER_COUNT]);
    assert_string_equal(eq_observer_parameter(EQ_OBSERVER_PERCENTILE), "percentile");
    assert_null(eq_observer_parameter(EQ_OBSERVER_ENTROPY));
}

int main(void)
{
    eq_kernels_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(grid_keeps_every_count),
                                       cmocka_unit_test(grid_grows_by_any_factor),
                                       cmocka_unit_test(stretched_bins_keep_their_sum),
                                       cmocka_unit_test(stretched_bins_start_from_one_value),
                                       cmocka_unit_test(constant_activations_have_a_range),
                                       cmocka_unit_test(percentile_100_is_minmax),
                                       cmocka_unit_test(outliers_are_clipped),
                                       cmocka_unit_test(nan_and_infinity_are_refused),
                                       cmocka_unit_test(bad_options_are_refused),
                                       cmocka_unit_test(candidates_are_valid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
