/* The functions that both loaders offer. Everything above them is written once. */
#ifndef ECHOQUANT_DEVICE_API_H
#define ECHOQUANT_DEVICE_API_H

#include "echoquant/device.h"

typedef uint64_t eq_device_buffer; /* cl_mem or CUdeviceptr; 0: none */

/* One launch of a kernel of the text. All kernels have one signature:
 *   kernel void NAME(global uchar *arena, global const struct eq_device_step *steps, int step)  */
struct eq_launch {
    const char *kernel;
    int step;
    size_t groups[3], local[3]; /* work-groups, and work-items of each */
};

/* What one call of a network does: copy `in` to the arena, launch, copy `out` back. */
struct eq_sequence_plan {
    const struct eq_launch *launches;
    size_t n;
    eq_device_buffer arena, steps;
    size_t in_offset, in_bytes, out_offset, out_bytes; /* of the arena */
};

struct eq_device_api {
    const char *name; /* "opencl", "cuda" */
    /* Appends the loader's devices to list (without self-check), and one line to its notes. */
    enum eq_status (*list)(struct eq_device_list *list, struct eq_err *err);
    /* Opens device `index` of this loader: context, queue. info is that of the list. */
    enum eq_status (*open)(int index, const struct eq_device_info *info, void **ctx, struct eq_err *err);
    void (*close)(void *ctx);
    /* Makes the text with defines ("-DEQ_PATH_DP4A ...") ready to run. cached: a program of an earlier call with the
     * same device, driver, text and defines, NULL: none; *program, *bytes: to be cached, free with eq_free; NULL and 0
     * if cached was taken or the driver gives none; program NULL: not wanted. EQ_FORMAT: the cached program does not
     * load (build again without); EQ_UNSUPPORTED, with the driver's log: the text does not build. */
    enum eq_status (*build)(void *ctx, const char *defines, const void *cached, size_t cached_bytes, void **program,
                            size_t *bytes, struct eq_err *err);
    enum eq_status (*alloc)(void *ctx, size_t bytes, eq_device_buffer *out, struct eq_err *err); /* zeros */
    void (*release)(void *ctx, eq_device_buffer buffer);                                         /* 0 is allowed */
    /* Both block. */
    enum eq_status (*write)(void *ctx, eq_device_buffer b, size_t offset, const void *data, size_t bytes,
                            struct eq_err *err);
    enum eq_status (*read)(void *ctx, eq_device_buffer b, size_t offset, void *data, size_t bytes, struct eq_err *err);
    /* Records a sequence once: a CUDA graph, or kernels with their arguments and pinned memory for in and out. */
    enum eq_status (*record)(void *ctx, const struct eq_sequence_plan *plan, void **sequence, struct eq_err *err);
    enum eq_status (*start)(void *ctx, void *sequence, const void *in, struct eq_err *err); /* does not block */
    enum eq_status (*finish)(void *ctx, void *sequence, void *out, struct eq_device_times *times, struct eq_err *err);
    void (*forget)(void *ctx, void *sequence); /* NULL is allowed */
};
extern const struct eq_device_api eq_device_opencl, eq_device_cuda;

struct eq_device {
    const struct eq_device_api *api;
    void *ctx;
    struct eq_device_info info;
    bool keep_edges;
};

/* The text of the kernels with its headers in one piece, and the PTX made of it (NULL: built without), NUL-ended. */
extern const char eq_device_text[];
extern const struct eq_device_ptx {
    int architecture; /* 75, 80 */
    const char *text;
} eq_device_ptx[]; /* ascending; ends with text NULL */

/* A small network of random integers and one of floats against kernels/ref, to the bit. EQ_NUMERIC: they differ. */
enum eq_status eq_device_self_check(struct eq_device *d, struct eq_err *err);

#endif
