/* The attributes of an SVG that draw, with values that do nothing else. */
#include "echoquant/picture.h"
#include "picture/svg.h"

#include <ctype.h>
#include <stdlib.h>

/* ---- colors ---------------------------------------------------------------- */

static bool parse_color(struct eq_span v, unsigned *rgb)
{
    char text[32];
    unsigned r, g, b;
    if (!v.len || v.len >= sizeof text)
        return false;
    memcpy(text, v.s, v.len);
    text[v.len] = '\0';
    if (strcmp(text, "black") == 0)
        *rgb = 0;
    else if (strcmp(text, "white") == 0)
        *rgb = 0xffffff;
    else if (text[0] == '#' && v.len == 7 && strspn(text + 1, "0123456789abcdefABCDEF") == 6)
        *rgb = (unsigned)strtoul(text + 1, NULL, 16);
    else if (sscanf(text, "rgb(%u,%u,%u)", &r, &g, &b) == 3 && r < 256 && g < 256 && b < 256)
        *rgb = r << 16 | g << 8 | b;
    else
        return false;
    return true;
}

static void add_color(struct eq_str *out, const char *id, struct eq_span v)
{
    static const struct {
        const char *name;
        unsigned light;
    } colors[] = {
#define ROW(name, light, dim) {#name, light},
        EQ_PICTURE_COLORS(ROW)};
    unsigned rgb;
    if (!parse_color(v, &rgb)) {
        eq_str_add(out, eq_span_is(v, "currentColor") ? "currentColor" : "none");
        return;
    }
    for (size_t i = 0; i < sizeof colors / sizeof *colors && id; i++)
        if (rgb == colors[i].light || (rgb == 0 && strcmp(colors[i].name, "ink") == 0)) {
            eq_str_add(out, "var(--%s)", colors[i].name);
            return;
        }
    eq_str_add(out, "#%06x", rgb);
}

/* ---- attributes ------------------------------------------------------------ */

/* Numbers with at most so many digits after the point, of which no zeros at the end are left. Paths keep their
 * letters. */
static void add_numbers(struct eq_str *out, struct eq_span v, size_t digits)
{
    for (size_t i = 0; i < v.len;) {
        if (v.s[i] != '.') {
            bool space = isspace((unsigned char)v.s[i]) || v.s[i] == ',';
            size_t next = i + 1;
            while (space && next < v.len && isspace((unsigned char)v.s[next]))
                next++;
            if (!space || next < v.len)
                eq_str_add(out, "%c", space && v.s[i] != ',' ? ' ' : v.s[i]);
            i = next;
            continue;
        }
        size_t end = i + 1, keep;
        while (end < v.len && isdigit((unsigned char)v.s[end]))
            end++;
        keep = end - i > digits + 1 ? i + digits + 1 : end;
        while (keep > i + 1 && v.s[keep - 1] == '0')
            keep--;
        if (keep > i + 1)
            eq_str_add_bytes(out, v.s + i, keep - i);
        i = end;
    }
}

static bool is_clean(struct eq_span v, const char *beyond)
{
    for (size_t i = 0; i < v.len; i++)
        if (!isalnum((unsigned char)v.s[i]) && (!v.s[i] || !strchr(beyond, v.s[i])))
            return false;
    return v.len > 0;
}

/* Numbers, letters of a path and, in a transform, its functions: "url(" is none of them. */
static bool is_geometry(struct eq_span name, struct eq_span v)
{
    static const char *const functions[] = {"translate", "scale", "rotate", "matrix", "skewX", "skewY", NULL};
    if (!eq_span_is(name, "transform"))
        return is_clean(v, " \t\r\n.,-+");
    for (size_t i = 0, begin = 0; i < v.len; i++) {
        if (v.s[i] == '(' && !eq_span_is_one_of((struct eq_span){v.s + begin, i - begin}, functions))
            return false;
        if (!isalpha((unsigned char)v.s[i]))
            begin = i + 1;
    }
    return is_clean(v, " \t\r\n.,-+()");
}

void eq_svg_add_attribute(struct eq_str *out, const char *id, const struct eq_svg_attribute *a)
{
    static const char *const colors[] = {"fill", "stroke", "color", NULL};
    static const char *const numbers[] = {"d",
                                          "points",
                                          "transform",
                                          "x",
                                          "y",
                                          "x1",
                                          "x2",
                                          "y1",
                                          "y2",
                                          "cx",
                                          "cy",
                                          "r",
                                          "rx",
                                          "ry",
                                          "width",
                                          "height",
                                          "opacity",
                                          "fill-opacity",
                                          "stroke-width",
                                          "stroke-dasharray",
                                          "stroke-opacity",
                                          "font-size",
                                          NULL};
    static const char *const words[] = {"stroke-linecap", "stroke-linejoin", "text-anchor", "font-weight",
                                        "font-style",     "shape-rendering", NULL};
    const struct eq_span *name = &a->name, *v = &a->value;
    if (eq_span_is_one_of(*name, colors)) {
        eq_str_add(out, " %.*s=\"", (int)name->len, name->s);
        add_color(out, id, *v);
        eq_str_add(out, "\"");
    } else if (eq_span_is_one_of(*name, numbers) && is_geometry(*name, *v)) {
        eq_str_add(out, " %.*s=\"", (int)name->len, name->s);
        add_numbers(out, *v, id && (eq_span_is(*name, "d") || eq_span_is(*name, "points")) ? 1 : 2);
        eq_str_add(out, "\"");
    } else if (eq_span_is_one_of(*name, words) && is_clean(*v, "-")) {
        eq_str_add(out, " %.*s=\"%.*s\"", (int)name->len, name->s, (int)v->len, v->s);
    } else if (eq_span_is(*name, "id") && is_clean(*v, "_-.")) {
        eq_str_add(out, " id=\"%s%.*s\"", id ? id : "", (int)v->len, v->s);
    } else if (eq_span_is(*name, "xlink:href") && v->len > 1 && v->s[0] == '#' &&
               is_clean((struct eq_span){v->s + 1, v->len - 1}, "_-.")) {
        eq_str_add(out, " %s=\"#%s%.*s\"", id ? "href" : "xlink:href", id ? id : "", (int)v->len - 1, v->s + 1);
    } else if (eq_span_is(*name, "clip-path") && v->len > 6 && memcmp(v->s, "url(#", 5) == 0 &&
               v->s[v->len - 1] == ')' && is_clean((struct eq_span){v->s + 5, v->len - 6}, "_-.")) {
        eq_str_add(out, " clip-path=\"url(#%s%.*s\"", id ? id : "", (int)v->len - 5, v->s + 5);
    } else if (eq_span_is(*name, "font-family") && !id && is_clean(*v, " ,-")) {
        eq_str_add(out, " font-family=\"%.*s\"", (int)v->len, v->s);
    }
}
