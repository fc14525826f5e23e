/*
 * The integer vectors of x86 under the names that the u8s8 templates use (vector/u8s8_tile.h lists them), and by the
 * level's flags vi_dot2, the step of their products. EQ_WIDE is 0 where there is an instruction for u8 x s8, unless the
 * including file has defined it.
 */
#ifndef KERNELS_X86_U8S8_VEC_H
#define KERNELS_X86_U8S8_VEC_H

#include "kernels/x86/vec.h"

#include <string.h>

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define EQ_VNNI 1
#else
#define EQ_VNNI 0
#endif
#if !defined(EQ_WIDE)
#define EQ_WIDE (!EQ_VNNI)
#endif

/* MAX_R rows x 2 vectors of sums, 2 of weights, 1 of source; 1 product takes the last of AVX2's 16 registers. With
 * AVX-512 more rows would fit in theory, but make gcc spill. */
#if defined(__AVX512F__)
#define EQ_MAX_R 8
#define VI_REGISTER "zmm"
#else
#define EQ_MAX_R 6
#define VI_REGISTER "ymm"
#endif
enum { MAX_R = EQ_MAX_R };

#define VI_OF_2(name, op)                                                                                              \
    ALWAYS_INLINE vi name(vi a, vi b)                                                                                  \
    {                                                                                                                  \
        return op(a, b);                                                                                               \
    }
#define VI_SHIFT(name, op)                                                                                             \
    ALWAYS_INLINE vi name(vi a, int bits)                                                                              \
    {                                                                                                                  \
        return op(a, (unsigned)bits);                                                                                  \
    }
VI_OF_2(vi_add, MM(add_epi32))
VI_OF_2(vi_sub, MM(sub_epi32))
VI_OF_2(vi_mul, MM(mullo_epi32))
VI_OF_2(vi_and, MM_SI(and))
VI_OF_2(vi_or, MM_SI(or))
VI_OF_2(vi_xor, MM_SI(xor))
VI_OF_2(vi_add16, MM(add_epi16))
VI_OF_2(vi_sub16, MM(sub_epi16))
VI_OF_2(vi_min16, MM(min_epi16))
VI_OF_2(vi_max16, MM(max_epi16))
VI_OF_2(vi_mulhrs16, MM(mulhrs_epi16)) /* (a * b + 2^14) >> 15 */
VI_OF_2(vi_pack16, MM(packus_epi16))   /* s16 to u8, saturating, in each 128 bits for itself */
VI_OF_2(vi_max, MM(max_epi32))
VI_OF_2(vi_max_u8, MM(max_epu8))
VI_SHIFT(vi_shl, MM(slli_epi32))
VI_SHIFT(vi_sra, MM(srai_epi32))
VI_SHIFT(vi_shl16, MM(slli_epi16))

ALWAYS_INLINE vi vi_zero(void)
{
    return MM_SI(setzero)();
}
ALWAYS_INLINE vi vi_load(const void *p)
{
    return MM_SI(loadu)(p);
}
ALWAYS_INLINE void vi_store(void *p, vi x)
{
    MM_SI(storeu)(p, x);
}
ALWAYS_INLINE vi vi_set1(int32_t x)
{
    return MM(set1_epi32)(x);
}
ALWAYS_INLINE vi vi_set1_16(int x)
{
    return MM(set1_epi16)((short)x);
}
ALWAYS_INLINE vi vi_bcast(const void *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return vi_set1(x);
}
/* 2 VL bytes to 2 VL int16 lanes */
#if defined(__AVX512F__)
#define VI_LOAD_HALF(p) _mm256_loadu_si256((const void *)(p))
#else
#define VI_LOAD_HALF(p) _mm_loadu_si128((const void *)(p))
#endif
ALWAYS_INLINE vi vi_widen_u8(const uint8_t *p)
{
    return MM(cvtepu8_epi16)(VI_LOAD_HALF(p));
}
ALWAYS_INLINE vi vi_widen_s8(const int8_t *p)
{
    return MM(cvtepi8_epi16)(VI_LOAD_HALF(p));
}

/* VL values that are not below 0, nor NaN, to bytes of at most 255. */
ALWAYS_INLINE void v_store_limited_u8(uint8_t *p, vf x)
{
#if defined(__AVX512F__) /* what no int32 holds becomes 2^31 as unsigned, and is then limited like all others */
    _mm_storeu_si128((__m128i *)p, _mm512_cvtusepi32_epi8(vi_of_f(x)));
#else
    vi_store_u8(p, vi_of_f(v_min(x, v_set1(255))));
#endif
}

/* acc[i] += x * w_i: in each lane four u8 x s8 or, when EQ_WIDE, two s16 x s16. All forms wrap and never saturate;
 * vpmaddubsw would. */
#if EQ_VNNI
#if defined(__AVX512VNNI__)
#define VI_DOT(wide) _mm512_##wide##_epi32
#else
#define VI_DOT(wide) _mm256_##wide##_avx_epi32
#endif
#if EQ_WIDE
#define EQ_DOT "vpdpwssd " VI_REGISTER
#define VI_DOT_ADD VI_DOT(dpwssd)
#else
#define EQ_DOT "vpdpbusd " VI_REGISTER
#define VI_DOT_ADD VI_DOT(dpbusd)
#endif
ALWAYS_INLINE void vi_dot2(vi acc[2], vi x, vi w0, vi w1)
{
    acc[0] = VI_DOT_ADD(acc[0], x, w0);
    acc[1] = VI_DOT_ADD(acc[1], x, w1);
}
#else
#define EQ_DOT "vpmaddwd " VI_REGISTER " + vpaddd"
/* As intrinsics, gcc multiplies far ahead of the additions, runs out of AVX2's 16 registers and keeps sums in memory;
 * this way a product lives for one instruction. In its order Zen 4 gets a tenth more of AVX-512's through. */
ALWAYS_INLINE void vi_dot2(vi acc[2], vi x, vi w0, vi w1)
{
#if defined(__AVX512F__)
    vi p0, p1;
    __asm__("vpmaddwd %[w0], %[x], %[p0]\n\t"
            "vpmaddwd %[w1], %[x], %[p1]\n\t"
            "vpaddd %[p0], %[acc0], %[acc0]\n\t"
            "vpaddd %[p1], %[acc1], %[acc1]"
            : [acc0] "+v"(acc[0]), [acc1] "+v"(acc[1]), [p0] "=&v"(p0), [p1] "=&v"(p1)
            : [x] "v"(x), [w0] "v"(w0), [w1] "v"(w1));
#else
    vi p;
    __asm__("vpmaddwd %[w0], %[x], %[p]\n\t"
            "vpaddd %[p], %[acc0], %[acc0]\n\t"
            "vpmaddwd %[w1], %[x], %[p]\n\t"
            "vpaddd %[p], %[acc1], %[acc1]"
            : [acc0] "+x"(acc[0]), [acc1] "+x"(acc[1]), [p] "=&x"(p)
            : [x] "x"(x), [w0] "x"(w0), [w1] "x"(w1));
#endif
}
#endif

#endif
