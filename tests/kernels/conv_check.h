/*
 * Every convolution kernel of a family that this CPU has against ref, over many shapes and kinds of data: error bounds,
 * canaries, and equal bits on 1, 2, 3 and 7 threads.
 */
#ifndef TESTS_KERNELS_CONV_CHECK_H
#define TESTS_KERNELS_CONV_CHECK_H

#include "kernels/checker.h"

/* A family of kernels, ref first. */
struct family {
    size_t (*candidates)(enum eq_conv_pass pass, const struct eq_conv_shape *s, const struct eq_conv_kernel **out,
                         size_t max);
    /* How far a sum of so many terms may be from ref's, as a part of the greatest sum of |a b| behind any output. */
    double (*bound)(const struct eq_conv_kernel *k, size_t terms);
};

/* One convolution's tensors; bias and residual take part in the forward pass, old values where a pass adds. */
struct problem {
    struct eq_conv_shape s;
    float *src, *weights, *dst, *bias, *residual, *old;
};

static float *new_floats(size_t n)
{
    float *x = eq_alloc(n ? n : 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static void problem_init(struct problem *p, const struct shape_row *row, enum data_kind kind)
{
    p->s = shape_of(row);
    size_t n_src = src_count(&p->s), n_dst = dst_count(&p->s), n_w = weights_count(&p->s);
    p->src = new_floats(n_src);
    p->weights = new_floats(n_w);
    p->dst = new_floats(n_dst);
    p->residual = new_floats(n_dst);
    p->bias = new_floats(p->s.cout);
    p->old = new_floats(n_src + n_w);
    fill_f32(p->src, n_src, kind, 1);
    fill_f32(p->weights, n_w, kind, 2);
    fill_f32(p->dst, n_dst, kind, 3);
    fill_f32(p->residual, n_dst, kind, 4);
    fill_f32(p->bias, p->s.cout, kind, 5);
    fill_f32(p->old, n_src + n_w, kind, 6);
}

static void problem_clear(struct problem *p)
{
    float *all[] = {p->src, p->weights, p->dst, p->bias, p->residual, p->old};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        eq_free(all[i]);
}

static void make_absolute(struct problem *p)
{
    for (size_t i = 0; i < src_count(&p->s); i++)
        p->src[i] = fabsf(p->src[i]);
    for (size_t i = 0; i < weights_count(&p->s); i++)
        p->weights[i] = fabsf(p->weights[i]);
    for (size_t i = 0; i < dst_count(&p->s); i++)
        p->dst[i] = fabsf(p->dst[i]);
}

static size_t out_count(enum eq_conv_pass pass, const struct eq_conv_shape *s)
{
    return pass == EQ_CONV_FORWARD ? dst_count(s) : pass == EQ_CONV_BACKWARD_DATA ? src_count(s) : weights_count(s);
}

static size_t term_count(enum eq_conv_pass pass, const struct eq_conv_shape *s)
{
    size_t taps = (size_t)s->k * s->k;
    return pass == EQ_CONV_FORWARD         ? taps * s->cin
           : pass == EQ_CONV_BACKWARD_DATA ? taps * s->cout
                                           : (size_t)s->b * s->t * s->oh * s->ow;
}

enum { MAX_CANDIDATES = 16, VARIANTS = 2 };

/* variant 0: the bare sum; 1: bias, residual and ReLU, or accumulation; + VARIANTS: by run_once. Weight gradients
 * always add to old values. */
static void run_pass(const struct eq_conv_kernel *k, enum eq_conv_pass pass, const struct problem *p, int variant,
                     float *out)
{
    const struct eq_conv_shape *s = &p->s;
    bool once = variant >= VARIANTS;
    variant %= VARIANTS;
    size_t n_packed = once ? 0 : k->packed_bytes(s);
    struct guarded packed, scratch;
    const void *w = guarded_init(&packed, n_packed, 0);
    void *tmp = guarded_init(&scratch, (once ? k->once_bytes : k->scratch_bytes)(s, eq_parallel_threads()), 0);
    const union eq_conv_run *run = once ? &k->run_once : &k->run;
    if (n_packed)
        k->pack(s, p->weights, (void *)w);
    if (once)
        w = p->weights;
    struct eq_f32_epilogue epi = {0};
    if (variant)
        epi = (struct eq_f32_epilogue){.bias = p->bias, .residual = p->residual, .relu = true};
    if (pass == EQ_CONV_FORWARD) {
        run->forward(s, p->src, w, &epi, out, tmp);
    } else if (pass == EQ_CONV_BACKWARD_DATA) {
        if (variant)
            memcpy(out, p->old, src_count(s) * sizeof *out);
        run->backward_data(s, p->dst, w, out, variant != 0, tmp);
    } else {
        memcpy(out, p->old, weights_count(s) * sizeof *out);
        k->run.backward_weights(s, p->src, p->dst, out, tmp);
    }
    guarded_check(&packed, k->name);
    guarded_check(&scratch, k->name);
    guarded_clear(&packed);
    guarded_clear(&scratch);
}

/* Not fmax, whose loop over floats GCC 12.2 for ARM cannot compile (an internal error). A NaN is passed over alike. */
static double greater(double max, double x)
{
    return x > max ? x : max;
}

/* The greatest sum of absolute products: what rounding errors are in proportion to. */
static double magnitude_of(const struct family *f, enum eq_conv_pass pass, const struct shape_row *row,
                           enum data_kind kind)
{
    struct problem p;
    problem_init(&p, row, kind);
    make_absolute(&p);
    const struct eq_conv_kernel *ref;
    assert_int_equal(f->candidates(pass, &p.s, &ref, 1), 1);
    size_t n = out_count(pass, &p.s);
    float *out = new_floats(n);
    run_pass(ref, pass, &p, 0, out);
    double max = 0;
    for (size_t i = 0; i < n; i++)
        max = greater(max, fabs((double)out[i]));
    max += kind == DATA_UNIFORM ? 2 : kind == DATA_NEAR_LIMIT ? 2e16 : 2e-18; /* bias, residual, old values */
    eq_free(out);
    problem_clear(&p);
    return max;
}

/* Runs between canaries and returns a hash of the bits; against expected (when not NULL) within tolerance. */
static uint64_t run_checked(const struct eq_conv_kernel *k, enum eq_conv_pass pass, const struct problem *p,
                            int variant, const float *expected, double tolerance)
{
    size_t n = out_count(pass, &p->s);
    struct guarded buffer;
    float *out = guarded_init(&buffer, n * sizeof *out, 0);
    run_pass(k, pass, p, variant, out);
    guarded_check(&buffer, k->name);
    for (size_t i = 0; expected && i < n; i++)
        if (!(fabs((double)out[i] - expected[i]) <= tolerance))
            fail_msg("%s, %s, variant %d: [%zu] is %.9g, ref says %.9g, tolerance %.3g", k->name, shape_text(&p->s),
                     variant, i, out[i], expected[i], tolerance);
    uint64_t hash = eq_hash64(out, n * sizeof *out);
    guarded_clear(&buffer);
    return hash;
}

/* One thread against ref; keeps the hashes. */
static void check_shape(const struct family *f, enum eq_conv_pass pass, const struct shape_row *row,
                        enum data_kind kind, uint64_t hashes[MAX_CANDIDATES][VARIANTS])
{
    struct problem p;
    problem_init(&p, row, kind);
    const struct eq_conv_kernel *kernels[MAX_CANDIDATES];
    size_t n_kernels = f->candidates(pass, &p.s, kernels, MAX_CANDIDATES);
    /* Nobody asks for the gradient of pixels. */
    assert_true(n_kernels >= 2 || (pass == EQ_CONV_BACKWARD_DATA && p.s.src_layout == EQ_LAYOUT_CLIP));
    n_kernels = kernels_wanted(kernels, n_kernels);
    if (n_kernels == 1) {
        problem_clear(&p);
        return;
    }
    double magnitude = magnitude_of(f, pass, row, kind);
    float *expected = new_floats(out_count(pass, &p.s));
    for (int variant = 0; variant < VARIANTS; variant++) {
        run_pass(kernels[0], pass, &p, variant, expected);
        for (size_t k = 1; k < n_kernels; k++) {
            kernel_checked(kernels[k]->name);
            hashes[k][variant] = run_checked(kernels[k], pass, &p, variant, expected,
                                             magnitude * f->bound(kernels[k], term_count(pass, &p.s)));
        }
    }
    eq_free(expected);
    problem_clear(&p);
}

/* The threads of the moment against the hashes of one thread. */
static void check_threads(const struct family *f, enum eq_conv_pass pass, const struct shape_row *row,
                          uint64_t hashes[MAX_CANDIDATES][VARIANTS])
{
    struct problem p;
    problem_init(&p, row, DATA_UNIFORM);
    const struct eq_conv_kernel *kernels[MAX_CANDIDATES];
    size_t n_kernels = kernels_wanted(kernels, f->candidates(pass, &p.s, kernels, MAX_CANDIDATES));
    for (int variant = 0; variant < VARIANTS; variant++)
        for (size_t k = 1; k < n_kernels; k++)
            if (run_checked(kernels[k], pass, &p, variant, NULL, 0) != hashes[k][variant])
                fail_msg("%s, %s: other bits on %d threads than on 1", kernels[k]->name, shape_text(&p.s),
                         eq_parallel_threads());
    problem_clear(&p);
}

/* Weights that serve one call, by run_once: the bits of pack and run. Returns how many kernels take them so. */
static int check_once_shape(const struct family *f, enum eq_conv_pass pass, const struct shape_row *row)
{
    struct problem p;
    int checked = 0;
    problem_init(&p, row, DATA_UNIFORM);
    const struct eq_conv_kernel *kernels[MAX_CANDIDATES];
    size_t n_kernels = kernels_wanted(kernels, f->candidates(pass, &p.s, kernels, MAX_CANDIDATES));
    for (size_t i = 0; i < n_kernels; i++) {
        const struct eq_conv_kernel *k = kernels[i];
        if (!k->once_bytes || k->once_bytes(&p.s, 1) == 0)
            continue;
        checked++;
        for (int variant = 0; variant < VARIANTS; variant++)
            for (int n = 0; n < THREAD_COUNTS; n++) {
                use_threads(thread_counts[n]);
                uint64_t packed = run_checked(k, pass, &p, variant, NULL, 0);
                if (run_checked(k, pass, &p, variant + VARIANTS, NULL, 0) != packed)
                    fail_msg("%s, %s: other bits from weights that are not packed", k->name, shape_text(&p.s));
            }
    }
    problem_clear(&p);
    return checked;
}

static void check_once(const struct family *f, enum eq_isa isa)
{
    static const struct shape_row rows[] = {
        {1, 3, 4, 4, 512, 512, 3, 1, 1, EQ_LAYOUT_PIXEL},  {2, 5, 7, 4, 512, 528, 3, 1, 1, EQ_LAYOUT_PIXEL},
        {1, 1, 10, 7, 528, 512, 3, 1, 0, EQ_LAYOUT_PIXEL}, {5, 17, 4, 4, 512, 512, 3, 1, 1, EQ_LAYOUT_PIXEL},
        {1, 2, 5, 6, 512, 512, 3, 1, 2, EQ_LAYOUT_PIXEL},
    };
    struct eq_err err;
    assert_int_equal(eq_cpu_set_ceiling("auto", &err), EQ_OK);
    eq_kernels_init();
    int checked = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int pass = EQ_CONV_FORWARD; pass <= EQ_CONV_BACKWARD_DATA; pass++)
            checked += check_once_shape(f, (enum eq_conv_pass)pass, &rows[i]);
    assert_true(checked > 0 || kernel_picked() || !eq_cpu_has(isa));
}

static void check_pass(const struct family *f, enum eq_conv_pass pass)
{
    struct eq_err err;
    assert_int_equal(eq_cpu_set_ceiling("auto", &err), EQ_OK);
    eq_kernels_init();
    use_threads(1);
    static uint64_t hashes[CONV_SHAPES][MAX_CANDIDATES][VARIANTS];
    for (int kind = DATA_KINDS - 1; kind >= 0; kind--) /* uniform last: its hashes are kept */
        for (int i = 0; i < CONV_SHAPES; i++)
            check_shape(f, pass, &conv_shapes[i], (enum data_kind)kind, hashes[i]);
    for (int n = 1; n < THREAD_COUNTS; n++) {
        use_threads(thread_counts[n]);
        for (int i = 0; i < CONV_SHAPES; i++)
            check_threads(f, pass, &conv_shapes[i], hashes[i]);
    }
}

#endif
