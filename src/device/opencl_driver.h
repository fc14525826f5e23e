/*
 * The part of OpenCL 1.2 that is used here, declared by hand, so that no header is needed to build. Names, types and
 * numbers are those of the OpenCL 1.2 specification (Khronos, revision 19) and of cl_khr_icd.
 */
#ifndef ECHOQUANT_DEVICE_OPENCL_DRIVER_H
#define ECHOQUANT_DEVICE_OPENCL_DRIVER_H

#include "echoquant/base.h"

typedef int32_t cl_int;
typedef uint32_t cl_uint;
typedef uint64_t cl_ulong, cl_bits;
typedef struct _cl_platform_id *cl_platform_id;
typedef struct _cl_device_id *cl_device_id;
typedef struct _cl_context *cl_context;
typedef struct _cl_command_queue *cl_command_queue;
typedef struct _cl_mem *cl_mem;
typedef struct _cl_program *cl_program;
typedef struct _cl_kernel *cl_kernel;
typedef struct _cl_event *cl_event;

enum {
    CL_SUCCESS = 0,
    CL_DEVICE_NOT_FOUND = -1,
    CL_MEM_OBJECT_ALLOCATION_FAILURE = -4,
    CL_OUT_OF_RESOURCES = -5,
    CL_OUT_OF_HOST_MEMORY = -6,
    CL_PROFILING_INFO_NOT_AVAILABLE = -7,
    CL_BUILD_PROGRAM_FAILURE = -11,
    CL_INVALID_BUFFER_SIZE = -61,
    CL_PLATFORM_NOT_FOUND_KHR = -1001
};
enum { CL_PLATFORM_VERSION = 0x0901, CL_PLATFORM_NAME = 0x0902 };
enum {
    CL_DEVICE_TYPE = 0x1000,
    CL_DEVICE_MAX_COMPUTE_UNITS = 0x1002,
    CL_DEVICE_MAX_MEM_ALLOC_SIZE = 0x1010,
    CL_DEVICE_GLOBAL_MEM_SIZE = 0x101F,
    CL_DEVICE_ENDIAN_LITTLE = 0x1026,
    CL_DEVICE_AVAILABLE = 0x1027,
    CL_DEVICE_COMPILER_AVAILABLE = 0x1028,
    CL_DEVICE_NAME = 0x102B,
    CL_DRIVER_VERSION = 0x102D,
    CL_DEVICE_PROFILE = 0x102E,
    CL_DEVICE_VERSION = 0x102F,
    CL_DEVICE_EXTENSIONS = 0x1030,
    CL_DEVICE_BOARD_NAME_AMD = 0x4038,
    CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV = 0x4000,
    CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV = 0x4001,
    CL_DEVICE_INTEGER_DOT_PRODUCT_ACCELERATION_PROPERTIES_8BIT_KHR = 0x1074
};
enum { CL_CONTEXT_PLATFORM = 0x1084 };
enum { CL_QUEUE_PROFILING_ENABLE = 2 };
enum { CL_MEM_READ_WRITE = 1, CL_MEM_ALLOC_HOST_PTR = 16 };
enum { CL_MAP_READ = 1, CL_MAP_WRITE = 2 };
enum { CL_PROGRAM_BINARY_SIZES = 0x1165, CL_PROGRAM_BINARIES = 0x1166, CL_PROGRAM_BUILD_LOG = 0x1183 };
enum { CL_EVENT_COMMAND_EXECUTION_STATUS = 0x11D3, CL_PROFILING_COMMAND_START = 0x1282, CL_PROFILING_COMMAND_END };
#define CL_DEVICE_TYPE_GPU ((cl_bits)4)
#define CL_DEVICE_TYPE_ALL ((cl_bits)0xFFFFFFFF)

/* Each function with its place in the table of functions that cl_khr_icd puts before every object. All are of OpenCL
 * 1.0. X(result, name, place, arguments) */
#define EQ_CL_FUNCTIONS(X)                                                                                             \
    X(cl_int, clGetPlatformIDs, 0, (cl_uint, cl_platform_id *, cl_uint *))                                             \
    X(cl_int, clGetPlatformInfo, 1, (cl_platform_id, cl_uint, size_t, void *, size_t *))                               \
    X(cl_int, clGetDeviceIDs, 2, (cl_platform_id, cl_bits, cl_uint, cl_device_id *, cl_uint *))                        \
    X(cl_int, clGetDeviceInfo, 3, (cl_device_id, cl_uint, size_t, void *, size_t *))                                   \
    X(cl_context, clCreateContext, 4,                                                                                  \
      (const intptr_t *, cl_uint, const cl_device_id *, void (*)(const char *, const void *, size_t, void *), void *,  \
       cl_int *))                                                                                                      \
    X(cl_int, clReleaseContext, 7, (cl_context))                                                                       \
    X(cl_command_queue, clCreateCommandQueue, 9, (cl_context, cl_device_id, cl_bits, cl_int *))                        \
    X(cl_int, clReleaseCommandQueue, 11, (cl_command_queue))                                                           \
    X(cl_mem, clCreateBuffer, 14, (cl_context, cl_bits, size_t, void *, cl_int *))                                     \
    X(cl_int, clReleaseMemObject, 18, (cl_mem))                                                                        \
    X(cl_program, clCreateProgramWithSource, 26, (cl_context, cl_uint, const char **, const size_t *, cl_int *))       \
    X(cl_program, clCreateProgramWithBinary, 27,                                                                       \
      (cl_context, cl_uint, const cl_device_id *, const size_t *, const unsigned char **, cl_int *, cl_int *))         \
    X(cl_int, clReleaseProgram, 29, (cl_program))                                                                      \
    X(cl_int, clBuildProgram, 30,                                                                                      \
      (cl_program, cl_uint, const cl_device_id *, const char *, void (*)(cl_program, void *), void *))                 \
    X(cl_int, clGetProgramInfo, 32, (cl_program, cl_uint, size_t, void *, size_t *))                                   \
    X(cl_int, clGetProgramBuildInfo, 33, (cl_program, cl_device_id, cl_uint, size_t, void *, size_t *))                \
    X(cl_kernel, clCreateKernel, 34, (cl_program, const char *, cl_int *))                                             \
    X(cl_int, clReleaseKernel, 37, (cl_kernel))                                                                        \
    X(cl_int, clSetKernelArg, 38, (cl_kernel, cl_uint, size_t, const void *))                                          \
    X(cl_int, clWaitForEvents, 41, (cl_uint, const cl_event *))                                                        \
    X(cl_int, clGetEventInfo, 42, (cl_event, cl_uint, size_t, void *, size_t *))                                       \
    X(cl_int, clReleaseEvent, 44, (cl_event))                                                                          \
    X(cl_int, clGetEventProfilingInfo, 45, (cl_event, cl_uint, size_t, void *, size_t *))                              \
    X(cl_int, clFlush, 46, (cl_command_queue))                                                                         \
    X(cl_int, clFinish, 47, (cl_command_queue))                                                                        \
    X(cl_int, clEnqueueReadBuffer, 48,                                                                                 \
      (cl_command_queue, cl_mem, cl_uint, size_t, size_t, void *, cl_uint, const cl_event *, cl_event *))              \
    X(cl_int, clEnqueueWriteBuffer, 49,                                                                                \
      (cl_command_queue, cl_mem, cl_uint, size_t, size_t, const void *, cl_uint, const cl_event *, cl_event *))        \
    X(void *, clEnqueueMapBuffer, 56,                                                                                  \
      (cl_command_queue, cl_mem, cl_uint, cl_bits, size_t, size_t, cl_uint, const cl_event *, cl_event *, cl_int *))   \
    X(cl_int, clEnqueueUnmapMemObject, 58, (cl_command_queue, cl_mem, void *, cl_uint, const cl_event *, cl_event *))  \
    X(cl_int, clEnqueueNDRangeKernel, 59,                                                                              \
      (cl_command_queue, cl_kernel, cl_uint, const size_t *, const size_t *, const size_t *, cl_uint,                  \
       const cl_event *, cl_event *))

struct eq_cl {
#define X(result, name, place, arguments) result(*name) arguments;
    EQ_CL_FUNCTIONS(X)
#undef X
};

struct eq_cl_platform {
    struct eq_cl cl; /* how its functions are reached: through the loader, or directly */
    cl_platform_id id;
};
/* The platforms of the loader libOpenCL.so.1; those of the vendors' own libraries if the loader is missing or has none.
 * They are opened once in a process and stay. notes: one line that says which library was opened, or why none. */
void eq_cl_platforms(const struct eq_cl_platform **platforms, size_t *n, const char **notes);
/* "CL_OUT_OF_RESOURCES (-5)". */
const char *eq_cl_code_name(cl_int code, char text[64]);

#endif
