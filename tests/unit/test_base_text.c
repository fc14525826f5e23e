/* Errors, growing strings, strict numbers, the nearest word. */
#include "unit/cmocka_all.h"
#include "echoquant/base.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void errors_carry_status_and_text(void **state)
{
    (void)state;
    struct eq_err err;
    assert_int_equal(eq_fail(&err, EQ_FORMAT, "%s:%d: bad", "list.csv", 17), EQ_FORMAT);
    assert_int_equal(err.status, EQ_FORMAT);
    assert_string_equal(err.msg, "list.csv:17: bad");
    assert_int_equal(eq_err_context(&err, "reading %s", "data"), EQ_FORMAT);
    assert_string_equal(err.msg, "reading data: list.csv:17: bad");
    errno = ENOENT;
    assert_int_equal(eq_fail_errno(&err, "%s", "/nowhere"), EQ_IO);
    assert_string_equal(err.msg, "/nowhere: No such file or directory");
    assert_int_equal(eq_fail(NULL, EQ_NOMEM, "nobody listens"), EQ_NOMEM);
    assert_int_equal(eq_fail_errno(NULL, "nobody listens"), EQ_IO);
}

static void an_error_may_quote_itself_and_is_cut_at_its_size(void **state)
{
    (void)state;
    struct eq_err err;
    eq_fail(&err, EQ_IO, "inner");
    eq_fail(&err, EQ_FORMAT, "outer (%s)", err.msg);
    assert_string_equal(err.msg, "outer (inner)");
    char longer[3000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    eq_fail(&err, EQ_IO, "%s", longer);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    eq_err_context(&err, "head");
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_memory_equal(err.msg, "head: xxx", 9);
}

static void exit_codes(void **state)
{
    (void)state;
    assert_int_equal(eq_exit_code(EQ_OK), 0);
    assert_int_equal(eq_exit_code(EQ_USAGE), 2);
    assert_int_equal(eq_exit_code(EQ_INTERRUPTED), 130);
    static const enum eq_status failures[] = {EQ_IO, EQ_FORMAT, EQ_NOMEM, EQ_UNSUPPORTED, EQ_NUMERIC};
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        assert_int_equal(eq_exit_code(failures[i]), 1);
}

static void strings_grow(void **state)
{
    (void)state;
    struct eq_str s = {0};
    for (int i = 0; i < 1000; i++)
        eq_str_add(&s, "%d,", i);
    assert_int_equal(s.len, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(strlen(s.s), s.len);
    assert_memory_equal(s.s, "0,1,2,", 6);
    assert_string_equal(s.s + s.len - 8, "998,999,");
    eq_str_add_bytes(&s, "a\0b", 3);
    assert_memory_equal(s.s + s.len - 3, "a\0b", 4);
    eq_str_clear(&s);
    assert_null(s.s);
    eq_str_add_bytes(&s, NULL, 0);
    assert_string_equal(s.s, "");
    eq_str_clear(&s);
}

static void doubles_are_whole_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {"-1.5", -1.5}, {"+2", 2}, {"1e3", 1000}, {".5", 0.5}, {"5.", 5}, {"1E-400", 0}};
    static const char *const bad[] = {"",      " 1", "1 ", "abc", "1.5x", "0x10", "inf", "nan",  "1e",
                                      "1e999", "-",  ".",  "1,5", "1e-",  "1\n",  "--1", "1.2.3"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double v = -7;
        assert_true(eq_parse_double(good[i].text, &v));
        assert_true(v == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double v = -7;
        if (eq_parse_double(bad[i], &v) || v != -7)
            fail_msg("\"%s\" was taken for a number", bad[i]);
    }
}

static void integers_are_whole_strings(void **state)
{
    (void)state;
    int64_t v = -7;
    assert_true(eq_parse_int64("9223372036854775807", &v) && v == INT64_MAX);
    assert_true(eq_parse_int64("-9223372036854775808", &v) && v == INT64_MIN);
    assert_true(eq_parse_int64("+007", &v) && v == 7);
    static const char *const bad[] = {"", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808", "-", "+-1", "a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (eq_parse_int64(bad[i], &v) || v != 7)
            fail_msg("\"%s\" was taken for an integer", bad[i]);
}

/* A library that calls setlocale must not change what a config file means. */
static void numbers_ignore_the_locale(void **state)
{
    (void)state;
    static const char *const comma_locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    bool found = false;
    for (size_t i = 0; i < 4 && !found; i++)
        found = setlocale(LC_ALL, comma_locales[i]) != NULL;
    if (!found) {
        print_message("no locale with a decimal comma is installed here\n");
        skip();
    }
    double v;
    assert_true(eq_parse_double("1.5", &v) && v == 1.5);
    setlocale(LC_ALL, "C");
}

static void wrapped(const char *text, int column, int width, const char *wanted)
{
    struct eq_str s = {0};
    eq_str_add_wrapped(&s, text, column, width);
    assert_string_equal(s.s, wanted);
    eq_str_clear(&s);
}

static void lines_are_wrapped_at_blanks(void **state)
{
    (void)state;
    wrapped("ab cd ef", 0, 8, "ab cd ef\n");
    wrapped("ab cd ef", 0, 7, "ab cd\nef\n");
    wrapped("ab cd ef", 4, 9, "ab cd\n    ef\n");
    wrapped("a longer word", 2, 3, "a\n  longer\n  word\n"); /* a word is never cut */
    wrapped("one\n\ntwo\n", 0, 80, "one\n\ntwo\n");
    wrapped("is:\n  ab cd ef", 0, 7, "is:\n  ab cd\n    ef\n");
    wrapped("is:\nab", 2, 80, "is:\n  ab\n");
}

static void edit_distances(void **state)
{
    (void)state;
    assert_int_equal(eq_edit_distance("", ""), 0);
    assert_int_equal(eq_edit_distance("abc", ""), 3);
    assert_int_equal(eq_edit_distance("", "abc"), 3);
    assert_int_equal(eq_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(eq_edit_distance("flaw", "lawn"), 2);
}

static void plurals(void **state)
{
    (void)state;
    assert_string_equal(eq_plural(1), "");
    assert_string_equal(eq_plural(0), "s");
    assert_string_equal(eq_plural(2), "s");
    assert_string_equal(eq_plural(1.5), "s");
}

static void nearest_word(void **state)
{
    (void)state;
    static const char *const keys[] = {"data.frames", "data.size", "train.epochs", "train.lr", "seed"};
    assert_string_equal(eq_nearest("data.frame", keys, 5), "data.frames");
    assert_string_equal(eq_nearest("train.epoch", keys, 5), "train.epochs");
    assert_string_equal(eq_nearest("sed", keys, 5), "seed");
    assert_string_equal(eq_nearest("epochs", keys, 5), "train.epochs");
    assert_null(eq_nearest("quant.observer", keys, 5));
    assert_null(eq_nearest("x", keys, 5));
    assert_null(eq_nearest("seed", keys, 0));
}

static void expect_text(void (*add)(struct eq_str *out, const char *text), const char *text, const char *wanted)
{
    struct eq_str s = {0};
    add(&s, text);
    assert_string_equal(s.s ? s.s : "", wanted);
    eq_str_clear(&s);
}

static void any_bytes_become_utf8(void **state)
{
    (void)state;
    static const char *const whole[] = {"", "clip_1", "M\xc3\xbcller \xe2\x82\xac \xf0\x9f\xab\x80", "a\nb\x01"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        expect_text(eq_str_add_utf8, whole[i], whole[i]);
    expect_text(eq_str_add_utf8, "M\xfcller", "M\xc3\xbcller");
    expect_text(eq_str_add_utf8, "10 \x80", "10 \xe2\x82\xac");                   /* the euro sign of Windows */
    expect_text(eq_str_add_utf8, "\x81", "\xef\xbf\xbd");                         /* Windows has no such letter */
    expect_text(eq_str_add_utf8, "\xc3", "\xc3\x83");                             /* a sequence cut short */
    expect_text(eq_str_add_utf8, "\xe2\x82", "\xc3\xa2\xe2\x80\x9a");             /* another one */
    expect_text(eq_str_add_utf8, "\xc0\xaf", "\xc3\x80\xc2\xaf");                 /* "/" in two bytes is no UTF-8 */
    expect_text(eq_str_add_utf8, "\xed\xa0\x80", "\xc3\xad\xc2\xa0\xe2\x82\xac"); /* nor is half a pair */
    expect_text(eq_str_add_utf8, "\xf5", "\xc3\xb5");
}

static void controls_are_shown(void **state)
{
    (void)state;
    expect_text(eq_str_add_shown, "a\nb\r\tc", "a\\nb\\r\\tc");
    expect_text(eq_str_add_shown, "\033[2J\x7f", "\\x1b[2J\\x7f");
    expect_text(eq_str_add_shown,
                "\xc2\x9b"
                "31m",
                "\\x9b31m"); /* the escape sequence of one character */
    expect_text(eq_str_add_shown,
                "a\xe2\x80\xae"
                "iva.b",
                "a\\u202eiva.b"); /* turns what follows around */
    expect_text(eq_str_add_shown, "M\xfcller", "M\xc3\xbcller");
}

static void expect_alike(const char *a, const char *b, bool alike)
{
    char *x = eq_caseless(a), *y = eq_caseless(b);
    assert_int_equal(strcmp(x, y) == 0, alike);
    free(x);
    free(y);
}

static void spellings_of_a_name(void **state)
{
    (void)state;
    expect_alike("", "", true);
    expect_alike("Clip.AVI", "cLIP.avi", true);
    expect_alike("M\xc3\x9cLLER", "m\xc3\xbcller", true);
    expect_alike("M\xdcLLER", "m\xc3\xbcller", true);
    expect_alike("Mu\xcc\x88ller", "m\xc3\xbcller", true); /* u and a combining mark, as macOS writes it */
    expect_alike("Muller", "M\xc3\xbcller", false);
    expect_alike("clip1", "clip2", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_carry_status_and_text),
        cmocka_unit_test(an_error_may_quote_itself_and_is_cut_at_its_size),
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(strings_grow),
        cmocka_unit_test(doubles_are_whole_strings),
        cmocka_unit_test(integers_are_whole_strings),
        cmocka_unit_test(numbers_ignore_the_locale),
        cmocka_unit_test(lines_are_wrapped_at_blanks),
        cmocka_unit_test(edit_distances),
        cmocka_unit_test(plurals),
        cmocka_unit_test(nearest_word),
        cmocka_unit_test(any_bytes_become_utf8),
        cmocka_unit_test(controls_are_shown),
        cmocka_unit_test(spellings_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
