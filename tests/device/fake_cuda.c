/*
 * A libcuda.so.1 without a device: memory is the host's, "machine code" is the PTX behind a mark, and the kernels that
 * the tests launch are C functions. It follows what the driver refuses: calls without a context, launches of unknown
 * kernels, work after a failure. Environment:
 *   FAKE_CUDA_DEVICES  compute capabilities, "75,90" by default; "": no device
 *   FAKE_CUDA_FAIL     the function that fails, with FAKE_CUDA_CODE: a number, or what takes the process along:
 *                      "abort", "exit", "hang"
 * FAKE_CUDA_LACKS_GRAPHS leaves a function out, as older drivers do.
 */
#include "device/cuda_driver.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define X(name, arguments) CUresult name arguments;
EQ_CUDA_FUNCTIONS(X)
#undef X
/* For the tests: the calls since the last reset, and how many things are not freed. */
const char *fake_cuda_calls(bool reset);
int fake_cuda_live(void);

enum { MEMORY = 1 << 24, INVALID_VALUE = 1, INVALID_CONTEXT = 201, INVALID_IMAGE = 200, NOT_FOUND = 500 };

struct CUmod_st {
    char *text;
};
struct CUfunc_st {
    struct CUfunc_st *next;
    char name[64];
};
struct CUevent_st {
    float at;
};
struct launch {
    struct CUfunc_st *function;
    unsigned groups[3], local[3];
    unsigned char *arena;
    const int *steps;
    int step;
};
struct CUgraph_st {
    struct launch launches[64];
    size_t n;
};
struct CUgraphExec_st {
    struct CUgraph_st graph;
};
struct CUstream_st {
    struct CUgraph_st *capture;
};
struct CUlinkState_st {
    char *made;
    char *log;
};

static char calls[4096];
static int live, capabilities[8], devices, contexts;
static CUcontext current;
static struct CUfunc_st *functions;
static size_t allocated;
static float now;

const char *fake_cuda_calls(bool reset)
{
    if (reset)
        calls[0] = '\0';
    return calls;
}

int fake_cuda_live(void)
{
    return live + contexts;
}

static CUresult called(const char *name)
{
    const char *fail = getenv("FAKE_CUDA_FAIL"), *code = getenv("FAKE_CUDA_CODE");
    size_t n = strlen(calls);
    snprintf(calls + n, sizeof calls - n, "%s ", name);
    if (fail && code && strcmp(fail, name) == 0) {
        if (strcmp(code, "abort") == 0)
            abort();
        if (strcmp(code, "exit") == 0)
            exit(3);
        while (strcmp(code, "hang") == 0)
            pause();
    }
    return fail && code && strcmp(fail, name) == 0 ? (CUresult)strtol(code, NULL, 10) : CUDA_SUCCESS;
}

#define CALLED                                                                                                         \
    do {                                                                                                               \
        CUresult e_ = called(__func__);                                                                                \
        if (e_)                                                                                                        \
            return e_;                                                                                                 \
    } while (0)
#define NEEDS_CONTEXT                                                                                                  \
    do {                                                                                                               \
        CALLED;                                                                                                        \
        if (!current)                                                                                                  \
            return INVALID_CONTEXT;                                                                                    \
    } while (0)

static void *make(size_t bytes)
{
    live++;
    return calloc(1, bytes);
}

static CUresult drop(void *p)
{
    live--;
    free(p);
    return CUDA_SUCCESS;
}

CUresult cuInit(unsigned flags)
{
    const char *list = getenv("FAKE_CUDA_DEVICES");
    CALLED;
    devices = 0;
    for (list = list ? list : "75,90"; *list && devices < 8; list += strspn(list, ",")) {
        capabilities[devices++] = (int)strtol(list, NULL, 10);
        list += strcspn(list, ",");
    }
    return flags ? INVALID_VALUE : devices ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *version)
{
    CALLED;
    *version = 12040;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult code, const char **name)
{
    static const struct {
        CUresult code;
        const char *name;
    } names[] = {{1, "CUDA_ERROR_INVALID_VALUE"},   {2, "CUDA_ERROR_OUT_OF_MEMORY"},
                 {200, "CUDA_ERROR_INVALID_IMAGE"}, {201, "CUDA_ERROR_INVALID_CONTEXT"},
                 {218, "CUDA_ERROR_INVALID_PTX"},   {500, "CUDA_ERROR_NOT_FOUND"},
                 {719, "CUDA_ERROR_LAUNCH_FAILED"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code) {
            *name = names[i].name;
            return CUDA_SUCCESS;
        }
    return INVALID_VALUE;
}

CUresult cuDeviceGetCount(int *n)
{
    CALLED;
    *n = devices;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int index)
{
    CALLED;
    *device = 100 + index;
    return index >= 0 && index < devices ? CUDA_SUCCESS : 101;
}

CUresult cuDeviceGetName(char *name, int room, CUdevice device)
{
    CALLED;
    snprintf(name, (size_t)room, "Fake T%d", device - 100);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    CALLED;
    *bytes = MEMORY;
    return device >= 100 ? CUDA_SUCCESS : 101;
}

CUresult cuDeviceGetAttribute(int *value, int what, CUdevice device)
{
    CALLED;
    int capability = capabilities[device - 100];
    *value = what == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT       ? 40
             : what == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? capability / 10
             : what == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? capability % 10
                                                                    : -1;
    return *value < 0 ? INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    CALLED;
    contexts++;
    *context = (CUcontext)(uintptr_t)device;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    CALLED;
    (void)device;
    contexts--;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context)
{
    CALLED;
    current = context;
    return CUDA_SUCCESS;
}

CUresult cuLinkCreate_v2(unsigned n, int *options, void **values, CUlinkState *out)
{
    NEEDS_CONTEXT;
    CUlinkState link = make(sizeof *link);
    for (unsigned i = 0; i < n; i++)
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
            link->log = values[i];
    *out = link;
    return CUDA_SUCCESS;
}

CUresult cuLinkAddData_v2(CUlinkState link, int type, void *data, size_t bytes, const char *name, unsigned n,
                          int *options, void **values)
{
    NEEDS_CONTEXT;
    (void)name;
    (void)n;
    (void)options;
    (void)values;
    if (type != CU_JIT_INPUT_PTX || ((const char *)data)[bytes - 1] != '\0')
        return INVALID_VALUE;
    if (strstr(data, "no ptx")) {
        snprintf(link->log, 100, "ptxas application ptx input, line 1; fatal: Missing .version directive");
        return 218;
    }
    link->made = make(bytes + 6);
    snprintf(link->made, bytes + 6, "CUBIN%s", (const char *)data);
    return CUDA_SUCCESS;
}

CUresult cuLinkComplete(CUlinkState link, void **made, size_t *bytes)
{
    NEEDS_CONTEXT;
    *made = link->made;
    *bytes = strlen(link->made) + 1;
    return CUDA_SUCCESS;
}

CUresult cuLinkDestroy(CUlinkState link)
{
    called(__func__);
    if (link->made)
        drop(link->made);
    return drop(link);
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    NEEDS_CONTEXT;
    if (strncmp(image, "CUBIN", 5) != 0)
        return INVALID_IMAGE;
    *module = make(sizeof **module);
    (*module)->text = strdup(image);
    return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module)
{
    called(__func__);
    free(module->text);
    return drop(module);
}

CUresult cuModuleGetFunction(CUfunction *out, CUmodule module, const char *name)
{
    char entry[80];
    NEEDS_CONTEXT;
    snprintf(entry, sizeof entry, ".entry %s(", name);
    if (!strstr(module->text, entry))
        return NOT_FOUND;
    for (*out = functions; *out; *out = (*out)->next)
        if (strcmp((*out)->name, name) == 0)
            return CUDA_SUCCESS;
    *out = calloc(1, sizeof **out); /* the driver's, for as long as it lives */
    snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    (*out)->next = functions;
    functions = *out;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, int what, CUfunction function)
{
    NEEDS_CONTEXT;
    *value = 256;
    return function && what == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuMemGetInfo_v2(size_t *space, size_t *total)
{
    NEEDS_CONTEXT;
    *space = MEMORY - allocated;
    *total = MEMORY;
    return CUDA_SUCCESS;
}

/* With its size before it. */
CUresult cuMemAlloc_v2(CUdeviceptr *out, size_t bytes)
{
    NEEDS_CONTEXT;
    if (bytes == 0 || bytes > MEMORY - allocated)
        return bytes ? CUDA_ERROR_OUT_OF_MEMORY : INVALID_VALUE;
    size_t *made = make(bytes + 16);
    made[0] = bytes;
    allocated += bytes;
    memset(made + 2, 0x5a, bytes);
    *out = (CUdeviceptr)(uintptr_t)(made + 2);
    return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr p)
{
    called(__func__);
    size_t *made = (size_t *)(uintptr_t)p - 2;
    allocated -= made[0];
    return drop(made);
}

CUresult cuMemHostAlloc(void **out, size_t bytes, unsigned flags)
{
    NEEDS_CONTEXT;
    *out = make(bytes);
    return flags ? INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *p)
{
    called(__func__);
    return drop(p);
}

CUresult cuMemsetD8_v2(CUdeviceptr p, unsigned char byte, size_t n)
{
    NEEDS_CONTEXT;
    memset((void *)(uintptr_t)p, byte, n);
    return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t n)
{
    NEEDS_CONTEXT;
    memcpy((void *)(uintptr_t)to, from, n);
    return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t n)
{
    NEEDS_CONTEXT;
    memcpy(to, (const void *)(uintptr_t)from, n);
    return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream stream)
{
    NEEDS_CONTEXT;
    memcpy((void *)(uintptr_t)to, from, n);
    now += 0.25F;
    return stream && !stream->capture ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream stream)
{
    NEEDS_CONTEXT;
    memcpy(to, (const void *)(uintptr_t)from, n);
    now += 0.125F;
    return stream && !stream->capture ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuStreamCreate(CUstream *stream, unsigned flags)
{
    NEEDS_CONTEXT;
    *stream = make(sizeof **stream);
    return flags == CU_STREAM_NON_BLOCKING ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuStreamDestroy_v2(CUstream stream)
{
    called(__func__);
    return drop(stream);
}

CUresult cuStreamSynchronize(CUstream stream)
{
    NEEDS_CONTEXT;
    return stream && stream->capture ? 900 : CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode)
{
    NEEDS_CONTEXT;
    stream->capture = make(sizeof *stream->capture);
    return mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
    CUresult e = called(__func__);
    *graph = e ? NULL : stream->capture;
    if (e)
        drop(stream->capture);
    stream->capture = NULL;
    return e;
}

CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned lx, unsigned ly,
                        unsigned lz, unsigned shared, CUstream stream, void **arguments, void **extra)
{
    NEEDS_CONTEXT;
    if (!stream->capture || stream->capture->n == 64 || shared || extra || !gx || !gy || !gz || lx * ly * lz > 256)
        return INVALID_VALUE;
    stream->capture->launches[stream->capture->n++] =
        (struct launch){.function = function,
                        .groups = {gx, gy, gz},
                        .local = {lx, ly, lz},
                        .arena = (unsigned char *)(uintptr_t) * (CUdeviceptr *)arguments[0],
                        .steps = (const int *)(uintptr_t) * (CUdeviceptr *)arguments[1],
                        .step = *(int *)arguments[2]};
    return CUDA_SUCCESS;
}

#ifndef FAKE_CUDA_LACKS_GRAPHS
CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph graph, unsigned long long flags)
{
    NEEDS_CONTEXT;
    *out = make(sizeof **out);
    (*out)->graph = *graph;
    return flags ? INVALID_VALUE : CUDA_SUCCESS;
}
#endif

CUresult cuGraphDestroy(CUgraph graph)
{
    called(__func__);
    return drop(graph);
}

/* The kernels of test_device_cuda.c, over all work-items in order. */
static void run(const struct launch *l)
{
    int *a = (int *)(void *)l->arena;
    size_t size[3], id[3];
    for (int k = 0; k < 3; k++)
        size[k] = (size_t)l->groups[k] * l->local[k];
    for (id[2] = 0; id[2] < size[2]; id[2]++)
        for (id[1] = 0; id[1] < size[1]; id[1]++)
            for (id[0] = 0; id[0] < size[0]; id[0]++) {
                if (strcmp(l->function->name, "add_step") == 0)
                    a[id[0]] += l->steps[l->step];
                else
                    a[(id[2] * size[1] + id[1]) * size[0] + id[0]] =
                        (int)(100 * (id[0] / l->local[0]) + 10 * (id[0] % l->local[0]) + l->local[1]);
            }
}

CUresult cuGraphLaunch(CUgraphExec graph, CUstream stream)
{
    NEEDS_CONTEXT;
    for (size_t i = 0; i < graph->graph.n; i++)
        run(&graph->graph.launches[i]);
    now += 1;
    return stream ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuGraphExecDestroy(CUgraphExec graph)
{
    called(__func__);
    return drop(graph);
}

CUresult cuEventCreate(CUevent *event, unsigned flags)
{
    NEEDS_CONTEXT;
    *event = make(sizeof **event);
    return flags ? INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event)
{
    called(__func__);
    return drop(event);
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    NEEDS_CONTEXT;
    event->at = now;
    return stream ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuEventElapsedTime(float *ms, CUevent from, CUevent to)
{
    CALLED;
    *ms = to->at - from->at;
    return CUDA_SUCCESS;
}
