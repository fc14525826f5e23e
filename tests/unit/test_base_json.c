/* JSON: errors with their place, cJSON's leniences closed, numbers that come back the same. */
#include "unit/cmocka_all.h"
#include "echoquant/base.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static enum eq_status parse(const char *text, cJSON **json, struct eq_err *err)
{
    return eq_json_parse(text, strlen(text), "c.json", json, err);
}

static void syntax_errors_name_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {
        {"", "c.json:1:1: JSON ends too early"},
        {"{\"a\": 1,\n \"b\": [1, 2\n", "c.json:3:1: JSON ends too early"},
        {"{\n  \"a\": 1\n  \"b\": 2\n}", "c.json:3:3: not valid JSON here: \"b\": 2"},
        {"{\"a\": tru}", "c.json:1:7: not valid JSON here: tru}"},
        {"[1, 2]\n\n x", "c.json:3:2: not valid JSON here: x"},
        {"{\"a\": 01}", "c.json:1:7: not valid JSON here: 01}"},
        {"[1, -0.5e-3, 2.]", "c.json:1:14: not valid JSON here: 2."},
        {"[-.5]", "c.json:1:2: not valid JSON here: -.5"},
        {"[1, 2", "c.json:1:6: JSON ends too early"},
        {"[1, 2}", "c.json:1:6: not valid JSON here: }"},
        {"[\"a\\\"1.\", \"b\tc\"]", "c.json:1:13: not valid JSON here: "},
        {"{\"a\": 1e999}", "c.json: a number is too large for a double"},
        {"{\"a\": 1,\n\"b\": 2, \"a\": 3}", "c.json: the key \"a\" comes twice"},
        {"{\"o\": [{\"x\": 1, \"x\": 1}]}", "c.json: the key \"x\" comes twice"},
        {"{\"\xe9\": 1, \"\xc3\xa9\": 2}", "c.json: the key \"\xc3\xa9\" comes twice"}, /* as they are written */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *json = (cJSON *)&json;
        struct eq_err err = {0};
        assert_int_equal(parse(cases[i].text, &json, &err), EQ_FORMAT);
        assert_null(json);
        if (strncmp(err.msg, cases[i].place, strlen(cases[i].place)) != 0)
            fail_msg("\"%s\" gave \"%s\"", cases[i].text, err.msg);
    }
}

static void bytes_need_no_terminator_and_may_hold_no_nul(void **state)
{
    (void)state;
    cJSON *json;
    struct eq_err err;
    assert_int_equal(eq_json_parse("[12]garbage", 4, "x", &json, &err), EQ_OK);
    assert_int_equal(cJSON_GetArraySize(json), 1);
    cJSON_Delete(json);
    assert_int_equal(eq_json_parse("[1\0,2]", 6, "x", &json, &err), EQ_FORMAT);
    assert_int_equal(eq_json_parse("[1]\0", 4, "x", &json, &err), EQ_FORMAT);
}

static bool comes_back(double value)
{
    cJSON *json = cJSON_CreateArray(), *again;
    cJSON_AddItemToArray(json, cJSON_CreateNumber(value));
    struct eq_str text = {0};
    assert_int_equal(eq_json_print(&text, json, NULL), EQ_OK);
    bool parsed = eq_json_parse(text.s, text.len, "printed", &again, NULL) == EQ_OK;
    double back = parsed ? cJSON_GetArrayItem(again, 0)->valuedouble : NAN;
    bool same = memcmp(&back, &value, sizeof value) == 0;
    if (!same)
        print_message("%.17g was written as %s", value, text.s);
    eq_str_clear(&text);
    cJSON_Delete(json);
    cJSON_Delete(again);
    return same;
}

static void numbers_round_trip_to_the_bit(void **state)
{
    (void)state;
    static const double edges[] = {0,     -0.0, 1,      -1,   0.1,  1.0 / 3, 0x1p53, 0x1p53 - 1, 0x1p-1022, 5e-324,
                                   1e308, 1e15, 123456, 1e-7, 5e20, 0.5,     100,    1e16 + 2,   2.5e-300,  -7.25};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        assert_true(comes_back(edges[i]));
    struct eq_rng r;
    eq_rng_init(&r, 1, EQ_RNG_TEST, 0, 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)eq_rng_u32(&r) << 32 | eq_rng_u32(&r);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            assert_true(comes_back(value));
        assert_true(comes_back(eq_rng_normal(&r)));
        assert_true(comes_back((float)eq_rng_normal(&r)));
    }
}

static void print_is_short_and_readable(void **state)
{
    (void)state;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "mae", 4.1);
    cJSON_AddNumberToObject(json, "frames", 16);
    cJSON_AddNumberToObject(json, "nan", NAN);
    cJSON *list = cJSON_AddArrayToObject(json, "list");
    cJSON_AddItemToArray(list, cJSON_CreateNumber(1));
    cJSON_AddItemToArray(list, cJSON_CreateTrue());
    cJSON *inner = cJSON_AddObjectToObject(json, "o");
    cJSON_AddStringToObject(inner, "q", "a\"\\\n\t\x01\xc3\xa9");
    cJSON_AddItemToObject(inner, "empty", cJSON_CreateArray());
    struct eq_str text = {0};
    assert_int_equal(eq_json_print(&text, json, NULL), EQ_OK);
    assert_string_equal(text.s, "{\n"
                                "  \"mae\": 4.1,\n"
                                "  \"frames\": 16,\n"
                                "  \"nan\": null,\n"
                                "  \"list\": [1, true],\n"
                                "  \"o\": {\n"
                                "    \"q\": \"a\\\"\\\\\\n\\t\\u0001\xc3\xa9\",\n"
                                "    \"empty\": []\n"
                                "  }\n"
                                "}\n");
    eq_str_clear(&text);
    cJSON_Delete(json);
}

static void texts_are_utf8(void **state)
{
    (void)state;
    cJSON *json = cJSON_CreateObject();
    struct eq_str text = {0};
    cJSON_AddStringToObject(json, "M\xfcller", "caf\xe9\x01");
    assert_int_equal(eq_json_print(&text, json, NULL), EQ_OK);
    assert_string_equal(text.s, "{\"M\xc3\xbcller\": \"caf\xc3\xa9\\u0001\"}\n");
    text.len = 0;
    assert_int_equal(eq_json_print_line(&text, json, NULL), EQ_OK);
    assert_string_equal(text.s, "{\"M\xc3\xbcller\":\"caf\xc3\xa9\\u0001\"}");
    eq_str_clear(&text);
    cJSON_Delete(json);
}

static void files_round_trip(void **state)
{
    (void)state;
    char dir[] = "/tmp/echoquant_json_XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = eq_path_join(dir, "r.json");
    cJSON *json, *again;
    struct eq_err err;
    assert_int_equal(parse("{\"a\": [1, 2, {\"b\": null}], \"c\": false}", &json, &err), EQ_OK);
    assert_int_equal(eq_json_write(path, json, &err), EQ_OK);
    assert_int_equal(eq_json_read(path, &again, &err), EQ_OK);
    assert_true(cJSON_Compare(json, again, true));
    cJSON_Delete(json);
    cJSON_Delete(again);
    assert_int_equal(eq_write_file(path, "{\"a\":\n 1,}", 10, NULL), EQ_OK);
    assert_int_equal(eq_json_read(path, &json, &err), EQ_FORMAT);
    assert_int_equal(strncmp(err.msg, path, strlen(path)), 0);
    assert_int_equal(strncmp(err.msg + strlen(path), ":2:", 3), 0);
    unlink(path);
    assert_int_equal(eq_json_read(path, &json, &err), EQ_IO);
    assert_null(json);
    rmdir(dir);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax_errors_name_their_place),
        cmocka_unit_test(bytes_need_no_terminator_and_may_hold_no_nul),
        cmocka_unit_test(numbers_round_trip_to_the_bit),
        cmocka_unit_test(print_is_short_and_readable),
        cmocka_unit_test(files_round_trip),
        cmocka_unit_test(texts_are_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
