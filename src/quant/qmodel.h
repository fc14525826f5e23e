/* Checks of a quantized model before anything is computed or allocated with it, and its file; internal. */
#ifndef QUANT_QMODEL_H
#define QUANT_QMODEL_H

#include "echoquant/quant.h"

enum { EQ_QMODEL_MAX_NODES = 4096, EQ_QMODEL_MAX_CHANNELS = 16384, EQ_QMODEL_MAX_KERNEL = 15 };

size_t eq_qnode_weights(const struct eq_qnode *n); /* values; 0 where the op has none */
/* The rows of weights that have a scale each: cout, in Winograd's domain EQ_DOMAIN_POINTS * cout; 0 as above. */
size_t eq_qnode_rows(const struct eq_qnode *n);
/* Allocates weights, scales and biases for op, shape, fp32 and domain, all 0; eq_qmodel_free frees them, also after
 * EQ_NOMEM. */
enum eq_status eq_qnode_alloc(struct eq_qnode *n, struct eq_err *err);

/* The order of nodes, numbers in range, one input and one head: EQ_FORMAT, with the layer named. Reads no values. */
enum eq_status eq_qmodel_check_graph(const struct eq_qmodel *m, struct eq_err *err);
/* Sets the qparams that are not free: the input's (1 / pixel_std, pixel_mean) and those of pooling (what it reads). */
void eq_qmodel_derive_qparams(struct eq_qmodel *m);
/* qparams usable, weights within their bits, scales and biases finite, and the accumulator's bound: for each output
 * channel 255 * sum |w| <= INT32_MAX, which covers every partial sum with or without the zero-point taken off. */
enum eq_status eq_qmodel_check_values(const struct eq_qmodel *m, struct eq_err *err);
/* The requantization of a quantized convolution, without addresses of its residual and without pooling. mb: [2 * cout],
 * filled with m, then b. m = (s_src * s_w[oc]) * (1 / s_dst), b = bias[oc] * (1 / s_dst), residual_m = s_res *
 * (1 / s_dst), all float32 in this order; the inverse of s_dst is the one that fake_quant multiplies by. */
struct eq_u8s8_epilogue eq_qmodel_epilogue(const struct eq_qmodel *m, int node, float *mb);
/* The same of a convolution in Winograd's domain, in the order of docs/QUANTIZATION.md. points: filled in, for the
 * kernel. kb: [(EQ_DOMAIN_POINTS + 1) * cout], filled with k, then b. */
struct eq_domain_epilogue eq_qmodel_domain_epilogue(const struct eq_qmodel *m, int node,
                                                    struct eq_domain_points *points, float *kb);
/* Whether a node is in Winograd's domain. */
bool eq_qmodel_has_domain(const struct eq_qmodel *m);
/* The plan of a checked graph, with buffers of `kinds` kinds a node; errors as eq_plan_make, and EQ_NUMERIC where the
 * head's sums could overflow. Clear with eq_plan_clear, also on failure. */
enum eq_status eq_qmodel_plan(const struct eq_qmodel *m, int kinds, int clips, int frames, int size,
                              struct eq_plan *out, struct eq_err *err);
/* Whether a clip of the model's own form can be planned: EQ_FORMAT where a picture gets too small or a residual does
 * not fit. */
enum eq_status eq_qmodel_check_form(const struct eq_qmodel *m, struct eq_err *err);
/* Weights of fewer than 8 bits in files (packing.c): n values of `bits` bits each, two's complement, least significant
 * bit first, without gaps: value i takes bits i * bits and up. */
size_t eq_packed_weight_bytes(size_t n, int bits);
void eq_pack_weights(const int8_t *w, size_t n, int bits, uint8_t *packed);
void eq_unpack_weights(const uint8_t *packed, size_t n, int bits, int8_t *w);
/* A parsed file as a model; every check of eq_qmodel_load. */
enum eq_status eq_qmodel_from_st(struct eq_st_file *f, struct eq_qmodel **out, struct eq_err *err);

#endif
