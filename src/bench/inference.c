/* Times of one model as a JSON object, for `bench`: latency with one thread and with all, memory, loading. */
#include "bench/bench.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

static void add_latency(struct cJSON *result, const char *key, const struct eq_latency *l)
{
    struct cJSON *object = cJSON_AddObjectToObject(result, key);
    cJSON_AddNumberToObject(object, "min", l->min);
    cJSON_AddNumberToObject(object, "median", l->median);
    cJSON_AddNumberToObject(object, "p90", l->p90);
    cJSON_AddNumberToObject(object, "p95", l->p95);
    cJSON_AddNumberToObject(object, "p99", l->p99);
    if (isfinite(l->low)) {
        cJSON_AddNumberToObject(object, "low", l->low);
        cJSON_AddNumberToObject(object, "high", l->high);
    }
    cJSON_AddNumberToObject(object, "repeats", l->repeats);
}

enum eq_status eq_bench_alternate(const struct eq_config *cfg, const struct eq_bench_ways *ways, struct cJSON *result,
                                  struct eq_latency *wanted, struct eq_err *err)
{
    enum { WAYS = 3 };
    void *const ctx[WAYS] = {ways->wanted, ways->fp32, ways->one_thread};
    const char *const forms[WAYS][2] = {{"", "_ms"}, {"fp32_", "_ms"}, {"", "_1_ms"}};
    struct eq_latency_turn turns[WAYS];
    struct eq_latency latency[WAYS];
    int n = 0, threads = eq_parallel_threads(), form[WAYS];
    for (int i = 0; i < WAYS; i++)
        if (ctx[i] && (i < 2 || (cfg->bench.scaling && threads > 1))) {
            turns[n] = (struct eq_latency_turn){ways->call, ctx[i], i < 2 ? threads : 1, NULL};
            form[n++] = i;
        }
    const struct eq_latency_opts opts = {ways->calls, cfg->bench.warmup, ways->repeats, ways->seconds};
    enum eq_status st = eq_latency_turns(turns, n, &opts, latency, err);
    for (int k = 0; k < n && st == EQ_OK; k++) {
        char key[32];
        snprintf(key, sizeof key, "%s%s%s", forms[form[k]][0], ways->name, forms[form[k]][1]);
        add_latency(result, key, &latency[k]);
        if (form[k] == 2)
            cJSON_AddNumberToObject(result, "scaling", latency[k].min / latency[0].min);
    }
    if (st == EQ_OK)
        *wanted = latency[0];
    return st;
}

void eq_bench_add_machine(struct cJSON *result)
{
    cJSON_AddNumberToObject(result, "threads", eq_parallel_threads());
    cJSON_AddStringToObject(result, "isa", eq_cpu_isa_in_use());
    cJSON_AddStringToObject(result, "cpu", eq_cpu_model_name());
}

static void add_device(struct cJSON *result, const struct eq_predictor *p)
{
    struct cJSON *o = cJSON_AddObjectToObject(result, "device");
    cJSON_AddStringToObject(o, "id", p->device->id);
    cJSON_AddStringToObject(o, "name", p->device->name);
    cJSON_AddStringToObject(o, "driver", p->device->driver);
    cJSON_AddBoolToObject(o, "gpu", p->device->is_gpu);
    cJSON_AddStringToObject(o, "integer_path", p->device->integer_path);
    cJSON_AddNumberToObject(result, "device_bytes", (double)p->device_bytes);
}

static enum eq_status describe(const struct eq_predictor *p, const char *path, struct cJSON *result, struct eq_err *err)
{
    uint64_t bytes;
    enum eq_status st = EQ_OK;
    cJSON_AddStringToObject(result, "model", path ? path : "fresh");
    cJSON_AddStringToObject(result, "precision", p->precision);
    if (path) {
        EQ_TRY(eq_file_size(path, &bytes, err));
        cJSON_AddNumberToObject(result, "size_mb", (double)bytes / 1e6);
    }
    cJSON_AddNumberToObject(result, "frames", p->meta.frames);
    cJSON_AddNumberToObject(result, "size", p->meta.size);
    eq_bench_add_machine(result);
    if (p->device)
        add_device(result, p);
out:
    return st;
}

/* The first test clip of data.dir in pixels, and its latency from the file on. */
static enum eq_status measure_file(struct eq_predictor *p, const struct eq_config *cfg, uint8_t *pixels,
                                   struct cJSON *result, struct eq_err *err)
{
    enum eq_status st;
    struct eq_dataset ds = {0};
    uint32_t *test = NULL;
    size_t n;
    struct eq_latency latency;
    struct eq_sampling sampling = {.frames = p->meta.frames, .size = p->meta.size, .phase = -1};
    const struct eq_list_opts opts = eq_run_list_opts(cfg);
    EQ_TRY(eq_dataset_open(cfg->data.dir, &opts, &ds, err));
    EQ_TRY(eq_spread_clips(&ds, EQ_SPLIT_TEST, 1, &test, &n, err));
    const char *path = ds.samples[test[0]].path;
    EQ_TRY(eq_clip_read(path, &sampling, pixels, NULL, err));
    const struct eq_latency_opts how = {EQ_LATENCY_CALLS, cfg->bench.warmup, cfg->bench.repeats, cfg->bench.seconds};
    EQ_TRY(eq_latency_file(p, &path, 1, 1, &how, &latency, err));
    add_latency(result, "file_latency_ms", &latency);
    cJSON_AddStringToObject(result, "clip", path);
out:
    free(test);
    eq_dataset_clear(&ds);
    return st;
}

static enum eq_status measure_model(struct eq_predictor *p, const struct eq_config *cfg, const struct eq_bench_opts *o,
                                    const uint8_t *pixels, struct cJSON *result, struct eq_latency *least,
                                    struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_predictor fp32 = {0};
    struct eq_latency_clip clip = {p, pixels}, fp32_clip = {&fp32, pixels};
    bool bf16 = cfg->run.precision == EQ_PRECISION_BF16;
    const struct eq_bench_ways ways = {
        "latency",          eq_latency_clip,   &clip, bf16 ? &fp32_clip : NULL, &clip, EQ_LATENCY_CALLS,
        cfg->bench.repeats, cfg->bench.seconds};
    if (bf16)
        EQ_TRY(eq_bench_open(cfg, o, EQ_PRECISION_FP32, &fp32, err));
    EQ_TRY(eq_bench_alternate(cfg, &ways, result, least, err));
out:
    eq_predictor_close(&fp32);
    return st;
}

/* Threads do not matter: the device computes. */
static enum eq_status measure_on_device(struct eq_predictor *p, const struct eq_config *cfg, const uint8_t *pixels,
                                        struct cJSON *result, struct eq_err *err)
{
    const struct eq_latency_opts how = {EQ_LATENCY_CALLS, cfg->bench.warmup, cfg->bench.repeats, cfg->bench.seconds};
    const struct eq_latency_clip clip = {p, pixels};
    struct eq_latency_parts parts;
    struct eq_latency latency;
    EQ_CHECK(eq_latency_parts_open(&clip, cfg->bench.repeats, &parts, err));
    const struct eq_latency_turn turn = {eq_latency_parts, &parts, eq_parallel_threads(), NULL};
    enum eq_status st = eq_latency_turns(&turn, 1, &how, &latency, err);
    if (st == EQ_OK) {
        const struct eq_device_times medians = eq_latency_parts_medians(&parts);
        add_latency(result, "latency_ms", &latency);
        struct cJSON *o = cJSON_AddObjectToObject(result, "parts_ms");
        eq_json_add_real(o, "upload", medians.upload);
        eq_json_add_real(o, "compute", medians.compute);
        eq_json_add_real(o, "download", medians.download);
    }
    eq_free(parts.ms);
    return st;
}

static enum eq_status measure(struct eq_predictor *p, const struct eq_config *cfg, const struct eq_bench_opts *o,
                              struct cJSON *result, struct eq_err *err)
{
    enum eq_status st;
    float ef;
    double start;
    struct eq_latency whole;
    uint8_t *pixels = eq_bench_clips(cfg, 1, &p->meta, err);
    if (!pixels)
        return EQ_NOMEM;
    start = eq_now_ms();
    EQ_TRY(eq_predictor_run(p, pixels, &ef, err));
    cJSON_AddNumberToObject(result, "first_call_ms", eq_now_ms() - start);
    cJSON_AddNumberToObject(result, "arena_bytes", (double)p->arena_bytes);
    cJSON_AddNumberToObject(result, "packed_bytes", (double)p->packed_bytes);
    cJSON_AddNumberToObject(result, "peak_rss_bytes", (double)eq_peak_rss_bytes());
    if (o->with_data)
        EQ_TRY(measure_file(p, cfg, pixels, result, err));
    EQ_TRY(p->device ? measure_on_device(p, cfg, pixels, result, err)
                     : measure_model(p, cfg, o, pixels, result, &whole, err));
    if (o->layers)
        EQ_TRY(eq_bench_layers(cfg, o, p, pixels, whole.min, result, err));
out:
    eq_free(pixels);
    return st;
}

enum eq_status eq_run_bench(const struct eq_config *cfg, const struct eq_bench_opts *o, struct cJSON **out,
                            struct eq_err *err)
{
    enum eq_status st;
    struct eq_predictor p = {0};
    struct cJSON *result = cJSON_CreateObject();
    double start = eq_now_ms();
    EQ_TRY(eq_bench_open(cfg, o, cfg->run.precision, &p, err));
    double load_ms = eq_now_ms() - start;
    EQ_TRY(describe(&p, o->model, result, err));
    cJSON_AddNumberToObject(result, "load_ms", load_ms);
    EQ_TRY(measure(&p, cfg, o, result, err));
    *out = result;
    result = NULL;
out:
    cJSON_Delete(result);
    eq_predictor_close(&p);
    return st;
}
