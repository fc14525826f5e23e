/*
 * A thin layer over the vector registers of the level that a file is compiled for, so that a kernel is written once and
 * included by its _avx2.c and its _avx512.c. ISA_NAME(f32_add) is f32_add__avx2 or f32_add__avx512.
 */
#ifndef KERNELS_X86_VEC_H
#define KERNELS_X86_VEC_H

#include "echoquant/base.h"

#include <immintrin.h>

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)

enum { VL = 16 }; /* floats in a register */
typedef __m512 vf;
typedef __mmask16 vmask; /* the first n lanes of a load or store */
#define ISA_NAME(name) name##__avx512
#define ISA_TEXT(name) name "__avx512"
#define ISA_LEVEL EQ_ISA_AVX512

ALWAYS_INLINE vf v_zero(void)
{
    return _mm512_setzero_ps();
}
ALWAYS_INLINE vf v_set1(float x)
{
    return _mm512_set1_ps(x);
}
ALWAYS_INLINE vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
ALWAYS_INLINE void v_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}
ALWAYS_INLINE vmask v_mask(int n)
{
    return n >= VL ? 0xffff : (vmask)((1u << n) - 1);
}
ALWAYS_INLINE vf v_load_part(const float *p, vmask m)
{
    return _mm512_maskz_loadu_ps(m, p);
}
ALWAYS_INLINE void v_store_part(float *p, vmask m, vf x)
{
    _mm512_mask_storeu_ps(p, m, x);
}
ALWAYS_INLINE vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
ALWAYS_INLINE vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
ALWAYS_INLINE vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
ALWAYS_INLINE vf v_fma(vf a, vf b, vf c) /* a * b + c */
{
    return _mm512_fmadd_ps(a, b, c);
}
ALWAYS_INLINE vf v_fnma(vf a, vf b, vf c) /* c - a * b */
{
    return _mm512_fnmadd_ps(a, b, c);
}
ALWAYS_INLINE vf v_max(vf a, vf b) /* b when either is a NaN */
{
    return _mm512_max_ps(a, b);
}
ALWAYS_INLINE vf v_min(vf a, vf b) /* b when either is a NaN */
{
    return _mm512_min_ps(a, b);
}

#else

enum { VL = 8 };
typedef __m256 vf;
typedef __m256i vmask;
#define ISA_NAME(name) name##__avx2
#define ISA_TEXT(name) name "__avx2"
#define ISA_LEVEL EQ_ISA_AVX2

ALWAYS_INLINE vf v_zero(void)
{
    return _mm256_setzero_ps();
}
ALWAYS_INLINE vf v_set1(float x)
{
    return _mm256_set1_ps(x);
}
ALWAYS_INLINE vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
ALWAYS_INLINE void v_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}
ALWAYS_INLINE vmask v_mask(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
ALWAYS_INLINE vf v_load_part(const float *p, vmask m)
{
    return _mm256_maskload_ps(p, m);
}
ALWAYS_INLINE void v_store_part(float *p, vmask m, vf x)
{
    _mm256_maskstore_ps(p, m, x);
}
ALWAYS_INLINE vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
ALWAYS_INLINE vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
ALWAYS_INLINE vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
ALWAYS_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
ALWAYS_INLINE vf v_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
ALWAYS_INLINE vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
ALWAYS_INLINE vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

#endif
#endif
