/* Bootstrap over clips or clusters, and over training runs and clips. The draws of replicate r come from the stream
 * (seed, EQ_RNG_BOOTSTRAP, r, level), so neither the order of the replicates nor the number of threads matters. */
#include "echoquant/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { PIECE = 64 }; /* replicates in a piece of work */
enum { DRAW_CLIPS, DRAW_RUNS };

struct boot {
    const struct eq_boot_plan *plan;
    size_t runs, replicates, units, groups; /* groups: what the jackknife leaves out, one at a time */
    uint32_t *unit;                         /* [n]: which unit a clip belongs to; NULL: each is one */
    double *work;                           /* [workers][per_worker] */
    size_t per_worker;
    double *value;    /* [runs][stats]: of all clips */
    double *jack;     /* [stats][groups] or NULL */
    double *over;     /* [stats][replicates]: clips drawn, mean over all runs */
    double *over_two; /* [stats][replicates]: runs drawn, too; NULL: no such level */
    bool stopped;
};

/* ---- units --------------------------------------------------------------- */

struct member {
    uint32_t cluster, clip;
};

static int by_cluster(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->cluster != y->cluster)
        return x->cluster < y->cluster ? -1 : 1;
    return (x->clip > y->clip) - (x->clip < y->clip);
}

/* Numbers the clusters in the order in which the clips name them. */
static enum eq_status find_units(struct boot *b, struct eq_err *err)
{
    size_t n = b->plan->n;
    b->units = n;
    if (!b->plan->cluster || n == 0)
        return EQ_OK;
    struct member *members = eq_alloc(n, sizeof *members);
    uint32_t *unit = eq_alloc(n, sizeof *unit), next = 0;
    b->unit = unit;
    if (!members || !unit) {
        eq_free(members);
        return eq_fail(err, EQ_NOMEM, "out of memory: bootstrap of %zu clips", n);
    }
    for (size_t i = 0; i < n; i++)
        members[i] = (struct member){b->plan->cluster[i], (uint32_t)i};
    qsort(members, n, sizeof *members, by_cluster);
    for (size_t i = 0, first = 0; i < n; i++) {
        first = members[i].cluster == members[first].cluster ? first : i;
        unit[members[i].clip] = members[first].clip;
    }
    for (size_t i = 0; i < n; i++) /* a cluster's first clip comes before its others */
        unit[i] = unit[i] == i ? next++ : unit[unit[i]];
    b->units = next;
    eq_free(members);
    return EQ_OK;
}

/* ---- samples ------------------------------------------------------------- */

/* The scratch of a worker: times per clip, per unit, per run; statistics; the callback's room. */
struct scratch {
    double *times, *unit_times, *run_times, *stats, *sums, *two, *room;
};

static struct scratch scratch_of(const struct boot *b, int worker)
{
    struct scratch s = {.times = b->work + (size_t)worker * b->per_worker};
    s.unit_times = s.times + b->plan->n;
    s.run_times = s.unit_times + b->units;
    s.stats = s.run_times + b->runs;
    s.sums = s.stats + b->plan->stats;
    s.two = s.sums + b->plan->stats;
    s.room = s.two + b->plan->stats;
    return s;
}

static void spread_units(const struct boot *b, struct scratch *s)
{
    for (size_t i = 0; i < b->plan->n; i++)
        s->times[i] = s->unit_times[b->unit ? b->unit[i] : i];
}

static void draw(const struct boot *b, size_t replicate, uint32_t level, double *times, size_t n)
{
    struct eq_rng rng;
    eq_rng_init(&rng, b->plan->seed, EQ_RNG_BOOTSTRAP, (uint32_t)replicate, level);
    for (size_t i = 0; i < n; i++)
        times[i] = 0;
    for (size_t i = 0; i < n; i++)
        times[eq_rng_below(&rng, (uint32_t)n)]++;
}

/* s->sums: the mean over all runs; s->two: over the runs that were drawn (s->run_times). */
static void compute(const struct boot *b, struct scratch *s, double *by_run)
{
    size_t k = b->plan->stats;
    struct eq_boot_sample sample = {.times = s->times, .n = b->plan->n, .room = s->room};
    for (size_t i = 0; i < sample.n; i++)
        sample.total += s->times[i];
    for (size_t j = 0; j < k; j++)
        s->sums[j] = s->two[j] = 0;
    for (; sample.run < b->runs; sample.run++) {
        double *stats = by_run ? by_run + sample.run * k : s->stats, drawn = s->run_times[sample.run];
        b->plan->fn(b->plan->ctx, &sample, stats);
        for (size_t j = 0; j < k; j++) {
            s->sums[j] += stats[j] / (double)b->runs;
            s->two[j] += drawn > 0 ? drawn * stats[j] / (double)b->runs : 0;
        }
    }
}

static bool stop(struct boot *b)
{
    if (eq_interrupted())
        __atomic_store_n(&b->stopped, true, __ATOMIC_RELAXED);
    return __atomic_load_n(&b->stopped, __ATOMIC_RELAXED);
}

static void run_replicates(void *ctx, size_t piece, int worker)
{
    struct boot *b = ctx;
    struct scratch s = scratch_of(b, worker);
    for (size_t r = piece * PIECE; r < (piece + 1) * PIECE && r < b->replicates && !stop(b); r++) {
        draw(b, r, DRAW_CLIPS, s.unit_times, b->units);
        spread_units(b, &s);
        if (b->over_two)
            draw(b, r, DRAW_RUNS, s.run_times, b->runs);
        compute(b, &s, NULL);
        for (size_t j = 0; j < b->plan->stats; j++) {
            b->over[j * b->replicates + r] = s.sums[j];
            if (b->over_two)
                b->over_two[j * b->replicates + r] = s.two[j];
        }
    }
}

static void run_jackknife(void *ctx, size_t piece, int worker)
{
    struct boot *b = ctx;
    struct scratch s = scratch_of(b, worker);
    for (size_t g = piece * PIECE; g < (piece + 1) * PIECE && g < b->groups && !stop(b); g++) {
        for (size_t u = 0; u < b->units; u++)
            s.unit_times[u] = u * b->groups / b->units == g ? 0 : 1;
        spread_units(b, &s);
        compute(b, &s, NULL);
        for (size_t j = 0; j < b->plan->stats; j++)
            b->jack[j * b->groups + g] = s.sums[j];
    }
}

/* ---- the whole ----------------------------------------------------------- */

static double *table(size_t rows, size_t columns)
{
    size_t n;
    return eq_mul_size(rows, columns, &n) ? eq_alloc(n + 1, sizeof(double)) : NULL;
}

static void clear(struct boot *b)
{
    eq_free(b->unit);
    eq_free(b->work);
    eq_free(b->value);
    eq_free(b->jack);
    eq_free(b->over);
    eq_free(b->over_two);
}

static enum eq_status run(struct boot *b, const struct eq_boot_plan *plan, bool two_levels, struct eq_err *err)
{
    *b = (struct boot){.plan = plan,
                       .runs = two_levels ? plan->runs : 1,
                       .replicates = plan->replicates ? plan->replicates : EQ_BOOT_REPLICATES};
    assert(b->runs > 0 && b->replicates <= UINT32_MAX && plan->n <= UINT32_MAX);
    EQ_CHECK(find_units(b, err));
    b->groups = b->units < EQ_BOOT_REPLICATES ? b->units : EQ_BOOT_REPLICATES;
    b->per_worker = plan->n + b->units + b->runs + 3 * plan->stats + plan->room;
    b->work = table((size_t)eq_parallel_threads(), b->per_worker);
    b->value = table(b->runs, plan->stats);
    b->over = table(plan->stats, b->replicates);
    b->over_two = two_levels ? table(plan->stats, b->replicates) : NULL;
    b->jack = two_levels ? NULL : table(plan->stats, b->groups);
    if (!b->work || !b->value || !b->over || (two_levels ? !b->over_two : !b->jack))
        return eq_fail(err, EQ_NOMEM, "out of memory: %zu bootstrap replicates of %zu clips", b->replicates, plan->n);
    struct scratch s = scratch_of(b, 0);
    for (size_t u = 0; u < b->units; u++)
        s.unit_times[u] = 1;
    spread_units(b, &s);
    compute(b, &s, b->value);
    if (b->units < 2)
        return EQ_OK;
    eq_parallel_for((b->replicates + PIECE - 1) / PIECE, run_replicates, b);
    if (b->jack)
        eq_parallel_for((b->groups + PIECE - 1) / PIECE, run_jackknife, b);
    return b->stopped ? eq_fail(err, EQ_INTERRUPTED, "interrupted") : EQ_OK;
}

/* ---- intervals ----------------------------------------------------------- */

/* Sorts the finite replicates to the front. Returns their number, or 0 if they are too few for an interval. */
static size_t sort_valid(double *v, size_t n, size_t *valid)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(v[i]))
            v[m++] = v[i];
    eq_sort_doubles(v, m);
    *valid = m;
    return (double)m >= 0.9 * (double)n && m >= 2 ? m : 0;
}

/* What is the same but for rounding: sums of the same numbers, weighted otherwise, differ by less. */
static double grain_of(double value)
{
    return 1e-12 * fmax(1, fabs(value));
}

static bool is_constant(const double *sorted, size_t n, double value)
{
    return sorted[n - 1] - sorted[0] <= grain_of(value);
}

static double sd_of(const double *v, size_t n)
{
    return eq_spread_of(v, n).sd;
}

static double level_of(const struct eq_boot_plan *plan)
{
    return plan->level > 0 ? plan->level : EQ_LEVEL;
}

static void bca(const double *sorted, size_t n, const double *jack, size_t groups, double level, struct eq_boot *out)
{
    double below = 0, mean = 0, squares = 0, cubes = 0, grain = grain_of(out->value);
    for (size_t i = 0; i < n; i++)
        below += sorted[i] < out->value - grain ? 1 : sorted[i] <= out->value + grain ? 0.5 : 0;
    for (size_t g = 0; g < groups; g++)
        mean += jack[g] / (double)groups;
    for (size_t g = 0; g < groups; g++) {
        double u = mean - jack[g];
        squares += u * u;
        cubes += u * u * u;
    }
    if (below <= 0 || below >= (double)n || !isfinite(squares))
        return;
    out->z0 = eq_normal_quantile(below / (double)n);
    out->acceleration = squares > 0 ? cubes / (6 * squares * sqrt(squares)) : 0;
    double z = eq_normal_quantile((1 + level) / 2), limits[2];
    for (int i = 0; i < 2; i++) {
        double at = out->z0 + (i ? z : -z), stretch = 1 - out->acceleration * at;
        if (stretch <= 0)
            return;
        limits[i] = eq_quantile_of(sorted, n, eq_normal_cdf(out->z0 + at / stretch));
    }
    out->bca_low = limits[0];
    out->bca_high = limits[1];
}

enum eq_status eq_bootstrap(const struct eq_boot_plan *plan, struct eq_boot *out, struct eq_err *err)
{
    struct boot b;
    double level = level_of(plan);
    enum eq_status st = run(&b, plan, false, err);
    for (size_t j = 0; st == EQ_OK && j < plan->stats; j++) {
        struct eq_boot *o = &out[j];
        *o = (struct eq_boot){b.value[j], NAN, NAN, NAN, NAN, NAN, NAN, NAN, b.units, 0};
        double *v = b.over + j * b.replicates;
        size_t n = b.units < 2 ? 0 : sort_valid(v, b.replicates, &o->valid);
        if (n == 0 || !isfinite(o->value))
            continue;
        if (is_constant(v, n, o->value)) {
            o->se = 0;
            o->low = o->high = o->bca_low = o->bca_high = o->value;
            continue;
        }
        o->se = sd_of(v, n);
        o->low = eq_quantile_of(v, n, (1 - level) / 2);
        o->high = eq_quantile_of(v, n, (1 + level) / 2);
        bca(v, n, b.jack + j * b.groups, b.groups, level, o);
    }
    clear(&b);
    return st;
}

/* The interval of the mean by Student's t with Satterthwaite's degrees of freedom (Biometrics 2 (1946)). */
static void t_interval(struct eq_boot_runs *o, double runs, double units, double level)
{
    double a = o->se_runs * o->se_runs, c = o->se_clips * o->se_clips;
    o->se_both = sqrt(a + c);
    o->t_low = o->t_high = o->value;
    if (a + c > 0) {
        o->df = (a + c) * (a + c) / (a * a / (runs - 1) + c * c / (units - 1));
        double half = eq_student_t_quantile((1 + level) / 2, o->df) * o->se_both;
        o->t_low -= half;
        o->t_high += half;
    }
}

enum eq_status eq_bootstrap_runs(const struct eq_boot_plan *plan, struct eq_boot_runs *out, struct eq_err *err)
{
    struct boot b;
    double level = level_of(plan);
    enum eq_status st = run(&b, plan, true, err);
    double *values = st == EQ_OK ? eq_alloc(plan->runs, sizeof *values) : NULL;
    if (st == EQ_OK && !values)
        st = eq_fail(err, EQ_NOMEM, "out of memory: %zu runs", plan->runs);
    for (size_t j = 0; st == EQ_OK && j < plan->stats; j++) {
        struct eq_boot_runs *o = &out[j];
        *o = (struct eq_boot_runs){0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, b.units, 0};
        for (size_t r = 0; r < plan->runs; r++) {
            values[r] = b.value[r * plan->stats + j];
            o->value += values[r] / (double)plan->runs;
        }
        if (!isfinite(o->value))
            continue;
        if (plan->runs > 1) {
            o->sd_runs = sd_of(values, plan->runs);
            o->se_runs = o->sd_runs / sqrt((double)plan->runs);
        }
        if (b.units < 2)
            continue;
        double *v = b.over + j * b.replicates, *two = b.over_two + j * b.replicates;
        size_t valid, n = sort_valid(v, b.replicates, &valid), m = sort_valid(two, b.replicates, &o->valid);
        if (n > 0)
            o->se_clips = is_constant(v, n, o->value) ? 0 : sd_of(v, n);
        if (n == 0 || m == 0 || plan->runs < 2)
            continue;
        t_interval(o, (double)plan->runs, (double)b.units, level);
        bool constant = is_constant(two, m, o->value);
        o->low = constant ? o->value : eq_quantile_of(two, m, (1 - level) / 2);
        o->high = constant ? o->value : eq_quantile_of(two, m, (1 + level) / 2);
    }
    eq_free(values);
    clear(&b);
    return st;
}
