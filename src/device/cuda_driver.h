/*
 * The part of NVIDIA's CUDA driver that is used here, declared by hand, so that no toolkit is needed to build. Names
 * are those that libcuda.so.1 exports: where cuda.h defines cuMemAlloc as cuMemAlloc_v2, the latter is the name. All of
 * them are in drivers for CUDA 11.4 (470, 2021) and newer.
 */
#ifndef ECHOQUANT_DEVICE_CUDA_DRIVER_H
#define ECHOQUANT_DEVICE_CUDA_DRIVER_H

#include "echoquant/base.h"

typedef int CUresult, CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct CUlinkState_st *CUlinkState;

enum { CUDA_SUCCESS = 0, CUDA_ERROR_OUT_OF_MEMORY = 2, CUDA_ERROR_NO_DEVICE = 100 };
enum {
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76
};
enum { CU_JIT_ERROR_LOG_BUFFER = 5, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6 };
enum { CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0 };
enum { CU_JIT_INPUT_PTX = 1 };
enum { CU_STREAM_NON_BLOCKING = 1 };
enum { CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1 };

/* X(name, arguments); all return CUresult. */
#define EQ_CUDA_FUNCTIONS(X)                                                                                           \
    X(cuInit, (unsigned))                                                                                              \
    X(cuDriverGetVersion, (int *))                                                                                     \
    X(cuGetErrorName, (CUresult, const char **))                                                                       \
    X(cuDeviceGetCount, (int *))                                                                                       \
    X(cuDeviceGet, (CUdevice *, int))                                                                                  \
    X(cuDeviceGetName, (char *, int, CUdevice))                                                                        \
    X(cuDeviceTotalMem_v2, (size_t *, CUdevice))                                                                       \
    X(cuDeviceGetAttribute, (int *, int, CUdevice))                                                                    \
    X(cuDevicePrimaryCtxRetain, (CUcontext *, CUdevice))                                                               \
    X(cuDevicePrimaryCtxRelease_v2, (CUdevice))                                                                        \
    X(cuCtxSetCurrent, (CUcontext))                                                                                    \
    X(cuLinkCreate_v2, (unsigned, int *, void **, CUlinkState *))                                                      \
    X(cuLinkAddData_v2, (CUlinkState, int, void *, size_t, const char *, unsigned, int *, void **))                    \
    X(cuLinkComplete, (CUlinkState, void **, size_t *))                                                                \
    X(cuLinkDestroy, (CUlinkState))                                                                                    \
    X(cuModuleLoadData, (CUmodule *, const void *))                                                                    \
    X(cuModuleUnload, (CUmodule))                                                                                      \
    X(cuModuleGetFunction, (CUfunction *, CUmodule, const char *))                                                     \
    X(cuFuncGetAttribute, (int *, int, CUfunction))                                                                    \
    X(cuMemGetInfo_v2, (size_t *, size_t *))                                                                           \
    X(cuMemAlloc_v2, (CUdeviceptr *, size_t))                                                                          \
    X(cuMemFree_v2, (CUdeviceptr))                                                                                     \
    X(cuMemHostAlloc, (void **, size_t, unsigned))                                                                     \
    X(cuMemFreeHost, (void *))                                                                                         \
    X(cuMemsetD8_v2, (CUdeviceptr, unsigned char, size_t))                                                             \
    X(cuMemcpyHtoD_v2, (CUdeviceptr, const void *, size_t))                                                            \
    X(cuMemcpyDtoH_v2, (void *, CUdeviceptr, size_t))                                                                  \
    X(cuMemcpyHtoDAsync_v2, (CUdeviceptr, const void *, size_t, CUstream))                                             \
    X(cuMemcpyDtoHAsync_v2, (void *, CUdeviceptr, size_t, CUstream))                                                   \
    X(cuStreamCreate, (CUstream *, unsigned))                                                                          \
    X(cuStreamDestroy_v2, (CUstream))                                                                                  \
    X(cuStreamSynchronize, (CUstream))                                                                                 \
    X(cuStreamBeginCapture_v2, (CUstream, int))                                                                        \
    X(cuStreamEndCapture, (CUstream, CUgraph *))                                                                       \
    X(cuLaunchKernel,                                                                                                  \
      (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **))  \
    X(cuGraphInstantiateWithFlags, (CUgraphExec *, CUgraph, unsigned long long))                                       \
    X(cuGraphDestroy, (CUgraph))                                                                                       \
    X(cuGraphLaunch, (CUgraphExec, CUstream))                                                                          \
    X(cuGraphExecDestroy, (CUgraphExec))                                                                               \
    X(cuEventCreate, (CUevent *, unsigned))                                                                            \
    X(cuEventDestroy_v2, (CUevent))                                                                                    \
    X(cuEventRecord, (CUevent, CUstream))                                                                              \
    X(cuEventElapsedTime, (float *, CUevent, CUevent))

struct eq_cuda {
#define X(name, arguments) CUresult(*name) arguments;
    EQ_CUDA_FUNCTIONS(X)
#undef X
    int devices;
    char driver[128]; /* "NVIDIA driver 550.54.15, CUDA 12.4" */
};

/* Opens libcuda.so.1 and starts it, once in a process; it stays. NULL: it has no device that can be reached. notes: one
 * line that says which library was opened, or why there is no device. */
const struct eq_cuda *eq_cuda_open(const char **notes);
/* "CUDA_ERROR_LAUNCH_FAILED (719)". */
const char *eq_cuda_code_name(const struct eq_cuda *cuda, CUresult code, char text[80]);

#endif
