/* 256-bit vectors under the names that the u8s8 templates use; included by files compiled for AVX2 at least. */
#ifndef KERNELS_X86_U8S8_VEC256_H
#define KERNELS_X86_U8S8_VEC256_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef __m256i vi; /* int32 lanes, or what an instruction takes them for */
typedef __m256 vf;
/* MAX_R rows x 2 vectors of sums, 2 of weights, 1 of source, 1 product: all 16 registers. */
#define EQ_MAX_R 6
enum { VL = 8, MAX_R = EQ_MAX_R };

static inline vi v_zero(void)
{
    return _mm256_setzero_si256();
}
static inline vi v_load(const void *p)
{
    return _mm256_loadu_si256(p);
}
static inline void v_store(void *p, vi x)
{
    _mm256_storeu_si256(p, x);
}
static inline vi v_set1(int32_t x)
{
    return _mm256_set1_epi32(x);
}
static inline vi v_bcast(const void *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return _mm256_set1_epi32(x);
}
static inline vi v_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
static inline vi v_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}
/* acc[i] += x * w_i, summed in pairs of s16. As intrinsics, gcc multiplies far ahead of the additions, runs out of its
 * 16 registers and keeps sums in memory; this way a product lives for one instruction. */
static inline void v_add_products(vi acc[2], vi x, vi w0, vi w1)
{
    vi p;
    __asm__("vpmaddwd %[w0], %[x], %[p]\n\t"
            "vpaddd %[p], %[acc0], %[acc0]\n\t"
            "vpmaddwd %[w1], %[x], %[p]\n\t"
            "vpaddd %[p], %[acc1], %[acc1]"
            : [acc0] "+x"(acc[0]), [acc1] "+x"(acc[1]), [p] "=&x"(p)
            : [x] "x"(x), [w0] "x"(w0), [w1] "x"(w1));
}
static inline vi v_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}
static inline vi v_or(vi a, vi b)
{
    return _mm256_or_si256(a, b);
}
static inline vi v_xor(vi a, vi b)
{
    return _mm256_xor_si256(a, b);
}
static inline vi v_shl(vi a, int bits)
{
    return _mm256_slli_epi32(a, bits);
}
static inline vi v_sra(vi a, int bits)
{
    return _mm256_srai_epi32(a, bits);
}
static inline vi v_mul(vi a, vi b)
{
    return _mm256_mullo_epi32(a, b);
}
static inline vi v_max_u8(vi a, vi b)
{
    return _mm256_max_epu8(a, b);
}
/* VL bytes to VL int32 lanes, and back from lanes in 0..255 */
static inline vi v_load_u8(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
}
static inline void v_store_u8(uint8_t *p, vi x)
{
    __m128i w = _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64((void *)p, _mm_packus_epi16(w, w));
}
/* 2 VL bytes to 2 VL int16 lanes */
static inline vi v_widen16(const uint8_t *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)p));
}
static inline vi v_widen_s16(const int8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)p));
}
static inline vi v_set1_16(int x)
{
    return _mm256_set1_epi16((short)x);
}
static inline vi v_add16(vi a, vi b)
{
    return _mm256_add_epi16(a, b);
}
static inline vi v_shl16(vi a, int bits)
{
    return _mm256_slli_epi16(a, bits);
}
static inline vi v_sub16(vi a, vi b)
{
    return _mm256_sub_epi16(a, b);
}

static inline vf v_set1f(float x)
{
    return _mm256_set1_ps(x);
}
static inline vf v_loadf(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline vf v_to_f(vi x)
{
    return _mm256_cvtepi32_ps(x);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf v_maxf(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
static inline vf v_minf(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
static inline vi v_rne(vf x)
{
    return _mm256_cvtps_epi32(x); /* the mode of MXCSR, which nobody here changes: nearest, ties to even */
}

#endif
