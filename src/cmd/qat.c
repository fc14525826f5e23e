#include "cmd/cmd.h"

static const char *const sections[] = {
    "data", "synth", "qat", "ptq", "train.loss", "train.flip", "train.shift", "train.random_phase", "train.grad_clip",
    "run",  NULL};
static const struct eq_command_spec spec = {
    .name = "qat",
    .arguments = "",
    .about =
        "Trains a trained FP32 model further with fake-quantized weights and activations, then lowers it to INT8 like\n"
        "ptq does. Every epoch validates the integer model that would be shipped; the best one is kept.\n\n"
        "Reads fp32.safetensors of the run directory, or the file of --model. Writes there: qat.safetensors,\n"
        "history/qat.csv, and state/ while it runs. Interrupted, the same command goes on with the same bits.\n"
        "--force makes it anew where it is there already.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_MODEL | EQ_OPT_FORCE,
    .sections = sections,
};

enum eq_status eq_cmd_qat(int argc, char **argv, struct eq_err *err)
{
    return eq_cmd_quantize(&spec, EQ_PHASE_QAT, eq_run_qat, argc, argv, err);
}
