/* predictions/<name>.csv: FileName,Split,EF,Prediction, and Patient where the list has one. */
#include "echoquant/infer.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PREDICTIONS_BYTES ((size_t)256 << 20)

void eq_csv_add(struct eq_str *out, const char *text)
{
    struct eq_str utf8 = {0};
    eq_str_add_utf8(&utf8, text);
    if (strpbrk(utf8.s, ",\"\r\n")) {
        size_t size = csv_write(NULL, 0, utf8.s, utf8.len), at = out->len;
        eq_str_add(out, "%*s", (int)size, ""); /* room for it */
        csv_write(out->s + at, size, utf8.s, utf8.len);
    } else {
        eq_str_add_bytes(out, utf8.s, utf8.len);
    }
    eq_str_clear(&utf8);
}

enum eq_status eq_predictions_write(const char *path, const struct eq_evaluation *e, struct eq_err *err)
{
    struct eq_str text = {0};
    bool patients = false;
    for (size_t i = 0; i < e->n; i++)
        patients |= e->rows[i].patient != 0;
    eq_str_add(&text, "FileName,Split,EF,Prediction%s\n", patients ? ",Patient" : "");
    for (size_t i = 0; i < e->n; i++) {
        eq_csv_add(&text, e->rows[i].file_name);
        eq_str_add(&text, ",%s,%.9g,%.9g%s", eq_split_name(e->rows[i].split), e->rows[i].ef, e->rows[i].prediction,
                   patients ? "," : "");
        if (e->rows[i].patient)
            eq_str_add(&text, "%u", e->rows[i].patient);
        eq_str_add(&text, "\n");
    }
    enum eq_status st = eq_write_file(path, text.s, text.len, err);
    eq_str_clear(&text);
    return st;
}

/* The state of the callbacks of the CSV parser. */
struct reading {
    const char *path;
    struct eq_evaluation *out;
    struct eq_err *err;
    enum eq_status st;
    size_t line, cap;
    int column, columns; /* columns: of the header */
    struct eq_prediction row;
};

static void fail_at(struct reading *r, const char *what)
{
    if (r->st == EQ_OK)
        r->st = eq_fail(r->err, EQ_FORMAT, "%s:%zu: %s", r->path, r->line, what);
}

static void on_field(void *data, size_t len, void *ctx)
{
    struct reading *r = ctx;
    char *text = malloc(len + 1);
    if (!text) {
        r->st = eq_fail(r->err, EQ_NOMEM, "out of memory for %s", r->path);
        return;
    }
    if (len)
        memcpy(text, data, len);
    text[len] = '\0';
    int column = r->column++;
    if (r->line == 1) {
        static const char *const names[] = {"FileName", "Split", "EF", "Prediction", "Patient"};
        if (column >= 5 || strcmp(text, names[column]) != 0)
            fail_at(r, "the header is not FileName,Split,EF,Prediction[,Patient]");
    } else if (column == 0) {
        struct eq_str name = {0};
        eq_str_add_utf8(&name, text); /* files of version 0.1.0 may have others */
        free(r->row.file_name);
        r->row.file_name = name.s;
    } else if (column == 1) {
        int split = 0;
        while (split < EQ_SPLIT_COUNT && strcmp(text, eq_split_name((enum eq_split)split)) != 0)
            split++;
        if (split == EQ_SPLIT_COUNT)
            fail_at(r, "unknown split");
        r->row.split = (enum eq_split)split;
    } else if (column <= 3) {
        if (!eq_parse_double(text, column == 2 ? &r->row.ef : &r->row.prediction))
            fail_at(r, "not a number");
    } else if (column == 4 && text[0]) {
        int64_t patient;
        if (!eq_parse_int64(text, &patient) || patient < 1 || patient > UINT32_MAX)
            fail_at(r, "the patient is not a number from 1 on");
        else
            r->row.patient = (uint32_t)patient;
    }
    free(text);
}

static void on_row(int terminator, void *ctx)
{
    struct reading *r = ctx;
    (void)terminator;
    if (r->line == 1)
        r->columns = r->column;
    if (r->st == EQ_OK && (r->column < 4 || r->column != r->columns))
        fail_at(r, r->columns == 5 ? "a row has five columns" : "a row has four columns");
    if (r->st == EQ_OK && r->line > 1) {
        if (r->out->n == r->cap) {
            r->cap = r->cap ? 2 * r->cap : 256;
            struct eq_prediction *rows = realloc(r->out->rows, r->cap * sizeof *rows);
            if (!rows) {
                r->st = eq_fail(r->err, EQ_NOMEM, "out of memory for %s", r->path);
                return;
            }
            r->out->rows = rows;
        }
        r->out->rows[r->out->n++] = r->row;
        memset(&r->row, 0, sizeof r->row);
    }
    r->column = 0;
    r->line++;
}

enum eq_status eq_predictions_read(const char *path, struct eq_evaluation *out, struct eq_err *err)
{
    void *data = NULL;
    size_t len;
    struct csv_parser parser;
    struct reading r = {.path = path, .out = out, .err = err, .line = 1};
    memset(out, 0, sizeof *out);
    enum eq_status st = eq_read_file(path, MAX_PREDICTIONS_BYTES, &data, &len, err);
    if (st != EQ_OK)
        return st;
    if (csv_init(&parser, CSV_APPEND_NULL) != 0) {
        eq_free(data);
        return eq_fail(err, EQ_NOMEM, "out of memory for %s", path);
    }
    if (csv_parse(&parser, data, len, on_field, on_row, &r) != len)
        fail_at(&r, csv_strerror(csv_error(&parser)));
    csv_fini(&parser, on_field, on_row, &r);
    csv_free(&parser);
    eq_free(data);
    free(r.row.file_name);
    if (r.st != EQ_OK)
        eq_evaluation_clear(out);
    return r.st;
}

/* By name; rows with the same name in the order of the file. */
static int compare_rows(const void *a, const void *b)
{
    const struct eq_prediction *x = *(const struct eq_prediction *const *)a,
                               *y = *(const struct eq_prediction *const *)b;
    int order = strcmp(x->file_name, y->file_name);
    return order ? order : (x > y) - (x < y);
}

enum eq_status eq_evaluation_pair(const struct eq_evaluation *a, const struct eq_evaluation *b,
                                  const struct eq_prediction ***partners, struct eq_err *err)
{
    const struct eq_prediction **sorted = eq_alloc(b->n + 1, sizeof *sorted);
    *partners = eq_alloc(a->n + 1, sizeof **partners);
    if (!sorted || !*partners) {
        eq_free(sorted);
        eq_free(*partners);
        *partners = NULL;
        return eq_fail(err, EQ_NOMEM, "out of memory for pairing predictions");
    }
    for (size_t i = 0; i < b->n; i++)
        sorted[i] = &b->rows[i];
    qsort(sorted, b->n, sizeof *sorted, compare_rows);
    for (size_t i = 0; i < a->n; i++) {
        size_t lo = 0, hi = b->n;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (strcmp(sorted[mid]->file_name, a->rows[i].file_name) < 0)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo < b->n && strcmp(sorted[lo]->file_name, a->rows[i].file_name) == 0)
            (*partners)[i] = sorted[lo];
    }
    eq_free(sorted);
    return EQ_OK;
}
