/* What no package can be asked: draws that do not depend on threads, coverage, special cases, verdicts. */
#include "unit/cmocka_all.h"
#include "echoquant/stats.h"

#include <math.h>
#include <signal.h>
#include <string.h>

enum { N = 60 };

static void make_values(uint32_t which, double *v, size_t n, double mean, double sd)
{
    struct eq_rng rng;
    eq_rng_init(&rng, 14, EQ_RNG_TEST, which, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = mean + sd * eq_rng_normal(&rng);
}

/* ---- bootstrap ----------------------------------------------------------- */

struct sample {
    const double *v;
};

/* mean, variance, a constant, none at all, and one that does not exist without clip 0 */
static void statistics(const void *ctx, const struct eq_boot_sample *s, double *stats)
{
    const struct sample *x = ctx;
    double sum = 0, squares = 0, total = 0, tenths = 0;
    for (size_t i = 0; i < s->n; i++) {
        tenths += s->times[i] * (i % 2 ? 0.1 : 0.3 - 0.2);
        sum += s->times[i] * x->v[i];
        total += s->times[i];
    }
    assert_true(total == s->total);
    for (size_t i = 0; i < s->n; i++)
        squares += s->times[i] * (x->v[i] - sum / total) * (x->v[i] - sum / total);
    stats[0] = sum / total;
    stats[1] = squares / total;
    stats[2] = tenths / total; /* equal but for rounding */
    stats[3] = NAN;
    stats[4] = s->times[0] > 0 ? stats[0] : NAN;
    if (s->room)
        s->room[0] = s->room[1] = stats[0]; /* a sanitizer says if it is not ours */
}

static struct eq_boot_plan plan_for(const struct sample *x, size_t n)
{
    return (struct eq_boot_plan){
        .n = n, .stats = 5, .room = 2, .fn = statistics, .ctx = x, .seed = 5, .replicates = 1000};
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    double v[N];
    uint32_t cluster[N];
    struct eq_boot one[5], many[5];
    make_values(1, v, N, 5, 2);
    for (uint32_t i = 0; i < N; i++)
        cluster[i] = i * 7 % 23 + 4000000000u;
    const struct sample x = {v};
    struct eq_boot_plan plan = plan_for(&x, N);
    for (int clustered = 0; clustered < 2; clustered++) {
        plan.cluster = clustered ? cluster : NULL;
        assert_int_equal(eq_parallel_init(1, NULL), EQ_OK);
        assert_int_equal(eq_bootstrap(&plan, one, NULL), EQ_OK);
        assert_int_equal(eq_parallel_init(3, NULL), EQ_OK);
        assert_int_equal(eq_bootstrap(&plan, many, NULL), EQ_OK);
        eq_parallel_shutdown();
        assert_memory_equal(one, many, sizeof one);
        assert_int_equal(one[0].units, clustered ? 23 : N);
    }
}

static void seeds_matter(void **state)
{
    (void)state;
    double v[N];
    struct eq_boot a[5], b[5];
    make_values(1, v, N, 5, 2);
    const struct sample x = {v};
    struct eq_boot_plan plan = plan_for(&x, N);
    assert_int_equal(eq_bootstrap(&plan, a, NULL), EQ_OK);
    plan.seed++;
    assert_int_equal(eq_bootstrap(&plan, b, NULL), EQ_OK);
    assert_true(a[0].low != b[0].low);
    assert_true(fabs(a[0].low - b[0].low) < 0.2 * a[0].se);
    assert_true(fabs(a[0].se / (2 / sqrt(N)) - 1) < 0.25);
}

static void special_cases(void **state)
{
    (void)state;
    double v[N];
    struct eq_boot o[5];
    make_values(1, v, N, 5, 2);
    const struct sample x = {v};
    struct eq_boot_plan plan = plan_for(&x, N);
    assert_int_equal(eq_bootstrap(&plan, o, NULL), EQ_OK);
    assert_true(o[2].se == 0 && o[2].low == o[2].value && o[2].bca_high == o[2].value && isnan(o[2].z0));
    assert_true(isnan(o[3].value) && isnan(o[3].se) && isnan(o[3].low) && isnan(o[3].bca_low) && o[3].valid == 0);
    /* without clip 0, which 37 % of the samples lack */
    assert_true(isnan(o[4].low) && isnan(o[4].bca_low) && o[4].valid > 500 && o[4].valid < 750);
    assert_true(o[4].value == o[0].value);

    plan = plan_for(&x, 1);
    assert_int_equal(eq_bootstrap(&plan, o, NULL), EQ_OK);
    assert_true(o[0].value == v[0] && isnan(o[0].se) && isnan(o[0].low) && isnan(o[0].bca_high) && o[0].units == 1);
    uint32_t same[N] = {0};
    plan = plan_for(&x, N);
    plan.cluster = same; /* one patient */
    assert_int_equal(eq_bootstrap(&plan, o, NULL), EQ_OK);
    assert_true(isnan(o[0].se) && isnan(o[0].low) && o[0].units == 1);
}

/* A statistic that few samples lack, one that no jackknife sample has, and one that no replicate falls below. */
static void odd_statistics(const void *ctx, const struct eq_boot_sample *s, double *stats)
{
    (void)ctx;
    stats[0] = s->times[0] + s->times[1] + s->times[2] > 0 ? s->times[3] : NAN;
    stats[1] = s->total == s->n ? s->times[3] : NAN; /* no jackknife sample has it */
    stats[2] = 1 + (s->times[0] != 1);               /* the value is the least */
}

static void bca_is_not_made_up(void **state)
{
    (void)state;
    struct eq_boot o[3];
    struct eq_boot_plan plan = {.n = N, .stats = 3, .fn = odd_statistics, .seed = 5, .replicates = 1000};
    assert_int_equal(eq_bootstrap(&plan, o, NULL), EQ_OK);
    assert_true(o[0].valid < 1000 && o[0].valid > 900 && o[0].low == 0 && o[0].high >= 3 && !isnan(o[0].bca_low));
    assert_true(o[1].valid == 1000 && o[1].low == 0 && isnan(o[1].bca_low) && isnan(o[1].bca_high));
    assert_true(o[2].low == 1 && o[2].high == 2);
}

/* Nominal 95 % intervals of a mean of 40 and of clustered clips: within four standard errors of what they should be,
 * which is a little less than 95 % for so few clips. */
static double coverage(bool clustered, bool by_cluster)
{
    enum { TRIALS = 600, CLIPS = 40 };
    int held = 0;
    for (uint32_t t = 0; t < TRIALS; t++) {
        double v[CLIPS], patient[CLIPS];
        uint32_t cluster[CLIPS];
        make_values(1000 + t, v, CLIPS, 0, 1);
        make_values(9000 + t, patient, CLIPS, 0, 1.5);
        for (uint32_t i = 0; i < CLIPS; i++) {
            cluster[i] = i / 2;
            v[i] += clustered ? patient[i / 2] : 0;
        }
        const struct sample x = {v};
        struct eq_boot o[5];
        struct eq_boot_plan plan = plan_for(&x, CLIPS);
        plan.cluster = by_cluster ? cluster : NULL;
        plan.replicates = 400;
        plan.seed = t;
        assert_int_equal(eq_bootstrap(&plan, o, NULL), EQ_OK);
        held += o[0].bca_low <= 0 && o[0].bca_high >= 0;
    }
    return held / (double)TRIALS;
}

static void intervals_cover(void **state)
{
    (void)state;
    assert_int_equal(eq_parallel_init(0, NULL), EQ_OK);
    double alone = coverage(false, false), patients = coverage(true, true), ignored = coverage(true, false);
    eq_parallel_shutdown();
    if (alone < 0.90 || alone > 0.98 || patients < 0.88 || patients > 0.97 || ignored > 0.87)
        fail_msg("coverage %.3f of clips, %.3f of patients, %.3f of clips of patients", alone, patients, ignored);
}

struct runs {
    double v[6][N];
};

static void mean_of_run(const void *ctx, const struct eq_boot_sample *s, double *stats)
{
    const struct runs *r = ctx;
    stats[0] = 0;
    for (size_t i = 0; i < s->n; i++)
        stats[0] += s->times[i] * r->v[s->run][i] / s->total;
    stats[1] = s->run == 1 ? NAN : 1;
}

static void levels_are_told_apart(void **state)
{
    (void)state;
    struct runs r;
    struct eq_boot_runs o[2];
    struct eq_boot_plan plan = {
        .n = N, .runs = 6, .stats = 2, .fn = mean_of_run, .ctx = &r, .seed = 2, .replicates = 2000};
    double clip[N], run[6];
    make_values(1, clip, N, 50, 4);
    make_values(2, run, 6, 0, 3);
    for (size_t k = 0; k < 6; k++)
        for (size_t i = 0; i < N; i++)
            r.v[k][i] = clip[i];
    assert_int_equal(eq_bootstrap_runs(&plan, o, NULL), EQ_OK); /* runs do not differ */
    assert_true(o[0].sd_runs < 1e-12 && fabs(o[0].se_clips / (4 / sqrt(N)) - 1) < 0.25);
    assert_true(o[0].df > N - 2 && o[0].df < N);
    assert_true(isnan(o[1].value) && isnan(o[1].se_clips) && isnan(o[1].low) && isnan(o[1].t_low));
    for (size_t k = 0; k < 6; k++)
        for (size_t i = 0; i < N; i++)
            r.v[k][i] = 50 + run[k];
    assert_int_equal(eq_bootstrap_runs(&plan, o, NULL), EQ_OK); /* clips do not differ */
    struct eq_spread s = eq_spread_of(run, 6);
    assert_float_equal(o[0].sd_runs, s.sd, 1e-9);
    assert_true(o[0].se_clips == 0);
    assert_float_equal(o[0].df, 5, 1e-9);
    assert_float_equal(o[0].t_low, 50 + s.low, 1e-9);
    assert_true(o[0].low > o[0].t_low && o[0].high < o[0].t_high); /* too narrow for few runs */

    plan.runs = 1;
    assert_int_equal(eq_bootstrap_runs(&plan, o, NULL), EQ_OK);
    assert_true(isnan(o[0].sd_runs) && isnan(o[0].t_low) && isnan(o[0].low) && !isnan(o[0].se_clips));
    plan.runs = 6;
    plan.n = 1;
    assert_int_equal(eq_bootstrap_runs(&plan, o, NULL), EQ_OK);
    assert_true(!isnan(o[0].sd_runs) && isnan(o[0].se_clips) && isnan(o[0].t_low) && isnan(o[0].low));
}

static void more_clips_than_the_jackknife_takes(void **state)
{
    (void)state;
    size_t n = EQ_BOOT_REPLICATES + 2500;
    double *v = eq_alloc(n, sizeof *v);
    struct eq_boot o[5];
    make_values(3, v, n, 0, 1);
    for (size_t i = 0; i < n; i++)
        v[i] = exp(v[i]); /* skewed */
    const struct sample x = {v};
    struct eq_boot_plan plan = plan_for(&x, n);
    plan.replicates = 50;
    assert_int_equal(eq_bootstrap(&plan, o, NULL), EQ_OK);
    double mean = o[0].value, squares = 0, cubes = 0;
    for (size_t i = 0; i < n; i++) {
        squares += (v[i] - mean) * (v[i] - mean);
        cubes += pow(v[i] - mean, 3);
    }
    assert_float_equal(o[0].acceleration, cubes / (6 * pow(squares, 1.5)), 0.2 * o[0].acceleration);
    assert_true(o[0].acceleration > 0);
    eq_free(v);
}

static void signals_end_it(void **state)
{
    (void)state;
    double v[N];
    struct eq_boot o[5];
    struct eq_err err;
    make_values(1, v, N, 5, 2);
    const struct sample x = {v};
    struct eq_boot_plan plan = plan_for(&x, N);
    eq_signals_install();
    raise(SIGTERM);
    assert_int_equal(eq_bootstrap(&plan, o, &err), EQ_INTERRUPTED);
    eq_interrupt_reset();
    assert_int_equal(eq_bootstrap(&plan, o, &err), EQ_OK);
}

/* ---- verdicts ------------------------------------------------------------ */

static void verdicts(void **state)
{
    (void)state;
    assert_int_equal(eq_margin_of(-0.2, 0.49, 0.5), EQ_MARGIN_NONINFERIOR);
    assert_int_equal(eq_margin_of(-0.2, 0.5, 0.5), EQ_MARGIN_NOT_SHOWN);
    assert_int_equal(eq_margin_of(0.1, 0.4, 0.5), EQ_MARGIN_NONINFERIOR); /* worse for certain, by less than counts */
    assert_int_equal(eq_margin_of(0.5, 0.9, 0.5), EQ_MARGIN_NOT_SHOWN);
    assert_int_equal(eq_margin_of(0.51, 0.9, 0.5), EQ_MARGIN_INFERIOR);
    assert_int_equal(eq_margin_of(0, 0, 0.5), EQ_MARGIN_NONINFERIOR);
    assert_int_equal(eq_margin_of(NAN, 0.1, 0.5), EQ_MARGIN_NONE);
    assert_int_equal(eq_margin_of(0.1, NAN, 0.5), EQ_MARGIN_NONE);
    assert_string_equal(eq_margin_name(EQ_MARGIN_NOT_SHOWN), "not shown");
    assert_float_equal(eq_one_sided_level(0.95), 0.025, 1e-15);
}

/* ---- small cases --------------------------------------------------------- */

static void empty_and_single(void **state)
{
    (void)state;
    struct eq_wilcoxon w;
    struct eq_bland_altman b;
    struct eq_auc auc;
    struct eq_auc_pair pair;
    const double one[] = {5};
    const bool yes[] = {true};
    double none[1];
    assert_int_equal(eq_wilcoxon_of(NULL, 0, &w, NULL), EQ_OK);
    assert_true(isnan(w.p) && isnan(w.hodges_lehmann));
    assert_string_equal(w.method, "none");
    const double zeros[] = {0, 0, 0};
    assert_int_equal(eq_wilcoxon_of(zeros, 3, &w, NULL), EQ_OK);
    assert_true(w.p == 1 && w.n == 0 && w.zeros == 3 && w.hodges_lehmann == 0);
    assert_int_equal(eq_bland_altman_of(NULL, NULL, 0, &b, NULL), EQ_OK);
    assert_true(isnan(b.bias) && isnan(b.over_mean.slope));
    assert_int_equal(eq_auc_of(one, yes, 1, &auc, NULL), EQ_OK);
    assert_true(auc.positives == 1 && auc.negatives == 0 && isnan(auc.auc) && isnan(auc.low));
    assert_int_equal(eq_auc_of(NULL, NULL, 0, &auc, NULL), EQ_OK);
    assert_true(isnan(auc.auc));
    assert_int_equal(eq_auc_compare(one, one, yes, 1, &pair, NULL), EQ_OK);
    assert_true(isnan(pair.difference) && isnan(pair.p) && isnan(pair.a.auc));
    assert_true(isnan(eq_icc_of(one, 1, 1).agreement));
    assert_true(isnan(eq_line_fit(one, one, 1).slope));
    assert_true(isnan(eq_share_of(0, 0).share) && isnan(eq_share_of(0, 0).low));
    assert_true(eq_share_of(0, 7).low == 0 && eq_share_of(7, 7).high == 1);
    assert_true(eq_share_of(0, 7).high > 0.3 && eq_share_of(7, 7).low < 0.7);
    assert_true(isnan(eq_quantile_of(NULL, 0, 0.5)) && isnan(eq_quantile_of(one, 1, 1.1)));
    assert_true(eq_quantile_of(one, 1, 0.3) == 5);
    assert_int_equal(eq_ecdf_of(NULL, 0, none, none), 0);
    assert_true(isnan(eq_metrics_weighted(NULL, NULL, NULL, 0).mae));
    assert_true(eq_reclass_of(NULL, NULL, 0, 40).mcnemar_p == 1);
}

/* A model beside itself, and one that ranks alike on another scale: no difference, and no p value from rounding. */
static void equal_models(void **state)
{
    (void)state;
    double a[N], b[N];
    bool positive[N];
    struct eq_auc_pair pair;
    make_values(1, a, N, 50, 9);
    make_values(2, b, N, 0, 5);
    for (size_t i = 0; i < N; i++) {
        positive[i] = a[i] + b[i] < 50;
        b[i] = exp(a[i] / 10);
    }
    assert_int_equal(eq_auc_compare(a, b, positive, N, &pair, NULL), EQ_OK);
    assert_true(pair.difference == 0 && pair.se == 0 && pair.p == 1 && pair.a.var == pair.b.var && pair.a.var > 0);
}

static void histogram_counts_all(void **state)
{
    (void)state;
    const double v[] = {-1, 0, 0.1, 0.2, 0.3, 0.7, 1, 1.0000001, NAN};
    size_t counts[10];
    assert_int_equal(eq_histogram_of(v, 9, 0, 1, 10, counts), 3);
    static const size_t want[] = {1, 1, 1, 1, 0, 0, 0, 1, 0, 1}; /* 0.3 / 0.1 is 2.9999999999999996 */
    assert_memory_equal(counts, want, sizeof want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(seeds_matter),
        cmocka_unit_test(special_cases),
        cmocka_unit_test(bca_is_not_made_up),
        cmocka_unit_test(intervals_cover),
        cmocka_unit_test(levels_are_told_apart),
        cmocka_unit_test(more_clips_than_the_jackknife_takes),
        cmocka_unit_test(signals_end_it),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(empty_and_single),
        cmocka_unit_test(equal_models),
        cmocka_unit_test(histogram_counts_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
