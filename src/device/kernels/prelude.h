/*
 * What the kernels need beyond the language, so that one text serves OpenCL 1.2 drivers and clang. With EQ_PTX, clang
 * makes PTX for NVIDIA's driver, without OpenCL's own headers:
 *   clang -x cl -cl-std=CL1.2 -cl-no-stdinc -O3 -ffp-contract=off -target nvptx64-nvidia-cuda -Xclang -target-cpu
 *         -Xclang sm_75 -Xclang -target-feature -Xclang +ptx65 -DEQ_PTX -DEQ_PATH_MMA8
 * (sm_80, +ptx70, EQ_PATH_MMA16).
 *
 * How INT8 multiplies is a define of the host: EQ_PATH_PLAIN, _DP4A, _DOT, _SDOT4, _MMA8 (m8n8k16) or _MMA16
 * (m16n8k32). EQ_MMA_EMULATED: tests only, mma without its instruction. Floats round as written: nothing is contracted.
 */
#pragma OPENCL FP_CONTRACT OFF

#ifdef EQ_PTX
typedef unsigned char uchar;
typedef unsigned int uint;
typedef unsigned long size_t;
typedef int int2 __attribute__((ext_vector_type(2)));
typedef int int4 __attribute__((ext_vector_type(4)));
typedef uint uint4 __attribute__((ext_vector_type(4)));
typedef float float4 __attribute__((ext_vector_type(4)));
#define as_uint(x) __builtin_astype(x, uint)
#define as_float(x) __builtin_astype(x, float)
#define as_uint4(x) __builtin_astype(x, uint4)
#define as_int4(x) __builtin_astype(x, int4)
#define as_float4(x) __builtin_astype(x, float4)
#define fma(a, b, c) __builtin_fmaf(a, b, c)
#define fmax(a, b) __builtin_fmaxf(a, b)
#define rint(x) __builtin_rintf(x)
#define LOCAL_ID ((int)__nvvm_read_ptx_sreg_tid_x())
#define GROUP_X ((int)__nvvm_read_ptx_sreg_ctaid_x())
#define GROUP_Y ((int)__nvvm_read_ptx_sreg_ctaid_y())
#define LOCAL_BARRIER() __syncthreads()
#define EQ_FP64 1
#else
#define LOCAL_ID ((int)get_local_id(0))
#define GROUP_X ((int)get_group_id(0))
#define GROUP_Y ((int)get_group_id(1))
#define LOCAL_BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#define EQ_FP64 1
#endif
#endif

#if defined(EQ_PATH_MMA8) || defined(EQ_PATH_MMA16)
#define EQ_MMA 1
#ifndef EQ_MMA_EMULATED
#define EQ_PATH_DP4A 1
#endif
#endif

#define INLINE static inline __attribute__((always_inline))
#define KERNEL(name, threads) kernel __attribute__((reqd_work_group_size(threads, 1, 1))) void name
#define EQ_ARGUMENTS global uchar *arena, global const struct eq_device_step *steps, int step
