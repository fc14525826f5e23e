/*
 * Empirical bias correction: quantization shifts the mean of a layer's output. The bias takes the shift back, so that
 * on the calibration clips each channel has the mean that it had in FP32.
 *
 * The mean of a convolution is linear in the means of its input: E[y] = b + sum over taps and input channels of w *
 * E[x at that tap]. One pass in FP32 gives every E[x]. Then, from the input on, the simulation runs up to each edge
 * that layers read, which gives E[x_q] after the layers corrected so far, and b' = b + w E[x] - w_q E[x_q].
 */
#include "quant/clip_walk.h"
#include "quant/quant_graph.h"

#include <math.h>
#include <string.h>

/* Sums of an edge's values over clips and frames, one for each pixel and channel. */
struct edge_sums {
    double *sum; /* [h][w][c]; NULL: no layer reads it */
    int h, w, c;
};

struct correction {
    struct eq_graph *g;
    struct eq_clip_walk walk;
    struct edge_sums *edges; /* [n_nodes] */
    double **target;         /* [n_nodes]: w E[x] + b in FP32, [cout] */
};

static struct edge_sums shape_of_source(const struct correction *k, int node)
{
    const struct eq_node *n = &k->g->nodes[node];
    struct eq_exec_layer l;
    if (eq_exec_layer(k->walk.exec, node, EQ_CONV_FORWARD, &l))
        return (struct edge_sums){NULL, l.shape.h, l.shape.w, l.shape.cin};
    return (struct edge_sums){NULL, 1, 1, n->cin};
}

static enum eq_status make_sums(struct correction *k, struct eq_err *err)
{
    int n = k->g->n_nodes;
    k->edges = eq_alloc((size_t)n, sizeof *k->edges);
    k->target = eq_alloc((size_t)n, sizeof *k->target);
    if (!k->edges || !k->target)
        return eq_fail(err, EQ_NOMEM, "out of memory for bias correction");
    for (int i = 0; i < n; i++) {
        const struct eq_node *node = &k->g->nodes[i];
        if (!eq_is_weighted(node))
            continue;
        struct edge_sums *e = &k->edges[node->src[0]];
        if (!e->sum) {
            *e = shape_of_source(k, i);
            e->sum = eq_alloc((size_t)e->h * e->w * e->c, sizeof(double));
        }
        k->target[i] = eq_alloc((size_t)node->cout, sizeof(double));
        if (!e->sum || !k->target[i])
            return eq_fail(err, EQ_NOMEM, "out of memory for bias correction");
    }
    return EQ_OK;
}

struct sum_job {
    const struct edge_sums *e;
    const float *x;
    int frames;
};

/* One pixel, all frames: [t][c] adds to [c]. */
static void sum_pixel(void *ctx, size_t pixel, int worker)
{
    const struct sum_job *j = ctx;
    (void)worker;
    const float *x = j->x + pixel * (size_t)j->frames * j->e->c;
    double *sum = j->e->sum + pixel * (size_t)j->e->c;
    for (int t = 0; t < j->frames; t++)
        for (int c = 0; c < j->e->c; c++)
            sum[c] += (double)*x++;
}

/* The input is in clip layout, [t][h][w][c]. */
static void add_input(const struct edge_sums *e, const float *x, size_t n)
{
    size_t frame = (size_t)e->h * e->w * e->c;
    for (size_t i = 0; i < n; i++)
        e->sum[i % frame] += (double)x[i];
}

static enum eq_status look(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err)
{
    struct correction *k = ctx;
    const struct edge_sums *e = &k->edges[node];
    (void)clip, (void)err;
    if (!e->sum || (k->walk.stop_at >= 0 && k->walk.stop_at != node))
        return EQ_OK;
    if (k->g->nodes[node].op == EQ_OP_INPUT) {
        add_input(e, data, n);
        return EQ_OK;
    }
    size_t pixels = (size_t)e->h * e->w;
    struct sum_job job = {.e = e, .x = data, .frames = (int)(n / (pixels * (size_t)e->c))};
    eq_parallel_for(pixels, sum_pixel, &job);
    return EQ_OK;
}

static enum eq_status run_clips(struct correction *k, int stop_at, struct eq_err *err)
{
    for (int i = 0; i < k->g->n_nodes; i++)
        if (k->edges[i].sum)
            memset(k->edges[i].sum, 0, (size_t)k->edges[i].h * k->edges[i].w * k->edges[i].c * sizeof(double));
    k->walk.stop_at = stop_at;
    eq_exec_weights_changed(k->walk.exec);
    return eq_clip_walk_run(&k->walk, err);
}

/* Mean of the source's channel over the output positions of one tap; padding counts as 0. */
static double tap_mean(const struct correction *k, int node, int channel, int ky, int kx)
{
    const struct eq_node *n = &k->g->nodes[node];
    const struct edge_sums *e = &k->edges[n->src[0]];
    struct eq_exec_layer l;
    double frames = (double)k->walk.clip * k->walk.clips->frames;
    if (!eq_exec_layer(k->walk.exec, node, EQ_CONV_FORWARD, &l)) /* the head reads means over frames: one row a clip */
        return e->sum[channel] / (double)k->walk.clip;
    const struct eq_conv_shape s = l.shape;
    double sum = 0;
    for (int oy = 0; oy < s.oh; oy++)
        for (int ox = 0; ox < s.ow; ox++) {
            int y = oy * s.stride - s.pad + ky, x = ox * s.stride - s.pad + kx;
            if (y >= 0 && y < s.h && x >= 0 && x < s.w)
                sum += e->sum[((size_t)y * s.w + x) * s.cin + channel];
        }
    return sum / (frames * s.oh * s.ow);
}

/* What a value at `at` along an axis of n outputs adds to their sum at a point: through every tile that reads it. */
static double axis_weight(int n, int at, int point)
{
    double weight = 0;
    for (int i = 0; i < eq_domain_tiles(n); i++) {
        const struct eq_domain_tile t = eq_domain_tile(n, i);
        int in = at - (t.start - 1), outputs = 0;
        if (in < 0 || in >= t.outputs + 2)
            continue;
        for (int o = 0; o < t.outputs && t.start + o < n; o++)
            outputs += eq_domain_at[o][point];
        weight += outputs * (double)eq_domain_bt[point][in];
    }
    return weight;
}

/* The same for a point of Winograd's domain: its mean over tiles, weighted by how often the tile's outputs add it, so
 * that products with transformed weights give the mean output. Rows of the picture, then columns; the sums of A^T's
 * columns over a tile's outputs are the weights. */
static double point_mean(const struct correction *k, int node, int channel, int point)
{
    const struct edge_sums *e = &k->edges[k->g->nodes[node].src[0]];
    struct eq_exec_layer l;
    (void)eq_exec_layer(k->walk.exec, node, EQ_CONV_FORWARD, &l);
    const struct eq_conv_shape s = l.shape;
    double sum = 0;
    for (int y = 0; y < s.h; y++) {
        double weight = axis_weight(s.oh, y, point / EQ_DOMAIN_IN);
        for (int x = 0; x < s.w && weight != 0; x++)
            sum += weight * axis_weight(s.ow, x, point % EQ_DOMAIN_IN) *
                   e->sum[((size_t)y * (size_t)s.w + (size_t)x) * (size_t)s.cin + (size_t)channel];
    }
    return sum / ((double)k->walk.clip * k->walk.clips->frames * s.oh * s.ow);
}

static double seen_weight(const struct eq_fake_quant *fq, int row, float w)
{
    if (!fq->enabled)
        return w;
    return (double)((float)eq_quantize_weight(w, 1.0f / fq->scale[row], fq->qmin, fq->qmax) * fq->scale[row]);
}

/* mean[cout] = sum of w * E[x], with weights and inputs as the current network sees them. What the rounding of points
 * adds is not in it. */
static void domain_means(const struct correction *k, int node, const float *u, double *mean)
{
    const struct eq_node *n = &k->g->nodes[node];
    const struct eq_fake_quant *fq = &k->g->fake_quants[n->weight_fq];
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++)
        for (int ic = 0; ic < n->cin; ic++) {
            double x = point_mean(k, node, ic, p);
            for (int oc = 0; oc < n->cout; oc++) {
                int row = p * n->cout + oc;
                mean[oc] += seen_weight(fq, row, u[(size_t)row * (size_t)n->cin + (size_t)ic]) * x;
            }
        }
}

static void direct_means(const struct correction *k, int node, double *mean)
{
    const struct eq_node *n = &k->g->nodes[node];
    const struct eq_fake_quant *fq = &k->g->fake_quants[n->weight_fq];
    const float *w = eq_param_data(&k->g->params[n->weight]);
    int edge = n->op == EQ_OP_CONV2D ? n->k : 1, taps = edge * edge;
    for (int ic = 0; ic < n->cin; ic++)
        for (int tap = 0; tap < taps; tap++) {
            double x = tap_mean(k, node, ic, tap / edge, tap % edge);
            for (int oc = 0; oc < n->cout; oc++)
                mean[oc] += seen_weight(fq, oc, w[((size_t)oc * n->cin + ic) * taps + tap]) * x;
        }
}

static enum eq_status layer_means(const struct correction *k, int node, double *mean, struct eq_err *err)
{
    float *u = NULL;
    const struct eq_node *n = &k->g->nodes[node];
    memset(mean, 0, (size_t)n->cout * sizeof *mean);
    if (n->point_fq < 0) {
        direct_means(k, node, mean);
        return EQ_OK;
    }
    EQ_CHECK(eq_transform_weights(k->g, node, &u, err));
    domain_means(k, node, u, mean);
    eq_free(u);
    return EQ_OK;
}

static enum eq_status keep_targets(struct correction *k, struct eq_err *err)
{
    for (int i = 0; i < k->g->n_nodes; i++) {
        const struct eq_node *n = &k->g->nodes[i];
        if (!k->target[i])
            continue;
        EQ_CHECK(layer_means(k, i, k->target[i], err));
        for (int c = 0; c < n->cout; c++)
            k->target[i][c] += (double)eq_param_data(&k->g->params[n->bias])[c];
    }
    return EQ_OK;
}

/* Corrects the layers that read this edge. */
static enum eq_status correct_readers(struct correction *k, int edge, struct eq_err *err)
{
    for (int i = 0; i < k->g->n_nodes; i++) {
        const struct eq_node *n = &k->g->nodes[i];
        if (!k->target[i] || n->src[0] != edge)
            continue;
        double *mean = eq_alloc((size_t)n->cout, sizeof *mean);
        if (!mean)
            return eq_fail(err, EQ_NOMEM, "out of memory for bias correction");
        enum eq_status st = layer_means(k, i, mean, err);
        for (int c = 0; c < n->cout && st == EQ_OK; c++)
            eq_param_data(&k->g->params[n->bias])[c] = (float)(k->target[i][c] - mean[c]);
        eq_free(mean);
        EQ_CHECK(st);
    }
    return EQ_OK;
}

enum eq_status eq_correct_biases(struct eq_graph *calibrated, const struct eq_clip_source *clips, size_t max_clips,
                                 struct eq_err *err)
{
    enum eq_status st;
    struct correction k = {
        .g = calibrated,
        .walk = {.clips = clips, .max_clips = max_clips, .purpose = "bias correction", .on_edge = look}};
    k.walk.ctx = &k;
    st = eq_check_calibrated(calibrated, "bias correction", err);
    if (st != EQ_OK)
        return st;
    eq_enable_fake_quant(calibrated, false);
    EQ_TRY(eq_clip_walk_exec(calibrated, EQ_EXEC_INFER, clips, &k.walk.exec, err));
    EQ_TRY(make_sums(&k, err));
    EQ_TRY(run_clips(&k, -1, err));
    EQ_TRY(keep_targets(&k, err));
    eq_enable_fake_quant(calibrated, true);
    for (int i = 0; i < calibrated->n_nodes; i++) {
        if (!k.edges[i].sum)
            continue;
        EQ_TRY(run_clips(&k, i, err));
        EQ_TRY(correct_readers(&k, i, err));
    }
out:
    eq_enable_fake_quant(calibrated, true);
    for (int i = 0; i < calibrated->n_nodes; i++) {
        if (k.edges)
            eq_free(k.edges[i].sum);
        if (k.target)
            eq_free(k.target[i]);
    }
    eq_free(k.edges);
    eq_free(k.target);
    eq_exec_free(k.walk.exec);
    return st;
}
