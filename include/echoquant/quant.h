/*
 * quant: from FP32 to INT8. docs/QUANTIZATION.md and kernels.h have the arithmetic. PTQ of a graph that is folded and
 * fused (eq_fold_batchnorm, eq_fuse), in this order; 1, 4 and 5 are optional:
 *   1. eq_cross_layer_equalize                         moves scale between channels; FP32 outputs stay
 *   2. eq_prepare_fake_quant                           adds fake-quant where the engine rounds, all off
 *   3. eq_calibrate                                    sets ranges of edges from clips, and scales of weights
 *   4. eq_set_weight_qparams                           sets the scales of weights in another way
 *   5. eq_adaround, eq_correct_biases, eq_keep_fp32    improve the result
 *   6. eq_lower_int8                                   rounds: the integer graph, for eq_qengine_new and eq_qmodel_save
 * QAT takes a fused training graph, batch norm kept, through 2 and 3, trains it under a rule of eq_scale_rules, then 6.
 *
 * Functions that return a status fill err. Where no error is named, EQ_NOMEM is the only one. What `out` returns is the
 * caller's, to be freed by the function of that name; it is NULL on failure. EQ_UNSUPPORTED: the graph has not gone
 * through the steps above, and the message names the layer.
 */
#ifndef ECHOQUANT_QUANT_H
#define ECHOQUANT_QUANT_H

#include "echoquant/base.h"
#include "echoquant/model.h"
#include "echoquant/nn.h"

/* ---- qparams ------------------------------------------------------------- */

/* Affine u8 from a range, which is first widened to include 0: scale = max((max - min) / 255, FLT_EPSILON),
 * zero_point = clamp(0 - rne(min / scale), 0, 255), both in float32 (torch.ao.quantization MinMaxObserver).
 * EQ_NUMERIC: the range is empty or not finite. */
enum eq_status eq_qparams_affine(float min, float max, struct eq_qparams *out, struct eq_err *err);
/* Symmetric s8 for weights of 2 to 8 bits, qmax = 2^(bits-1) - 1, qmin = -qmax: scale = max(|min|, |max|) / qmax, at
 * least FLT_EPSILON; zero_point 0. EQ_NUMERIC as above; EQ_USAGE: other bits. */
enum eq_status eq_qparams_symmetric(float min, float max, int bits, struct eq_qparams *out, struct eq_err *err);

/* ---- observers ----------------------------------------------------------- */

/* The observers, one row each: identifier and name in the settings. src/quant/observer.c has the rest of each. */
#define EQ_OBSERVERS(ROW)                                                                                              \
    ROW(MINMAX, "minmax")                                                                                              \
    ROW(MOVING_AVERAGE, "moving_average") /* m += averaging * (current - m) per batch */                               \
    ROW(PERCENTILE, "percentile")         /* two-sided, as ONNX Runtime's */                                           \
    ROW(HIST_MSE, "hist_mse")             /* the range with the least L2 error of quantization, as PyTorch's */        \
    ROW(ENTROPY, "entropy")               /* the range with the least Kullback-Leibler divergence, as NVIDIA's */
#define EQ_OBSERVER_KIND(id, name) EQ_OBSERVER_##id,
enum eq_observer_kind { EQ_OBSERVERS(EQ_OBSERVER_KIND) EQ_OBSERVER_COUNT };
extern const char *const eq_observer_names[EQ_OBSERVER_COUNT + 1]; /* by kind, then NULL */
struct eq_observer_opts {
    enum eq_observer_kind kind;
    double averaging;  /* 0.01 */
    double percentile; /* (50, 100], 99.99 */
};
/* Memory does not grow with the number of values, and with their range only up to a bound. EQ_USAGE as
 * eq_observer_check. */
struct eq_observer;
enum eq_status eq_observer_new(const struct eq_observer_opts *opts, struct eq_observer **out, struct eq_err *err);
void eq_observer_free(struct eq_observer *o);
/* x: [n], the values of one batch. EQ_NUMERIC: a NaN or infinity, or values too large for float ranges. After an
 * error the observer is as it was. */
enum eq_status eq_observer_add(struct eq_observer *o, const float *x, size_t n, struct eq_err *err);
/* Whether two observers collect the same figures and differ only in how they choose a range from them, as percentile
 * (at any value) and entropy do. One pass can then serve both. */
bool eq_observers_share(const struct eq_observer_opts *a, const struct eq_observer_opts *b);
/* The range that an observer with opts, which must share with o's, would have found; opts NULL: o's own. EQ_NUMERIC
 * when nothing was observed. */
enum eq_status eq_observer_range_by(const struct eq_observer *o, const struct eq_observer_opts *opts, float *min,
                                    float *max, struct eq_err *err);
/* EQ_USAGE: an unknown kind, or its parameter is out of range. */
enum eq_status eq_observer_check(const struct eq_observer_opts *opts, struct eq_err *err);
/* The name of the parameter that a kind uses: "percentile", "averaging", or NULL. */
const char *eq_observer_parameter(enum eq_observer_kind kind);
/* Candidate i (from 0) of a search among all kinds, with averaging as given. False after the last. */
bool eq_observer_candidate(size_t i, double averaging, struct eq_observer_opts *out);

/* ---- preparation: fake-quant on the graph -------------------------------- */

/* Puts fake-quant on a graph: s8 per output channel on every convolution's and linear layer's weight, affine u8 on
 * every edge that the integer engine stores. These are the outputs of fused convolutions, never the sums between a
 * convolution and its fused ReLU or residual, never pooled sums. The input is exact and needs none. All start
 * disabled. A folded and fused graph gives the PTQ simulation; a training graph (fused, batch norm kept) gives QAT,
 * with folded_bn set. EQ_USAGE: weight_bits is not 2 to 8. */
enum eq_status eq_prepare_fake_quant(struct eq_graph *g, int weight_bits, struct eq_err *err);
/* How 3x3 convolutions with stride 1 and padding 1 are computed. WINOGRAD: in the domain of F(4x4, 3x3), where both the
 * transformed source and the transformed weights are rounded (point_fq, 36 * cout weight scales). All other layers are
 * direct in any case. */
enum eq_arithmetic { EQ_ARITHMETIC_DIRECT, EQ_ARITHMETIC_WINOGRAD, EQ_ARITHMETIC_COUNT };
extern const char *const eq_arithmetic_names[EQ_ARITHMETIC_COUNT + 1]; /* "direct", "winograd", NULL */
/* eq_prepare_fake_quant for a choice; that function is for DIRECT. */
enum eq_status eq_prepare_fake_quant_for(struct eq_graph *g, int weight_bits, enum eq_arithmetic arithmetic,
                                         struct eq_err *err);
/* Sets the weight scales to min-max per channel of the current weights (in QAT of the folded ones) and enables them.
 * Called before each QAT step. Scales that are learned (LSQ) stay. EQ_NUMERIC: a weight is NaN or infinite. */
enum eq_status eq_update_weight_qparams(struct eq_graph *g, struct eq_err *err);
/* The same with a choice, for PTQ after eq_calibrate. MSE takes the one with the least squared error of 80 ranges, the
 * full one and shrunken ones. */
enum eq_weight_observer { EQ_WEIGHT_MINMAX, EQ_WEIGHT_MSE, EQ_WEIGHT_OBSERVER_COUNT };
extern const char *const eq_weight_observer_names[EQ_WEIGHT_OBSERVER_COUNT + 1]; /* "minmax", "mse", NULL */
struct eq_weight_opts {
    enum eq_weight_observer kind;
    bool per_tensor; /* one scale for all channels of a layer; in Winograd's domain for those of a point */
};
enum eq_status eq_set_weight_qparams(struct eq_graph *g, const struct eq_weight_opts *opts, struct eq_err *err);
/* The name of a node's layer in messages and files: the module path of its weights ("layer1.0.conv1"), cut at 63
 * bytes. */
void eq_layer_name(const struct eq_graph *g, int node, char name[64]);
/* Returns how many output channels of a node have only zeros as (folded) weights; *first is the first of them, or -1.
 * These channels are exact in INT8. */
int eq_zero_channels(const struct eq_graph *g, int node, int *first);

/* Runs all clips of the source, at most max_clips, through the prepared graph in FP32, with one observer per edge,
 * then sets and enables the qparams of every edge and of the weights. progress NULL: silent. *clips_used (NULL: not
 * wanted): how many clips there were. EQ_NUMERIC: a value is NaN or infinite (the message names layer and clip), or
 * a layer's output was always 0. EQ_USAGE: no clips, or as eq_observer_check. EQ_INTERRUPTED: a signal came. The
 * source's own errors pass through. If processes share the clips (eq_clip_source), each calls this, max_clips is the
 * number of all clips, and each gets what one process with all clips would. */
enum eq_status eq_calibrate(struct eq_graph *prepared, const struct eq_clip_source *clips, size_t max_clips,
                            const struct eq_observer_opts *opts, struct eq_progress *progress, size_t *clips_used,
                            struct eq_err *err);

/* Several observers in one pass over the clips, for a search among them. progress, clips_used and errors as above. */
struct eq_statistics;
enum eq_status eq_statistics_collect(struct eq_graph *prepared, const struct eq_clip_source *clips, size_t max_clips,
                                     const struct eq_observer_opts *opts, int n_opts, struct eq_progress *progress,
                                     size_t *clips_used, struct eq_statistics **out, struct eq_err *err);
/* Calibrates that graph or a clone of it, as eq_calibrate with opts[i] would. */
enum eq_status eq_statistics_apply(const struct eq_statistics *s, int i, struct eq_graph *prepared, struct eq_err *err);
/* What the graph predicted for the *n clips that passed in this process, before anything was rounded; borrowed. */
const float *eq_statistics_ef(const struct eq_statistics *s, size_t *n);
void eq_statistics_free(struct eq_statistics *s);

/* Mixed precision on a folded, fused and calibrated graph: layers i with keep[i] ([n_nodes]) stay in FP32 and all
 * others are quantized, whatever was kept before. A kept layer still stores bytes where a quantized layer reads
 * them. With all layers kept nothing is rounded. Weights that AdaRound has rounded stay rounded. */
enum eq_status eq_keep_fp32(struct eq_graph *calibrated, const bool *keep, struct eq_err *err);
/* The same on work, a clone of calibrated. It takes the weights and biases of kept layers from fp32, the graph that
 * calibrated approximates node by node, and all others from calibrated: AdaRound and bias correction change both. */
enum eq_status eq_mix_precision(struct eq_graph *work, const struct eq_graph *calibrated, const struct eq_graph *fp32,
                                const bool *keep, struct eq_err *err);
/* The node of a layer. EQ_USAGE: there is none of that name; the message offers the nearest. */
enum eq_status eq_find_layer(const struct eq_graph *g, const char *name, int *node, struct eq_err *err);

/* ---- improvements of PTQ, each optional ---------------------------------- */

/* Cross-layer equalization (Nagel et al., ICCV 2019, 4.1) on a folded and fused graph, before preparation. For each
 * pair of convolutions of which only the second reads the first, channel by channel: w1 /= s, b1 /= s, w2 *= s with
 * s = r1 / sqrt(r1 r2), r the largest |weight| of the channel on either side. FP32 outputs stay the same up to
 * rounding. *pairs (NULL: not wanted): how many were found; 8 in ResNet-18. */
enum eq_status eq_cross_layer_equalize(struct eq_graph *folded, int *pairs, struct eq_err *err);
/* Empirical bias correction (same paper, 4.2; sequential, as AIMET's) on a folded, fused and calibrated graph. Each
 * channel's bias takes back the shift that quantization causes in the channel's mean over the clips. Costs about half a
 * forward pass for each layer and clip; 16 to 32 clips are plenty. Errors of clips as eq_calibrate. */
enum eq_status eq_correct_biases(struct eq_graph *calibrated, const struct eq_clip_source *clips, size_t max_clips,
                                 struct eq_err *err);

/* AdaRound (Nagel et al., ICML 2020) on a folded, fused and calibrated graph. Convolution by convolution, from the
 * input on, it chooses for each weight whether to round up or down, so that the layer's outputs come nearest to
 * FP32's, with the earlier layers already rounded. The weights move onto the grid of their scales, which must not
 * change afterwards. A channel that ends worse than rounding to nearest, on the samples, is rounded to nearest. So
 * is the head. EQ_USAGE: an option is out of range. Errors of clips as eq_calibrate. progress (NULL: silent) counts
 * nodes. steps: of Adam for each layer; 1000 is quick, the paper uses 10,000. */
struct eq_adaround_opts {
    int samples;   /* output positions a layer learns from, spread over the clips; 4096 */
    double lr;     /* 0.01 */
    double lambda; /* weight of the regularizer, 0.01 */
    uint64_t seed;
};
enum eq_status eq_adaround(struct eq_graph *calibrated, const struct eq_clip_source *clips, size_t max_clips, int steps,
                           const struct eq_adaround_opts *opts, struct eq_progress *progress, struct eq_err *err);
/* Batch-norm re-estimation (as AIMET's) on a training graph, with or without fake-quant, before folding: the running
 * statistics become the means over batches of `batch` clips. Weight scales must be set again afterwards
 * (eq_update_weight_qparams), because the folding factors change. Errors of clips as eq_calibrate. */
enum eq_status eq_reestimate_batchnorm(struct eq_graph *g, const struct eq_clip_source *clips, size_t max_clips,
                                       int batch, struct eq_err *err);

/* ---- QAT: what moves the scales ------------------------------------------- */

/* The QAT methods (qat.method), one row each: identifier and name in settings and recipes. src/quant/qat_observers.c
 * has the rest of STE, src/quant/lsq.c of LSQ. */
#define EQ_QAT_METHODS(ROW)                                                                                            \
    ROW(STE, "ste") /* weight scales follow the weights, activation ranges a moving average */                         \
    ROW(LSQ, "lsq") /* both are learned by their gradients (Esser et al., ICLR 2020) */
#define EQ_QAT_METHOD(id, name) EQ_QAT_##id,
enum eq_qat_method { EQ_QAT_METHODS(EQ_QAT_METHOD) EQ_QAT_METHOD_COUNT };
extern const char *const eq_qat_method_names[EQ_QAT_METHOD_COUNT + 1]; /* by method, then NULL */
/* A method moves the scales of fake-quant while the weights train. */
struct eq_scale_rule {
    const char *observer; /* the name that a model file gives as its observer */
    /* On a calibrated training graph (batch norm kept), which must outlive *state; before the executor is made, which
     * needs to know the scales that are learned. averaging: the step of moving averages, in (0, 1]. EQ_UNSUPPORTED
     * (LSQ): an edge is not calibrated, or a layer is in Winograd's domain. *state is the caller's, NULL on failure. */
    enum eq_status (*open)(struct eq_graph *calibrated, double averaging, void **state, struct eq_err *err);
    void (*close)(void *state);               /* NULL is fine */
    struct eq_walk_hook (*hook)(void *state); /* for the training executor; NULL: none */
    /* Before each forward pass. EQ_NUMERIC: a weight is NaN or infinite. */
    enum eq_status (*before_forward)(void *state, struct eq_graph *g, struct eq_err *err);
    /* After each step of the weights' optimizer, with the gradients of that step in x and the scales' learning rate;
     * NULL: nothing. EQ_NUMERIC: a gradient is not finite. */
    enum eq_status (*after_step)(void *state, struct eq_exec *x, double lr, struct eq_err *err);
    void (*freeze)(void *state, bool frozen); /* activation ranges (LSQ: their scales) */
    /* The state for resuming, state_size floats. */
    size_t (*state_size)(const void *state);
    void (*get_state)(const void *state, float *out);
    void (*set_state)(void *state, const float *in);
    /* What a forward pass sees of the edges, seen_size floats; NULL: nothing. keep: later passes put it there, and each
     * starts from the state as it is now; follow: the state takes in what a pass kept. */
    size_t (*seen_size)(const void *state);
    void (*keep)(void *state, float *seen);
    enum eq_status (*follow)(void *state, const float *seen, struct eq_err *err);
};
extern const struct eq_scale_rule *const eq_scale_rules[EQ_QAT_METHOD_COUNT]; /* by method */

/* ---- analysis: where the error comes from -------------------------------- */

/* 10 log10(signal / noise) of two sums of squares, in dB; infinite without noise, NaN without either. */
double eq_sqnr_db(double signal, double noise);
/* A layer's output over all clips. Everything but sqnr_db is of the FP32 network. */
struct eq_edge_stats {
    double sqnr_db;     /* of the network that is quantized up to here */
    float min, max;     /* smallest and largest value */
    float low, high;    /* what the 256 levels can hold; NaN, as clipped, where nothing is rounded (the head) */
    int levels;         /* how many of the 256 come up */
    double clipped;     /* share of the values that lie outside */
    int channels, dead; /* dead: the same value everywhere, in all clips */
};
/* Compares a folded, fused and calibrated graph with the FP32 graph that it approximates, node by node; both must
 * outlive it and stay as they are. The exact simulation runs (EQ_EXEC_SIMULATE): EFs and outputs are to the bit those
 * of the integer engine, and FP32 sums in its order. Clips go through one at a time, memory does not grow with their
 * number, and nothing depends on the number of threads. */
struct eq_analysis;
enum eq_status eq_analysis_new(const struct eq_graph *fp32, const struct eq_graph *calibrated,
                               const struct eq_clip_source *clips, size_t max_clips, struct eq_analysis **out,
                               struct eq_err *err);
void eq_analysis_free(struct eq_analysis *a);
/* One pass of both networks: stats[n_nodes] of every layer, the EFs of both [max_clips], and how many clips there were.
 */
enum eq_status eq_analysis_walk(struct eq_analysis *a, struct eq_edge_stats *stats, float *ef_fp32, float *ef_quantized,
                                size_t *clips_used, struct eq_err *err);
/* The SQNR of a layer alone in dB: of its weights; of its output, with weights and output rounded, while its input is
 * FP32's to the bit. */
enum eq_status eq_analysis_layer(struct eq_analysis *a, int node, double *weights_db, double *output_db,
                                 struct eq_err *err);
/* The EFs [max_clips] with layers keep[n_nodes] in FP32 and all others quantized. */
enum eq_status eq_analysis_ef(struct eq_analysis *a, const bool *keep, float *ef, struct eq_err *err);

/* The same two graphs with only a part of what is quantized: nothing, only weights, only activations, or both. */
enum eq_part { EQ_PART_NONE, EQ_PART_WEIGHTS, EQ_PART_ACTIVATIONS, EQ_PART_BOTH };
enum { EQ_PARTS = EQ_PART_BOTH + 1, EQ_RANGE_BINS = 64 };
/* A quantized edge: its levels, and a histogram of FP32's values, which calibration chose the levels for. */
struct eq_edge_range {
    int node;
    float low, high;             /* the first and the last level */
    float min, max;              /* of the values */
    double clipped;              /* share of the values more than half a level outside of low..high */
    int bins;                    /* of equal width from min to max: EQ_RANGE_BINS, or 1 if all values are equal */
    double count[EQ_RANGE_BINS]; /* whole numbers; where the range grew from clip to clip, about */
};
/* ef: [EQ_PARTS][max_clips]. ranges: [n_nodes], of which *n_ranges are filled, in the order of nodes. progress: counts
 * clips, EQ_PARTS times; NULL: silent. Arguments and errors otherwise as of eq_analysis_new and eq_analysis_walk;
 * layers that calibrated keeps in FP32 stay so. */
enum eq_status eq_parts_measure(const struct eq_graph *fp32, const struct eq_graph *calibrated,
                                const struct eq_clip_source *clips, size_t max_clips, float *ef,
                                struct eq_edge_range *ranges, int *n_ranges, size_t *clips_used,
                                struct eq_progress *progress, struct eq_err *err);

/* ---- the integer graph --------------------------------------------------- */

enum eq_qop { EQ_QOP_INPUT, EQ_QOP_CONV2D, EQ_QOP_MAXPOOL, EQ_QOP_HEAD, EQ_QOP_COUNT };
/* HEAD: exact int64 dot of integer sums over pixels and frames with s8 weights, one multiplication to EF in double. */
struct eq_qnode {
    enum eq_qop op;
    char name[64];
    int src, residual; /* producers; -1: none */
    int cin, cout, k, stride, pad;
    bool relu;
    int weight_bits;       /* 2 to 8: weights lie in [-(2^(bits-1) - 1), 2^(bits-1) - 1]; 32 with fp32 */
    struct eq_qparams dst; /* of the edge that it makes; all 0 with fp32_edge */
    bool fp32;             /* mixed precision: a convolution or head that computes in floats */
    bool fp32_edge;        /* its edge is stored as floats: only nodes in FP32 read it */
    /* A convolution in Winograd's domain (kernels.h), 3 x 3 at stride 1. Its weights are then transformed ones,
     * [EQ_DOMAIN_POINTS][cout][cin], with weight_scale [EQ_DOMAIN_POINTS][cout]. */
    bool domain;
    int32_t point_mul[EQ_DOMAIN_POINTS], point_add[EQ_DOMAIN_POINTS]; /* 1..32767 and 0..255; 0 without domain */
    int8_t *weights;     /* [cout][cin][k][k], owned; NULL where the op has none, and with fp32 */
    float *weight_scale; /* [cout], owned; NULL as weights */
    float *fp32_weights; /* [cout][cin][k][k], owned; with fp32 only */
    float *bias;         /* [cout], fp32 in real units, owned */
};
struct eq_qmodel {
    struct eq_model_meta meta;
    struct eq_qnode *nodes;
    int n_nodes;
    char method[16]; /* "ptq" or "qat" */
    char observer[32];
    char *recipe; /* the settings that made it, a JSON object as text; owned; NULL: unknown */
};
/* Starts QAT from PTQ's file instead of calibration: every edge of a prepared graph takes the qparams that the
 * quantized model has for it, and the weights get scales (eq_update_weight_qparams). EQ_USAGE, with the layer named
 * and nothing changed: the model is of another graph, or its weights are not the graph's, rounded up or down
 * (another baseline, or weights that were equalized first). */
enum eq_status eq_start_from_qmodel(struct eq_graph *prepared, const struct eq_qmodel *m, struct eq_err *err);
/* From a prepared graph whose fake-quants are all set: folds batch norm where it is still there, rounds the weights.
 * method: "ptq" or "qat". The caller fills in observer and recipe. EQ_NUMERIC and EQ_FORMAT as eq_qmodel_load. */
enum eq_status eq_lower_int8(const struct eq_graph *prepared, const char *method, struct eq_qmodel **out,
                             struct eq_err *err);
void eq_qmodel_free(struct eq_qmodel *m);
/* safetensors, format "echoquant-int8": s8 weights, qparams, normalization, sampling, graph description and format
 * version; src/quant/qmodel_file.c has the details. Load refuses, with the layer named: EQ_NUMERIC for scales that
 * are 0, NaN or infinite, zero-points outside 0..255 and weights that could overflow the int32 accumulator (by
 * bound); EQ_FORMAT for shapes that disagree, unknown versions and all else that is no such file. EQ_IO: the file
 * can't be read or written. */
enum eq_status eq_qmodel_save(const char *path, const struct eq_qmodel *m, struct eq_err *err);
/* The size of the file that eq_qmodel_save would write. */
enum eq_status eq_qmodel_file_bytes(const struct eq_qmodel *m, size_t *bytes, struct eq_err *err);
enum eq_status eq_qmodel_load(const char *path, struct eq_qmodel **out, struct eq_err *err);

/* How a convolution's output enters a residual sum: as floats, as in the engine, which only some runtimes compute in
 * integers; or as u8 over the range that matters after the sum, which all of them do, at the cost of one more rounding
 * (docs/ONNX.md). */
enum eq_onnx_residual { EQ_ONNX_RESIDUAL_FLOAT, EQ_ONNX_RESIDUAL_U8 };
/* The model as an ONNX file in QDQ form; input, output and errors as eq_export_onnx. Weights below 8 bits become s8 of
 * that range. EQ_UNSUPPORTED: a bias that 32 bits don't hold in units of the accumulator, or a layer in Winograd's
 * domain. EF is the engine's up to the
 * rounding of biases to those units and of float sums: docs/ONNX.md. */
enum eq_status eq_qmodel_export_onnx(const char *path, const struct eq_qmodel *m, int opset,
                                     enum eq_onnx_residual residual, struct eq_err *err);

struct eq_qengine;
/* For batches of `clips` clips of `frames` frames of size x size pixels. Packs the weights once and plans the
 * memory; a call allocates nothing. m must outlive the engine. watched: a hook will be set, so max pooling has a
 * pass of its own. Otherwise the convolution before it may do the pooling, which changes no bit and saves the memory
 * of that convolution's output. EQ_FORMAT, EQ_NUMERIC: as eq_qmodel_load; EQ_USAGE: clips of that form don't fit the
 * model. */
enum eq_status eq_qengine_new(const struct eq_qmodel *m, int clips, int frames, int size, bool watched,
                              struct eq_qengine **out, struct eq_err *err);
void eq_qengine_free(struct eq_qengine *e);
/* pixels: [clips][frames][size][size][3] u8; ef: [clips] percent. The same bits on every CPU, thread count and batch.
 * EQ_USAGE: more threads than the pool had when the engine was made, or a hook without watched. */
enum eq_status eq_qengine_run(struct eq_qengine *e, const uint8_t *pixels, float *ef, struct eq_err *err);
/* fn sees each node's output after it was computed (analysis, parity tests): n bytes, u8, or floats where the node has
 * fp32_edge. NULL: no hook. */
void eq_qengine_set_hook(struct eq_qengine *e, void (*fn)(void *ctx, int node, const uint8_t *q, size_t n), void *ctx);
size_t eq_qengine_arena_bytes(const struct eq_qengine *e);
size_t
eq_qengine_packed_bytes(const struct eq_qengine *e); /* that part of it which holds packed weights and epilogues */
/* Turns the timing of nodes on or off. Returns [n_nodes] ms, which a run with timing overwrites; next to 0 for a
 * pooling that the node before it makes. */
const double *eq_qengine_time(struct eq_qengine *e, bool on);
/* False when the node is no convolution; out then holds its name only. */
bool eq_qengine_layer(const struct eq_qengine *e, int node, struct eq_exec_layer *out);

#endif
