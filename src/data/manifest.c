/* What identifies a data set: its manifest, the digest of that, and how two of them differ. */
#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

#define HEADER "FileName,Split,EF,Bytes"

/* ---- the bytes of the clips ------------------------------------------------ */

struct hashing {
    struct eq_dataset *ds;
    struct eq_err *errs; /* [ds->n] */
    struct eq_progress progress;
    size_t done;
};

static void hash_piece(void *ctx, size_t i, int worker)
{
    struct hashing *h = ctx;
    if (eq_interrupted())
        return;
    eq_sha256_file(h->ds->samples[i].path, h->ds->samples[i].sha256, &h->errs[i]);
    size_t done = __atomic_add_fetch(&h->done, 1, __ATOMIC_RELAXED);
    if (worker == 0) /* one thread draws */
        eq_progress_step(&h->progress, done, NULL);
}

enum eq_status eq_dataset_hash(struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct hashing h = {.ds = ds, .errs = eq_alloc(ds->n + 1, sizeof *h.errs)};
    if (!h.errs)
        return eq_fail(err, EQ_NOMEM, "out of memory for the digests of the clips");
    eq_progress_begin(&h.progress, "digest", "clips", ds->n);
    eq_parallel_for(ds->n, hash_piece, &h);
    eq_progress_step(&h.progress, h.done, NULL);
    eq_progress_end(&h.progress);
    if (eq_interrupted())
        st = eq_fail(err, EQ_INTERRUPTED, "interrupted while reading the clips of %s", ds->dir);
    for (size_t i = 0; i < ds->n && st == EQ_OK; i++)
        if (h.errs[i].status != EQ_OK)
            st = eq_fail(err, h.errs[i].status, "%s", h.errs[i].msg);
    eq_free(h.errs);
    return st;
}

/* ---- the manifest ---------------------------------------------------------- */

void eq_dataset_manifest(const struct eq_dataset *ds, struct eq_str *out)
{
    bool hashed = ds->n > 0 && ds->samples[0].sha256[0];
    eq_str_add(out, HEADER "%s\n", hashed ? ",SHA256" : "");
    for (size_t i = 0; i < ds->n; i++) {
        const struct eq_sample *s = &ds->samples[i];
        eq_csv_add(out, s->file_name);
        eq_str_add(out, ",%s,", eq_split_name(s->split));
        eq_str_add_real(out, s->ef);
        eq_str_add(out, ",%llu%s%s\n", (unsigned long long)s->bytes, hashed ? "," : "", hashed ? s->sha256 : "");
    }
}

void eq_dataset_digest(const struct eq_dataset *ds, char digest[EQ_SHA256_TEXT])
{
    struct eq_str text = {0};
    eq_dataset_manifest(ds, &text);
    eq_sha256(text.s, text.len, digest);
    eq_str_clear(&text);
}

struct reading {
    struct eq_dataset *ds;
    size_t cap, columns; /* columns: of the first row */
};

static bool is_sha256(const char *text)
{
    return strlen(text) == EQ_SHA256_TEXT - 1 && strspn(text, "0123456789abcdef") == EQ_SHA256_TEXT - 1;
}

static enum eq_status take_row(void *ctx, const char *const *fields, size_t n, struct eq_err *err)
{
    struct reading *r = ctx;
    struct eq_sample s = {0};
    int64_t bytes;
    r->columns = r->ds->n ? r->columns : n;
    if (n != r->columns || n < 4 || n > 5)
        return eq_fail(err, EQ_FORMAT, "not the columns of the header");
    if (!eq_split_named(fields[1], &s.split))
        return eq_fail(err, EQ_FORMAT, "unknown split");
    if (!eq_parse_double(fields[2], &s.ef) || !eq_parse_int64(fields[3], &bytes) || bytes < 0)
        return eq_fail(err, EQ_FORMAT, "not a number");
    if (n == 5 && !is_sha256(fields[4]))
        return eq_fail(err, EQ_FORMAT, "not a SHA-256");
    s.bytes = (uint64_t)bytes;
    if (n == 5)
        memcpy(s.sha256, fields[4], sizeof s.sha256);
    struct eq_str name = {0};
    eq_str_add_utf8(&name, fields[0]);
    s.file_name = name.s;
    enum eq_status st = eq_dataset_add(r->ds, &r->cap, &s, err);
    if (st != EQ_OK)
        free(s.file_name);
    return st;
}

enum eq_status eq_manifest_parse(const char *path, const void *text, size_t len, struct eq_dataset *out,
                                 struct eq_err *err)
{
    struct reading r = {.ds = out};
    *out = (struct eq_dataset){0};
    enum eq_status st = eq_csv_read(path, text, len, HEADER, take_row, &r, err);
    if (st != EQ_OK)
        eq_dataset_clear(out);
    return st;
}

/* ---- how two differ -------------------------------------------------------- */

enum { NAMES_SHOWN = 3 };
/* A kind of difference: how many clips have it, and the first of them. */
struct kind {
    const char *what;
    size_t n;
    struct eq_str names;
};
enum { GONE, NEW, EF, SPLIT, SIZE, CONTENT, N_KINDS };

/* Counts a clip; true if the caller is to append to what is shown. */
static bool note(struct kind *k, const char *file_name)
{
    if (++k->n > NAMES_SHOWN)
        return false;
    eq_str_add(&k->names, "%s%.80s", k->n > 1 ? ", " : "", file_name);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct eq_sample *x = *(const struct eq_sample *const *)a, *y = *(const struct eq_sample *const *)b;
    int order = strcmp(x->file_name, y->file_name);
    return order ? order : (x > y) - (x < y);
}

static int by_bare_name(const void *a, const void *b)
{
    const struct eq_sample *x = *(const struct eq_sample *const *)a, *y = *(const struct eq_sample *const *)b;
    return strcmp(x->file_name, y->file_name);
}

static const struct eq_sample **sorted(const struct eq_dataset *ds)
{
    const struct eq_sample **list = eq_list_grow(NULL, ds->n, sizeof *list);
    for (size_t i = 0; i < ds->n; i++)
        list[i] = &ds->samples[i];
    qsort(list, ds->n, sizeof *list, by_name);
    return list;
}

/* The same clip in both. */
static void compare_samples(const struct eq_sample *was, const struct eq_sample *is, struct kind kinds[N_KINDS])
{
    const char *name = is->file_name;
    if (was->ef != is->ef && note(&kinds[EF], name)) {
        eq_str_add(&kinds[EF].names, " (");
        eq_str_add_real(&kinds[EF].names, was->ef);
        eq_str_add(&kinds[EF].names, ", now ");
        eq_str_add_real(&kinds[EF].names, is->ef);
        eq_str_add(&kinds[EF].names, ")");
    }
    if (was->split != is->split && note(&kinds[SPLIT], name))
        eq_str_add(&kinds[SPLIT].names, " (%s, now %s)", eq_split_name(was->split), eq_split_name(is->split));
    if (was->bytes != is->bytes && note(&kinds[SIZE], name))
        eq_str_add(&kinds[SIZE].names, " (%llu bytes, now %llu)", (unsigned long long)was->bytes,
                   (unsigned long long)is->bytes);
    else if (was->sha256[0] && is->sha256[0] && strcmp(was->sha256, is->sha256) != 0)
        note(&kinds[CONTENT], name);
}

static bool same_order(const struct eq_dataset *was, const struct eq_dataset *is)
{
    for (size_t i = 0; i < was->n; i++)
        if (strcmp(was->samples[i].file_name, is->samples[i].file_name) != 0)
            return false;
    return true;
}

void eq_dataset_changes(const struct eq_dataset *was, const struct eq_dataset *is, struct eq_str *out)
{
    struct kind kinds[N_KINDS] = {
        [GONE] = {.what = "removed"}, [NEW] = {.what = "added"}, [EF] = {.what = "EF"},
        [SPLIT] = {.what = "split"},  [SIZE] = {.what = "size"}, [CONTENT] = {.what = "content"}};
    const struct eq_sample **a = sorted(was), **b = sorted(is);
    size_t begin = out->len;
    for (size_t i = 0, k = 0; i < was->n || k < is->n;) {
        int order = i == was->n ? 1 : k == is->n ? -1 : strcmp(a[i]->file_name, b[k]->file_name);
        if (order < 0)
            note(&kinds[GONE], a[i++]->file_name);
        else if (order > 0)
            note(&kinds[NEW], b[k++]->file_name);
        else
            compare_samples(a[i++], b[k++], kinds);
    }
    if (was->n != is->n)
        eq_str_add(out, "%zu clip%s, now %zu", was->n, was->n == 1 ? "" : "s", is->n);
    for (struct kind *k = kinds; k < kinds + N_KINDS; k++) {
        if (k->n)
            eq_str_add(out, "%s%s: %s", out->len > begin ? "; " : "", k->what, k->names.s);
        if (k->n > NAMES_SHOWN)
            eq_str_add(out, " and %zu more", k->n - NAMES_SHOWN);
        eq_str_clear(&k->names);
    }
    if (!kinds[GONE].n && !kinds[NEW].n && !same_order(was, is))
        eq_str_add(out, "%sanother order of the rows", out->len > begin ? "; " : "");
    free(a);
    free(b);
}

static bool same_sample(const struct eq_sample *a, const struct eq_sample *b)
{
    bool hashed = a->sha256[0] && b->sha256[0];
    return strcmp(a->file_name, b->file_name) == 0 && a->split == b->split && a->ef == b->ef && a->bytes == b->bytes &&
           (!hashed || strcmp(a->sha256, b->sha256) == 0);
}

static const struct eq_sample *named(const struct eq_sample *const *sorted, size_t n, const char *file_name)
{
    const struct eq_sample key = {.file_name = (char *)(uintptr_t)file_name}, *wanted = &key;
    const struct eq_sample *const *found = n ? bsearch(&wanted, sorted, n, sizeof *sorted, by_bare_name) : NULL;
    return found ? *found : NULL;
}

bool eq_dataset_trains_alike(const struct eq_dataset *a, const struct eq_dataset *b)
{
    const struct eq_sample **a_sorted = sorted(a), **b_sorted = sorted(b);
    bool alike = true;
    size_t i = 0, k = 0;
    while (alike && (i < a->n || k < b->n)) {
        const struct eq_sample *x = i < a->n ? &a->samples[i] : NULL, *y = k < b->n ? &b->samples[k] : NULL;
        if (x && y && same_sample(x, y)) {
            i++;
            k++;
        } else if (x && x->split == EQ_SPLIT_TEST && !named(b_sorted, b->n, x->file_name)) {
            i++;
        } else if (y && y->split == EQ_SPLIT_TEST && !named(a_sorted, a->n, y->file_name)) {
            k++;
        } else {
            alike = false;
        }
    }
    free(a_sorted);
    free(b_sorted);
    return alike;
}
