/* ptq: INT8 without training: calibration, post-training quantization, sensitivity. */
#ifndef ECHOQUANT_PTQ_H
#define ECHOQUANT_PTQ_H

#include "echoquant/infer.h"
#include "echoquant/rundir.h"

/* The inputs of PTQ and of its sensitivity, opened once for a phase. Sources of clips refer to it: it must stay where
 * it was opened. */
struct eq_ptq_inputs {
    struct eq_graph *trained;    /* the baseline; owned */
    struct eq_calibration clips; /* to calibrate on */
    struct eq_calibration few;   /* to look at single layers with: sensitivity.clips of a split */
    struct eq_calibration study; /* of eq_parts_open */
    struct eq_loader *val;       /* the validation split, a clip a batch; owned; NULL without ptq.max_mae_loss */
    char *model, *result;        /* paths of the baseline and of the file to write; owned */
    char *parts;                 /* path of the file of eq_parts_write; owned; NULL for sensitivity */
};
/* For PTQ: makes the folders of the run directory and opens the baseline (model_path, or else <run>/fp32.safetensors),
 * calibration clips, the clips of eq_parts_open, and with ptq.max_mae_loss the validation split. ds must outlive
 * *out. Close it also on failure. */
enum eq_status eq_ptq_open(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                           struct eq_ptq_inputs *out, struct eq_err *err);
/* The same for sensitivity, with clips of sensitivity.split. */
enum eq_status eq_sensitivity_open(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                                   struct eq_ptq_inputs *out, struct eq_err *err);
void eq_ptq_close(struct eq_ptq_inputs *in);

/* What weights and activations add to the error of a quantized model, and how its ranges fit: sensitivity.clips clips,
 * but at most EQ_PARTS_CLIPS, of the validation split, or, if that is empty, of the training split. */
enum { EQ_PARTS_CLIPS = 8 };
enum eq_status eq_parts_open(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_calibration *out,
                             struct eq_err *err);
/* Measures that on the clips (eq_parts_measure) and writes it to path, <run>/quantization/<name>.json. */
enum eq_status eq_parts_write(const char *path, const char *name, struct eq_calibration *clips,
                              const struct eq_graph *fp32, const struct eq_graph *calibrated, struct eq_err *err);

/* Quantizes the baseline and writes <run>/ptq.safetensors, and <run>/quantization/ptq.json before it. */
enum eq_status eq_run_ptq(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, struct eq_err *err);
/* Writes where quantization's error comes from, layer by layer, to <run>/sensitivity.json. opts: how PTQ quantizes;
 * layers[n_layers]: only these; n_layers 0: all of them. Closes in->clips on the way. */
enum eq_status eq_run_sensitivity(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, char *const *layers,
                                  int n_layers, struct eq_err *err);
/* Refuses what sensitivity would refuse of model and layers, before any data is opened. */
enum eq_status eq_run_check_sensitivity(const struct eq_config *cfg, const char *model_path, char *const *layers,
                                        int n_layers, struct eq_err *err);

/* Calibrates with the observer of the settings; weight scales are min-max. Checks zero channels first. *used: how many
 * clips calibrated. ef: [clips->n], gets their EFs before anything was rounded; NULL: not wanted, or processes share
 * the clips. */
enum eq_status eq_calibrate_on(struct eq_calibration *clips, const struct eq_ptq_opts *opts, struct eq_graph *prepared,
                               size_t *used, float *ef, struct eq_err *err);
/* Refuses layers with channels whose weights are all 0 (EQ_NUMERIC), or only warns of them. */
enum eq_status eq_check_zero_channels(const struct eq_graph *g, enum eq_zero_channels policy, struct eq_err *err);

#endif
