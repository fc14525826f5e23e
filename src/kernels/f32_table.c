/* Which f32 kernel runs: one list a pass in ascending order of preference, and who may use what on this CPU. */
#include "kernels/f32.h"
#include "kernels/f32_fill.h"

enum { MAX_KERNELS = 16 };

#if defined(__x86_64__)
#define X86(kernel) &kernel##__avx2, &kernel##__avx512,
#else
#define X86(kernel)
#endif

/* ref first: it supports everything and is chosen when nothing else is. */
static const struct eq_f32_conv_kernel *const conv_kernels[EQ_CONV_PASSES][MAX_KERNELS] = {
    [EQ_CONV_FORWARD] = {&eq_f32_conv_forward_ref, &eq_f32_conv_forward_blas,
                         X86(eq_f32_conv_forward_direct) X86(eq_f32_conv_forward_winograd)
                             X86(eq_f32_conv_forward_winograd7)},
    [EQ_CONV_BACKWARD_DATA] = {&eq_f32_conv_backward_data_ref, &eq_f32_conv_backward_data_blas,
                               X86(eq_f32_conv_backward_data_direct) X86(eq_f32_conv_backward_data_winograd)},
    [EQ_CONV_BACKWARD_WEIGHTS] = {&eq_f32_conv_backward_weights_ref, &eq_f32_conv_backward_weights_blas,
                                  X86(eq_f32_conv_backward_weights_direct) X86(eq_f32_conv_backward_weights_winograd)
                                      X86(eq_f32_conv_backward_weights_winograd7)},
};

static struct eq_f32_table f32_table;
static struct eq_image_table image_table;

static bool usable(const struct eq_f32_conv_kernel *k, const struct eq_conv_shape *s)
{
    return (k->isa == EQ_ISA_REF || eq_cpu_use(k->isa)) && k->supports(s);
}

const struct eq_f32_conv_kernel *eq_f32_conv_select(enum eq_conv_pass pass, const struct eq_conv_shape *s)
{
    const struct eq_f32_conv_kernel *best = conv_kernels[pass][0];
    for (size_t i = 1; i < MAX_KERNELS && conv_kernels[pass][i]; i++) {
        const struct eq_f32_conv_kernel *k = conv_kernels[pass][i];
        if (usable(k, s) && (!k->prefers || k->prefers(s)))
            best = k;
    }
    return best;
}

/* The direct kernels keep the order of ordered_ref: their registers go over channels and pixels, never over a sum. */
const struct eq_f32_conv_kernel *eq_f32_conv_select_ordered(const struct eq_conv_shape *s)
{
#if defined(__x86_64__)
    if (usable(&eq_f32_conv_forward_direct__avx512, s))
        return &eq_f32_conv_forward_direct__avx512;
    if (usable(&eq_f32_conv_forward_direct__avx2, s))
        return &eq_f32_conv_forward_direct__avx2;
#else
    (void)s;
#endif
    return &eq_f32_conv_forward_ordered_ref;
}

size_t eq_f32_conv_candidates(enum eq_conv_pass pass, const struct eq_conv_shape *s,
                              const struct eq_f32_conv_kernel **out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < MAX_KERNELS && conv_kernels[pass][i] && n < max; i++)
        if (usable(conv_kernels[pass][i], s))
            out[n++] = conv_kernels[pass][i];
    return n;
}

static void fill_ref(void)
{
    f32_table.isa = image_table.isa = EQ_ISA_REF;
    eq_f32_fill_bn_ref(&f32_table);
    eq_f32_fill_pool_ref(&f32_table);
    eq_f32_fill_elementwise_ref(&f32_table);
    eq_f32_fill_observe_ref(&f32_table);
    eq_image_fill_ref(&image_table);
}

#if defined(__x86_64__)
static void fill_avx2(void)
{
    f32_table.isa = image_table.isa = EQ_ISA_AVX2;
    eq_f32_fill_bn__avx2(&f32_table);
    eq_f32_fill_pool__avx2(&f32_table);
    eq_f32_fill_elementwise__avx2(&f32_table);
    eq_f32_fill_observe__avx2(&f32_table);
    eq_image_fill__avx2(&image_table);
}

static void fill_avx512(void)
{
    f32_table.isa = image_table.isa = EQ_ISA_AVX512;
    eq_f32_fill_bn__avx512(&f32_table);
    eq_f32_fill_pool__avx512(&f32_table);
    eq_f32_fill_elementwise__avx512(&f32_table);
    eq_f32_fill_observe__avx512(&f32_table);
    eq_image_fill__avx512(&image_table);
}
#endif

void eq_f32_table_init(void)
{
    fill_ref();
#if defined(__x86_64__)
    if (eq_cpu_use(EQ_ISA_AVX2))
        fill_avx2();
    if (eq_cpu_use(EQ_ISA_AVX512))
        fill_avx512();
#endif
}

/* A program that never set a ceiling gets the tables on first use. */
const struct eq_f32_table *eq_f32_kernels(void)
{
    if (!f32_table.bn_stats)
        eq_f32_table_init();
    return &f32_table;
}

const struct eq_image_table *eq_image_kernels(void)
{
    if (!image_table.normalize)
        eq_f32_table_init();
    return &image_table;
}
