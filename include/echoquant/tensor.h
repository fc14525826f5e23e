/*
 * tensor: element type, shape and memory of an array, in one description. Parameters, tensors of a file and the edges
 * of an executor are all described by it. Elements are dense, the last axis innermost; an axis has no name here: the
 * owner's header says what each one means. Loops take raw pointers instead.
 */
#ifndef ECHOQUANT_TENSOR_H
#define ECHOQUANT_TENSOR_H

#include "echoquant/base.h"

enum { EQ_TENSOR_MAX_RANK = 8 };

/* F: IEEE float, BF: bfloat16, S and U: signed and unsigned integers, with the number of bits. Little-endian. */
enum eq_dtype { EQ_F32, EQ_F16, EQ_BF16, EQ_F64, EQ_S64, EQ_S32, EQ_S8, EQ_U8, EQ_DTYPE_COUNT };
size_t eq_dtype_size(enum eq_dtype dtype);                   /* bytes of an element */
const char *eq_dtype_name(enum eq_dtype dtype);              /* as safetensors: "F32", "I64" for EQ_S64, "U8" */
bool eq_dtype_parse(const char *name, enum eq_dtype *dtype); /* false: no such name */

/* shape[0..rank-1]: elements along each axis. Rank 0 is a single value; an axis may have no elements. */
struct eq_tensor {
    enum eq_dtype dtype;
    int rank;
    size_t shape[EQ_TENSOR_MAX_RANK];
    void *data; /* NULL: described only, its memory is planned elsewhere or not taken yet */
    bool owns;  /* eq_tensor_clear frees data */
};

/* A tensor of zeros that owns its memory, aligned to 64 bytes. shape: [rank]. EQ_FORMAT: rank above
 * EQ_TENSOR_MAX_RANK, or more bytes than an address space holds; EQ_NOMEM. After a failure t is empty and may be
 * cleared. */
enum eq_status eq_tensor_init(struct eq_tensor *t, enum eq_dtype dtype, int rank, const size_t *shape,
                              struct eq_err *err);
/* A tensor over the caller's data, which must outlive it and may lie at any address; NULL for a description alone.
 * The caller vouches for rank and size. Nobody writes through a view of constant data. */
struct eq_tensor eq_tensor_view(enum eq_dtype dtype, int rank, const size_t *shape, const void *data);
/* Frees what t owns and empties it; harmless twice. */
void eq_tensor_clear(struct eq_tensor *t);

/* Bytes that dtype and shape need, into *bytes; false when no address space holds them (a shape from a file). */
bool eq_tensor_checked_bytes(const struct eq_tensor *t, size_t *bytes);
size_t eq_tensor_count(const struct eq_tensor *t); /* elements; its size must have been checked */
size_t eq_tensor_bytes(const struct eq_tensor *t); /* likewise */
bool eq_tensor_same_shape(const struct eq_tensor *a, const struct eq_tensor *b); /* whatever their types */
/* "64 x 3 x 7 x 7" into text[size], cut where it ends; empty for rank 0. For messages. */
void eq_tensor_shape_text(const struct eq_tensor *t, char *text, size_t size);

#endif
