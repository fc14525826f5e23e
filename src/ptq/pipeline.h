/* PTQ as the settings describe it, for the command, for search, mixed precision and sensitivity. */
#ifndef PTQ_PIPELINE_H
#define PTQ_PIPELINE_H

#include "echoquant/ptq.h"

struct eq_ptq {
    struct eq_graph *fp32;  /* folded, fused, equalized if asked for: the graph that the other one approximates */
    struct eq_graph *graph; /* the same with fake-quant: calibrated, improved, ready to lower */
    bool *kept;             /* [n_nodes]: the layers that stay in FP32; owned */
    size_t clips;           /* that calibrated; 0 before */
    float *ef;              /* [clips], theirs in FP32; owned; NULL if several processes calibrated */
    /* Of eq_ptq_make_within, owned; NULL otherwise. */
    char *keep_fp32;     /* replaces ptq.keep_fp32 */
    struct cJSON *mixed; /* the steps that led to it */
    struct cJSON *tries; /* all networks on the way, with size and latency (struct eq_tries) */
};
/* trained stays as it is. Clear *out only on success. */
enum eq_status eq_ptq_make(const struct eq_ptq_opts *opts, const struct eq_graph *trained, struct eq_calibration *clips,
                           struct eq_ptq *out, struct eq_err *err);
/* The same with max_mae_loss: beside the layers of keep_fp32, as many others stay in FP32 as the limit on the
 * validation split takes. */
enum eq_status eq_ptq_make_within(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, struct eq_ptq *out,
                                  struct eq_err *err);
void eq_ptq_clear(struct eq_ptq *p);
/* lower.c: the integer model of p->graph, with a recipe: the settings that made it, p->keep_fp32 and p->mixed if there
 * are any, and the search that found the settings (NULL: none). Free *out with eq_qmodel_free. */
enum eq_status eq_ptq_lower(const struct eq_ptq_opts *opts, const struct eq_ptq *p, const struct cJSON *search,
                            struct eq_qmodel **out, struct eq_err *err);
/* Calibrates p->graph. */
enum eq_status eq_ptq_calibrate(struct eq_ptq *p, const struct eq_ptq_opts *opts, struct eq_calibration *clips,
                                struct eq_err *err);
/* Its two halves, for a search: before calibration, and after it, on the calibrated graph or a clone of it. kept: those
 * of the first half. */
enum eq_status eq_ptq_begin(const struct eq_ptq_opts *opts, const struct eq_graph *trained,
                            struct eq_calibration *clips, struct eq_ptq *out, struct eq_err *err);
enum eq_status eq_ptq_finish(const struct eq_ptq_opts *opts, const bool *kept, struct eq_graph *calibrated,
                             struct eq_calibration *clips, struct eq_err *err);
struct eq_observer_opts eq_observer_opts_of(const struct eq_ptq_opts *opts);
/* With opts->search, else nothing happens: tries observers, then the switches one by one, and puts the best into *opts.
 * Fits on one half of the clips and judges on the other, by the mean squared difference between the integer model's EF
 * and FP32's. *path: the tries in order; delete with cJSON_Delete; NULL without a search. */
enum eq_status eq_ptq_search(struct eq_ptq_opts *opts, const struct eq_ptq_inputs *in, struct cJSON **path,
                             struct eq_err *err);
/* Which nodes of a folded and fused graph keep_fp32 names, as keep[n_nodes]; an unknown name is EQ_USAGE. */
enum eq_status eq_ptq_kept_layers(const char *keep_fp32, const struct eq_graph *g, bool *keep, struct eq_err *err);
/* The settings that had an effect as one object, with the number of clips that calibrated in place of ptq.clips; delete
 * with cJSON_Delete. */
struct cJSON *eq_ptq_recipe(const struct eq_ptq_opts *opts, size_t clips);

/* tries.c: the networks that mixed precision measures on its way. Their times stay out of the model's recipe, which
 * would differ each time. Init with {0}, free with eq_tries_clear. */
struct eq_tries {
    struct cJSON *json;    /* "threads", "cpu", "clips" (of the MAE), and "list" */
    struct cJSON *current; /* the one that the model is now; borrowed from the list */
    uint8_t *pixels;       /* the clip that times them */
};
/* The first of the clips times them. */
enum eq_status eq_tries_begin(struct eq_tries *t, struct eq_calibration *clips, struct eq_err *err);
/* Adds the network that p runs: layer went to FP32 or INT8 (to), keep_fp32 makes it, mae is its validation error over
 * `val` clips. Measures its latency. */
struct eq_try {
    const char *layer, *to, *keep_fp32;
    double mae, val;
};
enum eq_status eq_tries_add(struct eq_tries *t, const struct eq_try *one, struct eq_predictor *p, struct eq_err *err);
void eq_tries_choose(struct eq_tries *t); /* the last one added is "chosen", and no other */
void eq_tries_clear(struct eq_tries *t);

/* check.c: compares the integer model with the baseline on the calibration clips. Says how far their EFs are apart
 * (root mean square), and warns above EQ_PTQ_BROKEN EF points: INT8 at its best differs by a few tenths.
 * EQ_INTERRUPTED. */
#define EQ_PTQ_BROKEN 2.0
enum eq_status eq_ptq_check(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, const struct eq_ptq *ptq,
                            struct eq_predictor *quantized, struct eq_err *err);

/* FP32's EFs on some clips, and their MAE; borrowed. */
struct eq_part_error {
    const float *fp32;
    double mae;
};
/* part_error.c: the MAE of ef[n] on these clips. */
double eq_part_mae(const struct eq_calibration *clips, const float *ef, size_t n);
/* part_error.c: adds "rms_from_fp32" and "mae_change" of the EFs ef[n] on these clips. */
void eq_part_error_add(struct cJSON *json, const struct eq_part_error *errors, const struct eq_calibration *clips,
                       const float *ef, size_t n);
/* layers.c: adds "layers", with what every layer would cost and gain in FP32, and "int8_ms". quantized: ptq,
 * lowered. */
enum eq_status eq_layers_measure(const struct eq_ptq *ptq, struct eq_predictor *quantized, struct eq_calibration *clips,
                                 const struct eq_part_error *errors, struct cJSON *json, struct eq_err *err);
/* parts.c: writes both, and what eq_parts_write does, to in->parts. */
enum eq_status eq_ptq_study(struct eq_ptq_inputs *in, const struct eq_ptq *ptq, struct eq_predictor *quantized,
                            struct eq_err *err);

#endif
