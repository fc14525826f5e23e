/*
 * Names of devices, opening, and the cache of programs, over the libcuda.so.1 without a device. The self-check is the
 * test's own.
 */
#include "unit/scratch_dir.h"

#include "device/cache.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char eq_device_text[] = "text of the kernels";
const struct eq_device_ptx eq_device_ptx[] = {{75, "75 .entry add_step()"}, {80, "80 .entry add_step()"}, {0, NULL}};
static enum eq_status self_check_says;
static int self_checks;
enum eq_status eq_device_self_check(struct eq_device *d, struct eq_err *err)
{
    self_checks++;
    return self_check_says == EQ_OK ? EQ_OK : eq_fail(err, self_check_says, "%s: edge 3 differs", d->info.id);
}

static char cache[96];

static int set_up_cache(void **state)
{
    int st = set_up(state);
    snprintf(cache, sizeof cache, "%s/echoquant", dir);
    setenv("XDG_CACHE_HOME", dir, 1);
    setenv("FAKE_CUDA_DEVICES", "75,90,61", 1);
    return st;
}

static int begin(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", cache);
    self_check_says = EQ_OK;
    self_checks = 0;
    unsetenv("FAKE_CUDA_FAIL");
    return system(command);
}

/* The only file of the cache; free(). NULL: there is none. */
static char *only_file(void)
{
    char **names, *path = NULL;
    size_t n;
    assert_int_equal(eq_list_dir(cache, &names, &n, NULL), EQ_OK);
    assert_true(n <= 1);
    if (n)
        path = eq_path_join(cache, names[0]);
    eq_names_free(names, n);
    return path;
}

static enum eq_status open_and_close(const char *name, struct eq_err *err)
{
    struct eq_device *d;
    enum eq_status st = eq_device_open(name, &d, err);
    assert_true((st == EQ_OK) == (d != NULL));
    if (d)
        assert_int_equal(eq_device_info(d)->check, EQ_DEVICE_PASSED);
    eq_device_close(d);
    return st;
}

static void names_are_of_three_kinds(void **state)
{
    (void)state;
    static const char *const good[] = {"cpu", "gpu", "cuda", "cuda:0", "cuda:12", "opencl", "opencl:3"};
    static const char *const bad[] = {"",        "CPU",     "gpu:0",   "cuda:",         "cuda:-1", "cuda:+1",
                                      "cuda:1x", "cuda:1 ", "cuda: 1", "cuda:99999999", "opencl1", "vulkan"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(eq_device_name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(eq_device_name_ok(bad[i]));
}

static void a_name_finds_its_device(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"gpu", "cuda:0"}, {"cuda", "cuda:0"}, {"cuda:0", "cuda:0"}, {"cuda:1", "cuda:1"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct eq_device *d;
        assert_int_equal(eq_device_open(names[i][0], &d, NULL), EQ_OK);
        assert_string_equal(eq_device_info(d)->id, names[i][1]);
        eq_device_close(d);
    }
    eq_device_close(NULL);
}

static void a_device_that_is_not_there_shows_the_list(void **state)
{
    (void)state;
    struct eq_err err = {0};
    assert_int_equal(open_and_close("cuda:7", &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "there is no device \"cuda:7\" here; devices: cuda:0 (Fake T0), cuda:1 (Fake T1), "
                                    "cuda:2 (Fake T2: it has compute capability 6.1; 7.5 or newer is needed)"));
    assert_int_equal(open_and_close("cuda:2", &err), EQ_UNSUPPORTED);
    assert_string_equal(err.msg, "cuda:2 (Fake T2) cannot be used: it has compute capability 6.1; 7.5 or newer is "
                                 "needed");
}

/* The self-check runs once for each device, driver and text. */
static void the_cache_spares_compiler_and_self_check(void **state)
{
    (void)state;
    assert_int_equal(open_and_close("cuda:0", NULL), EQ_OK);
    assert_int_equal(self_checks, 1);
    setenv("FAKE_CUDA_FAIL", "cuLinkCreate_v2", 1); /* no compiler any more */
    setenv("FAKE_CUDA_CODE", "218", 1);
    assert_int_equal(open_and_close("cuda:0", NULL), EQ_OK);
    assert_int_equal(self_checks, 1);
    assert_int_equal(open_and_close("cuda:1", NULL), EQ_UNSUPPORTED); /* another device */
    unsetenv("FAKE_CUDA_FAIL");
    assert_int_equal(open_and_close("cuda:1", NULL), EQ_OK);
    assert_int_equal(self_checks, 2);
}

static void put(const char *path, const void *data, size_t len)
{
    assert_int_equal(eq_write_file(path, data, len, NULL), EQ_OK);
}

/* Cut, changed, empty, foreign: each is made anew, and good again afterwards. */
static void damaged_entries_are_made_anew(void **state)
{
    (void)state;
    void *good, *data;
    size_t len, n;
    assert_int_equal(open_and_close("cuda:0", NULL), EQ_OK);
    char *path = only_file();
    assert_int_equal(eq_read_file(path, 1 << 20, &good, &len, NULL), EQ_OK);
    int checks = 1;
    for (size_t at = 0; at < len; at += len / 16) {
        char *changed = eq_alloc(len, 1);
        memcpy(changed, good, len);
        changed[at] ^= 1;
        put(path, changed, len);
        eq_free(changed);
        assert_int_equal(open_and_close("cuda:0", NULL), EQ_OK);
        put(path, good, at);
        assert_int_equal(open_and_close("cuda:0", NULL), EQ_OK);
        checks += 2;
        assert_int_equal(self_checks, checks);
        assert_int_equal(eq_read_file(path, 1 << 20, &data, &n, NULL), EQ_OK);
        assert_int_equal(n, len);
        assert_memory_equal(data, good, len);
        eq_free(data);
    }
    assert_int_equal(open_and_close("cuda:0", NULL), EQ_OK);
    assert_int_equal(self_checks, checks);
    eq_free(good);
    free(path);
}

/* A whole entry whose program the driver does not take: built anew, and the check stays. */
static void a_program_that_does_not_load_is_built_anew(void **state)
{
    (void)state;
    void *good, *data;
    size_t len, n;
    struct eq_device_entry e;
    struct eq_str key = {0};
    struct eq_device *d;
    assert_int_equal(eq_device_open("cuda:0", &d, NULL), EQ_OK);
    eq_device_key(d->api, &d->info, "-DEQ_PATH_MMA8", &key);
    eq_device_close(d);
    char *path = only_file();
    assert_int_equal(eq_read_file(path, 1 << 20, &good, &len, NULL), EQ_OK);
    assert_int_equal(eq_device_entry_parse(good, len, key.s, &e), EQ_ENTRY_GOOD);
    e.program = "other";
    e.program_bytes = 5;
    data = eq_device_entry_print(key.s, &e, &n);
    put(path, data, n);
    eq_free(data);
    assert_int_equal(open_and_close("cuda:0", NULL), EQ_OK);
    assert_int_equal(self_checks, 1);
    assert_int_equal(eq_read_file(path, 1 << 20, &data, &n, NULL), EQ_OK);
    assert_int_equal(n, len);
    assert_memory_equal(data, good, len);
    eq_free(data);
    eq_free(good);
    eq_str_clear(&key);
    free(path);
}

static void a_device_that_fails_the_self_check_is_refused(void **state)
{
    (void)state;
    struct eq_err err = {0};
    struct eq_device_list list;
    self_check_says = EQ_NUMERIC;
    for (int i = 0; i < 2; i++) { /* by the check, by the cache */
        assert_int_equal(open_and_close("cuda:0", &err), EQ_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "cuda:0 (Fake T0) is not used, because it failed the self-check: "
                                        "cuda:0: edge 3 differs. Update its driver, or remove "));
        assert_non_null(strstr(err.msg, cache));
    }
    assert_int_equal(self_checks, 1);
    self_check_says = EQ_OK;
    assert_int_equal(eq_devices_list(true, &list, NULL), EQ_OK);
    assert_true(list.n >= 3);
    assert_int_equal(list.devices[0].check, EQ_DEVICE_FAILED);
    assert_non_null(strstr(list.devices[0].why.s, "edge 3 differs"));
    assert_int_equal(list.devices[1].check, EQ_DEVICE_PASSED);
    assert_null(list.devices[1].why.s);
    assert_int_equal(list.devices[2].check, EQ_DEVICE_UNCHECKED);
    eq_devices_clear(&list);
    eq_devices_clear(&list);
}

/* What is no fault of the device is not kept. */
static void a_self_check_that_could_not_run_is_tried_again(void **state)
{
    (void)state;
    struct eq_err err = {0};
    self_check_says = EQ_NOMEM;
    assert_int_equal(open_and_close("cuda:0", &err), EQ_NOMEM);
    assert_non_null(strstr(err.msg, "self-check: "));
    assert_null(only_file());
    self_check_says = EQ_OK;
    assert_int_equal(open_and_close("cuda:0", NULL), EQ_OK);
    assert_int_equal(self_checks, 2);
}

/* One warning in the process, and the device is used. */
static void a_cache_that_cannot_be_written_is_one_warning(void **state)
{
    (void)state;
    char log[96], text[4096] = "";
    snprintf(log, sizeof log, "%s/log", dir);
    put(cache, "a file", 6); /* where the folder should be */
    int old = dup(STDERR_FILENO), fd = open(log, O_RDWR | O_CREAT, 0600);
    assert_true(old >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    eq_log_configure(EQ_LOG_WARN);
    enum eq_status first = open_and_close("cuda:0", NULL), second = open_and_close("cuda:0", NULL);
    eq_log_configure(EQ_LOG_ERROR);
    dup2(old, STDERR_FILENO);
    close(old);
    assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
    close(fd);
    assert_int_equal(first, EQ_OK);
    assert_int_equal(second, EQ_OK);
    assert_int_equal(self_checks, 2);
    char *warning = strstr(text, "warning: the kernels of a device are not kept");
    assert_non_null(warning);
    assert_non_null(strstr(warning, cache));
    assert_null(strstr(warning + 1, "warning: "));
}

/* What would have killed this process, and what a child leaves in the cache. */
static void a_driver_that_crashes_takes_only_a_child_along(void **state)
{
    (void)state;
    static const char *const faults[][2] = {
        {"abort",
         "the process that tried it crashed (signal 6, Aborted) while its driver built and checked the kernels"},
        {"exit", "the process that tried it ended with exit code 3 while its driver"},
        {"hang", "the process that tried it ended after 1 s while its driver built and checked the kernels"}};
    struct eq_err err = {0};
    struct eq_device_list list;
    setenv("FAKE_CUDA_FAIL", "cuLinkCreate_v2", 1);
    eq_device_allow_apart(1);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        setenv("FAKE_CUDA_CODE", faults[i][0], 1);
        assert_int_equal(open_and_close("cuda:0", &err), EQ_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "cuda:0 (Fake T0) cannot be used: "));
        assert_non_null(strstr(err.msg, faults[i][1]));
        assert_non_null(strstr(err.msg, "CUDA 12.4: use another version of it, or run on the CPU"));
        assert_null(only_file());
    }
    setenv("FAKE_CUDA_CODE", "218", 1); /* an ordinary failure keeps its message */
    eq_device_allow_apart(60);
    assert_int_equal(open_and_close("cuda:0", &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "CUDA_ERROR_INVALID_PTX"));
    unsetenv("FAKE_CUDA_FAIL");
    assert_int_equal(eq_devices_list(true, &list, NULL), EQ_OK);
    assert_int_equal(list.devices[0].check, EQ_DEVICE_PASSED);
    eq_devices_clear(&list);
    eq_device_allow_apart(0);
    assert_int_equal(self_checks, 0);
    assert_int_equal(open_and_close("cuda:0", NULL), EQ_OK);
    assert_int_equal(self_checks, 0);
}

static void an_interrupt_ends_the_child(void **state)
{
    (void)state;
    struct eq_err err = {0};
    eq_signals_install();
    setenv("FAKE_CUDA_FAIL", "cuLinkCreate_v2", 1);
    setenv("FAKE_CUDA_CODE", "hang", 1);
    eq_device_allow_apart(100);
    pid_t child = fork();
    if (child == 0) {
        usleep(300000);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    assert_int_equal(open_and_close("cuda:0", &err), EQ_INTERRUPTED);
    assert_non_null(strstr(err.msg, "interrupted while its driver built and checked the kernels"));
    waitpid(child, NULL, 0);
    eq_device_allow_apart(0);
    eq_interrupt_reset();
}

static void without_a_loader_the_list_is_empty_and_says_why(void **state)
{
    (void)state;
    struct eq_device_list list;
    assert_int_equal(eq_devices_list(false, &list, NULL), EQ_OK);
    char *second = strchr(list.notes.s, '\n');
    assert_non_null(second);
    assert_true(strncmp(list.notes.s, "CUDA: ", 6) == 0 && strncmp(second + 1, "OpenCL: ", 8) == 0);
    assert_int_equal(strchr(second + 1, '\n') - list.notes.s, list.notes.len - 1);
    eq_devices_clear(&list);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], EQ_DEVICE_TRY) == 0)
        eq_device_try(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(names_are_of_three_kinds, begin),
        cmocka_unit_test_setup(a_name_finds_its_device, begin),
        cmocka_unit_test_setup(a_device_that_is_not_there_shows_the_list, begin),
        cmocka_unit_test_setup(the_cache_spares_compiler_and_self_check, begin),
        cmocka_unit_test_setup(damaged_entries_are_made_anew, begin),
        cmocka_unit_test_setup(a_program_that_does_not_load_is_built_anew, begin),
        cmocka_unit_test_setup(a_device_that_fails_the_self_check_is_refused, begin),
        cmocka_unit_test_setup(a_self_check_that_could_not_run_is_tried_again, begin),
        cmocka_unit_test_setup(a_cache_that_cannot_be_written_is_one_warning, begin),
        cmocka_unit_test_setup(a_driver_that_crashes_takes_only_a_child_along, begin),
        cmocka_unit_test_setup(an_interrupt_ends_the_child, begin),
        cmocka_unit_test_setup(without_a_loader_the_list_is_empty_and_says_why, begin),
    };
    return cmocka_run_group_tests(tests, set_up_cache, tear_down);
}
