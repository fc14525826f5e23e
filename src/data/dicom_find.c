/* The files that an import was given: those that were named, and all in the folders that were named. */
#include "data/dicom_import.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64 };

struct search {
    struct eq_import_file *files;
    size_t n, cap;
    struct eq_err *err;
};

static enum eq_status add_file(struct search *s, const char *path, size_t folder_len, bool named)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        struct eq_import_file *grown = realloc(s->files, s->cap * sizeof *grown);
        if (!grown)
            return eq_fail(s->err, EQ_NOMEM, "out of memory for a list of %zu files", s->cap);
        s->files = grown;
    }
    const char *slash = strrchr(path, '/');
    size_t start = folder_len ? folder_len + 1 : slash ? (size_t)(slash - path) + 1 : 0;
    struct eq_import_file *f = &s->files[s->n++];
    *f = (struct eq_import_file){.item = {.source = eq_strdup(path)}, .named = named};
    f->inside = f->item.source + start;
    return EQ_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* folder_len: the length of the folder that the user named. Links to folders are passed over: they can form circles. */
static enum eq_status add_folder(struct search *s, const char *path, size_t folder_len, int depth)
{
    enum eq_status st = EQ_OK;
    char **names = NULL;
    size_t n = 0;
    EQ_TRY(depth > MAX_DEPTH ? eq_fail(s->err, EQ_IO, "%s: folders are nested deeper than %d", path, MAX_DEPTH)
                             : eq_list_dir(path, &names, &n, s->err));
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        char *full = eq_path_join(path, names[i]);
        struct stat info;
        if (names[i][0] == '.')
            st = EQ_OK;
        else if (lstat(full, &info) == 0 && S_ISDIR(info.st_mode))
            st = add_folder(s, full, folder_len, depth + 1);
        else if (!eq_is_dir(full))
            st = add_file(s, full, folder_len, false);
        free(full);
        EQ_TRY(st);
    }
out:
    eq_names_free(names, n);
    return st;
}

enum eq_status eq_import_find(const char *const *paths, size_t n_paths, struct eq_import_file **files, size_t *n,
                              struct eq_err *err)
{
    struct search s = {.err = err};
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < n_paths && st == EQ_OK; i++) {
        size_t len = strlen(paths[i]);
        while (len > 1 && paths[i][len - 1] == '/')
            len--;
        char *path = eq_format("%.*s", (int)len, paths[i]);
        if (!eq_path_exists(path))
            st = eq_fail(err, EQ_IO, "%s: no such file or folder", path);
        else if (eq_is_dir(path))
            st = add_folder(&s, path, len, 0);
        else
            st = add_file(&s, path, 0, true);
        free(path);
    }
    *files = s.files;
    *n = s.n;
    return st;
}
