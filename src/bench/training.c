/* The cost of a training step, for `bench --train`: random clips, no data set, also part by part. Processes of mpirun
 * share each step, as in a training. */
#include "bench/bench.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const char *const part_names[EQ_TRAIN_PARTS] = {"forward",       "backward",  "exchange",
                                                       "gradient_norm", "optimizer", "zero_gradients"};

/* The real trainer on a job without data: FP32's, or QAT's with a start from one random clip. */
static enum eq_status trainee_init(struct eq_trainee *t, const struct eq_config *cfg, const struct eq_bench_opts *o,
                                   bool qat, enum eq_precision precision, struct eq_err *err)
{
    enum eq_status st;
    struct eq_train_job job = qat ? eq_finetune_job(cfg) : eq_baseline_job(cfg);
    job.name = "bench";
    job.batch = cfg->train.batch;
    job.accumulate = cfg->train.accumulate;
    job.accumulate_key = "train.accumulate";
    job.precision = precision;
    EQ_TRY(eq_bench_open_graph(cfg, o, &t->graph, err));
    job.graph = t->graph;
    if (qat) {
        EQ_TRY(eq_bench_quantize(cfg, t->graph, cfg->qat.weight_bits, cfg->qat.arithmetic, err));
        t->rule = eq_scale_rules[cfg->qat.method];
        EQ_TRY(t->rule->open(t->graph, cfg->ptq.averaging, &t->scales, err));
        job.rule = t->rule;
        job.scales = t->scales;
    }
    EQ_TRY(eq_trainer_init(&t->trainer, &job, err));
    t->ef = eq_alloc((size_t)job.batch, sizeof *t->ef);
    if (!t->ef)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for a batch"));
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

/* ---- steps --------------------------------------------------------------- */

enum { STEPS_OF_A_TURN = 2 };

struct way {
    struct eq_trainee *trainee;
    double parts[EQ_TRAIN_PARTS]; /* the least of each; all 0: no step yet */
    double *waited;               /* [most], owned: ms of the last steps, in any order; NULL: not noted */
    size_t most, steps;
};

/* This process's micro-batches of a step. */
static enum eq_status step(void *ctx, struct eq_err *err)
{
    struct way *w = ctx;
    struct eq_trainer *t = &w->trainee->trainer;
    bool first = w->parts[EQ_TRAIN_FORWARD] == 0;
    double parts[EQ_TRAIN_PARTS] = {0}, waited = t->micro.waited;
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < t->micro.n && st == EQ_OK; i++) {
        st = eq_trainer_step(t, &w->trainee->batch, err);
        for (int part = 0; part < EQ_TRAIN_PARTS; part++)
            parts[part] += part < EQ_TRAIN_EXCHANGE || i + 1 == t->micro.n ? t->parts[part] : 0;
    }
    for (int part = 0; part < EQ_TRAIN_PARTS; part++)
        w->parts[part] = first || parts[part] < w->parts[part] ? parts[part] : w->parts[part];
    if (w->waited)
        w->waited[w->steps++ % w->most] = t->micro.waited - waited;
    return st;
}

static void describe(const struct eq_trainee *t, const struct eq_bench_opts *o, enum eq_precision precision,
                     struct cJSON *result)
{
    cJSON_AddStringToObject(result, "model", o->model ? o->model : "fresh");
    cJSON_AddStringToObject(result, "precision", precision == EQ_PRECISION_BF16 ? "BF16" : "FP32");
    if (o->qat)
        cJSON_AddStringToObject(result, "qat", eq_qat_method_names[t->trainer.job.cfg->qat.method]);
    cJSON_AddNumberToObject(result, "clips", t->batch.n);
    cJSON_AddNumberToObject(result, "micro_batches", (double)t->trainer.micro.tree.leaves);
    cJSON_AddNumberToObject(result, "processes", t->trainer.comm->size);
    cJSON_AddNumberToObject(result, "frames", t->graph->meta.frames);
    cJSON_AddNumberToObject(result, "size", t->graph->meta.size);
    eq_bench_add_machine(result);
}

static void report(struct cJSON *result, struct way *w, const struct eq_latency *l)
{
    const struct eq_trainer *t = &w->trainee->trainer;
    double clips = w->trainee->batch.n * t->job.accumulate;
    struct cJSON *clip = cJSON_AddObjectToObject(result, "clip_ms");
    cJSON_AddNumberToObject(clip, "min", l->min / clips);
    cJSON_AddNumberToObject(clip, "median", l->median / clips);
    struct cJSON *parts = cJSON_AddObjectToObject(result, "parts_ms");
    for (int part = 0; part < EQ_TRAIN_PARTS; part++)
        cJSON_AddNumberToObject(parts, part_names[part], w->parts[part]);
    if (w->waited) {
        double median = eq_median_of(w->waited, w->steps < w->most ? w->steps : w->most);
        struct cJSON *waited = cJSON_AddObjectToObject(result, "waited_ms");
        cJSON_AddNumberToObject(waited, "min", w->waited[0]); /* the median sorts */
        cJSON_AddNumberToObject(waited, "median", median);
        cJSON_AddNumberToObject(result, "waited_share", median / l->median);
    }
    cJSON_AddNumberToObject(result, "arena_bytes", (double)eq_exec_arena_bytes(t->exec));
    cJSON_AddNumberToObject(result, "peak_rss_bytes", (double)eq_peak_rss_bytes());
}

static enum eq_status measure(struct eq_trainee trainees[2], const struct eq_config *cfg, const struct eq_bench_opts *o,
                              struct cJSON *result, struct eq_err *err)
{
    enum eq_status st;
    struct way w[] = {{.trainee = &trainees[0]}, {.trainee = &trainees[1]}, {.trainee = &trainees[0]}};
    bool shared = trainees[0].trainer.comm->size > 1;
    /* Processes may have different numbers of threads, but all must take the same steps. */
    const struct eq_bench_ways ways = {
        "step",           step, &w[0], trainees[1].graph ? &w[1] : NULL, shared ? NULL : &w[2], STEPS_OF_A_TURN,
        cfg->bench.steps, 0};
    struct eq_latency wanted;
    w[0].most = (size_t)cfg->bench.steps;
    if (shared && !(w[0].waited = eq_alloc(w[0].most, sizeof *w[0].waited)))
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the times of %zu steps", w[0].most));
    EQ_TRY(eq_bench_alternate(cfg, &ways, result, &wanted, err));
    report(result, &w[0], &wanted);
    if (o->layers)
        EQ_TRY(eq_bench_train_layers(cfg, o, &trainees[0], wanted.min, result, err));
out:
    eq_free(w[0].waited);
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
    if (o->layers && eq_comm_world()->size > 1)
        EQ_TRY(eq_fail(err, EQ_USAGE, "--layers measures one process: leave it out under mpirun"));
    EQ_TRY(eq_precision_check(precision, err));
    EQ_TRY(trainee_init(&trainees[0], cfg, o, o->qat, precision, err));
    if (o->qat || precision == EQ_PRECISION_BF16)
        EQ_TRY(trainee_init(&trainees[1], cfg, o, false, EQ_PRECISION_FP32, err));
    pixels = eq_bench_clips(cfg, trainees[0].batch.n, &trainees[0].graph->meta, err);
    if (!pixels)
        EQ_TRY(EQ_NOMEM);
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
