/*
 * Training on from the baseline: what QAT and its FP32 control (the row FP32+) have in common, so that they differ in
 * fake-quant and in nothing else: clips and their order, epochs, batch, optimizer, schedule, loss, when batch norm
 * freezes, which epoch is kept. All of it is in the settings qat.*.
 */
#ifndef TRAIN_FINETUNE_H
#define TRAIN_FINETUNE_H

#include "train/trainer.h"

struct eq_finetune {
    const struct eq_config *cfg;
    const struct eq_dataset *ds;
    const char *name;           /* "qat", "fp32_plus": <run>/<name>.safetensors, history/<name>.csv, state/ */
    const char *model_path;     /* the baseline's file; NULL: the run's */
    const char *const *shaping; /* the settings that shape the result */
    /* Puts on the fused baseline, job->graph, what this training has beyond the control's, and adds to the job and to
     * the lines of its signature; NULL: nothing. */
    enum eq_status (*prepare)(void *ctx, struct eq_train_job *job, struct eq_str *signature, struct eq_err *err);
    void *ctx;
};
enum eq_status eq_finetune(const struct eq_finetune *f, struct eq_err *err);

#endif
