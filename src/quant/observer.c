/* Observers: what range did an edge's values take? Memory is fixed, whatever is observed. */
#include "echoquant/quant.h"
#include "quant/histogram.h"

#include <assert.h>
#include <math.h>

const char *const eq_observer_names[EQ_OBSERVER_COUNT] = {"minmax", "moving_average", "percentile", "hist_mse",
                                                          "entropy"};
/* Levels that the entropy observer quantizes [-T, T] to. */
enum { ENTROPY_LEVELS = 256 };

struct eq_observer {
    struct eq_observer_opts opts;
    bool seen;
    float min, max;       /* minmax, moving_average */
    struct eq_hist *hist; /* the others */
};

enum eq_status eq_observer_check(const struct eq_observer_opts *opts, struct eq_err *err)
{
    if ((unsigned)opts->kind >= EQ_OBSERVER_COUNT)
        return eq_fail(err, EQ_USAGE, "observer %d does not exist", (int)opts->kind);
    if (opts->kind == EQ_OBSERVER_MOVING_AVERAGE && !(opts->averaging > 0 && opts->averaging <= 1))
        return eq_fail(err, EQ_USAGE, "averaging constant %g: must be in (0, 1]", opts->averaging);
    if (opts->kind == EQ_OBSERVER_PERCENTILE && !(opts->percentile > 50 && opts->percentile <= 100))
        return eq_fail(err, EQ_USAGE, "percentile %g: must be in (50, 100]", opts->percentile);
    return EQ_OK;
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
    if (opts->kind != EQ_OBSERVER_MINMAX && opts->kind != EQ_OBSERVER_MOVING_AVERAGE) {
        o->hist = eq_alloc(1, sizeof *o->hist);
        if (!o->hist) {
            eq_free(o);
            return eq_fail(err, EQ_NOMEM, "out of memory for an observer");
        }
        o->hist->symmetric = opts->kind == EQ_OBSERVER_ENTROPY;
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
    bool hist_a = a->kind == EQ_OBSERVER_PERCENTILE || a->kind == EQ_OBSERVER_HIST_MSE;
    bool hist_b = b->kind == EQ_OBSERVER_PERCENTILE || b->kind == EQ_OBSERVER_HIST_MSE;
    if (hist_a || hist_b)
        return hist_a && hist_b;
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
    if (opts->kind == EQ_OBSERVER_PERCENTILE)
        eq_hist_percentile(o->hist, opts->percentile, min, max);
    else if (opts->kind == EQ_OBSERVER_HIST_MSE)
        eq_hist_mse(o->hist, min, max);
    else if (opts->kind == EQ_OBSERVER_ENTROPY)
        eq_hist_entropy(o->hist, ENTROPY_LEVELS, min, max);
    return EQ_OK;
}

enum eq_status eq_observer_range(const struct eq_observer *o, float *min, float *max, struct eq_err *err)
{
    return eq_observer_range_by(o, &o->opts, min, max, err);
}
