/* Tensors: element types, checked sizes, ownership, shapes as text. */
#include "unit/cmocka_all.h"
#include "echoquant/tensor.h"

#include <string.h>

static void init_is_zero_and_aligned(void **state)
{
    (void)state;
    struct eq_tensor t;
    assert_int_equal(eq_tensor_init(&t, EQ_S32, 3, (const size_t[]){2, 3, 5}, NULL), EQ_OK);
    assert_int_equal(eq_tensor_count(&t), 30);
    assert_int_equal(eq_tensor_bytes(&t), 120);
    assert_true(t.owns && t.rank == 3 && t.shape[2] == 5);
    assert_int_equal((uintptr_t)t.data % 64, 0);
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(((int32_t *)t.data)[i], 0);
    char text[40];
    eq_tensor_shape_text(&t, text, sizeof text);
    assert_string_equal(text, "2 x 3 x 5");
    eq_tensor_shape_text(&t, text, 6);
    assert_string_equal(text, "2 x 3");
    eq_tensor_clear(&t);
    assert_null(t.data);
    eq_tensor_clear(&t);
}

static void scalars_and_empty_shapes(void **state)
{
    (void)state;
    struct eq_tensor t;
    char text[8];
    assert_int_equal(eq_tensor_init(&t, EQ_F64, 0, NULL, NULL), EQ_OK);
    assert_int_equal(eq_tensor_count(&t), 1);
    assert_int_equal(eq_tensor_bytes(&t), 8);
    eq_tensor_shape_text(&t, text, sizeof text);
    assert_string_equal(text, "");
    eq_tensor_clear(&t);
    assert_int_equal(eq_tensor_init(&t, EQ_U8, 3, (const size_t[]){3, 0, 4}, NULL), EQ_OK);
    assert_int_equal(eq_tensor_count(&t), 0);
    assert_int_equal(eq_tensor_bytes(&t), 0);
    eq_tensor_clear(&t);
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    struct eq_tensor t;
    const size_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    assert_int_equal(eq_tensor_init(&t, EQ_F32, 8, nine, NULL), EQ_OK);
    eq_tensor_clear(&t);
    assert_int_equal(eq_tensor_init(&t, EQ_F32, 9, nine, NULL), EQ_FORMAT);
    assert_int_equal(eq_tensor_init(&t, EQ_F32, -1, nine, NULL), EQ_FORMAT);
    const size_t wraps[] = {(size_t)1 << 32, (size_t)1 << 32}, wraps_in_bytes[] = {(size_t)1 << 31, (size_t)1 << 31};
    assert_int_equal(eq_tensor_init(&t, EQ_U8, 2, wraps, NULL), EQ_FORMAT);
    assert_int_equal(eq_tensor_init(&t, EQ_F32, 2, wraps_in_bytes, NULL), EQ_FORMAT);
    assert_null(t.data);
    assert_int_equal(t.rank, 0);
    assert_int_equal(eq_tensor_init(&t, EQ_U8, 1, (const size_t[]){PTRDIFF_MAX}, NULL), EQ_NOMEM);
    assert_null(t.data);
    eq_tensor_clear(&t);
}

static void a_view_frees_nothing(void **state)
{
    (void)state;
    const float data[6] = {0, 1, 2, 3, 4, 5};
    struct eq_tensor v = eq_tensor_view(EQ_F32, 2, (const size_t[]){2, 3}, data);
    assert_false(v.owns);
    assert_ptr_equal(v.data, data);
    assert_int_equal(eq_tensor_bytes(&v), sizeof data);
    eq_tensor_clear(&v);
    assert_null(v.data);
    assert_true(data[5] == 5);
}

static void shapes_are_compared_axis_by_axis(void **state)
{
    (void)state;
    struct eq_tensor a = eq_tensor_view(EQ_F32, 2, (const size_t[]){2, 3}, NULL), b = a;
    b.dtype = EQ_U8;
    assert_true(eq_tensor_same_shape(&a, &b));
    b.shape[1] = 4;
    assert_false(eq_tensor_same_shape(&a, &b));
    b = eq_tensor_view(EQ_F32, 3, (const size_t[]){2, 3, 1}, NULL);
    assert_false(eq_tensor_same_shape(&a, &b));
}

static void types_have_the_names_of_safetensors(void **state)
{
    (void)state;
    static const struct {
        enum eq_dtype dtype;
        const char *name;
        size_t size;
    } known[EQ_DTYPE_COUNT] = {{EQ_F32, "F32", 4}, {EQ_F16, "F16", 2}, {EQ_BF16, "BF16", 2}, {EQ_F64, "F64", 8},
                               {EQ_S64, "I64", 8}, {EQ_S32, "I32", 4}, {EQ_S8, "I8", 1},     {EQ_U8, "U8", 1}};
    enum eq_dtype dtype;
    for (size_t i = 0; i < EQ_DTYPE_COUNT; i++) {
        assert_true(eq_dtype_parse(known[i].name, &dtype) && dtype == known[i].dtype);
        assert_string_equal(eq_dtype_name(known[i].dtype), known[i].name);
        assert_int_equal(eq_dtype_size(known[i].dtype), known[i].size);
    }
    assert_false(eq_dtype_parse("F8_E4M3", &dtype));
    assert_false(eq_dtype_parse("f32", &dtype));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_is_zero_and_aligned),         cmocka_unit_test(scalars_and_empty_shapes),
        cmocka_unit_test(impossible_shapes_are_refused),    cmocka_unit_test(a_view_frees_nothing),
        cmocka_unit_test(shapes_are_compared_axis_by_axis), cmocka_unit_test(types_have_the_names_of_safetensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
