/*
 * Checks any kernel of Winograd's domain against ref, to the bit, over shapes, data and epilogues at their limits, with
 * canaries around everything it may write. Needs no test framework, so that it also runs under an emulator.
 */
#ifndef TESTS_KERNELS_DOMAIN_CHECK_H
#define TESTS_KERNELS_DOMAIN_CHECK_H

#include "kernels/u8s8_check.h"

/* One layer's data; sizes follow from the shape. */
struct domain_layer {
    struct eq_conv_shape s;
    int src_zp;
    size_t n_src, n_dst, n_u;
    uint8_t *src, *residual, *dst;
    int8_t *u;
    float *k, *b;
    struct eq_domain_points points;
    struct eq_domain_epilogue epi;
};

static void *domain_zeros(size_t n, size_t size)
{
    void *p = u8s8_malloc(n * size);
    return memset(p, 0, n * size);
}

static void domain_layer_init(struct domain_layer *l, int b, int t, int h, int w, int cin, int cout)
{
    *l = (struct domain_layer){.src_zp = 0};
    eq_conv_shape_init(&l->s, b, t, h, w, cin, cout, 3, 1, 1, EQ_LAYOUT_PIXEL);
    l->n_src = (size_t)b * t * h * w * cin;
    l->n_dst = (size_t)b * t * h * w * cout;
    l->n_u = (size_t)EQ_DOMAIN_POINTS * cin * cout;
    l->src = domain_zeros(l->n_src, 1);
    l->residual = domain_zeros(l->n_dst, 1);
    l->dst = domain_zeros(l->n_dst, 1);
    l->u = domain_zeros(l->n_u, 1);
    l->k = domain_zeros((size_t)EQ_DOMAIN_POINTS * cout, sizeof *l->k);
    l->b = domain_zeros((size_t)cout, sizeof *l->b);
    l->epi = (struct eq_domain_epilogue){.k = l->k, .b = l->b};
}

static void domain_layer_clear(struct domain_layer *l)
{
    void *const all[] = {l->src, l->residual, l->dst, l->u, l->k, l->b};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* Packs and runs; false, with a line, when it wrote outside its buffers. */
static bool domain_run(const struct domain_layer *l, const struct eq_conv_kernel *k, uint8_t *dst)
{
    const size_t n_packed = k->packed_bytes(&l->s), n_scratch = k->scratch_bytes(&l->s, eq_parallel_threads());
    uint8_t *packed = u8s8_guarded_new(n_packed), *scratch = u8s8_guarded_new(n_scratch);
    uint8_t *out = u8s8_guarded_new(l->n_dst);
    k->pack_domain(&l->s, l->u, &l->points, packed);
    k->run.u8s8_domain(&l->s, l->src, l->src_zp, packed, &l->points, &l->epi, out, scratch);
    memcpy(dst, out, l->n_dst);
    bool guards = u8s8_guarded_free(packed, n_packed);
    guards = u8s8_guarded_free(scratch, n_scratch) && guards;
    guards = u8s8_guarded_free(out, l->n_dst) && guards;
    if (!guards)
        printf("%s wrote outside its buffers\n", k->name);
    return guards;
}

/* Sides of whole tiles, of tiles of 3, and that tiles reach beyond; ragged channels; frames of several groups. */
static const struct domain_row {
    int b, t, h, w, cin, cout;
} domain_rows[] = {
    {1, 1, 1, 1, 1, 1},      {1, 1, 2, 2, 64, 64},    {1, 16, 3, 3, 64, 64},   {2, 5, 4, 4, 128, 64},
    {1, 64, 5, 5, 64, 64},   {1, 16, 6, 6, 64, 128},  {1, 16, 7, 7, 256, 96},  {1, 3, 9, 9, 64, 64},
    {1, 16, 14, 14, 64, 64}, {1, 2, 28, 28, 64, 64},  {1, 16, 4, 4, 512, 64},  {1, 17, 7, 7, 64, 32},
    {2, 2, 14, 14, 128, 64}, {1, 4, 1, 28, 64, 64},   {1, 3, 14, 5, 65, 33},   {1, 2, 9, 7, 31, 63},
    {1, 6, 6, 2, 96, 48},    {3, 1, 3, 14, 8, 16},    {1, 18, 2, 9, 20, 130},  {1, 7, 28, 1, 63, 65},
    {1, 1, 7, 14, 16, 8},    {2, 33, 4, 5, 32, 32},   {1, 1, 14, 14, 256, 64}, {1, 11, 10, 11, 100, 17},
    {1, 1, 5, 1, 512, 512},  {1, 8, 13, 6, 127, 129},
};
enum { DOMAIN_ROWS = sizeof domain_rows / sizeof *domain_rows };

enum domain_values {
    DOMAIN_SPREAD,    /* uniform, points scaled to what they reach */
    DOMAIN_MOST,      /* 255 and 127: the greatest sums */
    DOMAIN_ALTERNATE, /* 0 or 255, -127 or 127, points at their limits */
    DOMAIN_VALUES
};
enum domain_epilogue {
    DOMAIN_PLAIN,
    DOMAIN_RELU,
    DOMAIN_RESIDUAL, /* with ReLU */
    DOMAIN_HUGE,     /* scales that no float holds: infinities, and NaNs where they meet */
    DOMAIN_EPILOGUES
};

static void domain_layer_of_row(struct domain_layer *l, int row)
{
    const struct domain_row *r = &domain_rows[row];
    domain_layer_init(l, r->b, r->t, r->h, r->w, r->cin, r->cout);
}

static void domain_fill_bytes(struct domain_layer *l, enum domain_values values, struct eq_rng *rng)
{
    for (size_t i = 0; i < l->n_src; i++)
        l->src[i] = (uint8_t)(values == DOMAIN_SPREAD ? eq_rng_below(rng, 256)
                              : values == DOMAIN_MOST ? 255
                                                      : eq_rng_below(rng, 2) * 255);
    for (size_t i = 0; i < l->n_u; i++)
        l->u[i] = (int8_t)(values == DOMAIN_SPREAD ? (int)eq_rng_below(rng, 255) - 127
                           : values == DOMAIN_MOST ? 127
                                                   : (int)eq_rng_below(rng, 2) * 254 - 127);
    for (size_t i = 0; i < l->n_dst; i++)
        l->residual[i] = (uint8_t)eq_rng_below(rng, 256);
}

static void domain_fill(struct domain_layer *l, enum domain_values values, enum domain_epilogue epilogue,
                        uint32_t sample)
{
    static const int reach[EQ_DOMAIN_IN] = {10, 10, 10, 6, 6, 10}, limits[] = {1, 32767, 16384, 3};
    const struct eq_conv_shape *s = &l->s;
    struct eq_rng rng;
    eq_rng_init(&rng, 21, EQ_RNG_TEST, (uint32_t)values, sample);
    domain_fill_bytes(l, values, &rng);
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        const int span = reach[p / EQ_DOMAIN_IN] * reach[p % EQ_DOMAIN_IN];
        l->points.mul[p] = (int16_t)(values == DOMAIN_SPREAD ? 32768 / span + 1 : limits[(p + sample) % 4]);
        l->points.add[p] = (uint8_t)(values == DOMAIN_SPREAD ? 110 + p : p % 3 * 255 / 2);
        for (int oc = 0; oc < s->cout; oc++)
            l->k[(size_t)p * s->cout + oc] =
                (float)(epilogue == DOMAIN_HUGE ? eq_rng_range(&rng, 0, 3e38)
                                                : eq_rng_range(&rng, 0.1, 1) / (s->cin * span));
    }
    for (int oc = 0; oc < s->cout; oc++)
        l->b[oc] = (float)eq_rng_range(&rng, -50, 300);
    l->epi.residual = epilogue == DOMAIN_RESIDUAL || epilogue == DOMAIN_HUGE ? l->residual : NULL;
    l->epi.residual_m = epilogue == DOMAIN_HUGE ? 2e38f : 0.37f;
    l->epi.dst_min = epilogue == DOMAIN_PLAIN ? 0 : epilogue == DOMAIN_RELU ? 3 : 128;
}

/* Every kernel that this CPU offers for a row of the table; false, with a line, unless all equal ref. */
static bool domain_check_row(int row, enum domain_values values, enum domain_epilogue epilogue)
{
    static const int zero_points[] = {0, 128, 255, 3};
    const struct eq_conv_kernel *all[64];
    struct domain_layer l;
    bool ok = true;
    domain_layer_of_row(&l, row);
    domain_fill(&l, values, epilogue, (uint32_t)row);
    l.src_zp = zero_points[((int)values * DOMAIN_EPILOGUES + (int)epilogue + row) % 4];
    uint8_t *dst = domain_zeros(l.n_dst, 1);
    const size_t n = kernels_wanted(all, eq_u8s8_domain_candidates(&l.s, all, 64));
    ok = domain_run(&l, all[0], l.dst);
    for (size_t i = 1; i < n; i++) {
        size_t bad = 0;
        kernel_checked(all[i]->name);
        ok = domain_run(&l, all[i], dst) && ok;
        while (bad < l.n_dst && dst[bad] == l.dst[bad])
            bad++;
        if (bad < l.n_dst)
            printf("%s: row %d, values %d, epilogue %d, zero-point %d, %d threads: byte %zu is %d, not %d\n",
                   all[i]->name, row, (int)values, (int)epilogue, l.src_zp, eq_parallel_threads(), bad, dst[bad],
                   l.dst[bad]);
        ok = ok && bad == l.n_dst;
    }
    free(dst);
    domain_layer_clear(&l);
    return ok;
}

#endif
