/* Reading quantization/<name>.json, for the report. */
#include "rundir/rundir.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct cJSON *get(const struct cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

char *eq_quantization_path(const char *run_dir, const char *name)
{
    return eq_format("%s/quantization/%s.json", run_dir, name);
}

/* Names of layers stand in the scripts of pictures. */
static bool is_layer_name(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(name);
    return len > 0 && len < 64 && strspn(name, plain) == len;
}

/* The key of the first number that is missing; NULL: all are there. keys ends with NULL. */
static const char *without_number(const struct cJSON *o, const char *const *keys)
{
    while (*keys && isfinite(eq_json_real(o, *keys)))
        keys++;
    return *keys;
}

/* NULL: the edge is whole; otherwise the key at fault. */
static const char *fault_of_edge(const struct cJSON *edge)
{
    static const char *const numbers[] = {"low", "high", "min", "max", "clipped", NULL};
    const struct cJSON *counts = get(edge, "counts"), *count;
    const char *missing = without_number(edge, numbers);
    if (!is_layer_name(eq_json_text(edge, "edge")))
        return "edge";
    if (missing)
        return missing;
    for (const char *const *key = numbers; *key; key++)
        if (fabs(eq_json_real(edge, *key)) > 1e30) /* no float edge is so wide */
            return *key;
    if (!(eq_json_real(edge, "low") < eq_json_real(edge, "high")))
        return "high";
    if (!(eq_json_real(edge, "min") <= eq_json_real(edge, "max")))
        return "max";
    if (!cJSON_IsArray(counts) || !counts->child)
        return "counts";
    cJSON_ArrayForEach(count, counts) if (!cJSON_IsNumber(count) || !(count->valuedouble >= 0)) return "counts";
    return NULL;
}

/* Numbers of a layer that are there; null, and none at all, are what was not measured. */
static const char *fault_of_layer(const struct cJSON *layer)
{
    static const char *const numbers[] = {"int8_ms", "fp32_ms", "cost_ms", "rms_from_fp32", "mae_change"};
    if (!is_layer_name(eq_json_text(layer, "layer")))
        return "layer";
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const struct cJSON *value = get(layer, numbers[i]);
        if (value && !cJSON_IsNull(value) && !cJSON_IsNumber(value))
            return numbers[i];
    }
    return NULL;
}

static enum eq_status check_list(const struct cJSON *json, const char *key,
                                 const char *(*fault_of)(const struct cJSON *), const char *file, struct eq_err *err)
{
    const struct cJSON *list = get(json, key), *item;
    int i = 0;
    if (!cJSON_IsArray(list))
        return eq_fail(err, EQ_FORMAT, "%s: %s is missing or not a list", file, key);
    cJSON_ArrayForEach(item, list)
    {
        const char *fault = fault_of(item);
        if (fault)
            return eq_fail(err, EQ_FORMAT, "%s: %s[%d].%s is missing or has no valid value", file, key, i, fault);
        i++;
    }
    return EQ_OK;
}

enum eq_status eq_quantization_check(const struct cJSON *json, const char *file, struct eq_err *err)
{
    static const char *const names[] = {"weights", "activations", "both"};
    static const char *const whole[] = {"clips", "mae_fp32", NULL}, *const numbers[] = {"rms_from_fp32", "mae_change",
                                                                                        NULL};
    if (strcmp(eq_json_text(json, "format"), EQ_QUANTIZATION_FORMAT) != 0)
        return eq_fail(err, EQ_FORMAT, "%s is not a file of this program (format %s)", file, EQ_QUANTIZATION_FORMAT);
    const char *fault = without_number(json, whole);
    if (fault)
        return eq_fail(err, EQ_FORMAT, "%s: %s is missing or not a number", file, fault);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((fault = without_number(get(get(json, "parts"), names[i]), numbers)))
            return eq_fail(err, EQ_FORMAT, "%s: parts.%s.%s is missing or not a number", file, names[i], fault);
    EQ_CHECK(check_list(json, "edges", fault_of_edge, file, err));
    return get(json, "layers") ? check_list(json, "layers", fault_of_layer, file, err) : EQ_OK;
}

enum eq_status eq_quantization_read(const char *run_dir, const char *name, struct cJSON **out, struct eq_err *err)
{
    char *path = eq_quantization_path(run_dir, name);
    bool there;
    enum eq_status st;
    *out = NULL;
    EQ_TRY(eq_path_look(path, &there, err));
    if (!there)
        goto out;
    EQ_TRY(eq_json_read(path, out, err));
    EQ_TRY(eq_quantization_check(*out, path, err));
out:
    if (st != EQ_OK) {
        cJSON_Delete(*out);
        *out = NULL;
    }
    free(path);
    return st;
}
