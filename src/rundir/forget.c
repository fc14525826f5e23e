/* Starting anew: removes only what a run writes, and only in a folder that our config.json marks as a run directory. */
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum eq_status remove_file(const char *dir, const char *name, struct eq_err *err)
{
    char *path = eq_path_join(dir, name);
    enum eq_status st = EQ_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        st = eq_fail_errno(err, "%s: cannot be removed", path);
    free(path);
    return st;
}

/* <name>.tmp-<process>-<number> (base/writer.c), of a process that was killed while it wrote. */
static bool is_stale(const char *name)
{
    const char *mark = strstr(name, ".tmp-");
    long pid = 0;
    return mark && sscanf(mark, ".tmp-%ld-", &pid) == 1 && pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* The plain files of a folder, "" for the run directory itself, whose names start with prefix; NULL: the stale ones.
 * Folders stay. */
static enum eq_status remove_files_in(const char *run_dir, const char *folder, const char *prefix, struct eq_err *err)
{
    char *dir = eq_path_join(run_dir, folder);
    DIR *d = opendir(dir);
    enum eq_status st = EQ_OK;
    const struct dirent *entry;
    while (d && st == EQ_OK && (entry = readdir(d)) != NULL) {
        struct stat info;
        if ((prefix ? strncmp(entry->d_name, prefix, strlen(prefix)) == 0 : is_stale(entry->d_name)) &&
            fstatat(dirfd(d), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(info.st_mode))
            st = remove_file(dir, entry->d_name, err);
    }
    if (d)
        closedir(d);
    free(dir);
    return st;
}

/* Whether config.json there is one that eq_settings_save wrote: it notes where each value came from. */
bool eq_run_is_ours(const char *run_dir)
{
    struct cJSON *json = NULL;
    char *config = eq_path_join(run_dir, "config.json");
    bool ours =
        eq_json_read(config, &json, NULL) == EQ_OK && cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, "origin"));
    cJSON_Delete(json);
    free(config);
    return ours;
}

/* Those of a run directory, and last itself. */
static const char *const folders[] = {"state", "history", "predictions", "plots", ""};
enum { N_FOLDERS = sizeof folders / sizeof *folders };

/* Those of train.seeds, whose folders go, too, when nothing else is in them. */
static enum eq_status forget_seeds(const char *run_dir, struct eq_err *err)
{
    char **names;
    size_t n = eq_seed_dirs(run_dir, &names);
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < n && st == EQ_OK; i++) {
        if (!eq_run_is_ours(names[i]))
            continue;
        st = eq_run_forget(names[i], err);
        for (size_t f = 0; f < N_FOLDERS && st == EQ_OK; f++) {
            char *path = eq_path_join(names[i], folders[f]);
            rmdir(path);
            free(path);
        }
    }
    eq_seed_dirs_free(names, n);
    return st;
}

/* Only in a folder that our config.json marks as a run directory, and only what a run writes. */
enum eq_status eq_run_forget(const char *run_dir, struct eq_err *err)
{
    static const char *const files[] = {"results.json", "report.md", "report.html", "sensitivity.json", "config.json"};
    enum eq_status st = EQ_OK;
    EQ_TRY(forget_seeds(run_dir, err));
    for (size_t i = 0; i + 1 < N_FOLDERS; i++)
        EQ_TRY(remove_files_in(run_dir, folders[i], "", err));
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        char file[EQ_ROW_NAME];
        snprintf(file, sizeof file, "%s.safetensors", m->file);
        EQ_TRY(remove_file(run_dir, file, err));
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        EQ_TRY(remove_file(run_dir, files[i], err));
out:
    return st;
}

enum eq_status eq_run_forget_results(const char *run_dir, const struct eq_run_model *made, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        char prefix[EQ_ROW_NAME];
        if (strcmp(m->file, made->file) != 0)
            continue;
        snprintf(prefix, sizeof prefix, "%s.", m->name);
        for (size_t i = 0; i < 3; i++) /* state, history, predictions */
            EQ_TRY(remove_files_in(run_dir, folders[i], prefix, err));
        EQ_TRY(eq_results_drop_model(run_dir, m->row, err));
    }
out:
    return st;
}

enum eq_status eq_run_remove_stale(const char *run_dir, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < N_FOLDERS && st == EQ_OK; i++)
        st = remove_files_in(run_dir, folders[i], NULL, err);
    return st;
}
