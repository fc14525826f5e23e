/* Augmentation against its meaning, and the statistics of a split against their definitions. */
#include "unit/loader_fixture.h"

/* ---- augmentation -------------------------------------------------------- */

/* Pixel (y, x) of a frame after the draw, from its meaning: flip first, then move. */
static int expected_pixel(const uint8_t *frame, const struct eq_augment_draw *d, int y, int x, int c, int size)
{
    int from_y = y - d->dy, from_x = x - d->dx;
    if (from_y < 0 || from_y >= size || from_x < 0 || from_x >= size)
        return 0;
    if (d->flip)
        from_x = size - 1 - from_x;
    return frame[(from_y * size + from_x) * 3 + c];
}

static void augmentation_is_flip_then_shift(void **state)
{
    (void)state;
    enum { N = 7, T = 3 };
    uint8_t src[T * N * N * 3], dst[T * N * N * 3];
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof src; i++)
        src[i] = (uint8_t)(1 + eq_rng_below(&rng, 255));
    for (int dy = -9; dy <= 9; dy++)
        for (int dx = -9; dx <= 9; dx++)
            for (int flip = 0; flip < 2; flip++) {
                struct eq_augment_draw d = {.flip = flip, .dx = dx, .dy = dy};
                memcpy(dst, src, sizeof src);
                eq_augment_apply(&d, dst, T, N);
                for (int t = 0; t < T; t++)
                    for (int k = 0; k < N * N * 3; k++)
                        assert_int_equal(dst[t * N * N * 3 + k],
                                         expected_pixel(src + t * N * N * 3, &d, k / 3 / N, k / 3 % N, k % 3, N));
            }
}

static void draws_are_uniform_and_independent(void **state)
{
    (void)state;
    struct eq_augment on = {.flip = true, .max_shift = 2, .random_phase = true}, no_flip = on;
    no_flip.flip = false;
    struct eq_sampling sampling = {FRAMES, SIZE, -1.0, 1};
    int flips = 0, dx[5] = {0}, dy[5] = {0};
    double phase = 0.0;
    for (uint32_t k = 0; k < 10000; k++) {
        struct eq_augment_draw d = eq_augment_draw(&on, &sampling, 1, k / 100, k % 100);
        struct eq_augment_draw same = eq_augment_draw(&no_flip, &sampling, 1, k / 100, k % 100);
        assert_int_in_range(d.dx + 2, 0, 4);
        assert_int_in_range(d.dy + 2, 0, 4);
        assert_true(d.phase >= 0.0 && d.phase < 1.0);
        assert_true(!same.flip && same.dx == d.dx && same.dy == d.dy && same.phase == d.phase);
        flips += d.flip;
        dx[d.dx + 2]++;
        dy[d.dy + 2]++;
        phase += d.phase;
    }
    /* Five standard deviations around what is expected. */
    assert_int_in_range(flips, 4750, 5250);
    for (int i = 0; i < 5; i++) {
        assert_int_in_range(dx[i], 1800, 2200);
        assert_int_in_range(dy[i], 1800, 2200);
    }
    assert_true(fabs(phase / 10000.0 - 0.5) < 0.015);
    struct eq_augment_draw off = eq_augment_draw(&(struct eq_augment){0}, &sampling, 1, 2, 3);
    assert_true(!off.flip && off.dx == 0 && off.dy == 0 && off.phase == -1.0);
}

/* A clip of equal frames stays one of equal frames, while epochs differ. */
static void all_frames_of_a_clip_move_together(void **state)
{
    (void)state;
    struct eq_loader_opts o = plain_opts();
    o.augment = (struct eq_augment){.flip = true, .max_shift = 6};
    o.batch = 1;
    o.cache_bytes = (size_t)1 << 20;
    char *path = eq_path_join(dir, "still.avi");
    struct test_avi a = {.width = SIZE, .height = SIZE, .frames = 1, .texture = true, .first_level = 100};
    test_avi_write(path, &a);
    const char *paths[] = {path};
    struct eq_dataset still;
    assert_int_equal(eq_dataset_from_paths(paths, 1, EQ_ON_ERROR_FAIL, &still, NULL), EQ_OK);
    struct eq_loader *l = loader_of(&still, 1, &o);
    const size_t frame_bytes = CLIP_BYTES / FRAMES;
    uint64_t last = 0;
    int changes = 0;
    for (uint32_t epoch = 0; epoch < 12; epoch++) {
        struct eq_batch b;
        assert_int_equal(eq_loader_start(l, epoch, 0, NULL), EQ_OK);
        assert_int_equal(eq_loader_next(l, &b, NULL), EQ_OK);
        assert_int_equal(b.n, 1);
        for (int t = 1; t < FRAMES; t++)
            assert_memory_equal(b.pixels, b.pixels + (size_t)t * frame_bytes, frame_bytes);
        uint64_t hash = eq_hash64(b.pixels, CLIP_BYTES);
        changes += hash != last;
        last = hash;
    }
    assert_true(changes >= 10);
    eq_loader_free(l);
    eq_dataset_clear(&still);
    free(path);
}

/* ---- statistics ---------------------------------------------------------- */

static void statistics_are_the_definitions(void **state)
{
    (void)state;
    struct eq_loader_opts o = plain_opts();
    uint8_t *pixels = eq_alloc(CLIP_BYTES * CLIPS, 1);
    double sum = 0.0, around = 0.0;
    for (size_t i = 0; i < CLIPS; i++)
        assert_int_equal(eq_clip_read(ds.samples[i].path, &o.sampling, pixels + i * CLIP_BYTES, NULL, NULL), EQ_OK);
    for (size_t i = 0; i < CLIP_BYTES * CLIPS; i++)
        sum += pixels[i];
    double mean = round(sum / (double)(CLIP_BYTES * CLIPS));
    for (size_t i = 0; i < CLIP_BYTES * CLIPS; i++)
        around += (pixels[i] - mean) * (pixels[i] - mean);
    struct eq_loader *l = loader_of(&ds, CLIPS, &o);
    struct eq_data_stats stats;
    assert_int_equal(eq_data_stats(l, &stats, NULL), EQ_OK);
    assert_int_equal(stats.clips, CLIPS);
    assert_int_equal(stats.pixel_mean, (int)mean);
    assert_true(fabs(stats.pixel_std - sqrt(around / (double)(CLIP_BYTES * CLIPS))) < 1e-9);
    assert_true(stats.ef_mean == 45.0 && stats.ef_median == 45.0);
    assert_true(fabs(stats.ef_std - sqrt(250.0)) < 1e-12); /* 25 (n^2 - 1) / 12 */
    eq_loader_free(l);
    l = loader_of(&ds, 4, &o);
    assert_int_equal(eq_data_stats(l, &stats, NULL), EQ_OK);
    assert_true(stats.ef_median == 27.5);
    eq_loader_free(l);
    eq_free(pixels);
}

static void statistics_of_nothing_are_refused(void **state)
{
    (void)state;
    struct eq_loader_opts o = plain_opts();
    struct eq_data_stats stats;
    struct eq_err err = {0};
    struct eq_loader *l = loader_of(&ds, 0, &o);
    assert_int_equal(eq_data_stats(l, &stats, &err), EQ_FORMAT);
    eq_loader_free(l);
    l = loader_of(&ds, 1, &o);
    assert_int_equal(eq_data_stats(l, &stats, &err), EQ_NUMERIC);
    assert_non_null(strstr(err.msg, "the EF of all 1 clips is 20"));
    eq_loader_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(augmentation_is_flip_then_shift),    cmocka_unit_test(draws_are_uniform_and_independent),
        cmocka_unit_test(all_frames_of_a_clip_move_together), cmocka_unit_test(statistics_are_the_definitions),
        cmocka_unit_test(statistics_of_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}
