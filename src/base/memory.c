/* Aligned, zeroed memory and checked sizes. */
#include "echoquant/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { LINE = 64, HUGE_PAGE = 2 << 20, HUGE_FROM = 4 << 20 };

bool eq_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool eq_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

void *eq_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (!eq_mul_size(count, size, &bytes) || bytes > PTRDIFF_MAX - HUGE_PAGE)
        return NULL;
    void *p;
    bool huge = bytes >= HUGE_FROM;
    if (posix_memalign(&p, huge ? HUGE_PAGE : LINE, bytes ? bytes : 1) != 0)
        return NULL;
    if (huge)
        madvise(p, bytes, MADV_HUGEPAGE); /* advice only: a kernel without huge pages refuses, and nothing is lost */
    memset(p, 0, bytes);
    return p;
}

void eq_free(void *p)
{
    free(p);
}

/* VmHWM rather than ru_maxrss: the latter also remembers the size of the process that called exec. */
static size_t peak_from_proc(void)
{
    FILE *f = eq_fopen("/proc/self/status", "re");
    if (!f)
        return 0;
    char line[256];
    size_t kib = 0;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoul(line + 6, NULL, 10);
    fclose(f);
    return kib * 1024;
}

size_t eq_peak_rss_bytes(void)
{
    size_t bytes = peak_from_proc();
    struct rusage usage;
    if (bytes == 0 && getrusage(RUSAGE_SELF, &usage) == 0)
        bytes = (size_t)usage.ru_maxrss * 1024;
    return bytes;
}
