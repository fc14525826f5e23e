/* What a training step costs, for `bench --train`: random clips, no data set, the parts of a step one by one. */
#include "bench/bench.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const char *const part_names[EQ_TRAIN_PARTS] = {"forward", "backward", "gradient_norm", "optimizer",
                                                       "zero_gradients"};

/* The real trainer on a job without data: FP32's, or QAT's with a start from one random clip. */
static enum eq_status trainee_init(struct eq_trainee *t, const struct eq_config *cfg, const struct eq_bench_opts *o,
                                   bool qat, enum eq_precision precision, struct eq_err *err)
{
    enum eq_status st;
    struct eq_train_job job = qat ? eq_finetune_job(cfg) : eq_baseline_job(cfg);
    job.name = "bench";
    job.batch = cfg->train.batch;
    job.accumulate = 1;
    job.precision = precision;
    EQ_TRY(eq_bench_open_graph(cfg, o, &t->graph, err));
    job.graph = t->graph;
    if (qat) {
        EQ_TRY(eq_bench_quantize(cfg, t->graph, cfg->qat.weight_bits, err));
        t->rule = eq_scale_rules[cfg->qat.method];
        EQ_TRY(t->rule->open(t->graph, cfg->ptq.averaging, &t->scales, err));
        job.rule = t->rule;
        job.scales = t->scales;
    }
    EQ_TRY(eq_trainer_init(&t->trainer, &job, err));
    t->ef = eq_alloc((size_t)job.batch, sizeof *t->ef);
    if (!t->ef) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for a batch");
        goto out;
    }
    for (int i = 0; i < job.batch; i++)
        t->ef[i] = 40 + (float)(i % 6) * 5;
    t->batch = (struct eq_batch){.ef = t->ef, .n = job.batch};
out:
    return st;
}

static void trainee_clear(struct eq_trainee *t)
{
    eq_trainer_clear(&t->trainer);
    if (t->rule)
        t->rule->close(t->scales);
    eq_graph_free(t->graph);
    eq_free(t->ef);
}

/* ---- by turns ------------------------------------------------------------ */

enum { STEPS_OF_A_TURN = 2, MAX_TURNS = 3 };

struct train_turn {
    const char *key;
    struct eq_trainee *trainee;
    int threads;
    double *ms, parts[EQ_TRAIN_PARTS]; /* of each step; the least of each part */
};

static enum eq_status turn_steps(struct train_turn *turn, int first, int end, bool settle, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(eq_bench_use_threads(turn->threads, err));
    if (settle)
        EQ_TRY(eq_trainer_step(&turn->trainee->trainer, &turn->trainee->batch, err));
    for (int i = first; i < end; i++) {
        double start = eq_now_ms();
        EQ_TRY(eq_trainer_step(&turn->trainee->trainer, &turn->trainee->batch, err));
        if (i < 0)
            continue;
        turn->ms[i] = eq_now_ms() - start;
        for (int part = 0; part < EQ_TRAIN_PARTS; part++)
            if (i == 0 || turn->trainee->trainer.parts[part] < turn->parts[part])
                turn->parts[part] = turn->trainee->trainer.parts[part];
    }
out:
    return st;
}

static enum eq_status take_turns(struct train_turn *turns, int n, const struct eq_config *cfg, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    int steps = cfg->bench.steps;
    for (int k = 0; k < n; k++) {
        turns[k].ms = eq_alloc((size_t)steps, sizeof *turns[k].ms);
        if (!turns[k].ms)
            return eq_fail(err, EQ_NOMEM, "out of memory for %d times", steps);
    }
    for (int first = -cfg->bench.warmup, end; first < steps; first = end) {
        end = first < 0 ? 0 : first + STEPS_OF_A_TURN < steps ? first + STEPS_OF_A_TURN : steps;
        for (int k = 0; k < n; k++)
            EQ_TRY(turn_steps(&turns[k], first, end, n > 1 && first >= 0, err));
    }
    EQ_TRY(eq_bench_use_threads(turns[0].threads, err));
out:
    return st;
}

static void report(struct cJSON *result, struct train_turn *turns, int n, const struct eq_config *cfg)
{
    struct eq_latency first = {0};
    for (int k = 0; k < n; k++) {
        struct eq_latency l = eq_latency_of(turns[k].ms, cfg->bench.steps);
        eq_bench_add_latency(result, turns[k].key, &l);
        if (k == 0)
            first = l;
        if (turns[k].threads != turns[0].threads)
            cJSON_AddNumberToObject(result, "scaling", l.min / first.min);
    }
    struct cJSON *clip = cJSON_AddObjectToObject(result, "clip_ms");
    cJSON_AddNumberToObject(clip, "min", first.min / turns[0].trainee->batch.n);
    cJSON_AddNumberToObject(clip, "median", first.median / turns[0].trainee->batch.n);
    struct cJSON *parts = cJSON_AddObjectToObject(result, "parts_ms");
    for (int part = 0; part < EQ_TRAIN_PARTS; part++)
        cJSON_AddNumberToObject(parts, part_names[part], turns[0].parts[part]);
    cJSON_AddNumberToObject(result, "arena_bytes", (double)eq_exec_arena_bytes(turns[0].trainee->trainer.exec));
    cJSON_AddNumberToObject(result, "peak_rss_bytes", (double)eq_peak_rss_bytes());
}

static void describe(const struct eq_trainee *t, const struct eq_bench_opts *o, enum eq_precision precision,
                     struct cJSON *result)
{
    cJSON_AddStringToObject(result, "model", o->model ? o->model : "fresh");
    cJSON_AddStringToObject(result, "precision", precision == EQ_PRECISION_BF16 ? "BF16" : "FP32");
    if (o->qat)
        cJSON_AddStringToObject(result, "qat", eq_qat_method_names[t->trainer.job.cfg->qat.method]);
    cJSON_AddNumberToObject(result, "clips", t->batch.n);
    cJSON_AddNumberToObject(result, "frames", t->graph->meta.frames);
    cJSON_AddNumberToObject(result, "size", t->graph->meta.size);
    eq_bench_add_machine(result);
}

/* The trainee asked for with all threads, plain FP32 where that is another, and one thread. */
static enum eq_status measure(struct eq_trainee trainees[2], const struct eq_config *cfg, const struct eq_bench_opts *o,
                              struct cJSON *result, struct eq_err *err)
{
    enum eq_status st;
    struct train_turn turns[MAX_TURNS] = {
        {.key = "step_ms", .trainee = &trainees[0], .threads = eq_parallel_threads()}};
    int n = 1;
    if (trainees[1].graph)
        turns[n++] = (struct train_turn){.key = "fp32_step_ms", .trainee = &trainees[1], .threads = turns[0].threads};
    if (cfg->bench.scaling && turns[0].threads > 1)
        turns[n++] = (struct train_turn){.key = "step_1_ms", .trainee = &trainees[0], .threads = 1};
    EQ_TRY(take_turns(turns, n, cfg, err));
    report(result, turns, n, cfg);
    if (o->layers)
        EQ_TRY(
            eq_bench_train_layers(cfg, o, &trainees[0], eq_latency_of(turns[0].ms, cfg->bench.steps).min, result, err));
out:
    for (int k = 0; k < n; k++)
        eq_free(turns[k].ms);
    return st;
}

enum eq_status eq_run_bench_train(const struct eq_config *cfg, const struct eq_bench_opts *o, struct cJSON **out,
                                  struct eq_err *err)
{
    enum eq_status st;
    bool bf16 = cfg->run.precision == EQ_PRECISION_BF16 || cfg->train.precision == EQ_PRECISION_BF16;
    enum eq_precision precision = bf16 && !o->qat ? EQ_PRECISION_BF16 : EQ_PRECISION_FP32;
    struct eq_trainee trainees[2] = {0};
    struct cJSON *result = cJSON_CreateObject();
    uint8_t *pixels = NULL;
    EQ_TRY(eq_precision_check(precision, err));
    EQ_TRY(trainee_init(&trainees[0], cfg, o, o->qat, precision, err));
    if (o->qat || precision == EQ_PRECISION_BF16)
        EQ_TRY(trainee_init(&trainees[1], cfg, o, false, EQ_PRECISION_FP32, err));
    pixels = eq_bench_clips(cfg, trainees[0].batch.n, &trainees[0].graph->meta, err);
    if (!pixels) {
        st = EQ_NOMEM;
        goto out;
    }
    trainees[0].batch.pixels = trainees[1].batch.pixels = pixels;
    describe(&trainees[0], o, precision, result);
    EQ_TRY(measure(trainees, cfg, o, result, err));
    *out = result;
    result = NULL;
out:
    cJSON_Delete(result);
    trainee_clear(&trainees[0]);
    trainee_clear(&trainees[1]);
    eq_free(pixels);
    return st;
}
