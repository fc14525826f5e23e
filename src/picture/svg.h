/* A tag of an SVG, read in place, and its attributes as they are written. */
#ifndef PICTURE_SVG_H
#define PICTURE_SVG_H

#include "echoquant/base.h"

#include <string.h>

/* A piece of the input. */
struct eq_span {
    const char *s;
    size_t len;
};

static inline bool eq_span_is(struct eq_span a, const char *text)
{
    return a.len == strlen(text) && memcmp(a.s, text, a.len) == 0;
}

bool eq_span_is_one_of(struct eq_span a, const char *const *list); /* which NULL ends */
/* The digits that a begins with; the text need not end after a. */
struct eq_span eq_span_digits(struct eq_span a);

enum { EQ_SVG_MAX_ATTRIBUTES = 24 };
struct eq_svg_attribute {
    struct eq_span name, value;
};
struct eq_svg_tag {
    struct eq_span name;
    bool is_end, is_empty; /* </a>, <a/> */
    struct eq_svg_attribute list[EQ_SVG_MAX_ATTRIBUTES];
    int n;
};
/* Reads the tag that begins after "<". Returns what follows it. NULL: it is none, or has too many attributes. */
const char *eq_svg_read_tag(const char *p, const char *end, struct eq_svg_tag *t);
struct eq_span eq_svg_value(const struct eq_svg_tag *t, const char *name); /* len 0: it has none */
/* Appends an attribute, if it draws and its value is one that draws: no script, no address. id: put before identifiers,
 * and colors become those of the page; NULL: as they are. */
void eq_svg_add_attribute(struct eq_str *out, const char *id, const struct eq_svg_attribute *a);

#endif
