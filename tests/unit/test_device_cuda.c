/*
 * The loader for NVIDIA's driver over tests/device/fake_cuda.c, a libcuda.so.1 that LD_LIBRARY_PATH names: what is
 * called in which order, what each failure says, and that nothing is left. With EXPECT_NOTE it only lists: the note
 * must have that text, and the list be empty.
 */
#include "unit/cmocka_all.h"

#include "device/api.h"

#include <dlfcn.h>
#include <string.h>

const char eq_device_text[] = "";
const struct eq_device_ptx eq_device_ptx[] = {{75, "75 .entry add_step() .entry place()"},
                                              {80, "80 .entry add_step() .entry place()"},
                                              {95, "no ptx"},
                                              {0, NULL}};
enum eq_status eq_device_self_check(struct eq_device *d, struct eq_err *err)
{
    (void)d;
    (void)err;
    return EQ_OK;
}

static const struct eq_device_api *const api = &eq_device_cuda;
static struct eq_device_list list;
static const char *(*calls)(bool);
static int (*live)(void);

static int find(void **state)
{
    (void)state;
    eq_log_configure(EQ_LOG_ERROR);
    setenv("FAKE_CUDA_DEVICES", "75,90,61,95", 1);
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    void *symbols[] = {library ? dlsym(library, "fake_cuda_calls") : NULL,
                       library ? dlsym(library, "fake_cuda_live") : NULL};
    memcpy(&calls, &symbols[0], sizeof calls);
    memcpy(&live, &symbols[1], sizeof live);
    if (!calls || !live) {
        print_message("LD_LIBRARY_PATH does not name the folder of the fake libcuda.so.1\n");
        return -1;
    }
    return api->list(&list, NULL) == EQ_OK ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    eq_devices_clear(&list);
    return 0;
}

static void let_fail(const char *function, int code)
{
    char text[16];
    snprintf(text, sizeof text, "%d", code);
    setenv("FAKE_CUDA_CODE", text, 1);
    if (function)
        setenv("FAKE_CUDA_FAIL", function, 1);
    else
        unsetenv("FAKE_CUDA_FAIL");
}

static void *open_device(int index)
{
    void *ctx;
    assert_int_equal(api->open(index, &list.devices[index], &ctx, NULL), EQ_OK);
    return ctx;
}

static void the_list_describes_devices(void **state)
{
    (void)state;
    static const char *const paths[] = {"mma.m8n8k16", "mma.m16n8k32", "dp4a", "mma.m16n8k32"};
    assert_int_equal(list.n, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct eq_device_info *d = &list.devices[i];
        char id[32], name[32];
        snprintf(id, sizeof id, "cuda:%zu", i);
        snprintf(name, sizeof name, "Fake T%zu", i);
        assert_string_equal(d->id, id);
        assert_string_equal(d->name, name);
        assert_string_equal(d->integer_path, paths[i]);
        assert_true(d->is_gpu && d->units == 40 && d->memory == 1 << 24 && strstr(d->driver, "CUDA 12.4"));
        assert_int_equal(d->check, EQ_DEVICE_UNCHECKED);
    }
    assert_null(list.devices[0].why.s);
    assert_null(list.devices[1].why.s);
    assert_string_equal(list.devices[2].why.s, "it has compute capability 6.1; 7.5 or newer is needed");
    assert_non_null(strstr(list.notes.s, "CUDA: opened libcuda.so.1"));
}

static void an_index_beyond_the_list_is_refused(void **state)
{
    (void)state;
    struct eq_err err = {0};
    struct eq_device_info info = {.id = "cuda:4"};
    void *none = &info;
    assert_int_equal(api->open(4, &info, &none, &err), EQ_UNSUPPORTED);
    assert_null(none);
    assert_string_equal(err.msg, "cuda:4: no such device");
}

static void memory_is_zero_and_keeps_what_is_written(void **state)
{
    (void)state;
    void *ctx = open_device(0);
    uint8_t bytes[6], some[] = {1, 2, 3, 250};
    eq_device_buffer b;
    assert_int_equal(api->alloc(ctx, 3000, &b, NULL), EQ_OK);
    assert_int_equal(api->write(ctx, b, 1234, some, sizeof some, NULL), EQ_OK);
    assert_int_equal(api->read(ctx, b, 1233, bytes, 6, NULL), EQ_OK);
    assert_memory_equal(bytes, ((uint8_t[]){0, 1, 2, 3, 250, 0}), 6);
    assert_int_equal(api->write(ctx, b, 0, some, 0, NULL), EQ_OK);
    api->release(ctx, b);
    api->release(ctx, 0);
    assert_int_equal(api->alloc(ctx, 0, &b, NULL), EQ_OK);
    api->release(ctx, b);
    api->close(ctx);
    assert_int_equal(live(), 0);
}

static void too_much_memory_says_how_much_is_free(void **state)
{
    (void)state;
    void *ctx = open_device(0);
    struct eq_err err = {0};
    eq_device_buffer first, second = 1;
    assert_int_equal(api->alloc(ctx, 10 << 20, &first, NULL), EQ_OK);
    assert_int_equal(api->alloc(ctx, 10 << 20, &second, &err), EQ_NOMEM);
    assert_true(second == 0);
    assert_string_equal(err.msg, "cuda:0 (Fake T0): not enough memory: 10.0 MiB are needed in one piece, "
                                 "6.0 of 16.0 MiB are free; cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY (2)");
    api->release(ctx, first);
    api->close(ctx);
    assert_int_equal(live(), 0);
}

/* The newest PTX that the device takes; then the machine code again; then code that is none. */
static void programs_come_from_ptx_and_from_machine_code(void **state)
{
    (void)state;
    struct eq_err err = {0};
    for (int device = 0; device < 2; device++) {
        void *ctx = open_device(device), *program = NULL, *none = NULL;
        size_t bytes = 0, no_bytes = 0;
        assert_int_equal(api->build(ctx, "", NULL, 0, &program, &bytes, NULL), EQ_OK);
        assert_string_equal(program, device ? "CUBIN80 .entry add_step() .entry place()"
                                            : "CUBIN75 .entry add_step() .entry place()");
        assert_int_equal(bytes, strlen(program) + 1);
        assert_int_equal(api->build(ctx, "", program, bytes, &none, &no_bytes, NULL), EQ_OK);
        assert_null(none);
        assert_int_equal(api->build(ctx, "", "bad", 4, &none, &no_bytes, &err), EQ_FORMAT);
        assert_non_null(strstr(err.msg, "cuModuleLoadData of a cached program failed: CUDA_ERROR_INVALID_IMAGE (200)"));
        assert_null(none);
        eq_free(program);
        api->close(ctx);
        assert_int_equal(live(), 0);
    }
}

static void ptx_that_does_not_assemble_shows_the_log(void **state)
{
    (void)state;
    struct eq_err err = {0};
    void *ctx = open_device(3), *program = &err;
    size_t bytes = 1;
    assert_int_equal(api->build(ctx, "", NULL, 0, &program, &bytes, &err), EQ_UNSUPPORTED);
    assert_true(!program && !bytes);
    assert_non_null(strstr(err.msg, "cuda:3 (Fake T3): its driver (NVIDIA driver"));
    assert_non_null(strstr(err.msg, "cuLinkAddData failed: CUDA_ERROR_INVALID_PTX (218); its log: ptxas application "
                                    "ptx input, line 1; fatal: Missing .version directive"));
    api->close(ctx);
    assert_int_equal(live(), 0);
}

enum { N = 64 };

/* All that is done with a device, up to the first failure. */
static enum eq_status everything(int32_t *out, struct eq_device_times *times, struct eq_err *err)
{
    const struct eq_launch launches[] = {{"add_step", 0, {N / 16, 1, 1}, {16, 1, 1}},
                                         {"add_step", 1, {N / 16, 1, 1}, {16, 1, 1}},
                                         {"add_step", 0, {N / 32, 1, 1}, {16, 1, 1}}};
    const int32_t steps[] = {7, -100};
    int32_t in[N], byte;
    struct eq_sequence_plan plan = {
        .launches = launches, .n = 3, .in_offset = 4, .in_bytes = sizeof in - 4, .out_bytes = sizeof in};
    void *ctx = NULL, *sequence = NULL, *program = NULL;
    size_t bytes;
    enum eq_status st = api->open(0, &list.devices[0], &ctx, err);
    for (int i = 0; i < N; i++)
        in[i] = i;
    if (st == EQ_OK)
        st = api->build(ctx, "", NULL, 0, &program, &bytes, err);
    eq_free(program);
    if (st == EQ_OK)
        st = api->alloc(ctx, sizeof in, &plan.arena, err);
    if (st == EQ_OK)
        st = api->alloc(ctx, sizeof steps, &plan.steps, err);
    if (st == EQ_OK)
        st = api->write(ctx, plan.steps, 0, steps, sizeof steps, err);
    if (st == EQ_OK)
        st = api->read(ctx, plan.steps, 4, &byte, 4, err);
    if (st == EQ_OK)
        st = api->record(ctx, &plan, &sequence, err);
    for (int call = 0; st == EQ_OK && call < 2; call++) {
        calls(true);
        st = api->start(ctx, sequence, in, err);
        if (st == EQ_OK && call)
            assert_string_equal(calls(false), "cuCtxSetCurrent cuEventRecord cuMemcpyHtoDAsync_v2 cuEventRecord "
                                              "cuGraphLaunch cuEventRecord cuMemcpyDtoHAsync_v2 cuEventRecord ");
        if (st == EQ_OK)
            st = api->finish(ctx, sequence, out, times, err);
    }
    if (ctx) {
        api->forget(ctx, sequence);
        api->release(ctx, plan.arena);
        api->release(ctx, plan.steps);
        api->close(ctx);
    }
    return st;
}

static void a_sequence_runs_many_times_and_is_timed_in_parts(void **state)
{
    (void)state;
    int32_t out[N];
    struct eq_device_times times = {0};
    assert_int_equal(everything(out, &times, NULL), EQ_OK);
    for (int i = 1; i < N; i++)
        assert_int_equal(out[i], i - 1 - 93 + (i < N / 2 ? 7 : 0));
    assert_true(times.upload == 0.25 && times.compute == 1 && times.download == 0.125);
    assert_int_equal(live(), 0);
}

static void groups_of_three_dimensions_reach_the_kernel(void **state)
{
    (void)state;
    const struct eq_launch launches[] = {{"place", 0, {2, 2, 3}, {4, 1, 1}}};
    int32_t out[48];
    void *ctx = open_device(1), *sequence = NULL, *program = NULL;
    size_t bytes;
    struct eq_sequence_plan plan = {.launches = launches, .n = 1, .out_bytes = sizeof out};
    assert_int_equal(api->build(ctx, "", NULL, 0, &program, &bytes, NULL), EQ_OK);
    eq_free(program);
    assert_int_equal(api->alloc(ctx, sizeof out, &plan.arena, NULL), EQ_OK);
    assert_int_equal(api->record(ctx, &plan, &sequence, NULL), EQ_OK);
    assert_int_equal(api->start(ctx, sequence, NULL, NULL), EQ_OK);
    assert_int_equal(api->finish(ctx, sequence, out, NULL, NULL), EQ_OK);
    for (int i = 0; i < 48; i++)
        assert_int_equal(out[i], 100 * (i % 8 / 4) + 10 * (i % 4) + 1);
    assert_int_equal(api->start(ctx, sequence, NULL, NULL), EQ_OK); /* and never finished */
    api->forget(ctx, sequence);
    api->forget(ctx, NULL);
    api->release(ctx, plan.arena);
    api->close(ctx);
    assert_int_equal(live(), 0);
}

static void what_cannot_be_launched_is_named(void **state)
{
    (void)state;
    static const struct eq_launch wrong[] = {{"no_such_kernel", 0, {1, 1, 1}, {1, 1, 1}},
                                             {"add_step", 0, {1, 1, 1}, {512, 1, 1}}};
    static const char *const says[] = {
        "cuda:0 (Fake T0): cuModuleGetFunction(no_such_kernel) failed: CUDA_ERROR_NOT_FOUND (500)",
        "cuda:0 (Fake T0): kernel add_step wants 512 threads in a block, the device has room for 256"};
    for (size_t i = 0; i < 2; i++) {
        struct eq_err err = {0};
        void *ctx = open_device(0), *program = NULL, *sequence = &err;
        size_t bytes;
        struct eq_sequence_plan plan = {.launches = &wrong[i], .n = 1};
        assert_int_equal(api->build(ctx, "", NULL, 0, &program, &bytes, NULL), EQ_OK);
        eq_free(program);
        assert_int_equal(api->record(ctx, &plan, &sequence, &err), EQ_UNSUPPORTED);
        assert_null(sequence);
        assert_string_equal(err.msg, says[i]);
        api->close(ctx);
        assert_int_equal(live(), 0);
    }
}

/* Each function in turn fails, as it does when the device is lost; its name, the code and the device are said. */
static void each_failure_names_the_call_the_code_and_the_device(void **state)
{
    (void)state;
    static const struct {
        const char *function, *said;
        enum eq_status status;
    } rows[] = {
        {"cuDeviceGet", "cuDeviceGet", EQ_UNSUPPORTED},
        {"cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRetain", EQ_UNSUPPORTED},
        {"cuCtxSetCurrent", "cuCtxSetCurrent", EQ_UNSUPPORTED},
        {"cuStreamCreate", "cuStreamCreate", EQ_UNSUPPORTED},
        {"cuLinkCreate_v2", "cuLinkCreate", EQ_UNSUPPORTED},
        {"cuLinkAddData_v2", "cuLinkAddData", EQ_UNSUPPORTED},
        {"cuLinkComplete", "cuLinkComplete", EQ_UNSUPPORTED},
        {"cuModuleLoadData", "cuModuleLoadData", EQ_UNSUPPORTED},
        {"cuMemAlloc_v2", "cuMemAlloc", EQ_UNSUPPORTED},
        {"cuMemsetD8_v2", "cuMemsetD8", EQ_UNSUPPORTED},
        {"cuMemcpyHtoD_v2", "cuMemcpyHtoD", EQ_IO},
        {"cuMemcpyDtoH_v2", "cuMemcpyDtoH", EQ_IO},
        {"cuEventCreate", "cuEventCreate", EQ_UNSUPPORTED},
        {"cuMemHostAlloc", "cuMemHostAlloc", EQ_UNSUPPORTED},
        {"cuModuleGetFunction", "cuModuleGetFunction(add_step)", EQ_UNSUPPORTED},
        {"cuFuncGetAttribute", "cuFuncGetAttribute", EQ_UNSUPPORTED},
        {"cuStreamBeginCapture_v2", "cuStreamBeginCapture", EQ_UNSUPPORTED},
        {"cuLaunchKernel", "cuLaunchKernel(add_step)", EQ_UNSUPPORTED},
        {"cuStreamEndCapture", "cuStreamEndCapture", EQ_UNSUPPORTED},
        {"cuGraphInstantiateWithFlags", "cuGraphInstantiate", EQ_UNSUPPORTED},
        {"cuEventRecord", "cuEventRecord", EQ_IO},
        {"cuMemcpyHtoDAsync_v2", "cuMemcpyHtoDAsync", EQ_IO},
        {"cuGraphLaunch", "cuGraphLaunch", EQ_IO},
        {"cuMemcpyDtoHAsync_v2", "cuMemcpyDtoHAsync", EQ_IO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int code = 2; code <= 719; code += 717) {
            struct eq_err err = {0};
            int32_t out[N];
            char says[128];
            let_fail(rows[i].function, code);
            enum eq_status st = everything(out, NULL, &err);
            let_fail(NULL, 0);
            assert_int_equal(st, code == 2 ? EQ_NOMEM : rows[i].status);
            snprintf(says, sizeof says, "%s failed: %s (%d)", rows[i].said,
                     code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_LAUNCH_FAILED", code);
            if (!strstr(err.msg, says))
                fail_msg("\"%s\" is not in \"%s\"", says, err.msg);
            assert_non_null(strstr(err.msg, "cuda:0 (Fake T0): "));
            assert_int_equal(strcmp(rows[i].function, "cuCtxSetCurrent") == 0 ? 0 : live(), 0);
        }
}

/* The device is lost while a call runs; what follows fails as well and nothing crashes. */
static void a_device_that_is_lost_is_an_error_of_the_call(void **state)
{
    (void)state;
    const struct eq_launch launch = {"add_step", 0, {1, 1, 1}, {1, 1, 1}};
    struct eq_sequence_plan plan = {.launches = &launch, .n = 1, .out_bytes = 4};
    void *ctx = open_device(0), *program = NULL, *sequence = NULL;
    size_t bytes;
    int32_t out;
    struct eq_err err = {0};
    assert_int_equal(api->build(ctx, "", NULL, 0, &program, &bytes, NULL), EQ_OK);
    eq_free(program);
    assert_int_equal(api->alloc(ctx, 4, &plan.arena, NULL), EQ_OK);
    assert_int_equal(api->alloc(ctx, 4, &plan.steps, NULL), EQ_OK);
    assert_int_equal(api->record(ctx, &plan, &sequence, NULL), EQ_OK);
    assert_int_equal(api->start(ctx, sequence, NULL, NULL), EQ_OK);
    let_fail("cuStreamSynchronize", 719);
    assert_int_equal(api->finish(ctx, sequence, &out, NULL, &err), EQ_IO);
    assert_string_equal(err.msg, "cuda:0 (Fake T0): cuStreamSynchronize failed: CUDA_ERROR_LAUNCH_FAILED (719)");
    api->forget(ctx, sequence);
    let_fail(NULL, 0);
    api->release(ctx, plan.arena);
    api->release(ctx, plan.steps);
    api->close(ctx);
    assert_int_equal(live(), 0);
}

static int only_list(const char *note)
{
    eq_log_configure(EQ_LOG_ERROR);
    bool good = api->list(&list, NULL) == EQ_OK && list.n == 0 && strstr(list.notes.s, note);
    printf("%s%s", list.notes.s, good ? "" : "FAILED: expected no device and another note\n");
    eq_devices_clear(&list);
    return good ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_describes_devices),
        cmocka_unit_test(an_index_beyond_the_list_is_refused),
        cmocka_unit_test(memory_is_zero_and_keeps_what_is_written),
        cmocka_unit_test(too_much_memory_says_how_much_is_free),
        cmocka_unit_test(programs_come_from_ptx_and_from_machine_code),
        cmocka_unit_test(ptx_that_does_not_assemble_shows_the_log),
        cmocka_unit_test(a_sequence_runs_many_times_and_is_timed_in_parts),
        cmocka_unit_test(groups_of_three_dimensions_reach_the_kernel),
        cmocka_unit_test(what_cannot_be_launched_is_named),
        cmocka_unit_test(each_failure_names_the_call_the_code_and_the_device),
        cmocka_unit_test(a_device_that_is_lost_is_an_error_of_the_call),
    };
    const char *note = getenv("EXPECT_NOTE");
    return note ? only_list(note) : cmocka_run_group_tests(tests, find, leave);
}
