/*
 * quant: from FP32 to INT8. Observers and calibration, fake-quant preparation (PTQ simulation, QAT), lowering to a true
 * integer graph, its engine and its file. The arithmetic is written down in docs/QUANTIZATION.md and in kernels.h.
 */
#ifndef ECHOQUANT_QUANT_H
#define ECHOQUANT_QUANT_H

#include "echoquant/base.h"
#include "echoquant/model.h"
#include "echoquant/nn.h"

/* ---- qparams ------------------------------------------------------------- */

/* Affine u8 from a range: the range first includes 0; scale = max((max - min) / 255, FLT_EPSILON), zero_point =
 * clamp(0 - rne(min / scale), 0, 255), both computed in float32 (torch.ao.quantization MinMaxObserver). */
enum eq_status eq_qparams_affine(float min, float max, struct eq_qparams *out, struct eq_err *err);
/* Symmetric s8 for weights, [-(2^(bits-1) - 1), 2^(bits-1) - 1]: scale = max(|min|, |max|) / 127 (bits 8), at least
 * FLT_EPSILON. */
enum eq_status eq_qparams_symmetric(float min, float max, int bits, struct eq_qparams *out, struct eq_err *err);

/* ---- observers ----------------------------------------------------------- */

/* One row an observer: its identifier and its name in the settings. src/quant/observer.c says the rest of each. */
#define EQ_OBSERVERS(ROW)                                                                                              \
    ROW(MINMAX, "minmax")                                                                                              \
    ROW(MOVING_AVERAGE, "moving_average") /* m += averaging * (current - m) per batch */                               \
    ROW(PERCENTILE, "percentile") /* two-sided, of a 2048-bin histogram that is re-binned as the range grows */        \
    ROW(HIST_MSE, "hist_mse")     /* the range with the least L2 error of quantization over the histogram */           \
    ROW(ENTROPY, "entropy")       /* the range with the least Kullback-Leibler divergence (Migacz 2017) */
#define EQ_OBSERVER_KIND(id, name) EQ_OBSERVER_##id,
enum eq_observer_kind { EQ_OBSERVERS(EQ_OBSERVER_KIND) EQ_OBSERVER_COUNT };
extern const char *const eq_observer_names[EQ_OBSERVER_COUNT + 1]; /* by kind, then NULL */
struct eq_observer_opts {
    enum eq_observer_kind kind;
    double averaging;  /* 0.01 */
    double percentile; /* (50, 100], 99.99 */
};
/* Memory does not grow with what is observed. */
struct eq_observer;
enum eq_status eq_observer_new(const struct eq_observer_opts *opts, struct eq_observer **out, struct eq_err *err);
void eq_observer_free(struct eq_observer *o);
/* n values of one batch; NaN or infinity is EQ_NUMERIC. */
enum eq_status eq_observer_add(struct eq_observer *o, const float *x, size_t n, struct eq_err *err);
/* Whether two observers collect the same figures and differ only in how they choose a range from them: percentile (at any
 * value) and hist_mse. One pass can then serve both. */
bool eq_observers_share(const struct eq_observer_opts *a, const struct eq_observer_opts *b);
/* The range that an observer with opts, which must share with o's, would have found; opts NULL: o's own. EQ_NUMERIC when
 * nothing was observed. */
enum eq_status eq_observer_range_by(const struct eq_observer *o, const struct eq_observer_opts *opts, float *min,
                                    float *max, struct eq_err *err);
enum eq_status eq_observer_check(const struct eq_observer_opts *opts, struct eq_err *err); /* EQ_USAGE */
/* The parameter that matters to a kind: "percentile", "averaging", or NULL. */
const char *eq_observer_parameter(enum eq_observer_kind kind);
/* What a search tries: candidate i from 0, averaging as given; false after the last. */
bool eq_observer_candidate(size_t i, double averaging, struct eq_observer_opts *out);

/* ---- preparation: fake-quant on the graph -------------------------------- */

/* Puts fake-quant nodes on a graph: s8 per output channel (or per tensor) on every conv and linear weight, affine u8 on
 * every edge that the integer engine stores (outputs of fused convolutions and of max pooling's producer; never between
 * a convolution and its fused ReLU or residual, never on pooled sums). All start disabled. A folded and fused graph
 * gives the PTQ simulation; a training graph (fused, batch norm kept) gives QAT, with folded_bn set. The input is exact
 * and needs none. */
enum eq_status eq_prepare_fake_quant(struct eq_graph *g, int weight_bits, struct eq_err *err);
/* Weight scales from the current weights (for QAT: of the folded ones), min-max per channel; enables them. Called
 * before each QAT step until frozen. Scales that are learnt (LSQ) are left alone. */
enum eq_status eq_update_weight_qparams(struct eq_graph *g, struct eq_err *err);
/* The same with a choice, for PTQ after eq_calibrate. MSE: of 80 shrunken ranges the one with the least squared
 * error. */
enum eq_weight_observer { EQ_WEIGHT_MINMAX, EQ_WEIGHT_MSE, EQ_WEIGHT_OBSERVER_COUNT };
extern const char *const eq_weight_observer_names[EQ_WEIGHT_OBSERVER_COUNT + 1]; /* "minmax", "mse", NULL */
struct eq_weight_opts {
    enum eq_weight_observer kind;
    bool per_tensor; /* one scale for all channels of a layer */
};
enum eq_status eq_set_weight_qparams(struct eq_graph *g, const struct eq_weight_opts *opts, struct eq_err *err);
/* What messages and files call the layer of a node: the module path of its weights ("layer1.0.conv1"). */
void eq_layer_name(const struct eq_graph *g, int node, char name[64]);
/* How many output channels of a node have weights (folded ones) that are all 0, and which is the first. They are exact
 * in INT8, too. */
int eq_zero_channels(const struct eq_graph *g, int node, int *first);

/* Runs all clips of the source (at most max_clips) through the prepared graph in FP32, feeds one observer an edge, and
 * writes and enables every edge's qparams and the weights'. An error names the layer (and the clip, when a value is NaN
 * or infinite). progress NULL: silent. */
enum eq_status eq_calibrate(struct eq_graph *prepared, const struct eq_clip_source *clips, size_t max_clips,
                            const struct eq_observer_opts *opts, struct eq_progress *progress, size_t *clips_used,
                            struct eq_err *err);

/* What one pass over the clips teaches several observers, for a search among them. progress and clips_used as above. */
struct eq_statistics;
enum eq_status eq_statistics_collect(struct eq_graph *prepared, const struct eq_clip_source *clips, size_t max_clips,
                                     const struct eq_observer_opts *opts, int n_opts, struct eq_progress *progress,
                                     size_t *clips_used, struct eq_statistics **out, struct eq_err *err);
/* Calibrates that graph, or a clone of it, as eq_calibrate with opts[i] would. */
enum eq_status eq_statistics_apply(const struct eq_statistics *s, int i, struct eq_graph *prepared, struct eq_err *err);
void eq_statistics_free(struct eq_statistics *s);

/* Mixed precision on a folded, fused and calibrated graph: layers i with keep[i] ([n_nodes]) stay in FP32, all others
 * are quantized, whatever was kept before. A kept layer still stores bytes where a quantized layer reads them; with all
 * layers kept nothing is rounded. Weights that were rounded already (AdaRound) stay so. */
enum eq_status eq_keep_fp32(struct eq_graph *calibrated, const bool *keep, struct eq_err *err);
/* The same on work, a clone of calibrated, which takes the weights and biases of kept layers from fp32 (the graph that
 * calibrated approximates, node by node) and all others from calibrated: AdaRound and bias correction change both. */
enum eq_status eq_mix_precision(struct eq_graph *work, const struct eq_graph *calibrated, const struct eq_graph *fp32,
                                const bool *keep, struct eq_err *err);
/* The node of a layer; EQ_USAGE offers the nearest name. */
enum eq_status eq_find_layer(const struct eq_graph *g, const char *name, int *node, struct eq_err *err);

/* ---- improvements of PTQ, each a switch ---------------------------------- */

/* Cross-layer equalization (Nagel et al., ICCV 2019, 4.1) on a folded and fused graph, before preparation: for each
 * pair of convolutions of which the second alone reads the first, channel by channel, w1 /= s, b1 /= s, w2 *= s with s
 * = r1 / sqrt(r1 r2), r the largest |weight| of the channel on either side. FP32 output is unchanged up to rounding.
 * pairs (NULL: not wanted): how many were found; 8 in ResNet-18. */
enum eq_status eq_cross_layer_equalize(struct eq_graph *folded, int *pairs, struct eq_err *err);
/* Empirical bias correction (same paper, 4.2; sequential, as AIMET's) on a folded, fused and calibrated graph: each
 * channel's bias takes back the shift of its mean over the clips that quantization causes. Costs about half a forward
 * pass for each layer and clip: 16 to 32 clips are plenty. */
enum eq_status eq_correct_biases(struct eq_graph *calibrated, const struct eq_clip_source *clips, size_t max_clips,
                                 struct eq_err *err);

/* AdaRound (Nagel et al., ICML 2020) on a folded, fused and calibrated graph: convolution by convolution, from the
 * input on, weights are rounded up or down so that the outputs of the layer, behind the layers already rounded, are
 * nearest to those of FP32, instead of each weight being nearest to itself. The weights themselves are moved onto the
 * grid of their scales, which must not change any more. A channel that ends worse than plain rounding on the samples
 * keeps plain rounding. The head keeps it too. */
struct eq_adaround_opts {
    int iterations; /* Adam steps a layer; 1000 is quick, the paper uses 10,000 */
    int samples;    /* output positions a layer learns from, spread over the clips; 4096 */
    double lr;      /* 0.01 */
    double lambda;  /* weight of the regularizer, 0.01 */
    uint64_t seed;
};
enum eq_status eq_adaround(struct eq_graph *calibrated, const struct eq_clip_source *clips, size_t max_clips,
                           const struct eq_adaround_opts *opts, struct eq_progress *progress, struct eq_err *err);
/* Batch-norm re-estimation (as AIMET's) on a training graph, with fake-quant or without, before folding: the running
 * statistics become the means of those of batches of `batch` clips. Weight scales must be made anew afterwards
 * (eq_update_weight_qparams): the folding factors change. */
enum eq_status eq_reestimate_batchnorm(struct eq_graph *g, const struct eq_clip_source *clips, size_t max_clips,
                                       int batch, struct eq_err *err);

/* ---- QAT: what moves the scales ------------------------------------------- */

/* The QAT methods (qat.method), one row each: identifier and name in settings and recipes. src/quant/qat_observers.c has
 * the rest of STE, src/quant/lsq.c of LSQ. */
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
     * (LSQ): an edge is not calibrated. *state is the caller's, NULL on failure. */
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
 * outlive it and stay as they are. Clips go through one at a time, memory does not grow with their number, and nothing
 * depends on the number of threads. */
struct eq_analysis;
enum eq_status eq_analysis_new(const struct eq_graph *fp32, const struct eq_graph *calibrated,
                               const struct eq_clip_source *clips, size_t max_clips, struct eq_analysis **out,
                               struct eq_err *err);
void eq_analysis_free(struct eq_analysis *a);
/* One pass of both networks: stats[n_nodes] of every layer, the EFs of both [max_clips], and how many clips there were.
 */
enum eq_status eq_analysis_walk(struct eq_analysis *a, struct eq_edge_stats *stats, float *ef_fp32, float *ef_quantized,
                                size_t *clips_used, struct eq_err *err);
/* The layer alone: its weights against FP32's; its output, with weights and output rounded, while its input is FP32's
 * to the bit. */
enum eq_status eq_analysis_layer(struct eq_analysis *a, int node, double *weights_db, double *output_db,
                                 struct eq_err *err);
/* The EFs [max_clips] with layers keep[n_nodes] in FP32 and all others quantized. */
enum eq_status eq_analysis_ef(struct eq_analysis *a, const bool *keep, float *ef, struct eq_err *err);

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
    int8_t *weights;       /* [cout][cin][k][k], owned; NULL where the op has none, and with fp32 */
    float *weight_scale;   /* [cout], owned; NULL as weights */
    float *fp32_weights;   /* [cout][cin][k][k], owned; with fp32 only */
    float *bias;           /* [cout], fp32 in real units, owned */
};
struct eq_qmodel {
    struct eq_model_meta meta;
    struct eq_qnode *nodes;
    int n_nodes;
    char method[16]; /* "ptq" or "qat" */
    char observer[32];
    char *recipe; /* the settings that made it, a JSON object as text; owned; NULL: unknown */
};
/* The start of a QAT run from PTQ's file instead of calibration: every edge of a prepared graph takes the qparams that
 * the quantized model has for it, and the weights get scales (eq_update_weight_qparams). EQ_USAGE, with the layer named
 * and nothing changed, when the model is of another graph, or its weights are not the graph's, rounded up or down
 * (another baseline, or weights that were equalized first). */
enum eq_status eq_start_from_qmodel(struct eq_graph *prepared, const struct eq_qmodel *m, struct eq_err *err);
/* From a prepared graph whose fake-quants are all set: folds what is not folded yet, rounds the weights. */
enum eq_status eq_lower_int8(const struct eq_graph *prepared, const char *method, struct eq_qmodel **out,
                             struct eq_err *err);
void eq_qmodel_free(struct eq_qmodel *m);
/* safetensors, format "echoquant-int8": s8 weights, qparams, normalisation, sampling, graph description and format
 * version. Load refuses, with the layer named: scales that are 0, NaN or infinite, zero-points outside 0..255, shapes
 * that disagree, weights that could overflow the int32 accumulator (by bound), unknown versions. */
enum eq_status eq_qmodel_save(const char *path, const struct eq_qmodel *m, struct eq_err *err);
enum eq_status eq_qmodel_load(const char *path, struct eq_qmodel **out, struct eq_err *err);

/* What a convolution gives to a residual sum: floats as in the engine, which only some runtimes run in integers, or u8
 * over the range that matters behind the sum, which all do and which costs a rounding more (docs/ONNX.md). */
enum eq_onnx_residual { EQ_ONNX_RESIDUAL_FLOAT, EQ_ONNX_RESIDUAL_U8 };
/* The model as an ONNX file in QDQ form; input, output and errors as eq_export_onnx. Weights below 8 bits become s8 of
 * that range. EQ_UNSUPPORTED: a bias that 32 bits don't hold in units of the accumulator. EF is the engine's up to the
 * rounding of biases to those units and of float sums: docs/ONNX.md. */
enum eq_status eq_qmodel_export_onnx(const char *path, const struct eq_qmodel *m, int opset,
                                     enum eq_onnx_residual residual, struct eq_err *err);

struct eq_qengine;
/* Weights packed once, an arena by liveness, no allocation in a call. m must outlive the engine. watched: a hook will
 * be set, so max pooling has a pass of its own; otherwise the convolution before it may do it, which changes no bit and
 * saves the room of that convolution's output. */
enum eq_status eq_qengine_new(const struct eq_qmodel *m, int clips, int frames, int size, bool watched,
                              struct eq_qengine **out, struct eq_err *err);
void eq_qengine_free(struct eq_qengine *e);
/* pixels: [clips][frames][size][size][3] u8; ef: [clips] percent. The same bits on every CPU, thread count and batch.
 * EQ_USAGE: more threads than the pool had when the engine was made, or a hook without watched. */
enum eq_status eq_qengine_run(struct eq_qengine *e, const uint8_t *pixels, float *ef, struct eq_err *err);
/* Looks at each node's output after it was computed (analysis, parity tests), n bytes: u8, floats where the node has
 * fp32_edge; NULL: none. */
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
