/*
 * Copies of a clip: files with the same bytes under different names. Sizes are compared first, then hashes of both ends
 * of the files that share a size, and only what is still alike is read whole. So a set without copies costs two reads
 * for each clip that shares its size with another.
 */
#include "echoquant/data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { END_BYTES = 16 << 10 };

/* A clip, and what is known of its bytes so far. */
struct print {
    uint64_t bytes;
    char digest[EQ_SHA256_TEXT];
    uint32_t sample;
    bool read; /* digest is of this stage; false: the file could not be read */
};

/* A stage: prints[n] get digests of their ends, or of all their bytes. */
struct stage {
    const struct eq_dataset *ds;
    struct print *prints;
    bool whole, no_memory;
};

/* Reads exactly n bytes from `at` on. */
static bool read_at(int file, off_t at, size_t n, uint8_t *buffer)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(file, buffer + done, n - done, at + (off_t)done);
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool hash_ends(const char *path, uint64_t bytes, char digest[EQ_SHA256_TEXT])
{
    uint8_t buffer[2 * END_BYTES];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return false;
    size_t head = bytes <= END_BYTES ? (size_t)bytes : END_BYTES;
    size_t tail = (size_t)bytes - head < END_BYTES ? (size_t)bytes - head : END_BYTES;
    bool good = read_at(file, 0, head, buffer) && read_at(file, (off_t)(bytes - tail), tail, buffer + head);
    close(file);
    if (good)
        eq_sha256(buffer, head + tail, digest);
    return good;
}

static void hash_piece(void *ctx, size_t i, int worker)
{
    struct stage *s = ctx;
    struct print *p = &s->prints[i];
    const char *path = s->ds->samples[p->sample].path;
    (void)worker;
    p->read = false;
    if (!s->whole && !eq_interrupted())
        p->read = hash_ends(path, p->bytes, p->digest);
    else if (!eq_interrupted()) {
        enum eq_status st = eq_sha256_file(path, p->digest, NULL);
        p->read = st == EQ_OK;
        if (st == EQ_NOMEM)
            __atomic_store_n(&s->no_memory, true, __ATOMIC_RELAXED);
    }
}

static int compare_prints(const void *a, const void *b)
{
    const struct print *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    int order = memcmp(x->digest, y->digest, sizeof x->digest);
    return order ? order : (x->sample > y->sample) - (x->sample < y->sample);
}

static bool alike(const struct print *x, const struct print *y)
{
    return x->bytes == y->bytes && memcmp(x->digest, y->digest, sizeof x->digest) == 0;
}

/* Keeps the prints that could be read and agree with another one; returns how many. Sorts them into groups. */
static size_t keep_alike(struct print *prints, size_t n)
{
    size_t kept = 0, read = 0;
    for (size_t i = 0; i < n; i++)
        if (prints[i].read)
            prints[read++] = prints[i];
    qsort(prints, read, sizeof *prints, compare_prints);
    for (size_t first = 0, end; first < read; first = end) {
        for (end = first + 1; end < read && alike(&prints[first], &prints[end]); end++) {
        }
        if (end - first > 1) {
            memmove(prints + kept, prints + first, (end - first) * sizeof *prints);
            kept += end - first;
        }
    }
    return kept;
}

static enum eq_status hash_stage(struct stage *s, size_t *n, bool whole, struct eq_err *err)
{
    s->whole = whole;
    eq_parallel_for(*n, hash_piece, s);
    if (eq_interrupted())
        return eq_fail(err, EQ_INTERRUPTED, "interrupted while looking for copies of clips in %s", s->ds->dir);
    if (s->no_memory)
        return eq_fail(err, EQ_NOMEM, "out of memory for finding copies of clips");
    *n = keep_alike(s->prints, *n);
    return EQ_OK;
}

/* Groups in the order of their first clips. */
static int compare_groups(const void *a, const void *b)
{
    const struct eq_copy *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->sample > y->sample) - (x->sample < y->sample);
}

static enum eq_status list_groups(const struct print *prints, size_t n, struct eq_copies *out, struct eq_err *err)
{
    if (n == 0)
        return EQ_OK;
    out->copies = calloc(n, sizeof *out->copies);
    if (!out->copies)
        return eq_fail(err, EQ_NOMEM, "out of memory for a list of %zu copies", n);
    for (size_t i = 0, first = 0; i < n; i++) {
        if (!alike(&prints[i], &prints[first]))
            first = i;
        out->copies[out->n++] = (struct eq_copy){.sample = prints[i].sample, .first = prints[first].sample};
        out->groups += first == i;
    }
    qsort(out->copies, out->n, sizeof *out->copies, compare_groups);
    return EQ_OK;
}

enum eq_status eq_dataset_copies(const struct eq_dataset *ds, struct eq_copies *out, struct eq_err *err)
{
    enum eq_status st;
    size_t n = 0;
    struct stage s = {.ds = ds, .prints = eq_alloc(ds->n + 1, sizeof *s.prints)};
    *out = (struct eq_copies){0};
    if (!s.prints)
        return eq_fail(err, EQ_NOMEM, "out of memory for finding copies of %zu clips", ds->n);
    for (size_t i = 0; i < ds->n; i++) /* empty files are no copies of each other */
        if (ds->samples[i].path && ds->samples[i].bytes)
            s.prints[n++] = (struct print){.bytes = ds->samples[i].bytes, .sample = (uint32_t)i, .read = true};
    n = keep_alike(s.prints, n);
    EQ_TRY(hash_stage(&s, &n, false, err));
    EQ_TRY(hash_stage(&s, &n, true, err));
    EQ_TRY(list_groups(s.prints, n, out, err));
out:
    eq_free(s.prints);
    return st;
}

void eq_copies_clear(struct eq_copies *c)
{
    free(c->copies);
    *c = (struct eq_copies){0};
}
