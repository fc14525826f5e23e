/* Texts, tables and sections that grow. */
#include "report/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void eq_texts_end(struct eq_texts *t)
{
    eq_str_add_bytes(&t->s, "", 1);
    t->n++;
}

void eq_texts_add(struct eq_texts *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(&t->s, fmt, args);
    va_end(args);
    eq_texts_end(t);
}

void eq_table_begin(struct eq_table *t, const char *const *header, int text_columns)
{
    t->text_columns = text_columns;
    for (t->columns = 0; header[t->columns]; t->columns++)
        eq_texts_add(&t->cells, "%s", header[t->columns]);
}

void eq_table_numbers(struct eq_table *t, const char *formats, ...)
{
    va_list args;
    va_start(args, formats);
    for (const char *p = formats; *p; p += *p == '|') {
        char one[32];
        size_t len = strcspn(p, "|");
        double value = va_arg(args, double);
        snprintf(one, sizeof one, "%.*s", (int)len, p);
        if (isnan(value))
            eq_texts_add(&t->cells, "-");
        else
            eq_texts_add(&t->cells, one, value);
        p += len;
    }
    va_end(args);
}

/* The columns of a table that stand side by side: the first, which names the row, then `from` up to `to`. */
struct part {
    int from, to;
};

static void print_rule(const struct eq_table *t, const int *width, const struct part *part, struct eq_str *out)
{
    eq_str_add(out, "|");
    for (int c = 0; c<part->to; c = c + 1> part->from ? c + 1 : part->from) {
        bool left = c < t->text_columns;
        eq_str_add(out, left ? ":" : "-");
        for (int i = 0; i < width[c]; i++)
            eq_str_add(out, "-");
        eq_str_add(out, left ? "-|" : ":|");
    }
    eq_str_add(out, "\n");
}

/* Cells on one line as UTF-8, with "|" escaped. */
static struct eq_texts escaped(const struct eq_texts *cells)
{
    struct eq_texts out = {0};
    EQ_EACH_TEXT(cell, cells)
    {
        struct eq_str shown = {0};
        eq_str_add_shown(&shown, cell);
        for (const char *p = shown.s; *p; p++)
            eq_str_add(&out.s, *p == '|' ? "\\%c" : "%c", *p);
        eq_texts_end(&out);
        eq_str_clear(&shown);
    }
    return out;
}

static void print_part(const struct eq_table *t, const struct eq_texts *cells, const int *width,
                       const struct part *part, struct eq_str *out)
{
    int row = 0, c = 0;
    EQ_EACH_TEXT(cell, cells)
    {
        if (c == 0 || (c >= part->from && c < part->to)) {
            eq_str_add(out, c == 0 ? "| " : " ");
            eq_str_add(out, c < t->text_columns ? "%-*s |" : "%*s |", width[c], cell);
        }
        c = (c + 1) % t->columns;
        if (c == 0)
            eq_str_add(out, "\n");
        if (c == 0 && row++ == 0)
            print_rule(t, width, part, out);
    }
}

void eq_table_print(const struct eq_table *t, int columns, struct eq_str *out)
{
    struct eq_texts cells = escaped(&t->cells);
    int *width = NULL, c = 0;
    for (int i = 0; i < t->columns; i++)
        width = eq_list_grow(width, (size_t)i, sizeof *width);
    EQ_EACH_TEXT(cell, &cells)
    {
        int len = (int)strlen(cell);
        width[c] = len > width[c] ? len : width[c];
        c = (c + 1) % t->columns;
    }
    struct part part = {.to = 1};
    do {
        part.from = part.to;
        if (part.from > 1)
            eq_str_add(out, "\n");
        int used = width[0] + 4; /* "| name |" */
        for (; part.to < t->columns; part.to++) {
            used += width[part.to] + 3;
            if (columns > 0 && used > columns && part.to > part.from)
                break;
        }
        print_part(t, &cells, width, &part, out);
    } while (part.to < t->columns);
    eq_str_clear(&cells.s);
    free(width);
}

struct eq_table *eq_section_table(struct eq_section *s)
{
    s->tables = eq_list_grow(s->tables, s->n_tables, sizeof *s->tables);
    return &s->tables[s->n_tables++];
}

void eq_section_clear(struct eq_section *s)
{
    for (size_t i = 0; i < s->n_tables; i++) {
        eq_str_clear(&s->tables[i].cells.s);
        eq_str_clear(&s->tables[i].caption);
    }
    free(s->tables);
    free(s->plots);
    free(s->strips);
    eq_str_clear(&s->title);
    eq_str_clear(&s->lines.s);
    eq_str_clear(&s->note);
    eq_str_clear(&s->brief);
    *s = (struct eq_section){0};
}
