/*
 * Text of unknown encoding. File names and lists are bytes; what is written for others (JSON, HTML, Markdown, CSV,
 * messages) is UTF-8. Bytes that are no UTF-8 come from Windows as a rule and are read as its Western code page, which
 * agrees with Latin-1 in all letters.
 */
#include "echoquant/base.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { REPLACEMENT = 0xfffd };

/* Windows-1252 where it differs from Latin-1; five places are empty. */
static const uint16_t windows_1252[32] = {
    0x20ac, REPLACEMENT, 0x201a,      0x0192, 0x201e,      0x2026,      0x2020, 0x2021,      0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152,      REPLACEMENT, 0x017d, REPLACEMENT, REPLACEMENT, 0x2018, 0x2019,      0x201c, 0x201d, 0x2022,
    0x2013, 0x2014,      0x02dc,      0x2122, 0x0161,      0x203a,      0x0153, REPLACEMENT, 0x017e, 0x0178};

/* The code point that *text begins with; moves *text past it. */
static int32_t next_code_point(const char **text)
{
    utf8proc_int32_t code;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)*text, -1, &code);
    if (n > 0) {
        *text += n;
        return code;
    }
    unsigned char byte = (unsigned char)*(*text)++;
    return byte >= 0x80 && byte < 0xa0 ? windows_1252[byte - 0x80] : byte;
}

static void add_code_point(struct eq_str *out, int32_t code)
{
    utf8proc_uint8_t bytes[4];
    eq_str_add_bytes(out, bytes, (size_t)utf8proc_encode_char(code, bytes));
}

/* Adds the printable ASCII that *text begins with, which is the same in every encoding; moves *text past it. */
static void add_ascii(struct eq_str *out, const char **text)
{
    const char *end = *text;
    while (*end >= ' ' && *end < 0x7f)
        end++;
    eq_str_add_bytes(out, *text, (size_t)(end - *text));
    *text = end;
}

void eq_str_add_utf8(struct eq_str *out, const char *text)
{
    for (add_ascii(out, &text); *text; add_ascii(out, &text))
        add_code_point(out, next_code_point(&text));
}

/* Controls (C0, DEL, C1), line and paragraph separators, and marks that reorder the text around them. */
static bool is_invisible(int32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void add_shown(struct eq_str *out, const char *text, bool lines)
{
    for (add_ascii(out, &text); *text; add_ascii(out, &text)) {
        int32_t code = next_code_point(&text);
        if (!is_invisible(code) || (lines && code == '\n'))
            add_code_point(out, code);
        else if (code == '\n' || code == '\r' || code == '\t')
            eq_str_add(out, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
        else
            eq_str_add(out, code < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)code);
    }
}

void eq_str_add_shown(struct eq_str *out, const char *text)
{
    add_shown(out, text, false);
}

void eq_str_add_lines(struct eq_str *out, const char *text)
{
    add_shown(out, text, true);
}

void eq_str_add_escaped(struct eq_str *out, const char *text)
{
    for (add_ascii(out, &text); *text; add_ascii(out, &text)) {
        int32_t code = next_code_point(&text);
        if (code == '\n' || !is_invisible(code))
            add_code_point(out, code);
        else
            eq_str_add(out, "\\u%04x", (unsigned)code);
    }
}

char *eq_caseless(const char *text)
{
    struct eq_str utf8 = {0};
    utf8proc_uint8_t *folded = NULL;
    eq_str_add_utf8(&utf8, text);
    utf8proc_ssize_t n;
    do
        n = utf8proc_map((const utf8proc_uint8_t *)utf8.s, 0, &folded,
                         UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
    while (n == UTF8PROC_ERROR_NOMEM && eq_memory_again(utf8.len * sizeof(int32_t)));
    if (n < 0)
        return utf8.s;
    eq_str_clear(&utf8);
    return (char *)folded;
}
