/* The files that an import was given: those that were named, and all in the folders that were named. */
#include "make/import.h"

#include <stdlib.h>
#include <string.h>

struct search {
    struct eq_import_file *files;
    size_t n, cap;
    size_t folder_len; /* of the folder that the user named; 0: the file itself was */
};

static enum eq_status add_file(void *ctx, const char *path, const char *problem, struct eq_err *err)
{
    struct search *s = ctx;
    if (problem)
        return eq_fail(err, EQ_IO, "%s", problem);
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        struct eq_import_file *grown = realloc(s->files, s->cap * sizeof *grown);
        if (!grown)
            return eq_fail(err, EQ_NOMEM, "out of memory for a list of %zu files", s->cap);
        s->files = grown;
    }
    const char *slash = strrchr(path, '/');
    size_t start = s->folder_len ? s->folder_len + 1 : slash ? (size_t)(slash - path) + 1 : 0;
    struct eq_import_file *f = &s->files[s->n++];
    *f = (struct eq_import_file){.item = {.source = eq_strdup(path)}, .named = s->folder_len == 0};
    f->inside = f->item.source + start;
    return EQ_OK;
}

enum eq_status eq_import_find(const char *const *paths, size_t n_paths, struct eq_import_file **files, size_t *n,
                              struct eq_err *err)
{
    struct search s = {0};
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < n_paths && st == EQ_OK; i++) {
        size_t len = strlen(paths[i]);
        while (len > 1 && paths[i][len - 1] == '/')
            len--;
        char *path = eq_format("%.*s", (int)len, paths[i]);
        bool there, is_dir = false;
        st = eq_path_look(path, &there, err);
        if (st == EQ_OK)
            st = eq_dir_look(path, &is_dir, err);
        s.folder_len = is_dir ? len : 0;
        if (st == EQ_OK && !there)
            st = eq_fail(err, EQ_IO, "%s: no such file or folder", path);
        else if (st == EQ_OK)
            st = s.folder_len ? eq_files_below(path, add_file, &s, err) : add_file(&s, path, NULL, err);
        free(path);
    }
    *files = s.files;
    *n = s.n;
    return st;
}
