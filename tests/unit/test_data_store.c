/* Sampled clips on disk: a loader gives the same with them as without, whatever happens to the folder. */
#include "unit/loader_fixture.h"

#include "data/clip_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRAY_BYTES = EQ_ENTRY_HEAD + FRAMES * SIZE * SIZE, KEY = EQ_SHA256_TEXT - 1 };

/* Reading and the wall clock go through here (tests/CMakeLists.txt). */
enum eq_status __real_eq_clip_read(const char *path, const struct eq_sampling *s, uint8_t *dst,
                                   struct eq_clip_info *info, struct eq_err *err);
enum eq_status __wrap_eq_clip_read(const char *path, const struct eq_sampling *s, uint8_t *dst,
                                   struct eq_clip_info *info, struct eq_err *err);
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

static bool is_there(const char *path)
{
    bool there;
    assert_int_equal(eq_path_look(path, &there, NULL), EQ_OK);
    return there;
}

static int decoded;     /* clips */
static long later = 60; /* s; by which the clock is ahead: new clips have settled */
static char *store;     /* the folder */

enum eq_status __wrap_eq_clip_read(const char *path, const struct eq_sampling *s, uint8_t *dst,
                                   struct eq_clip_info *info, struct eq_err *err)
{
    __atomic_add_fetch(&decoded, 1, __ATOMIC_RELAXED);
    return __real_eq_clip_read(path, s, dst, info, err);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    int code = __real_clock_gettime(clock, t);
    if (code == 0 && clock == CLOCK_REALTIME)
        t->tv_sec += later;
    return code;
}

static struct eq_loader_opts store_opts(void)
{
    struct eq_loader_opts o = plain_opts();
    o.cache_dir = store;
    o.cache_dir_bytes = (uint64_t)1 << 30;
    return o;
}

/* The hashes of all clips of `set` in order, by a new loader. *reads: clips that were decoded for them. */
static char *trace(const struct eq_dataset *set, const struct eq_loader_opts *o, int *reads)
{
    struct eq_str text = {0};
    struct eq_err err = {0};
    struct eq_batch b;
    struct eq_loader *l = loader_of(set, set->n, o);
    decoded = 0;
    assert_int_equal(eq_loader_start(l, 0, 0, &err), EQ_OK);
    for (;;) {
        if (eq_loader_next(l, &b, &err) != EQ_OK)
            fail_msg("%s", err.msg);
        if (b.n == 0)
            break;
        for (int i = 0; i < b.n; i++)
            eq_str_add(&text, "%u:%016llx ", b.index[i],
                       (unsigned long long)eq_hash64(b.pixels + (size_t)i * b.clip_bytes, b.clip_bytes));
        eq_str_add(&text, "%s\n", b.gray ? "gray" : "");
    }
    eq_loader_free(l);
    *reads = decoded;
    return text.s;
}

/* trace() with a store is what it is without; `reads` clips are decoded for it. */
static void check(const struct eq_dataset *set, const struct eq_loader_opts *o, int reads)
{
    struct eq_loader_opts without = *o;
    int all_reads, some;
    without.cache_dir = NULL;
    char *expected = trace(set, &without, &all_reads), *got = trace(set, o, &some);
    assert_int_equal(all_reads, (int)set->n);
    assert_string_equal(expected, got);
    assert_int_equal(some, reads);
    free(expected);
    free(got);
}

/* The names in the store that begin with hexadecimal digits; free each and the list. */
static char **entries(size_t *n)
{
    char **names;
    struct eq_err err;
    *n = 0;
    assert_int_equal(eq_list_dir(store, &names, n, &err), EQ_OK);
    return names;
}

static size_t count_entries(void)
{
    size_t n;
    char **names = entries(&n);
    eq_names_free(names, n);
    return n;
}

static int new_store(void **state)
{
    (void)state;
    store = test_dir_new();
    later = 60;
    return 0;
}

static int remove_store(void **state)
{
    (void)state;
    test_dir_free(store);
    return 0;
}

static void the_second_time_nothing_is_decoded(void **state)
{
    (void)state;
    for (int workers = 1; workers < 5; workers += 3)
        for (int phases = 1; phases < 4; phases += 2) {
            struct eq_loader_opts o = store_opts();
            o.sampling.phases = phases;
            o.workers = workers;
            check(&ds, &o, workers == 1 ? CLIPS : 0);
            check(&ds, &o, 0);
            o.cache_bytes = 1 << 30;
            check(&ds, &o, 0);
            o.batch = 1;
            o.augment.max_shift = 3;
            o.shuffle = o.augment.flip = true;
            check(&ds, &o, 0);
        }
    assert_int_equal(count_entries(), 2 * CLIPS);
    size_t n, gray = 0;
    char **names = entries(&n);
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes;
        char *path = eq_path_join(store, names[i]);
        assert_int_equal(eq_file_size(path, &bytes, NULL), EQ_OK);
        gray += bytes == GRAY_BYTES;
        free(path);
    }
    eq_names_free(names, n);
    assert_int_equal(gray, 8); /* every third clip has color */
}

static void other_samplings_are_other_entries(void **state)
{
    (void)state;
    struct eq_loader_opts o = store_opts();
    const struct eq_sampling others[] = {
        {FRAMES, SIZE, -1, 1}, {FRAMES + 1, SIZE, -1, 1}, {FRAMES, 40, -1, 1}, {FRAMES, SIZE, 0.25, 1}};
    for (int i = 0; i < 4; i++) {
        o.sampling = others[i];
        check(&ds, &o, CLIPS);
        check(&ds, &o, 0);
    }
    assert_int_equal(count_entries(), 4 * CLIPS);
}

static void random_phases_are_not_kept(void **state)
{
    (void)state;
    struct eq_loader_opts o = store_opts();
    o.augment.random_phase = true;
    check(&ds, &o, CLIPS);
    check(&ds, &o, CLIPS);
    assert_int_equal(count_entries(), 0);
}

/* ---- the clips change ---- */

static struct eq_dataset copies_in(const char *folder)
{
    struct eq_dataset set = {0};
    struct eq_err err = {0};
    char *paths[CLIPS];
    for (int i = 0; i < CLIPS; i++) {
        size_t len;
        uint8_t *bytes = test_read(ds.samples[i].path, &len);
        paths[i] = eq_format("%s/clip%02d.avi", folder, i);
        test_write(paths[i], bytes, len);
        eq_free(bytes);
    }
    assert_int_equal(eq_dataset_from_paths((const char *const *)paths, CLIPS, EQ_ON_ERROR_FAIL, &set, &err), EQ_OK);
    for (int i = 0; i < CLIPS; i++)
        free(paths[i]);
    return set;
}

static void replace_by(const struct eq_dataset *set, int at, const uint8_t *bytes, size_t len)
{
    struct eq_err err;
    assert_int_equal(eq_write_file(set->samples[at].path, bytes, len, &err), EQ_OK);
}

static void a_replaced_clip_is_seen(void **state)
{
    (void)state;
    char *folder = test_dir_new();
    struct eq_dataset set = copies_in(folder);
    struct eq_loader_opts o = store_opts();
    check(&set, &o, CLIPS);
    check(&set, &o, 0);
    size_t len;
    uint8_t *bytes = test_read(set.samples[7].path, &len);
    replace_by(&set, 3, bytes, len);
    check(&set, &o, 1);
    check(&set, &o, 0);
    eq_free(bytes);

    /* In place, with the size and the time that it had. */
    struct stat before, after;
    const char *path = set.samples[0].path;
    bytes = test_read(path, &len);
    assert_int_equal(stat(path, &before), 0);
    int fd = open(path, O_WRONLY);
    for (size_t i = 0; i + 1 < len; i++) /* quantization of the second half of the frames */
        if (bytes[i] == 0xff && bytes[i + 1] == 0xdb && i > len / 2)
            assert_int_equal(pwrite(fd, &(uint8_t){bytes[i + 8] ^ 7}, 1, (off_t)i + 8), 1);
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    check(&set, &o, 1);
    eq_free(bytes);
    eq_dataset_clear(&set);
    test_dir_free(folder);
}

/* Within a tick of the file system's clock, a clip can change and look the same. */
static void a_new_clip_is_not_kept(void **state)
{
    (void)state;
    char *folder = test_dir_new();
    struct eq_dataset set = copies_in(folder);
    struct eq_loader_opts o = store_opts();
    later = 0;
    check(&set, &o, CLIPS);
    assert_int_equal(count_entries(), 0);
    later = 3;
    check(&set, &o, CLIPS);
    assert_int_equal(count_entries(), CLIPS);
    later = 0;
    check(&set, &o, 0);
    eq_dataset_clear(&set);
    test_dir_free(folder);
}

static void a_damaged_clip_is_not_kept(void **state)
{
    (void)state;
    char *folder = test_dir_new();
    struct eq_dataset set = copies_in(folder);
    size_t len;
    uint8_t *bytes = test_read(set.samples[4].path, &len);
    replace_by(&set, 4, bytes, len * 2 / 3);
    eq_free(bytes);
    struct eq_loader_opts o = store_opts();
    o.use_damaged = true;
    check(&set, &o, CLIPS);
    check(&set, &o, 1);
    o.use_damaged = false;
    struct eq_loader *l = loader_of(&set, CLIPS, &o);
    struct eq_batch b;
    struct eq_err err;
    assert_int_equal(eq_loader_start(l, 0, 0, NULL), EQ_OK);
    assert_int_equal(eq_loader_next(l, &b, &err), EQ_OK);
    assert_int_equal(eq_loader_next(l, &b, &err), EQ_FORMAT);
    assert_non_null(strstr(err.msg, "clip04.avi: the clip is damaged"));
    eq_loader_free(l);
    eq_dataset_clear(&set);
    test_dir_free(folder);
}

/* ---- the entries change ---- */

/* Each damage of one entry costs one decoding, after which the entry is whole again. */
static void a_damaged_entry_is_made_again(void **state)
{
    (void)state;
    struct eq_loader_opts o = store_opts();
    size_t n, len;
    int reads;
    char *expected = trace(&ds, &o, &reads);
    char **names = entries(&n);
    char *path = eq_path_join(store, names[0]), *other = eq_path_join(store, names[1]);
    uint8_t *whole = test_read(path, &len), *bad = malloc(len + 1);
    for (size_t at = 0; at < len + 7; at += at < EQ_ENTRY_HEAD ? 1 : 211) {
        size_t bytes = len;
        memcpy(bad, whole, len);
        if (at < len)
            bad[at] ^= (uint8_t)(1 << at % 8);
        else /* cut off, too long, empty, without its last byte */
            bytes = (const size_t[]){len / 2, len + 1, 0, len - 1, EQ_ENTRY_HEAD, EQ_ENTRY_HEAD - 1, 1}[at % 7];
        test_write(path, bad, bytes);
        char *got = trace(&ds, &o, &reads);
        assert_string_equal(expected, got);
        assert_int_equal(reads, 1);
        free(got);
        size_t now;
        uint8_t *again = test_read(path, &now);
        assert_int_equal(now, len);
        assert_memory_equal(again, whole, len);
        eq_free(again);
    }
    assert_int_equal(rename(other, path), 0); /* of another clip */
    assert_int_equal(mkdir(other, 0777), 0);  /* no file: it stays, and the store goes on without */
    char *got = trace(&ds, &o, &reads);
    assert_string_equal(expected, got);
    assert_int_equal(reads, 2);
    assert_int_equal(rmdir(other), 0);
    free(got);
    free(expected);
    eq_names_free(names, n);
    eq_free(whole);
    free(bad);
    free(path);
    free(other);
}

static void a_folder_that_cannot_be_made(void **state)
{
    (void)state;
    struct eq_loader_opts o = store_opts();
    char *file = eq_path_join(store, "file"), *below = eq_path_join(file, "below");
    test_write(file, "x", 1);
    o.cache_dir = below;
    eq_log_configure(EQ_LOG_ERROR);
    check(&ds, &o, CLIPS);
    o.workers = 4;
    check(&ds, &o, CLIPS);
    eq_log_configure(EQ_LOG_INFO);
    free(file);
    free(below);
}

/* ---- room ---- */

static uint64_t bytes_in_store(void)
{
    size_t n;
    uint64_t sum = 0, bytes;
    char **names = entries(&n);
    for (size_t i = 0; i < n; i++) {
        char *path = eq_path_join(store, names[i]);
        if (strspn(names[i], "0123456789abcdef") == KEY && eq_file_size(path, &bytes, NULL) == EQ_OK)
            sum += bytes;
        free(path);
    }
    eq_names_free(names, n);
    return sum;
}

static void the_limit_holds(void **state)
{
    (void)state;
    struct eq_loader_opts o = store_opts();
    char *mine = eq_path_join(store, "mine.clip"), *left = NULL;
    const struct timespec old[] = {{1000000000, 0}, {1000000000, 0}};
    test_write(mine, "x", 1);
    assert_int_equal(utimensat(AT_FDCWD, mine, old, 0), 0);
    o.cache_dir_bytes = 5 * GRAY_BYTES;
    o.workers = 3;
    check(&ds, &o, CLIPS);
    uint64_t kept = bytes_in_store();
    assert_int_in_range(kept, 2 * GRAY_BYTES, 5 * GRAY_BYTES);
    o.workers = 1;
    o.sampling.phase = 0.5; /* other entries: those that are there were used today */
    check(&ds, &o, CLIPS);
    assert_true(bytes_in_store() >= kept && bytes_in_store() <= 5 * GRAY_BYTES);
    later = 2 * 24 * 3600;
    check(&ds, &o, CLIPS);
    assert_int_in_range(bytes_in_store(), 2 * GRAY_BYTES, 5 * GRAY_BYTES);
    o.cache_dir_bytes = 1 << 30;
    int reads;
    free(trace(&ds, &o, &reads));
    assert_true(reads < CLIPS); /* some of the new sampling had got in */
    check(&ds, &o, 0);
    o.cache_dir_bytes = 0;
    check(&ds, &o, 0);
    assert_true(is_there(mine));

    /* What a killed process left goes; what may be in the making stays. */
    size_t n;
    char **names = entries(&n), *fresh;
    const char *name = strcmp(names[0], "mine.clip") == 0 ? names[1] : names[0];
    left = eq_format("%s/%s.tmp-1-1", store, name);
    fresh = eq_format("%s/%s.tmp-1-2", store, name);
    test_write(left, "x", 1);
    test_write(fresh, "x", 1);
    assert_int_equal(utimensat(AT_FDCWD, left, old, 0), 0);
    later = 60;
    o.sampling.phase = 0.75;
    o.cache_dir_bytes = 1 << 30;
    check(&ds, &o, CLIPS);
    assert_false(is_there(left));
    assert_true(is_there(fresh));
    eq_names_free(names, n);
    free(left);
    free(fresh);
    free(mine);
}

/* A use renews an entry, so that those of a data set in use outlive others. */
static void a_use_is_noted(void **state)
{
    (void)state;
    struct eq_loader_opts o = store_opts();
    const struct timespec old[] = {{1000000000, 0}, {1000000000, 0}};
    struct stat info;
    size_t n;
    check(&ds, &o, CLIPS);
    char **names = entries(&n);
    for (size_t i = 0; i < n; i++) {
        char *path = eq_path_join(store, names[i]);
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
        free(path);
    }
    check(&ds, &o, 0);
    for (size_t i = 0; i < n; i++) {
        char *path = eq_path_join(store, names[i]);
        assert_int_equal(stat(path, &info), 0);
        assert_true(info.st_mtim.tv_sec > 1000000000);
        free(path);
    }
    eq_names_free(names, n);
}

/* ---- several processes ---- */

static void processes_at_once(void **state)
{
    (void)state;
    enum { PROCESSES = 4 };
    struct eq_loader_opts o = store_opts();
    pid_t child[PROCESSES];
    struct eq_loader_opts without = o;
    without.cache_dir = NULL;
    int reads;
    char *expected = trace(&ds, &without, &reads);
    o.workers = 2;
    for (int i = 0; i < PROCESSES; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            bool same = true;
            for (int round = 0; round < 20 && same; round++) {
                char *got = trace(&ds, &o, &reads);
                same = strcmp(expected, got) == 0;
                free(got);
                size_t n;
                char **names = entries(&n);
                for (size_t k = (size_t)i; k < n && round < 19; k += PROCESSES) { /* and somebody removes entries */
                    char *path = eq_path_join(store, names[k]);
                    if (!strstr(names[k], ".tmp-"))
                        unlink(path);
                    free(path);
                }
                eq_names_free(names, n);
            }
            _exit(same ? 0 : 1);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_int_equal(status, 0);
    }
    free(trace(&ds, &o, &reads));
    check(&ds, &o, 0);
    assert_int_equal(count_entries(), CLIPS); /* no temporary file is left */
    free(expected);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, new_store, remove_store)
    const struct CMUnitTest tests[] = {
        TEST(the_second_time_nothing_is_decoded),
        TEST(other_samplings_are_other_entries),
        TEST(random_phases_are_not_kept),
        TEST(a_replaced_clip_is_seen),
        TEST(a_new_clip_is_not_kept),
        TEST(a_damaged_clip_is_not_kept),
        TEST(a_damaged_entry_is_made_again),
        TEST(a_folder_that_cannot_be_made),
        TEST(the_limit_holds),
        TEST(a_use_is_noted),
        TEST(processes_at_once),
    };
    return cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}
