/* Flushing of denormals to zero: each costs a hundred cycles and contributes nothing. */
#ifndef ECHOQUANT_BASE_FPU_H
#define ECHOQUANT_BASE_FPU_H

#include <stdint.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* Turns flushing on and returns the previous setting. */
static inline uint64_t eq_fpu_flush_denormals(void)
{
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u); /* FTZ, DAZ */
    return before;
#elif defined(__aarch64__)
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (uint64_t)1 << 24)); /* FZ */
    return before;
#else
    return 0;
#endif
}

static inline void eq_fpu_restore(uint64_t before)
{
#if defined(__x86_64__)
    _mm_setcsr((unsigned)before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
    (void)before;
#endif
}

#endif
