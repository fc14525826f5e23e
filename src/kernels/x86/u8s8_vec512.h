/* 512-bit vectors under the names that the u8s8 templates use; included by files compiled for AVX-512 only. */
#ifndef KERNELS_X86_U8S8_VEC512_H
#define KERNELS_X86_U8S8_VEC512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef __m512i vi; /* int32 lanes, or what an instruction takes them for */
typedef __m512 vf;
/* MAX_R rows x 2 vectors of sums, 2 of weights, 1 of source; more rows would fit in theory, but make gcc spill. */
#define EQ_MAX_R 8
enum { VL = 16, MAX_R = EQ_MAX_R };

static inline vi v_zero(void)
{
    return _mm512_setzero_si512();
}
static inline vi v_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
static inline void v_store(void *p, vi x)
{
    _mm512_storeu_si512(p, x);
}
static inline vi v_set1(int32_t x)
{
    return _mm512_set1_epi32(x);
}
static inline vi v_bcast(const void *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return _mm512_set1_epi32(x);
}
static inline vi v_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
static inline vi v_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}
/* acc[i] += x * w_i, summed in pairs of s16; see u8s8_vec256.h. In this order Zen 4 gets a tenth more through. */
static inline void v_add_products(vi acc[2], vi x, vi w0, vi w1)
{
    vi p0, p1;
    __asm__("vpmaddwd %[w0], %[x], %[p0]\n\t"
            "vpmaddwd %[w1], %[x], %[p1]\n\t"
            "vpaddd %[p0], %[acc0], %[acc0]\n\t"
            "vpaddd %[p1], %[acc1], %[acc1]"
            : [acc0] "+v"(acc[0]), [acc1] "+v"(acc[1]), [p0] "=&v"(p0), [p1] "=&v"(p1)
            : [x] "v"(x), [w0] "v"(w0), [w1] "v"(w1));
}
static inline vi v_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}
static inline vi v_or(vi a, vi b)
{
    return _mm512_or_si512(a, b);
}
static inline vi v_xor(vi a, vi b)
{
    return _mm512_xor_si512(a, b);
}
static inline vi v_shl(vi a, int bits)
{
    return _mm512_slli_epi32(a, bits);
}
static inline vi v_sra(vi a, int bits)
{
    return _mm512_srai_epi32(a, (unsigned)bits);
}
static inline vi v_mul(vi a, vi b)
{
    return _mm512_mullo_epi32(a, b);
}
static inline vi v_max_u8(vi a, vi b)
{
    return _mm512_max_epu8(a, b);
}
/* VL bytes to VL int32 lanes, and back from lanes in 0..255 */
static inline vi v_load_u8(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
}
static inline void v_store_u8(uint8_t *p, vi x)
{
    _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(x));
}
/* 2 VL bytes to 2 VL int16 lanes */
static inline vi v_widen16(const uint8_t *p)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)p));
}
static inline vi v_widen_s16(const int8_t *p)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)p));
}
static inline vi v_set1_16(int x)
{
    return _mm512_set1_epi16((short)x);
}
static inline vi v_add16(vi a, vi b)
{
    return _mm512_add_epi16(a, b);
}
static inline vi v_shl16(vi a, int bits)
{
    return _mm512_slli_epi16(a, (unsigned)bits);
}
static inline vi v_sub16(vi a, vi b)
{
    return _mm512_sub_epi16(a, b);
}

static inline vf v_set1f(float x)
{
    return _mm512_set1_ps(x);
}
static inline vf v_loadf(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline vf v_to_f(vi x)
{
    return _mm512_cvtepi32_ps(x);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf v_maxf(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
static inline vf v_minf(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
static inline vi v_rne(vf x)
{
    return _mm512_cvtps_epi32(x); /* the mode of MXCSR, which nobody here changes: nearest, ties to even */
}

#endif
