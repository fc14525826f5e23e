#include "cmd/cmd.h"

#include <stdlib.h>

static const struct eq_command_spec spec = {
    .name = "run-all",
    .arguments = "",
    .about =
        "The whole experiment, the same steps as the single commands: opens the data (or makes synthetic clips), then\n"
        "train, ptq, qat (with qat.control = true also qat --control), eval of each, report. Prints the table and the\n"
        "path of the report.\n\n"
        "A phase whose result is there already is passed over, so an interrupted run goes on where it stopped. A\n"
        "finished run is left as it is; --force removes what is in the run directory and starts anew.\n\n"
        "With train.seeds = N above 1 all of it is done N times, with the seeds run.seed, run.seed + 1, ..., each in "
        "a\n"
        "run directory of its own, seed-SEED below that of --run, where the single commands work, too. The report has\n"
        "mean and spread over the seeds, and the differences between models with their 95 % intervals. Interrupted, "
        "the\n"
        "same command goes on at the seed where it stopped; a larger N adds seeds.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_FORCE | EQ_OPT_JSON,
    .sections = (const char *const[]){"data", "synth", "model", "train", "ptq", "qat", "eval", "bench", "run", NULL},
};

static enum eq_status train(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model,
                            struct eq_err *err)
{
    (void)model;
    return eq_run_train(cfg, ds, err);
}

static const struct phase {
    const char *name, *title;
    enum eq_status (*run)(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model,
                          struct eq_err *err);
} phases[] = {
    {"fp32", "FP32 baseline", train},
    {"ptq", "post-training quantization", eq_run_ptq},
    {"qat", "quantization-aware training", eq_run_qat},
    {EQ_CONTROL_NAME, "FP32+, the control of QAT", eq_run_control},
};
_Static_assert(sizeof phases / sizeof *phases == EQ_RUN_MODELS, "phases");

static bool is_wanted(const struct eq_config *cfg, const struct phase *phase)
{
    return cfg->qat.control || phase->run != eq_run_control;
}

static enum eq_status check_interrupt(struct eq_err *err)
{
    return eq_interrupted() ? eq_fail(err, EQ_INTERRUPTED, "interrupted; the same command goes on") : EQ_OK;
}

static enum eq_status make_models(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = 0; i < EQ_RUN_MODELS; i++) {
        if (!is_wanted(cfg, &phases[i]))
            continue;
        bool there;
        EQ_TRY(eq_run_has_model(cfg->run.dir, phases[i].name, &there, err));
        if (there) {
            eq_info("%s: %s/%s.safetensors is there", phases[i].title, cfg->run.dir, phases[i].name);
            continue;
        }
        EQ_TRY(check_interrupt(err));
        eq_info("%s", phases[i].title);
        EQ_TRY(phases[i].run(cfg, ds, NULL, err));
    }
out:
    return st;
}

static enum eq_status evaluate_models(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = 0; i < EQ_RUN_MODELS; i++) {
        if (!is_wanted(cfg, &phases[i]) || eq_run_has_result(cfg, phases[i].name))
            continue;
        EQ_TRY(check_interrupt(err));
        EQ_TRY(eq_run_eval(cfg, ds, phases[i].name, NULL, err));
    }
    if (cfg->run.precision == EQ_PRECISION_BF16 && !eq_run_has_result(cfg, EQ_BF16_NAME))
        EQ_TRY(eq_run_eval(cfg, ds, EQ_BF16_NAME, NULL, err));
    EQ_TRY(eq_run_record_context(cfg, ds, err));
out:
    return st;
}

/* Of what is still to be done. */
static enum eq_status check_precisions(const struct eq_config *cfg, bool force, struct eq_err *err)
{
    bool there;
    enum eq_status st;
    EQ_TRY(eq_run_has_model(cfg->run.dir, "fp32", &there, err));
    if (force || !there)
        EQ_TRY(eq_precision_check(cfg->train.precision, err));
    if (force || !eq_run_has_result(cfg, EQ_BF16_NAME))
        EQ_TRY(eq_precision_check(cfg->run.precision, err));
out:
    return st;
}

/* One experiment in its own run directory. */
static enum eq_status run_phases(const struct eq_settings *s, const struct eq_dataset *ds, bool force,
                                 struct eq_err *err)
{
    const struct eq_config *cfg = &s->config;
    enum eq_status st;
    EQ_TRY(eq_run_enter(s, ds, EQ_PHASE_ALL, force, err));
    EQ_TRY(make_models(cfg, ds, err));
    EQ_TRY(evaluate_models(cfg, ds, err));
    EQ_TRY(eq_run_report(cfg->run.dir, err));
out:
    return st;
}

static enum eq_status run_seed(const struct eq_settings *s, const struct eq_dataset *ds, struct eq_err *err)
{
    const struct eq_config *cfg = &s->config;
    struct eq_run_lock lock = {0};
    enum eq_status st;
    EQ_TRY(check_interrupt(err));
    EQ_TRY(eq_run_admit(s, EQ_PHASE_ALL, false, err));
    if (eq_run_is_finished(cfg)) {
        eq_info("seed %d: %s is finished", cfg->run.seed, cfg->run.dir);
        return EQ_OK;
    }
    eq_info("seed %d: %s", cfg->run.seed, cfg->run.dir);
    EQ_TRY(eq_run_lock(&lock, cfg->run.dir, err));
    EQ_TRY(run_phases(s, ds, false, err));
out:
    eq_run_unlock(&lock);
    return st;
}

/* The run directory itself gets what is said over all seeds. */
static enum eq_status run_seeds(const struct eq_settings *s, const struct eq_dataset *ds, bool force,
                                struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(eq_run_enter(s, ds, EQ_PHASE_ALL, force, err));
    for (int i = 0; i < s->config.train.seeds; i++) {
        struct eq_settings one;
        EQ_TRY(eq_settings_of_seed(&one, s, i, err));
        st = run_seed(&one, ds, err);
        eq_settings_clear(&one);
        if (st != EQ_OK)
            goto out;
    }
    EQ_TRY(eq_run_report(s->config.run.dir, err));
out:
    return st;
}

static enum eq_status run(const struct eq_settings *s, bool force, struct eq_err *err)
{
    struct eq_dataset ds = {0};
    struct eq_run_lock lock = {0};
    enum eq_status st;
    EQ_TRY(check_precisions(&s->config, force, err));
    EQ_TRY(eq_run_lock(&lock, s->config.run.dir, err));
    EQ_TRY(eq_run_open_data(&s->config, &ds, err));
    EQ_TRY(s->config.train.seeds > 1 ? run_seeds(s, &ds, force, err) : run_phases(s, &ds, force, err));
out:
    eq_dataset_clear(&ds);
    eq_run_unlock(&lock);
    return st;
}

/* A finished run is one of its data: another list, or other clips, are another run. Where the data are gone nothing can
 * differ, and nothing is made anew. */
static enum eq_status check_finished(const struct eq_config *cfg, struct eq_err *err)
{
    struct eq_dataset ds = {0};
    char *list = eq_path_join(cfg->data.dir, "FileList.csv");
    enum eq_status st = EQ_OK;
    if (eq_path_exists(list)) {
        EQ_TRY(eq_run_open_data(cfg, &ds, err));
        EQ_TRY(eq_run_check_data(cfg->run.dir, &ds, err));
    }
    eq_info("%s holds a finished run of these settings: nothing to do (--force makes it anew)", cfg->run.dir);
out:
    eq_dataset_clear(&ds);
    free(list);
    return st;
}

enum eq_status eq_cmd_run_all(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    const struct eq_config *cfg = &o.settings.config;
    EQ_TRY(eq_run_admit(&o.settings, EQ_PHASE_ALL, o.force, err));
    EQ_TRY(!o.force && eq_run_is_finished(cfg) ? check_finished(cfg, err) : run(&o.settings, o.force, err));
    EQ_TRY(eq_print_results(cfg->run.dir, o.json, err));
    if (!o.json)
        printf("\n%s/report.html\n", cfg->run.dir);
out:
    eq_options_clear(&o);
    return st;
}
