/* Safetensors: round trips, and files that lie about themselves. */
#include "model_support.h"

#include <unistd.h>

/* A file in memory: header text, then n data bytes 0, 1, 2, ... Free with eq_free. */
static uint8_t *make_file(const char *header, size_t n, size_t *len)
{
    size_t h = strlen(header);
    uint8_t *f = eq_alloc(8 + h + n, 1);
    f[0] = (uint8_t)h;
    f[1] = (uint8_t)(h >> 8);
    memcpy(f + 8, header, h);
    for (size_t i = 0; i < n; i++)
        f[8 + h + i] = (uint8_t)i;
    *len = 8 + h + n;
    return f;
}

static void refused(const char *header, size_t n, const char *text)
{
    size_t len;
    struct eq_st_file f;
    uint8_t *file = make_file(header, n, &len);
    assert_refused(eq_st_parse(file, len, "x.safetensors", &f, &err), EQ_FORMAT, text);
    assert_refused(eq_st_parse(file, len, "x.safetensors", &f, &err), EQ_FORMAT, "x.safetensors");
    assert_true(f.n == 0 && !f.tensors && f.n_meta == 0);
    eq_free(file);
}

static void parses_what_the_format_says(void **state)
{
    (void)state;
    size_t len;
    struct eq_st_file f;
    const char *header = "{\"b\":{\"dtype\":\"I8\",\"shape\":[2,3],\"data_offsets\":[4,10]},"
                         "\"__metadata__\":{\"k\":\"v\",\"empty\":\"\"},"
                         "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                         "\"none\":{\"dtype\":\"F64\",\"shape\":[5,0],\"data_offsets\":[10,10]}}   ";
    uint8_t *file = make_file(header, 10, &len);
    assert_ok(eq_st_parse(file, len, "x", &f, &err));
    assert_int_equal(f.n, 3);
    const struct eq_tensor *b = eq_st_find(&f, "b"), *a = eq_st_find(&f, "a");
    assert_true(b->dtype == EQ_S8 && b->rank == 2 && b->shape[0] == 2 && b->shape[1] == 3 && eq_tensor_bytes(b) == 6);
    assert_true(((const uint8_t *)b->data)[0] == 4);
    assert_true(a->dtype == EQ_F32 && a->rank == 0 && eq_tensor_bytes(a) == 4);
    assert_string_equal(eq_st_meta(&f, "k"), "v");
    assert_string_equal(eq_st_meta(&f, "empty"), "");
    assert_null(eq_st_meta(&f, "K"));
    assert_null(eq_st_find(&f, "__metadata__"));
    eq_st_clear(&f);
    eq_free(file);
}

/* Tensors of other dtypes are bytes: a file may have them beside the weights. */
static void other_dtypes_are_bytes(void **state)
{
    (void)state;
    size_t len;
    struct eq_st_file f;
    const char *header = "{\"mask\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]},"
                         "\"f8\":{\"dtype\":\"F8_E4M3\",\"shape\":[1,1,1,1,1,1,1,1,1,5],\"data_offsets\":[3,8]},"
                         "\"f4\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[8,10]},"
                         "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[10,14]}}";
    uint8_t *file = make_file(header, 14, &len);
    assert_ok(eq_st_parse(file, len, "x", &f, &err));
    assert_string_equal(f.tensors[0].other_dtype, "BOOL");
    assert_string_equal(f.tensors[1].other_dtype, "F8_E4M3");
    assert_null(f.tensors[3].other_dtype);
    const struct eq_tensor *f8 = eq_st_find(&f, "f8");
    assert_true(f8->dtype == EQ_U8 && f8->rank == 1 && f8->shape[0] == 5);
    eq_st_clear(&f);
    eq_free(file);
}

static void names_files_of_other_programs(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        {"PK\3\4................archive/data.pkl........", 44, "a PyTorch checkpoint; convert it"},
        {"PK\3\4................weights.npy............", 44, "a NumPy archive"},
        {"PK\3\4................x", 21, "a zip archive"},
        {"\x80\x02}q\x00.......", 12, "a PyTorch checkpoint or other Python pickle"},
        {"\x08\x07\x12\x07pytorch", 11, "an ONNX model"},
        {"\x89HDF\r\n\x1a\n", 8, "HDF5"},
        {"....TFL3", 8, "TensorFlow Lite"},
        {"<html>..", 8, "a web page"},
        {"<html", 5, "a web page"},
        {"{\"a\": 1}", 8, "JSON text"},
        {"", 0, "it is empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eq_st_file f;
        assert_refused(eq_st_parse(cases[i].bytes, cases[i].len, "x", &f, &err), EQ_FORMAT, cases[i].text);
    }
}

static void refuses_malformed_twins(void **state)
{
    (void)state;
#define A(rest) "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]," rest "}}"
#define TWO(x, y)                                                                                                      \
    "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" x "},\"b\":{\"dtype\":\"U8\",\"shape\":[4],"            \
    "\"data_offsets\":" y "}}"
    size_t len;
    struct eq_st_file f;
    uint8_t *good = make_file(A("\"data_offsets\":[0,8]"), 8, &len);
    assert_ok(eq_st_parse(good, len, "x", &f, &err));
    eq_st_clear(&f);
    for (size_t cut = 0; cut < len; cut++) /* every shorter file is refused */
        assert_int_equal(eq_st_parse(good, cut, "x", &f, NULL), EQ_FORMAT);
    eq_free(good);

    refused(A("\"data_offsets\":[0,8]"), 7, "cut short");
    refused(A("\"data_offsets\":[0,8]"), 9, "after the last tensor");
    refused(A("\"data_offsets\":[0,4]"), 4, "its shape needs 8");
    refused(A("\"data_offsets\":[8,0]"), 8, "data_offsets");
    refused(A("\"data_offsets\":[0]"), 8, "data_offsets");
    refused(A("\"data_offsets\":[0,8,8]"), 8, "data_offsets");
    refused(A("\"data_offsets\":[-8,0]"), 8, "data_offsets");
    refused(A("\"data_offsets\":[0.5,8.5]"), 8, "data_offsets");
    refused(A("\"data_offsets\":[0,1e300]"), 8, "data_offsets");
    refused(A("\"data_offsets\":\"0,8\""), 8, "data_offsets");
    refused(A("\"other\":1"), 8, "data_offsets");
    refused(TWO("[0,4]", "[4,8]") "x", 8, "JSON");
    refused(TWO("[0,4]", "[2,6]"), 6, "overlaps");
    refused(TWO("[0,4]", "[0,4]"), 4, "overlaps");
    refused(TWO("[0,4]", "[5,9]"), 9, "hole");
    refused(TWO("[1,5]", "[5,9]"), 9, "hole");
    refused("{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,5]}}", 4, "cut short");
    refused("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype");
    refused("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "impossible shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "impossible shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,16],\"data_offsets\":[0,0]}}", 0,
            "impossible shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "dimensions");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            2, "comes twice");
    refused("{\"a\":5}", 0, "description");
    refused("[]", 0, "not a JSON object");
    refused("{\"__metadata__\":{\"k\":1}}", 0, "must be a string");
    refused("{\"__metadata__\":\"k\"}", 0, "must be an object");
    refused("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "comes twice");
    refused("", 0, "JSON");
    const uint8_t endless[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    assert_refused(eq_st_parse(endless, sizeof endless, "x", &f, &err), EQ_FORMAT, "at most");
    assert_refused(eq_st_read("/nowhere/x.safetensors", &f, &err), EQ_IO, "/nowhere/x.safetensors");
}

static void round_trip(void **state)
{
    (void)state;
    char path[] = "/tmp/echoquant_st_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct eq_st_file f = {0}, back;
    static float values[300][2];
    static const int8_t bytes[3] = {-128, 0, 127};
    char name[32];
    for (int i = 0; i < 300; i++) { /* more than the first room of the list */
        values[i][0] = (float)i;
        values[i][1] = -0.0f;
        snprintf(name, sizeof name, "tensor \"%d\"", i);
        eq_st_add(&f, name, eq_tensor_view(EQ_F32, 2, (const size_t[]){1, 2}, values[i]));
        snprintf(name, sizeof name, "k%d", i);
        eq_st_add_meta(&f, name, "value %d%%", i);
    }
    eq_st_add(&f, "bytes", eq_tensor_view(EQ_S8, 1, (const size_t[]){3}, bytes));
    assert_ok(eq_st_write(path, &f, &err));
    assert_ok(eq_st_read(path, &back, &err));
    assert_int_equal(back.n, f.n);
    assert_int_equal(back.n_meta, 300);
    for (size_t i = 0; i < f.n; i++) {
        const struct eq_tensor *t = eq_st_find(&back, f.tensors[i].name);
        assert_non_null(t);
        assert_true(t->dtype == f.tensors[i].value.dtype && eq_tensor_same_shape(t, &f.tensors[i].value));
        assert_memory_equal(t->data, f.tensors[i].value.data, eq_tensor_bytes(t));
    }
    assert_string_equal(eq_st_meta(&back, "k299"), "value 299%");
    assert_true(((uintptr_t)back.tensors[0].value.data - (uintptr_t)back.buffer) % 8 ==
                0); /* other readers map the data */
    eq_st_clear(&f);
    eq_st_clear(&back);
    unlink(path);
    struct eq_st_file empty = {0};
    assert_refused(eq_st_write("/nowhere/x.safetensors", &empty, &err), EQ_IO, "/nowhere/x.safetensors");
}

/* The linker puts this in front of fwrite (tests/CMakeLists.txt). A bit of the call that is counted down to 0 flips, as
 * in a faulty memory or disk. */
static int calls_until_flip = -1;

size_t __real_fwrite(const void *data, size_t size, size_t n, FILE *file);
size_t __wrap_fwrite(const void *data, size_t size, size_t n, FILE *file);

size_t __wrap_fwrite(const void *data, size_t size, size_t n, FILE *file)
{
    if (calls_until_flip < 0 || calls_until_flip-- > 0 || size * n == 0)
        return __real_fwrite(data, size, n, file);
    uint8_t *copy = malloc(size * n);
    memcpy(copy, data, size * n);
    copy[size * n / 2] ^= 1;
    size_t written = __real_fwrite(copy, size, n, file);
    free(copy);
    return written;
}

static void a_file_that_reads_back_differently_is_not_kept(void **state)
{
    (void)state;
    char folder[] = "/tmp/echoquant_st_XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = eq_path_join(folder, "m.safetensors"), **names, *old, *now;
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    struct eq_st_file f = {0};
    size_t n, old_len, now_len;
    eq_st_add(&f, "a", eq_tensor_view(EQ_F32, 2, (const size_t[]){2, 3}, values));
    eq_st_add(&f, "b", eq_tensor_view(EQ_F32, 1, (const size_t[]){6}, values));
    eq_st_add_meta(&f, "key", "text");
    assert_ok(eq_st_write(path, &f, &err));
    assert_ok(eq_read_file(path, 1 << 20, (void **)&old, &old_len, &err));
    for (int call = 0; call < 4; call++) { /* length, header, two tensors */
        calls_until_flip = call;
        assert_refused(eq_st_write(path, &f, &err), EQ_IO, "m.safetensors: the new file reads back differently");
        assert_int_equal(calls_until_flip, -1);
        assert_ok(eq_read_file(path, 1 << 20, (void **)&now, &now_len, &err));
        assert_int_equal(now_len, old_len);
        assert_memory_equal(now, old, now_len);
        eq_free(now);
        assert_ok(eq_list_dir(folder, &names, &n, &err));
        assert_int_equal(n, 1); /* no temporary file */
        eq_names_free(names, n);
    }
    eq_free(old);
    eq_st_clear(&f);
    unlink(path);
    rmdir(folder);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_what_the_format_says),
        cmocka_unit_test(other_dtypes_are_bytes),
        cmocka_unit_test(names_files_of_other_programs),
        cmocka_unit_test(refuses_malformed_twins),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(a_file_that_reads_back_differently_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
