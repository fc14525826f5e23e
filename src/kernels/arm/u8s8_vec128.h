/* 128-bit NEON vectors and the switches of its levels, as vector/u8s8_tile.h names them. */
#ifndef KERNELS_ARM_U8S8_VEC128_H
#define KERNELS_ARM_U8S8_VEC128_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

typedef int32x4_t vi; /* int32 lanes, or what an instruction takes them for */
typedef float32x4_t vf;
#if defined(__ARM_FEATURE_DOTPROD)
#define EQ_MAX_R 8 /* rows x 2 vectors of sums, 8 of sources, 2 of weights */
#define EQ_DOT "sdot"
#else
#define EQ_MAX_R 4 /* rows x 4 vectors of sums in the making, 2 of sources, 4 of weights, 2 of products */
#define EQ_DOT "smull, smlal, sadalp"
#endif
#define EQ_WIDE 0
#define EQ_SRC_OFFSET 128
#define EQ_OWN_SUMS
enum { VL = 4, MAX_R = EQ_MAX_R };

static inline vi vi_load(const void *p)
{
    return vreinterpretq_s32_u8(vld1q_u8(p));
}
static inline void vi_store(void *p, vi x)
{
    vst1q_u8(p, vreinterpretq_u8_s32(x));
}
static inline int8x16_t vi_load_s8(const void *p)
{
    return vld1q_s8(p);
}
static inline vi vi_set1(int32_t x)
{
    return vdupq_n_s32(x);
}
/* Four bytes, four times. */
static inline int8x16_t vi_bcast_s8(const void *p)
{
    typedef int32_t __attribute__((aligned(1), may_alias)) unaligned;
    return vreinterpretq_s8_s32(vdupq_n_s32(*(const unaligned *)p));
}
static inline vi vi_add(vi a, vi b)
{
    return vaddq_s32(a, b);
}
static inline vi vi_sub(vi a, vi b)
{
    return vsubq_s32(a, b);
}
/* As eight int16 */
#define VI_OF_2_16(name, op)                                                                                           \
    static inline vi name(vi a, vi b)                                                                                  \
    {                                                                                                                  \
        return vreinterpretq_s32_s16(op(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));                          \
    }
VI_OF_2_16(vi_add16, vaddq_s16)
VI_OF_2_16(vi_sub16, vsubq_s16)
VI_OF_2_16(vi_mulhrs16, vqrdmulhq_s16) /* (a * b + 2^14) >> 15 */
static inline vi vi_set1_16(int x)
{
    return vreinterpretq_s32_s16(vdupq_n_s16((int16_t)x));
}
static inline vi vi_shl16(vi x, int bits)
{
    return vreinterpretq_s32_s16(vshlq_s16(vreinterpretq_s16_s32(x), vdupq_n_s16((int16_t)bits)));
}
static inline vi vi_widen_u8(const uint8_t *p)
{
    return vreinterpretq_s32_u16(vmovl_u8(vld1_u8(p)));
}
static inline vi vi_pack16(vi a, vi b) /* to s8, saturating */
{
    return vreinterpretq_s32_s8(
        vcombine_s8(vqmovn_s16(vreinterpretq_s16_s32(a)), vqmovn_s16(vreinterpretq_s16_s32(b))));
}
static inline vi vi_max_u8(vi a, vi b)
{
    return vreinterpretq_s32_u8(vmaxq_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)));
}
/* VL bytes to VL int32 lanes, and back from lanes in 0..255 */
static inline vi vi_load_u8(const uint8_t *p)
{
    uint32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    uint16x8_t wide = vmovl_u8(vcreate_u8(bytes));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
}
static inline void vi_store_u8(uint8_t *p, vi x)
{
    int16x4_t half = vmovn_s32(x);
    int8x8_t bytes = vmovn_s16(vcombine_s16(half, half));
    uint32_t out = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
    memcpy(p, &out, sizeof out);
}

static inline vf v_set1(float x)
{
    return vdupq_n_f32(x);
}
static inline vf v_load(const float *p)
{
    return vld1q_f32(p);
}
static inline void v_store(float *p, vf x)
{
    vst1q_f32(p, x);
}
static inline vf v_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
static inline vf v_of_i(vi x)
{
    return vcvtq_f32_s32(x);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
static inline vf v_max(vf a, vf b)
{
    return vmaxnmq_f32(a, b);
}
static inline vf v_min(vf a, vf b)
{
    return vminnmq_f32(a, b);
}
static inline vi vi_of_f(vf x)
{
    return vcvtnq_s32_f32(x); /* nearest, ties to even, whatever the mode */
}
/* VL values that are not below 0, nor NaN, to bytes of at most 255. */
static inline void v_store_limited_u8(uint8_t *p, vf x)
{
    vi_store_u8(p, vi_of_f(v_min(x, v_set1(255))));
}

#endif
