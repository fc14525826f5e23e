/* x86-64: CPUID reports what the chip can do, XCR0 which registers the system saves; Linux grants AMX on request. */
#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    XCR0_AVX = 1 << 1 | 1 << 2,                        /* SSE and upper halves of ymm */
    XCR0_AVX512 = XCR0_AVX | 1 << 5 | 1 << 6 | 1 << 7, /* masks, upper zmm, zmm16-31 */
    XCR0_AMX = 1 << 17 | 1 << 18,                      /* tile configuration, tile data */
    ARCH_REQ_XCOMP_PERM_ = 0x1023,
    XFEATURE_XTILEDATA_ = 18 /* asm/prctl.h; absent from older headers */
};

struct leaf {
    unsigned eax, ebx, ecx, edx;
};

/* All zero when the CPU lacks the leaf. */
static struct leaf cpuid(unsigned leaf, unsigned sub)
{
    struct leaf r = {0};
    if (!__get_cpuid_count(leaf, sub, &r.eax, &r.ebx, &r.ecx, &r.edx))
        memset(&r, 0, sizeof r);
    return r;
}

static uint64_t read_xcr0(void)
{
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static bool bit(unsigned word, int n)
{
    return word >> n & 1;
}

static bool amx_granted(uint64_t xcr0)
{
    return (xcr0 & XCR0_AMX) == XCR0_AMX && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM_, XFEATURE_XTILEDATA_) == 0;
}

void eq_cpu_detect(bool has[EQ_ISA_COUNT])
{
    struct leaf l1 = cpuid(1, 0), l7 = cpuid(7, 0), l7_1 = cpuid(7, 1);
    if (!bit(l1.ecx, 27)) /* OSXSAVE: without it xgetbv faults */
        return;
    uint64_t xcr0 = read_xcr0();
    bool ymm = (xcr0 & XCR0_AVX) == XCR0_AVX, zmm = (xcr0 & XCR0_AVX512) == XCR0_AVX512;

    bool fma = bit(l1.ecx, 12), avx = bit(l1.ecx, 28), f16c = bit(l1.ecx, 29), avx2 = bit(l7.ebx, 5);
    has[EQ_ISA_AVX2] = ymm && avx && avx2 && fma && f16c;
    has[EQ_ISA_AVXVNNI] = has[EQ_ISA_AVX2] && bit(l7_1.eax, 4);

    bool f = bit(l7.ebx, 16), dq = bit(l7.ebx, 17), bw = bit(l7.ebx, 30), vl = bit(l7.ebx, 31);
    has[EQ_ISA_AVX512] = has[EQ_ISA_AVX2] && zmm && f && dq && bw && vl;
    has[EQ_ISA_AVX512VNNI] = has[EQ_ISA_AVX512] && bit(l7.ecx, 11);
    has[EQ_ISA_AVX512BF16] = has[EQ_ISA_AVX512] && bit(l7_1.eax, 5);

    bool amx = bit(l7.edx, 22) && bit(l7.edx, 24) && bit(l7.edx, 25); /* BF16, TILE, INT8 */
    has[EQ_ISA_AMX] = has[EQ_ISA_AVX512VNNI] && has[EQ_ISA_AVX512BF16] && amx && amx_granted(xcr0);
}

bool eq_cpu_brand(char *name, size_t size)
{
    char brand[49] = {0};
    if ((unsigned)__get_cpuid_max(0x80000000u, NULL) < 0x80000004u)
        return false;
    for (unsigned i = 0; i < 3; i++) {
        struct leaf r = cpuid(0x80000002u + i, 0);
        memcpy(brand + 16 * i, &r, 16);
    }
    size_t len = strlen(brand);
    while (len && brand[len - 1] == ' ')
        brand[--len] = '\0';
    const char *start = brand + strspn(brand, " ");
    if (!*start)
        return false;
    snprintf(name, size, "%s", start);
    return true;
}
#endif
