/* The data set as a list in memory: growing, leaving clips out, picking a split. */
#include "data/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void sample_clear(struct eq_sample *s)
{
    free(s->file_name);
    free(s->path);
}

void eq_dataset_clear(struct eq_dataset *ds)
{
    for (size_t i = 0; i < ds->n; i++)
        sample_clear(&ds->samples[i]);
    for (size_t i = 0; i < ds->n_skipped; i++) {
        free(ds->skipped[i].file_name);
        free(ds->skipped[i].reason);
    }
    free(ds->samples);
    free(ds->skipped);
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

void eq_dataset_note_skipped(struct eq_dataset *ds, const char *file_name, const char *reason)
{
    ds->skipped = eq_list_grow(ds->skipped, ds->n_skipped, sizeof *ds->skipped);
    ds->skipped[ds->n_skipped++] = (struct eq_skipped){eq_strdup(file_name), eq_strdup(reason)};
}

void eq_dataset_skip(struct eq_dataset *ds, size_t i, const char *reason)
{
    eq_dataset_note_skipped(ds, ds->samples[i].file_name, reason);
    sample_clear(&ds->samples[i]);
    memmove(&ds->samples[i], &ds->samples[i + 1], (ds->n - i - 1) * sizeof *ds->samples);
    ds->n--;
}

size_t eq_dataset_split(const struct eq_dataset *ds, enum eq_split split, uint32_t **indices)
{
    size_t n = 0;
    for (size_t i = 0; i < ds->n; i++)
        n += ds->samples[i].split == split;
    *indices = malloc((n ? n : 1) * sizeof **indices);
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
        if (on_error == EQ_ON_ERROR_FAIL)
            EQ_TRY(eq_fail(err, why.status, "%s", why.msg));
        eq_dataset_note_skipped(out, paths[i], why.msg);
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
        return eq_fail(err, EQ_FORMAT, "%s: the %s split holds no clips", ds->dir, eq_split_name(split));
    }
    for (size_t i = 0; i < *n; i++)
        (*indices)[i] = (*indices)[i * all / *n];
    return EQ_OK;
}
