/* picture: pictures by gnuplot, each of them a script, its data as CSV, and an SVG that a page can hold. */
#ifndef ECHOQUANT_PICTURE_H
#define ECHOQUANT_PICTURE_H

#include "echoquant/base.h"

/* ---- colors ---------------------------------------------------------------- */

/* A color has a name in scripts and pages, and a value on white and one on dark paper. Scripts and SVG files have those
 * on white; a page has variables of its style sheet, "--<name>", so that the setting of its reader chooses. Text colors
 * and series have a contrast of at least 4.5:1 against their paper. Series are also told apart by readers with any one
 * kind of color blindness, and by their dashes and marks (after Okabe and Ito, "Color Universal Design", 2008). */
#define EQ_PICTURE_COLORS(X)                                                                                           \
    X(paper, 0xffffff, 0x14181d)                                                                                       \
    X(ink, 0x1c2229, 0xe8ecf0)                                                                                         \
    X(soft, 0x4d5761, 0xaab4be)                                                                                        \
    X(axis, 0x7d8790, 0x7c8793)                                                                                        \
    X(wash, 0xf3f5f7, 0x1d232a)                                                                                        \
    X(grid, 0xe4e8ec, 0x2b323a)                                                                                        \
    X(band, 0xc6ced6, 0x4a545f)                                                                                        \
    X(s1, 0x0067a8, 0x5cb3ee)                                                                                          \
    X(s2, 0xc04a00, 0xff9a52)                                                                                          \
    X(s3, 0x007a5a, 0x35c79b)                                                                                          \
    X(s4, 0xa8447f, 0xeca0cb)                                                                                          \
    X(s5, 0x5a3fa6, 0xb3a2ff)                                                                                          \
    X(s6, 0x6b6000, 0xe3d34a)
enum { EQ_SERIES = 6 }; /* series 1 to 6: `ls 1` in a script is color s1 with its dash and mark */
/* Appends "--paper:#ffffff;--ink:..." for a style sheet. */
void eq_picture_css(bool dark, struct eq_str *out);

/* ---- making pictures --------------------------------------------------------- */

struct eq_picture {
    const char *kind;      /* borrowed: what shows it; eq_picture_add sets it to the first part of the name */
    struct eq_str name;    /* names its files */
    struct eq_str title;   /* above it */
    struct eq_str caption; /* below it: how to read it */
    struct eq_str alt;     /* what is seen, in numbers, for readers who do not see it */
    struct eq_str script;  /* begun by eq_picture_add: size, colors, style; the rest is the caller's */
    struct eq_str data;    /* CSV with a header, in which gnuplot finds columns by name */
    struct eq_str points;  /* texts, each followed by its NUL: of point N, which a script draws `with labels hypertext`
                              and the text N (from 0) */
    int width;             /* pixels */
    bool drawn;            /* there is an SVG */
};
/* Init with {0}. */
struct eq_pictures {
    struct eq_picture *list;
    size_t n;
    struct eq_str missing; /* why some have no SVG; empty when all have one */
};
/* A new picture of width x height pixels with the name <kind>, or <kind>_<model> unless model is NULL. The pointer is
 * valid until the next call. */
struct eq_picture *eq_picture_add(struct eq_pictures *all, const char *kind, const char *model, int width, int height);
/* Appends text that a script is to show, as a string of gnuplot: in quotes, without what would end it. Text of files
 * (names of layers, labels) must not stand in a script in any other way. */
void eq_script_text(struct eq_str *script, const char *text);
/* Appends a cell to a row of data: quoted where CSV needs it; empty for NaN. */
void eq_csv_text(struct eq_str *data, const char *text);
void eq_csv_real(struct eq_str *data, double value);
void eq_csv_end(struct eq_str *data); /* of a row */
/* Writes <name>.gp and <name>.csv into dir and runs gnuplot on all of them, in one process. What gnuplot cannot draw,
 * or all of them if it is not installed, is no error: all->missing says why. An SVG of an earlier time is removed. */
enum eq_status eq_pictures_draw(struct eq_pictures *all, const char *dir, struct eq_err *err);
void eq_pictures_clear(struct eq_pictures *all);

/* ---- SVG ----------------------------------------------------------------------- */

/* Appends an SVG that gnuplot wrote, without what gnuplot has in excess and without anything that runs or loads. What
 * of: its title and alternative text, and the texts of its points. id: NULL for a file of its own; otherwise for a page
 * that holds it, where ids begin with id and colors are variables. EQ_FORMAT: it is no SVG, or not whole; out is then
 * unchanged. */
enum eq_status eq_picture_svg(const char *svg, size_t len, const struct eq_picture *of, const char *id,
                              struct eq_str *out, struct eq_err *err);

#endif
