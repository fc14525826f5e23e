/*
 * A thin layer over the vector registers of the level that a file is compiled for, so that one template serves all
 * levels (cmake/EchoquantKernels.cmake). v_*: floats; vi_* (u8s8_vec.h): integers.
 */
#ifndef KERNELS_X86_VEC_H
#define KERNELS_X86_VEC_H

#include "echoquant/base.h"
#include "kernels/level.h"

#include <immintrin.h>

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* ---- where the levels differ in more than a prefix ----------------------- */

#if defined(__AVX512F__)

enum { VL = 16 }; /* floats in a register */
typedef __m512 vf;
typedef __m512i vi;      /* int32 lanes, or what an instruction takes them for */
typedef __mmask16 vmask; /* the first n lanes of a load or store */
typedef __mmask16 vcond; /* a comparison's result */
#define MM(op) _mm512_##op
#define MM_SI(op) _mm512_##op##_si512
#define MM_COMPARE _mm512_cmp_ps_mask
#define MM_ROUND _mm512_roundscale_ps
#define MM_MASK_STORE _mm512_mask_storeu_ps
#define ISA_FMA "vfmadd zmm"

ALWAYS_INLINE vmask v_mask(int n)
{
    return n >= VL ? 0xffff : (vmask)((1u << n) - 1);
}
ALWAYS_INLINE vf v_load_part(const float *p, vmask m)
{
    return _mm512_maskz_loadu_ps(m, p);
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
ALWAYS_INLINE vi vi_load_u8(const uint8_t *p) /* VL bytes to VL int32 lanes, */
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
ALWAYS_INLINE vcond v_eq_u8(const uint8_t *p, int x) /* which of VL bytes are x */
{
    return _mm_cmpeq_epi8_mask(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi8((char)x));
}
ALWAYS_INLINE void vi_store_u8(uint8_t *p, vi x) /* and back from lanes in 0..255 */
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x));
}

#else

enum { VL = 8 };
typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vmask;
typedef __m256 vcond;
#define MM(op) _mm256_##op
#define MM_SI(op) _mm256_##op##_si256
#define MM_COMPARE _mm256_cmp_ps
#define MM_ROUND _mm256_round_ps
#define MM_MASK_STORE _mm256_maskstore_ps
#define ISA_FMA "vfmadd ymm"

ALWAYS_INLINE vmask v_mask(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
ALWAYS_INLINE vf v_load_part(const float *p, vmask m)
{
    return _mm256_maskload_ps(p, m);
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
ALWAYS_INLINE vi vi_load_u8(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
ALWAYS_INLINE vcond v_eq_u8(const uint8_t *p, int x)
{
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(vi_load_u8(p), _mm256_set1_epi32(x)));
}
ALWAYS_INLINE void vi_store_u8(uint8_t *p, vi x)
{
    __m128i half = _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(half, half));
}

#endif

/* ---- the same but for the prefix ----------------------------------------- */

#define V_OF_1(name, op)                                                                                               \
    ALWAYS_INLINE vf name(vf a)                                                                                        \
    {                                                                                                                  \
        return MM(op)(a);                                                                                              \
    }
#define V_OF_2(name, op)                                                                                               \
    ALWAYS_INLINE vf name(vf a, vf b)                                                                                  \
    {                                                                                                                  \
        return MM(op)(a, b);                                                                                           \
    }
#define V_OF_3(name, op)                                                                                               \
    ALWAYS_INLINE vf name(vf a, vf b, vf c)                                                                            \
    {                                                                                                                  \
        return MM(op)(a, b, c);                                                                                        \
    }
#define V_COMPARE(name, how)                                                                                           \
    ALWAYS_INLINE vcond name(vf a, vf b)                                                                               \
    {                                                                                                                  \
        return MM_COMPARE(a, b, how);                                                                                  \
    }
V_OF_1(v_sqrt, sqrt_ps)
V_OF_2(v_add, add_ps)
V_OF_2(v_sub, sub_ps)
V_OF_2(v_mul, mul_ps)
V_OF_2(v_div, div_ps)
V_OF_2(v_max, max_ps)       /* b when either is a NaN */
V_OF_2(v_min, min_ps)       /* b when either is a NaN */
V_OF_3(v_fma, fmadd_ps)     /* a * b + c */
V_OF_3(v_fnma, fnmadd_ps)   /* c - a * b */
V_COMPARE(v_gt, _CMP_GT_OQ) /* false with a NaN */
V_COMPARE(v_ge, _CMP_GE_OQ)
V_COMPARE(v_eq, _CMP_EQ_OQ)

ALWAYS_INLINE vcond v_is_nan(vf a)
{
    return MM_COMPARE(a, a, _CMP_UNORD_Q);
}
ALWAYS_INLINE vf v_zero(void)
{
    return MM(setzero_ps)();
}
ALWAYS_INLINE vf v_set1(float x)
{
    return MM(set1_ps)(x);
}
ALWAYS_INLINE vf v_load(const float *p)
{
    return MM(loadu_ps)(p);
}
ALWAYS_INLINE void v_store(float *p, vf x)
{
    MM(storeu_ps)(p, x);
}
ALWAYS_INLINE void v_store_part(float *p, vmask m, vf x)
{
    MM_MASK_STORE(p, m, x);
}
ALWAYS_INLINE vf v_round(vf a) /* half to even */
{
    return MM_ROUND(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
ALWAYS_INLINE vf v_of_i(vi x)
{
    return MM(cvtepi32_ps)(x);
}
ALWAYS_INLINE vi vi_of_f(vf x) /* by the mode of MXCSR, which nobody here changes: nearest, ties to even */
{
    return MM(cvtps_epi32)(x);
}
ALWAYS_INLINE vf v_load_u8(const uint8_t *p) /* as floats */
{
    return v_of_i(vi_load_u8(p));
}
ALWAYS_INLINE void v_store_u8(uint8_t *p, vf x) /* whole numbers in 0..255 */
{
    vi_store_u8(p, vi_of_f(x));
}
ALWAYS_INLINE void v_store_i32(int32_t *p, vf x) /* toward zero */
{
    MM_SI(storeu)((void *)p, MM(cvttps_epi32)(x));
}

/* The first of the greatest, or a NaN when there is one: max pooling's max, in whatever groups it is taken. */
ALWAYS_INLINE vf v_max_first(vf first, vf x)
{
    return v_select(v_or(v_gt(x, first), v_is_nan(x)), x, first);
}

/* Asks for a cache line that will be read soon, into L2: pixels lie whole pages apart, where the CPU's own prefetching
 * ends, and in few sets of L1. */
ALWAYS_INLINE void v_prefetch(const float *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T1);
}

/* Whether n floats from p on are to be stored past the caches: they would not stay there, and their lines need not be
 * read before they are written. Whoever stores so calls v_stream_end before others read it. */
enum { STREAM_BYTES = 32 << 20 };
ALWAYS_INLINE bool v_streams(const float *p, size_t n)
{
    return n * sizeof *p > STREAM_BYTES && (uintptr_t)p % (VL * sizeof *p) == 0;
}
ALWAYS_INLINE void v_stream(float *p, vf x) /* aligned */
{
    MM(stream_ps)(p, x);
}
ALWAYS_INLINE void v_stream_end(void)
{
    _mm_sfence();
}

/* x, of which the compiler knows nothing. Without it, dozens of addresses that follow from one stride become as many
 * pointers, which are kept on the stack and moved one by one. */
ALWAYS_INLINE size_t v_opaque(size_t x)
{
    __asm__ volatile("" : "+r"(x));
    return x;
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
ALWAYS_INLINE vcond v_eq_u8_n(const uint8_t *p, int n, int x)
{
    uint8_t part[VL] = {0};
    if (n >= VL)
        return v_eq_u8(p, x);
    for (int i = 0; i < n; i++)
        part[i] = p[i];
    return v_eq_u8(part, x);
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
