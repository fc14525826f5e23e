/* Which u8s8 kernel runs: one list in ascending order of preference, and who may use what on this CPU. */
#include "kernels/u8s8.h"

static const struct eq_u8s8_conv_kernel *const conv_kernels[] = {
    &eq_u8s8_conv_ref,
#if defined(__x86_64__)
    &eq_u8s8_direct_avx2,      &eq_u8s8_winograd_avx2,     &eq_u8s8_stem_avx2,           &eq_u8s8_direct_avxvnni,
    &eq_u8s8_winograd_avxvnni, &eq_u8s8_stem_avxvnni,      &eq_u8s8_direct_avx512,       &eq_u8s8_winograd_avx512,
    &eq_u8s8_stem_avx512,      &eq_u8s8_direct_avx512vnni, &eq_u8s8_winograd_avx512vnni, &eq_u8s8_stem_avx512vnni,
    &eq_u8s8_direct_amx,
#elif defined(__aarch64__)
    &eq_u8s8_direct_neon,
    &eq_u8s8_direct_neondot,
#endif
};
enum { CONV_KERNELS = sizeof conv_kernels / sizeof *conv_kernels };

static const struct eq_u8s8_table *table = &eq_u8s8_table_ref;

static bool usable(const struct eq_u8s8_conv_kernel *k, const struct eq_conv_shape *s, int src_zp)
{
    return (k->isa == EQ_ISA_REF || eq_cpu_use(k->isa)) && k->supports(s, src_zp);
}

static bool accepts(const struct eq_u8s8_conv_kernel *k, const struct eq_conv_shape *s, int src_zp,
                    const int8_t *weights_oihw)
{
    return !k->accepts || (weights_oihw && k->accepts(s, weights_oihw, src_zp));
}

const struct eq_u8s8_conv_kernel *eq_u8s8_conv_select_for(const struct eq_conv_shape *s, int src_zp,
                                                          const int8_t *weights_oihw)
{
    for (size_t i = CONV_KERNELS; i-- > 1;) {
        const struct eq_u8s8_conv_kernel *k = conv_kernels[i];
        bool trusted = !k->untested || eq_cpu_named(k->isa);
        if (trusted && usable(k, s, src_zp) && (!k->prefers || k->prefers(s)) && accepts(k, s, src_zp, weights_oihw))
            return k;
    }
    return &eq_u8s8_conv_ref;
}

const struct eq_u8s8_conv_kernel *eq_u8s8_conv_select(const struct eq_conv_shape *s, int src_zp)
{
    return eq_u8s8_conv_select_for(s, src_zp, NULL);
}

size_t eq_u8s8_conv_candidates(const struct eq_conv_shape *s, int src_zp, const struct eq_u8s8_conv_kernel **out,
                               size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < CONV_KERNELS && n < max; i++)
        if (usable(conv_kernels[i], s, src_zp))
            out[n++] = conv_kernels[i];
    return n;
}

/* In ascending order, as the kernels. */
static const struct eq_u8s8_table *const tables[] = {
    &eq_u8s8_table_ref,
#if defined(__x86_64__)
    &eq_u8s8_table_avx2,
    &eq_u8s8_table_avx512,
#elif defined(__aarch64__)
    &eq_u8s8_table_neon,
#endif
};

void eq_u8s8_table_init(void)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (tables[i]->isa == EQ_ISA_REF || eq_cpu_use(tables[i]->isa))
            table = tables[i];
}

const struct eq_u8s8_table *eq_u8s8_kernels(void)
{
    return table;
}
