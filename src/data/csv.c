/* The CSV files that this program writes itself: fields out, rows in, by libcsv. */
#include "echoquant/data.h"

#include <csv.h>
#include <string.h>

void eq_csv_add(struct eq_str *out, const char *text)
{
    struct eq_str utf8 = {0};
    eq_str_add_utf8(&utf8, text);
    size_t len = utf8.len;
    bool trimmed = len && (strchr(" \t", utf8.s[0]) || strchr(" \t", utf8.s[len - 1])); /* by readers, unless quoted */
    if (trimmed || (len && strpbrk(utf8.s, ",\"\r\n"))) {
        size_t size = csv_write(NULL, 0, utf8.s, len), at = out->len;
        eq_str_add(out, "%*s", (int)size, ""); /* room for it */
        csv_write(out->s + at, size, utf8.s, len);
    } else if (len) {
        eq_str_add_bytes(out, utf8.s, len);
    }
    eq_str_clear(&utf8);
}

/* The state of the parser's callbacks. */
struct reading {
    const char *path, *header;
    eq_csv_row_fn take;
    void *ctx;
    struct eq_err *err;
    enum eq_status st;
    size_t line, n;
    struct eq_str text; /* the fields of a row, each with its NUL */
    size_t at[EQ_CSV_MAX_FIELDS];
};

static void fail_at(struct reading *r, const char *what)
{
    if (r->st == EQ_OK)
        r->st = eq_fail(r->err, EQ_FORMAT, "%s:%zu: %s", r->path, r->line, what);
}

static void on_field(void *data, size_t len, void *ctx)
{
    struct reading *r = ctx;
    if (r->n == EQ_CSV_MAX_FIELDS)
        fail_at(r, "too many columns");
    else if (len && memchr(data, '\0', len))
        fail_at(r, "a byte of value 0");
    if (r->st != EQ_OK)
        return;
    r->at[r->n++] = r->text.len;
    if (len)
        eq_str_add_bytes(&r->text, data, len);
    eq_str_add_bytes(&r->text, "", 1);
}

/* The first row has to be the header, which may end in more columns. */
static void take_header(struct reading *r)
{
    struct eq_str line = {0};
    for (size_t i = 0; i < r->n; i++)
        eq_str_add(&line, "%s,", r->text.s + r->at[i]);
    if (strncmp(line.s, r->header, strlen(r->header)) != 0 || line.s[strlen(r->header)] != ',')
        r->st = eq_fail(r->err, EQ_FORMAT, "%s:1: the header is not %s", r->path, r->header);
    eq_str_clear(&line);
}

static void on_row(int terminator, void *ctx)
{
    struct reading *r = ctx;
    const char *fields[EQ_CSV_MAX_FIELDS];
    (void)terminator;
    for (size_t i = 0; i < r->n; i++)
        fields[i] = r->text.s + r->at[i];
    if (r->st == EQ_OK && r->line == 1)
        take_header(r);
    else if (r->st == EQ_OK && (r->st = r->take(r->ctx, fields, r->n, r->err)) != EQ_OK)
        eq_err_context(r->err, "%s:%zu", r->path, r->line);
    r->n = r->text.len = 0;
    r->line++;
}

enum eq_status eq_csv_read(const char *path, const void *text, size_t len, const char *header, eq_csv_row_fn take,
                           void *ctx, struct eq_err *err)
{
    struct csv_parser parser;
    struct reading r = {.path = path, .header = header, .take = take, .ctx = ctx, .err = err, .line = 1};
    if (csv_init(&parser, 0) != 0)
        return eq_fail(err, EQ_NOMEM, "out of memory for %s", path);
    if (csv_parse(&parser, text, len, on_field, on_row, &r) != len) {
        if (csv_error(&parser) == CSV_ENOMEM)
            r.st = eq_fail(err, EQ_NOMEM, "%s:%zu: out of memory", path, r.line);
        else
            fail_at(&r, csv_strerror(csv_error(&parser)));
    }
    csv_fini(&parser, on_field, on_row, &r);
    csv_free(&parser);
    eq_str_clear(&r.text);
    if (r.st == EQ_OK && r.line == 1)
        r.st = eq_fail(err, EQ_FORMAT, "%s: empty; the header %s is missing", path, header);
    return r.st;
}
