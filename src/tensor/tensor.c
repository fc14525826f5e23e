/* Types, shapes, ownership. */
#include "echoquant/tensor.h"

#include <assert.h>

const int eq_axes_btchw_pixel[5] = {0, 3, 4, 1, 2};
const int eq_axes_oihw_to_ohwi[4] = {0, 2, 3, 1};
const int eq_axes_ohwi_to_oihw[4] = {0, 3, 1, 2};

size_t eq_dtype_size(enum eq_dtype dtype)
{
    return dtype == EQ_U8 || dtype == EQ_S8 ? 1 : 4;
}

const char *eq_dtype_name(enum eq_dtype dtype)
{
    static const char *const names[EQ_DTYPE_COUNT] = {"f32", "u8", "s8", "s32"};
    return (unsigned)dtype < EQ_DTYPE_COUNT ? names[dtype] : "unknown";
}

/* Fills type, shape and dense strides. The product is checked over the non-zero sizes, so that a zero somewhere can't
 * hide a stride that overflows. */
static enum eq_status set_dense(struct eq_tensor *t, enum eq_dtype dtype, int rank, const size_t *shape,
                                struct eq_err *err)
{
    *t = (struct eq_tensor){.dtype = dtype};
    if ((unsigned)dtype >= EQ_DTYPE_COUNT)
        return eq_fail(err, EQ_FORMAT, "unknown element type %d", (int)dtype);
    if (rank < 0 || rank > EQ_TENSOR_MAX_RANK)
        return eq_fail(err, EQ_FORMAT, "rank %d is outside 0..%d", rank, EQ_TENSOR_MAX_RANK);
    size_t count = 1, bytes;
    for (int a = rank - 1; a >= 0; a--) {
        t->shape[a] = shape[a];
        t->strides[a] = count;
        if (shape[a] && !eq_mul_size(count, shape[a], &count))
            return eq_fail(err, EQ_FORMAT, "the shape has more elements than memory can hold");
    }
    if (!eq_mul_size(count, eq_dtype_size(dtype), &bytes) || bytes > PTRDIFF_MAX)
        return eq_fail(err, EQ_FORMAT, "the shape has more elements than memory can hold");
    t->rank = rank;
    return EQ_OK;
}

enum eq_status eq_tensor_init(struct eq_tensor *t, enum eq_dtype dtype, int rank, const size_t *shape,
                              struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(set_dense(t, dtype, rank, shape, err));
    t->data = eq_alloc(eq_tensor_count(t), eq_dtype_size(dtype));
    if (!t->data) {
        char text[160];
        eq_tensor_describe(t, text, sizeof text);
        EQ_TRY(eq_fail(err, EQ_NOMEM, "no memory for a tensor %s", text));
    }
    t->owns = true;
out:
    if (st != EQ_OK)
        eq_tensor_clear(t);
    return st;
}

enum eq_status eq_tensor_wrap(struct eq_tensor *t, enum eq_dtype dtype, int rank, const size_t *shape, void *data,
                              size_t bytes, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(set_dense(t, dtype, rank, shape, err));
    if (eq_tensor_bytes(t) > bytes) {
        char text[160];
        eq_tensor_describe(t, text, sizeof text);
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s needs %zu bytes, but there are %zu", text, eq_tensor_bytes(t), bytes));
    }
    t->data = data;
out:
    if (st != EQ_OK)
        eq_tensor_clear(t);
    return st;
}

void eq_tensor_clear(struct eq_tensor *t)
{
    if (t->owns)
        eq_free(t->data);
    *t = (struct eq_tensor){0};
}

size_t eq_tensor_count(const struct eq_tensor *t)
{
    size_t count = 1;
    for (int a = 0; a < t->rank; a++)
        count *= t->shape[a];
    return count;
}

size_t eq_tensor_bytes(const struct eq_tensor *t)
{
    return eq_tensor_count(t) * eq_dtype_size(t->dtype);
}

bool eq_tensor_is_dense(const struct eq_tensor *t)
{
    size_t stride = 1;
    for (int a = t->rank - 1; a >= 0; a--) {
        if (t->shape[a] != 1 && t->strides[a] != stride)
            return false;
        stride *= t->shape[a] ? t->shape[a] : 1;
    }
    return true;
}

bool eq_tensor_same_shape(const struct eq_tensor *a, const struct eq_tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return true;
}

void eq_tensor_describe(const struct eq_tensor *t, char *text, size_t size)
{
    struct eq_str s = {0};
    eq_str_add(&s, "%s [", eq_dtype_name(t->dtype));
    for (int a = 0; a < t->rank; a++)
        eq_str_add(&s, "%s%zu", a ? ", " : "", t->shape[a]);
    eq_str_add(&s, "]");
    snprintf(text, size, "%s", s.s);
    eq_str_clear(&s);
}

void *eq_tensor_at(const struct eq_tensor *t, const size_t *index)
{
    size_t offset = 0;
    for (int a = 0; a < t->rank; a++) {
        assert(index[a] < t->shape[a]);
        offset += index[a] * t->strides[a];
    }
    return (char *)t->data + offset * eq_dtype_size(t->dtype);
}
