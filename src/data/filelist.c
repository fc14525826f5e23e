/*
 * FileList.csv: libcsv splits the text into fields, a table of columns gives them a meaning, and each row becomes a
 * sample or a message "FileList.csv:17: ...". All rows are checked even after a bad one, so that the message can say
 * how many are bad. Columns are separated by commas, or, as Excel writes where the decimal sign is a comma, by
 * semicolons, or by tabs.
 */
#include "data/clip_find.h"
#include "data/dataset.h"
#include "data/folds.h"
#include "data/patients.h"
#include "data/seen.h"

#include <csv.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_COLUMNS 1024
#define MAX_FIELD_BYTES 4096
#define MAX_ROWS 10000000

enum column {
    COL_FILE_NAME,
    COL_EF,
    COL_SPLIT,
    COL_ESV,
    COL_EDV,
    COL_FPS,
    COL_HEIGHT,
    COL_WIDTH,
    COL_FRAMES,
    COL_PATIENT, /* of many names */
    COL_COUNT
};
static const char *const column_names[COL_COUNT] = {
    "FileName", "EF", "Split", "ESV", "EDV", "FPS", "FrameHeight", "FrameWidth", "NumberOfFrames", "patient"};

/* A file, whatever the names that lead to it. */
struct file_id {
    dev_t dev;
    ino_t ino;
    nlink_t links;
};

struct parser {
    const char *name;
    const struct eq_list_opts *opts;
    struct eq_clip_finder *finder; /* NULL: clips are not looked for */
    struct eq_dataset *ds;
    struct eq_err *err;
    enum eq_status st;     /* fatal: nothing more is read */
    enum eq_status bad;    /* of the first bad row */
    int column[COL_COUNT]; /* place in the row, -1: not there */
    size_t n_columns;      /* 0: the header has not come yet */
    struct eq_str text;    /* the fields of a row, each followed by a NUL */
    size_t start[MAX_COLUMNS], n_fields;
    bool too_many, too_long, has_nul;
    size_t line, row_line, rows, sample_cap; /* row_line: where the current row starts; 0: no row yet */
    char separator;
    struct eq_seen names, files; /* of the samples */
    struct file_id *ids;         /* [sample_cap] of the samples' files */
    struct eq_folds folds;
    struct eq_patients patients;
    struct eq_str patient_column; /* its name in the list */
};

static const char *field(const struct parser *p, enum column c)
{
    return p->text.s + p->start[p->column[c]];
}

/* Notes a row that can't be used as skipped, and returns false; the caller of the parser decides whether that is
 * fatal. */
static bool __attribute__((format(printf, 3, 4))) bad_row(struct parser *p, enum eq_status status, const char *fmt, ...)
{
    char why[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    struct eq_str reason = {0}, who = {0};
    eq_str_add_shown(&reason, p->name);
    eq_str_add(&reason, ":%zu: ", p->row_line);
    eq_str_add_shown(&reason, why);
    bool named = p->column[COL_FILE_NAME] >= 0 && (size_t)p->column[COL_FILE_NAME] < p->n_fields;
    if (named && field(p, COL_FILE_NAME)[0])
        eq_str_add_utf8(&who, field(p, COL_FILE_NAME));
    else
        eq_str_add(&who, "line %zu", p->row_line);
    if (p->bad == EQ_OK)
        p->bad = status;
    eq_dataset_note_skipped(p->ds, status, who.s, reason.s);
    eq_str_clear(&reason);
    eq_str_clear(&who);
    return false;
}

/* ---- the header ---------------------------------------------------------- */

static void header_missing(struct parser *p, const char *column, const char *why)
{
    struct eq_str have = {0};
    bool header = false;
    for (int c = 0; c < COL_COUNT; c++)
        header |= p->column[c] >= 0;
    if (!header) { /* a row, perhaps, whose fields are private */
        p->st = eq_fail(p->err, EQ_FORMAT,
                        "%s:%zu: no header: the first line has no column \"%.80s\" and none of %s, %s ...", p->name,
                        p->row_line, column, column_names[COL_EF], column_names[COL_SPLIT]);
        return;
    }
    for (size_t i = 0; i < p->n_fields && have.len < 300; i++)
        eq_str_add(&have, "%s%.60s", i ? ", " : "", p->text.s + p->start[i]);
    p->st = eq_fail(p->err, EQ_FORMAT, "%s:%zu: no column \"%.80s\"%s; the header has: %s", p->name, p->row_line,
                    column, why, have.s ? have.s : "");
    eq_str_clear(&have);
}

/* The patient column: the named one, or the first that looks like one. */
static void find_patient_column(struct parser *p)
{
    const char *wanted = p->opts->patient_column ? p->opts->patient_column : "auto";
    bool any = strcmp(wanted, "auto") == 0;
    if (strcmp(wanted, "none") == 0)
        return;
    for (size_t i = 0; i < p->n_fields; i++) {
        const char *name = p->text.s + p->start[i];
        if (any ? !eq_is_patient_column(name) : strcasecmp(name, wanted) != 0)
            continue;
        int first = p->column[COL_PATIENT];
        if (first < 0)
            p->column[COL_PATIENT] = (int)i;
        else if (any)
            eq_dataset_note(
                p->ds, EQ_FINDING_LIST,
                "the columns %.80s and %.80s both look like patients. The first is used; data.patient_column "
                "names another",
                p->text.s + p->start[first], name);
    }
    if (p->column[COL_PATIENT] >= 0)
        eq_str_add(&p->patient_column, "%.80s", p->text.s + p->start[p->column[COL_PATIENT]]);
    else if (!any)
        header_missing(p, wanted, " (data.patient_column)");
}

static void read_header(struct parser *p)
{
    p->n_columns = p->n_fields;
    for (size_t i = 0; i < p->n_fields; i++) {
        const char *name = p->text.s + p->start[i];
        for (int c = 0; c < COL_PATIENT; c++) {
            if (strcasecmp(name, column_names[c]) != 0)
                continue;
            if (p->column[c] >= 0) {
                p->st = eq_fail(p->err, EQ_FORMAT, "%s:%zu: the header has the column \"%s\" twice", p->name,
                                p->row_line, column_names[c]);
                return;
            }
            p->column[c] = (int)i;
        }
    }
    for (int c = COL_FILE_NAME; c <= COL_EF; c++) {
        if (p->column[c] < 0) {
            header_missing(p, column_names[c], "");
            return;
        }
    }
    p->ds->split_from_file = p->column[COL_SPLIT] >= 0;
    if (p->folds.mapping && !p->ds->split_from_file)
        header_missing(p, column_names[COL_SPLIT], " (data.val_folds and data.test_folds name folds of it)");
    else
        find_patient_column(p);
}

/* ---- a row --------------------------------------------------------------- */

static bool has_name(const void *items, uint32_t number, const void *key)
{
    const struct eq_sample *samples = items;
    return strcmp(samples[number].file_name, key) == 0;
}

static bool has_id(const void *items, uint32_t number, const void *key)
{
    const struct file_id *ids = items, *id = key;
    return ids[number].dev == id->dev && ids[number].ino == id->ino;
}

static uint64_t hash_id(const struct file_id *id)
{
    const uint64_t key[2] = {(uint64_t)id->dev, (uint64_t)id->ino};
    return eq_hash64(key, sizeof key);
}

static bool resolve_alike(const char *a, const char *b)
{
    char *x = eq_real_path(a), *y = eq_real_path(b);
    bool same = x && y && strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

/* The sample that has this file already, or NULL. Some network drives give two files one inode number, so a file
 * without hard links must also have the same path when links are followed. */
static const struct eq_sample *sample_of_file(const struct parser *p, const struct file_id *id, const char *path)
{
    uint32_t number;
    if (!path || !eq_seen_find(&p->files, hash_id(id), has_id, p->ids, id, &number))
        return NULL;
    const struct eq_sample *other = &p->ds->samples[number];
    return id->links > 1 || resolve_alike(other->path, path) ? other : NULL;
}

static const struct eq_sample *sample_of_name(const struct parser *p, const char *name)
{
    uint32_t number;
    return eq_seen_find(&p->names, eq_hash64(name, strlen(name)), has_name, p->ds->samples, name, &number)
               ? &p->ds->samples[number]
               : NULL;
}

/* "50,5" where columns are not separated by commas. */
static bool parse_number(const struct parser *p, const char *text, double *out)
{
    const char *comma = strchr(text, ',');
    char plain[64];
    if (p->separator == ',' || !comma || strpbrk(comma + 1, ",.") || strchr(text, '.') || strlen(text) >= sizeof plain)
        return eq_parse_double(text, out);
    snprintf(plain, sizeof plain, "%.*s.%s", (int)(comma - text), text, comma + 1);
    return eq_parse_double(plain, out);
}

/* "50 %" of a percentage is 50. */
static bool parse_percent(const struct parser *p, const char *text, double *out)
{
    size_t len = strlen(text);
    if (!len || text[len - 1] != '%')
        return false;
    char *number = eq_format("%.*s", (int)len - 1, text);
    for (size_t n = len - 1; n && number[n - 1] == ' '; n--)
        number[n - 1] = '\0';
    bool ok = parse_number(p, number, out);
    free(number);
    return ok;
}

/* A number or nothing (then *out keeps what it has). False: the row is noted as bad. */
static bool read_number(struct parser *p, enum column c, double lo, double hi, double *out)
{
    if (p->column[c] < 0 || field(p, c)[0] == '\0')
        return true;
    double value = 0.0;
    const char *text = field(p, c);
    bool percent = c == COL_EF && hi == 100.0 && parse_percent(p, text, &value);
    if (!percent && !parse_number(p, text, &value))
        return bad_row(p, EQ_FORMAT, "%s \"%.80s\" is not a number%s", column_names[c], text,
                       strchr(text, ',') ? " (decimals follow a point)" : "");
    if (value < lo || value > hi)
        return bad_row(p, EQ_FORMAT, "%s %.80s is outside %g..%g%s", column_names[c], text, lo, hi,
                       c == COL_EF && hi == 1.0 ? " (data.ef_unit = fraction)" : "");
    *out = value;
    return true;
}

static bool read_split(struct parser *p, enum eq_split *out)
{
    struct eq_err err;
    return p->column[COL_SPLIT] < 0 || eq_folds_read(&p->folds, field(p, COL_SPLIT), p->row_line, out, &err) == EQ_OK ||
           bad_row(p, EQ_FORMAT, "%s", err.msg);
}

static bool read_numbers(struct parser *p, struct eq_sample *s)
{
    double width = 0.0, height = 0.0, frames = 0.0;
    double whole = p->opts->ef_unit == EQ_EF_FRACTION ? 1.0 : 100.0;
    if (field(p, COL_EF)[0] == '\0')
        return bad_row(p, EQ_FORMAT, "EF is empty; write it in percent, or remove the row");
    if (!read_number(p, COL_EF, 0.0, whole, &s->ef) || !read_number(p, COL_ESV, 0.0, 1e6, &s->esv) ||
        !read_number(p, COL_EDV, 0.0, 1e6, &s->edv) || !read_number(p, COL_FPS, 0.0, 1e6, &s->fps) ||
        !read_number(p, COL_WIDTH, 0.0, 1e6, &width) || !read_number(p, COL_HEIGHT, 0.0, 1e6, &height) ||
        !read_number(p, COL_FRAMES, 0.0, 1e9, &frames))
        return false;
    if (whole == 1.0)
        s->ef *= 100.0;
    s->frame_width = (int)width;
    s->frame_height = (int)height;
    s->number_of_frames = (int)frames;
    return true;
}

/* A name must stay inside the data folder: a foreign list must not make us open other files. */
static bool name_is_inside(const char *name)
{
    if (name[0] == '/' || name[0] == '\\')
        return false;
    for (const char *part = name; part; part = strpbrk(part, "/\\")) {
        part += part[0] == '/' || part[0] == '\\';
        if (strncmp(part, "..", 2) == 0 && strchr("/\\", part[2])) /* or its end */
            return false;
    }
    return true;
}

/* As UTF-8, without .avi. */
static char *short_name(const char *name)
{
    struct eq_str utf8 = {0};
    eq_str_add_utf8(&utf8, name);
    if (utf8.len > 4 && strcasecmp(utf8.s + utf8.len - 4, ".avi") == 0)
        utf8.s[utf8.len - 4] = '\0';
    return utf8.s;
}

/* Looks for the file of a row and gives the sample its name. p1.avi and p1.AVI are two names where they are two files.
 * False: the row is noted as bad. */
static bool find_file(struct parser *p, struct eq_sample *s, struct file_id *id)
{
    const char *listed = field(p, COL_FILE_NAME);
    struct stat info;
    struct eq_err err;
    if (!name_is_inside(listed))
        return bad_row(p, EQ_FORMAT, "FileName \"%.200s\" leads out of the data folder", listed);
    if (p->finder && eq_clip_find(p->finder, listed, &s->path, &info, &err) != EQ_OK) {
        if (eq_err_is_of_system(&err) && p->st == EQ_OK) {
            p->st = err.status;
            if (p->err)
                *p->err = err; /* with its code */
        }
        return bad_row(p, err.status, "%s", err.msg);
    }
    if (s->path) {
        s->bytes = (uint64_t)info.st_size;
        *id = (struct file_id){info.st_dev, info.st_ino, info.st_nlink};
    }
    s->file_name = short_name(listed);
    const struct eq_sample *other = sample_of_file(p, id, s->path);
    const struct eq_sample *namesake = sample_of_name(p, s->file_name);
    if (other && other != namesake)
        return bad_row(p, EQ_FORMAT, "FileName \"%.200s\" is the same file as \"%.200s\" in line %zu", listed,
                       other->file_name, other->line);
    if (namesake && s->path && !other) {
        struct eq_str whole = {0};
        eq_str_add_utf8(&whole, listed);
        free(s->file_name);
        s->file_name = whole.s;
        namesake = sample_of_name(p, s->file_name);
    }
    return !namesake ||
           bad_row(p, EQ_FORMAT, "FileName \"%.200s\" is already in line %zu", s->file_name, namesake->line);
}

/* Takes the sample over, also on failure. */
static bool add_sample(struct parser *p, struct eq_sample *s, const struct file_id *id)
{
    size_t n = p->ds->n, cap = p->sample_cap;
    p->st = eq_dataset_add(p->ds, &p->sample_cap, s, p->err);
    if (p->st != EQ_OK) {
        free(s->file_name);
        free(s->path);
        return false;
    }
    if (p->sample_cap != cap) {
        struct file_id *ids = realloc(p->ids, p->sample_cap * sizeof *ids);
        p->ids = ids ? ids : p->ids;
        if (!ids)
            goto no_memory;
    }
    p->ids[n] = *id;
    if (eq_seen_add(&p->names, eq_hash64(s->file_name, strlen(s->file_name)), (uint32_t)n) &&
        (!s->path || eq_seen_add(&p->files, hash_id(id), (uint32_t)n)))
        return true;
no_memory:
    p->st = eq_fail(p->err, EQ_NOMEM, "%s: out of memory", p->name);
    return false;
}

/* Columns without a name at the end of a row, as spreadsheets leave them. */
static bool only_empty_fields_follow(const struct parser *p)
{
    for (size_t i = p->n_columns; i < p->n_fields; i++)
        if (p->text.s[p->start[i]])
            return false;
    return p->n_fields >= p->n_columns;
}

static bool read_row(struct parser *p)
{
    if (!only_empty_fields_follow(p))
        return bad_row(p, EQ_FORMAT, "%zu fields, but the header has %zu%s", p->n_fields, p->n_columns,
                       p->n_fields > p->n_columns ? " (a text with a separator in it needs quotes)" : "");
    struct eq_sample s = {.esv = NAN, .edv = NAN, .line = p->row_line};
    struct file_id id = {0};
    if (field(p, COL_FILE_NAME)[0] == '\0')
        return bad_row(p, EQ_FORMAT, "FileName is empty");
    if (!read_numbers(p, &s) || !read_split(p, &s.split))
        return false;
    if (!find_file(p, &s, &id)) {
        free(s.file_name);
        free(s.path);
        return false;
    }
    if (p->column[COL_PATIENT] >= 0)
        p->st = eq_patients_enter(&p->patients, field(p, COL_PATIENT), s.split, s.line, &s.patient, p->err);
    return add_sample(p, &s, &id);
}

/* ---- libcsv -------------------------------------------------------------- */

static void on_field(void *bytes, size_t len, void *ctx)
{
    struct parser *p = ctx;
    if (p->n_fields == MAX_COLUMNS) {
        p->too_many = true;
        return;
    }
    p->too_long |= len > MAX_FIELD_BYTES;
    p->has_nul |= len && memchr(bytes, '\0', len);
    p->start[p->n_fields++] = p->text.len;
    if (len <= MAX_FIELD_BYTES && len)
        eq_str_add_bytes(&p->text, bytes, len);
    eq_str_add_bytes(&p->text, "", 1);
}

/* Spreadsheets write rows that hold nothing but separators. */
static bool is_empty_row(const struct parser *p)
{
    for (size_t i = 0; i < p->n_fields; i++)
        if (p->text.s[p->start[i] + strspn(p->text.s + p->start[i], " \t")])
            return false;
    return !p->too_long && !p->has_nul;
}

/* Every line end comes here, that of an empty line too (CSV_REPALL_NL), and the end of the text. */
static void on_row(int terminator, void *ctx)
{
    struct parser *p = ctx;
    (void)terminator;
    if (p->st == EQ_OK && p->n_fields && !is_empty_row(p)) {
        if (p->too_many || p->too_long || p->has_nul)
            p->st = eq_fail(p->err, EQ_FORMAT, "%s:%zu: %s; is this a CSV file?", p->name, p->row_line,
                            p->too_many   ? "more than 1024 columns"
                            : p->too_long ? "a field longer than 4096 bytes (a missing quote?)"
                                          : "a NUL byte");
        else if (p->n_columns == 0)
            read_header(p);
        else if (++p->rows > MAX_ROWS)
            p->st = eq_fail(p->err, EQ_FORMAT, "%s: more than %d rows", p->name, MAX_ROWS);
        else
            read_row(p);
    }
    p->n_fields = 0;
    p->text.len = 0;
    p->too_many = p->too_long = p->has_nul = false;
    p->row_line = 0;
}

/* Length of the first line of text[len], its end ("\n", "\r" or "\r\n") included. */
static size_t line_length(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && text[n] != '\n' && text[n] != '\r')
        n++;
    if (n + 1 < len && text[n] == '\r' && text[n + 1] == '\n')
        n++;
    return n < len ? n + 1 : len;
}

/* Feeds libcsv line by line, so that a row knows the line that it starts in (a quoted field may span lines). */
static void feed(struct parser *p, struct csv_parser *csv, const char *text, size_t len)
{
    for (size_t at = 0, n; at < len && p->st == EQ_OK; at += n) {
        n = line_length(text + at, len - at);
        p->line++;
        if (p->row_line == 0)
            p->row_line = p->line;
        if (csv_parse(csv, text + at, n, on_field, on_row, p) != n) {
            p->st =
                csv_error(csv) == CSV_EPARSE
                    ? eq_fail(p->err, EQ_FORMAT, "%s:%zu: a stray quote; a field with quotes is \"like \"\"this\"\"\"",
                              p->name, p->line)
                    : eq_fail(p->err, EQ_NOMEM, "%s:%zu: %s", p->name, p->line, csv_strerror(csv_error(csv)));
            return;
        }
    }
    if (p->st == EQ_OK && csv_fini(csv, on_field, on_row, p) != 0)
        p->st = eq_fail(p->err, EQ_FORMAT, "%s:%zu: a quote opens here and never closes", p->name, p->row_line);
}

/* The separator is what the header's names are separated by: a comma if there is one outside of quotes. A first line
 * "sep=;" is Excel's way to say it; its length is added to *at. */
static char find_separator(struct parser *p, const char *text, size_t len, size_t *at)
{
    size_t n = line_length(text + *at, len - *at);
    if (n >= 5 && strncasecmp(text + *at, "sep=", 4) == 0 && strchr(",;\t", text[*at + 4])) {
        *at += n;
        p->line++;
        return text[*at - n + 4];
    }
    const char *c = text + *at, *end = text + len;
    while (c < end && *c && strchr(" \t\r\n", *c)) /* empty lines may come before the header */
        c++;
    bool quoted = false;
    char found = ',';
    for (; c < end && *c != '\n' && *c != '\r'; c++) {
        quoted ^= *c == '"';
        if (!quoted && *c == ',')
            return ',';
        if (!quoted && (*c == ';' || (*c == '\t' && found == ',')))
            found = *c;
    }
    return found;
}

/* What is odd about the EFs of the whole list. */
static void note_efs(struct eq_dataset *ds)
{
    double least = ds->samples[0].ef, most = least;
    size_t small = 0, line = 0;
    for (size_t i = 0; i < ds->n; i++) {
        const struct eq_sample *s = &ds->samples[i];
        least = s->ef < least ? s->ef : least;
        most = s->ef > most ? s->ef : most;
        if (s->ef > 0.0 && s->ef <= 1.0 && small++ == 0)
            line = s->line;
    }
    ds->ef_like_fraction = ds->n >= 3 && most > 0.0 && most <= 1.0;
    if (ds->ef_like_fraction)
        eq_dataset_note(ds, EQ_FINDING_EF_FRACTION,
                        "all %zu EFs lie within 0..1, so EF looks like a fraction. It is read as percent unless "
                        "data.ef_unit = fraction (--set data.ef_unit=fraction)",
                        ds->n);
    else if (small)
        eq_dataset_note(ds, EQ_FINDING_LIST,
                        "%zu of %zu EFs %s 1 %% or less, the first in line %zu. Are they fractions? EF is in percent",
                        small, ds->n, small == 1 ? "is" : "are", line);
    if (ds->n > 1 && least == most)
        eq_dataset_note(ds, EQ_FINDING_CONSTANT, "all %zu clips have the EF %g %%, so there is nothing to learn", ds->n,
                        least);
}

static void note_empty_splits(struct eq_dataset *ds)
{
    size_t clips[EQ_SPLIT_COUNT] = {0};
    struct eq_str names = {0};
    for (size_t i = 0; i < ds->n; i++)
        clips[ds->samples[i].split]++;
    for (int s = 0; s < EQ_SPLIT_COUNT; s++)
        if (!clips[s])
            eq_str_add(&names, "%s %s", names.len ? " and none in" : "no clip is in", eq_split_name((enum eq_split)s));
    if (names.len)
        eq_dataset_note(ds, EQ_FINDING_LIST, "%s; run-all needs clips in TRAIN, VAL and TEST", names.s);
    eq_str_clear(&names);
}

/* The checks after the last row. */
static enum eq_status conclude(struct parser *p)
{
    struct eq_dataset *ds = p->ds;
    if (p->n_columns == 0)
        return eq_fail(p->err, EQ_FORMAT, "%s: empty; it needs a header with FileName and EF", p->name);
    EQ_CHECK(eq_folds_conclude(&p->folds, p->name, p->err));
    if (ds->n_skipped && p->opts->on_error == EQ_ON_ERROR_FAIL) {
        if (ds->n_skipped == 1)
            return eq_fail(p->err, p->bad, "%s", ds->skipped[0].reason);
        return eq_fail(p->err, p->bad, "%s (and %zu more such rows)", ds->skipped[0].reason, ds->n_skipped - 1);
    }
    if (ds->n == 0)
        return eq_fail(p->err, EQ_FORMAT, "%s: no usable clip%s%s", p->name, ds->n_skipped ? "; the first: " : "",
                       ds->n_skipped ? ds->skipped[0].reason : "");
    note_efs(ds);
    ds->n_patients = p->patients.n;
    if (ds->split_from_file)
        eq_patients_compare_splits(&p->patients, ds);
    else if (ds->n_patients > 0 && ds->n_patients < 3 && ds->n > ds->n_patients)
        eq_dataset_note(ds, EQ_FINDING_LIST,
                        "the column %s knows %zu patient%s for %zu clips, too few for three splits. "
                        "data.patient_column = none draws the split by clip",
                        p->patient_column.s, ds->n_patients, ds->n_patients == 1 ? "" : "s", ds->n);
    return EQ_OK;
}

static enum eq_status assign_splits(struct parser *p)
{
    const char **ids = eq_alloc(p->patients.n + 1, sizeof *ids);
    if (!ids)
        return eq_fail(p->err, EQ_NOMEM, "%s: out of memory", p->name);
    for (size_t i = 0; i < p->patients.n; i++)
        ids[i] = p->patients.list[i].id;
    enum eq_status st = eq_split_assign(p->ds, ids, p->opts->split_seed, p->err);
    eq_free(ids);
    return st;
}

/* A file that is no list, but is often taken for one. */
static enum eq_status refuse_other_files(const char *bytes, size_t len, const char *name, struct eq_err *err)
{
    if (len >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0))
        return eq_fail(err, EQ_FORMAT, "%s is UTF-16; save it as UTF-8", name);
    if (len >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "\xd0\xcf\x11\xe0", 4) == 0))
        return eq_fail(err, EQ_FORMAT, "%s is a spreadsheet workbook; save it as CSV", name);
    return EQ_OK;
}

/* libcsv would strip tabs as well. */
static int is_blank(unsigned char c)
{
    return c == ' ';
}

static enum eq_status read_all(struct parser *p, const char *text, size_t len)
{
    struct csv_parser csv;
    size_t at = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    EQ_CHECK(refuse_other_files(text, len, p->name, p->err));
    if (csv_init(&csv, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) != 0)
        return eq_fail(p->err, EQ_NOMEM, "%s: out of memory", p->name);
    p->separator = find_separator(p, text, len, &at);
    csv_set_delim(&csv, (unsigned char)p->separator);
    if (p->separator == '\t')
        csv_set_space_func(&csv, is_blank);
    feed(p, &csv, text + at, len - at);
    csv_free(&csv);
    return p->st;
}

enum eq_status eq_filelist_parse(const void *text, size_t len, const char *name, const char *dir,
                                 const struct eq_list_opts *opts, struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st;
    *ds = (struct eq_dataset){0};
    struct parser *p = eq_alloc(1, sizeof *p);
    if (!p)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", name);
    *p = (struct parser){.name = name, .opts = opts, .ds = ds, .err = err};
    for (int c = 0; c < COL_COUNT; c++)
        p->column[c] = -1;
    EQ_TRY(eq_folds_init(&p->folds, opts, err));
    if (dir && !(p->finder = eq_clip_finder_new(dir, opts->links)))
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", name));
    EQ_TRY(read_all(p, text, len));
    EQ_TRY(conclude(p));
    if (!ds->split_from_file)
        EQ_TRY(assign_splits(p));
    note_empty_splits(ds);
out:
    eq_clip_finder_free(p->finder);
    eq_folds_clear(&p->folds);
    eq_patients_clear(&p->patients);
    eq_str_clear(&p->text);
    eq_str_clear(&p->patient_column);
    free(p->names.slots);
    free(p->files.slots);
    free(p->ids);
    eq_free(p);
    if (st != EQ_OK)
        eq_dataset_clear(ds);
    return st;
}
