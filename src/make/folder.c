/* What lies in a folder that is to be written: a note says how it was made, and the list is written last. */
#include "make/folder.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static enum eq_status look_at_note(const char *path, const struct cJSON *wanted, bool *same, struct eq_err *err)
{
    struct cJSON *found;
    EQ_CHECK(eq_json_read(path, &found, err));
    *same = cJSON_Compare(found, wanted, true);
    cJSON_Delete(found);
    return EQ_OK;
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
