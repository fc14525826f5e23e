/* Any bytes as a name or a text from outside: as UTF-8 it comes back the same, what is shown has no control character,
 * and numbers are what they print as. */
#include "echoquant/base.h"
#include "fuzz.h"

#include <math.h>

static void check_numbers(const char *text)
{
    double real, back;
    int64_t whole, again;
    if (eq_parse_double(text, &real)) {
        struct eq_str printed = {0};
        require(isfinite(real));
        eq_str_add_real(&printed, real);
        require(eq_parse_double(printed.s, &back) && back == real);
        eq_str_clear(&printed);
    }
    if (eq_parse_int64(text, &whole)) {
        char *printed = eq_format("%lld", (long long)whole);
        require(eq_parse_int64(printed, &again) && again == whole);
        free(printed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_str utf8 = {0}, again = {0}, shown = {0}, wrapped = {0};
    char *text = eq_format("%.*s", (int)(size < 4096 ? size : 4096), (const char *)data);
    eq_str_add_utf8(&utf8, text);
    eq_str_add_utf8(&again, utf8.s);
    require(strcmp(utf8.s, again.s) == 0);
    eq_str_add_shown(&shown, text);
    for (const char *p = shown.s; *p; p++)
        require((unsigned char)*p >= ' ' && *p != 127);
    char *folded = eq_caseless(text), *twice = eq_caseless(utf8.s);
    require(strcmp(folded, twice) == 0);
    eq_str_add_wrapped(&wrapped, shown.s, 4, 40);
    check_numbers(text);
    free(folded);
    free(twice);
    free(text);
    eq_str_clear(&utf8);
    eq_str_clear(&again);
    eq_str_clear(&shown);
    eq_str_clear(&wrapped);
    return 0;
}
