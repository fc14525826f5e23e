/* An experiment: the phases in order, without those whose result exists; with train.seeds above 1, one run for each
 * seed. */
#include "echoquant/run.h"

#include <stdlib.h>

static enum eq_status make_ptq(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    struct eq_ptq_inputs in;
    enum eq_status st = eq_ptq_open(cfg, ds, NULL, &in, err);
    if (st == EQ_OK)
        st = eq_run_ptq(&cfg->ptq, &in, err);
    eq_ptq_close(&in);
    return st;
}

/* Makes the model of a phase from the baseline of the run. */
static enum eq_status make(enum eq_phase phase, const struct eq_config *cfg, const struct eq_dataset *ds,
                           struct eq_err *err)
{
    switch (phase) {
    case EQ_PHASE_TRAIN:
        return eq_run_train(cfg, ds, err);
    case EQ_PHASE_PTQ:
        return make_ptq(cfg, ds, err);
    case EQ_PHASE_QAT:
        return eq_run_qat(cfg, ds, NULL, err);
    default:
        return eq_run_control(cfg, ds, NULL, err);
    }
}

static enum eq_status check_interrupt(struct eq_err *err)
{
    return eq_interrupted() ? eq_fail(err, EQ_INTERRUPTED, "interrupted. Run the same command to resume.") : EQ_OK;
}

static enum eq_status make_models(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        if (!m->is_wanted(cfg) || !eq_run_model_is_made(m))
            continue;
        bool there;
        EQ_CHECK(eq_run_has_model(cfg->run.dir, m->name, &there, err));
        if (there) {
            eq_info("%s: %s/%s.safetensors exists", m->title, cfg->run.dir, m->file);
            continue;
        }
        EQ_CHECK(check_interrupt(err));
        eq_info("%s", m->title);
        EQ_CHECK(make(m->phase, cfg, ds, err));
    }
    return EQ_OK;
}

static enum eq_status evaluate_models(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        if (!m->is_wanted(cfg) || eq_run_has_result(cfg, m->name))
            continue;
        EQ_CHECK(check_interrupt(err));
        EQ_CHECK(eq_run_eval(cfg, ds, m->name, NULL, err));
    }
    return eq_run_record_context(cfg, ds, err);
}

/* Checks the precisions of the phases that remain. */
static enum eq_status check_precisions(const struct eq_config *cfg, bool force, struct eq_err *err)
{
    bool there;
    EQ_CHECK(eq_run_has_model(cfg->run.dir, eq_phase_model(EQ_PHASE_TRAIN)->name, &there, err));
    if (force || !there)
        EQ_CHECK(eq_precision_check(cfg->train.precision, err));
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        if (m->is_wanted(cfg) && (force || !eq_run_has_result(cfg, m->name)))
            EQ_CHECK(eq_precision_check(m->precision, err));
    return EQ_OK;
}

/* A finished run belongs to its data: another list, or other clips, are another run. Data that no longer exist cannot
 * differ, and are not made again. */
static enum eq_status check_finished(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err)
{
    char *list = eq_path_join(cfg->data.dir, "FileList.csv");
    enum eq_status st = EQ_OK;
    if (!ds->dir && eq_path_exists(list))
        EQ_TRY(eq_run_open_data(cfg, ds, err));
    if (ds->dir)
        EQ_TRY(eq_run_check_data(cfg->run.dir, ds, err));
    eq_info("%s is finished with these settings: nothing to do", cfg->run.dir);
out:
    free(list);
    return st;
}

static enum eq_status run(const struct eq_settings *s, struct eq_dataset *ds, bool force, struct eq_err *err);

/* Runs each seed in its own run directory; the common one gets the report over all seeds. */
static enum eq_status run_seeds(const struct eq_settings *s, struct eq_dataset *ds, struct eq_err *err)
{
    for (int i = 0; i < s->config.train.seeds; i++) {
        struct eq_settings one;
        EQ_CHECK(eq_settings_of_seed(&one, s, i, err));
        eq_info("seed %d: %s", one.config.run.seed, one.config.run.dir);
        enum eq_status st = run(&one, ds, false, err);
        eq_settings_clear(&one);
        EQ_CHECK(st);
    }
    return EQ_OK;
}

/* ds: the data; opened here unless it is open. */
static enum eq_status run(const struct eq_settings *s, struct eq_dataset *ds, bool force, struct eq_err *err)
{
    const struct eq_config *cfg = &s->config;
    struct eq_run_lock lock = {0};
    enum eq_status st;
    EQ_TRY(check_interrupt(err));
    EQ_TRY(eq_run_admit(s, EQ_PHASE_ALL, force, err));
    if (!force && eq_run_is_finished(cfg)) {
        EQ_TRY(check_finished(cfg, ds, err));
        goto out;
    }
    EQ_TRY(check_precisions(cfg, force, err));
    EQ_TRY(eq_run_lock(&lock, cfg->run.dir, err));
    if (!ds->dir)
        EQ_TRY(eq_run_open_data(cfg, ds, err));
    EQ_TRY(eq_run_enter(s, ds, EQ_PHASE_ALL, force, err));
    if (cfg->train.seeds > 1) {
        EQ_TRY(run_seeds(s, ds, err));
    } else {
        EQ_TRY(make_models(cfg, ds, err));
        EQ_TRY(evaluate_models(cfg, ds, err));
    }
    EQ_TRY(eq_run_report(cfg->run.dir, err));
out:
    eq_run_unlock(&lock);
    return st;
}

enum eq_status eq_run_experiment(const struct eq_settings *s, bool force, struct eq_err *err)
{
    struct eq_dataset ds = {0};
    enum eq_status st = run(s, &ds, force, err);
    eq_dataset_clear(&ds);
    return st;
}
