/* What `bench --layers` takes for 100 %: every kernel's instruction has a loop, and the count of products is right. */
#include "echoquant/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 32 };

static const struct eq_peak *peak_of(const char *instruction)
{
    const struct eq_peak *all[MAX];
    size_t n = eq_peaks(all, MAX);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i]->instruction, instruction) == 0)
            return all[i];
    return NULL;
}

static void check_kernel(const char *name, enum eq_isa isa, const char *instruction)
{
    if (strstr(name, "ref") || strstr(name, "blas")) {
        assert_null(instruction);
        return;
    }
    if (!instruction || !peak_of(instruction))
        fail_msg("%s: no peak of %s", name, instruction ? instruction : "an instruction without name");
    assert_true(peak_of(instruction)->isa <= isa);
}

static const struct eq_conv_shape *shape_of(int i)
{
    static struct eq_conv_shape s;
    static const int kinds[][4] = {{3, 7, 2, 3}, {64, 3, 1, 1}, {64, 3, 2, 1}, {64, 1, 2, 0}};
    eq_conv_shape_init(&s, 1, 4, 28, 28, kinds[i][0], 64, kinds[i][1], kinds[i][2], kinds[i][3],
                       i == 0 ? EQ_LAYOUT_CLIP : EQ_LAYOUT_PIXEL);
    return &s;
}

static void test_every_kernel_has_a_peak(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const struct eq_conv_shape *s = shape_of(i);
        const struct eq_conv_kernel *q[MAX];
        size_t n = eq_u8s8_conv_candidates(s, q, MAX);
        n += eq_u8s8_domain_candidates(s, q + n, MAX - n);
        for (size_t k = 0; k < n; k++)
            check_kernel(q[k]->name, q[k]->isa, q[k]->instruction);
        for (int pass = 0; pass < EQ_CONV_PASSES; pass++) {
            const struct eq_conv_kernel *f[MAX];
            n = eq_f32_conv_candidates((enum eq_conv_pass)pass, s, f, MAX);
            n += eq_bf16_conv_candidates((enum eq_conv_pass)pass, s, f + n, MAX - n);
            for (size_t k = 0; k < n; k++)
                check_kernel(f[k]->name, f[k]->isa, f[k]->instruction);
        }
    }
}

static void test_peaks_are_measured(void **state)
{
    (void)state;
    const struct eq_peak *all[MAX];
    size_t n = eq_peaks(all, MAX);
    for (size_t i = 0; i < n; i++) {
        assert_true(eq_cpu_use(all[i]->isa));
        assert_true(all[i]->macs(1) > 0);
        assert_true(all[i]->macs(7) == 7 * all[i]->macs(1));
        assert_true(eq_peak_gmacs(all[i], 1) > 0);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(all[i]->instruction, all[k]->instruction);
    }
}

static void test_ceiling_leaves_peaks_out(void **state)
{
    (void)state;
    struct eq_err err;
    const struct eq_peak *all[MAX];
    assert_int_equal(eq_cpu_set_ceiling("ref", &err), EQ_OK);
    assert_int_equal(eq_peaks(all, MAX), 0);
    assert_int_equal(eq_cpu_set_ceiling("auto", &err), EQ_OK);
}

/* Products of each kernel by name: Winograd's are known. */
static void check_products(const char *name, double (*products)(const struct eq_conv_shape *s),
                           const struct eq_conv_shape *s)
{
    const double pairs = (double)s->cin * s->cout * s->b * s->t;
    if (!strstr(name, "winograd") && !strstr(name, "domain"))
        assert_null(products);
    else if (s->k == 7) /* 4 x 4 tiles of 14 x 14 outputs, the last ones cut off */
        assert_true(products(s) == 16 * 169 * pairs);
    else /* 28 x 28 in 7 x 7 tiles */
        assert_true(products(s) == 49 * 36 * pairs);
}

static void test_products_of_winograd(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct eq_conv_shape *s = shape_of(i);
        const struct eq_conv_kernel *q[MAX];
        size_t n = eq_u8s8_conv_candidates(s, q, MAX);
        n += eq_u8s8_domain_candidates(s, q + n, MAX - n);
        for (size_t k = 0; k < n; k++)
            check_products(q[k]->name, q[k]->products, s);
        for (int pass = 0; pass < EQ_CONV_PASSES; pass++) {
            const struct eq_conv_kernel *f[MAX];
            n = eq_f32_conv_candidates((enum eq_conv_pass)pass, s, f, MAX);
            n += eq_bf16_conv_candidates((enum eq_conv_pass)pass, s, f + n, MAX - n);
            for (size_t k = 0; k < n; k++)
                check_products(f[k]->name, f[k]->products, s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kernel_has_a_peak),
        cmocka_unit_test(test_peaks_are_measured),
        cmocka_unit_test(test_ceiling_leaves_peaks_out),
        cmocka_unit_test(test_products_of_winograd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
