/* Observers: what range did an edge's values take? Memory is fixed, whatever is observed. */
#include "echoquant/quant.h"
#include "quant/histogram.h"

#include <assert.h>
#include <math.h>

#define NAME(id, name) name,
const char *const eq_observer_names[EQ_OBSERVER_COUNT + 1] = {EQ_OBSERVERS(NAME)};

/* Levels that the entropy observer quantizes [-T, T] to. */
enum { ENTROPY_LEVELS = 256 };

static void percentile_range(const struct eq_hist *h, const struct eq_observer_opts *opts, float *min, float *max)
{
    eq_hist_percentile(h, opts->percentile, min, max);
}

static void mse_range(const struct eq_hist *h, const struct eq_observer_opts *opts, float *min, float *max)
{
    (void)opts;
    eq_hist_mse(h, min, max);
}

static void entropy_range(const struct eq_hist *h, const struct eq_observer_opts *opts, float *min, float *max)
{
    (void)opts;
    eq_hist_entropy(h, ENTROPY_LEVELS, min, max);
}

/* range: of a histogram; NULL: the observer keeps minimum and maximum only. symmetric: of a histogram around 0. */
static const struct row {
    void (*range)(const struct eq_hist *h, const struct eq_observer_opts *opts, float *min, float *max);
    bool symmetric;
    const char *parameter;
    double above, most; /* its range: above < value <= most */
    double tries[4];    /* a search's values for it, up to the first 0; none: once, as it is */
} rows[EQ_OBSERVER_COUNT] = {
    [EQ_OBSERVER_MOVING_AVERAGE] = {.parameter = "averaging", .above = 0, .most = 1},
    [EQ_OBSERVER_PERCENTILE] = {.range = percentile_range,
                                .parameter = "percentile",
                                .above = 50,
                                .most = 100,
                                .tries = {99.9, 99.99, 99.999}},
    [EQ_OBSERVER_HIST_MSE] = {.range = mse_range},
    [EQ_OBSERVER_ENTROPY] = {.range = entropy_range, .symmetric = true},
};

struct eq_observer {
    struct eq_observer_opts opts;
    bool seen;
    float min, max;       /* minmax, moving_average */
    struct eq_hist *hist; /* the others */
};

static double parameter_of(const struct eq_observer_opts *opts)
{
    return opts->kind == EQ_OBSERVER_PERCENTILE ? opts->percentile : opts->averaging;
}

enum eq_status eq_observer_check(const struct eq_observer_opts *opts, struct eq_err *err)
{
    if ((unsigned)opts->kind >= EQ_OBSERVER_COUNT)
        return eq_fail(err, EQ_USAGE, "observer %d does not exist", (int)opts->kind);
    const struct row *row = &rows[opts->kind];
    if (row->parameter && !(parameter_of(opts) > row->above && parameter_of(opts) <= row->most))
        return eq_fail(err, EQ_USAGE, "%s %g: must be in (%g, %g]", row->parameter, parameter_of(opts), row->above,
                       row->most);
    return EQ_OK;
}

const char *eq_observer_parameter(enum eq_observer_kind kind)
{
    return rows[kind].parameter;
}

bool eq_observer_candidate(size_t i, double averaging, struct eq_observer_opts *out)
{
    for (int kind = 0; kind < EQ_OBSERVER_COUNT; kind++)
        for (size_t k = 0; k == 0 || rows[kind].tries[k] > 0; k++)
            if (i-- == 0) {
                *out = (struct eq_observer_opts){
                    .kind = (enum eq_observer_kind)kind, .averaging = averaging, .percentile = rows[kind].tries[k]};
                return true;
            }
    return false;
}

enum eq_status eq_observer_new(const struct eq_observer_opts *opts, struct eq_observer **out, struct eq_err *err)
{
    *out = NULL;
    enum eq_status st = eq_observer_check(opts, err);
    if (st != EQ_OK)
        return st;
    struct eq_observer *o = eq_alloc(1, sizeof *o);
    if (!o)
        return eq_fail(err, EQ_NOMEM, "out of memory for an observer");
    o->opts = *opts;
    if (rows[opts->kind].range) {
        o->hist = eq_alloc(1, sizeof *o->hist);
        if (!o->hist) {
            eq_free(o);
            return eq_fail(err, EQ_NOMEM, "out of memory for an observer");
        }
        o->hist->symmetric = rows[opts->kind].symmetric;
    }
    *out = o;
    return EQ_OK;
}

void eq_observer_free(struct eq_observer *o)
{
    if (!o)
        return;
    eq_free(o->hist);
    eq_free(o);
}

enum eq_status eq_observer_add(struct eq_observer *o, const float *x, size_t n, struct eq_err *err)
{
    if (n == 0)
        return EQ_OK;
    if (o->hist)
        return eq_hist_add(o->hist, x, n, err);
    float min, max;
    eq_f32_kernels()->minmax(x, n, &min, &max);
    if (!isfinite(min) || !isfinite(max))
        return eq_fail(err, EQ_NUMERIC, "a value is NaN or infinite");
    if (!o->seen) {
        o->min = min;
        o->max = max;
    } else if (o->opts.kind == EQ_OBSERVER_MINMAX) {
        o->min = fminf(o->min, min);
        o->max = fmaxf(o->max, max);
    } else {
        float c = (float)o->opts.averaging;
        o->min = o->min + c * (min - o->min);
        o->max = o->max + c * (max - o->max);
    }
    o->seen = true;
    return EQ_OK;
}

bool eq_observers_share(const struct eq_observer_opts *a, const struct eq_observer_opts *b)
{
    if (rows[a->kind].range && rows[b->kind].range)
        return rows[a->kind].symmetric == rows[b->kind].symmetric;
    return a->kind == b->kind && (a->kind != EQ_OBSERVER_MOVING_AVERAGE || a->averaging == b->averaging);
}

enum eq_status eq_observer_range_by(const struct eq_observer *o, const struct eq_observer_opts *opts, float *min,
                                    float *max, struct eq_err *err)
{
    assert(eq_observers_share(&o->opts, opts));
    if (o->hist ? !o->hist->total : !o->seen)
        return eq_fail(err, EQ_NUMERIC, "nothing was observed");
    *min = o->min;
    *max = o->max;
    if (o->hist)
        rows[opts->kind].range(o->hist, opts, min, max);
    return EQ_OK;
}

enum eq_status eq_observer_range(const struct eq_observer *o, float *min, float *max, struct eq_err *err)
{
    return eq_observer_range_by(o, &o->opts, min, max, err);
}
