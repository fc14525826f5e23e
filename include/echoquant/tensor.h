/*
 * tensor: an array with a type, a shape and strides over memory that it owns or borrows. For the edges of the program,
 * where shapes come from files and layouts differ (PyTorch's [b, t, c, h, w] and the kernels' [b, h, w, t, c]); inner
 * loops take raw pointers instead.
 */
#ifndef ECHOQUANT_TENSOR_H
#define ECHOQUANT_TENSOR_H

#include "echoquant/base.h"

enum { EQ_TENSOR_MAX_RANK = 5 };

enum eq_dtype { EQ_F32, EQ_U8, EQ_S8, EQ_S32, EQ_DTYPE_COUNT };
size_t eq_dtype_size(enum eq_dtype dtype);      /* bytes */
const char *eq_dtype_name(enum eq_dtype dtype); /* "f32", "u8", "s8", "s32" */

/* The element at index i is at data + size * sum(i[a] * strides[a]). Rank 0 is a single value. A shape may hold
 * zeros. */
struct eq_tensor {
    enum eq_dtype dtype;
    int rank;
    size_t shape[EQ_TENSOR_MAX_RANK];
    size_t strides[EQ_TENSOR_MAX_RANK]; /* in elements */
    void *data;
    bool owns; /* clear frees data */
};

/* A dense tensor of zeros that owns its memory, aligned to 64 bytes. EQ_FORMAT: rank above EQ_TENSOR_MAX_RANK or more
 * bytes than an address space holds; EQ_NOMEM. t is empty and clearable after a failure. */
enum eq_status eq_tensor_init(struct eq_tensor *t, enum eq_dtype dtype, int rank, const size_t *shape,
                              struct eq_err *err);
/* A dense tensor over the caller's memory of `bytes` bytes, which must outlive it. EQ_FORMAT when the shape needs
 * more. */
enum eq_status eq_tensor_wrap(struct eq_tensor *t, enum eq_dtype dtype, int rank, const size_t *shape, void *data,
                              size_t bytes, struct eq_err *err);
/* Frees what t owns and empties it; harmless twice. */
void eq_tensor_clear(struct eq_tensor *t);

size_t eq_tensor_count(const struct eq_tensor *t); /* elements; never overflows, init and wrap saw to that */
size_t eq_tensor_bytes(const struct eq_tensor *t);
bool eq_tensor_is_dense(const struct eq_tensor *t); /* row-major without gaps */
bool eq_tensor_same_shape(const struct eq_tensor *a, const struct eq_tensor *b);
/* "f32 [1, 3, 112, 112]" into text; for messages. */
void eq_tensor_describe(const struct eq_tensor *t, char *text, size_t size);
/* Where an element lies; index: [rank], each inside the shape. */
void *eq_tensor_at(const struct eq_tensor *t, const size_t *index);

/* Views: no memory of their own, valid as long as src's. view may not be src. */

/* Elements [start, start + count) along axis. EQ_USAGE when they aren't all there. */
enum eq_status eq_tensor_slice(const struct eq_tensor *src, int axis, size_t start, size_t count,
                               struct eq_tensor *view, struct eq_err *err);
/* view.shape[a] = src.shape[axes[a]], as numpy's transpose. EQ_USAGE unless axes is a permutation of 0..rank-1. */
enum eq_status eq_tensor_permute(const struct eq_tensor *src, const int *axes, struct eq_tensor *view,
                                 struct eq_err *err);
/* The same elements in another shape. EQ_USAGE unless src is dense and the counts agree. */
enum eq_status eq_tensor_reshape(const struct eq_tensor *src, int rank, const size_t *shape, struct eq_tensor *view,
                                 struct eq_err *err);

/* dst = src, any strides; same type and shape (else EQ_USAGE), no common memory. */
enum eq_status eq_tensor_copy(const struct eq_tensor *src, struct eq_tensor *dst, struct eq_err *err);
/* dst: a dense tensor of its own with src's axes permuted. dst is initialised here. */
enum eq_status eq_tensor_permute_copy(const struct eq_tensor *src, const int *axes, struct eq_tensor *dst,
                                      struct eq_err *err);

/* [b, t, c, h, w] to pixel layout [b, h, w, t, c], and back: one permutation, its own inverse. */
extern const int eq_axes_btchw_pixel[5];
/* [cout, cin, kh, kw] to [cout, kh, kw, cin]; [n, c, h, w] to [n, h, w, c]. And back. */
extern const int eq_axes_oihw_to_ohwi[4];
extern const int eq_axes_ohwi_to_oihw[4];

#endif
