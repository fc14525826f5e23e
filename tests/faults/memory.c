/* The allocator: glibc's, which a program may stand in front of, and which its shared libraries then use too. */
#include "faults/faults.h"

#include <errno.h>
#include <stdlib.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void *memalign(size_t alignment, size_t n);

/* glibc sets errno in all of them, posix_memalign included, when the system refuses. */
static bool refuse(void)
{
    if (!faults_count(FAULTS_ALLOC) || !faults_now())
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    return refuse() ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t size)
{
    return refuse() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t n)
{
    return refuse() ? NULL : __libc_realloc(p, n);
}

void *memalign(size_t alignment, size_t n)
{
    return refuse() ? NULL : __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return memalign(alignment, n);
}

int posix_memalign(void **p, size_t alignment, size_t n)
{
    void *made = memalign(alignment, n);
    if (!made)
        return ENOMEM;
    *p = made;
    return 0;
}
