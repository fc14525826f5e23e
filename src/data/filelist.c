/*
 * FileList.csv: libcsv splits the text into fields, a table of columns gives them a meaning, and each row becomes a
 * sample or a message "FileList.csv:17: ...". All rows are checked even after a bad one, so that the message can say
 * how many are bad.
 */
#include "data/dataset.h"

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
#define FILE_LIST_MAX_BYTES ((size_t)256 << 20)

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
    COL_COUNT
};
static const char *const column_names[COL_COUNT] = {"FileName", "EF",          "Split",      "ESV",           "EDV",
                                                    "FPS",      "FrameHeight", "FrameWidth", "NumberOfFrames"};

/* Names seen so far: open addressing over sample numbers + 1. */
struct name_set {
    uint32_t *slots;
    size_t cap, used;
};

struct parser {
    const char *name, *dir;
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
    struct name_set seen;
};

static const char *field(const struct parser *p, enum column c)
{
    return p->text.s + p->start[p->column[c]];
}

/* Notes a row that can't be used as skipped, and returns false; the caller of the parser decides whether that is
 * fatal. */
static bool __attribute__((format(printf, 3, 4))) bad_row(struct parser *p, enum eq_status status, const char *fmt, ...)
{
    char why[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    struct eq_str reason = {0}, who = {0};
    eq_str_add(&reason, "%s:%zu: %s", p->name, p->row_line, why);
    bool named = p->column[COL_FILE_NAME] >= 0 && (size_t)p->column[COL_FILE_NAME] < p->n_fields;
    if (named && field(p, COL_FILE_NAME)[0])
        eq_str_add(&who, "%s", field(p, COL_FILE_NAME));
    else
        eq_str_add(&who, "line %zu", p->row_line);
    if (p->bad == EQ_OK)
        p->bad = status;
    eq_dataset_note_skipped(p->ds, who.s, reason.s);
    eq_str_clear(&reason);
    eq_str_clear(&who);
    return false;
}

/* ---- the header ---------------------------------------------------------- */

static void header_missing(struct parser *p, enum column c)
{
    struct eq_str have = {0};
    bool semicolons = false;
    for (size_t i = 0; i < p->n_fields && have.len < 300; i++) {
        const char *name = p->text.s + p->start[i];
        semicolons |= strpbrk(name, ";\t") != NULL;
        eq_str_add(&have, "%s%.60s", i ? ", " : "", name);
    }
    p->st = eq_fail(p->err, EQ_FORMAT, "%s:%zu: no column \"%s\"; the header has: %s%s", p->name, p->row_line,
                    column_names[c], have.s ? have.s : "", semicolons ? " (columns must be separated by commas)" : "");
    eq_str_clear(&have);
}

static void read_header(struct parser *p)
{
    p->n_columns = p->n_fields;
    for (size_t i = 0; i < p->n_fields; i++) {
        const char *name = p->text.s + p->start[i];
        for (int c = 0; c < COL_COUNT; c++) {
            if (strcasecmp(name, column_names[c]) != 0)
                continue;
            if (p->column[c] >= 0) {
                p->st = eq_fail(p->err, EQ_FORMAT, "%s:%zu: the column \"%s\" is there twice", p->name, p->row_line,
                                column_names[c]);
                return;
            }
            p->column[c] = (int)i;
        }
    }
    for (int c = COL_FILE_NAME; c <= COL_EF; c++) {
        if (p->column[c] < 0) {
            header_missing(p, c);
            return;
        }
    }
    p->ds->split_from_file = p->column[COL_SPLIT] >= 0;
}

/* ---- a row --------------------------------------------------------------- */

static bool set_grow(struct name_set *set, const struct eq_dataset *ds)
{
    size_t cap = set->cap ? 2 * set->cap : 256;
    uint32_t *slots = calloc(cap, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < ds->n; i++) {
        const char *name = ds->samples[i].file_name;
        size_t at = eq_hash64(name, strlen(name)) & (cap - 1);
        while (slots[at])
            at = (at + 1) & (cap - 1);
        slots[at] = (uint32_t)i + 1;
    }
    free(set->slots);
    set->slots = slots;
    set->cap = cap;
    return true;
}

/* The sample that has this name already, or NULL; the name is then entered for the next sample. */
static const struct eq_sample *set_enter(struct parser *p, const char *name)
{
    struct name_set *set = &p->seen;
    if (2 * (set->used + 1) > set->cap && !set_grow(set, p->ds)) {
        p->st = eq_fail(p->err, EQ_NOMEM, "%s: out of memory", p->name);
        return NULL;
    }
    size_t at = eq_hash64(name, strlen(name)) & (set->cap - 1);
    for (; set->slots[at]; at = (at + 1) & (set->cap - 1)) {
        const struct eq_sample *other = &p->ds->samples[set->slots[at] - 1];
        if (strcmp(other->file_name, name) == 0)
            return other;
    }
    set->slots[at] = (uint32_t)p->ds->n + 1;
    set->used++;
    return NULL;
}

/* A number or nothing (then *out keeps what it has). False: the row is noted as bad. */
static bool read_number(struct parser *p, enum column c, double lo, double hi, double *out)
{
    if (p->column[c] < 0 || field(p, c)[0] == '\0')
        return true;
    double value = 0.0;
    if (!eq_parse_double(field(p, c), &value))
        return bad_row(p, EQ_FORMAT, "%s \"%.80s\" is not a number", column_names[c], field(p, c));
    if (value < lo || value > hi)
        return bad_row(p, EQ_FORMAT, "%s %.80s is outside %g..%g", column_names[c], field(p, c), lo, hi);
    *out = value;
    return true;
}

static bool read_split(struct parser *p, enum eq_split *out)
{
    static const struct {
        const char *name;
        enum eq_split split;
    } known[] = {{"TRAIN", EQ_SPLIT_TRAIN},
                 {"VAL", EQ_SPLIT_VAL},
                 {"VALID", EQ_SPLIT_VAL},
                 {"VALIDATION", EQ_SPLIT_VAL},
                 {"TEST", EQ_SPLIT_TEST}};
    if (p->column[COL_SPLIT] < 0)
        return true;
    const char *text = field(p, COL_SPLIT);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcasecmp(text, known[i].name) == 0) {
            *out = known[i].split;
            return true;
        }
    }
    return bad_row(p, EQ_FORMAT, "Split \"%.80s\" is not TRAIN, VAL or TEST", text);
}

static bool read_numbers(struct parser *p, struct eq_sample *s)
{
    double width = 0.0, height = 0.0, frames = 0.0;
    if (field(p, COL_EF)[0] == '\0')
        return bad_row(p, EQ_FORMAT, "EF is empty");
    if (!read_number(p, COL_EF, 0.0, 100.0, &s->ef) || !read_number(p, COL_ESV, 0.0, 1e6, &s->esv) ||
        !read_number(p, COL_EDV, 0.0, 1e6, &s->edv) || !read_number(p, COL_FPS, 0.0, 1e6, &s->fps) ||
        !read_number(p, COL_WIDTH, 0.0, 1e6, &width) || !read_number(p, COL_HEIGHT, 0.0, 1e6, &height) ||
        !read_number(p, COL_FRAMES, 0.0, 1e9, &frames))
        return false;
    s->frame_width = (int)width;
    s->frame_height = (int)height;
    s->number_of_frames = (int)frames;
    return true;
}

/* dir/[Videos/]name[.avi], whichever is there, and its size; NULL when none is. */
static char *find_clip(const char *dir, const char *name, uint64_t *bytes)
{
    static const struct {
        const char *folder, *suffix;
    } forms[] = {{"", ".avi"}, {"Videos/", ".avi"}, {"", ""}, {"Videos/", ""}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct eq_str path = {0};
        struct stat info;
        eq_str_add(&path, "%s/%s%s%s", dir, forms[i].folder, name, forms[i].suffix);
        if (stat(path.s, &info) == 0 && !S_ISDIR(info.st_mode)) {
            *bytes = (uint64_t)info.st_size;
            return path.s;
        }
        eq_str_clear(&path);
    }
    return NULL;
}

/* A name must stay inside the data folder: a foreign list must not make us open other files. */
static bool name_is_inside(const char *name)
{
    if (name[0] == '/')
        return false;
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += part[0] == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return false;
    }
    return true;
}

static void strip_avi(char *name)
{
    size_t len = strlen(name);
    if (len > 4 && strcasecmp(name + len - 4, ".avi") == 0)
        name[len - 4] = '\0';
}

/* The checks that need the other rows or the disk. True: the sample has its path. */
static bool find_and_enter(struct parser *p, struct eq_sample *s)
{
    if (!name_is_inside(s->file_name))
        return bad_row(p, EQ_FORMAT, "FileName \"%.200s\" leads out of the data folder", s->file_name);
    if (p->dir && !(s->path = find_clip(p->dir, s->file_name, &s->bytes)))
        return bad_row(p, EQ_IO, "no file %.200s.avi in %.200s or its Videos folder", s->file_name, p->dir);
    const struct eq_sample *other = set_enter(p, s->file_name);
    if (other)
        return bad_row(p, EQ_FORMAT, "FileName \"%.200s\" is already in line %zu", s->file_name, other->line);
    return p->st == EQ_OK;
}

static bool read_row(struct parser *p)
{
    if (p->n_fields != p->n_columns)
        return bad_row(p, EQ_FORMAT, "%zu fields, but the header has %zu", p->n_fields, p->n_columns);
    struct eq_sample s = {.esv = NAN, .edv = NAN, .line = p->row_line};
    if (field(p, COL_FILE_NAME)[0] == '\0')
        return bad_row(p, EQ_FORMAT, "FileName is empty");
    if (!read_numbers(p, &s) || !read_split(p, &s.split))
        return false;
    s.file_name = eq_strdup(field(p, COL_FILE_NAME));
    strip_avi(s.file_name);
    if (find_and_enter(p, &s) && (p->st = eq_dataset_add(p->ds, &p->sample_cap, &s, p->err)) == EQ_OK)
        return true;
    free(s.file_name);
    free(s.path);
    return false;
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

/* Every line end comes here, that of an empty line too (CSV_REPALL_NL), and the end of the text. */
static void on_row(int terminator, void *ctx)
{
    struct parser *p = ctx;
    (void)terminator;
    if (p->st == EQ_OK && p->n_fields) {
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

/* The checks after the last row. */
static enum eq_status conclude(struct parser *p, enum eq_on_error on_error)
{
    struct eq_dataset *ds = p->ds;
    if (p->n_columns == 0)
        return eq_fail(p->err, EQ_FORMAT, "%s: empty; it needs a header with FileName and EF", p->name);
    if (ds->n_skipped && on_error == EQ_ON_ERROR_FAIL) {
        if (ds->n_skipped == 1)
            return eq_fail(p->err, p->bad, "%s", ds->skipped[0].reason);
        return eq_fail(p->err, p->bad, "%s (and %zu more such rows)", ds->skipped[0].reason, ds->n_skipped - 1);
    }
    if (ds->n == 0)
        return eq_fail(p->err, EQ_FORMAT, "%s: no usable clip%s%s", p->name, ds->n_skipped ? "; the first: " : "",
                       ds->n_skipped ? ds->skipped[0].reason : "");
    return EQ_OK;
}

enum eq_status eq_filelist_parse(const void *text, size_t len, const char *name, const char *dir, uint64_t split_seed,
                                 enum eq_on_error on_error, struct eq_dataset *ds, struct eq_err *err)
{
    *ds = (struct eq_dataset){0};
    struct parser *p = eq_alloc(1, sizeof *p);
    if (!p)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", name);
    *p = (struct parser){.name = name, .dir = dir, .ds = ds, .err = err};
    for (int c = 0; c < COL_COUNT; c++)
        p->column[c] = -1;

    const char *bytes = text;
    struct csv_parser csv;
    if (csv_init(&csv, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) != 0) {
        p->st = eq_fail(err, EQ_NOMEM, "%s: out of memory", name);
    } else {
        if (len >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0))
            p->st = eq_fail(err, EQ_FORMAT, "%s is UTF-16; save it as UTF-8", name);
        else if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
            feed(p, &csv, bytes + 3, len - 3);
        else
            feed(p, &csv, bytes, len);
        csv_free(&csv);
    }
    enum eq_status st = p->st;
    if (st == EQ_OK)
        st = conclude(p, on_error);
    if (st == EQ_OK && !ds->split_from_file)
        st = eq_split_assign(ds, split_seed, err);
    eq_str_clear(&p->text);
    free(p->seen.slots);
    eq_free(p);
    if (st != EQ_OK)
        eq_dataset_clear(ds);
    return st;
}

enum eq_status eq_dataset_open(const char *dir, uint64_t split_seed, enum eq_on_error on_error, struct eq_dataset *out,
                               struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    void *text = NULL;
    size_t len = 0;
    char *list = eq_path_join(dir, "FileList.csv");
    *out = (struct eq_dataset){0};
    if (!eq_path_exists(dir)) {
        char *near = eq_nearest_folder(dir);
        st = eq_fail(err, EQ_IO, "%s: no such data folder%s%s%s", dir, near ? "; did you mean " : "", near ? near : "",
                     near ? "?" : "");
        free(near);
        goto out;
    }
    if (!eq_is_dir(dir))
        EQ_TRY(eq_fail(err, EQ_IO, "%s is not a folder; data.dir is the folder that holds FileList.csv and the AVIs",
                       dir));
    if (!eq_path_exists(list))
        EQ_TRY(eq_fail(err, EQ_IO,
                       "%s: no such file; a data folder has a FileList.csv with the columns FileName and EF", list));
    EQ_TRY(eq_read_file(list, FILE_LIST_MAX_BYTES, &text, &len, err));
    EQ_TRY(eq_filelist_parse(text, len, list, dir, split_seed, on_error, out, err));
    out->dir = eq_strdup(dir);
out:
    eq_free(text);
    free(list);
    return st;
}
