/* Lack of memory: small requests are met from the reserve, the work then stops in good order, and without a reserve the
 * process ends with a message. The linker puts this program in front of malloc and others (tests/CMakeLists.txt). */
#include "unit/scratch_dir.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>

static int refused; /* calls to come that get no memory */

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);

static bool refuse(void)
{
    if (refused <= 0)
        return false;
    refused--;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return refuse() ? NULL : __real_malloc(n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return refuse() ? NULL : __real_realloc(p, n);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return refuse() ? NULL : __real_fopen(path, mode);
}

DIR *__wrap_opendir(const char *path)
{
    return refuse() ? NULL : __real_opendir(path);
}

static int fresh(void **state)
{
    (void)state;
    refused = 0;
    eq_interrupt_reset();
    eq_memory_reserve("train");
    return 0;
}

static void assert_short(bool wanted)
{
    assert_int_equal(refused, 0);
    assert_int_equal(eq_memory_short(), wanted);
    assert_int_equal(eq_interrupted(), wanted);
    eq_interrupt_reset();
    assert_false(eq_interrupted());
}

static void texts_are_met_from_the_reserve(void **state)
{
    struct eq_str text = {0};
    (void)state;
    char *plain = eq_strdup("plain");
    assert_short(false);
    refused = 3;
    char *copy = eq_strdup("copy");
    assert_short(true);
    refused = 1;
    char *made = eq_format("%s of %d", "made", 7);
    assert_short(true);
    for (int i = 0; i < 5000; i++) {
        refused += i == 100;
        eq_str_add(&text, "%d,", i);
    }
    assert_short(true);
    assert_string_equal(copy, "copy");
    assert_string_equal(made, "made of 7");
    assert_int_equal(text.len, 10 * 2 + 90 * 3 + 900 * 4 + 4000 * 5);
    assert_string_equal(text.s + text.len - 10, "4998,4999,");
    eq_str_clear(&text);
    free(plain);
    free(copy);
    free(made);
}

static void lists_keep_what_they_hold(void **state)
{
    int *list = NULL;
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        refused = i == 50 ? 2 : 0;
        list = eq_list_grow(list, i, sizeof *list);
        assert_int_equal(list[i], 0);
        list[i] = (int)i;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(list[i], i);
    assert_short(true);
    free(list);
}

static void files_and_folders_open(void **state)
{
    char **names;
    size_t n;
    (void)state;
    refused = 1;
    FILE *f = eq_fopen("/dev/null", "r");
    assert_non_null(f);
    fclose(f);
    assert_short(true);
    refused = 1;
    assert_int_equal(eq_list_dir(dir, &names, &n, NULL), EQ_OK);
    eq_names_free(names, n);
    assert_short(true);
    assert_null(eq_fopen("/no/such/file", "r"));
    assert_short(false);
}

static void json_lacks_nothing(void **state)
{
    struct cJSON *json;
    (void)state;
    refused = 1;
    assert_int_equal(eq_json_parse("{\"a\": 1}", 8, "a.json", &json, NULL), EQ_OK);
    assert_true(eq_json_real(json, "a") == 1);
    cJSON_Delete(json);
    assert_int_equal(eq_json_check(NULL), EQ_OK);
    assert_short(true);
}

static void the_command_ends_as_out_of_memory(void **state)
{
    struct eq_err err = {0};
    (void)state;
    assert_int_equal(eq_memory_settle(EQ_OK, &err), EQ_OK);
    assert_int_equal(eq_memory_settle(EQ_FORMAT, &err), EQ_FORMAT);
    refused = 1;
    free(eq_strdup("x"));
    assert_int_equal(eq_memory_settle(EQ_OK, &err), EQ_NOMEM);
    assert_non_null(strstr(err.msg, "train: out of memory"));
    eq_fail(&err, EQ_FORMAT, "a.avi: not a video");
    assert_int_equal(eq_memory_settle(EQ_FORMAT, &err), EQ_NOMEM);
    assert_non_null(strstr(err.msg, "train: out of memory"));
    assert_non_null(strstr(err.msg, "a.avi: not a video"));
    assert_short(true);
}

/* Of the C library and others, which may say nothing. */
static void an_ignored_refusal_is_noted(void **state)
{
    (void)state;
    errno = ENOENT;
    eq_memory_ignored();
    assert_short(false);
    errno = ENOMEM;
    eq_memory_ignored();
    assert_short(true);
}

static void no_fault_of_the_file(void **state)
{
    static const int codes[] = {ENOMEM, EMFILE, ENFILE};
    struct eq_err err;
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        errno = codes[i];
        assert_int_equal(eq_fail_errno(&err, "a.avi"), EQ_NOMEM);
        assert_int_equal(err.status, EQ_NOMEM);
    }
    errno = EIO;
    assert_int_equal(eq_fail_errno(&err, "a.avi"), EQ_IO);
}

/* Runs fn in a process of its own, which has to end with exit code 1 and text on stderr. */
static void assert_ends(void (*fn)(void), const char *text)
{
    char said[512] = "";
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        fn();
        _exit(99);
    }
    close(ends[1]);
    for (ssize_t n, at = 0; (n = read(ends[0], said + at, sizeof said - 1 - (size_t)at)) > 0; at += n) {
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_string_equal(said, text);
}

static void use_up(void)
{
    refused = INT_MAX;
    eq_strdup("0123456789");
}

static void too_large(void)
{
    struct eq_str text = {0};
    for (int i = 0; i < 20; i++)
        eq_str_add(&text, "%*s", 1 << 20, "");
    refused = 1;
    eq_str_add(&text, "%*s", 16 << 20, "");
}

static void a_used_up_reserve_ends_the_process(void **state)
{
    (void)state;
    assert_ends(use_up, "error: train: out of memory: the system refused 11 bytes\n");
    assert_ends(too_large, "error: train: out of memory: the system refused 67108928 bytes\n");
}

/* The 1 MiB of the reserve, all of it. */
static void a_large_text_is_met_from_several_blocks(void **state)
{
    (void)state;
    refused = 1;
    char *text = eq_format("%*s", 900000, "x");
    assert_int_equal(strlen(text), 900000);
    assert_short(true);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(texts_are_met_from_the_reserve, fresh),
        cmocka_unit_test_setup(lists_keep_what_they_hold, fresh),
        cmocka_unit_test_setup(files_and_folders_open, fresh),
        cmocka_unit_test_setup(json_lacks_nothing, fresh),
        cmocka_unit_test_setup(the_command_ends_as_out_of_memory, fresh),
        cmocka_unit_test_setup(an_ignored_refusal_is_noted, fresh),
        cmocka_unit_test_setup(no_fault_of_the_file, fresh),
        cmocka_unit_test_setup(a_used_up_reserve_ends_the_process, fresh),
        cmocka_unit_test_setup(a_large_text_is_met_from_several_blocks, fresh),
    };
    return cmocka_run_group_tests_name("memory", tests, set_up, tear_down);
}
