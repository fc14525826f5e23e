/* Tensors: checked sizes, views, permuting copies against plain index arithmetic. */
#include "unit/cmocka_all.h"
#include "echoquant/tensor.h"

#include <string.h>

static void init_is_dense_and_zero(void **state)
{
    (void)state;
    struct eq_tensor t;
    const size_t shape[] = {2, 3, 5};
    assert_int_equal(eq_tensor_init(&t, EQ_S32, 3, shape, NULL), EQ_OK);
    assert_int_equal(eq_tensor_count(&t), 30);
    assert_int_equal(eq_tensor_bytes(&t), 120);
    assert_int_equal(t.strides[0], 15);
    assert_int_equal(t.strides[1], 5);
    assert_int_equal(t.strides[2], 1);
    assert_true(eq_tensor_is_dense(&t));
    assert_int_equal((uintptr_t)t.data % 64, 0);
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(((int32_t *)t.data)[i], 0);
    const size_t at[] = {1, 2, 4};
    assert_ptr_equal(eq_tensor_at(&t, at), (int32_t *)t.data + 29);
    char text[40];
    eq_tensor_describe(&t, text, sizeof text);
    assert_string_equal(text, "s32 [2, 3, 5]");
    eq_tensor_clear(&t);
    assert_null(t.data);
    eq_tensor_clear(&t);
}

static void scalars_and_empty_shapes(void **state)
{
    (void)state;
    struct eq_tensor a, b;
    assert_int_equal(eq_tensor_init(&a, EQ_F32, 0, NULL, NULL), EQ_OK);
    assert_int_equal(eq_tensor_init(&b, EQ_F32, 0, NULL, NULL), EQ_OK);
    assert_int_equal(eq_tensor_count(&a), 1);
    *(float *)a.data = 2.5f;
    assert_int_equal(eq_tensor_copy(&a, &b, NULL), EQ_OK);
    assert_true(*(float *)b.data == 2.5f);
    eq_tensor_clear(&a);
    eq_tensor_clear(&b);
    const size_t shape[] = {3, 0, 4};
    assert_int_equal(eq_tensor_init(&a, EQ_U8, 3, shape, NULL), EQ_OK);
    assert_int_equal(eq_tensor_count(&a), 0);
    const int axes[] = {2, 1, 0};
    assert_int_equal(eq_tensor_permute_copy(&a, axes, &b, NULL), EQ_OK);
    assert_int_equal(b.shape[0], 4);
    eq_tensor_clear(&a);
    eq_tensor_clear(&b);
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    struct eq_tensor t;
    struct eq_err err;
    const size_t six[6] = {1, 1, 1, 1, 1, 1};
    assert_int_equal(eq_tensor_init(&t, EQ_F32, 6, six, &err), EQ_FORMAT);
    assert_int_equal(eq_tensor_init(&t, EQ_F32, -1, six, &err), EQ_FORMAT);
    assert_int_equal(eq_tensor_init(&t, EQ_DTYPE_COUNT, 1, six, &err), EQ_FORMAT);
    const size_t wraps[] = {(size_t)1 << 32, (size_t)1 << 32};
    assert_int_equal(eq_tensor_init(&t, EQ_U8, 2, wraps, &err), EQ_FORMAT);
    const size_t wraps_in_bytes[] = {(size_t)1 << 31, (size_t)1 << 31};
    assert_int_equal(eq_tensor_init(&t, EQ_F32, 2, wraps_in_bytes, &err), EQ_FORMAT);
    const size_t hidden_by_zero[] = {0, (size_t)1 << 40, (size_t)1 << 40};
    assert_int_equal(eq_tensor_init(&t, EQ_U8, 3, hidden_by_zero, &err), EQ_FORMAT);
    assert_null(t.data);
    eq_tensor_clear(&t);
}

static void wrap_checks_the_memory(void **state)
{
    (void)state;
    float data[6] = {0, 1, 2, 3, 4, 5};
    struct eq_tensor t;
    struct eq_err err;
    const size_t fits[] = {2, 3}, too_large[] = {2, 4};
    assert_int_equal(eq_tensor_wrap(&t, EQ_F32, 2, fits, data, sizeof data, &err), EQ_OK);
    assert_false(t.owns);
    eq_tensor_clear(&t);
    assert_true(data[5] == 5);
    assert_int_equal(eq_tensor_wrap(&t, EQ_F32, 2, too_large, data, sizeof data, &err), EQ_FORMAT);
    assert_string_equal(err.msg, "f32 [2, 4] needs 32 bytes, but there are 24");
}

static void slice_sees_the_same_memory(void **state)
{
    (void)state;
    struct eq_tensor t, v, w;
    struct eq_err err;
    const size_t shape[] = {4, 3};
    assert_int_equal(eq_tensor_init(&t, EQ_S8, 2, shape, NULL), EQ_OK);
    for (int i = 0; i < 12; i++)
        ((int8_t *)t.data)[i] = (int8_t)i;
    assert_int_equal(eq_tensor_slice(&t, 1, 1, 2, &v, &err), EQ_OK);
    assert_false(eq_tensor_is_dense(&v));
    const size_t at[] = {3, 1};
    assert_int_equal(*(int8_t *)eq_tensor_at(&v, at), 11);
    assert_int_equal(eq_tensor_slice(&t, 0, 2, 2, &v, &err), EQ_OK);
    assert_true(eq_tensor_is_dense(&v));
    assert_ptr_equal(v.data, (int8_t *)t.data + 6);
    assert_int_equal(eq_tensor_slice(&t, 0, 4, 0, &v, &err), EQ_OK);
    assert_int_equal(eq_tensor_count(&v), 0);
    assert_int_equal(eq_tensor_slice(&t, 0, 2, 3, &v, &err), EQ_USAGE);
    assert_int_equal(eq_tensor_slice(&t, 0, 5, 0, &v, &err), EQ_USAGE);
    assert_int_equal(eq_tensor_slice(&t, 0, 1, SIZE_MAX, &v, &err), EQ_USAGE);
    assert_int_equal(eq_tensor_slice(&t, 2, 0, 1, &v, &err), EQ_USAGE);
    assert_int_equal(eq_tensor_slice(&t, 1, 0, 2, &v, &err), EQ_OK);
    const size_t flat[] = {8};
    assert_int_equal(eq_tensor_reshape(&v, 1, flat, &w, &err), EQ_USAGE);
    eq_tensor_clear(&v); /* a view frees nothing */
    assert_int_equal(((int8_t *)t.data)[11], 11);
    eq_tensor_clear(&t);
}

static void reshape_keeps_the_count(void **state)
{
    (void)state;
    struct eq_tensor t, v;
    struct eq_err err;
    const size_t shape[] = {2, 6}, good[] = {3, 2, 2}, fewer[] = {11}, more[] = {13};
    assert_int_equal(eq_tensor_init(&t, EQ_F32, 2, shape, NULL), EQ_OK);
    assert_int_equal(eq_tensor_reshape(&t, 3, good, &v, &err), EQ_OK);
    assert_ptr_equal(v.data, t.data);
    assert_int_equal(v.strides[0], 4);
    assert_int_equal(eq_tensor_reshape(&t, 1, fewer, &v, &err), EQ_USAGE);
    assert_int_equal(eq_tensor_reshape(&t, 1, more, &v, &err), EQ_USAGE);
    eq_tensor_clear(&t);
}

/* Element (b, t, c, h, w) must land at ((((b H + h) W + w) T + t) C + c), whatever the element's size. */
static void check_pixel_layout(enum eq_dtype dtype)
{
    enum { B = 2, T = 3, C = 5, H = 4, W = 7 };
    const size_t shape[] = {B, T, C, H, W};
    struct eq_tensor src, pixel, back;
    assert_int_equal(eq_tensor_init(&src, dtype, 5, shape, NULL), EQ_OK);
    size_t size = eq_dtype_size(dtype), n = eq_tensor_bytes(&src);
    struct eq_rng r;
    eq_rng_init(&r, 1, EQ_RNG_TEST, 0, (uint32_t)dtype);
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)src.data)[i] = (unsigned char)eq_rng_u32(&r);
    assert_int_equal(eq_tensor_permute_copy(&src, eq_axes_btchw_pixel, &pixel, NULL), EQ_OK);
    assert_true(eq_tensor_is_dense(&pixel));
    const char *s = src.data, *p = pixel.data;
    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < T; t++)
            for (size_t c = 0; c < C; c++)
                for (size_t h = 0; h < H; h++)
                    for (size_t w = 0; w < W; w++) {
                        size_t from = (((b * T + t) * C + c) * H + h) * W + w;
                        size_t to = (((b * H + h) * W + w) * T + t) * C + c;
                        assert_memory_equal(s + from * size, p + to * size, size);
                    }
    assert_int_equal(eq_tensor_permute_copy(&pixel, eq_axes_btchw_pixel, &back, NULL), EQ_OK);
    assert_true(eq_tensor_same_shape(&back, &src));
    assert_memory_equal(back.data, src.data, n);
    eq_tensor_clear(&src);
    eq_tensor_clear(&pixel);
    eq_tensor_clear(&back);
}

static void pixel_layout_round_trip(void **state)
{
    (void)state;
    for (int d = 0; d < EQ_DTYPE_COUNT; d++)
        check_pixel_layout((enum eq_dtype)d);
}

static void weight_layout_round_trip(void **state)
{
    (void)state;
    int8_t oihw[2 * 3 * 2 * 2];
    for (int i = 0; i < 24; i++)
        oihw[i] = (int8_t)i;
    const size_t shape[] = {2, 3, 2, 2};
    struct eq_tensor src, ohwi, back;
    assert_int_equal(eq_tensor_wrap(&src, EQ_S8, 4, shape, oihw, sizeof oihw, NULL), EQ_OK);
    assert_int_equal(eq_tensor_permute_copy(&src, eq_axes_oihw_to_ohwi, &ohwi, NULL), EQ_OK);
    static const int8_t expected[24] = {0,  4,  8,  1,  5,  9,  2,  6,  10, 3,  7,  11,
                                        12, 16, 20, 13, 17, 21, 14, 18, 22, 15, 19, 23};
    assert_memory_equal(ohwi.data, expected, 24);
    assert_int_equal(eq_tensor_permute_copy(&ohwi, eq_axes_ohwi_to_oihw, &back, NULL), EQ_OK);
    assert_memory_equal(back.data, oihw, 24);
    eq_tensor_clear(&ohwi);
    eq_tensor_clear(&back);
}

static void permute_and_copy_check_their_arguments(void **state)
{
    (void)state;
    struct eq_tensor a, b, v;
    struct eq_err err;
    const size_t shape[] = {2, 3}, other[] = {3, 2};
    assert_int_equal(eq_tensor_init(&a, EQ_F32, 2, shape, NULL), EQ_OK);
    assert_int_equal(eq_tensor_init(&b, EQ_F32, 2, other, NULL), EQ_OK);
    const int twice[] = {0, 0}, outside[] = {0, 2}, negative[] = {-1, 0};
    assert_int_equal(eq_tensor_permute(&a, twice, &v, &err), EQ_USAGE);
    assert_int_equal(eq_tensor_permute(&a, outside, &v, &err), EQ_USAGE);
    assert_int_equal(eq_tensor_permute_copy(&a, negative, &v, &err), EQ_USAGE);
    assert_int_equal(eq_tensor_copy(&a, &b, &err), EQ_USAGE);
    assert_string_equal(err.msg, "can't copy f32 [2, 3] to f32 [3, 2]");
    eq_tensor_clear(&a);
    eq_tensor_clear(&b);
}

static void copy_into_a_slice_leaves_the_rest(void **state)
{
    (void)state;
    struct eq_tensor big, small, hole;
    const size_t big_shape[] = {3, 4}, small_shape[] = {3, 2};
    assert_int_equal(eq_tensor_init(&big, EQ_U8, 2, big_shape, NULL), EQ_OK);
    assert_int_equal(eq_tensor_init(&small, EQ_U8, 2, small_shape, NULL), EQ_OK);
    memset(small.data, 9, 6);
    assert_int_equal(eq_tensor_slice(&big, 1, 1, 2, &hole, NULL), EQ_OK);
    assert_int_equal(eq_tensor_copy(&small, &hole, NULL), EQ_OK);
    static const uint8_t expected[12] = {0, 9, 9, 0, 0, 9, 9, 0, 0, 9, 9, 0};
    assert_memory_equal(big.data, expected, 12);
    eq_tensor_clear(&big);
    eq_tensor_clear(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_is_dense_and_zero),
        cmocka_unit_test(scalars_and_empty_shapes),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(wrap_checks_the_memory),
        cmocka_unit_test(slice_sees_the_same_memory),
        cmocka_unit_test(reshape_keeps_the_count),
        cmocka_unit_test(pixel_layout_round_trip),
        cmocka_unit_test(weight_layout_round_trip),
        cmocka_unit_test(permute_and_copy_check_their_arguments),
        cmocka_unit_test(copy_into_a_slice_leaves_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
