/*
 * INT8 in Winograd's domain: the shared functions, the reference against the direct integer convolution where bytes lose
 * nothing, and every kernel of this CPU against the reference, to the bit, on 1, 2, 3 and 7 threads.
 */
#include "kernels/checker.h"

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

/* One layer's data; sizes follow from the shape. */
struct layer {
    struct eq_conv_shape s;
    int src_zp;
    uint8_t *src, *residual, *dst;
    int8_t *u;
    float *k, *b;
    struct eq_domain_points points;
    struct eq_domain_epilogue epi;
};

static void *zeros(size_t n, size_t size)
{
    void *p = eq_alloc(n, size);
    assert_non_null(p);
    return memset(p, 0, n * size);
}

static void layer_init(struct layer *l, int b, int t, int h, int w, int cin, int cout)
{
    *l = (struct layer){.src_zp = 0};
    eq_conv_shape_init(&l->s, b, t, h, w, cin, cout, 3, 1, 1, EQ_LAYOUT_PIXEL);
    l->src = zeros(src_count(&l->s), 1);
    l->residual = zeros(dst_count(&l->s), 1);
    l->dst = zeros(dst_count(&l->s), 1);
    l->u = zeros((size_t)EQ_DOMAIN_POINTS * cin * cout, 1);
    l->k = zeros((size_t)EQ_DOMAIN_POINTS * cout, sizeof *l->k);
    l->b = zeros((size_t)cout, sizeof *l->b);
    l->epi = (struct eq_domain_epilogue){.k = l->k, .b = l->b};
}

static void layer_clear(struct layer *l)
{
    void *const all[] = {l->src, l->residual, l->dst, l->u, l->k, l->b};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        eq_free(all[i]);
}

/* Between canaries. */
static void layer_run(const struct layer *l, const struct eq_conv_kernel *kernel, uint8_t *dst)
{
    struct guarded packed, scratch, out;
    guarded_init(&packed, kernel->packed_bytes(&l->s), 0);
    guarded_init(&scratch, kernel->scratch_bytes(&l->s, eq_parallel_threads()), 0);
    guarded_init(&out, dst_count(&l->s), 0);
    kernel->pack_domain(&l->s, l->u, &l->points, packed.block + GUARD);
    kernel->run.u8s8_domain(&l->s, l->src, l->src_zp, packed.block + GUARD, &l->points, &l->epi, out.block + GUARD,
                            scratch.block + GUARD);
    guarded_check(&packed, kernel->name);
    guarded_check(&scratch, kernel->name);
    guarded_check(&out, kernel->name);
    memcpy(dst, out.block + GUARD, out.n);
    guarded_clear(&packed);
    guarded_clear(&scratch);
    guarded_clear(&out);
}

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
    struct layer l;
    layer_init(&l, 1, 1, 1, 1, 1, 1);
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
            layer_run(&l, &eq_u8s8_conv_domain__ref, l.dst);
            if (l.dst[0] != cases[i].expected)
                fail_msg("case %zu, zero-point %d: %d, not %d", i, zp, l.dst[0], cases[i].expected);
        }
    }
    memset(l.u, 0, EQ_DOMAIN_POINTS);
    l.b[0] = 20.5f; /* half to even, then with a residual, and at the limits */
    layer_run(&l, &eq_u8s8_conv_domain__ref, l.dst);
    assert_int_equal(l.dst[0], 20);
    l.residual[0] = 7;
    l.epi.residual = l.residual;
    l.epi.residual_m = -2;
    layer_run(&l, &eq_u8s8_conv_domain__ref, l.dst);
    assert_int_equal(l.dst[0], 6);
    l.epi.dst_min = 9;
    layer_run(&l, &eq_u8s8_conv_domain__ref, l.dst);
    assert_int_equal(l.dst[0], 9);
    l.b[0] = NAN;
    layer_run(&l, &eq_u8s8_conv_domain__ref, l.dst);
    assert_int_equal(l.dst[0], 9);
    layer_clear(&l);
}

/* Small sources keep their transform as bytes, and small weights are whole numbers at each point's own scale. */
static void fill_without_loss(struct layer *l, int8_t *w, struct eq_rng *rng)
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
static double direct(const struct layer *l, const int8_t *w, int f, int oy, int ox, int oc)
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

static void check_layer(const struct layer *l, const int8_t *w)
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
            struct layer l;
            layer_init(&l, 1, 1 + i % 3, sides[i], sides[(i + z) % SIDES], 1 + i, 2 + z);
            int8_t *w = zeros(weights_count(&l.s), 1);
            l.src_zp = zero_points[z];
            fill_without_loss(&l, w, &rng);
            use_threads(1 + z);
            layer_run(&l, &eq_u8s8_conv_domain__ref, l.dst);
            check_layer(&l, w);
            l.epi.residual = l.residual;
            l.epi.residual_m = 0.25f;
            l.epi.dst_min = 130;
            layer_run(&l, &eq_u8s8_conv_domain__ref, l.dst);
            check_layer(&l, w);
            eq_free(w);
            layer_clear(&l);
        }
}

/* ---- every kernel against the reference ---------------------------------- */

static const struct row {
    int b, t, h, w, cin, cout;
} rows[] = {
    {1, 1, 1, 1, 1, 1},      {1, 1, 2, 2, 64, 64},    {1, 16, 3, 3, 64, 64},   {2, 5, 4, 4, 128, 64},
    {1, 64, 5, 5, 64, 64},   {1, 16, 6, 6, 64, 128},  {1, 16, 7, 7, 256, 96},  {1, 3, 9, 9, 64, 64},
    {1, 16, 14, 14, 64, 64}, {1, 2, 28, 28, 64, 64},  {1, 16, 4, 4, 512, 64},  {1, 17, 7, 7, 64, 32},
    {2, 2, 14, 14, 128, 64}, {1, 4, 1, 28, 64, 64},   {1, 3, 14, 5, 65, 33},   {1, 2, 9, 7, 31, 63},
    {1, 6, 6, 2, 96, 48},    {3, 1, 3, 14, 8, 16},    {1, 18, 2, 9, 20, 130},  {1, 7, 28, 1, 63, 65},
    {1, 1, 7, 14, 16, 8},    {2, 33, 4, 5, 32, 32},   {1, 1, 14, 14, 256, 64}, {1, 11, 10, 11, 100, 17},
    {1, 1, 5, 1, 512, 512},  {1, 8, 13, 6, 127, 129},
};
enum { ROWS = sizeof rows / sizeof *rows };

enum values {
    SPREAD,    /* uniform, points scaled to what they reach */
    MOST,      /* 255 and 127: the greatest sums */
    ALTERNATE, /* 0 or 255, -128 or 127, points at their limits */
    VALUES
};
enum epilogue {
    PLAIN,
    RELU,
    RESIDUAL,    /* with ReLU */
    HUGE_SCALES, /* which no float holds: infinities, and NaNs where they meet */
    EPILOGUES
};

static void fill(struct layer *l, enum values values, enum epilogue epilogue, uint32_t sample)
{
    static const int reach[EQ_DOMAIN_IN] = {10, 10, 10, 6, 6, 10};
    const struct eq_conv_shape *s = &l->s;
    const size_t weights = (size_t)s->cin * s->cout;
    struct eq_rng rng;
    eq_rng_init(&rng, 21, EQ_RNG_TEST, (uint32_t)values, sample);
    for (size_t i = 0; i < src_count(s); i++)
        l->src[i] = (uint8_t)(values == SPREAD ? eq_rng_below(&rng, 256)
                              : values == MOST ? 255
                                               : eq_rng_below(&rng, 2) * 255);
    for (size_t i = 0; i < weights * EQ_DOMAIN_POINTS; i++)
        l->u[i] = (int8_t)(values == SPREAD ? (int)eq_rng_below(&rng, 255) - 127
                           : values == MOST ? 127
                                            : (int)eq_rng_below(&rng, 2) * 255 - 128);
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        static const int limits[] = {1, 32767, 16384, 3};
        const int span = reach[p / 6] * reach[p % 6] * 255;
        l->points.mul[p] = (int16_t)(values == SPREAD ? 255 * 32768 / span + 1 : limits[(p + sample) % 4]);
        l->points.add[p] = (uint8_t)(values == SPREAD ? 128 + p - 18 : p % 3 * 255 / 2);
        for (int oc = 0; oc < s->cout; oc++)
            l->k[(size_t)p * s->cout + oc] =
                (float)(epilogue == HUGE_SCALES ? eq_rng_range(&rng, 0, 3e38)
                                                : eq_rng_range(&rng, 0.1, 1) / (s->cin * reach[p / 6] * reach[p % 6]));
    }
    for (int oc = 0; oc < s->cout; oc++)
        l->b[oc] = (float)eq_rng_range(&rng, -50, 300);
    for (size_t i = 0; i < dst_count(s); i++)
        l->residual[i] = (uint8_t)eq_rng_below(&rng, 256);
    l->epi.residual = epilogue == RESIDUAL || epilogue == HUGE_SCALES ? l->residual : NULL;
    l->epi.residual_m = epilogue == HUGE_SCALES ? 2e38f : 0.37f;
    l->epi.dst_min = epilogue == PLAIN ? 0 : epilogue == RELU ? 3 : 128;
}

/* Every kernel that this CPU offers, on the given numbers of threads. */
static void check_kernels(const struct row *r, enum values values, enum epilogue epilogue, int zp, const int *threads,
                          int n_threads)
{
    struct layer l;
    layer_init(&l, r->b, r->t, r->h, r->w, r->cin, r->cout);
    fill(&l, values, epilogue, (uint32_t)(r - rows));
    l.src_zp = zp;
    uint8_t *dst = zeros(dst_count(&l.s), 1);
    const struct eq_conv_kernel *all[64];
    const size_t n = kernels_wanted(all, eq_u8s8_domain_candidates(&l.s, all, 64));
    use_threads(2);
    layer_run(&l, all[0], l.dst);
    for (size_t i = 1; i < n; i++)
        for (int k = 0; k < n_threads; k++) {
            size_t bad = 0;
            use_threads(threads[k]);
            kernel_checked(all[i]->name);
            layer_run(&l, all[i], dst);
            while (bad < dst_count(&l.s) && dst[bad] == l.dst[bad])
                bad++;
            if (bad < dst_count(&l.s))
                fail_msg("%s: %s, values %d, epilogue %d, zero-point %d, %d threads: byte %zu is %d, not %d",
                         all[i]->name, shape_text(&l.s), values, epilogue, zp, threads[k], bad, dst[bad], l.dst[bad]);
        }
    eq_free(dst);
    layer_clear(&l);
}

static void test_every_kernel_equals_ref(void **state)
{
    (void)state;
    static const int zero_points[] = {0, 128, 255}, two[] = {2};
    for (int i = 0; i < ROWS; i++)
        for (int c = 0; c < VALUES * EPILOGUES; c++)
            check_kernels(&rows[i], (enum values)(c % VALUES), (enum epilogue)(c / VALUES), zero_points[(c + i) % 3],
                          two, 1);
}

static void test_threads_change_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++)
        check_kernels(&rows[i], SPREAD, RESIDUAL, 3, thread_counts, THREAD_COUNTS);
}

/* Outputs are not all the same, or comparing them would show little. */
static void test_values_are_worth_comparing(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++)
        for (int e = PLAIN; e <= RESIDUAL; e++) {
            struct layer l;
            size_t inside = 0;
            layer_init(&l, rows[i].b, rows[i].t, rows[i].h, rows[i].w, rows[i].cin, rows[i].cout);
            fill(&l, SPREAD, (enum epilogue)e, (uint32_t)i);
            layer_run(&l, eq_u8s8_domain_select(&l.s), l.dst);
            for (size_t k = 0; k < dst_count(&l.s); k++)
                inside += l.dst[k] > l.epi.dst_min && l.dst[k] < 255;
            assert_true(inside * 5 > dst_count(&l.s));
            layer_clear(&l);
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
