/* A folder as a data set, with or without a list. */
#include "data/dataset.h"
#include "data/links.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum eq_status add_clips(const char *folder, char ***paths, size_t *n, struct eq_err *err)
{
    char **names;
    size_t n_names, first = *n;
    EQ_CHECK(eq_list_dir(folder, &names, &n_names, err));
    for (size_t i = 0; i < n_names; i++) {
        char *path = eq_path_join(folder, names[i]);
        if (!eq_is_clip_file(path)) {
            free(path);
            continue;
        }
        *paths = eq_list_grow(*paths, *n, sizeof **paths);
        (*paths)[(*n)++] = path;
    }
    eq_names_free(names, n_names);
    if (*n > first)
        qsort(*paths + first, *n - first, sizeof **paths, compare);
    return EQ_OK;
}

enum eq_status eq_dataset_open_folder(const char *dir, const struct eq_list_opts *opts, struct eq_dataset *out,
                                      struct eq_err *err)
{
    enum eq_status st;
    char **paths = NULL, *list = NULL, *videos = eq_path_join(dir, "Videos");
    char *real = NULL;
    size_t n = 0;
    *out = (struct eq_dataset){0};
    EQ_TRY(eq_links_root(dir, opts->links, &real, err));
    EQ_TRY(eq_dataset_list(dir, &list, err));
    if (!list) {
        EQ_TRY(eq_links_check(real, videos, false, err));
        EQ_TRY(add_clips(dir, &paths, &n, err));
        EQ_TRY(add_clips(videos, &paths, &n, err));
    }
    if (n == 0)
        EQ_TRY(eq_dataset_open(dir, opts, out, err));
    else
        EQ_TRY(eq_dataset_from_paths((const char *const *)paths, n, EQ_ON_ERROR_SKIP, out, err));
    for (size_t i = out->n; !list && i-- > 0;) {
        struct eq_err outside;
        if (eq_links_check(real, out->samples[i].path, false, &outside) != EQ_OK)
            eq_dataset_skip(out, i, outside.status, outside.msg);
    }
    free(out->dir);
    out->dir = eq_strdup(dir);
out:
    eq_names_free(paths, n);
    free(videos);
    free(real);
    free(list);
    return st;
}
