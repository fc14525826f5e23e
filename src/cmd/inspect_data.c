/* Descriptions of a clip and of a data folder. */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

enum eq_status eq_inspect_clip(const char *path, bool json, struct eq_err *err)
{
    struct eq_clip_info info;
    EQ_CHECK(eq_clip_probe(path, &info, err));
    if (!json) {
        printf("%s: clip, %s, %d x %d, %d frame%s", path, info.codec, info.width, info.height, info.decoded_frames,
               eq_plural(info.decoded_frames));
        if (info.header_frames != info.decoded_frames)
            printf(" (its header says %d)", info.header_frames);
        printf(", %.3g frames a second, %s\n", info.fps, info.gray ? "gray" : "color");
        return EQ_OK;
    }
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "path", path);
    cJSON_AddStringToObject(o, "codec", info.codec);
    cJSON_AddNumberToObject(o, "width", info.width);
    cJSON_AddNumberToObject(o, "height", info.height);
    cJSON_AddNumberToObject(o, "decoded_frames", info.decoded_frames);
    cJSON_AddNumberToObject(o, "header_frames", info.header_frames);
    cJSON_AddNumberToObject(o, "fps", info.fps);
    cJSON_AddBoolToObject(o, "gray", info.gray);
    enum eq_status st = eq_print_json(o, err);
    cJSON_Delete(o);
    return st;
}

static enum eq_status describe_split(const struct eq_dataset *ds, enum eq_split split, struct cJSON *splits,
                                     struct eq_err *err)
{
    struct cJSON *o = cJSON_CreateObject();
    uint32_t *index = NULL;
    size_t n = eq_dataset_split(ds, split, &index);
    double *ef = eq_alloc(n + 1, sizeof *ef);
    if (!index || !ef) {
        cJSON_Delete(o);
        free(index);
        eq_free(ef);
        return eq_fail(err, EQ_NOMEM, "out of memory for the list of clips");
    }
    for (size_t i = 0; i < n; i++)
        ef[i] = ds->samples[index[i]].ef;
    cJSON_AddNumberToObject(o, "clips", (double)n);
    if (n) {
        double median = eq_median_of(ef, n); /* sorts */
        cJSON_AddNumberToObject(o, "ef_min", ef[0]);
        cJSON_AddNumberToObject(o, "ef_median", median);
        cJSON_AddNumberToObject(o, "ef_max", ef[n - 1]);
    }
    eq_json_add(splits, eq_split_name(split), o);
    free(index);
    eq_free(ef);
    return EQ_OK;
}

static void print_folder(const struct eq_dataset *ds, const struct cJSON *o)
{
    printf("%s: %s data folder, %zu clip%s, split %s\n", ds->dir,
           eq_run_data_is_synthetic(ds->dir) ? "synthetic" : "real", ds->n, eq_plural((double)ds->n),
           ds->split_from_file ? "by FileList.csv" : "drawn by file name (70/15/15)");
    const struct cJSON *split;
    cJSON_ArrayForEach(split, cJSON_GetObjectItemCaseSensitive(o, "splits"))
    {
        double clips = eq_json_real(split, "clips");
        printf("  %-6s %6.0f clip%s", split->string, clips, eq_plural(clips));
        if (cJSON_HasObjectItem(split, "ef_median"))
            printf(", EF %.1f .. %.1f, median %.1f %%", eq_json_real(split, "ef_min"), eq_json_real(split, "ef_max"),
                   eq_json_real(split, "ef_median"));
        printf("\n");
    }
    for (size_t i = 0; i < ds->n_skipped; i++)
        printf("  cannot be used: %s\n", ds->skipped[i].reason);
}

/* Rows that cannot be used are listed and are not fatal: inspect is the way to see them. */
enum eq_status eq_inspect_folder(const char *path, const struct eq_config *cfg, bool json, struct eq_err *err)
{
    struct eq_dataset ds = {0};
    struct eq_results results;
    struct cJSON *o = cJSON_CreateObject();
    enum eq_status st;
    EQ_TRY(eq_dataset_open(path, (uint64_t)cfg->data.split_seed, EQ_ON_ERROR_SKIP, &ds, err));
    cJSON_AddStringToObject(o, "path", path);
    cJSON_AddBoolToObject(o, "synthetic", eq_run_data_is_synthetic(path));
    cJSON_AddNumberToObject(o, "clips", (double)ds.n);
    cJSON_AddBoolToObject(o, "split_from_file", ds.split_from_file);
    struct cJSON *splits = cJSON_AddObjectToObject(o, "splits");
    for (int s = 0; s < EQ_SPLIT_COUNT; s++)
        EQ_TRY(describe_split(&ds, (enum eq_split)s, splits, err));
    eq_results_init(&results);
    eq_results_set_skipped(&results, &ds);
    struct cJSON *document = eq_results_json(&results);
    eq_json_add(o, "skipped", cJSON_DetachItemFromObjectCaseSensitive(document, "skipped"));
    cJSON_Delete(document);
    eq_results_clear(&results);
    EQ_TRY(eq_json_check(err));
    if (json)
        EQ_TRY(eq_print_json(o, err));
    else
        print_folder(&ds, o);
out:
    cJSON_Delete(o);
    eq_dataset_clear(&ds);
    return st;
}
