/* What several processes add up, fill in and agree on, with threads as the processes. */
#include "unit/exchange.h"

#include <math.h>

static struct exchange shared = {.late = -1};

/* ---- the tree ------------------------------------------------------------ */

/* The sum of leaves lo .. lo + 2^level - 1, as base.h says it. */
static double tree_of(const double *x, size_t n, int level, size_t k)
{
    if (level == 0)
        return x[k];
    size_t right = (2 * k + 1) << (level - 1);
    double sum = tree_of(x, n, level - 1, 2 * k);
    return right < n ? sum + tree_of(x, n, level - 1, 2 * k + 1) : sum;
}

static int levels_of(size_t n)
{
    int level = 0;
    while (((size_t)1 << level) < n)
        level++;
    return level;
}

static double hard_to_add(struct eq_rng *rng)
{
    return ldexp(eq_rng_normal(rng), (int)eq_rng_below(rng, 40)); /* order shows in the sum */
}

static void a_sum_has_the_order_of_the_tree(void **state)
{
    (void)state;
    static double x[EQ_TREE_LEAVES], was[EQ_TREE_LEAVES];
    size_t other = 0;
    for (size_t n = 1; n <= EQ_TREE_LEAVES; n += n < 70 ? 1 : 53) {
        struct eq_rng rng;
        double left_to_right = 0;
        eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, (uint32_t)n);
        for (size_t i = 0; i < n; i++)
            left_to_right += was[i] = x[i] = hard_to_add(&rng);
        eq_tree_sum(x, n);
        assert_true(x[0] == tree_of(was, n, levels_of(n), 0));
        other += x[0] != left_to_right;
    }
    assert_true(other > 20); /* left to right would have been seen */
}

static void few_sums_wait(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 130; n++)
        for (size_t first = 0; first < n; first++) {
            struct eq_tree t;
            size_t covered = first;
            eq_tree_begin(&t, n);
            for (size_t i = first; i < n; i++)
                eq_tree_push(&t, 0, i);
            assert_true(t.n <= 2 * levels_of(n) + 1 && t.n <= EQ_TREE_PARTS);
            assert_true(first > 0 || t.n == 1);
            for (int i = 0; i < t.n; i++) { /* what waits is what was pushed, each once, in order */
                assert_true(t.open[i].k << t.open[i].level == covered);
                covered = (t.open[i].k + 1) << t.open[i].level;
            }
            assert_true(covered >= n);
        }
}

/* ---- sums over processes ------------------------------------------------- */

enum { N = 70000, MOST_LEAVES = 9 };

struct summing {
    size_t leaves, n;
    float *leaf[MOST_LEAVES]; /* [n] of all */
    float *parts[EQ_TREE_PARTS], *sum;
    enum eq_status st;
    struct eq_err err;
};

static void sum_share(struct exchange_rank *r)
{
    struct summing *s = r->ctx;
    struct eq_tree t;
    size_t own, first = eq_comm_share(r->comm.rank, r->comm.size, s->leaves, &own);
    eq_tree_begin(&t, s->leaves);
    for (size_t i = first; i < first + own; i++) {
        int before = t.n, sums = eq_tree_push(&t, 0, i);
        for (int k = 1; k <= sums; k++)
            for (size_t j = 0; j < s->n; j++)
                s->leaf[i][j] = s->parts[before - k][j] + s->leaf[i][j];
        s->parts[t.n - 1] = s->leaf[i];
    }
    s->sum = s->parts[t.n - 1];
    s->st = eq_comm_sum(&r->comm, s->leaves, s->parts, s->n, &s->err);
}

static void fill_leaves(struct summing *s, size_t leaves, size_t n)
{
    struct eq_rng rng;
    eq_rng_init(&rng, 2, EQ_RNG_TEST, 0, (uint32_t)leaves);
    s->leaves = leaves;
    s->n = n;
    for (size_t i = 0; i < leaves; i++) {
        s->leaf[i] = s->leaf[i] ? s->leaf[i] : eq_alloc(N, sizeof(float));
        for (size_t j = 0; j < n; j++)
            s->leaf[i][j] = (float)hard_to_add(&rng);
    }
}

/* Any number of processes, and of leaves that it does not divide, gives the bits of one. */
static void sums_do_not_depend_on_the_processes(void **state)
{
    (void)state;
    static struct summing alone, s[MAX_RANKS];
    static const size_t lengths[] = {1, 3, 1000, N};
    for (size_t leaves = 1; leaves <= MOST_LEAVES; leaves++)
        for (size_t l = 0; l < 4; l++) {
            size_t n = lengths[l];
            fill_leaves(&alone, leaves, n);
            exchange_run(&shared, 1, sum_share, &alone, 0);
            assert_int_equal(alone.st, EQ_OK);
            for (int size = 2; size <= MAX_RANKS && (size_t)size <= leaves; size++) {
                shared.late = (int)(leaves + l) % size;
                for (int i = 0; i < size; i++)
                    fill_leaves(&s[i], leaves, n);
                exchange_run(&shared, size, sum_share, s, sizeof *s);
                for (int i = 0; i < size; i++) {
                    assert_int_equal(s[i].st, EQ_OK);
                    assert_memory_equal(s[i].sum, alone.sum, n * sizeof(float));
                }
                if (leaves % (size_t)size == 0 && n == N && (size & (size - 1)) == 0)
                    assert_true(shared.passed < 2 * n * sizeof(float)); /* however many there are */
            }
        }
    shared.late = -1;
    for (size_t i = 0; i < MOST_LEAVES; i++) {
        eq_free(alone.leaf[i]);
        for (int k = 0; k < MAX_RANKS; k++)
            eq_free(s[k].leaf[i]);
    }
}

/* A vector that is larger than the room of an exchange goes in several rounds. */
static void long_vectors_go_in_rounds(void **state)
{
    (void)state;
    enum { LONG = 9 << 20 };
    static struct summing s[2];
    for (int i = 0; i < 2; i++) {
        s[i] = (struct summing){.leaves = 2, .n = LONG};
        for (size_t k = 0; k < 2; k++) {
            s[i].leaf[k] = eq_alloc(LONG, sizeof(float));
            for (size_t j = 0; j < LONG; j++)
                s[i].leaf[k][j] = (float)(j % 1000 + k);
        }
    }
    exchange_run(&shared, 2, sum_share, s, sizeof *s);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(s[i].st, EQ_OK);
        for (size_t j = 0; j < LONG; j++)
            assert_true(s[i].sum[j] == (float)(2 * (j % 1000) + 1));
        eq_free(s[i].leaf[0]);
        eq_free(s[i].leaf[1]);
    }
}

static void denormals(struct exchange_rank *r)
{
    struct summing *s = r->ctx;
    float x[2] = {1e-40f, r->comm.rank == 0 ? 2e-38f : -1.9e-38f}, *parts[] = {x};
    s->st = eq_comm_sum(&r->comm, 2, parts, 2, &s->err);
    s->leaf[0] = eq_alloc(2, sizeof(float));
    memcpy(s->leaf[0], x, sizeof x);
}

struct two {
    float x[2], left[2];
};

static void add_two(void *ctx, size_t piece, int worker)
{
    struct two *t = ctx;
    (void)piece, (void)worker;
    for (int i = 0; i < 2; i++)
        t->x[i] = t->left[i] + t->x[i];
}

/* As in the parallel-for in which one process adds. */
static void denormals_count_as_in_one_process(void **state)
{
    (void)state;
    struct summing s[2] = {0};
    struct two alone = {{1e-40f, -1.9e-38f}, {1e-40f, 2e-38f}}, tree = alone;
    eq_parallel_for(1, add_two, &alone);
    eq_tree_add(tree.x, tree.left, 2);
    assert_memory_equal(tree.x, alone.x, sizeof alone.x);
    exchange_run(&shared, 2, denormals, s, sizeof *s);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(s[i].st, EQ_OK);
        assert_memory_equal(s[i].leaf[0], alone.x, sizeof alone.x);
        eq_free(s[i].leaf[0]);
    }
}

/* ---- shares -------------------------------------------------------------- */

struct filling {
    size_t n;
    uint32_t all[11][3];
    enum eq_status st;
};

static void fill_share(struct exchange_rank *r)
{
    struct filling *f = r->ctx;
    size_t own, first = eq_comm_share(r->comm.rank, r->comm.size, f->n, &own);
    memset(f->all, 0, sizeof f->all);
    for (size_t i = first; i < first + own; i++)
        for (uint32_t k = 0; k < 3; k++)
            f->all[i][k] = (uint32_t)(10 * i) + k;
    f->st = eq_comm_fill(&r->comm, f->all, f->n, sizeof f->all[0], NULL);
}

static void everybody_gets_all_shares(void **state)
{
    (void)state;
    struct filling f[MAX_RANKS];
    for (size_t n = 0; n <= 11; n++) /* also fewer things than processes */
        for (int size = 1; size <= MAX_RANKS; size++) {
            size_t next = 0;
            for (int i = 0; i < size; i++) {
                size_t own, first = eq_comm_share(i, size, n, &own);
                assert_true(first == next && own <= n / (size_t)size + 1 && own >= n / (size_t)size);
                next += own;
                f[i].n = n;
            }
            assert_true(next == n);
            exchange_run(&shared, size, fill_share, f, sizeof *f);
            for (int i = 0; i < size; i++) {
                assert_int_equal(f[i].st, EQ_OK);
                for (size_t k = 0; k < 3 * n; k++)
                    assert_int_equal(f[i].all[k / 3][k % 3], 10 * (k / 3) + k % 3);
            }
        }
}

/* ---- agreement ----------------------------------------------------------- */

struct agreeing {
    enum eq_status mine, agreed;
    bool any, expected;
    struct eq_err err;
};

static void agree(struct exchange_rank *r)
{
    struct agreeing *a = r->ctx;
    assert_ptr_equal(eq_comm_world(), &r->comm);
    if (a->mine != EQ_OK)
        eq_fail(&a->err, a->mine, "fault of %d", r->comm.rank);
    a->agreed = eq_comm_agree_any(&r->comm, a->mine, &a->any, &a->err);
}

static void the_worst_status_is_everybodys(void **state)
{
    (void)state;
    static const struct {
        enum eq_status mine[3], want;
        const char *text;
    } cases[] = {
        {{EQ_OK, EQ_OK, EQ_OK}, EQ_OK, ""},
        {{EQ_OK, EQ_IO, EQ_OK}, EQ_IO, "rank 1: fault of 1"},
        {{EQ_INTERRUPTED, EQ_OK, EQ_NUMERIC}, EQ_NUMERIC, "rank 2: fault of 2"},
        {{EQ_OK, EQ_OK, EQ_INTERRUPTED}, EQ_INTERRUPTED, "rank 2: fault of 2"},
        {{EQ_OK, EQ_NOMEM, EQ_FORMAT}, EQ_NOMEM, "rank 1: fault of 1"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int any = -1; any < 3; any++) {
            struct agreeing a[3] = {0};
            for (int i = 0; i < 3; i++)
                a[i] = (struct agreeing){.mine = cases[c].mine[i], .any = i == any};
            exchange_run(&shared, 3, agree, a, sizeof *a);
            for (int i = 0; i < 3; i++) {
                assert_int_equal(a[i].agreed, cases[c].want);
                assert_string_equal(a[i].err.msg, cases[c].text);
                assert_true(a[i].any == (any >= 0));
            }
        }
}

static void a_broken_link_is_an_error(void **state)
{
    (void)state;
    struct agreeing a[2] = {0};
    shared.broken = true;
    exchange_run(&shared, 2, agree, a, sizeof *a);
    shared.broken = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(a[i].agreed, EQ_IO);
        assert_string_equal(a[i].err.msg, "the link is down");
    }
}

static void one_process_changes_nothing(void **state)
{
    (void)state;
    float x[3] = {1, -0.0f, NAN}, was[3], *parts[] = {x};
    struct eq_err err = {.status = EQ_IO, .msg = "own words"};
    memcpy(was, x, sizeof x);
    assert_ptr_equal(eq_comm_world(), &eq_comm_self);
    assert_true(eq_comm_self.rank == 0 && eq_comm_self.size == 1);
    assert_int_equal(eq_comm_sum(&eq_comm_self, 1, parts, 3, &err), EQ_OK);
    assert_int_equal(eq_comm_fill(&eq_comm_self, x, 3, sizeof *x, &err), EQ_OK);
    assert_memory_equal(x, was, sizeof x);
    assert_int_equal(eq_comm_agree(&eq_comm_self, EQ_OK, &err), EQ_OK);
    assert_int_equal(eq_comm_agree(&eq_comm_self, EQ_IO, &err), EQ_IO);
    assert_string_equal(err.msg, "own words");
    struct eq_comm many;
    assert_int_equal(eq_comm_init(&many, 0, EQ_TREE_LEAVES + 1, exchange_pass, NULL, &err), EQ_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sum_has_the_order_of_the_tree),     cmocka_unit_test(few_sums_wait),
        cmocka_unit_test(sums_do_not_depend_on_the_processes), cmocka_unit_test(long_vectors_go_in_rounds),
        cmocka_unit_test(everybody_gets_all_shares),           cmocka_unit_test(the_worst_status_is_everybodys),
        cmocka_unit_test(a_broken_link_is_an_error),           cmocka_unit_test(one_process_changes_nothing),
        cmocka_unit_test(denormals_count_as_in_one_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
