/* make-internal: what lies in a folder that is to be written. */
#ifndef ECHOQUANT_MAKE_FOLDER_H
#define ECHOQUANT_MAKE_FOLDER_H

#include "echoquant/base.h"

struct cJSON;

struct eq_folder_look {
    bool empty;    /* or not there */
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

#endif
