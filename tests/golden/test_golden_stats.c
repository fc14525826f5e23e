/* src/stats against SciPy, scikit-learn, statsmodels and pingouin (data_stats.py writes stats.json). */
#include "unit/cmocka_all.h"
#include "echoquant/stats.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#define TOLERANCE 1e-9 /* absolute up to 1, relative above */

static cJSON *golden;
static char place[256]; /* of messages */

static const cJSON *item(const cJSON *j, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, key);
    if (!v)
        fail_msg("stats.json: %s has no %s", place, key);
    return v;
}

/* NaN stands for null. */
static double value(const cJSON *v)
{
    return cJSON_IsNull(v) ? NAN : v->valuedouble;
}

static double number(const cJSON *j, const char *key)
{
    return value(item(j, key));
}

static const char *text(const cJSON *j, const char *key)
{
    return item(j, key)->valuestring;
}

static double *numbers(const cJSON *j, const char *key, size_t *n)
{
    const cJSON *list = item(j, key), *v;
    *n = 0;
    double *out = eq_alloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *out);
    cJSON_ArrayForEach(v, list) out[(*n)++] = value(v);
    return out;
}

static void check(const char *what, double got, double want, double tolerance)
{
    if (isnan(got) && isnan(want))
        return;
    if (!(fabs(got - want) <= tolerance * fmax(1, fabs(want))))
        fail_msg("%s, %s: %.17g, expected %.17g", place, what, got, want);
}

static void expect(const cJSON *j, const char *key, double got)
{
    check(key, got, number(j, key), TOLERANCE);
}

struct clips {
    const cJSON *json;
    size_t n;
    double *a, *b, *truth, *times, *room;
    bool *positive;
};

static struct clips clips_of(const cJSON *json)
{
    struct clips c = {.json = json};
    snprintf(place, sizeof place, "%s", text(json, "name"));
    c.a = numbers(json, "a", &c.n);
    c.b = numbers(json, "b", &c.n);
    c.truth = numbers(json, "truth", &c.n);
    c.times = numbers(json, "times", &c.n);
    c.room = eq_alloc(2 * c.n, sizeof *c.room);
    c.positive = eq_alloc(c.n, sizeof *c.positive);
    return c;
}

static void clear(struct clips *c)
{
    eq_free(c->a);
    eq_free(c->b);
    eq_free(c->truth);
    eq_free(c->times);
    eq_free(c->room);
    eq_free(c->positive);
}

static void for_each(void (*look)(struct clips *c))
{
    const cJSON *json;
    cJSON_ArrayForEach(json, item(golden, "cases"))
    {
        struct clips c = clips_of(json);
        look(&c);
        clear(&c);
    }
}

/* ---- metrics and summaries ----------------------------------------------- */

static void expect_metrics(const cJSON *j, struct eq_metrics m)
{
    expect(j, "mae", m.mae);
    expect(j, "rmse", m.rmse);
    expect(j, "r2", m.r2);
    expect(j, "bias", m.bias);
}

static void look_at_metrics(struct clips *c)
{
    expect_metrics(item(c->json, "errors"), eq_metrics_compute(c->a, c->truth, c->n));
    struct eq_metrics weighted = eq_metrics_weighted(c->a, c->truth, c->times, c->n);
    if (cJSON_IsNull(item(c->json, "weighted")))
        assert_true(isnan(weighted.mae) && isnan(weighted.rmse) && isnan(weighted.r2) && isnan(weighted.bias));
    else
        expect_metrics(item(c->json, "weighted"), weighted);
    const double cuts[] = {40, 50};
    struct eq_stratum strata[3], *s = strata;
    assert_int_equal(eq_strata_of(c->a, c->truth, c->truth, c->n, cuts, 2, strata, NULL), EQ_OK);
    const cJSON *row;
    cJSON_ArrayForEach(row, item(c->json, "strata"))
    {
        assert_int_equal(s->metrics.clips, (int)number(row, "n"));
        expect_metrics(row, s->metrics);
        expect(row, "mae_low", s->mae_low);
        expect(row, "mae_high", s->mae_high);
        s++;
    }
}

static void look_at_summary(struct clips *c)
{
    const cJSON *j = item(c->json, "summary");
    size_t n, points, counts[7], outside;
    double *p = numbers(j, "p", &n), *want = numbers(j, "quantiles", &n);
    memcpy(c->room, c->a, c->n * sizeof *c->a);
    eq_sort_doubles(c->room, c->n);
    for (size_t i = 0; i < n; i++)
        check("quantile", eq_quantile_of(c->room, c->n, p[i]), want[i], 1e-13);
    eq_free(want);
    want = numbers(j, "histogram", &n);
    outside = eq_histogram_of(c->a, c->n, number(j, "lo"), number(j, "hi"), n, counts);
    assert_int_equal(outside, 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(counts[i], (int)want[i]);
    eq_free(want);
    double *x = eq_alloc(c->n, sizeof *x), *share = eq_alloc(c->n, sizeof *share);
    points = eq_ecdf_of(c->room, c->n, x, share);
    want = numbers(j, "ecdf_x", &n);
    assert_int_equal(points, n);
    for (size_t i = 0; i < n; i++)
        check("ecdf x", x[i], want[i], 0);
    eq_free(want);
    want = numbers(j, "ecdf_share", &n);
    for (size_t i = 0; i < n; i++)
        check("ecdf share", share[i], want[i], 1e-14);
    eq_free(want);
    eq_free(p);
    eq_free(x);
    eq_free(share);
}

static void metrics_match(void **state)
{
    (void)state;
    for_each(look_at_metrics);
}

static void summaries_match(void **state)
{
    (void)state;
    for_each(look_at_summary);
}

/* ---- paired tests and agreement ------------------------------------------ */

static void look_at_wilcoxon(struct clips *c)
{
    const cJSON *j = item(c->json, "wilcoxon");
    struct eq_wilcoxon w;
    for (size_t i = 0; i < c->n; i++)
        c->room[i] = fabs(c->a[i] - c->truth[i]) - fabs(c->b[i] - c->truth[i]);
    assert_int_equal(eq_wilcoxon_of(c->room, c->n, &w, NULL), EQ_OK);
    expect(j, "p", w.p);
    expect(j, "z", w.z);
    expect(j, "plus", w.plus);
    expect(j, "minus", w.minus);
    expect(j, "hodges_lehmann", w.hodges_lehmann);
    assert_int_equal(w.n + w.zeros, c->n);
}

static void wilcoxon_matches(void **state)
{
    (void)state;
    for_each(look_at_wilcoxon);
}

static void expect_line(const cJSON *j, struct eq_line l)
{
    expect(j, "slope", l.slope);
    expect(j, "slope_se", l.slope_se);
    expect(j, "slope_low", l.slope_low);
    expect(j, "slope_high", l.slope_high);
    expect(j, "slope_p", l.slope_p);
    expect(j, "intercept", l.intercept);
    expect(j, "intercept_se", l.intercept_se);
    expect(j, "intercept_low", l.intercept_low);
    expect(j, "intercept_high", l.intercept_high);
    expect(j, "r", l.r);
    expect(j, "residual_sd", l.residual_sd);
}

static void expect_bland_altman(const cJSON *j, const double *a, const double *b, size_t n)
{
    struct eq_bland_altman o;
    assert_int_equal(eq_bland_altman_of(a, b, n, &o, NULL), EQ_OK);
    expect(j, "bias", o.bias);
    expect_line(item(j, "over_mean"), o.over_mean);
    if (n < 2) {
        assert_true(isnan(o.sd) && isnan(o.bias_low) && isnan(o.upper) && isnan(o.exact_lower_high));
        return;
    }
    expect(j, "sd", o.sd);
    expect(j, "bias_low", o.bias_low);
    expect(j, "bias_high", o.bias_high);
    expect(j, "lower", o.lower);
    expect(j, "lower_low", o.lower_low);
    expect(j, "lower_high", o.lower_high);
    expect(j, "upper", o.upper);
    expect(j, "upper_low", o.upper_low);
    expect(j, "upper_high", o.upper_high);
    expect(j, "exact_lower_low", o.exact_lower_low);
    expect(j, "exact_lower_high", o.exact_lower_high);
    expect(j, "exact_upper_low", o.exact_upper_low);
    expect(j, "exact_upper_high", o.exact_upper_high);
}

static void look_at_agreement(struct clips *c)
{
    expect_line(item(c->json, "calibration"), eq_calibration_of(c->a, c->truth, c->n));
    expect_bland_altman(item(c->json, "bland_altman"), c->a, c->b, c->n);
    expect_bland_altman(item(c->json, "bland_altman_truth"), c->a, c->truth, c->n);
    const cJSON *j = item(c->json, "icc");
    if (cJSON_IsNull(j))
        return;
    for (size_t i = 0; i < c->n; i++) {
        c->room[2 * i] = c->a[i];
        c->room[2 * i + 1] = c->truth[i];
    }
    struct eq_icc icc = eq_icc_of(c->room, c->n, 2);
    expect(j, "agreement", icc.agreement);
    expect(j, "agreement_low", icc.agreement_low);
    expect(j, "agreement_high", icc.agreement_high);
    expect(j, "consistency", icc.consistency);
    expect(j, "consistency_low", icc.consistency_low);
    expect(j, "consistency_high", icc.consistency_high);
}

static void agreement_matches(void **state)
{
    (void)state;
    for_each(look_at_agreement);
}

/* ---- classes ------------------------------------------------------------- */

static void look_at_shares(struct clips *c)
{
    const cJSON *j;
    cJSON_ArrayForEach(j, item(c->json, "moved"))
    {
        struct eq_share s = eq_share_moved(c->a, c->b, c->n, number(j, "by"));
        size_t n;
        double *ci = numbers(j, "ci", &n);
        assert_int_equal(s.count, (int)number(j, "count"));
        check("low", s.low, ci[0], 1e-12);
        check("high", s.high, ci[1], 1e-12);
        eq_free(ci);
    }
}

static void expect_auc(const cJSON *j, struct clips *c, const double *a, const double *b)
{
    struct eq_auc_pair pair;
    struct eq_auc one;
    assert_int_equal(eq_auc_compare(a, b, c->positive, c->n, &pair, NULL), EQ_OK);
    assert_int_equal(eq_auc_of(b, c->positive, c->n, &one, NULL), EQ_OK);
    uint32_t *order = eq_alloc(c->n, sizeof *order);
    double *once = eq_alloc(c->n, sizeof *once);
    for (size_t i = 0; i < c->n; i++)
        once[i] = 1;
    assert_int_equal(eq_auc_order(a, c->n, order, NULL), EQ_OK);
    check("weighted AUC", eq_auc_weighted(a, c->positive, order, once, c->n), pair.a.auc, 1e-14);
    eq_free(order);
    eq_free(once);
    if (!cJSON_HasObjectItem(j, "auc_a")) { /* one class */
        assert_true(isnan(pair.a.auc) && isnan(one.auc) && isnan(pair.p) && isnan(pair.difference));
        return;
    }
    expect(j, "auc_a", pair.a.auc);
    expect(j, "auc_b", pair.b.auc);
    expect(j, "auc_b", one.auc);
    expect(j, "difference", pair.difference);
    if (!cJSON_HasObjectItem(j, "var_a")) { /* one clip of a class */
        assert_true(isnan(pair.a.var) && isnan(one.low) && isnan(pair.p) && isnan(pair.low));
        return;
    }
    expect(j, "var_a", pair.a.var);
    expect(j, "var_b", pair.b.var);
    expect(j, "var_b", one.var);
    expect(j, "covariance", pair.covariance);
    expect(j, "low_a", pair.a.low);
    expect(j, "high_a", pair.a.high);
    expect(j, "se", pair.se);
    expect(j, "p", pair.p);
}

static void expect_roc(const cJSON *j, struct clips *c, const double *score)
{
    struct eq_roc_point *points = eq_alloc(c->n + 1, sizeof *points);
    size_t count, n;
    assert_int_equal(eq_roc_of(score, c->positive, c->n, points, &count, NULL), EQ_OK);
    assert_true(isinf(points[0].threshold));
    if (cJSON_HasObjectItem(j, "fpr")) {
        double *fpr = numbers(j, "fpr", &n), *tpr = numbers(j, "tpr", &n);
        assert_int_equal(count, n);
        for (size_t i = 0; i < n; i++) {
            check("fpr", points[i].fpr, fpr[i], 1e-14);
            check("tpr", points[i].tpr, tpr[i], 1e-14);
        }
        double *threshold = numbers(j, "threshold", &n);
        for (size_t i = 0; i < n; i++)
            check("threshold", points[i + 1].threshold, threshold[i], 0);
        eq_free(fpr);
        eq_free(tpr);
        eq_free(threshold);
    } else {
        assert_true(isnan(points[0].fpr) || isnan(points[0].tpr));
    }
    eq_free(points);
}

static void look_at_cuts(struct clips *c)
{
    const cJSON *j;
    cJSON_ArrayForEach(j, item(c->json, "cuts"))
    {
        double cut = number(j, "cut"), *a = c->room, *b = c->room + c->n;
        for (size_t i = 0; i < c->n; i++) {
            a[i] = -c->a[i];
            b[i] = -c->b[i];
            c->positive[i] = c->truth[i] < cut;
        }
        snprintf(place, sizeof place, "%s, cut %g", text(c->json, "name"), cut);
        expect_auc(item(j, "delong"), c, a, b);
        expect_roc(item(j, "roc"), c, a);
        struct eq_reclass r = eq_reclass_of(c->a, c->b, c->n, cut);
        const cJSON *want = item(j, "reclass"), *table = item(want, "table"), *row = table->child;
        assert_int_equal(r.stay_below, row->child->valueint);
        assert_int_equal(r.up, row->child->next->valueint);
        assert_int_equal(r.down, row->next->child->valueint);
        assert_int_equal(r.stay_above, row->next->child->next->valueint);
        expect(want, "p", r.mcnemar_p);
    }
}

static void shares_match(void **state)
{
    (void)state;
    for_each(look_at_shares);
}

static void cuts_match(void **state)
{
    (void)state;
    for_each(look_at_cuts);
}

static void holm_matches(void **state)
{
    (void)state;
    snprintf(place, sizeof place, "holm");
    size_t n;
    double *p = numbers(item(golden, "holm"), "p", &n), *want = numbers(item(golden, "holm"), "adjusted", &n), got[16];
    eq_holm(p, n, got);
    for (size_t i = 0; i < n; i++)
        check("adjusted", got[i], want[i], 1e-14);
    eq_free(p);
    eq_free(want);
}

/* ---- bootstrap ----------------------------------------------------------- */

struct boot_clips {
    struct clips c;
    double *score;
    uint32_t *order;
};

static void boot_statistics(const void *ctx, const struct eq_boot_sample *s, double *stats)
{
    const struct boot_clips *b = ctx;
    struct eq_metrics first = eq_metrics_weighted(b->c.a, b->c.truth, s->times, s->n);
    stats[0] = first.mae;
    stats[1] = first.r2;
    stats[2] = 0;
    for (size_t i = 0; i < s->n; i++)
        stats[2] += s->times[i] * (fabs(b->c.a[i] - b->c.truth[i]) - fabs(b->c.b[i] - b->c.truth[i])) / s->total;
    stats[3] = eq_auc_weighted(b->score, b->c.positive, b->order, s->times, s->n);
}

static void expect_boot(const cJSON *j, const struct eq_boot *o)
{
    size_t n;
    double *percentile = numbers(j, "percentile", &n), *bca = numbers(j, "BCa", &n);
    expect(j, "value", o->value);
    expect(j, "se", o->se);
    assert_int_equal(o->valid, (int)number(j, "valid"));
    check("low", o->low, percentile[0], TOLERANCE);
    check("high", o->high, percentile[1], TOLERANCE);
    if (o->low == o->high) /* constant: SciPy has no BCa interval, ours is the value */
        bca[0] = bca[1] = o->value;
    check("BCa low", o->bca_low, bca[0], TOLERANCE);
    check("BCa high", o->bca_high, bca[1], TOLERANCE);
    eq_free(percentile);
    eq_free(bca);
}

static void look_at_bootstrap(const cJSON *j)
{
    const cJSON *json, *found = NULL;
    cJSON_ArrayForEach(json, item(golden, "cases")) if (strcmp(text(json, "name"), text(j, "case")) == 0) found = json;
    assert_non_null(found);
    struct boot_clips b = {.c = clips_of(found)};
    snprintf(place, sizeof place, "bootstrap %s", text(j, "name"));
    b.score = eq_alloc(b.c.n, sizeof *b.score);
    b.order = eq_alloc(b.c.n, sizeof *b.order);
    uint32_t *cluster = eq_alloc(b.c.n, sizeof *cluster);
    for (size_t i = 0; i < b.c.n; i++) {
        b.score[i] = -b.c.a[i];
        b.c.positive[i] = b.c.truth[i] < number(j, "cut");
        if (cJSON_IsArray(item(j, "cluster")))
            cluster[i] = (uint32_t)cJSON_GetArrayItem(item(j, "cluster"), (int)i)->valueint;
    }
    assert_int_equal(eq_auc_order(b.score, b.c.n, b.order, NULL), EQ_OK);
    struct eq_boot_plan plan = {
        .n = b.c.n,
        .cluster = cJSON_IsArray(item(j, "cluster")) ? cluster : NULL,
        .stats = 4,
        .fn = boot_statistics,
        .ctx = &b,
        .seed = (uint64_t)number(j, "seed"),
        .replicates = (size_t)number(j, "replicates"),
        .level = number(j, "level"),
    };
    struct eq_boot out[4];
    assert_int_equal(eq_bootstrap(&plan, out, NULL), EQ_OK);
    static const char *const names[] = {"mae", "r2", "difference", "auc"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(place, sizeof place, "bootstrap %s, %s", text(j, "name"), names[i]);
        assert_int_equal(out[i].units, (int)number(j, "units"));
        expect_boot(item(item(j, "statistics"), names[i]), &out[i]);
    }
    eq_free(b.score);
    eq_free(b.order);
    eq_free(cluster);
    clear(&b.c);
}

static void bootstrap_matches(void **state)
{
    (void)state;
    const cJSON *j;
    cJSON_ArrayForEach(j, item(golden, "bootstrap")) look_at_bootstrap(j);
}

struct runs {
    double *truth, *pred[16];
};

static void mae_of_run(const void *ctx, const struct eq_boot_sample *s, double *stats)
{
    const struct runs *r = ctx;
    stats[0] = eq_metrics_weighted(r->pred[s->run], r->truth, s->times, s->n).mae;
}

static void bootstrap_of_runs_matches(void **state)
{
    (void)state;
    const cJSON *j = item(golden, "runs"), *row;
    struct runs r;
    size_t n, runs = 0, two;
    snprintf(place, sizeof place, "runs");
    r.truth = numbers(j, "truth", &n);
    cJSON_ArrayForEach(row, item(j, "pred"))
    {
        r.pred[runs] = eq_alloc(n, sizeof(double));
        for (size_t i = 0; i < n; i++)
            r.pred[runs][i] = cJSON_GetArrayItem(row, (int)i)->valuedouble;
        runs++;
    }
    struct eq_boot_plan plan = {
        .n = n,
        .runs = runs,
        .stats = 1,
        .fn = mae_of_run,
        .ctx = &r,
        .seed = (uint64_t)number(j, "seed"),
        .replicates = (size_t)number(j, "replicates"),
    };
    struct eq_boot_runs o;
    assert_int_equal(eq_bootstrap_runs(&plan, &o, NULL), EQ_OK);
    double *t = numbers(j, "t", &two), *percentile = numbers(j, "percentile", &two);
    expect(j, "value", o.value);
    expect(j, "sd_runs", o.sd_runs);
    expect(j, "se_runs", o.se_runs);
    expect(j, "se_clips", o.se_clips);
    expect(j, "df", o.df);
    check("t low", o.t_low, t[0], TOLERANCE);
    check("t high", o.t_high, t[1], TOLERANCE);
    check("low", o.low, percentile[0], TOLERANCE);
    check("high", o.high, percentile[1], TOLERANCE);
    eq_free(t);
    eq_free(percentile);
    eq_free(r.truth);
    for (size_t i = 0; i < runs; i++)
        eq_free(r.pred[i]);
}

/* ---- distributions ------------------------------------------------------- */

static double compute(const char *name, const double *x)
{
    if (strcmp(name, "normal_cdf") == 0)
        return eq_normal_cdf(x[0]);
    if (strcmp(name, "normal_quantile") == 0)
        return eq_normal_quantile(x[0]);
    if (strcmp(name, "student_t_cdf") == 0)
        return eq_student_t_cdf(x[0], x[1]);
    if (strcmp(name, "student_t_two_sided") == 0)
        return eq_student_t_two_sided(x[0], x[1]);
    if (strcmp(name, "student_t_quantile") == 0)
        return eq_student_t_quantile(x[0], x[1]);
    if (strcmp(name, "f_cdf") == 0)
        return eq_f_cdf(x[0], x[1], x[2]);
    if (strcmp(name, "f_quantile") == 0)
        return eq_f_quantile(x[0], x[1], x[2]);
    if (strcmp(name, "chi2_cdf") == 0)
        return eq_chi2_cdf(x[0], x[1]);
    if (strcmp(name, "chi2_quantile") == 0)
        return eq_chi2_quantile(x[0], x[1]);
    if (strcmp(name, "noncentral_t_cdf") == 0)
        return eq_noncentral_t_cdf(x[0], x[1], x[2]);
    if (strcmp(name, "noncentral_t_quantile") == 0)
        return eq_noncentral_t_quantile(x[0], x[1], x[2]);
    if (strcmp(name, "binomial_cdf") == 0)
        return eq_binomial_cdf((size_t)x[0], (size_t)x[1], x[2]);
    fail_msg("no function %s", name);
    return NAN;
}

static void distributions_match(void **state)
{
    (void)state;
    const cJSON *j;
    cJSON_ArrayForEach(j, item(golden, "distributions"))
    {
        size_t n;
        double *args = numbers(j, "args", &n), want = number(j, "value"), got = compute(text(j, "function"), args);
        if (!(fabs(got - want) <= 1e-10 * fabs(want) + 1e-15 * (want == 0)))
            fail_msg("%s(%.17g, %g, %g): %.17g, expected %.17g", text(j, "function"), args[0], n > 1 ? args[1] : 0,
                     n > 2 ? args[2] : 0, got, want);
        eq_free(args);
    }
}

static int load(void **state)
{
    (void)state;
    struct eq_err err;
    if (eq_json_read(TEST_DATA_DIR "/golden/stats.json", &golden, &err) == EQ_OK)
        return 0;
    fprintf(stderr, "%s\n", err.msg);
    return -1;
}

static int unload(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distributions_match), cmocka_unit_test(metrics_match),
        cmocka_unit_test(summaries_match),     cmocka_unit_test(wilcoxon_matches),
        cmocka_unit_test(agreement_matches),   cmocka_unit_test(shares_match),
        cmocka_unit_test(cuts_match),          cmocka_unit_test(holm_matches),
        cmocka_unit_test(bootstrap_matches),   cmocka_unit_test(bootstrap_of_runs_matches),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
