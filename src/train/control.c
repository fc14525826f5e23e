/* The control of QAT: the baseline trained on like QAT does it, without fake-quant (the row FP32+). Only against this
 * one can QAT's gain be told from that of more training. */
#include "train/finetune.h"

#include <stdlib.h>

struct control {
    const struct eq_config *cfg;
    struct eq_graph *graph;
};

static enum eq_status enter_epoch(void *ctx, struct eq_trainer *t, int epoch, struct eq_err *err)
{
    (void)err;
    eq_finetune_freeze_bn(((struct control *)ctx)->cfg, t->graph, epoch);
    return EQ_OK;
}

enum eq_status eq_run_control(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                              struct eq_err *err)
{
    enum eq_status st;
    struct control job = {.cfg = cfg};
    struct eq_str signature = {0};
    EQ_TRY(eq_run_make_dirs(cfg->run.dir, err));
    EQ_TRY(eq_load_baseline(cfg, model_path, &job.graph, err));
    EQ_TRY(eq_fuse(job.graph, err));
    eq_finetune_signature(cfg, ds, job.graph, &signature);
    struct eq_finetune f = {
        .cfg = cfg,
        .ds = ds,
        .name = eq_phase_model(EQ_PHASE_CONTROL)->name,
        .model_path = model_path,
        .graph = job.graph,
        .ops = {.enter_epoch = enter_epoch, .open_predictor = eq_fp32_predictor, .save = eq_fp32_save, .ctx = &job},
        .signature = signature.s};
    EQ_TRY(eq_finetune_run(&f, err));
out:
    eq_graph_free(job.graph);
    eq_str_clear(&signature);
    return st;
}
