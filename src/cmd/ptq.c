#include "cmd/cmd.h"

static const char *const sections[] = {"data", "synth", "ptq", "run", NULL};
static const struct eq_command_spec spec = {
    .name = "ptq",
    .arguments = "",
    .about =
        "Quantizes a trained FP32 model to INT8: folds batch norm, observes activations on training clips, rounds the\n"
        "weights (per channel, symmetric) and writes a model that runs in integers only.\n\n"
        "Reads fp32.safetensors of the run directory, or the file of --model. Writes ptq.safetensors there.\n"
        "With ptq.max_mae_loss above 0 it also measures what it loses on the validation split, and takes layers back "
        "to FP32\n"
        "until the loss is within. --force makes it anew where it is there already.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_MODEL | EQ_OPT_FORCE,
    .sections = sections,
};

enum eq_status eq_cmd_ptq(int argc, char **argv, struct eq_err *err)
{
    static const struct eq_derived_model ptq = {EQ_PHASE_PTQ, eq_run_ptq};
    struct eq_options o;
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    st = eq_cmd_derive(&o, &ptq, err);
    eq_options_clear(&o);
    return st;
}
