/* The metadata "clip_statistics" of a model file: how its training clips look, as one JSON object. */
#include "model/graph.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

const struct eq_look_kind eq_look_kinds[EQ_LOOK_COUNT] = {
    [EQ_LOOK_BRIGHTNESS] = {"brightness", "mean brightness", 4},
    [EQ_LOOK_CONTRAST] = {"contrast", "contrast", 4},
    [EQ_LOOK_BLACK] = {"black", "share of black pixels", 0.03},
    [EQ_LOOK_MOTION] = {"motion", "change from frame to frame", 1},
    [EQ_LOOK_DETAIL] = {"detail", "difference between neighboring pixels", 1},
    [EQ_LOOK_COLOR] = {"color", "color", 3},
    [EQ_LOOK_LAYOUT] = {"layout", "likeness of layout", 0.05},
};

static void add_array(struct cJSON *o, const char *key, const float *v, int n)
{
    struct cJSON *array = eq_json_add(o, key, cJSON_CreateArray());
    for (int i = 0; i < n; i++)
        eq_json_add(array, NULL, eq_json_new_real((double)v[i]));
}

struct cJSON *eq_looks_json(const struct eq_looks *looks)
{
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "clips", looks->clips);
    for (int k = 0; k < EQ_LOOK_COUNT; k++)
        add_array(o, eq_look_kinds[k].key, (const float[]){looks->low[k], looks->high[k]}, 2);
    add_array(o, "cells", looks->cells, EQ_LOOK_CELLS);
    return o;
}

enum eq_status eq_looks_add(struct eq_st_file *f, const struct eq_looks *looks, struct eq_err *err)
{
    struct eq_str text = {0};
    if (looks->clips == 0)
        return EQ_OK;
    struct cJSON *o = eq_looks_json(looks);
    enum eq_status st = eq_json_print_line(&text, o, err);
    if (st == EQ_OK)
        eq_st_add_meta(f, "clip_statistics", "%s", text.s);
    eq_str_clear(&text);
    cJSON_Delete(o);
    return st;
}

/* An array of n finite numbers. */
static bool read_array(const struct cJSON *o, const char *key, float *v, int n)
{
    const struct cJSON *array = cJSON_GetObjectItemCaseSensitive(o, key), *item;
    int i = 0;
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) != n)
        return false;
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsNumber(item) || !isfinite((float)item->valuedouble))
            return false;
        v[i++] = (float)item->valuedouble;
    }
    return true;
}

enum eq_status eq_looks_read(const struct eq_st_file *f, struct eq_looks *looks, struct eq_err *err)
{
    static const char name[] = "metadata \"clip_statistics\"";
    const char *text = eq_st_meta(f, "clip_statistics");
    struct cJSON *o = NULL;
    *looks = (struct eq_looks){0};
    if (!text)
        return EQ_OK;
    EQ_CHECK(eq_json_parse(text, strlen(text), name, &o, err));
    double clips = eq_json_real(o, "clips");
    bool good = clips >= 1 && clips <= 1e9 && read_array(o, "cells", looks->cells, EQ_LOOK_CELLS);
    for (int k = 0; k < EQ_LOOK_COUNT && good; k++) {
        float range[2];
        good = read_array(o, eq_look_kinds[k].key, range, 2) && range[0] <= range[1];
        looks->low[k] = good ? range[0] : 0;
        looks->high[k] = good ? range[1] : 0;
    }
    looks->clips = good ? (int)clips : 0;
    cJSON_Delete(o);
    return good ? EQ_OK
                : eq_fail(err, EQ_FORMAT, "%s is damaged: it must hold ranges of %d statistics", name, EQ_LOOK_COUNT);
}
