/* The tables of everything but convolutions: filled with ref/, then overwritten by each level in use. */
#include "kernels/fill.h"

#include <pthread.h>
#include <stdatomic.h>

#define F32_FILLS(isa)                                                                                                 \
    {                                                                                                                  \
        eq_f32_bn_fill__##isa, eq_f32_pool_fill__##isa, eq_f32_elementwise_fill__##isa, eq_f32_observe_fill__##isa     \
    }

enum { F32_PARTS = 4 };
static const struct level {
    enum eq_isa isa;
    void (*f32[F32_PARTS])(struct eq_f32_table *table);
    void (*domain)(struct eq_f32_domain_table *table);
    void (*image)(struct eq_image_table *table);
    void (*u8s8)(struct eq_u8s8_table *table);
} levels[] = {
    {EQ_ISA_REF, F32_FILLS(ref), eq_f32_domain_fill__ref, eq_image_fill__ref, eq_u8s8_fill__ref},
#if defined(__x86_64__)
    {EQ_ISA_AVX2, F32_FILLS(avx2), eq_f32_domain_fill__avx2, eq_image_fill__avx2, eq_u8s8_fill__avx2},
    {EQ_ISA_AVX512, F32_FILLS(avx512), eq_f32_domain_fill__avx512, eq_image_fill__avx512, eq_u8s8_fill__avx512},
#elif defined(__aarch64__)
    {EQ_ISA_NEON, .u8s8 = eq_u8s8_fill__neon},
#endif
};

static struct eq_f32_table f32_table;
static struct eq_f32_domain_table domain_table;
static struct eq_image_table image_table;
static struct eq_u8s8_table u8s8_table;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool filled; /* set when all tables are complete */

/* The lock is held. */
static void fill(void)
{
    struct eq_f32_table f32 = {0};
    struct eq_f32_domain_table domain = {0};
    struct eq_image_table image = {0};
    struct eq_u8s8_table u8s8 = {0};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const struct level *l = &levels[i];
        if (!eq_cpu_use(l->isa))
            continue;
        if (l->image) {
            for (int part = 0; part < F32_PARTS; part++)
                l->f32[part](&f32);
            l->domain(&domain);
            l->image(&image);
            f32.isa = domain.isa = image.isa = l->isa;
        }
        l->u8s8(&u8s8);
        u8s8.isa = l->isa;
    }
    f32_table = f32;
    domain_table = domain;
    image_table = image;
    u8s8_table = u8s8;
    atomic_store_explicit(&filled, true, memory_order_release);
}

void eq_kernels_init(void)
{
    pthread_mutex_lock(&lock);
    fill();
    pthread_mutex_unlock(&lock);
}

/* First use may be in several threads at once: a table counts only when all of it is there. */
static void need_tables(void)
{
    if (atomic_load_explicit(&filled, memory_order_acquire))
        return;
    pthread_mutex_lock(&lock);
    if (!atomic_load_explicit(&filled, memory_order_relaxed))
        fill();
    pthread_mutex_unlock(&lock);
}

const struct eq_f32_table *eq_f32_kernels(void)
{
    need_tables();
    return &f32_table;
}

const struct eq_f32_domain_table *eq_f32_domain_kernels(void)
{
    need_tables();
    return &domain_table;
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
