/* What ptq and qat share: an FP32 model in, <run>/<name>.safetensors out. */
#include "cmd/cmd.h"

enum eq_status eq_cmd_quantize(const struct eq_command_spec *spec, enum eq_phase phase, eq_quantize_fn run, int argc,
                               char **argv, struct eq_err *err)
{
    struct eq_options o;
    struct eq_dataset ds = {0};
    enum eq_status st = eq_options_init(&o, spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    const struct eq_config *cfg = &o.settings.config;
    EQ_TRY(eq_run_need_model(cfg->run.dir, "fp32", o.model, err));
    EQ_TRY(eq_run_admit(&o.settings, phase, o.force, err));
    EQ_TRY(eq_run_check_baseline(cfg, o.model, err));
    EQ_TRY(eq_run_open_data(cfg, &ds, err));
    EQ_TRY(eq_run_enter(&o.settings, phase, o.force, err));
    EQ_TRY(run(cfg, &ds, o.model, err));
    printf("%s/%s.safetensors\n", cfg->run.dir, spec->name);
out:
    eq_dataset_clear(&ds);
    eq_options_clear(&o);
    return st;
}
