#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>

static const char *const sections[] = {"data", "synth", "eval", "bench", "run", NULL};
static const struct eq_command_spec spec = {
    .name = "eval",
    .arguments = "[NAME...]",
    .about =
        "Evaluates models on the test split: MAE, RMSE, R2, size of the file, latency of one clip (the model alone, "
        "and\n"
        "from the file to the EF). INT8 models run in the integer engine, never in a simulation.\n\n"
        "NAME: fp32, ptq, qat, fp32_plus; without any, all that the run directory holds. --model FILE --name NAME "
        "evaluates any\n"
        "other file instead. Writes predictions/NAME.csv and the model's row in results.json; prints the table.\n\n"
        "--precision bf16 evaluates fp32 a second time, with BF16 convolutions, as the model bf16; with --model it is "
        "that\n"
        "file's only precision.\n\n"
        "--phases P takes for each clip the mean of its EFs at P phases; latency_ms stays that of one phase.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_COMPUTE | EQ_OPT_PRECISION | EQ_OPT_PHASES |
               EQ_OPT_MODEL | EQ_OPT_NAME | EQ_OPT_JSON,
    .max_args = 16,
    .sections = sections,
};

static enum eq_status check_name(const char *name, struct eq_err *err)
{
    return eq_run_is_model_name(name)
               ? EQ_OK
               : eq_fail(err, EQ_USAGE, "\"%.60s\" can't name a model: letters, digits, _ . and -, fewer than 32",
                         name);
}

/* "model" of "some/where/model.safetensors" */
static char *name_of_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = eq_strdup(slash ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    return name;
}

static bool is_named(const struct eq_options *o, const char *name)
{
    for (int i = 0; i < o->n_args; i++)
        if (strcmp(o->args[i], name) == 0)
            return true;
    return false;
}

static bool wants_bf16(const struct eq_options *o)
{
    return o->settings.config.run.precision == EQ_PRECISION_BF16 || is_named(o, EQ_BF16_NAME);
}

/* Before any data is opened: whether the names can be used and the models are there. */
static enum eq_status check_models(const struct eq_options *o, struct eq_err *err)
{
    const char *dir = o->settings.config.run.dir;
    enum eq_status st = EQ_OK;
    if ((o->model && o->n_args) || (o->name && !o->model))
        return eq_fail(err, EQ_USAGE, "eval takes names of the run's models, or --model FILE with --name NAME");
    if (wants_bf16(o))
        EQ_TRY(eq_precision_check(EQ_PRECISION_BF16, err));
    if (o->model)
        return eq_run_need_model(dir, NULL, o->model, err);
    for (int i = 0; i < o->n_args; i++) {
        EQ_TRY(check_name(o->args[i], err));
        EQ_TRY(eq_run_need_model(dir, o->args[i], NULL, err));
    }
    if (wants_bf16(o))
        EQ_TRY(eq_run_need_model(dir, EQ_BF16_NAME, NULL, err));
    bool any = o->n_args > 0;
    for (int i = 0; i < EQ_RUN_MODELS && !any; i++)
        EQ_TRY(eq_run_has_model(dir, eq_run_models[i], &any, err));
    if (!any)
        EQ_TRY(eq_run_need_model(dir, "fp32", NULL, err));
out:
    return st;
}

static enum eq_status evaluate_file(const struct eq_options *o, const struct eq_dataset *ds, struct eq_err *err)
{
    char *name = o->name ? eq_strdup(o->name) : name_of_file(o->model);
    enum eq_status st;
    EQ_TRY(check_name(name, err));
    EQ_TRY(eq_run_eval(&o->settings.config, ds, name, o->model, err));
out:
    free(name);
    return st;
}

static enum eq_status evaluate_run(const struct eq_options *o, const struct eq_dataset *ds, struct eq_err *err)
{
    const struct eq_config *cfg = &o->settings.config;
    enum eq_status st = EQ_OK;
    for (int i = 0; i < o->n_args; i++)
        EQ_TRY(eq_run_eval(cfg, ds, o->args[i], NULL, err));
    for (int i = 0; i < EQ_RUN_MODELS && o->n_args == 0; i++) {
        bool there;
        EQ_TRY(eq_run_has_model(cfg->run.dir, eq_run_models[i], &there, err));
        if (there)
            EQ_TRY(eq_run_eval(cfg, ds, eq_run_models[i], NULL, err));
    }
    if (wants_bf16(o) && !is_named(o, EQ_BF16_NAME))
        EQ_TRY(eq_run_eval(cfg, ds, EQ_BF16_NAME, NULL, err));
out:
    return st;
}

enum eq_status eq_cmd_eval(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    struct eq_dataset ds = {0};
    struct eq_run_lock lock = {0};
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    const struct eq_config *cfg = &o.settings.config;
    EQ_TRY(eq_run_admit(&o.settings, EQ_PHASE_EVAL, false, err));
    EQ_TRY(check_models(&o, err));
    EQ_TRY(eq_run_lock(&lock, cfg->run.dir, err));
    EQ_TRY(eq_run_open_data(cfg, &ds, err));
    EQ_TRY(eq_run_enter(&o.settings, &ds, EQ_PHASE_EVAL, false, err));
    EQ_TRY(o.model ? evaluate_file(&o, &ds, err) : evaluate_run(&o, &ds, err));
    EQ_TRY(eq_run_record_context(cfg, &ds, err));
    EQ_TRY(eq_print_results(cfg->run.dir, o.json, err));
out:
    eq_dataset_clear(&ds);
    eq_run_unlock(&lock);
    eq_options_clear(&o);
    return st;
}
