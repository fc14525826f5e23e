/* The table of `bench --layers`: the network's convolutions with all their kernels, and its nodes' own times. */
#include "bench/bench.h"

#include <cjson/cJSON.h>
#include <string.h>

enum { NODE_CALLS = 7, NODE_STEPS = 3, PEAK_ROUNDS = 8, PEAK_MS = 10 };
static const char *const pass_names[EQ_CONV_PASSES] = {"forward", "backward_data", "backward_weights"};

/* What one table needs from layer to layer. */
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

static void table_init(struct table *t, const struct eq_config *cfg, const struct eq_bench_opts *o,
                       struct cJSON *result)
{
    *t = (struct table){.cfg = cfg, .opts = o, .layers = cJSON_AddArrayToObject(result, "layers")};
    measure_peaks(t);
}

static struct cJSON *describe(const struct eq_bench_layer *l)
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
    cJSON_AddNumberToObject(o, "node_ms", l->node_ms);
    cJSON_AddStringToObject(o, "kernel", l->chosen);
    return o;
}

static enum eq_status add_layer(struct table *t, const struct eq_bench_layer *l, struct eq_err *err)
{
    enum eq_status st;
    struct eq_bench_chosen chosen;
    if (!strstr(l->name, t->opts->layer))
        return EQ_OK;
    struct cJSON *object = describe(l);
    cJSON_AddItemToArray(t->layers, object);
    EQ_TRY(eq_bench_candidates(l, t->cfg->bench.layer_ms, t->opts->kernel, object, &chosen, err));
    t->n_layers++;
    t->n_timed += chosen.timed;
    t->ms += chosen.ms;
    t->pack_ms += chosen.pack_ms;
    if (eq_interrupted())
        st = eq_fail(err, EQ_INTERRUPTED, "interrupted at layer %s", l->name);
out:
    return st;
}

/* Peaks once more, then everything that depends on them. packs: every call packs its weights, as training does. */
static enum eq_status finish(struct table *t, double whole_ms, bool packs, struct cJSON *result, struct eq_err *err)
{
    if (t->n_layers == 0)
        return eq_fail(err, EQ_USAGE, "--layer %s: no layer's name holds that", t->opts->layer);
    if (t->n_timed == 0)
        return eq_fail(err, EQ_USAGE, "--kernel %s: no kernel's name holds that", t->opts->kernel);
    measure_peaks(t);
    eq_bench_add_shares(t->layers, &t->peaks);
    struct cJSON *peaks = cJSON_AddArrayToObject(result, "peaks");
    for (size_t i = 0; i < t->peaks.n; i++) {
        struct cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "instruction", t->peaks.peaks[i]->instruction);
        cJSON_AddStringToObject(o, "isa", eq_isa_name(t->peaks.peaks[i]->isa));
        cJSON_AddNumberToObject(o, "gmacs", t->peaks.gmacs[i]);
        cJSON_AddItemToArray(peaks, o);
    }
    if (t->opts->layer[0] || t->opts->kernel[0]) /* some are missing: no sum */
        return EQ_OK;
    cJSON_AddNumberToObject(result, "layers_ms", t->ms);
    cJSON_AddNumberToObject(result, "layers_pack_ms", t->pack_ms);
    cJSON_AddNumberToObject(result, "rest_ms", whole_ms - t->ms - (packs ? t->pack_ms : 0));
    return EQ_OK;
}

static void least(double *of, double ms, bool first)
{
    if (first || ms < *of)
        *of = ms;
}

static void add_node(struct cJSON *nodes, const char *name, double ms, double backward_ms)
{
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", name);
    cJSON_AddNumberToObject(o, "ms", ms);
    if (backward_ms >= 0)
        cJSON_AddNumberToObject(o, "backward_ms", backward_ms);
    cJSON_AddItemToArray(nodes, o);
}

static double *node_times(int n, struct eq_err *err)
{
    double *ms = eq_alloc(2 * (size_t)n, sizeof *ms);
    if (!ms)
        eq_fail(err, EQ_NOMEM, "out of memory for the times of nodes");
    return ms;
}

/* ---- inference ----------------------------------------------------------- */

static int node_count(const struct eq_predictor *p)
{
    return p->exec ? p->graph->n_nodes : p->qmodel->n_nodes;
}

static const char *node_name(const struct eq_predictor *p, int i)
{
    return p->exec ? p->graph->nodes[i].name : p->qmodel->nodes[i].name;
}

static void set_timing(const struct eq_predictor *p, bool on)
{
    if (p->exec)
        eq_exec_set_timing(p->exec, on);
    else
        eq_qengine_set_timing(p->engine, on);
}

static enum eq_status time_nodes(struct eq_predictor *p, const uint8_t *pixels, double *ms, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    float ef;
    set_timing(p, true);
    for (int call = 0; call < NODE_CALLS; call++) {
        EQ_TRY(eq_predictor_run(p, pixels, &ef, err));
        const double *now = p->exec ? eq_exec_node_ms(p->exec) : eq_qengine_node_ms(p->engine);
        for (int i = 0; i < node_count(p); i++)
            least(&ms[i], now[i], call == 0);
    }
out:
    set_timing(p, false);
    return st;
}

static void set_pool(struct eq_bench_layer *l, int k, int stride, int pad)
{
    l->pool_k = k;
    l->pool_stride = stride;
    l->pool_pad = pad;
}

static bool f32_layer(const struct eq_graph *g, const struct eq_exec *x, enum eq_precision precision,
                      enum eq_conv_pass pass, int node, struct eq_bench_layer *l)
{
    const struct eq_node *n = &g->nodes[node];
    if (!eq_exec_conv_shape(x, node, &l->shape) ||
        (pass == EQ_CONV_BACKWARD_DATA && l->shape.src_layout == EQ_LAYOUT_CLIP))
        return false;
    l->name = n->name;
    l->pass = pass;
    l->precision = precision;
    l->weights = eq_param_data(&g->params[n->weight]);
    l->bias = n->bias >= 0;
    l->residual = pass == EQ_CONV_FORWARD && n->residual >= 0;
    l->relu = n->relu;
    l->chosen = (precision == EQ_PRECISION_BF16 ? eq_bf16_conv_select : eq_f32_conv_select)(pass, &l->shape)->name;
    return true;
}

/* In inference. */
static bool f32_pooled_layer(const struct eq_predictor *p, enum eq_precision precision, int node,
                             struct eq_bench_layer *l)
{
    const struct eq_node *n = &p->graph->nodes[node];
    if (!f32_layer(p->graph, p->exec, precision, EQ_CONV_FORWARD, node, l))
        return false;
    if (node + 1 < p->graph->n_nodes && n[1].op == EQ_OP_MAXPOOL && n[1].src[0] == node)
        set_pool(l, n[1].k, n[1].stride, n[1].pad);
    return true;
}

static bool int8_layer(const struct eq_predictor *p, int node, struct eq_bench_layer *l)
{
    const struct eq_qnode *n = &p->qmodel->nodes[node];
    if (!eq_qengine_conv_shape(p->engine, node, &l->shape))
        return false;
    l->name = n->name;
    l->weights = n->fp32_weights;
    l->int8_weights = n->weights;
    l->src_zp = p->qmodel->nodes[n->src].dst.zero_point;
    l->bias = true;
    l->residual = n->residual >= 0;
    l->relu = n->relu;
    if (node + 1 < p->qmodel->n_nodes && n[1].op == EQ_QOP_MAXPOOL && n[1].src == node)
        set_pool(l, n[1].k, n[1].stride, n[1].pad);
    l->chosen = eq_qengine_kernel_name(p->engine, node);
    return true;
}

enum eq_status eq_bench_layers(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_predictor *p,
                               const uint8_t *pixels, double whole_ms, struct cJSON *result, struct eq_err *err)
{
    enum eq_status st;
    struct table t;
    struct cJSON *nodes = cJSON_AddArrayToObject(result, "nodes");
    double *ms = node_times(node_count(p), err);
    if (!ms)
        return EQ_NOMEM;
    EQ_TRY(time_nodes(p, pixels, ms, err));
    table_init(&t, cfg, o, result);
    for (int i = 0; i < node_count(p); i++) {
        struct eq_bench_layer l = {.node_ms = ms[i], .gray = cfg->bench.gray};
        add_node(nodes, node_name(p, i), ms[i], -1);
        if (p->exec ? f32_pooled_layer(p, cfg->run.precision, i, &l) : int8_layer(p, i, &l))
            EQ_TRY(add_layer(&t, &l, err));
    }
    EQ_TRY(finish(&t, whole_ms, false, result, err));
out:
    eq_free(ms);
    return st;
}

/* ---- training ------------------------------------------------------------ */

static enum eq_status time_train_nodes(struct eq_trainee *t, double *ms, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    int n = t->graph->n_nodes;
    eq_exec_set_timing(t->trainer.exec, true);
    for (int step = 0; step < NODE_STEPS; step++) {
        EQ_TRY(eq_trainer_step(&t->trainer, &t->batch, err));
        for (int i = 0; i < n; i++) {
            least(&ms[i], eq_exec_node_ms(t->trainer.exec)[i], step == 0);
            least(&ms[n + i], eq_exec_node_backward_ms(t->trainer.exec, i), step == 0);
        }
    }
out:
    eq_exec_set_timing(t->trainer.exec, false);
    return st;
}

enum eq_status eq_bench_train_layers(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_trainee *x,
                                     double whole_ms, struct cJSON *result, struct eq_err *err)
{
    enum eq_status st;
    struct table t;
    struct cJSON *nodes = cJSON_AddArrayToObject(result, "nodes");
    int n = x->graph->n_nodes;
    double *ms = node_times(n, err);
    if (!ms)
        return EQ_NOMEM;
    EQ_TRY(time_train_nodes(x, ms, err));
    table_init(&t, cfg, o, result);
    for (int i = 0; i < n; i++) {
        add_node(nodes, x->graph->nodes[i].name, ms[i], ms[n + i]);
        for (int pass = 0; pass < EQ_CONV_PASSES; pass++) {
            struct eq_bench_layer l = {.node_ms = ms[pass == EQ_CONV_FORWARD ? i : n + i]};
            if (f32_layer(x->graph, x->trainer.exec, x->trainer.job.precision, (enum eq_conv_pass)pass, i, &l))
                EQ_TRY(add_layer(&t, &l, err));
        }
    }
    EQ_TRY(finish(&t, whole_ms, true, result, err));
out:
    eq_free(ms);
    return st;
}
