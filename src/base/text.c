/* Growing strings, strict numbers, and the nearest word for "did you mean". */
#include "echoquant/base.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct eq_str *str, size_t more)
{
    size_t need;
    if (!eq_add_size(str->len, more, &need) || !eq_add_size(need, 1, &need))
        eq_memory_end(SIZE_MAX);
    if (need <= str->cap)
        return;
    size_t cap = str->cap < SIZE_MAX / 2 ? str->cap * 2 : need;
    if (cap < need)
        cap = need;
    if (cap < 64)
        cap = 64;
    str->s = eq_small(str->s, cap);
    str->cap = cap;
}

/* vsnprintf, which needs memory for wide fields. */
static int print(char *s, size_t size, const char *fmt, va_list args)
{
    for (;;) {
        va_list again;
        va_copy(again, args);
        int n = vsnprintf(s, size, fmt, again);
        va_end(again);
        if (n >= 0)
            return n;
        if (!eq_memory_again(BUFSIZ)) /* longer than INT_MAX */
            eq_memory_end(INT_MAX);
    }
}

void eq_str_vadd(struct eq_str *str, const char *fmt, va_list args)
{
    size_t room = str->cap - str->len;
    int n = print(room ? str->s + str->len : NULL, room, fmt, args);
    if ((size_t)n >= room) {
        reserve(str, (size_t)n);
        print(str->s + str->len, (size_t)n + 1, fmt, args);
    }
    str->len += (size_t)n;
}

void eq_str_add(struct eq_str *str, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(str, fmt, args);
    va_end(args);
}

char *eq_format(const char *fmt, ...)
{
    struct eq_str str = {0};
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(&str, fmt, args);
    va_end(args);
    return str.s;
}

void eq_str_add_real(struct eq_str *str, double value)
{
    char text[40];
    double back = 0;
    bool whole = value == floor(value) && fabs(value) < 0x1p53;
    snprintf(text, sizeof text, "%.0f", value);
    for (int digits = 1; !whole && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (eq_parse_double(text, &back) && back == value)
            break;
    }
    eq_str_add(str, "%s", text);
}

void eq_str_add_bytes(struct eq_str *str, const void *bytes, size_t n)
{
    reserve(str, n);
    if (n)
        memcpy(str->s + str->len, bytes, n);
    str->len += n;
    str->s[str->len] = '\0';
}

void *eq_list_grow(void *items, size_t n, size_t size)
{
    size_t bytes;
    if (!eq_mul_size(n + 1, size, &bytes))
        eq_memory_end(SIZE_MAX);
    char *grown = eq_small(items, bytes);
    memset(grown + n * size, 0, size);
    return grown;
}

void eq_str_clear(struct eq_str *str)
{
    free(str->s);
    *str = (struct eq_str){0};
}

/* Adds one line of text, n bytes, from column `at` on; its continuation lines begin at `column`. */
static void add_line(struct eq_str *str, const char *text, size_t n, int at, int column, int width)
{
    bool first = true; /* of an output line */
    for (const char *end = text + n; text < end; first = false) {
        const char *blank = memchr(text, ' ', (size_t)(end - text));
        int len = (int)((blank ? blank : end) - text);
        if (!first && at + 1 + len > width) {
            eq_str_add(str, "\n%*s", column, "");
            at = column;
            first = true;
        }
        eq_str_add(str, "%s%.*s", first ? "" : " ", len, text);
        at += len + !first;
        text += len;
        text += strspn(text, " ");
    }
    eq_str_add(str, "\n");
}

void eq_str_add_wrapped(struct eq_str *str, const char *text, int column, int width)
{
    for (bool first = true; *text; first = false) {
        size_t n = strcspn(text, "\n"), blanks = strspn(text, " ");
        int at = column + (int)blanks;
        if (n > 0)
            eq_str_add(str, "%*s", first ? (int)blanks : at, "");
        add_line(str, text + blanks, n - blanks, at, blanks ? at + 2 : column, width);
        text += n + (text[n] == '\n');
    }
}

char *eq_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(eq_small(NULL, size), s, size);
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    do
        c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    while (!c_locale && eq_memory_again(BUFSIZ));
}

bool eq_parse_double(const char *s, double *out)
{
    /* The character set excludes what strtod would accept beyond decimals: spaces, hexadecimal, inf and nan. */
    if (!s[0] || s[strspn(s, "0123456789+-.eE")])
        return false;
    pthread_once(&c_locale_once, make_c_locale);
    char *end;
    double value = strtod_l(s, &end, c_locale);
    if (*end || end == s || !isfinite(value))
        return false;
    *out = value;
    return true;
}

bool eq_parse_int64(const char *s, int64_t *out)
{
    if (!s[0] || s[strspn(s, "0123456789+-")])
        return false;
    errno = 0;
    char *end;
    long long value = strtoll(s, &end, 10);
    if (*end || end == s || errno == ERANGE)
        return false;
    *out = value;
    return true;
}

const char *eq_plural(double n)
{
    return n == 1 ? "" : "s";
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

size_t eq_edit_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    size_t *row = eq_small(NULL, (nb + 1) * sizeof *row);
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    size_t distance = row[nb];
    free(row);
    return distance;
}

const char *eq_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t len = strlen(word), best_distance = 2 + len / 4;
    const char *best = NULL;
    for (size_t i = 0; i < n; i++) {
        /* "frames" for "data.frames": the section is missing */
        const char *dot = strrchr(candidates[i], '.');
        bool is_name = dot && !strchr(word, '.') && strcmp(dot + 1, word) == 0;
        size_t other = strlen(candidates[i]), least = other > len ? other - len : len - other;
        if (!is_name && least >= best_distance)
            continue;
        size_t distance = is_name ? 1 : eq_edit_distance(word, candidates[i]);
        if (distance < best_distance) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}
