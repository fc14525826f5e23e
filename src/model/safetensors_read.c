/* Reading safetensors: every statement of a header is checked against the file's size before anything else is read. */
#include "model/safetensors.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_HEADER = 16 << 20, LENGTH_BYTES = 8, PIECE = 1 << 20 };
static const size_t MAX_FILE = (size_t)4 << 30;

/* A whole number that a double holds exactly. */
static bool whole(const cJSON *v, uint64_t *out)
{
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0 && v->valuedouble <= 0x1p53))
        return false;
    *out = (uint64_t)v->valuedouble;
    return (double)*out == v->valuedouble;
}

static enum eq_status read_dtype(const cJSON *entry, const char *name, struct eq_st_tensor *t, struct eq_err *err)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    if (!cJSON_IsString(v))
        return eq_fail(err, EQ_FORMAT, "%s: tensor \"%s\" has no dtype", name, t->name);
    if (!eq_dtype_parse(v->valuestring, &t->value.dtype)) {
        t->value.dtype = EQ_U8;
        t->other_dtype = eq_strdup(v->valuestring);
    }
    return EQ_OK;
}

static enum eq_status read_shape(const cJSON *entry, const char *name, struct eq_st_tensor *t, struct eq_err *err)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    if (!cJSON_IsArray(shape))
        return eq_fail(err, EQ_FORMAT, "%s: tensor \"%s\" has no shape", name, t->name);
    for (const cJSON *v = shape->child; v; v = v->next) {
        uint64_t dim;
        size_t bytes;
        if (t->value.rank == EQ_TENSOR_MAX_RANK)
            return eq_fail(err, EQ_FORMAT, "%s: tensor \"%s\" has more than %d dimensions", name, t->name,
                           EQ_TENSOR_MAX_RANK);
        bool possible = whole(v, &dim);
        t->value.shape[t->value.rank++] = possible ? dim : 0;
        if (!possible || !eq_tensor_checked_bytes(&t->value, &bytes))
            return eq_fail(err, EQ_FORMAT, "%s: tensor \"%s\" has an impossible shape", name, t->name);
    }
    return EQ_OK;
}

static enum eq_status read_offsets(const cJSON *entry, const char *name, size_t data_len, struct eq_st_tensor *t,
                                   struct eq_err *err)
{
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    uint64_t begin, end;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 || !whole(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !whole(cJSON_GetArrayItem(offsets, 1), &end) || begin > end)
        return eq_fail(err, EQ_FORMAT, "%s: tensor \"%s\" has no valid data_offsets", name, t->name);
    if (end > data_len)
        return eq_fail(err, EQ_FORMAT,
                       "%s: tensor \"%s\" ends at byte %llu of %zu bytes of data: the file is cut short", name, t->name,
                       (unsigned long long)end, data_len);
    if (t->other_dtype) {
        t->value.rank = 1;
        t->value.shape[0] = (size_t)(end - begin);
    }
    size_t bytes = eq_tensor_bytes(&t->value);
    if (end - begin != bytes)
        return eq_fail(err, EQ_FORMAT, "%s: tensor \"%s\" has %llu bytes of data, its shape needs %zu", name, t->name,
                       (unsigned long long)(end - begin), bytes);
    t->begin = (size_t)begin;
    return EQ_OK;
}

static enum eq_status read_tensor(const cJSON *entry, const char *name, size_t data_len, struct eq_st_file *f,
                                  struct eq_err *err)
{
    enum eq_status st;
    struct eq_st_tensor *t = eq_st_push(f, entry->string);
    if (!cJSON_IsObject(entry))
        return eq_fail(err, EQ_FORMAT, "%s: \"%s\" is not a tensor's description", name, t->name);
    EQ_TRY(read_dtype(entry, name, t, err));
    if (!t->other_dtype)
        EQ_TRY(read_shape(entry, name, t, err));
    EQ_TRY(read_offsets(entry, name, data_len, t, err));
out:
    return st;
}

static enum eq_status read_metadata(const cJSON *meta, const char *name, struct eq_st_file *f, struct eq_err *err)
{
    if (!cJSON_IsObject(meta))
        return eq_fail(err, EQ_FORMAT, "%s: __metadata__ must be an object", name);
    for (const cJSON *v = meta->child; v; v = v->next) {
        if (!cJSON_IsString(v))
            return eq_fail(err, EQ_FORMAT, "%s: metadata \"%s\" must be a string", name, v->string);
        eq_st_add_meta(f, v->string, "%s", v->valuestring);
    }
    return EQ_OK;
}

static enum eq_status read_entries(const cJSON *header, const char *name, size_t data_len, struct eq_st_file *f,
                                   struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    if (!cJSON_IsObject(header))
        return eq_fail(err, EQ_FORMAT, "%s: the header is not a JSON object", name);
    for (const cJSON *entry = header->child; entry; entry = entry->next) {
        if (strcmp(entry->string, "__metadata__") == 0)
            EQ_TRY(read_metadata(entry, name, f, err));
        else
            EQ_TRY(read_tensor(entry, name, data_len, f, err));
    }
out:
    return st;
}

static int by_offset(const void *pa, const void *pb)
{
    const struct eq_st_tensor *a = *(const struct eq_st_tensor *const *)pa;
    const struct eq_st_tensor *b = *(const struct eq_st_tensor *const *)pb;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    size_t n = eq_tensor_bytes(&a->value), m = eq_tensor_bytes(&b->value);
    return n < m ? -1 : n > m;
}

/* The tensors must cover the data from its first byte to its last, each byte once. */
static enum eq_status check_cover(const struct eq_st_file *f, const char *name, size_t data_len, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const struct eq_st_tensor **order = eq_alloc(f->n + 1, sizeof(*order));
    if (!order)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for its header", name);
    for (size_t i = 0; i < f->n; i++)
        order[i] = &f->tensors[i];
    qsort(order, f->n, sizeof(*order), by_offset);
    size_t at = 0;
    for (size_t i = 0; i < f->n; i++) {
        size_t begin = order[i]->begin;
        if (begin != at)
            EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: tensor \"%s\" %s", name, order[i]->name,
                           begin < at ? "overlaps another" : "leaves a hole before it"));
        at = begin + eq_tensor_bytes(&order[i]->value);
    }
    if (at != data_len)
        st = eq_fail(err, EQ_FORMAT, "%s: %zu bytes after the last tensor", name, data_len - at);
out:
    eq_free(order);
    return st;
}

/* The first eight bytes; more than a file can have if there are fewer. */
static uint64_t stated_length(const uint8_t *bytes, size_t len)
{
    uint64_t n = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0 && len >= LENGTH_BYTES; i--)
        n = n << 8 | bytes[i];
    return len < LENGTH_BYTES ? UINT64_MAX : n;
}

/* Length of the header, checked against the file's, of which the first `have` bytes are there. */
static enum eq_status header_length(const uint8_t *bytes, size_t have, uint64_t len, const char *name, size_t *out,
                                    struct eq_err *err)
{
    const char *foreign = eq_foreign_file(bytes, have);
    if (len == 0)
        return eq_fail(err, EQ_FORMAT, "%s: not a safetensors file: it is empty", name);
    if (foreign && stated_length(bytes, have) > MAX_HEADER)
        return eq_fail(err, EQ_FORMAT, "%s: not a safetensors file: it is %s", name, foreign);
    if (len < LENGTH_BYTES || have < LENGTH_BYTES)
        return eq_fail(err, EQ_FORMAT, "%s: not a safetensors file: only %llu bytes", name, (unsigned long long)len);
    uint64_t n = stated_length(bytes, have);
    if (n > MAX_HEADER)
        return eq_fail(err, EQ_FORMAT, "%s: not a safetensors file: a header of %llu bytes (at most %d are allowed)",
                       name, (unsigned long long)n, MAX_HEADER);
    if (n > len - LENGTH_BYTES)
        return eq_fail(err, EQ_FORMAT, "%s: cut short: a header of %llu bytes in a file of %llu", name,
                       (unsigned long long)n, (unsigned long long)len);
    *out = (size_t)n;
    return EQ_OK;
}

/* A header of many small tensors takes much more memory than its text, so they are counted first. */
static enum eq_status count_tensors(const char *text, size_t len, const char *name, struct eq_err *err)
{
    static const char key[] = "\"data_offsets\"";
    size_t n = 0;
    for (const char *at = text, *end = text + len; (at = memmem(at, (size_t)(end - at), key, sizeof key - 1)); at++)
        n++;
    return n <= EQ_ST_MAX_TENSORS
               ? EQ_OK
               : eq_fail(err, EQ_FORMAT, "%s: %zu tensors; at most %d are allowed", name, n, EQ_ST_MAX_TENSORS);
}

/* body: bytes after the header. */
static enum eq_status parse_header(const char *text, size_t len, size_t body, const char *name, struct eq_st_file *out,
                                   struct eq_err *err)
{
    enum eq_status st;
    cJSON *header = NULL;
    EQ_TRY(count_tensors(text, len, name, err));
    EQ_TRY(eq_json_parse(text, len, name, &header, err));
    EQ_TRY(read_entries(header, name, body, out, err));
    EQ_TRY(check_cover(out, name, body, err));
out:
    cJSON_Delete(header);
    return st;
}

enum eq_status eq_st_parse(const void *data, size_t len, const char *name, struct eq_st_file *out, struct eq_err *err)
{
    enum eq_status st;
    const uint8_t *bytes = data;
    size_t n = 0;
    *out = (struct eq_st_file){0};
    EQ_TRY(header_length(bytes, len, len, name, &n, err));
    EQ_TRY(parse_header((const char *)bytes + LENGTH_BYTES, n, len - LENGTH_BYTES - n, name, out, err));
    for (size_t i = 0; i < out->n; i++)
        out->tensors[i].value.data = (void *)(bytes + LENGTH_BYTES + n + out->tensors[i].begin);
out:
    if (st != EQ_OK)
        eq_st_clear(out);
    return st;
}

/* ---- files --------------------------------------------------------------- */

struct source {
    const char *path;
    int fd;
    uint64_t body; /* where the header ends */
};

static enum eq_status read_exactly(const struct source *s, uint64_t at, void *to, size_t n, struct eq_err *err)
{
    size_t got;
    EQ_CHECK(eq_read_at(s->fd, s->path, at, to, n, &got, err));
    return got == n ? EQ_OK : eq_fail(err, EQ_FORMAT, "%s: cut short while it was read", s->path);
}

static enum eq_status read_header(struct source *s, uint64_t bytes, struct eq_st_file *out, struct eq_err *err)
{
    enum eq_status st;
    uint8_t head[4096]; /* as much as names a file of another program */
    size_t have, n;
    char *text = NULL;
    EQ_TRY(eq_read_at(s->fd, s->path, 0, head, sizeof head, &have, err));
    if (bytes > MAX_FILE)
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: larger than the %zu bytes allowed for such a file", s->path, MAX_FILE));
    EQ_TRY(header_length(head, have, bytes, s->path, &n, err));
    s->body = LENGTH_BYTES + n;
    text = eq_alloc(n + 1, 1);
    if (!text)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory for its header", s->path));
    EQ_TRY(read_exactly(s, LENGTH_BYTES, text, n, err));
    EQ_TRY(parse_header(text, n, (size_t)(bytes - s->body), s->path, out, err));
out:
    eq_free(text);
    return st;
}

static enum eq_status read_tensors(const struct source *s, struct eq_st_file *f, struct eq_err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < f->n; i++)
        total += f->tensors[i].unwanted ? 0 : eq_tensor_bytes(&f->tensors[i].value);
    uint8_t *at = f->buffer = eq_alloc(total + 1, 1);
    if (!at)
        return eq_fail(err, EQ_NOMEM, "%s: no memory for its contents", s->path);
    for (size_t i = 0; i < f->n; i++) {
        struct eq_st_tensor *t = &f->tensors[i];
        size_t n = eq_tensor_bytes(&t->value);
        if (t->unwanted)
            continue;
        EQ_CHECK(read_exactly(s, s->body + t->begin, at, n, err));
        t->value.data = at;
        at += n;
    }
    return EQ_OK;
}

static enum eq_status read_file(const char *path, eq_st_check_fn check, void *ctx, bool whole, struct eq_st_file *out,
                                struct eq_err *err)
{
    enum eq_status st;
    struct source s = {.path = path, .fd = -1};
    uint64_t bytes;
    *out = (struct eq_st_file){0};
    EQ_TRY(eq_open_file(path, &s.fd, &bytes, err));
    EQ_TRY(read_header(&s, bytes, out, err));
    if (check && (st = check(ctx, out, err)) != EQ_OK) {
        eq_err_context(err, "%s", path);
        goto out;
    }
    if (whole)
        EQ_TRY(read_tensors(&s, out, err));
out:
    if (s.fd >= 0)
        close(s.fd);
    if (st != EQ_OK)
        eq_st_clear(out);
    return st;
}

static bool same_header(const struct eq_st_file *a, const struct eq_st_file *b)
{
    if (a->n != b->n || a->n_meta != b->n_meta)
        return false;
    for (size_t i = 0; i < a->n_meta; i++)
        if (!eq_st_meta(b, a->meta_keys[i]))
            return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct eq_tensor *x = &a->tensors[i].value, *y = &b->tensors[i].value;
        if (strcmp(a->tensors[i].name, b->tensors[i].name) != 0 || x->dtype != y->dtype || !eq_tensor_same_shape(x, y))
            return false;
    }
    return true;
}

/* Whether n bytes of the file are those at `data`. room: [PIECE]. */
static enum eq_status compare_bytes(const struct source *s, uint64_t at, const uint8_t *data, size_t n, uint8_t *room,
                                    bool *same, struct eq_err *err)
{
    for (size_t done = 0, piece; done < n && *same; done += piece) {
        piece = n - done < PIECE ? n - done : PIECE;
        EQ_CHECK(read_exactly(s, at + done, room, piece, err));
        *same = memcmp(room, data + done, piece) == 0;
    }
    return EQ_OK;
}

enum eq_status eq_st_compare(const char *path, const struct eq_st_file *file, bool *same, struct eq_err *err)
{
    enum eq_status st;
    struct source s = {.path = path, .fd = -1};
    struct eq_st_file back = {0};
    uint64_t bytes;
    uint8_t *room = eq_alloc(PIECE, 1);
    *same = false;
    if (!room)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", path));
    EQ_TRY(eq_open_file(path, &s.fd, &bytes, err));
    EQ_TRY(read_header(&s, bytes, &back, err));
    *same = same_header(file, &back);
    for (size_t i = 0; i < file->n && *same; i++)
        EQ_TRY(compare_bytes(&s, s.body + back.tensors[i].begin, file->tensors[i].value.data,
                             eq_tensor_bytes(&file->tensors[i].value), room, same, err));
out:
    if (st != EQ_OK)
        *same = false;
    if (s.fd >= 0)
        close(s.fd);
    eq_st_clear(&back);
    eq_free(room);
    return st;
}

enum eq_status eq_st_read_checked(const char *path, eq_st_check_fn check, void *ctx, struct eq_st_file *out,
                                  struct eq_err *err)
{
    return read_file(path, check, ctx, true, out, err);
}

enum eq_status eq_st_read(const char *path, struct eq_st_file *out, struct eq_err *err)
{
    return read_file(path, NULL, NULL, true, out, err);
}

enum eq_status eq_st_read_header(const char *path, struct eq_st_file *out, struct eq_err *err)
{
    return read_file(path, NULL, NULL, false, out, err);
}

const struct eq_tensor *eq_st_find(const struct eq_st_file *file, const char *name)
{
    size_t at = 0;
    const struct eq_st_tensor *found = eq_st_find_next(file, &at, name);
    return found ? &found->value : NULL;
}

const struct eq_st_tensor *eq_st_find_next(const struct eq_st_file *file, size_t *at, const char *name)
{
    for (size_t i = 0; i < file->n; i++) {
        size_t k = *at + i < file->n ? *at + i : *at + i - file->n;
        if (strcmp(file->tensors[k].name, name) == 0) {
            *at = k + 1 < file->n ? k + 1 : 0;
            return &file->tensors[k];
        }
    }
    return NULL;
}

const char *eq_st_meta(const struct eq_st_file *file, const char *key)
{
    for (size_t i = 0; i < file->n_meta; i++)
        if (strcmp(file->meta_keys[i], key) == 0)
            return file->meta_values[i];
    return NULL;
}
