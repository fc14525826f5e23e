/* The loader for OpenCL over PoCL and a text of its own: memory, programs, sequences, and what each failure says. */
#include "unit/cmocka_all.h"

#include "device/api.h"

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

static const struct eq_device_api *const api = &eq_device_opencl;
static struct eq_device_list list;
static void *ctx;

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
    return 0;
}

static int leave(void **state)
{
    (void)state;
    api->close(ctx);
    eq_devices_clear(&list);
    return 0;
}

#define NEEDS_DEVICE                                                                                                   \
    do {                                                                                                               \
        if (!ctx)                                                                                                      \
            skip();                                                                                                    \
    } while (0)

static void the_list_describes_devices(void **state)
{
    (void)state;
    NEEDS_DEVICE;
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
    NEEDS_DEVICE;
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
    NEEDS_DEVICE;
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
    NEEDS_DEVICE;
    struct eq_err err = {0};
    eq_device_buffer b = 1;
    assert_int_equal(api->alloc(ctx, (size_t)1 << 46, &b, &err), EQ_NOMEM);
    assert_true(b == 0);
    assert_non_null(strstr(err.msg, "not enough memory"));
}

static void a_text_that_does_not_build_shows_the_log(void **state)
{
    (void)state;
    NEEDS_DEVICE;
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
    NEEDS_DEVICE;
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
    NEEDS_DEVICE;
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
    NEEDS_DEVICE;
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
    };
    return cmocka_run_group_tests(tests, find, leave);
}
