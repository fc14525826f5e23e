/* AdaRound over a network: targets from FP32 once, then layer by layer after the layers that are rounded already. */
#include "quant/adaround.h"
#include "quant/clip_walk.h"
#include "quant/quant_graph.h"

#include <string.h>

struct adaround {
    struct eq_graph *g;
    const struct eq_adaround_opts *opts;
    struct eq_clip_walk walk;
    int per_clip;   /* rows that a clip gives */
    int layer;      /* the convolution that is being rounded; -1: FP32 targets are taken */
    float **target; /* [n_nodes]: [samples][cout], NULL for what is no convolution */
    float *rows;    /* [samples][k] of the layer, or of one clip while targets are taken */
};

static size_t row_length(const struct eq_node *n)
{
    return (size_t)n->cin * n->k * n->k;
}

/* ---- samples ------------------------------------------------------------- */

struct sample_job {
    struct eq_conv_shape shape;
    bool clip_layout;
    size_t clip;
    uint64_t seed;
    const float *data;
    float *rows;
};

static const float *pixel(const struct sample_job *j, int y, int x, int t)
{
    const struct eq_conv_shape *s = &j->shape;
    size_t at = j->clip_layout ? ((size_t)t * s->h + y) * s->w + x : ((size_t)y * s->w + x) * s->t + t;
    return j->data + at * s->cin;
}

static void sample_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct sample_job *j = ctx;
    const struct eq_conv_shape *s = &j->shape;
    int taps = s->k * s->k;
    float *out = j->rows + row * (size_t)s->cin * taps;
    struct eq_rng rng;
    eq_rng_init(&rng, j->seed, EQ_RNG_ROUND, (uint32_t)j->clip, (uint32_t)row);
    int oy = (int)eq_rng_below(&rng, (uint32_t)s->oh), ox = (int)eq_rng_below(&rng, (uint32_t)s->ow);
    int t = (int)eq_rng_below(&rng, (uint32_t)s->t);
    for (int tap = 0; tap < taps; tap++) {
        int y = oy * s->stride - s->pad + tap / s->k, x = ox * s->stride - s->pad + tap % s->k;
        bool inside = y >= 0 && y < s->h && x >= 0 && x < s->w;
        const float *in = inside ? pixel(j, y, x, t) : NULL;
        for (int c = 0; c < s->cin; c++)
            out[(size_t)c * taps + tap] = inside ? in[c] : 0;
    }
}

/* The inputs that random output positions of a convolution sum over, the same positions for the same seed, node and
 * clip: rows[per_clip][cin * k * k] in the order of the weights ([cin][k][k]; padding is 0) from data, the source's
 * edge as its readers see it, in pixel layout, or clip layout where the source is the input. */
static void sample(const struct adaround *a, int node, size_t clip, const float *data, float *rows)
{
    const struct eq_node *src = &a->g->nodes[a->g->nodes[node].src[0]];
    struct eq_exec_layer l;
    eq_exec_layer(a->walk.exec, node, EQ_CONV_FORWARD, &l);
    struct sample_job job = {.shape = l.shape,
                             .clip_layout = src->op == EQ_OP_INPUT,
                             .clip = clip,
                             .seed = a->opts->seed + (uint64_t)node,
                             .data = data,
                             .rows = rows};
    eq_parallel_for((size_t)a->per_clip, sample_row, &job);
}

/* ---- targets ------------------------------------------------------------- */

struct product_job {
    const float *x, *w, *bias;
    float *y;
    int rows, k, cout;
};

/* Sixteen channels of y[rows][cout] = x w^T + bias. */
static void product_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct product_job *j = ctx;
    int first = (int)piece * 16, n = j->cout - first < 16 ? j->cout - first : 16;
    for (int r = 0; r < j->rows; r++)
        memcpy(j->y + (size_t)r * j->cout + first, j->bias + first, (size_t)n * sizeof(float));
    eq_sgemm(false, true, j->rows, n, j->k, 1, j->x, j->k, j->w + (size_t)first * j->k, j->k, 1, j->y + first, j->cout);
}

/* FP32's outputs for a clip's samples of one convolution. */
static void take_target(struct adaround *a, int node, size_t clip, const float *data)
{
    const struct eq_node *n = &a->g->nodes[node];
    sample(a, node, clip, data, a->rows);
    struct product_job job = {.x = a->rows,
                              .w = eq_param_data(&a->g->params[n->weight]),
                              .bias = eq_param_data(&a->g->params[n->bias]),
                              .y = a->target[node] + clip * (size_t)a->per_clip * n->cout,
                              .rows = a->per_clip,
                              .k = (int)row_length(n),
                              .cout = n->cout};
    eq_parallel_for(((size_t)n->cout + 15) / 16, product_piece, &job);
}

static enum eq_status look(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err)
{
    struct adaround *a = ctx;
    (void)n, (void)err;
    for (int i = 0; i < a->g->n_nodes && a->layer < 0; i++)
        if (a->target[i] && a->g->nodes[i].src[0] == node)
            take_target(a, i, clip, data);
    if (a->layer >= 0 && a->g->nodes[a->layer].src[0] == node)
        sample(a, a->layer, clip, data, a->rows + clip * (size_t)a->per_clip * row_length(&a->g->nodes[a->layer]));
    return EQ_OK;
}

static enum eq_status walk(struct adaround *a, int layer, struct eq_err *err)
{
    a->layer = layer;
    a->walk.stop_at = layer < 0 ? -1 : a->g->nodes[layer].src[0];
    eq_enable_fake_quant(a->g, layer >= 0);
    eq_exec_weights_changed(a->walk.exec);
    return eq_clip_walk_run(&a->walk, err);
}

static enum eq_status allocate(struct adaround *a, size_t clips, struct eq_err *err)
{
    size_t longest = 0, samples = clips * (size_t)a->per_clip;
    a->target = eq_alloc((size_t)a->g->n_nodes, sizeof *a->target);
    if (!a->target)
        return eq_fail(err, EQ_NOMEM, "out of memory for AdaRound");
    for (int i = 0; i < a->g->n_nodes; i++) {
        const struct eq_node *n = &a->g->nodes[i];
        if (n->op != EQ_OP_CONV2D || a->g->fake_quants[n->weight_fq].bypass)
            continue;
        longest = row_length(n) > longest ? row_length(n) : longest;
        a->target[i] = eq_alloc(samples, (size_t)n->cout * sizeof(float));
        if (!a->target[i])
            return eq_fail(err, EQ_NOMEM, "out of memory for AdaRound");
    }
    a->rows = eq_alloc(samples, longest * sizeof(float));
    return a->rows ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for AdaRound's samples");
}

static enum eq_status round_layer(struct adaround *a, int node, int steps, struct eq_err *err)
{
    const struct eq_node *n = &a->g->nodes[node];
    enum eq_status st = walk(a, node, err);
    if (st != EQ_OK)
        return st;
    struct eq_rounding_problem p = {.n = (int)(a->walk.clip * (size_t)a->per_clip),
                                    .k = (int)row_length(n),
                                    .cout = n->cout,
                                    .x = a->rows,
                                    .target = a->target[node],
                                    .bias = eq_param_data(&a->g->params[n->bias]),
                                    .relu = n->relu && n->residual < 0,
                                    .fq = &a->g->fake_quants[n->weight_fq],
                                    .weights = eq_param_data(&a->g->params[n->weight]),
                                    .steps = steps,
                                    .lr = a->opts->lr,
                                    .lambda = a->opts->lambda};
    return eq_round_layer(&p, err);
}

static enum eq_status check(const struct eq_graph *g, int steps, const struct eq_adaround_opts *o, struct eq_err *err)
{
    if (steps < 1 || o->samples < 1 || o->samples > 1 << 20 || !(o->lr > 0) || !(o->lambda >= 0))
        return eq_fail(err, EQ_USAGE, "AdaRound needs at least one iteration and sample, lr above 0, lambda from 0 up");
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].point_fq >= 0)
            return eq_fail_layer(g, i, EQ_UNSUPPORTED, "AdaRound rounds no weights of Winograd's domain", err);
    return eq_check_calibrated(g, "AdaRound", err);
}

/* How many clips there are, at most max. */
static enum eq_status count_clips(const struct eq_clip_source *clips, size_t max, size_t *count, struct eq_err *err)
{
    const uint8_t *pixels;
    int n = 1;
    enum eq_status st = clips->rewind(clips->ctx, err);
    for (*count = 0; st == EQ_OK && n > 0 && *count < max; *count += (size_t)n)
        st = clips->next(clips->ctx, &pixels, &n, err);
    *count = *count < max ? *count : max;
    return st == EQ_OK && *count == 0 ? eq_fail(err, EQ_USAGE, "no clips for AdaRound: at least one is needed") : st;
}

enum eq_status eq_adaround(struct eq_graph *calibrated, const struct eq_clip_source *clips, size_t max_clips, int steps,
                           const struct eq_adaround_opts *opts, struct eq_progress *progress, struct eq_err *err)
{
    size_t count;
    enum eq_status st = check(calibrated, steps, opts, err);
    if (st != EQ_OK)
        return st;
    struct adaround a = {
        .g = calibrated, .opts = opts, .walk = {.clips = clips, .purpose = "AdaRound", .on_edge = look}};
    a.walk.ctx = &a;
    EQ_TRY(count_clips(clips, max_clips, &count, err));
    a.walk.max_clips = count;
    a.per_clip = (int)(((size_t)opts->samples + count - 1) / count);
    EQ_TRY(eq_clip_walk_exec(calibrated, EQ_EXEC_INFER, clips, &a.walk.exec, err));
    EQ_TRY(allocate(&a, count, err));
    EQ_TRY(eq_sgemm_prepare(err));
    EQ_TRY(walk(&a, -1, err));
    for (int i = 0; i < calibrated->n_nodes; i++) {
        if (a.target[i])
            EQ_TRY(round_layer(&a, i, steps, err));
        if (progress)
            eq_progress_step(progress, (size_t)i + 1, calibrated->nodes[i].name);
    }
out:
    eq_enable_fake_quant(calibrated, true);
    for (int i = 0; a.target && i < calibrated->n_nodes; i++)
        eq_free(a.target[i]);
    eq_free(a.target);
    eq_free(a.rows);
    eq_exec_free(a.walk.exec);
    return st;
}
