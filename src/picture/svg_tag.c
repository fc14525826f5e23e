/* A tag of an SVG, read in place. */
#include "picture/svg.h"

#include <ctype.h>

struct eq_span eq_span_digits(struct eq_span a)
{
    size_t n = 0;
    while (n < a.len && a.s[n] >= '0' && a.s[n] <= '9')
        n++;
    return (struct eq_span){a.s, n};
}

bool eq_span_is_one_of(struct eq_span a, const char *const *list)
{
    while (*list && !eq_span_is(a, *list))
        list++;
    return *list != NULL;
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && isspace((unsigned char)*p))
        p++;
    return p;
}

const char *eq_svg_read_tag(const char *p, const char *end, struct eq_svg_tag *t)
{
    *t = (struct eq_svg_tag){.is_end = p < end && *p == '/'};
    p += t->is_end;
    t->name.s = p;
    while (p < end && isalnum((unsigned char)*p))
        p++;
    t->name.len = (size_t)(p - t->name.s);
    while (t->name.len > 0 && (p = skip_blanks(p, end)) < end) {
        struct eq_svg_attribute a = {.name.s = p};
        if (*p == '>')
            return p + 1;
        if (*p == '/') {
            t->is_empty = true;
            p++;
            continue;
        }
        while (p < end && (isalnum((unsigned char)*p) || *p == '-' || *p == ':' || *p == '_'))
            p++;
        a.name.len = (size_t)(p - a.name.s);
        p = skip_blanks(p, end);
        if (a.name.len == 0 || p >= end || *p != '=')
            return NULL;
        p = skip_blanks(p + 1, end);
        if (p >= end || (*p != '"' && *p != '\''))
            return NULL;
        a.value.s = p + 1;
        const char *quote = memchr(p + 1, *p, (size_t)(end - p - 1));
        if (!quote || t->n == EQ_SVG_MAX_ATTRIBUTES)
            return NULL;
        a.value.len = (size_t)(quote - a.value.s);
        t->list[t->n++] = a;
        p = quote + 1;
    }
    return NULL;
}

struct eq_span eq_svg_value(const struct eq_svg_tag *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (eq_span_is(t->list[i].name, name))
            return t->list[i].value;
    return (struct eq_span){0};
}
