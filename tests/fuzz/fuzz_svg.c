/* Any bytes as an SVG of gnuplot: what is accepted is text of an SVG for a page and for a file, in which nothing runs
 * and nothing is loaded, and the file's is accepted again. */
#include "echoquant/picture.h"
#include "fuzz.h"

#include <ctype.h>

/* Only what begins a tag that draws stands after "<", and no attribute is left that names a script or another file. */
static void check(const char *svg)
{
    static const char *const tags[] = {"svg ", "g",       "path", "use",   "circle", "rect",     "polygon", "polyline",
                                       "line", "ellipse", "text", "tspan", "defs",   "clipPath", "title>",  "desc>"};
    for (const char *p = svg; (p = strchr(p, '<')) != NULL;) {
        bool known = *++p == '/';
        for (size_t i = 0; i < sizeof tags / sizeof *tags && !known; i++)
            known = strncmp(p, tags[i], strlen(tags[i])) == 0;
        require(known);
        const char *end = strchr(p, '>');
        require(end);
        bool quoted = false;
        for (const char *a = p; a < end && strncmp(p, "svg ", 4) != 0; a++) {
            quoted ^= *a == '"';
            require(quoted || !(isspace((unsigned char)a[0]) && a[1] == 'o' && a[2] == 'n'));
        }
    }
    for (const char *p = svg; (p = strstr(p, "href=\"")) != NULL;)
        require(*(p += 6) == '#');
    for (const char *p = svg; (p = strstr(p, "=\"url(")) != NULL;)
        require(*(p += 6) == '#');
    for (; *svg; svg++)
        require((unsigned char)*svg >= ' ' || *svg == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_picture of = {.kind = "any"};
    struct eq_str page = {0}, file = {0}, again = {0};
    eq_str_add(&of.title, "<title> & \"quotes\"");
    eq_str_add_bytes(&of.points, "first\0<second>", 15);
    enum eq_status st = eq_picture_svg((const char *)data, size, &of, "p1-", &page, NULL);
    require(eq_picture_svg((const char *)data, size, &of, NULL, &file, NULL) == st);
    require(st == EQ_OK || (st == EQ_FORMAT && page.len == 0 && file.len == 0));
    if (st == EQ_OK) {
        check(page.s);
        check(file.s);
        require(eq_picture_svg(file.s, file.len, &of, NULL, &again, NULL) == EQ_OK);
        check(again.s);
    }
    eq_str_clear(&of.title);
    eq_str_clear(&of.points);
    eq_str_clear(&page);
    eq_str_clear(&file);
    eq_str_clear(&again);
    return 0;
}
