/* What lies in a folder that is to be written: a note says how it was made, and the list is written last. */
#include "make/folder.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK "making.lock"

enum { MAX_NOTE_BYTES = 1 << 20 };

enum eq_status eq_folder_compare(const char *text, size_t len, const char *name, const struct cJSON *wanted, bool *same,
                                 struct eq_err *err)
{
    struct cJSON *found;
    *same = false;
    EQ_CHECK(eq_json_parse(text, len, name, &found, err));
    *same = cJSON_Compare(found, wanted, true);
    cJSON_Delete(found);
    return EQ_OK;
}

static enum eq_status look_at_note(const char *path, const struct cJSON *wanted, bool *same, struct eq_err *err)
{
    void *text;
    size_t len;
    EQ_CHECK(eq_read_file(path, MAX_NOTE_BYTES, &text, &len, err));
    enum eq_status st = eq_folder_compare(text, len, path, wanted, same, err);
    eq_free(text);
    return st;
}

enum eq_status eq_folder_look(const char *dir, const char *note, const struct cJSON *wanted,
                              struct eq_folder_look *look, struct eq_err *err)
{
    enum eq_status st;
    char *path = eq_path_join(dir, note), *list = eq_path_join(dir, "FileList.csv"), **names = NULL;
    size_t n = 0;
    *look = (struct eq_folder_look){0};
    EQ_TRY(eq_path_look(path, &look->noted, err));
    if (look->noted) {
        EQ_TRY(look_at_note(path, wanted, &look->same, err));
        EQ_TRY(eq_path_look(list, &look->finished, err));
    } else {
        EQ_TRY(eq_list_dir(dir, &names, &n, err));
        look->empty = true;
        for (size_t i = 0; i < n; i++)
            look->empty &= strcmp(names[i], LOCK) == 0 || eq_is_temporary_name(names[i]);
    }
out:
    eq_names_free(names, n);
    free(path);
    free(list);
    return st;
}

static enum eq_status remove_temporaries(const char *dir, bool alone, struct eq_err *err)
{
    char *videos = eq_path_join(dir, "Videos"), *pictures = eq_path_join(dir, "Pictures");
    const char *const dirs[] = {dir, videos, pictures};
    enum eq_status st = EQ_OK;
    for (int i = 0; i < 3 && st == EQ_OK; i++)
        st = eq_remove_temporaries(dirs[i], NULL, alone, err);
    free(videos);
    free(pictures);
    return st;
}

enum eq_status eq_folder_enter(struct eq_folder *f, const char *dir, struct eq_err *err)
{
    enum eq_status st;
    bool there;
    char *path = eq_path_join(dir, LOCK), *what = eq_format("%s is being written", dir);
    *f = (struct eq_folder){0};
    EQ_TRY(eq_path_look(dir, &there, err));
    EQ_TRY(eq_make_dirs(dir, err));
    f->dir = eq_strdup(dir);
    f->made = !there;
    EQ_TRY(eq_lock_wait(&f->lock, path, what, err));
    if (f->lock.no_locks)
        eq_warn("%s: this file system cannot lock files (%s). Do not start a second command that writes this folder at "
                "the same time",
                dir, strerror(f->lock.no_locks));
    EQ_TRY(remove_temporaries(dir, !f->lock.no_locks, err));
out:
    free(path);
    free(what);
    if (st != EQ_OK)
        eq_folder_leave(f);
    return st;
}

void eq_folder_leave(struct eq_folder *f)
{
    eq_lock_release(&f->lock);
    if (f->made)
        rmdir(f->dir); /* succeeds only if it is empty */
    free(f->dir);
    *f = (struct eq_folder){0};
}
