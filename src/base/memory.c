/* Aligned, zeroed memory and checked sizes. */
#include "echoquant/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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
