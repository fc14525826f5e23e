/* A data folder: its list is found and read. */
#include "data/dataset.h"
#include "data/links.h"

#include <stdlib.h>
#include <strings.h>

#define LIST_NAME "FileList.csv"

enum eq_status eq_dataset_list(const char *dir, char **list, struct eq_err *err)
{
    char *path = eq_path_join(dir, LIST_NAME), **names = NULL;
    size_t n = 0;
    bool there = false;
    *list = NULL;
    enum eq_status st = eq_path_look(path, &there, err);
    if (there) {
        *list = path;
        return EQ_OK;
    }
    free(path);
    if (st == EQ_OK)
        st = eq_list_dir(dir, &names, &n, err);
    for (size_t i = 0; i < n && !*list; i++)
        if (strcasecmp(names[i], LIST_NAME) == 0)
            *list = eq_path_join(dir, names[i]);
    eq_names_free(names, n);
    return st;
}

/* The folder has no list; EchoNet-Pediatric's has two, one below each of A4C and PSAX. */
static enum eq_status no_list(const char *dir, struct eq_err *err)
{
    char **names = NULL;
    size_t n = 0, found = 0;
    struct eq_str below = {0};
    eq_list_dir(dir, &names, &n, NULL);
    for (size_t i = 0; i < n; i++) {
        char *folder = eq_path_join(dir, names[i]), *list = NULL;
        eq_dataset_list(folder, &list, NULL); /* for a hint only */
        if (list && found++ < 3)
            eq_str_add(&below, "%s%.200s", below.len ? ", " : "; there is one in ", folder);
        free(list);
        free(folder);
    }
    eq_names_free(names, n);
    eq_fail(err, EQ_IO, "%s/" LIST_NAME ": no such file; a data folder needs one, with the columns FileName and EF%s",
            dir, below.s ? below.s : "");
    eq_str_clear(&below);
    return EQ_IO;
}

enum eq_status eq_dataset_open(const char *dir, const struct eq_list_opts *opts, struct eq_dataset *out,
                               struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    void *text = NULL;
    size_t len = 0;
    char *list = NULL, *real = NULL, *videos = NULL;
    *out = (struct eq_dataset){0};
    bool there, is_dir;
    EQ_TRY(eq_path_look(dir, &there, err));
    EQ_TRY(eq_dir_look(dir, &is_dir, err));
    if (!there) {
        char *near = eq_nearest_folder(dir);
        st = eq_fail(err, EQ_IO, "%s: no such data folder%s%s%s", dir, near ? "; did you mean " : "", near ? near : "",
                     near ? "?" : "; --data DIR names the folder that holds FileList.csv");
        free(near);
        goto out;
    }
    if (!is_dir)
        EQ_TRY(eq_fail(err, EQ_IO,
                       "%s is not a folder; data.dir (--data) must be the folder with FileList.csv and the clips",
                       dir));
    EQ_TRY(eq_dataset_list(dir, &list, err));
    if (!list)
        EQ_TRY(no_list(dir, err));
    EQ_TRY(eq_links_root(dir, opts->links, &real, err));
    videos = eq_path_join(dir, "Videos");
    EQ_TRY(eq_links_check(real, list, false, err));
    EQ_TRY(eq_links_check(real, videos, false, err)); /* one error instead of one for each row */
    EQ_TRY(eq_read_file(list, EQ_FILE_LIST_MAX_BYTES, &text, &len, err));
    EQ_TRY(eq_filelist_parse(text, len, list, dir, opts, out, err));
    eq_sha256(text, len, out->list_sha256);
    out->dir = eq_strdup(dir);
    out->has_list = true;
out:
    eq_free(text);
    free(list);
    free(real);
    free(videos);
    return st;
}
