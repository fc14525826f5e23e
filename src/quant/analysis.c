/*
 * Analysis of a quantized network, layer by layer: how much of each layer's output is noise, of the layer alone and of
 * all layers up to it; what a layer does to the EF; whether its range fits. A pass runs FP32 on a clip, which leaves
 * the outputs that somebody will ask for, then the simulation on the same clip, whose outputs are compared as they
 * pass. Both run in EQ_EXEC_SIMULATE: FP32 as the integer engine computes a model of which every layer stays in FP32.
 */
#include "quant/analysis.h"
#include "quant/clip_walk.h"
#include "quant/quant_graph.h"

#include <math.h>
#include <string.h>

struct eq_analysis {
    const struct eq_graph *calibrated;
    struct eq_graph *fp32, *work; /* clones; work is what a pass simulates */
    struct eq_exec *exec_fp32;
    struct eq_clip_walk walk;   /* of work */
    struct eq_edge_sums *edges; /* [n_nodes] */
    bool *keep;                 /* [n_nodes]: layers in FP32, of eq_analysis_walk and eq_analysis_layer */
    int only;                   /* the one node whose output is compared; -1: all of them; NO_EDGE: none */
    bool with_stats;
    float *ef_fp32, *ef; /* [max_clips]; NULL: not wanted */
};
enum { NO_EDGE = -2 };

static bool is_compared(const struct eq_analysis *a, int node)
{
    return a->only == -1 ? eq_is_weighted(&a->work->nodes[node]) : a->only == node;
}

/* FP32's side: keeps the outputs that will be compared. */
static enum eq_status keep_reference(void *ctx, struct eq_graph *g, int node, const float *data, size_t n,
                                     struct eq_err *err)
{
    struct eq_analysis *a = ctx;
    struct eq_edge_sums *e = &a->edges[node];
    if (!is_compared(a, node))
        return EQ_OK;
    if (!e->reference) {
        e->reference = eq_alloc(n, sizeof(float));
        if (!e->reference)
            return eq_fail(err, EQ_NOMEM, "out of memory for the outputs of %s", g->nodes[node].name);
    }
    memcpy(e->reference, data, n * sizeof(float));
    return node == a->only ? EQ_STOP : EQ_OK;
}

static enum eq_status run_fp32(void *ctx, size_t clip, const uint8_t *pixels, struct eq_err *err)
{
    struct eq_analysis *a = ctx;
    float ef;
    if (a->only == NO_EDGE)
        return EQ_OK;
    enum eq_status st = eq_exec_forward(a->exec_fp32, pixels, &ef, err);
    if (st == EQ_STOP)
        return EQ_OK;
    if (st == EQ_OK && !isfinite(ef))
        return eq_fail(err, EQ_NUMERIC, "the EF that FP32 predicts is NaN or infinite");
    if (st == EQ_OK && a->ef_fp32)
        a->ef_fp32[clip] = ef;
    return st;
}

static enum eq_status compare(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err)
{
    struct eq_analysis *a = ctx;
    const struct eq_node *made = &a->work->nodes[node];
    if (node == a->work->output && a->ef)
        a->ef[clip] = data[0];
    if (!is_compared(a, node))
        return EQ_OK;
    const struct eq_fake_quant *fq = made->edge_fq >= 0 ? &a->work->fake_quants[made->edge_fq] : NULL;
    enum eq_status st = eq_edge_sums_add(&a->edges[node], fq, data, n, a->with_stats, err);
    if (st == EQ_OK)
        return st;
    char name[64];
    eq_layer_name(a->work, node, name);
    return eq_err_context(err, "%s", name);
}

enum eq_status eq_analysis_new(const struct eq_graph *fp32, const struct eq_graph *calibrated,
                               const struct eq_clip_source *clips, size_t max_clips, struct eq_analysis **out,
                               struct eq_err *err)
{
    enum eq_status st;
    struct eq_analysis *a = NULL;
    *out = NULL;
    EQ_TRY(eq_check_calibrated(calibrated, "analysis", err));
    a = eq_alloc(1, sizeof *a);
    if (!a || !(a->edges = eq_alloc((size_t)calibrated->n_nodes, sizeof *a->edges)) ||
        !(a->keep = eq_alloc((size_t)calibrated->n_nodes, sizeof *a->keep))) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the analysis");
        goto out;
    }
    a->calibrated = calibrated;
    EQ_TRY(eq_graph_clone(fp32, &a->fp32, err));
    EQ_TRY(eq_graph_clone(calibrated, &a->work, err));
    a->walk = (struct eq_clip_walk){.clips = clips,
                                    .max_clips = max_clips,
                                    .purpose = "analysis",
                                    .on_clip = run_fp32,
                                    .on_edge = compare,
                                    .ctx = a};
    EQ_TRY(eq_clip_walk_exec(a->fp32, EQ_EXEC_SIMULATE, clips, &a->exec_fp32, err));
    EQ_TRY(eq_clip_walk_exec(a->work, EQ_EXEC_SIMULATE, clips, &a->walk.exec, err));
    eq_exec_set_hook(a->exec_fp32, &(struct eq_walk_hook){.on_edge = keep_reference, .ctx = a});
    for (int i = 0; i < calibrated->n_nodes && st == EQ_OK; i++)
        if (eq_is_weighted(&calibrated->nodes[i]))
            st = eq_edge_sums_init(&a->edges[i], calibrated->nodes[i].cout, err);
    if (st == EQ_OK)
        *out = a;
out:
    if (st != EQ_OK)
        eq_analysis_free(a);
    return st;
}

void eq_analysis_free(struct eq_analysis *a)
{
    if (!a)
        return;
    for (int i = 0; a->edges && i < a->calibrated->n_nodes; i++)
        eq_edge_sums_clear(&a->edges[i]);
    eq_free(a->edges);
    eq_free(a->keep);
    eq_exec_free(a->exec_fp32);
    eq_exec_free(a->walk.exec);
    eq_graph_free(a->fp32);
    eq_graph_free(a->work);
    eq_free(a);
}

static enum eq_status pass(struct eq_analysis *a, int only, bool with_stats, struct eq_err *err)
{
    a->only = only;
    a->with_stats = with_stats;
    a->walk.stop_at = only >= 0 ? only : -1;
    for (int i = 0; i < a->work->n_nodes; i++)
        eq_edge_sums_reset(&a->edges[i]);
    eq_exec_weights_changed(a->walk.exec);
    return eq_clip_walk_run(&a->walk, err);
}

enum eq_status eq_analysis_walk(struct eq_analysis *a, struct eq_edge_stats *stats, float *ef_fp32, float *ef_quantized,
                                size_t *clips_used, struct eq_err *err)
{
    const struct eq_graph *g = a->calibrated;
    for (int i = 0; i < g->n_nodes; i++)
        a->keep[i] = eq_is_weighted(&g->nodes[i]) && g->fake_quants[g->nodes[i].weight_fq].bypass;
    enum eq_status st;
    EQ_TRY(eq_mix_precision(a->work, g, a->fp32, a->keep, err));
    a->ef_fp32 = ef_fp32;
    a->ef = ef_quantized;
    EQ_TRY(pass(a, -1, true, err));
    *clips_used = a->walk.clip;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        if (eq_is_weighted(n))
            eq_edge_sums_stats(&a->edges[i], n->edge_fq >= 0 ? &g->fake_quants[n->edge_fq] : NULL, &stats[i]);
    }
out:
    a->ef_fp32 = a->ef = NULL;
    return st;
}

static double rows_sqnr(const struct eq_fake_quant *fq, const float *w, const float *used, size_t per)
{
    double signal = 0, noise = 0;
    for (size_t i = 0; i < per * (size_t)fq->channels; i++) {
        float scale = fq->scale[i / per];
        int q = eq_quantize_weight(used[i], 1.0f / scale, fq->qmin, fq->qmax);
        double e = (double)((float)q * scale) - (double)w[i];
        signal += (double)w[i] * (double)w[i];
        noise += e * e;
    }
    return eq_sqnr_db(signal, noise);
}

/* Of the numbers that are rounded: in Winograd's domain, of transformed weights. */
static enum eq_status weights_sqnr(const struct eq_analysis *a, int node, double *db, struct eq_err *err)
{
    const struct eq_graph *g = a->calibrated;
    const struct eq_node *n = &g->nodes[node];
    const struct eq_fake_quant *fq = &g->fake_quants[n->weight_fq];
    const float *w = eq_param_data(&a->fp32->params[n->weight]), *used = eq_param_data(&g->params[n->weight]);
    float *u = NULL, *used_u = NULL;
    enum eq_status st = EQ_OK;
    if (n->point_fq >= 0) {
        EQ_TRY(eq_transform_weights(a->fp32, node, &u, err));
        EQ_TRY(eq_transform_weights(g, node, &used_u, err));
    }
    size_t per = u ? (size_t)n->cin : eq_param_count(&g->params[n->weight]) / (size_t)fq->channels;
    *db = rows_sqnr(fq, u ? u : w, u ? used_u : used, per);
out:
    eq_free(u);
    eq_free(used_u);
    return st;
}

enum eq_status eq_analysis_layer(struct eq_analysis *a, int node, double *weights_db, double *output_db,
                                 struct eq_err *err)
{
    const struct eq_node *n = &a->work->nodes[node];
    for (int i = 0; i < a->work->n_nodes; i++)
        a->keep[i] = i != node;
    enum eq_status st = eq_mix_precision(a->work, a->calibrated, a->fp32, a->keep, err);
    /* Other than eq_keep_fp32, this leaves the edges that the layer reads alone. */
    for (int i = 0; i < a->work->n_fake_quants; i++)
        a->work->fake_quants[i].enabled = i == n->weight_fq || i == n->point_fq || i == n->edge_fq;
    if (st == EQ_OK)
        st = pass(a, node, false, err);
    if (st != EQ_OK)
        return st;
    *output_db = eq_sqnr_db(a->edges[node].signal, a->edges[node].noise);
    return weights_sqnr(a, node, weights_db, err);
}

enum eq_status eq_analysis_ef(struct eq_analysis *a, const bool *keep, float *ef, struct eq_err *err)
{
    enum eq_status st = eq_mix_precision(a->work, a->calibrated, a->fp32, keep, err);
    a->ef = ef;
    if (st == EQ_OK)
        st = pass(a, NO_EDGE, false, err);
    a->ef = NULL;
    return st;
}
