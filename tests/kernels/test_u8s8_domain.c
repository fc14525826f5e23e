/*
 * INT8 in Winograd's domain: the shared functions, the reference against the direct integer convolution where bytes
 * lose nothing, and every kernel of this CPU against the reference, to the bit, on 1, 2, 3 and 7 threads.
 */
#include "kernels/checker.h"
#include "kernels/domain_check.h"

/* ---- shared functions ---------------------------------------------------- */

static void test_tiles(void **state)
{
    (void)state;
    static const struct {
        int n, tiles, outputs[7];
    } known[] = {{1, 1, {4}},       {2, 1, {4}},           {3, 1, {3}},        {4, 1, {4}},
                 {5, 2, {4, 4}},    {6, 2, {3, 3}},        {7, 2, {4, 3}},     {8, 2, {4, 4}},
                 {9, 3, {3, 3, 3}}, {14, 4, {4, 4, 3, 3}}, {10, 3, {4, 3, 3}}, {28, 7, {4, 4, 4, 4, 4, 4, 4}}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int start = 0;
        assert_int_equal(eq_domain_tiles(known[i].n), known[i].tiles);
        for (int t = 0; t < known[i].tiles; t++) {
            struct eq_domain_tile tile = eq_domain_tile(known[i].n, t);
            assert_int_equal(tile.start, start);
            assert_int_equal(tile.outputs, known[i].outputs[t]);
            start += tile.outputs;
        }
    }
    for (int n = 1; n < 200; n++) {
        struct eq_domain_tile last = eq_domain_tile(n, eq_domain_tiles(n) - 1);
        int end = last.start + last.outputs;
        assert_true(n == 1 || n == 2 || n == 5 ? end > n : end == n);
    }
}

/* A^T [(G w G^T) . (B^T d B)] A is the correlation of d and w. */
static void test_transforms_belong_together(void **state)
{
    (void)state;
    struct eq_rng rng;
    eq_rng_init(&rng, 3, EQ_RNG_TEST, 0, 0);
    for (int round = 0; round < 50; round++) {
        float w[9];
        double d[6][6], u[EQ_DOMAIN_POINTS], m[6][6];
        for (int i = 0; i < 9; i++)
            w[i] = (float)eq_rng_range(&rng, -1, 1);
        for (int i = 0; i < 36; i++)
            d[i / 6][i % 6] = eq_rng_range(&rng, -1, 1);
        eq_domain_weights(w, u);
        for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
            double v = 0;
            for (int i = 0; i < 36; i++)
                v += eq_domain_bt[p / 6][i / 6] * eq_domain_bt[p % 6][i % 6] * d[i / 6][i % 6];
            m[p / 6][p % 6] = v * u[p];
        }
        for (int o = 0; o < 16; o++) {
            double y = 0, expected = 0;
            for (int p = 0; p < EQ_DOMAIN_POINTS; p++)
                y += eq_domain_at[o / 4][p / 6] * eq_domain_at[o % 4][p % 6] * m[p / 6][p % 6];
            for (int tap = 0; tap < 9; tap++)
                expected += w[tap] * d[o / 4 + tap / 3][o % 4 + tap % 3];
            if (fabs(y - expected) > 1e-13)
                fail_msg("output %d: %g, not %g", o, y, expected);
        }
    }
}

static void test_multipliers(void **state)
{
    (void)state;
    assert_int_equal(eq_domain_mul(1, 2), 16384);
    assert_int_equal(eq_domain_mul(0.5f, 5), 3277); /* 3276.8 */
    assert_int_equal(eq_domain_mul(5, 65536), 2);   /* 2.5, half to even */
    assert_int_equal(eq_domain_mul(1, 1), 32767);
    assert_int_equal(eq_domain_mul(1e30f, 1e-30f), 32767);
    assert_int_equal(eq_domain_mul(1e-30f, 1e30f), 1);
    assert_true(eq_domain_scale(0.5f, 16384) == 1);
    assert_true(eq_domain_scale(1, 3277) == 32768.0f / 3277.0f);
}

static void test_products(void **state)
{
    (void)state;
    struct eq_conv_shape s;
    eq_conv_shape_init(&s, 2, 3, 14, 5, 8, 16, 3, 1, 1, EQ_LAYOUT_PIXEL); /* 4 + 4 + 3 + 3 by 4 + 4 */
    assert_true(eq_u8s8_domain_select(&s)->products(&s) == 2.0 * 3 * 22 * 12 * 8 * 16);
    assert_true(eq_domain_supports(&s));
    s.pad = 0;
    assert_false(eq_domain_supports(&s));
    eq_conv_shape_init(&s, 1, 1, 8, 8, 8, 8, 3, 2, 1, EQ_LAYOUT_PIXEL);
    assert_false(eq_domain_supports(&s));
    eq_conv_shape_init(&s, 1, 1, 8, 8, 8, 8, 3, 1, 1, EQ_LAYOUT_CLIP);
    assert_false(eq_domain_supports(&s));
}

/* ---- the reference ------------------------------------------------------- */

/* A single pixel, 1 above the zero-point: v = 16 at the points (1, 1) and (2, 2), -16 at (1, 2). All of them enter the
 * first output with the factor 1. */
static void test_ref_by_hand(void **state)
{
    (void)state;
    static const struct {
        int p, mul, add, u, expected; /* expected: the byte minus add, times u */
    } cases[] = {
        {7, 5120, 128, 1, 3},    /* 2.5 is rounded up, */
        {8, 5120, 128, -1, 2},   /* and so is -2.5 */
        {14, 32767, 0, 1, 16},   /* 15.9995 */
        {8, 32767, 10, -2, 20},  /* -16 + 10 is clamped to 0 */
        {7, 32767, 250, 3, 15},  /* 16 + 250 is clamped to 255 */
        {5, 32767, 100, 100, 0}, /* infinity has no part in the first output, */
        {0, 32767, 100, 100, 0}, /* and the pixel none in the point 0 */
        {7, 32767, 0, 127, 255}, /* saturates */
        {8, 32767, 128, 127, 0},
    };
    struct domain_layer l;
    domain_layer_init(&l, 1, 1, 1, 1, 1, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(l.u, 0, EQ_DOMAIN_POINTS);
        for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
            l.points.mul[p] = (int16_t)cases[i].mul;
            l.points.add[p] = (uint8_t)cases[i].add;
            l.k[p] = 1;
        }
        l.u[cases[i].p] = (int8_t)cases[i].u;
        for (int zp = 0; zp < 255; zp += 127) {
            l.src_zp = zp;
            l.src[0] = (uint8_t)(zp + 1);
            assert_true(domain_run(&l, &eq_u8s8_conv_domain__ref, l.dst));
            if (l.dst[0] != cases[i].expected)
                fail_msg("case %zu, zero-point %d: %d, not %d", i, zp, l.dst[0], cases[i].expected);
        }
    }
    memset(l.u, 0, EQ_DOMAIN_POINTS);
    l.b[0] = 20.5f; /* half to even, then with a residual, and at the limits */
    assert_true(domain_run(&l, &eq_u8s8_conv_domain__ref, l.dst));
    assert_int_equal(l.dst[0], 20);
    l.residual[0] = 7;
    l.epi.residual = l.residual;
    l.epi.residual_m = -2;
    assert_true(domain_run(&l, &eq_u8s8_conv_domain__ref, l.dst));
    assert_int_equal(l.dst[0], 6);
    l.epi.dst_min = 9;
    assert_true(domain_run(&l, &eq_u8s8_conv_domain__ref, l.dst));
    assert_int_equal(l.dst[0], 9);
    l.b[0] = NAN;
    assert_true(domain_run(&l, &eq_u8s8_conv_domain__ref, l.dst));
    assert_int_equal(l.dst[0], 9);
    domain_layer_clear(&l);
}

/* Small sources keep their transform as bytes, and small weights are whole numbers at each point's own scale. */
static void fill_without_loss(struct domain_layer *l, int8_t *w, struct eq_rng *rng)
{
    static const double steps[EQ_DOMAIN_IN] = {1. / 4, 1. / 6, 1. / 6, 1. / 24, 1. / 24, 1};
    const struct eq_conv_shape *s = &l->s;
    for (size_t i = 0; i < src_count(s); i++)
        l->src[i] = (uint8_t)(l->src_zp == 255 ? 254 + eq_rng_below(rng, 2) : l->src_zp + eq_rng_below(rng, 2));
    for (size_t i = 0; i < dst_count(s); i++)
        l->residual[i] = (uint8_t)eq_rng_below(rng, 256);
    for (int i = 0; i < s->cout * s->cin; i++) {
        float taps[9];
        double u[EQ_DOMAIN_POINTS];
        for (int tap = 0; tap < 9; tap++)
            taps[tap] = w[i * 9 + tap] = (int8_t)((int)eq_rng_below(rng, 5) - 2);
        eq_domain_weights(taps, u);
        for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
            double whole = u[p] / (steps[p / 6] * steps[p % 6]);
            assert_true(fabs(whole) < 127 && fabs(whole - rint(whole)) < 1e-9);
            l->u[(size_t)p * s->cout * s->cin + i] = (int8_t)lrint(whole);
        }
    }
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        l->points.mul[p] = 32767;
        l->points.add[p] = 120;
        for (int oc = 0; oc < s->cout; oc++)
            l->k[p * s->cout + oc] = (float)(steps[p / 6] * steps[p % 6] * (0.7 + 0.01 * oc));
    }
    for (int oc = 0; oc < s->cout; oc++)
        l->b[oc] = (float)eq_rng_range(rng, 100, 156);
}

/* What the direct convolution gives before rounding. */
static double direct(const struct domain_layer *l, const int8_t *w, int f, int oy, int ox, int oc)
{
    const struct eq_conv_shape *s = &l->s;
    int sum = 0;
    for (int tap = 0; tap < 9; tap++) {
        int y = oy - 1 + tap / 3, x = ox - 1 + tap % 3;
        for (int c = 0; c < s->cin && y >= 0 && y < s->h && x >= 0 && x < s->w; c++)
            sum += (l->src[(((size_t)y * s->w + x) * s->t + f) * s->cin + c] - l->src_zp) *
                   w[((size_t)oc * s->cin + c) * 9 + tap];
    }
    size_t at = (((size_t)oy * s->ow + ox) * s->t + f) * s->cout + oc;
    double r = sum * (0.7 + 0.01 * oc) + l->b[oc];
    r += l->epi.residual ? l->residual[at] * (double)l->epi.residual_m : 0;
    return fmin(fmax(r, l->epi.dst_min), 255);
}

static void check_layer(const struct domain_layer *l, const int8_t *w)
{
    const struct eq_conv_shape *s = &l->s;
    size_t at = 0;
    for (int y = 0; y < s->oh; y++)
        for (int x = 0; x < s->ow; x++)
            for (int f = 0; f < s->t; f++)
                for (int oc = 0; oc < s->cout; oc++, at++) {
                    double expected = direct(l, w, f, y, x, oc);
                    if (fabs(l->dst[at] - expected) > 0.5 + 1e-3)
                        fail_msg("%s: row %d, column %d, frame %d, channel %d: %d, not %g", shape_text(s), y, x, f, oc,
                                 l->dst[at], expected);
                }
}

static void test_ref_is_the_direct_convolution(void **state)
{
    (void)state;
    static const int sides[] = {1, 2, 3, 4, 5, 6, 7, 9, 14}, zero_points[] = {0, 128, 255};
    enum { SIDES = sizeof sides / sizeof *sides };
    struct eq_rng rng;
    eq_rng_init(&rng, 5, EQ_RNG_TEST, 0, 0);
    for (int i = 0; i < SIDES; i++)
        for (int z = 0; z < 3; z++) {
            struct domain_layer l;
            domain_layer_init(&l, 1, 1 + i % 3, sides[i], sides[(i + z) % SIDES], 1 + i, 2 + z);
            int8_t *w = domain_zeros(weights_count(&l.s), 1);
            l.src_zp = zero_points[z];
            fill_without_loss(&l, w, &rng);
            use_threads(1 + z);
            assert_true(domain_run(&l, &eq_u8s8_conv_domain__ref, l.dst));
            check_layer(&l, w);
            l.epi.residual = l.residual;
            l.epi.residual_m = 0.25f;
            l.epi.dst_min = 130;
            assert_true(domain_run(&l, &eq_u8s8_conv_domain__ref, l.dst));
            check_layer(&l, w);
            eq_free(w);
            domain_layer_clear(&l);
        }
}

/* ---- every kernel against the reference ---------------------------------- */

static void test_every_kernel_equals_ref(void **state)
{
    (void)state;
    use_threads(2);
    for (int i = 0; i < DOMAIN_ROWS; i++)
        for (int c = 0; c < DOMAIN_VALUES * DOMAIN_EPILOGUES; c++)
            assert_true(domain_check_row(i, (enum domain_values)(c % DOMAIN_VALUES),
                                         (enum domain_epilogue)(c / DOMAIN_VALUES)));
}

static void test_threads_change_nothing(void **state)
{
    (void)state;
    for (int k = 0; k < THREAD_COUNTS; k++) {
        use_threads(thread_counts[k]);
        for (int i = 0; i < DOMAIN_ROWS; i++)
            assert_true(domain_check_row(i, DOMAIN_SPREAD, DOMAIN_RESIDUAL));
    }
}

/* Most outputs lie between the limits, or comparing them would show little. */
static void test_values_are_worth_comparing(void **state)
{
    (void)state;
    for (int e = DOMAIN_PLAIN; e <= DOMAIN_RESIDUAL; e++) {
        size_t inside = 0, all = 0;
        for (int i = 0; i < DOMAIN_ROWS; i++) {
            struct domain_layer l;
            domain_layer_of_row(&l, i);
            domain_fill(&l, DOMAIN_SPREAD, (enum domain_epilogue)e, (uint32_t)i);
            assert_true(domain_run(&l, eq_u8s8_domain_select(&l.s), l.dst));
            for (size_t k = 0; k < l.n_dst; k++)
                inside += l.dst[k] > l.epi.dst_min && l.dst[k] < 255;
            all += l.n_dst;
            domain_layer_clear(&l);
        }
        assert_true(inside > all / (e == DOMAIN_RESIDUAL ? 4 : 2));
    }
}

static void test_levels_cap_what_is_selected(void **state)
{
    (void)state;
    struct eq_conv_shape s;
    eq_conv_shape_init(&s, 1, 16, 14, 14, 128, 128, 3, 1, 1, EQ_LAYOUT_PIXEL);
    for (int isa = 0; isa < EQ_ISA_COUNT; isa++) {
        if (!use_isa((enum eq_isa)isa))
            continue;
        const struct eq_conv_kernel *k = eq_u8s8_domain_select(&s);
        assert_true((int)k->isa <= isa);
        assert_true(isa < EQ_ISA_AVX2 || k->isa != EQ_ISA_REF || !eq_cpu_has(EQ_ISA_AVX2));
    }
    assert_int_equal(eq_cpu_set_ceiling("auto", NULL), EQ_OK);
    eq_kernels_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_transforms_belong_together),
        cmocka_unit_test(test_multipliers),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_ref_by_hand),
        cmocka_unit_test(test_ref_is_the_direct_convolution),
        cmocka_unit_test(test_levels_cap_what_is_selected),
        cmocka_unit_test(test_values_are_worth_comparing),
        cmocka_unit_test(test_every_kernel_equals_ref),
        cmocka_unit_test(test_threads_change_nothing),
    };
    eq_kernels_init();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    eq_parallel_shutdown();
    return kernels_report("u8s8_conv_domain", failed);
}
