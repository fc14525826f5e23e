/* What a call of the integer engine costs beside its products: it allocates nothing, and threads meet once a layer.
 * The calls of glibc's allocator and of the pool are counted by standing in front of them. */
#include "base/pool.h"
#include "unit/quant_resnet.h"

static size_t barriers;

/* Every parallel loop on more than one thread ends when the pool's threads are done. */
void __real_eq_pool_run(struct eq_pool *p, int workers, eq_pool_fn fn, void *ctx);
void __wrap_eq_pool_run(struct eq_pool *p, int workers, eq_pool_fn fn, void *ctx);
void __wrap_eq_pool_run(struct eq_pool *p, int workers, eq_pool_fn fn, void *ctx)
{
    barriers++;
    __real_eq_pool_run(p, workers, fn, ctx);
}

#if defined(__GLIBC__) && !defined(ECHOQUANT_SANITIZED)
#include <dlfcn.h>
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
    assert_ok(eq_qengine_new(m, 2, m->meta.frames, m->meta.size, false, &e, e_));
    assert_true(calls > before); /* the counter counts */
    assert_ok(eq_qengine_run(e, clips.pixels, ef, e_));
    before = calls;
    for (int i = 0; i < 3; i++)
        assert_ok(eq_qengine_run(e, clips.pixels, ef, e_));
    assert_int_equal(calls, before);
    eq_qengine_free(e);
    eq_qmodel_free(m);
    eq_graph_free(g);
    free(clips.pixels);
}

static void threads_meet_at_most_once_a_layer(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, 4), *g = fold_and_fuse(net);
    struct eq_qmodel *m;
    calibrate(g, 8, &clips);
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    for (int isa = 0; isa < EQ_ISA_COUNT; isa++) {
        struct eq_qengine *e;
        float ef;
        if (eq_cpu_set_ceiling(eq_isa_name((enum eq_isa)isa), NULL) != EQ_OK)
            continue;
        eq_kernels_init();
        assert_ok(eq_qengine_new(m, 1, small.frames, small.size, false, &e, e_));
        size_t layers = 0;
        for (int i = 0; i < m->n_nodes; i++)
            layers += m->nodes[i].op != EQ_QOP_INPUT;
        assert_int_equal(layers, 22); /* 20 convolutions, max pooling, the head */
        barriers = 0;
        assert_ok(eq_qengine_run(e, clips.pixels, &ef, e_));
        /* pooling is part of the first one */
        assert_int_in_range(barriers, 1, isa == EQ_ISA_REF ? layers : layers - 1);
        eq_qengine_free(e);
    }
    assert_ok(eq_cpu_set_ceiling("auto", e_));
    eq_kernels_init();
    eq_qmodel_free(m);
    eq_graph_free(g);
    eq_graph_free(net);
    free(clips.pixels);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_call_allocates_nothing),
                                       cmocka_unit_test(threads_meet_at_most_once_a_layer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    puts("skipped: needs glibc without sanitizers");
    return 0;
}
#endif
