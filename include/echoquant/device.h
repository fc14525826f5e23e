/*
 * device: the network on a GPU or another device beside the CPU. One text of kernels (src/device/kernels/, OpenCL C)
 * reaches devices in two ways, both opened at run time: the OpenCL loader, which builds the text, and NVIDIA's CUDA
 * driver, which gets PTX that clang made of the text while echoquant was built. docs/GPU.md.
 *
 * INT8 models give the bits of the CPU's engine (quant.h). FP32 models give EFs within 1e-3 points of the CPU's, and
 * the same bits on every run on one device. A device is used only after a self-check against kernels/ref, to the bit.
 *
 * Functions that return a status fill err. EQ_UNSUPPORTED: no such device here, or one that cannot or must not be used;
 * the message names it and says why, with a list of what there is. EQ_NOMEM: the host's or the device's memory. EQ_IO:
 * the device failed or was lost in the middle of its work.
 */
#ifndef ECHOQUANT_DEVICE_H
#define ECHOQUANT_DEVICE_H

#include "echoquant/model.h"
#include "echoquant/quant.h"

/* ---- devices ------------------------------------------------------------- */

enum eq_device_check { EQ_DEVICE_UNCHECKED, EQ_DEVICE_PASSED, EQ_DEVICE_FAILED };
struct eq_device_info {
    char id[24];           /* as --device takes it: "cuda:0", "opencl:1" */
    char name[128];        /* of the device, by its driver */
    char driver[160];      /* name and version of driver and platform */
    bool is_gpu;           /* false for OpenCL on a CPU (PoCL), which only its own name selects */
    size_t memory;         /* bytes; 0: unknown */
    int units;             /* compute units, or multiprocessors */
    char integer_path[24]; /* how INT8 multiplies: "mma.m16n8k32", "mma.m8n8k16", "dp4a", "dot", "sdot4", "plain" */
    enum eq_device_check check;
    struct eq_str why; /* why it cannot be used; empty: it can */
};
struct eq_device_list {
    struct eq_device_info *devices; /* [n]; GPUs by CUDA first, then those of OpenCL, in the order of their drivers */
    size_t n;
    struct eq_str notes; /* one line for each loader: what was opened under which name, or why there is none */
};
/* All devices of both loaders. check: runs the self-check of each that the cache does not know yet. No loader and no
 * device are no errors: the list is empty and notes say why. EQ_NOMEM; EQ_INTERRUPTED. Clear with eq_devices_clear. */
enum eq_status eq_devices_list(bool check, struct eq_device_list *out, struct eq_err *err);
void eq_devices_clear(struct eq_device_list *list); /* harmless twice */
/* Whether text is a name that run.device may have: "cpu", "gpu", "opencl[:n]", "cuda[:n]". */
bool eq_device_name_ok(const char *text);

/* Lets the first use of a device, in which its kernels are built and checked, happen in a child process. A driver that
 * crashes there, or hangs for that many seconds, does not take this process along: EQ_UNSUPPORTED. The child is this
 * program with the arguments EQ_DEVICE_TRY and a device's id, for which main must call eq_device_try. 0, as at the
 * start: in this process. */
#define EQ_DEVICE_TRY "--try-device"
void eq_device_allow_apart(double seconds);
void eq_device_try(const char *id) __attribute__((noreturn));

struct eq_device;
/* name: "gpu" (the first GPU of the list that can be used), "cuda[:n]" or "opencl[:n]" (n: 0), never "cpu". Runs the
 * self-check if the cache has no result for this device, driver and text. Close with eq_device_close after everything
 * that was made on it. */
enum eq_status eq_device_open(const char *name, struct eq_device **out, struct eq_err *err);
void eq_device_close(struct eq_device *d); /* NULL is allowed */
const struct eq_device_info *eq_device_info(const struct eq_device *d);

/* ---- networks on a device ------------------------------------------------ */

struct eq_device_net;
/* For batches of `clips` clips of the model's frames and size. Packs and uploads the weights once and plans the memory
 * of the device; a call allocates nothing. The model may be freed afterwards. EQ_UNSUPPORTED: also a model whose scales
 * the device would flush to zero, one that needs double precision where there is none, and one with a layer in
 * Winograd's domain. Free with eq_device_net_free. */
enum eq_status eq_device_net_of_qmodel(struct eq_device *d, const struct eq_qmodel *m, int clips,
                                       struct eq_device_net **out, struct eq_err *err);
/* The same for an FP32 graph that is folded and fused (eq_fold_batchnorm, eq_fuse), without fake-quant. */
enum eq_status eq_device_net_of_graph(struct eq_device *d, const struct eq_graph *g, int clips,
                                      struct eq_device_net **out, struct eq_err *err);
void eq_device_net_free(struct eq_device_net *n); /* NULL is allowed */
/* pixels: [clips][frames][size][size][3] u8, RGB; ef: [clips], percent. */
enum eq_status eq_device_net_run(struct eq_device_net *n, const uint8_t *pixels, float *ef, struct eq_err *err);
/* The same in two steps, so that the CPU can decode in between. pixels must stay until finish has returned. One call at
 * a time: start, then finish. */
enum eq_status eq_device_net_start(struct eq_device_net *n, const uint8_t *pixels, struct eq_err *err);
enum eq_status eq_device_net_finish(struct eq_device_net *n, float *ef, struct eq_err *err);
/* Of the last call, by the device's clock, ms. */
struct eq_device_times {
    double upload, compute, download;
};
struct eq_device_times eq_device_net_times(const struct eq_device_net *n);
size_t eq_device_net_bytes(const struct eq_device_net *n); /* of the device's memory: weights, activations, tables */
/* Copies the output of a node after a call to the host, in pixel layout without padding of channels: u8, or floats
 * where the node's edge is in FP32. out: of the edge's size for n->clips. For tests; EQ_USAGE: a node whose output is
 * not kept, or never written, because its kernel pools it. keep_edges: to be set before the network is made
 * (eq_device_keep_edges). */
void eq_device_keep_edges(struct eq_device *d, bool on);
enum eq_status eq_device_net_edge(struct eq_device_net *n, int node, void *out, size_t bytes, struct eq_err *err);

#endif
