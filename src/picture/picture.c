/* Pictures from their script and data to their SVG. */
#include "picture/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SVG_BYTES = 64 << 20 };

void eq_picture_css(bool dark, struct eq_str *out)
{
#define VARIABLE(name, light, dim) eq_str_add(out, "--%s:#%06x;", #name, dark ? dim : light);
    EQ_PICTURE_COLORS(VARIABLE)
}

/* What all scripts begin with. gnuplot reads one script after the other in one process, so each resets what the one
 * before has set. */
static const char style[] = "set encoding utf8\n"
                            "set datafile separator comma\n"
                            "set datafile columnheaders\n"
                            "faint(color) = '#70'.color[2:7]\n"
                            "set style line 1 lc rgb s1 lw 1.8 dt solid pt 7 ps 0.5\n"
                            "set style line 2 lc rgb s2 lw 1.8 dt (9,3) pt 9 ps 0.6\n"
                            "set style line 3 lc rgb s3 lw 1.8 dt (3,2) pt 5 ps 0.5\n"
                            "set style line 4 lc rgb s4 lw 1.8 dt (9,3,2,3) pt 13 ps 0.6\n"
                            "set style line 5 lc rgb s5 lw 1.8 dt (2,3) pt 6 ps 0.5\n"
                            "set style line 6 lc rgb s6 lw 1.8 dt (14,3,2,3,2,3) pt 8 ps 0.6\n"
                            "set border 3 lc rgb axis\n"
                            "set tics nomirror scale 0.6 tc rgb soft\n"
                            "set grid lc rgb grid lt 1 lw 1\n"
                            "set key outside top left horizontal Left reverse samplen 2.4 spacing 1.1 tc rgb ink\n"
                            "set xlabel tc rgb ink\nset ylabel tc rgb ink\nset y2label tc rgb ink\n";

struct eq_picture *eq_picture_add(struct eq_pictures *all, const char *kind, const char *model, int width, int height)
{
    all->list = eq_list_grow(all->list, all->n, sizeof *all->list);
    struct eq_picture *p = &all->list[all->n++];
    p->kind = kind;
    p->width = width;
    eq_str_add(&p->name, "%s%s%s", kind, model ? "_" : "", model ? model : "");
    eq_str_add(&p->script,
               "reset\nset terminal svg noenhanced size %d,%d dynamic font 'Helvetica,Arial,sans-serif,13' background "
               "rgb 'white'\nset output '%s.svg'\n",
               width, height, p->name.s);
#define COLOR(name, light, dim) eq_str_add(&p->script, "%s = '#%06x'\n", #name, light);
    EQ_PICTURE_COLORS(COLOR)
    eq_str_add(&p->script, "%s", style);
    return p;
}

void eq_script_text(struct eq_str *script, const char *text)
{
    struct eq_str shown = {0};
    eq_str_add_shown(&shown, text);
    eq_str_add(script, "'");
    for (const char *p = shown.s; p && *p; p++)
        eq_str_add(script, *p == '\'' ? "''" : "%c", *p);
    eq_str_add(script, "'");
    eq_str_clear(&shown);
}

void eq_csv_text(struct eq_str *data, const char *text)
{
    if (data->len && data->s[data->len - 1] != '\n')
        eq_str_add(data, ",");
    if (!text[strcspn(text, ",\"\r\n")]) {
        eq_str_add(data, "%s", text);
        return;
    }
    eq_str_add(data, "\"");
    for (; *text; text++)
        eq_str_add(data, *text == '"' ? "%c\"" : "%c", *text);
    eq_str_add(data, "\"");
}

void eq_csv_real(struct eq_str *data, double value)
{
    char text[32] = "";
    if (!isnan(value))
        snprintf(text, sizeof text, "%.9g", value);
    eq_csv_text(data, text);
}

void eq_csv_end(struct eq_str *data)
{
    eq_str_add(data, "\n");
}

/* ---- drawing --------------------------------------------------------------- */

static enum eq_status write_parts(const struct eq_picture *p, const char *dir, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    char *svg = eq_format("%s/%s.svg", dir, p->name.s);
    unlink(svg);
    free(svg);
    for (int script = 0; script < 2 && st == EQ_OK; script++) {
        char *path = eq_format("%s/%s.%s", dir, p->name.s, script ? "gp" : "csv");
        struct eq_str text = {0};
        eq_str_add(&text, script ? "%sunset output\n" : "%s", script ? p->script.s : p->data.s ? p->data.s : "");
        st = eq_write_file(path, text.s, text.len, err);
        eq_str_clear(&text);
        free(path);
    }
    return st;
}

/* Replaces gnuplot's SVG, if there is a whole one, by what a reader needs of it. */
static enum eq_status tidy(struct eq_picture *p, const char *dir, struct eq_err *err)
{
    char *path = eq_format("%s/%s.svg", dir, p->name.s);
    void *text = NULL;
    struct eq_str svg = {0};
    size_t len;
    enum eq_status st;
    EQ_TRY(eq_path_look(path, &p->drawn, err));
    if (!p->drawn)
        goto out;
    EQ_TRY(eq_read_file(path, MAX_SVG_BYTES, &text, &len, err));
    p->drawn = eq_picture_svg(text, len, p, NULL, &svg, NULL) == EQ_OK;
    if (p->drawn)
        EQ_TRY(eq_write_file(path, svg.s, svg.len, err));
    else
        unlink(path);
out:
    eq_str_clear(&svg);
    eq_free(text);
    free(path);
    return st;
}

/* The picture at which gnuplot failed may lack a part, although its SVG is whole. It is the last one that has an
 * SVG. */
static void forget_last(struct eq_picture *list, size_t n, const char *dir)
{
    while (n > 0 && !list[n - 1].drawn)
        n--;
    if (n == 0)
        return;
    char *path = eq_format("%s/%s.svg", dir, list[n - 1].name.s);
    unlink(path);
    free(path);
    list[n - 1].drawn = false;
}

/* Runs gnuplot on the scripts of n pictures, and looks what there is afterward. *why: what it said; "" if it drew. */
static enum eq_status run(struct eq_picture *list, size_t n, const char *dir, struct eq_err *why, struct eq_err *err)
{
    const char **scripts = NULL;
    struct eq_str names = {0};
    for (size_t i = 0; i < n; i++) {
        eq_str_add(&names, "%s.gp", list[i].name.s);
        eq_str_add_bytes(&names, "", 1);
    }
    const char *name = names.s;
    for (size_t i = 0; i < n; i++, name += strlen(name) + 1) {
        scripts = eq_list_grow(scripts, i, sizeof *scripts);
        scripts[i] = name;
    }
    enum eq_status st = eq_gnuplot(dir, scripts, n, why);
    free(scripts);
    eq_str_clear(&names);
    if (st == EQ_NOMEM || st == EQ_INTERRUPTED)
        return eq_fail(err, st, "%s", why->msg);
    if (st == EQ_OK)
        *why = (struct eq_err){0};
    for (size_t i = 0; i < n && why->status != EQ_UNSUPPORTED; i++)
        EQ_CHECK(tidy(&list[i], dir, err));
    if (st != EQ_OK)
        forget_last(list, n, dir);
    return EQ_OK;
}

/* gnuplot ends at the first script that it cannot draw. Those after it get a process each. */
static enum eq_status run_singly(struct eq_pictures *all, const char *dir, struct eq_err *err)
{
    size_t drawn = 0;
    for (size_t i = 0; i < all->n; i++) {
        struct eq_picture *p = &all->list[i];
        struct eq_err why = {0};
        if (!p->drawn)
            EQ_CHECK(run(p, 1, dir, &why, err));
        drawn += p->drawn;
        if (!p->drawn)
            eq_str_add(&all->missing, "%s%s", all->missing.len ? "; " : "",
                       why.status != EQ_OK ? why.msg : "gnuplot drew nothing");
        if (!p->drawn && drawn == 0) /* it draws none at all */
            return EQ_OK;
    }
    return EQ_OK;
}

enum eq_status eq_pictures_draw(struct eq_pictures *all, const char *dir, struct eq_err *err)
{
    struct eq_err why = {0};
    bool whole = true;
    if (all->n == 0)
        return EQ_OK;
    for (size_t i = 0; i < all->n; i++)
        EQ_CHECK(write_parts(&all->list[i], dir, err));
    EQ_CHECK(run(all->list, all->n, dir, &why, err));
    if (why.status == EQ_UNSUPPORTED) {
        eq_str_add(&all->missing, "%s", why.msg);
        return EQ_OK;
    }
    for (size_t i = 0; i < all->n; i++)
        whole &= all->list[i].drawn;
    return whole ? EQ_OK : run_singly(all, dir, err);
}

void eq_pictures_clear(struct eq_pictures *all)
{
    for (size_t i = 0; i < all->n; i++) {
        struct eq_picture *p = &all->list[i];
        struct eq_str *const texts[] = {&p->name, &p->title, &p->caption, &p->alt, &p->script, &p->data, &p->points};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
            eq_str_clear(texts[t]);
    }
    free(all->list);
    eq_str_clear(&all->missing);
    *all = (struct eq_pictures){0};
}
