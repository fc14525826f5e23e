/* What PTQ and sensitivity work on: the baseline, clips, and where the result goes. */
#include "echoquant/ptq.h"

#include <stdlib.h>

/* result: free with free(); taken over. */
static enum eq_status open_common(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                                  char *result, struct eq_ptq_inputs *out, struct eq_err *err)
{
    enum eq_status st;
    *out = (struct eq_ptq_inputs){
        .model = eq_run_model_path(cfg->run.dir, eq_phase_model(EQ_PHASE_TRAIN)->name, model_path), .result = result};
    EQ_TRY(eq_run_make_dirs(cfg->run.dir, err));
    EQ_TRY(eq_load_baseline(cfg, model_path, &out->trained, err));
    EQ_TRY(eq_calibration_open(cfg, ds, &out->clips, err));
out:
    return st;
}

enum eq_status eq_ptq_open(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                           struct eq_ptq_inputs *out, struct eq_err *err)
{
    enum eq_status st;
    char *result = eq_run_model_path(cfg->run.dir, eq_phase_model(EQ_PHASE_PTQ)->name, NULL);
    EQ_TRY(open_common(cfg, ds, model_path, result, out, err));
    out->parts = eq_quantization_path(cfg->run.dir, eq_phase_model(EQ_PHASE_PTQ)->name);
    EQ_TRY(eq_parts_open(cfg, ds, &out->study, err));
    if (cfg->ptq.max_mae_loss > 0) {
        EQ_TRY(eq_run_loader(cfg, ds, EQ_SPLIT_VAL, 0, 1, &out->val, err));
        EQ_TRY(eq_spread_open(cfg, ds, EQ_SPLIT_VAL, &out->few, err));
    }
out:
    return st;
}

enum eq_status eq_sensitivity_open(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                                   struct eq_ptq_inputs *out, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(open_common(cfg, ds, model_path, eq_path_join(cfg->run.dir, "sensitivity.json"), out, err));
    if (cfg->sensitivity.split == EQ_SPLIT_TEST)
        EQ_TRY(eq_results_state_margin(cfg->run.dir, cfg->report.margin, err));
    EQ_TRY(eq_spread_open(cfg, ds, cfg->sensitivity.split, &out->few, err));
out:
    return st;
}

void eq_ptq_close(struct eq_ptq_inputs *in)
{
    eq_calibration_close(&in->clips);
    eq_calibration_close(&in->few);
    eq_calibration_close(&in->study);
    eq_loader_free(in->val);
    eq_graph_free(in->trained);
    free(in->model);
    free(in->result);
    free(in->parts);
}
