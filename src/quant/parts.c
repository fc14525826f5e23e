/*
 * The error of a quantized network in parts: of its weights alone, and of its activations alone. The exact simulation
 * runs (EQ_EXEC_SIMULATE) with the fake-quants of one kind only. The pass without any looks at every edge that would be
 * rounded: its values, beside the range of its levels. Both kinds together are the integer model: the engine gives the
 * EFs of that simulation, to the bit, in less time.
 */
#include "quant/clip_walk.h"
#include "quant/histogram.h"
#include "quant/quant_graph.h"

#include <math.h>
#include <string.h>

struct parts {
    const struct eq_graph *fp32, *calibrated;
    struct eq_graph *work; /* a clone of calibrated: what a pass simulates */
    struct eq_clip_walk walk;
    bool *kept, *keep;             /* [n_nodes]: layers that always stay in FP32; in this pass; one block */
    struct eq_stretch_hist **hist; /* [n_nodes]: of the edges that are rounded; NULL: others */
    uint64_t *inside;              /* [n_nodes]: values of theirs within the levels */
    enum eq_part part;
    float *ef; /* [max_clips], of this pass */
    struct eq_progress *progress;
};

/* The edges of calibrated whose levels are in use. */
static const struct eq_fake_quant *rounding_of(const struct parts *p, int node)
{
    int fq = p->calibrated->nodes[node].edge_fq;
    return fq >= 0 && !p->calibrated->fake_quants[fq].bypass ? &p->calibrated->fake_quants[fq] : NULL;
}

static float level(const struct eq_fake_quant *fq, float q)
{
    return (q - (float)fq->zero_point[0]) * fq->scale[0];
}

static enum eq_status look(struct parts *p, int node, const float *data, size_t n, struct eq_err *err)
{
    const struct eq_fake_quant *fq = rounding_of(p, node);
    float min, max;
    if (n == 0)
        return EQ_OK;
    eq_f32_kernels()->histogram(data, n, level(fq, (float)fq->qmin - 0.5f), level(fq, (float)fq->qmax + 0.5f),
                                &p->inside[node], 1, &min, &max);
    return eq_layer_context(p->work, node, eq_stretch_hist_add(p->hist[node], data, n, err), err);
}

static enum eq_status on_edge(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err)
{
    struct parts *p = ctx;
    if (node == p->work->output)
        p->ef[clip] = data[0];
    return p->part == EQ_PART_NONE && p->hist[node] ? look(p, node, data, n, err) : EQ_OK;
}

static enum eq_status on_clip(void *ctx, size_t clip, const uint8_t *pixels, struct eq_err *err)
{
    const struct parts *p = ctx;
    (void)pixels, (void)err;
    if (p->progress)
        eq_progress_step(p->progress, (size_t)p->part * p->walk.max_clips + clip + 1, NULL);
    return EQ_OK;
}

/* Weights of AdaRound and corrected biases belong to the rounded weights. */
static enum eq_status set_part(struct parts *p, enum eq_part part, struct eq_err *err)
{
    struct eq_graph *g = p->work;
    bool weights = part == EQ_PART_WEIGHTS, edges = part == EQ_PART_ACTIVATIONS;
    for (int i = 0; i < g->n_nodes; i++)
        p->keep[i] = p->kept[i] || !weights;
    enum eq_status st = eq_mix_precision(g, p->calibrated, p->fp32, p->keep, err);
    for (int i = 0; i < g->n_nodes && st == EQ_OK; i++) {
        const struct eq_node *n = &g->nodes[i];
        if (n->weight_fq >= 0)
            g->fake_quants[n->weight_fq].enabled = weights && !p->kept[i];
        if (n->point_fq >= 0)
            g->fake_quants[n->point_fq].enabled = edges && !p->kept[i];
        if (n->edge_fq >= 0)
            g->fake_quants[n->edge_fq].enabled = edges && p->hist[i];
    }
    return st;
}

/* p->walk.clip: how many clips there were. */
static enum eq_status run_engine(struct parts *p, struct eq_qengine *e, struct eq_err *err)
{
    const struct eq_clip_source *s = p->walk.clips;
    const size_t clip_bytes = (size_t)s->frames * (size_t)s->size * (size_t)s->size * 3;
    EQ_CHECK(s->rewind(s->ctx, err));
    for (p->walk.clip = 0; p->walk.clip < p->walk.max_clips;) {
        const uint8_t *pixels;
        int n;
        EQ_CHECK(s->next(s->ctx, &pixels, &n, err));
        if (n == 0)
            break;
        for (int i = 0; i < n && p->walk.clip < p->walk.max_clips; i++, p->walk.clip++) {
            if (eq_interrupted())
                return eq_fail(err, EQ_INTERRUPTED, "%s was interrupted after %zu clips", p->walk.purpose,
                               p->walk.clip);
            EQ_CHECK(on_clip(p, p->walk.clip, pixels, err));
            EQ_CHECK(eq_qengine_run(e, pixels + (size_t)i * clip_bytes, &p->ef[p->walk.clip], err));
        }
    }
    return EQ_OK;
}

static enum eq_status run_model(struct parts *p, struct eq_err *err)
{
    enum eq_status st;
    struct eq_qmodel *m = NULL;
    struct eq_qengine *e = NULL;
    EQ_TRY(eq_lower_int8(p->calibrated, "ptq", &m, err));
    EQ_TRY(eq_qengine_new(m, 1, p->walk.clips->frames, p->walk.clips->size, false, &e, err));
    EQ_TRY(run_engine(p, e, err));
out:
    eq_qengine_free(e);
    eq_qmodel_free(m);
    return st;
}

static enum eq_status run_part(struct parts *p, enum eq_part part, float *ef, struct eq_err *err)
{
    p->part = part;
    p->ef = ef;
    if (part == EQ_PART_BOTH)
        return run_model(p, err);
    EQ_CHECK(set_part(p, part, err));
    eq_exec_weights_changed(p->walk.exec);
    return eq_clip_walk_run(&p->walk, err);
}

static void describe(const struct parts *p, int node, struct eq_edge_range *out)
{
    const struct eq_fake_quant *fq = rounding_of(p, node);
    const struct eq_stretch_hist *h = p->hist[node];
    enum { MERGED = EQ_HIST_BINS / EQ_RANGE_BINS };
    *out = (struct eq_edge_range){.node = node,
                                  .low = level(fq, (float)fq->qmin),
                                  .high = level(fq, (float)fq->qmax),
                                  .min = h->range.min,
                                  .max = h->range.max,
                                  .clipped = (double)(h->total - p->inside[node]) / (double)h->total,
                                  .bins = 1};
    out->count[0] = (double)h->total;
    if (eq_stretch_hist_is_point(h))
        return;
    out->bins = EQ_RANGE_BINS;
    for (int i = 0; i < EQ_RANGE_BINS; i++) {
        double sum = 0;
        for (int k = 0; k < MERGED; k++)
            sum += h->count[i * MERGED + k];
        out->count[i] = round(sum);
    }
}

static enum eq_status open_parts(struct parts *p, struct eq_err *err)
{
    const struct eq_graph *g = p->calibrated;
    size_t n = (size_t)g->n_nodes;
    p->kept = eq_alloc(2 * n, sizeof *p->kept);
    p->hist = eq_alloc(n, sizeof(struct eq_stretch_hist *));
    p->inside = eq_alloc(n, sizeof *p->inside);
    bool enough = p->kept && p->hist && p->inside;
    for (int i = 0; i < g->n_nodes && enough; i++) {
        p->kept[i] = eq_is_weighted(&g->nodes[i]) && g->fake_quants[g->nodes[i].weight_fq].bypass;
        enough = !rounding_of(p, i) || (p->hist[i] = eq_alloc(1, sizeof *p->hist[i]));
    }
    if (!enough)
        return eq_fail(err, EQ_NOMEM, "out of memory for the parts of the error");
    p->keep = p->kept + n;
    return eq_graph_clone(g, &p->work, err);
}

static void close_parts(struct parts *p)
{
    for (int i = 0; p->hist && i < p->calibrated->n_nodes; i++)
        eq_free(p->hist[i]);
    eq_free(p->hist);
    eq_free(p->inside);
    eq_free(p->kept);
    eq_exec_free(p->walk.exec);
    eq_graph_free(p->work);
}

enum eq_status eq_parts_measure(const struct eq_graph *fp32, const struct eq_graph *calibrated,
                                const struct eq_clip_source *clips, size_t max_clips, float *ef,
                                struct eq_edge_range *ranges, int *n_ranges, size_t *clips_used,
                                struct eq_progress *progress, struct eq_err *err)
{
    enum eq_status st;
    struct parts p = {.fp32 = fp32, .calibrated = calibrated, .progress = progress};
    EQ_TRY(eq_check_calibrated(calibrated, "the error in parts", err));
    EQ_TRY(open_parts(&p, err));
    p.walk = (struct eq_clip_walk){.clips = clips,
                                   .max_clips = max_clips,
                                   .purpose = "the error in parts",
                                   .stop_at = -1,
                                   .on_clip = on_clip,
                                   .on_edge = on_edge,
                                   .ctx = &p};
    EQ_TRY(eq_clip_walk_exec(p.work, EQ_EXEC_SIMULATE, clips, &p.walk.exec, err));
    for (int part = 0; part < EQ_PARTS; part++)
        EQ_TRY(run_part(&p, (enum eq_part)part, ef + (size_t)part * max_clips, err));
    *clips_used = p.walk.clip;
    *n_ranges = 0;
    for (int i = 0; i < calibrated->n_nodes; i++)
        if (p.hist[i])
            describe(&p, i, &ranges[(*n_ranges)++]);
out:
    close_parts(&p);
    return st;
}
