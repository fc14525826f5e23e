/* Starting over: removes only files that a run writes, and only in a folder whose config.json marks it as ours. */
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* spared: an errno for which a file may stay; 0: none. */
static enum eq_status remove_file(const char *dir, const char *name, int spared, struct eq_err *err)
{
    char *path = eq_path_join(dir, name);
    enum eq_status st = EQ_OK;
    if (unlink(path) != 0 && errno != ENOENT && errno != spared)
        st = eq_fail_errno(err, "%s: cannot be removed", path);
    free(path);
    return st;
}

/* The files of a folder whose names start with prefix. Folders stay. */
static enum eq_status remove_files_in(const char *run_dir, const char *folder, const char *prefix, struct eq_err *err)
{
    char *dir = eq_path_join(run_dir, folder), **names;
    size_t n;
    enum eq_status st = eq_list_dir(dir, &names, &n, err);
    for (size_t i = 0; i < n && st == EQ_OK; i++)
        if (strncmp(names[i], prefix, strlen(prefix)) == 0)
            st = remove_file(dir, names[i], EISDIR, err);
    eq_names_free(names, n);
    free(dir);
    return st;
}

enum eq_status eq_run_is_ours(const char *run_dir, bool *ours, struct eq_err *err)
{
    struct cJSON *json = NULL;
    char *config = eq_path_join(run_dir, "config.json");
    enum eq_status st = eq_path_look(config, ours, err);
    if (st == EQ_OK && *ours) {
        st = eq_json_read(config, &json, err);
        *ours = st == EQ_OK && cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, "origin"));
        st = st == EQ_FORMAT ? EQ_OK : st;
    }
    cJSON_Delete(json);
    free(config);
    return st;
}

/* The folders of a run directory; the last one is itself. */
static const char *const folders[] = {"state", "history", "predictions", "quantization", "plots", ""};
enum { N_FOLDERS = sizeof folders / sizeof *folders };

/* The runs of train.seeds. Removes their folders too, unless they contain something else. */
static enum eq_status forget_seeds(const char *run_dir, struct eq_err *err)
{
    char **names;
    size_t n;
    enum eq_status st = eq_seed_dirs(run_dir, &names, &n, err);
    for (size_t i = 0; i < n && st == EQ_OK; i++) {
        bool ours;
        st = eq_run_is_ours(names[i], &ours, err);
        if (st != EQ_OK || !ours)
            continue;
        st = eq_run_forget(names[i], err);
        for (size_t f = 0; f < N_FOLDERS && st == EQ_OK; f++) {
            char *path = eq_path_join(names[i], folders[f]);
            rmdir(path);
            free(path);
        }
    }
    eq_names_free(names, n);
    return st;
}

enum eq_status eq_run_forget(const char *run_dir, struct eq_err *err)
{
    static const char *const files[] = {"results.json",     "report.md",      "report.html", "sensitivity.json",
                                        EQ_STATISTICS_FILE, EQ_MANIFEST_FILE, "config.json"};
    EQ_CHECK(forget_seeds(run_dir, err));
    for (size_t i = 0; i + 1 < N_FOLDERS; i++)
        EQ_CHECK(remove_files_in(run_dir, folders[i], "", err));
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        char file[EQ_ROW_NAME];
        snprintf(file, sizeof file, "%s.safetensors", m->file);
        EQ_CHECK(remove_file(run_dir, file, 0, err));
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        EQ_CHECK(remove_file(run_dir, files[i], 0, err));
    return EQ_OK;
}

enum eq_status eq_run_forget_results(const char *run_dir, const struct eq_run_model *made, struct eq_err *err)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        char prefix[EQ_ROW_NAME];
        if (strcmp(m->file, made->file) != 0)
            continue;
        snprintf(prefix, sizeof prefix, "%s.", m->name);
        for (size_t i = 0; i < 4; i++) /* state, history, predictions, quantization */
            EQ_CHECK(remove_files_in(run_dir, folders[i], prefix, err));
        EQ_CHECK(eq_results_drop_model(run_dir, m->row, err));
    }
    return EQ_OK;
}

enum eq_status eq_run_remove_temporaries(const char *run_dir, bool alone, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < N_FOLDERS && st == EQ_OK; i++) {
        char *folder = eq_path_join(run_dir, folders[i]);
        st = eq_remove_temporaries(folder, NULL, alone, err);
        free(folder);
    }
    return st;
}
