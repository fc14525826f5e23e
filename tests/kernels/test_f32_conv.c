/* Every f32 convolution kernel of this CPU against ref (conv_check.h says how). */
#include "kernels/conv_check.h"

/*
 * Bounds, in units of FLT_EPSILON times the greatest sum of |a b| behind any output. A plain FP32 sum of n products is
 * off by less than n units of one part in 2^24, and by about sqrt(n) of them in practice; Winograd's transforms
 * multiply that (Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd convolution").
 * test_f32_winograd_error measures the factor; here one bound catches what is wrong rather than imprecise.
 */
static double bound(const struct eq_conv_kernel *k, size_t terms)
{
    double factor = strstr(k->name, "winograd") ? 20 : 2;
    return FLT_EPSILON * factor * (4 + 0.25 * sqrt((double)terms));
}

static const struct family f32 = {eq_f32_conv_candidates, bound};

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

static void weights_used_once(void **state)
{
    (void)state;
    check_once(&f32, EQ_ISA_AVX2);
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
                const struct eq_conv_kernel *k = eq_f32_conv_select((enum eq_conv_pass)pass, &s), *ref;
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
            const struct eq_conv_kernel *k = eq_f32_conv_select_ordered(&p.s);
            assert_true(k->isa <= ceilings[l] && (l == 0) == (k->isa == EQ_ISA_REF));
            if (l > 0 && !kernel_wanted(k->name))
                continue;
            uint64_t hash = run_checked(k, EQ_CONV_FORWARD, &p, 1, NULL, 0);
            if (l > 0 && hash != expected)
                fail_msg("%s, %s: other bits than the plain C", k->name, shape_text(&p.s));
            expected = l == 0 ? hash : expected;
        }
        problem_clear(&p);
    }
}

/* ---- max pooling in the same pass ---------------------------------------- */

static void run_forward(const struct eq_conv_kernel *k, const struct problem *p, const struct eq_f32_epilogue *epi,
                        float *out)
{
    struct guarded packed, scratch;
    void *w = guarded_init(&packed, k->packed_bytes(&p->s), 0);
    void *tmp = guarded_init(&scratch, k->scratch_bytes(&p->s, eq_parallel_threads()), 0);
    k->pack(&p->s, p->weights, w);
    k->run.forward(&p->s, p->src, w, epi, out, tmp);
    guarded_check(&packed, k->name);
    guarded_check(&scratch, k->name);
    guarded_clear(&packed);
    guarded_clear(&scratch);
}

/* An output that is larger than the caches is stored past them if it is aligned: the same bits. */
static void large_outputs(void **state)
{
    (void)state;
    static const struct shape_row row = {3, 16, 112, 112, 3, 64, 7, 2, 3, EQ_LAYOUT_CLIP};
    static const enum eq_isa ceilings[] = {EQ_ISA_AVX2, EQ_ISA_AVX512};
    struct problem p;
    problem_init(&p, &row, DATA_UNIFORM);
    size_t n = dst_count(&p.s);
    struct eq_f32_epilogue epi = {.bias = p.bias, .relu = true};
    use_threads(2);
    for (size_t l = 0; l < sizeof ceilings / sizeof *ceilings; l++) {
        if (!use_isa(ceilings[l]))
            continue;
        const struct eq_conv_kernel *k = eq_f32_conv_select(EQ_CONV_FORWARD, &p.s);
        if (!kernel_wanted(k->name))
            continue;
        float *aligned = new_floats(n), *shifted = new_floats(n + 1);
        run_forward(k, &p, &epi, aligned);
        run_forward(k, &p, &epi, shifted + 1);
        assert_memory_equal(aligned, shifted + 1, n * sizeof *aligned);
        eq_free(aligned);
        eq_free(shifted);
    }
    problem_clear(&p);
}

/* The same kernel without pooling, then ref's pooling: the same bits, zeros' signs and NaN included. */
static void check_pooled(const struct eq_conv_kernel *k, const struct problem *p, bool relu)
{
    const struct eq_conv_shape *s = &p->s;
    int ph = (s->oh - 1) / 2 + 1, pw = (s->ow - 1) / 2 + 1;
    size_t n = (size_t)s->b * ph * pw * s->t * s->cout;
    float *whole = new_floats(dst_count(s)), *expected = new_floats(n);
    struct eq_f32_epilogue epi = {.bias = p->bias, .relu = relu};
    use_threads(1);
    run_forward(k, p, &epi, whole);
    use_isa(EQ_ISA_REF);
    const struct eq_pool_shape pool = {s->b, s->oh, s->ow, s->t * s->cout, 3, 2, 1, ph, pw};
    eq_f32_kernels()->maxpool_forward(&pool, whole, expected, NULL);
    epi.pool_k = 3;
    epi.pool_stride = 2;
    epi.pool_pad = 1;
    for (int i = 0; i < THREAD_COUNTS; i++) {
        struct guarded buffer;
        float *out = guarded_init(&buffer, n * sizeof *out, 0);
        use_threads(thread_counts[i]);
        run_forward(k, p, &epi, out);
        guarded_check(&buffer, k->name);
        for (size_t at = 0; at < n; at++)
            if (memcmp(&out[at], &expected[at], sizeof *out) != 0)
                fail_msg("%s, %s, %d threads: [%zu] pooled in the same pass is %.9g, after it %.9g", k->name,
                         shape_text(s), thread_counts[i], at, out[at], expected[at]);
        guarded_clear(&buffer);
    }
    eq_free(whole);
    eq_free(expected);
}

static void pooling_in_the_same_pass(void **state)
{
    (void)state;
    static const struct shape_row rows[] = {
        {2, 2, 16, 16, 3, 64, 7, 2, 3, EQ_LAYOUT_CLIP}, {1, 5, 19, 13, 3, 64, 7, 2, 3, EQ_LAYOUT_CLIP},
        {1, 3, 11, 12, 3, 16, 7, 2, 3, EQ_LAYOUT_CLIP}, {1, 1, 1, 1, 3, 16, 7, 2, 3, EQ_LAYOUT_CLIP},
        {2, 1, 9, 35, 1, 48, 7, 2, 3, EQ_LAYOUT_CLIP},  {3, 2, 36, 5, 4, 32, 7, 2, 3, EQ_LAYOUT_CLIP},
        {2, 5, 30, 33, 1, 64, 7, 2, 3, EQ_LAYOUT_CLIP}, {1, 2, 23, 29, 3, 16, 7, 2, 3, EQ_LAYOUT_CLIP},
        {1, 1, 41, 18, 3, 16, 7, 2, 3, EQ_LAYOUT_CLIP},
    };
    int checked = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int variant = 0; variant < 3; variant++) {
            struct problem p;
            const struct eq_conv_kernel *kernels[MAX_CANDIDATES];
            struct eq_err err;
            assert_int_equal(eq_cpu_set_ceiling("auto", &err), EQ_OK);
            problem_init(&p, &rows[i], DATA_UNIFORM);
            if (variant == 2) /* a frame's corner spoilt: a NaN wins every window that it lies in */
                p.src[src_count(&p.s) - 1] = NAN;
            size_t n = kernels_wanted(kernels, eq_f32_conv_candidates(EQ_CONV_FORWARD, &p.s, kernels, MAX_CANDIDATES));
            for (size_t k = 0; k < n; k++)
                if (kernels[k]->fuses_maxpool && kernels[k]->fuses_maxpool(&p.s, 3, 2, 1)) {
                    assert_false(kernels[k]->fuses_maxpool(&p.s, 2, 2, 0));
                    check_pooled(kernels[k], &p, variant > 0);
                    checked++;
                }
            problem_clear(&p);
        }
    assert_true(checked > 0 || kernel_picked() || !eq_cpu_has(EQ_ISA_AVX2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_matches_ref),          cmocka_unit_test(backward_data_matches_ref),
        cmocka_unit_test(backward_weights_matches_ref), cmocka_unit_test(weights_used_once),
        cmocka_unit_test(selection_is_never_ref),       cmocka_unit_test(ordered_kernels_agree_to_the_bit),
        cmocka_unit_test(pooling_in_the_same_pass),     cmocka_unit_test(large_outputs),
    };
    return kernels_report("f32_conv", cmocka_run_group_tests(tests, NULL, NULL));
}
