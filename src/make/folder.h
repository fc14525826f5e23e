/* make-internal: what lies in a folder that is to be written. */
#ifndef ECHOQUANT_MAKE_FOLDER_H
#define ECHOQUANT_MAKE_FOLDER_H

#include "echoquant/base.h"

struct cJSON;

enum eq_folder_state {
    EQ_FOLDER_EMPTY,      /* or not there */
    EQ_FOLDER_OTHER,      /* it holds files and no note */
    EQ_FOLDER_DIFFERENT,  /* its note is not as wanted, so that it was made with other options */
    EQ_FOLDER_UNFINISHED, /* its note is as wanted; FileList.csv, which is written last, is not there */
    EQ_FOLDER_FINISHED    /* its note is as wanted, and FileList.csv is there */
};
/* note: the name of the JSON file that says how the folder was made. EQ_IO, EQ_FORMAT: it can't be read. */
enum eq_status eq_folder_look(const char *dir, const char *note, const struct cJSON *wanted,
                              enum eq_folder_state *state, struct eq_err *err);

#endif
