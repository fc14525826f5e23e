/* The ISA level that the flags of a file (cmake/EchoquantFlags.cmake, by its suffix) stand for, and names that end in
 * it. */
#ifndef KERNELS_LEVEL_H
#define KERNELS_LEVEL_H

#if defined(__AMX_INT8__) || defined(__AMXINT8__) /* the latter: clang 14 */
#define ISA_SUFFIX amx
#define ISA_LEVEL EQ_ISA_AMX
#elif defined(__AVX512BF16__)
#define ISA_SUFFIX avx512bf16
#define ISA_LEVEL EQ_ISA_AVX512BF16
#elif defined(__AVX512VNNI__)
#define ISA_SUFFIX avx512vnni
#define ISA_LEVEL EQ_ISA_AVX512VNNI
#elif defined(__AVX512F__)
#define ISA_SUFFIX avx512
#define ISA_LEVEL EQ_ISA_AVX512
#elif defined(__AVXVNNI__)
#define ISA_SUFFIX avxvnni
#define ISA_LEVEL EQ_ISA_AVXVNNI
#elif defined(__AVX2__)
#define ISA_SUFFIX avx2
#define ISA_LEVEL EQ_ISA_AVX2
#elif defined(__ARM_FEATURE_DOTPROD)
#define ISA_SUFFIX neondot
#define ISA_LEVEL EQ_ISA_NEONDOT
#elif defined(__ARM_NEON)
#define ISA_SUFFIX neon
#define ISA_LEVEL EQ_ISA_NEON
#endif

#define ISA_PASTE_ALL(name, suffix) name##__##suffix
#define ISA_PASTE(name, suffix) ISA_PASTE_ALL(name, suffix)
/* ISA_NAME(f32_add) is f32_add__avx2 in a file for AVX2. */
#define ISA_NAME(name) ISA_PASTE(name, ISA_SUFFIX)
/* As EQ_KERNEL (conv.h), for this level. */
#define ISA_KERNEL(stem, ...) ISA_KERNEL_AT(stem, ISA_SUFFIX, __VA_ARGS__)
#define ISA_KERNEL_AT(stem, suffix, ...) EQ_KERNEL(stem, suffix, ISA_LEVEL, __VA_ARGS__)

#endif
