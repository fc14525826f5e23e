/* Any bytes as quantization/<name>.json: what the report asks of it is there, or it is refused by its name. */
#include "fuzz.h"
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <math.h>

static void require_whole(const struct cJSON *json)
{
    const struct cJSON *edge;
    require(isfinite(eq_json_real(json, "clips")));
    cJSON_ArrayForEach(edge, cJSON_GetObjectItemCaseSensitive(json, "edges"))
    {
        require(eq_json_real(edge, "low") < eq_json_real(edge, "high"));
        require(eq_json_real(edge, "min") <= eq_json_real(edge, "max"));
        require(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(edge, "counts")) > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cJSON *json;
    struct eq_err err = {0};
    if (eq_json_parse((const char *)data, size, "input", &json, &err) != EQ_OK)
        return 0; /* fuzz_json */
    if (eq_quantization_check(json, "input", &err) == EQ_OK)
        require_whole(json);
    else
        require(err.status == EQ_FORMAT && strncmp(err.msg, "input", 5) == 0);
    cJSON_Delete(json);
    return 0;
}
