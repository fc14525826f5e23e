/* predictions/<name>.csv: FileName,Split,EF,Prediction; Patient where the list has one; Frames,FPS where they are
 * known. */
#include "echoquant/infer.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PREDICTIONS_BYTES ((size_t)256 << 20)
#define HEADER "FileName,Split,EF,Prediction"
#define PATIENT ",Patient"
#define LENGTH ",Frames,FPS"
enum { FIXED_COLUMNS = 4 };

static void add_optional(struct eq_str *out, double value)
{
    eq_str_add(out, ",");
    if (value > 0)
        eq_str_add_real(out, value);
}

void eq_predictions_text(const struct eq_evaluation *e, struct eq_str *out)
{
    bool patients = false, lengths = false;
    for (size_t i = 0; i < e->n; i++) {
        patients |= e->rows[i].patient != 0;
        lengths |= e->rows[i].frames > 0 || e->rows[i].fps > 0;
    }
    eq_str_add(out, HEADER "%s%s\n", patients ? PATIENT : "", lengths ? LENGTH : "");
    for (size_t i = 0; i < e->n; i++) {
        const struct eq_prediction *row = &e->rows[i];
        eq_csv_add(out, row->file_name);
        eq_str_add(out, ",%s,%.9g,%.9g", eq_split_name(row->split), row->ef, row->prediction);
        if (patients)
            add_optional(out, row->patient);
        if (lengths)
            add_optional(out, row->frames);
        if (lengths)
            add_optional(out, row->fps);
        eq_str_add(out, "\n");
    }
}

enum eq_status eq_predictions_write(const char *path, const struct eq_evaluation *e, struct eq_err *err)
{
    struct eq_str text = {0};
    eq_predictions_text(e, &text);
    enum eq_status st = eq_write_file(path, text.s, text.len, err);
    eq_str_clear(&text);
    return st;
}

struct reading {
    struct eq_evaluation *out;
    size_t cap, columns;
    bool patients, lengths;
};

/* The optional fields of a row. */
static enum eq_status take_optional(const struct reading *r, const char *const *fields, struct eq_prediction *row,
                                    struct eq_err *err)
{
    int64_t patient = 0, frames = 0;
    const char *const *length = fields + r->patients;
    if (r->patients && fields[0][0] && (!eq_parse_int64(fields[0], &patient) || patient < 1 || patient > UINT32_MAX))
        return eq_fail(err, EQ_FORMAT, "the patient is not a number from 1 on");
    if (r->lengths && length[0][0] && (!eq_parse_int64(length[0], &frames) || frames < 1 || frames > INT32_MAX))
        return eq_fail(err, EQ_FORMAT, "the number of frames is not a number from 1 on");
    if (r->lengths && length[1][0] && (!eq_parse_double(length[1], &row->fps) || !(row->fps > 0)))
        return eq_fail(err, EQ_FORMAT, "the frame rate is not a number above 0");
    row->patient = (uint32_t)patient;
    row->frames = (int)frames;
    return EQ_OK;
}

static enum eq_status take_row(void *ctx, const char *const *fields, size_t n, struct eq_err *err)
{
    struct reading *r = ctx;
    struct eq_prediction row = {0};
    if (n != r->columns)
        return eq_fail(err, EQ_FORMAT, "a row has %zu columns instead of %zu", n, r->columns);
    EQ_CHECK(take_optional(r, fields + FIXED_COLUMNS, &row, err));
    if (!eq_split_named(fields[1], &row.split))
        return eq_fail(err, EQ_FORMAT, "unknown split");
    if (!eq_parse_double(fields[2], &row.ef) || !eq_parse_double(fields[3], &row.prediction))
        return eq_fail(err, EQ_FORMAT, "not a number");
    if (r->out->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 256;
        struct eq_prediction *rows = realloc(r->out->rows, r->cap * sizeof *rows);
        if (!rows)
            return eq_fail(err, EQ_NOMEM, "out of memory");
        r->out->rows = rows;
    }
    struct eq_str name = {0};
    eq_str_add_utf8(&name, fields[0]); /* files of version 0.1.0 may have others */
    row.file_name = name.s;
    r->out->rows[r->out->n++] = row;
    return EQ_OK;
}

enum eq_status eq_predictions_parse(const char *name, const void *text, size_t len, struct eq_evaluation *out,
                                    struct eq_err *err)
{
    static const char *const headers[] = {HEADER PATIENT LENGTH, HEADER PATIENT, HEADER LENGTH, HEADER};
    size_t h = 0;
    memset(out, 0, sizeof *out);
    while (h < 3 && !(len >= strlen(headers[h]) && memcmp(text, headers[h], strlen(headers[h])) == 0))
        h++;
    struct reading r = {.out = out, .patients = h <= 1, .lengths = h % 2 == 0};
    r.columns = FIXED_COLUMNS + (r.patients ? 1 : 0) + (r.lengths ? 2 : 0);
    enum eq_status st = eq_csv_read(name, text, len, headers[h], take_row, &r, err);
    if (st != EQ_OK)
        eq_evaluation_clear(out);
    return st;
}

enum eq_status eq_predictions_read(const char *path, struct eq_evaluation *out, struct eq_err *err)
{
    void *text = NULL;
    size_t len;
    memset(out, 0, sizeof *out);
    EQ_CHECK(eq_read_file(path, MAX_PREDICTIONS_BYTES, &text, &len, err));
    enum eq_status st = eq_predictions_parse(path, text, len, out, err);
    eq_free(text);
    return st;
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
