/* What ptq and qat share: an FP32 model in, <run>/<name>.safetensors out. */
#include "cmd/cmd.h"

enum eq_status eq_cmd_derive(const struct eq_options *o, const struct eq_derived_model *model, struct eq_err *err)
{
    const struct eq_config *cfg = &o->settings.config;
    struct eq_dataset ds = {0};
    enum eq_status st;
    struct eq_run_lock lock = {0};
    EQ_TRY(eq_run_admit(&o->settings, model->phase, o->force, err));
    EQ_TRY(eq_run_need_model(cfg->run.dir, eq_phase_model(EQ_PHASE_TRAIN)->name, o->model, err));
    EQ_TRY(eq_run_check_baseline(cfg, o->model, err));
    EQ_TRY(eq_run_lock(&lock, cfg->run.dir, err));
    EQ_TRY(eq_run_open_data(cfg, &ds, err));
    EQ_TRY(eq_run_enter(&o->settings, model->phase, o->force, err));
    EQ_TRY(model->run(cfg, &ds, o->model, err));
    printf("%s/%s.safetensors\n", cfg->run.dir, eq_phase_model(model->phase)->file);
out:
    eq_dataset_clear(&ds);
    eq_run_unlock(&lock);
    return st;
}
