/* Latency of one model file as a JSON object, for `bench`. */
#include "echoquant/run.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static void add_latency(struct cJSON *result, const char *key, const struct eq_latency *l)
{
    struct cJSON *object = cJSON_AddObjectToObject(result, key);
    cJSON_AddNumberToObject(object, "min", l->min);
    cJSON_AddNumberToObject(object, "median", l->median);
    cJSON_AddNumberToObject(object, "p95", l->p95);
    cJSON_AddNumberToObject(object, "repeats", l->repeats);
}

static enum eq_status describe(const struct eq_predictor *p, const char *path, double load_ms, struct cJSON *result,
                               struct eq_err *err)
{
    uint64_t bytes;
    enum eq_status st = eq_file_size(path, &bytes, err);
    if (st != EQ_OK)
        return st;
    cJSON_AddStringToObject(result, "model", path);
    cJSON_AddStringToObject(result, "precision", p->precision);
    cJSON_AddNumberToObject(result, "size_mb", (double)bytes / 1e6);
    cJSON_AddNumberToObject(result, "frames", p->meta.frames);
    cJSON_AddNumberToObject(result, "size", p->meta.size);
    cJSON_AddNumberToObject(result, "threads", eq_parallel_threads());
    cJSON_AddStringToObject(result, "isa", eq_cpu_isa_in_use());
    cJSON_AddStringToObject(result, "cpu", eq_cpu_model_name());
    cJSON_AddNumberToObject(result, "load_ms", load_ms);
    return EQ_OK;
}

/* The first test clip of data.dir in pixels, and its latency from the file on. */
static enum eq_status measure_file(struct eq_predictor *p, const struct eq_config *cfg, uint8_t *pixels,
                                   struct cJSON *result, struct eq_err *err)
{
    enum eq_status st;
    struct eq_dataset ds = {0};
    uint32_t *test = NULL;
    struct eq_latency latency;
    struct eq_sampling sampling = {.frames = p->meta.frames, .size = p->meta.size, .phase = -1};
    EQ_TRY(
        eq_dataset_open(cfg->data.dir, (uint64_t)cfg->data.split_seed, (enum eq_on_error)cfg->data.on_error, &ds, err));
    if (eq_dataset_split(&ds, EQ_SPLIT_TEST, &test) == 0) {
        st = eq_fail(err, EQ_FORMAT, "%s: the TEST split holds no clips", ds.dir);
        goto out;
    }
    const char *path = ds.samples[test[0]].path;
    EQ_TRY(eq_clip_read(path, &sampling, pixels, NULL, err));
    EQ_TRY(eq_latency_file(p, &path, 1, 1, cfg->bench.warmup, cfg->bench.repeats, &latency, err));
    add_latency(result, "file_latency_ms", &latency);
    cJSON_AddStringToObject(result, "clip", path);
out:
    free(test);
    eq_dataset_clear(&ds);
    return st;
}

static void random_pixels(uint8_t *pixels, size_t n)
{
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)eq_rng_u32(&rng);
}

/* Under BF16 the same model in FP32 takes turns with it. */
static enum eq_status measure_model(struct eq_predictor *p, const struct eq_config *cfg, const char *path,
                                    const uint8_t *pixels, struct cJSON *result, struct eq_err *err)
{
    enum eq_status st;
    struct eq_latency latency[2];
    struct eq_predictor fp32 = {0};
    if (cfg->run.precision == EQ_PRECISION_FP32) {
        EQ_TRY(eq_latency_model(p, pixels, cfg->bench.warmup, cfg->bench.repeats, latency, err));
    } else {
        EQ_TRY(eq_predictor_open(&fp32, path, EQ_PRECISION_FP32, 1, err));
        struct eq_predictor *const pair[] = {p, &fp32};
        EQ_TRY(eq_latency_pair(pair, pixels, cfg->bench.warmup, cfg->bench.repeats, latency, err));
        add_latency(result, "fp32_latency_ms", &latency[1]);
    }
    add_latency(result, "latency_ms", &latency[0]);
out:
    eq_predictor_close(&fp32);
    return st;
}

enum eq_status eq_run_bench(const struct eq_config *cfg, const char *model_path, bool with_data, struct cJSON **out,
                            struct eq_err *err)
{
    enum eq_status st;
    struct eq_predictor p = {0};
    uint8_t *pixels = NULL;
    struct cJSON *result = cJSON_CreateObject();
    double start = eq_now_ms();
    EQ_TRY(eq_predictor_open(&p, model_path, (enum eq_precision)cfg->run.precision, 1, err));
    EQ_TRY(describe(&p, model_path, eq_now_ms() - start, result, err));
    size_t bytes = (size_t)p.meta.frames * (size_t)p.meta.size * (size_t)p.meta.size * 3;
    pixels = eq_alloc(bytes, 1);
    if (!pixels) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for a clip");
        goto out;
    }
    random_pixels(pixels, bytes);
    if (with_data)
        EQ_TRY(measure_file(&p, cfg, pixels, result, err));
    EQ_TRY(measure_model(&p, cfg, model_path, pixels, result, err));
    *out = result;
    result = NULL;
out:
    cJSON_Delete(result);
    eq_free(pixels);
    eq_predictor_close(&p);
    return st;
}
