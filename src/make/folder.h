/* make-internal: what lies in a folder that is to be written. */
#ifndef ECHOQUANT_MAKE_FOLDER_H
#define ECHOQUANT_MAKE_FOLDER_H

#include "echoquant/base.h"

struct cJSON;

struct eq_folder_look {
    bool empty;    /* or not there; what a killed process leaves before its note does not count */
    bool noted;    /* it holds a note that says how it was made; the rest is false without one */
    bool same;     /* the note is as wanted */
    bool finished; /* FileList.csv, which is written last, is there */
};
/* note: the name of that JSON file. EQ_IO, EQ_FORMAT: it can't be read. */
enum eq_status eq_folder_look(const char *dir, const char *note, const struct cJSON *wanted,
                              struct eq_folder_look *look, struct eq_err *err);

/* Whether the text of a note says what is wanted. EQ_FORMAT. */
enum eq_status eq_folder_compare(const char *text, size_t len, const char *name, const struct cJSON *wanted, bool *same,
                                 struct eq_err *err);

/* Makes the folder and keeps other processes that write one here out of it until eq_folder_leave; waits for one that
 * does, with a message. Where the file system has no locks, it warns and goes on. Removes the temporary files of killed
 * processes. EQ_INTERRUPTED while waiting. */
struct eq_folder {
    struct eq_lock lock;
    char *dir;
    bool made;
};
enum eq_status eq_folder_enter(struct eq_folder *f, const char *dir, struct eq_err *err);
void eq_folder_leave(struct eq_folder *f); /* removes a folder that was made and is still empty; harmless for {0} */

#endif
