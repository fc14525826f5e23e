/* Every f32 convolution kernel of this CPU against ref (conv_check.h says how). */
#include "kernels/conv_check.h"

/*
 * Bounds, in units of FLT_EPSILON times the greatest sum of |a b| behind any output. A plain FP32 sum of n products is
 * off by less than n units of one part in 2^24, and by about sqrt(n) of them in practice; Winograd's transforms
 * multiply that (Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd convolution").
 * test_f32_winograd_error measures the factor; here one bound catches what is wrong rather than imprecise.
 */
static double bound(const struct eq_f32_conv_kernel *k, size_t terms)
{
    double factor = strstr(k->name, "winograd4") ? 20 : strstr(k->name, "winograd") ? 8 : 2;
    return FLT_EPSILON * factor * (4 + 0.25 * sqrt((double)terms));
}

static const enum eq_isa levels[] = {EQ_ISA_AVX2, EQ_ISA_AVX512, EQ_ISA_NEON};
static const struct family f32 = {eq_f32_conv_candidates, bound, levels, sizeof levels / sizeof *levels};

static void forward_matches_ref(void **state)
{
    (void)state;
    check_pass(&f32, EQ_CONV_FORWARD);
}

static void backward_data_matches_ref(void **state)
{
    (void)state;
    check_pass(&f32, EQ_CONV_BACKWARD_DATA);
}

static void backward_weights_matches_ref(void **state)
{
    (void)state;
    check_pass(&f32, EQ_CONV_BACKWARD_WEIGHTS);
}

/* Big shapes never fall back to the slow specification, whatever the ceiling. */
static void selection_is_never_ref(void **state)
{
    (void)state;
    static const enum eq_isa ceilings[] = {EQ_ISA_REF, EQ_ISA_AVX2, EQ_ISA_AVX512};
    for (size_t l = 0; l < sizeof ceilings / sizeof *ceilings; l++) {
        if (!use_isa(ceilings[l]))
            continue;
        for (int i = 0; i < CONV_SHAPES; i++)
            for (int pass = 0; pass < EQ_CONV_PASSES; pass++) {
                struct eq_conv_shape s = shape_of(&conv_shapes[i]);
                const struct eq_f32_conv_kernel *k = eq_f32_conv_select((enum eq_conv_pass)pass, &s), *ref;
                eq_f32_conv_candidates((enum eq_conv_pass)pass, &s, &ref, 1);
                assert_ptr_not_equal(k, ref);
                assert_true(k->isa <= ceilings[l]);
            }
    }
}

/* One order of summation: the same bits from every level's ordered kernel. */
static void ordered_kernels_agree_to_the_bit(void **state)
{
    (void)state;
    static const enum eq_isa ceilings[] = {EQ_ISA_REF, EQ_ISA_AVX2, EQ_ISA_AVX512};
    use_threads(2);
    for (int i = 0; i < CONV_SHAPES; i++) {
        struct problem p;
        uint64_t expected = 0;
        problem_init(&p, &conv_shapes[i], DATA_UNIFORM);
        for (size_t l = 0; l < sizeof ceilings / sizeof *ceilings; l++) {
            if (!use_isa(ceilings[l]))
                continue;
            const struct eq_f32_conv_kernel *k = eq_f32_conv_select_ordered(&p.s);
            assert_true(k->isa <= ceilings[l] && (l == 0) == (k->isa == EQ_ISA_REF));
            uint64_t hash = run_checked(k, EQ_CONV_FORWARD, &p, 1, NULL, 0);
            if (l > 0 && hash != expected)
                fail_msg("%s, %s: other bits than the plain C", k->name, shape_text(&p.s));
            expected = l == 0 ? hash : expected;
        }
        problem_clear(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_matches_ref),
        cmocka_unit_test(backward_data_matches_ref),
        cmocka_unit_test(backward_weights_matches_ref),
        cmocka_unit_test(selection_is_never_ref),
        cmocka_unit_test(ordered_kernels_agree_to_the_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
