/*
 * Checks any u8s8 convolution kernel against ref, to the bit, over shapes, extreme data and epilogues at their limits,
 * with canaries around everything it may write. Needs no test framework, so that it also runs under an emulator.
 */
#ifndef TESTS_KERNELS_U8S8_CHECK_H
#define TESTS_KERNELS_U8S8_CHECK_H

#include "kernels/fill.h"
#include "kernels/pick.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct u8s8_shape {
    int b, t, h, w, cin, cout, k, stride, pad;
    enum eq_layout layout;
};
/* Odd, tiny and ragged ones; every remainder of a size modulo 4; ResNet-18's kinds. */
static const struct u8s8_shape u8s8_shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, EQ_LAYOUT_PIXEL},      {1, 1, 1, 1, 1, 1, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {1, 1, 3, 2, 5, 7, 3, 1, 1, EQ_LAYOUT_PIXEL},      {1, 3, 5, 4, 3, 2, 3, 1, 0, EQ_LAYOUT_PIXEL},
    {2, 2, 4, 4, 64, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},    {1, 16, 7, 7, 32, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {2, 5, 8, 9, 16, 33, 3, 1, 1, EQ_LAYOUT_PIXEL},    {1, 8, 14, 14, 64, 32, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {3, 1, 6, 10, 48, 80, 3, 1, 1, EQ_LAYOUT_PIXEL},   {1, 17, 5, 6, 17, 16, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {1, 4, 13, 7, 64, 128, 3, 1, 1, EQ_LAYOUT_PIXEL},  {1, 2, 9, 9, 16, 16, 3, 1, 2, EQ_LAYOUT_PIXEL},
    {2, 3, 8, 8, 32, 64, 3, 2, 1, EQ_LAYOUT_PIXEL},    {1, 16, 7, 7, 64, 96, 3, 2, 1, EQ_LAYOUT_PIXEL},
    {1, 2, 6, 5, 10, 20, 3, 2, 1, EQ_LAYOUT_PIXEL},    {1, 1, 2, 2, 16, 16, 3, 2, 1, EQ_LAYOUT_PIXEL},
    {2, 4, 8, 8, 32, 64, 1, 2, 0, EQ_LAYOUT_PIXEL},    {1, 3, 7, 5, 24, 40, 1, 2, 0, EQ_LAYOUT_PIXEL},
    {1, 6, 5, 5, 64, 64, 1, 1, 0, EQ_LAYOUT_PIXEL},    {2, 2, 16, 16, 3, 64, 7, 2, 3, EQ_LAYOUT_CLIP},
    {1, 5, 19, 13, 3, 64, 7, 2, 3, EQ_LAYOUT_CLIP},    {1, 3, 11, 12, 3, 16, 7, 2, 3, EQ_LAYOUT_CLIP},
    {1, 1, 3, 4, 3, 24, 7, 2, 3, EQ_LAYOUT_CLIP},      {1, 2, 6, 6, 1, 8, 5, 1, 2, EQ_LAYOUT_CLIP},
    {1, 2, 9, 9, 4, 6, 3, 3, 1, EQ_LAYOUT_PIXEL},      {1, 2, 28, 28, 64, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {1, 1, 14, 14, 128, 96, 3, 1, 1, EQ_LAYOUT_PIXEL}, {1, 1, 7, 7, 256, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {1, 1, 4, 4, 512, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},   {2, 2, 2, 3, 64, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {1, 20, 2, 1, 20, 20, 3, 1, 1, EQ_LAYOUT_PIXEL},   {1, 1, 31, 33, 8, 8, 3, 1, 0, EQ_LAYOUT_PIXEL},
    {1, 2, 112, 112, 3, 64, 7, 2, 3, EQ_LAYOUT_CLIP},  {1, 7, 6, 9, 3, 5, 7, 2, 3, EQ_LAYOUT_PIXEL},
    {1, 64, 2, 2, 64, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},   {1, 9, 3, 3, 64, 130, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {2, 18, 3, 2, 64, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},   {1, 1, 1, 1, 352, 384, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {1, 3, 5, 4, 64, 192, 3, 1, 2, EQ_LAYOUT_PIXEL},
};
enum { U8S8_SHAPES = sizeof u8s8_shapes / sizeof *u8s8_shapes };

/* What source and weights are filled with. */
enum u8s8_data {
    U8S8_UNIFORM,   /* 0..255 and -127..127 */
    U8S8_ALL_LEAST, /* every pixel 255, every weight -127: the largest sum below zero */
    U8S8_ALL_MOST,  /* 255 and 127 */
    U8S8_ALTERNATE, /* 0 or 255, -127 or 127, at random: neighboring products that overflow 16 bits */
    U8S8_PAIR,      /* 211, 171 with 71, 107: 211 * 71 + 171 * 107 = 33278, which saturating instructions lose */
    U8S8_SMALL,     /* 0..1 and -1..1 */
    U8S8_GRAY,      /* uniform, with all channels of a pixel equal, */
    U8S8_NEARLY,    /* or of all but the very last one */
    U8S8_DATA_KINDS
};
/* What the epilogue does with the sums. */
enum u8s8_epilogue_kind {
    U8S8_SCALED,   /* spread over 0..255, no residual */
    U8S8_RESIDUAL, /* the same with residual and ReLU */
    U8S8_TIES,     /* m = 1/2: every odd sum is a tie; odd zero-point */
    U8S8_LIMITS,   /* scales so large that r leaves int32 and even float */
    U8S8_EPILOGUES
};

struct u8s8_problem {
    struct eq_conv_shape s;
    int src_zp;
    size_t n_src, n_dst, n_weights;
    uint8_t *src, *residual, *expected;
    int8_t *weights;
    float *m, *b;
    struct eq_u8s8_epilogue epi;
};

static struct eq_u8s8_table u8s8_ref(void)
{
    struct eq_u8s8_table ref;
    eq_u8s8_fill__ref(&ref);
    return ref;
}

/* Plain malloc of exactly n bytes: a sanitizer sees reads past the end, and alignment is nothing to rely on. */
static void *u8s8_malloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        abort();
    return p;
}

static void u8s8_fill(struct u8s8_problem *p, enum u8s8_data kind, struct eq_rng *rng)
{
    for (size_t i = 0; i < p->n_src; i++) {
        uint32_t r = eq_rng_u32(rng);
        p->src[i] = (uint8_t)(kind == U8S8_ALL_LEAST || kind == U8S8_ALL_MOST ? 255
                              : kind == U8S8_ALTERNATE                        ? (r & 1) * 255
                              : kind == U8S8_PAIR                             ? (i & 1 ? 171 : 211)
                              : kind == U8S8_SMALL                            ? r & 1
                                                                              : r & 255);
        if ((kind == U8S8_GRAY || kind == U8S8_NEARLY) && i % (size_t)p->s.cin)
            p->src[i] = p->src[i - 1];
    }
    if (kind == U8S8_NEARLY)
        p->src[p->n_src - 1] ^= 1;
    for (size_t i = 0; i < p->n_weights; i++) {
        int r = (int)eq_rng_below(rng, 255) - 127;
        size_t ic = i / ((size_t)p->s.k * p->s.k) % (size_t)p->s.cin;
        p->weights[i] = (int8_t)(kind == U8S8_ALL_LEAST   ? -127
                                 : kind == U8S8_ALL_MOST  ? 127
                                 : kind == U8S8_ALTERNATE ? (r < 0 ? -127 : 127)
                                 : kind == U8S8_PAIR      ? (ic & 1 ? 107 : 71)
                                 : kind == U8S8_SMALL     ? r % 2
                                                          : r);
    }
}

static void u8s8_fill_epilogue(struct u8s8_problem *p, enum u8s8_epilogue_kind kind, struct eq_rng *rng)
{
    double taps = (double)p->s.cin * p->s.k * p->s.k;
    for (int i = 0; i < p->s.cout; i++) {
        p->m[i] = (float)(eq_rng_range(rng, 0.5, 1.5) / (150 * (taps > 4 ? taps / 3 : 2)));
        p->b[i] = (float)eq_rng_range(rng, -40, 40);
        if (kind == U8S8_TIES) {
            p->m[i] = i & 1 ? 0.5f : -0.5f;
            p->b[i] = (float)(i % 3);
        } else if (kind == U8S8_LIMITS) {
            static const float m[] = {1e6f, 3e38f, -3e38f, 1e-45f, -1e20f};
            static const float b[] = {0, 2147483648.0f, -2147483648.0f, 3e38f, -3e38f, 127.5f};
            p->m[i] = m[i % 5];
            p->b[i] = b[i % 6];
        }
    }
    for (size_t i = 0; i < p->n_dst; i++)
        p->residual[i] = (uint8_t)eq_rng_below(rng, 256);
    p->epi = (struct eq_u8s8_epilogue){.m = p->m, .b = p->b, .dst_zp = 100, .dst_min = 0, .dst_max = 255};
    if (kind == U8S8_RESIDUAL || kind == U8S8_LIMITS) {
        p->epi.residual = p->residual;
        p->epi.residual_zp = 37;
        p->epi.residual_m = kind == U8S8_LIMITS ? 1.5e36f : 0.37f;
        p->epi.dst_min = p->epi.dst_zp;
    } else if (kind == U8S8_TIES) {
        p->epi.dst_zp = 101;
        p->epi.dst_min = 3;
        p->epi.dst_max = 250;
    }
}

/* What ref makes of the problem without pooling. */
static void u8s8_run_ref(const struct u8s8_problem *p, uint8_t *dst)
{
    void *packed = eq_alloc(eq_u8s8_conv_direct__ref.packed_bytes(&p->s), 1);
    if (!packed)
        abort();
    eq_u8s8_conv_direct__ref.pack_s8(&p->s, p->weights, p->src_zp, packed);
    eq_u8s8_conv_direct__ref.run.u8s8(&p->s, p->src, p->src_zp, packed, &p->epi, dst, NULL);
    eq_free(packed);
}

static void u8s8_problem_init(struct u8s8_problem *p, const struct u8s8_shape *row, enum u8s8_data data,
                              enum u8s8_epilogue_kind epilogue, int src_zp)
{
    eq_conv_shape_init(&p->s, row->b, row->t, row->h, row->w, row->cin, row->cout, row->k, row->stride, row->pad,
                       row->layout);
    const struct eq_conv_shape *s = &p->s;
    p->src_zp = src_zp;
    p->n_src = (size_t)s->b * s->t * s->h * s->w * s->cin;
    p->n_dst = (size_t)s->b * s->t * s->oh * s->ow * s->cout;
    p->n_weights = (size_t)s->cout * s->cin * s->k * s->k;
    p->src = u8s8_malloc(p->n_src);
    p->residual = u8s8_malloc(p->n_dst);
    p->expected = u8s8_malloc(p->n_dst);
    p->weights = u8s8_malloc(p->n_weights);
    p->m = u8s8_malloc(s->cout * sizeof(float));
    p->b = u8s8_malloc(s->cout * sizeof(float));
    struct eq_rng rng;
    eq_rng_init(&rng, 11, EQ_RNG_TEST, (uint32_t)data, (uint32_t)(row - u8s8_shapes));
    u8s8_fill(p, data, &rng);
    u8s8_fill_epilogue(p, epilogue, &rng);
    u8s8_run_ref(p, p->expected);
}

static void u8s8_problem_clear(struct u8s8_problem *p)
{
    void *const all[] = {p->src, p->residual, p->expected, p->weights, p->m, p->b};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* n bytes, 64-byte aligned (packed weights and scratch are promised that), between two canaries. */
enum { U8S8_GUARD = 64 };
static uint8_t *u8s8_guarded_new(size_t n)
{
    uint8_t *p = eq_alloc(n + 2 * U8S8_GUARD, 1);
    if (!p)
        abort();
    memset(p, 0xa5, n + 2 * U8S8_GUARD);
    return p + U8S8_GUARD;
}

/* Frees it; false when a canary died. */
static bool u8s8_guarded_free(uint8_t *p, size_t n)
{
    bool alive = true;
    for (size_t i = 0; i < U8S8_GUARD; i++)
        alive = alive && *(p - 1 - i) == 0xa5 && p[n + i] == 0xa5;
    eq_free(p - U8S8_GUARD);
    return alive;
}

static bool u8s8_complain(const struct eq_conv_kernel *k, const struct u8s8_problem *p, const char *what, size_t at)
{
    const struct eq_conv_shape *s = &p->s;
    printf("%s: b%d t%d %dx%d %d->%d k%d s%d p%d %s, zero-point %d, %d threads: %s (%zu)\n", k->name, s->b, s->t, s->h,
           s->w, s->cin, s->cout, s->k, s->stride, s->pad, s->src_layout == EQ_LAYOUT_CLIP ? "clip" : "pixel",
           p->src_zp, eq_parallel_threads(), what, at);
    return false;
}

/* Packs and runs; false, with a line that says what is wrong, unless dst equals ref's to the bit. */
static bool u8s8_check_kernel(const struct eq_conv_kernel *k, const struct u8s8_problem *p)
{
    const struct eq_conv_shape *s = &p->s;
    const size_t n_packed = k->packed_bytes(s), n_scratch = k->scratch_bytes(s, eq_parallel_threads());
    size_t bad = 0;
    uint8_t *packed = u8s8_guarded_new(n_packed), *scratch = u8s8_guarded_new(n_scratch);
    uint8_t *dst = u8s8_guarded_new(p->n_dst);
    k->pack_s8(s, p->weights, p->src_zp, packed);
    k->run.u8s8(s, p->src, p->src_zp, packed, &p->epi, dst, scratch);
    while (bad < p->n_dst && dst[bad] == p->expected[bad])
        bad++;
    bool guards = u8s8_guarded_free(packed, n_packed);
    guards = u8s8_guarded_free(scratch, n_scratch) && guards;
    guards = u8s8_guarded_free(dst, p->n_dst) && guards;
    if (!guards)
        return u8s8_complain(k, p, "wrote outside its buffers", 0);
    return bad == p->n_dst || u8s8_complain(k, p, "differs from ref at", bad);
}

/* The same for max pooling in the kernel's pass, where it offers that, against ref's two passes. m is then not below 0.
 */
static bool u8s8_check_pooled(const struct eq_conv_kernel *k, const struct u8s8_problem *p)
{
    const struct eq_conv_shape *s = &p->s;
    if (p->epi.residual || !k->fuses_maxpool || !k->fuses_maxpool(s, 3, 2, 1))
        return true;
    const int ph = (s->oh - 1) / 2 + 1, pw = (s->ow - 1) / 2 + 1, tc = s->t * s->cout;
    struct u8s8_problem pooled = *p;
    pooled.n_dst = (size_t)s->b * ph * pw * tc;
    pooled.expected = u8s8_malloc(pooled.n_dst);
    pooled.m = u8s8_malloc((size_t)s->cout * sizeof(float));
    for (int i = 0; i < s->cout; i++)
        pooled.m[i] = fabsf(p->m[i]);
    pooled.epi.m = pooled.m;
    uint8_t *whole = u8s8_malloc(p->n_dst);
    u8s8_run_ref(&pooled, whole);
    const struct eq_pool_shape pool = {s->b, s->oh, s->ow, tc, 3, 2, 1, ph, pw};
    u8s8_ref().maxpool(&pool, whole, pooled.expected);
    pooled.epi.pool_k = 3;
    pooled.epi.pool_stride = 2;
    pooled.epi.pool_pad = 1;
    bool ok = u8s8_check_kernel(k, &pooled);
    free(pooled.expected);
    free(pooled.m);
    free(whole);
    return ok;
}

/* Every kernel that this CPU offers for the problem, or the given one alone; counts what was checked. */
static bool u8s8_check_problem(const struct eq_conv_kernel *only, const struct u8s8_problem *p, size_t *checked)
{
    const struct eq_conv_kernel *all[64] = {only};
    size_t n = only ? only->supports(&p->s) : eq_u8s8_conv_candidates(&p->s, all, 64);
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        if ((!only && !kernel_wanted(all[i]->name)) ||
            (all[i]->accepts && !all[i]->accepts(&p->s, p->weights, p->src_zp)))
            continue;
        kernel_checked(all[i]->name);
        ok = u8s8_check_kernel(all[i], p) && u8s8_check_pooled(all[i], p) && ok;
        ++*checked;
    }
    return ok;
}

/* All shapes. every: all kinds of data times all epilogues (for large shapes a fifth of them, all kinds among them);
 * otherwise one of each a shape, which vary with salt. */
static inline bool u8s8_check_all(const struct eq_conv_kernel *only, bool every, unsigned salt, size_t *checked)
{
    static const int zero_points[] = {0, 128, 255, 3};
    enum { PICKS = U8S8_DATA_KINDS * U8S8_EPILOGUES };
    bool ok = true, wanted = only != NULL;
    for (int i = 0; i < EVERY_KERNEL; i++)
        wanted = wanted || (kernel_is_of(every_kernel[i]->name, "u8s8") && kernel_wanted(every_kernel[i]->name));
    for (unsigned i = 0; wanted && i < U8S8_SHAPES; i++) {
        const struct u8s8_shape *row = &u8s8_shapes[i];
        bool large = (double)row->t * row->h * row->w * row->cin * row->cout * row->k * row->k > 4e6;
        for (unsigned c = 0; c < (every ? PICKS : 1); c += large ? 5 : 1) {
            unsigned pick = (every ? c : i + salt) * 7 % PICKS;
            struct u8s8_problem p;
            u8s8_problem_init(&p, row, (enum u8s8_data)(pick % U8S8_DATA_KINDS),
                              (enum u8s8_epilogue_kind)(pick / U8S8_DATA_KINDS), zero_points[(pick + i + salt) % 4]);
            ok = u8s8_check_problem(only, &p, checked) && ok;
            u8s8_problem_clear(&p);
        }
    }
    return ok;
}

#endif
