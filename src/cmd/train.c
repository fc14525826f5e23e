#include "cmd/cmd.h"

static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    return eq_precision_check(o->settings.config.train.precision, err);
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    return eq_print_model(s, eq_run_train(s->cfg, &s->data, err), err);
}

const struct eq_command eq_cmd_train = {
    .name = "train",
    .summary = "train the FP32 baseline",
    .arguments = "",
    .about = "Trains the FP32 baseline on the training split: ResNet-18 on each frame, averaged over the "
             "frames, one EF for each clip. Keeps the epoch with the lowest MAE on the validation split.\n\n"
             "Writes fp32.safetensors, history/fp32.csv, and config.json into the run directory, and "
             "state/ while it runs. After an interruption (Ctrl-C, kill, power cut), run the same command "
             "to resume; the result is identical to that of an uninterrupted run. --force starts over: it "
             "removes everything that an earlier run left in the run directory, including quantized "
             "models.\n\n"
             "If the model exists and was made with the same settings and data, the command only names it. "
             "--json prints one object: model, path, precision, bytes, made (false: it existed).\n",
    .example = "--config configs/default.json --run runs/first",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_FORCE | EQ_OPT_JSON,
    .sections = (const char *const[]){"data", "synth", "model", "train", "dist", "run", NULL},
    .needs = EQ_NEED_RUN | EQ_NEED_DATA | EQ_NEED_OTHERS,
    .phase = EQ_PHASE_TRAIN,
    .check = check,
    .run = run,
};
