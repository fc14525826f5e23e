#include "cmd/cmd.h"

#include <assert.h>
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

/* By name: those given, else all of the run whose files are there; then those that run another row's file, when the
 * settings want them. */
struct names {
    const char *names[64];
    int n;
};

static void add_name(struct names *list, const char *name)
{
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->names[i], name) == 0)
            return;
    assert(list->n < (int)(sizeof list->names / sizeof *list->names)); /* max_args and the table are fewer */
    list->names[list->n++] = name;
}

static struct names models_of(const struct eq_options *o)
{
    const struct eq_config *cfg = &o->settings.config;
    struct names list = {0};
    for (int i = 0; i < o->n_args; i++)
        add_name(&list, o->args[i]);
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        if (eq_run_model_is_made(m) ? o->n_args == 0 && eq_run_has_model(cfg->run.dir, m->name) : m->is_wanted(cfg))
            add_name(&list, m->name);
    if (list.n == 0)
        add_name(&list, eq_phase_model(EQ_PHASE_TRAIN)->name);
    return list;
}

/* Before any data is opened: whether the names can be used and the models are there. */
static enum eq_status check_models(const struct eq_options *o, struct eq_err *err)
{
    const struct names list = models_of(o);
    enum eq_status st = EQ_OK;
    if ((o->model && o->n_args) || (o->name && !o->model))
        return eq_fail(err, EQ_USAGE, "eval takes names of the run's models, or --model FILE with --name NAME");
    if (o->model) {
        EQ_TRY(eq_precision_check((enum eq_precision)o->settings.config.run.precision, err));
        return eq_run_need_model(NULL, NULL, o->model, err);
    }
    for (int i = 0; i < list.n; i++) {
        const struct eq_run_model *m = eq_run_model_named(list.names[i]);
        EQ_TRY(check_name(list.names[i], err));
        EQ_TRY(eq_precision_check(m ? m->precision : EQ_PRECISION_FP32, err));
        EQ_TRY(eq_run_need_model(o->settings.config.run.dir, list.names[i], NULL, err));
    }
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
    const struct names list = models_of(o);
    enum eq_status st = EQ_OK;
    for (int i = 0; i < list.n; i++)
        EQ_TRY(eq_run_eval(&o->settings.config, ds, list.names[i], NULL, err));
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
    EQ_TRY(eq_run_enter(&o.settings, EQ_PHASE_EVAL, false, err));
    EQ_TRY(eq_run_open_data(cfg, &ds, err));
    EQ_TRY(o.model ? evaluate_file(&o, &ds, err) : evaluate_run(&o, &ds, err));
    EQ_TRY(eq_run_record_context(cfg, &ds, err));
    EQ_TRY(eq_print_results(cfg->run.dir, o.json, err));
out:
    eq_dataset_clear(&ds);
    eq_run_unlock(&lock);
    eq_options_clear(&o);
    return st;
}
