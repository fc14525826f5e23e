/* Copies of a clip under different names. */
#include "unit/cmocka_all.h"
#include "echoquant/data.h"
#include "avi_file.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_BYTES = 100000 };

static char *dir;
static struct eq_dataset ds;

/* File `name` of n bytes, all 'a' but the one at `odd`. */
static void put(const char *name, size_t n, size_t odd)
{
    char *bytes = malloc(n + 1), *path = eq_path_join(dir, name);
    memset(bytes, 'a', n);
    if (odd < n)
        bytes[odd] = 'b';
    test_write(path, bytes, n);
    free(path);
    free(bytes);
}

static void open_files(const char *const *names, size_t n)
{
    char *paths[16];
    for (size_t i = 0; i < n; i++)
        paths[i] = eq_path_join(dir, names[i]);
    assert_int_equal(eq_dataset_from_paths((const char *const *)paths, n, EQ_ON_ERROR_FAIL, &ds, NULL), EQ_OK);
    for (size_t i = 0; i < n; i++)
        free(paths[i]);
}

static void only_equal_bytes_are_copies(void **state)
{
    (void)state;
    dir = test_dir_new();
    const char *const names[] = {"m", "a", "same_size_other_middle", "b", "m2", "empty", "empty2", "other_end", "a3"};
    put("m", FILE_BYTES, FILE_BYTES / 2 + 1);
    put("a", FILE_BYTES, FILE_BYTES);
    put("same_size_other_middle", FILE_BYTES, FILE_BYTES / 2);
    put("b", FILE_BYTES, FILE_BYTES);
    put("m2", FILE_BYTES, FILE_BYTES / 2 + 1);
    put("empty", 0, 0);
    put("empty2", 0, 0);
    put("other_end", FILE_BYTES, FILE_BYTES - 1);
    put("a3", FILE_BYTES, FILE_BYTES);
    open_files(names, sizeof names / sizeof *names);
    struct eq_copies found;
    struct eq_err err = {0};
    assert_int_equal(eq_dataset_copies(&ds, &found, &err), EQ_OK);
    static const struct eq_copy wanted[] = {{0, 0}, {4, 0}, {1, 1}, {3, 1}, {8, 1}};
    assert_int_equal(found.groups, 2);
    assert_int_equal(found.n, sizeof wanted / sizeof *wanted);
    assert_memory_equal(found.copies, wanted, sizeof wanted);
    eq_copies_clear(&found);
    eq_dataset_clear(&ds);
    test_dir_free(dir);
}

static void small_files_and_files_that_are_gone(void **state)
{
    (void)state;
    dir = test_dir_new();
    const char *const names[] = {"x", "y", "gone", "z"};
    for (size_t i = 0; i < 4; i++)
        put(names[i], 3, i == 3 ? 2 : 3);
    open_files(names, 4);
    char *gone = eq_path_join(dir, "gone");
    assert_int_equal(remove(gone), 0);
    struct eq_copies found;
    assert_int_equal(eq_dataset_copies(&ds, &found, NULL), EQ_OK);
    assert_int_equal(found.groups, 1);
    assert_int_equal(found.n, 2);
    assert_int_equal(found.copies[1].sample, 1);
    eq_copies_clear(&found);
    put("y", 1, 0); /* it shrinks after the list was read */
    assert_int_equal(eq_dataset_copies(&ds, &found, NULL), EQ_OK);
    assert_int_equal(found.n, 0);
    eq_copies_clear(&found);
    eq_dataset_clear(&ds);
    free(gone);
    test_dir_free(dir);
}

static int start(void **state)
{
    (void)state;
    return eq_parallel_init(2, NULL) == EQ_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    eq_parallel_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_equal_bytes_are_copies),
        cmocka_unit_test(small_files_and_files_that_are_gone),
    };
    return cmocka_run_group_tests(tests, start, end);
}
