#include "cmd/cmd.h"

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    struct eq_ptq_inputs in;
    enum eq_status st = eq_ptq_open(s->cfg, &s->data, s->options.model, &in, err);
    if (st == EQ_OK)
        st = eq_run_ptq(&s->cfg->ptq, &in, err);
    eq_ptq_close(&in);
    return eq_print_model(s, st, err);
}

const struct eq_command eq_cmd_ptq = {
    .name = "ptq",
    .summary = "quantize a trained model (PTQ)",
    .arguments = "",
    .about = "Quantizes a trained FP32 model to INT8: folds batch norm, observes activations on training "
             "clips, and rounds the weights (per channel, symmetric). The result is a model that runs in "
             "integers only.\n\n"
             "Reads fp32.safetensors of the run directory, or the file of --model. Writes ptq.safetensors "
             "into the run directory, and quantization/ptq.json, which shows in the report what weights and "
             "activations add to the error, how ranges fit, and what each layer would cost and gain in FP32. "
             "--force replaces an existing model. With ptq.max_mae_loss above 0, it "
             "also measures the increase in MAE on the validation split and returns layers to FP32 until "
             "the increase is within that limit.\n\n"
             "If the model exists and was made with the same settings and data, the command only names it. "
             "--json prints one object: model, path, precision, bytes, made (false: it existed).\n",
    .example = "--run runs/first",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_MODEL | EQ_OPT_FORCE |
               EQ_OPT_JSON,
    .sections = (const char *const[]){"data", "synth", "ptq", "run", NULL},
    .needs = EQ_NEED_RUN | EQ_NEED_BASELINE | EQ_NEED_DATA,
    .phase = EQ_PHASE_PTQ,
    .run = run,
};
