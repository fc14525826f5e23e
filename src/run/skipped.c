#include "run/skipped.h"

#include <cjson/cJSON.h>

enum eq_status eq_skipped_record(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err)
{
    struct cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < ds->n_skipped; i++) {
        struct cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "FileName", ds->skipped[i].file_name);
        cJSON_AddStringToObject(entry, "reason", ds->skipped[i].reason);
        cJSON_AddItemToArray(array, entry);
    }
    return eq_results_put(run_dir, "skipped", array, err);
}
