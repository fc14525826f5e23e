/* Observers and the growing histogram behind them. */
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
static void check_against_sorted(const struct eq_hist *h, float *all, size_t n)
{
    qsort(all, n, sizeof *all, by_value);
    assert_true(h->lo <= all[0] && h->hi >= all[n - 1]);
    assert_true(h->min == all[0] && h->max == all[n - 1]);
    double width = ((double)h->hi - h->lo) / EQ_HIST_BINS, slack = 1e-6 * fmax(fabs(h->lo), fabs(h->hi));
    uint64_t cumulated = 0;
    size_t below = 0, surely = 0;
    for (int i = 0; i < EQ_HIST_BINS; i++) {
        double edge = h->lo + (i + 1) * width;
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

static void histogram_keeps_every_count(void **state)
{
    (void)state;
    enum { MAX = 300, BATCHES = 20 };
    static float all[MAX * BATCHES];
    struct eq_hist *h = eq_alloc(1, sizeof *h);
    for (uint32_t trial = 0; trial < 40; trial++) {
        struct eq_rng rng;
        eq_rng_init(&rng, 2, EQ_RNG_TEST, 0, trial);
        memset(h, 0, sizeof *h);
        h->symmetric = trial % 2;
        size_t n = 0;
        for (int b = 0; b < BATCHES; b++) {
            size_t batch = make_batch(&rng, all + n, MAX);
            assert_int_equal(eq_hist_add(h, all + n, batch, NULL), EQ_OK);
            n += batch;
        }
        check_against_sorted(h, all, n);
        /* Never fewer than half of the bins for what was seen (symmetric: for its larger side). */
        double range = h->symmetric ? 2 * fmax(-h->min, h->max) : h->max - h->min;
        assert_true(range >= 0.24 * (h->hi - h->lo));
    }
    eq_free(h);
}

static void histogram_starts_from_one_value(void **state)
{
    (void)state;
    struct eq_hist *h = eq_alloc(1, sizeof *h);
    const float five[] = {5, 5, 5}, more[] = {1, 9};
    assert_int_equal(eq_hist_add(h, five, 3, NULL), EQ_OK);
    assert_true(eq_hist_is_point(h));
    assert_int_equal(eq_hist_add(h, more, 2, NULL), EQ_OK);
    assert_int_equal(h->count[0], 1);
    assert_int_equal(h->count[EQ_HIST_BINS / 2], 3);
    assert_int_equal(h->count[EQ_HIST_BINS - 1], 1);
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
        /* The entropy observer's bins reach from -2.5 to 2.5: it may cut within the last of 256 levels. */
        assert_true(max <= 2.5f && max >= 2.5f - 5.0f / 256 && min <= max);
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
            bool finite = isfinite(bad[i]), clips = kind != EQ_OBSERVER_MINMAX && kind != EQ_OBSERVER_MOVING_AVERAGE;
            struct eq_observer *o = observer((enum eq_observer_kind)kind, 99.9);
            float x[] = {1, 2, bad[i], 3}, min, max;
            struct eq_err err;
            assert_int_equal(eq_observer_range_by(o, NULL, &min, &max, &err), EQ_NUMERIC); /* nothing seen */
            assert_int_equal(eq_observer_add(o, x, 2, &err), EQ_OK);
            assert_int_equal(eq_observer_add(o, x, 4, &err), finite && !clips ? EQ_OK : EQ_NUMERIC);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(histogram_keeps_every_count),
                                       cmocka_unit_test(histogram_starts_from_one_value),
                                       cmocka_unit_test(constant_activations_have_a_range),
                                       cmocka_unit_test(percentile_100_is_minmax),
                                       cmocka_unit_test(outliers_are_clipped),
                                       cmocka_unit_test(nan_and_infinity_are_refused),
                                       cmocka_unit_test(bad_options_are_refused),
                                       cmocka_unit_test(candidates_are_valid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
