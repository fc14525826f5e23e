/*
 * What each layer costs and gains in FP32: for every layer, the integer model in which this one stays in FP32, as
 * ptq.keep_fp32 would keep it, runs on a few clips. Its EFs tell the gain, the times of its nodes the cost, with the
 * conversions that it brings to its neighbors.
 */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

/* Times are the least of this many calls, or of as many as there are clips. */
enum { LEAST_CALLS = 6 };

struct layers {
    const struct eq_ptq *ptq;
    const struct eq_calibration *clips;
    size_t n, clip_bytes;
    uint8_t *pixels; /* [n] clips */
    float *ef;       /* [n] */
    bool *keep;      /* [nodes of the graph] */
    int n_nodes;     /* of the integer model */
    double *int8_ms; /* [n_nodes]: least times in INT8, of this model and of those in which another layer is FP32 */
    double *mixed;   /* [nodes of the graph][n_nodes]: least times of the model in which that layer is FP32 */
};

/* Decoding would disturb the times, so all clips are read first. */
static enum eq_status read_clips(struct layers *l, struct eq_calibration *clips, struct eq_err *err)
{
    const struct eq_clip_source *s = &clips->source;
    l->clip_bytes = (size_t)s->frames * (size_t)s->size * (size_t)s->size * 3;
    l->pixels = eq_alloc(clips->n, l->clip_bytes);
    if (!l->pixels)
        return eq_fail(err, EQ_NOMEM, "out of memory for %zu clips", clips->n);
    EQ_CHECK(s->rewind(s->ctx, err));
    for (size_t i = 0; i < clips->n; i++) {
        const uint8_t *pixels;
        int got;
        EQ_CHECK(s->next(s->ctx, &pixels, &got, err));
        memcpy(l->pixels + i * l->clip_bytes, pixels, l->clip_bytes);
    }
    return EQ_OK;
}

/* ms: [n_nodes], the least times; those of other calls count if they are less. */
static enum eq_status run_clips(struct layers *l, struct eq_predictor *p, double *ms, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const double *now = p->ops->time(p, true);
    for (size_t call = 0; call < l->n || call < LEAST_CALLS; call++) {
        size_t clip = call % l->n;
        EQ_TRY(eq_predictor_run(p, l->pixels + clip * l->clip_bytes, &l->ef[clip], err));
        for (int i = 0; i < l->n_nodes; i++)
            ms[i] = fmin(ms[i], now[i]);
        if (eq_interrupted())
            EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted while layers were kept in FP32"));
    }
out:
    p->ops->time(p, false);
    return st;
}

static void forget_times(const struct layers *l, double *ms)
{
    for (int i = 0; i < l->n_nodes; i++)
        ms[i] = INFINITY;
}

/* The integer model with `node` in FP32, as it would be shipped. */
static enum eq_status open_mixed(struct layers *l, int node, struct eq_predictor *out, struct eq_err *err)
{
    enum eq_status st;
    const struct eq_ptq *p = l->ptq;
    struct eq_graph *work = NULL;
    struct eq_qmodel *m;
    memcpy(l->keep, p->kept, (size_t)p->graph->n_nodes * sizeof *l->keep);
    l->keep[node] = true;
    EQ_TRY(eq_graph_clone(p->graph, &work, err));
    EQ_TRY(eq_mix_precision(work, p->graph, p->fp32, l->keep, err));
    EQ_TRY(eq_lower_int8(work, "ptq", &m, err));
    EQ_TRY(eq_predictor_from_qmodel(out, m, 1, err));
out:
    eq_graph_free(work);
    return st;
}

/* The node of the integer model with that name. */
static int node_named(const struct eq_qmodel *m, const char *name)
{
    int i = 0;
    while (i < m->n_nodes && strcmp(m->nodes[i].name, name) != 0)
        i++;
    return i;
}

/* Whether a node of the integer model is the pooling after node `at`, which may be done there. */
static bool is_pooling_of(const struct eq_qmodel *m, int node, int at)
{
    return m->nodes[node].op == EQ_QOP_MAXPOOL && m->nodes[node].src == at;
}

/* What a layer in FP32 costs is in its own node: it reads bytes and stores bytes there. */
static double cost_of(const struct layers *l, const struct eq_qmodel *m, const double *mixed, int at)
{
    double cost = 0;
    for (int i = 0; i < l->n_nodes; i++)
        if (i == at || is_pooling_of(m, i, at))
            cost += mixed[i] - l->int8_ms[i];
    return cost;
}

static enum eq_status study_layer(struct layers *l, int node, const struct eq_qmodel *m,
                                  const struct eq_part_error *errors, struct cJSON *row, struct eq_err *err)
{
    enum eq_status st;
    struct eq_predictor p = {0};
    char name[64];
    double *mixed = l->mixed + (size_t)node * (size_t)l->n_nodes;
    eq_layer_name(l->ptq->graph, node, name);
    cJSON_AddStringToObject(row, "layer", name);
    cJSON_AddBoolToObject(row, "fp32", l->ptq->kept[node]);
    if (l->ptq->kept[node])
        return EQ_OK;
    int at = node_named(m, name);
    EQ_TRY(open_mixed(l, node, &p, err));
    forget_times(l, mixed);
    EQ_TRY(run_clips(l, &p, mixed, err));
    for (int i = 0; i < l->n_nodes; i++)
        if (i != at && !is_pooling_of(m, i, at))
            l->int8_ms[i] = fmin(l->int8_ms[i], mixed[i]);
    eq_part_error_add(row, errors, l->clips, l->ef, l->n);
out:
    eq_predictor_close(&p);
    return st;
}

/* When all models have run, the least times are known. */
static void add_times(const struct layers *l, const struct eq_qmodel *m, struct cJSON *json)
{
    struct cJSON *row = cJSON_GetObjectItemCaseSensitive(json, "layers");
    double all = 0;
    for (int i = 0; i < l->n_nodes; i++)
        all += l->int8_ms[i];
    eq_json_add_real(json, "int8_ms", all);
    row = row ? row->child : NULL;
    for (int node = 0; node < l->ptq->graph->n_nodes && row; node++) {
        const double *mixed = l->mixed + (size_t)node * (size_t)l->n_nodes;
        if (!eq_is_weighted(&l->ptq->graph->nodes[node]))
            continue;
        int at = node_named(m, eq_json_text(row, "layer"));
        if (at < l->n_nodes && l->ptq->kept[node])
            eq_json_add_real(row, "fp32_ms", l->int8_ms[at]);
        if (at < l->n_nodes && !l->ptq->kept[node]) {
            eq_json_add_real(row, "int8_ms", l->int8_ms[at]);
            eq_json_add_real(row, "fp32_ms", mixed[at]);
            eq_json_add_real(row, "cost_ms", cost_of(l, m, mixed, at));
        }
        row = row->next;
    }
}

static enum eq_status alloc(struct layers *l, struct eq_err *err)
{
    size_t nodes = (size_t)l->ptq->graph->n_nodes, n = (size_t)l->n_nodes;
    l->ef = eq_alloc(l->n, sizeof *l->ef);
    l->keep = eq_alloc(nodes, sizeof *l->keep);
    l->int8_ms = eq_alloc(n, sizeof *l->int8_ms);
    l->mixed = eq_alloc(nodes * n, sizeof *l->mixed);
    return l->ef && l->keep && l->int8_ms && l->mixed ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for the layers");
}

enum eq_status eq_layers_measure(const struct eq_ptq *ptq, struct eq_predictor *quantized, struct eq_calibration *clips,
                                 const struct eq_part_error *errors, struct cJSON *json, struct eq_err *err)
{
    enum eq_status st;
    struct eq_progress progress = {0};
    const struct eq_graph *g = ptq->graph;
    const struct eq_qmodel *m = eq_predictor_qmodel(quantized);
    struct layers l = {.ptq = ptq, .clips = clips, .n = clips->n, .n_nodes = m->n_nodes};
    size_t weighted = 0, done = 0;
    EQ_TRY(alloc(&l, err));
    EQ_TRY(read_clips(&l, clips, err));
    forget_times(&l, l.int8_ms);
    for (int i = 0; i < g->n_nodes; i++)
        weighted += eq_is_weighted(&g->nodes[i]);
    eq_progress_begin(&progress, "layers in FP32", "layers", weighted);
    EQ_TRY(run_clips(&l, quantized, l.int8_ms, err));
    struct cJSON *rows = cJSON_AddArrayToObject(json, "layers");
    for (int i = 0; i < g->n_nodes; i++)
        if (eq_is_weighted(&g->nodes[i])) {
            EQ_TRY(study_layer(&l, i, m, errors, eq_json_add(rows, NULL, cJSON_CreateObject()), err));
            eq_progress_step(&progress, ++done, NULL);
        }
    add_times(&l, m, json);
out:
    eq_progress_end(&progress);
    eq_free(l.pixels);
    eq_free(l.ef);
    eq_free(l.keep);
    eq_free(l.int8_ms);
    eq_free(l.mixed);
    return st;
}
