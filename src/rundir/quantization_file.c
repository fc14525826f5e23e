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

/* Names of layers, separated by commas; none at all, too. */
static bool is_layer_list(const char *names)
{
    while (*names) {
        size_t len = strcspn(names, ",");
        char name[64];
        if (len >= sizeof name)
            return false;
        snprintf(name, sizeof name, "%.*s", (int)len, names);
        if (!is_layer_name(name))
            return false;
        names += len + (names[len] == ',');
    }
    return true;
}

static const char *fault_of_try(const struct cJSON *one)
{
    static const char *const numbers[] = {"mae", "size_mb", "latency_ms"};
    const char *to = eq_json_text(one, "to");
    if (!is_layer_name(eq_json_text(one, "layer")))
        return "layer";
    if (strcmp(to, "FP32") != 0 && strcmp(to, "INT8") != 0)
        return "to";
    if (!is_layer_list(eq_json_text(one, "keep_fp32")))
        return "keep_fp32";
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double value = eq_json_real(one, numbers[i]);
        if (!(value >= 0 && value < 1e9))
            return numbers[i];
    }
    return cJSON_IsBool(get(one, "chosen")) ? NULL : "chosen";
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

static enum eq_status check_tries(const struct cJSON *tries, const char *file, struct eq_err *err)
{
    static const char *const numbers[] = {"clips", "threads", "calls", NULL};
    const char *fault = without_number(tries, numbers);
    if (fault)
        return eq_fail(err, EQ_FORMAT, "%s: tries.%s is missing or not a number", file, fault);
    return check_list(tries, "list", fault_of_try, file, err);
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
    if (get(json, "layers"))
        EQ_CHECK(check_list(json, "layers", fault_of_layer, file, err));
    return get(json, "tries") ? check_tries(get(json, "tries"), file, err) : EQ_OK;
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
