/* bench: what it costs: latency, scaling, memory, layers, training steps. */
#ifndef ECHOQUANT_BENCH_H
#define ECHOQUANT_BENCH_H

#include "echoquant/infer.h"

/* What `bench` measures. */
struct eq_bench_opts {
    const char *model;             /* file; NULL: a fresh network of model.width */
    bool fresh_int8;               /* quantized */
    bool train;                    /* a training step instead of an inference */
    bool qat;                      /* of QAT, by turns with FP32's */
    bool with_data;                /* the first test clip of data.dir, from its file on */
    bool frames_given, size_given; /* data.frames, data.size instead of the model file's own */
    bool layers;                   /* every layer with every kernel that this CPU has for it */
    const char *layer, *kernel;    /* only those whose name holds this; "": all */
};
/* Times as an object with the keys that `echoquant bench --help` lists. Delete with cJSON_Delete. */
enum eq_status eq_run_bench(const struct eq_config *cfg, const struct eq_bench_opts *opts, struct cJSON **out,
                            struct eq_err *err);
enum eq_status eq_run_bench_train(const struct eq_config *cfg, const struct eq_bench_opts *opts, struct cJSON **out,
                                  struct eq_err *err);

#endif
