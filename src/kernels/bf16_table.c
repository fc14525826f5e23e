/* Which bf16 kernel runs, in the same manner as f32_table.c, and where BF16 is refused. */
#include "kernels/bf16.h"
#include "kernels/f32.h"

enum { MAX_KERNELS = 8 };

#if defined(__x86_64__)
#define X86(kernel) &kernel##__avx512bf16,
#else
#define X86(kernel)
#endif

/* ref first, for the tests and for what no other supports; then in ascending order of preference. */
static const struct eq_f32_conv_kernel *const kernels[EQ_CONV_PASSES][MAX_KERNELS] = {
    [EQ_CONV_FORWARD] = {&eq_bf16_conv_forward_ref,
                         X86(eq_bf16_conv_forward_direct) X86(eq_bf16_conv_forward_winograd)},
    [EQ_CONV_BACKWARD_DATA] = {&eq_bf16_conv_backward_data_ref,
                               X86(eq_bf16_conv_backward_data_direct) X86(eq_bf16_conv_backward_data_winograd)},
    [EQ_CONV_BACKWARD_WEIGHTS] = {&eq_bf16_conv_backward_weights_ref, X86(eq_bf16_conv_backward_weights_direct)
                                                                          X86(eq_bf16_conv_backward_weights_winograd)},
};

size_t eq_bf16_conv_candidates(enum eq_conv_pass pass, const struct eq_conv_shape *s,
                               const struct eq_f32_conv_kernel **out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < MAX_KERNELS && kernels[pass][i] && n < max; i++) {
        const struct eq_f32_conv_kernel *k = kernels[pass][i];
        if ((k->isa == EQ_ISA_REF || eq_cpu_use(k->isa)) && k->supports(s))
            out[n++] = k;
    }
    return n;
}

const struct eq_f32_conv_kernel *eq_bf16_conv_select(enum eq_conv_pass pass, const struct eq_conv_shape *s)
{
    const struct eq_f32_conv_kernel *all[MAX_KERNELS], *best = NULL;
    size_t n = eq_bf16_conv_candidates(pass, s, all, MAX_KERNELS);
    for (size_t i = 0; i < n; i++)
        if (!all[i]->prefers || all[i]->prefers(s))
            best = all[i];
    return best;
}

enum eq_status eq_precision_check(enum eq_precision precision, struct eq_err *err)
{
    if (precision != EQ_PRECISION_BF16 || eq_cpu_use(EQ_ISA_AVX512BF16))
        return EQ_OK;
    const char *bf16 = eq_isa_name(EQ_ISA_AVX512BF16);
    if (eq_cpu_has(EQ_ISA_AVX512BF16))
        return eq_fail(err, EQ_UNSUPPORTED, "BF16 needs %s, which --cpu (run.cpu) rules out: it stops at %s", bf16,
                       eq_cpu_isa_in_use());
    return eq_fail(err, EQ_UNSUPPORTED, "BF16 needs a CPU with AVX512-BF16 (%s); this one (%s) has %s at most", bf16,
                   eq_cpu_model_name(), eq_cpu_isa_in_use());
}
