/*
 * The AMX kernel on CPUs without AMX: its code, compiled over an emulation of the tile instructions (amx_emulated.h),
 * is held to ref to the bit. It shows that the kernel is right if the emulation is; test_u8s8_conv runs the real one
 * where the CPU has AMX. Needs AVX512-VNNI for the rest of the kernel.
 */
#include "kernels/checker.h"
#include "kernels/u8s8_check.h"

#if defined(__x86_64__)
#include <stdatomic.h>

extern const struct eq_conv_kernel eq_u8s8_conv_direct__amx_emulated;
extern const struct eq_peak eq_u8s8_peak__amx_emulated;
extern atomic_int amx_emulated_configured;
extern atomic_long amx_emulated_dots;

/* All kinds of data on each shape; under a sanitizer the emulation would take minutes for them. */
#if defined(ECHOQUANT_SANITIZED)
enum { EVERY = 0 };
#else
enum { EVERY = 1 };
#endif

static void need_avx512vnni(void)
{
    if (!eq_cpu_has(EQ_ISA_AVX512VNNI)) {
        printf("skipped: this CPU lacks avx512vnni, which the emulation is made of\n");
        skip();
    }
    if (!kernel_wanted(eq_u8s8_conv_direct__amx_emulated.name)) {
        printf("skipped: ECHOQUANT_KERNEL names another kernel\n");
        skip();
    }
}

static void test_equals_ref(void **state)
{
    (void)state;
    need_avx512vnni();
    size_t checked = 0;
    use_threads(2);
    assert_true(u8s8_check_all(&eq_u8s8_conv_direct__amx_emulated, EVERY, 0, &checked));
    printf("%zu comparisons, %ld products of tiles\n", checked, atomic_load(&amx_emulated_dots));
    assert_true(checked >= (size_t)U8S8_SHAPES * (EVERY ? 5 : 1));
    assert_true(atomic_load(&amx_emulated_dots) > (long)checked);
}

static void test_threads_change_nothing_and_release_their_tiles(void **state)
{
    (void)state;
    need_avx512vnni();
    for (unsigned i = 0; i < THREAD_COUNTS; i++) {
        size_t checked = 0;
        use_threads(thread_counts[i]);
        assert_true(u8s8_check_all(&eq_u8s8_conv_direct__amx_emulated, false, i, &checked));
        assert_true(checked >= U8S8_SHAPES);
        assert_int_equal(atomic_load(&amx_emulated_configured), 0);
    }
}

static void test_peak_counts_its_products(void **state)
{
    (void)state;
    need_avx512vnni();
    long before = atomic_load(&amx_emulated_dots);
    double macs = eq_u8s8_peak__amx_emulated.macs(3);
    assert_true(macs == (double)(atomic_load(&amx_emulated_dots) - before) * 16 * 16 * 64);
    assert_int_equal(atomic_load(&amx_emulated_configured), 0);
}

/* Where the CPU has AMX, its kernel is chosen; elsewhere --cpu=amx is refused. */
static void test_is_chosen_where_it_can_run(void **state)
{
    (void)state;
    struct eq_conv_shape s;
    struct eq_err err;
    eq_conv_shape_init(&s, 1, 16, 28, 28, 64, 64, 3, 1, 1, EQ_LAYOUT_PIXEL);
    assert_int_equal(eq_cpu_set_ceiling("auto", &err), EQ_OK);
    if (eq_cpu_has(EQ_ISA_AMX)) {
        assert_int_equal(eq_u8s8_conv_select(&s, 0, NULL)->isa, EQ_ISA_AMX);
    } else {
        assert_true(eq_u8s8_conv_select(&s, 0, NULL)->isa != EQ_ISA_AMX);
        assert_int_equal(eq_cpu_set_ceiling("amx", &err), EQ_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "this machine has no amx"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_ref),
        cmocka_unit_test(test_threads_change_nothing_and_release_their_tiles),
        cmocka_unit_test(test_peak_counts_its_products),
        cmocka_unit_test(test_is_chosen_where_it_can_run),
    };
    eq_kernels_init();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    eq_parallel_shutdown();
    return kernels_report(NULL, failed);
}
#else
int main(void)
{
    printf("skipped: AMX belongs to x86-64\n");
    return 0;
}
#endif
