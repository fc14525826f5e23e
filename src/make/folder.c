/* What lies in a folder that is to be written: a note says how it was made, and the list is written last. */
#include "make/folder.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

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
        look->empty = n == 0;
    }
out:
    eq_names_free(names, n);
    free(path);
    free(list);
    return st;
}
