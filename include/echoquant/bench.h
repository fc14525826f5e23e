/* bench: the cost of a model: latency, scaling, memory, layers, training steps. */
#ifndef ECHOQUANT_BENCH_H
#define ECHOQUANT_BENCH_H

#include "echoquant/infer.h"

/* The subject of `bench`. */
struct eq_bench_opts {
    const char *model;             /* file; NULL: a fresh network of model.width */
    struct eq_device *device;      /* NULL: the CPU */
    bool fresh_int8;               /* the fresh network is quantized */
    bool train;                    /* a training step instead of an inference */
    bool qat;                      /* with train: a step of QAT, alternately with one of FP32 */
    bool with_data;                /* also from the file of the first test clip of data.dir */
    bool frames_given, size_given; /* data.frames, data.size instead of the model file's own */
    bool layers;                   /* also every layer with every kernel that this CPU has for it */
    const char *layer, *kernel;    /* only those whose name holds this; "": all */
};
/* Times as an object with the keys that `echoquant bench --help` lists. Delete *out with cJSON_Delete; it is set on
 * success only. EQ_USAGE: options that exclude each other, or no layer or kernel of that name; otherwise the errors
 * of eq_predictor_open or eq_trainer_init. EQ_INTERRUPTED: a signal came while layers were measured. The thread pool
 * is left as it was, unless a call fails. */
enum eq_status eq_run_bench(const struct eq_config *cfg, const struct eq_bench_opts *opts, struct cJSON **out,
                            struct eq_err *err);
enum eq_status eq_run_bench_train(const struct eq_config *cfg, const struct eq_bench_opts *opts, struct cJSON **out,
                                  struct eq_err *err);

#endif
