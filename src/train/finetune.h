/*
 * Training on behind the baseline: what QAT and its FP32 control (the row FP32+) have in common, so that they differ in
 * fake-quant and in nothing else: clips and their order, epochs, batch, optimizer, schedule, loss, when batch norm
 * freezes, which epoch is kept. All of it is in the settings qat.*.
 */
#ifndef TRAIN_FINETUNE_H
#define TRAIN_FINETUNE_H

#include "train/trainer.h"

struct eq_finetune {
    const struct eq_config *cfg;
    const struct eq_dataset *ds;
    const char *name;       /* "qat", "fp32_plus": <run>/<name>.safetensors, history/<name>.csv, state/ */
    const char *model_path; /* the baseline's file; NULL: the run's */
    struct eq_graph *graph;
    struct eq_trainer_ops ops;
    struct eq_walk_hook hook; /* on the training executor; on_edge NULL: none */
    char *signature;
};
/* The signature: sections are the settings that shape the result; baseline: the graph before its first step. */
void eq_finetune_signature(const struct eq_config *cfg, const struct eq_dataset *ds, const struct eq_graph *baseline,
                           const char *const *sections, struct eq_str *out);
/* first_epoch: a setting qat.freeze_*, counted from 1, 0: never; epoch: from 0. */
bool eq_finetune_frozen(int first_epoch, int epoch);
/* qat.freeze_bn_epoch, for enter_epoch. */
void eq_finetune_freeze_bn(const struct eq_config *cfg, struct eq_graph *g, int epoch);
enum eq_status eq_finetune_run(const struct eq_finetune *f, struct eq_err *err);

#endif
