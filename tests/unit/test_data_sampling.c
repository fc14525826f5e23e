/* The index formulas against their definitions, for every small case and some large ones. */
#include "unit/cmocka_all.h"
#include "echoquant/data.h"

#include <math.h>
#include <string.h>

/* index is num / den rounded half to even: no nearer integer, and even when two are equally near. */
static void check_rounding(int64_t num, int64_t den, int64_t index)
{
    int64_t twice_off = 2 * llabs(index * den - num);
    assert_true(twice_off <= den);
    if (twice_off == den)
        assert_true(index % 2 == 0);
}

static void uniform_is_the_rounded_grid(void **state)
{
    (void)state;
    for (int frames = 2; frames <= 64; frames++)
        for (int n = 1; n <= 260; n++)
            for (int i = 0; i < frames; i++) {
                int index = eq_sample_index(i, frames, n);
                assert_int_in_range(index, 0, n - 1);
                check_rounding((int64_t)i * (n - 1), frames - 1, index);
            }
}

static void ends_are_the_clips_ends(void **state)
{
    (void)state;
    const int counts[] = {2, 3, 175, 99999, EQ_CLIP_MAX_FRAMES};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        assert_int_equal(eq_sample_index(0, 16, counts[k]), 0);
        assert_int_equal(eq_sample_index(15, 16, counts[k]), counts[k] - 1);
        check_rounding((int64_t)7 * (counts[k] - 1), 15, eq_sample_index(7, 16, counts[k]));
    }
}

static void one_frame_is_the_middle(void **state)
{
    (void)state;
    for (int n = 1; n <= 1000; n++)
        check_rounding(n - 1, 2, eq_sample_index(0, 1, n));
    /* 0.5, 1.5 and 2.5 go to the even neighbor. */
    assert_int_equal(eq_sample_index(0, 1, 2), 0);
    assert_int_equal(eq_sample_index(0, 1, 4), 2);
    assert_int_equal(eq_sample_index(0, 1, 6), 2);
}

static void short_clips_repeat_frames(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++)
        assert_int_equal(eq_sample_index(i, 16, 1), 0);
    /* i * 2 / 7 for 8 frames out of 3: 0, .29, .57, .86, 1.14, 1.43, 1.71, 2 */
    const int expected[] = {0, 0, 1, 1, 1, 1, 2, 2};
    for (int i = 0; i < 8; i++)
        assert_int_equal(eq_sample_index(i, 8, 3), expected[i]);
    /* i / 2 for 3 frames out of 2: the half goes down to 0; 3 out of 4: 1.5 goes up to 2 */
    assert_int_equal(eq_sample_index(1, 3, 2), 0);
    assert_int_equal(eq_sample_index(1, 3, 4), 2);
}

static void phases_stay_in_their_segments(void **state)
{
    (void)state;
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (int trial = 0; trial < 20000; trial++) {
        int frames = 1 + (int)eq_rng_below(&rng, 64), n = 1 + (int)eq_rng_below(&rng, 400);
        double phase = eq_rng_uniform(&rng);
        int last = 0;
        for (int i = 0; i < frames; i++) {
            int index = eq_sample_index_phase(i, frames, n, phase);
            double exact = (i + phase) * n / frames;
            assert_int_in_range(index, last, n - 1);
            /* The phase is cut to 2^-24, so the floor may lie one below when the exact place is just above an integer.
             */
            assert_true(index == (int)exact || (index == (int)exact - 1 && exact - floor(exact) < 1e-4));
            last = index;
        }
    }
    assert_int_equal(eq_sample_index_phase(63, 64, EQ_CLIP_MAX_FRAMES, nextafter(1.0, 0.0)), EQ_CLIP_MAX_FRAMES - 1);
    assert_int_equal(eq_sample_index_phase(2, 4, 8, 0.0), 4);
    assert_int_equal(eq_sample_index_phase(2, 4, 8, 0.5), 5);
    assert_int_equal(eq_sample_index_phase(2, 4, 8, -1.0), eq_sample_index(2, 4, 8));
}

/* Phase k of P: frame floor((i + (k + 0.5) / P) n / T), in whole numbers ((2 (i P + k) + 1) n) / (2 T P). */
static void several_phases_are_the_middles_of_parts(void **state)
{
    (void)state;
    for (int phases = 2; phases <= 9; phases++)
        for (int frames = 1; frames <= 16; frames++)
            for (int n = 1; n <= 120; n++) {
                struct eq_sampling s = {frames, 32, -1.0, phases};
                int last = 0;
                bool seen[144] = {false};
                assert_int_equal(eq_sampling_slots(&s), frames * phases);
                for (int slot = 0; slot < frames * phases; slot++) {
                    int i = slot / phases, k = slot % phases, index = eq_sampling_index(&s, slot, n);
                    assert_int_equal(index, (2 * (i * phases + k) + 1) * n / (2 * frames * phases));
                    assert_int_in_range(index, last, n - 1); /* in the order in which a clip is read */
                    last = index;
                    assert_int_equal(eq_sampling_place(&s, slot), k * frames + i);
                    assert_false(seen[k * frames + i]);
                    seen[k * frames + i] = true;
                }
            }
}

/* phases = 0 and 1: the sampling as it is without them. */
static void one_phase_is_the_plain_sampling(void **state)
{
    (void)state;
    const double phase[] = {-1.0, 0.0, 0.37};
    for (int phases = 0; phases <= 1; phases++)
        for (size_t p = 0; p < 3; p++)
            for (int n = 1; n <= 200; n++) {
                struct eq_sampling s = {12, 32, phase[p], phases};
                assert_int_equal(eq_sampling_slots(&s), 12);
                for (int i = 0; i < 12; i++) {
                    int plain = p ? eq_sample_index_phase(i, 12, n, phase[p]) : eq_sample_index(i, 12, n);
                    assert_int_equal(eq_sampling_index(&s, i, n), plain);
                    assert_int_equal(eq_sampling_place(&s, i), i);
                }
            }
}

static void sizes_are_checked(void **state)
{
    (void)state;
    assert_int_equal(eq_sampling_bytes(&(struct eq_sampling){16, 112, -1.0, 1}), 16 * 112 * 112 * 3);
    const struct eq_sampling refused[] = {{0, 112, -1.0, 1},
                                          {-1, 112, -1.0, 1},
                                          {16, 0, -1.0, 1},
                                          {16, -5, -1.0, 1},
                                          {EQ_SAMPLING_MAX_FRAMES + 1, 112, -1.0, 1},
                                          {16, EQ_SAMPLING_MAX_SIZE + 1, -1.0, 1},
                                          {16, 112, -1.0, -1},
                                          {EQ_SAMPLING_MAX_FRAMES / 2, 112, -1.0, 3}};
    struct eq_err err;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(eq_sampling_bytes(&refused[i]), 0);
        assert_int_equal(eq_sampling_check(&refused[i], &err), EQ_USAGE);
    }
    assert_int_equal(eq_sampling_bytes(&(struct eq_sampling){16, 112, -1.0, 4}), 4 * 16 * 112 * 112 * 3);
    assert_int_equal(eq_sampling_check(&(struct eq_sampling){16, 112, -1.0, 4}, &err), EQ_OK);
    assert_int_equal(eq_sampling_check(&(struct eq_sampling){16, 112, NAN, 1}, &err), EQ_USAGE);
    assert_int_equal(eq_sampling_check(&(struct eq_sampling){16, 112, 0.5, 1}, &err), EQ_OK);
    assert_int_equal(eq_sampling_check(&(struct eq_sampling){16, 112, 0.5, 2}, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "several phases (2)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_is_the_rounded_grid),
        cmocka_unit_test(ends_are_the_clips_ends),
        cmocka_unit_test(one_frame_is_the_middle),
        cmocka_unit_test(short_clips_repeat_frames),
        cmocka_unit_test(phases_stay_in_their_segments),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(several_phases_are_the_middles_of_parts),
        cmocka_unit_test(one_phase_is_the_plain_sampling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
