/* ptq: INT8 without training: calibration, post-training quantization, sensitivity. */
#ifndef ECHOQUANT_PTQ_H
#define ECHOQUANT_PTQ_H

#include "echoquant/infer.h"
#include "echoquant/rundir.h"

/* <run>/fp32.safetensors (or model_path) -> <run>/ptq.safetensors. */
enum eq_status eq_run_ptq(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err);
/* Where quantization's error comes from, layer by layer: <run>/sensitivity.json and its picture in plots/. model_path
 * as for PTQ, whose settings say how it is quantized; layers[n_layers]: only these, 0: all of them. */
enum eq_status eq_run_sensitivity(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                                  char *const *layers, int n_layers, struct eq_err *err);
/* Refuses what it would refuse of model and layers, before any data is opened. */
enum eq_status eq_run_check_sensitivity(const struct eq_config *cfg, const char *model_path, char *const *layers,
                                        int n_layers, struct eq_err *err);

/* Calibrates with the observer of the settings; weight scales are min-max. A layer that has channels without weights is
 * refused, or only told of, as ptq.zero_channels says. */
enum eq_status eq_calibrate_on(struct eq_calibration *clips, const struct eq_config *cfg, struct eq_graph *prepared,
                               struct eq_err *err);
struct eq_observer_opts eq_observer_opts_of(const struct eq_config *cfg);
/* The same on clips that it opens itself. */
enum eq_status eq_calibrate_graph(struct eq_graph *prepared, const struct eq_config *cfg, const struct eq_dataset *ds,
                                  struct eq_err *err);
/* ptq.zero_channels: refuses, or warns of, layers with channels whose weights are all 0. eq_calibrate_* look, too. */
enum eq_status eq_check_zero_channels(const struct eq_graph *g, const struct eq_config *cfg, struct eq_err *err);

#endif
