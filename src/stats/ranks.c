#include "stats/ranks.h"

#include <assert.h>
#include <stdlib.h>

struct placed {
    double v;
    uint32_t place;
};

static int by_value(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->v != y->v)
        return x->v < y->v ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

enum eq_status eq_order_of(const double *v, size_t n, uint32_t *order, struct eq_err *err)
{
    assert(n <= UINT32_MAX);
    if (n == 0)
        return EQ_OK;
    struct placed *all = eq_alloc(n, sizeof *all);
    if (!all)
        return eq_fail(err, EQ_NOMEM, "out of memory: the order of %zu values", n);
    for (size_t i = 0; i < n; i++)
        all[i] = (struct placed){v[i], (uint32_t)i};
    qsort(all, n, sizeof *all, by_value);
    for (size_t i = 0; i < n; i++)
        order[i] = all[i].place;
    eq_free(all);
    return EQ_OK;
}

double eq_mean_ranks(const double *v, const uint32_t *order, size_t n, const bool *leave, bool skip, double *ranks)
{
    double before = 0, ties = 0;
    for (size_t i = 0, end; i < n; i = end) {
        double equal = 0;
        for (end = i; end < n && v[order[end]] == v[order[i]]; end++)
            equal += !leave || leave[order[end]] != skip;
        for (size_t j = i; j < end; j++)
            if (!leave || leave[order[j]] != skip)
                ranks[order[j]] = before + (equal + 1) / 2;
        before += equal;
        ties += equal * equal * equal - equal;
    }
    return ties;
}
