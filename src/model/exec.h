/*
 * The executor's inside. A step of a training executor is forward of nodes 0..n-1, then backward of nodes n-1..0: node
 * i works at times i and 2n - 1 - i, and every buffer lives over an interval of these times (exec_plan.c).
 */
#ifndef MODEL_EXEC_H
#define MODEL_EXEC_H

#include "echoquant/model.h"
#include "echoquant/nn.h"

struct exec_node {
    /* The edge that the node makes: [rows][c], or [b][t][c] and [b][c] behind the pools. */
    int t, h, w, c;
    size_t rows, n;
    float *out;
    float *pre_fq; /* what the node computed, where LSQ needs it beside what fake-quant made of it; else NULL */
    uint8_t *mask; /* TRAIN with edge_fq: where the gradient passes, ReLU included */
    bool fq_on;    /* edge fake-quant was enabled in the last forward */
    bool frozen;   /* batch norm used running statistics in the last forward */

    float *diff;   /* gradient of out */
    int diff_root; /* whose buffer diff is: own index, or that of a consumer which works in place */
    bool wants_diff;
    bool add_residual, add_src[2]; /* the gradient given to that source is not its first */

    struct eq_conv2d conv;
    void *packed[2]; /* by pass: forward, backward_data */
    void *scratch[EQ_CONV_PASSES];
    float *weff, *dweff; /* weights as used (factor and fake-quant applied) and their gradient; NULL: the parameter */
    uint8_t *wmask;
    float *factor;                /* [cout] of a conv with folded_bn */
    struct eq_qparams *weight_fq; /* [channels] as of the last forward */
    bool weight_fq_on;

    /* SIMULATE, a convolution that can be computed in whole numbers (exec_simulate.c) */
    bool can_simulate, packed_whole; /* packed_whole: packed holds digits of whole weights */
    int parts, used_parts, base;     /* digits that weights may need, and those that they have */
    float *units;                    /* [n]: the output in steps of its scale, before it is rounded */
    float *steps;                    /* the source in steps of its scale */
    int32_t *sums;                   /* [n]: exact sums, where there is more than one digit */
    float *digit;                    /* one digit of all weights */
    float *requant;                  /* m[cout], b[cout] */

    struct eq_batchnorm bn;
    bool mask_from_x; /* a batch norm's ReLU mask is computed again from its source: backward doesn't read its output */
    uint8_t *argmax;
    /* The max pooling that a convolution (INFER) or a batch norm (TRAIN) does in its own pass, and who does a max
     * pooling; 0: none (node 0 is the input). A hook sees every edge, so with one they run apart. */
    int pool, pooled_by;
};

struct eq_exec {
    struct eq_graph *g;
    enum eq_exec_mode mode;
    enum eq_precision precision;
    int clips, frames, size, threads;
    struct exec_node *nodes;
    float **grads; /* [n_params], NULL where not trainable */
    char *arena;
    size_t arena_bytes;
    struct eq_plan_buffer *plan; /* [n_buffers] */
    void **slots;                /* [n_buffers]: where the address of each buffer goes */
    int n_buffers, cap_buffers;
    bool weights_dirty; /* INFER: packed weights are older than the parameters */
    bool has_forward;   /* TRAIN: there is something for backward */
    struct eq_walk_hook hook;
    double *node_ms; /* [2 * n_nodes] by time: forward, then backward */
    bool timing;
};

/* exec_shape.c: shape of every edge, and whether the executor can run the graph at all. */
enum eq_status eq_exec_infer_shapes(struct eq_exec *x, struct eq_err *err);
enum eq_status eq_exec_check(const struct eq_exec *x, struct eq_err *err);
/* exec_diff.c: which edges get a gradient, in whose buffer, and who is first to write it. False: out of memory. */
bool eq_exec_plan_diffs(struct eq_exec *x);
/* exec_simulate.c. Plan: room, and the kernel, for a convolution. Whether node i is computed in whole numbers depends
 * on what fake-quants are enabled; pack, conv and store are for such nodes only. */
bool eq_exec_plan_simulation(struct eq_exec *x, int i);
bool eq_exec_simulates(const struct eq_exec *x, int i);
void eq_exec_pack_simulation(struct eq_exec *x, int i); /* weff holds the fake-quantized weights; destroys it */
void eq_exec_simulate_conv(struct eq_exec *x, int i);   /* fills units */
void eq_exec_store_simulated(struct eq_exec *x, int i, bool rounded); /* units -> out, in real values */
/* exec_plan.c: kernels, lifetimes, arena. */
enum eq_status eq_exec_plan(struct eq_exec *x, struct eq_err *err);
/* Asks for bytes that live over [first, last]; *slot (a pointer) gets the address once the arena is there. */
bool eq_exec_reserve(struct eq_exec *x, void *slot, size_t bytes, int first, int last);

/* The time of node i's backward pass; its forward pass is at time i. */
static inline int eq_exec_backward_time(const struct eq_exec *x, int i)
{
    return 2 * x->g->n_nodes - 1 - i;
}
/* What a node computes into, before fake-quant. */
static inline float *eq_exec_dst(const struct exec_node *nd)
{
    return nd->pre_fq ? nd->pre_fq : nd->out;
}
/* Values of a parameter and of its gradient; NULL for index -1. */
static inline float *eq_exec_values(const struct eq_exec *x, int param)
{
    return param < 0 ? NULL : eq_param_data(&x->g->params[param]);
}
static inline float *eq_exec_param_grad(const struct eq_exec *x, int param)
{
    return param < 0 ? NULL : x->grads[param];
}
static inline struct eq_qparams eq_exec_fq_params(const struct eq_fake_quant *fq, int channel)
{
    return (struct eq_qparams){fq->scale[channel], fq->zero_point[channel], fq->qmin, fq->qmax};
}

#endif
