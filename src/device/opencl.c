/* The loader for OpenCL 1.2: devices, programs, memory, and sequences of launches on one in-order queue. */
#include "device/api.h"
#include "device/opencl_driver.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_DEVICES = 64, ZEROS = 1 << 20 };

/* A place in the list of all devices: GPUs of all platforms first, then the others, each in the drivers' order. */
struct place {
    const struct eq_cl_platform *platform;
    cl_device_id device;
};

struct context {
    struct eq_cl cl;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    size_t largest; /* piece of memory, bytes */
    char who[160];  /* "opencl:0 (name)" */
};

/* Memory of the host that the driver can copy without a stop: it belongs to a buffer that stays mapped. */
struct staging {
    cl_mem buffer;
    void *at;
};

struct sequence {
    struct eq_sequence_plan plan;
    struct eq_launch *launches;
    cl_kernel *kernels; /* [plan.n], each with its arguments */
    struct staging in, out;
    cl_event uploaded, first, last, downloaded; /* of the running call; first is last for one launch */
};

/* ---- errors ---------------------------------------------------------------- */

static enum eq_status failed(const struct context *c, cl_int code, const char *call, enum eq_status otherwise,
                             struct eq_err *err)
{
    char text[64];
    bool memory = code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_HOST_MEMORY ||
                  code == CL_INVALID_BUFFER_SIZE || (code == CL_OUT_OF_RESOURCES && otherwise != EQ_IO);
    return eq_fail(err, memory ? EQ_NOMEM : otherwise, "%s: %s%s failed: %s", c->who,
                   memory ? "not enough memory: " : "", call, eq_cl_code_name(code, text));
}

/* ---- the list ---------------------------------------------------------------- */

static void device_text(const struct eq_cl *cl, cl_device_id device, cl_uint what, char *out, size_t room)
{
    char text[4096] = "";
    size_t n = 0;
    if (cl->clGetDeviceInfo(device, what, sizeof text - 1, text, &n) != CL_SUCCESS)
        text[0] = '\0';
    snprintf(out, room, "%.*s", (int)room - 1, text + strspn(text, " "));
}

static cl_ulong device_number(const struct eq_cl *cl, cl_device_id device, cl_uint what)
{
    union {
        cl_ulong wide;
        cl_uint narrow;
    } value = {0};
    size_t n = 0;
    if (cl->clGetDeviceInfo(device, what, sizeof value, &value, &n) != CL_SUCCESS)
        return 0;
    return n == sizeof value.narrow ? value.narrow : value.wide;
}

static bool is_gpu(const struct place *p)
{
    return device_number(&p->platform->cl, p->device, CL_DEVICE_TYPE) & CL_DEVICE_TYPE_GPU;
}

static size_t all_places(struct place places[MOST_DEVICES], const char **notes)
{
    const struct eq_cl_platform *platforms;
    struct place found[MOST_DEVICES];
    size_t n_platforms, n = 0, sorted = 0;
    eq_cl_platforms(&platforms, &n_platforms, notes);
    for (size_t i = 0; i < n_platforms; i++) {
        cl_device_id ids[MOST_DEVICES];
        cl_uint got = 0;
        if (platforms[i].cl.clGetDeviceIDs(platforms[i].id, CL_DEVICE_TYPE_ALL, MOST_DEVICES, ids, &got) != CL_SUCCESS)
            continue;
        for (cl_uint k = 0; k < got && k < MOST_DEVICES && n < MOST_DEVICES; k++)
            found[n++] = (struct place){&platforms[i], ids[k]};
    }
    for (int gpus = 1; gpus >= 0; gpus--)
        for (size_t i = 0; i < n; i++)
            if (is_gpu(&found[i]) == gpus)
                places[sorted++] = found[i];
    return n;
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

/* AMD's chips with v_dot4_i32_i8, by LLVM's table of features (dot1-insts in AMDGPU.td). */
static bool has_sdot4(const char *name)
{
    static const char *const chips[] = {"gfx906",  "gfx908",  "gfx90a",  "gfx940",  "gfx941",
                                        "gfx942",  "gfx1011", "gfx1012", "gfx1030", "gfx1031",
                                        "gfx1032", "gfx1033", "gfx1034", "gfx1035", "gfx1036"};
    size_t n = strcspn(name, ":");
    for (size_t i = 0; i < sizeof chips / sizeof *chips; i++)
        if (strlen(chips[i]) == n && memcmp(chips[i], name, n) == 0)
            return true;
    return false;
}

static const char *integer_path(const struct eq_cl *cl, cl_device_id device, const char *chip)
{
    enum { BITS = 4096 };
    char extensions[BITS];
    cl_ulong major = device_number(cl, device, CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV);
    cl_ulong capability = 10 * major + device_number(cl, device, CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV);
    device_text(cl, device, CL_DEVICE_EXTENSIONS, extensions, sizeof extensions);
    if (major && has_word(extensions, "cl_nv_device_attribute_query"))
        return capability >= 80   ? "mma.m16n8k32"
               : capability >= 75 ? "mma.m8n8k16"
               : capability >= 61 ? "dp4a"
                                  : "plain";
    if (has_sdot4(chip))
        return "sdot4";
    /* signed, unsigned, mixed, and the same three with saturation */
    cl_uint fast[6] = {0};
    size_t n = 0;
    if (has_word(extensions, "cl_khr_integer_dot_product") &&
        cl->clGetDeviceInfo(device, CL_DEVICE_INTEGER_DOT_PRODUCT_ACCELERATION_PROPERTIES_8BIT_KHR, sizeof fast, fast,
                            &n) == CL_SUCCESS &&
        fast[2])
        return "dot";
    return "plain";
}

static void why_not(const struct eq_cl *cl, cl_device_id device, struct eq_str *why)
{
    char version[128], profile[64];
    int major = 0, minor = 0;
    device_text(cl, device, CL_DEVICE_VERSION, version, sizeof version);
    device_text(cl, device, CL_DEVICE_PROFILE, profile, sizeof profile);
    if (!device_number(cl, device, CL_DEVICE_AVAILABLE))
        eq_str_add(why, "its driver says that it is not available");
    else if (!device_number(cl, device, CL_DEVICE_COMPILER_AVAILABLE))
        eq_str_add(why, "its driver has no compiler");
    else if (sscanf(version, "OpenCL %d.%d", &major, &minor) != 2 || 10 * major + minor < 12)
        eq_str_add(why, "its driver offers \"%s\"; OpenCL 1.2 is needed", version);
    else if (strcmp(profile, "FULL_PROFILE") != 0)
        eq_str_add(why, "its driver offers %s; FULL_PROFILE is needed", profile);
    else if (!device_number(cl, device, CL_DEVICE_ENDIAN_LITTLE))
        eq_str_add(why, "it stores numbers with the high byte first");
}

static void describe(const struct place *p, size_t index, struct eq_device_info *info)
{
    const struct eq_cl *cl = &p->platform->cl;
    char platform[256] = "", version[256] = "", driver[64], chip[128];
    *info = (struct eq_device_info){.is_gpu = is_gpu(p)};
    snprintf(info->id, sizeof info->id, "opencl:%zu", index);
    device_text(cl, p->device, CL_DEVICE_NAME, chip, sizeof chip);
    device_text(cl, p->device, CL_DEVICE_BOARD_NAME_AMD, info->name, sizeof info->name);
    if (!info->name[0])
        snprintf(info->name, sizeof info->name, "%s", chip[0] ? chip : "unknown");
    cl->clGetPlatformInfo(p->platform->id, CL_PLATFORM_NAME, sizeof platform - 1, platform, NULL);
    cl->clGetPlatformInfo(p->platform->id, CL_PLATFORM_VERSION, sizeof version - 1, version, NULL);
    device_text(cl, p->device, CL_DRIVER_VERSION, driver, sizeof driver);
    char *more = strstr(version, "  "); /* PoCL lists how it was built */
    if (more)
        *more = '\0';
    snprintf(info->driver, sizeof info->driver, "%.36s, %.40s, driver %s", platform, version, driver);
    info->memory = (size_t)device_number(cl, p->device, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->units = (int)device_number(cl, p->device, CL_DEVICE_MAX_COMPUTE_UNITS);
    snprintf(info->integer_path, sizeof info->integer_path, "%s", integer_path(cl, p->device, chip));
    why_not(cl, p->device, &info->why);
}

static enum eq_status list_devices(struct eq_device_list *list, struct eq_err *err)
{
    struct place places[MOST_DEVICES];
    const char *notes;
    (void)err;
    size_t n = all_places(places, &notes);
    eq_str_add(&list->notes, "%s", notes);
    for (size_t i = 0; i < n; i++) {
        list->devices = eq_list_grow(list->devices, list->n, sizeof *list->devices);
        describe(&places[i], i, &list->devices[list->n++]);
    }
    return EQ_OK;
}

/* ---- open and close ------------------------------------------------------------ */

static void close_device(void *ctx)
{
    struct context *c = ctx;
    if (!c)
        return;
    if (c->program)
        c->cl.clReleaseProgram(c->program);
    if (c->queue)
        c->cl.clReleaseCommandQueue(c->queue);
    if (c->context)
        c->cl.clReleaseContext(c->context);
    free(c);
}

static enum eq_status open_device(int index, const struct eq_device_info *info, void **ctx, struct eq_err *err)
{
    struct place places[MOST_DEVICES];
    const char *notes;
    cl_int e = CL_SUCCESS;
    enum eq_status st = EQ_OK;
    *ctx = NULL;
    size_t n = all_places(places, &notes);
    if (index < 0 || (size_t)index >= n)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: no such device", info->id);
    const struct place *p = &places[index];
    struct context *c = eq_small(NULL, sizeof *c);
    *c = (struct context){.cl = p->platform->cl, .device = p->device};
    snprintf(c->who, sizeof c->who, "%s (%s)", info->id, info->name);
    c->largest = (size_t)device_number(&c->cl, c->device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    const intptr_t properties[] = {CL_CONTEXT_PLATFORM, (intptr_t)p->platform->id, 0};
    c->context = c->cl.clCreateContext(properties, 1, &c->device, NULL, NULL, &e);
    if (e != CL_SUCCESS)
        EQ_TRY(failed(c, e, "clCreateContext", EQ_UNSUPPORTED, err));
    c->queue = c->cl.clCreateCommandQueue(c->context, c->device, CL_QUEUE_PROFILING_ENABLE, &e);
    if (e != CL_SUCCESS)
        EQ_TRY(failed(c, e, "clCreateCommandQueue", EQ_UNSUPPORTED, err));
    *ctx = c;
    return EQ_OK;
out:
    close_device(c);
    return st;
}

/* ---- programs -------------------------------------------------------------------- */

/* The end of the driver's log: it fits into a message, and compilers sum up at the end. All of it in the debug log. */
static enum eq_status does_not_build(const struct context *c, cl_program program, cl_int code, struct eq_err *err)
{
    enum { SHOWN = 700 };
    size_t n = 0;
    char text[64], *log = NULL;
    if (c->cl.clGetProgramBuildInfo(program, c->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &n) == CL_SUCCESS)
        log = eq_room(n + 1, 1);
    if (log && c->cl.clGetProgramBuildInfo(program, c->device, CL_PROGRAM_BUILD_LOG, n, log, NULL) != CL_SUCCESS)
        log[0] = '\0';
    if (log)
        eq_debug("%s: log of its compiler: %s", c->who, log);
    n = log ? strlen(log) : 0;
    while (n && strchr(" \n", log[n - 1]))
        log[--n] = '\0';
    eq_fail(err, EQ_UNSUPPORTED, "%s: its driver does not build the kernels: %s; its log%s: %s", c->who,
            eq_cl_code_name(code, text), n > SHOWN ? " ends with" : "",
            n ? log + (n > SHOWN ? n - SHOWN : 0) : "(empty)");
    free(log);
    return EQ_UNSUPPORTED;
}

static enum eq_status binary_of(const struct context *c, void **program, size_t *bytes, struct eq_err *err)
{
    size_t n = 0;
    cl_int e = c->cl.clGetProgramInfo(c->program, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL);
    if (e != CL_SUCCESS || n == 0) /* a driver without binaries: nothing to cache */
        return EQ_OK;
    unsigned char *binary = eq_alloc(n, 1);
    if (!binary)
        return eq_fail(err, EQ_NOMEM, "out of memory for the program of %s", c->who);
    e = c->cl.clGetProgramInfo(c->program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL);
    if (e != CL_SUCCESS) {
        eq_free(binary);
        return EQ_OK;
    }
    *program = binary;
    *bytes = n;
    return EQ_OK;
}

static enum eq_status build(void *ctx, const char *defines, const void *cached, size_t cached_bytes, void **program,
                            size_t *bytes, struct eq_err *err)
{
    struct context *c = ctx;
    cl_int e = CL_SUCCESS, of_binary = CL_SUCCESS;
    cl_program made;
    if (program) {
        *program = NULL;
        *bytes = 0;
    }
    if (cached) {
        const unsigned char *binary = cached;
        made = c->cl.clCreateProgramWithBinary(c->context, 1, &c->device, &cached_bytes, &binary, &of_binary, &e);
        e = e == CL_SUCCESS ? of_binary : e;
        if (!made)
            return failed(c, e, "clCreateProgramWithBinary", EQ_FORMAT, err);
    } else {
        const char *text = eq_device_text;
        made = c->cl.clCreateProgramWithSource(c->context, 1, &text, NULL, &e);
        if (!made)
            return failed(c, e, "clCreateProgramWithSource", EQ_UNSUPPORTED, err);
    }
    /* clang's header, and so drivers that use it, has dot of bytes from OpenCL C 2.0 on. */
    char *options = eq_format("-cl-std=%s %s", strstr(defines, "EQ_PATH_DOT") ? "CL3.0" : "CL1.2", defines);
    if (e == CL_SUCCESS)
        e = c->cl.clBuildProgram(made, 1, &c->device, options, NULL, NULL);
    free(options);
    if (e != CL_SUCCESS) {
        enum eq_status st = cached ? failed(c, e, "clBuildProgram of a cached program", EQ_FORMAT, err)
                                   : does_not_build(c, made, e, err);
        c->cl.clReleaseProgram(made);
        return st;
    }
    if (c->program)
        c->cl.clReleaseProgram(c->program);
    c->program = made;
    return program && !cached ? binary_of(c, program, bytes, err) : EQ_OK;
}

/* ---- memory ---------------------------------------------------------------------- */

static cl_mem mem(eq_device_buffer b)
{
    return (cl_mem)(uintptr_t)b;
}

static enum eq_status write_buffer(void *ctx, eq_device_buffer b, size_t offset, const void *data, size_t bytes,
                                   struct eq_err *err)
{
    struct context *c = ctx;
    cl_int e = bytes ? c->cl.clEnqueueWriteBuffer(c->queue, mem(b), 1, offset, bytes, data, 0, NULL, NULL) : 0;
    return e == CL_SUCCESS ? EQ_OK : failed(c, e, "clEnqueueWriteBuffer", EQ_IO, err);
}

static enum eq_status read_buffer(void *ctx, eq_device_buffer b, size_t offset, void *data, size_t bytes,
                                  struct eq_err *err)
{
    struct context *c = ctx;
    cl_int e = bytes ? c->cl.clEnqueueReadBuffer(c->queue, mem(b), 1, offset, bytes, data, 0, NULL, NULL) : 0;
    return e == CL_SUCCESS ? EQ_OK : failed(c, e, "clEnqueueReadBuffer", EQ_IO, err);
}

static void release(void *ctx, eq_device_buffer b)
{
    struct context *c = ctx;
    if (b)
        c->cl.clReleaseMemObject(mem(b));
}

/* Drivers take memory when it is first used, so the zeros are written here, and a lack of memory is an error of this
 * call. */
static enum eq_status alloc(void *ctx, size_t bytes, eq_device_buffer *out, struct eq_err *err)
{
    struct context *c = ctx;
    cl_int e = CL_SUCCESS;
    *out = 0;
    if (c->largest && bytes > c->largest)
        return eq_fail(err, EQ_NOMEM, "%s: not enough memory: %.1f MiB are needed in one piece, the driver gives %.1f",
                       c->who, (double)bytes / 1048576, (double)c->largest / 1048576);
    cl_mem buffer = c->cl.clCreateBuffer(c->context, CL_MEM_READ_WRITE, bytes ? bytes : 1, NULL, &e);
    if (!buffer || e != CL_SUCCESS)
        return failed(c, e, "clCreateBuffer", EQ_UNSUPPORTED, err);
    void *zeros = eq_alloc(bytes < ZEROS ? bytes + 1 : ZEROS, 1);
    enum eq_status st = zeros ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for zeros");
    for (size_t at = 0; st == EQ_OK && at < bytes; at += ZEROS) {
        size_t n = bytes - at < ZEROS ? bytes - at : ZEROS;
        e = c->cl.clEnqueueWriteBuffer(c->queue, buffer, 1, at, n, zeros, 0, NULL, NULL);
        if (e != CL_SUCCESS)
            st = failed(c, e, "clEnqueueWriteBuffer", EQ_UNSUPPORTED, err);
    }
    eq_free(zeros);
    if (st != EQ_OK) {
        c->cl.clReleaseMemObject(buffer);
        return st;
    }
    *out = (eq_device_buffer)(uintptr_t)buffer;
    return EQ_OK;
}

/* ---- sequences -------------------------------------------------------------------- */

static enum eq_status make_staging(struct context *c, size_t bytes, struct staging *s, struct eq_err *err)
{
    cl_int e = CL_SUCCESS;
    s->buffer = c->cl.clCreateBuffer(c->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes, NULL, &e);
    if (!s->buffer || e != CL_SUCCESS)
        return failed(c, e, "clCreateBuffer", EQ_UNSUPPORTED, err);
    s->at = c->cl.clEnqueueMapBuffer(c->queue, s->buffer, 1, CL_MAP_READ | CL_MAP_WRITE, 0, bytes, 0, NULL, NULL, &e);
    return s->at && e == CL_SUCCESS ? EQ_OK : failed(c, e, "clEnqueueMapBuffer", EQ_UNSUPPORTED, err);
}

static void free_staging(struct context *c, struct staging *s)
{
    if (s->at)
        c->cl.clEnqueueUnmapMemObject(c->queue, s->buffer, s->at, 0, NULL, NULL);
    if (s->buffer)
        c->cl.clReleaseMemObject(s->buffer);
}

static void release_events(struct context *c, struct sequence *s)
{
    cl_event *const events[] = {&s->uploaded, &s->first, &s->last, &s->downloaded};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (*events[i])
            c->cl.clReleaseEvent(*events[i]);
        *events[i] = NULL;
    }
}

static void forget(void *ctx, void *sequence)
{
    struct context *c = ctx;
    struct sequence *s = sequence;
    if (!s)
        return;
    c->cl.clFinish(c->queue); /* a call may have been started and never finished */
    release_events(c, s);
    free_staging(c, &s->in);
    free_staging(c, &s->out);
    c->cl.clFinish(c->queue);
    for (size_t i = 0; i < s->plan.n && s->kernels; i++)
        if (s->kernels[i])
            c->cl.clReleaseKernel(s->kernels[i]);
    free(s->kernels);
    free(s->launches);
    free(s);
}

static enum eq_status make_kernel(struct context *c, const struct sequence *s, size_t i, struct eq_err *err)
{
    const struct eq_launch *l = &s->launches[i];
    char call[128];
    cl_int e = CL_SUCCESS;
    cl_mem arena = mem(s->plan.arena), steps = mem(s->plan.steps);
    cl_int step = l->step;
    cl_kernel k = s->kernels[i] = c->cl.clCreateKernel(c->program, l->kernel, &e);
    if (!k || e != CL_SUCCESS) {
        snprintf(call, sizeof call, "clCreateKernel(%s)", l->kernel);
        return failed(c, e, call, EQ_UNSUPPORTED, err);
    }
    if ((e = c->cl.clSetKernelArg(k, 0, sizeof arena, &arena)) != CL_SUCCESS ||
        (e = c->cl.clSetKernelArg(k, 1, sizeof steps, &steps)) != CL_SUCCESS ||
        (e = c->cl.clSetKernelArg(k, 2, sizeof step, &step)) != CL_SUCCESS) {
        snprintf(call, sizeof call, "clSetKernelArg(%s)", l->kernel);
        return failed(c, e, call, EQ_UNSUPPORTED, err);
    }
    return EQ_OK;
}

static enum eq_status record(void *ctx, const struct eq_sequence_plan *plan, void **sequence, struct eq_err *err)
{
    struct context *c = ctx;
    enum eq_status st = EQ_OK;
    *sequence = NULL;
    struct sequence *s = eq_small(NULL, sizeof *s);
    *s = (struct sequence){.plan = *plan};
    s->launches = eq_small(NULL, (plan->n + 1) * sizeof *s->launches);
    s->kernels = eq_small(NULL, (plan->n + 1) * sizeof *s->kernels);
    memset(s->kernels, 0, (plan->n + 1) * sizeof *s->kernels);
    if (plan->n)
        memcpy(s->launches, plan->launches, plan->n * sizeof *s->launches);
    s->plan.launches = s->launches;
    for (size_t i = 0; i < plan->n; i++)
        EQ_TRY(make_kernel(c, s, i, err));
    if (plan->in_bytes)
        EQ_TRY(make_staging(c, plan->in_bytes, &s->in, err));
    if (plan->out_bytes)
        EQ_TRY(make_staging(c, plan->out_bytes, &s->out, err));
    *sequence = s;
    return EQ_OK;
out:
    forget(c, s);
    return st;
}

static cl_int launch(struct context *c, const struct sequence *s, size_t i, cl_event *event)
{
    const struct eq_launch *l = &s->launches[i];
    const size_t global[3] = {l->groups[0] * l->local[0], l->groups[1] * l->local[1], l->groups[2] * l->local[2]};
    return c->cl.clEnqueueNDRangeKernel(c->queue, s->kernels[i], 3, NULL, global, l->local, 0, NULL, event);
}

static enum eq_status start(void *ctx, void *sequence, const void *in, struct eq_err *err)
{
    struct context *c = ctx;
    struct sequence *s = sequence;
    const struct eq_sequence_plan *p = &s->plan;
    const char *call = "clEnqueueWriteBuffer";
    char name[128];
    cl_int e = CL_SUCCESS;
    if (p->in_bytes) {
        memcpy(s->in.at, in, p->in_bytes);
        e = c->cl.clEnqueueWriteBuffer(c->queue, mem(p->arena), 0, p->in_offset, p->in_bytes, s->in.at, 0, NULL,
                                       &s->uploaded);
    }
    for (size_t i = 0; e == CL_SUCCESS && i < p->n; i++) {
        e = launch(c, s, i, i == 0 ? &s->first : i + 1 == p->n ? &s->last : NULL);
        if (e != CL_SUCCESS) {
            snprintf(name, sizeof name, "clEnqueueNDRangeKernel(%s)", s->launches[i].kernel);
            call = name;
        }
    }
    if (e == CL_SUCCESS && p->out_bytes) {
        call = "clEnqueueReadBuffer";
        e = c->cl.clEnqueueReadBuffer(c->queue, mem(p->arena), 0, p->out_offset, p->out_bytes, s->out.at, 0, NULL,
                                      &s->downloaded);
    }
    if (e == CL_SUCCESS) {
        call = "clFlush";
        e = c->cl.clFlush(c->queue);
    }
    if (e == CL_SUCCESS)
        return EQ_OK;
    enum eq_status st = failed(c, e, call, EQ_IO, err);
    c->cl.clFinish(c->queue); /* what was queued before uses the memory of this sequence */
    release_events(c, s);
    return st;
}

/* ms from the start of one command to the end of another; 0 where the driver does not say. */
static double span(const struct context *c, cl_event from, cl_event to)
{
    cl_ulong begin = 0, end = 0;
    if (!from || !to ||
        c->cl.clGetEventProfilingInfo(from, CL_PROFILING_COMMAND_START, sizeof begin, &begin, NULL) != CL_SUCCESS ||
        c->cl.clGetEventProfilingInfo(to, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) != CL_SUCCESS)
        return 0;
    return end > begin ? (double)(end - begin) * 1e-6 : 0;
}

static enum eq_status finish(void *ctx, void *sequence, void *out, struct eq_device_times *times, struct eq_err *err)
{
    struct context *c = ctx;
    struct sequence *s = sequence;
    const cl_event events[] = {s->uploaded, s->first, s->last, s->downloaded};
    cl_int e = c->cl.clFinish(c->queue);
    enum eq_status st = e == CL_SUCCESS ? EQ_OK : failed(c, e, "clFinish", EQ_IO, err);
    for (size_t i = 0; st == EQ_OK && i < sizeof events / sizeof *events; i++) {
        cl_int status = 0;
        if (!events[i])
            continue;
        e = c->cl.clGetEventInfo(events[i], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
        if (e != CL_SUCCESS || status < 0)
            st = failed(c, e != CL_SUCCESS ? e : status,
                        i == 0   ? "the upload (clEnqueueWriteBuffer)"
                        : i == 3 ? "the download (clEnqueueReadBuffer)"
                                 : "a kernel (clEnqueueNDRangeKernel)",
                        EQ_IO, err);
    }
    if (st == EQ_OK) {
        if (s->plan.out_bytes)
            memcpy(out, s->out.at, s->plan.out_bytes);
        if (times)
            *times = (struct eq_device_times){.upload = span(c, s->uploaded, s->uploaded),
                                              .compute = span(c, s->first, s->last ? s->last : s->first),
                                              .download = span(c, s->downloaded, s->downloaded)};
    }
    release_events(c, s);
    return st;
}

const struct eq_device_api eq_device_opencl = {.name = "opencl",
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
