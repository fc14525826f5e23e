/*
 * A device of OpenCL that fails or errs: for LD_PRELOAD. The program looks its functions up with dlsym, and gets some
 * of these. Environment:
 *   OPENCL_LOST_AT     the call of clFlush, which ends every batch, from which on the device is lost (from 1)
 *   OPENCL_MOST_BYTES  a buffer of more bytes is refused for want of memory
 *   OPENCL_WRONG       "edges": the first byte of what is read back and waited for is wrong, as the self-check does;
 *                      "pixels": those of every batch are white
 *   OPENCL_BUILD       "abort" or "exit": what its compiler does to the process
 *   cc -shared -fPIC -o shim.so opencl_shim.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_AVAILABLE = -2, NO_MEMORY = -4 };

static void *(*real_dlsym)(void *, const char *);
static int (*real_flush)(void *);
static void *(*real_buffer)(void *, unsigned long, size_t, void *, int *);
static int (*real_build)(void *, unsigned, const void *, const char *, void *, void *);
static int (*real_read)(void *, void *, unsigned, size_t, size_t, void *, unsigned, const void *, void *);
static int (*real_write)(void *, void *, unsigned, size_t, size_t, const void *, unsigned, const void *, void *);

static int wrong(const char *what)
{
    const char *how = getenv("OPENCL_WRONG");
    return how && strcmp(how, what) == 0;
}

static int flush(void *queue)
{
    static int calls;
    const char *at = getenv("OPENCL_LOST_AT");
    return at && ++calls >= strtol(at, NULL, 10) ? NOT_AVAILABLE : real_flush(queue);
}

static void *buffer(void *context, unsigned long flags, size_t bytes, void *host, int *code)
{
    const char *most = getenv("OPENCL_MOST_BYTES");
    if (!most || bytes <= strtoul(most, NULL, 10))
        return real_buffer(context, flags, bytes, host, code);
    *code = NO_MEMORY;
    return NULL;
}

static int build(void *program, unsigned devices, const void *list, const char *options, void *notify, void *data)
{
    const char *how = getenv("OPENCL_BUILD");
    if (how && strcmp(how, "abort") == 0)
        abort();
    if (how && strcmp(how, "exit") == 0)
        exit(0);
    return real_build(program, devices, list, options, notify, data);
}

static int read_back(void *queue, void *from, unsigned waits, size_t offset, size_t n, void *to, unsigned events,
                     const void *list, void *event)
{
    int code = real_read(queue, from, waits, offset, n, to, events, list, event);
    if (waits && n && wrong("edges"))
        *(unsigned char *)to ^= 1;
    return code;
}

static int write_to(void *queue, void *to, unsigned waits, size_t offset, size_t n, const void *from, unsigned events,
                    const void *list, void *event)
{
    if (!waits && wrong("pixels")) /* the program's own copy */
        memset((void *)(size_t)from, 255, n);
    return real_write(queue, to, waits, offset, n, from, events, list, event);
}

static const struct {
    const char *name;
    void *own, *real; /* real: where the address of the library's is kept */
} functions[] = {
    {"clBuildProgram", (void *)build, &real_build},          {"clFlush", (void *)flush, &real_flush},
    {"clCreateBuffer", (void *)buffer, &real_buffer},        {"clEnqueueReadBuffer", (void *)read_back, &real_read},
    {"clEnqueueWriteBuffer", (void *)write_to, &real_write},
};

void *dlsym(void *restrict handle, const char *restrict name)
{
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5"};
    for (size_t i = 0; !real_dlsym && i < sizeof versions / sizeof *versions; i++) {
        void *found = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
        memcpy(&real_dlsym, &found, sizeof found);
    }
    void *symbol = real_dlsym(handle, name);
    for (size_t i = 0; symbol && i < sizeof functions / sizeof *functions; i++)
        if (strcmp(name, functions[i].name) == 0) {
            memcpy(functions[i].real, &symbol, sizeof symbol);
            return functions[i].own;
        }
    return symbol;
}
