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
        "--force makes it anew where it is there already.\n\n"
        "--control trains the model that QAT has to be compared with, FP32+ in the table: the baseline trained on "
        "with\n"
        "the same settings qat.* and the same clips, but without fake-quant. Writes fp32_plus.safetensors and\n"
        "history/fp32_plus.csv.\n",
    .options = EQ_OPT_CONTROL | EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE |
               EQ_OPT_MODEL | EQ_OPT_FORCE,
    .sections = sections,
};

enum eq_status eq_cmd_qat(int argc, char **argv, struct eq_err *err)
{
    static const struct eq_derived_model qat = {EQ_PHASE_QAT, eq_run_qat};
    static const struct eq_derived_model control = {EQ_PHASE_CONTROL, eq_run_control};
    struct eq_options o;
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    st = eq_cmd_derive(&o, o.control ? &control : &qat, err);
    eq_options_clear(&o);
    return st;
}
