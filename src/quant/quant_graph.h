/* What the passes of the quant floor ask of a graph; internal. */
#ifndef QUANT_QUANT_GRAPH_H
#define QUANT_QUANT_GRAPH_H

#include "echoquant/quant.h"

/* The node that makes the edge which the integer engine stores for a convolution: itself, or the batch norm behind it.
 */
int eq_stored_edge(const struct eq_graph *g, int conv);
/* Values per output channel of a conv or linear weight. */
size_t eq_weights_per_channel(const struct eq_graph *g, const struct eq_node *n);

/* eq_batchnorm_factor of an output channel: what QAT multiplies weights with before their fake-quant, and lowering when
 * it folds. 1 when the node has no folded_bn. */
float eq_fold_factor(const struct eq_graph *g, const struct eq_node *n, int channel);
/* clamp(rne(x * (1 / scale)), qmin, qmax): fake_quant's rounding, as a whole number. */
int eq_quantize_weight(float x, float inv_scale, int qmin, int qmax);
/* All fake-quants on or off; those of layers and edges that stay in FP32 stay off. */
void eq_enable_fake_quant(struct eq_graph *g, bool on);
/* EQ_UNSUPPORTED unless batch norm is folded and every layer has a bias and enabled weight scales. */
enum eq_status eq_check_calibrated(const struct eq_graph *g, const char *purpose, struct eq_err *err);

#endif
