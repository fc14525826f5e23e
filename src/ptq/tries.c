/* What each network costs and errs that mixed precision tries: for the front of the report. */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>
#include <string.h>

/* A try comes and goes, so that its median is of a few calls. */
enum { WARMUP = 2, CALLS = 9 };

enum eq_status eq_tries_begin(struct eq_tries *t, struct eq_calibration *clips, struct eq_err *err)
{
    const struct eq_clip_source *s = &clips->source;
    const size_t bytes = (size_t)s->frames * (size_t)s->size * (size_t)s->size * 3;
    const uint8_t *pixels;
    int n;
    EQ_CHECK(s->rewind(s->ctx, err));
    EQ_CHECK(s->next(s->ctx, &pixels, &n, err));
    if (n == 0)
        return eq_fail(err, EQ_FORMAT, "the validation split has no clip to time mixed precision with");
    t->pixels = eq_alloc(1, bytes);
    if (!t->pixels)
        return eq_fail(err, EQ_NOMEM, "out of memory for a clip");
    memcpy(t->pixels, pixels, bytes);
    t->json = cJSON_CreateObject();
    cJSON_AddNumberToObject(t->json, "threads", eq_parallel_threads());
    cJSON_AddStringToObject(t->json, "cpu", eq_cpu_model_name());
    cJSON_AddNumberToObject(t->json, "calls", CALLS);
    cJSON_AddArrayToObject(t->json, "list");
    return EQ_OK;
}

static void set_chosen(struct cJSON *one, bool chosen)
{
    cJSON_DeleteItemFromObjectCaseSensitive(one, "chosen");
    cJSON_AddBoolToObject(one, "chosen", chosen);
}

enum eq_status eq_tries_add(struct eq_tries *t, const struct eq_try *one, struct eq_predictor *p, struct eq_err *err)
{
    static const struct eq_latency_opts how = {.calls = CALLS, .warmup = WARMUP, .repeats = CALLS};
    struct eq_latency_clip clip = {p, t->pixels};
    const struct eq_latency_turn turn = {eq_latency_clip, &clip, eq_parallel_threads(), NULL};
    struct eq_latency latency;
    size_t bytes;
    EQ_CHECK(eq_qmodel_file_bytes(eq_predictor_qmodel(p), &bytes, err));
    EQ_CHECK(eq_latency_turns(&turn, 1, &how, &latency, err));
    struct cJSON *list = cJSON_GetObjectItemCaseSensitive(t->json, "list");
    struct cJSON *o = eq_json_add(list, NULL, cJSON_CreateObject());
    cJSON_AddStringToObject(o, "layer", one->layer);
    cJSON_AddStringToObject(o, "to", one->to);
    cJSON_AddStringToObject(o, "keep_fp32", one->keep_fp32);
    eq_json_add_real(o, "mae", one->mae);
    cJSON_AddNumberToObject(o, "size_mb", (double)bytes / 1e6);
    eq_json_add_real(o, "latency_ms", latency.median);
    set_chosen(o, false);
    cJSON_DeleteItemFromObjectCaseSensitive(t->json, "clips");
    cJSON_AddNumberToObject(t->json, "clips", one->val);
    return EQ_OK;
}

void eq_tries_choose(struct eq_tries *t)
{
    struct cJSON *list = cJSON_GetObjectItemCaseSensitive(t->json, "list");
    if (t->current)
        set_chosen(t->current, false);
    t->current = cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1);
    set_chosen(t->current, true);
}

void eq_tries_clear(struct eq_tries *t)
{
    cJSON_Delete(t->json);
    eq_free(t->pixels);
    *t = (struct eq_tries){0};
}
