/* The loader: the same batches whatever the timing, several phases, clips left out, errors in their place. */
#include "unit/loader_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

/* Reading and thread starts go through here (tests/CMakeLists.txt). */
enum eq_status __real_eq_clip_read(const char *path, const struct eq_sampling *s, uint8_t *dst,
                                   struct eq_clip_info *info, struct eq_err *err);
enum eq_status __wrap_eq_clip_read(const char *path, const struct eq_sampling *s, uint8_t *dst,
                                   struct eq_clip_info *info, struct eq_err *err);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
static struct {
    int read, most_read; /* clips that have been begun, and how many may be; 0: any number */
    int slow, exceeded, signals_open;
    int threads_left; /* that can be started; -1: any number */
} world = {.threads_left = -1};

static int now(const int *x)
{
    return __atomic_load_n(x, __ATOMIC_RELAXED);
}

/* With `slow`, earlier clips take longer than later ones. */
enum eq_status __wrap_eq_clip_read(const char *path, const struct eq_sampling *s, uint8_t *dst,
                                   struct eq_clip_info *info, struct eq_err *err)
{
    sigset_t blocked;
    int number = __atomic_add_fetch(&world.read, 1, __ATOMIC_RELAXED);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    if (!sigismember(&blocked, SIGINT) || !sigismember(&blocked, SIGTERM))
        __atomic_store_n(&world.signals_open, 1, __ATOMIC_RELAXED);
    if (now(&world.most_read) && number > now(&world.most_read))
        __atomic_store_n(&world.exceeded, 1, __ATOMIC_RELAXED);
    if (now(&world.slow))
        usleep((useconds_t)(8 - number % 8) * 300);
    return __real_eq_clip_read(path, s, dst, info, err);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    if (world.threads_left == 0)
        return EAGAIN;
    world.threads_left -= world.threads_left > 0;
    return __real_pthread_create(thread, attr, run, arg);
}

/* Everything of an epoch from batch `first` on, as text: numbers and hashes of pixels. */
static struct eq_str trace(struct eq_loader *l, uint32_t epoch, size_t first)
{
    struct eq_str text = {0};
    struct eq_err err = {0};
    struct eq_batch b;
    assert_int_equal(eq_loader_start(l, epoch, first, &err), EQ_OK);
    for (;;) {
        if (eq_loader_next(l, &b, &err) != EQ_OK)
            fail_msg("%s", err.msg);
        if (b.n == 0)
            return text;
        assert_int_equal(b.clip_bytes, CLIP_BYTES);
        for (int i = 0; i < b.n; i++) {
            assert_true(b.ef[i] == (float)ds.samples[b.index[i]].ef);
            eq_str_add(&text, "%u:%016llx ", b.index[i],
                       (unsigned long long)eq_hash64(b.pixels + (size_t)i * CLIP_BYTES, CLIP_BYTES));
        }
        eq_str_add(&text, "%s\n", b.gray ? "gray" : "");
    }
}

static void in_order_it_gives_what_reading_gives(void **state)
{
    (void)state;
    struct eq_loader_opts o = plain_opts();
    struct eq_loader *l = loader_of(&ds, CLIPS, &o);
    uint8_t *pixels = eq_alloc(CLIP_BYTES, 1);
    struct eq_batch b;
    assert_int_equal(eq_loader_next(l, &b, NULL), EQ_OK); /* nothing before the start */
    assert_int_equal(b.n, 0);
    assert_int_equal(eq_loader_batches(l), 4);
    assert_int_equal(eq_loader_start(l, 0, 0, NULL), EQ_OK);
    uint32_t clip = 0;
    while (eq_loader_next(l, &b, NULL) == EQ_OK && b.n > 0)
        for (int i = 0; i < b.n; i++, clip++) {
            struct eq_clip_info info;
            assert_int_equal(b.index[i], clip);
            assert_int_equal(eq_clip_read(ds.samples[clip].path, &o.sampling, pixels, &info, NULL), EQ_OK);
            assert_memory_equal(b.pixels + (size_t)i * CLIP_BYTES, pixels, CLIP_BYTES);
            assert_int_equal(info.gray, clip % 3 != 2);
        }
    assert_int_equal(clip, CLIPS);
    eq_free(pixels);
    eq_loader_free(l);
}

/* A clip at P phases is what P readings of one phase each give, and comes from the cache as it came from the file. */
static void several_phases_of_a_clip_come_together(void **state)
{
    (void)state;
    enum { PHASES = 4 };
    struct eq_loader_opts o = plain_opts();
    o.sampling.phases = PHASES;
    o.cache_bytes = (size_t)1 << 30;
    struct eq_loader *l = loader_of(&ds, CLIPS, &o);
    uint8_t *pixels = eq_alloc(CLIP_BYTES, 1);
    struct eq_batch b;
    for (int round = 0; round < 2; round++) {
        int clips = 0;
        assert_int_equal(eq_loader_start(l, 0, 0, NULL), EQ_OK);
        while (eq_loader_next(l, &b, NULL) == EQ_OK && b.n > 0) {
            assert_int_equal(b.phases, PHASES);
            assert_int_equal(b.clip_bytes, PHASES * CLIP_BYTES);
            for (int k = 0; k < b.n * PHASES; k++) {
                struct eq_sampling one = {FRAMES, SIZE, (k % PHASES + 0.5) / PHASES, 1};
                const char *path = ds.samples[b.index[k / PHASES]].path;
                assert_int_equal(eq_clip_read(path, &one, pixels, NULL, NULL), EQ_OK);
                assert_memory_equal(b.pixels + (size_t)k * CLIP_BYTES, pixels, CLIP_BYTES);
            }
            clips += b.n;
        }
        assert_int_equal(clips, CLIPS);
    }
    eq_free(pixels);
    eq_loader_free(l);
    struct eq_err err;
    o.augment.random_phase = true;
    assert_int_equal(eq_loader_new(&ds, all, CLIPS, &o, &l, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "not both"));
}

static void timing_and_memory_change_nothing(void **state)
{
    (void)state;
    for (int rich = 0; rich < 2; rich++) {
        struct eq_loader_opts o = rich ? rich_opts() : plain_opts();
        struct eq_loader *reference = loader_of(&ds, CLIPS, &o);
        const int prefetch[] = {1, 2, 7, 64};
        const size_t cache[] = {0, 3 * CLIP_BYTES, (size_t)1 << 30};
        for (size_t p = 0; p < 4; p++)
            for (size_t c = 0; c < 3; c++) {
                o.prefetch = prefetch[p];
                o.cache_bytes = cache[c];
                struct eq_loader *l = loader_of(&ds, CLIPS, &o);
                for (uint32_t epoch = 0; epoch < 3; epoch++) {
                    struct eq_str a = trace(reference, epoch, 0), b = trace(l, epoch, 0);
                    assert_string_equal(a.s, b.s);
                    eq_str_clear(&a);
                    eq_str_clear(&b);
                }
                eq_loader_free(l);
            }
        eq_loader_free(reference);
    }
}

static void workers_change_nothing(void **state)
{
    (void)state;
    const int workers[] = {2, 3, 8, 64}, batch[] = {1, 3, 20};
    world.slow = 1;
    world.signals_open = 0;
    for (int rich = 0; rich < 2; rich++)
        for (size_t b = 0; b < 3; b++) {
            struct eq_loader_opts o = rich ? rich_opts() : plain_opts();
            o.batch = batch[b];
            struct eq_loader *reference = loader_of(&ds, CLIPS, &o);
            for (size_t w = 0; w < 4; w++) {
                o.workers = workers[w];
                o.cache_bytes = w % 2 ? 3 * CLIP_BYTES : 0;
                struct eq_loader *l = loader_of(&ds, CLIPS, &o);
                for (uint32_t epoch = 0; epoch < 3; epoch++) {
                    struct eq_str expected = trace(reference, epoch, 0), got = trace(l, epoch, 0);
                    assert_string_equal(expected.s, got.s);
                    eq_str_clear(&expected);
                    eq_str_clear(&got);
                }
                eq_loader_free(l);
            }
            eq_loader_free(reference);
        }
    world.slow = 0;
    assert_int_equal(world.signals_open, 0);
}

/* However many workers there are, they never read further ahead than the ring has room. */
static void the_ring_bounds_what_is_read(void **state)
{
    (void)state;
    struct eq_loader_opts o = plain_opts();
    o.batch = 1;
    for (int prefetch = 1; prefetch < 4; prefetch++) {
        struct eq_batch b;
        o.prefetch = prefetch;
        o.workers = 8;
        struct eq_loader *l = loader_of(&ds, CLIPS, &o);
        world.read = 0;
        world.most_read = prefetch + 1;
        assert_int_equal(eq_loader_start(l, 0, 0, NULL), EQ_OK);
        for (int clip = 0; clip < CLIPS; clip++) {
            usleep(2000); /* they go as far as they can */
            __atomic_store_n(&world.most_read, clip + prefetch + 1, __ATOMIC_RELAXED);
            assert_int_equal(eq_loader_next(l, &b, NULL), EQ_OK);
            assert_int_equal(b.index[0], clip);
        }
        eq_loader_free(l);
        assert_int_equal(world.read, CLIPS);
    }
    world.most_read = 0;
    assert_int_equal(world.exceeded, 0);
}

static void threads_that_do_not_start(void **state)
{
    (void)state;
    struct eq_loader_opts o = rich_opts();
    struct eq_err err = {0};
    struct eq_batch b;
    struct eq_loader *reference = loader_of(&ds, CLIPS, &o);
    struct eq_str expected = trace(reference, 5, 0);
    o.workers = 8;
    struct eq_loader *l = loader_of(&ds, CLIPS, &o);
    eq_log_configure(EQ_LOG_ERROR);
    for (int threads = 1; threads < 9; threads++) {
        world.threads_left = threads;
        struct eq_str got = trace(l, 5, 0);
        assert_string_equal(expected.s, got.s);
        eq_str_clear(&got);
    }
    eq_log_configure(EQ_LOG_INFO);
    world.threads_left = 0;
    assert_int_equal(eq_loader_start(l, 5, 0, &err), EQ_NOMEM);
    assert_non_null(strstr(err.msg, "thread cannot be started"));
    assert_int_equal(eq_loader_next(l, &b, NULL), EQ_OK); /* which does not wait for nobody */
    assert_int_equal(b.n, 0);
    world.threads_left = -1;
    struct eq_str got = trace(l, 5, 0);
    assert_string_equal(expected.s, got.s);
    eq_str_clear(&got);
    eq_str_clear(&expected);
    eq_loader_free(l);
    eq_loader_free(reference);
}

static void epochs_differ_and_repeat(void **state)
{
    (void)state;
    struct eq_loader_opts o = rich_opts();
    struct eq_loader *l = loader_of(&ds, CLIPS, &o);
    struct eq_str first = trace(l, 0, 0), second = trace(l, 1, 0), again = trace(l, 0, 0);
    assert_string_not_equal(first.s, second.s);
    assert_string_equal(first.s, again.s);
    eq_loader_free(l);
    o.seed++;
    l = loader_of(&ds, CLIPS, &o);
    struct eq_str other = trace(l, 0, 0);
    assert_string_not_equal(first.s, other.s);
    eq_loader_free(l);
    eq_str_clear(&first);
    eq_str_clear(&second);
    eq_str_clear(&again);
    eq_str_clear(&other);
}

static void resuming_gives_the_rest(void **state)
{
    (void)state;
    struct eq_loader_opts o = rich_opts();
    struct eq_loader *l = loader_of(&ds, CLIPS, &o);
    struct eq_str whole = trace(l, 2, 0);
    const char *rest = whole.s;
    for (size_t first = 1; first <= 4; first++) {
        rest = strchr(rest, '\n') + 1;
        struct eq_str part = trace(l, 2, first);
        assert_string_equal(rest, part.s ? part.s : "");
        eq_str_clear(&part);
    }
    eq_loader_free(l);
    eq_str_clear(&whole);
}

static void a_shuffled_epoch_has_every_clip_once(void **state)
{
    (void)state;
    struct eq_loader_opts o = rich_opts();
    for (int drop = 0; drop < 2; drop++) {
        o.drop_last = drop;
        struct eq_loader *l = loader_of(&ds, CLIPS, &o);
        int seen[CLIPS] = {0}, total = 0;
        struct eq_batch b;
        assert_int_equal(eq_loader_start(l, 4, 0, NULL), EQ_OK);
        while (eq_loader_next(l, &b, NULL) == EQ_OK && b.n > 0)
            for (int i = 0; i < b.n; i++, total++)
                assert_int_equal(seen[b.index[i]]++, 0);
        assert_int_equal(total, drop ? 9 : 11);
        assert_int_equal(eq_loader_batches(l), drop ? 3 : 4);
        eq_loader_free(l);
    }
}

static void starting_anew_at_any_moment(void **state)
{
    (void)state;
    struct eq_loader_opts o = rich_opts();
    o.prefetch = 1;
    for (int workers = 1; workers < 9; workers += 3) {
        o.workers = workers;
        struct eq_loader *l = loader_of(&ds, CLIPS, &o);
        struct eq_str expected = trace(l, 9, 0);
        struct eq_batch b;
        for (int taken = 0; taken < 6; taken++) {
            assert_int_equal(eq_loader_start(l, 3, 0, NULL), EQ_OK);
            for (int k = 0; k < taken; k++)
                assert_int_equal(eq_loader_next(l, &b, NULL), EQ_OK);
            struct eq_str got = trace(l, 9, 0);
            assert_string_equal(expected.s, got.s);
            eq_str_clear(&got);
        }
        assert_int_equal(eq_loader_start(l, 3, 0, NULL), EQ_OK);
        eq_loader_free(l); /* while it reads */
        eq_str_clear(&expected);
    }
}

static void no_clips_is_an_empty_epoch(void **state)
{
    (void)state;
    struct eq_loader_opts o = plain_opts();
    struct eq_loader *l = loader_of(&ds, 0, &o);
    struct eq_batch b;
    assert_int_equal(eq_loader_batches(l), 0);
    assert_int_equal(eq_loader_start(l, 0, 0, NULL), EQ_OK);
    assert_int_equal(eq_loader_next(l, &b, NULL), EQ_OK);
    assert_int_equal(b.n, 0);
    eq_loader_free(l);
}

/* ---- clips that can't be read -------------------------------------------- */

/* The data set with text where clips 3, 4, 5 and 8 were: with batches of 3, the second has none left. */
static struct eq_dataset broken_dataset(const char *broken_dir)
{
    struct eq_dataset set = {0};
    char *from = eq_path_join(dir, "FileList.csv"), *to = eq_path_join(broken_dir, "FileList.csv");
    size_t len;
    uint8_t *bytes = test_read(from, &len);
    test_write(to, bytes, len);
    eq_free(bytes);
    for (int i = 0; i < CLIPS; i++) {
        bool broken = (i >= 3 && i <= 5) || i == 8;
        struct eq_str path = {0};
        eq_str_add(&path, "%s/clip%02d.avi", broken_dir, i);
        bytes = test_read(ds.samples[i].path, &len);
        test_write(path.s, broken ? (const void *)"text" : bytes, broken ? 4 : len);
        eq_free(bytes);
        eq_str_clear(&path);
    }
    struct eq_err err = {0};
    assert_int_equal(eq_dataset_open(broken_dir, &(struct eq_list_opts){.split_seed = 1}, &set, &err), EQ_OK);
    free(from);
    free(to);
    return set;
}

/* A clip that was cut off: an error, or used. */
static void damaged_clips_fail_or_are_used(void **state)
{
    (void)state;
    char *cut_dir = test_dir_new(), *path = eq_path_join(cut_dir, "cut.avi");
    size_t len;
    uint8_t *bytes = test_read(ds.samples[1].path, &len);
    test_write(path, bytes, len * 2 / 3);
    const char *paths[] = {ds.samples[0].path, path, ds.samples[2].path};
    struct eq_dataset set;
    assert_int_equal(eq_dataset_from_paths(paths, 3, EQ_ON_ERROR_FAIL, &set, NULL), EQ_OK);
    for (int use = 0; use < 2; use++) {
        struct eq_loader_opts o = plain_opts();
        o.batch = 1;
        o.use_damaged = use;
        struct eq_loader *l = loader_of(&set, 3, &o);
        for (uint32_t epoch = 0; epoch < 2; epoch++) {
            struct eq_err err = {0};
            struct eq_batch b = {.n = 1};
            enum eq_status st = EQ_OK;
            int clips = 0;
            assert_int_equal(eq_loader_start(l, epoch, 0, NULL), EQ_OK);
            for (; st == EQ_OK && b.n; clips += b.n)
                st = eq_loader_next(l, &b, &err);
            assert_int_equal(st, use ? EQ_OK : EQ_FORMAT);
            assert_int_equal(clips, use ? 3 : 1);
            if (!use)
                assert_non_null(strstr(err.msg, "cut.avi: the clip is damaged: the file is cut"));
        }
        eq_loader_free(l);
    }
    eq_dataset_clear(&set);
    eq_free(bytes);
    free(path);
    test_dir_free(cut_dir);
}

static void failing_comes_in_its_place(void **state)
{
    (void)state;
    char *broken_dir = test_dir_new();
    struct eq_dataset broken = broken_dataset(broken_dir);
    struct eq_loader_opts o = plain_opts();
    for (int workers = 1; workers < 9; workers++) {
        struct eq_batch b;
        struct eq_err err = {0};
        o.workers = workers;
        world.slow = workers > 1; /* clip 3 fails after those behind it */
        struct eq_loader *l = loader_of(&broken, CLIPS, &o);
        for (int epoch = 0; epoch < 2; epoch++) {
            assert_int_equal(eq_loader_start(l, (uint32_t)epoch, 0, NULL), EQ_OK);
            assert_int_equal(eq_loader_next(l, &b, &err), EQ_OK);
            assert_int_equal(b.n, 3);
            for (int again = 0; again < 2; again++) {
                assert_int_equal(eq_loader_next(l, &b, &err), EQ_FORMAT);
                assert_int_equal(b.n, 0);
                assert_non_null(strstr(err.msg, "clip03.avi is a text file"));
            }
        }
        assert_int_equal(eq_loader_start(l, 0, 3, NULL), EQ_OK); /* after the broken ones all is well */
        assert_int_equal(eq_loader_next(l, &b, &err), EQ_OK);
        assert_int_equal(b.n, 2);
        eq_loader_free(l);
    }
    world.slow = 0;
    eq_dataset_clear(&broken);
    test_dir_free(broken_dir);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct eq_loader *l = NULL;
    struct eq_loader_opts o = plain_opts();
    const uint32_t outside = CLIPS;
    assert_int_equal(eq_loader_new(&ds, &outside, 1, &o, &l, NULL), EQ_USAGE);
    assert_null(l);
    o.batch = 0;
    assert_int_equal(eq_loader_new(&ds, all, CLIPS, &o, &l, NULL), EQ_USAGE);
    o = plain_opts();
    o.sampling.frames = 0;
    assert_int_equal(eq_loader_new(&ds, all, CLIPS, &o, &l, NULL), EQ_USAGE);
    o = plain_opts();
    o.augment.max_shift = -1;
    assert_int_equal(eq_loader_new(&ds, all, CLIPS, &o, &l, NULL), EQ_USAGE);
    o = plain_opts();
    o.prefetch = 1000;
    assert_int_equal(eq_loader_new(&ds, all, CLIPS, &o, &l, NULL), EQ_USAGE);
    o = plain_opts();
    o.workers = 65;
    assert_int_equal(eq_loader_new(&ds, all, CLIPS, &o, &l, NULL), EQ_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_it_gives_what_reading_gives),
        cmocka_unit_test(several_phases_of_a_clip_come_together),
        cmocka_unit_test(timing_and_memory_change_nothing),
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(the_ring_bounds_what_is_read),
        cmocka_unit_test(threads_that_do_not_start),
        cmocka_unit_test(epochs_differ_and_repeat),
        cmocka_unit_test(resuming_gives_the_rest),
        cmocka_unit_test(a_shuffled_epoch_has_every_clip_once),
        cmocka_unit_test(starting_anew_at_any_moment),
        cmocka_unit_test(no_clips_is_an_empty_epoch),
        cmocka_unit_test(damaged_clips_fail_or_are_used),
        cmocka_unit_test(failing_comes_in_its_place),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}
