/* Every integer convolution kernel of this CPU against ref, to the bit, on 1, 2, 3 and 7 threads. */
#include "kernels/checker.h"
#include "kernels/u8s8_check.h"

static void test_every_kernel_equals_ref(void **state)
{
    (void)state;
    size_t checked = 0;
    use_threads(2);
    bool ok = u8s8_check_all(NULL, true, 0, &checked);
    printf("%zu comparisons\n", checked);
    assert_true(ok);
    assert_true(kernel_picked() || checked >= (size_t)U8S8_SHAPES * 5);
}

static void test_threads_change_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < THREAD_COUNTS; i++) {
        size_t checked = 0;
        use_threads(thread_counts[i]);
        assert_true(u8s8_check_all(NULL, false, i, &checked));
        assert_true(kernel_picked() || checked >= U8S8_SHAPES);
    }
}

static void test_levels_cap_what_is_selected(void **state)
{
    (void)state;
    struct eq_conv_shape s;
    eq_conv_shape_init(&s, 1, 16, 28, 28, 64, 64, 3, 1, 1, EQ_LAYOUT_PIXEL);
    for (int isa = 0; isa < EQ_ISA_COUNT; isa++) {
        if (!use_isa((enum eq_isa)isa))
            continue;
        const struct eq_conv_kernel *k = eq_u8s8_conv_select(&s, 0, NULL), *all[64];
        size_t n = eq_u8s8_conv_candidates(&s, all, 64);
        printf("%s: %s of %zu\n", eq_isa_name((enum eq_isa)isa), k->name, n);
        assert_true((int)k->isa <= isa);
        for (size_t i = 0; i < n; i++)
            assert_true((int)all[i]->isa <= isa && eq_cpu_has(all[i]->isa));
    }
    struct eq_err err;
    assert_int_equal(eq_cpu_set_ceiling("auto", &err), EQ_OK);
    eq_kernels_init();
}

/* pytorch issue 44939: what instructions that add two products in saturating 16 bits get wrong. */
static void test_pair_beyond_int16_is_exact(void **state)
{
    (void)state;
    struct eq_conv_shape s;
    eq_conv_shape_init(&s, 1, 1, 1, 1, 2, 1, 1, 1, 0, EQ_LAYOUT_PIXEL);
    const uint8_t src[2] = {211, 171};
    const int8_t weights[2] = {71, 107};
    const float m = 1.0f, b = 100.0f - 33278.0f;
    const struct eq_u8s8_epilogue epi = {.m = &m, .b = &b, .dst_max = 255};
    const struct eq_conv_kernel *all[64];
    size_t n = eq_u8s8_conv_candidates(&s, all, 64);
    n = kernels_wanted(all, n);
    for (size_t i = 0; i < n; i++) {
        void *packed = eq_alloc(all[i]->packed_bytes(&s), 1), *scratch = eq_alloc(all[i]->scratch_bytes(&s, 7) + 1, 1);
        assert_non_null(packed);
        assert_non_null(scratch);
        uint8_t dst = 0;
        all[i]->pack_s8(&s, weights, 0, packed);
        all[i]->run.u8s8(&s, src, 0, packed, &epi, &dst, scratch);
        if (dst != 100)
            fail_msg("%s: 211 * 71 + 171 * 107 gives %d", all[i]->name, 33278 + dst - 100);
        eq_free(packed);
        eq_free(scratch);
    }
}

/* The reference itself, on sums worked out by hand. */
static void test_ref_by_hand(void **state)
{
    (void)state;
    struct eq_conv_shape s;
    eq_conv_shape_init(&s, 1, 1, 1, 2, 1, 1, 3, 1, 1, EQ_LAYOUT_PIXEL);
    const uint8_t src[2] = {10, 20}, residual[2] = {7, 3};
    int8_t weights[9] = {9, 9, 9, 1, 2, 3, 9, 9, 9}; /* rows above and below lie outside */
    float m = 0.5f, b = 0.0f;
    struct eq_u8s8_epilogue epi = {.m = &m, .b = &b, .dst_zp = 1, .dst_max = 255};
    uint8_t packed[9], dst[2];
    eq_u8s8_conv_direct__ref.pack_s8(&s, weights, 5, packed);
    eq_u8s8_conv_direct__ref.run.u8s8(&s, src, 5, packed, &epi, dst, NULL);
    /* (10-5)*2 + (20-5)*3 = 55 -> 27.5 -> 28 -> 29; (10-5)*1 + (20-5)*2 = 35 -> 17.5 -> 18 -> 19 */
    assert_int_equal(dst[0], 29);
    assert_int_equal(dst[1], 19);
    epi.residual = residual;
    epi.residual_zp = 5;
    epi.residual_m = -1.0f;
    epi.dst_max = 25;
    eq_u8s8_conv_direct__ref.run.u8s8(&s, src, 5, packed, &epi, dst, NULL);
    /* 27.5 - 2 = 25.5 -> 26 -> 27, clamped to 25; 17.5 + 2 = 19.5 -> 20 -> 21 */
    assert_int_equal(dst[0], 25);
    assert_int_equal(dst[1], 21);
    m = 1e9f;
    epi = (struct eq_u8s8_epilogue){.m = &m, .b = &b, .dst_zp = 200, .dst_max = 255};
    eq_u8s8_conv_direct__ref.run.u8s8(&s, src, 5, packed, &epi, dst, NULL);
    assert_int_equal(dst[0], 255);
    m = -1e9f;
    eq_u8s8_conv_direct__ref.run.u8s8(&s, src, 5, packed, &epi, dst, NULL);
    assert_int_equal(dst[0], 0);
}

/* The Winograd kernels take weights whose sums fit 26 bits, and no others: at the bound they are exact for the sources
 * that reach it, one step beyond they refuse. */
static void test_accepts_exactly_what_it_computes(void **state)
{
    (void)state;
    enum { CIN = 128, OVER = (1 << 25) - 1 }; /* 255 * 131585 = 33554175 is the most below 2^25 = 33554432 */
    static const struct u8s8_shape row = {1, 2, 5, 6, CIN, 64, 3, 1, 1, EQ_LAYOUT_PIXEL};
    static const int zero_points[] = {0, 255}, signs[] = {1, -1};
    for (int z = 0; z < 2; z++)
        for (int sign = 0; sign < 2; sign++) {
            struct u8s8_problem p;
            u8s8_problem_init(&p, &row, U8S8_SMALL, U8S8_SCALED, zero_points[z]);
            memset(p.src, 255 - zero_points[z], p.n_src);
            memset(p.weights, 0, p.n_weights);
            int left = OVER / 255; /* of channel 5 */
            for (int i = 0; i < CIN * 9 && left > 0; i++) {
                int now = left < 127 ? left : 127;
                p.weights[5 * CIN * 9 + i] = (int8_t)(signs[sign] * now);
                left -= now;
            }
            int8_t *spare = &p.weights[5 * CIN * 9 + CIN * 9 - 1];
            for (int i = 0; i < p.s.cout; i++) {
                p.m[i] = signs[sign] * (zero_points[z] ? -1.0f : 1.0f) * 0x1p-18f;
                p.b[i] = 0;
            }
            p.epi.dst_zp = 0;
            void *packed = eq_alloc(eq_u8s8_conv_direct__ref.packed_bytes(&p.s), 1);
            assert_non_null(packed);
            eq_u8s8_conv_direct__ref.pack_s8(&p.s, p.weights, p.src_zp, packed);
            eq_u8s8_conv_direct__ref.run.u8s8(&p.s, p.src, p.src_zp, packed, &p.epi, p.expected, NULL);
            eq_free(packed);
            const struct eq_conv_kernel *all[64];
            size_t n = eq_u8s8_conv_candidates(&p.s, all, 64);
            for (size_t i = 0; i < n; i++) {
                if (!all[i]->accepts || !kernel_wanted(all[i]->name))
                    continue;
                assert_true(all[i]->accepts(&p.s, p.weights, p.src_zp));
                assert_true(u8s8_check_kernel(all[i], &p));
                *spare = (int8_t)signs[sign];
                assert_false(all[i]->accepts(&p.s, p.weights, p.src_zp));
                *spare = 0;
            }
            u8s8_problem_clear(&p);
        }
}

/* Max pooling of every level against ref: odd sizes, windows that hang over each side, bytes above and below 128. */
static void test_maxpool_equals_ref(void **state)
{
    (void)state;
    static const int shapes[][7] = {{1, 1, 1, 1, 3, 2, 1},   {2, 7, 5, 67, 3, 2, 1}, {1, 4, 4, 1024, 3, 2, 1},
                                    {1, 9, 8, 129, 2, 2, 0}, {3, 5, 6, 40, 5, 3, 2}, {1, 2, 3, 64, 15, 1, 14}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int *r = shapes[i];
        struct eq_pool_shape p = {r[0], r[1], r[2], r[3], r[4], r[5], r[6], 0, 0};
        p.oh = (p.h + 2 * p.pad - p.k) / p.stride + 1;
        p.ow = (p.w + 2 * p.pad - p.k) / p.stride + 1;
        size_t n = (size_t)p.b * p.h * p.w * p.tc, n_out = (size_t)p.b * p.oh * p.ow * p.tc;
        uint8_t *x = u8s8_malloc(n), *expected = u8s8_malloc(n_out);
        struct eq_rng rng;
        eq_rng_init(&rng, 5, EQ_RNG_TEST, 0, (uint32_t)i);
        for (size_t k = 0; k < n; k++)
            x[k] = (uint8_t)eq_rng_below(&rng, 256);
        u8s8_ref().maxpool(&p, x, expected);
        for (int isa = 0; isa < EQ_ISA_COUNT; isa++) {
            if (!use_slot("u8s8_maxpool", (enum eq_isa)isa))
                continue;
            for (unsigned t = 0; t < THREAD_COUNTS; t++) {
                use_threads(thread_counts[t]);
                uint8_t *y = u8s8_guarded_new(n_out);
                eq_u8s8_kernels()->maxpool(&p, x, y);
                assert_memory_equal(y, expected, n_out);
                assert_true(u8s8_guarded_free(y, n_out));
            }
        }
        free(x);
        free(expected);
    }
    assert_int_equal(eq_cpu_set_ceiling("auto", NULL), EQ_OK);
    eq_kernels_init();
}

static void test_sums_equal_ref(void **state)
{
    (void)state;
    static const int shapes[][4] = {{1, 1, 1, 1}, {2, 16, 16, 512}, {3, 5, 3, 67}, {1, 49, 7, 130}, {1, 4, 2, 31}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int b = shapes[i][0], hw = shapes[i][1], t = shapes[i][2], c = shapes[i][3];
        size_t n = (size_t)b * hw * t * c, bytes = (size_t)b * c * sizeof(int32_t);
        uint8_t *x = u8s8_malloc(n);
        int32_t *expected = u8s8_malloc(bytes);
        struct eq_rng rng;
        eq_rng_init(&rng, 6, EQ_RNG_TEST, 0, (uint32_t)i);
        for (size_t k = 0; k < n; k++)
            x[k] = i == 1 ? 255 : (uint8_t)eq_rng_below(&rng, 256);
        for (int zp = 0; zp < 256; zp += 85) {
            u8s8_ref().sum_pixels_frames(x, b, hw, t, c, zp, expected);
            for (int isa = 0; isa < EQ_ISA_COUNT; isa++) {
                if (!use_slot("u8s8_sum_pixels_frames", (enum eq_isa)isa))
                    continue;
                uint8_t *sum = u8s8_guarded_new(bytes);
                eq_u8s8_kernels()->sum_pixels_frames(x, b, hw, t, c, zp, (int32_t *)(void *)sum);
                assert_memory_equal(sum, expected, bytes);
                assert_true(u8s8_guarded_free(sum, bytes));
            }
        }
        free(x);
        free(expected);
    }
    assert_int_equal(eq_cpu_set_ceiling("auto", NULL), EQ_OK);
    eq_kernels_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ref_by_hand),
        cmocka_unit_test(test_pair_beyond_int16_is_exact),
        cmocka_unit_test(test_levels_cap_what_is_selected),
        cmocka_unit_test(test_accepts_exactly_what_it_computes),
        cmocka_unit_test(test_maxpool_equals_ref),
        cmocka_unit_test(test_sums_equal_ref),
        cmocka_unit_test(test_every_kernel_equals_ref),
        cmocka_unit_test(test_threads_change_nothing),
    };
    eq_kernels_init();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    eq_parallel_shutdown();
    return kernels_report("u8s8", failed);
}
