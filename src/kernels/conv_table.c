/* Which convolution kernel runs: one list a family and pass, and who may use what on this CPU. */
#include "kernels/list.h"

enum family { F32, BF16, U8S8, U8S8_DOMAIN, FAMILIES };
enum { MAX_KERNELS = 16 };

static const struct eq_conv_kernel *const lists[FAMILIES][EQ_CONV_PASSES][MAX_KERNELS] = {
    [F32] = {{EQ_F32_FORWARD(EQ_ADDRESS)}, {EQ_F32_BACKWARD_DATA(EQ_ADDRESS)}, {EQ_F32_BACKWARD_WEIGHTS(EQ_ADDRESS)}},
    [BF16] = {{EQ_BF16_PASS(EQ_ADDRESS, forward)},
              {EQ_BF16_PASS(EQ_ADDRESS, backward_data)},
              {EQ_BF16_PASS(EQ_ADDRESS, backward_weights)}},
    [U8S8] = {{EQ_U8S8(EQ_ADDRESS)}},
    [U8S8_DOMAIN] = {{EQ_U8S8_DOMAIN(EQ_ADDRESS)}},
};

static bool usable(const struct eq_conv_kernel *k, const struct eq_conv_shape *s)
{
    return eq_cpu_use(k->isa) && k->supports(s);
}

static size_t candidates(enum family family, enum eq_conv_pass pass, const struct eq_conv_shape *s,
                         const struct eq_conv_kernel **out, size_t max)
{
    const struct eq_conv_kernel *const *list = lists[family][pass];
    size_t n = 0;
    for (size_t i = 0; i < MAX_KERNELS && list[i] && n < max; i++)
        if (usable(list[i], s))
            out[n++] = list[i];
    return n;
}

/* weights and src_zp are for accepts; weights NULL leaves out kernels that have one. */
static const struct eq_conv_kernel *select(enum family family, enum eq_conv_pass pass, const struct eq_conv_shape *s,
                                           const int8_t *weights, int src_zp)
{
    const struct eq_conv_kernel *all[MAX_KERNELS];
    for (size_t i = candidates(family, pass, s, all, MAX_KERNELS); i-- > 1;)
        if ((!all[i]->prefers || all[i]->prefers(s)) &&
            (!all[i]->accepts || (weights && all[i]->accepts(s, weights, src_zp))))
            return all[i];
    return lists[family][pass][0];
}

const struct eq_conv_kernel *eq_f32_conv_select(enum eq_conv_pass pass, const struct eq_conv_shape *s)
{
    return select(F32, pass, s, NULL, 0);
}

size_t eq_f32_conv_candidates(enum eq_conv_pass pass, const struct eq_conv_shape *s, const struct eq_conv_kernel **out,
                              size_t max)
{
    return candidates(F32, pass, s, out, max);
}

const struct eq_conv_kernel *eq_bf16_conv_select(enum eq_conv_pass pass, const struct eq_conv_shape *s)
{
    return select(BF16, pass, s, NULL, 0);
}

size_t eq_bf16_conv_candidates(enum eq_conv_pass pass, const struct eq_conv_shape *s, const struct eq_conv_kernel **out,
                               size_t max)
{
    return candidates(BF16, pass, s, out, max);
}

const struct eq_conv_kernel *eq_u8s8_conv_select(const struct eq_conv_shape *s, int src_zp, const int8_t *weights_oihw)
{
    return select(U8S8, EQ_CONV_FORWARD, s, weights_oihw, src_zp);
}

size_t eq_u8s8_conv_candidates(const struct eq_conv_shape *s, const struct eq_conv_kernel **out, size_t max)
{
    return candidates(U8S8, EQ_CONV_FORWARD, s, out, max);
}

const struct eq_conv_kernel *eq_u8s8_domain_select(const struct eq_conv_shape *s)
{
    return select(U8S8_DOMAIN, EQ_CONV_FORWARD, s, NULL, 0);
}

size_t eq_u8s8_domain_candidates(const struct eq_conv_shape *s, const struct eq_conv_kernel **out, size_t max)
{
    return candidates(U8S8_DOMAIN, EQ_CONV_FORWARD, s, out, max);
}

/* The direct kernels keep the order of ordered__ref: their registers go over channels and pixels, never over a sum. */
const struct eq_conv_kernel *eq_f32_conv_select_ordered(const struct eq_conv_shape *s)
{
    static const struct eq_conv_kernel *const ordered[] = {EQ_ON_AVX(EQ_ADDRESS, f32_conv_forward_direct) NULL};
    const struct eq_conv_kernel *best = &eq_f32_conv_forward_ordered__ref;
    for (size_t i = 0; ordered[i]; i++)
        best = usable(ordered[i], s) ? ordered[i] : best;
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
