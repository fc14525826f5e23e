/*
 * The training loop that the FP32 baseline and QAT share: epochs, micro-batches, optimizer, schedule, validation, the
 * best checkpoint, early stopping, and a state file from which a run goes on with the same bits.
 *
 *   state/<name>.state.safetensors   where the run stands: parameters, moments, fake-quant, position, history
 *   state/<name>.best.safetensors    the best model so far, as it would be shipped
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "echoquant/train.h"

/* QAT's signature ends with this line, which states of version 0.1.0 lack: they go on. */
#define EQ_SIGNATURE_START "start of ranges="

/* trainer_state.c */
enum eq_status eq_trainer_save_state(const struct eq_trainer *t, struct eq_err *err);
/* *resumed: whether there was a state. A state of other settings is refused with the list of what changed. */
enum eq_status eq_trainer_load_state(struct eq_trainer *t, bool *resumed, struct eq_err *err);
char *eq_trainer_state_path(const struct eq_trainer *t, const char *kind); /* "state", "best"; free() */

/* history.c: <run>/history/<name>.csv */
enum eq_status eq_history_write(const struct eq_trainer *t, struct eq_err *err);

/* A signature: the settings of these sections, the ISA level, and a hash of the clips, a "key=value" line each. */
void eq_signature_add(const struct eq_config *cfg, const struct eq_dataset *ds, const char *const *sections,
                      struct eq_str *out);

/* Runs (or goes on) to the end and moves the best model to model_path. */
enum eq_status eq_trainer_run(struct eq_trainer *t, const char *model_path, struct eq_err *err);

#endif
