#include "cmd/cmd.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

/* The names of the models to evaluate. */
struct names {
    const char *names[64];
    int n;
    char of_file[64];
};

static void add_name(struct names *list, const char *name)
{
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->names[i], name) == 0)
            return;
    assert(list->n < (int)(sizeof list->names / sizeof *list->names)); /* there are fewer arguments and rows */
    list->names[list->n++] = name;
}

/* "model" of "some/where/model.safetensors" */
static const char *name_of_file(const char *path, struct names *list)
{
    const char *slash = strrchr(path, '/');
    snprintf(list->of_file, sizeof list->of_file, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(list->of_file, '.');
    if (dot && dot != list->of_file)
        *dot = '\0';
    return list->of_file;
}

/* Lists the file of --model; else the named models, or all that have a file, and then the models that run the file of
 * another row, if the settings ask for them. */
static enum eq_status list_models(const struct eq_options *o, struct names *list, struct eq_err *err)
{
    const struct eq_config *cfg = &o->settings.config;
    list->n = 0;
    if (o->model)
        add_name(list, o->name ? o->name : name_of_file(o->model, list));
    for (int i = 0; i < o->n_args; i++)
        add_name(list, o->args[i]);
    for (const struct eq_run_model *m = eq_run_models; m->name && !o->model; m++) {
        bool there;
        EQ_CHECK(eq_run_has_model(cfg->run.dir, m->name, &there, err));
        if (eq_run_model_is_made(m) ? o->n_args == 0 && there
                                    : m->is_wanted(cfg) && (there || m->phase == EQ_PHASE_TRAIN))
            add_name(list, m->name);
    }
    if (list->n == 0)
        add_name(list, eq_phase_model(EQ_PHASE_TRAIN)->name);
    return EQ_OK;
}

/* A row of the user's own must not look like one of the table: file systems and readers may take PTQ for ptq. */
static enum eq_status check_own_name(const char *name, struct eq_err *err)
{
    bool taken = strcasecmp(name, EQ_MEDIAN_ROW) == 0;
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        taken |= strcasecmp(name, m->name) == 0 || strcasecmp(name, m->row) == 0;
    return taken ? eq_fail(err, EQ_USAGE, "\"%s\" is already the name of a row: choose another name with --name", name)
                 : EQ_OK;
}

/* Checks that the names can be used and the models exist. */
static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    const struct eq_config *cfg = &o->settings.config;
    struct names list;
    if ((o->model && o->n_args) || (o->name && !o->model))
        return eq_fail(err, EQ_USAGE,
                       "eval needs names of the run's models or one model file, not both; --name needs a file");
    EQ_CHECK(list_models(o, &list, err));
    for (int i = 0; i < list.n; i++) {
        const char *name = list.names[i];
        const struct eq_run_model *m = eq_run_model_named(name);
        if (!eq_run_is_model_name(name))
            return eq_fail(err, EQ_USAGE,
                           "\"%.60s\" cannot name a model: use letters, digits, _ . and -, fewer than 32%s", name,
                           o->model ? " (--name NAME)" : "; for a model file, --model FILE");
        if (o->model && !m)
            EQ_CHECK(check_own_name(name, err));
        if (o->model || m) {
            enum eq_precision precision = o->model ? (enum eq_precision)cfg->run.precision : m->precision;
            EQ_CHECK(eq_precision_check(precision, err));
            EQ_CHECK(eq_predictor_check_precision(cfg->run.device, precision, err));
        }
        EQ_CHECK(eq_run_need_model(cfg->run.dir, name, o->model, err));
    }
    return EQ_OK;
}

/* Predictions of another model that were changed since leave the evaluation as it is. */
static enum eq_status print_verdict(const struct eq_config *cfg, struct eq_err *err)
{
    struct eq_err why;
    enum eq_status st = eq_print_verdict(cfg, &why);
    if (st != EQ_FORMAT && st != EQ_OK)
        return eq_fail(err, st, "%s", why.msg);
    if (st == EQ_FORMAT)
        eq_warn("no verdict: %s", why.msg);
    return EQ_OK;
}

/* Latencies, and what follows from all rows: for one process. */
static enum eq_status finish(struct eq_session *s, const struct names *list, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    EQ_CHECK(eq_run_time(s->cfg, &s->data, o->model ? list->names[0] : NULL, o->model, &s->devices, err));
    EQ_CHECK(eq_run_record_context(s->cfg, &s->data, &s->devices, err));
    EQ_CHECK(eq_run_warn(s->cfg->run.dir, err));
    EQ_CHECK(eq_print_results(s->cfg->run.dir, o->json, err));
    return o->json ? EQ_OK : print_verdict(s->cfg, err);
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    struct names list;
    EQ_CHECK(list_models(o, &list, err));
    for (int i = 0; i < list.n; i++)
        EQ_CHECK(eq_run_eval(s->cfg, &s->data, list.names[i], o->model, &s->devices, err));
    enum eq_status st = eq_first_begin() ? finish(s, &list, err) : EQ_OK;
    return eq_first_end(st, NULL, 0, err);
}

const struct eq_command eq_cmd_eval = {
    .name = "eval",
    .summary = "evaluate models on the test split: errors, size, latency",
    .arguments = "[NAME...|FILE] [DIR]",
    .about = "Evaluates models on the test split: MAE, RMSE, R2, bias (mean of predicted minus true EF), "
             "file size, and latency for one clip (the model alone, and from the file to the EF). Also "
             "measures MAE and bias on the validation split. INT8 models run in the integer engine, never "
             "in a simulation. Latencies are measured by turns, for all models of the run that were "
             "evaluated on this CPU with these threads.\n\n"
             "NAME is fp32, ptq, qat, or fp32_plus. Without a name, every model in the run directory (DIR, "
             "or --run DIR) is evaluated. FILE, or --model FILE, evaluates another model file instead, "
             "under its own name or that of --name. Writes predictions/NAME.csv and the row of the model "
             "in results.json, and prints the table and the verdict: whether quantized models are "
             "non-inferior by report.margin.\n\n"
             "--precision bf16 evaluates fp32 a second time, with BF16 convolutions, as the model bf16. "
             "With --model, the file runs in that precision only.\n\n"
             "--phases P averages the EFs of each clip at P phases. latency_ms is still that of one phase.\n\n"
             "Latency is also measured on a GPU, if there is one (eval.devices), and the EFs of the test clips "
             "there are compared with the CPU's: those of INT8 models must be equal. --device NAME predicts "
             "the EFs of predictions/ on that device instead (docs/GPU.md).\n",
    .example = "runs/first",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_COMPUTE | EQ_OPT_PRECISION | EQ_OPT_DEVICE |
               EQ_OPT_PHASES | EQ_OPT_MODEL | EQ_OPT_NAME | EQ_OPT_JSON,
    .max_args = 16,
    .accepts = EQ_ARG_RUN | EQ_ARG_MODEL,
    .sections = (const char *const[]){"data", "synth", "eval", "bench", "report", "dist", "run", NULL},
    .needs = EQ_NEED_RUN | EQ_NEED_DATA | EQ_NEED_DEVICES | EQ_NEED_OTHERS,
    .phase = EQ_PHASE_EVAL,
    .check = check,
    .run = run,
};
