/*
 * The loader for OpenCL over PoCL and a text of its own: memory, programs, sequences, and what each failure says. The
 * linker puts __wrap_eq_cl_platforms before the list of platforms, so that functions of the driver can be told to fail,
 * and devices to be others.
 */
#include "unit/cmocka_all.h"

#include "device/api.h"
#include "device/opencl_driver.h"

#include <string.h>

/* In place of the library's: kernels over integers. */
const char eq_device_text[] =
    "kernel void add_step(global uchar *arena, global const int *steps, int step)\n"
    "{\n"
    "    global int *a = (global int *)arena;\n"
    "    a[get_global_id(0)] += steps[step];\n"
    "}\n"
    "kernel void place(global uchar *arena, global const int *steps, int step)\n"
    "{\n"
    "    global int *a = (global int *)arena;\n"
    "    size_t i = (get_global_id(2) * get_global_size(1) + get_global_id(1)) * get_global_size(0) + "
    "get_global_id(0);\n"
    "    a[i] = (int)(100 * get_group_id(0) + 10 * get_local_id(0) + get_local_size(1)) * FACTOR;\n"
    "}\n";
const struct eq_device_ptx eq_device_ptx[] = {{0, NULL}};
enum eq_status eq_device_self_check(struct eq_device *d, struct eq_err *err)
{
    (void)d;
    (void)err;
    return EQ_OK;
}

/* ---- functions that fail, and answers of other devices ---- */

static cl_int code; /* of the function that is told to fail */
static cl_context fail_context(const intptr_t *p, cl_uint n, const cl_device_id *d,
                               void (*f)(const char *, const void *, size_t, void *), void *ctx, cl_int *e)
{
    (void)p, (void)n, (void)d, (void)f, (void)ctx;
    *e = code;
    return NULL;
}
static cl_command_queue fail_queue(cl_context c, cl_device_id d, cl_bits p, cl_int *e)
{
    (void)c, (void)d, (void)p;
    *e = code;
    return NULL;
}
static cl_mem fail_buffer(cl_context c, cl_bits f, size_t n, void *p, cl_int *e)
{
    (void)c, (void)f, (void)n, (void)p;
    *e = code;
    return NULL;
}
static void *fail_map(cl_command_queue q, cl_mem b, cl_uint w, cl_bits f, size_t o, size_t n, cl_uint k,
                      const cl_event *l, cl_event *r, cl_int *e)
{
    (void)q, (void)b, (void)w, (void)f, (void)o, (void)n, (void)k, (void)l, (void)r;
    *e = code;
    return NULL;
}
static cl_kernel fail_kernel(cl_program p, const char *name, cl_int *e)
{
    (void)p, (void)name;
    *e = code;
    return NULL;
}
static cl_int fail_argument(cl_kernel k, cl_uint i, size_t n, const void *p)
{
    (void)k, (void)i, (void)n, (void)p;
    return code;
}
static cl_int fail_write(cl_command_queue q, cl_mem b, cl_uint w, size_t o, size_t n, const void *p, cl_uint k,
                         const cl_event *l, cl_event *r)
{
    (void)q, (void)b, (void)w, (void)o, (void)n, (void)p, (void)k, (void)l, (void)r;
    return code;
}
static cl_int fail_read(cl_command_queue q, cl_mem b, cl_uint w, size_t o, size_t n, void *p, cl_uint k,
                        const cl_event *l, cl_event *r)
{
    (void)q, (void)b, (void)w, (void)o, (void)n, (void)p, (void)k, (void)l, (void)r;
    return code;
}
static cl_int fail_launch(cl_command_queue q, cl_kernel k, cl_uint d, const size_t *o, const size_t *g, const size_t *s,
                          cl_uint n, const cl_event *l, cl_event *r)
{
    (void)q, (void)k, (void)d, (void)o, (void)g, (void)s, (void)n, (void)l, (void)r;
    return code;
}
static cl_int fail_queue_call(cl_command_queue q)
{
    (void)q;
    return code;
}
/* The command itself has failed. */
static cl_int fail_event(cl_event e, cl_uint what, size_t room, void *out, size_t *n)
{
    (void)e, (void)what, (void)room, (void)n;
    *(cl_int *)out = code;
    return CL_SUCCESS;
}

static struct answer {
    cl_uint what;
    const void *data;
    size_t n;
} answers[8]; /* of every device; ends with n 0 */
static struct eq_cl driver;

static cl_int answer_info(cl_device_id d, cl_uint what, size_t room, void *out, size_t *n)
{
    for (const struct answer *a = answers; a->n; a++)
        if (a->what == what) {
            assert_true(a->n <= room);
            memcpy(out, a->data, a->n);
            if (n)
                *n = a->n;
            return CL_SUCCESS;
        }
    return driver.clGetDeviceInfo(d, what, room, out, n);
}

static struct eq_cl changes; /* functions that take the place of the driver's */
void __real_eq_cl_platforms(const struct eq_cl_platform **platforms, size_t *n, const char **notes);
void __wrap_eq_cl_platforms(const struct eq_cl_platform **platforms, size_t *n, const char **notes);
void __wrap_eq_cl_platforms(const struct eq_cl_platform **platforms, size_t *n, const char **notes)
{
    static struct eq_cl_platform changed[16];
    __real_eq_cl_platforms(platforms, n, notes);
    for (size_t i = 0; i < *n && i < 16; i++) {
        driver = (*platforms)[i].cl;
        changed[i] = (*platforms)[i];
#define X(result, name, place, arguments)                                                                              \
    if (changes.name)                                                                                                  \
        changed[i].cl.name = changes.name;
        EQ_CL_FUNCTIONS(X)
#undef X
    }
    *platforms = changed;
}

static const struct eq_device_api *const api = &eq_device_opencl;
static struct eq_device_list list;
static void *ctx;
static bool builds; /* PoCL 1.8 builds nothing on a CPU that its LLVM 11 has no name for */

static int find(void **state)
{
    (void)state;
    eq_log_configure(EQ_LOG_ERROR);
    if (api->list(&list, NULL) != EQ_OK)
        return -1;
    if (list.n == 0)
        print_message("skipped: no device of OpenCL. %s", list.notes.s);
    else if (api->open(0, &list.devices[0], &ctx, NULL) != EQ_OK)
        return -1;
    struct eq_err err = {0};
    builds = ctx && (api->build(ctx, "-DFACTOR=1", NULL, 0, NULL, NULL, &err) == EQ_OK ||
                     !strstr(err.msg, "unknown target CPU"));
    if (ctx && !builds)
        print_message("its compiler cannot be tested: %s\n", err.msg);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    api->close(ctx);
    eq_devices_clear(&list);
    return 0;
}

#define NEEDS(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what))                                                                                                   \
            skip();                                                                                                    \
    } while (0)

static void the_list_describes_devices(void **state)
{
    (void)state;
    NEEDS(ctx);
    for (size_t i = 0; i < list.n; i++) {
        const struct eq_device_info *d = &list.devices[i];
        char id[32];
        snprintf(id, sizeof id, "opencl:%zu", i);
        assert_string_equal(d->id, id);
        assert_true(strlen(d->name) > 0 && strlen(d->driver) > 0 && strlen(d->integer_path) > 0);
        assert_true(d->units > 0 && d->memory > 1 << 20);
        assert_true(i == 0 || list.devices[i - 1].is_gpu || !d->is_gpu);
    }
    assert_non_null(strstr(list.notes.s, "libOpenCL.so.1"));
    assert_int_equal(strchr(list.notes.s, '\n') - list.notes.s, list.notes.len - 1);
}

static void an_index_beyond_the_list_is_refused(void **state)
{
    (void)state;
    struct eq_err err = {0};
    struct eq_device_info info = {.id = "opencl:9999"};
    void *none = &info;
    assert_int_equal(api->open(9999, &info, &none, &err), EQ_UNSUPPORTED);
    assert_null(none);
    assert_non_null(strstr(err.msg, "opencl:9999"));
}

static void memory_is_zero_and_keeps_what_is_written(void **state)
{
    (void)state;
    NEEDS(ctx);
    enum { N = 3 << 20, AT = 1234567 };
    uint8_t *bytes = eq_alloc(N, 1), some[] = {1, 2, 3, 250};
    eq_device_buffer b;
    memset(bytes, 7, N);
    assert_int_equal(api->alloc(ctx, N, &b, NULL), EQ_OK);
    assert_int_equal(api->read(ctx, b, 0, bytes, N, NULL), EQ_OK);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(bytes[i], 0);
    assert_int_equal(api->write(ctx, b, AT, some, sizeof some, NULL), EQ_OK);
    assert_int_equal(api->read(ctx, b, AT - 1, bytes, 6, NULL), EQ_OK);
    assert_memory_equal(bytes, ((uint8_t[]){0, 1, 2, 3, 250, 0}), 6);
    assert_int_equal(api->write(ctx, b, 0, some, 0, NULL), EQ_OK);
    api->release(ctx, b);
    api->release(ctx, 0);
    eq_free(bytes);
}

static void errors_name_the_call_the_code_and_the_device(void **state)
{
    (void)state;
    NEEDS(ctx);
    struct eq_err err = {0};
    eq_device_buffer b;
    uint8_t byte = 0;
    assert_int_equal(api->alloc(ctx, 16, &b, NULL), EQ_OK);
    assert_int_equal(api->read(ctx, b, 100, &byte, 1, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "opencl:0 ("));
    assert_non_null(strstr(err.msg, list.devices[0].name));
    assert_non_null(strstr(err.msg, "clEnqueueReadBuffer failed: CL_INVALID_VALUE (-30)"));
    api->release(ctx, b);
}

static void too_much_memory_is_a_shortage(void **state)
{
    (void)state;
    NEEDS(ctx);
    struct eq_err err = {0};
    eq_device_buffer b = 1;
    assert_int_equal(api->alloc(ctx, (size_t)1 << 46, &b, &err), EQ_NOMEM);
    assert_true(b == 0);
    assert_non_null(strstr(err.msg, "not enough memory"));
}

static void a_text_that_does_not_build_shows_the_log(void **state)
{
    (void)state;
    NEEDS(builds);
    struct eq_err err = {0};
    void *program = &err;
    size_t bytes = 1;
    assert_int_equal(api->build(ctx, "-DFACTOR=nowhere_declared", NULL, 0, &program, &bytes, &err), EQ_UNSUPPORTED);
    assert_null(program);
    assert_int_equal(bytes, 0);
    assert_non_null(strstr(err.msg, "opencl:0 ("));
    assert_non_null(strstr(err.msg, "CL_BUILD_PROGRAM_FAILURE (-11)"));
    assert_non_null(strstr(err.msg, "nowhere_declared"));
}

static void run_once(int factor)
{
    const struct eq_launch launches[] = {{"place", 0, {2, 2, 3}, {4, 1, 1}}, {"add_step", 1, {3, 1, 1}, {16, 1, 1}}};
    const int32_t steps[] = {0, 1000};
    int32_t out[48];
    void *sequence = NULL;
    struct eq_device_times times = {0};
    struct eq_sequence_plan plan = {.launches = launches, .n = 2, .out_bytes = sizeof out};
    assert_int_equal(api->alloc(ctx, sizeof out, &plan.arena, NULL), EQ_OK);
    assert_int_equal(api->alloc(ctx, sizeof steps, &plan.steps, NULL), EQ_OK);
    assert_int_equal(api->write(ctx, plan.steps, 0, steps, sizeof steps, NULL), EQ_OK);
    assert_int_equal(api->record(ctx, &plan, &sequence, NULL), EQ_OK);
    assert_int_equal(api->start(ctx, sequence, NULL, NULL), EQ_OK);
    assert_int_equal(api->finish(ctx, sequence, out, &times, NULL), EQ_OK);
    for (int i = 0; i < 48; i++)
        assert_int_equal(out[i], (100 * (i % 8 / 4) + 10 * (i % 4) + 1) * factor + 1000);
    assert_true(times.compute > 0 && times.download > 0 && times.upload == 0);
    api->forget(ctx, sequence);
    api->release(ctx, plan.arena);
    api->release(ctx, plan.steps);
}

static void a_program_runs_from_text_and_from_its_binary(void **state)
{
    (void)state;
    NEEDS(builds);
    struct eq_err err = {0};
    void *program = NULL, *none = NULL;
    size_t bytes = 0, no_bytes = 0;
    assert_int_equal(api->build(ctx, "-DFACTOR=3", NULL, 0, &program, &bytes, NULL), EQ_OK);
    run_once(3);
    assert_non_null(program);
    assert_int_equal(api->build(ctx, "-DFACTOR=5", NULL, 0, &none, &no_bytes, NULL), EQ_OK);
    eq_free(none);
    run_once(5);
    assert_int_equal(api->build(ctx, "-DFACTOR=3", program, bytes, &none, &no_bytes, NULL), EQ_OK);
    assert_null(none);
    run_once(3);
    assert_int_equal(api->build(ctx, "-DFACTOR=3", "no program", 10, &none, &no_bytes, &err), EQ_FORMAT);
    assert_non_null(strstr(err.msg, "opencl:0 ("));
    run_once(3); /* the one before stays */
    eq_free(program);
}

static void an_unknown_kernel_is_named(void **state)
{
    (void)state;
    NEEDS(builds);
    struct eq_err err = {0};
    const struct eq_launch launches[] = {{"no_such_kernel", 0, {1, 1, 1}, {1, 1, 1}}};
    struct eq_sequence_plan plan = {.launches = launches, .n = 1};
    void *sequence = &err, *program = NULL;
    size_t bytes;
    assert_int_equal(api->build(ctx, "-DFACTOR=1", NULL, 0, &program, &bytes, NULL), EQ_OK);
    eq_free(program);
    assert_int_equal(api->record(ctx, &plan, &sequence, &err), EQ_UNSUPPORTED);
    assert_null(sequence);
    assert_non_null(strstr(err.msg, "clCreateKernel(no_such_kernel) failed: CL_INVALID_KERNEL_NAME (-46)"));
    api->forget(ctx, NULL);
}

/* Input, repeated calls of one sequence, and a call that is started and then forgotten. */
static void a_sequence_takes_input_and_runs_many_times(void **state)
{
    (void)state;
    NEEDS(builds);
    enum { N = 64 };
    const struct eq_launch launches[] = {{"add_step", 0, {N / 16, 1, 1}, {16, 1, 1}},
                                         {"add_step", 1, {N / 16, 1, 1}, {16, 1, 1}},
                                         {"add_step", 0, {N / 32, 1, 1}, {16, 1, 1}}};
    const int32_t steps[] = {7, -100};
    int32_t in[N], out[N];
    void *sequence = NULL, *program = NULL;
    size_t bytes;
    struct eq_sequence_plan plan = {.launches = launches,
                                    .n = 3,
                                    .in_offset = 4,
                                    .in_bytes = sizeof in - 4,
                                    .out_offset = 0,
                                    .out_bytes = sizeof out};
    assert_int_equal(api->build(ctx, "-DFACTOR=1", NULL, 0, &program, &bytes, NULL), EQ_OK);
    eq_free(program);
    assert_int_equal(api->alloc(ctx, sizeof out, &plan.arena, NULL), EQ_OK);
    assert_int_equal(api->alloc(ctx, sizeof steps, &plan.steps, NULL), EQ_OK);
    assert_int_equal(api->write(ctx, plan.steps, 0, steps, sizeof steps, NULL), EQ_OK);
    assert_int_equal(api->record(ctx, &plan, &sequence, NULL), EQ_OK);
    for (int call = 0; call < 5; call++) {
        struct eq_device_times times = {0};
        for (int i = 0; i < N; i++)
            in[i] = 1000 * call + i;
        assert_int_equal(api->start(ctx, sequence, in, NULL), EQ_OK);
        assert_int_equal(api->finish(ctx, sequence, out, &times, NULL), EQ_OK);
        for (int i = 1; i < N; i++)
            assert_int_equal(out[i], 1000 * call + i - 1 - 93 + (i < N / 2 ? 7 : 0));
        assert_true(times.upload > 0 && times.compute > 0 && times.download > 0);
    }
    assert_int_equal(api->start(ctx, sequence, in, NULL), EQ_OK);
    api->forget(ctx, sequence);
    api->release(ctx, plan.arena);
    api->release(ctx, plan.steps);
}

/* All that is done with a device, up to the first failure. */
static enum eq_status everything(const struct eq_cl *changed, struct eq_err *err)
{
    const struct eq_launch launches[] = {{"add_step", 0, {1, 1, 1}, {16, 1, 1}},
                                         {"add_step", 0, {1, 1, 1}, {16, 1, 1}}};
    struct eq_sequence_plan plan = {.launches = launches, .n = 2, .in_bytes = 64, .out_bytes = 64};
    int32_t data[16] = {0};
    void *c = NULL, *sequence = NULL;
    changes = *changed;
    enum eq_status st = api->open(0, &list.devices[0], &c, err);
    if (st == EQ_OK)
        st = api->build(c, "-DFACTOR=1", NULL, 0, NULL, NULL, err);
    if (st == EQ_OK)
        st = api->alloc(c, 64, &plan.arena, err);
    if (st == EQ_OK)
        st = api->alloc(c, 64, &plan.steps, err);
    if (st == EQ_OK)
        st = api->record(c, &plan, &sequence, err);
    if (st == EQ_OK)
        st = api->start(c, sequence, data, err);
    if (st == EQ_OK)
        st = api->finish(c, sequence, data, NULL, err);
    if (c) {
        api->forget(c, sequence);
        api->release(c, plan.arena);
        api->release(c, plan.steps);
        api->close(c);
    }
    changes = (struct eq_cl){0};
    return st;
}

static void each_failure_names_the_call_the_code_and_the_device(void **state)
{
    (void)state;
    NEEDS(builds);
    const struct {
        struct eq_cl changed;
        const char *said;
        enum eq_status status;
    } rows[] = {
        {{.clCreateContext = fail_context}, "clCreateContext", EQ_UNSUPPORTED},
        {{.clCreateCommandQueue = fail_queue}, "clCreateCommandQueue", EQ_UNSUPPORTED},
        {{.clCreateBuffer = fail_buffer}, "clCreateBuffer", EQ_UNSUPPORTED},
        {{.clEnqueueWriteBuffer = fail_write}, "clEnqueueWriteBuffer", EQ_UNSUPPORTED}, /* the zeros of alloc */
        {{.clCreateKernel = fail_kernel}, "clCreateKernel(add_step)", EQ_UNSUPPORTED},
        {{.clSetKernelArg = fail_argument}, "clSetKernelArg(add_step)", EQ_UNSUPPORTED},
        {{.clEnqueueMapBuffer = fail_map}, "clEnqueueMapBuffer", EQ_UNSUPPORTED},
        {{.clEnqueueNDRangeKernel = fail_launch}, "clEnqueueNDRangeKernel(add_step)", EQ_IO},
        {{.clEnqueueReadBuffer = fail_read}, "clEnqueueReadBuffer", EQ_IO},
        {{.clFlush = fail_queue_call}, "clFlush", EQ_IO},
        {{.clFinish = fail_queue_call}, "clFinish", EQ_IO},
        {{.clGetEventInfo = fail_event}, "the upload (clEnqueueWriteBuffer)", EQ_IO},
    };
    static const struct {
        cl_int code;
        const char *name;
    } codes[] = {
        {-36, "CL_INVALID_COMMAND_QUEUE (-36)"}, {-4, "CL_MEM_OBJECT_ALLOCATION_FAILURE (-4)"}, {-77, "code -77"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < sizeof codes / sizeof *codes; k++) {
            struct eq_err err = {0};
            char says[128];
            code = codes[k].code;
            assert_int_equal(everything(&rows[i].changed, &err), code == -4 ? EQ_NOMEM : rows[i].status);
            snprintf(says, sizeof says, "%s failed: %s", rows[i].said, codes[k].name);
            if (!strstr(err.msg, says) || !strstr(err.msg, list.devices[0].name))
                fail_msg("\"%s\" is not in \"%s\"", says, err.msg);
        }
    assert_int_equal(everything(&(struct eq_cl){0}, NULL), EQ_OK);
}

/* What a device says of itself decides whether and how it is used. */
static void devices_are_judged_by_what_they_say(void **state)
{
    (void)state;
    NEEDS(ctx);
    static const cl_uint no = 0, yes = 1, seven = 7, five = 5, eight = 8, six = 6, fast[6] = {1, 1, 1, 0, 0, 0},
                         slow[6] = {1, 1, 0, 0, 0, 0};
    static const cl_bits gpu = 4;
    static const char nvidia[] = "cl_khr_fp64 cl_nv_device_attribute_query", old[] = "OpenCL 1.1 CUDA",
                      new[] = "OpenCL 3.0 x", embedded[] = "EMBEDDED_PROFILE", amd[] = "gfx90a:sramecc+:xnack-",
                      other_amd[] = "gfx1100", dot[] = "cl_khr_integer_dot_product",
                      not_dot[] = "xcl_khr_integer_dot_product";
    enum { MAJOR = CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, MINOR = CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV };
    enum { DOT = CL_DEVICE_INTEGER_DOT_PRODUCT_ACCELERATION_PROPERTIES_8BIT_KHR, WORDS = CL_DEVICE_EXTENSIONS };
#define SAYS(what, value)                                                                                              \
    {                                                                                                                  \
        what, &value, sizeof value                                                                                     \
    }
    const struct {
        struct answer answers[6];
        const char *path, *why;
        bool is_gpu;
    } rows[] = {
        {{SAYS(CL_DEVICE_TYPE, gpu), SAYS(WORDS, nvidia), SAYS(MAJOR, seven), SAYS(MINOR, five)},
         "mma.m8n8k16",
         "",
         true},
        {{SAYS(CL_DEVICE_TYPE, gpu), SAYS(WORDS, nvidia), SAYS(MAJOR, eight), SAYS(MINOR, no)},
         "mma.m16n8k32",
         "",
         true},
        {{SAYS(WORDS, nvidia), SAYS(MAJOR, six), SAYS(MINOR, yes)}, "dp4a", "", false},
        {{SAYS(WORDS, nvidia), SAYS(MAJOR, six), SAYS(MINOR, no)}, "plain", "", false},
        {{SAYS(CL_DEVICE_NAME, amd)}, "sdot4", "", false},
        {{SAYS(CL_DEVICE_NAME, other_amd), SAYS(WORDS, dot), SAYS(DOT, fast)}, "dot", "", false},
        {{SAYS(WORDS, dot), SAYS(DOT, slow)}, "plain", "", false},
        {{SAYS(WORDS, not_dot), SAYS(DOT, fast)}, "plain", "", false},
        {{SAYS(CL_DEVICE_AVAILABLE, no)}, NULL, "its driver says that it is not available", false},
        {{SAYS(CL_DEVICE_COMPILER_AVAILABLE, no)}, NULL, "its driver has no compiler", false},
        {{SAYS(CL_DEVICE_VERSION, old)}, NULL, "its driver offers \"OpenCL 1.1 CUDA\"; OpenCL 1.2 is needed", false},
        {{SAYS(CL_DEVICE_VERSION, new)}, NULL, "", false},
        {{SAYS(CL_DEVICE_PROFILE, embedded)},
         NULL,
         "its driver offers EMBEDDED_PROFILE; FULL_PROFILE is needed",
         false},
        {{SAYS(CL_DEVICE_ENDIAN_LITTLE, no)}, NULL, "it stores numbers with the high byte first", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct eq_device_list changed = {0};
        memcpy(answers, rows[i].answers, sizeof rows[i].answers);
        changes = (struct eq_cl){.clGetDeviceInfo = answer_info};
        assert_int_equal(api->list(&changed, NULL), EQ_OK);
        changes = (struct eq_cl){0};
        assert_int_equal(changed.n, list.n);
        const struct eq_device_info *d = &changed.devices[0];
        assert_string_equal(d->why.len ? d->why.s : "", rows[i].why);
        if (rows[i].path)
            assert_string_equal(d->integer_path, rows[i].path);
        assert_int_equal(d->is_gpu, rows[i].is_gpu || list.devices[0].is_gpu);
        eq_devices_clear(&changed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_describes_devices),
        cmocka_unit_test(an_index_beyond_the_list_is_refused),
        cmocka_unit_test(memory_is_zero_and_keeps_what_is_written),
        cmocka_unit_test(errors_name_the_call_the_code_and_the_device),
        cmocka_unit_test(too_much_memory_is_a_shortage),
        cmocka_unit_test(a_text_that_does_not_build_shows_the_log),
        cmocka_unit_test(a_program_runs_from_text_and_from_its_binary),
        cmocka_unit_test(an_unknown_kernel_is_named),
        cmocka_unit_test(a_sequence_takes_input_and_runs_many_times),
        cmocka_unit_test(each_failure_names_the_call_the_code_and_the_device),
        cmocka_unit_test(devices_are_judged_by_what_they_say),
    };
    return cmocka_run_group_tests(tests, find, leave);
}
