/* Random numbers: the published Philox vectors, streams that don't depend on one another, and fair draws. */
#include "unit/cmocka_all.h"
#include "base/normals.h"
#include "base/philox.h"
#include "echoquant/base.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* kat_vectors of Random123 1.14 (D. E. Shaw Research), lines "philox4x32 10". */
static void known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t ctr[4], key[2], expected[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        uint32_t out[4];
        eq_philox4x32_10(kat[i].ctr, kat[i].key, out);
        assert_memory_equal(out, kat[i].expected, sizeof out);
    }
}

static void stream_is_counter_and_key(void **state)
{
    (void)state;
    struct eq_rng r;
    eq_rng_init(&r, 0x1122334455667788u, EQ_RNG_SHUFFLE, 7, 9);
    const uint32_t key[2] = {0x55667788, 0x11223344};
    for (uint32_t block = 0; block < 3; block++) {
        const uint32_t ctr[4] = {block, 9, 7, EQ_RNG_SHUFFLE};
        uint32_t expected[4];
        eq_philox4x32_10(ctr, key, expected);
        for (int i = 0; i < 4; i++)
            assert_int_equal(eq_rng_u32(&r), expected[i]);
    }
}

static void streams_differ(void **state)
{
    (void)state;
    struct eq_rng r[5];
    eq_rng_init(&r[0], 1, EQ_RNG_INIT, 0, 0);
    eq_rng_init(&r[1], 2, EQ_RNG_INIT, 0, 0);
    eq_rng_init(&r[2], 1, EQ_RNG_SPLIT, 0, 0);
    eq_rng_init(&r[3], 1, EQ_RNG_INIT, 1, 0);
    eq_rng_init(&r[4], 1, EQ_RNG_INIT, 0, 1);
    uint32_t first[5];
    for (int i = 0; i < 5; i++) {
        first[i] = eq_rng_u32(&r[i]);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(first[i], first[j]);
    }
}

static void uniform_and_normal_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct eq_rng r;
    eq_rng_init(&r, 42, EQ_RNG_TEST, 0, 0);
    double u1 = 0, u2 = 0, n1 = 0, n2 = 0, n4 = 0;
    for (int i = 0; i < N; i++) {
        double u = eq_rng_uniform(&r), n = eq_rng_normal(&r);
        assert_true(u >= 0 && u < 1);
        u1 += u;
        u2 += u * u;
        n1 += n;
        n2 += n * n;
        n4 += n * n * n * n;
    }
    /* five standard errors each */
    assert_true(fabs(u1 / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    assert_true(fabs(u2 / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    assert_true(fabs(n1 / N) < 5 * sqrt(1.0 / N));
    assert_true(fabs(n2 / N - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(n4 / N - 3) < 5 * sqrt(96.0 / N));
}

static void range_stays_inside(void **state)
{
    (void)state;
    struct eq_rng r;
    eq_rng_init(&r, 3, EQ_RNG_TEST, 0, 0);
    double low = 10, high = -10;
    for (int i = 0; i < 10000; i++) {
        double v = eq_rng_range(&r, -2, 5);
        assert_true(v >= -2 && v < 5);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    assert_true(low < -1.98 && high > 4.98);
}

static void below_is_fair(void **state)
{
    (void)state;
    struct eq_rng r;
    eq_rng_init(&r, 5, EQ_RNG_TEST, 0, 0);
    enum { N = 70000 };
    int count[7] = {0};
    for (int i = 0; i < N; i++)
        count[eq_rng_below(&r, 7)]++;
    double chi2 = 0;
    for (int i = 0; i < 7; i++)
        chi2 += (count[i] - N / 7.0) * (count[i] - N / 7.0) / (N / 7.0);
    assert_true(chi2 < 22.5); /* 99.9 % of chi-squared with 6 degrees of freedom */
    assert_int_equal(eq_rng_below(&r, 1), 0);
    /* n = 3 * 2^30: without rejection the multiples of 3 would come up every other time. */
    int multiples = 0;
    for (int i = 0; i < 30000; i++)
        multiples += eq_rng_below(&r, 3u << 30) % 3 == 0;
    assert_true(abs(multiples - 10000) < 5 * 82);
}

static void shuffle_permutes(void **state)
{
    (void)state;
    uint32_t index[100], again[100];
    bool seen[100] = {false};
    int moved = 0;
    for (uint32_t i = 0; i < 100; i++)
        index[i] = again[i] = i;
    struct eq_rng r;
    eq_rng_init(&r, 1, EQ_RNG_SHUFFLE, 2, 0);
    eq_rng_shuffle(&r, index, 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(index[i] < 100);
        assert_false(seen[index[i]]);
        seen[index[i]] = true;
        moved += index[i] != i;
    }
    assert_true(moved > 80);
    eq_rng_init(&r, 1, EQ_RNG_SHUFFLE, 2, 0);
    eq_rng_shuffle(&r, again, 100);
    assert_memory_equal(index, again, sizeof index);
    eq_rng_shuffle(&r, index, 0); /* no element: nothing touched */
}

/* Test vectors of the FNV page: http://www.isthe.com/chongo/tech/comp/fnv/ */
static void fnv1a(void **state)
{
    (void)state;
    assert_true(eq_hash64("", 0) == 0xcbf29ce484222325u);
    assert_true(eq_hash64("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(eq_hash64("foobar", 6) == 0x85944171f73967e8u);
}

/* As one by one, with the instructions of each level, in blocks or not, and the stream goes on where it would. */
static void many_normals_are_those_of_one_by_one(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    static const char *const levels[] = {"ref", "auto"};
    float *many = malloc(N * sizeof *many);
    struct eq_rng a, b;
    assert_non_null(many);
    for (size_t k = 0; k < sizeof levels / sizeof *levels; k++) {
        assert_int_equal(eq_cpu_set_ceiling(levels[k], NULL), EQ_OK);
        eq_rng_init(&a, 11, EQ_RNG_TEST, 3, (uint32_t)k);
        eq_rng_init(&b, 11, EQ_RNG_TEST, 3, (uint32_t)k);
        for (size_t n = 0; n < 100; n++) {
            eq_rng_normals(&a, n, many);
            for (size_t i = 0; i < n; i++)
                assert_true(many[i] == (float)eq_rng_normal(&b));
        }
        eq_rng_normals(&a, N, many);
        for (size_t i = 0; i < N; i++)
            if (many[i] != (float)eq_rng_normal(&b))
                fail_msg("normal %zu of %s: %.9g", i, levels[k], (double)many[i]);
        (void)eq_rng_u32(&a), (void)eq_rng_u32(&b); /* off the blocks */
        eq_rng_normals(&a, 100, many);
        for (size_t i = 0; i < 100; i++)
            assert_true(many[i] == (float)eq_rng_normal(&b));
        assert_int_equal(eq_rng_u32(&a), eq_rng_u32(&b));
    }
    assert_int_equal(eq_cpu_set_ceiling("auto", NULL), EQ_OK);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_normals_are_those_of_one_by_one),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(stream_is_counter_and_key),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(uniform_and_normal_moments),
        cmocka_unit_test(range_stays_inside),
        cmocka_unit_test(below_is_fair),
        cmocka_unit_test(shuffle_permutes),
        cmocka_unit_test(fnv1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
