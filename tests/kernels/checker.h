/*
 * What the kernel tests share: buffers between canaries, hostile data, the convolution shapes to try, and the ISA
 * levels of this CPU, each on several numbers of threads.
 */
#ifndef TESTS_KERNELS_CHECKER_H
#define TESTS_KERNELS_CHECKER_H

#include "unit/cmocka_all.h"

#include "echoquant/kernels.h"
#include "kernels/pick.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- buffers ------------------------------------------------------------- */

enum { GUARD = 256 }; /* bytes of canary on each side */

/* n bytes between two canaries, offset bytes beyond a 64-byte boundary (0, or a value's size to try unaligned data). */
struct guarded {
    unsigned char *block;
    size_t n, offset;
};

static inline unsigned char canary(size_t i)
{
    return (unsigned char)(0xa5 ^ (i & 0x3f));
}

/* Every byte 0xff: a NaN in floats, so that what was not written shows. */
static inline void guarded_poison(struct guarded *g)
{
    for (size_t i = 0; i < g->n; i++)
        g->block[GUARD + g->offset + i] = 0xff;
}

/* Returns the buffer, poisoned. */
static inline void *guarded_init(struct guarded *g, size_t n, size_t offset)
{
    if (n > SIZE_MAX / 4 || offset > SIZE_MAX / 4)
        abort(); /* so that GCC 11 knows: the sums below do not wrap */
    g->block = eq_alloc(n + 2 * GUARD + offset, 1);
    assert_non_null(g->block);
    g->n = n;
    g->offset = offset;
    for (size_t i = 0; i < n + 2 * GUARD + offset; i++)
        g->block[i] = canary(i);
    guarded_poison(g);
    return g->block + GUARD + offset;
}

/* Fails when a byte outside the buffer was written. */
static inline void guarded_check(const struct guarded *g, const char *what)
{
    for (size_t i = 0; i < g->n + 2 * GUARD + g->offset; i++) {
        bool inside = i >= GUARD + g->offset && i < GUARD + g->offset + g->n;
        if (!inside && g->block[i] != canary(i))
            fail_msg("%s: wrote %td bytes from the start of a buffer of %zu", what,
                     (ptrdiff_t)i - (ptrdiff_t)(GUARD + g->offset), g->n);
    }
}

static inline void guarded_clear(struct guarded *g)
{
    eq_free(g->block);
    g->block = NULL;
}

/* ---- data ---------------------------------------------------------------- */

enum data_kind { DATA_UNIFORM, DATA_NEAR_ZERO, DATA_NEAR_LIMIT, DATA_KINDS };
static const char *const data_names[DATA_KINDS] = {"uniform", "near zero", "near limit"};

/* uniform in [-1, 1]; scaled to 1e-18, where products lie near the smallest normal number; or to 1e16, where the sum of
 * a layer's products comes near the largest that a Winograd transform can carry. */
static inline void fill_f32(float *x, size_t n, enum data_kind kind, uint32_t sample)
{
    static const double scales[DATA_KINDS] = {1, 1e-18, 1e16};
    struct eq_rng rng;
    eq_rng_init(&rng, 7, EQ_RNG_TEST, (uint32_t)kind, sample);
    for (size_t i = 0; i < n;
         i++) /* a prime number of values, then the same again: fresh ones would take most of the time */
        x[i] = i < 4099 ? (float)(eq_rng_range(&rng, -1, 1) * scales[kind]) : x[i - 4099];
}

/* uniform over 0..255; 0 and 1 only; 0 and 255 only. */
static inline void fill_u8(uint8_t *x, size_t n, enum data_kind kind, uint32_t sample)
{
    struct eq_rng rng;
    eq_rng_init(&rng, 7, EQ_RNG_TEST, 16 + (uint32_t)kind, sample);
    for (size_t i = 0; i < n; i++) {
        uint32_t r = eq_rng_u32(&rng);
        x[i] = (uint8_t)(kind == DATA_UNIFORM ? r & 255 : kind == DATA_NEAR_ZERO ? r & 1 : (r & 1) * 255);
    }
}

/* ---- convolution shapes -------------------------------------------------- */

struct shape_row {
    int b, t, h, w, cin, cout, k, stride, pad;
    enum eq_layout layout;
};

/* Odd, tiny and ragged ones, and ResNet-18's kinds with fewer channels. */
static const struct shape_row conv_shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, EQ_LAYOUT_PIXEL},     {1, 1, 1, 1, 1, 1, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {1, 1, 3, 2, 5, 7, 3, 1, 1, EQ_LAYOUT_PIXEL},     {1, 3, 5, 4, 3, 2, 3, 1, 0, EQ_LAYOUT_PIXEL},
    {2, 2, 4, 4, 64, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},   {1, 8, 7, 7, 32, 64, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {2, 5, 8, 9, 16, 33, 3, 1, 1, EQ_LAYOUT_PIXEL},   {1, 2, 14, 14, 64, 32, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {3, 1, 6, 10, 48, 80, 3, 1, 1, EQ_LAYOUT_PIXEL},  {1, 17, 5, 6, 17, 16, 3, 1, 1, EQ_LAYOUT_PIXEL},
    {1, 2, 13, 7, 32, 128, 3, 1, 1, EQ_LAYOUT_PIXEL}, {1, 2, 9, 9, 16, 16, 3, 1, 2, EQ_LAYOUT_PIXEL},
    {2, 3, 8, 8, 32, 64, 3, 2, 1, EQ_LAYOUT_PIXEL},   {1, 16, 7, 7, 64, 96, 3, 2, 1, EQ_LAYOUT_PIXEL},
    {1, 2, 6, 5, 10, 20, 3, 2, 1, EQ_LAYOUT_PIXEL},   {1, 1, 2, 2, 16, 16, 3, 2, 1, EQ_LAYOUT_PIXEL},
    {2, 4, 8, 8, 32, 64, 1, 2, 0, EQ_LAYOUT_PIXEL},   {1, 3, 7, 5, 24, 40, 1, 2, 0, EQ_LAYOUT_PIXEL},
    {1, 6, 5, 5, 64, 64, 1, 1, 0, EQ_LAYOUT_PIXEL},   {2, 2, 16, 16, 3, 64, 7, 2, 3, EQ_LAYOUT_CLIP},
    {1, 5, 19, 13, 3, 64, 7, 2, 3, EQ_LAYOUT_CLIP},   {1, 3, 11, 12, 3, 16, 7, 2, 3, EQ_LAYOUT_CLIP},
    {1, 1, 3, 4, 3, 24, 7, 2, 3, EQ_LAYOUT_CLIP},     {1, 2, 6, 6, 1, 8, 5, 1, 2, EQ_LAYOUT_CLIP},
    {1, 2, 9, 9, 4, 6, 3, 3, 1, EQ_LAYOUT_PIXEL},
};
enum { CONV_SHAPES = sizeof conv_shapes / sizeof *conv_shapes };

static inline struct eq_conv_shape shape_of(const struct shape_row *r)
{
    struct eq_conv_shape s;
    eq_conv_shape_init(&s, r->b, r->t, r->h, r->w, r->cin, r->cout, r->k, r->stride, r->pad, r->layout);
    return s;
}

static inline size_t src_count(const struct eq_conv_shape *s)
{
    return (size_t)s->b * s->t * s->h * s->w * s->cin;
}

static inline size_t dst_count(const struct eq_conv_shape *s)
{
    return (size_t)s->b * s->t * s->oh * s->ow * s->cout;
}

static inline size_t weights_count(const struct eq_conv_shape *s)
{
    return (size_t)s->cout * s->cin * s->k * s->k;
}

static inline const char *shape_text(const struct eq_conv_shape *s)
{
    static char text[128];
    snprintf(text, sizeof text, "b%d t%d %dx%d %d->%d k%d s%d p%d", s->b, s->t, s->h, s->w, s->cin, s->cout, s->k,
             s->stride, s->pad);
    return text;
}

/* ---- ISA levels and threads ---------------------------------------------- */

static const int thread_counts[] = {1, 2, 3, 7};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts };

static inline void use_threads(int n)
{
    struct eq_err err;
    if (eq_parallel_init(n, &err) != EQ_OK)
        fail_msg("%s", err.msg);
}

/* Caps the tables at a level; false when this CPU lacks it. */
static inline bool use_isa(enum eq_isa isa)
{
    struct eq_err err;
    if (!eq_cpu_has(isa))
        return false;
    if (eq_cpu_set_ceiling(eq_isa_name(isa), &err) != EQ_OK)
        fail_msg("%s", err.msg);
    eq_kernels_init();
    return true;
}

/* As use_isa, to check a slot of a table; false also where it is not wanted. The report names it. */
static inline bool use_slot(const char *slot, enum eq_isa isa)
{
    const char *name = slot_name(slot, isa);
    if (!kernel_wanted(name))
        return false;
    kernel_tally(name)->checks += eq_cpu_has(isa);
    return use_isa(isa);
}

#endif
