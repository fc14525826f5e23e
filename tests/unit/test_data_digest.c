/* SHA-256 against its test vectors, and the seals of JSON files. */
#include "echoquant/data.h"
#include "unit/scratch_dir.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static struct eq_err err;

static void test_vectors(void **state)
{
    /* FIPS 180-4, examples of NIST. */
    static const struct {
        const char *text, *hex;
    } cases[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                 {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                 {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    char hex[EQ_SHA256_TEXT], *path = eq_path_join(dir, "file");
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eq_sha256(cases[i].text, strlen(cases[i].text), hex);
        assert_string_equal(hex, cases[i].hex);
        assert_int_equal(eq_write_file(path, cases[i].text, strlen(cases[i].text), &err), EQ_OK);
        assert_int_equal(eq_sha256_file(path, hex, &err), EQ_OK);
        assert_string_equal(hex, cases[i].hex);
    }
    /* A million times "a", which no single read of a file takes. */
    char *many = malloc(1000000);
    assert_non_null(many);
    memset(many, 'a', 1000000);
    assert_int_equal(eq_write_file(path, many, 1000000, &err), EQ_OK);
    assert_int_equal(eq_sha256_file(path, hex, &err), EQ_OK);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(many);
    free(path);
    assert_int_equal(eq_sha256_file("/nonexistent/file", hex, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "/nonexistent/file"));
    assert_int_equal(eq_sha256_file(dir, hex, &err), EQ_IO); /* a folder */
    assert_string_equal(hex, "");
}

static enum eq_seal seal_of(const char *path)
{
    enum eq_seal seal;
    assert_int_equal(eq_seal_check(path, &seal, &err), EQ_OK);
    return seal;
}

static void a_seal_covers_every_byte(void **state)
{
    char *path = eq_path_join(dir, "sealed.json");
    struct cJSON *json = cJSON_Parse("{\"a\": [1, 2.5], \"b\": {\"seal\": \"not this one\"}, \"c\": \"\\u00e9\"}");
    void *data;
    size_t len;
    (void)state;
    assert_int_equal(eq_sealed_write(path, json, &err), EQ_OK);
    assert_int_equal(seal_of(path), EQ_SEAL_HOLDS);
    assert_int_equal(eq_sealed_write(path, json, &err), EQ_OK); /* replaces the seal */
    assert_int_equal(seal_of(path), EQ_SEAL_HOLDS);
    cJSON_Delete(json);
    assert_int_equal(eq_read_file(path, 4096, &data, &len, &err), EQ_OK);
    char *bytes = data;
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 1;
        assert_int_equal(eq_write_file(path, bytes, len, &err), EQ_OK);
        assert_int_not_equal(seal_of(path), EQ_SEAL_HOLDS);
        bytes[i] ^= 1;
    }
    bytes[len] = '\n';
    assert_int_equal(eq_write_file(path, bytes, len + 1, &err), EQ_OK);
    assert_int_equal(seal_of(path), EQ_SEAL_BROKEN);
    assert_int_equal(eq_write_file(path, "{\"a\": 1}\n", 9, &err), EQ_OK);
    assert_int_equal(seal_of(path), EQ_SEAL_NONE);
    eq_free(data);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_vectors, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(a_seal_covers_every_byte, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
