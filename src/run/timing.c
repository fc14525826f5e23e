/* The latencies of a run's models, measured by turns, so that a disturbance meets all of them; and, model by model, the
 * time until the first EF and the memory. */
#include "run/run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Number of files that the latency from file to EF takes in turn. */
enum { LATENCY_FILES = 10 };
/* How often each model is loaded. */
enum { LOADS = 3 };

struct timing {
    const struct eq_config *cfg;
    const char *paths[LATENCY_FILES]; /* test clips, borrowed */
    size_t n_paths;
    struct eq_timed **models; /* owned */
    size_t n;
};

/* Reads the clip of its calls, in the form that the model takes. */
static enum eq_status read_clip(struct eq_timed *m, const char *clip, struct eq_err *err)
{
    const struct eq_sampling one = {.frames = m->predictor.meta.frames, .size = m->predictor.meta.size, .phase = -1};
    m->pixels = eq_alloc(eq_sampling_bytes(&one), 1);
    return m->pixels ? eq_clip_read(clip, &one, m->pixels, NULL, err)
                     : eq_fail(err, EQ_NOMEM, "out of memory for a clip");
}

/* Loads the model and calls it. What earlier loads left behind is returned to the system first, so that memory is
 * counted as in a process that has just begun. */
static enum eq_status start_once(struct eq_timed *m, const char *clip, double *load, double *first_call, double *peak,
                                 struct eq_err *err)
{
    float ef;
    eq_predictor_close(&m->predictor);
    size_t before = eq_peak_rss_restart();
    double began = eq_now_ms();
    EQ_CHECK(eq_predictor_open(&m->predictor, m->path,
                               &(struct eq_predictor_opts){.precision = m->precision, .clips = 1}, err));
    *load = eq_now_ms() - began;
    if (!m->pixels)
        EQ_CHECK(read_clip(m, clip, err));
    began = eq_now_ms();
    EQ_CHECK(eq_predictor_run(&m->predictor, m->pixels, &ef, err));
    *first_call = eq_now_ms() - began;
    *peak = before ? (double)eq_peak_rss_bytes() - (double)before : NAN;
    return EQ_OK;
}

static enum eq_status measure_start(struct eq_timed *m, const char *clip, struct eq_err *err)
{
    double load[LOADS], first_call[LOADS], peak[LOADS];
    for (int i = 0; i < LOADS; i++)
        EQ_CHECK(start_once(m, clip, &load[i], &first_call[i], &peak[i], err));
    m->start = (struct eq_result_start){eq_median_of(load, LOADS), eq_median_of(first_call, LOADS), LOADS};
    m->memory = (struct eq_result_memory){(double)m->predictor.arena_bytes, (double)m->predictor.packed_bytes,
                                          isnan(peak[0]) ? NAN : eq_median_of(peak, LOADS)};
    return EQ_OK;
}

static enum eq_status add_model(struct timing *t, const char *row, const char *path, enum eq_precision precision,
                                struct eq_err *err)
{
    struct eq_timed *m = calloc(1, sizeof *m);
    enum eq_status st;
    if (!m)
        return eq_fail(err, EQ_NOMEM, "out of memory for timing %s", row);
    t->models = eq_list_grow(t->models, t->n, sizeof *t->models);
    t->models[t->n++] = m;
    snprintf(m->row, sizeof m->row, "%s", row);
    m->path = eq_strdup(path);
    m->precision = precision;
    EQ_TRY(measure_start(m, t->paths[0], err));
    EQ_TRY(eq_latency_files_open(&m->predictor, t->paths, t->n_paths, t->cfg->eval.phases, &m->files, err));
    m->clip = (struct eq_latency_clip){&m->predictor, m->pixels};
out:
    return st;
}

static void clear(struct timing *t)
{
    for (size_t i = 0; i < t->n; i++) {
        eq_free(t->models[i]->files.pixels);
        eq_free(t->models[i]->pixels);
        eq_predictor_close(&t->models[i]->predictor);
        free(t->models[i]->path);
        free(t->models[i]);
    }
    free(t->models);
}

/* Whether its new latencies would fit the row: evaluated on this CPU, with these instructions, threads and phases. */
static bool is_of_this_session(const struct eq_result *row, const struct eq_config *cfg)
{
    return row && strcmp(row->cpu, eq_cpu_model_name()) == 0 && strcmp(row->isa, eq_cpu_isa_in_use()) == 0 &&
           row->threads == eq_parallel_threads() && row->phases == cfg->eval.phases;
}

/* The models of the run that have a row like that, and the user's own file. */
static enum eq_status add_models(struct timing *t, const struct eq_results *r, const char *own_name,
                                 const char *own_path, struct eq_err *err)
{
    const char *dir = t->cfg->run.dir;
    char own[EQ_ROW_NAME] = "";
    if (own_name)
        eq_run_row_name(own_name, own);
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        bool there;
        EQ_CHECK(eq_run_has_model(dir, m->name, &there, err));
        if (!there || strcmp(m->row, own) == 0 || !is_of_this_session(eq_results_find(r, m->row), t->cfg))
            continue;
        char *path = eq_run_model_path(dir, m->name, NULL);
        enum eq_status st = add_model(t, m->row, path, m->precision, err);
        free(path);
        EQ_CHECK(st);
    }
    return own_path ? add_model(t, own, own_path, t->cfg->run.precision, err) : EQ_OK;
}

static void note(const struct eq_timed *m, const struct eq_latency *alone, const struct eq_latency *whole,
                 const struct eq_latency_turn turns[2], const char *when, struct cJSON *made, struct eq_results *r)
{
    const struct eq_result *found = eq_results_find(r, m->row);
    if (!found)
        return;
    struct eq_result row = *found;
    row.latency = eq_latency_noted(alone, turns[0].ms, made);
    row.file_latency = eq_latency_noted(whole, turns[1].ms, made);
    row.start = m->start;
    row.memory = m->memory;
    row.timed = when;
    eq_results_put(r, &row);
}

/* made: gets what r will borrow. */
static enum eq_status measure(struct timing *t, struct eq_results *r, const char *when, struct cJSON *made,
                              struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const struct eq_config *cfg = t->cfg;
    size_t n = t->n, repeats = (size_t)cfg->bench.repeats;
    const struct eq_latency_opts opts = {EQ_LATENCY_CALLS, cfg->bench.warmup, cfg->bench.repeats, cfg->bench.seconds};
    struct eq_latency_opts of_files = opts;
    of_files.warmup = 1;
    struct eq_latency_turn *turns = eq_alloc(2 * n, sizeof *turns), *files = turns + n;
    struct eq_latency *alone = eq_alloc(2 * n, sizeof *alone), *whole = alone + n;
    double *ms = eq_alloc(2 * n * repeats, sizeof *ms);
    if (!turns || !alone || !ms)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for timing %zu models", n));
    for (size_t i = 0; i < n; i++) {
        int threads = eq_parallel_threads();
        turns[i] = (struct eq_latency_turn){eq_latency_clip, &t->models[i]->clip, threads, ms + i * repeats};
        files[i] = (struct eq_latency_turn){eq_latency_files, &t->models[i]->files, threads, ms + (n + i) * repeats};
    }
    EQ_TRY(eq_latency_turns(turns, (int)n, &opts, alone, err));
    EQ_TRY(eq_latency_turns(files, (int)n, &of_files, whole, err));
    for (size_t i = 0; i < n; i++)
        note(t->models[i], &alone[i], &whole[i], (struct eq_latency_turn[]){turns[i], files[i]}, when, made, r);
out:
    eq_free(turns);
    eq_free(alone);
    eq_free(ms);
    return st;
}

enum eq_status eq_run_time(const struct eq_config *cfg, const struct eq_dataset *ds, const char *own_name,
                           const char *own_path, const struct eq_run_devices *devices, struct eq_err *err)
{
    enum eq_status st;
    struct timing t = {.cfg = cfg};
    struct eq_results r = {0};
    struct cJSON *made = cJSON_CreateArray();
    char when[EQ_TIME_TEXT];
    eq_time_text(when);
    for (size_t i = 0; i < ds->n && t.n_paths < LATENCY_FILES; i++)
        if (ds->samples[i].split == EQ_SPLIT_TEST)
            t.paths[t.n_paths++] = ds->samples[i].path;
    if (t.n_paths == 0)
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: the TEST split has no clips to time models on", ds->dir));
    EQ_TRY(eq_results_open(cfg->run.dir, &r, err));
    EQ_TRY(add_models(&t, &r, own_name, own_path, err));
    if (t.n > 0)
        EQ_TRY(measure(&t, &r, when, made, err));
    EQ_TRY(eq_results_write(cfg->run.dir, &r, err)); /* a device may be lost */
    for (size_t i = 0; devices && i < devices->n; i++)
        EQ_TRY(eq_time_on_device(cfg, t.models, t.n, devices->list[i].device, when, &r, made, err));
    EQ_TRY(eq_results_write(cfg->run.dir, &r, err));
out:
    clear(&t);
    eq_results_clear(&r);
    cJSON_Delete(made);
    return st;
}
