/* Scales of weights: min-max or least squared error, per channel or per layer. */
#include "echoquant/nn.h"
#include "quant/quant_graph.h"

#include <float.h>
#include <math.h>

const char *const eq_weight_observer_names[EQ_WEIGHT_OBSERVER_COUNT + 1] = {"minmax", "mse"};

/* The MSE search tries ranges of (1 - i / 100) of the largest weight, i = 0..79, and keeps the first best. MQBench's
 * MSEObserver uses the same grid. */
enum { MSE_STEPS = 80 };

/* A row is what shares a scale: a channel's weights, or its weights of a point. */
struct weight_job {
    const struct eq_graph *g;
    const struct eq_node *n;
    struct eq_fake_quant *fq;
    const float *rows; /* [fq->channels][per] */
    size_t per;
    float *u; /* transformed weights, where they are the rows; owned */
};

static float factor_of(const struct weight_job *j, int row)
{
    return j->u ? 1 : eq_fold_factor(j->g, j->n, row);
}

static float row_absmax(const struct weight_job *j, int c)
{
    const float *w = j->rows + (size_t)c * j->per;
    float factor = factor_of(j, c), absmax = 0;
    for (size_t i = 0; i < j->per; i++) {
        float a = fabsf(w[i] * factor);
        if (isnan(a))
            return a;
        absmax = fmaxf(absmax, a);
    }
    return absmax;
}

/* Four sums for four parallel lanes; their order is fixed. */
static double squared_error(const struct weight_job *j, int c, float scale)
{
    const float *w = j->rows + (size_t)c * j->per;
    const float factor = factor_of(j, c), inv = 1.0f / scale;
    const float lo = (float)j->fq->qmin, hi = (float)j->fq->qmax;
    double sum[4] = {0};
    for (size_t i = 0; i < j->per; i++) {
        float x = w[i] * factor, q = x * inv;
        q = q < lo ? lo : q > hi ? hi : q;
        float e = x - eq_round_small(q) * scale;
        sum[i % 4] += (double)(e * e);
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static float scale_for(float absmax, int qmax)
{
    return fmaxf(absmax / (float)qmax, FLT_EPSILON);
}

/* The scale of the least squared error, for channels first..last-1. */
static float best_scale(const struct weight_job *j, float absmax, int first, int last)
{
    float best_scale = scale_for(absmax, j->fq->qmax);
    double best = INFINITY;
    for (int step = 0; step < MSE_STEPS; step++) {
        float scale = scale_for(absmax * (1.0f - 0.01f * (float)step), j->fq->qmax);
        double error = 0;
        for (int c = first; c < last; c++)
            error += squared_error(j, c, scale);
        if (error < best) {
            best = error;
            best_scale = scale;
        }
    }
    return best_scale;
}

static void minmax_piece(void *ctx, size_t c, int worker)
{
    (void)worker;
    struct weight_job *j = ctx;
    float absmax = row_absmax(j, (int)c);
    j->fq->scale[c] = isfinite(absmax) ? scale_for(absmax, j->fq->qmax) : absmax;
}

static void mse_piece(void *ctx, size_t c, int worker)
{
    (void)worker;
    struct weight_job *j = ctx;
    float absmax = row_absmax(j, (int)c);
    j->fq->scale[c] = isfinite(absmax) ? best_scale(j, absmax, (int)c, (int)c + 1) : absmax;
}

static enum eq_status check_scales(const struct eq_graph *g, int node, const struct eq_fake_quant *fq,
                                   struct eq_err *err)
{
    for (int c = 0; c < fq->channels; c++)
        if (!isfinite(fq->scale[c])) {
            eq_fail(err, EQ_NUMERIC, "the weights of channel %d are NaN or infinite", c % g->nodes[node].cout);
            return eq_layer_context(g, node, EQ_NUMERIC, err);
        }
    return EQ_OK;
}

/* Sets one scale for all channels (of a point), after each has its own. */
static void share_scale(struct weight_job *j, bool mse, int first, int last)
{
    float absmax = 0;
    for (int c = first; c < last; c++)
        absmax = fmaxf(absmax, row_absmax(j, c));
    float scale = mse ? best_scale(j, absmax, first, last) : scale_for(absmax, j->fq->qmax);
    for (int c = first; c < last; c++)
        j->fq->scale[c] = scale;
}

/* The rows of a layer; eq_free(j->u). */
static enum eq_status open_rows(struct weight_job *j, const struct eq_graph *g, int node, struct eq_err *err)
{
    const struct eq_node *n = &g->nodes[node];
    *j = (struct weight_job){.g = g,
                             .n = n,
                             .fq = &g->fake_quants[n->weight_fq],
                             .rows = eq_param_data(&g->params[n->weight]),
                             .per = eq_weights_per_channel(g, n)};
    if (n->point_fq < 0)
        return EQ_OK;
    enum eq_status st = eq_transform_weights(g, node, &j->u, err);
    j->rows = j->u;
    j->per = (size_t)n->cin;
    return st;
}

static enum eq_status set_scales(struct weight_job *j, int node, const struct eq_weight_opts *opts, struct eq_err *err)
{
    const bool mse = opts->kind == EQ_WEIGHT_MSE;
    eq_parallel_for((size_t)j->fq->channels, mse && !opts->per_tensor ? mse_piece : minmax_piece, j);
    EQ_CHECK(check_scales(j->g, node, j->fq, err));
    for (int first = 0; opts->per_tensor && first < j->fq->channels; first += j->n->cout)
        share_scale(j, mse, first, first + j->n->cout);
    for (int c = 0; c < j->fq->channels; c++)
        j->fq->zero_point[c] = 0;
    j->fq->enabled = !j->fq->bypass;
    return EQ_OK;
}

/* Min-max of a layer in Winograd's domain, whose transformed weights need not be stored for that. */
static enum eq_status set_point_scales(struct eq_graph *g, int node, struct eq_err *err)
{
    const struct eq_node *n = &g->nodes[node];
    struct eq_fake_quant *fq = &g->fake_quants[n->weight_fq];
    float *factor = eq_alloc((size_t)n->cout, sizeof *factor);
    if (!factor)
        return eq_fail_layer(g, node, EQ_NOMEM, "out of memory for the factors of batch norm", err);
    for (int c = 0; c < n->cout; c++)
        factor[c] = eq_fold_factor(g, n, c);
    eq_domain2d_absmax(eq_param_data(&g->params[n->weight]), n->cout, n->cin, factor, fq->scale);
    eq_free(factor);
    for (int c = 0; c < fq->channels; c++) {
        fq->scale[c] = isfinite(fq->scale[c]) ? scale_for(fq->scale[c], fq->qmax) : fq->scale[c];
        fq->zero_point[c] = 0;
    }
    fq->enabled = !fq->bypass;
    return check_scales(g, node, fq, err);
}

enum eq_status eq_set_weight_qparams(struct eq_graph *g, const struct eq_weight_opts *opts, struct eq_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        if (!eq_is_weighted(n) || n->weight_fq < 0)
            continue;
        const struct eq_fake_quant *fq = &g->fake_quants[n->weight_fq];
        if (fq->learn_scale && fq->enabled)
            continue;
        struct weight_job job;
        if (n->point_fq >= 0 && opts->kind == EQ_WEIGHT_MINMAX && !opts->per_tensor) {
            EQ_CHECK(set_point_scales(g, i, err));
            continue;
        }
        enum eq_status st = open_rows(&job, g, i, err);
        if (st == EQ_OK)
            st = set_scales(&job, i, opts, err);
        eq_free(job.u);
        if (st != EQ_OK)
            return st;
    }
    return EQ_OK;
}

enum eq_status eq_follow_weights(void *state, struct eq_graph *g, struct eq_err *err)
{
    (void)state;
    return eq_update_weight_qparams(g, err);
}

enum eq_status eq_update_weight_qparams(struct eq_graph *g, struct eq_err *err)
{
    return eq_set_weight_qparams(g, &(struct eq_weight_opts){.kind = EQ_WEIGHT_MINMAX}, err);
}
