/* Entering a run directory, to which several commands and interrupted runs return. */
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static enum eq_status seeds_have_begun(const char *run_dir, bool *begun, struct eq_err *err)
{
    char **names;
    size_t n;
    *begun = false;
    enum eq_status st = eq_seed_dirs(run_dir, &names, &n, err);
    for (size_t i = 0; i < n && st == EQ_OK && !*begun; i++)
        st = eq_run_has_begun(names[i], eq_phase_model(EQ_PHASE_TRAIN), begun, err);
    eq_names_free(names, n);
    return st;
}

#define BASELINE "data", "synth", "model", "train", "run"

/* *fixed: the sections that must not change, because the contents of the run directory depend on them; NULL: all. */
static enum eq_status fixed_sections(const char *run_dir, enum eq_phase phase, bool force, const char *const **fixed,
                                     struct eq_err *err)
{
    /* Sensitivity changes no other file, and its own says how it quantized. */
    static const char *const nothing[] = {NULL}, *const baseline[] = {BASELINE, NULL};
    static const char *const but_ptq[] = {BASELINE, "qat", NULL}, *const but_qat[] = {BASELINE, "ptq", NULL};
    /* Settings that QAT shares with its control, so that the two can be compared. */
    static const char *const but_quantization[] = {
        BASELINE,           "ptq",         "qat.epochs",          "qat.batch", "qat.accumulate", "qat.lr",
        "qat.weight_decay", "qat.distill", "qat.freeze_bn_epoch", NULL};
    const struct eq_run_model *qat_model = eq_phase_model(EQ_PHASE_QAT), *fp32_plus = eq_phase_model(EQ_PHASE_CONTROL);
    bool seeds, begun = false, qat, control, qat_state, control_state;
    *fixed = NULL;
    EQ_CHECK(seeds_have_begun(run_dir, &seeds, err));
    for (const struct eq_run_model *m = eq_run_models; m->name && !begun; m++)
        EQ_CHECK(eq_run_has_begun(run_dir, m, &begun, err));
    EQ_CHECK(eq_run_has_begun(run_dir, qat_model, &qat, err));
    EQ_CHECK(eq_run_has_begun(run_dir, fp32_plus, &control, err));
    EQ_CHECK(eq_run_has_state(run_dir, qat_model, &qat_state, err));
    EQ_CHECK(eq_run_has_state(run_dir, fp32_plus, &control_state, err));
    if (seeds)
        *fixed = NULL;
    else if (!begun)
        *fixed = nothing;
    else if (phase == EQ_PHASE_SENSITIVITY)
        *fixed = baseline;
    else if (phase == EQ_PHASE_PTQ && !qat)
        *fixed = but_ptq;
    else if (phase == EQ_PHASE_QAT && (force || !qat_state))
        *fixed = control ? but_quantization : but_qat;
    else if (phase == EQ_PHASE_CONTROL && !qat && (force || !control_state))
        *fixed = but_qat;
    return EQ_OK;
}

enum eq_status eq_run_is_done(const char *dir, enum eq_phase phase, bool force, bool *done, struct eq_err *err)
{
    const struct eq_run_model *m = eq_phase_model(phase);
    *done = false;
    return force || !m ? EQ_OK : eq_run_has_model(dir, m->name, done, err);
}

/* The settings that made the model of a phase. */
static const char *const *made_by(enum eq_phase phase)
{
    static const char *const train[] = {BASELINE, NULL}, *const ptq[] = {BASELINE, "ptq", NULL};
    return phase == EQ_PHASE_TRAIN ? train : phase == EQ_PHASE_PTQ ? ptq : NULL;
}

static bool is_whole(enum eq_phase phase)
{
    return phase == EQ_PHASE_TRAIN || phase == EQ_PHASE_ALL;
}

static enum eq_status check_changes(const struct eq_settings *was, const struct eq_settings *is, enum eq_phase phase,
                                    bool force, struct eq_err *err)
{
    const char *dir = is->config.run.dir;
    const char *const *fixed;
    struct eq_str changes = {0};
    bool done;
    EQ_CHECK(eq_run_is_done(dir, phase, force, &done, err));
    enum eq_status st = fixed_sections(dir, phase, force, &fixed, err);
    if (st != EQ_OK)
        return st;
    if (done)
        fixed = made_by(phase);
    eq_settings_changes(was, is, fixed, &changes);
    /* The files of one seed and those of several are in different places; from two on, their number may change. */
    int before = was->config.train.seeds, now = is->config.train.seeds;
    if ((before > 1) != (now > 1) && (!fixed || fixed[0]))
        eq_str_add(&changes, "%strain.seeds %d -> %d", changes.len ? ", " : "", before, now);
    if (changes.len && done)
        st = eq_fail(err, EQ_USAGE,
                     "%s/%s.safetensors was made with other settings (%.600s): set them back, or name another folder "
                     "with --run%s",
                     dir, eq_phase_model(phase)->file, changes.s,
                     is_whole(phase) ? "" : " (--force replaces the model)");
    else if (changes.len)
        st = eq_fail(err, EQ_USAGE,
                     "%s has a run with other settings (%.600s): set them back, or name another folder with "
                     "--run",
                     dir, changes.s);
    eq_str_clear(&changes);
    return st;
}

/* The folder is not a run directory. Refuses it if it holds files that a run would overwrite: they may be the user's.
 * */
static enum eq_status check_foreign(const char *dir, struct eq_err *err)
{
    static const char *const outputs[] = {"config.json", "results.json", "report.html", EQ_MANIFEST_FILE};
    char found[EQ_ROW_NAME] = "";
    bool there;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs && !found[0]; i++) {
        EQ_CHECK(eq_run_look(dir, outputs[i], "", &there, err));
        snprintf(found, sizeof found, "%s", there ? outputs[i] : "");
    }
    for (const struct eq_run_model *m = eq_run_models; m->name && !found[0]; m++) {
        EQ_CHECK(eq_run_has_model(dir, m->name, &there, err));
        if (there)
            snprintf(found, sizeof found, "%s.safetensors", m->file);
    }
    if (!found[0])
        return EQ_OK;
    return eq_fail(err, EQ_USAGE,
                   "%s is not a run directory (no config.json of a run), but contains %s: name another folder "
                   "with --run, or move that file away",
                   dir, found);
}

/* The single commands work in the folder of one seed. */
static enum eq_status check_seeds_phase(const struct eq_config *cfg, enum eq_phase phase, struct eq_err *err)
{
    if (phase == EQ_PHASE_ALL || cfg->train.seeds == 1)
        return EQ_OK;
    return eq_fail(err, EQ_USAGE,
                   "train.seeds = %d is only for run-all: name the folder of one seed (--run %s/seed-%d), "
                   "or set train.seeds=1",
                   cfg->train.seeds, cfg->run.dir, cfg->run.seed);
}

enum eq_status eq_run_admit(const struct eq_settings *s, enum eq_phase phase, bool force, struct eq_err *err)
{
    const char *dir = s->config.run.dir;
    struct eq_settings was = {0};
    bool known = false, ours;
    enum eq_status st;
    EQ_TRY(eq_run_is_ours(dir, &ours, err));
    if (!ours)
        EQ_TRY(check_foreign(dir, err));
    EQ_TRY(check_seeds_phase(&s->config, phase, err));
    if (force && ours && is_whole(phase))
        goto out; /* its settings will be removed too */
    EQ_TRY(eq_settings_init(&was, err));
    EQ_TRY(eq_settings_load_run(&was, dir, &known, err));
    if (known)
        EQ_TRY(check_changes(&was, s, phase, force, err));
out:
    if (was.origin)
        eq_settings_clear(&was);
    return st;
}

enum eq_status eq_run_enter(const struct eq_settings *s, const struct eq_dataset *ds, enum eq_phase phase, bool force,
                            struct eq_err *err)
{
    const char *dir = s->config.run.dir;
    char *config = eq_path_join(dir, "config.json");
    const struct eq_run_model *renewed = force ? eq_phase_model(phase) : NULL;
    struct cJSON *notes = NULL;
    enum eq_status st;
    bool done;
    EQ_TRY(eq_run_admit(s, phase, force, err));
    EQ_TRY(eq_run_is_done(dir, phase, force, &done, err));
    if (done)
        EQ_TRY(eq_fail(err, EQ_USAGE, "%s/%s.safetensors already exists: name another folder with --run%s", dir,
                       eq_phase_model(phase)->file, is_whole(phase) ? "" : ", or replace the file with --force"));
    if (!(force && is_whole(phase)))
        EQ_TRY(eq_run_check_all_data(dir, ds, renewed, err));
    EQ_TRY(eq_make_dirs(dir, err));
    bool ours;
    EQ_TRY(eq_run_is_ours(dir, &ours, err));
    if (ours) {
        if (force && is_whole(phase))
            EQ_TRY(eq_run_forget(dir, err));
        else if (renewed)
            EQ_TRY(eq_run_forget_results(dir, renewed, err));
    }
    if (phase != EQ_PHASE_SENSITIVITY || !ours) { /* config.json stays that of the models */
        EQ_TRY(eq_run_notes(dir, ds, renewed, &notes, err));
        EQ_TRY(eq_settings_save(s, notes, config, err)); /* first: it marks data.csv as ours */
        EQ_TRY(eq_run_write_manifest(dir, ds, err));
    }
out:
    cJSON_Delete(notes);
    free(config);
    return st;
}
