/* Views of a tensor, and copies between any two strided tensors. */
#include "echoquant/tensor.h"

#include <assert.h>
#include <string.h>

static void borrow(const struct eq_tensor *src, struct eq_tensor *view)
{
    assert(view != src);
    *view = *src;
    view->owns = false;
}

enum eq_status eq_tensor_slice(const struct eq_tensor *src, int axis, size_t start, size_t count,
                               struct eq_tensor *view, struct eq_err *err)
{
    borrow(src, view);
    if (axis < 0 || axis >= src->rank)
        return eq_fail(err, EQ_USAGE, "axis %d of a tensor of rank %d", axis, src->rank);
    if (start > src->shape[axis] || count > src->shape[axis] - start)
        return eq_fail(err, EQ_USAGE, "elements %zu to %zu of an axis of %zu", start, start + count, src->shape[axis]);
    view->shape[axis] = count;
    if (eq_tensor_count(view) > 0) /* an empty view points nowhere in particular */
        view->data = (char *)src->data + start * src->strides[axis] * eq_dtype_size(src->dtype);
    return EQ_OK;
}

enum eq_status eq_tensor_permute(const struct eq_tensor *src, const int *axes, struct eq_tensor *view,
                                 struct eq_err *err)
{
    borrow(src, view);
    bool used[EQ_TENSOR_MAX_RANK] = {false};
    for (int a = 0; a < src->rank; a++) {
        if (axes[a] < 0 || axes[a] >= src->rank || used[axes[a]])
            return eq_fail(err, EQ_USAGE, "axis %d: not a permutation of the %d axes", axes[a], src->rank);
        used[axes[a]] = true;
        view->shape[a] = src->shape[axes[a]];
        view->strides[a] = src->strides[axes[a]];
    }
    return EQ_OK;
}

enum eq_status eq_tensor_reshape(const struct eq_tensor *src, int rank, const size_t *shape, struct eq_tensor *view,
                                 struct eq_err *err)
{
    assert(view != src);
    if (!eq_tensor_is_dense(src))
        return eq_fail(err, EQ_USAGE, "a tensor with gaps can't be reshaped; copy it first");
    enum eq_status st = eq_tensor_wrap(view, src->dtype, rank, shape, src->data, eq_tensor_bytes(src), err);
    if (st == EQ_OK && eq_tensor_count(view) != eq_tensor_count(src))
        return eq_fail(err, EQ_USAGE, "%zu elements can't become %zu", eq_tensor_count(src), eq_tensor_count(view));
    return st == EQ_FORMAT ? eq_fail(err, EQ_USAGE, "%zu elements can't take the new shape", eq_tensor_count(src)) : st;
}

/* The innermost axis: n elements from src, stride step, to dst, stride dst_step. */
static void copy_run(char *dst, size_t dst_step, const char *src, size_t step, size_t n, size_t size)
{
    if (dst_step == 1 && step == 1) {
        memcpy(dst, src, n * size);
    } else if (size == 4) {
        for (size_t i = 0; i < n; i++)
            memcpy(dst + 4 * i * dst_step, src + 4 * i * step, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            dst[i * dst_step] = src[i * step];
    }
}

static void copy_axes(const struct eq_tensor *src, const struct eq_tensor *dst, int axis, const char *from, char *to)
{
    size_t size = eq_dtype_size(src->dtype);
    if (axis == src->rank - 1) {
        copy_run(to, dst->strides[axis], from, src->strides[axis], src->shape[axis], size);
        return;
    }
    for (size_t i = 0; i < src->shape[axis]; i++)
        copy_axes(src, dst, axis + 1, from + i * src->strides[axis] * size, to + i * dst->strides[axis] * size);
}

enum eq_status eq_tensor_copy(const struct eq_tensor *src, struct eq_tensor *dst, struct eq_err *err)
{
    if (src->dtype != dst->dtype || !eq_tensor_same_shape(src, dst)) {
        char a[160], b[160];
        eq_tensor_describe(src, a, sizeof a);
        eq_tensor_describe(dst, b, sizeof b);
        return eq_fail(err, EQ_USAGE, "can't copy %s to %s", a, b);
    }
    if (eq_tensor_count(src) == 0)
        return EQ_OK;
    if (src->rank == 0)
        memcpy(dst->data, src->data, eq_dtype_size(src->dtype));
    else
        copy_axes(src, dst, 0, src->data, dst->data);
    return EQ_OK;
}

enum eq_status eq_tensor_permute_copy(const struct eq_tensor *src, const int *axes, struct eq_tensor *dst,
                                      struct eq_err *err)
{
    enum eq_status st;
    struct eq_tensor view;
    *dst = (struct eq_tensor){0};
    EQ_TRY(eq_tensor_permute(src, axes, &view, err));
    EQ_TRY(eq_tensor_init(dst, src->dtype, src->rank, view.shape, err));
    EQ_TRY(eq_tensor_copy(&view, dst, err));
out:
    if (st != EQ_OK)
        eq_tensor_clear(dst);
    return st;
}
