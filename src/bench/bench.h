/* Internal to bench: the subject of a measurement, its clips, and the kernels that a layer could have. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "echoquant/bench.h"
#include "echoquant/train.h"

struct cJSON;

/* model.c: the model file of the options, or a fresh network. Clips have the form of options and settings. */
enum eq_status eq_bench_open(const struct eq_config *cfg, const struct eq_bench_opts *o, enum eq_precision precision,
                             struct eq_predictor *out, struct eq_err *err);
/* A fused graph to train, from the model file or fresh. */
enum eq_status eq_bench_open_graph(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_graph **out,
                                   struct eq_err *err);
/* Random clips of that form, [clips][frames][size][size][3], gray as bench.gray says; eq_free. NULL: out of memory, in
 * err. */
uint8_t *eq_bench_clips(const struct eq_config *cfg, int clips, const struct eq_model_meta *form, struct eq_err *err);
/* Fake-quant on a fused graph, calibrated on one random clip: for times, any ranges will do. */
enum eq_status eq_bench_quantize(const struct eq_config *cfg, struct eq_graph *g, int weight_bits,
                                 enum eq_arithmetic arithmetic, struct eq_err *err);

/* inference.c: "threads", "isa" and "cpu". */
void eq_bench_add_machine(struct cJSON *result);
/* Ways to run alternately: the wanted one, plain FP32 (NULL: none), both with all threads, and with bench.scaling the
 * wanted one with one thread. Adds "NAME_ms", "fp32_NAME_ms", "NAME_1_ms" and "scaling" to result. */
struct eq_bench_ways {
    const char *name;
    enum eq_status (*call)(void *ctx, struct eq_err *err);
    void *wanted, *fp32, *one_thread; /* ctx of call */
    int calls, repeats;               /* of eq_latency_turns */
    double seconds;
};
enum eq_status eq_bench_alternate(const struct eq_config *cfg, const struct eq_bench_ways *ways, struct cJSON *result,
                                  struct eq_latency *wanted, struct eq_err *err);
/* layers.c: adds "layers", "nodes", "peaks" and, next to whole_ms, their sum to result. */
struct eq_trainee;
enum eq_status eq_bench_layers(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_predictor *p,
                               const uint8_t *pixels, double whole_ms, struct cJSON *result, struct eq_err *err);
enum eq_status eq_bench_train_layers(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_trainee *t,
                                     double whole_ms, struct cJSON *result, struct eq_err *err);

/* kernels.c: all peaks of this CPU, round by round, so that a disturbance meets all of them. */
enum { EQ_BENCH_PEAKS = 32 };
struct eq_bench_peaks {
    const struct eq_peak *peaks[EQ_BENCH_PEAKS];
    double gmacs[EQ_BENCH_PEAKS]; /* the best so far */
    size_t n;
};
void eq_bench_measure_peaks(struct eq_bench_peaks *peaks, int rounds, double round_ms);

/* Times every kernel that this CPU has for a layer alternately, layer_ms each, and adds the array "candidates" to the
 * layer's object. gray: the channels of its pixels are equal. kernel: only those whose name holds it. */
struct eq_bench_chosen {
    double ms, pack_ms; /* of the chosen kernel; -1: it was not timed */
    size_t timed;
};
enum eq_status eq_bench_candidates(const struct eq_exec_layer *l, bool gray, double layer_ms, const char *kernel,
                                   struct cJSON *object, struct eq_bench_chosen *chosen, struct eq_err *err);
/* After the measurements: "share" and "products_share" of each candidate, from the peaks. */
void eq_bench_add_shares(struct cJSON *layers, const struct eq_bench_peaks *peaks);

/* training.c: one way of training, ready to step. */
struct eq_trainee {
    struct eq_trainer trainer;
    struct eq_graph *graph;
    const struct eq_scale_rule *rule; /* NULL: no QAT */
    void *scales;
    float *ef;             /* [clips]: targets */
    struct eq_batch batch; /* pixels are borrowed */
};

#endif
