/* Observers find the range of an edge's values. Memory is fixed, whatever is observed. */
#include "echoquant/quant.h"
#include "quant/shared_observer.h"

#include <assert.h>
#include <math.h>

#define NAME(id, name) name,
const char *const eq_observer_names[EQ_OBSERVER_COUNT + 1] = {EQ_OBSERVERS(NAME)};

/* What an observer keeps. */
enum data { RANGE, STRETCH, GRID };
static const struct row {
    enum data data;
    const char *parameter;
    double above, most; /* its range: above < value <= most */
    double tries[4];    /* a search's values for it, up to the first 0; none: the kind is tried once */
} rows[EQ_OBSERVER_COUNT] = {
    [EQ_OBSERVER_MOVING_AVERAGE] = {.parameter = "averaging", .above = 0, .most = 1},
    [EQ_OBSERVER_PERCENTILE] =
        {.data = GRID, .parameter = "percentile", .above = 50, .most = 100, .tries = {99.9, 99.99, 99.999}},
    [EQ_OBSERVER_HIST_MSE] = {.data = STRETCH},
    [EQ_OBSERVER_ENTROPY] = {.data = GRID},
};

struct eq_observer {
    struct eq_observer_opts opts;
    struct eq_range range;           /* RANGE */
    struct eq_stretch_hist *stretch; /* STRETCH; else NULL */
    struct eq_grid_hist grid;        /* GRID; else empty */
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
    o->range = EQ_EMPTY_RANGE;
    if (rows[opts->kind].data == GRID)
        st = eq_grid_hist_init(&o->grid, err);
    else if (rows[opts->kind].data == STRETCH && !(o->stretch = eq_alloc(1, sizeof *o->stretch)))
        st = eq_fail(err, EQ_NOMEM, "out of memory for an observer");
    if (st == EQ_OK)
        *out = o;
    else
        eq_observer_free(o);
    return st;
}

void eq_observer_free(struct eq_observer *o)
{
    if (!o)
        return;
    eq_free(o->stretch);
    eq_grid_hist_clear(&o->grid);
    eq_free(o);
}

enum eq_status eq_range_of(const float *x, size_t n, struct eq_range *out, struct eq_err *err)
{
    eq_f32_kernels()->minmax(x, n, &out->min, &out->max);
    if (!isfinite(out->min) || !isfinite(out->max))
        return eq_fail(err, EQ_NUMERIC, "a value is NaN or infinite");
    return EQ_OK;
}

void eq_range_take(struct eq_range *r, const struct eq_observer_opts *opts, const struct eq_range *batch)
{
    float c = (float)opts->averaging;
    if (eq_range_is_empty(r))
        *r = *batch;
    else if (opts->kind == EQ_OBSERVER_MINMAX)
        *r = (struct eq_range){fminf(r->min, batch->min), fmaxf(r->max, batch->max)};
    else
        *r = (struct eq_range){r->min + c * (batch->min - r->min), r->max + c * (batch->max - r->max)};
}

enum eq_status eq_range_add(struct eq_range *r, const struct eq_observer_opts *opts, const float *x, size_t n,
                            struct eq_err *err)
{
    struct eq_range batch;
    if (n == 0)
        return EQ_OK;
    EQ_CHECK(eq_range_of(x, n, &batch, err));
    eq_range_take(r, opts, &batch);
    return EQ_OK;
}

enum eq_status eq_observer_add(struct eq_observer *o, const float *x, size_t n, struct eq_err *err)
{
    switch (rows[o->opts.kind].data) {
    case STRETCH:
        return eq_stretch_hist_add(o->stretch, x, n, err);
    case GRID:
        return eq_grid_hist_add(&o->grid, x, n, err);
    default:
        return eq_range_add(&o->range, &o->opts, x, n, err);
    }
}

bool eq_observer_needs_counts(const struct eq_observer *o)
{
    return rows[o->opts.kind].data == STRETCH;
}

enum eq_status eq_observer_count(struct eq_observer *o, const struct eq_range *batches, size_t batches_n, size_t own,
                                 const float *x, size_t n, uint64_t *counts, struct eq_err *err)
{
    struct eq_range range = o->stretch ? o->stretch->range : EQ_EMPTY_RANGE;
    bool any = o->stretch && o->stretch->total;
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < batches_n && st == EQ_OK; i++)
        switch (rows[o->opts.kind].data) {
        case STRETCH:
            range = any ? (struct eq_range){fminf(batches[i].min, range.min), fmaxf(batches[i].max, range.max)}
                        : batches[i];
            any = true;
            if (i == own)
                eq_stretch_hist_count(&range, x, n, counts);
            break;
        case GRID:
            st = eq_grid_hist_take(&o->grid, &batches[i], i == own ? x : NULL, n, err);
            break;
        default:
            eq_range_take(&o->range, &o->opts, &batches[i]);
        }
    return st;
}

enum eq_status eq_observer_take_counts(struct eq_observer *o, const struct eq_range *batch, size_t n,
                                       const uint64_t *counts, struct eq_err *err)
{
    return eq_stretch_hist_take(o->stretch, batch, n, counts, err);
}

uint64_t *eq_observer_own_counts(struct eq_observer *o, size_t *n)
{
    *n = 2 * (size_t)o->grid.half;
    return o->grid.count;
}

bool eq_observers_share(const struct eq_observer_opts *a, const struct eq_observer_opts *b)
{
    if (rows[a->kind].data != RANGE || rows[b->kind].data != RANGE)
        return rows[a->kind].data == rows[b->kind].data;
    return a->kind == b->kind && (a->kind != EQ_OBSERVER_MOVING_AVERAGE || a->averaging == b->averaging);
}

bool eq_observer_is_empty(const struct eq_observer *o)
{
    return o->stretch ? !o->stretch->total : o->grid.count ? !o->grid.total : eq_range_is_empty(&o->range);
}

enum eq_status eq_observer_range_by(const struct eq_observer *o, const struct eq_observer_opts *opts, float *min,
                                    float *max, struct eq_err *err)
{
    if (!opts)
        opts = &o->opts;
    assert(eq_observers_share(&o->opts, opts));
    if (eq_observer_is_empty(o))
        return eq_fail(err, EQ_NUMERIC, "nothing was observed");
    struct eq_range r = o->range;
    enum eq_status st = EQ_OK;
    if (opts->kind == EQ_OBSERVER_PERCENTILE)
        r = eq_grid_hist_percentile(&o->grid, opts->percentile);
    else if (opts->kind == EQ_OBSERVER_HIST_MSE)
        r = eq_stretch_hist_mse(o->stretch);
    else if (opts->kind == EQ_OBSERVER_ENTROPY)
        st = eq_grid_hist_entropy(&o->grid, &r, err);
    *min = r.min;
    *max = r.max;
    return st;
}
