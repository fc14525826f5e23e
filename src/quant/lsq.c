/* Learned step size quantization (Esser et al., ICLR 2020): where scales start, and what keeps them usable. */
#include "quant/quant_graph.h"

#include <float.h>
#include <math.h>

/* 2 mean |w| / sqrt(qmax) of the weights that are quantized. */
static float start_scale(const struct eq_graph *g, const struct eq_node *n, int channel, int qmax)
{
    size_t per = eq_weights_per_channel(g, n);
    const float *w = g->params[n->weight].data + (size_t)channel * per;
    float factor = eq_fold_factor(g, n, channel);
    double sum = 0;
    for (size_t i = 0; i < per; i++)
        sum += (double)fabsf(w[i] * factor);
    return fmaxf((float)(2 * sum / (double)per / sqrt(qmax)), FLT_EPSILON);
}

static enum eq_status learn_weights(struct eq_graph *g, int node, struct eq_err *err)
{
    char name[64];
    const struct eq_node *n = &g->nodes[node];
    struct eq_fake_quant *fq = &g->fake_quants[n->weight_fq];
    for (int c = 0; c < fq->channels; c++) {
        fq->scale[c] = start_scale(g, n, c, fq->qmax);
        fq->zero_point[c] = 0;
        if (!isfinite(fq->scale[c])) {
            eq_layer_name(g, node, name);
            return eq_fail(err, EQ_NUMERIC, "%s: the weights of channel %d are NaN or infinite", name, c);
        }
    }
    fq->enabled = true;
    return EQ_OK;
}

enum eq_status eq_prepare_lsq(struct eq_graph *calibrated, struct eq_err *err)
{
    for (int i = 0; i < calibrated->n_nodes; i++) {
        const struct eq_node *n = &calibrated->nodes[i];
        if (n->edge_fq >= 0 && !calibrated->fake_quants[n->edge_fq].enabled) {
            char name[64];
            eq_layer_name(calibrated, i, name);
            return eq_fail(err, EQ_UNSUPPORTED, "%s: learned scales start from calibrated ones: calibrate first", name);
        }
        if (!eq_is_weighted(n) || n->weight_fq < 0)
            continue;
        enum eq_status st = learn_weights(calibrated, i, err);
        if (st != EQ_OK)
            return st;
    }
    for (int i = 0; i < calibrated->n_fake_quants; i++)
        if (!eq_fake_quant_learn_scale(&calibrated->fake_quants[i]))
            return eq_fail(err, EQ_NOMEM, "out of memory for learned scales");
    return EQ_OK;
}

void eq_lsq_clamp_scales(struct eq_graph *g)
{
    for (int i = 0; i < g->n_fake_quants; i++) {
        struct eq_fake_quant *fq = &g->fake_quants[i];
        for (int c = 0; fq->learn_scale && c < fq->channels; c++)
            if (fq->scale[c] < FLT_EPSILON) /* leaves NaN: the loss will tell */
                fq->scale[c] = FLT_EPSILON;
    }
}
