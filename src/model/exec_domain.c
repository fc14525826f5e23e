/*
 * Convolutions in Winograd's domain (point_fq), docs/QUANTIZATION.md: with fake-quant of points or weights they are
 * computed there, otherwise as all others. SIMULATE works on whole numbers where everything lies on a grid, and else
 * multiplies in an order that every ISA level has; products are FP32 in any case.
 */
#include "model/exec.h"

static const struct eq_fake_quant *weights_of(const struct eq_exec *x, const struct eq_node *n)
{
    return n->weight_fq < 0 ? NULL : &x->g->fake_quants[n->weight_fq];
}

bool eq_exec_in_domain(const struct eq_exec *x, const struct exec_node *nd)
{
    const struct eq_node *n = nd->node;
    const struct eq_fake_quant *w = weights_of(x, n);
    return n->point_fq >= 0 && ((w && w->enabled) || x->g->fake_quants[n->point_fq].enabled);
}

/* ---- planning ------------------------------------------------------------ */

static size_t at_least(size_t bytes, size_t least)
{
    return bytes > least ? bytes : least;
}

void eq_exec_plan_domain(struct eq_exec *x, struct exec_node *nd, size_t *packed, size_t scratch[EQ_CONV_PASSES])
{
    const struct eq_node *n = nd->node;
    const bool ordered = x->mode == EQ_EXEC_SIMULATE;
    struct eq_domain2d *l = &nd->domain.layer;
    eq_domain2d_init(l, &nd->conv.shape, ordered);
    scratch[EQ_CONV_FORWARD] = at_least(scratch[EQ_CONV_FORWARD], eq_domain2d_scratch_bytes(l, false));
    scratch[EQ_CONV_BACKWARD_WEIGHTS] = at_least(scratch[EQ_CONV_BACKWARD_WEIGHTS], eq_domain2d_scratch_bytes(l, true));
    if (!ordered)
        return;
    *packed = at_least(*packed, eq_domain2d_weights(l) * sizeof(float));
    nd->sim.possible = n->weight_fq >= 0 && n->edge_fq >= 0;
    eq_plan_reserve(&x->plan, nd->i, EXEC_UNITS, nd->plan->n * sizeof(float), nd->i, nd->i);
    eq_plan_reserve(&x->plan, nd->i, EXEC_REQUANT, (EQ_DOMAIN_POINTS + 1) * (size_t)n->cout * sizeof(float), nd->i,
                    nd->i);
}

/* ---- forward ------------------------------------------------------------- */

/* A point's scale follows from its source's, by the multiplier that the integer engine has; without a grid it is the
 * point's own. */
static void set_rounding(const struct eq_exec *x, struct exec_node *nd, bool whole)
{
    const struct eq_fake_quant *fq = &x->g->fake_quants[nd->node->point_fq];
    struct eq_f32_domain_rounding *r = &nd->domain.rounding;
    float step = 1, zp;
    const bool on_grid = eq_exec_grid(x, nd->node->src[0], &step, &zp);
    r->whole = whole;
    r->inv_src = 1.0f / step;
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        r->points.mul[p] = (int16_t)eq_domain_mul(step, fq->scale[p]);
        r->points.add[p] = (uint8_t)fq->zero_point[p];
        r->scale[p] = on_grid ? eq_domain_scale(step, r->points.mul[p]) : fq->scale[p];
        r->inv[p] = 1.0f / r->scale[p];
        r->zp[p] = (float)fq->zero_point[p];
    }
}

/* The weights as used, in the layout that forward takes. */
static void use_weights(struct eq_exec *x, struct exec_node *nd, bool whole)
{
    const struct eq_fake_quant *fq = weights_of(x, nd->node);
    struct eq_domain2d_grid grid = {.whole = whole};
    nd->weight_fq_on = fq && fq->enabled;
    if (nd->weight_fq_on) {
        grid.scale = fq->scale;
        grid.scales = fq->channels;
        grid.qmin = fq->qmin;
        grid.qmax = fq->qmax;
    }
    eq_exec_update_factor(x, nd);
    eq_domain2d_use_weights(&nd->domain.layer, eq_exec_values(x, nd->node->weight), nd->factor, &grid, nd->weff,
                            nd->wmask);
    if (nd->domain.layer.ordered)
        eq_domain2d_pack(&nd->domain.layer, nd->weff, nd->packed[EQ_CONV_FORWARD]);
}

/* The integer engine's constants: k[36][cout], b[cout]. */
static void set_requantization(const struct eq_exec *x, const struct exec_node *nd, struct eq_domain2d_epilogue *epi)
{
    const struct eq_node *n = nd->node;
    const struct eq_fake_quant *w = weights_of(x, n), *dst = &x->g->fake_quants[n->edge_fq];
    const float inv_dst = 1.0f / dst->scale[0], *bias = eq_exec_values(x, n->bias);
    const size_t cout = (size_t)n->cout;
    float *k = nd->sim.requant, *b = k + EQ_DOMAIN_POINTS * cout, step, zp = 0;
    if (n->residual >= 0) {
        (void)eq_exec_grid(x, n->residual, &step, &zp);
        epi->residual_m = step * inv_dst;
        epi->inv_residual = 1.0f / step;
        epi->residual_zp = zp;
    }
    for (size_t p = 0; p < EQ_DOMAIN_POINTS; p++)
        for (size_t c = 0; c < cout; c++)
            k[p * cout + c] = nd->domain.rounding.scale[p] * w->scale[w->channels > 1 ? p * cout + c : 0] * inv_dst;
    for (size_t c = 0; c < cout; c++) {
        b[c] = (bias ? bias[c] * inv_dst : 0) + (float)dst->zero_point[0];
        if (n->residual >= 0)
            b[c] -= zp * epi->residual_m;
    }
    epi->k = k;
    epi->bias = b;
    epi->relu = false; /* when it is stored */
}

void eq_exec_domain_forward(struct eq_exec *x, struct exec_node *nd, bool fresh, bool whole)
{
    const struct eq_node *n = nd->node;
    const bool rounds = x->g->fake_quants[n->point_fq].enabled;
    struct eq_domain2d_epilogue epi = {.bias = eq_exec_values(x, n->bias), .relu = n->relu};
    nd->domain.rounds = rounds;
    if (fresh)
        use_weights(x, nd, whole);
    if (rounds)
        set_rounding(x, nd, whole);
    if (n->residual >= 0)
        epi.residual = x->nodes[n->residual].out;
    if (whole)
        set_requantization(x, nd, &epi);
    eq_domain2d_forward(&nd->domain.layer, x->nodes[n->src[0]].out, rounds ? &nd->domain.rounding : NULL,
                        nd->domain.layer.ordered ? nd->packed[EQ_CONV_FORWARD] : nd->weff, &epi,
                        whole ? nd->sim.units : eq_exec_dst(nd), rounds && x->hook.on_points ? nd->domain.range : NULL,
                        nd->scratch[EQ_CONV_FORWARD]);
}

/* ---- backward ------------------------------------------------------------ */

void eq_exec_domain_backward(struct eq_exec *x, struct exec_node *nd, float *dx)
{
    const struct eq_node *n = nd->node;
    float *grad = eq_exec_grad(x, n->weight);
    eq_domain2d_backward(&nd->domain.layer, x->nodes[n->src[0]].out, nd->diff,
                         nd->domain.rounds ? &nd->domain.rounding : NULL, nd->weff, grad ? nd->dweff : NULL, dx,
                         nd->add_src[0], nd->scratch[EQ_CONV_BACKWARD_WEIGHTS]);
    if (grad)
        eq_domain2d_weights_backward(&nd->domain.layer, nd->dweff, nd->weight_fq_on ? nd->wmask : NULL, nd->factor,
                                     grad);
}
