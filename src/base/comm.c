/* Sums, minima, maxima and statuses over the processes of one run. Each rank computes them here from the values of all
 * ranks, in rank order. */
#include "echoquant/base.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 64 << 10 }; /* bytes that a rank sends at once */

const struct eq_comm eq_comm_self = {.rank = 0, .size = 1};

enum eq_status eq_comm_init(struct eq_comm *c, int rank, int size, eq_gather_fn gather, void *ctx, struct eq_err *err)
{
    *c = (struct eq_comm){.rank = rank, .size = size, .gather = gather, .ctx = ctx};
    c->room = eq_alloc((size_t)size, CHUNK);
    return c->room ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory to exchange data with %d processes", size);
}

void eq_comm_clear(struct eq_comm *c)
{
    eq_free(c->room);
    c->room = NULL;
}

typedef void (*combine_fn)(void *to, const void *from, size_t n);

/* x = rank 0's x, combined with rank 1's, then with rank 2's and so on; n values of size bytes. */
static enum eq_status combine(const struct eq_comm *c, void *x, size_t n, size_t size, combine_fn fn,
                              struct eq_err *err)
{
    for (size_t at = 0; c->size > 1 && at < n; at += CHUNK / size) {
        size_t count = n - at < CHUNK / size ? n - at : CHUNK / size, bytes = count * size;
        unsigned char *mine = (unsigned char *)x + at * size, *all = c->room;
        EQ_CHECK(c->gather(c->ctx, mine, bytes, all, err));
        memcpy(mine, all, bytes);
        for (int rank = 1; rank < c->size; rank++)
            fn(mine, all + (size_t)rank * bytes, count);
    }
    return EQ_OK;
}

/* `function` on values of a type; a[i] becomes result, of a (lower ranks' so far) and b (the next rank's). */
#define COMBINE(function, type, result)                                                                                \
    static void function##_pair(void *to, const void *from, size_t n)                                                  \
    {                                                                                                                  \
        type *a = to;                                                                                                  \
        const type *b = from;                                                                                          \
        for (size_t i = 0; i < n; i++)                                                                                 \
            a[i] = result;                                                                                             \
    }                                                                                                                  \
    enum eq_status function(const struct eq_comm *c, type *x, size_t n, struct eq_err *err)                            \
    {                                                                                                                  \
        return combine(c, x, n, sizeof *x, function##_pair, err);                                                      \
    }
COMBINE(eq_comm_sum, float, a[i] + b[i])
COMBINE(eq_comm_sum_doubles, double, a[i] + b[i])
COMBINE(eq_comm_min, float, b[i] < a[i] || isnan(b[i]) ? b[i] : a[i])
COMBINE(eq_comm_max, float, b[i] > a[i] || isnan(b[i]) ? b[i] : a[i])

enum eq_status eq_comm_agree(const struct eq_comm *c, enum eq_status mine, struct eq_err *err)
{
    if (c->size == 1)
        return mine;
    struct eq_err own = {.status = mine}, *all = c->room;
    if (mine != EQ_OK && err)
        memcpy(own.msg, err->msg, sizeof own.msg);
    EQ_CHECK(c->gather(c->ctx, &own, sizeof own, all, err));
    int worst = 0;
    for (int rank = 1; rank < c->size; rank++) {
        enum eq_status is = all[worst].status, other = all[rank].status;
        if (is == EQ_OK || (is == EQ_INTERRUPTED && other != EQ_OK && other != EQ_INTERRUPTED))
            worst = rank;
    }
    enum eq_status st = all[worst].status;
    return st == EQ_OK ? EQ_OK : eq_fail(err, st, "rank %d: %s", worst, all[worst].msg);
}
