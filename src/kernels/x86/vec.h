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
typedef __mmask16 vcond; /* a comparison's result */
#define ISA_NAME(name) name##__avx512
#define ISA_TEXT(name) name "__avx512"
#define ISA_LEVEL EQ_ISA_AVX512
#define ISA_FMA "vfmadd zmm"

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

ALWAYS_INLINE vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
ALWAYS_INLINE vf v_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
ALWAYS_INLINE vf v_round(vf a) /* half to even */
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
ALWAYS_INLINE vcond v_gt(vf a, vf b) /* false with a NaN, as all of these but v_is_nan */
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
ALWAYS_INLINE vcond v_ge(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
ALWAYS_INLINE vcond v_eq(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
ALWAYS_INLINE vcond v_is_nan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
ALWAYS_INLINE vcond v_and(vcond a, vcond b)
{
    return a & b;
}
ALWAYS_INLINE vcond v_or(vcond a, vcond b)
{
    return a | b;
}
ALWAYS_INLINE bool v_any(vcond a)
{
    return a != 0;
}
ALWAYS_INLINE vf v_select(vcond which, vf yes, vf no)
{
    return _mm512_mask_blend_ps(which, no, yes);
}
ALWAYS_INLINE vf v_load_u8(const uint8_t *p) /* as floats */
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
ALWAYS_INLINE void v_store_i32(int32_t *p, vf x) /* towards zero */
{
    _mm512_storeu_si512(p, _mm512_cvttps_epi32(x));
}
ALWAYS_INLINE void v_store_u8(uint8_t *p, vf x) /* whole numbers in 0..255 */
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}

#else

enum { VL = 8 };
typedef __m256 vf;
typedef __m256i vmask;
typedef __m256 vcond;
#define ISA_NAME(name) name##__avx2
#define ISA_TEXT(name) name "__avx2"
#define ISA_LEVEL EQ_ISA_AVX2
#define ISA_FMA "vfmadd ymm"

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
ALWAYS_INLINE vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
ALWAYS_INLINE vf v_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
ALWAYS_INLINE vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
ALWAYS_INLINE vcond v_gt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
ALWAYS_INLINE vcond v_ge(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_GE_OQ);
}
ALWAYS_INLINE vcond v_eq(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
ALWAYS_INLINE vcond v_is_nan(vf a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}
ALWAYS_INLINE vcond v_and(vcond a, vcond b)
{
    return _mm256_and_ps(a, b);
}
ALWAYS_INLINE vcond v_or(vcond a, vcond b)
{
    return _mm256_or_ps(a, b);
}
ALWAYS_INLINE bool v_any(vcond a)
{
    return _mm256_movemask_ps(a) != 0;
}
ALWAYS_INLINE vf v_select(vcond which, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, which);
}
ALWAYS_INLINE vf v_load_u8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
ALWAYS_INLINE void v_store_i32(int32_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, _mm256_cvttps_epi32(x));
}
ALWAYS_INLINE void v_store_u8(uint8_t *p, vf x)
{
    __m256i words = _mm256_cvtps_epi32(x);
    __m128i half = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(half, half));
}

#endif

/* The first of the greatest, or a NaN when there is one: max pooling's max, in whatever groups it is taken. */
ALWAYS_INLINE vf v_max_first(vf first, vf x)
{
    return v_select(v_or(v_gt(x, first), v_is_nan(x)), x, first);
}

/* n values, VL or fewer; a whole vector where n is the constant VL. */
ALWAYS_INLINE vf v_load_n(const float *p, int n)
{
    return n >= VL ? v_load(p) : v_load_part(p, v_mask(n));
}
ALWAYS_INLINE void v_store_n(float *p, int n, vf x)
{
    if (n >= VL)
        v_store(p, x);
    else
        v_store_part(p, v_mask(n), x);
}
ALWAYS_INLINE vf v_load_u8_n(const uint8_t *p, int n)
{
    uint8_t part[VL] = {0};
    if (n >= VL)
        return v_load_u8(p);
    for (int i = 0; i < n; i++)
        part[i] = p[i];
    return v_load_u8(part);
}
ALWAYS_INLINE void v_store_u8_n(uint8_t *p, int n, vf x)
{
    uint8_t part[VL];
    if (n >= VL) {
        v_store_u8(p, x);
        return;
    }
    v_store_u8(part, x);
    for (int i = 0; i < n; i++)
        p[i] = part[i];
}

#endif
