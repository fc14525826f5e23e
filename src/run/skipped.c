#include "run/skipped.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

/* results.json's "skipped" object as it stands, or a new one. */
static enum eq_status read_skipped(const char *run_dir, struct cJSON **out, struct eq_err *err)
{
    char *path = eq_path_join(run_dir, "results.json");
    struct cJSON *results = NULL;
    enum eq_status st = EQ_OK;
    if (eq_path_exists(path))
        EQ_TRY(eq_json_read(path, &results, err));
    *out = cJSON_DetachItemFromObject(results, "skipped");
    if (!*out)
        *out = cJSON_CreateObject();
out:
    cJSON_Delete(results);
    free(path);
    return st;
}

enum eq_status eq_skipped_record(const char *run_dir, const char *key, const struct eq_skipped *list, size_t n,
                                 struct eq_err *err)
{
    struct cJSON *skipped;
    enum eq_status st = read_skipped(run_dir, &skipped, err);
    if (st != EQ_OK)
        return st;
    cJSON_DeleteItemFromObject(skipped, key);
    struct cJSON *array = cJSON_AddArrayToObject(skipped, key);
    for (size_t i = 0; i < n; i++) {
        struct cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "FileName", list[i].file_name);
        cJSON_AddStringToObject(entry, "reason", list[i].reason);
        cJSON_AddItemToArray(array, entry);
    }
    if (n)
        eq_warn("%s: %zu clips were left out (listed in results.json)", key, n);
    return eq_results_put(run_dir, "skipped", skipped, err);
}
