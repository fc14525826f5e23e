/* A network on a device; internal to the room. */
#ifndef DEVICE_NET_H
#define DEVICE_NET_H

#include "device/conv.h"

/* How the head's sums come back, and what the host makes of them. */
enum eq_device_head {
    EQ_DEVICE_HEAD_U8,       /* exact int64 sums of products, a few a clip */
    EQ_DEVICE_HEAD_F32,      /* the same in floats */
    EQ_DEVICE_HEAD_SUMS_U8,  /* mixed precision: int32 sums of each channel of whole words */
    EQ_DEVICE_HEAD_SUMS_F32, /* and doubles */
};

/* An edge as the device keeps it. */
struct eq_device_edge {
    size_t offset, rows;
    int channels, words; /* of a row; words of 4 channels as bytes, or of one as floats */
    bool bytes, kept;    /* kept: it is written, and nothing overwrites it */
    const char *kernel;  /* that makes it */
};

struct eq_device_net {
    struct eq_device *device;
    int clips, n_nodes;
    struct eq_device_edge *edges; /* [n_nodes]; of the head only the kernel */
    eq_device_buffer arena, steps;
    size_t bytes;
    void *sequence;
    bool running;
    struct eq_device_times times;

    enum eq_device_head head;
    int pieces, channels; /* of a clip: sums, or channels; those of its edge */
    int sum_channels;     /* SUMS: values of a clip in sums */
    void *sums;           /* of the device */
    size_t sums_bytes;
    float *weights; /* SUMS: [channels] */
    int64_t zero;   /* U8: what the zero-point has added to a clip's sum */
    double scale;   /* U8: EF of a unit; SUMS_U8: of the edge */
    double count;   /* values of a channel of a clip */
    double bias;
};

/* A folded and fused FP32 graph as a model that keeps every layer in FP32. Its nodes are out->nodes, freed by
 * eq_device_floats_clear; names and values stay the graph's. EQ_UNSUPPORTED, with the node named. */
enum eq_status eq_device_floats_of_graph(const struct eq_graph *g, struct eq_qmodel *out, struct eq_err *err);
void eq_device_floats_clear(struct eq_qmodel *m);

/* mixed: the head sums as the CPU's engine does for a layer in FP32, to the bit; false: in the device's order. */
enum eq_status eq_device_net_make(struct eq_device *d, const struct eq_qmodel *m, bool mixed, int clips,
                                  struct eq_device_net **out, struct eq_err *err);
void eq_device_head_ef(const struct eq_device_net *n, float *ef);

/* What a program says of itself: kernel `answers`. */
struct eq_device_answers {
    int32_t step_bytes, step_layout, has_doubles;
};
enum eq_status eq_device_ask(struct eq_device *d, struct eq_device_answers *out, struct eq_err *err);

#endif
