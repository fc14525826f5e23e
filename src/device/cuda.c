/*
 * The loader for NVIDIA's driver: PTX that clang made while echoquant was built becomes machine code by the driver's
 * compiler, and a sequence of launches a graph. Copies stay outside of the graph, between events, so that upload,
 * compute and download are timed apart.
 */
#include "device/api.h"
#include "device/cuda_driver.h"

#include <stdlib.h>
#include <string.h>

struct context {
    const struct eq_cuda *cuda;
    CUdevice device;
    CUcontext context; /* the primary one; NULL: not held */
    CUstream stream;
    CUmodule module;
    int capability; /* 75: compute capability 7.5 */
    char who[160];  /* "cuda:0 (name)" */
};

enum { BEGIN, UPLOADED, COMPUTED, DOWNLOADED, EVENTS };

struct sequence {
    struct eq_sequence_plan plan; /* without its launches, which are in the graph */
    CUgraphExec graph;
    CUevent events[EVENTS];
    void *in, *out; /* pinned */
};

/* ---- errors ---------------------------------------------------------------- */

static enum eq_status failed(const struct context *c, CUresult code, const char *call, enum eq_status otherwise,
                             struct eq_err *err)
{
    char text[80];
    bool memory = code == CUDA_ERROR_OUT_OF_MEMORY;
    const char *version = strstr(call, "_v2"); /* manuals leave it out */
    return eq_fail(err, memory ? EQ_NOMEM : otherwise, "%s: %s%.*s failed: %s", c->who,
                   memory ? "not enough memory: " : "", version ? (int)(version - call) : (int)strlen(call), call,
                   eq_cuda_code_name(c->cuda, code, text));
}

/* Returns the status of a failed call from a function that has nothing to free. */
#define CALL(c, otherwise, err, name, ...)                                                                             \
    do {                                                                                                               \
        CUresult e_ = (c)->cuda->name(__VA_ARGS__);                                                                    \
        if (e_ != CUDA_SUCCESS)                                                                                        \
            return failed(c, e_, #name, otherwise, err);                                                               \
    } while (0)

/* A context belongs to a thread; calls come from several. */
static enum eq_status enter(const struct context *c, enum eq_status otherwise, struct eq_err *err)
{
    CALL(c, otherwise, err, cuCtxSetCurrent, c->context);
    return EQ_OK;
}

/* ---- the list ---------------------------------------------------------------- */

static int attribute(const struct eq_cuda *cuda, int what, CUdevice device)
{
    int value = 0;
    return cuda->cuDeviceGetAttribute(&value, what, device) == CUDA_SUCCESS ? value : 0;
}

static int capability_of(const struct eq_cuda *cuda, CUdevice device)
{
    return 10 * attribute(cuda, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device) +
           attribute(cuda, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
}

/* The PTX for the newest architecture that the device has; NULL: none. */
static const struct eq_device_ptx *ptx_for(int capability)
{
    const struct eq_device_ptx *best = NULL;
    for (const struct eq_device_ptx *p = eq_device_ptx; p->text; p++)
        if (p->architecture <= capability)
            best = p;
    return best;
}

static void why_not(int capability, struct eq_str *why)
{
    if (!eq_device_ptx[0].text)
        eq_str_add(why, "this echoquant was built without PTX (ECHOQUANT_PTX, which needs clang 14 or newer)");
    else if (!ptx_for(capability))
        eq_str_add(why, "it has compute capability %d.%d; %d.%d or newer is needed", capability / 10, capability % 10,
                   eq_device_ptx[0].architecture / 10, eq_device_ptx[0].architecture % 10);
}

static void describe(const struct eq_cuda *cuda, int index, struct eq_device_info *info)
{
    char code[80];
    CUdevice device = 0;
    *info = (struct eq_device_info){.is_gpu = true};
    snprintf(info->id, sizeof info->id, "cuda:%d", index);
    snprintf(info->name, sizeof info->name, "unknown");
    snprintf(info->driver, sizeof info->driver, "%s", cuda->driver);
    snprintf(info->integer_path, sizeof info->integer_path, "plain");
    CUresult e = cuda->cuDeviceGet(&device, index);
    if (e != CUDA_SUCCESS) {
        eq_str_add(&info->why, "cuDeviceGet failed: %s", eq_cuda_code_name(cuda, e, code));
        return;
    }
    cuda->cuDeviceGetName(info->name, (int)sizeof info->name, device);
    cuda->cuDeviceTotalMem_v2(&info->memory, device);
    info->units = attribute(cuda, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);
    int capability = capability_of(cuda, device);
    snprintf(info->integer_path, sizeof info->integer_path, "%s",
             capability >= 80   ? "mma.m16n8k32"
             : capability >= 75 ? "mma.m8n8k16"
             : capability >= 61 ? "dp4a"
                                : "plain");
    why_not(capability, &info->why);
}

static enum eq_status list_devices(struct eq_device_list *list, struct eq_err *err)
{
    const char *notes;
    const struct eq_cuda *cuda = eq_cuda_open(&notes);
    (void)err;
    eq_str_add(&list->notes, "%s", notes);
    for (int i = 0; cuda && i < cuda->devices; i++) {
        list->devices = eq_list_grow(list->devices, list->n, sizeof *list->devices);
        describe(cuda, i, &list->devices[list->n++]);
    }
    return EQ_OK;
}

/* ---- open and close ------------------------------------------------------------ */

static void close_device(void *ctx)
{
    struct context *c = ctx;
    if (!c)
        return;
    if (c->context) {
        c->cuda->cuCtxSetCurrent(c->context);
        if (c->module)
            c->cuda->cuModuleUnload(c->module);
        if (c->stream)
            c->cuda->cuStreamDestroy_v2(c->stream);
        c->cuda->cuCtxSetCurrent(NULL);
        c->cuda->cuDevicePrimaryCtxRelease_v2(c->device);
    }
    free(c);
}

static enum eq_status enter_device(struct context *c, int index, struct eq_err *err)
{
    CALL(c, EQ_UNSUPPORTED, err, cuDeviceGet, &c->device, index);
    c->capability = capability_of(c->cuda, c->device);
    CALL(c, EQ_UNSUPPORTED, err, cuDevicePrimaryCtxRetain, &c->context, c->device);
    EQ_CHECK(enter(c, EQ_UNSUPPORTED, err));
    CALL(c, EQ_UNSUPPORTED, err, cuStreamCreate, &c->stream, CU_STREAM_NON_BLOCKING);
    return EQ_OK;
}

static enum eq_status open_device(int index, const struct eq_device_info *info, void **ctx, struct eq_err *err)
{
    const char *notes;
    const struct eq_cuda *cuda = eq_cuda_open(&notes);
    *ctx = NULL;
    if (!cuda || index < 0 || index >= cuda->devices)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: no such device", info->id);
    struct context *c = eq_small(NULL, sizeof *c);
    *c = (struct context){.cuda = cuda};
    snprintf(c->who, sizeof c->who, "%s (%s)", info->id, info->name);
    enum eq_status st = enter_device(c, index, err);
    if (st == EQ_OK)
        *ctx = c;
    else
        close_device(c);
    return st;
}

/* ---- programs -------------------------------------------------------------------- */

/* The driver's compiler makes machine code of PTX; *code is its own copy. */
static enum eq_status assemble(struct context *c, const struct eq_device_ptx *ptx, void **code, size_t *bytes,
                               struct eq_err *err)
{
    enum { LOG = 8192, SHOWN = 700 };
    char *log = eq_small(NULL, LOG);
    char name[80];
    const char *call = "cuLinkCreate";
    int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)LOG}, *made = NULL;
    size_t n = 0;
    enum eq_status st = EQ_OK;
    CUlinkState link = NULL;
    memset(log, 0, LOG);
    CUresult e = c->cuda->cuLinkCreate_v2(2, options, values, &link);
    if (e == CUDA_SUCCESS) {
        call = "cuLinkAddData";
        e = c->cuda->cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, (void *)(uintptr_t)ptx->text, strlen(ptx->text) + 1,
                                      "echoquant", 0, NULL, NULL);
    }
    if (e == CUDA_SUCCESS) {
        call = "cuLinkComplete";
        e = c->cuda->cuLinkComplete(link, &made, &n); /* made belongs to link */
    }
    log[LOG - 1] = '\0';
    if (e == CUDA_ERROR_OUT_OF_MEMORY)
        st = failed(c, e, call, EQ_UNSUPPORTED, err);
    else if (e != CUDA_SUCCESS)
        st = eq_fail(err, EQ_UNSUPPORTED,
                     "%s: its driver (%s) does not build the kernels: %s failed: %s; its log: %.*s", c->who,
                     c->cuda->driver, call, eq_cuda_code_name(c->cuda, e, name), SHOWN, log[0] ? log : "(empty)");
    else if (!(*code = eq_alloc(n, 1)))
        st = eq_fail(err, EQ_NOMEM, "out of memory for the program of %s", c->who);
    if (st == EQ_OK) {
        memcpy(*code, made, n);
        *bytes = n;
    }
    if (link)
        c->cuda->cuLinkDestroy(link);
    free(log);
    return st;
}

/* The defines are in the PTX already, which was made of the same text for an architecture. */
static enum eq_status build(void *ctx, const char *defines, const void *cached, size_t cached_bytes, void **program,
                            size_t *bytes, struct eq_err *err)
{
    struct context *c = ctx;
    const struct eq_device_ptx *ptx = ptx_for(c->capability);
    CUmodule made = NULL;
    void *code = NULL;
    size_t code_bytes = 0;
    (void)defines;
    (void)cached_bytes; /* machine code says how long it is; the cache has checked that it is whole */
    if (program) {
        *program = NULL;
        *bytes = 0;
    }
    if (!ptx)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: there is no PTX for compute capability %d.%d", c->who,
                       c->capability / 10, c->capability % 10);
    EQ_CHECK(enter(c, EQ_UNSUPPORTED, err));
    if (!cached)
        EQ_CHECK(assemble(c, ptx, &code, &code_bytes, err));
    CUresult e = c->cuda->cuModuleLoadData(&made, cached ? cached : code);
    if (e != CUDA_SUCCESS || !program) {
        eq_free(code);
        code = NULL;
    }
    if (e != CUDA_SUCCESS)
        return failed(c, e, cached ? "cuModuleLoadData of a cached program" : "cuModuleLoadData",
                      cached ? EQ_FORMAT : EQ_UNSUPPORTED, err);
    if (code) {
        *program = code;
        *bytes = code_bytes;
    }
    if (c->module)
        c->cuda->cuModuleUnload(c->module);
    c->module = made;
    return EQ_OK;
}

/* ---- memory ---------------------------------------------------------------------- */

static enum eq_status alloc(void *ctx, size_t bytes, eq_device_buffer *out, struct eq_err *err)
{
    struct context *c = ctx;
    char text[80];
    CUdeviceptr made = 0;
    size_t space = 0, total = 0;
    *out = 0;
    bytes = bytes ? bytes : 1;
    EQ_CHECK(enter(c, EQ_UNSUPPORTED, err));
    CUresult e = c->cuda->cuMemAlloc_v2(&made, bytes);
    if (e == CUDA_ERROR_OUT_OF_MEMORY && c->cuda->cuMemGetInfo_v2(&space, &total) == CUDA_SUCCESS)
        return eq_fail(err, EQ_NOMEM,
                       "%s: not enough memory: %.1f MiB are needed in one piece, %.1f of %.1f MiB are free; "
                       "cuMemAlloc failed: %s",
                       c->who, (double)bytes / 1048576, (double)space / 1048576, (double)total / 1048576,
                       eq_cuda_code_name(c->cuda, e, text));
    if (e != CUDA_SUCCESS)
        return failed(c, e, "cuMemAlloc", EQ_UNSUPPORTED, err);
    e = c->cuda->cuMemsetD8_v2(made, 0, bytes);
    const char *call = "cuMemsetD8";
    if (e == CUDA_SUCCESS) { /* the memset is of another stream, and ends some time later */
        call = "cuStreamSynchronize";
        e = c->cuda->cuStreamSynchronize(NULL);
    }
    if (e != CUDA_SUCCESS) {
        c->cuda->cuMemFree_v2(made);
        return failed(c, e, call, EQ_UNSUPPORTED, err);
    }
    *out = made;
    return EQ_OK;
}

static void release(void *ctx, eq_device_buffer b)
{
    struct context *c = ctx;
    if (b && c->cuda->cuCtxSetCurrent(c->context) == CUDA_SUCCESS)
        c->cuda->cuMemFree_v2(b);
}

static enum eq_status write_buffer(void *ctx, eq_device_buffer b, size_t offset, const void *data, size_t bytes,
                                   struct eq_err *err)
{
    struct context *c = ctx;
    if (bytes == 0)
        return EQ_OK;
    EQ_CHECK(enter(c, EQ_IO, err));
    CALL(c, EQ_IO, err, cuMemcpyHtoD_v2, b + offset, data, bytes);
    /* A copy from pageable memory may return before its last part has arrived. */
    CALL(c, EQ_IO, err, cuStreamSynchronize, NULL);
    return EQ_OK;
}

static enum eq_status read_buffer(void *ctx, eq_device_buffer b, size_t offset, void *data, size_t bytes,
                                  struct eq_err *err)
{
    struct context *c = ctx;
    if (bytes == 0)
        return EQ_OK;
    EQ_CHECK(enter(c, EQ_IO, err));
    CALL(c, EQ_IO, err, cuStreamSynchronize, c->stream);
    CALL(c, EQ_IO, err, cuMemcpyDtoH_v2, data, b + offset, bytes);
    return EQ_OK;
}

/* ---- sequences -------------------------------------------------------------------- */

static void forget(void *ctx, void *sequence)
{
    struct context *c = ctx;
    struct sequence *s = sequence;
    if (!s)
        return;
    if (c->cuda->cuCtxSetCurrent(c->context) == CUDA_SUCCESS) {
        c->cuda->cuStreamSynchronize(c->stream); /* a call may have been started and never finished */
        for (int i = 0; i < EVENTS; i++)
            if (s->events[i])
                c->cuda->cuEventDestroy_v2(s->events[i]);
        if (s->graph)
            c->cuda->cuGraphExecDestroy(s->graph);
        if (s->in)
            c->cuda->cuMemFreeHost(s->in);
        if (s->out)
            c->cuda->cuMemFreeHost(s->out);
    }
    free(s);
}

/* Before the capture: a driver that loads kernels when they are first used could do so within it. */
static enum eq_status find_kernel(struct context *c, const struct eq_launch *l, CUfunction *function,
                                  struct eq_err *err)
{
    char call[128];
    int most = 0;
    size_t items = l->local[0] * l->local[1] * l->local[2];
    CUresult e = c->cuda->cuModuleGetFunction(function, c->module, l->kernel);
    if (e != CUDA_SUCCESS) {
        snprintf(call, sizeof call, "cuModuleGetFunction(%s)", l->kernel);
        return failed(c, e, call, EQ_UNSUPPORTED, err);
    }
    CALL(c, EQ_UNSUPPORTED, err, cuFuncGetAttribute, &most, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, *function);
    if (items > (size_t)most)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: kernel %s wants %zu threads in a block, the device has room for %d",
                       c->who, l->kernel, items, most);
    return EQ_OK;
}

static enum eq_status launch(struct context *c, const struct eq_sequence_plan *plan, const struct eq_launch *l,
                             CUfunction function, struct eq_err *err)
{
    CUdeviceptr arena = plan->arena, steps = plan->steps;
    int step = l->step;
    void *arguments[] = {&arena, &steps, &step};
    char call[128];
    CUresult e = c->cuda->cuLaunchKernel(function, (unsigned)l->groups[0], (unsigned)l->groups[1],
                                         (unsigned)l->groups[2], (unsigned)l->local[0], (unsigned)l->local[1],
                                         (unsigned)l->local[2], 0, c->stream, arguments, NULL);
    snprintf(call, sizeof call, "cuLaunchKernel(%s)", l->kernel);
    return e == CUDA_SUCCESS ? EQ_OK : failed(c, e, call, EQ_UNSUPPORTED, err);
}

static enum eq_status capture(struct context *c, const struct eq_sequence_plan *plan, const CUfunction *functions,
                              CUgraphExec *out, struct eq_err *err)
{
    CUgraph graph = NULL;
    enum eq_status st = EQ_OK;
    CALL(c, EQ_UNSUPPORTED, err, cuStreamBeginCapture_v2, c->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    for (size_t i = 0; st == EQ_OK && i < plan->n; i++)
        st = launch(c, plan, &plan->launches[i], functions[i], err);
    CUresult e = c->cuda->cuStreamEndCapture(c->stream, &graph); /* after a failure as well: it ends the capture */
    if (st == EQ_OK && e != CUDA_SUCCESS)
        st = failed(c, e, "cuStreamEndCapture", EQ_UNSUPPORTED, err);
    if (st == EQ_OK) {
        e = c->cuda->cuGraphInstantiateWithFlags(out, graph, 0);
        if (e != CUDA_SUCCESS)
            st = failed(c, e, "cuGraphInstantiate", EQ_UNSUPPORTED, err);
    }
    if (graph)
        c->cuda->cuGraphDestroy(graph);
    return st;
}

static enum eq_status make_graph(struct context *c, const struct eq_sequence_plan *plan, CUgraphExec *out,
                                 struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    CUfunction *functions = eq_small(NULL, plan->n * sizeof(CUfunction));
    for (size_t i = 0; st == EQ_OK && i < plan->n; i++)
        st = find_kernel(c, &plan->launches[i], &functions[i], err);
    if (st == EQ_OK)
        st = capture(c, plan, functions, out, err);
    free(functions);
    return st;
}

static enum eq_status fill(struct context *c, const struct eq_sequence_plan *plan, struct sequence *s,
                           struct eq_err *err)
{
    EQ_CHECK(enter(c, EQ_UNSUPPORTED, err));
    for (int i = 0; i < EVENTS; i++)
        CALL(c, EQ_UNSUPPORTED, err, cuEventCreate, &s->events[i], 0);
    if (plan->in_bytes)
        CALL(c, EQ_UNSUPPORTED, err, cuMemHostAlloc, &s->in, plan->in_bytes, 0);
    if (plan->out_bytes)
        CALL(c, EQ_UNSUPPORTED, err, cuMemHostAlloc, &s->out, plan->out_bytes, 0);
    return plan->n ? make_graph(c, plan, &s->graph, err) : EQ_OK;
}

static enum eq_status record(void *ctx, const struct eq_sequence_plan *plan, void **sequence, struct eq_err *err)
{
    struct context *c = ctx;
    struct sequence *s = eq_small(NULL, sizeof *s);
    *s = (struct sequence){.plan = *plan};
    s->plan.launches = NULL;
    enum eq_status st = fill(c, plan, s, err);
    if (st != EQ_OK) {
        forget(c, s);
        s = NULL;
    }
    *sequence = s;
    return st;
}

static enum eq_status start(void *ctx, void *sequence, const void *in, struct eq_err *err)
{
    struct context *c = ctx;
    struct sequence *s = sequence;
    const struct eq_sequence_plan *p = &s->plan;
    EQ_CHECK(enter(c, EQ_IO, err));
    if (p->in_bytes)
        memcpy(s->in, in, p->in_bytes);
    CALL(c, EQ_IO, err, cuEventRecord, s->events[BEGIN], c->stream);
    if (p->in_bytes)
        CALL(c, EQ_IO, err, cuMemcpyHtoDAsync_v2, p->arena + p->in_offset, s->in, p->in_bytes, c->stream);
    CALL(c, EQ_IO, err, cuEventRecord, s->events[UPLOADED], c->stream);
    if (s->graph)
        CALL(c, EQ_IO, err, cuGraphLaunch, s->graph, c->stream);
    CALL(c, EQ_IO, err, cuEventRecord, s->events[COMPUTED], c->stream);
    if (p->out_bytes)
        CALL(c, EQ_IO, err, cuMemcpyDtoHAsync_v2, s->out, p->arena + p->out_offset, p->out_bytes, c->stream);
    CALL(c, EQ_IO, err, cuEventRecord, s->events[DOWNLOADED], c->stream);
    return EQ_OK;
}

static double span(const struct context *c, CUevent from, CUevent to)
{
    float ms = 0;
    return c->cuda->cuEventElapsedTime(&ms, from, to) == CUDA_SUCCESS ? (double)ms : 0;
}

static enum eq_status finish(void *ctx, void *sequence, void *out, struct eq_device_times *times, struct eq_err *err)
{
    struct context *c = ctx;
    struct sequence *s = sequence;
    EQ_CHECK(enter(c, EQ_IO, err));
    CALL(c, EQ_IO, err, cuStreamSynchronize, c->stream);
    if (s->plan.out_bytes)
        memcpy(out, s->out, s->plan.out_bytes);
    if (times)
        *times = (struct eq_device_times){.upload = s->in ? span(c, s->events[BEGIN], s->events[UPLOADED]) : 0,
                                          .compute = s->graph ? span(c, s->events[UPLOADED], s->events[COMPUTED]) : 0,
                                          .download = s->out ? span(c, s->events[COMPUTED], s->events[DOWNLOADED]) : 0};
    return EQ_OK;
}

const struct eq_device_api eq_device_cuda = {.name = "cuda",
                                             .list = list_devices,
                                             .open = open_device,
                                             .close = close_device,
                                             .build = build,
                                             .alloc = alloc,
                                             .release = release,
                                             .write = write_buffer,
                                             .read = read_buffer,
                                             .record = record,
                                             .start = start,
                                             .finish = finish,
                                             .forget = forget};
