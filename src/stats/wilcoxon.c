/* Wilcoxon's signed-rank test and the Hodges-Lehmann estimate that belongs to it. */
#include "stats/ranks.h"

#include <math.h>

enum { EXACT = 50, EXACT_WITH_TIES = 13 }; /* as SciPy */

/* The two-sided p of the rank sum `plus` by the distribution over all choices of signs. ways[s]: the number of choices
 * with a doubled rank sum of s; all are integers below 2^53. */
static double exact_p(const double *ranks, size_t n, double plus)
{
    double ways[EXACT * (EXACT + 1) + 1] = {1}, lower = 0, upper = 0;
    size_t most = 0, found = (size_t)(2 * plus);
    for (size_t i = 0; i < n; i++) {
        size_t rank = (size_t)(2 * ranks[i]);
        most += rank;
        for (size_t s = most; s >= rank; s--)
            ways[s] += ways[s - rank];
    }
    for (size_t s = 0; s <= most; s++) {
        lower += s <= found ? ways[s] : 0;
        upper += s >= found ? ways[s] : 0;
    }
    return fmin(1, 2 * fmin(lower, upper) * pow(2, -(double)n));
}

/* How many of the Walsh averages (v[i] + v[j]) / 2, i <= j, are at most x. v: [n], ascending. */
static double count_walsh(const double *v, size_t n, double x)
{
    double count = 0;
    size_t end = n; /* v[i] fits together with v[0..end - 1] */
    for (size_t i = 0; i < n; i++) {
        while (end > 0 && (v[i] + v[end - 1]) / 2 > x)
            end--;
        if (end <= i)
            break;
        count += (double)(end - i);
    }
    return count;
}

/* The least value that at least k Walsh averages do not exceed, which is one of them. */
static double walsh_at(const double *v, size_t n, double k)
{
    double lo = v[0], hi = v[n - 1];
    if (count_walsh(v, n, lo) >= k)
        return lo;
    for (;;) { /* fewer than k at lo, at least k at hi */
        double middle = lo + (hi - lo) / 2;
        if (middle <= lo || middle >= hi)
            return hi;
        if (count_walsh(v, n, middle) >= k)
            hi = middle;
        else
            lo = middle;
    }
}

static double hodges_lehmann(double *v, size_t n)
{
    eq_sort_doubles(v, n);
    double pairs = (double)n * ((double)n + 1) / 2, half = floor((pairs + 1) / 2);
    double low = walsh_at(v, n, half);
    return fmod(pairs, 2) == 1 ? low : (low + walsh_at(v, n, half + 1)) / 2;
}

static void test(const double *d, const double *ranks, double ties, struct eq_wilcoxon *o)
{
    double n = (double)o->n;
    for (size_t i = 0; i < o->n; i++)
        *(d[i] > 0 ? &o->plus : &o->minus) += ranks[i];
    bool plain = ties == 0 && o->zeros == 0;
    if (o->n == 0) {
        o->p = o->zeros > 0 ? 1 : NAN;
    } else if (plain ? o->n <= EXACT : o->n + o->zeros <= EXACT_WITH_TIES) {
        o->method = plain ? "exact" : "exact with ties";
        o->p = exact_p(ranks, o->n, o->plus);
    } else {
        o->method = "normal approximation";
        double sd = sqrt((n * (n + 1) * (2 * n + 1) - ties / 2) / 24);
        o->z = (o->plus - n * (n + 1) / 4) / sd;
        o->p = 2 * eq_normal_cdf(-fabs(o->z));
    }
}

enum eq_status eq_wilcoxon_of(const double *d, size_t n, struct eq_wilcoxon *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *out = (struct eq_wilcoxon){.z = NAN, .p = NAN, .method = "none", .hodges_lehmann = NAN};
    if (n == 0)
        return EQ_OK;
    double *room = eq_alloc(n, 3 * sizeof *room), *kept = room, *size = room + n, *ranks = room + 2 * n;
    uint32_t *order = eq_alloc(n, sizeof *order);
    if (!room || !order)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory: ranks of %zu clips", n));
    for (size_t i = 0; i < n; i++) {
        if (d[i] == 0) {
            out->zeros++;
            continue;
        }
        size[out->n] = fabs(d[i]);
        kept[out->n++] = d[i];
    }
    EQ_TRY(eq_order_of(size, out->n, order, err));
    test(kept, ranks, eq_mean_ranks(size, order, out->n, NULL, false, ranks), out);
    for (size_t i = 0; i < n; i++)
        kept[i] = d[i];
    out->hodges_lehmann = hodges_lehmann(kept, n);
out:
    eq_free(room);
    eq_free(order);
    return st;
}
