/*
 * ptq.max_mae_loss: which layers have to stay in FP32? Greedy, in the order of their sensitivity: while the integer
 * model loses more MAE on the validation split than it may, the layer goes back to FP32 that alone moves the EF most.
 * Errors of layers cancel, so some of these may not have been needed: each is then quantized again if the loss allows
 * it. Every network on the way is the one that ptq.keep_fp32 makes of the same layers.
 */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

struct mixed {
    const struct eq_ptq_opts *opts;
    struct eq_ptq_inputs *in;
    struct eq_ptq *ptq;
    struct eq_graph *calibrated; /* before weights are rounded: where each network starts */
    double mae_fp32, mae;
    int *order;  /* nodes that may go back, the most sensitive first */
    int n_order; /* all of them */
    int back;    /* how many of these have gone */
    struct cJSON *path, *steps;
    struct eq_tries tries;
};

/* ---- measuring ----------------------------------------------------------- */

static enum eq_status evaluate(struct mixed *m, struct eq_predictor *p, double *mae, struct eq_err *err)
{
    struct eq_evaluation e;
    enum eq_status st = eq_evaluate_loader(p, m->in->clips.ds, m->in->val, NULL, &e, err);
    if (st == EQ_OK) {
        *mae = e.metrics.mae;
        cJSON_DeleteItemFromObjectCaseSensitive(m->path, "clips");
        cJSON_AddNumberToObject(m->path, "clips", (double)e.n);
    }
    eq_evaluation_clear(&e);
    return st;
}

static enum eq_status evaluate_fp32(struct mixed *m, struct eq_err *err)
{
    struct eq_predictor p = {0};
    enum eq_status st = eq_predictor_from_graph(&p, m->in->trained, EQ_PRECISION_FP32, 1, err);
    if (st == EQ_OK)
        st = evaluate(m, &p, &m->mae_fp32, err);
    eq_predictor_close(&p);
    return st;
}

/* keep_fp32 of the settings, then the layers that went back, in that order. free() */
static char *name_layers(const struct mixed *m)
{
    struct eq_str names = {0};
    eq_str_add(&names, "%s", m->opts->keep_fp32);
    for (int i = 0; i < m->back; i++) {
        char name[64];
        if (!m->ptq->kept[m->order[i]])
            continue;
        eq_layer_name(m->calibrated, m->order[i], name);
        eq_str_add(&names, "%s%s", names.len ? "," : "", name);
    }
    return names.s ? names.s : eq_strdup("");
}

/* The MAE of the integer model of m->ptq. layer: the one that has just changed, or "all"; NULL: this network has been
 * measured before. */
static enum eq_status measure(struct mixed *m, const char *layer, const char *to, struct eq_err *err)
{
    struct eq_predictor p = {0};
    struct eq_qmodel *model = NULL, *taken;
    struct eq_ptq now = {.graph = m->ptq->graph, .clips = m->ptq->clips, .keep_fp32 = name_layers(m)};
    enum eq_status st;
    EQ_TRY(eq_ptq_lower(m->opts, &now, NULL, &model, err));
    taken = model;
    model = NULL;
    EQ_TRY(eq_predictor_from_qmodel(&p, taken, 1, err));
    EQ_TRY(evaluate(m, &p, &m->mae, err));
    const struct eq_try one = {layer, to, now.keep_fp32, m->mae, eq_json_real(m->path, "clips")};
    if (layer)
        EQ_TRY(eq_tries_add(&m->tries, &one, &p, err));
out:
    eq_qmodel_free(model);
    eq_predictor_close(&p);
    free(now.keep_fp32);
    return st;
}

static bool is_within(const struct mixed *m)
{
    return m->mae - m->mae_fp32 <= m->opts->max_mae_loss;
}

/* ---- ranking ------------------------------------------------------------- */

struct rank {
    int node;
    double change; /* sum of the squared changes of the EF, this layer quantized and no other */
};

static int compare_ranks(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->change != y->change)
        return x->change > y->change ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* On the few clips of the validation split. */
static enum eq_status order_layers(struct mixed *m, struct eq_err *err)
{
    const struct eq_graph *g = m->ptq->graph;
    const struct eq_calibration *few = &m->in->few;
    const size_t nodes = (size_t)g->n_nodes, clips = few->n;
    struct eq_progress progress = {0};
    struct eq_analysis *a = NULL;
    struct rank *ranks = eq_alloc(nodes, sizeof *ranks);
    bool *keep = eq_alloc(nodes, sizeof *keep);
    float *fp32 = eq_alloc(clips, sizeof *fp32), *ef = eq_alloc(clips, sizeof *ef);
    enum eq_status st;
    m->order = eq_alloc(nodes, sizeof *m->order);
    if (!ranks || !keep || !fp32 || !ef || !m->order) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the layers");
        goto out;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        keep[i] = true;
        if (eq_is_weighted(&g->nodes[i]) && !m->ptq->kept[i])
            ranks[m->n_order++].node = i;
    }
    EQ_TRY(eq_analysis_new(m->ptq->fp32, g, &few->source, clips, &a, err));
    eq_progress_begin(&progress, "rank", "layers", (size_t)m->n_order);
    EQ_TRY(eq_analysis_ef(a, keep, fp32, err));
    for (int i = 0; i < m->n_order; i++) {
        keep[ranks[i].node] = false;
        EQ_TRY(eq_analysis_ef(a, keep, ef, err));
        keep[ranks[i].node] = true;
        for (size_t c = 0; c < clips; c++)
            ranks[i].change += ((double)ef[c] - (double)fp32[c]) * ((double)ef[c] - (double)fp32[c]);
        eq_progress_step(&progress, (size_t)i + 1, NULL);
    }
    qsort(ranks, (size_t)m->n_order, sizeof *ranks, compare_ranks);
    for (int i = 0; i < m->n_order; i++)
        m->order[i] = ranks[i].node;
    cJSON_AddNumberToObject(m->path, "ranking_clips", (double)clips);
out:
    eq_progress_end(&progress);
    eq_analysis_free(a);
    eq_free(ranks);
    eq_free(keep);
    eq_free(fp32);
    eq_free(ef);
    return st;
}

/* ---- going back to FP32 -------------------------------------------------- */

static void note_step(struct mixed *m, int node)
{
    struct cJSON *step = cJSON_CreateObject();
    char name[64];
    eq_layer_name(m->ptq->graph, node, name);
    cJSON_AddStringToObject(step, "layer", name);
    cJSON_AddStringToObject(step, "to", m->ptq->kept[node] ? "FP32" : "INT8");
    cJSON_AddNumberToObject(step, "mae", m->mae);
    eq_json_add(m->steps, NULL, step);
    eq_tries_choose(&m->tries);
    eq_info("back to %s: %s, validation MAE %.4f (%+.4f)", m->ptq->kept[node] ? "FP32" : "INT8", name, m->mae,
            m->mae - m->mae_fp32);
}

/* Makes the network with the layers kept so far, from the ranges on as eq_ptq_make does, and measures its MAE. node:
 * the layer that has just changed; -1: the network was there before. */
static enum eq_status remake(struct mixed *m, int node, struct eq_err *err)
{
    enum eq_status st;
    char name[64];
    eq_graph_free(m->ptq->graph);
    m->ptq->graph = NULL;
    EQ_TRY(eq_graph_clone(m->calibrated, &m->ptq->graph, err));
    EQ_TRY(eq_ptq_finish(m->opts, m->ptq->kept, m->ptq->graph, &m->in->clips, err));
    if (node >= 0)
        eq_layer_name(m->calibrated, node, name);
    EQ_TRY(measure(m, node >= 0 ? name : NULL, node >= 0 && m->ptq->kept[node] ? "FP32" : "INT8", err));
out:
    return st;
}

/* Those that were not needed, the least sensitive first; without the last one the limit did not hold. */
static enum eq_status quantize_again(struct mixed *m, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    bool rejected = false;
    for (int i = m->back - 2; i >= 0 && st == EQ_OK; i--) {
        m->ptq->kept[m->order[i]] = false;
        st = remake(m, m->order[i], err);
        if (st != EQ_OK)
            break;
        rejected = !is_within(m);
        if (rejected)
            m->ptq->kept[m->order[i]] = true;
        else
            note_step(m, m->order[i]);
    }
    return st == EQ_OK && rejected ? remake(m, -1, err) : st;
}

static enum eq_status search(struct mixed *m, struct eq_err *err)
{
    double limit = m->opts->max_mae_loss;
    enum eq_status st;
    EQ_TRY(measure(m, "all", "INT8", err));
    eq_tries_choose(&m->tries);
    eq_info("validation MAE: %.4f in FP32, %.4f quantized (%+.4f; ptq.max_mae_loss = %g)", m->mae_fp32, m->mae,
            m->mae - m->mae_fp32, limit);
    cJSON_AddNumberToObject(m->path, "max_mae_loss", limit);
    cJSON_AddNumberToObject(m->path, "mae_fp32", m->mae_fp32);
    cJSON_AddNumberToObject(m->path, "mae_quantized", m->mae);
    m->steps = cJSON_AddArrayToObject(m->path, "steps");
    if (is_within(m))
        goto out;
    EQ_TRY(order_layers(m, err));
    while (!is_within(m) && m->back < m->n_order) {
        m->ptq->kept[m->order[m->back++]] = true;
        EQ_TRY(remake(m, m->order[m->back - 1], err));
        note_step(m, m->order[m->back - 1]);
    }
    if (is_within(m))
        EQ_TRY(quantize_again(m, err));
    else
        eq_warn("ptq.max_mae_loss = %g cannot be met: with all layers in FP32 the loss is still %.4f", limit,
                m->mae - m->mae_fp32);
out:
    if (st == EQ_OK)
        cJSON_AddNumberToObject(m->path, "mae", m->mae);
    return st;
}

/* ---- in and out ---------------------------------------------------------- */

static enum eq_status begin(struct mixed *m, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(eq_ptq_begin(m->opts, m->in->trained, &m->in->clips, m->ptq, err));
    EQ_TRY(eq_ptq_calibrate(m->ptq, m->opts, &m->in->clips, err));
    EQ_TRY(eq_graph_clone(m->ptq->graph, &m->calibrated, err));
    EQ_TRY(eq_ptq_finish(m->opts, m->ptq->kept, m->ptq->graph, &m->in->clips, err));
    EQ_TRY(evaluate_fp32(m, err));
    EQ_TRY(eq_tries_begin(&m->tries, &m->in->few, err));
out:
    return st;
}

enum eq_status eq_ptq_make_within(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, struct eq_ptq *out,
                                  struct eq_err *err)
{
    struct mixed m = {.opts = opts, .in = in, .ptq = out, .path = cJSON_CreateObject()};
    enum eq_status st;
    EQ_TRY(begin(&m, err));
    EQ_TRY(search(&m, err));
    out->keep_fp32 = name_layers(&m);
    out->mixed = m.path;
    out->tries = m.tries.json;
    m.path = m.tries.json = NULL;
out:
    cJSON_Delete(m.path);
    eq_tries_clear(&m.tries);
    eq_free(m.order);
    eq_graph_free(m.calibrated);
    if (st != EQ_OK)
        eq_ptq_clear(out);
    return st;
}
