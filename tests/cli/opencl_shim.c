/*
 * A device of OpenCL that is lost: for LD_PRELOAD. The program looks its functions up with dlsym; this one gives it a
 * clFlush, which ends every batch, that fails from the call on that OPENCL_LOST_AT counts (from 1).
 *   cc -shared -fPIC -o lost.so opencl_shim.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void *(*real_dlsym)(void *, const char *);
static int (*real_flush)(void *);

static int flush(void *queue)
{
    static int calls;
    const char *at = getenv("OPENCL_LOST_AT");
    return at && ++calls >= strtol(at, NULL, 10) ? -2 : real_flush(queue); /* CL_DEVICE_NOT_AVAILABLE */
}

void *dlsym(void *restrict handle, const char *restrict name)
{
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5"};
    for (size_t i = 0; !real_dlsym && i < sizeof versions / sizeof *versions; i++) {
        void *found = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
        memcpy(&real_dlsym, &found, sizeof found);
    }
    void *symbol = real_dlsym(handle, name);
    if (!symbol || strcmp(name, "clFlush") != 0)
        return symbol;
    memcpy(&real_flush, &symbol, sizeof symbol);
    int (*own)(void *) = flush;
    memcpy(&symbol, &own, sizeof own);
    return symbol;
}
