/* The table of `bench --layers`: the network's convolutions with all their kernels, and its nodes' own times. */
#include "bench/bench.h"

#include <cjson/cJSON.h>
#include <string.h>

enum { NODE_CALLS = 7, NODE_STEPS = 3, PEAK_ROUNDS = 8, PEAK_MS = 10 };
static const char *const pass_names[EQ_CONV_PASSES] = {"forward", "backward_data", "backward_weights"};

/* The table while it grows. */
struct table {
    const struct eq_config *cfg;
    const struct eq_bench_opts *opts;
    struct cJSON *layers;
    struct eq_bench_peaks peaks;
    double ms, pack_ms; /* of the chosen kernels */
    size_t n_layers, n_timed;
};

static void measure_peaks(struct table *t)
{
    double ms = t->cfg->bench.layer_ms;
    eq_bench_measure_peaks(&t->peaks, PEAK_ROUNDS, ms < PEAK_MS ? ms : PEAK_MS);
}

static struct cJSON *describe(const struct eq_exec_layer *l, double node_ms)
{
    const struct eq_conv_shape *s = &l->shape;
    const struct {
        const char *key;
        int value;
    } numbers[] = {{"clips", s->b},   {"frames", s->t}, {"h", s->h}, {"w", s->w},           {"cin", s->cin},
                   {"cout", s->cout}, {"oh", s->oh},    {"k", s->k}, {"stride", s->stride}, {"pad", s->pad}};
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", l->name);
    cJSON_AddStringToObject(o, "pass", pass_names[l->pass]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cJSON_AddNumberToObject(o, numbers[i].key, numbers[i].value);
    cJSON_AddBoolToObject(o, "residual", l->residual);
    cJSON_AddNumberToObject(o, "gmac", eq_conv_macs(s) * 1e-9);
    cJSON_AddNumberToObject(o, "node_ms", node_ms);
    cJSON_AddStringToObject(o, "kernel", l->kernel);
    return o;
}

static enum eq_status add_layer(struct table *t, const struct eq_exec_layer *l, double node_ms, struct eq_err *err)
{
    enum eq_status st;
    struct eq_bench_chosen chosen;
    if (!strstr(l->name, t->opts->layer))
        return EQ_OK;
    struct cJSON *object = eq_json_add(t->layers, NULL, describe(l, node_ms));
    EQ_TRY(eq_bench_candidates(l, t->cfg->bench.gray, t->cfg->bench.layer_ms, t->opts->kernel, object, &chosen, err));
    t->n_layers++;
    t->n_timed += chosen.timed;
    t->ms += chosen.ms;
    t->pack_ms += chosen.pack_ms;
    if (eq_interrupted())
        st = eq_fail(err, EQ_INTERRUPTED, "interrupted at layer %s", l->name);
out:
    return st;
}

/* Measures the peaks again, then adds what depends on them. packs: every call packs its weights, as training does. */
static enum eq_status finish(struct table *t, double whole_ms, bool packs, struct cJSON *result, struct eq_err *err)
{
    if (t->n_layers == 0)
        return eq_fail(err, EQ_USAGE, "--layer %s: no layer has this text in its name", t->opts->layer);
    if (t->n_timed == 0)
        return eq_fail(err, EQ_USAGE, "--kernel %s: no kernel has this text in its name", t->opts->kernel);
    measure_peaks(t);
    eq_bench_add_shares(t->layers, &t->peaks);
    struct cJSON *peaks = cJSON_AddArrayToObject(result, "peaks");
    for (size_t i = 0; i < t->peaks.n; i++) {
        struct cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "instruction", t->peaks.peaks[i]->instruction);
        cJSON_AddStringToObject(o, "isa", eq_isa_name(t->peaks.peaks[i]->isa));
        cJSON_AddNumberToObject(o, "gmacs", t->peaks.gmacs[i]);
        eq_json_add(peaks, NULL, o);
    }
    if (t->opts->layer[0] || t->opts->kernel[0]) /* some are missing: no sum */
        return EQ_OK;
    cJSON_AddNumberToObject(result, "layers_ms", t->ms);
    cJSON_AddNumberToObject(result, "layers_pack_ms", t->pack_ms);
    cJSON_AddNumberToObject(result, "rest_ms", whole_ms - t->ms - (packs ? t->pack_ms : 0));
    return EQ_OK;
}

static void add_node(struct cJSON *nodes, const char *name, double ms, double backward_ms)
{
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", name);
    cJSON_AddNumberToObject(o, "ms", ms);
    if (backward_ms >= 0)
        cJSON_AddNumberToObject(o, "backward_ms", backward_ms);
    eq_json_add(nodes, NULL, o);
}

/* ---- a network that predicts, or one that trains ------------------------- */

struct network {
    struct eq_predictor *p;
    const uint8_t *pixels; /* for p */
    struct eq_trainee *trainee;
    int n_nodes;
};

static const double *set_timing(const struct network *w, bool on)
{
    return w->p ? w->p->ops->time(w->p, on) : eq_exec_time(w->trainee->trainer.exec, on);
}

static enum eq_status run(const struct network *w, struct eq_err *err)
{
    float ef;
    return w->p ? eq_predictor_run(w->p, w->pixels, &ef, err)
                : eq_trainer_step(&w->trainee->trainer, &w->trainee->batch, err);
}

static bool layer_of(const struct network *w, int node, enum eq_conv_pass pass, struct eq_exec_layer *out)
{
    return w->p ? w->p->ops->layer(w->p, node, out) : eq_exec_layer(w->trainee->trainer.exec, node, pass, out);
}

/* ms: [n], the least times of the nodes: forward, then in training backward from the last node on. */
static enum eq_status time_nodes(const struct network *w, double *ms, int n, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const double *now = set_timing(w, true);
    for (int call = 0; call < (w->p ? NODE_CALLS : NODE_STEPS); call++) {
        EQ_TRY(run(w, err));
        for (int i = 0; i < n; i++)
            if (call == 0 || now[i] < ms[i])
                ms[i] = now[i];
    }
out:
    set_timing(w, false);
    return st;
}

static enum eq_status add_layers(const struct network *w, const struct eq_config *cfg, const struct eq_bench_opts *o,
                                 double whole_ms, struct cJSON *result, struct eq_err *err)
{
    enum eq_status st;
    struct cJSON *nodes = cJSON_AddArrayToObject(result, "nodes");
    struct table t = {.cfg = cfg, .opts = o, .layers = cJSON_AddArrayToObject(result, "layers")};
    int n = w->n_nodes, passes = w->p ? 1 : EQ_CONV_PASSES, times = w->p ? n : 2 * n;
    double *ms = eq_alloc((size_t)times, sizeof *ms);
    if (!ms)
        return eq_fail(err, EQ_NOMEM, "out of memory for the times of nodes");
    EQ_TRY(time_nodes(w, ms, times, err));
    measure_peaks(&t);
    for (int i = 0; i < n; i++)
        for (int pass = 0; pass < passes; pass++) {
            struct eq_exec_layer l;
            bool conv = layer_of(w, i, (enum eq_conv_pass)pass, &l);
            double backward_ms = w->p ? -1 : ms[2 * n - 1 - i];
            if (pass == 0)
                add_node(nodes, l.name, ms[i], backward_ms);
            if (conv)
                EQ_TRY(add_layer(&t, &l, pass == 0 ? ms[i] : backward_ms, err));
        }
    EQ_TRY(finish(&t, whole_ms, !w->p, result, err));
out:
    eq_free(ms);
    return st;
}

enum eq_status eq_bench_layers(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_predictor *p,
                               const uint8_t *pixels, double whole_ms, struct cJSON *result, struct eq_err *err)
{
    const struct network w = {.p = p, .pixels = pixels, .n_nodes = p->n_nodes};
    return add_layers(&w, cfg, o, whole_ms, result, err);
}

enum eq_status eq_bench_train_layers(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_trainee *x,
                                     double whole_ms, struct cJSON *result, struct eq_err *err)
{
    const struct network w = {.trainee = x, .n_nodes = x->graph->n_nodes};
    return add_layers(&w, cfg, o, whole_ms, result, err);
}
