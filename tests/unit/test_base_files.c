/* Files: whole or not at all, and one clear message when the system refuses. */
#include "unit/cmocka_all.h"
#include "echoquant/base.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/echoquant_files_XXXXXX";

static char *in_dir(const char *name)
{
    return eq_path_join(dir, name);
}

static void assert_holds(const char *path, const char *text)
{
    void *data;
    size_t len;
    assert_int_equal(eq_read_file(path, 1 << 20, &data, &len, NULL), EQ_OK);
    assert_int_equal(len, strlen(text));
    assert_string_equal(data, text);
    eq_free(data);
}

static int files_in(const char *path)
{
    DIR *d = opendir(path);
    assert_non_null(d);
    int n = 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* What is not there and what can't be told are different answers; both failures come for root, too. */
static void a_look_that_fails_is_no_absence(void **state)
{
    struct eq_err err;
    struct eq_str text = {0};
    char **names, *loop = in_dir("loop"), *file = in_dir("file"), *below = in_dir("file/below");
    size_t n;
    bool there = true;
    (void)state;
    assert_int_equal(eq_path_look(file, &there, NULL), EQ_OK);
    assert_false(there);
    assert_int_equal(eq_list_dir(file, &names, &n, NULL), EQ_OK);
    assert_int_equal(n, 0);
    assert_int_equal(eq_write_file(file, "x", 1, NULL), EQ_OK);
    assert_int_equal(eq_path_look(file, &there, NULL), EQ_OK);
    assert_true(there);
    assert_int_equal(eq_path_look(below, &there, NULL), EQ_OK); /* ENOTDIR */
    assert_false(there);
    assert_false(eq_path_may_exist(below));
    assert_int_equal(eq_list_dir(file, &names, &n, NULL), EQ_OK);
    assert_int_equal(n, 0);
    assert_int_equal(symlink("loop", loop), 0);
    eq_str_add(&text, "%s/%0300d", dir, 0);
    const char *const failing[][2] = {{loop, "symbolic links"}, {text.s, "too long"}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(eq_path_look(failing[i][0], &there, &err), EQ_IO);
        assert_non_null(strstr(err.msg, failing[i][0]));
        assert_non_null(strstr(err.msg, failing[i][1]));
        assert_true(eq_path_may_exist(failing[i][0]));
        assert_int_equal(eq_dir_look(failing[i][0], &there, &err), EQ_IO);
        assert_false(there);
        assert_int_equal(eq_list_dir(failing[i][0], &names, &n, &err), EQ_IO);
        assert_non_null(strstr(err.msg, failing[i][1]));
        assert_int_equal(n, 0);
    }
    assert_int_equal(eq_list_dir(dir, &names, &n, NULL), EQ_OK);
    assert_int_equal(n, files_in(dir));
    int found = 0;
    for (size_t i = 0; i < n; i++)
        found += strcmp(names[i], "loop") == 0 || strcmp(names[i], "file") == 0;
    assert_int_equal(found, 2);
    eq_names_free(names, n);
    assert_int_equal(unlink(loop), 0);
    eq_str_clear(&text);
    free(loop);
    free(file);
    free(below);
}

static void write_then_replace(void **state)
{
    (void)state;
    char *sub = in_dir("replace");
    assert_int_equal(eq_make_dirs(sub, NULL), EQ_OK);
    char *path = eq_path_join(sub, "a.txt");
    assert_false(eq_path_may_exist(path));
    assert_int_equal(eq_write_file(path, "old", 3, NULL), EQ_OK);
    assert_holds(path, "old");
    struct eq_writer w;
    assert_int_equal(eq_writer_open(&w, path, NULL), EQ_OK);
    assert_int_equal(eq_writer_printf(&w, NULL, "n%s", "e"), EQ_OK);
    assert_int_equal(eq_writer_put(&w, "w", 1, NULL), EQ_OK);
    assert_holds(path, "old"); /* until commit */
    assert_int_equal(eq_writer_commit(&w, NULL), EQ_OK);
    eq_writer_abort(&w);
    assert_holds(path, "new");
    uint64_t bytes;
    assert_int_equal(eq_file_size(path, &bytes, NULL), EQ_OK);
    assert_int_equal(bytes, 3);
    assert_int_equal(files_in(sub), 1);
    free(path);
    free(sub);
}

static void abort_leaves_the_old_file(void **state)
{
    (void)state;
    char *sub = in_dir("abort");
    assert_int_equal(eq_make_dirs(sub, NULL), EQ_OK);
    char *path = eq_path_join(sub, "a.txt");
    assert_int_equal(eq_write_file(path, "old", 3, NULL), EQ_OK);
    struct eq_writer w;
    assert_int_equal(eq_writer_open(&w, path, NULL), EQ_OK);
    assert_int_equal(eq_writer_put(&w, "half", 4, NULL), EQ_OK);
    assert_int_equal(files_in(sub), 2);
    eq_writer_abort(&w);
    assert_holds(path, "old");
    assert_int_equal(files_in(sub), 1);
    free(path);
    free(sub);
}

static void a_full_device_is_reported(void **state)
{
    (void)state;
    if (!eq_path_may_exist("/dev/full")) {
        print_message("skipped: there is no /dev/full here\n");
        skip();
    }
    struct eq_err err = {0};
    char block[100000] = {0};
    assert_int_equal(eq_write_file("/dev/full", "x", 1, &err), EQ_IO); /* seen by the flush */
    assert_string_equal(err.msg, "/dev/full: cannot write: No space left on device");
    assert_int_equal(eq_write_file("/dev/full", block, sizeof block, &err), EQ_IO); /* seen by the write */
    assert_string_equal(err.msg, "/dev/full: cannot write: No space left on device");
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode)); /* a device isn't replaced by a file */
    /* a lost status of put is still seen by commit */
    struct eq_writer w;
    assert_int_equal(eq_writer_open(&w, "/dev/full", NULL), EQ_OK);
    eq_writer_put(&w, block, sizeof block, NULL);
    assert_int_equal(eq_writer_commit(&w, &err), EQ_IO);
}

/* In a child with a limit of 64 KiB a file: the write fails in the middle, as on a disk that fills up. */
static void write_past_the_limit(const char *path)
{
    struct rlimit limit = {65536, 65536};
    struct eq_err err = {0};
    char block[100000];
    memset(block, 'n', sizeof block);
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(10);
    if (eq_write_file(path, block, sizeof block, &err) != EQ_IO)
        _exit(11);
    _exit(strstr(err.msg, "cannot write: File too large") ? 0 : 12);
}

static void a_failed_write_keeps_what_was_there(void **state)
{
    (void)state;
    char *sub = in_dir("failed");
    assert_int_equal(eq_make_dirs(sub, NULL), EQ_OK);
    char *path = eq_path_join(sub, "model.safetensors");
    assert_int_equal(eq_write_file(path, "old", 3, NULL), EQ_OK);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        write_past_the_limit(path);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_holds(path, "old");
    assert_int_equal(files_in(sub), 1); /* no temporary file left */
    free(path);
    free(sub);
}

static void places_that_cannot_be_written(void **state)
{
    (void)state;
    struct eq_err err = {0};
    char *missing = in_dir("no/such/folder/a.txt");
    assert_int_equal(eq_write_file(missing, "x", 1, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "no/such/folder/a.txt: cannot create the file: No such file"));
    assert_int_equal(eq_write_file(dir, "x", 1, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "Is a directory"));
    assert_true(eq_path_may_exist(dir));
    free(missing);

    char *locked = in_dir("locked"), *path = in_dir("locked/a.txt");
    assert_int_equal(eq_make_dirs(locked, NULL), EQ_OK);
    assert_int_equal(chmod(locked, 0555), 0);
    if (geteuid() == 0) /* root may write anywhere: only /proc refuses it */
        assert_int_equal(eq_write_file("/proc/echoquant", "x", 1, &err), EQ_IO);
    else
        assert_int_equal(eq_write_file(path, "x", 1, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "cannot create the file"));
    assert_int_equal(chmod(locked, 0755), 0);
    free(path);
    free(locked);
}

static void a_link_is_followed(void **state)
{
    (void)state;
    char *target = in_dir("target.txt"), *link = in_dir("link.txt");
    assert_int_equal(eq_write_file(target, "old", 3, NULL), EQ_OK);
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(eq_write_file(link, "new", 3, NULL), EQ_OK);
    struct stat st;
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_holds(target, "new");
    free(link);
    free(target);
}

static void reading_refuses_what_it_should(void **state)
{
    (void)state;
    void *data;
    size_t len;
    struct eq_err err = {0};
    char *path = in_dir("ten");
    assert_int_equal(eq_write_file(path, "0123456789", 10, NULL), EQ_OK);
    assert_int_equal(eq_read_file(path, 10, &data, &len, &err), EQ_OK);
    eq_free(data);
    assert_int_equal(eq_read_file(path, 9, &data, &len, &err), EQ_FORMAT);
    assert_null(data);
    assert_non_null(strstr(err.msg, "larger than the 9 bytes"));
    assert_int_equal(eq_read_file(dir, 10, &data, &len, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "is a folder"));
    free(path);
    path = in_dir("missing");
    assert_int_equal(eq_read_file(path, 10, &data, &len, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "missing: cannot open: No such file"));
    uint64_t bytes;
    assert_int_equal(eq_file_size(path, &bytes, &err), EQ_IO);
    free(path);
}

/* Files of the kernel and pipes have no size beforehand. */
static void reading_without_a_size(void **state)
{
    (void)state;
    void *data;
    size_t len;
    struct eq_err err;
    assert_int_equal(eq_read_file("/proc/self/status", 1 << 20, &data, &len, &err), EQ_OK);
    assert_true(len > 100);
    assert_int_equal(((char *)data)[len], 0);
    eq_free(data);
    assert_int_equal(eq_read_input("/dev/zero", -1, 100000, &data, &len, &err), EQ_FORMAT);
    assert_int_equal(eq_read_input("/dev/null", -1, 10, &data, &len, &err), EQ_OK);
    assert_int_equal(len, 0);
    eq_free(data);
}

static bool is_dir(const char *path)
{
    bool is;
    assert_int_equal(eq_dir_look(path, &is, NULL), EQ_OK);
    return is;
}

static void the_system_is_told_from_the_file(void **state)
{
    (void)state;
    static const struct {
        int code;
        bool of_system;
    } cases[] = {{ENOENT, false}, {EACCES, false}, {ELOOP, false}, {EISDIR, false}, {EIO, true},
                 {EMFILE, true},  {ENFILE, true},  {ESTALE, true}, {ENOMEM, true}};
    struct eq_err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        errno = cases[i].code;
        eq_fail_errno(&err, "a.avi");
        assert_int_equal(eq_err_is_of_system(&err), cases[i].of_system);
        eq_err_context(&err, "inside");
        assert_int_equal(eq_err_is_of_system(&err), cases[i].of_system);
    }
    eq_fail(&err, EQ_FORMAT, "not a video");
    assert_false(eq_err_is_of_system(&err));
    eq_fail(&err, EQ_NOMEM, "out of memory");
    assert_true(eq_err_is_of_system(&err));
}

/* Nothing but a regular file is opened where the command line has not named it, and nothing waits for it. */
static void only_regular_files(void **state)
{
    (void)state;
    void *data;
    size_t len;
    int fd;
    struct eq_err err;
    char *pipe = in_dir("pipe"), *name = in_dir("socket"), *link = in_dir("link");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(snprintf(address.sun_path, sizeof address.sun_path, "%s", name) < (int)sizeof address.sun_path);
    assert_int_equal(bind(sock, (struct sockaddr *)(void *)&address, sizeof address), 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(symlink("/dev/zero", link), 0);
    const char *const refused[] = {pipe, name, link, "/dev/null", "/dev/zero", dir};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(eq_open_file(refused[i], &fd, NULL, &err), EQ_IO);
        assert_int_equal(fd, -1);
        assert_int_equal(eq_read_file(refused[i], 1 << 20, &data, &len, &err), EQ_IO);
        assert_null(data);
        if (!strstr(err.msg, refused[i] == dir ? "is a folder" : "is a pipe, a socket, or a device"))
            fail_msg("%s", err.msg);
    }
    close(sock);
    free(pipe);
    free(name);
    free(link);
}

static void *close_later(void *fd)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_int_equal(write(*(int *)fd, "late", 4), 4);
    close(*(int *)fd);
    return NULL;
}

/* A pipe that the command line names is read to its end, however long that takes; a signal ends the wait. */
static void pipes_that_are_named(void **state)
{
    (void)state;
    void *data;
    size_t len;
    int ends[2];
    pthread_t thread;
    struct eq_err err;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&thread, NULL, close_later, &ends[1]), 0);
    assert_int_equal(eq_read_input("stdin", ends[0], 10, &data, &len, &err), EQ_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(data, "late", 5);
    eq_free(data);
    pthread_join(thread, NULL);
    close(ends[0]);
    char *fifo = in_dir("nobody");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    eq_signals_install();
    raise(SIGTERM);
    assert_int_equal(eq_read_input(fifo, -1, 10, &data, &len, &err), EQ_INTERRUPTED);
    assert_non_null(strstr(err.msg, "nobody"));
    struct eq_writer w;
    assert_int_equal(eq_writer_open(&w, fifo, &err), EQ_INTERRUPTED);
    eq_interrupt_reset();
    free(fifo);
}

/* A reader that takes nothing does not keep a signal from being heard. */
static void writing_to_a_full_pipe(void **state)
{
    (void)state;
    int ends[2];
    static char bytes[1 << 20];
    assert_int_equal(pipe(ends), 0);
    eq_signals_install();
    raise(SIGTERM);
    assert_false(eq_write_all(ends[1], bytes, sizeof bytes));
    assert_int_equal(errno, EINTR);
    eq_interrupt_reset();
    close(ends[0]);
    assert_false(eq_write_all(ends[1], bytes, sizeof bytes));
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
}

static void directories(void **state)
{
    (void)state;
    struct eq_err err;
    char *deep = in_dir("x//y/z/"), *file = in_dir("plain"), *below = in_dir("plain/sub");
    assert_int_equal(eq_make_dirs(deep, &err), EQ_OK);
    assert_int_equal(eq_make_dirs(deep, &err), EQ_OK); /* there already */
    assert_true(is_dir(deep));
    assert_int_equal(eq_write_file(file, "", 0, NULL), EQ_OK);
    assert_false(is_dir(file));
    assert_int_equal(eq_make_dirs(file, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "not a folder"));
    assert_int_equal(eq_make_dirs(below, &err), EQ_IO);
    free(deep);
    free(file);
    free(below);
}

static enum eq_status note_path(void *ctx, const char *path, const char *problem, struct eq_err *err)
{
    eq_str_add(ctx, " %s%s", problem ? "!" : "", path + strlen(dir) + strlen("/below"));
    return strstr(path, "/bad/") ? eq_fail(err, EQ_FORMAT, "%s is bad", path) : EQ_OK;
}

static void put_below(const char *name)
{
    char *path = eq_format("%s/below/%s", dir, name);
    assert_int_equal(eq_write_file(path, "", 0, NULL), EQ_OK);
    free(path);
}

static void link_below(const char *target, const char *name)
{
    char *path = eq_format("%s/below/%s", dir, name);
    assert_int_equal(symlink(target, path), 0);
    free(path);
}

static void files_below_a_folder(void **state)
{
    (void)state;
    struct eq_str seen = {0};
    struct eq_err err = {0};
    static const char *const folders[] = {"below/b/deep", "below/.hidden", "below/bad", "elsewhere"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = in_dir(folders[i]);
        assert_int_equal(eq_make_dirs(path, NULL), EQ_OK);
        free(path);
    }
    put_below("c");
    put_below("a");
    put_below(".x");
    put_below(".hidden/y");
    put_below("b/deep/z");
    put_below("../elsewhere/far");
    link_below("..", "b/circle");
    char *pipe = in_dir("below/b/pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    free(pipe);
    link_below("missing", "b/nothing");
    link_below("../elsewhere", "linked");
    char *below = in_dir("below///");
    assert_int_equal(eq_files_below(below, note_path, &seen, &err), EQ_OK);
    assert_string_equal(seen.s, " /a /b/deep/z /b/nothing /b/pipe /c /linked/far");
    put_below("bad/1");
    put_below("bad/2");
    eq_str_clear(&seen);
    assert_int_equal(eq_files_below(below, note_path, &seen, &err), EQ_FORMAT);
    assert_string_equal(seen.s, " /a /b/deep/z /b/nothing /b/pipe /bad/1");
    free(below);
    below = in_dir("not there");
    assert_int_equal(eq_files_below(below, note_path, &seen, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "not there"));
    free(below);
    eq_str_clear(&seen);
}

static void joined_paths(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"a", "", "a"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *joined = eq_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(joined, cases[i][2]);
        free(joined);
    }
}

static void aligned_zeroed_memory(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, (4 << 20) - 1, 4 << 20, (5 << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = eq_alloc(sizes[i], 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (sizes[i] >= 4 << 20 ? 2 << 20 : 64), 0);
        unsigned char any = 0;
        for (size_t j = 0; j < sizes[i]; j++)
            any |= p[j];
        assert_int_equal(any, 0);
        eq_free(p);
    }
    assert_null(eq_alloc(SIZE_MAX / 2, 3));
    assert_null(eq_alloc(SIZE_MAX, 1));
    size_t n;
    assert_false(eq_mul_size(SIZE_MAX / 2 + 1, 2, &n));
    assert_true(eq_mul_size(SIZE_MAX, 1, &n) && n == SIZE_MAX);
    assert_false(eq_add_size(SIZE_MAX, 1, &n));
    assert_true(eq_add_size(SIZE_MAX - 1, 1, &n) && n == SIZE_MAX);
}

static void peak_memory_follows_use(void **state)
{
    (void)state;
    enum { MIB64 = 64 << 20 };
    size_t before = eq_peak_rss_bytes();
    assert_true(before > 0);
    volatile unsigned char *p = eq_alloc(before + MIB64, 1); /* touched: eq_alloc writes zeros */
    assert_non_null((void *)p);
    assert_true(eq_peak_rss_bytes() >= before + MIB64);
    eq_free((void *)p);
    assert_true(eq_peak_rss_bytes() >= before + MIB64); /* a peak stays */
}

/* From a restart on, the peak is that of what comes after, even where the allocator had kept what was freed before. */
static void a_peak_begins_anew(void **state)
{
    enum { SMALL = 64 << 10, BLOCKS = 256 };
    static char *blocks[BLOCKS];
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its shadow memory counts, too */
#endif
    for (int round = 0; round < 2; round++) {
        size_t before = eq_peak_rss_restart();
        if (before == 0)
            skip(); /* no /proc/self/clear_refs */
        assert_true(eq_peak_rss_bytes() <= before + (2 << 20));
        for (int i = 0; i < BLOCKS; i++) { /* below the size that malloc returns to the system at once */
            blocks[i] = malloc(SMALL);
            assert_non_null(blocks[i]);
            memset(blocks[i], i, SMALL);
        }
        size_t grown = eq_peak_rss_bytes() - before;
        assert_true(grown >= (size_t)BLOCKS * SMALL / 10 * 9 && grown <= (size_t)BLOCKS * SMALL + (4 << 20));
        for (int i = 0; i < BLOCKS; i++)
            free(blocks[i]);
    }
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    struct eq_str command = {0};
    eq_str_add(&command, "rm -r '%s'", dir);
    int rc = system(command.s);
    eq_str_clear(&command);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_that_fails_is_no_absence),
        cmocka_unit_test(write_then_replace),
        cmocka_unit_test(abort_leaves_the_old_file),
        cmocka_unit_test(a_full_device_is_reported),
        cmocka_unit_test(a_failed_write_keeps_what_was_there),
        cmocka_unit_test(places_that_cannot_be_written),
        cmocka_unit_test(a_link_is_followed),
        cmocka_unit_test(reading_refuses_what_it_should),
        cmocka_unit_test(reading_without_a_size),
        cmocka_unit_test(the_system_is_told_from_the_file),
        cmocka_unit_test(only_regular_files),
        cmocka_unit_test(pipes_that_are_named),
        cmocka_unit_test(writing_to_a_full_pipe),
        cmocka_unit_test(directories),
        cmocka_unit_test(files_below_a_folder),
        cmocka_unit_test(joined_paths),
        cmocka_unit_test(aligned_zeroed_memory),
        cmocka_unit_test(peak_memory_follows_use),
        cmocka_unit_test(a_peak_begins_anew),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
