/* The data set as a list in memory: growing, leaving clips out, picking a split. */
#include "data/dataset.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void sample_clear(struct eq_sample *s)
{
    free(s->file_name);
    free(s->path);
}

static void skipped_clear(struct eq_skipped *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].file_name);
        free(list[i].reason);
    }
    free(list);
}

void eq_dataset_clear(struct eq_dataset *ds)
{
    for (size_t i = 0; i < ds->n; i++)
        sample_clear(&ds->samples[i]);
    skipped_clear(ds->skipped, ds->n_skipped);
    skipped_clear(ds->damaged, ds->n_damaged);
    free(ds->samples);
    for (size_t i = 0; i < ds->n_notes; i++)
        free(ds->notes[i].text);
    free(ds->notes);
    free(ds->dir);
    *ds = (struct eq_dataset){0};
}

enum eq_status eq_dataset_add(struct eq_dataset *ds, size_t *cap, const struct eq_sample *sample, struct eq_err *err)
{
    if (ds->n == *cap) {
        size_t new_cap = *cap ? 2 * *cap : 64, bytes = 0;
        struct eq_sample *grown = eq_mul_size(new_cap, sizeof *grown, &bytes) ? realloc(ds->samples, bytes) : NULL;
        if (!grown)
            return eq_fail(err, EQ_NOMEM, "out of memory for a list of %zu clips", new_cap);
        ds->samples = grown;
        *cap = new_cap;
    }
    ds->samples[ds->n++] = *sample;
    return EQ_OK;
}

void eq_dataset_note_skipped(struct eq_dataset *ds, enum eq_status status, const char *file_name, const char *reason)
{
    ds->skipped = eq_list_grow(ds->skipped, ds->n_skipped, sizeof *ds->skipped);
    ds->skipped[ds->n_skipped++] = (struct eq_skipped){eq_strdup(file_name), eq_strdup(reason), status};
}

void eq_dataset_note(struct eq_dataset *ds, enum eq_finding_kind kind, const char *fmt, ...)
{
    struct eq_str text = {0};
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(&text, fmt, args);
    va_end(args);
    ds->notes = eq_list_grow(ds->notes, ds->n_notes, sizeof *ds->notes);
    ds->notes[ds->n_notes++] = (struct eq_note){kind, text.s};
}

void eq_dataset_skip(struct eq_dataset *ds, size_t i, enum eq_status status, const char *reason)
{
    eq_dataset_note_skipped(ds, status, ds->samples[i].file_name, reason);
    sample_clear(&ds->samples[i]);
    memmove(&ds->samples[i], &ds->samples[i + 1], (ds->n - i - 1) * sizeof *ds->samples);
    ds->n--;
}

void eq_dataset_note_damaged(struct eq_dataset *ds, size_t i, const char *reason)
{
    ds->damaged = eq_list_grow(ds->damaged, ds->n_damaged, sizeof *ds->damaged);
    ds->damaged[ds->n_damaged++] =
        (struct eq_skipped){eq_strdup(ds->samples[i].file_name), eq_strdup(reason), EQ_FORMAT};
}

size_t eq_dataset_split(const struct eq_dataset *ds, enum eq_split split, uint32_t **indices)
{
    size_t n = 0;
    for (size_t i = 0; i < ds->n; i++)
        n += ds->samples[i].split == split;
    *indices = eq_room(n, sizeof **indices);
    if (!*indices)
        return 0;
    n = 0;
    for (size_t i = 0; i < ds->n; i++)
        if (ds->samples[i].split == split)
            (*indices)[n++] = (uint32_t)i;
    return n;
}

/* "clip.avi" of "some/where/clip.avi", without the .avi. */
static char *name_of_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = eq_strdup(slash ? slash + 1 : path);
    size_t len = strlen(name);
    if (len > 4 && strcmp(name + len - 4, ".avi") == 0)
        name[len - 4] = '\0';
    return name;
}

enum eq_status eq_dataset_from_paths(const char *const *paths, size_t n, enum eq_on_error on_error,
                                     struct eq_dataset *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    size_t cap = 0;
    *out = (struct eq_dataset){.dir = eq_strdup("")};
    for (size_t i = 0; i < n; i++) {
        struct stat info;
        struct eq_err why = {0};
        if (stat(paths[i], &info) != 0) {
            eq_fail_errno(&why, "%s", paths[i]);
        } else if (S_ISDIR(info.st_mode)) {
            eq_fail(&why, EQ_IO, "%s is a folder, not a clip", paths[i]);
        } else {
            struct eq_sample sample = {.file_name = name_of_path(paths[i]),
                                       .path = eq_strdup(paths[i]),
                                       .bytes = (uint64_t)info.st_size,
                                       .ef = NAN,
                                       .esv = NAN,
                                       .edv = NAN,
                                       .split = EQ_SPLIT_TEST,
                                       .line = i + 1};
            EQ_TRY(eq_dataset_add(out, &cap, &sample, err));
            continue;
        }
        if (on_error == EQ_ON_ERROR_FAIL || eq_err_is_of_system(&why))
            EQ_TRY(eq_fail(err, why.status, "%s", why.msg));
        eq_dataset_note_skipped(out, why.status, paths[i], why.msg);
    }
out:
    if (st != EQ_OK)
        eq_dataset_clear(out);
    return st;
}

enum eq_status eq_spread_clips(const struct eq_dataset *ds, enum eq_split split, int cap, uint32_t **indices, size_t *n,
                               struct eq_err *err)
{
    size_t all = eq_dataset_split(ds, split, indices);
    *n = all < (size_t)cap ? all : (size_t)cap;
    if (all == 0) {
        free(*indices);
        *indices = NULL;
        return eq_fail(err, EQ_FORMAT, "%s: the %s split has no clips", ds->dir, eq_split_name(split));
    }
    for (size_t i = 0; i < *n; i++)
        (*indices)[i] = (*indices)[i * all / *n];
    return EQ_OK;
}
