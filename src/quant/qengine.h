/* The integer engine's plan; internal to the quant floor. */
#ifndef QUANT_QENGINE_H
#define QUANT_QENGINE_H

#include "quant/qmodel.h"

/* One node, ready to run: everything that depends on weights and shapes alone. */
struct eq_qstep {
    enum eq_qop op;
    int src;                                      /* node; 0: the caller's pixels */
    struct eq_qdims in, dst;                      /* one frame */
    size_t dst_offset, dst_bytes, scratch_offset; /* in the arena */
    struct eq_conv_shape shape;
    const struct eq_conv_kernel *kernel;   /* NULL for what is computed in floats */
    const struct eq_conv_kernel *f32;      /* a convolution in FP32; else NULL */
    size_t src_f32, residual_f32, dst_f32; /* its floats, in its scratch */
    size_t scratch_bytes;
    void *packed;
    float *m, *b; /* [cout] */
    struct eq_u8s8_epilogue epilogue;
    int residual;      /* node; -1: none */
    int pooled;        /* the max pooling node that this convolution makes in its own pass; 0: none */
    bool fused;        /* made by the node before it, unless a hook wants to see that one's output, too */
    double head_scale; /* EF per unit of the integer dot product */
};

struct eq_qengine {
    const struct eq_qmodel *model;
    int clips, frames, size, threads;
    struct eq_qstep *steps; /* [n_nodes] */
    uint8_t *arena;
    size_t arena_bytes, packed_bytes;
    void (*hook)(void *ctx, int node, const uint8_t *q, size_t n);
    void *hook_ctx;
    double *node_ms; /* [n_nodes] */
    bool timing;
};

/* qengine_f32.c: nodes in FP32. plan: s->shape is set. */
enum eq_status eq_qengine_plan_f32(struct eq_qengine *e, int i, struct eq_err *err);
void eq_qengine_run_conv_f32(struct eq_qengine *e, int i, const uint8_t *pixels);
void eq_qengine_run_maxpool_f32(struct eq_qengine *e, int i);
void eq_qengine_run_head_f32(struct eq_qengine *e, int i, float *ef);

#endif
