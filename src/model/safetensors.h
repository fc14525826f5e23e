/* Shared by the reader and the writer of safetensors. */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "echoquant/model.h"

enum { EQ_ST_MIN_ROOM = 64 };

/* A new tensor at the end of the list; only its name is set. Never NULL. */
struct eq_st_tensor *eq_st_push(struct eq_st_file *file, const char *name);

/* *same: whether a file says and holds what `file` does; texts may have been changed into valid UTF-8. It is read in
 * pieces, so a model of any size takes little memory. Errors as eq_st_read. */
enum eq_status eq_st_compare(const char *path, const struct eq_st_file *file, bool *same, struct eq_err *err);

/* A phrase for a file of another kind, with the way to convert it: "an ONNX model; ...". NULL: no known kind. */
const char *eq_foreign_file(const void *data, size_t len);

#endif
