#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <string.h>

static enum eq_status check_train(const struct eq_options *o, struct eq_err *err)
{
    if (!o->bench.train && (o->clips_given || o->bench.qat))
        return eq_fail(err, EQ_USAGE, "%s is for --train", o->bench.qat ? "--qat" : "--clips");
    if (!o->bench.train)
        return EQ_OK;
    if (o->bench.with_data)
        return eq_fail(err, EQ_USAGE, "--train uses random pixels: leave out --data");
    if (o->fresh && strcmp(o->fresh, "int8") == 0)
        return eq_fail(err, EQ_USAGE, "--fresh int8 cannot be trained: use --fresh fp32, with --qat for fake-quant");
    if (o->bench.qat && o->settings.config.run.precision != EQ_PRECISION_FP32)
        return eq_fail(err, EQ_USAGE, "--qat trains in FP32: leave out --precision bf16");
    return EQ_OK;
}

static enum eq_status check_device(const struct eq_options *o, struct eq_err *err)
{
    const char *device = o->settings.config.run.device;
    if (strcmp(device, "cpu") == 0)
        return EQ_OK;
    if (o->bench.train)
        return eq_fail(err, EQ_USAGE, "--train runs on the CPU: leave out --device %s (run.device)", device);
    if (o->bench.layers)
        return eq_fail(err, EQ_USAGE,
                       "--layers compares the kernels of the CPU: leave out --device %s (run.device), whose network "
                       "runs as one sequence",
                       device);
    return eq_predictor_check_precision(device, o->settings.config.run.precision, err);
}

/* Refuses combinations of options. */
static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    if (o->fresh && strcmp(o->fresh, "fp32") != 0 && strcmp(o->fresh, "int8") != 0)
        return eq_fail(err, EQ_USAGE, "--fresh %.40s: must be fp32 or int8", o->fresh);
    if (o->model && o->fresh)
        return eq_fail(err, EQ_USAGE, "--model and --fresh cannot be combined");
    if (!o->model && !o->fresh && !o->bench.train)
        return eq_fail(err, EQ_USAGE, "bench needs a model, FILE or --model FILE, or --fresh fp32|int8");
    if (!o->bench.layers && (o->bench.layer[0] || o->bench.kernel[0]))
        return eq_fail(err, EQ_USAGE, "%s is for --layers", o->bench.layer[0] ? "--layer" : "--kernel");
    EQ_CHECK(check_device(o, err));
    return check_train(o, err);
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    struct eq_bench_opts opts = o->bench;
    struct cJSON *result = NULL;
    enum eq_status st;
    opts.device = s->device;
    EQ_TRY(opts.train ? eq_run_bench_train(s->cfg, &opts, &result, err) : eq_run_bench(s->cfg, &opts, &result, err));
    EQ_TRY(eq_json_check(err));
    if (o->json)
        EQ_TRY(eq_print_json(result, err));
    else
        eq_print_bench(result);
out:
    cJSON_Delete(result);
    return st;
}

const struct eq_command eq_cmd_bench = {
    .name = "bench",
    .summary = "measure a model's latency",
    .arguments = "[FILE]",
    .about = "Measures the latency of a model (FILE, or --model FILE) for one clip, in ms, after "
             "bench.warmup calls. Calls with all threads and with one thread alternate. Without --data, "
             "the clip is random pixels. With --data, the clip is the first test clip, and the time from "
             "its file to the EF (decode, sample, resize, infer) is measured as well. With --precision "
             "bf16, an FP32 model runs with BF16 convolutions and with FP32, alternately.\n\n"
             "--layers adds a table of all convolutions. For each layer it lists the kernels that this CPU "
             "has, within --cpu. The columns are the shortest time in ms, the products per second in units "
             "of 1e9 (those of the direct sum, on pixels inside the picture), and the share of the peak. "
             "The peak is what the kernel's instruction reaches on registers alone, measured in the same "
             "run. Winograd needs fewer products, so its share can exceed 100 %; \"own\" counts only the "
             "products that it computes. * marks the kernel that the network uses.\n\n"
             "--train measures a training step on random clips instead (forward, loss, backward, gradient "
             "norm, optimizer, clearing gradients). With --layers, it measures all three passes of each "
             "convolution. Without --model, the network has random weights. A step has train.accumulate "
             "micro-batches. Under mpirun, processes share it, and the time that the first one waits for "
             "the others is listed (docs/SCALING.md).\n\n"
             "--device NAME measures on a GPU, or another device of OpenCL or CUDA (docs/GPU.md): from the "
             "pixels in memory to the EF, and by the device's clock upload, computation, and download.\n\n"
             "--json prints one object. latency_ms, latency_1_ms (one thread), fp32_latency_ms "
             "(--precision bf16), and file_latency_ms (--data) have min, median, p90, p95, p99, "
             "and repeats. The other keys are scaling, load_ms, first_call_ms, arena_bytes, packed_bytes, "
             "peak_rss_bytes, model, precision, size_mb, frames, size, threads, isa, cpu. --layers adds "
             "peaks, layers, nodes, layers_ms, rest_ms. --train has step_ms, step_1_ms, fp32_step_ms, "
             "clip_ms, parts_ms, clips, micro_batches, processes, with several processes waited_ms and "
             "waited_share. --device has device (id, name, driver, gpu, integer_path), "
             "device_bytes, and parts_ms.\n",
    .example = "runs/first/ptq.safetensors",
    .options = EQ_OPT_SETTINGS | EQ_OPT_DATA | EQ_OPT_COMPUTE | EQ_OPT_PRECISION | EQ_OPT_DEVICE | EQ_OPT_MODEL |
               EQ_OPT_BENCH | EQ_OPT_JSON,
    .accepts = EQ_ARG_MODEL,
    .sections =
        (const char *const[]){"bench", "data.frames", "data.size", "model.width", "train.batch", "train.accumulate",
                              "train.precision", "dist.timeout", "qat.method", "qat.weight_bits", "qat.arithmetic",
                              "run.threads", "run.cpu", "run.precision", "run.device", NULL},
    .needs = EQ_NEED_DEVICE,
    .check = check,
    .run = run,
};
