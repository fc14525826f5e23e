/*
 * Further training of the baseline. QAT and its FP32 control (the row FP32+) share it, so that they differ in
 * fake-quant alone: clips and their order, epochs, batch, optimizer, schedule, loss, freezing of batch norm and choice
 * of the epoch are the same, all by the settings qat.*.
 */
#ifndef TRAIN_FINETUNE_H
#define TRAIN_FINETUNE_H

#include "train/trainer.h"

struct eq_finetune {
    const struct eq_config *cfg;
    const struct eq_dataset *ds;
    const char *name;           /* "qat", "fp32_plus": <run>/<name>.safetensors, history/<name>.csv, state/ */
    const char *model_path;     /* the baseline's file; NULL: the run's */
    const char *const *shaping; /* the settings that affect the result */
    /* Adds to the fused baseline, job->graph, to the job and to its signature what the control lacks; NULL: nothing. */
    enum eq_status (*prepare)(void *ctx, struct eq_train_job *job, struct eq_str *signature, struct eq_err *err);
    void *ctx;
};
/* Loads the baseline, prepares the job and runs it. Errors as from eq_load_baseline and eq_fit. */
enum eq_status eq_finetune(const struct eq_finetune *f, struct eq_err *err);

#endif
