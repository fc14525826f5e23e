/* What a folder is that holds a run without results, or several runs. */
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static enum eq_status add_models(const char *dir, struct cJSON *o, struct eq_err *err)
{
    struct cJSON *models = cJSON_AddArrayToObject(o, "models"), *begun = cJSON_AddArrayToObject(o, "interrupted");
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        bool there, state;
        if (!eq_run_model_is_made(m))
            continue;
        EQ_CHECK(eq_run_has_model(dir, m->name, &there, err));
        EQ_CHECK(eq_run_has_state(dir, m, &state, err));
        if (there || state)
            eq_json_add(there ? models : begun, NULL, cJSON_CreateString(m->name));
    }
    return EQ_OK;
}

static enum eq_status describe_run(const char *dir, struct cJSON *o, struct eq_err *err)
{
    char **seeds;
    size_t n;
    cJSON_AddStringToObject(o, "path", dir);
    cJSON_AddStringToObject(o, "kind", "run");
    cJSON_AddBoolToObject(o, "results", eq_run_has_file(dir, "results", ".json"));
    EQ_CHECK(add_models(dir, o, err));
    EQ_CHECK(eq_seed_dirs(dir, &seeds, &n, err));
    cJSON_AddNumberToObject(o, "seeds", (double)n);
    eq_names_free(seeds, n);
    return EQ_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The run directories in a folder. */
static enum eq_status add_runs(const char *dir, struct cJSON *runs, struct eq_err *err)
{
    char **names;
    size_t n;
    enum eq_status st = eq_list_dir(dir, &names, &n, err);
    if (n)
        qsort(names, n, sizeof *names, compare);
    for (size_t i = 0; i < n && st == EQ_OK; i++) {
        char *path = eq_path_join(dir, names[i]);
        struct eq_err why;
        bool is_dir, ours = false;
        if (eq_dir_look(path, &is_dir, &why) != EQ_OK || (is_dir && eq_run_is_ours(path, &ours, &why) != EQ_OK))
            eq_warn("left out: %s", why.msg);
        else if (ours)
            st = describe_run(path, eq_json_add(runs, NULL, cJSON_CreateObject()), err);
        free(path);
    }
    eq_names_free(names, n);
    return st;
}

enum eq_status eq_run_describe(const char *dir, struct cJSON **out, struct eq_err *err)
{
    enum eq_status st;
    struct cJSON *o = cJSON_CreateObject();
    bool ours, known;
    *out = NULL;
    EQ_TRY(eq_run_is_ours(dir, &ours, err));
    known = ours;
    if (ours) {
        EQ_TRY(describe_run(dir, o, err));
    } else {
        cJSON_AddStringToObject(o, "path", dir);
        cJSON_AddStringToObject(o, "kind", "runs");
        struct cJSON *runs = cJSON_AddArrayToObject(o, "runs");
        EQ_TRY(add_runs(dir, runs, err));
        known = cJSON_GetArraySize(runs) > 0;
    }
    EQ_TRY(eq_json_check(err));
    if (known) {
        *out = o;
        o = NULL;
    }
out:
    cJSON_Delete(o);
    return st;
}
