/* The latencies of a run's models on a device, measured by turns, with the parts of each by the device's clock. */
#include "run/run.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

struct on_device {
    const struct eq_timed *model;
    struct eq_predictor predictor;
    struct eq_latency_parts parts;
};
struct device_timing {
    const char *id;
    struct on_device *models; /* [n] */
    size_t n;
};

/* Device `id` of a row. */
static bool find(const struct eq_result *row, const char *id, struct eq_result_device *out)
{
    for (size_t i = 0; row && eq_result_device_at(row, i, out); i++)
        if (strcmp(out->id, id) == 0)
            return true;
    return false;
}

/* The models whose EFs were compared there. */
static enum eq_status open_models(struct device_timing *t, const struct eq_config *cfg, struct eq_timed *const *models,
                                  size_t n, struct eq_device *device, const struct eq_results *r, struct eq_err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct eq_result_device there;
        struct on_device *m = &t->models[t->n];
        if (!find(eq_results_find(r, models[i]->row), t->id, &there) || !(there.clips > 0))
            continue;
        m->model = models[i];
        const struct eq_predictor_opts opts = {models[i]->precision, device, 1, 1};
        EQ_CHECK(eq_predictor_open(&m->predictor, models[i]->path, &opts, err));
        t->n++;
        const struct eq_latency_clip clip = {&m->predictor, models[i]->pixels};
        EQ_CHECK(eq_latency_parts_open(&clip, cfg->bench.repeats, &m->parts, err));
    }
    return EQ_OK;
}

/* Puts the latency into "devices" of the model's row. made: gets what r will borrow. */
static void note(const struct device_timing *t, struct on_device *m, const struct eq_latency *l, const double *ms,
                 const char *when, struct eq_results *r, struct cJSON *made)
{
    const struct eq_result *found = eq_results_find(r, m->model->row);
    struct eq_result row = *found;
    struct eq_result_device d;
    if (!find(&row, t->id, &d))
        return;
    struct cJSON *devices = eq_json_add(made, NULL, cJSON_Duplicate(row.devices, true));
    d.latency = eq_latency_noted(l, ms, made);
    d.parts = eq_latency_parts_medians(&m->parts);
    d.memory = (double)m->predictor.device_bytes;
    d.timed = when;
    if (devices) /* NULL: out of memory, which the writer reports */
        eq_result_device_put(devices, &d);
    row.devices = devices;
    eq_results_put(r, &row);
}

static enum eq_status measure(struct device_timing *t, const struct eq_config *cfg, const char *when,
                              struct eq_results *r, struct cJSON *made, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    size_t repeats = (size_t)cfg->bench.repeats;
    const struct eq_latency_opts opts = {EQ_LATENCY_CALLS, cfg->bench.warmup, cfg->bench.repeats, cfg->bench.seconds};
    struct eq_latency_turn *turns = eq_alloc(t->n, sizeof *turns);
    struct eq_latency *latency = eq_alloc(t->n, sizeof *latency);
    double *ms = eq_alloc(t->n * repeats, sizeof *ms);
    if (!turns || !latency || !ms)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for timing %zu models on %s", t->n, t->id));
    for (size_t i = 0; i < t->n; i++)
        turns[i] =
            (struct eq_latency_turn){eq_latency_parts, &t->models[i].parts, eq_parallel_threads(), ms + i * repeats};
    EQ_TRY(eq_latency_turns(turns, (int)t->n, &opts, latency, err));
    for (size_t i = 0; i < t->n; i++)
        note(t, &t->models[i], &latency[i], turns[i].ms, when, r, made);
out:
    eq_free(turns);
    eq_free(latency);
    eq_free(ms);
    return st;
}

enum eq_status eq_time_on_device(const struct eq_config *cfg, struct eq_timed *const *models, size_t n,
                                 struct eq_device *device, const char *when, struct eq_results *r, struct cJSON *made,
                                 struct eq_err *err)
{
    enum eq_status st;
    struct device_timing t = {.id = eq_device_info(device)->id, .models = eq_alloc(n + 1, sizeof *t.models)};
    if (!t.models)
        return eq_fail(err, EQ_NOMEM, "out of memory for timing %zu models on %s", n, t.id);
    EQ_TRY(open_models(&t, cfg, models, n, device, r, err));
    if (t.n > 0)
        EQ_TRY(measure(&t, cfg, when, r, made, err));
out:
    for (size_t i = 0; i < t.n; i++) {
        eq_free(t.models[i].parts.ms);
        eq_predictor_close(&t.models[i].predictor);
    }
    eq_free(t.models);
    return st;
}
