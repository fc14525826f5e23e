/* results.json: read, change one thing, write. {"format", "models": [...], "skipped": [...], ...} */
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "echoquant-results-1"

static bool is_results(const struct cJSON *json)
{
    const struct cJSON *format = cJSON_GetObjectItemCaseSensitive(json, "format");
    const struct cJSON *models = cJSON_GetObjectItemCaseSensitive(json, "models"), *row;
    if (!cJSON_IsString(format) || strcmp(format->valuestring, FORMAT) != 0 || !cJSON_IsArray(models))
        return false;
    cJSON_ArrayForEach(row, models) if (!eq_results_model_name(row)) return false;
    return true;
}

const char *eq_results_model_name(const struct cJSON *row)
{
    const struct cJSON *name = cJSON_GetObjectItemCaseSensitive(row, "model");
    return cJSON_IsString(name) ? name->valuestring : NULL;
}

const char *eq_results_data(const struct cJSON *row)
{
    const struct cJSON *data = cJSON_GetObjectItemCaseSensitive(row, "data");
    return cJSON_IsString(data) ? data->valuestring : NULL;
}

void eq_results_add_real(struct cJSON *object, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

enum eq_status eq_results_read(const char *run_dir, struct cJSON **out, struct eq_err *err)
{
    char *path = eq_path_join(run_dir, "results.json");
    enum eq_status st;
    bool there;
    *out = NULL;
    EQ_TRY(eq_path_look(path, &there, err));
    if (!there)
        EQ_TRY(eq_fail(err, EQ_IO, "%s is missing: run `echoquant eval` first", path));
    EQ_TRY(eq_json_read(path, out, err));
    if (!is_results(*out)) {
        st = eq_fail(err, EQ_FORMAT, "%s is not a results file of this program (format %s)", path, FORMAT);
        cJSON_Delete(*out);
        *out = NULL;
    }
out:
    free(path);
    return st;
}

struct cJSON *eq_results_new(void)
{
    struct cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "format", FORMAT);
    cJSON_AddArrayToObject(json, "models");
    return json;
}

/* *out: NULL when there is none. */
static enum eq_status read_if_there(const char *run_dir, struct cJSON **out, struct eq_err *err)
{
    char *path = eq_path_join(run_dir, "results.json");
    bool there;
    *out = NULL;
    enum eq_status st = eq_path_look(path, &there, err);
    free(path);
    return st == EQ_OK && there ? eq_results_read(run_dir, out, err) : st;
}

static enum eq_status read_or_new(const char *run_dir, struct cJSON **out, struct eq_err *err)
{
    enum eq_status st = read_if_there(run_dir, out, err);
    if (st == EQ_OK && !*out)
        *out = eq_results_new();
    return st;
}

static enum eq_status write_results(const char *run_dir, const struct cJSON *json, struct eq_err *err)
{
    char *path = eq_path_join(run_dir, "results.json");
    enum eq_status st = eq_json_write(path, json, err);
    free(path);
    return st;
}

/* The order of the table of models, then any others as they came, then the sanity row. */
static int rank(const struct cJSON *row)
{
    const char *name = eq_results_model_name(row);
    const struct eq_run_model *m = eq_run_model_of_row(name);
    return m ? (int)(m - eq_run_models) : strcmp(name, EQ_MEDIAN_ROW) == 0 ? INT_MAX : INT_MAX - 1;
}

/* By taking out and appending: cJSON_InsertItemInArray refuses every place but the first in the 1.7.15 of Debian 12
 * (its fix for CVE-2023-50471 looks at the wrong item). */
void eq_results_insert_row(struct cJSON *models, struct cJSON *row)
{
    struct cJSON *behind = cJSON_CreateArray();
    int at = 0;
    while (at < cJSON_GetArraySize(models)) {
        if (rank(cJSON_GetArrayItem(models, at)) > rank(row))
            cJSON_AddItemToArray(behind, cJSON_DetachItemFromArray(models, at));
        else
            at++;
    }
    cJSON_AddItemToArray(models, row);
    while (cJSON_GetArraySize(behind) > 0)
        cJSON_AddItemToArray(models, cJSON_DetachItemFromArray(behind, 0));
    cJSON_Delete(behind);
}

static void remove_row(struct cJSON *models, const char *name)
{
    for (int i = cJSON_GetArraySize(models) - 1; i >= 0; i--)
        if (strcmp(eq_results_model_name(cJSON_GetArrayItem(models, i)), name) == 0)
            cJSON_DeleteItemFromArray(models, i);
}

enum eq_status eq_results_put_model(const char *run_dir, struct cJSON *row, struct eq_err *err)
{
    struct cJSON *json = NULL;
    enum eq_status st;
    if (!eq_results_model_name(row)) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for a row of results.json");
        goto out;
    }
    EQ_TRY(read_or_new(run_dir, &json, err));
    struct cJSON *models = cJSON_GetObjectItemCaseSensitive(json, "models");
    remove_row(models, eq_results_model_name(row));
    eq_results_insert_row(models, row);
    row = NULL;
    EQ_TRY(write_results(run_dir, json, err));
out:
    cJSON_Delete(row);
    cJSON_Delete(json);
    return st;
}

enum eq_status eq_results_drop_model(const char *run_dir, const char *name, struct eq_err *err)
{
    struct cJSON *json;
    enum eq_status st = read_if_there(run_dir, &json, err);
    if (st != EQ_OK || !json)
        return st;
    remove_row(cJSON_GetObjectItemCaseSensitive(json, "models"), name);
    st = write_results(run_dir, json, err);
    cJSON_Delete(json);
    return st;
}

enum eq_status eq_results_put(const char *run_dir, const char *key, struct cJSON *value, struct eq_err *err)
{
    struct cJSON *json = NULL;
    enum eq_status st;
    EQ_TRY(read_or_new(run_dir, &json, err));
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    cJSON_AddItemToObject(json, key, value);
    value = NULL;
    EQ_TRY(write_results(run_dir, json, err));
out:
    cJSON_Delete(value);
    cJSON_Delete(json);
    return st;
}

const struct cJSON *eq_results_find_model(const struct cJSON *results, const char *name)
{
    return eq_results_list_find(cJSON_GetObjectItemCaseSensitive(results, "models"), name);
}

const struct cJSON *eq_results_list_find(const struct cJSON *models, const char *name)
{
    const struct cJSON *row;
    cJSON_ArrayForEach(row, models)
    {
        if (strcmp(eq_results_model_name(row), name) == 0)
            return row;
    }
    return NULL;
}

struct cJSON *eq_skipped_list(const struct eq_dataset *ds)
{
    struct cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < ds->n_skipped; i++) {
        struct cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "FileName", ds->skipped[i].file_name);
        cJSON_AddStringToObject(entry, "reason", ds->skipped[i].reason);
        cJSON_AddItemToArray(array, entry);
    }
    return array;
}

enum eq_status eq_skipped_record(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err)
{
    return eq_results_put(run_dir, "skipped", eq_skipped_list(ds), err);
}

double eq_report_number(const struct cJSON *row, const char *path)
{
    char key[64];
    const char *dot = strchr(path, '.');
    if (dot) {
        snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
        return eq_report_number(cJSON_GetObjectItemCaseSensitive(row, key), dot + 1);
    }
    const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(row, path);
    return cJSON_IsNumber(value) ? value->valuedouble : NAN;
}

const char *eq_report_text(const struct cJSON *object, const char *key)
{
    const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(value) ? value->valuestring : "";
}
