/* What several processes agree on, with threads as the processes: order of additions, least and greatest values, the
 * worst status. */
#include "unit/cmocka_all.h"
#include "echoquant/base.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { RANKS = 3, N = 50000 }; /* several exchanges of floats and of doubles, the last ones short */

/* A transport over shared memory. late: the rank that comes last to each exchange. */
struct exchange {
    pthread_barrier_t barrier;
    int size, late;
    bool broken;
    unsigned char bytes[RANKS][1 << 17];
};
struct rank {
    struct exchange *shared;
    struct eq_comm comm;
    pthread_t thread;
    float x[N], least[N], greatest[N];
    double d[N];
    enum eq_status mine, agreed, st[4];
    struct eq_err err;
};

static enum eq_status gather(void *ctx, const void *mine, size_t bytes, void *all, struct eq_err *err)
{
    struct rank *r = ctx;
    if (r->shared->late == r->comm.rank)
        usleep(2000);
    memcpy(r->shared->bytes[r->comm.rank], mine, bytes);
    pthread_barrier_wait(&r->shared->barrier);
    for (int i = 0; i < r->comm.size; i++)
        memcpy((unsigned char *)all + (size_t)i * bytes, r->shared->bytes[i], bytes);
    pthread_barrier_wait(&r->shared->barrier);
    return r->shared->broken ? eq_fail(err, EQ_IO, "the link is down") : EQ_OK;
}

static void *run(void *arg)
{
    struct rank *r = arg;
    r->st[0] = eq_comm_sum(&r->comm, r->x, N, &r->err);
    r->st[1] = eq_comm_sum_doubles(&r->comm, r->d, N, &r->err);
    r->st[2] = eq_comm_min(&r->comm, r->least, N, &r->err);
    r->st[3] = eq_comm_max(&r->comm, r->greatest, N, &r->err);
    if (r->mine != EQ_OK)
        eq_fail(&r->err, r->mine, "fault of %d", r->comm.rank);
    r->agreed = eq_comm_agree(&r->comm, r->mine, &r->err);
    return NULL;
}

static struct rank ranks[RANKS];
static float start[RANKS][N];
static struct exchange shared;

static void go(int size, int late, const enum eq_status *mine, bool broken)
{
    shared.size = size;
    shared.late = late;
    shared.broken = broken;
    pthread_barrier_init(&shared.barrier, NULL, (unsigned)size);
    for (int i = 0; i < size; i++) {
        struct rank *r = &ranks[i];
        struct eq_rng rng;
        r->shared = &shared;
        r->mine = mine[i];
        assert_int_equal(eq_comm_init(&r->comm, i, size, gather, r, NULL), EQ_OK);
        eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, (uint32_t)i);
        for (int k = 0; k < N; k++) {
            start[i][k] = (float)ldexp(eq_rng_normal(&rng), (int)eq_rng_below(&rng, 30)); /* order shows in the sum */
            r->x[k] = r->least[k] = r->greatest[k] = start[i][k];
            r->d[k] = (double)start[i][k] * (1 + 0x1p-40);
        }
    }
    for (int i = 0; i < size; i++)
        assert_int_equal(pthread_create(&ranks[i].thread, NULL, run, &ranks[i]), 0);
    for (int i = 0; i < size; i++) {
        assert_int_equal(pthread_join(ranks[i].thread, NULL), 0);
        eq_comm_clear(&ranks[i].comm);
    }
    pthread_barrier_destroy(&shared.barrier);
}

static void sums_and_bounds_follow_the_ranks(void **state)
{
    (void)state;
    const enum eq_status fine[RANKS] = {EQ_OK, EQ_OK, EQ_OK};
    for (int size = 2; size <= RANKS; size++)
        for (int late = 0; late < size; late++) {
            go(size, late, fine, false);
            for (int i = 0; i < size; i++) {
                for (int k = 0; k < 4; k++)
                    assert_int_equal(ranks[i].st[k], EQ_OK);
                assert_int_equal(ranks[i].agreed, EQ_OK);
            }
            size_t reversed = 0;
            for (int k = 0; k < N; k++) {
                float sum = start[0][k], back = start[size - 1][k], lo = sum, hi = sum;
                double d = (double)sum * (1 + 0x1p-40);
                for (int i = 1; i < size; i++) {
                    sum += start[i][k];
                    back += start[size - 1 - i][k];
                    d += (double)start[i][k] * (1 + 0x1p-40);
                    lo = fminf(lo, start[i][k]);
                    hi = fmaxf(hi, start[i][k]);
                }
                reversed += back != sum;
                for (int i = 0; i < size; i++)
                    assert_true(ranks[i].x[k] == sum && ranks[i].d[k] == d && ranks[i].least[k] == lo &&
                                ranks[i].greatest[k] == hi);
            }
            assert_true(size < 3 || reversed > N / 100); /* another order would have been seen */
        }
}

static void nan_stays_in_bounds(void **state)
{
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        pthread_barrier_init(&shared.barrier, NULL, 1); /* rank 1 alone: rank 0's values stand in the memory */
        struct rank *r = &ranks[1];
        shared = (struct exchange){.barrier = shared.barrier, .size = 2, .late = -1};
        r->shared = &shared;
        assert_int_equal(eq_comm_init(&r->comm, 1, 2, gather, r, NULL), EQ_OK);
        memcpy(shared.bytes[0], &(float){bad == 0 ? NAN : 1}, sizeof(float));
        float lo = bad == 1 ? NAN : 1, hi = lo;
        assert_int_equal(eq_comm_min(&r->comm, &lo, 1, NULL), EQ_OK);
        assert_int_equal(eq_comm_max(&r->comm, &hi, 1, NULL), EQ_OK);
        assert_true(isnan(lo) && isnan(hi));
        eq_comm_clear(&r->comm);
        pthread_barrier_destroy(&shared.barrier);
    }
}

static void the_worst_status_is_everybodys(void **state)
{
    (void)state;
    static const struct {
        enum eq_status mine[RANKS], want;
        const char *text;
    } cases[] = {
        {{EQ_OK, EQ_IO, EQ_OK}, EQ_IO, "rank 1: fault of 1"},
        {{EQ_INTERRUPTED, EQ_OK, EQ_NUMERIC}, EQ_NUMERIC, "rank 2: fault of 2"},
        {{EQ_OK, EQ_OK, EQ_INTERRUPTED}, EQ_INTERRUPTED, "rank 2: fault of 2"},
        {{EQ_OK, EQ_NOMEM, EQ_FORMAT}, EQ_NOMEM, "rank 1: fault of 1"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        go(RANKS, 0, cases[c].mine, false);
        for (int i = 0; i < RANKS; i++) {
            assert_int_equal(ranks[i].agreed, cases[c].want);
            assert_int_equal(ranks[i].err.status, cases[c].want);
            assert_string_equal(ranks[i].err.msg, cases[c].text);
        }
    }
}

static void a_broken_link_is_an_error(void **state)
{
    (void)state;
    const enum eq_status fine[RANKS] = {EQ_OK, EQ_OK, EQ_OK};
    go(2, -1, fine, true);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 4; k++)
            assert_int_equal(ranks[i].st[k], EQ_IO);
        assert_int_equal(ranks[i].agreed, EQ_IO);
        assert_string_equal(ranks[i].err.msg, "the link is down");
    }
}

static void one_process_changes_nothing(void **state)
{
    (void)state;
    float x[3] = {1, -0.0f, NAN}, was[3];
    double d = 0.1;
    struct eq_err err = {.status = EQ_IO, .msg = "own words"};
    memcpy(was, x, sizeof x);
    assert_true(eq_comm_self.rank == 0 && eq_comm_self.size == 1);
    assert_int_equal(eq_comm_sum(&eq_comm_self, x, 3, &err), EQ_OK);
    assert_int_equal(eq_comm_min(&eq_comm_self, x, 3, &err), EQ_OK);
    assert_int_equal(eq_comm_max(&eq_comm_self, x, 3, &err), EQ_OK);
    assert_int_equal(eq_comm_sum_doubles(&eq_comm_self, &d, 1, &err), EQ_OK);
    assert_memory_equal(x, was, sizeof x);
    assert_true(d == 0.1);
    assert_int_equal(eq_comm_agree(&eq_comm_self, EQ_OK, &err), EQ_OK);
    assert_int_equal(eq_comm_agree(&eq_comm_self, EQ_IO, &err), EQ_IO);
    assert_string_equal(err.msg, "own words");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_bounds_follow_the_ranks), cmocka_unit_test(nan_stays_in_bounds),
        cmocka_unit_test(the_worst_status_is_everybodys),   cmocka_unit_test(a_broken_link_is_an_error),
        cmocka_unit_test(one_process_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
