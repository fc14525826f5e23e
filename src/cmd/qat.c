#include "cmd/cmd.h"

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const char *model = s->options.model;
    enum eq_status st =
        s->options.control ? eq_run_control(s->cfg, &s->data, model, err) : eq_run_qat(s->cfg, &s->data, model, err);
    return eq_print_model(s, st, err);
}

const struct eq_command eq_cmd_qat = {
    .name = "qat",
    .summary = "quantize a model by quantization-aware training (QAT)",
    .arguments = "",
    .about = "Trains a trained FP32 model further with fake-quantized weights and activations, then lowers "
             "it to INT8 as ptq does. The integer model is validated at the start (epoch 0, before any "
             "step) and after every epoch, and the best one is kept. If that is the start, the command "
             "says so.\n\n"
             "Reads fp32.safetensors of the run directory, or the file of --model. Writes qat.safetensors "
             "and history/qat.csv into the run directory, quantization/qat.json (as ptq does, without layers), "
             "and state/ while it runs. After an interruption, "
             "run the same command to resume; the result is identical. --force replaces an existing "
             "qat.safetensors.\n\n"
             "--control trains FP32+, the model to compare QAT with. FP32+ is the baseline trained further "
             "with the same settings qat.* and the same clips, but without fake-quant. Writes "
             "fp32_plus.safetensors and history/fp32_plus.csv.\n\n"
             "If the model exists and was made with the same settings and data, the command only names it. "
             "--json prints one object: model, path, precision, bytes, made (false: it existed).\n",
    .example = "--run runs/first --set qat.epochs=2",
    .options = EQ_OPT_CONTROL | EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE |
               EQ_OPT_MODEL | EQ_OPT_FORCE | EQ_OPT_JSON,
    .sections = (const char *const[]){"data", "synth", "qat", "ptq", "train.loss", "train.flip", "train.shift",
                                      "train.random_phase", "train.grad_clip", "dist", "run", NULL},
    .needs = EQ_NEED_RUN | EQ_NEED_BASELINE | EQ_NEED_DATA | EQ_NEED_OTHERS,
    .phase = EQ_PHASE_QAT,
    .run = run,
};
