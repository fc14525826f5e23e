/* What a run is of: the digests of its data and its models, in config.json, and the manifest of its data, data.csv. */
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MANIFEST_BYTES ((size_t)256 << 20)

/* *config: config.json of a run; NULL: there is none. */
static enum eq_status read_config(const char *dir, struct cJSON **config, struct eq_err *err)
{
    char *path = eq_path_join(dir, "config.json");
    bool ours;
    *config = NULL;
    enum eq_status st = eq_run_is_ours(dir, &ours, err);
    if (st == EQ_OK && ours)
        st = eq_json_read(path, config, err);
    free(path);
    return st;
}

/* ---- data ------------------------------------------------------------------ */

enum eq_status eq_run_read_manifest(const char *run_dir, const char *digest, struct eq_dataset *out, struct eq_err *err)
{
    char *path = eq_path_join(run_dir, EQ_MANIFEST_FILE), now[EQ_SHA256_TEXT];
    void *text = NULL;
    size_t len;
    enum eq_status st;
    *out = (struct eq_dataset){0};
    EQ_TRY(eq_read_file(path, MAX_MANIFEST_BYTES, &text, &len, err));
    eq_sha256(text, len, now);
    if (strcmp(now, digest) != 0)
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s does not have the digest that config.json notes", path));
    EQ_TRY(eq_manifest_parse(path, text, len, out, err));
out:
    eq_free(text);
    free(path);
    return st;
}

enum eq_status eq_run_write_manifest(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err)
{
    struct eq_str text = {0};
    char *path = eq_path_join(run_dir, EQ_MANIFEST_FILE);
    eq_dataset_manifest(ds, &text);
    enum eq_status st = eq_write_file(path, text.s, text.len, err);
    eq_str_clear(&text);
    free(path);
    return st;
}

/* How ds differs from the data of digest `was`, as far as the run directory knows. */
static void explain(const char *dir, const char *was, const struct eq_dataset *ds, struct eq_str *out)
{
    struct eq_dataset old;
    char now[EQ_SHA256_TEXT];
    if (eq_run_read_manifest(dir, was, &old, NULL) == EQ_OK)
        eq_dataset_changes(&old, ds, out);
    eq_dataset_clear(&old);
    eq_dataset_digest(ds, now);
    if (out->len == 0)
        eq_str_add(out, "digest %.12s, now %.12s", was, now);
}

/* Whether the models that were made with the data of digest `was` are models of ds, too. */
static bool trains_alike(const char *dir, const char *was, const struct eq_dataset *ds)
{
    struct eq_dataset old;
    bool alike = eq_run_read_manifest(dir, was, &old, NULL) == EQ_OK && eq_dataset_trains_alike(&old, ds);
    eq_dataset_clear(&old);
    return alike;
}

/* Whether two spellings lead to one folder. */
static bool same_folder(const char *a, const char *b)
{
    char *x = eq_real_path(a), *y = eq_real_path(b);
    bool same = strcmp(a, b) == 0 || (x && y && strcmp(x, y) == 0);
    free(x);
    free(y);
    return same;
}

/* A run of version 0.1.0 noted no digest of its data: only the folder can tell. */
static enum eq_status check_folder(const char *dir, const struct cJSON *config, const struct eq_dataset *ds,
                                   struct eq_err *err)
{
    const char *was = eq_json_text(cJSON_GetObjectItemCaseSensitive(config, "data"), "dir");
    if (!ds->dir || !*was || same_folder(was, ds->dir))
        return EQ_OK;
    return eq_fail(err, EQ_USAGE,
                   "%s has no digest of its data, because version 0.1.0 made it. Its data folder was "
                   "%.300s, but is now %.300s. Restore the former name of the folder once (a link will do), "
                   "or name another run directory with --run",
                   dir, was, ds->dir);
}

/* Refuses a folder with rows or models that were made with other data than ds. renewed: the model that will be
 * replaced, with its row; NULL: none. The row Median is replaced together with any other. */
static enum eq_status check_data(const char *dir, const struct eq_dataset *ds, const struct eq_run_model *renewed,
                                 struct eq_err *err)
{
    struct cJSON *config = NULL;
    struct eq_results results;
    struct eq_str others = {0}, changes = {0};
    char digest[EQ_SHA256_TEXT];
    const char *was = NULL;
    enum eq_status st;
    bool begun, undigested = false, other_models = false;
    eq_dataset_digest(ds, digest);
    EQ_TRY(eq_results_open(dir, &results, err));
    for (size_t i = 0; i < results.n; i++) {
        const struct eq_result *row = &results.rows[i];
        bool replaced = (renewed && strcmp(row->model, renewed->row) == 0) || strcmp(row->model, EQ_MEDIAN_ROW) == 0;
        undigested |= !row->data[0] && !replaced;
        if (!row->data[0] || strcmp(row->data, digest) == 0 || replaced)
            continue;
        eq_str_add(&others, "%srow %s", others.len ? ", " : "", row->model);
        was = was ? was : row->data;
    }
    EQ_TRY(read_config(dir, &config, err));
    const char *note = eq_json_text(config, EQ_DATA_DIGEST);
    bool other = *note && strcmp(note, digest) != 0 && !trains_alike(dir, note, ds);
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        EQ_TRY(eq_run_has_begun(dir, m, &begun, err));
        if (!begun || m == renewed || !eq_run_model_is_made(m))
            continue;
        undigested = true;
        other_models |= other;
        if (other)
            eq_str_add(&others, "%smodel %s", others.len ? ", " : "", m->name);
    }
    if (others.len) {
        explain(dir, was ? was : note, ds, &changes);
        EQ_TRY(eq_fail(err, EQ_USAGE,
                       "%s contains results of other data (%.200s). Changes since then: %.500s. Restore FileList.csv "
                       "and the clips, %sor name another folder with --run",
                       dir, others.s, changes.s,
                       other_models ? "" : "remove results.json there to evaluate all of its models on these clips, "));
    }
    if (config && !*note && undigested)
        EQ_TRY(check_folder(dir, config, ds, err));
out:
    eq_results_clear(&results);
    cJSON_Delete(config);
    eq_str_clear(&others);
    eq_str_clear(&changes);
    return st;
}

enum eq_status eq_run_check_all_data(const char *dir, const struct eq_dataset *ds, const struct eq_run_model *renewed,
                                     struct eq_err *err)
{
    char **names = NULL;
    size_t n = 0;
    bool ours;
    enum eq_status st;
    EQ_TRY(check_data(dir, ds, renewed, err));
    EQ_TRY(eq_seed_dirs(dir, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        EQ_TRY(eq_run_is_ours(names[i], &ours, err));
        if (ours)
            EQ_TRY(check_data(names[i], ds, NULL, err));
    }
out:
    eq_names_free(names, n);
    return st;
}

enum eq_status eq_run_check_data(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err)
{
    return eq_run_check_all_data(run_dir, ds, NULL, err);
}

/* ---- models ---------------------------------------------------------------- */

/* The digests of the models that are there: as noted when they were made, or taken now. renewed: as for
 * eq_run_notes. */
static enum eq_status add_models(const char *dir, const struct cJSON *was, const struct eq_run_model *renewed,
                                 struct cJSON *models, struct eq_err *err)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        char hex[EQ_SHA256_TEXT];
        const char *noted = eq_json_text(was, m->name);
        bool there = false;
        if (eq_run_model_is_made(m) && m != renewed)
            EQ_CHECK(eq_run_has_model(dir, m->name, &there, err));
        if (!there)
            continue;
        char *path = eq_run_model_path(dir, m->name, NULL);
        enum eq_status st = eq_sha256_file(path, hex, err);
        if (st == EQ_OK && *noted && strcmp(noted, hex) != 0)
            eq_warn("%s is not the file that this run made: its SHA-256 is %.12s..., not %.12s...", path, hex, noted);
        free(path);
        EQ_CHECK(st);
        eq_json_add(models, m->name, cJSON_CreateString(*noted ? noted : hex));
    }
    return EQ_OK;
}

enum eq_status eq_run_notes(const char *dir, const struct eq_dataset *ds, const struct eq_run_model *renewed,
                            struct cJSON **notes, struct eq_err *err)
{
    char digest[EQ_SHA256_TEXT];
    struct cJSON *config = NULL;
    enum eq_status st;
    *notes = cJSON_CreateObject();
    EQ_TRY(read_config(dir, &config, err));
    if (config && !*eq_json_text(config, EQ_DATA_DIGEST))
        eq_info("%s: noted the digest of %s", dir, ds->dir ? ds->dir : "the data");
    eq_dataset_digest(ds, digest);
    eq_json_add(*notes, EQ_DATA_DIGEST, cJSON_CreateString(digest));
    EQ_TRY(add_models(dir, cJSON_GetObjectItemCaseSensitive(config, EQ_MODEL_DIGESTS), renewed,
                      eq_json_add(*notes, EQ_MODEL_DIGESTS, cJSON_CreateObject()), err));
out:
    cJSON_Delete(config);
    return st;
}

/* missing: only if the run has no digest of the model. */
static enum eq_status note(const char *model, bool missing, struct eq_err *err)
{
    char *dir = eq_strdup(model), *slash = strrchr(dir, '/'), *name = slash ? slash + 1 : dir;
    char hex[EQ_SHA256_TEXT], *path = NULL;
    struct cJSON *config = NULL;
    enum eq_status st = EQ_OK;
    if (!slash)
        goto out;
    *slash = '\0';
    name[strcspn(name, ".")] = '\0';
    path = eq_path_join(dir, "config.json");
    EQ_TRY(read_config(dir, &config, err));
    if (!config)
        goto out;
    struct cJSON *models = cJSON_GetObjectItemCaseSensitive(config, EQ_MODEL_DIGESTS);
    models = models ? models : eq_json_add(config, EQ_MODEL_DIGESTS, cJSON_CreateObject());
    if (missing && *eq_json_text(models, name))
        goto out;
    EQ_TRY(eq_sha256_file(model, hex, err));
    cJSON_DeleteItemFromObjectCaseSensitive(models, name);
    eq_json_add(models, name, cJSON_CreateString(hex));
    EQ_TRY(eq_sealed_write(path, config, err));
out:
    cJSON_Delete(config);
    free(path);
    free(dir);
    return st;
}

enum eq_status eq_run_note_model(const char *model, struct eq_err *err)
{
    return note(model, false, err);
}

enum eq_status eq_run_note_missing(const char *model, struct eq_err *err)
{
    return note(model, true, err);
}
