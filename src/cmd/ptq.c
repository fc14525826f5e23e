#include "cmd/cmd.h"

static const char *const sections[] = {"data", "synth", "ptq", "run", NULL};
static const struct eq_command_spec spec = {
    .name = "ptq",
    .arguments = "",
    .about =
        "Quantizes a trained FP32 model to INT8: folds batch norm, observes activations on training clips, rounds the\n"
        "weights (per channel, symmetric) and writes a model that runs in integers only.\n\n"
        "Reads fp32.safetensors of the run directory, or the file of --model. Writes ptq.safetensors there.\n"
        "--force makes it anew where it is there already.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_MODEL | EQ_OPT_FORCE,
    .sections = sections,
};

enum eq_status eq_cmd_ptq(int argc, char **argv, struct eq_err *err)
{
    return eq_cmd_quantize(&spec, EQ_PHASE_PTQ, eq_run_ptq, argc, argv, err);
}
