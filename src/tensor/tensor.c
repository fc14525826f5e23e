/* Types, shapes, ownership. */
#include "echoquant/tensor.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[EQ_DTYPE_COUNT] = {
    [EQ_F32] = {"F32", 4}, [EQ_F16] = {"F16", 2}, [EQ_BF16] = {"BF16", 2}, [EQ_F64] = {"F64", 8},
    [EQ_S64] = {"I64", 8}, [EQ_S32] = {"I32", 4}, [EQ_S8] = {"I8", 1},     [EQ_U8] = {"U8", 1},
};

size_t eq_dtype_size(enum eq_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *eq_dtype_name(enum eq_dtype dtype)
{
    return dtypes[dtype].name;
}

bool eq_dtype_parse(const char *name, enum eq_dtype *dtype)
{
    for (int i = 0; i < EQ_DTYPE_COUNT; i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            *dtype = (enum eq_dtype)i;
            return true;
        }
    return false;
}

struct eq_tensor eq_tensor_view(enum eq_dtype dtype, int rank, const size_t *shape, const void *data)
{
    struct eq_tensor t = {.dtype = dtype, .rank = rank, .data = (void *)data};
    for (int i = 0; i < rank; i++)
        t.shape[i] = shape[i];
    return t;
}

enum eq_status eq_tensor_init(struct eq_tensor *t, enum eq_dtype dtype, int rank, const size_t *shape,
                              struct eq_err *err)
{
    size_t bytes;
    *t = (struct eq_tensor){0};
    if (rank < 0 || rank > EQ_TENSOR_MAX_RANK)
        return eq_fail(err, EQ_FORMAT, "rank %d is outside 0..%d", rank, EQ_TENSOR_MAX_RANK);
    struct eq_tensor made = eq_tensor_view(dtype, rank, shape, NULL);
    if (!eq_tensor_checked_bytes(&made, &bytes))
        return eq_fail(err, EQ_FORMAT, "the shape has more elements than memory can hold");
    made.data = eq_alloc(bytes, 1);
    if (!made.data)
        return eq_fail(err, EQ_NOMEM, "no memory for a tensor of %zu bytes", bytes);
    made.owns = true;
    *t = made;
    return EQ_OK;
}

void eq_tensor_clear(struct eq_tensor *t)
{
    if (t->owns)
        eq_free(t->data);
    *t = (struct eq_tensor){0};
}

bool eq_tensor_checked_bytes(const struct eq_tensor *t, size_t *bytes)
{
    *bytes = eq_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++)
        if (!eq_mul_size(*bytes, t->shape[i], bytes))
            return false;
    return *bytes <= PTRDIFF_MAX;
}

size_t eq_tensor_count(const struct eq_tensor *t)
{
    size_t count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= t->shape[i];
    return count;
}

size_t eq_tensor_bytes(const struct eq_tensor *t)
{
    return eq_tensor_count(t) * eq_dtype_size(t->dtype);
}

bool eq_tensor_same_shape(const struct eq_tensor *a, const struct eq_tensor *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

void eq_tensor_shape_text(const struct eq_tensor *t, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < t->rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%zu", i ? " x " : "", t->shape[i]);
}
