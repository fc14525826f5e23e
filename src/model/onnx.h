/*
 * An ONNX model in the making, for the passes that export (FP32 here, QDQ in the quant floor): constants and nodes are
 * added in order, then the whole is serialized by protobuf-c through the schema that ONNX ships (onnx.proto). Every
 * string and message lives until eq_onnx_free; out of memory sticks and is reported by eq_onnx_write.
 *
 * The form is the same for every export. Input "pixels": u8 [frames][3][size][size], RGB, frames of one clip as the
 * batch, any number of them. Output "ef": f32 [1][1], EF in percent.
 */
#ifndef MODEL_ONNX_H
#define MODEL_ONNX_H

#include "echoquant/model.h"

#define EQ_ONNX_INPUT "pixels"

struct eq_onnx;
/* precision: "FP32" or "INT8", for the metadata, which also hold what meta says. EQ_USAGE: an opset outside
 * EQ_ONNX_MIN_OPSET..EQ_ONNX_MAX_OPSET. */
enum eq_status eq_onnx_new(const struct eq_model_meta *meta, const char *precision, int opset, struct eq_onnx **out,
                           struct eq_err *err);
void eq_onnx_free(struct eq_onnx *o);
void eq_onnx_add_meta(struct eq_onnx *o, const char *key, const char *value);

/* "base" + "suffix", kept. Never NULL. */
const char *eq_onnx_name(struct eq_onnx *o, const char *base, const char *suffix);
/* count zeroed values that live as long as o; NULL when out of memory. */
void *eq_onnx_room(struct eq_onnx *o, size_t count, size_t size);

/* A constant; its data is borrowed until eq_onnx_write. Returns its name. */
const char *eq_onnx_tensor(struct eq_onnx *o, const char *name, struct eq_tensor value);
/* The same for one value, which is copied. */
const char *eq_onnx_scalar(struct eq_onnx *o, const char *name, enum eq_dtype dtype, const void *value);

/* A node of the default domain and its one output, both called name, which is returned. The eq_onnx_attr functions add
 * to the last node. */
const char *eq_onnx_node(struct eq_onnx *o, const char *op, const char *name, int n_src, const char *const *src);
void eq_onnx_attr_int(struct eq_onnx *o, const char *key, int64_t value);
void eq_onnx_attr_ints(struct eq_onnx *o, const char *key, int n, const int64_t *values);

/* Common to both exports. src and the results are names of float tensors [frames][c][h][w]; of
 * eq_onnx_affine, (q - zero) * scale with constants of one float, q may have any type. */
const char *eq_onnx_affine(struct eq_onnx *o, const char *name, const char *q, const char *zero, const char *scale);
const char *eq_onnx_conv(struct eq_onnx *o, const char *name, const char *src, const char *weight, const char *bias,
                         int k, int stride, int pad);
const char *eq_onnx_maxpool(struct eq_onnx *o, const char *name, const char *src, int k, int stride, int pad);
/* Means over pixels, then over frames: [frames][c][h][w] to [1][c]. */
const char *eq_onnx_pixel_mean(struct eq_onnx *o, const char *name, const char *src);
const char *eq_onnx_frame_mean(struct eq_onnx *o, const char *name, const char *src);
/* weight [1][c], bias [1]; makes the output. */
void eq_onnx_linear(struct eq_onnx *o, const char *name, const char *src, const char *weight, const char *bias);

enum eq_status eq_onnx_write(struct eq_onnx *o, const char *path, struct eq_err *err); /* atomic */

#endif
