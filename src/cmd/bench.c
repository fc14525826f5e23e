#include "cmd/cmd.h"

#include <cjson/cJSON.h>

static const struct eq_command_spec spec = {
    .name = "bench",
    .arguments = "",
    .about =
        "Measures the latency of the model of --model: one clip at a time, ms, after bench.warmup calls. Without "
        "--data\n"
        "the clip is random pixels, which changes no arithmetic. With --data it is the first test clip, and the way\n"
        "from its file to the EF (decode, sample, resize, infer) is measured as well. With --precision bf16 an FP32\n"
        "model runs with BF16 convolutions, by turns with FP32, so that the two can be compared.\n\n"
        "--json prints one object: latency_ms {min, median, p95}, file_latency_ms (with --data), fp32_latency_ms "
        "(with\n"
        "--precision bf16), threads, frames, size, isa, cpu, precision, size_mb, load_ms.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_DATA | EQ_OPT_COMPUTE | EQ_OPT_PRECISION | EQ_OPT_MODEL | EQ_OPT_JSON,
    .sections = (const char *const[]){"bench", "run.threads", "run.cpu", "run.precision", NULL},
};

static void print_latency(const struct cJSON *result, const char *key, const char *label)
{
    const struct cJSON *l = cJSON_GetObjectItemCaseSensitive(result, key);
    if (l)
        printf("%-14s median %8.2f ms   p95 %8.2f ms   min %8.2f ms\n", label,
               cJSON_GetObjectItemCaseSensitive(l, "median")->valuedouble,
               cJSON_GetObjectItemCaseSensitive(l, "p95")->valuedouble,
               cJSON_GetObjectItemCaseSensitive(l, "min")->valuedouble);
}

static void print_text(const struct cJSON *result, const char *model)
{
    printf("%s: %s, %.0f frames of %.0f x %.0f, %.2f MB, loaded in %.0f ms\n", model,
           cJSON_GetObjectItemCaseSensitive(result, "precision")->valuestring,
           cJSON_GetObjectItemCaseSensitive(result, "frames")->valuedouble,
           cJSON_GetObjectItemCaseSensitive(result, "size")->valuedouble,
           cJSON_GetObjectItemCaseSensitive(result, "size")->valuedouble,
           cJSON_GetObjectItemCaseSensitive(result, "size_mb")->valuedouble,
           cJSON_GetObjectItemCaseSensitive(result, "load_ms")->valuedouble);
    printf("%s, %s, %.0f threads\n", cJSON_GetObjectItemCaseSensitive(result, "cpu")->valuestring,
           cJSON_GetObjectItemCaseSensitive(result, "isa")->valuestring,
           cJSON_GetObjectItemCaseSensitive(result, "threads")->valuedouble);
    print_latency(result, "latency_ms", "model alone");
    print_latency(result, "fp32_latency_ms", "in FP32");
    print_latency(result, "file_latency_ms", "file to EF");
}

enum eq_status eq_cmd_bench(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    struct cJSON *result = NULL;
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    if (!o.model) {
        st = eq_fail(err, EQ_USAGE, "bench needs --model FILE");
        goto out;
    }
    EQ_TRY(eq_run_bench(&o.settings.config, o.model, o.data_given, &result, err));
    if (o.json)
        eq_print_json(result);
    else
        print_text(result, o.model);
out:
    cJSON_Delete(result);
    eq_options_clear(&o);
    return st;
}
