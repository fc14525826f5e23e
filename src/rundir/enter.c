/* The run directory as a place that several commands, and a run that was interrupted, come back to. */
#include "rundir/rundir.h"

#include <stdlib.h>

static bool seeds_have_begun(const char *run_dir)
{
    char **names;
    size_t n = eq_seed_dirs(run_dir, &names);
    bool begun = false;
    for (size_t i = 0; i < n; i++)
        begun |= eq_run_has_begun(names[i], eq_phase_model(EQ_PHASE_TRAIN));
    eq_seed_dirs_free(names, n);
    return begun;
}

#define BASELINE "data", "synth", "model", "train", "run"

/* The sections whose change would contradict what the run directory holds. */
static const char *const *fixed_sections(const char *run_dir, enum eq_phase phase, bool force)
{
    /* Sensitivity leaves what is there alone, and says itself how it quantized. */
    static const char *const nothing[] = {NULL}, *const baseline[] = {BASELINE, NULL};
    static const char *const but_ptq[] = {BASELINE, "qat", NULL}, *const but_qat[] = {BASELINE, "ptq", NULL};
    /* What QAT shares with its control, so that the two compare. */
    static const char *const but_quantization[] = {
        BASELINE,           "ptq",         "qat.epochs",          "qat.batch", "qat.lr",
        "qat.weight_decay", "qat.distill", "qat.freeze_bn_epoch", NULL};
    const struct eq_run_model *qat_model = eq_phase_model(EQ_PHASE_QAT), *fp32_plus = eq_phase_model(EQ_PHASE_CONTROL);
    bool qat = eq_run_has_begun(run_dir, qat_model), control = eq_run_has_begun(run_dir, fp32_plus), begun = false;
    if (seeds_have_begun(run_dir))
        return NULL;
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        begun |= eq_run_has_begun(run_dir, m);
    if (!begun)
        return nothing;
    if (phase == EQ_PHASE_SENSITIVITY)
        return baseline;
    if (phase == EQ_PHASE_PTQ && !qat)
        return but_ptq;
    if (phase == EQ_PHASE_QAT && (force || !eq_run_has_state(run_dir, qat_model)))
        return control ? but_quantization : but_qat;
    if (phase == EQ_PHASE_CONTROL && !qat && (force || !eq_run_has_state(run_dir, fp32_plus)))
        return but_qat;
    return NULL;
}

static enum eq_status check_changes(const struct eq_settings *was, const struct eq_settings *is, enum eq_phase phase,
                                    bool force, struct eq_err *err)
{
    const char *dir = is->config.run.dir;
    const char *const *fixed = fixed_sections(dir, phase, force);
    struct eq_str changes = {0};
    enum eq_status st = EQ_OK;
    eq_settings_changes(was, is, fixed, &changes);
    /* One seed's files and those of several lie in different places; from two on, seeds may come and go. */
    int before = was->config.train.seeds, now = is->config.train.seeds;
    if ((before > 1) != (now > 1) && (!fixed || fixed[0]))
        eq_str_add(&changes, "%strain.seeds %d -> %d", changes.len ? ", " : "", before, now);
    if (changes.len)
        st = eq_fail(err, EQ_USAGE,
                     "%s holds a run under other settings (%.600s): set them back, name another folder with --run, or "
                     "start anew with `run-all --force` or `train --force`",
                     dir, changes.s);
    eq_str_clear(&changes);
    return st;
}

/* What a run would overwrite in a folder that is none's is somebody's work. */
static enum eq_status check_foreign(const char *dir, struct eq_err *err)
{
    static const char *const outputs[] = {"config.json", "results.json", "report.html"};
    char found[EQ_ROW_NAME] = "";
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs && !found[0]; i++)
        if (eq_run_has_file(dir, outputs[i], ""))
            snprintf(found, sizeof found, "%s", outputs[i]);
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        if (!found[0] && eq_run_has_model(dir, m->name))
            snprintf(found, sizeof found, "%s.safetensors", m->file);
    return !found[0] ? EQ_OK
                     : eq_fail(err, EQ_USAGE,
                               "%s is no run directory, since it has no config.json of a run, but holds %s: name "
                               "another folder with --run, or move that file away",
                               dir, found);
}

/* A single phase does not redo what is done unless it is told to. */
static enum eq_status check_done(const char *dir, enum eq_phase phase, bool force, struct eq_err *err)
{
    const struct eq_run_model *m = eq_phase_model(phase);
    if (force || !m || !eq_run_has_model(dir, m->name))
        return EQ_OK;
    return eq_fail(err, EQ_USAGE,
                   "%s/%s.safetensors is there already: name another folder with --run, or make it anew with --force",
                   dir, m->file);
}

/* The single commands work on one seed's folder. */
static enum eq_status check_seeds_phase(const struct eq_config *cfg, enum eq_phase phase, struct eq_err *err)
{
    if (phase == EQ_PHASE_ALL || cfg->train.seeds == 1)
        return EQ_OK;
    return eq_fail(err, EQ_USAGE,
                   "train.seeds = %d is for run-all: name the folder of one seed, --run %s/seed-%d, or set "
                   "train.seeds=1",
                   cfg->train.seeds, cfg->run.dir, cfg->run.seed);
}

static bool is_whole(enum eq_phase phase)
{
    return phase == EQ_PHASE_TRAIN || phase == EQ_PHASE_ALL;
}

enum eq_status eq_run_admit(const struct eq_settings *s, enum eq_phase phase, bool force, struct eq_err *err)
{
    const char *dir = s->config.run.dir;
    struct eq_settings was = {0};
    bool known = false, ours = eq_run_is_ours(dir);
    enum eq_status st = EQ_OK;
    if (!ours)
        EQ_TRY(check_foreign(dir, err));
    EQ_TRY(check_seeds_phase(&s->config, phase, err));
    EQ_TRY(check_done(dir, phase, force, err));
    if (force && ours && is_whole(phase))
        goto out; /* what it was made with goes, too */
    EQ_TRY(eq_settings_init(&was, err));
    EQ_TRY(eq_settings_load_run(&was, dir, &known, err));
    if (known)
        EQ_TRY(check_changes(&was, s, phase, force, err));
out:
    if (was.origin)
        eq_settings_clear(&was);
    return st;
}

enum eq_status eq_run_enter(const struct eq_settings *s, enum eq_phase phase, bool force, struct eq_err *err)
{
    const char *dir = s->config.run.dir;
    char *config = eq_path_join(dir, "config.json");
    enum eq_status st;
    EQ_TRY(eq_run_admit(s, phase, force, err));
    EQ_TRY(eq_make_dirs(dir, err));
    bool ours = eq_run_is_ours(dir);
    if (ours) {
        EQ_TRY(eq_run_remove_stale(dir, err));
        if (force && is_whole(phase))
            EQ_TRY(eq_run_forget(dir, err));
        else if (force && eq_phase_model(phase))
            EQ_TRY(eq_run_forget_results(dir, eq_phase_model(phase), err));
    }
    if (phase != EQ_PHASE_SENSITIVITY || !ours) /* config.json is of what the models there were made with */
        EQ_TRY(eq_settings_save(s, config, err));
out:
    free(config);
    return st;
}
