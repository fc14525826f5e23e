/* Shared by the passes of the model floor. */
#ifndef MODEL_GRAPH_H
#define MODEL_GRAPH_H

#include "echoquant/model.h"

/* Appends copies of all fake-quants of from to to, which has none yet: indices stay valid. False: out of memory. */
bool eq_graph_copy_fake_quants(struct eq_graph *to, const struct eq_graph *from);

/* ResNet-18 before its weights are drawn: convolutions and the head's weights 0, the rest as eq_resnet18_new. */
enum eq_status eq_resnet18_skeleton(const struct eq_model_meta *meta, int width, struct eq_graph **out,
                                    struct eq_err *err);

/* Common to all files of weights. The metadata frames, size, pixel_mean, pixel_std, target_mean, target_std, and
 * clip_statistics, which may be missing; reading gives EQ_FORMAT for another that is missing, and for one that is
 * out of range. Adding: EQ_NOMEM. */
enum eq_status eq_model_meta_add(struct eq_st_file *f, const struct eq_model_meta *m, struct eq_err *err);
enum eq_status eq_model_meta_read(const struct eq_st_file *f, struct eq_model_meta *m, struct eq_err *err);
/* eq_model_load and eq_model_init_from of a file in memory; errors do not name it. */
enum eq_status eq_model_from_st(struct eq_st_file *f, struct eq_graph **out, struct eq_err *err);
enum eq_status eq_model_init_from_st(struct eq_graph *g, struct eq_st_file *f, struct eq_init_report *report,
                                     struct eq_err *err);
/* looks.c: that of the clips' looks. */
enum eq_status eq_looks_add(struct eq_st_file *f, const struct eq_looks *looks, struct eq_err *err);
enum eq_status eq_looks_read(const struct eq_st_file *f, struct eq_looks *looks, struct eq_err *err);
bool eq_all_finite(const float *x, size_t n);
bool eq_is_batch_counter(const char *name); /* PyTorch's "*.num_batches_tracked", which nothing here needs */

#endif
