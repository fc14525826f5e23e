/* The integer engine's plan; internal to the quant floor. */
#ifndef QUANT_QENGINE_H
#define QUANT_QENGINE_H

#include "quant/qmodel.h"

/* The kinds of buffers that a node can have. MB: the epilogue's m[cout], or in Winograd's domain
 * k[EQ_DOMAIN_POINTS][cout], then b[cout]. */
enum eq_qbuffer { EQ_QBUFFER_OUT, EQ_QBUFFER_SCRATCH, EQ_QBUFFER_PACKED, EQ_QBUFFER_MB, EQ_QBUFFERS };

/* One node, ready to run: everything that depends on weights and shapes alone. */
struct eq_qstep {
    const struct eq_qnode *node;
    const struct eq_plan_node *in, *out;   /* shapes of what it reads and makes */
    const struct eq_conv_kernel *kernel;   /* NULL for what is computed in floats */
    const struct eq_conv_kernel *f32;      /* a convolution in FP32; else NULL */
    size_t src_f32, residual_f32, dst_f32; /* its floats, in its scratch */
    uint8_t *dst, *scratch;
    void *packed;
    struct eq_u8s8_epilogue epilogue;
    struct eq_domain_points points;   /* of a node in Winograd's domain, */
    struct eq_domain_epilogue domain; /* and its epilogue */
    double head_scale;                /* EF per unit of the integer dot product */
};

struct eq_qengine {
    const struct eq_qmodel *model;
    int threads;
    bool watched;
    struct eq_plan plan;
    struct eq_qstep *steps; /* [n_nodes] */
    uint8_t *arena;
    void (*hook)(void *ctx, int node, const uint8_t *q, size_t n);
    void *hook_ctx;
    double *node_ms; /* [n_nodes] */
    bool timing;
};

/* An edge: the caller's pixels for the input. */
static inline const uint8_t *eq_qengine_edge(const struct eq_qengine *e, int node, const uint8_t *pixels)
{
    return node == 0 ? pixels : e->steps[node].dst;
}

/* qengine_f32.c: nodes in FP32. plan: chooses the kernel, reserves packed weights; returns the bytes of scratch. */
size_t eq_qengine_plan_f32(struct eq_qengine *e, int i);
void eq_qengine_run_conv_f32(const struct eq_qengine *e, int i, const uint8_t *pixels);
void eq_qengine_run_head_f32(const struct eq_qengine *e, int i, float *ef);

#endif
