#include "cmd/cmd.h"

#include <cjson/cJSON.h>

static const char *const sections[] = {"data", "synth", "ptq", "sensitivity", "run", NULL};
static const struct eq_command_spec spec = {
    .name = "sensitivity",
    .arguments = "[LAYER...]",
    .about =
        "Shows where the error of PTQ comes from: for each layer, or only for those named, how much noise "
        "quantization\n"
        "puts on its weights and its output, alone and with all layers before it; what happens to EF and MAE when "
        "only\n"
        "this layer is quantized, and when all but this one are; how well its range fits; channels that never "
        "change.\n\n"
        "Reads fp32.safetensors of the run directory, or the file of --model, and quantizes it as ptq.* says; changes "
        "no\n"
        "model. Writes sensitivity.json and plots/sensitivity.svg there, which a later report shows, too. It runs the\n"
        "network three times for each layer and clip: sensitivity.clips is small for that reason.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_MODEL | EQ_OPT_JSON,
    .max_args = 256,
    .sections = sections,
};

static enum eq_status print(const char *run_dir, bool json, struct eq_err *err)
{
    struct cJSON *found = NULL;
    struct eq_str text = {0};
    enum eq_status st;
    EQ_TRY(eq_sensitivity_read(run_dir, &found, err));
    if (json) {
        eq_print_json(found);
    } else {
        eq_sensitivity_text(found, &text);
        fputs(text.s, stdout);
    }
out:
    cJSON_Delete(found);
    eq_str_clear(&text);
    return st;
}

enum eq_status eq_cmd_sensitivity(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    struct eq_dataset ds = {0};
    struct eq_run_lock lock = {0};
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    const struct eq_config *cfg = &o.settings.config;
    EQ_TRY(eq_run_admit(&o.settings, EQ_PHASE_SENSITIVITY, false, err));
    EQ_TRY(eq_run_need_model(cfg->run.dir, "fp32", o.model, err));
    EQ_TRY(eq_run_check_sensitivity(cfg, o.model, o.args, o.n_args, err));
    EQ_TRY(eq_run_lock(&lock, cfg->run.dir, err));
    EQ_TRY(eq_run_open_data(cfg, &ds, err));
    EQ_TRY(eq_run_enter(&o.settings, EQ_PHASE_SENSITIVITY, false, err));
    EQ_TRY(eq_run_sensitivity(cfg, &ds, o.model, o.args, o.n_args, err));
    EQ_TRY(eq_report_draw_sensitivity(cfg->run.dir, err));
    EQ_TRY(print(cfg->run.dir, o.json, err));
out:
    eq_dataset_clear(&ds);
    eq_run_unlock(&lock);
    eq_options_clear(&o);
    return st;
}
