/*
 * The operands of the convolutions' products: floats or, in the files for AVX512-BF16, BF16 with FP32 sums. One
 * instruction takes KSTEP neighbors in depth (the axis that is summed over) of each column, so depths come in whole
 * steps, padded with zeros. With floats a step is one value.
 */
#ifndef KERNELS_X86_OPERAND_H
#define KERNELS_X86_OPERAND_H

#include "kernels/x86/vec.h"

#if defined(__AVX512BF16__)
#include "kernels/bf16.h"

enum { KSTEP = 2 };
typedef uint16_t operand;
typedef __m512i vo; /* KSTEP depths of VL columns; clang 16 knows too little of vectors of BF16 */
#define CONV_NAME(name) ISA_NAME(eq_bf16_##name)
#define CONV_KERNEL(name, ...) ISA_KERNEL(bf16_##name, .instruction = CONV_INSTRUCTION, __VA_ARGS__)
#define CONV_INSTRUCTION "vdpbf16ps zmm"

ALWAYS_INLINE vo vo_load(const operand *p)
{
    return _mm512_loadu_si512(p);
}
ALWAYS_INLINE vo vo_load_part(const operand *p, vmask columns)
{
    return _mm512_maskz_loadu_epi32(columns, p);
}
ALWAYS_INLINE vo vo_set1(const operand *p) /* one row's step for all columns */
{
    int32_t step;
    __builtin_memcpy(&step, p, sizeof step);
    vo all = _mm512_set1_epi32(step);
#if defined(__clang_major__) && __clang_major__ == 16
    __asm__("" : "+v"(all)); /* clang 16.0.6 crashes where it sees a product by equal values */
#endif
    return all;
}
/* Depth 1 first, then depth 0: each product is exact and each sum rounded. Subnormals count as zero. */
ALWAYS_INLINE vf vo_dot(vo a, vo b, vf sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
ALWAYS_INLINE operand operand_of(float x)
{
    return eq_bf16_of(x);
}
ALWAYS_INLINE void operand_store(operand *p, vf x) /* VL neighbors */
{
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh(x));
}
/* The first n of VL, with zeros up to padded. */
ALWAYS_INLINE void operand_store_padded(operand *p, int padded, vf x)
{
    __mmask16 m = padded >= VL ? 0xffff : (__mmask16)((1u << padded) - 1);
    _mm256_mask_storeu_epi16(p, m, (__m256i)_mm512_cvtneps_pbh(x));
}
/* The columns of a step of two depths. */
ALWAYS_INLINE void operand_store_steps(operand *p, vmask columns, vf x, vf y)
{
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x));
    __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(y));
    _mm512_mask_storeu_epi32(p, columns, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}
/* VL columns of depth `phase` of a step. */
ALWAYS_INLINE void operand_store_column(operand *p, int phase, vf x)
{
    __m512i wide = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x));
    _mm512_mask_storeu_epi16(p, (__mmask32)0x55555555u << phase, _mm512_slli_epi32(wide, 16 * (unsigned)phase));
}

#else

enum { KSTEP = 1 };
typedef float operand;
typedef vf vo;
/* Define f32_<name>__<isa>, in the files for AVX512-BF16 bf16_<name>__<isa>. */
#define CONV_NAME(name) ISA_NAME(eq_f32_##name)
#define CONV_KERNEL(name, ...) ISA_KERNEL(f32_##name, .instruction = CONV_INSTRUCTION, __VA_ARGS__)
#define CONV_INSTRUCTION ISA_FMA

ALWAYS_INLINE vo vo_load(const operand *p)
{
    return v_load(p);
}
ALWAYS_INLINE vo vo_load_part(const operand *p, vmask columns)
{
    return v_load_part(p, columns);
}
ALWAYS_INLINE vo vo_set1(const operand *p)
{
    return v_set1(*p);
}
ALWAYS_INLINE vf vo_dot(vo a, vo b, vf sum)
{
    return v_fma(a, b, sum);
}
ALWAYS_INLINE operand operand_of(float x)
{
    return x;
}
ALWAYS_INLINE void operand_store(operand *p, vf x)
{
    v_store(p, x);
}
ALWAYS_INLINE void operand_store_column(operand *p, int phase, vf x)
{
    (void)phase;
    v_store(p, x);
}

#endif

/* A depth in whole steps. */
static inline int whole_steps(int depth)
{
    return (depth + KSTEP - 1) / KSTEP * KSTEP;
}

#endif
