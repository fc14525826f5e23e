/* The pool where the system refuses threads: it never waits for one that was not made. */
#include "unit/cmocka_all.h"
#include "echoquant/base.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* How many threads beside the first may be alive at once; -1: any number. This function stands in front of the C
 * library's. */
static atomic_int allowed = -1, alive, n_starts;

#ifndef ECHOQUANT_SANITIZED
struct start {
    void *(*fn)(void *);
    void *arg;
};
static struct start starts[4096];

static void *run(void *arg)
{
    const struct start *s = arg;
    void *result = s->fn(s->arg);
    atomic_fetch_sub(&alive, 1);
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    if (allowed >= 0 && alive >= allowed)
        return EAGAIN;
    struct start *s = &starts[atomic_fetch_add(&n_starts, 1) % 4096];
    *s = (struct start){fn, arg};
    atomic_fetch_add(&alive, 1);
    return next(thread, attr, run, s);
}

/* A machine of four CPUs. */
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    (void)pid;
    CPU_ZERO_S(size, set);
    for (size_t i = 0; i < 4; i++)
        CPU_SET_S(i, size, set);
    return 0;
}
#endif

static void count_piece(void *ctx, size_t piece, int worker)
{
    (void)piece, (void)worker;
    atomic_fetch_add((atomic_int *)ctx, 1);
}

static void runs_all_pieces(void)
{
    atomic_int n = 0;
    eq_parallel_for(1000, count_piece, &n);
    assert_int_equal(n, 1000);
}

static void libraries_start_no_thread(void **state)
{
    (void)state;
    assert_int_equal(n_starts, 0); /* OpenBLAS would, see src/base/parallel.c */
}

static void a_number_that_was_asked_for_is_refused(void **state)
{
    (void)state;
    struct eq_err err = {0};
    for (int limit = 0; limit < 3; limit++) {
        allowed = limit;
        assert_int_equal(eq_parallel_init(4, &err), EQ_NOMEM);
        assert_non_null(strstr(err.msg, "cannot start 4 threads"));
        char remedy[32];
        snprintf(remedy, sizeof remedy, "--threads %d", limit + 1);
        assert_non_null(strstr(err.msg, remedy));
        assert_int_equal(alive, 0);
        assert_int_equal(eq_parallel_init(limit + 1, &err), EQ_OK);
        assert_int_equal(eq_parallel_threads(), limit + 1);
        runs_all_pieces();
        eq_parallel_shutdown();
    }
    allowed = 3;
    assert_int_equal(eq_parallel_init(4, &err), EQ_OK);
    runs_all_pieces();
    eq_parallel_shutdown();
    allowed = -1;
}

/* The warning of eq_parallel_init(0), in text. */
static void init_by_default(char *text, size_t size)
{
    struct eq_err err = {0};
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int before = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    enum eq_status st = eq_parallel_init(0, &err);
    fflush(stderr);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(st, EQ_OK);
}

static void the_default_takes_what_can_be_had(void **state)
{
    (void)state;
    /* One thread is left for the loader. */
    static const struct {
        int allowed, threads;
        bool warns;
    } cases[] = {{0, 1, true}, {1, 1, true}, {2, 2, true}, {3, 3, true}, {4, 4, false}, {-1, 4, false}};
    char text[1024];
    if (eq_cpu_count() != 4)
        skip(); /* a container's quota */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        allowed = cases[i].allowed;
        init_by_default(text, sizeof text);
        assert_int_equal(eq_parallel_threads(), cases[i].threads);
        assert_int_equal(strstr(text, "cannot start 4 threads") != NULL, cases[i].warns);
        assert_true(alive == cases[i].threads - 1);
        runs_all_pieces();
        eq_parallel_shutdown();
    }
    allowed = -1;
}

int main(void)
{
#ifdef ECHOQUANT_SANITIZED
    puts("skipped: a sanitizer has a pthread_create of its own");
    return 0;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libraries_start_no_thread),
        cmocka_unit_test(a_number_that_was_asked_for_is_refused),
        cmocka_unit_test(the_default_takes_what_can_be_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
