/* The run directory as a place that several commands, and a run that was interrupted, come back to. */
#include "run/results.h"
#include "run/seeds.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_file(const char *dir, const char *name, const char *extension)
{
    struct eq_str path = {0};
    eq_str_add(&path, "%s/%s%s", dir, name, extension);
    bool there = eq_path_exists(path.s);
    eq_str_clear(&path);
    return there;
}

bool eq_run_has_model(const char *run_dir, const char *name)
{
    return has_file(run_dir, name, ".safetensors");
}

enum eq_status eq_run_need_model(const char *run_dir, const char *name, const char *model_path, struct eq_err *err)
{
    char kind[32];
    if (model_path)
        return eq_model_kind(model_path, kind, err);
    if (strcmp(name, EQ_BF16_NAME) == 0)
        name = "fp32";
    if (eq_run_has_model(run_dir, name))
        return EQ_OK;
    return eq_fail(err, EQ_IO, "%s/%s.safetensors is missing: run `echoquant %s` first, or name a model with --model",
                   run_dir, name,
                   strcmp(name, "fp32") == 0            ? "train"
                   : strcmp(name, EQ_CONTROL_NAME) == 0 ? "qat --control"
                                                        : name);
}

/* A row without the number is of a version that knew one phase only. */
static bool has_phases(const struct cJSON *row, int phases)
{
    const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(row, "phases");
    return (cJSON_IsNumber(value) ? value->valueint : 1) == phases;
}

bool eq_run_has_result(const struct eq_config *cfg, const char *name)
{
    const char *run_dir = cfg->run.dir;
    struct cJSON *results = NULL;
    char row[EQ_ROW_NAME], file[64];
    eq_run_row_name(name, row);
    snprintf(file, sizeof file, "predictions/%s", name);
    if (!has_file(run_dir, file, ".csv") || !has_file(run_dir, "results", ".json") ||
        eq_results_read(run_dir, &results, NULL) != EQ_OK)
        return false;
    const struct cJSON *found = eq_results_find_model(results, row);
    bool there = found && has_phases(found, cfg->eval.phases);
    cJSON_Delete(results);
    return there;
}

static bool seeds_are_finished(const struct eq_config *cfg)
{
    bool finished = has_file(cfg->run.dir, "report", ".html");
    for (int i = 0; i < cfg->train.seeds && finished; i++) {
        struct eq_config one = *cfg;
        one.run.dir = eq_seed_dir(cfg->run.dir, cfg->run.seed + i);
        one.train.seeds = 1;
        finished = eq_run_is_finished(&one);
        free(one.run.dir);
    }
    return finished && eq_seeds_are_collected(cfg);
}

bool eq_run_is_finished(const struct eq_config *cfg)
{
    if (cfg->train.seeds > 1)
        return seeds_are_finished(cfg);
    const char *dir = cfg->run.dir;
    for (int i = 0; i < EQ_RUN_MODELS; i++) {
        bool wanted = cfg->qat.control || strcmp(eq_run_models[i], EQ_CONTROL_NAME) != 0;
        if (wanted && !(eq_run_has_model(dir, eq_run_models[i]) && eq_run_has_result(cfg, eq_run_models[i])))
            return false;
    }
    if (cfg->run.precision == EQ_PRECISION_BF16 && !eq_run_has_result(cfg, EQ_BF16_NAME))
        return false;
    return has_file(dir, "report", ".html");
}

/* ---- starting anew ------------------------------------------------------- */

static enum eq_status remove_file(const char *dir, const char *name, struct eq_err *err)
{
    char *path = eq_path_join(dir, name);
    enum eq_status st = EQ_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        st = eq_fail_errno(err, "%s: cannot be removed", path);
    free(path);
    return st;
}

/* The plain files of a folder whose names start with prefix; folders stay. */
static enum eq_status remove_files_in(const char *run_dir, const char *folder, const char *prefix, struct eq_err *err)
{
    char *dir = eq_path_join(run_dir, folder);
    DIR *d = opendir(dir);
    enum eq_status st = EQ_OK;
    const struct dirent *entry;
    while (d && st == EQ_OK && (entry = readdir(d)) != NULL) {
        struct stat info;
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            fstatat(dirfd(d), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(info.st_mode))
            st = remove_file(dir, entry->d_name, err);
    }
    if (d)
        closedir(d);
    free(dir);
    return st;
}

static bool is_ours(const char *run_dir);

/* Only in a folder that our config.json marks as a run directory, and only what a run writes. */
static enum eq_status forget_run(const char *run_dir, struct eq_err *err);

/* Those of train.seeds, whose folders go, too, when nothing else is in them. */
static enum eq_status forget_seeds(const char *run_dir, struct eq_err *err)
{
    static const char *const folders[] = {"state", "history", "predictions", "plots", ""};
    char **names;
    size_t n = eq_seed_dirs(run_dir, &names);
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < n && st == EQ_OK; i++) {
        if (!is_ours(names[i]))
            continue;
        st = forget_run(names[i], err);
        for (size_t f = 0; f < sizeof folders / sizeof *folders && st == EQ_OK; f++) {
            char *path = eq_path_join(names[i], folders[f]);
            rmdir(path);
            free(path);
        }
    }
    eq_seed_dirs_free(names, n);
    return st;
}

static enum eq_status forget_run(const char *run_dir, struct eq_err *err)
{
    static const char *const files[] = {
        "fp32.safetensors", "ptq.safetensors", "qat.safetensors", EQ_CONTROL_NAME ".safetensors",
        "results.json",     "report.md",       "report.html",     "config.json",
        "sensitivity.json"};
    static const char *const folders[] = {"state", "history", "predictions", "plots"};
    enum eq_status st = EQ_OK;
    EQ_TRY(forget_seeds(run_dir, err));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        EQ_TRY(remove_files_in(run_dir, folders[i], "", err));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        EQ_TRY(remove_file(run_dir, files[i], err));
out:
    return st;
}

/* The model itself stays until the new one takes its place. */
static enum eq_status forget_result(const char *run_dir, const char *name, struct eq_err *err)
{
    enum eq_status st;
    char row[EQ_ROW_NAME], prefix[32];
    eq_run_row_name(name, row);
    snprintf(prefix, sizeof prefix, "%s.", name);
    EQ_TRY(remove_files_in(run_dir, "state", prefix, err));
    EQ_TRY(remove_files_in(run_dir, "history", prefix, err));
    EQ_TRY(remove_files_in(run_dir, "predictions", prefix, err));
    EQ_TRY(eq_results_drop_model(run_dir, row, err));
out:
    return st;
}

/* <name>.tmp-<process>-<number> in one folder (base/writer.c), of a process that was killed while it wrote. */
static enum eq_status remove_stale_in(const char *dir, struct eq_err *err)
{
    DIR *d = opendir(dir);
    enum eq_status st = EQ_OK;
    const struct dirent *entry;
    while (d && st == EQ_OK && (entry = readdir(d)) != NULL) {
        const char *mark = strstr(entry->d_name, ".tmp-");
        long pid = 0;
        if (mark && sscanf(mark, ".tmp-%ld-", &pid) == 1 && pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH)
            st = remove_file(dir, entry->d_name, err);
    }
    if (d)
        closedir(d);
    return st;
}

static enum eq_status remove_stale(const char *run_dir, struct eq_err *err)
{
    static const char *const folders[] = {"state", "history", "predictions", "plots"};
    enum eq_status st = remove_stale_in(run_dir, err);
    for (size_t i = 0; i < sizeof folders / sizeof *folders && st == EQ_OK; i++) {
        char *dir = eq_path_join(run_dir, folders[i]);
        st = remove_stale_in(dir, err);
        free(dir);
    }
    return st;
}

/* ---- entering ------------------------------------------------------------ */

static const char *model_of(enum eq_phase phase)
{
    return phase == EQ_PHASE_PTQ       ? "ptq"
           : phase == EQ_PHASE_QAT     ? "qat"
           : phase == EQ_PHASE_CONTROL ? EQ_CONTROL_NAME
                                       : "fp32";
}

static bool has_begun(const char *run_dir, const char *name)
{
    char state[64];
    snprintf(state, sizeof state, "state/%s.state", name);
    return eq_run_has_model(run_dir, name) || has_file(run_dir, state, ".safetensors");
}

static bool seeds_have_begun(const char *run_dir)
{
    char **names;
    size_t n = eq_seed_dirs(run_dir, &names);
    bool begun = false;
    for (size_t i = 0; i < n; i++)
        begun |= has_begun(names[i], "fp32");
    eq_seed_dirs_free(names, n);
    return begun;
}

/* The sections whose change would contradict what the run directory holds. */
static const char *const *fixed_sections(const char *run_dir, enum eq_phase phase, bool force)
{
    static const char *const nothing[] = {NULL};
    static const char *const but_ptq[] = {"data", "synth", "model", "train", "qat", "run", NULL};
    static const char *const but_qat[] = {"data", "synth", "model", "train", "ptq", "run", NULL};
    /* What QAT shares with its control, so that the two compare. */
    static const char *const but_quantization[] = {"data",        "synth",
                                                   "model",       "train",
                                                   "ptq",         "run",
                                                   "qat.epochs",  "qat.batch",
                                                   "qat.lr",      "qat.weight_decay",
                                                   "qat.distill", "qat.freeze_bn_epoch",
                                                   NULL};
    /* Sensitivity leaves what is there alone, and says itself how it quantized. */
    static const char *const baseline[] = {"data", "synth", "model", "train", "run", NULL};
    bool qat = has_begun(run_dir, "qat"), control = has_begun(run_dir, EQ_CONTROL_NAME);
    if (seeds_have_begun(run_dir))
        return NULL;
    if (!has_begun(run_dir, "fp32") && !has_begun(run_dir, "ptq") && !qat && !control)
        return nothing;
    if (phase == EQ_PHASE_SENSITIVITY)
        return baseline;
    if (phase == EQ_PHASE_PTQ && !qat)
        return but_ptq;
    if (phase == EQ_PHASE_QAT && (force || !has_file(run_dir, "state/qat.state", ".safetensors")))
        return control ? but_quantization : but_qat;
    if (phase == EQ_PHASE_CONTROL && !qat &&
        (force || !has_file(run_dir, "state/" EQ_CONTROL_NAME ".state", ".safetensors")))
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

/* Whether config.json there is one that eq_settings_save wrote: it notes where each value came from. */
static bool is_ours(const char *run_dir)
{
    struct cJSON *json = NULL;
    char *config = eq_path_join(run_dir, "config.json");
    bool ours =
        eq_json_read(config, &json, NULL) == EQ_OK && cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, "origin"));
    cJSON_Delete(json);
    free(config);
    return ours;
}

/* What a run would overwrite in a folder that is none's is somebody's work. */
static enum eq_status check_foreign(const char *dir, struct eq_err *err)
{
    static const char *const outputs[] = {
        "config.json",  "fp32.safetensors", "ptq.safetensors", "qat.safetensors", EQ_CONTROL_NAME ".safetensors",
        "results.json", "report.html"};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        if (has_file(dir, outputs[i], ""))
            return eq_fail(err, EQ_USAGE,
                           "%s is no run directory, since it has no config.json of a run, but holds %s: name another "
                           "folder with --run, or move that file away",
                           dir, outputs[i]);
    return EQ_OK;
}

/* A single phase does not redo what is done unless it is told to. */
static enum eq_status check_done(const char *dir, enum eq_phase phase, bool force, struct eq_err *err)
{
    if (force || phase >= EQ_PHASE_EVAL || !eq_run_has_model(dir, model_of(phase)))
        return EQ_OK;
    return eq_fail(err, EQ_USAGE,
                   "%s/%s.safetensors is there already: name another folder with --run, or make it anew with --force",
                   dir, model_of(phase));
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
    bool known = false, ours = is_ours(dir);
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
    bool ours = is_ours(dir);
    if (ours) {
        EQ_TRY(remove_stale(dir, err));
        if (force && is_whole(phase))
            EQ_TRY(forget_run(dir, err));
        else if (force && phase < EQ_PHASE_EVAL)
            EQ_TRY(forget_result(dir, model_of(phase), err));
    }
    if (phase != EQ_PHASE_SENSITIVITY || !ours) /* config.json is of what the models there were made with */
        EQ_TRY(eq_settings_save(s, config, err));
out:
    free(config);
    return st;
}
