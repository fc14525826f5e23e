/* EFs for imported files, from a CSV that names them. */
#include "data/dataset.h"
#include "make/import.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum eq_status eq_import_read_labels(const char *path, struct eq_dataset *labels, struct eq_err *err)
{
    void *text;
    size_t len;
    *labels = (struct eq_dataset){0};
    EQ_CHECK(eq_read_input(path, -1, EQ_FILE_LIST_MAX_BYTES, &text, &len, err));
    const struct eq_list_opts opts = {.on_error = EQ_ON_ERROR_FAIL};
    enum eq_status st = eq_filelist_parse(text, len, path, NULL, &opts, labels, err);
    eq_free(text);
    return st;
}

static int by_name(const void *a, const void *b)
{
    const struct eq_sample *const *x = a, *const *y = b;
    return strcmp((*x)->file_name, (*y)->file_name);
}

struct index {
    const struct eq_sample **rows; /* [n] by name */
    size_t n;
};

static const struct eq_sample *look_up(const struct index *index, const char *name, size_t len)
{
    struct eq_sample wanted = {.file_name = eq_format("%.*s", (int)len, name)};
    const struct eq_sample *key = &wanted;
    const struct eq_sample **at = bsearch(&key, index->rows, index->n, sizeof *index->rows, by_name);
    free(wanted.file_name);
    return at ? *at : NULL;
}

/* The row of this name, or of the name without an extension for DICOM. Any other dot is a part of the name: identifiers
 * such as 1.2.840 are used as names. */
static const struct eq_sample *find_row(const struct index *index, const char *name)
{
    static const char *const extensions[] = {".dcm", ".dicom", ".ima"};
    size_t len = strlen(name);
    const struct eq_sample *found = look_up(index, name, len);
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions && !found; i++) {
        size_t tail = strlen(extensions[i]);
        if (len > tail && strcasecmp(name + len - tail, extensions[i]) == 0)
            found = look_up(index, name, len - tail);
    }
    return found;
}

enum eq_status eq_import_match_labels(const struct eq_dataset *labels, struct eq_import_file *files, size_t n,
                                      struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct index index = {eq_alloc(labels->n + 1, sizeof *index.rows), labels->n};
    const char **taken = eq_alloc(labels->n + 1, sizeof *taken); /* by which file, for each row */
    if (!index.rows || !taken)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the labels"));
    for (size_t i = 0; i < labels->n; i++)
        index.rows[i] = &labels->samples[i];
    qsort(index.rows, index.n, sizeof *index.rows, by_name);
    for (size_t i = 0; i < n; i++) {
        struct eq_import_item *item = &files[i].item;
        const char *slash = strrchr(item->source, '/');
        const char *names[] = {item->source, files[i].inside, slash ? slash + 1 : item->source};
        if (item->state == EQ_IMPORT_SKIPPED || item->state == EQ_IMPORT_FAILED)
            continue;
        for (size_t k = 0; k < 3 && !files[i].label; k++)
            files[i].label = find_row(&index, names[k]);
        if (!files[i].label)
            continue;
        const char **other = &taken[files[i].label - labels->samples];
        if (*other)
            EQ_TRY(eq_fail(err, EQ_USAGE, "the label \"%s\" matches %s and %s; use their paths as labels",
                           files[i].label->file_name, *other, item->source));
        *other = item->source;
    }
out:
    eq_free(index.rows);
    eq_free(taken);
    return st;
}
