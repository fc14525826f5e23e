/* history/<name>.csv: a header with the names of the columns, then a row of numbers for each epoch. */
#include "rundir/rundir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void eq_history_clear(struct eq_history *h)
{
    for (size_t i = 0; i < h->columns; i++)
        free(h->names[i]);
    free(h->names);
    free(h->values);
    *h = (struct eq_history){0};
}

/* *p: the rest of a line, up to `end`; steps over the field and its comma. free() the result; NULL after the last. */
static char *next_field(const char **p, const char *end)
{
    if (!*p)
        return NULL;
    const char *comma = memchr(*p, ',', (size_t)(end - *p)), *stop = comma ? comma : end;
    char *field = eq_format("%.*s", (int)(stop - *p), *p);
    *p = comma ? comma + 1 : NULL;
    return field;
}

/* As printf writes it: the start of a training has no rate and no loss, and a gradient may overflow. */
static bool parse_value(const char *field, double *out)
{
    bool negative = *field == '-';
    bool nan = strcmp(field + negative, "nan") == 0, infinite = strcmp(field + negative, "inf") == 0;
    if (!nan && !infinite)
        return eq_parse_double(field, out);
    *out = nan ? NAN : negative ? -INFINITY : INFINITY;
    return true;
}

static enum eq_status take_header(struct eq_history *h, const char *name, const char *p, const char *end,
                                  struct eq_err *err)
{
    for (char *field; (field = next_field(&p, end)) != NULL;) {
        h->names = eq_list_grow(h->names, h->columns, sizeof *h->names);
        h->names[h->columns++] = field;
        if (!*field || field[strspn(field, "abcdefghijklmnopqrstuvwxyz0123456789_")])
            return eq_fail(err, EQ_FORMAT, "%s:1: the name of column %zu is not one of a history", name, h->columns);
    }
    if (strcmp(h->names[0], "epoch") != 0)
        return eq_fail(err, EQ_FORMAT, "%s:1: the first column of a history is \"epoch\"", name);
    return EQ_OK;
}

static enum eq_status take_row(struct eq_history *h, const char *name, size_t line, const char *p, const char *end,
                               struct eq_err *err)
{
    size_t n = 0;
    for (char *field; (field = next_field(&p, end)) != NULL; n++) {
        double value;
        bool ok = n < h->columns && parse_value(field, &value);
        free(field);
        if (n >= h->columns)
            break;
        if (!ok || (n == 0 && !(value >= 0 && value <= EQ_HISTORY_MAX_EPOCH && value == floor(value))))
            return eq_fail(err, EQ_FORMAT, "%s:%zu: column %s is not a number", name, line, h->names[n]);
        h->values = eq_list_grow(h->values, h->rows * h->columns + n, sizeof *h->values);
        h->values[h->rows * h->columns + n] = value;
    }
    if (n != h->columns || p)
        return eq_fail(err, EQ_FORMAT, "%s:%zu: not the %zu columns of the header", name, line, h->columns);
    h->rows++;
    return EQ_OK;
}

enum eq_status eq_history_parse(const char *name, const char *text, size_t len, struct eq_history *out,
                                struct eq_err *err)
{
    const char *end = text + len;
    size_t line = 0;
    enum eq_status st;
    *out = (struct eq_history){0};
    if (len && memchr(text, '\0', len))
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: not a history: it has a NUL byte", name));
    for (const char *p = text, *next; p < end; p = next) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        next = newline ? newline + 1 : end;
        stop -= stop > p && stop[-1] == '\r';
        if (stop - p > EQ_HISTORY_MAX_LINE)
            EQ_TRY(eq_fail(err, EQ_FORMAT, "%s:%zu: the line is too long for a history", name, line + 1));
        EQ_TRY(line++ == 0 ? take_header(out, name, p, stop, err) : take_row(out, name, line, p, stop, err));
    }
    if (out->columns == 0)
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: the history is empty", name));
    return EQ_OK;
out:
    eq_history_clear(out);
    return st;
}

enum eq_status eq_history_read(const char *run_dir, const char *model, struct eq_history *out, struct eq_err *err)
{
    char *path = eq_format("%s/history/%s.csv", run_dir, model);
    void *text = NULL;
    size_t len = 0;
    enum eq_status st;
    bool there;
    *out = (struct eq_history){0};
    EQ_TRY(eq_path_look(path, &there, err));
    if (!there)
        goto out;
    EQ_TRY(eq_read_file(path, EQ_HISTORY_MAX_BYTES, &text, &len, err));
    EQ_TRY(eq_history_parse(path, text, len, out, err));
out:
    eq_free(text);
    free(path);
    return st;
}

double eq_history_last_epoch(const struct eq_history *h)
{
    return h->rows ? h->values[(h->rows - 1) * h->columns] : 0;
}
