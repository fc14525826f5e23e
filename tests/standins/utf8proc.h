/* Stand-in for utf8proc's header: what the library uses. See standins.c. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

typedef uint8_t utf8proc_uint8_t;
typedef int32_t utf8proc_int32_t;
typedef ssize_t utf8proc_ssize_t;
typedef enum {
    UTF8PROC_NULLTERM = 1,
    UTF8PROC_STABLE = 2,
    UTF8PROC_COMPOSE = 8,
    UTF8PROC_CASEFOLD = 1024
} utf8proc_option_t;

#define UTF8PROC_ERROR_NOMEM -1

utf8proc_ssize_t utf8proc_iterate(const utf8proc_uint8_t *text, utf8proc_ssize_t n, utf8proc_int32_t *code);
utf8proc_ssize_t utf8proc_encode_char(utf8proc_int32_t code, utf8proc_uint8_t *out);
utf8proc_ssize_t utf8proc_map(const utf8proc_uint8_t *text, utf8proc_ssize_t n, utf8proc_uint8_t **out, int options);
