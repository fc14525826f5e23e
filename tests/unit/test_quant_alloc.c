/* A call of the integer engine allocates nothing. glibc's allocator is counted by standing in front of it. */
#include "unit/quant_fixture.h"

#if defined(__GLIBC__) && !defined(ECHOQUANT_SANITIZED)
#include <errno.h>
#include <stdatomic.h>

static atomic_size_t calls;
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
    calls++;
    return __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
    calls++;
    return __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
    calls++;
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    calls++;
    return __libc_memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
    calls++;
    *p = __libc_memalign(align, n);
    return *p ? 0 : ENOMEM;
}

static void a_call_allocates_nothing(void **state)
{
    (void)state;
    struct eq_graph *net = random_net(11);
    struct noise_clips clips;
    struct eq_qmodel *m;
    struct eq_qengine *e;
    float ef[2];
    noise_clips_init(&clips, 1, 2, net->meta.frames, net->meta.size);
    struct eq_graph *g = calibrated_net(net, false, EQ_OBSERVER_MINMAX, &clips);
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    size_t before = calls;
    assert_ok(eq_qengine_new(m, 2, m->meta.frames, m->meta.size, &e, e_));
    assert_true(calls > before); /* the counter counts */
    eq_qengine_run(e, clips.pixels, ef);
    before = calls;
    for (int i = 0; i < 3; i++)
        eq_qengine_run(e, clips.pixels, ef);
    assert_int_equal(calls, before);
    eq_qengine_free(e);
    eq_qmodel_free(m);
    eq_graph_free(g);
    free(clips.pixels);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_call_allocates_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    puts("skipped: needs glibc without sanitizers");
    return 0;
}
#endif
