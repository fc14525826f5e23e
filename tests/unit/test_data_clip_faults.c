/* A system that fails while a clip is read is told from a clip that is bad: whatever call fails, the clip is read as it
 * is, or the failure is told; it never seems damaged, shorter, or of another kind. */
#include "data/check.h"
#include "unit/clip_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

enum { FRAMES = 5, SIZE = 16 };

/* ---- these stand in front of the C library's ------------------------------ */

static atomic_int calls;  /* of several threads */
static int failing, with; /* the failing-th call fails with that errno; 0: none */

static bool fails(void)
{
    if (atomic_fetch_add(&calls, 1) + 1 != failing)
        return false;
    errno = with;
    return true;
}

#define NEXT(type, name, ...)                                                                                          \
    static type (*next)(__VA_ARGS__);                                                                                  \
    if (!next)                                                                                                         \
    *(void **)&next = dlsym(RTLD_NEXT, #name)

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    NEXT(ssize_t, pread, int, void *, size_t, off_t);
    return fails() ? -1 : next(fd, to, n, at);
}

ssize_t __pread_chk(int fd, void *to, size_t n, off_t at, size_t room); /* of builds with _FORTIFY_SOURCE */
ssize_t __pread_chk(int fd, void *to, size_t n, off_t at, size_t room)
{
    NEXT(ssize_t, __pread_chk, int, void *, size_t, off_t, size_t);
    return fails() ? -1 : next(fd, to, n, at, room);
}

int open(const char *path, int flags, ...)
{
    NEXT(int, open, const char *, int, ...);
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    return fails() ? -1 : next(path, flags, mode);
}

int stat(const char *path, struct stat *info)
{
    NEXT(int, stat, const char *, struct stat *);
    return fails() ? -1 : next(path, info);
}

int fstat(int fd, struct stat *info)
{
    NEXT(int, fstat, int, struct stat *);
    return fails() ? -1 : next(fd, info);
}

/* ---- tests ---------------------------------------------------------------- */

static const int errors[] = {EIO, EMFILE, ESTALE};

static void begin(int n, int error)
{
    calls = 0;
    failing = n;
    with = error;
}

struct outcome {
    enum eq_status st;
    struct eq_err err;
    struct eq_clip_info info;
    uint8_t pixels[4 * SIZE * SIZE * 3];
};

enum way { ONE_THREAD, THE_POOL, CHECK, WAYS };

static void look_once(const char *path, enum way way, struct outcome *o)
{
    struct eq_sampling sampling = {4, SIZE, 0, 1};
    struct eq_clip_file file = {.name = path, .helpers = way == THE_POOL ? 2 : 0};
    memset(o, 0, sizeof *o);
    o->st = way == CHECK ? eq_clip_check(path, EQ_CLIP_CHECK_FULL, &o->info, &o->err)
                         : eq_clip_read_file(&file, &sampling, o->pixels, &o->info, &o->err);
}

static void whatever_fails_is_told(void **state)
{
    (void)state;
    static struct outcome good, o;
    struct test_avi a = {.width = SIZE, .height = SIZE, .frames = FRAMES, .texture = true};
    char *path = path_of("a.avi");
    test_avi_write(path, &a);
    for (enum way way = 0; way < WAYS; way++) {
        begin(0, 0);
        look_once(path, way, &good);
        assert_int_equal(good.st, EQ_OK);
        int n = calls, told = 0;
        assert_true(n > 5);
        for (int i = 1; i <= n; i++)
            for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
                begin(i, errors[e]);
                look_once(path, way, &o);
                if (o.st != EQ_OK) {
                    assert_true(eq_err_is_of_system(&o.err));
                    assert_non_null(strstr(o.err.msg, path));
                    told++;
                } else {
                    assert_memory_equal(&o.info, &good.info, sizeof o.info);
                    assert_memory_equal(o.pixels, good.pixels, sizeof o.pixels);
                }
            }
        assert_true(told > n);
    }
    begin(0, 0);
    free(path);
}

/* So nothing is left out of a data set either. */
static void a_check_stops(void **state)
{
    (void)state;
    struct eq_sample sample = {.path = path_of("a.avi"), .file_name = eq_strdup("a"), .ef = 50, .esv = NAN, .edv = NAN};
    struct eq_dataset ds = {.dir = eq_strdup(dir), .has_list = true, .n = 1, .samples = &sample};
    struct eq_check_opts opts = {.frames = 4};
    struct eq_data_check c;
    struct eq_err err;
    begin(0, 0);
    assert_int_equal(eq_data_check(&ds, &opts, &c, &err), EQ_OK);
    assert_int_equal(c.good, 1);
    eq_data_check_clear(&c);
    int n = calls, told = 0;
    for (int i = 1; i <= n; i++) {
        begin(i, EIO);
        enum eq_status st = eq_data_check(&ds, &opts, &c, &err);
        if (st == EQ_OK) {
            assert_int_equal(c.good, 1);
            eq_data_check_clear(&c);
        } else {
            assert_non_null(strstr(err.msg, "no fault of the clip"));
            told++;
        }
    }
    assert_true(told > 5);
    begin(0, 0);
    free(ds.dir);
    free(sample.path);
    free(sample.file_name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_fails_is_told),
        cmocka_unit_test(a_check_stops),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
