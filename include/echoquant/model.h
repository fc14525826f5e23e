/*
 * model: the network as data. One static graph of nodes, built once by eq_resnet18_new; everything else is a pass over
 * it: plan, forward/backward, fold_batchnorm, fuse, safetensors, ONNX. Fake-quant is part of the graph (of a node's
 * output, of a node's weights), so that the quant floor can simulate and train without a second walker.
 *
 * Functions that return enum eq_status fill err (NULL: no message) when it is not EQ_OK. All of them can return
 * EQ_NOMEM; further errors are named at each.
 */
#ifndef ECHOQUANT_MODEL_H
#define ECHOQUANT_MODEL_H

#include "echoquant/base.h"
#include "echoquant/kernels.h"
#include "echoquant/tensor.h"

/* ---- graph --------------------------------------------------------------- */

enum eq_op {
    EQ_OP_INPUT,     /* u8 pixels [b][t][h][w][3], normalized to (x - mean) / std */
    EQ_OP_CONV2D,    /* weight [cout][cin][k][k], optional bias, residual and ReLU (set by fuse) */
    EQ_OP_BATCHNORM, /* gamma, beta, running mean and var; optional residual and ReLU (set by fuse) */
    EQ_OP_RELU,
    EQ_OP_MAXPOOL,
    EQ_OP_ADD,
    EQ_OP_GLOBAL_AVG,    /* [b][h][w][t][c] -> [b][t][c] */
    EQ_OP_TEMPORAL_MEAN, /* [b][t][c] -> [b][c] */
    EQ_OP_LINEAR,        /* [b][c] -> [b][1]: EF in percent */
    EQ_OP_COUNT
};

enum { EQ_RESNET18_MAX_WIDTH = 256 };

/* Fake quantization of an edge (channels == 1) or of weights (channels == cout, symmetric: zero_point all 0). x_hat =
 * (clamp(rne(x * (1 / scale)) + zp, qmin, qmax) - zp) * scale (Jacob et al. 2018). The straight-through gradient
 * passes where the unclamped value lies inside [qmin, qmax]. */
struct eq_fake_quant {
    bool enabled; /* off: values pass unchanged (observers may still see them) */
    bool bypass;  /* mixed precision: this layer or edge stays in FP32, and enabled stays off */
    int channels;
    int qmin, qmax;
    float *scale;     /* [channels], owned */
    int *zero_point;  /* [channels], owned */
    bool learn_scale; /* LSQ (Esser et al., ICLR 2020): scale gets a gradient (eq_exec_scale_grad) */
};

/* A node makes one edge, named by the node. Indices refer to eq_graph.nodes / .params / .fake_quants; -1: none. */
struct eq_node {
    enum eq_op op;
    char name[64]; /* module path as in torchvision: "layer1.0.conv1" */
    int src[2];    /* producers, ascending; src[1] for EQ_OP_ADD only */
    int residual;  /* fused add: producer of the residual */
    bool relu;     /* fused ReLU */
    int cin, cout, k, stride, pad;
    int weight, bias;                           /* conv, linear */
    int gamma, beta, running_mean, running_var; /* batch norm */
    float eps;
    float momentum; /* batch norm: running = (1 - momentum) running + momentum * batch (unbiased var), as PyTorch */
    bool bn_frozen; /* use running statistics in training as well */
    int edge_fq;    /* fake-quant of this node's output */
    int weight_fq;  /* fake-quant of this node's weights: a channel for each of its own, or see point_fq */
    int point_fq;   /* a convolution that is computed in Winograd's domain, docs/QUANTIZATION.md section 1: fake-quant
                     * of its transformed source, 36 channels with u8 bounds, and zero_point in 0..255. The node's
                     * weight_fq then has 36 * cout channels, scale[p * cout + oc] of transformed weights. */
    int folded_bn;  /* QAT: batch norm node whose gamma / sqrt(running_var + eps) scales the weights before their
                     * fake-quant; the batch norm then sees conv(x) / that factor (Krishnamoorthi 2018, 3.2.2) */
};

struct eq_param {
    char name[96];          /* key of the safetensors file: "layer1.0.bn1.running_mean" */
    struct eq_tensor value; /* F32, owned; PyTorch's order: conv [cout][cin][k][k], linear [cout][cin], others [c] */
    bool trainable;         /* false for running statistics */
    bool decay;             /* weight decay applies: conv and linear weights only */
};
static inline float *eq_param_data(const struct eq_param *p)
{
    return p->value.data;
}
static inline size_t eq_param_count(const struct eq_param *p)
{
    return eq_tensor_count(&p->value);
}

/* How the training clips of a model look: for each statistic of a clip's sampled frames the range of their values, and
 * the mean brightness of EQ_LOOK_SIDE x EQ_LOOK_SIDE cells of the picture. A model is no use on clips that look
 * otherwise (eq_look_check of data.h). */
enum eq_look_statistic {
    EQ_LOOK_BRIGHTNESS, /* mean, 0..255 */
    EQ_LOOK_CONTRAST,   /* standard deviation */
    EQ_LOOK_BLACK,      /* share of black pixels, 0..1 */
    EQ_LOOK_MOTION,     /* mean absolute difference of a pixel between sampled frames */
    EQ_LOOK_DETAIL,     /* mean absolute difference of horizontal neighbors */
    EQ_LOOK_COLOR,      /* mean absolute difference of red and blue to green */
    EQ_LOOK_LAYOUT,     /* correlation of the cells with those of the training clips, -1..1 */
    EQ_LOOK_COUNT
};
struct eq_look_kind {
    const char *key, *text; /* in the file; for readers */
    double margin;          /* the least by which a clip must lie outside the range to be told */
};
extern const struct eq_look_kind eq_look_kinds[EQ_LOOK_COUNT];
enum { EQ_LOOK_SIDE = 4, EQ_LOOK_CELLS = EQ_LOOK_SIDE * EQ_LOOK_SIDE };
struct eq_looks {
    int clips;                                     /* of the training split; 0: not known */
    float low[EQ_LOOK_COUNT], high[EQ_LOOK_COUNT]; /* quantiles 0.5 and 99.5 % over the clips */
    float cells[EQ_LOOK_CELLS];                    /* mean over the clips, row by row */
};
struct cJSON *eq_looks_json(const struct eq_looks *looks); /* as in a model file; delete with cJSON_Delete */

/* The metadata of a model file. Pixels are normalized as (x - mean) / std, with one pair for all channels. */
struct eq_model_meta {
    int frames, size; /* data.frames and data.size of its training */
    int pixel_mean;   /* whole pixel value, 0..255 */
    float pixel_std;
    float target_mean, target_std; /* EF of the training split, percent */
    struct eq_looks looks;         /* unknown for files of version 0.1.0, and converted ones */
};

struct eq_graph {
    struct eq_node *nodes;
    int n_nodes, cap_nodes;
    struct eq_param *params;
    int n_params, cap_params;
    struct eq_fake_quant *fake_quants;
    int n_fake_quants, cap_fake_quants;
    int input, output; /* node indices */
    struct eq_model_meta meta;
};

/* torchvision's ResNet-18 (He et al. 2016, basic blocks 2-2-2-2) per frame, mean over frames, one output. Weights are
 * drawn from the seed: convolutions He-normal by fan-out (He et al. 2015), gamma 1, the head uniform within
 * +-target_std / sqrt(its inputs), its bias target_mean. width: channels of stage 1, 1..EQ_RESNET18_MAX_WIDTH (64;
 * smaller in tests), else EQ_USAGE. Free *out with eq_graph_free. */
enum eq_status eq_resnet18_new(const struct eq_model_meta *meta, int width, uint64_t seed, struct eq_graph **out,
                               struct eq_err *err);
void eq_graph_free(struct eq_graph *g); /* NULL is allowed */
/* A deep copy; free it with eq_graph_free. */
enum eq_status eq_graph_clone(const struct eq_graph *g, struct eq_graph **out, struct eq_err *err);
int eq_graph_find_node(const struct eq_graph *g, const char *name);  /* -1: none */
int eq_graph_find_param(const struct eq_graph *g, const char *name); /* -1: none */
/* Building blocks for passes (also of the quant floor). Each copies its arguments and returns an index, or -1 when
 * out of memory. Adding may move nodes, params and fake_quants: pointers into them are invalid afterwards. */
int eq_graph_add_node(struct eq_graph *g, const struct eq_node *node);
/* A parameter of zeros, shape: [rank]. Also -1 for a name that is too long, and a shape without axes or with an empty
 * one. */
int eq_graph_add_param(struct eq_graph *g, const char *name, int rank, const size_t *shape, bool trainable, bool decay);
int eq_graph_copy_param(struct eq_graph *g, const struct eq_param *p); /* p: of another graph; with its values */
int eq_graph_add_fake_quant(struct eq_graph *g, int channels, int qmin, int qmax); /* scale 1, zero_point 0, off */
struct eq_node eq_node_of(enum eq_op op, int src);     /* every other index -1, the rest 0 */
bool eq_is_weighted(const struct eq_node *n);          /* a convolution or a linear node */
int eq_graph_uses(const struct eq_graph *g, int node); /* the number of reads of its edge */
size_t eq_graph_param_count(const struct eq_graph *g); /* the number of trainable values */

/* ---- passes -------------------------------------------------------------- */

/* conv + batchnorm to conv with bias: w' = w gamma / sqrt(var + eps), b' = beta - mean gamma / sqrt(var + eps) (Jacob
 * et al. 2018, 3.2). *out is a new graph, fused as far as g was; free it with eq_graph_free. Node and parameters are
 * named conv, conv.weight, conv.bias. Fake-quants keep their indices: those of a batch norm's edge and of weights
 * with folded_bn pass to the convolution. EQ_UNSUPPORTED, with the node named, for a batch norm that one convolution
 * cannot express. */
enum eq_status eq_fold_batchnorm(const struct eq_graph *g, struct eq_graph **out, struct eq_err *err);
/* Gives a graph that was folded from g, and perhaps fused since, the values that g's parameters have now. EQ_NOMEM;
 * EQ_USAGE: it was folded from another graph. */
enum eq_status eq_fold_batchnorm_again(const struct eq_graph *g, struct eq_graph *folded, struct eq_err *err);
/* Merges add and ReLU into the node that produces their first operand (conv of a folded graph, batch norm of a
 * training graph), in place. The merged node keeps that producer's name ("layer1.0.conv2", "layer1.0.bn2") and takes
 * the edge_fq of the last node. Each conv that is quantized then has one fused output. */
enum eq_status eq_fuse(struct eq_graph *g, struct eq_err *err);

/* ---- execution ----------------------------------------------------------- */

/* Sees the output of each node during a forward pass. data: the n floats of the node's edge in pixel layout, or of
 * the input node in clip layout, valid during the call. A hook returns EQ_OK; any other status ends the walk, which
 * returns it: EQ_STOP where nothing failed. */
struct eq_walk_hook {
    /* Before fake-quant and before any consumer. May write to the node's fake-quant (observers). NULL: none. */
    enum eq_status (*on_edge)(void *ctx, struct eq_graph *g, int node, const float *data, size_t n, struct eq_err *err);
    void *ctx;
    /* After fake-quant: the values that consumers read. NULL: none. */
    enum eq_status (*on_stored)(void *ctx, struct eq_graph *g, int node, const float *data, size_t n,
                                struct eq_err *err);
    /* After a convolution in Winograd's domain: the least and then the greatest value of each point of its transformed
     * source, before fake-quant, range[2][EQ_DOMAIN_POINTS]; infinite for a point that no tile has. NULL: none. */
    enum eq_status (*on_points)(void *ctx, struct eq_graph *g, int node, const float *range, struct eq_err *err);
};

/* There are two simulations of the integer engine; docs/QUANTIZATION.md, section 4, says which pass uses which and why.
 * INFER and TRAIN: the fast one, fake-quant around convolutions that sum rounded floats in the order that is fastest.
 * SIMULATE: inference of a folded graph with fake-quant, to the bit what the engine makes of it, EF included.
 * Convolutions between quantized edges are computed on whole numbers and requantized by the engine's formulas; layers
 * that stay in FP32, and all layers of a graph without fake-quant, sum in the engine's order. */
enum eq_exec_mode { EQ_EXEC_INFER, EQ_EXEC_TRAIN, EQ_EXEC_SIMULATE };
struct eq_exec; /* an executor: arena, offsets by liveness and selected kernels for one graph and one shape */

struct eq_exec_opts {
    enum eq_exec_mode mode;
    /* Of all convolutions; everything else stays FP32, weights and gradients included. */
    enum eq_precision precision;
    int clips, frames, size; /* the shape of every call */
    bool watched;            /* a hook will be set: every edge is stored, so no pooling is fused */
};

/* The graph must outlive the executor and keep its structure: nodes, edge_fq, weight_fq, point_fq, folded_bn,
 * learn_scale.
 * Values, scales, zero-points, enabled and bn_frozen may change between calls. All memory is taken here, for as many
 * threads as the pool has now; calls allocate nothing. EQ_EXEC_TRAIN keeps what backward needs; otherwise batch norm
 * uses the running statistics. Free *out with eq_exec_free. EQ_USAGE: a graph or shape that contradicts itself, with
 * the node named; EQ_UNSUPPORTED: a precision without kernels on this CPU or under --cpu, or a graph that the mode
 * cannot run. */
enum eq_status eq_exec_new(struct eq_graph *g, const struct eq_exec_opts *opts, struct eq_exec **out,
                           struct eq_err *err);
void eq_exec_free(struct eq_exec *x); /* NULL is allowed */
/* Copies the hook; NULL: none. An executor that was made without `watched` refuses to run with one (EQ_USAGE). */
void eq_exec_set_hook(struct eq_exec *x, const struct eq_walk_hook *hook);
/* pixels: [clips][frames][size][size][3] u8 (clip layout, RGB); ef: [clips], percent, written. In TRAIN mode batch
 * norm uses batch statistics and updates the running ones (unless bn_frozen). Call eq_exec_weights_changed before if
 * parameters, weight scales or enabled have changed. In INFER mode the EF of a clip has the same bits in any batch.
 * A clip with R = G = B in all pixels is read as one channel, with the sums of the first convolution's weights: its EF
 * agrees to rounding with that of three channels, which executors take that are watched, simulate, or use BF16.
 * EQ_USAGE: more threads than at eq_exec_new; else the status of a hook. */
enum eq_status eq_exec_forward(struct eq_exec *x, const uint8_t *pixels, float *ef, struct eq_err *err);
/* diff_ef: [clips], dLoss/dEF of the last forward. Adds to the gradients of every trainable parameter and of every
 * learned scale. Parameters and scales must be those of that forward. It overwrites the activations, so each backward
 * needs its own forward (else EQ_USAGE). */
enum eq_status eq_exec_backward(struct eq_exec *x, const float *diff_ef, struct eq_err *err);
void eq_exec_zero_grads(struct eq_exec *x);
/* The gradient of a parameter, in its shape (NULL: not trainable, or param is -1), and of a fake-quant's scales,
 * [channels] (NULL: not learned). The executor owns both. */
float *eq_exec_grad(const struct eq_exec *x, int param);
float *eq_exec_scale_grad(const struct eq_exec *x, int quant);
/* All gradients as one block of *n floats: the trainable parameters' in order, then those of learned scales, each
 * from a 64-byte boundary with zeros up to the next. NULL, and *n = 0, outside TRAIN. */
float *eq_exec_grad_block(const struct eq_exec *x, size_t *n);
size_t eq_exec_param_grads(const struct eq_exec *x); /* floats of the block that belong to parameters: the first ones */
/* Tells during a backward pass how far it is: the floats of parameters from `from` on are final. The walk goes from the
 * last node to the first, so `from` falls. on_final NULL, as at first: nobody. */
struct eq_grad_hook {
    void (*on_final)(void *ctx, size_t from);
    void *ctx;
};
void eq_exec_set_grad_hook(struct eq_exec *x, const struct eq_grad_hook *hook);
/* Training: how many values describe the statistics of a batch, for all batch norms together. */
size_t eq_exec_stats(const struct eq_exec *x);
/* kept: [eq_exec_stats(x)]: later forward passes put the statistics of their batch there, and the running ones stay;
 * NULL, as at first: they update the running ones. */
void eq_exec_keep_stats(struct eq_exec *x, float *kept);
/* Updates the running statistics by those that a forward pass kept since the weights or the statistics last changed.
 * Frozen batch norms have none. */
void eq_exec_follow_stats(struct eq_exec *x, const float *kept);
void eq_exec_weights_changed(struct eq_exec *x); /* the next forward packs weights again */
size_t eq_exec_arena_bytes(const struct eq_exec *x);
size_t eq_exec_packed_bytes(const struct eq_exec *x); /* of the arena, for packed weights; 0 outside INFER */
/* Turns the timing of nodes on or off. Returns the executor's [2 * n_nodes] ms, which passes with timing overwrite in
 * any mode: forward of every node, then backward from the last node on. */
const double *eq_exec_time(struct eq_exec *x, bool on);
/* A convolution as an executor runs it in one pass. Everything is borrowed from the executor and its graph. */
struct eq_exec_layer {
    const char *name; /* the node's */
    struct eq_conv_shape shape;
    enum eq_conv_pass pass;
    enum eq_precision precision;
    const char *kernel;         /* name of the kernel that runs */
    const float *weights;       /* [cout][cin][k][k]; NULL: the layer is INT8 */
    const int8_t *int8_weights; /* the same; NULL: the layer is not INT8 */
    int src_zp;                 /* INT8: zero-point of its source */
    /* INT8 in Winograd's domain: its points; int8_weights are then [EQ_DOMAIN_POINTS][cout][cin]. NULL: not there. */
    const struct eq_domain_points *domain;
    bool once; /* weights serve one call: training */
    bool bias, residual, relu;
    int pool_k, pool_stride, pool_pad; /* of the max pooling in the same pass; pool_k 0: none */
};
/* False when the node is no convolution or needs no such pass; out then holds its name, pass and precision only. The
 * first convolution has one channel if all clips of the last forward pass were gray. */
bool eq_exec_layer(const struct eq_exec *x, int node, enum eq_conv_pass pass, struct eq_exec_layer *out);

/* ---- plan ---------------------------------------------------------------- */

/* bytes of room during steps first..last (inclusive), at offset in an arena. */
struct eq_plan_buffer {
    size_t bytes, offset;
    int first, last;
};
/* Sets the offsets of n buffers so that no two overlap while both live. Returns the size of the arena, SIZE_MAX when
 * out of memory. Greedy by size (Pisarchyk & Lee 2020), as the planners of TFLite and XNNPACK. Offsets are in bytes,
 * aligned to 64. */
size_t eq_plan_arena(struct eq_plan_buffer *buffers, int n);

/* A node of a plan: a copy of the graph's entry, then its shapes for clips of one shape. */
struct eq_plan_node {
    const char *name; /* borrowed from the graph */
    enum eq_op op;
    int src[2], residual; /* producers; -1: none */
    int cin, cout, k, stride, pad;
    /* Its output without data: [b][h][w][t][c], or for the input [b][t][h][w][c]; an axis that was averaged is 1. */
    struct eq_tensor edge;
    int t, h, w, c;            /* of edge, for kernels */
    size_t rows, n;            /* b * h * w * t, and that times c */
    struct eq_conv_shape conv; /* of a convolution */
    int last;                  /* the last node that reads edge; itself without one */
    /* Fusion. pool: the max pooling that this node does in its own pass. pooled_by: the node that does this max
     * pooling. 0: none (node 0 is the input). */
    int pool, pooled_by;
};
/* Shapes, lives and fusions of a graph for clips of one shape, in numbers: buffer `kind` of a node is
 * buffers[node * kinds + kind], 0 bytes where there is none. No addresses: an executor adds its base to offsets. */
struct eq_plan {
    struct eq_plan_node *nodes;
    struct eq_plan_buffer *buffers;
    int n_nodes, kinds;
    int clips, frames, size;
    size_t bytes; /* of the arena, set by eq_plan_allocate */
};
/* Node i of a graph as a plan needs it: name, op, src, residual, channels, window and edge.dtype. */
typedef struct eq_plan_node (*eq_plan_view)(const void *graph, int i);
/* Computes shapes and readers; buffers and fusions are added below. kinds: buffers of each node. EQ_USAGE, with the
 * node named: sources out of order, channels that disagree, a window larger than its picture, operands of different
 * shapes, a batch too large. Clear p with eq_plan_clear, also after a failure. */
enum eq_status eq_plan_make(struct eq_plan *p, const void *graph, int n_nodes, eq_plan_view view, int kinds, int clips,
                            int frames, int size, struct eq_err *err);
void eq_plan_clear(struct eq_plan *p);
/* Fuses a max pooling into node i if it is the only reader of i, i adds no residual, and fuses (NULL: never) confirms
 * that i's kernel can do it. */
void eq_plan_fuse_pool(struct eq_plan *p, int i,
                       bool (*fuses)(const struct eq_conv_shape *s, int k, int stride, int pad));
/* The window of the pooling that node i does; k 0: none. */
void eq_plan_pool(const struct eq_plan *p, int i, int *k, int *stride, int *pad);
/* Asks for buffer `kind` of a node over steps first..last; 0 bytes: none. */
void eq_plan_reserve(struct eq_plan *p, int node, int kind, size_t bytes, int first, int last);
size_t eq_plan_bytes(const struct eq_plan *p, int kind); /* of the buffers of a kind, all nodes together */
/* Places all buffers and returns an arena of zeros for them, which the caller frees with eq_free. NULL: out of
 * memory, with err filled. */
void *eq_plan_allocate(struct eq_plan *p, struct eq_err *err);
/* The address of a buffer in the arena at base; NULL: the node has none. */
void *eq_plan_at(const struct eq_plan *p, void *base, int node, int kind);

/* ---- safetensors --------------------------------------------------------- */

/* The format of github.com/huggingface/safetensors: u64 header length, JSON header, raw little-endian data. */
struct eq_st_tensor {
    char *name; /* owned */
    /* Borrowed: from eq_st_file.buffer, at any address, or for a file to write from the caller. */
    struct eq_tensor value;
    /* Owned. A dtype that is not one of eq_dtype ("BOOL", "F8_E4M3", ...); value then shows its bytes, [n] U8. NULL
     * otherwise. */
    char *other_dtype;
    size_t begin;  /* of its bytes after the header */
    bool unwanted; /* set by an eq_st_check_fn: its bytes stay in the file, value.data NULL */
};
struct eq_st_file {
    struct eq_st_tensor *tensors; /* [n], in the header's order */
    size_t n;
    char **meta_keys, **meta_values; /* __metadata__, [n_meta] */
    size_t n_meta;
    void *buffer; /* owned; NULL after eq_st_parse and for a file to write */
};
/* Reads a regular file of at most 4 GiB: first its header, which must agree with the file's size, then the tensors.
 * EQ_IO; EQ_INTERRUPTED (eq_read_at); EQ_FORMAT for headers over 16 MiB or of more than EQ_ST_MAX_TENSORS tensors,
 * files of other programs (named), more than EQ_TENSOR_MAX_RANK axes, sizes that disagree with shapes, data out of
 * range, overlapping or with holes, duplicate keys. Clear *out with eq_st_clear; after a failure it is empty. */
enum { EQ_ST_MAX_TENSORS = 4096 };
enum eq_status eq_st_read(const char *path, struct eq_st_file *out, struct eq_err *err);
/* The same, but check sees names, shapes and metadata before any tensor is read. It may refuse the file (its errors get
 * the path put before them) or mark tensors as unwanted. */
typedef enum eq_status (*eq_st_check_fn)(void *ctx, struct eq_st_file *header, struct eq_err *err);
enum eq_status eq_st_read_checked(const char *path, eq_st_check_fn check, void *ctx, struct eq_st_file *out,
                                  struct eq_err *err);
/* The header alone: no tensor has data. */
enum eq_status eq_st_read_header(const char *path, struct eq_st_file *out, struct eq_err *err);
/* The same for len bytes in memory, which must outlive *out. name: for messages. */
enum eq_status eq_st_parse(const void *data, size_t len, const char *name, struct eq_st_file *out, struct eq_err *err);
/* Writes metadata, then tensors, in the order in which they were added. The file appears whole or not at all: it is
 * read back and compared before it replaces an earlier one. EQ_IO; EQ_NOMEM. */
enum eq_status eq_st_write(const char *path, const struct eq_st_file *file, struct eq_err *err);
/* The size of the file that eq_st_write would write. EQ_FORMAT as there. */
enum eq_status eq_st_file_bytes(const struct eq_st_file *file, size_t *bytes, struct eq_err *err);
void eq_st_clear(struct eq_st_file *file);                                           /* harmless twice */
const struct eq_tensor *eq_st_find(const struct eq_st_file *file, const char *name); /* NULL: absent */
/* The same, but the search begins at *at, 0 at first, and leaves there the place after what it found: one comparison
 * for each name, if they are asked for in the order of the file. */
const struct eq_st_tensor *eq_st_find_next(const struct eq_st_file *file, size_t *at, const char *name);
const char *eq_st_meta(const struct eq_st_file *file, const char *key); /* NULL: absent */
/* For a file to write, which starts as {0}. name, key and text are copied; the tensor's data is borrowed until
 * eq_st_write. */
void eq_st_add(struct eq_st_file *file, const char *name, struct eq_tensor value);
void eq_st_add_meta(struct eq_st_file *file, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* FP32 model file: torchvision's key names plus metadata (format "echoquant-fp32", version, frames, size,
 * normalization, target). Errors name the file and its tensor or key. save: EQ_USAGE for a folded graph, EQ_NUMERIC
 * for NaN or infinite weights, EQ_IO. load: EQ_FORMAT for missing or extra keys, wrong shapes and other kinds of
 * file, EQ_NUMERIC, EQ_IO; free *out with eq_graph_free. */
#define EQ_FORMAT_FP32 "echoquant-fp32"
#define EQ_FORMAT_INT8 "echoquant-int8"
enum eq_status eq_model_save(const char *path, const struct eq_graph *g, struct eq_err *err);
enum eq_status eq_model_load(const char *path, struct eq_graph **out, struct eq_err *err);
/* The result of eq_model_init_from. Lists of names are separated by ", ". Clear with eq_init_report_clear. */
struct eq_init_report {
    size_t used, missing, misshaped, unused; /* parameters of the graph; tensors of the file for unused */
    struct eq_str missing_names, misshaped_names, unused_names;
    struct eq_str prefix; /* of the file's names, such as "module."; empty: none */
};
/* Initializes a graph from pretrained weights: every parameter except the head's ("fc.*") that a safetensors file
 * holds under torchvision's or timm's key name, optionally with one prefix, in the right shape (F32, F64, F16 or
 * BF16), running statistics included. The rest stays as it was. EQ_FORMAT: another network (fewer than nine tenths of
 * the parameters fit, or layers are left over that this network lacks), two networks (under two prefixes), a wanted
 * tensor that is not floating-point; EQ_NUMERIC: NaN or infinite weights; EQ_IO. After a failure graph and report are
 * as before and empty. */
enum eq_status eq_model_init_from(struct eq_graph *g, const char *path, struct eq_init_report *report,
                                  struct eq_err *err);
void eq_init_report_clear(struct eq_init_report *report);
/* The sampling of frames from a clip, as model files name it: frame i of T out of n is rne(i (n - 1) / (T - 1)). */
#define EQ_SAMPLING_RULE "uniform-round-half-even"
/* Copies "format" of a model file's metadata into kind, cut at 31 characters. EQ_FORMAT: it has none; EQ_IO. */
enum eq_status eq_model_kind(const char *path, char kind[32], struct eq_err *err);

/* ---- ONNX ---------------------------------------------------------------- */

enum { EQ_ONNX_MIN_OPSET = 17, EQ_ONNX_MAX_OPSET = 21 };
/* Writes an FP32 graph as a self-contained ONNX file (onnx.ai, through its protobuf schema). Input "pixels": u8
 * [frames][3][size][size], RGB, the sampled frames of one clip, any number; the file normalizes them. Output "ef":
 * f32 [1][1], percent. Sampling and size are in the metadata. Batch norm is folded. EQ_USAGE: opset out of range;
 * EQ_UNSUPPORTED: a graph with fake-quant; EQ_NUMERIC: weights that are NaN or infinite; EQ_IO. */
enum eq_status eq_export_onnx(const char *path, const struct eq_graph *g, int opset, struct eq_err *err);

/* ---- clips --------------------------------------------------------------- */

/* A source of clips for calibration and analysis, which do not know the data floor. next() sets *pixels to
 * [n][frames][size][size][3] u8, RGB, which the source owns and keeps until the next call, and *n to 0 at the end.
 * rewind() starts again from the first clip. Both return any error of their source. */
struct eq_clip_source {
    enum eq_status (*next)(void *ctx, const uint8_t **pixels, int *n, struct eq_err *err);
    enum eq_status (*rewind)(void *ctx, struct eq_err *err);
    const char *(*name)(void *ctx, int i); /* of clip i of the last next(), for messages; NULL: no names */
    void *ctx;
    int max_clips, frames, size; /* max_clips: most clips of one next() */
    /* The processes that share the clips, where each has such a source: this one's gives clip `rank` of all and every
     * size-th after it. NULL: it gives all. */
    const struct eq_comm *comm;
};

#endif
