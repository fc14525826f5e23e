/*
 * The integer engine's arithmetic on floats, to the bit (docs/QUANTIZATION.md, section 1). A convolution whose source
 * lies on a grid of whole steps and whose weights and output are quantized is computed on the whole numbers themselves:
 * as floats they multiply and add without rounding while sums stay below 2^24, in any order. Weights whose sums could
 * leave that are cut into digits, one convolution each. Then the engine's requantization, in float32.
 */
#include "model/exec.h"

#include <math.h>

enum { CHUNK_ROWS = 256 }; /* of a piece of work */

/* Largest u8 distance from a zero-point, and the whole numbers that float32 adds exactly. */
static const double max_step = 255, exact_sum = 16777216;

/* Digits of weights: value = sum of digit[p] * base^p. */
struct digits {
    int parts, base, largest;
};
static const struct digits splits[] = {{1, 0, 0}, {2, 16, 8}, {4, 4, 2}};

/* The fewest digits that are exact whatever the weights are; false: there are too many products. */
static bool worst_split(const struct eq_node *n, int qmax, struct digits *out)
{
    double products = (double)n->cin * n->k * n->k;
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        *out = splits[i];
        if (products * max_step * (splits[i].parts == 1 ? qmax : splits[i].largest) <= exact_sum)
            return true;
    }
    return false;
}

void eq_exec_plan_simulation(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    struct digits d;
    nd->conv.kernel[EQ_CONV_FORWARD] = eq_f32_conv_select_ordered(&nd->conv.shape);
    if (n->point_fq >= 0 || n->weight_fq < 0 || n->edge_fq < 0 ||
        !worst_split(n, x->g->fake_quants[n->weight_fq].qmax, &d))
        return;
    nd->sim.parts = d.parts;
    nd->sim.possible = true;
    const size_t values = nd->plan->n, weights = eq_param_count(&x->g->params[n->weight]);
    eq_plan_reserve(&x->plan, nd->i, EXEC_UNITS, values * sizeof(float), nd->i, nd->i);
    eq_plan_reserve(&x->plan, nd->i, EXEC_STEPS, nd->in->n * sizeof(float), nd->i, nd->i);
    eq_plan_reserve(&x->plan, nd->i, EXEC_SUMS, d.parts > 1 ? values * sizeof(int32_t) : 0, nd->i, nd->i);
    eq_plan_reserve(&x->plan, nd->i, EXEC_DIGIT, weights * sizeof(float), nd->i, nd->i);
    eq_plan_reserve(&x->plan, nd->i, EXEC_REQUANT, 2 * (size_t)n->cout * sizeof(float), nd->i, nd->i);
}

bool eq_exec_grid(const struct eq_exec *x, int node, float *step, float *zero_point)
{
    const struct eq_node *n = &x->g->nodes[node];
    if (n->op == EQ_OP_MAXPOOL && n->edge_fq < 0)
        return eq_exec_grid(x, n->src[0], step, zero_point);
    if (n->op == EQ_OP_INPUT && n->edge_fq < 0) {
        *step = 1.0f / x->g->meta.pixel_std;
        *zero_point = (float)x->g->meta.pixel_mean;
        return true;
    }
    if (n->edge_fq < 0 || !x->g->fake_quants[n->edge_fq].enabled)
        return false;
    *step = x->g->fake_quants[n->edge_fq].scale[0];
    *zero_point = (float)x->g->fake_quants[n->edge_fq].zero_point[0];
    return true;
}

bool eq_exec_simulates(const struct eq_exec *x, const struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    float step, zp;
    return nd->sim.possible && x->g->fake_quants[n->weight_fq].enabled && x->g->fake_quants[n->edge_fq].enabled &&
           (n->point_fq < 0 || x->g->fake_quants[n->point_fq].enabled) && eq_exec_grid(x, n->src[0], &step, &zp) &&
           (n->residual < 0 || eq_exec_grid(x, n->residual, &step, &zp));
}

/* ---- weights ------------------------------------------------------------- */

/* weff, which fake-quant put on the grids of its scales, as whole numbers; returns the largest sum of their absolute
 * values over the channels. */
static double whole_weights(const struct eq_exec *x, const struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    const struct eq_fake_quant *fq = &x->g->fake_quants[n->weight_fq];
    float *w = nd->weff;
    size_t per = eq_param_count(&x->g->params[n->weight]) / (size_t)n->cout;
    double largest = 0;
    for (int c = 0; c < n->cout; c++, w += per) {
        float inv = 1.0f / fq->scale[fq->channels > 1 ? c : 0];
        double sum = 0;
        for (size_t k = 0; k < per; k++) {
            w[k] = nearbyintf(w[k] * inv);
            sum += fabs((double)w[k]);
        }
        largest = fmax(largest, sum);
    }
    return largest;
}

void eq_exec_pack_simulation(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    size_t count = eq_param_count(&x->g->params[n->weight]), bytes = eq_conv2d_packed_bytes(&nd->conv, EQ_CONV_FORWARD);
    struct digits d = {1, 0, 0};
    if (whole_weights(x, nd) * max_step > exact_sum)
        (void)worst_split(n, x->g->fake_quants[n->weight_fq].qmax, &d);
    nd->sim.used_parts = d.parts;
    nd->sim.base = d.base;
    for (int part = 0; part < d.parts; part++) {
        bool last = part == d.parts - 1;
        for (size_t k = 0; k < count; k++) {
            /* The lowest digit, in [-base / 2, base / 2 - 1]; what is left is divisible. */
            int w = (int)nd->weff[k], digit = w;
            if (!last)
                digit = ((w + d.base / 2) & (d.base - 1)) - d.base / 2;
            nd->sim.digit[k] = (float)digit;
            nd->weff[k] = last ? 0 : (float)((w - digit) / d.base);
        }
        eq_conv2d_pack(&nd->conv, EQ_CONV_FORWARD, nd->sim.digit,
                       (char *)nd->packed[EQ_CONV_FORWARD] + (size_t)part * bytes);
    }
}

/* ---- values -------------------------------------------------------------- */

/* Half to even for |v| < 2^22; in any loop that the compiler vectorizes. */
static inline float round_small(float v)
{
    const float magic = 0x1.8p23f;
    return (v + magic) - magic;
}

struct pass {
    const struct exec_node *nd;
    const float *src, *residual;
    float inv_src, inv_residual, residual_m;
    float lo, hi, scale; /* of the output */
    float zero;          /* what units say for 0; lo and hi are units */
    bool relu, add_sums, real_units;
};

static void steps_span(const void *ctx, size_t lo, size_t hi)
{
    const struct pass *p = ctx;
    for (size_t i = lo; i < hi; i++)
        p->nd->sim.steps[i] = round_small(p->src[i] * p->inv_src);
}

/* sums = sums * base + the digit's convolution */
static void sums_span(const void *ctx, size_t lo, size_t hi)
{
    const struct pass *p = ctx;
    int32_t *sums = p->nd->sim.sums;
    for (size_t i = lo; i < hi; i++)
        sums[i] = (p->add_sums ? sums[i] * p->nd->sim.base : 0) + (int32_t)p->nd->out[i];
}

/* r = fma(acc, m, b), then the residual: in steps of the output. */
static void requantize_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct pass *p = ctx;
    const struct exec_node *nd = p->nd;
    const int c = nd->plan->c;
    const float *m = nd->sim.requant, *b = m + c;
    const int32_t *sums = nd->sim.sums;
    size_t first = piece * CHUNK_ROWS, end = first + CHUNK_ROWS < nd->plan->rows ? first + CHUNK_ROWS : nd->plan->rows;
    for (size_t row = first; row < end; row++) {
        size_t at = row * (size_t)c;
        for (int k = 0; k < c; k++) {
            float acc = nd->sim.used_parts > 1 ? (float)sums[at + k] : nd->out[at + k];
            float r = fmaf(acc, m[k], b[k]);
            if (p->residual)
                r = fmaf(round_small(p->residual[at + k] * p->inv_residual), p->residual_m, r);
            nd->sim.units[at + k] = r;
        }
    }
}

static void prepare_requantization(struct eq_exec *x, const struct exec_node *nd, float src_step)
{
    const struct eq_node *n = nd->node;
    const struct eq_fake_quant *w = &x->g->fake_quants[n->weight_fq];
    float inv_dst = 1.0f / x->g->fake_quants[n->edge_fq].scale[0], *m = nd->sim.requant;
    const float *bias = eq_exec_values(x, n->bias);
    for (int c = 0; c < n->cout; c++) {
        m[c] = src_step * w->scale[w->channels > 1 ? c : 0] * inv_dst;
        m[n->cout + c] = bias ? bias[c] * inv_dst : 0;
    }
}

void eq_exec_simulate_conv(struct eq_exec *x, struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    const struct exec_node *src = &x->nodes[n->src[0]];
    const struct eq_f32_epilogue nothing = {0};
    size_t bytes = eq_conv2d_packed_bytes(&nd->conv, EQ_CONV_FORWARD);
    float src_step = 1, residual_step = 1, zp;
    (void)eq_exec_grid(x, n->src[0], &src_step, &zp);
    prepare_requantization(x, nd, src_step);
    struct pass p = {.nd = nd, .src = src->out, .inv_src = 1.0f / src_step};
    eq_for_spans(src->plan->n, steps_span, &p);
    for (int part = nd->sim.used_parts - 1; part >= 0; part--) {
        eq_conv2d_forward(&nd->conv, nd->sim.steps, (const char *)nd->packed[EQ_CONV_FORWARD] + (size_t)part * bytes,
                          &nothing, nd->out, nd->scratch[EQ_CONV_FORWARD]);
        if (nd->sim.used_parts > 1)
            eq_for_spans(nd->plan->n, sums_span, &p);
        p.add_sums = true;
    }
    if (n->residual >= 0) {
        (void)eq_exec_grid(x, n->residual, &residual_step, &zp);
        p.residual = x->nodes[n->residual].out;
        p.inv_residual = 1.0f / residual_step;
        p.residual_m = residual_step * (1.0f / x->g->fake_quants[n->edge_fq].scale[0]);
    }
    eq_parallel_for((nd->plan->rows + CHUNK_ROWS - 1) / CHUNK_ROWS, requantize_piece, &p);
}

/* From steps to real values: as computed, for a hook, or rounded and clamped, for whoever reads the edge. */
static void store_span(const void *ctx, size_t lo, size_t hi)
{
    const struct pass *p = ctx;
    const struct exec_node *nd = p->nd;
    for (size_t i = lo; i < hi; i++) {
        float r = nd->sim.units[i];
        if (!p->real_units) {
            r = r > p->lo ? r : p->lo;
            r = r < p->hi ? r : p->hi;
            r = round_small(r);
        } else if (p->relu && r < p->zero) {
            r = p->zero;
        }
        nd->out[i] = (r - p->zero) * p->scale;
    }
}

void eq_exec_store_simulated(struct eq_exec *x, struct exec_node *nd, bool rounded)
{
    const struct eq_fake_quant *fq = &x->g->fake_quants[nd->node->edge_fq];
    float zp = (float)fq->zero_point[0], zero = nd->domain.on ? zp : 0;
    struct pass p = {.nd = nd,
                     .scale = fq->scale[0],
                     .zero = zero,
                     .lo = nd->node->relu ? zero : (float)fq->qmin - zp + zero,
                     .hi = (float)fq->qmax - zp + zero,
                     .relu = nd->node->relu,
                     .real_units = !rounded};
    eq_for_spans(nd->plan->n, store_span, &p);
}

/* ---- the head ------------------------------------------------------------ */

/* The edge whose mean over pixels and frames a linear node reads; -1: it reads something else. */
static int pooled_edge(const struct eq_graph *g, int linear)
{
    const struct eq_node *mean = &g->nodes[g->nodes[linear].src[0]];
    bool pooled = mean->op == EQ_OP_TEMPORAL_MEAN && g->nodes[mean->src[0]].op == EQ_OP_GLOBAL_AVG;
    return pooled ? g->nodes[mean->src[0]].src[0] : -1;
}

void eq_exec_plan_simulated_head(struct eq_exec *x, int i)
{
    const int edge = pooled_edge(x->g, i);
    if (edge < 0 || x->g->nodes[i].cout != 1)
        return;
    x->nodes[i].sim.possible = true;
    eq_plan_reserve(&x->plan, i, EXEC_SUMS, (size_t)x->g->nodes[i].cin * sizeof(double), i, i);
    struct eq_plan_buffer *read = &x->plan.buffers[edge * x->plan.kinds + EXEC_OUT];
    read->last = read->last > i ? read->last : i;
}

/* Whole numbers have an exact sum: doubles hold those over pixels and frames, an int64 their product with the weights.
 */
void eq_exec_simulate_head(struct eq_exec *x, const struct exec_node *nd, const float *w, float *ef)
{
    const struct eq_node *n = nd->node;
    const struct eq_fake_quant *fq = n->weight_fq < 0 ? NULL : &x->g->fake_quants[n->weight_fq];
    const int edge = pooled_edge(x->g, nd->i);
    const struct eq_plan_node *in = &x->plan.nodes[edge];
    const double count = (double)in->h * in->w * in->t, bias = n->bias < 0 ? 0 : (double)*eq_exec_values(x, n->bias);
    const float *src = x->nodes[edge].out;
    double *sums = nd->sim.sums;
    float step = 1, zp;
    const bool on_grid = eq_exec_grid(x, edge, &step, &zp), whole = on_grid && fq && fq->enabled;
    const float inv = 1.0f / step, inv_weight = whole ? 1.0f / fq->scale[0] : 0;
    for (int clip = 0; clip < x->clips; clip++) {
        int64_t exact = 0;
        double dot = 0;
        for (int c = 0; c < in->c; c++)
            sums[c] = 0;
        for (size_t row = 0; row < in->rows / (size_t)x->clips; row++, src += in->c)
            for (int c = 0; c < in->c; c++)
                sums[c] += (double)(on_grid ? round_small(src[c] * inv) : src[c]);
        for (int c = 0; c < in->c; c++) {
            if (whole)
                exact += (int64_t)sums[c] * (int64_t)nearbyintf(w[c] * inv_weight);
            else
                dot += sums[c] * (double)step / count * (double)w[c];
        }
        if (whole)
            dot = (double)exact * ((double)step * fq->scale[0] / count);
        ef[clip] = (float)(dot + bias);
    }
}
