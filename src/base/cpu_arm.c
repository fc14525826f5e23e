/* aarch64 and everything else but x86-64: the kernel reports what it grants in the auxiliary vector. */
#include "base/cpu.h"

#if !defined(__x86_64__)
#if defined(__aarch64__)
#include <sys/auxv.h>

enum { HWCAP_ASIMD_ = 1 << 1, HWCAP_ASIMDDP_ = 1 << 20 }; /* asm/hwcap.h */

void eq_cpu_detect(bool has[EQ_ISA_COUNT])
{
    unsigned long caps = getauxval(AT_HWCAP);
    has[EQ_ISA_NEON] = (caps & HWCAP_ASIMD_) != 0;
    has[EQ_ISA_NEONDOT] = has[EQ_ISA_NEON] && (caps & HWCAP_ASIMDDP_) != 0;
}
#else
void eq_cpu_detect(bool has[EQ_ISA_COUNT])
{
    (void)has;
}
#endif

bool eq_cpu_brand(char *name, size_t size)
{
    (void)name;
    (void)size;
    return false;
}
#endif
