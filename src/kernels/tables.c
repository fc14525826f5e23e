/* The tables of everything but convolutions: filled with ref/, then overwritten by each level in use. */
#include "kernels/fill.h"

#include <pthread.h>

#define F32_FILLS(isa)                                                                                                 \
    {                                                                                                                  \
        eq_f32_bn_fill__##isa, eq_f32_pool_fill__##isa, eq_f32_elementwise_fill__##isa, eq_f32_observe_fill__##isa     \
    }

enum { F32_PARTS = 4 };
static const struct level {
    enum eq_isa isa;
    void (*f32[F32_PARTS])(struct eq_f32_table *table);
    void (*image)(struct eq_image_table *table);
    void (*u8s8)(struct eq_u8s8_table *table);
} levels[] = {
    {EQ_ISA_REF, F32_FILLS(ref), eq_image_fill__ref, eq_u8s8_fill__ref},
#if defined(__x86_64__)
    {EQ_ISA_AVX2, F32_FILLS(avx2), eq_image_fill__avx2, eq_u8s8_fill__avx2},
    {EQ_ISA_AVX512, F32_FILLS(avx512), eq_image_fill__avx512, eq_u8s8_fill__avx512},
#elif defined(__aarch64__)
    {EQ_ISA_NEON, .u8s8 = eq_u8s8_fill__neon},
#endif
};

static struct eq_f32_table f32_table;
static struct eq_image_table image_table;
static struct eq_u8s8_table u8s8_table;

void eq_kernels_init(void)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const struct level *l = &levels[i];
        if (!eq_cpu_use(l->isa))
            continue;
        if (l->image) {
            for (int part = 0; part < F32_PARTS; part++)
                l->f32[part](&f32_table);
            l->image(&image_table);
            f32_table.isa = image_table.isa = l->isa;
        }
        l->u8s8(&u8s8_table);
        u8s8_table.isa = l->isa;
    }
}

/* A program that never set a ceiling gets the tables on first use, from whichever thread that comes. */
static void need_tables(void)
{
    static pthread_once_t first = PTHREAD_ONCE_INIT;
    pthread_once(&first, eq_kernels_init);
}

const struct eq_f32_table *eq_f32_kernels(void)
{
    need_tables();
    return &f32_table;
}

const struct eq_image_table *eq_image_kernels(void)
{
    need_tables();
    return &image_table;
}

const struct eq_u8s8_table *eq_u8s8_kernels(void)
{
    need_tables();
    return &u8s8_table;
}
