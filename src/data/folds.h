/* data-internal: the column Split: TRAIN, VAL, TEST, or folds of a cross-validation. */
#ifndef ECHOQUANT_DATA_FOLDS_H
#define ECHOQUANT_DATA_FOLDS_H

#include "echoquant/data.h"

enum { EQ_MAX_FOLDS = 100 };
struct eq_fold {
    char *name;
    enum eq_split split; /* that the options map it to */
    bool mapped, seen;   /* seen: a row has it */
};
/* Init with eq_folds_init, end with eq_folds_clear. */
struct eq_folds {
    struct eq_fold fold[EQ_MAX_FOLDS];
    size_t n;
    size_t unmapped_line; /* of the first row with a fold that nothing maps; 0: none */
    bool mapping, named;  /* folds are mapped; a row has TRAIN, VAL or TEST */
};
/* EQ_USAGE: a fold is named for both splits. */
enum eq_status eq_folds_init(struct eq_folds *f, const struct eq_list_opts *opts, struct eq_err *err);
/* The split that a row's Split means. EQ_FORMAT, without file and line: none. */
enum eq_status eq_folds_read(struct eq_folds *f, const char *text, size_t line, enum eq_split *out, struct eq_err *err);
/* After the last row; sorts the folds. EQ_FORMAT: the list has folds and nothing maps them, or a mapped fold has no
 * row; the message says which settings to write. list: for the message. */
enum eq_status eq_folds_conclude(struct eq_folds *f, const char *list, struct eq_err *err);
void eq_folds_clear(struct eq_folds *f);

#endif
