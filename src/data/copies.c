/*
 * Copies of a clip: files with the same bytes under different names. Sizes are compared first, then hashes of both ends
 * of the files that share a size, and only what is still alike is read whole. So a set without copies costs two reads
 * for each clip that shares its size with another.
 */
#include "echoquant/data.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIGEST_BYTES = 32, END_BYTES = 16 << 10, READ_BYTES = 256 << 10 };

/* A clip, and what is known of its bytes so far. */
struct print {
    uint64_t bytes;
    uint8_t digest[DIGEST_BYTES];
    uint32_t sample;
    bool read; /* digest is of this stage; false: the file could not be read */
};

/* A stage: prints[n] get digests of their ends, or of all their bytes. */
struct stage {
    const struct eq_dataset *ds;
    struct print *prints;
    bool whole;
    bool no_memory;
};

/* Adds up to n bytes from `at` on. Returns how many were there; -1: the file can't be read. */
static ssize_t add_bytes(struct AVSHA *sha, int file, off_t at, size_t n, uint8_t *buffer)
{
    size_t done = 0;
    while (done < n) {
        size_t want = n - done < READ_BYTES ? n - done : READ_BYTES;
        ssize_t got = pread(file, buffer, want, at + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || eq_interrupted())
            return -1;
        if (got == 0)
            break;
        av_sha_update(sha, buffer, (size_t)got);
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Whether all bytes that the stage wants were there. */
static bool hash_file(struct AVSHA *sha, const char *path, uint64_t bytes, bool whole, uint8_t *buffer)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return false;
    size_t head = whole || bytes <= END_BYTES ? (size_t)bytes : END_BYTES;
    size_t tail = (size_t)bytes - head < END_BYTES ? (size_t)bytes - head : END_BYTES;
    bool good = add_bytes(sha, file, 0, head, buffer) == (ssize_t)head &&
                add_bytes(sha, file, (off_t)(bytes - tail), tail, buffer) == (ssize_t)tail;
    close(file);
    return good;
}

static void hash_piece(void *ctx, size_t i, int worker)
{
    struct stage *s = ctx;
    struct print *p = &s->prints[i];
    struct AVSHA *sha = av_sha_alloc();
    uint8_t *buffer = malloc(READ_BYTES);
    (void)worker;
    p->read = false;
    if (!sha || !buffer)
        __atomic_store_n(&s->no_memory, true, __ATOMIC_RELAXED);
    else if (!eq_interrupted() && av_sha_init(sha, 8 * DIGEST_BYTES) == 0) {
        p->read = hash_file(sha, s->ds->samples[p->sample].path, p->bytes, s->whole, buffer);
        av_sha_final(sha, p->digest);
    }
    free(buffer);
    av_free(sha);
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
