/* gnuplot's SVG, read tag by tag and written again: only elements and attributes that draw, each group only where it
 * changes something. What is left has a third of the size, runs nothing and loads nothing. */
#include "picture/picture.h"
#include "picture/svg.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool same(struct eq_span a, struct eq_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

/* Attributes that elements inherit. A group that sets one to what it is already says nothing. */
static const char *const inherited[] = {"fill",           "stroke",          "color",           "stroke-width",
                                        "stroke-linecap", "stroke-linejoin", "fill-opacity",    "font-family",
                                        "font-size",      "text-anchor",     "shape-rendering", NULL};
/* What gnuplot sets in every group, and so the root once. */
static const char *const usual[] = {
    "none", "currentColor", "black", "1.00", "butt", "miter", "", "Helvetica,Arial,sans-serif", "13.00", "", ""};
enum { INHERITED = sizeof inherited / sizeof *inherited - 1, MAX_DEPTH = 32, DOTS_IN_PATH = 25 };

/* An open group. */
struct level {
    struct eq_span now[INHERITED]; /* in it */
    struct eq_svg_tag tag;
    bool is_open;  /* its tag has been written */
    bool is_group; /* false: text or defs, written at once */
};

struct writer {
    const struct eq_picture *of;
    const char *id;
    struct eq_str *out;
    struct level levels[MAX_DEPTH];
    int depth;              /* 0: outside the root */
    int skipping;           /* elements that are left out, with all in them, down to here */
    struct eq_span point;   /* of the group that stands for it: its number; len 0: none */
    struct eq_span dots[2]; /* color and opacity of the dots that stand in an open group; len 0: none */
    int dots_in_path;       /* those of the path that is being written */
    double dot_r, width, height;
    bool has_root, is_closed;
};

/* "<name attributes>" */
static void add_tag(const struct writer *w, const struct eq_svg_tag *t)
{
    eq_str_add(w->out, "<%.*s", (int)t->name.len, t->name.s);
    for (int i = 0; i < t->n; i++)
        if (!(w->id && eq_span_is(t->name, "g") && eq_span_is(t->list[i].name, "id"))) /* nothing refers to a group */
            eq_svg_add_attribute(w->out, w->id, &t->list[i]);
    eq_str_add(w->out, ">");
}

/* The attributes that change what holds around the element. Updates now. */
static void keep_changes(struct eq_svg_tag *t, struct eq_span *now)
{
    int n = 0;
    for (int i = 0; i < t->n; i++) {
        int k = 0;
        const struct eq_span *v = &t->list[i].value;
        while (inherited[k] && !eq_span_is(t->list[i].name, inherited[k]))
            k++;
        if (inherited[k] && same(now[k], *v))
            continue;
        if (inherited[k])
            now[k] = *v;
        t->list[n++] = t->list[i];
    }
    t->n = n;
}

/* ---- elements -------------------------------------------------------------- */

static void end_path(struct writer *w)
{
    if (w->dots_in_path)
        eq_str_add(w->out, "\"/>\n");
    w->dots_in_path = 0;
}

static void end_dots(struct writer *w)
{
    end_path(w);
    if (w->dots[0].len)
        eq_str_add(w->out, "</g>\n");
    w->dots[0].len = 0;
}

/* Whether a tag has an attribute that draws. */
static bool says_something(const struct writer *w, const struct eq_svg_tag *t)
{
    size_t before = w->out->len;
    for (int i = 0; i < t->n; i++)
        if (!(eq_span_is(t->list[i].name, "id") && w->id))
            eq_svg_add_attribute(w->out, w->id, &t->list[i]);
    bool any = w->out->len > before;
    w->out->len = before;
    if (w->out->s)
        w->out->s[before] = '\0';
    return any;
}

/* Before anything is drawn: the groups around it. */
static void open_levels(struct writer *w)
{
    end_dots(w);
    for (int i = 1; i <= w->depth; i++) {
        struct level *l = &w->levels[i];
        if (l->is_open || !l->is_group || !says_something(w, &l->tag))
            continue;
        add_tag(w, &l->tag);
        l->is_open = true;
    }
}

static void add_escaped(struct eq_str *out, const char *text)
{
    struct eq_str shown = {0};
    eq_str_add_shown(&shown, text);
    for (const char *p = shown.s; p && *p; p++)
        eq_str_add(out, *p == '&' ? "&amp;" : *p == '<' ? "&lt;" : *p == '"' ? "&quot;" : "%c", *p);
    eq_str_clear(&shown);
}

/* The text of the point that the group stands for; NULL: there is none. */
static const char *text_of_point(const struct writer *w)
{
    unsigned long number = w->point.len && w->point.len < 10 ? strtoul(w->point.s, NULL, 10) : ULONG_MAX;
    const char *text = w->of->points.s, *end = text ? text + w->of->points.len : text;
    for (; text < end && number > 0; number--)
        text += strlen(text) + 1;
    return text < end ? text : NULL;
}

/* Ends a shape, with the text of its point. */
static void end_shape(struct writer *w, struct eq_span name)
{
    const char *text = text_of_point(w);
    if (!text) {
        eq_str_add(w->out, "/>\n");
        return;
    }
    eq_str_add(w->out, "><title>");
    add_escaped(w->out, text);
    eq_str_add(w->out, "</title></%.*s>\n", (int)name.len, name.s);
}

/* gnuplot's filled circle at "translate(x,y) scale(r)", of which a picture may have thousands: a line without length in
 * a group of dots. Dots without a text share paths. False: it is another mark. */
static bool add_dot(struct writer *w, const struct eq_svg_tag *t)
{
    char text[64];
    double x, y, r;
    struct eq_span at = eq_svg_value(t, "transform"), look[2] = {eq_svg_value(t, "color"), eq_svg_value(t, "opacity")};
    if (!eq_span_is(eq_svg_value(t, "xlink:href"), "#gpPt6") || !at.len || at.len >= sizeof text || !look[0].len)
        return false;
    memcpy(text, at.s, at.len);
    text[at.len] = '\0';
    if (sscanf(text, "translate(%lf,%lf) scale(%lf)", &x, &y, &r) != 3 ||
        !(r < 1e6 && x < 1e6 && x > -1e6 && y < 1e6 && y > -1e6 && r > 0))
        return false;
    for (int i = 0; i < 2; i++)
        if (w->dots[0].len && !same(look[i], w->dots[i]))
            end_dots(w);
    if (w->dots[0].len && w->dot_r != r)
        end_dots(w);
    if (!w->dots[0].len) {
        open_levels(w);
        w->dots[0] = look[0], w->dots[1] = look[1], w->dot_r = r;
        eq_str_add(w->out, "<g fill=\"none\" stroke-linecap=\"round\" stroke-width=\"%.3g\"", 2 * r);
        eq_svg_add_attribute(w->out, w->id, &(struct eq_svg_attribute){{"stroke", 6}, look[0]});
        if (look[1].len)
            eq_svg_add_attribute(w->out, w->id, &(struct eq_svg_attribute){{"stroke-opacity", 14}, look[1]});
        eq_str_add(w->out, ">\n");
    }
    bool has_text = text_of_point(w) != NULL;
    if (has_text || w->dots_in_path >= DOTS_IN_PATH)
        end_path(w);
    eq_str_add(w->out, w->dots_in_path ? "M%.4g,%.4gh0" : "<path d=\"M%.4g,%.4gh0", x, y);
    if (has_text) {
        eq_str_add(w->out, "\"");
        end_shape(w, (struct eq_span){"path", 4});
    } else {
        w->dots_in_path++;
    }
    return true;
}

static void add_shape(struct writer *w, struct eq_svg_tag *t)
{
    struct eq_span now[INHERITED];
    if (add_dot(w, t))
        return;
    open_levels(w);
    memcpy(now, w->levels[w->depth].now, sizeof now);
    keep_changes(t, now);
    eq_str_add(w->out, "<%.*s", (int)t->name.len, t->name.s);
    for (int i = 0; i < t->n; i++)
        eq_svg_add_attribute(w->out, w->id, &t->list[i]);
    end_shape(w, t->name);
}

/* The background of a file; a page has one of its own. */
static void add_paper(struct writer *w)
{
    if (w->id)
        return;
    open_levels(w);
    eq_str_add(w->out, "<rect width=\"%g\" height=\"%g\" fill=\"#ffffff\" stroke=\"none\"/>\n", w->width, w->height);
}

static bool enter(struct writer *w, const struct eq_svg_tag *t, bool is_group)
{
    if (w->depth + 1 >= MAX_DEPTH)
        return false;
    struct level *l = &w->levels[w->depth + 1];
    memcpy(l->now, w->levels[w->depth].now, sizeof l->now);
    l->tag = *t;
    keep_changes(&l->tag, l->now);
    l->is_group = is_group;
    l->is_open = !is_group;
    w->depth++;
    return true;
}

static bool begin_root(struct writer *w, const struct eq_svg_tag *t)
{
    struct eq_span box = eq_svg_value(t, "viewBox");
    char text[64];
    if (!box.len || box.len >= sizeof text)
        return false;
    memcpy(text, box.s, box.len);
    text[box.len] = '\0';
    if (sscanf(text, "0 0 %lf %lf", &w->width, &w->height) != 2 ||
        !(w->width >= 1 && w->width <= 10000 && w->height >= 1 && w->height <= 10000))
        return false;
    eq_str_add(w->out,
               w->id ? "<svg width=\"%g\" height=\"%g\" viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\""
                     : "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" "
                       "width=\"%g\" height=\"%g\" viewBox=\"0 0 %g %g\" role=\"img\">\n<title>",
               w->width, w->height, w->width, w->height);
    add_escaped(w->out, w->of->title.s ? w->of->title.s : w->of->name.s ? w->of->name.s : "");
    eq_str_add(w->out, w->id ? ". " : "</title>\n<desc>");
    add_escaped(w->out, w->of->alt.s ? w->of->alt.s : w->of->caption.s ? w->of->caption.s : "");
    eq_str_add(w->out, w->id ? "\">\n" : "</desc>\n");
    struct eq_svg_tag around = {.name = {"g", 1}};
    for (int k = 0; k < INHERITED; k++) {
        w->levels[0].now[k] = (struct eq_span){usual[k], strlen(usual[k])};
        if (*usual[k])
            around.list[around.n++] =
                (struct eq_svg_attribute){{inherited[k], strlen(inherited[k])}, w->levels[0].now[k]};
    }
    add_tag(w, &around);
    return w->has_root = true;
}

static bool begin_element(struct writer *w, struct eq_svg_tag *t)
{
    static const char *const shapes[] = {"path",     "use",  "circle",  "rect", "polygon",
                                         "polyline", "line", "ellipse", NULL};
    static const char *const holders[] = {"text", "tspan", "defs", "clipPath", NULL};
    struct eq_span hover = eq_svg_value(t, "onmousemove");
    if (!w->has_root)
        return eq_span_is(t->name, "svg") && !t->is_empty && begin_root(w, t);
    if (eq_span_is(t->name, "g") && t->is_empty)
        return true;
    if (eq_span_is(t->name, "g")) {
        static const char call[] = "gnuplot_svg.showHypertext(evt,'";
        if (hover.len > sizeof call && memcmp(hover.s, call, sizeof call - 1) == 0)
            w->point = eq_span_digits((struct eq_span){hover.s + sizeof call - 1, hover.len - (sizeof call - 1)});
        return enter(w, t, true);
    }
    bool is_shape = eq_span_is_one_of(t->name, shapes),
         in_shape = eq_span_is_one_of(w->levels[w->depth].tag.name, shapes);
    if (eq_span_is(t->name, "rect") && eq_span_is(eq_svg_value(t, "fill"), "#ffffff")) {
        add_paper(w);
    } else if (is_shape && t->is_empty) {
        if (!eq_span_is(t->name, "use") || eq_svg_value(t, "xlink:href").len)
            add_shape(w, t);
    } else if (!t->is_empty && ((is_shape && !in_shape) || eq_span_is_one_of(t->name, holders) ||
                                (eq_span_is(t->name, "title") && in_shape))) {
        open_levels(w); /* a shape that holds its title is one of a file that this function wrote */
        if (!enter(w, t, false))
            return false;
        add_tag(w, &w->levels[w->depth].tag);
        return true;
    }
    w->skipping = t->is_empty ? 0 : 1;
    return true;
}

static bool end_element(struct writer *w, const struct eq_svg_tag *t)
{
    if (w->depth == 0) {
        end_dots(w);
        w->is_closed = eq_span_is(t->name, "svg");
        if (w->is_closed)
            eq_str_add(w->out, "</g>\n</svg>\n");
        return w->is_closed;
    }
    struct level *l = &w->levels[w->depth];
    if (!same(l->tag.name, t->name))
        return false;
    if (l->is_open) {
        end_dots(w);
        eq_str_add(w->out, eq_span_is(t->name, "tspan") || eq_span_is(t->name, "title") ? "</%.*s>" : "</%.*s>\n",
                   (int)t->name.len, t->name.s);
    }
    w->point.len = 0;
    w->depth--;
    return true;
}

/* ---- reading --------------------------------------------------------------- */

/* Text of an element, as it is escaped already, but without what no text has. */
static void add_text(struct writer *w, const char *p, size_t len)
{
    struct eq_str raw = {0}, shown = {0};
    static const char *const holders[] = {"text", "tspan", "title", NULL};
    if (w->depth == 0 || !eq_span_is_one_of(w->levels[w->depth].tag.name, holders) || w->skipping || len == 0)
        return;
    eq_str_add_bytes(&raw, p, len);
    eq_str_add_shown(&shown, raw.s);
    for (const char *c = shown.s; c && *c; c++)
        eq_str_add(w->out, *c == '>' ? "&gt;" : *c == '"' ? "&quot;" : "%c", *c);
    eq_str_clear(&raw);
    eq_str_clear(&shown);
}

static bool rewrite(struct writer *w, const char *p, const char *end)
{
    while (p < end && !w->is_closed) {
        const char *open = memchr(p, '<', (size_t)(end - p));
        struct eq_svg_tag t;
        if (!open || open + 1 >= end)
            return false;
        add_text(w, p, (size_t)(open - p));
        p = open + 1;
        if (*p == '?' || *p == '!') {
            const char *close = memchr(p, '>', (size_t)(end - p));
            if (!close)
                return false;
            p = close + 1;
            continue;
        }
        if (!(p = eq_svg_read_tag(p, end, &t)))
            return false;
        if (w->skipping)
            w->skipping += t.is_end ? -1 : !t.is_empty;
        else if (!(t.is_end ? w->has_root && end_element(w, &t) : begin_element(w, &t)))
            return false;
    }
    return w->is_closed;
}

enum eq_status eq_picture_svg(const char *svg, size_t len, const struct eq_picture *of, const char *id,
                              struct eq_str *out, struct eq_err *err)
{
    size_t before = out->len;
    struct writer w = {.of = of, .id = id, .out = out};
    if (rewrite(&w, svg, svg + len))
        return EQ_OK;
    out->len = before;
    if (out->s)
        out->s[before] = '\0';
    return eq_fail(err, EQ_FORMAT, "%s.svg is no whole picture of gnuplot", of->name.s ? of->name.s : "it");
}
