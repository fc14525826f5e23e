#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <unistd.h>

static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    return eq_run_check_sensitivity(&o->settings.config, o->model, o->args, o->n_args, err);
}

static enum eq_status print(const char *run_dir, bool json, struct eq_err *err)
{
    struct cJSON *found = NULL;
    struct eq_str text = {0};
    enum eq_status st;
    EQ_TRY(eq_sensitivity_read(run_dir, &found, err));
    if (json) {
        EQ_TRY(eq_print_json(found, err));
    } else {
        eq_sensitivity_text(found, eq_columns(STDOUT_FILENO), &text);
        eq_print_text(text.s);
    }
out:
    cJSON_Delete(found);
    eq_str_clear(&text);
    return st;
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    struct eq_ptq_inputs in;
    enum eq_status st;
    EQ_TRY(eq_sensitivity_open(s->cfg, &s->data, o->model, &in, err));
    EQ_TRY(eq_run_sensitivity(&s->cfg->ptq, &in, o->args, o->n_args, err));
    EQ_TRY(eq_report_draw_sensitivity(s->cfg->run.dir, err));
    EQ_TRY(print(s->cfg->run.dir, o->json, err));
out:
    eq_ptq_close(&in);
    return st;
}

const struct eq_command eq_cmd_sensitivity = {
    .name = "sensitivity",
    .summary = "show which layers quantization hurts, and why",
    .arguments = "[LAYER...] [FILE] [DIR]",
    .about = "Shows where the error of PTQ comes from. For every layer, or only for the layers on the "
             "command line, it measures\n\n"
             "  - the noise that quantization puts on the weights and on the output, alone and with all "
             "earlier layers quantized;\n"
             "  - the change of EF and MAE if only this layer is quantized, and if all layers but this one "
             "are;\n"
             "  - how well the range of the layer fits, and the channels that never change.\n\n"
             "Reads fp32.safetensors of the run directory (DIR, or --run DIR), or FILE (--model FILE), and "
             "quantizes it with the settings ptq.*. Changes no model. Writes sensitivity.json and "
             "plots/sensitivity.svg into the run directory; a later report shows both.\n\n"
             "The network runs three times for each layer and clip, so keep sensitivity.clips small.\n",
    .example = "runs/first",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_MODEL | EQ_OPT_JSON,
    .max_args = 256,
    .accepts = EQ_ARG_RUN | EQ_ARG_MODEL,
    .sections = (const char *const[]){"data", "synth", "ptq", "sensitivity", "report.margin", "run", NULL},
    .needs = EQ_NEED_RUN | EQ_NEED_DATA,
    .phase = EQ_PHASE_SENSITIVITY,
    .check = check,
    .run = run,
};
