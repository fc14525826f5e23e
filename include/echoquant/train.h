/* train: training, and training on: the FP32 baseline, QAT, and its FP32 control. */
#ifndef ECHOQUANT_TRAIN_H
#define ECHOQUANT_TRAIN_H

#include "echoquant/infer.h"
#include "echoquant/rundir.h"

/* Trains the FP32 baseline into <run>/fp32.safetensors, history/fp32.csv, state/. Resumes from state/ when it is
 * there. */
enum eq_status eq_run_train(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err);
/* <run>/fp32.safetensors (or model_path) -> <run>/qat.safetensors, history/qat.csv. */
enum eq_status eq_run_qat(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err);
/* The same training without fake-quant -> <run>/fp32_plus.safetensors, history/fp32_plus.csv: what QAT is to be
 * compared with. */
enum eq_status eq_run_control(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                              struct eq_err *err);

#endif
