/* Reading sensitivity.json, for the report and the command. */
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static bool is_sensitivity(const struct cJSON *json)
{
    const struct cJSON *layers = cJSON_GetObjectItemCaseSensitive(json, "layers"), *row;
    if (strcmp(eq_json_text(json, "format"), EQ_SENSITIVITY_FORMAT) != 0 || !cJSON_IsArray(layers))
        return false;
    cJSON_ArrayForEach(row, layers) if (!eq_json_text(row, "layer")[0]) return false;
    return true;
}

enum eq_status eq_sensitivity_check(const struct cJSON *json, const char *name, struct eq_err *err)
{
    return is_sensitivity(json) ? EQ_OK
                                : eq_fail(err, EQ_FORMAT, "%s is not a sensitivity file of this program (format %s)",
                                          name, EQ_SENSITIVITY_FORMAT);
}

enum eq_status eq_sensitivity_read(const char *run_dir, struct cJSON **out, struct eq_err *err)
{
    char *path = eq_path_join(run_dir, "sensitivity.json");
    enum eq_status st = eq_json_read(path, out, err);
    if (st == EQ_OK && (st = eq_sensitivity_check(*out, path, err)) != EQ_OK) {
        cJSON_Delete(*out);
        *out = NULL;
    }
    free(path);
    return st;
}
