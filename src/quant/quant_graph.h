/* Helpers that the passes of the quant floor share; internal. */
#ifndef QUANT_QUANT_GRAPH_H
#define QUANT_QUANT_GRAPH_H

#include "echoquant/quant.h"

/* The node that makes the edge which the integer engine stores for a convolution: itself, or the batch norm after
 * it. */
int eq_stored_edge(const struct eq_graph *g, int conv);
/* Values per output channel of a conv or linear weight. */
size_t eq_weights_per_channel(const struct eq_graph *g, const struct eq_node *n);

/* eq_batchnorm_factor of an output channel, by which QAT multiplies weights before their fake-quant, and lowering
 * when it folds. 1 when the node has no folded_bn. */
float eq_fold_factor(const struct eq_graph *g, const struct eq_node *n, int channel);
/* The (folded) weights of a convolution in Winograd's domain: *u [EQ_DOMAIN_POINTS][cout][cin], to be freed with
 * eq_free. EQ_NOMEM. */
enum eq_status eq_transform_weights(const struct eq_graph *g, int node, float **u, struct eq_err *err);
/* The scale of the bytes that a node reads from another one; pooling has that of its source. 0: it makes floats. */
float eq_source_scale(const struct eq_graph *g, int source);
/* clamp(rne(x * (1 / scale)), qmin, qmax): fake_quant's rounding, as a whole number. */
int eq_quantize_weight(float x, float inv_scale, int qmin, int qmax);
/* Rounds half to even for |q| < 2^22 by adding and subtracting 1.5 * 2^23, which the compiler can vectorize. */
static inline float eq_round_small(float q)
{
    const float magic = 0x1.8p23f;
    return (q + magic) - magic;
}
/* All fake-quants on or off; those of layers and edges that stay in FP32 stay off. */
void eq_enable_fake_quant(struct eq_graph *g, bool on);
/* eq_update_weight_qparams as a scale rule's before_forward. */
enum eq_status eq_follow_weights(void *state, struct eq_graph *g, struct eq_err *err);
extern const struct eq_scale_rule eq_ste_rule, eq_lsq_rule;
/* Errors of a layer. Both return status: the first fills err with the layer's name and text, the second puts the name
 * before the message that err holds. */
enum eq_status eq_fail_layer(const struct eq_graph *g, int node, enum eq_status status, const char *text,
                             struct eq_err *err);
enum eq_status eq_layer_context(const struct eq_graph *g, int node, enum eq_status status, struct eq_err *err);
/* EQ_UNSUPPORTED unless batch norm is folded and every layer has a bias and enabled weight scales. */
enum eq_status eq_check_calibrated(const struct eq_graph *g, const char *purpose, struct eq_err *err);

#endif
