/*
 * The executor's inside. A step of a training executor is forward of nodes 0..n-1, then backward of nodes n-1..0: node
 * i works at times i and 2n - 1 - i, and every buffer lives over an interval of these times.
 */
#ifndef MODEL_EXEC_H
#define MODEL_EXEC_H

#include "echoquant/model.h"
#include "echoquant/nn.h"

/* The kinds of buffers that a node can have: of its edge (EXEC_BN: mean[c], inv_std[c], work[4 * c] of a batch norm;
 * EXEC_GRADS: the block of all gradients, the input's), of its weights, of a simulation, and of passes. */
enum { EXEC_OUT, EXEC_MASK, EXEC_PRE_FQ, EXEC_ARGMAX, EXEC_DIFF, EXEC_BN, EXEC_GRADS };
enum { EXEC_WEFF = EXEC_GRADS + 1, EXEC_FACTOR, EXEC_WEIGHT_FQ, EXEC_WMASK, EXEC_DWEFF };
enum { EXEC_UNITS = EXEC_DWEFF + 1, EXEC_STEPS, EXEC_SUMS, EXEC_DIGIT, EXEC_REQUANT };
enum { EXEC_PACKED = EXEC_REQUANT + 1, EXEC_SCRATCH = EXEC_PACKED + 2 };
enum { EXEC_PLANES = EXEC_SCRATCH + EQ_CONV_PASSES, EXEC_GRAY_WEIGHTS, EXEC_GRAY_PACKED, EXEC_GRAY_GRAD, EXEC_BUFFERS };

/* SIMULATE, a convolution that can be computed in whole numbers, or the head (exec_simulate.c). */
struct exec_simulation {
    bool possible, packed_whole; /* packed_whole: packed holds digits of whole weights */
    int parts, used_parts, base; /* digits that weights may need, and those that they have */
    float *units;                /* [n]: the output in steps of its scale, before it is rounded; from the zero-point on,
                                  * in Winograd's domain from level 0 on */
    float *steps;                /* the source in steps of its scale */
    void *sums;                  /* int32 [n]: exact sums, where there is more than one digit; the head: double [cin] */
    float *digit;                /* one digit of all weights */
    float *requant;              /* m[cout], b[cout] */
};

/* A convolution with point_fq, as of the last forward pass. */
struct exec_domain {
    bool on, rounds; /* it ran in Winograd's domain; its points were rounded */
    struct eq_domain2d layer;
    struct eq_f32_domain_rounding rounding; /* where they were */
    float range[2 * EQ_DOMAIN_POINTS];      /* for a hook */
};

/* The first convolution, for clips without color (exec_gray.c). */
struct exec_gray {
    bool possible;
    struct eq_conv2d conv; /* of one channel */
    float *weights,
        *grad; /* [cout][k * k]: sums over the channels of the weights as used; the gradient of any channel */
    void *packed_at;
    const void *packed;
};

struct exec_node {
    int i;
    const struct eq_node *node;
    const struct eq_plan_node *plan; /* shapes and fusions; [rows][c] is the edge that the node makes */
    const struct eq_plan_node *in;   /* of the first source; NULL: none */
    float *out;                      /* NULL: only its max pooling is stored */
    size_t n;                        /* values of it: plan's, but fewer of an input with gray clips */
    bool may_be_gray;                /* an input whose gray clips are stored with one channel, */
    uint8_t *planes;                 /* taken from here: [clips][t][h][w] */
    float *pre_fq;                   /* the result before fake-quant, where LSQ needs it beside out; else NULL */
    uint8_t *mask;                   /* TRAIN with edge_fq: where the gradient passes, ReLU included */
    bool fq_on;                      /* edge fake-quant was enabled in the last forward */
    bool frozen;                     /* batch norm used running statistics in the last forward */

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
    struct eq_qparams *weight_fq; /* [channels] as of the last forward; NULL in Winograd's domain */
    bool weight_fq_on;
    struct exec_simulation sim;
    struct exec_domain domain;
    struct exec_gray gray;

    struct eq_batchnorm bn;
    bool mask_from_x; /* a batch norm's ReLU mask is computed again from its source: backward doesn't read its output */
    uint8_t *argmax;
};

struct eq_exec {
    struct eq_graph *g;
    enum eq_exec_mode mode;
    enum eq_precision precision;
    int clips, threads;
    bool watched;
    struct eq_plan plan;
    struct exec_node *nodes;
    float **grads, **scale_grads; /* [n_params], [n_fake_quants]: into the block; NULL where there is none */
    float *grad_block;
    size_t n_grads, n_param_grads; /* floats of it, and those of parameters */
    size_t *grads_from;            /* [n_nodes]: floats of parameters from here on belong to this node or later ones */
    struct eq_grad_hook grad_hook;
    char *arena;
    bool weights_dirty;    /* INFER: packed weights are older than the parameters */
    bool has_forward;      /* TRAIN: a forward pass awaits its backward */
    const uint8_t *pixels; /* the caller's, during a forward pass */
    bool *gray;            /* [clips]: those that the last forward pass stored with one channel */
    struct eq_walk_hook hook;
    double *node_ms; /* [2 * n_nodes] by time: forward, then backward */
    bool timing;
};

/* exec_diff.c: which edges get a gradient, in whose buffer, and who is first to write it. False: out of memory. */
bool eq_exec_plan_diffs(struct eq_exec *x);
/* exec_simulate.c. Plan: room and the kernel for a convolution. The fake-quants that are enabled decide whether a node
 * is computed in whole numbers; pack, conv and store are for such nodes only. */
void eq_exec_plan_simulation(struct eq_exec *x, struct exec_node *nd);
bool eq_exec_simulates(const struct eq_exec *x, const struct exec_node *nd);
void eq_exec_pack_simulation(struct eq_exec *x, struct exec_node *nd); /* destroys weff, the fake-quantized weights */
void eq_exec_simulate_conv(struct eq_exec *x, struct exec_node *nd);   /* fills units */
void eq_exec_store_simulated(struct eq_exec *x, struct exec_node *nd, bool rounded); /* units -> out, in real values */
/* The grid that an edge's values lie on; false: they are just floats. */
bool eq_exec_grid(const struct eq_exec *x, int node, float *step, float *zero_point);
/* exec_domain.c: convolutions in Winograd's domain. in_domain: whether the fake-quants that are enabled have the node
 * computed there. plan raises what the direct convolution needs to what this one needs. fresh: weights have changed;
 * whole: in whole numbers, to units. */
bool eq_exec_in_domain(const struct eq_exec *x, const struct exec_node *nd);
void eq_exec_plan_domain(struct eq_exec *x, struct exec_node *nd, size_t *packed, size_t scratch[EQ_CONV_PASSES]);
void eq_exec_domain_forward(struct eq_exec *x, struct exec_node *nd, bool fresh, bool whole);
void eq_exec_domain_backward(struct eq_exec *x, struct exec_node *nd, float *dx);
/* exec_gray.c: the input, and the first convolution of clips without color. plan raises what the convolution of color
 * needs to what this one needs, if it is possible. weights: as used in this pass; packed: of color. */
void eq_exec_plan_gray(struct eq_exec *x, struct exec_node *nd, size_t scratch[EQ_CONV_PASSES]);
void eq_exec_forward_input(struct eq_exec *x, struct exec_node *nd);
void eq_exec_gray_pack(struct exec_node *nd, const float *weights);
void eq_exec_gray_forward(struct eq_exec *x, struct exec_node *nd, const void *packed,
                          const struct eq_f32_epilogue *epi, const struct exec_node *made);
bool eq_exec_all_gray(const struct eq_exec *x, const struct exec_node *nd); /* of the last forward pass */
void eq_exec_gray_backward_weights(struct eq_exec *x, const struct exec_node *nd, float *dw);
/* The head: a linear node with one output that reads means over pixels and frames. w: its weights in this pass. */
void eq_exec_plan_simulated_head(struct eq_exec *x, int i);
void eq_exec_simulate_head(struct eq_exec *x, const struct exec_node *nd, const float *w, float *ef);

/* The max pooling of in's pixels by node pool. */
static inline struct eq_pool_shape eq_exec_pool_shape(const struct eq_exec *x, const struct eq_plan_node *in,
                                                      const struct eq_plan_node *pool)
{
    return (struct eq_pool_shape){x->clips,     in->h,     in->w,   in->t * in->c, pool->k,
                                  pool->stride, pool->pad, pool->h, pool->w};
}
/* The time of node i's backward pass; its forward pass is at time i. */
static inline int eq_exec_backward_time(const struct eq_exec *x, int i)
{
    return 2 * x->g->n_nodes - 1 - i;
}
/* Where a node writes its result, before fake-quant. */
static inline float *eq_exec_dst(const struct exec_node *nd)
{
    return nd->pre_fq ? nd->pre_fq : nd->out;
}
/* Values of a parameter; NULL for index -1. */
static inline float *eq_exec_values(const struct eq_exec *x, int param)
{
    return param < 0 ? NULL : eq_param_data(&x->g->params[param]);
}
/* Computes the factor of a folded batch norm again. */
static inline void eq_exec_update_factor(const struct eq_exec *x, const struct exec_node *nd)
{
    if (!nd->factor)
        return;
    const struct eq_node *bn = &x->g->nodes[nd->node->folded_bn];
    eq_batchnorm_factor(eq_exec_values(x, bn->gamma), eq_exec_values(x, bn->running_var), bn->eps, bn->cout,
                        nd->factor);
}
static inline struct eq_qparams eq_exec_fq_params(const struct eq_fake_quant *fq, int channel)
{
    return (struct eq_qparams){fq->scale[channel], fq->zero_point[channel], fq->qmin, fq->qmax};
}

#endif
