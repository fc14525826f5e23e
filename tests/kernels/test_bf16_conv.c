/* Every bf16 convolution kernel of this CPU: against ref, against FP32, and where nothing is rounded to the bit. */
#include "kernels/conv_check.h"

#include "kernels/bf16.h"

/* ref sums exactly what a direct kernel sums in FP32: the bound is that of a plain FP32 sum. Winograd rounds
 * transformed operands instead, one part in 2^8 at most of each, which reach an output enlarged but average out over a
 * sum: winograd_error_is_bounded measures how much, and here one bound catches what is wrong rather than imprecise. */
static double bound(const struct eq_conv_kernel *k, size_t terms)
{
    double sum = FLT_EPSILON * 2 * (4 + 0.25 * sqrt((double)terms));
    return strstr(k->name, "winograd") ? sum + 30 / (256 * sqrt((double)terms)) : sum;
}

static const struct family bf16 = {eq_bf16_conv_candidates, bound};

static bool there(void)
{
    return use_isa(EQ_ISA_AVX512BF16);
}

static void forward_matches_ref(void **state)
{
    (void)state;
    if (there())
        check_pass(&bf16, EQ_CONV_FORWARD);
}

static void backward_data_matches_ref(void **state)
{
    (void)state;
    if (there())
        check_pass(&bf16, EQ_CONV_BACKWARD_DATA);
}

static void backward_weights_matches_ref(void **state)
{
    (void)state;
    if (there())
        check_pass(&bf16, EQ_CONV_BACKWARD_WEIGHTS);
}

/* ref itself against FP32's: an operand keeps 8 significant bits, so it is off by at most one part in 2^8, and a
 * product by little more than one in 2^7. That the difference is there at all tells the two apart. */
static void ref_differs_from_fp32_by_the_operands_rounding(void **state)
{
    (void)state;
    for (int pass = 0; pass < EQ_CONV_PASSES; pass++)
        for (int i = 0; i < CONV_SHAPES; i++) {
            struct problem p;
            problem_init(&p, &conv_shapes[i], DATA_UNIFORM);
            const struct eq_conv_kernel *half, *full;
            eq_bf16_conv_candidates((enum eq_conv_pass)pass, &p.s, &half, 1);
            eq_f32_conv_candidates((enum eq_conv_pass)pass, &p.s, &full, 1);
            size_t n = out_count((enum eq_conv_pass)pass, &p.s);
            float *a = new_floats(n), *b = new_floats(n);
            run_pass(half, (enum eq_conv_pass)pass, &p, 0, a);
            run_pass(full, (enum eq_conv_pass)pass, &p, 0, b);
            double limit = magnitude_of(&bf16, (enum eq_conv_pass)pass, &conv_shapes[i], DATA_UNIFORM) * 1.01 / 128;
            double max = 0;
            for (size_t k = 0; k < n; k++)
                max = greater(max, fabs((double)a[k] - b[k]));
            assert_true(max <= limit);
            assert_true(max > limit * 1e-4);
            eq_free(a);
            eq_free(b);
            problem_clear(&p);
        }
}

static void fill_whole(float *x, size_t n, uint32_t sample)
{
    struct eq_rng rng;
    eq_rng_init(&rng, 7, EQ_RNG_TEST, 99, sample);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((int)(eq_rng_u32(&rng) % 17) - 8);
}

/* Small whole numbers are BF16 and their sums are exact in FP32: the direct kernels give FP32's bits. */
static void whole_numbers_are_exact(void **state)
{
    (void)state;
    if (!there())
        return;
    for (int pass = 0; pass < EQ_CONV_PASSES; pass++)
        for (int i = 0; i < CONV_SHAPES; i++) {
            struct problem p;
            problem_init(&p, &conv_shapes[i], DATA_UNIFORM);
            fill_whole(p.src, src_count(&p.s), 1);
            fill_whole(p.weights, weights_count(&p.s), 2);
            fill_whole(p.dst, dst_count(&p.s), 3);
            fill_whole(p.old, src_count(&p.s) + weights_count(&p.s), 4);
            const struct eq_conv_kernel *kernels[MAX_CANDIDATES], *full;
            size_t n_kernels = kernels_wanted(
                kernels, eq_bf16_conv_candidates((enum eq_conv_pass)pass, &p.s, kernels, MAX_CANDIDATES));
            eq_f32_conv_candidates((enum eq_conv_pass)pass, &p.s, &full, 1);
            size_t n = out_count((enum eq_conv_pass)pass, &p.s);
            float *expected = new_floats(n);
            run_pass(full, (enum eq_conv_pass)pass, &p, 0, expected);
            for (size_t k = 0; k < n_kernels; k++)
                if (!strstr(kernels[k]->name, "winograd"))
                    run_checked(kernels[k], (enum eq_conv_pass)pass, &p, 0, expected, 0);
            eq_free(expected);
            problem_clear(&p);
        }
}

/* Root mean square of a kernel's error against FP32's sums of unrounded operands, in units of that of the values. */
static double error_of(const struct eq_conv_kernel *k, enum eq_conv_pass pass, const struct problem *p,
                       const float *exact, size_t n)
{
    float *out = new_floats(n);
    double errors = 0, values = 0;
    run_pass(k, pass, p, 0, out);
    for (size_t i = 0; i < n; i++) {
        errors += ((double)out[i] - exact[i]) * ((double)out[i] - exact[i]);
        values += (double)exact[i] * exact[i];
    }
    eq_free(out);
    return sqrt(errors / values);
}

static void compare_errors(enum eq_conv_pass pass, const struct shape_row *row)
{
    struct problem p;
    problem_init(&p, row, DATA_UNIFORM);
    memset(p.old, 0, (src_count(&p.s) + weights_count(&p.s)) * sizeof *p.old);
    const struct eq_conv_kernel *all[MAX_CANDIDATES], *exact_kernel, *direct = NULL, *winograd = NULL;
    size_t n = eq_bf16_conv_candidates(pass, &p.s, all, MAX_CANDIDATES), n_out = out_count(pass, &p.s);
    for (size_t i = 0; i < n; i++) {
        direct = strstr(all[i]->name, "direct__avx512bf16") ? all[i] : direct;
        winograd = strstr(all[i]->name, "winograd") ? all[i] : winograd;
    }
    eq_f32_conv_candidates(pass, &p.s, &exact_kernel, 1);
    assert_true(direct && winograd);
    float *exact = new_floats(n_out);
    run_pass(exact_kernel, pass, &p, 0, exact);
    double d = error_of(direct, pass, &p, exact, n_out), w = error_of(winograd, pass, &p, exact, n_out);
    printf("%s: rms error %.2e direct, %.2e Winograd (x%.1f)\n", shape_text(&p.s), d, w, w / d);
    assert_true(d > 5e-4 && d < 4e-3);
    assert_true(w < 7 * d);
    eq_free(exact);
    problem_clear(&p);
}

/* F(4x4) with these points enlarges the operands' rounding 5.1 times in the mean (the Frobenius norms of its matrices
 * say so); tiles of 3 a little less. */
static void winograd_error_is_bounded(void **state)
{
    (void)state;
    static const struct shape_row rows[] = {{1, 2, 28, 28, 64, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},
                                            {1, 2, 7, 7, 256, 256, 3, 1, 1, EQ_LAYOUT_PIXEL}};
    if (!there())
        return;
    use_threads(0);
    for (int pass = 0; pass < EQ_CONV_PASSES; pass++)
        for (int i = 0; i < 2; i++)
            compare_errors((enum eq_conv_pass)pass, &rows[i]);
}

static const struct {
    uint32_t from;
    uint16_t to;
} roundings[] = {
    {0x3f800000, 0x3f80}, /* 1 */
    {0x3f808000, 0x3f80}, /* a tie goes to even: down */
    {0x3f818000, 0x3f82}, /* and up */
    {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80}, {0xbf818000, 0xbf82},
    {0x3fffffff, 0x4000},                                             /* the carry reaches the exponent */
    {0x7f7fffff, 0x7f80},                                             /* the largest float becomes infinite */
    {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x00800000, 0x0080}, /* the smallest normal number stays */
    {0x007fffff, 0x0000}, {0x80000001, 0x8000},                       /* subnormals don't */
};
enum { ROUNDINGS = sizeof roundings / sizeof *roundings };

static void rounding_is_half_to_even(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDINGS; i++) {
        float x;
        memcpy(&x, &roundings[i].from, sizeof x);
        assert_int_equal(eq_bf16_of(x), roundings[i].to);
    }
    assert_true(isnan(eq_bf16_value(eq_bf16_of(NAN))));
}

/* The same through a kernel: a 1 x 1 convolution with a weight of 1, and as a weight of an input of 1. Zeros of either
 * sign are alike in a sum. */
static void kernels_round_the_same(void **state)
{
    (void)state;
    if (!there())
        return;
    struct shape_row row = {1, 1, 1, ROUNDINGS, 1, 1, 1, 1, 0, EQ_LAYOUT_PIXEL};
    struct problem p;
    problem_init(&p, &row, DATA_UNIFORM);
    const struct eq_conv_kernel *k = eq_bf16_conv_select(EQ_CONV_FORWARD, &p.s);
    assert_int_equal(k->isa, EQ_ISA_AVX512BF16);
    float out[ROUNDINGS], one[ROUNDINGS];
    for (int i = 0; i < ROUNDINGS; i++) {
        memcpy(&p.src[i], &roundings[i].from, sizeof(float));
        one[i] = 1;
    }
    p.weights[0] = 1;
    run_pass(k, EQ_CONV_FORWARD, &p, 0, out);
    for (int i = 0; i < ROUNDINGS; i++)
        assert_true(out[i] == eq_bf16_value(roundings[i].to));
    for (int i = 0; i < ROUNDINGS; i++) {
        memcpy(&p.weights[0], &roundings[i].from, sizeof(float));
        memcpy(p.src, one, sizeof one);
        run_pass(k, EQ_CONV_FORWARD, &p, 0, out);
        assert_true(out[0] == eq_bf16_value(roundings[i].to));
    }
    problem_clear(&p);
}

static void weights_used_once(void **state)
{
    (void)state;
    check_once(&bf16, EQ_ISA_AVX512BF16);
}

/* A level below it has no kernels but ref, and says what is missing. */
static void ceilings_refuse(void **state)
{
    (void)state;
    struct eq_err err;
    struct eq_conv_shape s = shape_of(&conv_shapes[4]);
    assert_int_equal(eq_precision_check(EQ_PRECISION_FP32, &err), EQ_OK);
    if (there()) {
        assert_int_equal(eq_precision_check(EQ_PRECISION_BF16, &err), EQ_OK);
        for (int pass = 0; pass < EQ_CONV_PASSES; pass++)
            assert_int_equal(eq_bf16_conv_select((enum eq_conv_pass)pass, &s)->isa, EQ_ISA_AVX512BF16);
    }
    assert_int_equal(eq_cpu_set_ceiling("ref", &err), EQ_OK);
    assert_int_equal(eq_bf16_conv_select(EQ_CONV_FORWARD, &s)->isa, EQ_ISA_REF);
    assert_int_equal(eq_precision_check(EQ_PRECISION_BF16, &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, eq_cpu_has(EQ_ISA_AVX512BF16) ? "--cpu" : "AVX512-BF16"));
    assert_int_equal(eq_cpu_set_ceiling("auto", &err), EQ_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_matches_ref),
        cmocka_unit_test(backward_data_matches_ref),
        cmocka_unit_test(backward_weights_matches_ref),
        cmocka_unit_test(weights_used_once),
        cmocka_unit_test(ref_differs_from_fp32_by_the_operands_rounding),
        cmocka_unit_test(winograd_error_is_bounded),
        cmocka_unit_test(whole_numbers_are_exact),
        cmocka_unit_test(rounding_is_half_to_even),
        cmocka_unit_test(kernels_round_the_same),
        cmocka_unit_test(ceilings_refuse),
    };
    return kernels_report("bf16_conv", cmocka_run_group_tests(tests, NULL, NULL));
}
