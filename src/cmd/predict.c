#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct output {
    bool json, spread;
    const char *path;        /* --output; NULL: standard output */
    struct eq_writer writer; /* of --output */
    int phases;
};

/* The float with 9 digits, as the predictions of a run have it: they restore it. */
static double shortest(float ef)
{
    char text[32];
    double value = (double)ef;
    snprintf(text, sizeof text, "%.9g", value);
    return eq_parse_double(text, &value) ? value : (double)ef;
}

static enum eq_status add_json(const struct output *o, const struct eq_clip_ef *clip, struct eq_str *text,
                               struct eq_err *err)
{
    struct cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "path", clip->path);
    eq_json_add_real(row, "ef", shortest(clip->ef));
    eq_json_add_real(row, "spread", clip->spread);
    cJSON_AddNumberToObject(row, "phases", o->phases);
    eq_json_add_real(row, "frames", clip->error ? NAN : clip->frames);
    eq_json_add(row, "note", clip->note ? cJSON_CreateString(clip->note) : cJSON_CreateNull());
    eq_json_add(row, "error", clip->error ? cJSON_CreateString(clip->error) : cJSON_CreateNull());
    enum eq_status st = eq_json_print_row(text, row, err);
    cJSON_Delete(row);
    return st;
}

static void add_csv(const struct output *o, const struct eq_clip_ef *clip, struct eq_str *text)
{
    eq_csv_add(text, clip->path);
    eq_str_add(text, ",");
    if (!clip->error)
        eq_str_add(text, "%.4f", (double)clip->ef);
    if (o->spread)
        eq_str_add(text, ",");
    if (o->spread && !clip->error)
        eq_str_add(text, "%.4f", clip->spread);
    eq_str_add(text, ",");
    eq_csv_add(text, clip->note ? clip->note : "");
    eq_str_add(text, ",");
    eq_csv_add(text, clip->error ? clip->error : "");
    eq_str_add(text, "\n");
}

static enum eq_status put(struct output *o, const struct eq_str *text, struct eq_err *err)
{
    if (o->path)
        return eq_writer_put(&o->writer, text->s, text->len, err);
    eq_print_data(text->s);
    return eq_print_flush(err); /* whoever reads along sees each EF when it is there */
}

static enum eq_status take(void *ctx, const struct eq_clip_ef *clip, struct eq_err *err)
{
    struct output *o = ctx;
    struct eq_str text = {0};
    enum eq_status st;
    if (clip->error)
        eq_warn("%s", clip->error);
    else if (clip->note && strncmp(clip->note, "damaged", 7) == 0)
        eq_warn("%s: %s", clip->path, clip->note);
    if (o->json)
        EQ_TRY(add_json(o, clip, &text, err));
    else
        add_csv(o, clip, &text);
    EQ_TRY(put(o, &text, err));
out:
    eq_str_clear(&text);
    return st;
}

static enum eq_status begin(void *ctx, struct eq_err *err)
{
    struct output *o = ctx;
    struct eq_str text = {0};
    eq_str_add(&text, o->spread ? "Path,EF,Spread,Note,Error\n" : "Path,EF,Note,Error\n");
    enum eq_status st = put(o, &text, err);
    eq_str_clear(&text);
    return st;
}

/* NULL: standard output. */
static const char *output_path(const struct eq_options *o)
{
    return o->output && strcmp(o->output, "-") != 0 ? o->output : NULL;
}

/* real: of the output; NULL: it does not exist yet. */
static enum eq_status check_input(const char *path, const char *real, struct eq_err *err)
{
    char *input = real ? eq_real_path(path) : NULL;
    enum eq_status st = EQ_OK;
    if (input && strcmp(input, real) == 0)
        st = eq_fail(err, EQ_USAGE, "--output %s is one of the inputs: name another file", path);
    free(input);
    return st;
}

/* The output must not replace what is read. */
static enum eq_status check_output(const struct eq_options *o, const struct eq_paths *list, struct eq_err *err)
{
    char *real = output_path(o) ? eq_real_path(o->output) : NULL;
    enum eq_status st;
    EQ_TRY(check_input(o->model, real, err));
    for (int i = 0; i < o->n_args; i++)
        if (o->args[i][0] == '@')
            EQ_TRY(check_input(o->args[i] + 1, real, err));
    for (size_t i = 0; i < list->n; i++)
        EQ_TRY(check_input(list->paths[i].path, real, err));
out:
    free(real);
    return st;
}

static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    if (!o->model)
        return eq_fail(err, EQ_USAGE, "predict needs --model FILE");
    EQ_CHECK(eq_predictor_check_precision(o->settings.config.run.device, o->settings.config.run.precision, err));
    for (int i = 0; i < o->n_args; i++)
        if (o->null && (o->args[i][0] == '@' || strcmp(o->args[i], "-") == 0))
            return EQ_OK;
    return o->null ? eq_fail(err, EQ_USAGE, "--null needs a list: @FILE or -") : EQ_OK;
}

/* What was predicted until the device was lost. */
static void keep_partial(struct output *o, struct eq_err *err)
{
    struct eq_err why;
    char *lost = eq_strdup(err->msg), *path = eq_format("%s.partial", o->path);
    free(o->writer.path);
    o->writer.path = eq_strdup(path);
    if (eq_writer_commit(&o->writer, &why) == EQ_OK)
        eq_fail(err, EQ_IO, "%s. The predictions so far are in %s", lost, path);
    free(lost);
    free(path);
}

static enum eq_status predict(const struct eq_session *s, const struct eq_paths *list, struct output *out,
                              struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    const struct eq_config *cfg = s->cfg;
    const bool given = eq_settings_given(&o->settings, "data.on_error");
    const struct eq_predict_opts opts = {
        .model = o->model,
        .precision = cfg->run.precision,
        .device = s->device,
        .phases = cfg->eval.phases,
        .on_error = given ? cfg->data.on_error : EQ_ON_ERROR_SKIP,
        .begin = out->json ? NULL : begin,
        .take = take,
        .ctx = out,
        .progress = out->path || !isatty(STDOUT_FILENO),
    };
    size_t failed;
    enum eq_status st = eq_predict_files(list, &opts, &failed, err);
    if (st == EQ_IO && s->device && out->path && out->writer.tmp_path)
        keep_partial(out, err);
    EQ_CHECK(st);
    if (out->path)
        EQ_CHECK(eq_writer_commit(&out->writer, err));
    return failed ? eq_fail(err, EQ_FORMAT, "%zu of %zu clip%s could not be predicted", failed, list->n,
                            eq_plural((double)list->n))
                  : EQ_OK;
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    struct output out = {
        .json = o->json, .spread = s->cfg->eval.phases > 1, .path = output_path(o), .phases = s->cfg->eval.phases};
    struct eq_paths list = {0};
    enum eq_status st;
    for (int i = 0; i < o->n_args; i++)
        EQ_TRY(eq_paths_add(&list, o->args[i], o->null ? '\0' : '\n', err));
    EQ_TRY(check_output(o, &list, err));
    if (out.path)
        EQ_TRY(eq_writer_open(&out.writer, out.path, err));
    EQ_TRY(predict(s, &list, &out, err));
out:
    eq_writer_abort(&out.writer);
    eq_paths_clear(&list);
    return st;
}

const struct eq_command eq_cmd_predict = {
    .name = "predict",
    .summary = "predict the EF of clips",
    .arguments = "CLIP|FOLDER|@LIST|-...",
    .about = "Predicts the EF (percent) of clips with the model of --model, FP32 or INT8. The model file "
             "alone determines how clips are sampled and normalized.\n\n"
             "A FOLDER means all clips in it and in the folders below, sorted by name. @LIST is a text "
             "file with a clip or folder on each line; - is such a list on standard input. With --null, "
             "each path of a list ends with a NUL instead (find -print0). Write ./@clip.avi for a clip "
             "whose name begins with @.\n\n"
             "Prints CSV in the order of the arguments: Path (as you gave it), EF, Note, Error. --json "
             "prints JSON Lines instead, one object for each clip: path, ef (with all its digits), spread, "
             "phases, frames (of the clip), note, error. A missing value is null. --output FILE writes "
             "either form into a file.\n\n"
             "--phases P samples each clip at P phases and predicts the mean of their EFs. The output then "
             "also has Spread, the standard deviation of the P EFs.\n\n"
             "A clip that cannot be predicted has the reason in the column Error. The others are still "
             "predicted, and the exit code is 1. With --set data.on_error=fail, the first such clip ends "
             "the command. A damaged clip is not predicted either. --set data.on_error=use predicts it "
             "from the frames that decode and says so in the column Note.\n\n"
             "Note also marks a clip whose pixels look unlike the model's training clips (brightness, "
             "contrast, share of black, motion, detail, color, layout). Do not rely on its EF.\n\n"
             "Each thread works on a clip of its own. The number of threads never changes an EF.\n\n"
             "--device NAME computes on a GPU, or another device of OpenCL or CUDA, while the CPU decodes "
             "(docs/GPU.md). INT8 models predict the same EFs there; those of FP32 models may differ by up to "
             "0.001.\n",
    .example = "--model runs/first/ptq.safetensors --output ef.csv clips/",
    .options = EQ_OPT_SETTINGS | EQ_OPT_COMPUTE | EQ_OPT_PRECISION | EQ_OPT_DEVICE | EQ_OPT_PHASES | EQ_OPT_MODEL |
               EQ_OPT_JSON | EQ_OPT_PREDICT,
    .min_args = 1,
    .max_args = 1000000,
    .sections = (const char *const[]){"eval.phases", "run.threads", "run.cpu", "run.precision", "run.device", NULL},
    .needs = EQ_NEED_DEVICE,
    .check = check,
    .run = run,
};
