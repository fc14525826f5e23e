#include "cmd/cmd.h"

static const char *const sections[] = {"data", "synth", "model", "train", "run", NULL};
static const struct eq_command_spec spec = {
    .name = "train",
    .arguments = "",
    .about =
        "Trains the FP32 baseline (ResNet-18 on each frame, mean over frames, one EF) on the training split and keeps\n"
        "the epoch with the lowest MAE on the validation split.\n\n"
        "Writes into the run directory: fp32.safetensors, history/fp32.csv, config.json, and state/ while it runs.\n"
        "Interrupted (Ctrl-C, kill, power cut), the same command goes on with the same bits.\n"
        "--force starts anew: it removes what an earlier run left in the run directory, quantized models included.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_FORCE,
    .sections = sections,
};

enum eq_status eq_cmd_train(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    struct eq_dataset ds = {0};
    struct eq_run_lock lock = {0};
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    const struct eq_config *cfg = &o.settings.config;
    EQ_TRY(eq_precision_check(cfg->train.precision, err));
    EQ_TRY(eq_run_admit(&o.settings, EQ_PHASE_TRAIN, o.force, err));
    EQ_TRY(eq_run_lock(&lock, cfg->run.dir, err));
    EQ_TRY(eq_run_open_data(cfg, &ds, err));
    EQ_TRY(eq_run_enter(&o.settings, &ds, EQ_PHASE_TRAIN, o.force, err));
    EQ_TRY(eq_run_train(cfg, &ds, err));
    printf("%s/fp32.safetensors\n", cfg->run.dir);
out:
    eq_dataset_clear(&ds);
    eq_run_unlock(&lock);
    eq_options_clear(&o);
    return st;
}
