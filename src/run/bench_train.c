/* What a training step costs, for `bench --train`: random clips, no data set, the parts of a step one by one. */
#include "run/bench.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const char *const part_names[EQ_TRAIN_PARTS] = {"forward", "backward", "gradient_norm", "optimizer",
                                                       "zero_gradients"};

static enum eq_status list_params(struct eq_trainee *t, struct eq_err *err)
{
    const struct eq_config *cfg = t->cfg;
    const struct eq_optim_opts opts = {(enum eq_optim_kind)cfg->train.optimizer,
                                       cfg->train.lr,
                                       cfg->train.weight_decay,
                                       cfg->train.momentum,
                                       0.9,
                                       0.999,
                                       1e-8};
    enum eq_status st;
    size_t max = (size_t)t->graph->n_params, *sizes = calloc(max, sizeof *sizes);
    t->params = calloc(max, sizeof *t->params);
    t->grads = calloc(max, sizeof *t->grads);
    t->decay = calloc(max, sizeof *t->decay);
    if (!sizes || !t->params || !t->grads || !t->decay) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the list of parameters");
        goto out;
    }
    for (int i = 0; i < t->graph->n_params; i++) {
        const struct eq_param *p = &t->graph->params[i];
        if (!p->trainable)
            continue;
        sizes[t->n_params] = p->n;
        t->params[t->n_params] = p->data;
        t->grads[t->n_params] = eq_exec_grad(t->exec, i);
        t->decay[t->n_params++] = p->decay;
    }
    EQ_TRY(eq_optim_init(&t->optim, &opts, t->n_params, sizes, err));
out:
    free(sizes);
    return st;
}

static enum eq_status prepare_qat(struct eq_trainee *t, struct eq_err *err)
{
    enum eq_status st;
    struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = t->cfg->ptq.averaging};
    t->quantized = true;
    EQ_TRY(eq_bench_quantize(t->cfg, t->graph, t->cfg->qat.weight_bits, err));
    if (t->cfg->qat.method == EQ_QAT_LSQ) {
        EQ_TRY(eq_prepare_lsq(t->graph, err));
        EQ_TRY(eq_lsq_new(t->graph, &t->lsq, err));
    } else {
        EQ_TRY(eq_qat_observers_new(t->graph, &opts, &t->observers, err));
    }
out:
    return st;
}

static enum eq_status trainee_init(struct eq_trainee *t, const struct eq_config *cfg, const struct eq_bench_opts *o,
                                   bool qat, enum eq_precision precision, struct eq_err *err)
{
    enum eq_status st;
    t->cfg = cfg;
    t->precision = precision;
    t->clips = cfg->train.batch;
    EQ_TRY(eq_bench_open_graph(cfg, o, &t->graph, err));
    if (qat)
        EQ_TRY(prepare_qat(t, err));
    const struct eq_model_meta *form = &t->graph->meta;
    const struct eq_exec_opts opts = {EQ_EXEC_TRAIN, precision,  t->clips,
                                      form->frames,  form->size, t->observers != NULL};
    EQ_TRY(eq_exec_new(t->graph, &opts, &t->exec, err));
    if (t->observers) {
        struct eq_walk_hook hook = eq_qat_observers_hook(t->observers);
        eq_exec_set_hook(t->exec, &hook);
    }
    t->ef = eq_alloc(3 * (size_t)t->clips, sizeof *t->ef);
    if (!t->ef) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for a batch");
        goto out;
    }
    for (int i = 0; i < t->clips; i++)
        t->ef[t->clips + i] = 40 + (float)(i % 6) * 5;
    EQ_TRY(list_params(t, err));
out:
    return st;
}

static void trainee_clear(struct eq_trainee *t)
{
    eq_optim_clear(&t->optim);
    eq_exec_free(t->exec);
    eq_qat_observers_free(t->observers);
    eq_lsq_free(t->lsq);
    eq_graph_free(t->graph);
    free(t->params);
    free(t->grads);
    free(t->decay);
    eq_free(t->ef);
}

static double lap(double *since)
{
    double now = eq_now_ms(), ms = now - *since;
    *since = now;
    return ms;
}

/* What trainer.c does with a batch, and qat.c before and behind it. */
enum eq_status eq_trainee_step(struct eq_trainee *t, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    float *target = t->ef + t->clips, *diff = target + t->clips;
    double since = eq_now_ms();
    if (t->quantized)
        EQ_TRY(eq_update_weight_qparams(t->graph, err));
    EQ_TRY(eq_exec_forward(t->exec, t->pixels, t->ef, err));
    eq_loss_forward((enum eq_loss)t->cfg->train.loss, t->ef, target, (size_t)t->clips, t->graph->meta.target_std, diff);
    t->parts[EQ_TRAIN_FORWARD] = lap(&since);
    EQ_TRY(eq_exec_backward(t->exec, diff, err));
    t->parts[EQ_TRAIN_BACKWARD] = lap(&since);
    eq_clip_grad_norm(t->grads, t->optim.n, t->n_params, t->cfg->train.grad_clip);
    t->parts[EQ_TRAIN_NORM] = lap(&since);
    eq_optim_step(&t->optim, t->params, t->grads, t->decay, t->cfg->train.lr);
    if (t->lsq)
        EQ_TRY(eq_lsq_step(t->lsq, t->exec, t->cfg->qat.scale_lr, err));
    t->parts[EQ_TRAIN_OPTIMIZER] = lap(&since);
    eq_exec_weights_changed(t->exec);
    eq_exec_zero_grads(t->exec);
    t->parts[EQ_TRAIN_ZERO] = lap(&since);
out:
    return st;
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
        EQ_TRY(eq_trainee_step(turn->trainee, err));
    for (int i = first; i < end; i++) {
        double start = eq_now_ms();
        EQ_TRY(eq_trainee_step(turn->trainee, err));
        if (i < 0)
            continue;
        turn->ms[i] = eq_now_ms() - start;
        for (int part = 0; part < EQ_TRAIN_PARTS; part++)
            if (i == 0 || turn->trainee->parts[part] < turn->parts[part])
                turn->parts[part] = turn->trainee->parts[part];
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
    cJSON_AddNumberToObject(clip, "min", first.min / turns[0].trainee->clips);
    cJSON_AddNumberToObject(clip, "median", first.median / turns[0].trainee->clips);
    struct cJSON *parts = cJSON_AddObjectToObject(result, "parts_ms");
    for (int part = 0; part < EQ_TRAIN_PARTS; part++)
        cJSON_AddNumberToObject(parts, part_names[part], turns[0].parts[part]);
    cJSON_AddNumberToObject(result, "arena_bytes", (double)eq_exec_arena_bytes(turns[0].trainee->exec));
    cJSON_AddNumberToObject(result, "peak_rss_bytes", (double)eq_peak_rss_bytes());
}

static void describe(const struct eq_trainee *t, const struct eq_bench_opts *o, enum eq_precision precision,
                     struct cJSON *result)
{
    cJSON_AddStringToObject(result, "model", o->model ? o->model : "fresh");
    cJSON_AddStringToObject(result, "precision", precision == EQ_PRECISION_BF16 ? "BF16" : "FP32");
    if (o->qat)
        cJSON_AddStringToObject(result, "qat", t->cfg->qat.method == EQ_QAT_LSQ ? "lsq" : "ste");
    cJSON_AddNumberToObject(result, "clips", t->clips);
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
    if (trainees[1].exec)
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
    struct eq_trainee trainees[2] = {{0}};
    struct cJSON *result = cJSON_CreateObject();
    uint8_t *pixels = NULL;
    EQ_TRY(eq_precision_check(precision, err));
    EQ_TRY(trainee_init(&trainees[0], cfg, o, o->qat, precision, err));
    if (o->qat || precision == EQ_PRECISION_BF16)
        EQ_TRY(trainee_init(&trainees[1], cfg, o, false, EQ_PRECISION_FP32, err));
    pixels = eq_bench_clips(cfg, trainees[0].clips, &trainees[0].graph->meta, err);
    if (!pixels) {
        st = EQ_NOMEM;
        goto out;
    }
    trainees[0].pixels = trainees[1].pixels = pixels;
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
